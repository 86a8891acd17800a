//! Act: make the changes that were decided on, in their order.

use std::collections::BTreeSet;

use super::gather::Gathered;
use super::{ImageRepositories, Place, reasons, report};
use crate::api::ImageRepository;
use crate::cloud::{CloudError, ErrorKind, NewRepository};
use crate::engine::conditions::Truth;
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};
use crate::plan::repository::{Change, DesiredRepository, Planned, keep_tag, lifecycle};

impl ImageRepositories {
    /// Makes the changes. `Some`: something is in the way, and what comes after it was not done.
    pub(super) async fn act(
        &self,
        record: &mut Record<ImageRepository>,
        place: &Place,
        desired: &DesiredRepository,
        gathered: &Gathered,
        plan: &[Planned],
    ) -> Result<Option<Outcome>, Failure> {
        if !plan.is_empty() && record.status.account_id.is_none() {
            // Before the first write outside: whoever deletes the object then knows where to look.
            record.status.account_id = Some(place.account.to_string());
            let message = "the repository is about to be created, or taken over";
            record.set("Created", Truth::False, reasons::CREATING, message);
            record.save().await?;
        }
        // Before it bears our tags it is not ours.
        let claims = |planned: &Planned| matches!(planned.change, Change::Tag(_));
        let mut claimed = !plan.iter().any(claims);
        let found = |record: &mut Record<ImageRepository>| {
            if let Some(repository) = &gathered.repository {
                report::repository(record, place, repository);
            }
        };
        if claimed {
            found(record);
        }
        for planned in plan {
            record.may_write()?;
            let outcome = match &planned.change {
                Change::Create => self.create(record, place, desired, gathered).await?,
                Change::Keep(digests) => keep(desired, gathered, digests).await?,
                change => apply(desired, gathered, change).await?,
            };
            if outcome.is_some() {
                return Ok(outcome);
            }
            if !claimed && claims(planned) {
                claimed = true;
                found(record);
            }
        }
        Ok(None)
    }

    async fn create(
        &self,
        record: &mut Record<ImageRepository>,
        place: &Place,
        desired: &DesiredRepository,
        gathered: &Gathered,
    ) -> Result<Option<Outcome>, Failure> {
        let new = NewRepository {
            name: desired.name.clone(),
            mutability: desired.mutability.clone(),
            encryption: desired.encryption(),
            tags: desired.owner.tags(),
        };
        match gathered.port.create_repository(&new).await {
            Ok(made) => {
                report::repository(record, place, &made);
                let message = format!("repository {} was created", made.uri);
                record.note(reasons::CREATED, message);
                Ok(None)
            }
            // Ours after a lost reply, or somebody else's: the next look at its tags tells.
            Err(error) if error.kind == ErrorKind::AlreadyExists => Err(Failure::new(
                FailureKind::Transient,
                crate::engine::reasons::AWS_CONFLICT,
                format!(
                    "repository {} has appeared meanwhile ({error})",
                    desired.name
                ),
            )),
            Err(error) if error.code == "KmsException" => {
                let message = format!(
                    "spec.kmsKeyArn: AWS cannot use the key: it must be in the same region, enabled, and allow ECR in \
                     account {} to use it ({error})",
                    place.account
                );
                Ok(Some(Outcome::blocked(reasons::KEY_REFUSED, message)))
            }
            Err(error) => Err(error.into()),
        }
    }
}

async fn apply(
    desired: &DesiredRepository,
    gathered: &Gathered,
    change: &Change,
) -> Result<Option<Outcome>, Failure> {
    let (port, name) = (&gathered.port, &desired.name);
    match change {
        Change::Create | Change::Keep(_) => {}
        Change::Tag(tags) => {
            if let Some(repository) = &gathered.repository {
                port.tag(&repository.arn, tags).await?;
            }
        }
        Change::RemoveLifecycle => port.delete_lifecycle(name).await?,
        Change::SetMutability => port.set_mutability(name, &desired.mutability).await?,
        Change::ScanOnPush => port.scan_on_push(name).await?,
        Change::SetPolicy => match port.set_policy(name, &desired.policy.to_json()).await {
            Err(error) if error.kind == ErrorKind::Invalid => return Ok(Some(refused(&error))),
            other => other?,
        },
        Change::PutLifecycle(days) => port.put_lifecycle(name, &lifecycle(*days)).await?,
    }
    Ok(None)
}

fn refused(error: &CloudError) -> Outcome {
    let message = format!(
        "AWS refuses the repository's policy: check that every role in spec.pushRoles exists, and every account of the \
         team ({error})"
    );
    Outcome::blocked(reasons::POLICY_REFUSED, message)
}

/// Gives each image its tag. Where one cannot have it, nothing expires.
async fn keep(
    desired: &DesiredRepository,
    gathered: &Gathered,
    digests: &BTreeSet<String>,
) -> Result<Option<Outcome>, Failure> {
    let (port, name) = (&gathered.port, &desired.name);
    for image in &gathered.unkept {
        let Some(tag) = keep_tag(&image.digest).filter(|_| digests.contains(&image.digest)) else {
            continue;
        };
        match port.put_tag(name, image, &tag).await {
            // After a lost reply it is done; otherwise somebody has put the tag elsewhere.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                let at = port.tagged(name, std::slice::from_ref(&tag)).await?;
                if at.get(&tag) == Some(&image.digest) {
                    continue;
                }
                if gathered
                    .seen
                    .as_ref()
                    .is_some_and(|seen| seen.lifecycle.is_some())
                {
                    port.delete_lifecycle(name).await?;
                }
                let message = format!(
                    "image {} was released and cannot be kept, since tag {tag} is at another image: delete that tag. Until \
                     then nothing expires in this repository",
                    image.digest
                );
                return Ok(Some(Outcome::blocked(reasons::KEEP_TAG_TAKEN, message)));
            }
            other => other?,
        }
    }
    Ok(None)
}
