//! What `bailiwick run` is told, by flags or by variables of the environment. The only place that reads them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{AccountId, RoleName};
use crate::telemetry::LogFormat;

/// How to run the operator.
#[derive(Debug, Clone, clap::Args)]
pub struct RunOptions {
    /// The namespace that the operator itself lives in: its lease and its list of classes are there.
    #[arg(long, env = "BAILIWICK_NAMESPACE", default_value = "bailiwick-system")]
    pub namespace: String,
    /// The cluster's name, for the ownership tags. Must differ between clusters that share an organization.
    #[arg(long, env = "BAILIWICK_CLUSTER_NAME")]
    pub cluster_name: String,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, env = "BAILIWICK_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// How a log line looks.
    #[arg(
        long,
        env = "BAILIWICK_LOG_FORMAT",
        value_enum,
        default_value = "human"
    )]
    pub log_format: LogFormat,
    /// What is logged: a level, or a list of target=level.
    #[arg(long, env = "BAILIWICK_LOG_FILTER", default_value = "info")]
    pub log_filter: String,
    /// Elect a leader by a Lease; `false` only where there can be one process alone.
    #[arg(long, env = "BAILIWICK_LEADER_ELECT", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
    /// Who this process is among the replicas; the pod's name, for example.
    #[arg(long, env = "BAILIWICK_IDENTITY")]
    pub identity: Option<String>,
    /// How many objects of a kind are worked on at once.
    #[arg(long, env = "BAILIWICK_CONCURRENCY", default_value_t = 16)]
    pub concurrency: u16,
    /// How many accounts may be in creation at once; AWS allows five in an organization.
    #[arg(long, env = "BAILIWICK_CREATION_SLOTS", default_value_t = 5)]
    pub creation_slots: usize,
    /// Where AWS's global services (Organizations, IAM, Account Management) are at home. By AWS_REGION if left out:
    /// cn-northwest-1 for regions in China, us-gov-west-1 for AWS GovCloud (US), us-east-1 for all others.
    #[arg(long, env = "BAILIWICK_AWS_HOME_REGION")]
    pub aws_home_region: Option<String>,
    /// The account for image repositories whose object names none. A member account of the organization, not the one
    /// that manages it; without it those objects are refused.
    #[arg(long, env = "BAILIWICK_PLATFORM_ACCOUNT")]
    pub platform_account: Option<AccountId>,
    /// The role through which the platform's account is entered.
    #[arg(
        long,
        env = "BAILIWICK_PLATFORM_ACCOUNT_ROLE",
        default_value = "OrganizationAccountAccessRole"
    )]
    pub platform_account_role: RoleName,
    /// Whether repositories in the platform's account may have tags that can be moved.
    #[arg(long, env = "BAILIWICK_PLATFORM_MUTABLE_IMAGE_TAGS", default_value_t = false, action = clap::ArgAction::Set)]
    pub platform_mutable_image_tags: bool,
    /// How often the organization is read in bulk (30s, 10m, 6h).
    #[arg(long, env = "BAILIWICK_SWEEP_INTERVAL", default_value = "10m", value_parser = duration)]
    pub sweep_interval: Duration,
    /// How often every account, every repository and every OAuth client is looked into (30s, 10m, 6h).
    #[arg(long, env = "BAILIWICK_DEEP_CHECK_INTERVAL", default_value = "6h", value_parser = duration)]
    pub deep_check_interval: Duration,
    /// How long credentials stay valid after their OAuthClient was deleted with deletionPolicy Delete, or its application
    /// was retired.
    #[arg(long, env = "BAILIWICK_CREDENTIAL_REMOVAL_GRACE", default_value = "1h", value_parser = duration)]
    pub credential_removal_grace: Duration,
    /// How many clients may be removed at authorization servers in an hour; more wait, and say so.
    #[arg(
        long,
        env = "BAILIWICK_CREDENTIAL_REMOVALS_PER_HOUR",
        default_value_t = 20
    )]
    pub credential_removals_per_hour: usize,
    /// How long one pass over an object may take.
    #[arg(long, env = "BAILIWICK_PASS_TIMEOUT", default_value = "120s", value_parser = duration)]
    pub pass_timeout: Duration,
    /// Whether admission policies keep the annotations true that say who made an object, as the chart's do. Without
    /// them nobody can tell who requested or approved what, and no approval counts.
    #[arg(long, env = "BAILIWICK_AUTHORS_GUARDED", default_value_t = false, action = clap::ArgAction::Set)]
    pub authors_guarded: bool,
    /// Users, several divided by line breaks, who are robots although the cluster authenticates them like people: their
    /// approvals and reviews do not count. Service accounts and whoever begins with `system:` are none in any case.
    #[arg(long, env = "BAILIWICK_ROBOT_USERS", value_delimiter = '\n')]
    pub robot_users: Vec<String>,
    /// Registries (host or host:port, several divided by commas) that are reached by plain HTTP.
    #[arg(long, env = "BAILIWICK_REGISTRY_PLAIN_HTTP", value_delimiter = ',')]
    pub registry_plain_http: Vec<String>,
    /// Registries that are reached by HTTPS although they are named by an address, or by a name without a domain.
    #[arg(long, env = "BAILIWICK_REGISTRY_INTERNAL", value_delimiter = ',')]
    pub registry_internal: Vec<String>,
    /// A file with certificate authorities (PEM) that registries and code hosts are trusted by, besides those of this
    /// machine: the company's own.
    #[arg(long, env = "BAILIWICK_REGISTRY_AUTHORITIES")]
    pub registry_authorities: Option<PathBuf>,
    /// A file with logins for registries, in Docker's format (config.json). It is read again for every login.
    #[arg(long, env = "BAILIWICK_REGISTRY_CREDENTIALS")]
    pub registry_credentials: Option<PathBuf>,
    /// A file that says whose signatures of provenance count: a YAML list of {name, key}, the public key in PEM, and of
    /// {name, issuer, subject, roots, log, timestamps, certificateLog}, identities with certificates. Nobody's if left out.
    #[arg(long, env = "BAILIWICK_TRUST")]
    pub trust: Option<PathBuf>,
    /// A file that says which code hosts are asked for the messages of commits, to find tickets in them, and for reviews
    /// that count as approvals: a YAML list of {host, api, token, reviews}, the API like GitHub's. None if left out.
    #[arg(long, env = "BAILIWICK_CODE_HOSTS")]
    pub code_hosts: Option<PathBuf>,
    /// How long what is in flight may take to finish when the process is told to end.
    #[arg(long, env = "BAILIWICK_GRACE_PERIOD", default_value = "25s", value_parser = duration)]
    pub grace_period: Duration,
    /// The journal.
    #[command(flatten)]
    pub journal: JournalOptions,
}

/// Where every change of an object is recorded, outside of the cluster.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Journal")]
pub struct JournalOptions {
    /// The S3 bucket; without one there is no journal, and the operator says so.
    #[arg(long = "journal-bucket", env = "BAILIWICK_JOURNAL_BUCKET")]
    pub bucket: Option<String>,
    /// What the keys in the bucket begin with; the cluster's name comes next.
    #[arg(
        long = "journal-prefix",
        env = "BAILIWICK_JOURNAL_PREFIX",
        default_value = "journal"
    )]
    pub prefix: String,
    /// The bucket's region, if it is not AWS_REGION.
    #[arg(long = "journal-region", env = "BAILIWICK_JOURNAL_REGION")]
    pub region: Option<String>,
    /// Name the bucket in the path instead of in the host's name: for stores that play S3.
    #[arg(
        long = "journal-path-style",
        env = "BAILIWICK_JOURNAL_PATH_STYLE",
        default_value_t = false,
        action = clap::ArgAction::Set
    )]
    pub path_style: bool,
    /// For how many days every record is locked; the bucket must have been made with Object Lock. Not locked by us if
    /// left out: then the bucket's own default counts.
    #[arg(
        long = "journal-object-lock-days",
        env = "BAILIWICK_JOURNAL_OBJECT_LOCK_DAYS",
        value_parser = clap::value_parser!(u32).range(1..=36500)
    )]
    pub lock_days: Option<u32>,
    /// How it is locked: `governance` can be lifted by whoever has the right to, `compliance` by nobody.
    #[arg(
        long = "journal-object-lock-mode",
        env = "BAILIWICK_JOURNAL_OBJECT_LOCK_MODE",
        value_enum,
        default_value = "governance"
    )]
    pub lock_mode: LockMode,
    /// How many changes wait in the cluster while the bucket is away. When it is full, deletions wait, too.
    #[arg(
        long = "journal-outbox",
        env = "BAILIWICK_JOURNAL_OUTBOX",
        default_value_t = 2000
    )]
    pub outbox: usize,
}

/// Who can end an object lock early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LockMode {
    /// Whoever has a right of its own.
    Governance,
    /// Nobody.
    Compliance,
}

/// Which journal to read.
#[derive(Debug, Clone, clap::Args)]
pub struct JournalPlace {
    /// The S3 bucket.
    #[arg(long, env = "BAILIWICK_JOURNAL_BUCKET")]
    pub bucket: String,
    /// What the keys in the bucket begin with.
    #[arg(long, env = "BAILIWICK_JOURNAL_PREFIX", default_value = "journal")]
    pub prefix: String,
    /// The bucket's region, if it is not AWS_REGION.
    #[arg(long, env = "BAILIWICK_JOURNAL_REGION")]
    pub region: Option<String>,
    /// Name the bucket in the path instead of in the host's name: for stores that play S3.
    #[arg(long, env = "BAILIWICK_JOURNAL_PATH_STYLE")]
    pub path_style: bool,
    /// The name of the cluster whose journal it is.
    #[arg(long, env = "BAILIWICK_CLUSTER_NAME")]
    pub cluster_name: String,
}

/// Whether the environment names a collector for spans, by OpenTelemetry's variables. What else they say, its SDK
/// reads itself.
pub fn exports_spans() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let is = |name, word: &str| set(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
    let endpoints = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    ];
    endpoints.into_iter().any(|name| set(name).is_some())
        && !is("OTEL_SDK_DISABLED", "true")
        && !is("OTEL_TRACES_EXPORTER", "none")
}

/// `30s`, `10m` or `6h`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Result<k8s_openapi::jiff::SignedDuration, _> = text.parse();
    match parsed
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
    {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("give a number and a unit: 30s, 10m or 6h".to_owned()),
    }
}
