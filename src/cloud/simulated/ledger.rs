//! What the organization remembers of being used: calls, writes, and how busy its creation slots were.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::faults::Call;
use crate::cloud::{CloudError, ErrorKind};

/// How often an operation was called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCount {
    /// All calls that reached AWS.
    pub calls: u64,
    /// Those of them that were throttled, for whatever cause.
    pub throttled: u64,
    /// Those of them that failed in another way.
    pub failed: u64,
}

pub(super) struct Ledger {
    pub(super) calls: BTreeMap<&'static str, CallCount>,
    /// Writes that took effect.
    pub(super) writes: u64,
    pub(super) most_in_flight: usize,
    in_flight: usize,
    since: Timestamp,
    busy: Duration,
}

impl Ledger {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            calls: BTreeMap::new(),
            writes: 0,
            most_in_flight: 0,
            in_flight: 0,
            since: now,
            busy: Duration::ZERO,
        }
    }

    pub(super) fn record(&mut self, call: &Call, failure: Option<&CloudError>) {
        let count = self.calls.entry(call.operation).or_default();
        count.calls += 1;
        match failure {
            None if call.is_write => self.writes += 1,
            None => {}
            Some(error) if error.kind == ErrorKind::Throttled => count.throttled += 1,
            Some(_) => count.failed += 1,
        }
    }

    /// The number of creations in flight has changed.
    pub(super) fn in_flight(&mut self, count: usize, now: Timestamp) {
        self.busy = self.busy_until(now);
        self.since = now;
        self.in_flight = count;
        self.most_in_flight = self.most_in_flight.max(count);
    }

    /// The sum over all slots of the time in which they were taken.
    pub(super) fn busy_until(&self, now: Timestamp) -> Duration {
        let passed = Duration::try_from(now.duration_since(self.since)).unwrap_or_default();
        self.busy + passed * u32::try_from(self.in_flight).unwrap_or(u32::MAX)
    }
}
