//! Act: follow a creation that has begun, here or in an earlier life, to its outcome.

use std::collections::HashSet;
use std::time::Duration;

use kube::ResourceExt;

use super::create::{asked, plan_creation};
use super::identify::Identity;
use super::validate::Refusal;
use super::{TeamAccounts, reasons, report};
use crate::api::{CreationStatus, Mode, TeamAccount};
use crate::cloud::{Account, CreateRequest, RequestId, RequestState};
use crate::engine::conditions::Truth;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::model::{AccountId, AccountState};
use crate::plan::account::{DesiredAccount, Ownership, ownership};
use crate::plan::creation::{self, Intent};

/// How long a lost creation is searched for before CreateAccount is called again: AWS's lists may lag behind.
const SEARCH_FOR: i64 = 30;
/// How soon the search is repeated.
const SEARCH_AGAIN: Duration = Duration::from_secs(10);
/// How soon a creation is looked at although nobody said that it is done.
pub(super) const CREATING_AGAIN: Duration = Duration::from_secs(300);

impl TeamAccounts {
    /// A creation has begun, and its object cannot be carried out any more as it, its class or its team is declared by
    /// now. AWS goes on all the same: the outcome is recorded, so that the account is known and its slot is free.
    pub(super) async fn record_outcome(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        (reason, message): Refusal,
    ) -> Result<Outcome, Failure> {
        if let Some(intent) = open_creation(record) {
            match self.follow(object, record, None, &intent).await? {
                Ok(id) => report::created(record, &id),
                Err(Outcome::Waiting {
                    reason,
                    message: waits,
                    after,
                }) => {
                    let message = format!("{waits}. It goes no further then: {message}");
                    return Ok(Outcome::waiting(reason, message, after));
                }
                Err(_) => {}
            }
        }
        Ok(Outcome::blocked(reason, message))
    }

    /// A creation has begun, here or in an earlier life: what has become of it? Without `desired`, because nothing can or
    /// shall be created any more, none is begun anew.
    pub(super) async fn follow(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: Option<&DesiredAccount>,
        intent: &CreationStatus,
    ) -> Result<Identity, Failure> {
        if let Some(id) = record.status.create_request_id.clone() {
            return self
                .await_request(object, record, desired, intent, &RequestId(id))
                .await;
        }
        let uid = object.uid().unwrap_or_default();
        if let Some(identity) = self.search(object, record, desired, intent).await? {
            self.organization.search_done(&uid);
            return Ok(identity);
        }
        if !self.has_searched(record, &uid) {
            return Ok(Err(searching(
                "looking whether AWS has been asked to create the account",
            )));
        }
        self.organization.search_done(&uid);
        let held = object.spec.suspend || object.spec.mode == Mode::Plan;
        if let Some(desired) = desired.filter(|_| !held) {
            return self.call(object, record, desired).await;
        }
        self.organization.slot_done(&uid, None);
        record.status.creation = None;
        Ok(Err(match desired {
            Some(desired) => plan_creation(object, record, desired),
            None => Outcome::Released,
        }))
    }

    /// Whether a lost creation was searched for so long that what AWS does not show is not there.
    fn has_searched(&self, record: &Record<TeamAccount>, uid: &str) -> bool {
        let since = self.organization.searching_since(uid);
        record.now.as_second() - since.as_second() >= SEARCH_FOR
    }

    /// Looks for a creation whose answer was lost: first among the requests, then by e-mail among the members.
    async fn search(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: Option<&DesiredAccount>,
        intent: &CreationStatus,
    ) -> Result<Option<Identity>, Failure> {
        let ours = Intent {
            account_name: &intent.account_name,
            started_at: intent.started_at.0,
        };
        let uid = object.uid();
        let of_others = |other: &TeamAccount| {
            let status = other.status.as_ref().filter(|_| other.uid() != uid)?;
            status.create_request_id.clone()
        };
        let taken: HashSet<String> = self.caches.each_account(of_others).into_iter().collect();
        let candidate = |request: &CreateRequest| {
            creation::may_be_ours(&ours, &request.account_name, request.requested)
                && !taken.contains(&request.id.0)
                && !matches!(request.state, RequestState::Failed(_))
        };
        // All of them: one of the same name may be somebody else's, and must not hide ours.
        let all = self.organization.all_requests().await?;
        for request in all.iter().filter(|request| candidate(request)) {
            if let RequestState::Succeeded(id) = &request.state
                && !self.is_really_ours(object, id, intent).await?
            {
                continue;
            }
            record.status.create_request_id = Some(request.id.to_string());
            let intent = CreationStatus {
                found_by_name: true,
                ..intent.clone()
            };
            record.status.creation = Some(intent.clone());
            record.save().await?;
            let identity = self
                .await_request(object, record, desired, &intent, &request.id)
                .await?;
            return Ok(Some(identity));
        }
        self.organization.refresh().await?;
        let row = intent
            .email
            .parse()
            .ok()
            .and_then(|email| self.organization.by_email(&email));
        match row {
            Some(row) => {
                let identity = self.claim(object, record, &row).await?;
                let Err(outcome) = &identity else {
                    return Ok(Some(identity));
                };
                // That it bears nobody's tags may be an answer from before it had ours.
                let is_others = matches!(outcome, Outcome::Blocked { reason, .. } if *reason == reasons::OWNED_BY_OTHER);
                if !is_others && !self.has_searched(record, uid.as_deref().unwrap_or_default()) {
                    return Ok(None);
                }
                if let Some(creation) = &mut record.status.creation {
                    // Another's: AWS gives an address to one account only, so ours has come, or will come, to nothing.
                    creation.failure = Some("EMAIL_ALREADY_EXISTS".to_owned());
                    self.organization.slot_done(&uid.unwrap_or_default(), None);
                }
                Ok(Some(identity))
            }
            None => Ok(None),
        }
    }

    /// The request is known: waits for it, or takes its outcome.
    pub(super) async fn await_request(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: Option<&DesiredAccount>,
        intent: &CreationStatus,
        request: &RequestId,
    ) -> Result<Identity, Failure> {
        let (uid, name) = (object.uid().unwrap_or_default(), object.name_any());
        let namespace = object.namespace().unwrap_or_default();
        let since = intent.started_at.0;
        let Some(done) = self
            .organization
            .request(request, (&uid, &namespace, &name), since)
        else {
            let message = format!(
                "AWS is creating the account (request {request}); this takes a minute or two"
            );
            record.set("Created", Truth::False, reasons::CREATING, &message);
            return Ok(Err(Outcome::waiting(
                reasons::CREATING,
                message,
                CREATING_AGAIN,
            )));
        };
        match done.state {
            RequestState::InProgress => Ok(Err(Outcome::waiting(
                reasons::CREATING,
                "AWS is creating the account",
                CREATING_AGAIN,
            ))),
            RequestState::Succeeded(id) => {
                if intent.found_by_name && !self.is_really_ours(object, &id, intent).await? {
                    return self.not_ours(record, request).await;
                }
                self.born(record, desired, intent, &id).await?;
                self.found(object, record, &id, Some(request)).await?;
                Ok(Ok(id))
            }
            // AWS shows no address in requests: this may be a namesake's failure, while ours is under way. A failed one
            // is no candidate any more, and if it was ours, asking again tells.
            RequestState::Failed(_) if intent.found_by_name => self.not_ours(record, request).await,
            RequestState::Failed(reason) => {
                if let Some(creation) = &mut record.status.creation {
                    creation.failure = Some(reason.clone());
                }
                record.warn(
                    reasons::CREATION_FAILED,
                    format!("AWS did not create the account: {reason}"),
                );
                self.organization.slot_done(&uid, None);
                record.save().await?;
                self.organization.forget_request(request);
                let unchanged = CreationStatus {
                    failure: Some(reason.clone()),
                    ..intent.clone()
                };
                let identity = match desired {
                    Some(desired) => {
                        self.after_failure(object, record, desired, &unchanged, &reason)
                            .await?
                    }
                    None => self.judge(object, record, &unchanged, &reason).await?,
                };
                Ok(identity.unwrap_or_else(|| {
                    Err(searching(
                        "the spec has changed; the creation is begun anew",
                    ))
                }))
            }
        }
    }

    /// A request that was found by its name says nothing about ours: the search goes on.
    async fn not_ours(
        &self,
        record: &mut Record<TeamAccount>,
        request: &RequestId,
    ) -> Result<Identity, Failure> {
        self.organization.forget_request(request);
        record.status.create_request_id = None;
        record.save().await?;
        Ok(Err(searching(
            "a request of the same name was not ours, as far as AWS tells",
        )))
    }

    /// A request that was found by its name proves itself by its account: our address, and our uid from birth on.
    async fn is_really_ours(
        &self,
        object: &TeamAccount,
        id: &AccountId,
        intent: &CreationStatus,
    ) -> Result<bool, Failure> {
        let accounts = &self.organization.cloud().accounts;
        let account = accounts.account(id).await?;
        if !account.email.eq_ignore_ascii_case(&intent.email) {
            return Ok(false);
        }
        let tags = accounts.tags(id).await?;
        Ok(ownership(&tags, &object.uid().unwrap_or_default()) == Ownership::Ours)
    }

    /// Enters a newborn account into the view: AWS puts it into the root, with the tags that we asked for. Where something
    /// else is asked for by now, its tags are looked up when they matter.
    async fn born(
        &self,
        record: &Record<TeamAccount>,
        desired: Option<&DesiredAccount>,
        intent: &CreationStatus,
        id: &AccountId,
    ) -> Result<(), Failure> {
        if self.organization.row(id).is_some() {
            return Ok(());
        }
        let account = Account {
            id: id.clone(),
            name: intent.account_name.clone(),
            email: intent.email.clone(),
            state: AccountState::PendingActivation,
            joined: Some(record.now),
        };
        let root = self.organization.root().await?;
        let same =
            desired.filter(|desired| intent.asked.as_deref() == Some(asked(desired).as_str()));
        self.organization
            .enter_newborn(account, root, same.map(DesiredAccount::all_tags));
        Ok(())
    }

    /// The account exists: its id is recorded before anything else can go wrong.
    pub(super) async fn found(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        id: &AccountId,
        request: Option<&RequestId>,
    ) -> Result<(), Failure> {
        record.status.account_id = Some(id.to_string());
        if let Some(creation) = &mut record.status.creation {
            // Whatever was taken for its end before.
            creation.failure = None;
        }
        record.note(reasons::CREATED, format!("account {id} was created"));
        let began = record
            .status
            .creation
            .as_ref()
            .map(|creation| creation.started_at.0.as_second());
        let took = began.map(|began| Duration::from_secs(record.now.as_second().abs_diff(began)));
        // Before the write: should it fail, the next pass finds the account and does not come by here again.
        self.organization
            .slot_done(&object.uid().unwrap_or_default(), took);
        record.save().await?;
        if let Some(request) = request {
            self.organization.forget_request(request);
        }
        Ok(())
    }
}

/// The creation that has no outcome yet.
pub(super) fn open_creation(record: &Record<TeamAccount>) -> Option<CreationStatus> {
    let status = &record.status;
    let creation = status.creation.as_ref()?;
    (status.account_id.is_none() && creation.failure.is_none()).then(|| creation.clone())
}

pub(super) fn searching(message: &str) -> Outcome {
    Outcome::waiting(reasons::SEARCHING, message, SEARCH_AGAIN)
}
