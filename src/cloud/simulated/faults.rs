//! What goes wrong on the way: throttles, failures and lost answers by chance or on demand, and an interceptor
//! for tests that choose the very call.

use std::collections::{BTreeMap, VecDeque};

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::options::{Options, Rate, Scope};
use super::refusal::{out_of_order, refused, throttled};
use crate::cloud::{CloudError, Result};

/// One call to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `service.Operation`, the same names as the AWS adapter has.
    pub operation: &'static str,
    /// Whether it changes something.
    pub is_write: bool,
    /// What it is about: an account, a parent, a request, an address; empty if nothing in particular.
    pub target: String,
}

impl Call {
    pub(super) fn read(operation: &'static str, target: impl ToString) -> Self {
        Self {
            operation,
            is_write: false,
            target: target.to_string(),
        }
    }

    pub(super) fn write(operation: &'static str, target: impl ToString) -> Self {
        Self {
            operation,
            is_write: true,
            target: target.to_string(),
        }
    }
}

/// What an interceptor does to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Continue,
    /// The caller gets this error: before the call, AWS never sees it; after it, the effect stays.
    Refuse(CloudError),
    /// The caller gets no answer: before the call, because it never arrived; after it, the effect stays.
    LoseReply,
    /// The caller has been killed: its call never returns.
    Hang,
}

/// Sees every call of one `Cloud` before AWS does, and its outcome before the caller does.
#[async_trait]
pub trait Interceptor: Send + Sync {
    /// Before AWS sees the call.
    async fn before(&self, call: &Call) -> Verdict;
    /// After AWS has answered; `ok` says whether with success.
    async fn after(&self, call: &Call, ok: bool) -> Verdict;
}

/// The state of everything that can go wrong.
pub(super) struct Faults {
    /// Its own stream: turning a fault on does not change the ids and durations of the world.
    chance: StdRng,
    buckets: BTreeMap<(&'static str, String), Bucket>,
    /// Refusals that a test asked for, by operation.
    demanded: BTreeMap<String, VecDeque<CloudError>>,
    /// Refusals that stay until a test lifts them.
    standing: BTreeMap<String, CloudError>,
    last_write: Option<Timestamp>,
}

struct Bucket {
    tokens: f64,
    filled: Timestamp,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            chance: StdRng::seed_from_u64(seed ^ 0x0066_6175_6c74_7321),
            buckets: BTreeMap::new(),
            demanded: BTreeMap::new(),
            standing: BTreeMap::new(),
            last_write: None,
        }
    }

    /// Lets the call through to the world, or says why not.
    pub(super) fn admit(&mut self, call: &Call, options: &Options, now: Timestamp) -> Result<()> {
        let operation = call.operation;
        if let Some(error) = self
            .demanded
            .get_mut(operation)
            .and_then(VecDeque::pop_front)
        {
            return Err(error);
        }
        if let Some(error) = self.standing.get(operation) {
            return Err(error.clone());
        }
        if self.happens(options.unavailable_rate) {
            return Err(out_of_order(operation));
        }
        if self.happens(options.throttle_rate) {
            return Err(throttled(operation));
        }
        if let Some(rate) = options.rates.get(operation)
            && !self.take_token(call, *rate, now)
        {
            return Err(throttled(operation));
        }
        let organization_write = call.is_write && operation.starts_with("organizations.");
        if organization_write
            && self
                .last_write
                .is_some_and(|last| now < last + options.write_gap)
        {
            // Writes to one organization are serialised: another request is already in progress.
            let message = "The target is currently being modified by a different request.";
            return Err(refused(
                operation,
                "ConcurrentModificationException",
                message,
            ));
        }
        Ok(())
    }

    /// Remembers a write that took effect, for the gap that the next one must keep.
    pub(super) fn wrote(&mut self, call: &Call, now: Timestamp) {
        if call.is_write && call.operation.starts_with("organizations.") {
            self.last_write = Some(now);
        }
    }

    /// One throw of the dice. A rate of zero throws none.
    pub(super) fn happens(&mut self, rate: f64) -> bool {
        rate > 0.0 && self.chance.random_bool(rate.min(1.0))
    }

    fn take_token(&mut self, call: &Call, rate: Rate, now: Timestamp) -> bool {
        let whose = match rate.scope {
            Scope::Organization => String::new(),
            Scope::Account => call.target.clone(),
        };
        let bucket = self
            .buckets
            .entry((call.operation, whose))
            .or_insert(Bucket {
                tokens: rate.burst,
                filled: now,
            });
        let passed = now.duration_since(bucket.filled).as_secs_f64().max(0.0);
        bucket.tokens = (bucket.tokens + passed * rate.per_second).min(rate.burst);
        bucket.filled = now;
        // The tolerance is for sums of fractions, ten times 0.1 for example.
        let granted = bucket.tokens >= 1.0 - 1e-9;
        if granted {
            bucket.tokens -= 1.0;
        }
        granted
    }

    pub(super) fn demand(&mut self, error: CloudError) {
        self.demanded
            .entry(error.operation.to_owned())
            .or_default()
            .push_back(error);
    }

    pub(super) fn stand(&mut self, error: CloudError) {
        self.standing.insert(error.operation.to_owned(), error);
    }

    pub(super) fn lift(&mut self, operation: &str) {
        self.standing.remove(operation);
        self.demanded.remove(operation);
    }
}
