//! Act: which account is meant, and what is known of it; an account that exists is adopted.

use kube::ResourceExt;

use super::follow::open_creation;
use super::{TeamAccounts, reasons};
use crate::api::TeamAccount;
use crate::cloud::ErrorKind;
use crate::controllers::organization::Row;
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};
use crate::model::{AccountId, Tags, UnitPath};
use crate::plan::account::{DesiredAccount, Ownership, ownership};

/// The account's id, or why there is none yet.
pub(super) type Identity = Result<AccountId, Outcome>;

impl TeamAccounts {
    /// Which account is meant: the recorded one, one to adopt, or one to create.
    pub(super) async fn identify(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
    ) -> Result<Identity, Failure> {
        let wanted = object.spec.account_id.as_deref();
        if wanted.is_some()
            && let Some(open) = open_creation(record)
        {
            // AWS may be at it, and what comes of it is this object's, whatever is wanted by now.
            let followed = self.follow(object, record, None, &open).await?;
            if open_creation(record).is_some() {
                return Ok(followed);
            }
        }
        match (record.status.account_id.as_deref(), wanted) {
            (Some(known), Some(wanted)) if known != wanted => Ok(Err(Outcome::blocked(
                reasons::INVALID_SPEC,
                format!(
                    "spec.accountId: this object manages account {known} already; remove the field, or, for account {wanted}, \
                     delete this object (deletionPolicy: Retain keeps account {known}) and make a new one"
                ),
            ))),
            (Some(known), _) => Ok(parse(known)),
            (None, Some(wanted)) => match parse(wanted) {
                Ok(id) => self.adopt(object, record, id).await,
                Err(outcome) => Ok(Err(outcome)),
            },
            (None, None) => self.create(object, record, desired).await,
        }
    }

    /// What is known of an account, asked for by itself if no list has told it.
    pub(super) async fn known_row(&self, id: &AccountId) -> Result<Option<Row>, Failure> {
        match self.organization.row(id) {
            Some(row) => Ok(Some(row)),
            None => self.row_now(id).await,
        }
    }

    /// What AWS says of an account now, whatever the last sweep has told.
    pub(super) async fn row_now(&self, id: &AccountId) -> Result<Option<Row>, Failure> {
        let accounts = &self.organization.cloud().accounts;
        match accounts.account(id).await {
            Ok(account) => {
                let parent = accounts.parent_of(id).await?;
                let tags = match self.organization.row(id) {
                    Some(_) => Some(accounts.tags(id).await?),
                    None => None,
                };
                self.organization.enter(account, parent, tags);
                Ok(self.organization.row(id))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What is known of an account, or with `now` what AWS says at this moment; and where it is. In a unit that the view
    /// does not know, somebody has made that since the last sweep: without a look nothing could be said of the place.
    pub(super) async fn placed_row(
        &self,
        id: &AccountId,
        now: bool,
    ) -> Result<Option<(Row, UnitPath)>, Failure> {
        let row = match now {
            true => self.row_now(id).await?,
            false => self.known_row(id).await?,
        };
        let Some(row) = row else {
            return Ok(None);
        };
        if let Some(unit) = self.organization.path(&row.parent) {
            return Ok(Some((row, unit)));
        }
        self.organization.refresh().await?;
        let Some(row) = self.known_row(id).await? else {
            return Ok(None);
        };
        match self.organization.path(&row.parent) {
            Some(unit) => Ok(Some((row, unit))),
            None => {
                let message = format!(
                    "account {id} is in the organizational unit {}, which was made while the organization was read: it \
                     is read again",
                    row.parent
                );
                let (kind, reason) = (FailureKind::Transient, reasons::READING_ORGANIZATION);
                Err(Failure::new(kind, reason, message))
            }
        }
    }

    async fn adopt(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        id: AccountId,
    ) -> Result<Identity, Failure> {
        let uid = object.uid();
        let same = |other: &TeamAccount| {
            other.uid() != uid
                && other
                    .status
                    .as_ref()
                    .and_then(|status| status.account_id.as_deref())
                    == Some(id.as_str())
        };
        if let Some(other) = self.caches.accounts(same).first() {
            let message = format!(
                "spec.accountId: account {id} is managed by TeamAccount {}/{} already; delete that one first (the \
                 account is kept)",
                other.namespace().unwrap_or_default(),
                other.name_any()
            );
            return Ok(Err(Outcome::blocked(reasons::OWNED_BY_OTHER, message)));
        }
        let Some(row) = self.known_row(&id).await? else {
            let message = format!(
                "spec.accountId: {id} is not a member of this organization; invite the account first, or correct the id"
            );
            return Ok(Err(Outcome::blocked(reasons::NOT_A_MEMBER, message)));
        };
        if self.organization.cloud().units.company().await?.management == id {
            let message = format!(
                "spec.accountId: {id} is the organization's management account: no team has it, and it is neither moved nor \
                 put into quarantine"
            );
            return Ok(Err(Outcome::blocked(reasons::INVALID_SPEC, message)));
        }
        // Those that the view knows may have been taken off since, as a refusal told somebody to.
        let tags = self.tags_now(&id).await?;
        if let Ownership::Others(owner) = ownership(&tags, &uid.unwrap_or_default()) {
            return Ok(Err(owned_by_other(&id, &owner.reference, &owner.cluster)));
        }
        record.status.account_id = Some(id.to_string());
        // Of what it bears nothing is ours yet, whatever a creation of ours that failed had asked for.
        record.status.tag_keys.clear();
        record.note(
            reasons::ADOPTED,
            format!("adopting member account {id} ({})", row.account.name),
        );
        // Durable before anything is written to the account: else an object that is deleted meanwhile would not know
        // what it has to let go.
        record.save().await?;
        Ok(Ok(id))
    }

    /// The account's tags as AWS has them now: what is written to or let go must be ours at this moment.
    pub(super) async fn tags_now(&self, id: &AccountId) -> Result<Tags, Failure> {
        let tags = self.organization.cloud().accounts.tags(id).await?;
        self.organization
            .update(id, |row| row.tags = Some(tags.clone()));
        Ok(tags)
    }

    /// The account's tags, from the view or from AWS.
    pub(super) async fn tags(&self, row: &Row) -> Result<Tags, Failure> {
        if let Some(tags) = &row.tags {
            return Ok(tags.clone());
        }
        let tags = self
            .organization
            .cloud()
            .accounts
            .tags(&row.account.id)
            .await?;
        self.organization
            .update(&row.account.id, |row| row.tags = Some(tags.clone()));
        Ok(tags)
    }
}

fn parse(id: &str) -> Identity {
    id.parse()
        .map_err(|error| Outcome::blocked(reasons::INVALID_SPEC, format!("account id: {error}")))
}

/// Another object's tags are on the account.
pub(super) fn owned_by_other(id: &AccountId, owner: &str, cluster: &str) -> Outcome {
    let message = format!(
        "account {id} belongs to {owner} of cluster {cluster:?}, as its tags say: delete that object first, or have the \
         platform team remove the account's bailiwick.dev/ tags if it is gone"
    );
    Outcome::blocked(reasons::OWNED_BY_OTHER, message)
}
