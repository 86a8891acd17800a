//! `TeamAccount`: one AWS account of a team, from its first intent to its release.
//!
//! | step | file |
//! |---|---|
//! | gather: what AWS has | `gather.rs` |
//! | validate: spec and class → `DesiredAccount` | `validate.rs` |
//! | decide | `plan::account`, `plan::creation`, `plan::queue` |
//! | act: create or adopt; change; leave | `create.rs`, `act.rs`, `leave.rs` |
//! | report: status | `report.rs` |

mod act;
mod create;
mod gather;
mod leave;
mod report;
mod validate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use kube::ResourceExt;
use tokio::time::Instant;

use super::Caches;
use super::organization::Organization;
use crate::api::{ANNOTATION_RECONCILE, Mode, TeamAccount};
use crate::engine::conditions::{READY, Truth};
use crate::engine::frame::{Reconcile, jitter};
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};
use crate::model::AccountState;
use crate::plan::account::{DesiredAccount, Ownership, changes, ownership};

/// The reasons in this kind's conditions and events: a closed set, listed in the reference.
pub mod reasons {
    /// Everything is as declared.
    pub const READY: &str = "Ready";
    /// The spec, or the class, cannot be carried out as it is.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// There is no class of that name.
    pub const CLASS_NOT_FOUND: &str = "ClassNotFound";
    /// The namespace belongs to no team.
    pub const TEAM_NOT_FOUND: &str = "TeamNotFound";
    /// The organization has not been read yet.
    pub const READING_ORGANIZATION: &str = "ReadingOrganization";
    /// Waiting for a slot: AWS creates only a few accounts at a time.
    pub const QUEUED: &str = "Queued";
    /// AWS is creating the account.
    pub const CREATING: &str = "Creating";
    /// After a lost answer: looking whether the account was created.
    pub const SEARCHING: &str = "Searching";
    /// AWS gave up on the creation.
    pub const CREATION_FAILED: &str = "CreationFailed";
    /// The e-mail address belongs to another member account.
    pub const EMAIL_TAKEN_BY_MEMBER: &str = "EmailTakenByMember";
    /// The e-mail address belongs to an account outside of the organization.
    pub const EMAIL_TAKEN: &str = "EmailTaken";
    /// Another object manages the account, or wants the same e-mail address.
    pub const OWNED_BY_OTHER: &str = "OwnedByOther";
    /// The account is not a member of the organization.
    pub const NOT_A_MEMBER: &str = "NotAMember";
    /// The account is suspended or closed.
    pub const ACCOUNT_SUSPENDED: &str = "AccountSuspended";
    /// The account exists and AWS is still setting it up.
    pub const ACTIVATING: &str = "Activating";
    /// The access role does not let us in.
    pub const ACCESS_DENIED: &str = "AccessDenied";
    /// Something takes its time inside AWS (a region that is being enabled).
    pub const PROGRESSING: &str = "Progressing";
    /// A person must give back the code that AWS mailed.
    pub const EMAIL_CONFIRMATION_PENDING: &str = "EmailConfirmationPending";
    /// There are changes, and `mode: Plan` keeps them from being made.
    pub const CHANGES_PLANNED: &str = "ChangesPlanned";
    /// There are changes, and `suspend` keeps them from being made.
    pub const SUSPENDED: &str = "Suspended";
    /// The alias belongs to another account somewhere in AWS.
    pub const ALIAS_TAKEN: &str = "AliasTaken";
    /// Something outside was changed behind our back and has been put right.
    pub const DRIFT_REPAIRED: &str = "DriftRepaired";
    /// The account was adopted.
    pub const ADOPTED: &str = "Adopted";
    /// The account was created.
    pub const CREATED: &str = "Created";
    /// The object is gone, the account stays.
    pub const ACCOUNT_RETAINED: &str = "AccountRetained";
    /// The account is in quarantine.
    pub const QUARANTINED: &str = "Quarantined";
    /// The account is to be closed, which nobody has confirmed yet.
    pub const AWAITING_CONFIRMATION: &str = "AwaitingConfirmation";
    /// The account is to be closed when its time in quarantine is over.
    pub const AWAITING_CLOSURE: &str = "AwaitingClosure";
    /// The account is closed or being closed.
    pub const CLOSED: &str = "Closed";
    /// All, for the reference.
    pub const ALL: &[&str] = &[
        READY,
        INVALID_SPEC,
        CLASS_NOT_FOUND,
        TEAM_NOT_FOUND,
        READING_ORGANIZATION,
        QUEUED,
        CREATING,
        SEARCHING,
        CREATION_FAILED,
        EMAIL_TAKEN_BY_MEMBER,
        EMAIL_TAKEN,
        OWNED_BY_OTHER,
        NOT_A_MEMBER,
        ACCOUNT_SUSPENDED,
        ACTIVATING,
        ACCESS_DENIED,
        PROGRESSING,
        EMAIL_CONFIRMATION_PENDING,
        CHANGES_PLANNED,
        SUSPENDED,
        ALIAS_TAKEN,
        DRIFT_REPAIRED,
        ADOPTED,
        CREATED,
        ACCOUNT_RETAINED,
        QUARANTINED,
        AWAITING_CONFIRMATION,
        AWAITING_CLOSURE,
        CLOSED,
    ];
}

/// The controller of `TeamAccount`.
pub struct TeamAccounts {
    /// The caches.
    pub caches: Caches,
    /// The shared view.
    pub organization: Arc<Organization>,
    /// The cluster's name, for ownership tags.
    pub cluster: String,
    /// How often an account is looked into.
    pub deep_check_every: Duration,
    /// When each object's account is to be looked into next.
    pub due: Mutex<HashMap<String, Instant>>,
}

#[async_trait]
impl Reconcile for TeamAccounts {
    type Kind = TeamAccount;
    const KIND: &'static str = "TeamAccount";

    async fn pass(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
    ) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        match self.organization.is_known() {
            Ok(true) => {}
            // An account that was in order says nothing else only because the operator has just begun.
            Ok(false) if record.is_true(READY) => self.organization.known().await?,
            Ok(false) => {
                let message = "the organization is being read for the first time";
                return Err(Failure::new(
                    FailureKind::Transient,
                    reasons::READING_ORGANIZATION,
                    message,
                ));
            }
            Err(error) => return Err(error.into()),
        }
        if object.metadata.deletion_timestamp.is_some() {
            return self.leave(object, record).await;
        }
        let class = self.caches.class(&object.spec.class_name);
        let team = self.caches.team_of(&object.namespace().unwrap_or_default());
        let desired = match validate::desired(object, class.as_ref(), team.as_ref(), &self.cluster)
        {
            Ok(desired) => desired,
            Err((reason, message)) => {
                record.set("Accepted", Truth::False, reason, &message);
                return Ok(Outcome::blocked(reason, message));
            }
        };
        record.set(
            "Accepted",
            Truth::True,
            "Accepted",
            "the spec and its class can be carried out",
        );
        let revision = class
            .as_ref()
            .map(super::account_class::revision_of)
            .unwrap_or_default();
        let id = match self.identify(object, record, &desired).await? {
            Ok(id) => id,
            Err(outcome) => return Ok(outcome),
        };
        self.settle(object, record, &desired, &id, &revision).await
    }
}

impl TeamAccounts {
    /// Brings an account that exists to what is declared.
    async fn settle(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
        id: &crate::model::AccountId,
        revision: &str,
    ) -> Result<Outcome, Failure> {
        let Some(row) = self.known_row(id).await? else {
            let message = format!(
                "account {id} is not a member of this organization (any more); nothing is created in its place: \
                 invite it again, or delete this object"
            );
            record.set("Created", Truth::False, reasons::NOT_A_MEMBER, &message);
            return Ok(Outcome::blocked(reasons::NOT_A_MEMBER, message));
        };
        report::row(record, &row, self.organization.path(&row.parent));
        if row.account.state.is_leaving() {
            let message = format!(
                "account {id} is {}: ask AWS Support to reinstate it (possible for 90 days after closure), or delete \
                 this object; nothing is created in its place",
                row.account.state
            );
            record.set(
                "Accessible",
                Truth::False,
                reasons::ACCOUNT_SUSPENDED,
                &message,
            );
            return Ok(Outcome::blocked(reasons::ACCOUNT_SUSPENDED, message));
        }
        let requested = object.annotations().get(ANNOTATION_RECONCILE);
        let deep = self.is_due(object, record, revision, requested);
        let gathered = self.gather(record, desired, &row, deep).await?;
        if let Some(outcome) = gathered.stop {
            return Ok(outcome);
        }
        let plan = changes(desired, &gathered.seen);
        report::plan(record, id, &plan, object);
        if !plan.is_empty() && (object.spec.mode == Mode::Plan || object.spec.suspend) {
            return Ok(report::held(object, record, plan.len()));
        }
        // What the view says may be old. A newborn account bears the tags that we gave it.
        if !plan.is_empty() && row.account.state != AccountState::PendingActivation {
            let tags = self.tags_now(id).await?;
            if let Ownership::Others(owner) = ownership(&tags, &desired.owner.uid) {
                return Ok(create::owned_by_other(id, &owner.reference, &owner.cluster));
            }
        }
        let drifted = !plan.is_empty()
            && record.is_true("InSync")
            && record.status.observed_generation == Some(record.generation)
            && record.status.class_revision.as_deref() == Some(revision);
        let waiting = self.act(object, record, desired, &row, &plan).await?;
        if drifted && !plan.is_empty() {
            let what: Vec<_> = plan
                .iter()
                .map(|change| format!("{} → {}", change.action(), change.after()))
                .collect();
            record.note(
                reasons::DRIFT_REPAIRED,
                format!(
                    "account {id} had been changed from outside: {}",
                    what.join("; ")
                ),
            );
        }
        record.status.plan.clear();
        record.status.drift.clear();
        if let Some(row) = self.organization.row(id) {
            report::row(record, &row, self.organization.path(&row.parent));
        }
        if let Some(outcome) = waiting.or(gathered.unfinished) {
            record.set(
                "InSync",
                Truth::False,
                reasons::PROGRESSING,
                "a change is under way",
            );
            return Ok(outcome);
        }
        report::settled(record, desired, revision, deep);
        record.status.last_handled_reconcile_at = requested.cloned();
        Ok(Outcome::Settled {
            resync: Some(self.next_due(&object.uid().unwrap_or_default(), deep)),
        })
    }

    /// Whether this pass looks into the account, or only at what the sweep says.
    fn is_due(
        &self,
        object: &TeamAccount,
        record: &Record<TeamAccount>,
        revision: &str,
        requested: Option<&String>,
    ) -> bool {
        let known = record.is_true("Baselined")
            && record.status.observed_generation == Some(record.generation)
            && record.status.class_revision.as_deref() == Some(revision)
            && record.status.last_handled_reconcile_at.as_ref() == requested;
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = object.uid().unwrap_or_default();
        !known || due.get(&uid).is_some_and(|at| Instant::now() >= *at)
    }

    /// When to look into the account next: after a look a whole interval; after a restart at a moment of the object's
    /// own, so that ten thousand accounts are not all entered at once.
    fn next_due(&self, uid: &str, deep: bool) -> Duration {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if deep {
            due.insert(uid.to_owned(), now + self.deep_check_every);
        }
        let share = self.deep_check_every.mul_f64(jitter(uid, 0));
        let at = *due.entry(uid.to_owned()).or_insert(now + share);
        at.saturating_duration_since(now)
            .max(Duration::from_secs(1))
    }
}
