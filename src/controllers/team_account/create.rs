//! Act: find, adopt or create the account, exactly once.
//!
//! The record of an intent is in the status, under optimistic lock, before CreateAccount is called; the request's id
//! right after. Whatever is killed in between, the next pass finds the record, searches, and calls again only if AWS
//! knows nothing. AWS keeps e-mail addresses unique, so that even a search that sees too little creates nothing twice.

use std::collections::HashSet;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{TeamAccounts, reasons};
use crate::api::{ChangeStatus, CreationStatus, Mode, QueueStatus, TeamAccount};
use crate::cloud::{
    Account, CloudError, CreateRequest, ErrorKind, NewAccount, RequestId, RequestState,
};
use crate::controllers::organization::Row;
use crate::engine::conditions::Truth;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::model::{AccountId, AccountState, RootEmail, TAG_QUARANTINED_AT};
use crate::plan::account::{DesiredAccount, Ownership, ownership};
use crate::plan::creation::{self, Intent, Verdict};
use crate::plan::queue::Answer;

/// The account's id, or why there is none yet.
type Identity = Result<AccountId, Outcome>;

/// How long a lost creation is searched for before CreateAccount is called again: AWS's lists may lag behind.
const SEARCH_FOR: i64 = 30;
/// How soon the search is repeated.
const SEARCH_AGAIN: Duration = Duration::from_secs(10);
/// How soon a creation is looked at although nobody said that it is done.
const CREATING_AGAIN: Duration = Duration::from_secs(300);
/// How soon who waits for a slot asks again although nobody has called; the queue forgets who does not.
const QUEUED_AGAIN: Duration = Duration::from_secs(600);
/// How soon a creation that AWS failed for a reason of its own is tried again.
const RETRY_FAILED: i64 = 60;

impl TeamAccounts {
    /// Which account is meant: the recorded one, one to adopt, or one to create.
    pub(super) async fn identify(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
    ) -> Result<Identity, Failure> {
        let wanted = object.spec.account_id.as_deref();
        match (record.status.account_id.as_deref(), wanted) {
            (Some(known), Some(wanted)) if known != wanted => Ok(Err(Outcome::blocked(
                reasons::INVALID_SPEC,
                format!(
                    "spec.accountId: this object manages account {known} already; remove the field"
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
        if let Some(row) = self.organization.row(id) {
            return Ok(Some(row));
        }
        let accounts = &self.organization.cloud().accounts;
        match accounts.account(id).await {
            Ok(account) => {
                let parent = accounts.parent_of(id).await?;
                self.organization.enter(account, parent, None);
                Ok(self.organization.row(id))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
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
        let tags = self.tags(&row).await?;
        if let Ownership::Others(owner) = ownership(&tags, &uid.unwrap_or_default()) {
            return Ok(Err(owned_by_other(&id, &owner.reference, &owner.cluster)));
        }
        let held = object.spec.mode == Mode::Plan || object.spec.suspend;
        if tags.contains_key(TAG_QUARANTINED_AT) && !held {
            // Time that it spent in an earlier quarantine must not count for a later one.
            record.may_write()?;
            let keys = [TAG_QUARANTINED_AT.to_owned()];
            self.organization.cloud().accounts.untag(&id, &keys).await?;
            self.organization.update(&id, |row| {
                if let Some(tags) = &mut row.tags {
                    tags.remove(TAG_QUARANTINED_AT);
                }
            });
        }
        record.status.account_id = Some(id.to_string());
        record.note(
            reasons::ADOPTED,
            format!("adopting member account {id} ({})", row.account.name),
        );
        Ok(Ok(id))
    }

    /// The account's tags as AWS has them now: what is written to or let go must be ours at this moment.
    pub(super) async fn tags_now(&self, id: &AccountId) -> Result<crate::model::Tags, Failure> {
        let tags = self.organization.cloud().accounts.tags(id).await?;
        self.organization
            .update(id, |row| row.tags = Some(tags.clone()));
        Ok(tags)
    }

    /// The account's tags, from the view or from AWS.
    pub(super) async fn tags(&self, row: &Row) -> Result<crate::model::Tags, Failure> {
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

    async fn create(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
    ) -> Result<Identity, Failure> {
        if let Some(past) = record.status.creation.clone() {
            match &past.failure {
                None => return self.follow(object, record, desired, &past).await,
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
        if let Some(identity) = self.email_is_free(object, record, &desired.email).await? {
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
            failure: None,
        });
        record.status.create_request_id = None;
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
        let same = |other: &TeamAccount| {
            let asked = other
                .status
                .as_ref()
                .and_then(|status| status.creation.as_ref());
            other.uid() != uid
                && asked.is_some_and(|asked| asked.email.eq_ignore_ascii_case(email.as_str()))
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
    async fn claim(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        row: &Row,
    ) -> Result<Identity, Failure> {
        let (id, email) = (&row.account.id, &row.account.email);
        let tags = self.tags(row).await?;
        if ownership(&tags, &object.uid().unwrap_or_default()) == Ownership::Ours {
            self.found(object, record, id, None).await?;
            return Ok(Ok(id.clone()));
        }
        let message = format!(
            "e-mail address {email} belongs to member account {id} ({}): set spec.accountId to {id} to adopt it, or \
             spec.email to another address; nothing was changed",
            row.account.name
        );
        record.set(
            "Created",
            Truth::False,
            reasons::EMAIL_TAKEN_BY_MEMBER,
            &message,
        );
        Ok(Err(Outcome::blocked(
            reasons::EMAIL_TAKEN_BY_MEMBER,
            message,
        )))
    }

    /// `None`: try anew.
    async fn after_failure(
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

    /// `Some`: there is no slot yet.
    fn take_slot(&self, object: &TeamAccount, record: &mut Record<TeamAccount>) -> Option<Outcome> {
        let (uid, name) = (object.uid().unwrap_or_default(), object.name_any());
        let namespace = object.namespace().unwrap_or_default();
        let answer =
            self.organization
                .ask_slot((&uid, &namespace, &name), &namespace, &self.unresolved());
        let Answer::Wait { position, estimate } = answer else {
            return None;
        };
        let place = i64::try_from(position).unwrap_or(i64::MAX);
        // Written when it has halved: a queue that moves must not cost a write per object and step.
        let old = record.status.queue.as_ref().map(|queue| queue.position);
        if old.is_none_or(|old| place * 2 <= old && place < old) {
            let start = record.now.checked_add(estimate).ok().map(Time);
            record.status.queue = Some(QueueStatus {
                position: place,
                estimated_start: start,
            });
        }
        record.set(
            "Created",
            Truth::False,
            reasons::QUEUED,
            "waiting for a slot",
        );
        let message = "AWS creates only a few accounts at a time for the whole organization: status.queue tells about \
                       how many come first";
        Some(Outcome::waiting(
            reasons::QUEUED,
            message,
            estimate.clamp(Duration::from_secs(15), QUEUED_AGAIN),
        ))
    }

    /// The objects whose creation has begun and has no outcome, as their statuses say.
    fn unresolved(&self) -> HashSet<String> {
        let begun = |account: &TeamAccount| {
            account.status.as_ref().is_some_and(|status| {
                status.account_id.is_none()
                    && status
                        .creation
                        .as_ref()
                        .is_some_and(|creation| creation.failure.is_none())
            })
        };
        self.caches
            .accounts(begun)
            .iter()
            .filter_map(ResourceExt::uid)
            .collect()
    }

    /// Calls CreateAccount. The intent is recorded.
    async fn call(
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
                self.organization.enter_request(request);
                self.organization.search_done(&uid);
                record.save().await?;
                self.await_request(object, record, desired, &intent, &id)
                    .await
            }
            Err(error) => self.refused(&uid, record, error).await,
        }
    }

    /// CreateAccount did not answer, or said no.
    async fn refused(
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

    /// A creation has begun, here or in an earlier life: what has become of it?
    pub(super) async fn follow(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
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
        let since = self.organization.searching_since(&uid);
        if record.now.as_second() - since.as_second() < SEARCH_FOR {
            return Ok(Err(searching(
                "looking whether AWS has been asked to create the account",
            )));
        }
        self.organization.search_done(&uid);
        if object.metadata.deletion_timestamp.is_some()
            || object.spec.suspend
            || object.spec.mode == Mode::Plan
        {
            self.organization.slot_done(&uid, None);
            record.status.creation = None;
            let deleting = object.metadata.deletion_timestamp.is_some();
            return Ok(Err(if deleting {
                Outcome::Released
            } else {
                plan_creation(object, record, desired)
            }));
        }
        self.call(object, record, desired).await
    }

    /// Looks for a creation whose answer was lost: first among the requests, then by e-mail among the members.
    async fn search(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
        intent: &CreationStatus,
    ) -> Result<Option<Identity>, Failure> {
        let ours = Intent {
            account_name: &intent.account_name,
            started_at: intent.started_at.0,
        };
        let uid = object.uid();
        let taken: HashSet<String> = self
            .caches
            .accounts(|other| other.uid() != uid)
            .iter()
            .filter_map(|other| other.status.as_ref()?.create_request_id.clone())
            .collect();
        let candidate = |request: &CreateRequest| {
            creation::may_be_ours(&ours, &request.account_name, request.requested)
                && !taken.contains(&request.id.0)
                && !matches!(request.state, RequestState::Failed(_))
        };
        // All of them: one of the same name may be somebody else's, and must not hide ours.
        let all = self.organization.requests(|_| false).await?;
        for request in all.into_iter().filter(candidate) {
            if let RequestState::Succeeded(id) = &request.state
                && !self.is_really_ours(object, id, intent).await?
            {
                continue;
            }
            record.status.create_request_id = Some(request.id.to_string());
            record.save().await?;
            let identity = self
                .await_request(object, record, desired, intent, &request.id)
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
            Some(row) => Ok(Some(self.claim(object, record, &row).await?)),
            None => Ok(None),
        }
    }

    /// The request is known: waits for it, or takes its outcome.
    async fn await_request(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
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
                if !self.organization.is_own(request)
                    && !self.is_really_ours(object, &id, intent).await?
                {
                    self.organization.forget_request(request);
                    record.status.create_request_id = None;
                    record.save().await?;
                    return Ok(Err(searching(
                        "a request of the same name was somebody else's",
                    )));
                }
                self.born(record, desired, intent, &id).await?;
                self.found(object, record, &id, Some(request)).await?;
                Ok(Ok(id))
            }
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
                let identity = self
                    .after_failure(object, record, desired, &unchanged, &reason)
                    .await?;
                Ok(identity.unwrap_or_else(|| {
                    Err(searching(
                        "the spec has changed; the creation is begun anew",
                    ))
                }))
            }
        }
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

    /// Enters a newborn account into the view: AWS puts it into the root, with the tags that we asked for.
    async fn born(
        &self,
        record: &Record<TeamAccount>,
        desired: &DesiredAccount,
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
        self.organization
            .enter(account, root, Some(desired.all_tags()));
        Ok(())
    }

    /// The account exists: its id is recorded before anything else can go wrong.
    async fn found(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        id: &AccountId,
        request: Option<&RequestId>,
    ) -> Result<(), Failure> {
        record.status.account_id = Some(id.to_string());
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

fn parse(id: &str) -> Identity {
    id.parse()
        .map_err(|error| Outcome::blocked(reasons::INVALID_SPEC, format!("account id: {error}")))
}

fn searching(message: &str) -> Outcome {
    Outcome::waiting(reasons::SEARCHING, message, SEARCH_AGAIN)
}

/// Another object's tags are on the account.
pub(super) fn owned_by_other(id: &AccountId, owner: &str, cluster: &str) -> Outcome {
    let message = format!(
        "account {id} belongs to {owner} of cluster {cluster:?}, as its tags say: delete that object first, or have the \
         platform team remove the account's bailiwick.dev/ tags if it is gone"
    );
    Outcome::blocked(reasons::OWNED_BY_OTHER, message)
}

fn plan_creation(
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
