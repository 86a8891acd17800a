//! `TeamAccount`: one AWS account of a team, from its first intent to its release.
//!
//! | step | file |
//! |---|---|
//! | gather: what AWS has | `gather.rs` |
//! | validate: spec and class → `DesiredAccount` | `validate.rs` |
//! | decide | `plan::account`, `plan::creation`, `plan::queue` |
//! | act: which account is meant; adopt it | `identify.rs` |
//! | act: create it; wait for a slot; what a failure asks for | `create.rs`, `slot.rs`, `failed.rs` |
//! | act: follow a creation that has begun | `follow.rs` |
//! | act: change; leave | `act.rs`, `leave.rs` |
//! | all steps of its credentials bucket | `bucket.rs` |
//! | report: status | `report.rs` |

mod act;
mod bucket;
mod create;
mod failed;
mod follow;
mod gather;
mod identify;
mod leave;
pub mod reasons;
mod report;
mod slot;
mod validate;

use std::sync::Arc;

use async_trait::async_trait;
use kube::ResourceExt;

use super::Caches;
use super::organization::Organization;
use crate::api::{ANNOTATION_RECONCILE, Mode, TeamAccount};
use crate::engine::conditions::{self, READY, Truth};
use crate::engine::due::DeepChecks;
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};
use crate::model::{AccountId, AccountState};
use crate::plan::account::{DesiredAccount, Ownership, changes, ownership};

/// The controller of `TeamAccount`.
pub struct TeamAccounts {
    /// The caches.
    pub caches: Caches,
    /// The shared view.
    pub organization: Arc<Organization>,
    /// The cluster's name, for ownership tags.
    pub cluster: String,
    /// When each object's account is to be looked into next.
    pub checks: DeepChecks,
}

#[async_trait]
impl Reconcile for TeamAccounts {
    type Kind = TeamAccount;
    const KIND: &'static str = "TeamAccount";
    const REASONS: &'static [Reason] = reasons::ALL;

    async fn pass(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
    ) -> Result<Outcome, Failure> {
        let end = self.bring(object, record).await;
        report::ended(record, &end);
        end
    }
}

impl TeamAccounts {
    /// The pass itself.
    async fn bring(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
    ) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        match self.organization.is_known() {
            Ok(true) => {}
            // An object that has been told of its state says nothing else only because the operator has just begun:
            // with a thousand in the queue each restart would write each of them twice.
            Ok(false) if conditions::find(&record.status.conditions, READY).is_some() => {
                self.organization.known().await?;
            }
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
            self.checks.forget(&object.uid().unwrap_or_default());
            return self.leave(object, record).await;
        }
        let class = self.caches.class(&object.spec.class_name);
        let team = self.caches.team_of(&object.namespace().unwrap_or_default());
        let of = |id: Option<&AccountId>| {
            validate::desired(object, class.as_ref(), team.as_ref(), &self.cluster, id)
        };
        let known = record.status.account_id.as_deref();
        let known: Option<AccountId> = known.and_then(|id| id.parse().ok());
        let mut desired = match of(known.as_ref()) {
            Ok(desired) => desired,
            Err((reason, message)) => {
                record.set("Accepted", Truth::False, reason, &message);
                return self.record_outcome(object, record, (reason, message)).await;
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
        // Known since a moment ago, and named by what the account shall be.
        if known.as_ref() != Some(&id) {
            desired = match of(Some(&id)) {
                Ok(desired) => desired,
                Err((reason, message)) => return Ok(Outcome::blocked(reason, message)),
            };
        }
        self.settle(object, record, &desired, &id, &revision).await
    }

    /// Brings an account that exists to what is declared.
    async fn settle(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
        id: &AccountId,
        revision: &str,
    ) -> Result<Outcome, Failure> {
        let requested = object.annotations().get(ANNOTATION_RECONCILE);
        // Who asks for a pass has a reason to: what the last sweep told does not do.
        let asked =
            requested.is_some() && requested != record.status.last_handled_reconcile_at.as_ref();
        let Some((row, unit)) = self.placed_row(id, asked).await? else {
            let outcome = gather::not_shown(record, id);
            return Ok(report::stopped(record, outcome));
        };
        report::row(record, &row, Some(unit.clone()));
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
            return Ok(report::stopped(
                record,
                Outcome::blocked(reasons::ACCOUNT_SUSPENDED, message),
            ));
        }
        let deep = self.is_due(object, record, (revision, desired), requested);
        let gathered = self.gather(record, desired, (&row, unit), deep).await?;
        if let Some(outcome) = gathered.stop {
            return Ok(report::stopped(record, outcome));
        }
        let plan = changes(desired, &gathered.seen);
        if !plan.is_empty() && (object.spec.mode == Mode::Plan || object.spec.suspend) {
            report::owed(record, deep);
            return Ok(report::held_back(object, record, desired, id, &plan));
        }
        // What the view says may be old. A newborn account bears the tags that we gave it.
        if !plan.is_empty() && row.account.state != AccountState::PendingActivation {
            let tags = self.tags_now(id).await?;
            if let Ownership::Others(owner) = ownership(&tags, &desired.owner.uid) {
                let outcome = identify::owned_by_other(id, &owner.reference, &owner.cluster);
                return Ok(report::stopped(record, outcome));
            }
        }
        // The same was demanded, and the account was in order, or somebody had changed it already.
        let drifted = (holds(record, "InSync") || report::has_drifted(record))
            && record.status.class_revision.as_deref() == Some(revision);
        // Durable before the account is changed: were it half done, and the spec then as it was before, the old revision
        // would say that the account is in order.
        if deep && !plan.is_empty() && record.status.revision.take().is_some() {
            report::owed(record, deep);
            record.save().await?;
        }
        let acted = self.act(object, record, desired, &row, &plan).await;
        report::acted(record, desired, id, &acted, drifted);
        let is_told = acted.obstacle.is_some();
        let left = match acted.end {
            Ok(waiting) => waiting.or(gathered.unfinished),
            Err(failure) if failure.kind != FailureKind::Terminal => return Err(failure),
            Err(failure) => match gathered.unfinished {
                // While AWS is still at it there is more to see soon; the refusal is met again then.
                Some(outcome @ Outcome::Waiting { .. }) => Some(outcome),
                _ => {
                    report::owed(record, deep);
                    return Err(failure);
                }
            },
        };
        if let Some(row) = self.organization.row(id) {
            report::row(record, &row, self.organization.path(&row.parent));
        }
        if let Some(outcome) = left {
            report::owed(record, deep);
            if !is_told {
                report::not_in_sync(record, &outcome);
            }
            return Ok(outcome);
        }
        match deep {
            true => report::baselined(record, desired, revision),
            false => report::still(record),
        }
        if gathered.seen.tags.is_some() {
            let wanted = |key: &String| desired.tags.contains_key(key);
            record.status.tag_keys.retain(wanted);
        }
        report::settled(record);
        record.status.last_handled_reconcile_at = requested.cloned();
        Ok(Outcome::Settled {
            resync: Some(self.checks.next(&object.uid().unwrap_or_default(), deep)),
        })
    }

    /// Whether this pass looks into the account, or only at what the sweep says. A change of the spec that demands
    /// nothing else of the account is no reason to.
    fn is_due(
        &self,
        object: &TeamAccount,
        record: &Record<TeamAccount>,
        (class, desired): (&str, &DesiredAccount),
        requested: Option<&String>,
    ) -> bool {
        // Only asked if the spec has changed: it costs something.
        let found_in_order =
            || record.is_true("Baselined") && record.status.revision == Some(desired.revision());
        // An earlier version recorded no revision. The condition's own generation: the status's is that of a pass that
        // may have failed half-way.
        let known = (holds(record, "Baselined") || found_in_order())
            && record.is_true("Accessible")
            && record.status.class_revision.as_deref() == Some(class)
            && record.status.last_handled_reconcile_at.as_ref() == requested;
        !known || self.checks.is_due(&object.uid().unwrap_or_default())
    }
}

/// Whether a condition is True, and about the present generation.
fn holds(record: &Record<TeamAccount>, type_: &str) -> bool {
    conditions::find(&record.status.conditions, type_).is_some_and(|condition| {
        condition.status == "True" && condition.observed_generation == Some(record.generation)
    })
}
