//! What is counted. Labels are static words, so that the number of series is bounded.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::journal_metrics::JournalMetrics;
use crate::cloud::governed::CallObserver;

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
    creations: Family<StateLabels, Gauge>,
    leader: Gauge,
    journal: JournalMetrics,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 9))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("bailiwick");
        let passes = Family::default();
        let pass_seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        let calls = Family::default();
        let call_seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        let budget_seconds = Family::default();
        let creations = Family::default();
        let leader = Gauge::default();
        registry.register(
            "reconciles",
            "Passes over objects, by kind and how they ended",
            passes.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "How long passes took",
            Unit::Seconds,
            pass_seconds.clone(),
        );
        registry.register(
            "aws_calls",
            "Calls to AWS, by operation and how they ended",
            calls.clone(),
        );
        registry.register_with_unit(
            "aws_call_duration",
            "How long calls to AWS took",
            Unit::Seconds,
            call_seconds.clone(),
        );
        registry.register_with_unit(
            "aws_budget_wait",
            "How long calls waited for their rate budget, in all",
            Unit::Seconds,
            budget_seconds.clone(),
        );
        registry.register(
            "account_creations",
            "Account creations: waiting, in flight, and slots",
            creations.clone(),
        );
        registry.register("leader", "1 if this replica is the leader", leader.clone());
        let journal = JournalMetrics::registered(&mut registry);
        Self {
            registry: Arc::new(registry),
            passes,
            pass_seconds,
            calls,
            call_seconds,
            budget_seconds,
            creations,
            leader,
            journal,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::default();
        metrics.reconciled("Team", "settled", Duration::from_millis(3));
        metrics.aws_call(
            ("organizations", "CreateAccount"),
            "throttled",
            Duration::ZERO,
            Duration::ZERO,
        );
        let text = metrics.encode();
        assert!(
            text.contains(r#"bailiwick_reconciles_total{kind="Team",outcome="settled"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"operation="CreateAccount",outcome="throttled"} 1"#),
            "{text}"
        );
    }
}
