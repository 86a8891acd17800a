//! Leader election by a Lease (coordination.k8s.io/v1), with optimistic concurrency.
//!
//! Every write carries the resource version that was read, so of two contenders one is refused. A holder stops by
//! its own monotonic clock before its lease runs out for the others; a contender takes over only after it has seen
//! the record unchanged for the whole lease duration by its own clock: the replicas' wall clocks need not agree.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;

/// How long a lease is good for, for the others.
pub const LEASE: Duration = Duration::from_secs(15);
/// How often its holder renews it.
const RENEW: Duration = Duration::from_secs(4);
/// How much earlier the holder itself takes it for lost.
const MARGIN: Duration = Duration::from_secs(3);
/// How often a contender looks.
const RETRY: Duration = Duration::from_secs(2);

/// This replica does not lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this replica is not the leader")]
pub struct NotLeader;

/// Whether this replica leads; cheap to clone.
#[derive(Debug, Clone)]
pub struct Leadership {
    /// Until when, by this process's clock; `None` inside: not at all; no mutex: always.
    until: Option<Arc<Mutex<Option<Instant>>>>,
}

impl Leadership {
    /// For a single replica without election.
    pub fn always() -> Self {
        Self { until: None }
    }

    fn elected() -> Self {
        Self {
            until: Some(Arc::default()),
        }
    }

    /// Asked before every write.
    ///
    /// # Errors
    /// If this replica does not lead, or cannot be sure that it still does.
    pub fn guard(&self) -> Result<(), NotLeader> {
        let Some(until) = &self.until else {
            return Ok(());
        };
        let until = *until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some_and(|until| Instant::now() < until) {
            Ok(())
        } else {
            Err(NotLeader)
        }
    }

    /// Ends when this replica cannot be sure any more that it leads. Whatever waits for something at that moment, a rate
    /// budget for example, must not go on to write afterwards.
    async fn over(&self) {
        let Some(until) = &self.until else {
            return std::future::pending().await;
        };
        loop {
            let until = *until.lock().unwrap_or_else(PoisonError::into_inner);
            match until {
                Some(until) if Instant::now() < until => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    fn hold(&self, until: Option<Instant>) {
        if let Some(slot) = &self.until {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }
}

/// What to do with a lease that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Take,
    Renew,
    Yield,
}

/// Decides: `unchanged` is how long the record has been the same, by the clock of the one who asks.
fn decide(spec: Option<&LeaseSpec>, me: &str, unchanged: Duration) -> Move {
    let holder = spec
        .and_then(|spec| spec.holder_identity.as_deref())
        .filter(|holder| !holder.is_empty());
    let seconds = spec
        .and_then(|spec| spec.lease_duration_seconds)
        .unwrap_or(0);
    let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    match holder {
        None => Move::Take,
        Some(holder) if holder == me => Move::Renew,
        Some(_) if unchanged >= duration => Move::Take,
        Some(_) => Move::Yield,
    }
}

/// A candidate.
pub struct Candidate {
    api: Api<Lease>,
    namespace: String,
    name: String,
    me: String,
    clock: Arc<dyn Clock>,
    leadership: Leadership,
    seen: Option<(Option<String>, Instant)>,
    /// Why the lease could not be read or written the last time: said once, not at every round.
    trouble: Option<String>,
}

impl Candidate {
    /// A candidate `me` for the lease `name` in `namespace`. `me` must be different for every process.
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        me: &str,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            me: me.to_owned(),
            clock,
            leadership: Leadership::elected(),
            seen: None,
            trouble: None,
        }
    }

    /// The handle that tells whether this candidate leads.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Contends until it leads. `false`: `stop` came first.
    pub async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        loop {
            let round = tokio::time::timeout(RENEW, self.round()).await;
            if round == Ok(true) && self.leadership.guard().is_ok() {
                return true;
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = stop.cancelled() => return false,
            }
        }
    }

    /// Renews until it is lost, to the moment, or `stop` is cancelled.
    pub async fn keep(&mut self, stop: &CancellationToken) {
        let leadership = self.leadership.clone();
        let renewing = async {
            loop {
                tokio::time::sleep(RENEW).await;
                // One that hangs must not keep the next one from being tried.
                let _ = tokio::time::timeout(RENEW, self.round()).await;
                if self.leadership.guard().is_err() {
                    // Somebody else has it.
                    return;
                }
            }
        };
        tokio::select! {
            () = renewing => tracing::error!("leadership is lost"),
            () = leadership.over() => tracing::error!("leadership is lost"),
            () = stop.cancelled() => {}
        }
    }

    /// Gives the lease up, if it is ours. Called when nothing is being written any more. An API server that does not
    /// answer is not waited for: the lease runs out by itself.
    pub async fn release(&mut self) {
        self.leadership.hold(None);
        if tokio::time::timeout(RENEW, self.give_up()).await.is_err() {
            tracing::warn!("the API server does not answer; the lease runs out by itself");
        }
    }

    async fn give_up(&self) {
        let Ok(mut lease) = self.api.get(&self.name).await else {
            return;
        };
        if let Some(spec) = &mut lease.spec
            && spec.holder_identity.as_deref() == Some(&self.me)
        {
            spec.holder_identity = Some(String::new());
            if let Err(error) = self
                .api
                .replace(&self.name, &PostParams::default(), &lease)
                .await
            {
                tracing::warn!(%error, "the lease could not be given up; it runs out by itself");
            }
        }
    }

    /// Reads, decides, and makes at most one guarded write. `true`: we hold it now.
    async fn round(&mut self) -> bool {
        // The lease counts from before the request that renews it: an answer may be late.
        let began = Instant::now();
        let written = match self.api.get_opt(&self.name).await {
            Ok(None) => {
                let metadata = ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                };
                let lease = Lease {
                    metadata,
                    spec: Some(self.spec(None, true)),
                };
                self.api.create(&PostParams::default(), &lease).await
            }
            Ok(Some(mut lease)) => {
                let version = lease.metadata.resource_version.clone();
                if self.seen.as_ref().is_none_or(|(seen, _)| *seen != version) {
                    self.seen = Some((version, began));
                }
                let unchanged = self
                    .seen
                    .as_ref()
                    .map_or(Duration::ZERO, |(_, since)| since.elapsed());
                let step = decide(lease.spec.as_ref(), &self.me, unchanged);
                if step == Move::Yield {
                    self.leadership.hold(None);
                    return false;
                }
                lease.spec = Some(self.spec(lease.spec.as_ref(), step == Move::Take));
                self.api
                    .replace(&self.name, &PostParams::default(), &lease)
                    .await
            }
            Err(error) => Err(error),
        };
        match written {
            Ok(_) => {
                self.trouble = None;
                self.leadership.hold(Some(began + LEASE - MARGIN));
                true
            }
            Err(error) => {
                self.report(&error);
                false
            }
        }
    }

    /// Says why there is no lease, once for each cause: nobody should wait without knowing what for. That another
    /// replica was faster is no trouble.
    fn report(&mut self, error: &kube::Error) {
        if matches!(error, kube::Error::Api(status) if status.is_conflict() || status.is_already_exists())
        {
            return;
        }
        let trouble = error.to_string();
        if self.trouble.as_ref() != Some(&trouble) {
            tracing::warn!(
                lease = %format_args!("{}/{}", self.namespace, self.name), error = trouble,
                "the lease cannot be had, and without it nothing is done: does the namespace of --namespace exist, and may \
                 the operator get, create and update leases (coordination.k8s.io) in it?"
            );
            self.trouble = Some(trouble);
        }
    }

    fn spec(&self, old: Option<&LeaseSpec>, take: bool) -> LeaseSpec {
        let now = Some(MicroTime(self.clock.now()));
        let transitions = old.and_then(|old| old.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            acquire_time: if take {
                now.clone()
            } else {
                old.and_then(|old| old.acquire_time.clone())
            },
            renew_time: now,
            lease_transitions: Some(if take && old.is_some() {
                transitions + 1
            } else {
                transitions
            }),
            ..LeaseSpec::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn only_a_lease_that_stood_still_is_taken_over() {
        let table = [
            (None, 0, Move::Take),
            (Some(lease("")), 0, Move::Take),
            (Some(lease("me")), 0, Move::Renew),
            (Some(lease("me")), 99, Move::Renew),
            (Some(lease("other")), 0, Move::Yield),
            (Some(lease("other")), 14, Move::Yield),
            (Some(lease("other")), 15, Move::Take),
        ];
        for (spec, seconds, expected) in table {
            assert_eq!(
                decide(spec.as_ref(), "me", Duration::from_secs(seconds)),
                expected,
                "{spec:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_stops_before_its_lease_runs_out() {
        let leadership = Leadership::elected();
        assert_eq!(leadership.guard(), Err(NotLeader));
        leadership.hold(Some(Instant::now() + LEASE - MARGIN));
        assert_eq!(leadership.guard(), Ok(()));
        tokio::time::advance(LEASE - MARGIN).await;
        assert_eq!(leadership.guard(), Err(NotLeader));
    }

    #[tokio::test(start_paused = true)]
    async fn leadership_is_over_to_the_moment_and_not_while_it_is_renewed() {
        let leadership = Leadership::elected();
        let began = Instant::now();
        leadership.hold(Some(began + LEASE - MARGIN));
        let renewed = leadership.clone();
        tokio::spawn(async move {
            tokio::time::sleep(RENEW).await;
            renewed.hold(Some(Instant::now() + LEASE - MARGIN));
        });
        leadership.over().await;
        assert_eq!(began.elapsed(), RENEW + LEASE - MARGIN);
    }
}
