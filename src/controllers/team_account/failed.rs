//! Act: what a creation that AWS refused or gave up asks for.

use std::time::Duration;

use kube::ResourceExt;

use super::create::asked;
use super::follow::searching;
use super::identify::Identity;
use super::{TeamAccounts, reasons};
use crate::api::{ANNOTATION_RECONCILE, CreationStatus, TeamAccount};
use crate::cloud::{CloudError, ErrorKind};
use crate::engine::conditions::Truth;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::plan::account::DesiredAccount;
use crate::plan::creation::{self, Verdict};

/// How soon a creation that AWS failed for a reason of its own is tried again.
const RETRY_FAILED: i64 = 60;
/// How soon AWS is asked again when it would not begin one more creation.
const SLOT_AGAIN: Duration = Duration::from_secs(15);

impl TeamAccounts {
    /// `None`: try anew, for what is asked for has changed, or somebody says that the cause is mended.
    pub(super) async fn after_failure(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
        past: &CreationStatus,
        reason: &str,
    ) -> Result<Option<Identity>, Failure> {
        let changed = past.asked.as_ref() != Some(&asked(desired))
            || record.status.observed_generation != Some(record.generation);
        let requested = object.annotations().get(ANNOTATION_RECONCILE);
        let handled = record.status.last_handled_reconcile_at.as_ref();
        if changed || (requested.is_some() && requested != handled) {
            record.status.last_handled_reconcile_at = requested.cloned();
            return Ok(None);
        }
        self.judge(object, record, past, reason).await
    }

    /// What a failure asks for. `None`: to try anew.
    pub(super) async fn judge(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        past: &CreationStatus,
        reason: &str,
    ) -> Result<Option<Identity>, Failure> {
        let message = |what: &str| format!("AWS did not create the account ({reason}): {what}");
        record.set("Created", Truth::False, reasons::CREATION_FAILED, reason);
        let outcome = match creation::recorded(reason) {
            Verdict::Retry => {
                let age = record.now.as_second() - past.started_at.0.as_second();
                if age >= RETRY_FAILED {
                    return Ok(None);
                }
                let pause = Duration::from_secs(RETRY_FAILED.abs_diff(age));
                let message = message("it is tried again in a minute");
                Outcome::waiting(reasons::CREATION_FAILED, message, pause)
            }
            Verdict::EmailTaken => {
                self.organization.refresh().await?;
                let email = past.email.parse().ok();
                if let Some(row) = email.and_then(|email| self.organization.by_email(&email)) {
                    return Ok(Some(self.claim(object, record, &row).await?));
                }
                let message = format!(
                    "e-mail address {} belongs to an AWS account outside of this organization, or to one that was \
                     closed: set spec.email to an address that no account has had",
                    past.email
                );
                Outcome::blocked(reasons::EMAIL_TAKEN, message)
            }
            Verdict::Person(what) => {
                let then = format!("{what}; then set the annotation {ANNOTATION_RECONCILE}");
                Outcome::blocked(reasons::CREATION_FAILED, message(&then))
            }
            Verdict::Spec(what) => {
                let then = format!(
                    "{what}; it is tried again when that changes, or the annotation {ANNOTATION_RECONCILE}"
                );
                Outcome::blocked(reasons::INVALID_SPEC, message(&then))
            }
        };
        Ok(Some(Err(outcome)))
    }

    /// CreateAccount did not answer, or said no.
    pub(super) async fn refused(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        error: CloudError,
    ) -> Result<Identity, Failure> {
        let uid = object.uid().unwrap_or_default();
        if error.kind.may_have_happened() {
            self.organization.searching_since(&uid);
            let message = format!(
                "AWS's answer was lost ({error}): looking whether the account is being created"
            );
            return Ok(Err(searching(&message)));
        }
        if is_about_slots(&error) {
            self.organization.slot_refused(&uid);
            record.status.creation = None;
            record.save().await?;
            let code = error.reason.as_deref().unwrap_or(&error.code);
            let message =
                format!("AWS is busy creating other accounts and will be asked again ({code})");
            return Ok(Err(Outcome::waiting(reasons::QUEUED, message, SLOT_AGAIN)));
        }
        self.organization.slot_done(&uid, None);
        let is_input = error.kind == ErrorKind::Invalid && error.code == "InvalidInputException";
        let reason = match &error.reason {
            Some(reason) => creation::refusal(reason, is_input),
            None if error.kind == ErrorKind::Invalid => creation::refusal(&error.code, true),
            None => {
                // Nothing is said about this account; it is tried again when somebody may have mended it.
                record.status.creation = None;
                record.save().await?;
                return Err(error.into());
            }
        };
        let Some(past) = &mut record.status.creation else {
            return Err(error.into());
        };
        past.failure = Some(reason.clone());
        let past = past.clone();
        record.save().await?;
        let identity = self.judge(object, record, &past, &reason).await?;
        Ok(identity.unwrap_or_else(|| Err(searching("the creation is begun anew"))))
    }
}

/// Whether AWS would merely not begin one more creation at the moment.
fn is_about_slots(error: &CloudError) -> bool {
    matches!(error.kind, ErrorKind::Throttled | ErrorKind::Conflict)
        || error.reason.as_deref() == Some("ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED")
}
