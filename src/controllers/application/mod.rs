//! `Application`: the claim on its name, its retirement, and the answer to "what is this and which versions are there".
//!
//! | step | file |
//! |---|---|
//! | validate: what the schema cannot say | `validate.rs` |
//! | decide | `plan::claim`, `plan::retirement` |
//! | act: claim the name; bury it | `claim.rs` |
//! | report: releases, credentials, retirement | `report.rs` |

mod claim;
pub mod reasons;
mod report;
mod validate;

pub use claim::{demanded, in_force};
pub use report::{credentials, summary};

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;
use kube::{Client, ResourceExt};

use super::{Caches, keys};
use crate::api::{ANNOTATION_RECONCILE, Application};
use crate::engine::conditions::{self, Truth};
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};

/// The condition that says whether the name is this team's.
pub const ACCEPTED: &str = "Accepted";
/// The condition that says whether the application is in use.
pub const ACTIVE: &str = "Active";

/// Why the application does not have its name, or cannot be carried out as declared; `None`: it is accepted.
pub fn refusal(application: &Application) -> Option<String> {
    let status = application.status.as_ref();
    let accepted = status.and_then(|status| conditions::find(&status.conditions, ACCEPTED));
    match accepted {
        None => Some("it has not been looked at yet".to_owned()),
        Some(accepted) => (accepted.status != "True").then(|| accepted.message.clone()),
    }
}

/// The controller of `Application`.
pub struct Applications {
    /// The caches.
    pub caches: Caches,
    /// The API server.
    pub client: Client,
}

#[async_trait]
impl Reconcile for Applications {
    type Kind = Application;
    const KIND: &'static str = "Application";
    const REASONS: &'static [Reason] = reasons::ALL;

    async fn pass(
        &self,
        object: &Application,
        record: &mut Record<Application>,
    ) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        if object.metadata.deletion_timestamp.is_some() {
            return self.bury(object, record).await;
        }
        let namespace = object.namespace().unwrap_or_default();
        let Some(team) = self.caches.team_of(&namespace) else {
            let message = format!(
                "namespace {namespace} belongs to no Team: create the Team first, or use its namespace"
            );
            record.set(ACCEPTED, Truth::False, reasons::TEAM_NOT_FOUND, &message);
            return Ok(Outcome::blocked(reasons::TEAM_NOT_FOUND, message));
        };
        let valid = match validate::application(object) {
            Ok(valid) => valid,
            Err(message) => {
                record.set(ACCEPTED, Truth::False, reasons::INVALID_SPEC, &message);
                return Ok(Outcome::blocked(reasons::INVALID_SPEC, message));
            }
        };
        if object.spec.suspend {
            // What there is goes on being told.
            if record.is_true(ACCEPTED) {
                self.tell_what_it_has(object, record);
                report::held_retirement(object, record);
            }
            let message = "spec.suspend is true: nothing is written for this application";
            return Ok(Outcome::blocked(reasons::SUSPENDED, message));
        }
        let team = team.name_any();
        if let Err(refusal) = self.claim(object, record, &team).await? {
            record.status.team = None;
            let (reason, message) = refusal;
            record.set(ACCEPTED, Truth::False, reason, &message);
            return Ok(Outcome::blocked(reason, message));
        }
        let message = format!("the name is team {team}'s");
        record.set(ACCEPTED, Truth::True, reasons::ACCEPTED, &message);
        record.status.team = Some(team);
        record.status.repositories = valid.repositories;
        self.tell_what_it_has(object, record);
        let effective_at = report::retirement(object, record, valid.retirement_period);
        record.status.last_handled_reconcile_at =
            object.annotations().get(ANNOTATION_RECONCILE).cloned();
        Ok(Outcome::Settled {
            resync: effective_at.map(|at| until(record.now, at)),
        })
    }
}

impl Applications {
    /// Its approvals, releases and credentials, as the caches have them.
    fn tell_what_it_has(&self, object: &Application, record: &mut Record<Application>) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        self.kept_approvals(object, record);
        self.list_releases(record, &namespace, &name);
        self.list_credentials(record, &namespace, &name);
    }

    /// Says what releases need besides what the application demands now, and when that begins to differ, in an event.
    fn kept_approvals(&self, object: &Application, record: &mut Record<Application>) {
        let kept = claim::kept_besides(object, &self.caches);
        if let Some(kept) = &kept
            && record.status.kept_approvals.as_ref() != Some(kept)
        {
            let message = format!(
                "releases go on needing {} by {} different people, although spec.requiredApprovals demands less: only the \
                 platform team lowers that, in spec.requiredApprovals of ApplicationName {}",
                kept.types.join(", "),
                kept.people,
                object.name_any()
            );
            record.warn(reasons::APPROVALS_KEPT, message);
        }
        record.status.kept_approvals = kept;
    }

    fn list_releases(&self, record: &mut Record<Application>, namespace: &str, name: &str) {
        let releases = &self.caches.releases;
        let key = keys::application(namespace, name);
        let lines = releases.each_by(&key, |release| Some(report::Line::of(release)));
        report::releases(record, lines, |name| releases.get(Some(namespace), name));
    }

    fn list_credentials(&self, record: &mut Record<Application>, namespace: &str, name: &str) {
        let key = keys::application(namespace, name);
        let all = self.caches.clients.each_by(&key, |client| {
            let lives = client.metadata.deletion_timestamp.is_none();
            lives.then(|| report::credentials(client))
        });
        (record.status.credentials, record.status.credentials_ready) = report::all_credentials(all);
    }
}

/// How long it is until then; a second more, since the clock of a pass has no fractions.
fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default() + Duration::from_secs(1)
}
