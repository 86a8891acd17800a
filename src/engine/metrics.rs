//! What is counted. Labels are static words, so that the number of series is bounded.

pub mod catalogue;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric as Registrable, Registry, Unit};

use self::catalogue::Metric;
use super::journal_metrics::JournalMetrics;
use crate::cloud::governed::CallObserver;
use crate::identity;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    service: &'static str,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OAuthLabels {
    provider: &'static str,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    provider: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// All metrics; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    passes: Family<PassLabels, Counter>,
    pass_seconds: Family<KindLabels, Histogram>,
    calls: Family<CallLabels, Counter>,
    call_seconds: Family<ServiceLabels, Histogram>,
    budget_seconds: Family<ServiceLabels, Counter<f64, AtomicU64>>,
    oauth_calls: Family<OAuthLabels, Counter>,
    oauth_seconds: Family<ProviderLabels, Histogram>,
    creations: Family<StateLabels, Gauge>,
    readable: Gauge,
    leader: Gauge,
    journal: JournalMetrics,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 9))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            passes: Family::default(),
            pass_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            budget_seconds: Family::default(),
            oauth_calls: Family::default(),
            oauth_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            creations: Family::default(),
            readable: Gauge::default(),
            leader: Gauge::default(),
            journal: JournalMetrics::default(),
        };
        let mut registry = Registry::with_prefix("bailiwick");
        let known = &mut registry;
        register(known, catalogue::RECONCILES, &metrics.passes);
        register(known, catalogue::RECONCILE_DURATION, &metrics.pass_seconds);
        register(known, catalogue::AWS_CALLS, &metrics.calls);
        register(known, catalogue::AWS_CALL_DURATION, &metrics.call_seconds);
        register(known, catalogue::AWS_BUDGET_WAIT, &metrics.budget_seconds);
        register(known, catalogue::OAUTH_CALLS, &metrics.oauth_calls);
        register(
            known,
            catalogue::OAUTH_CALL_DURATION,
            &metrics.oauth_seconds,
        );
        register(known, catalogue::ACCOUNT_CREATIONS, &metrics.creations);
        register(known, catalogue::ORGANIZATION_READABLE, &metrics.readable);
        register(known, catalogue::LEADER, &metrics.leader);
        metrics.journal.enter(known);
        metrics.registry = Arc::new(registry);
        metrics
    }
}

/// Enters numbers under the name and with the explanation that the catalogue has for them.
pub(super) fn register(
    registry: &mut Registry,
    metric: Metric,
    numbers: &(impl Registrable + Clone),
) {
    let numbers = numbers.clone();
    if metric.seconds {
        registry.register_with_unit(metric.name, metric.help, Unit::Seconds, numbers);
    } else {
        registry.register(metric.name, metric.help, numbers);
    }
}

impl Metrics {
    /// A pass has ended.
    pub fn reconciled(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.passes
            .get_or_create(&PassLabels { kind, outcome })
            .inc();
        self.pass_seconds
            .get_or_create(&KindLabels { kind })
            .observe(took.as_secs_f64());
    }

    /// A call to AWS has ended.
    pub fn aws_call(
        &self,
        (service, operation): (&'static str, &'static str),
        outcome: &'static str,
        waited: Duration,
        took: Duration,
    ) {
        self.calls
            .get_or_create(&CallLabels {
                service,
                operation,
                outcome,
            })
            .inc();
        self.call_seconds
            .get_or_create(&ServiceLabels { service })
            .observe(took.as_secs_f64());
        self.budget_seconds
            .get_or_create(&ServiceLabels { service })
            .inc_by(waited.as_secs_f64());
    }

    /// The queue for creations, as it is now.
    pub fn creations(&self, (waiting, in_flight, slots): (usize, usize, usize)) {
        for (state, number) in [
            ("waiting", waiting),
            ("in_flight", in_flight),
            ("slots", slots),
        ] {
            self.creations
                .get_or_create(&StateLabels { state })
                .set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    /// Whether the last attempt to read the organization succeeded.
    pub fn organization_readable(&self, readable: bool) {
        self.readable.set(i64::from(readable));
    }

    /// Whether this replica is the leader.
    pub fn leader(&self, leader: bool) {
        self.leader.set(i64::from(leader));
    }

    /// What is counted about the journal.
    pub fn journal(&self) -> JournalMetrics {
        self.journal.clone()
    }

    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => "# EOF\n".to_owned(),
        }
    }
}

impl CallObserver for Metrics {
    fn called(
        &self,
        service: &'static str,
        operation: &'static str,
        outcome: &'static str,
        budget_wait: Duration,
        took: Duration,
    ) {
        self.aws_call((service, operation), outcome, budget_wait, took);
    }
}

impl identity::Observer for Metrics {
    fn called(
        &self,
        provider: &'static str,
        operation: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        self.oauth_calls
            .get_or_create(&OAuthLabels {
                provider,
                operation,
                outcome,
            })
            .inc();
        self.oauth_seconds
            .get_or_create(&ProviderLabels { provider })
            .observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::journal::{Behind, Observer};

    fn all_touched() -> Metrics {
        let metrics = Metrics::default();
        metrics.reconciled("Team", "settled", Duration::from_millis(3));
        let call = ("organizations", "CreateAccount");
        metrics.aws_call(call, "throttled", Duration::ZERO, Duration::ZERO);
        let took = Duration::from_millis(20);
        identity::Observer::called(&metrics, "keycloak", "register", "throttled", took);
        metrics.creations((1, 2, 5));
        let journal = metrics.journal();
        journal.wrote("Created");
        journal.failed(crate::cloud::ErrorKind::Throttled.label());
        journal.behind(&Behind::default(), Timestamp::UNIX_EPOCH);
        metrics
    }

    #[test]
    fn what_is_counted_is_shown() {
        let text = all_touched().encode();
        for line in [
            r#"bailiwick_reconciles_total{kind="Team",outcome="settled"} 1"#,
            r#"operation="CreateAccount",outcome="throttled"} 1"#,
            r#"provider="keycloak",operation="register",outcome="throttled"} 1"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    /// The label sets of a line `name{a="b",c="d"} 1`, without the buckets' own.
    fn labels(line: &str) -> Vec<(&str, &str)> {
        let Some((_, rest)) = line.split_once('{') else {
            return Vec::new();
        };
        let (inside, _) = rest.split_once('}').unwrap();
        let pairs = inside.split(',').map(|pair| pair.split_once('=').unwrap());
        pairs
            .map(|(name, value)| (name, value.trim_matches('"')))
            .filter(|(name, _)| *name != "le")
            .collect()
    }

    #[test]
    fn the_catalogue_is_what_is_scraped() {
        let text = all_touched().encode();
        let mut families = 0;
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                families += 1;
                let known = |metric: &&Metric| {
                    let shape: &str = metric.shape.into();
                    format!("{} {shape}", metric.family()) == family
                };
                assert!(catalogue::ALL.iter().any(|metric| known(&metric)), "{line}");
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let metric = catalogue::ALL
                    .iter()
                    .find(|metric| metric.series().iter().any(|series| series == name))
                    .unwrap_or_else(|| panic!("not in the catalogue: {line}"));
                let found = labels(line);
                assert_eq!(
                    found.len(),
                    metric.labels.len(),
                    "labels of {name}: {found:?}"
                );
                for (label, value) in found {
                    let known = metric.labels.iter().find(|known| known.name == label);
                    let known = known.unwrap_or_else(|| panic!("{name} has no label {label}"));
                    if let Some(values) = known.values {
                        assert!(values().contains(&value), "{name}: {label}={value}");
                    }
                }
            }
        }
        assert_eq!(families, catalogue::ALL.len(), "{text}");
    }

    #[test]
    fn every_query_asks_for_its_own_metric() {
        for metric in catalogue::ALL {
            assert!(
                metric
                    .series()
                    .iter()
                    .any(|series| metric.query.contains(series)),
                "{}",
                metric.query
            );
        }
    }
}
