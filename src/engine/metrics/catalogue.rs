//! What is counted, as data: registered by these names, and described by them in `docs/metrics.md`.

use strum::IntoEnumIterator;

use crate::cloud::ErrorKind;
use crate::identity;

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
    values: Some(|| {
        vec![
            "AccountClass",
            "Application",
            "ApplicationName",
            "Approval",
            "ImageRepository",
            "OAuthClient",
            "OAuthProvider",
            "Release",
            "ResourceType",
            "Team",
            "TeamAccount",
        ]
    }),
    says: "the kind of the object",
};
const SERVICE: Label = Label {
    name: "service",
    values: Some(|| {
        vec![
            "account",
            "cognito-idp",
            "ecr",
            "iam",
            "organizations",
            "s3",
            "secretsmanager",
            "sts",
        ]
    }),
    says: "AWS's service",
};

const PROVIDER: Label = Label {
    name: "provider",
    values: Some(|| identity::observed::PROVIDERS.to_vec()),
    says: "the kind of authorization server",
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
/// Calls to authorization servers.
pub const OAUTH_CALLS: Metric = Metric {
    name: "oauth_calls",
    shape: Shape::Counter,
    seconds: false,
    help: "Calls to OAuth authorization servers, by operation and how they ended",
    labels: &[
        PROVIDER,
        Label {
            name: "operation",
            values: None,
            says: "`describe`, `register`, `find`, `update`, `add_secret`, `retire_secret`, `secret_ends`, `delete`, `confirm`, \
                `make_user`, `remove_user`, or `request_token`",
        },
        Label {
            name: "outcome",
            values: Some(|| {
                let errors = identity::ErrorKind::iter().map(identity::ErrorKind::label);
                ["ok", "unknown_client"].into_iter().chain(errors).collect()
            }),
            says: "`ok`, or the class of the error; of a request for a token also `unknown_client`, and `refused` if the server \
                knows the client and does not give what it asks for",
        },
    ],
    tells: "What the operator asks of authorization servers, and what they refuse. One call here may be several requests.",
    query: r#"sum by (provider, operation, outcome) (rate(bailiwick_oauth_calls_total{outcome!="ok"}[15m]))"#,
};
/// How long those took.
pub const OAUTH_CALL_DURATION: Metric = Metric {
    name: "oauth_call_duration",
    shape: Shape::Histogram,
    seconds: true,
    help: "How long calls to OAuth authorization servers took",
    labels: &[PROVIDER],
    tells: "How fast authorization servers answer.",
    query: "histogram_quantile(0.95, sum by (provider, le) (rate(bailiwick_oauth_call_duration_seconds_bucket[15m])))",
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
/// Whether there is a journal.
pub const JOURNAL_CONFIGURED: Metric = Metric {
    name: "journal_configured",
    shape: Shape::Gauge,
    seconds: false,
    help: "1 if changes are journaled, 0 if no bucket is named",
    labels: &[],
    tells: "Whether changes are kept outside of the cluster at all.",
    query: "max(bailiwick_journal_configured)",
};
/// What was written to the journal.
pub const JOURNAL_RECORDS: Metric = Metric {
    name: "journal_records",
    shape: Shape::Counter,
    seconds: false,
    help: "Records written to the journal, by what they say",
    labels: &[Label {
        name: "operation",
        values: Some(|| vec!["Changed", "Created", "Deleted", "Gap"]),
        says: "what happened to the object; `Gap`: it changed and nobody watched",
    }],
    tells: "How much is changed. A gap stands for changes that nobody can tell any more.",
    query: r#"sum(increase(bailiwick_journal_records_total{operation="Gap"}[1d]))"#,
};
/// What the journal was refused.
pub const JOURNAL_FAILURES: Metric = Metric {
    name: "journal_failures",
    shape: Shape::Counter,
    seconds: false,
    help: "What the journal's sink or outbox refused, by reason; broken: what is there is not what was written",
    labels: &[Label {
        name: "reason",
        values: Some(|| {
            let errors = ErrorKind::iter().map(ErrorKind::label);
            ["broken", "lost", "outbox", "outbox_full"]
                .into_iter()
                .chain(errors)
                .collect()
        }),
        says: "why; `broken` says that somebody has changed the journal, `lost` that more has vanished than can be remembered",
    }],
    tells: "Whether the bucket can be written, and whether what is in it is what was written.",
    query: "sum by (reason) (increase(bailiwick_journal_failures_total[1h]))",
};
/// What waits for the journal.
pub const JOURNAL_PENDING: Metric = Metric {
    name: "journal_pending",
    shape: Shape::Gauge,
    seconds: false,
    help: "Changes that were seen and are not in the journal yet: in the outbox, or only in memory",
    labels: &[Label {
        name: "place",
        values: Some(|| vec!["memory", "outbox"]),
        says: "where they wait; what is in the outbox outlives the process",
    }],
    tells: "How many changes wait for the bucket. At --journal-outbox deletions wait, too.",
    query: "sum by (place) (bailiwick_journal_pending)",
};
/// How long the oldest of it has waited.
pub const JOURNAL_BEHIND: Metric = Metric {
    name: "journal_behind",
    shape: Shape::Gauge,
    seconds: true,
    help: "How long ago the oldest change was seen that is not in the journal yet",
    labels: &[],
    tells: "How long the bucket has been away.",
    query: "max(bailiwick_journal_behind_seconds)",
};

/// All of them.
pub const ALL: &[Metric] = &[
    RECONCILES,
    RECONCILE_DURATION,
    AWS_CALLS,
    AWS_CALL_DURATION,
    AWS_BUDGET_WAIT,
    OAUTH_CALLS,
    OAUTH_CALL_DURATION,
    ACCOUNT_CREATIONS,
    ORGANIZATION_READABLE,
    LEADER,
    JOURNAL_CONFIGURED,
    JOURNAL_RECORDS,
    JOURNAL_FAILURES,
    JOURNAL_PENDING,
    JOURNAL_BEHIND,
];
