//! What is counted about the journal.

use std::sync::atomic::AtomicU64;

use k8s_openapi::jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::journal::{Behind, Observer};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlaceLabels {
    place: &'static str,
}

/// The journal's metrics; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct JournalMetrics {
    configured: Gauge,
    records: Family<OperationLabels, Counter>,
    failures: Family<ReasonLabels, Counter>,
    pending: Family<PlaceLabels, Gauge>,
    behind_seconds: Gauge<f64, AtomicU64>,
}

impl JournalMetrics {
    /// The metrics, entered in this registry.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "journal_configured",
            "1 if changes are journaled, 0 if no bucket is named",
            metrics.configured.clone(),
        );
        registry.register(
            "journal_records",
            "Records written to the journal, by what they say",
            metrics.records.clone(),
        );
        registry.register(
            "journal_failures",
            "What the journal's sink or outbox refused, by reason; broken: what is there is not what was written",
            metrics.failures.clone(),
        );
        registry.register(
            "journal_pending",
            "Changes that were seen and are not in the journal yet: in the outbox, or only in memory",
            metrics.pending.clone(),
        );
        registry.register_with_unit(
            "journal_behind",
            "How long ago the oldest change was seen that is not in the journal yet",
            Unit::Seconds,
            metrics.behind_seconds.clone(),
        );
        metrics
    }

    /// Whether there is a journal.
    pub fn configured(&self, configured: bool) {
        self.configured.set(i64::from(configured));
    }

    /// How far behind it is.
    pub fn behind(&self, behind: &Behind, now: Timestamp) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let in_memory = behind.pending.saturating_sub(behind.stored);
        for (place, number) in [("outbox", behind.stored), ("memory", in_memory)] {
            self.pending
                .get_or_create(&PlaceLabels { place })
                .set(count(number));
        }
        let age = behind
            .oldest
            .map_or(0.0, |oldest| now.duration_since(oldest).as_secs_f64());
        self.behind_seconds.set(age.max(0.0));
    }
}

impl Observer for JournalMetrics {
    fn wrote(&self, operation: &'static str) {
        self.records
            .get_or_create(&OperationLabels { operation })
            .inc();
    }

    fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&ReasonLabels { reason }).inc();
    }
}
