//! Act, when the object is deleted: the repository is kept or deleted, as the deletion policy says.

use kube::ResourceExt;

use super::{ImageRepositories, Place, reasons, validate};
use crate::api::{ImageRepository, Mode, RepositoryDeletionPolicy};
use crate::cloud::{ErrorKind, Repositories, Repository};
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::model::{RepositoryName, TAG_CLUSTER, TAG_OWNER, TAG_UID};
use crate::plan::account::{Ownership, ownership};

impl ImageRepositories {
    /// Lets go of the repository.
    pub(super) async fn leave(
        &self,
        object: &ImageRepository,
        record: &mut Record<ImageRepository>,
    ) -> Result<Outcome, Failure> {
        let uid = object.uid().unwrap_or_default();
        self.checks.forget(&uid);
        // Recorded before the first write outside.
        let Some(account) = record.status.account_id.clone() else {
            return Ok(Outcome::Released);
        };
        if object.spec.mode == Mode::Plan {
            let why = "mode: Plan writes nothing outside; its tags are left";
            self.retained(record, &account, why);
            return Ok(Outcome::Released);
        }
        let Some((place, name)) = self.whereabouts(object) else {
            let why = "its account or team is not declared any more; nothing was changed";
            self.retained(record, &account, why);
            return Ok(Outcome::Released);
        };
        if object.spec.suspend {
            let message = format!(
                "repository {name} is suspended: set spec.suspend to false to have the deletion go on"
            );
            return Ok(Outcome::blocked(reasons::SUSPENDED, message));
        }
        let port = match self.enter(&place).await? {
            Ok(port) => port,
            Err(Outcome::Blocked { reason, message }) => {
                let message = format!(
                    "{message}; to let go of repository {name} without a change there, set spec.mode to Plan"
                );
                return Ok(Outcome::blocked(reason, message));
            }
            Err(other) => return Ok(other),
        };
        let Some(repository) = port.repository(&name).await? else {
            let message = format!("repository {name} in account {account} is not there any more");
            record.note(reasons::REPOSITORY_DELETED, message);
            return Ok(Outcome::Released);
        };
        let tags = port.tags(&repository.arn).await?;
        if ownership(&tags, &uid) != Ownership::Ours {
            let why = "its tags do not name this object; nothing was changed";
            self.retained(record, &account, why);
            return Ok(Outcome::Released);
        }
        record.may_write()?;
        match object.spec.deletion_policy {
            RepositoryDeletionPolicy::Retain => {
                retain(record, port.as_ref(), &repository).await?;
                Ok(Outcome::Released)
            }
            RepositoryDeletionPolicy::Delete => {
                // The policy may have been withdrawn.
                record.reaffirm().await?;
                delete(record, port.as_ref(), &repository, &name).await
            }
        }
    }

    /// Where the repository is, as far as everything that says so is still declared.
    fn whereabouts(&self, object: &ImageRepository) -> Option<(Place, RepositoryName)> {
        let team = self
            .caches
            .team_of(&object.namespace().unwrap_or_default())?;
        let account = self.account_of(object);
        let class = account
            .as_ref()
            .and_then(|account| self.caches.class(&account.spec.class_name));
        let given = validate::Given {
            team: Some(&team),
            account: account.as_ref(),
            class: class.as_ref(),
            platform: self.platform.as_ref(),
        };
        let place = validate::place(object, &given).ok()?;
        let name = validate::name(object, &team.name_any()).parse().ok()?;
        Some((place, name))
    }

    fn retained(&self, record: &mut Record<ImageRepository>, account: &str, why: &str) {
        let what = match &record.status.arn {
            Some(arn) => format!("repository {arn}"),
            None => format!("whatever was created for this object in account {account}"),
        };
        record.note(
            reasons::REPOSITORY_RETAINED,
            format!("{what} is kept: {why}"),
        );
    }
}

/// The repository stays as it is; only what says that it is ours is taken off.
async fn retain(
    record: &mut Record<ImageRepository>,
    port: &dyn Repositories,
    repository: &Repository,
) -> Result<(), Failure> {
    let keys = [TAG_OWNER, TAG_UID, TAG_CLUSTER].map(str::to_owned);
    port.untag(&repository.arn, &keys).await?;
    let message = format!(
        "repository {} is kept and no longer managed; another ImageRepository takes it over with spec.adopt",
        repository.arn
    );
    record.note(reasons::REPOSITORY_RETAINED, message);
    Ok(())
}

/// Images are deleted by people, never by us: a repository goes only when it is empty.
async fn delete(
    record: &mut Record<ImageRepository>,
    port: &dyn Repositories,
    repository: &Repository,
    name: &RepositoryName,
) -> Result<Outcome, Failure> {
    let count = port.count_images(name).await?;
    let full = |how_many: String| {
        let message = format!(
            "repository {} is not deleted, since there are {how_many} images in it: delete them, or set \
             spec.deletionPolicy to Retain",
            repository.arn
        );
        Ok(Outcome::blocked(reasons::NOT_EMPTY, message))
    };
    if count.seen > 0 {
        let more = if count.more { "more than " } else { "" };
        return full(format!("{more}{}", count.seen));
    }
    match port.delete_repository(name).await {
        // Somebody pushed meanwhile.
        Err(error) if error.code == "RepositoryNotEmptyException" => full("new".to_owned()),
        Err(error) if error.kind != ErrorKind::NotFound => Err(error.into()),
        _ => {
            let message = format!("repository {} was deleted; it was empty", repository.arn);
            record.note(reasons::REPOSITORY_DELETED, message);
            Ok(Outcome::Released)
        }
    }
}
