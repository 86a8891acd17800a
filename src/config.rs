//! What `bailiwick run` is told, by flags or by variables of the environment. The only place that reads them.

use std::net::SocketAddr;
use std::time::Duration;

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
    /// How often the organization is read in bulk (30s, 10m, 6h).
    #[arg(long, env = "BAILIWICK_SWEEP_INTERVAL", default_value = "10m", value_parser = duration)]
    pub sweep_interval: Duration,
    /// How often every account is looked into (30s, 10m, 6h).
    #[arg(long, env = "BAILIWICK_DEEP_CHECK_INTERVAL", default_value = "6h", value_parser = duration)]
    pub deep_check_interval: Duration,
    /// How long one pass over an object may take.
    #[arg(long, env = "BAILIWICK_PASS_TIMEOUT", default_value = "120s", value_parser = duration)]
    pub pass_timeout: Duration,
    /// How long what is in flight may take to finish when the process is told to end.
    #[arg(long, env = "BAILIWICK_GRACE_PERIOD", default_value = "25s", value_parser = duration)]
    pub grace_period: Duration,
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
