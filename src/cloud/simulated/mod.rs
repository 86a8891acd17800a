//! AWS as our controllers meet it, in memory: asynchronous creation, quotas, throttles, eventual consistency, lost
//! replies, flapping states. For tests and benchmarks.
//!
//! One [`SimulatedCloud`] is one organization. Its ports ([`SimulatedCloud::cloud`]) are what a controller sees;
//! its own methods are what a test sees and does behind the controller's back. Time is what the injected clock
//! says, so that a test can run it at will; nothing sleeps but a call with [`Options::latency`], on tokio's clock,
//! which can be paused. Every random choice comes from the one seed.
//!
//! Each behaviour says at its place which fact of AWS it stands for. What is not simulated: policies, handshakes,
//! delegated administrators, billing, everything inside a member account but its alias, its password policy, its
//! repositories of images, its credentials bucket, its secrets and the app clients of its user pools.

mod accounts;
mod bucket;
mod closing;
mod creation;
mod credentials;
mod drift;
mod faults;
mod inspect;
mod ledger;
mod member;
mod options;
mod paging;
mod refusal;
mod repositories;
mod settings;
mod units;
mod user_pools;
mod world;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::jiff::Timestamp;

use super::credentials::DeliveryPlace;
use super::storage::Bucket;
use super::{Cloud, Result};
use crate::model::{AccountId, RoleName};

pub use credentials::{BucketRecord, CredentialsFault, FileRecord, SecretRecord};
pub use faults::{Call, Interceptor, Verdict};
pub use inspect::{Member, RequestRecord};
pub use ledger::CallCount;
pub use options::{Flapping, Options, Rate, Scope, SlotRefusal};
pub use refusal::{
    CONSTRAINT_VIOLATIONS, CREATION_FAILURES, invalid_input, no_answer, out_of_order, refused,
    throttled, violated,
};
pub use repositories::{ImageRecord, RepositoryRecord};
pub use user_pools::{PoolClientRecord, UserPoolRecord};
use world::World;

/// What time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A clock that starts at `start` and goes as tokio's does: with tokio's time paused, it is virtual.
pub fn tokio_clock(start: Timestamp) -> Clock {
    let zero = tokio::time::Instant::now();
    Arc::new(move || start + zero.elapsed())
}

/// One organization. Clones are the same one.
#[derive(Clone)]
pub struct SimulatedCloud {
    world: Arc<Mutex<World>>,
    clock: Clock,
}

impl SimulatedCloud {
    /// An organization with a management account, a root and nothing else.
    pub fn new(options: Options, seed: u64, clock: Clock) -> Self {
        let world = World::new(options, seed, clock());
        Self {
            world: Arc::new(Mutex::new(world)),
            clock,
        }
    }

    /// The ports. Every call of this makes a new caller, with no session open yet: a restarted operator is one.
    pub fn cloud(&self) -> Cloud {
        self.caller(None)
    }

    /// The same, with `interceptor` between the caller and AWS.
    pub fn cloud_with(&self, interceptor: Arc<dyn Interceptor>) -> Cloud {
        self.caller(Some(interceptor))
    }

    /// The bucket, for one caller; with `interceptor` between the two, if there is one.
    pub fn bucket(&self, interceptor: Option<Arc<dyn Interceptor>>) -> Arc<dyn Bucket> {
        Arc::new(self.gate(interceptor))
    }

    fn gate(&self, interceptor: Option<Arc<dyn Interceptor>>) -> Gate {
        Gate {
            sim: self.clone(),
            interceptor,
            sessions: Arc::default(),
        }
    }

    fn caller(&self, interceptor: Option<Arc<dyn Interceptor>>) -> Cloud {
        let gate = self.gate(interceptor);
        Cloud {
            accounts: Arc::new(gate.clone()),
            units: Arc::new(gate.clone()),
            settings: Arc::new(gate.clone()),
            sessions: Arc::new(gate),
        }
    }

    /// The world as it is now.
    fn world(&self) -> MutexGuard<'_, World> {
        let now = (self.clock)();
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle(now);
        world
    }
}

/// Until when each account's session is used without assuming the role again.
type SessionCache = Arc<Mutex<HashMap<SessionKey, Timestamp>>>;

/// Whose session, through which role; and for which delivery alone, if it is narrowed.
type SessionKey = (AccountId, RoleName, Option<DeliveryPlace>);

/// The way of one caller's calls into the world.
#[derive(Clone)]
struct Gate {
    sim: SimulatedCloud,
    interceptor: Option<Arc<dyn Interceptor>>,
    sessions: SessionCache,
}

impl Gate {
    /// One call: interceptor, wire, faults, effect, lost reply, wire, interceptor.
    async fn call<T, F>(&self, call: Call, effect: F) -> Result<T>
    where
        T: Send,
        F: FnOnce(&mut World) -> Result<T> + Send,
    {
        if let Some(interceptor) = &self.interceptor {
            heed(interceptor.before(&call).await, &call).await?;
        }
        self.travel().await;
        let answer = self.sim.world().serve(&call, effect);
        self.travel().await;
        if let Some(interceptor) = &self.interceptor {
            heed(interceptor.after(&call, answer.is_ok()).await, &call).await?;
        }
        answer
    }

    async fn travel(&self) {
        let one_way = self.sim.world().options.latency / 2;
        if !one_way.is_zero() {
            tokio::time::sleep(one_way).await;
        }
    }
}

async fn heed(verdict: Verdict, call: &Call) -> Result<()> {
    match verdict {
        Verdict::Continue => Ok(()),
        Verdict::Refuse(error) => Err(error),
        Verdict::LoseReply => Err(no_answer(call.operation)),
        Verdict::Hang => std::future::pending().await,
    }
}

impl World {
    /// Serves one call that has arrived.
    fn serve<T>(&mut self, call: &Call, effect: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let admitted = self.faults.admit(call, &self.options, self.now);
        let answer = admitted.and_then(|()| effect(self));
        self.ledger.record(call, answer.as_ref().err());
        if answer.is_ok() {
            self.faults.wrote(call, self.now);
            if self.faults.happens(self.options.lost_reply_rate) {
                return Err(no_answer(call.operation));
            }
        }
        answer
    }
}
