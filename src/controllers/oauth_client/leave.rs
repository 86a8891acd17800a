//! Act, when the object is deleted or its application retired: credentials go after a grace period and only so many in an
//! hour, or stay.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::vault::Vault;
use super::work::{Stop, Work, until_then};
use super::{OAuthClients, elsewhere, reasons, report};
use crate::api::{ChangeStatus, CredentialsDeletionPolicy, Mode, OAuthClient, OAuthClientStatus};
use crate::engine::conditions;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};

/// How credentials are kept that somebody wanted gone at once.
const REVOKED: &str = "to keep them after all, take the annotation bailiwick.dev/revoke-requested-at off and set \
                       spec.deletionPolicy to Retain";

impl OAuthClients {
    /// The object is deleted.
    pub(super) async fn leave(
        &self,
        object: &OAuthClient,
        record: &mut Record<OAuthClient>,
    ) -> Result<Outcome, Failure> {
        let uid = object.uid().unwrap_or_default();
        self.checks.forget(&uid);
        self.attempts.succeeded(&uid);
        self.refusals.succeeded(&uid);
        self.turns.forget(&uid);
        let status = &record.status;
        if status.versions.is_empty() && status.destinations.is_empty() {
            self.finish(object, record).await?;
            return Ok(Outcome::Released);
        }
        let vault = Vault::name(object);
        // What somebody wants gone at once is not kept.
        let retained = object.spec.deletion_policy == CredentialsDeletionPolicy::Retain
            && report::revocation_asked(object, status).is_none();
        let why = match object.spec.mode {
            Mode::Plan => Some("with mode Plan nothing is written outside"),
            _ => retained.then_some("spec.deletionPolicy is Retain"),
        };
        if let Some(why) = why {
            if let Some(outcome) = self.retain(object, record).await? {
                return Ok(outcome);
            }
            report::retained(record, &vault, why);
            return Ok(Outcome::Released);
        }
        let how = match report::revocation_asked(object, &record.status) {
            None => "set spec.deletionPolicy to Retain to keep them",
            Some(_) => REVOKED,
        };
        let gone = self.depart(object, record, how).await?;
        Ok(gone.unwrap_or(Outcome::Released))
    }

    /// The application is retired: everything goes but the object.
    pub(super) async fn retire(
        &self,
        object: &OAuthClient,
        record: &mut Record<OAuthClient>,
    ) -> Result<Outcome, Failure> {
        let retired = || {
            let message = format!(
                "application {} is retired and has no credentials: set spec.active of the application to true to have new ones",
                object.spec.application
            );
            Outcome::blocked(reasons::APPLICATION_RETIRED, message)
        };
        let status = &record.status;
        if status.versions.is_empty() && status.destinations.is_empty() {
            self.finish(object, record).await?;
            return Ok(retired());
        }
        if object.spec.mode == Mode::Plan {
            let message = "the application is retired; with mode Plan nothing is removed";
            return Ok(Outcome::blocked(reasons::CHANGES_PLANNED, message));
        }
        let how = "set spec.active of the application to true to keep them";
        let gone = self.depart(object, record, how).await?;
        Ok(gone.unwrap_or_else(retired))
    }

    /// Whoever was killed when all was gone but what is kept has left that behind.
    async fn finish(
        &self,
        object: &OAuthClient,
        record: &mut Record<OAuthClient>,
    ) -> Result<(), Failure> {
        if record.status.leaves_at.is_some() {
            record.may_write()?;
            self.vault.delete(object).await?;
            record.status.leaves_at = None;
        }
        Ok(())
    }

    /// Removes everything, when it may. `None`: all is gone.
    async fn depart(
        &self,
        object: &OAuthClient,
        record: &mut Record<OAuthClient>,
        how: &str,
    ) -> Result<Option<Outcome>, Failure> {
        let revoked = report::revocation_asked(object, &record.status).is_some();
        if let Some(outcome) = self.may_not_remove(object, &record.status) {
            return Ok(Some(match outcome {
                Outcome::Blocked { reason, message } if revoked => {
                    Outcome::blocked(reason, format!("{message}; {REVOKED}"))
                }
                other => other,
            }));
        }
        let now = record.now;
        let leaves_at = match &record.status.leaves_at {
            Some(at) => at.0,
            None => {
                let at = now.checked_add(self.grace).unwrap_or(now);
                record.status.leaves_at = Some(Time(at));
                record.save().await?;
                at
            }
        };
        // A revocation waits for nothing: no grace, and no turn.
        if now < leaves_at && !revoked {
            let stays = self.out_of_reach(object, record);
            let places = from_places(&stays);
            if !stays.is_empty() {
                let message = format!("it cannot be reached any more: {}", stays.join(", "));
                let reason = reasons::DELIVERY_FAILED;
                record.set("Delivered", conditions::Truth::False, reason, &message);
            }
            let message = format!(
                "the credentials are removed at {leaves_at}, at the server and {places}; until then {how}"
            );
            let after = until_then(now, leaves_at);
            return Ok(Some(Outcome::waiting(reasons::LEAVING, message, after)));
        }
        if !revoked && let Err(after) = self.admit(object, record).await? {
            let message = format!(
                "{} clients are removed in an hour at most (--credential-removals-per-hour), of the namespaces that wait by turns, \
                 and it is not this one's turn yet; {how}",
                self.departures.limit
            );
            return Ok(Some(Outcome::waiting(
                reasons::REMOVALS_LIMITED,
                message,
                after,
            )));
        }
        match self.remove_all(object, record).await {
            Ok(()) => Ok(None),
            Err(Stop::Failed(failure)) => Err(failure),
            Err(Stop::Ended(outcome)) => Ok(Some(outcome)),
        }
    }

    /// Where something lies that nobody can reach from here any more.
    fn out_of_reach(&self, object: &OAuthClient, record: &Record<OAuthClient>) -> Vec<String> {
        let all = record.status.destinations.iter();
        all.filter(|place| self.destinations.is_out_of_reach(object, &place.delivery))
            .map(|place| place.location.clone())
            .collect()
    }

    /// Nothing is removed for the absence of something, or while somebody says that nothing shall be done.
    fn may_not_remove(&self, object: &OAuthClient, status: &OAuthClientStatus) -> Option<Outcome> {
        let name = &object.spec.provider;
        let Some(provider) = self.caches.providers.get(None, name) else {
            let message = format!(
                "there is no OAuthProvider {name:?}, so nothing can be removed there: declare it again, or set \
                 spec.deletionPolicy to Retain"
            );
            return Some(Outcome::blocked(reasons::PROVIDER_NOT_FOUND, message));
        };
        if provider.spec.suspend {
            let message = format!("OAuthProvider {name} is suspended: nothing is removed there");
            return Some(Outcome::blocked(reasons::PROVIDER_SUSPENDED, message));
        }
        if let Some(outcome) = elsewhere::refusal(status, &provider) {
            return Some(outcome);
        }
        if object.spec.suspend {
            let message = "suspended: set spec.suspend to false to have the removal go on";
            return Some(Outcome::blocked(reasons::SUSPENDED, message));
        }
        None
    }

    /// The server, the places, what is kept, in this order: what can still be used goes first.
    async fn remove_all(
        &self,
        object: &OAuthClient,
        record: &mut Record<OAuthClient>,
    ) -> Result<(), Stop> {
        let stays = self.out_of_reach(object, record);
        let provider = self.caches.providers.get(None, &object.spec.provider);
        let server = provider.as_ref().and_then(|it| self.directory.of(it));
        let mut work = Work::begin(self, object, record, None, server).await?;
        if let Some(outcome) = provider.and_then(|provider| work.elsewhere(&provider)) {
            return Err(Stop::Ended(outcome));
        }
        let request = work.known.revoked.clone();
        work.known.revoke(request);
        work.save().await?;
        let numbers: Vec<i64> = work.known.versions.iter().map(|it| it.number).collect();
        for number in numbers {
            work.remove(number).await?;
        }
        work.end_strays().await?;
        if let Some(trouble) = work.trouble.take() {
            return Err(Stop::Ended(trouble));
        }
        work.maintain(false).await?;
        self.vault.delete(object).await?;
        let record = work.record;
        record.note(
            reasons::CREDENTIALS_REMOVED,
            format!(
                "the credentials were removed at the server and {}",
                from_places(&stays)
            ),
        );
        let status = &mut record.status;
        (status.leaves_at, status.next_rotation) = (None, None);
        status.issuer = None;
        status.plan.clear();
        conditions::remove(&mut status.conditions, report::ROTATING);
        conditions::remove(&mut status.conditions, report::REVOKED);
        let none = "the credentials were removed";
        for condition in [report::REGISTERED, "Delivered"] {
            let reason = reasons::CREDENTIALS_REMOVED;
            record.set(condition, conditions::Truth::False, reason, none);
        }
        Ok(())
    }
}

/// What is held back is only said.
pub(super) fn hold(
    object: &OAuthClient,
    record: &mut Record<OAuthClient>,
    plan: Vec<ChangeStatus>,
    provider_suspended: bool,
) -> Option<Outcome> {
    let count = plan.len();
    record.status.plan = plan;
    if count == 0 {
        return None;
    }
    let (reason, how) = if provider_suspended {
        let how = "the platform team sets spec.suspend of the provider to false";
        (reasons::PROVIDER_SUSPENDED, how)
    } else if object.spec.suspend {
        (reasons::SUSPENDED, "set spec.suspend to false")
    } else {
        (reasons::CHANGES_PLANNED, "set spec.mode to Apply")
    };
    let message =
        format!("status.plan lists {count} change(s) that would be made; {how} to have them made");
    Some(Outcome::blocked(reason, message))
}

/// From where the credentials are removed, and where they stay.
fn from_places(stays: &[String]) -> String {
    match stays {
        [] => "from all places".to_owned(),
        some => format!(
            "from all places but {}: the TeamAccount is gone through which that was reached, and what is there stays, unless \
             somebody removes it by hand",
            some.join(", ")
        ),
    }
}
