//! Act: create the account, exactly once.
//!
//! The record of an intent is in the status, under optimistic lock, before CreateAccount is called; the request's id
//! right after. Whatever is killed in between, the next pass finds the record, searches (`follow.rs`), and calls again
//! only if AWS knows nothing. AWS keeps e-mail addresses unique, so that even a search that sees too little creates
//! nothing twice.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::follow::searching;
use super::identify::Identity;
use super::{TeamAccounts, reasons};
use crate::api::{ChangeStatus, CreationStatus, Mode, TeamAccount};
use crate::cloud::NewAccount;
use crate::controllers::organization::Row;
use crate::engine::conditions::Truth;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::model::RootEmail;
use crate::plan::account::{DesiredAccount, Ownership, ownership};
use crate::plan::revision::revision;

impl TeamAccounts {
    pub(super) async fn create(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
    ) -> Result<Identity, Failure> {
        if let Some(past) = record.status.creation.clone() {
            match &past.failure {
                None => return self.follow(object, record, Some(desired), &past).await,
                Some(reason) => {
                    if let Some(outcome) = self
                        .after_failure(object, record, desired, &past, reason)
                        .await?
                    {
                        return Ok(outcome);
                    }
                }
            }
        }
        let taken = self.email_is_free(object, record, &desired.email).await?;
        if !matches!(taken, Some(Ok(_))) {
            // Forgotten at once: who has to wait for a slot first must not fall back to the old failure. An account that
            // turns out to be ours was named by it, though.
            record.status.creation = None;
            record.status.create_request_id = None;
        }
        if let Some(identity) = taken {
            return Ok(identity);
        }
        if object.spec.mode == Mode::Plan || object.spec.suspend {
            return Ok(Err(plan_creation(object, record, desired)));
        }
        if let Some(outcome) = self.take_slot(object, record) {
            return Ok(Err(outcome));
        }
        let uid = object.uid().unwrap_or_default();
        record.status.creation = Some(CreationStatus {
            email: desired.email.to_string(),
            account_name: desired.name.to_string(),
            marker: format!("{uid}/{}", record.now.as_second()),
            started_at: Time(record.now),
            found_by_name: false,
            asked: Some(asked(desired)),
            failure: None,
        });
        record.status.create_request_id = None;
        record.status.tag_keys = desired.tags.keys().cloned().collect();
        record.status.queue = None;
        record.status.plan.clear();
        record.set(
            "Created",
            Truth::False,
            reasons::CREATING,
            "AWS is asked to create the account",
        );
        if let Err(failure) = record.save().await {
            self.organization.slot_done(&uid, None);
            return Err(failure);
        }
        self.call(object, record, desired).await
    }

    /// Whether the address can be used; `Some`: it cannot, or the account is there already.
    async fn email_is_free(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        email: &RootEmail,
    ) -> Result<Option<Identity>, Failure> {
        let uid = object.uid();
        if let Some(row) = self.organization.by_email(email) {
            return Ok(Some(self.claim(object, record, &row).await?));
        }
        // An account that exists is in the view, by the address that it has now.
        let asks = |other: &TeamAccount| {
            let status = other.status.as_ref();
            let status = status.filter(|status| status.account_id.is_none());
            status.and_then(|status| Some(status.creation.as_ref()?.email.clone()))
        };
        let same = |other: &TeamAccount| {
            other.uid() != uid
                && asks(other).is_some_and(|asked| asked.eq_ignore_ascii_case(email.as_str()))
        };
        Ok(self.caches.accounts(same).first().map(|other| {
            Err(Outcome::blocked(
                reasons::OWNED_BY_OTHER,
                format!(
                    "TeamAccount {}/{} asks for the same e-mail address {email}: set spec.email to another one",
                    other.namespace().unwrap_or_default(),
                    other.name_any()
                ),
            ))
        }))
    }

    /// A member account has our e-mail address: ours only if it bears our uid.
    pub(super) async fn claim(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        row: &Row,
    ) -> Result<Identity, Failure> {
        let (id, email) = (&row.account.id, &row.account.email);
        let name = &row.account.name;
        // As they are now: what the view knows may be what was there when somebody was told to take it off.
        let tags = self.tags_now(id).await?;
        let (reason, message) = match ownership(&tags, &object.uid().unwrap_or_default()) {
            Ownership::Ours => {
                self.found(object, record, id, None).await?;
                return Ok(Ok(id.clone()));
            }
            Ownership::Others(owner) => (
                reasons::OWNED_BY_OTHER,
                format!(
                    "e-mail address {email} belongs to member account {id} ({name}), and that to {} (uid {}) of cluster \
                     {:?}, as its tags say: set spec.email to another address; or, if that object is gone, have the \
                     platform team remove the account's bailiwick.dev/ tags, and set spec.accountId to {id} to adopt it; \
                     nothing was changed",
                    owner.reference, owner.uid, owner.cluster
                ),
            ),
            Ownership::Unclaimed => (
                reasons::EMAIL_TAKEN_BY_MEMBER,
                format!(
                    "e-mail address {email} belongs to member account {id} ({name}): set spec.accountId to {id} to adopt \
                     it, or spec.email to another address; nothing was changed"
                ),
            ),
        };
        record.set("Created", Truth::False, reason, &message);
        Ok(Err(Outcome::blocked(reason, message)))
    }

    /// Calls CreateAccount. The intent is recorded.
    pub(super) async fn call(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
    ) -> Result<Identity, Failure> {
        let Some(intent) = record.status.creation.clone() else {
            return Ok(Err(searching("the creation is looked up")));
        };
        let (Ok(email), Ok(name)) = (intent.email.parse(), intent.account_name.parse()) else {
            record.status.creation = None;
            return Ok(Err(searching(
                "the recorded creation cannot be read and is begun anew",
            )));
        };
        record.may_write()?;
        let new = NewAccount {
            email,
            name,
            access_role: desired.access_role.clone(),
            tags: desired.all_tags(),
        };
        let uid = object.uid().unwrap_or_default();
        match self
            .organization
            .cloud()
            .accounts
            .create_account(&new)
            .await
        {
            Ok(request) => {
                record.status.create_request_id = Some(request.id.to_string());
                let id = request.id.clone();
                let intent = CreationStatus {
                    found_by_name: false,
                    ..intent
                };
                record.status.creation = Some(intent.clone());
                self.organization.enter_request(request);
                self.organization.search_done(&uid);
                record.save().await?;
                self.await_request(object, record, Some(desired), &intent, &id)
                    .await
            }
            Err(error) => self.refused(object, record, error).await,
        }
    }
}

/// Everything that CreateAccount is asked for, in one word: after a refusal, another word is another question.
pub(super) fn asked(desired: &DesiredAccount) -> String {
    let (email, name, role) = (&desired.email, &desired.name, &desired.access_role);
    revision(&format!(
        "{email}\n{name}\n{role}\n{:?}",
        desired.all_tags()
    ))
}

pub(super) fn plan_creation(
    object: &TeamAccount,
    record: &mut Record<TeamAccount>,
    desired: &DesiredAccount,
) -> Outcome {
    record.status.plan = vec![ChangeStatus {
        action: "CreateAccount".to_owned(),
        target: desired.name.to_string(),
        before: None,
        after: Some(format!("{} in {}", desired.email, desired.unit)),
    }];
    record.set(
        "Created",
        Truth::False,
        reasons::CHANGES_PLANNED,
        "the account does not exist",
    );
    super::report::held(object, record, 1)
}
