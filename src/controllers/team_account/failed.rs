//! Act: what a creation that AWS refused or gave up asks for.

use std::time::Duration;

use super::follow::searching;
use super::identify::Identity;
use super::{TeamAccounts, reasons};
use crate::api::{CreationStatus, TeamAccount};
use crate::cloud::{CloudError, ErrorKind};
use crate::engine::conditions::Truth;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::plan::account::DesiredAccount;
use crate::plan::creation::{self, Verdict};

/// How soon a creation that AWS failed for a reason of its own is tried again.
const RETRY_FAILED: i64 = 60;

impl TeamAccounts {
    /// `None`: try anew.
    pub(super) async fn after_failure(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
        past: &CreationStatus,
        reason: &str,
    ) -> Result<Option<Identity>, Failure> {
        let changed = past.email != desired.email.as_str()
            || past.account_name != desired.name.as_str()
            || record.status.observed_generation != Some(record.generation);
        let message = |what: &str| format!("AWS did not create the account ({reason}): {what}");
        let verdict = if reason.starts_with("constraint:") {
            creation::constraint(reason.trim_start_matches("constraint:"))
        } else {
            creation::failure(reason)
        };
        let outcome = match verdict {
            _ if changed => return Ok(None),
            Verdict::Retry => {
                let age = record.now.as_second() - past.started_at.0.as_second();
                if age >= RETRY_FAILED {
                    return Ok(None);
                }
                let pause = Duration::from_secs(RETRY_FAILED.abs_diff(age));
                Outcome::waiting(
                    reasons::CREATION_FAILED,
                    message("it is tried again in a minute"),
                    pause,
                )
            }
            Verdict::EmailTaken => {
                self.organization.refresh().await?;
                match past
                    .email
                    .parse()
                    .ok()
                    .and_then(|email| self.organization.by_email(&email))
                {
                    Some(row) => return Ok(Some(self.claim(object, record, &row).await?)),
                    None => Outcome::blocked(
                        reasons::EMAIL_TAKEN,
                        format!(
                            "e-mail address {} belongs to an AWS account outside of this organization, or to one that \
                             was closed: set spec.email to an address that no account has had",
                            past.email
                        ),
                    ),
                }
            }
            Verdict::Person(what) => Outcome::blocked(reasons::CREATION_FAILED, message(what)),
            Verdict::Spec(what) => Outcome::blocked(reasons::INVALID_SPEC, message(what)),
        };
        record.set("Created", Truth::False, reasons::CREATION_FAILED, reason);
        Ok(Some(Err(outcome)))
    }

    /// CreateAccount did not answer, or said no.
    pub(super) async fn refused(
        &self,
        uid: &str,
        record: &mut Record<TeamAccount>,
        error: CloudError,
    ) -> Result<Identity, Failure> {
        if error.kind.may_have_happened() {
            self.organization.searching_since(uid);
            let message = format!(
                "AWS's answer was lost ({error}): looking whether the account is being created"
            );
            return Ok(Err(searching(&message)));
        }
        if matches!(error.kind, ErrorKind::Throttled | ErrorKind::Conflict) {
            self.organization.slot_refused(uid);
            record.status.creation = None;
            record.save().await?;
            let message = format!(
                "AWS is busy creating other accounts and will be asked again ({})",
                error.code
            );
            return Ok(Err(Outcome::waiting(
                reasons::QUEUED,
                message,
                Duration::from_secs(15),
            )));
        }
        let reason = match &error.reason {
            Some(reason) => format!("constraint:{reason}"),
            None => error.code.clone(),
        };
        if let Some(creation) = &mut record.status.creation {
            creation.failure = Some(reason);
        }
        self.organization.slot_done(uid, None);
        record.save().await?;
        match error.reason.as_deref().map(creation::constraint) {
            Some(Verdict::Person(what) | Verdict::Spec(what)) => Ok(Err(Outcome::blocked(
                reasons::CREATION_FAILED,
                format!("{error}: {what}"),
            ))),
            Some(_) => {
                let message = format!("{error}: it is tried again in a minute");
                let pause = Duration::from_secs(RETRY_FAILED.unsigned_abs());
                Ok(Err(Outcome::waiting(
                    reasons::CREATION_FAILED,
                    message,
                    pause,
                )))
            }
            None => Err(error.into()),
        }
    }
}
