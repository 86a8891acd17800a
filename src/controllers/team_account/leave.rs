//! Act, when the object is deleted: the account is kept, put into quarantine, or closed, as the deletion policy says.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::follow::open_creation;
use super::gather::{YOUNG_AGAIN, is_young};
use super::{TeamAccounts, reasons};
use crate::api::{ANNOTATION_CONFIRM_CLOSE, DeletionPolicy, Mode, TeamAccount, UnitStatus};
use crate::cloud::{CloudError, ErrorKind};
use crate::controllers::organization::Row;
use crate::engine::conditions::Truth;
use crate::engine::reasons::TIMED_OUT;
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};
use crate::model::{
    AccountId, TAG_CLUSTER, TAG_OWNER, TAG_QUARANTINED_AT, TAG_UID, Tags, UnitPath,
};
use crate::plan::account::{Ownership, ownership};
use crate::plan::creation::{self, Verdict};
use crate::plan::naming;

/// How soon we ask again whether an account may be closed: AWS's own quota is counted over thirty days.
const CLOSE_AGAIN: Duration = Duration::from_secs(3600);
/// How long the API server may take to say that a closing is still wanted.
const REAFFIRM_WITHIN: Duration = Duration::from_secs(10);
/// The same as the hour where only too many are being closed at this moment.
const CLOSE_SOON: Duration = Duration::from_secs(300);
/// The reason of AWS for that ("ConstraintViolationException", three at a time).
const TOO_MANY_CLOSING: &str = "CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED";

impl TeamAccounts {
    /// Lets go of the account.
    pub(super) async fn leave(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
    ) -> Result<Outcome, Failure> {
        let uid = object.uid().unwrap_or_default();
        let Some(id) = self.account_to_leave(object, record).await? else {
            self.organization.slot_done(&uid, None);
            return Ok(Outcome::Released);
        };
        let id = match id {
            Ok(id) => id,
            Err(Outcome::Waiting {
                reason,
                message,
                after,
            }) => {
                let message = format!(
                    "the account is not let go before its creation has an outcome: {message}"
                );
                return Ok(Outcome::Waiting {
                    reason,
                    message,
                    after,
                });
            }
            Err(_) => {
                self.organization.slot_done(&uid, None);
                return Ok(Outcome::Released);
            }
        };
        let Some(row) = self.known_row(&id).await? else {
            if is_young(record) {
                let message = format!(
                    "account {id} was created a moment ago and AWS does not show it yet: it is looked for again before it \
                     is let go"
                );
                return Ok(Outcome::waiting(reasons::ACTIVATING, message, YOUNG_AGAIN));
            }
            record.note(
                reasons::ACCOUNT_RETAINED,
                format!("account {id} is not in the organization any more"),
            );
            return Ok(Outcome::Released);
        };
        let tags = self.tags_now(&id).await?;
        let ours = ownership(&tags, &uid) == Ownership::Ours;
        if object.spec.mode == Mode::Plan || !ours {
            let why = if ours {
                "mode: Plan writes nothing outside; its tags are left"
            } else {
                "its tags do not name this object; nothing was changed"
            };
            record.note(
                reasons::ACCOUNT_RETAINED,
                format!("account {id} ({}) is kept: {why}", row.account.name),
            );
            return Ok(Outcome::Released);
        }
        if object.spec.suspend {
            let message = format!(
                "account {id} is suspended: set spec.suspend to false to have the deletion go on"
            );
            return Ok(Outcome::blocked(reasons::SUSPENDED, message));
        }
        match object.spec.deletion_policy {
            DeletionPolicy::Retain => self.retain(record, &row).await,
            DeletionPolicy::Quarantine => match self.quarantine(object, record, &row, &tags).await?
            {
                Some(outcome) => Ok(outcome),
                None => Ok(Outcome::Released),
            },
            DeletionPolicy::Close => self.close(object, record, &row, &tags).await,
        }
    }

    /// The account that this object has, or may yet turn out to have.
    async fn account_to_leave(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
    ) -> Result<Option<Result<AccountId, Outcome>>, Failure> {
        if let Some(id) = record.status.account_id.clone() {
            return Ok(id.parse().ok().map(Ok));
        }
        let Some(intent) = open_creation(record) else {
            return Ok(None);
        };
        self.follow(object, record, None, &intent).await.map(Some)
    }

    /// The account stays as it is; only what says that it is ours is taken off.
    async fn retain(
        &self,
        record: &mut Record<TeamAccount>,
        row: &Row,
    ) -> Result<Outcome, Failure> {
        let id = &row.account.id;
        record.may_write()?;
        let keys = [TAG_OWNER, TAG_UID, TAG_CLUSTER, TAG_QUARANTINED_AT].map(str::to_owned);
        self.untag(id, &keys).await?;
        record.note(
            reasons::ACCOUNT_RETAINED,
            format!(
                "account {id} ({}) is kept and no longer managed; adopt it again by spec.accountId",
                row.account.name
            ),
        );
        Ok(Outcome::Released)
    }

    /// Moves the account to quarantine. `None`: it is there.
    async fn quarantine(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        row: &Row,
        tags: &Tags,
    ) -> Result<Option<Outcome>, Failure> {
        let class_name = &object.spec.class_name;
        let class = self.caches.class(class_name);
        let Some((class, quarantine)) = class
            .as_ref()
            .and_then(|class| Some((class, class.spec.quarantine.as_ref()?)))
        else {
            let message = format!(
                "AccountClass {class_name} has no spec.quarantine: add it, or set deletionPolicy to Retain"
            );
            return Ok(Some(Outcome::blocked(reasons::INVALID_SPEC, message)));
        };
        let path: UnitPath = match quarantine.organizational_unit_path.parse() {
            Ok(path) => path,
            Err(error) => {
                let message = format!(
                    "AccountClass {class_name}: spec.quarantine.organizationalUnitPath: {error}"
                );
                return Ok(Some(Outcome::blocked(reasons::INVALID_SPEC, message)));
            }
        };
        let id = &row.account.id;
        // The tag is the account's own memory of since when; it outlives the object. One from before the deletion is of
        // another quarantine, or somebody else's, and that time does not count.
        let deleted = object.metadata.deletion_timestamp.as_ref();
        let of_this_deletion =
            |since: &Timestamp| deleted.is_none_or(|deleted| *since >= deleted.0);
        let since = match tags
            .get(TAG_QUARANTINED_AT)
            .and_then(|text| text.parse().ok())
            .filter(of_this_deletion)
        {
            Some(since) => since,
            None => {
                record.may_write()?;
                let mark = Tags::from([(TAG_QUARANTINED_AT.to_owned(), record.now.to_string())]);
                self.organization.cloud().accounts.tag(id, &mark).await?;
                self.organization
                    .update(id, |row| row.tags.get_or_insert_default().extend(mark));
                record.now
            }
        };
        record.status.quarantined_at = Some(Time(since));
        let to = self.unit_for(&path, class).await?;
        if row.parent != to {
            record.may_write()?;
            self.move_to(id, &row.parent, &to).await?;
            record.note(
                reasons::QUARANTINED,
                format!("account {id} ({}) was moved to {path}", row.account.name),
            );
        }
        // For as long as it is there, whoever has moved it: that may be a month.
        let message = format!("the account is in {path}, its class's quarantine");
        record.set("Placed", Truth::False, reasons::QUARANTINED, &message);
        record.status.organizational_unit = Some(UnitStatus {
            id: to.to_string(),
            path: Some(path.to_string()),
        });
        Ok(None)
    }

    /// Closes the account, if everything that must be there is there: the policy, the confirmation with the very id,
    /// and the whole time in quarantine.
    async fn close(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        row: &Row,
        tags: &Tags,
    ) -> Result<Outcome, Failure> {
        let id = &row.account.id;
        if row.account.state.is_leaving() {
            record.note(
                reasons::CLOSED,
                format!(
                    "account {id} ({}) is {}",
                    row.account.name, row.account.state
                ),
            );
            return Ok(Outcome::Released);
        }
        if let Some(outcome) = self.quarantine(object, record, row, tags).await? {
            return Ok(outcome);
        }
        match self.may_not_close(object, record, id) {
            Some(outcome) => Ok(outcome),
            None => self.close_now(record, row).await,
        }
    }

    /// Asks AWS to close the account, in its turn, if all is declared as this pass has read it.
    async fn close_now(
        &self,
        record: &mut Record<TeamAccount>,
        row: &Row,
    ) -> Result<Outcome, Failure> {
        let id = &row.account.id;
        let accounts = &self.organization.cloud().accounts;
        let turn = match accounts.turn_to_close(id).await {
            Ok(turn) => turn,
            Err(wait) => {
                let message = format!(
                    "account {id} will be closed when its turn comes: AWS closes a few accounts a minute"
                );
                return Ok(Outcome::waiting(reasons::AWAITING_CLOSURE, message, wait));
            }
        };
        // What this pass has read of the object may be minutes old, and who has withdrawn the confirmation since keeps the
        // account: after this nobody can.
        let message = format!("account {id} is to be closed: its time in quarantine is over");
        record.set("InSync", Truth::False, reasons::AWAITING_CLOSURE, &message);
        // While this has its turn, nothing else is changed in the organization.
        let reaffirmed = tokio::time::timeout(REAFFIRM_WITHIN, record.reaffirm());
        reaffirmed.await.map_err(|_| {
            let (kind, reason) = (FailureKind::Transient, TIMED_OUT);
            let message = "the API server does not say whether the closing is still wanted";
            Failure::new(kind, reason, message)
        })??;
        record.may_write()?;
        match accounts.close_account(id, turn).await {
            Ok(()) => {}
            Err(error)
                if error.kind == ErrorKind::AlreadyExists
                    || error.code == "AccountAlreadyClosedException" => {}
            Err(error) => return not_closed(error),
        }
        // Released only when AWS itself says that the account is leaving.
        let account = accounts.account(id).await?;
        let state = account.state.clone();
        self.organization.update(id, |row| row.account = account);
        if state.is_leaving() {
            record.note(
                reasons::CLOSED,
                format!("account {id} ({}) is {state}", row.account.name),
            );
            return Ok(Outcome::Released);
        }
        let message = format!("account {id} is being closed; AWS still says {state}");
        Ok(Outcome::waiting(
            reasons::AWAITING_CLOSURE,
            message,
            Duration::from_secs(60),
        ))
    }

    /// Why the account may not be closed, or not yet.
    fn may_not_close(
        &self,
        object: &TeamAccount,
        record: &Record<TeamAccount>,
        id: &AccountId,
    ) -> Option<Outcome> {
        let confirmed = object
            .annotations()
            .get(ANNOTATION_CONFIRM_CLOSE)
            .map(|text| text.trim());
        if confirmed != Some(id.as_str()) {
            let other = confirmed.map_or(String::new(), |other| {
                format!("; the annotation says {other:?}, which is not this account")
            });
            let message = format!(
                "account {id} is in quarantine and will be closed only if this object bears the annotation \
                 {ANNOTATION_CONFIRM_CLOSE}: \"{id}\"{other}; to keep the account set deletionPolicy to Retain"
            );
            return Some(Outcome::blocked(reasons::AWAITING_CONFIRMATION, message));
        }
        let class = self.caches.class(&object.spec.class_name);
        let wait = class
            .and_then(|class| class.spec.quarantine)
            .and_then(|quarantine| naming::duration(&quarantine.close_after));
        let Some((wait, since)) = wait.zip(record.status.quarantined_at.clone()) else {
            let message =
                "the class's spec.quarantine.closeAfter cannot be read: correct it (30d, 12h)";
            return Some(Outcome::blocked(reasons::INVALID_SPEC, message));
        };
        let elapsed = u64::try_from(record.now.as_second() - since.0.as_second()).unwrap_or(0);
        if elapsed >= wait.as_secs() {
            return None;
        }
        let left = Duration::from_secs(wait.as_secs() - elapsed);
        let at = record
            .now
            .checked_add(left)
            .map(|at| at.to_string())
            .unwrap_or_default();
        let message = format!("account {id} is in quarantine and will be closed after {at}");
        Some(Outcome::waiting(
            reasons::AWAITING_CLOSURE,
            message,
            left.min(Duration::from_secs(86_400)),
        ))
    }
}

/// AWS would not close the account: what that asks for.
fn not_closed(error: CloudError) -> Result<Outcome, Failure> {
    match error.constraint().map(creation::constraint) {
        Some(Verdict::Retry) => {
            let reason = error.reason.as_deref().unwrap_or_default();
            let again = match reason == TOO_MANY_CLOSING {
                true => CLOSE_SOON,
                false => CLOSE_AGAIN,
            };
            let message = format!(
                "AWS closes no more accounts for now ({reason}); it is tried again every {} minutes",
                again.as_secs() / 60
            );
            Ok(Outcome::waiting(reasons::AWAITING_CLOSURE, message, again))
        }
        Some(Verdict::Person(what) | Verdict::Spec(what)) => Ok(Outcome::blocked(
            reasons::AWAITING_CLOSURE,
            format!("{error}: {what}"),
        )),
        _ => Err(error.into()),
    }
}
