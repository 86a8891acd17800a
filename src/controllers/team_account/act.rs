//! Act: make the changes that were decided on, in their order.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{TeamAccounts, bucket, reasons, validate};
use crate::api::{ANNOTATION_EMAIL_CODE, AccountClass, EmailUpdateStatus, TeamAccount};
use crate::cloud::{CloudError, ErrorKind, ParentId};
use crate::controllers::organization::{Row, Written};
use crate::engine::reasons::{AWS_THROTTLED, NOT_LEADER};
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};
use crate::model::{AccountId, RootEmail, TAG_QUARANTINED_AT, UnitPath};
use crate::plan::account::{Change, DesiredAccount, Planned};
use crate::plan::creation::{self, Verdict};

/// How soon we look again for what a person must give.
const PERSON_AGAIN: Duration = Duration::from_secs(3600);
/// How soon we look again for what AWS takes its time for.
const AWS_AGAIN: Duration = Duration::from_secs(120);

/// What became of the changes.
pub(super) struct Acted {
    /// Those that were made, or begun.
    pub done: Vec<Planned>,
    /// Those that were not.
    pub undone: Vec<Planned>,
    /// Why not: the reason and the words of the first.
    pub obstacle: Option<(&'static str, String)>,
    /// `Some`: something is under way or in the way, and the rest was done.
    pub end: Result<Option<Outcome>, Failure>,
}

impl Acted {
    fn leave(&mut self, undone: &[Planned], reason: &'static str, message: &str) {
        self.undone.extend_from_slice(undone);
        self.obstacle
            .get_or_insert_with(|| (reason, message.to_owned()));
    }

    fn fail(mut self, undone: &[Planned], failure: Failure) -> Self {
        self.leave(undone, failure.label, &failure.message);
        self.end = Err(failure);
        self
    }
}

impl TeamAccounts {
    /// Makes the changes, as many of them as can be made.
    pub(super) async fn act(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
        row: &Row,
        plan: &[Planned],
    ) -> Acted {
        let mut acted = Acted {
            done: Vec::new(),
            undone: Vec::new(),
            obstacle: None,
            end: Ok(None),
        };
        let (mut left, mut failed) = (None, None::<Failure>);
        let mut bucket_refused = false;
        for (at, planned) in plan.iter().enumerate() {
            let this = std::slice::from_ref(planned);
            let of_bucket = matches!(planned.change, Change::Bucket(_));
            // One thing about the bucket builds on the other; and on a bucket that is not ours nothing is done.
            if of_bucket && bucket_refused {
                acted.undone.push(planned.clone());
                continue;
            }
            let done = self.make(object, record, desired, row, planned).await;
            bucket_refused |= of_bucket && !matches!(done, Ok(Ok(None)));
            match done {
                Ok(Ok(outcome)) => {
                    acted.done.push(planned.clone());
                    left = left.or(outcome);
                }
                Ok(Err(outcome)) => {
                    if let Outcome::Waiting {
                        reason, message, ..
                    }
                    | Outcome::Blocked { reason, message } = &outcome
                    {
                        acted.leave(this, reason, message);
                    }
                    left = left.or(Some(outcome));
                }
                Err(failure) if ends_all(&planned.change, &failure) => {
                    return acted.fail(&plan[at..], failure);
                }
                Err(failure) => {
                    acted.leave(this, failure.label, &failure.message);
                    // What may be otherwise soon is tried again soon.
                    let is_first = failed
                        .as_ref()
                        .is_none_or(|first| first.kind == FailureKind::Terminal);
                    failed = if is_first { Some(failure) } else { failed };
                }
            }
        }
        acted.end = match failed {
            Some(failure) => Err(failure),
            None => self
                .forget_email_update(object, record, plan)
                .await
                .map(|()| left),
        };
        acted
    }

    /// Makes one change. `Some`: it is under way. `Err` inside: something is in the way.
    async fn make(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
        row: &Row,
        planned: &Planned,
    ) -> Result<Result<Option<Outcome>, Outcome>, Failure> {
        let id = &row.account.id;
        if let Change::Tag(tags) = &planned.change {
            // Durable first: a tag that nobody knows to be ours would stay for ever.
            let keys = tags.keys().filter(|key| desired.tags.contains_key(*key));
            let keys: BTreeSet<_> = record
                .status
                .tag_keys
                .drain(..)
                .chain(keys.cloned())
                .collect();
            record.status.tag_keys = keys.into_iter().collect();
            record.save().await?;
        }
        record.may_write()?;
        match &planned.change {
            Change::ChangeEmail(email) => {
                self.change_email(object, record, id, email).await.map(Ok)
            }
            change => match self.apply(desired, row, change).await {
                Ok(Some(outcome @ Outcome::Blocked { .. })) => Ok(Err(outcome)),
                Ok(outcome) => Ok(Ok(outcome)),
                Err(error) => in_the_way(error).map(Err),
            },
        }
    }

    /// Whoever wants no other address has none that waits for its code.
    async fn forget_email_update(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        plan: &[Planned],
    ) -> Result<(), Failure> {
        let changes = |planned: &Planned| matches!(planned.change, Change::ChangeEmail(_));
        if plan.iter().any(changes) {
            return Ok(());
        }
        record.status.email_update = None;
        // A code that was acted upon by somebody who could not take it off any more.
        if object.annotations().contains_key(ANNOTATION_EMAIL_CODE) {
            record.remove_annotation(ANNOTATION_EMAIL_CODE).await?;
        }
        Ok(())
    }

    async fn apply(
        &self,
        desired: &DesiredAccount,
        row: &Row,
        change: &Change,
    ) -> Result<Option<Outcome>, CloudError> {
        let (id, cloud) = (&row.account.id, self.organization.cloud());
        match change {
            Change::Move(unit) => {
                let to = self
                    .organization
                    .ensure_unit(unit, &desired.unit_owner.tags())
                    .await?;
                self.move_to(id, &row.parent, &to).await?;
            }
            Change::EndQuarantine => self.untag(id, &[TAG_QUARANTINED_AT.to_owned()]).await?,
            Change::Untag(keys) => self.untag(id, keys).await?,
            Change::Tag(tags) => {
                cloud.accounts.tag(id, tags).await?;
                self.organization.update(id, |row| {
                    row.tags.get_or_insert_default().extend(tags.clone());
                });
            }
            Change::Rename(name) => {
                cloud.settings.rename(id, name).await?;
                self.organization.wrote(id, Written::Name(name.to_string()));
            }
            Change::ChangeEmail(_) => {}
            Change::PutContact(kind, contact) => {
                cloud.settings.put_contact(id, *kind, contact).await?
            }
            Change::SetAlias(alias) => {
                let member = cloud.sessions.enter(id, &desired.access_role).await?;
                match member.set_alias(alias).await {
                    Err(error) if error.kind == ErrorKind::AlreadyExists => {
                        let message = format!(
                            "alias {alias:?} belongs to another AWS account: choose another one in spec.overrides.alias \
                             or the class's aliasTemplate",
                            alias = alias.as_str()
                        );
                        return Ok(Some(Outcome::blocked(reasons::ALIAS_TAKEN, message)));
                    }
                    other => other?,
                }
            }
            Change::PutPasswordPolicy(policy) => {
                let member = cloud.sessions.enter(id, &desired.access_role).await?;
                member.put_password_policy(policy).await?;
            }
            Change::Bucket(change) => {
                let member = cloud.sessions.enter(id, &desired.access_role).await?;
                return bucket::apply(member.as_ref(), desired, change).await;
            }
            Change::EnableRegion(region) => {
                cloud.settings.enable_region(id, *region).await?;
                let message = format!("AWS is enabling region {region}; this can take hours");
                return Ok(Some(Outcome::waiting(
                    reasons::PROGRESSING,
                    message,
                    AWS_AGAIN,
                )));
            }
        }
        Ok(None)
    }

    /// Takes tags off.
    pub(super) async fn untag(&self, id: &AccountId, keys: &[String]) -> Result<(), CloudError> {
        self.organization.cloud().accounts.untag(id, keys).await?;
        self.organization.update(id, |row| {
            if let Some(tags) = &mut row.tags {
                tags.retain(|key, _| !keys.contains(key));
            }
        });
        Ok(())
    }

    /// MoveAccount needs to know where the account is; where the view is out of date, AWS is asked.
    pub(super) async fn move_to(
        &self,
        id: &AccountId,
        from: &ParentId,
        to: &ParentId,
    ) -> Result<(), CloudError> {
        let accounts = &self.organization.cloud().accounts;
        match accounts.move_account(id, from, to).await {
            // It is there, and the reads behind `from` do not show it yet.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {}
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Invalid) => {
                let really = accounts.parent_of(id).await?;
                if really != *to {
                    if really == *from {
                        return Err(error);
                    }
                    accounts.move_account(id, &really, to).await?;
                }
            }
            other => other?,
        }
        self.organization.wrote(id, Written::Parent(to.clone()));
        Ok(())
    }

    /// Changes the root user's address: AWS mails a code to the new one, and a person gives it back.
    async fn change_email(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
        id: &AccountId,
        email: &RootEmail,
    ) -> Result<Option<Outcome>, Failure> {
        let settings = &self.organization.cloud().settings;
        let begun = record
            .status
            .email_update
            .as_ref()
            .is_some_and(|update| update.email == email.as_str());
        let code = object
            .annotations()
            .get(ANNOTATION_EMAIL_CODE)
            .filter(|_| begun);
        match code.map(|code| code.trim()) {
            Some("resend") => {
                record.remove_annotation(ANNOTATION_EMAIL_CODE).await?;
                settings.start_email_update(id, email).await?;
            }
            Some(code) => {
                if self.accept_code(record, id, email, code).await? {
                    return Ok(None);
                }
            }
            None if begun => {}
            None => {
                // Recorded first: AWS sends a mail for every call.
                record.status.email_update = Some(EmailUpdateStatus {
                    email: email.to_string(),
                    requested_at: Time(record.now),
                });
                record.save().await?;
                if let Err(error) = settings.start_email_update(id, email).await {
                    if !error.kind.may_have_happened() {
                        record.status.email_update = None;
                    }
                    return Err(error.into());
                }
            }
        }
        let message = format!(
            "AWS has mailed a code to {email}: put it into the annotation {ANNOTATION_EMAIL_CODE} of this object \
             (kubectl annotate), or the word resend if no mail has come"
        );
        Ok(Some(Outcome::waiting(
            reasons::EMAIL_CONFIRMATION_PENDING,
            message,
            PERSON_AGAIN,
        )))
    }

    /// Gives AWS the code. `false`: AWS refused it.
    async fn accept_code(
        &self,
        record: &mut Record<TeamAccount>,
        id: &AccountId,
        email: &RootEmail,
        code: &str,
    ) -> Result<bool, Failure> {
        let cloud = self.organization.cloud();
        let refusal = match cloud.settings.accept_email_update(id, email, code).await {
            Ok(()) => None,
            Err(error)
                if matches!(
                    error.kind,
                    ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound
                ) =>
            {
                // A code is good once: it may have been taken before, and the answer lost.
                let account = cloud.accounts.account(id).await?;
                let taken = account.email.eq_ignore_ascii_case(email.as_str());
                (!taken).then_some(error)
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(error) = &refusal {
            record.warn(
                "EmailCodeRefused",
                format!("AWS refused the code for {email}: {}", error.message),
            );
        } else {
            self.organization
                .wrote(id, Written::Email(email.to_string()));
            record.status.email_update = None;
            record.note(
                "EmailChanged",
                format!("the root e-mail address of account {id} is now {email}"),
            );
        }
        record.remove_annotation(ANNOTATION_EMAIL_CODE).await?;
        Ok(refusal.is_none())
    }

    /// The unit of that path, for a move; created when missing, and then the class's.
    pub(super) async fn unit_for(
        &self,
        path: &UnitPath,
        class: &AccountClass,
    ) -> Result<ParentId, CloudError> {
        let owner = validate::owner_of_units(class, &self.cluster);
        self.organization.ensure_unit(path, &owner.tags()).await
    }
}

/// Whether nothing more is tried in this pass. One right that is lacking, one value that AWS refuses, or one call that does
/// not come through must not keep the other changes from being made. Whose the account is comes before everything, though,
/// who is told to call less does, and whoever may not write, or has an old object, stops.
fn ends_all(change: &Change, failure: &Failure) -> bool {
    let goes_on = match failure.kind {
        FailureKind::Terminal => true,
        FailureKind::Transient => ![AWS_THROTTLED, NOT_LEADER].contains(&failure.label),
        FailureKind::Conflict | FailureKind::Bug => false,
    };
    !goes_on || matches!(change, Change::Tag(_))
}

/// What a refusal by the organization's rules asks for; other errors stay errors.
fn in_the_way(error: CloudError) -> Result<Outcome, Failure> {
    match error.constraint().map(creation::constraint) {
        Some(Verdict::Person(what) | Verdict::Spec(what)) => {
            Ok(Outcome::blocked("AwsRefused", format!("{error}: {what}")))
        }
        Some(Verdict::Retry | Verdict::EmailTaken) => Ok(Outcome::waiting(
            reasons::PROGRESSING,
            error.to_string(),
            AWS_AGAIN,
        )),
        None => Err(error.into()),
    }
}
