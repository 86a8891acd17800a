//! What is counted about the journal.

use std::sync::atomic::AtomicU64;

use k8s_openapi::jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::{catalogue, register};
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
    /// Enters the numbers in the registry.
    pub(super) fn enter(&self, registry: &mut Registry) {
        register(registry, catalogue::JOURNAL_CONFIGURED, &self.configured);
        register(registry, catalogue::JOURNAL_RECORDS, &self.records);
        register(registry, catalogue::JOURNAL_FAILURES, &self.failures);
        register(registry, catalogue::JOURNAL_PENDING, &self.pending);
        register(registry, catalogue::JOURNAL_BEHIND, &self.behind_seconds);
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
