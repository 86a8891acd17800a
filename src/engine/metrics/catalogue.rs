//! What is counted, as data: registered by these names, and described by them in `docs/metrics.md`.

use strum::IntoEnumIterator;

use crate::cloud::ErrorKind;

/// What kind of number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Shape {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many there were of which size.
    Histogram,
}

/// A label and what it can be.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values, if they are a small closed set.
    pub values: Option<fn() -> Vec<&'static str>>,
    /// What it says.
    pub says: &'static str,
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name without prefix, unit and suffix: what it is registered by.
    pub name: &'static str,
    /// What kind of number it is.
    pub shape: Shape,
    /// Whether it is in seconds; otherwise it is a plain number.
    pub seconds: bool,
    /// What is scraped with it as an explanation.
    pub help: &'static str,
    /// Its labels.
    pub labels: &'static [Label],
    /// What one learns from it.
    pub tells: &'static str,
    /// A query worth having on a dashboard.
    pub query: &'static str,
}

impl Metric {
    /// The name of the family, as `# TYPE` gives it.
    pub fn family(&self) -> String {
        let unit = if self.seconds { "_seconds" } else { "" };
        format!("bailiwick_{}{unit}", self.name)
    }

    /// The names of the series, as they are scraped.
    pub fn series(&self) -> Vec<String> {
        let suffixes: &[&str] = match self.shape {
            Shape::Counter => &["_total"],
            Shape::Gauge => &[""],
            Shape::Histogram => &["_bucket", "_sum", "_count"],
        };
        let family = self.family();
        suffixes
            .iter()
            .map(|suffix| format!("{family}{suffix}"))
            .collect()
    }
}

const KIND: Label = Label {
    name: "kind",
    values: Some(|| vec!["AccountClass", "Team", "TeamAccount"]),
    says: "the kind of the object",
};
const SERVICE: Label = Label {
    name: "service",
    values: Some(|| vec!["account", "iam", "organizations", "sts"]),
    says: "AWS's service",
};

/// Passes.
pub const RECONCILES: Metric = Metric {
    name: "reconciles",
    shape: Shape::Counter,
    seconds: false,
    help: "Passes over objects, by kind and how they ended",
    labels: &[
        KIND,
        Label {
            name: "outcome",
            values: None,
            says: "`settled`, `waiting`, `blocked`, `released`, `undecodable`, `interrupted` (the process ends), or for a pass that failed its reason \
                (see reasons.md): `AwsThrottled`, `TimedOut`, …",
        },
    ],
    tells: "How much work there is, and how much of it fails. A settled object needs no pass but for a sweep that found \
        a change and for --deep-check-interval.",
    query: r#"sum by (kind, outcome) (rate(bailiwick_reconciles_total{outcome!~"settled|waiting|released|interrupted"}[5m]))"#,
};
/// How long passes took.
pub const RECONCILE_DURATION: Metric = Metric {
    name: "reconcile_duration",
    shape: Shape::Histogram,
    seconds: true,
    help: "How long passes took",
    labels: &[KIND],
    tells: "How long an object is worked on at a time. What comes near --pass-timeout waits for AWS or for a budget.",
    query: "histogram_quantile(0.99, sum by (kind, le) (rate(bailiwick_reconcile_duration_seconds_bucket[15m])))",
};
/// Calls to AWS.
pub const AWS_CALLS: Metric = Metric {
    name: "aws_calls",
    shape: Shape::Counter,
    seconds: false,
    help: "Calls to AWS, by operation and how they ended",
    labels: &[
        SERVICE,
        Label {
            name: "operation",
            values: None,
            says: "AWS's name of the operation, `CreateAccount` for example",
        },
        Label {
            name: "outcome",
            values: Some(|| {
                let errors = ErrorKind::iter().map(ErrorKind::label);
                std::iter::once("ok").chain(errors).collect()
            }),
            says: "`ok`, or the class of the error",
        },
    ],
    tells: "What the operator asks of AWS, and what AWS refuses. Throttled calls show that somebody shares the limit, or \
        that AWS has lowered it.",
    query: r#"sum by (operation) (rate(bailiwick_aws_calls_total{outcome="throttled"}[15m])) / sum by (operation) (rate(bailiwick_aws_calls_total[15m]))"#,
};
/// How long calls took.
pub const AWS_CALL_DURATION: Metric = Metric {
    name: "aws_call_duration",
    shape: Shape::Histogram,
    seconds: true,
    help: "How long calls to AWS took",
    labels: &[SERVICE],
    tells: "How fast AWS answers, the SDK's own retries included, without the wait for the budget.",
    query: "histogram_quantile(0.95, sum by (service, le) (rate(bailiwick_aws_call_duration_seconds_bucket[15m])))",
};
/// How long calls waited before.
pub const AWS_BUDGET_WAIT: Metric = Metric {
    name: "aws_budget_wait",
    shape: Shape::Counter,
    seconds: true,
    help: "How long calls waited for their rate budget, in all",
    labels: &[SERVICE],
    tells: "How many calls wait on average at any moment because AWS would refuse more: the rate is that number.",
    query: "sum by (service) (rate(bailiwick_aws_budget_wait_seconds_total[15m]))",
};
/// The queue for creations.
pub const ACCOUNT_CREATIONS: Metric = Metric {
    name: "account_creations",
    shape: Shape::Gauge,
    seconds: false,
    help: "Account creations: waiting, in flight, and slots",
    labels: &[Label {
        name: "state",
        values: Some(|| vec!["in_flight", "slots", "waiting"]),
        says: "how many wait, how many AWS is at, how many it may be at",
    }],
    tells: "How long the queue for new accounts is, and whether its slots are used.",
    query: r#"max(bailiwick_account_creations{state="waiting"})"#,
};
/// Whether the organization can be read.
pub const ORGANIZATION_READABLE: Metric = Metric {
    name: "organization_readable",
    shape: Shape::Gauge,
    seconds: false,
    help: "1 if this replica leads and its last attempt to read the organization succeeded",
    labels: &[],
    tells: "Whether the operator sees AWS at all: while it does not, no drift is found, and after a start no account is \
        worked on.",
    query: "max(bailiwick_organization_readable)",
};
/// Whether this replica leads.
pub const LEADER: Metric = Metric {
    name: "leader",
    shape: Shape::Gauge,
    seconds: false,
    help: "1 if this replica is the leader",
    labels: &[],
    tells: "Whether anybody works: exactly one replica should lead.",
    query: "sum(bailiwick_leader)",
};

/// All of them.
pub const ALL: &[Metric] = &[
    RECONCILES,
    RECONCILE_DURATION,
    AWS_CALLS,
    AWS_CALL_DURATION,
    AWS_BUDGET_WAIT,
    ACCOUNT_CREATIONS,
    ORGANIZATION_READABLE,
    LEADER,
];
