//! `OAuthClient`: an application's credentials at an authorization server, rotated and delivered.
//!
//! | step | file |
//! |---|---|
//! | validate: spec, application, provider, scopes → `Desired` | `demand.rs`, `validate.rs`, `scopes.rs` |
//! | whether the provider is still the one where it is registered | `elsewhere.rs` |
//! | decide | `plan::rotation` |
//! | act: the steps of a rotation | `work.rs`, `create.rs`, `change.rs`, `places.rs`, `clean.rs`, `remove.rs`; leave: `leave.rs`, `retain.rs`; what is lost: `loss.rs` |
//! | the user of a version, for the grant type `password` | `user.rs` |
//! | without credentials: by the identity of a workload | `workload.rs` |
//! | what is kept of each version; what nobody may guess | `vault.rs`, `make.rs` |
//! | which moments it takes for its rotations | `turns.rs` |
//! | report | `report.rs`, `planned.rs`, `known.rs`, `entries.rs` |
//!
//! The order of writes is what keeps credentials from being lost: the intent (status) before what we choose (vault) before the
//! server is called, what it gave (vault) before the status says so, and the places only with what has been tried. Whatever
//! does not work, the version in use stays in use: `Ready` says whether it does, `Rotating` how its successor gets on.

mod change;
mod clean;
mod create;
mod demand;
mod departures;
pub mod destination;
pub mod destinations;
mod elsewhere;
mod entries;
mod known;
mod leave;
mod loss;
pub mod make;
pub mod outside;
mod places;
mod planned;
pub mod reasons;
mod remove;
mod report;
mod retain;
pub mod scopes;
pub mod turns;
mod user;
mod validate;
pub mod vault;
mod work;
mod workload;

pub use departures::Departures;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::ResourceExt;

use super::Caches;
use super::oauth_provider::directory::Directory;
use crate::api::{ANNOTATION_RECONCILE, Mode, OAuthClient, OAuthProvider};
use crate::engine::backoff::jitter;
use crate::engine::backoff::{Attempts, Backoff};
use crate::engine::conditions;
use crate::engine::due::DeepChecks;
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};
use crate::identity::TokenAnswer;
use crate::plan::rotation::{self, Abilities, Known, Next, Seen};
use destination::Destinations;
use entries::Content;
use leave::hold;
use make::Maker;
use turns::Turns;
use validate::{Desired, SOON};
use vault::Vault;
use work::{Stop, Work, until_then};

/// After how many failures in a row somebody is told although the version in use works.
const FAILURES_UNTIL_LOUD: u32 = 4;
/// How soon something that a person must mend is looked at again.
const BLOCKED_AGAIN: Duration = Duration::from_secs(600);

/// The controller of `OAuthClient`.
pub struct OAuthClients {
    /// The caches.
    pub caches: Caches,
    /// What was registered.
    pub vault: Vault,
    /// The servers that were opened.
    pub directory: Arc<Directory>,
    /// The places.
    pub destinations: Arc<dyn Destinations>,
    /// What nobody may guess.
    pub maker: Arc<dyn Maker>,
    /// How often a client is looked at although nothing has changed here.
    pub checks: DeepChecks,
    /// How many clients may go in an hour.
    pub departures: Departures,
    /// How long credentials stay when their object is deleted.
    pub grace: Duration,
    /// How often in a row something did not work while the version in use did.
    pub attempts: Attempts,
    /// How often in a row a server refused what it had just given.
    pub refusals: Attempts,
    /// When the others have their turns.
    pub turns: Turns,
}

#[async_trait]
impl Reconcile for OAuthClients {
    type Kind = OAuthClient;
    const KIND: &'static str = "OAuthClient";
    const REASONS: &'static [Reason] = reasons::ALL;

    async fn pass(
        &self,
        object: &OAuthClient,
        record: &mut Record<OAuthClient>,
    ) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        let end = self.live(object, record).await;
        report::held_back(object, record, end)
    }
}

impl OAuthClients {
    async fn live(
        &self,
        object: &OAuthClient,
        record: &mut Record<OAuthClient>,
    ) -> Result<Outcome, Failure> {
        if object.metadata.deletion_timestamp.is_some() {
            return self.leave(object, record).await;
        }
        if self.is_retired(object) {
            self.turns.forget(&object.uid().unwrap_or_default());
            return self.retire(object, record).await;
        }
        let next = record.status.next_rotation.as_ref();
        self.turns.note(&object.uid().unwrap_or_default(), next);
        if record.status.leaves_at.take().is_some() {
            let message = "the application is active again: its credentials stay";
            record.note(reasons::LEAVING_CALLED_OFF, message);
        }
        let name = &object.spec.provider;
        let Some(provider) = self.caches.providers.get(None, name) else {
            let message = format!(
                "spec.provider: there is no OAuthProvider {name:?}; nothing is changed: declare it, or make another OAuthClient"
            );
            let outcome = Outcome::blocked(reasons::PROVIDER_NOT_FOUND, message);
            report::refused(record, &outcome);
            return Ok(outcome);
        };
        if let Some(outcome) = elsewhere::refusal(&record.status, &provider) {
            report::refused(record, &outcome);
            return Ok(outcome);
        }
        match self.demands(object, record, &provider) {
            Ok((desired, obstacle)) => {
                let obstacle = match obstacle {
                    None => self.without_workload(object, &provider, &desired).await,
                    other => other,
                };
                self.bring_about(object, record, &provider, &desired, obstacle)
                    .await
            }
            Err(outcome) => {
                report::refused(record, &outcome);
                Ok(outcome)
            }
        }
    }

    fn is_retired(&self, object: &OAuthClient) -> bool {
        let namespace = object.namespace();
        let applications = &self.caches.applications;
        let application = applications.get(namespace.as_deref(), &object.spec.application);
        application
            .and_then(|application| application.status?.retirement)
            .is_some_and(|retirement| retirement.effective)
    }

    /// Brings about what is demanded.
    async fn bring_about(
        &self,
        object: &OAuthClient,
        record: &mut Record<OAuthClient>,
        provider: &OAuthProvider,
        desired: &Desired,
        obstacle: Option<Outcome>,
    ) -> Result<Outcome, Failure> {
        let uid = desired.wanted.uid.clone();
        let requested = object.annotations().get(ANNOTATION_RECONCILE).cloned();
        let look = self.checks.is_due(&uid) || record.status.last_handled_reconcile_at != requested;
        let server = self.directory.of(provider);
        report::renewal_of_nothing(record, desired);
        if !look && let Some(resync) = self.settled(record, desired) {
            return Ok(obstacle.unwrap_or(Outcome::Settled {
                resync: Some(resync),
            }));
        }
        let held = object.spec.mode == Mode::Plan || object.spec.suspend || provider.spec.suspend;
        let mut work = Work::begin(self, object, record, Some(desired), server).await?;
        if let Some(outcome) = work.elsewhere(provider) {
            report::refused(work.record, &outcome);
            return Ok(outcome);
        }
        if held {
            let next = match work.next() {
                Ok(next) => next,
                Err(Stop::Failed(failure)) => return Err(failure),
                Err(Stop::Ended(outcome)) => return Ok(outcome),
            };
            let suspended = provider.spec.suspend;
            let left = work.left().await.gone;
            let plan = planned::held(work.record, next, desired, &left);
            let outcome = hold(object, work.record, plan, suspended);
            let resync = Some(self.checks.next(&uid, false));
            return Ok(outcome.or(obstacle).unwrap_or(Outcome::Settled { resync }));
        }
        work.record.status.plan.clear();
        work.freshen(desired);
        let end = work.whole(look).await;
        if end.is_ok() {
            work.record.status.last_handled_reconcile_at = requested;
        }
        self.conclude(work, desired, end, obstacle)
    }

    /// Whether nothing is to be done, so that not even what is kept need be read. Then: until when.
    fn settled(&self, record: &Record<OAuthClient>, desired: &Desired) -> Option<Duration> {
        let known = known::read(&record.status);
        let as_seen = record.status.observed_generation == Some(record.generation);
        let registered = record.is_true(report::REGISTERED) && record.is_true("Delivered");
        let conditions = &record.status.conditions;
        let is_told = conditions::find(conditions, report::ROTATING).is_none()
            && conditions::find(conditions, report::REVOKED).is_none();
        if !as_seen || !registered || !is_told || !is_whole(record, &known, desired) {
            return None;
        }
        // What the server can do decides how something is done, not whether.
        let able = Abilities {
            secrets_in_place: false,
            updates: false,
        };
        let seen = Seen::default();
        match rotation::next(&desired.wanted, &known, &seen, able, record.now) {
            Next::Rest(until) => Some(self.resync(record, desired, until, false)),
            _ => None,
        }
    }

    fn resync(
        &self,
        record: &Record<OAuthClient>,
        desired: &Desired,
        until: Option<k8s_openapi::jiff::Timestamp>,
        looked: bool,
    ) -> Duration {
        let check = self.checks.next(&desired.wanted.uid, looked);
        until.map_or(check, |until| check.min(until_then(record.now, until)))
    }

    /// What the pass comes to. Whether it is ready is a question of the version in use, not of the next one.
    fn conclude(
        &self,
        mut work: Work<'_>,
        desired: &Desired,
        end: Result<(), Stop>,
        obstacle: Option<Outcome>,
    ) -> Result<Outcome, Failure> {
        let looked = work.looked;
        let uid = &desired.wanted.uid;
        let until = match work.next() {
            Ok(Next::Rest(until)) => until,
            _ => None,
        };
        known::write(&work.known, &mut work.record.status);
        let lost = work.is_lost();
        report::known(work.record, &work.known, lost, desired);
        let next = work.record.status.next_rotation.as_ref();
        self.turns.note(uid, next);
        // A rotation that waits for its turn says so until it has had it.
        if work.known.open.is_none() && (!work.rotates || end.is_ok()) {
            report::rests(work.record);
        }
        let works = is_in_use(&work, desired);
        let trouble = work.trouble.take();
        let stop = match end {
            Ok(()) if works && is_whole(work.record, &work.known, desired) => {
                self.attempts.succeeded(uid);
                let resync = Some(self.resync(work.record, desired, until, looked));
                let settled = Outcome::Settled { resync };
                return Ok(trouble.or(obstacle).unwrap_or(settled));
            }
            Ok(()) if lost && until.is_some() => {
                let after = until.map_or(SOON, |until| until_then(work.record.now, until));
                let message = "the server does not take the version in use; it is asked again before that is given up";
                return Ok(Outcome::waiting(reasons::CLIENT_LOST, message, after));
            }
            Ok(()) => {
                let message = "a new version is on its way";
                let after = Duration::from_secs(2);
                return Ok(Outcome::waiting(reasons::ROTATING, message, after));
            }
            Err(Stop::Failed(failure))
                if !works
                    || matches!(failure.kind, FailureKind::Conflict | FailureKind::Bug)
                    || failure.label == crate::engine::reasons::NOT_LEADER =>
            {
                return Err(failure);
            }
            Err(Stop::Ended(outcome)) if !works => return Ok(outcome),
            Err(stop) => stop,
        };
        let attempt = self.attempts.failed(uid);
        let backoff = Backoff::default().delay(attempt, jitter(uid, attempt));
        let (reason, message, after, terminal) = match &stop {
            Stop::Failed(failure) => {
                let terminal = failure.kind == FailureKind::Terminal;
                (failure.label, &failure.message, backoff, terminal)
            }
            Stop::Ended(Outcome::Waiting {
                reason,
                message,
                after,
            }) => (*reason, message, *after, false),
            Stop::Ended(Outcome::Blocked { reason, message }) => {
                (*reason, message, BLOCKED_AGAIN, true)
            }
            Stop::Ended(outcome) => return Ok(outcome.clone()),
        };
        if work.rotates {
            let loud = terminal || attempt >= FAILURES_UNTIL_LOUD || is_near_its_end(&work);
            report::delayed(work.record, loud, reason, message);
        }
        tracing::info!(reason, message, "a step does not work; what is in use does");
        // Enters the look, if it was had. One that is due and could not be had is no reason to come back any sooner.
        let resync = self.resync(work.record, desired, until, looked);
        let resync = Some(match self.checks.is_due(uid) {
            true => after,
            false => resync.min(after),
        });
        let settled = Outcome::Settled { resync };
        Ok(trouble.or(obstacle).unwrap_or(settled))
    }
}

impl Work<'_> {
    /// Everything that this pass has to do.
    async fn whole(&mut self, look: bool) -> Result<(), Stop> {
        let tidied = self.end_strays().await;
        if tidied.as_ref().is_err_and(Stop::is_final) {
            return tidied;
        }
        let verified = self.verify(look).await;
        if verified.as_ref().is_err_and(Stop::is_final) {
            return verified;
        }
        let run = self.run().await;
        if run.as_ref().is_err_and(Stop::is_final) {
            return run;
        }
        // A server that is away keeps no place from what is in use.
        let maintained = self.maintain(look).await;
        self.looked = look && verified.is_ok() && maintained.is_ok();
        run.and(maintained).and(verified).and(tidied)
    }

    /// A period that was changed counts from when the version was made.
    fn freshen(&mut self, desired: &Desired) {
        let Some((number, created)) = self
            .known
            .current()
            .and_then(|current| Some((current.number, current.created?)))
        else {
            return;
        };
        let Some(registration) = self.kept.registration(number) else {
            return;
        };
        let expires = create::expires(created, desired.period, registration.secret_expires);
        if let Some(version) = self.version_mut(number) {
            version.expires = expires.filter(|_| version.auth.ages());
        }
    }

    /// Whether what is in use is kept, and taken by the server.
    async fn verify(&mut self, look: bool) -> Result<(), Stop> {
        let Some(current) = self.known.current() else {
            return Ok(());
        };
        let (number, id) = (
            current.number,
            current.client_id.clone().unwrap_or_default(),
        );
        let suspected = self.is_suspected(reasons::CLIENT_LOST);
        // What is open replaces it anyhow: then a look now and then is enough.
        let suspected_at_rest = suspected && self.known.open.is_none();
        if self.kept.registration(number).is_none() {
            let message = format!(
                "what is kept of version {number}, client {id}, is gone from Secret {}: a new version is made, and the client \
                 at the server stays until somebody removes it there, where the server cannot be searched",
                Vault::name(self.object)
            );
            self.lose(reasons::CREDENTIALS_MISSING, message);
            return Ok(());
        }
        if !look && !suspected_at_rest {
            self.taken = !suspected && self.known.open.is_none();
            return Ok(());
        }
        match self.token(number).await? {
            Some(TokenAnswer::UnknownClient(why)) => {
                self.refused(number, &why);
                Ok(())
            }
            Some(TokenAnswer::Refused(why)) if self.subject(number).is_some() => {
                self.put_right(number, &why).await
            }
            Some(TokenAnswer::Refused(why)) => {
                let message = format!(
                    "the server knows client {id} and gives it no token for what spec.scopes and spec.grantTypes say: {why}"
                );
                self.trouble = Some(Outcome::blocked(reasons::TOKEN_REFUSED, message));
                self.taken = true;
                Ok(())
            }
            Some(TokenAnswer::Accepted) | None => {
                self.taken = true;
                self.learn_end(number).await
            }
        }
    }

    /// Where a policy of the server can set an end to a secret that had none when it was given, that is asked.
    async fn learn_end(&mut self, number: i64) -> Result<(), Stop> {
        let (server, desired) = (self.server()?, self.desired()?);
        let registration = self.kept.registration(number);
        let endless = registration.filter(|it| it.secret.is_some() && it.secret_expires.is_none());
        // Of two secrets of one client the server tells the newer one's.
        let (Some(endless), true) = (endless, self.known.open.is_none()) else {
            return Ok(());
        };
        if !server.description.capabilities.secrets_in_place {
            return Ok(());
        }
        let Some(ends) = server.port.secret_ends(endless).await? else {
            return Ok(());
        };
        self.record.may_write()?;
        let entry = self.kept.entries.get_mut(&number);
        if let Some(kept) = entry.and_then(|entry| entry.registration.as_mut()) {
            kept.secret_expires = Some(ends);
        }
        self.write_kept().await?;
        self.freshen(desired);
        Ok(())
    }
}

/// Whether a version is in use and works, with all that is declared.
fn is_in_use(work: &Work<'_>, desired: &Desired) -> bool {
    let now = work.record.now;
    let Some(current) = work.known.current() else {
        return false;
    };
    // A period that is over ends nothing at the server; only what the server ends is over.
    let ends = work.kept.registration(current.number);
    let ends = ends.and_then(|registration| registration.secret_expires);
    let lost = work.seen.lost.is_some() || !work.record.is_true(report::REGISTERED);
    let versions = work.known.current().into_iter().chain(work.known.pending());
    let numbers: Vec<i64> = versions.map(|it| it.number).collect();
    let all = |delivery| entries::has(work.record, delivery, &numbers);
    !lost
        && ends.is_none_or(|ends| ends > now)
        && current.revision == desired.wanted.revision
        && current.auth == desired.wanted.auth
        && current.service_account == desired.wanted.service_account
        && desired.places.iter().all(all)
}

/// What the files of the version in use shall say.
fn in_use(known: &Known, desired: &Desired) -> Option<Content> {
    known.current().map(|it| Content::of(it, desired))
}

/// Whether every place holds the version in use, and no other place anything.
fn is_whole(record: &Record<OAuthClient>, known: &Known, desired: &Desired) -> bool {
    let current = in_use(known, desired);
    let declared = |delivery| desired.places.contains(delivery);
    known.open.is_none()
        && desired
            .places
            .iter()
            .all(|delivery| entries::holds(record, delivery, current.as_slice()))
        && record
            .status
            .destinations
            .iter()
            .all(|place| declared(&place.delivery))
}

/// Whether less than a sixth of the life of the version in use is left.
fn is_near_its_end(work: &Work<'_>) -> bool {
    let current = work.known.current();
    let life = current.and_then(|current| Some((current.created?, current.expires?)));
    life.is_some_and(|(created, ends)| rotation::is_near_its_end(created, ends, work.record.now))
}
