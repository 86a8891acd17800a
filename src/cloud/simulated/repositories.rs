//! Repositories of container images, in each account and region, and what people do to them behind our back.

mod behind;
mod record;

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::faults::Call;
use super::member::Inside;
use super::refusal::refused;
use super::world::World;
use crate::cloud::{
    CloudError, IMAGES_AT_ONCE, Image, ImageCount, NewRepository, RegistryToken, Repositories,
    Repository, Result,
};
use crate::model::{AccountId, Region, RepositoryName, Secret, TagMutability, Tags};
pub(super) use record::as_aws_writes;
use record::expiry;
pub use record::{ImageRecord, RepositoryRecord};

const TOKEN: &str = "ecr.GetAuthorizationToken";
/// As long as AWS's.
const TOKEN_LIVES: std::time::Duration = std::time::Duration::from_secs(12 * 3600);
const DESCRIBE: &str = "ecr.DescribeRepositories";
const CREATE: &str = "ecr.CreateRepository";
const DELETE: &str = "ecr.DeleteRepository";
const MUTABILITY: &str = "ecr.PutImageTagMutability";
const SCANNING: &str = "ecr.PutImageScanningConfiguration";
const GET_SCANNING: &str = "ecr.BatchGetRepositoryScanningConfiguration";
const GET_POLICY: &str = "ecr.GetRepositoryPolicy";
const SET_POLICY: &str = "ecr.SetRepositoryPolicy";
const GET_LIFECYCLE: &str = "ecr.GetLifecyclePolicy";
const PUT_LIFECYCLE: &str = "ecr.PutLifecyclePolicy";
const DELETE_LIFECYCLE: &str = "ecr.DeleteLifecyclePolicy";
const LIST_TAGS: &str = "ecr.ListTagsForResource";
const TAG: &str = "ecr.TagResource";
const UNTAG: &str = "ecr.UntagResource";
const LIST_IMAGES: &str = "ecr.ListImages";
const GET_IMAGES: &str = "ecr.BatchGetImage";
const PUT_IMAGE: &str = "ecr.PutImage";

/// "Repositories per registry" is far away; a page of ListImages has so many lines.
const PAGE: usize = 1000;

/// Where a repository is.
pub(super) type RepositoryKey = (AccountId, Region, RepositoryName);

impl World {
    fn repository(
        &mut self,
        operation: &'static str,
        key: &RepositoryKey,
    ) -> Result<&mut RepositoryRecord> {
        let message = format!("The repository with name '{}' does not exist", key.2);
        self.repositories
            .get_mut(key)
            .ok_or_else(|| refused(operation, "RepositoryNotFoundException", message))
    }

    fn by_arn(&mut self, operation: &'static str, arn: &str) -> Result<&mut RepositoryRecord> {
        self.repositories
            .values_mut()
            .find(|repository| repository.shown.arn == arn)
            .ok_or_else(|| {
                refused(
                    operation,
                    "RepositoryNotFoundException",
                    format!("there is no {arn}"),
                )
            })
    }

    fn create_repository(
        &mut self,
        key: &RepositoryKey,
        new: &NewRepository,
    ) -> Result<Repository> {
        if self.repositories.contains_key(key) {
            let message = format!("The repository with name '{}' already exists", key.2);
            return Err(refused(CREATE, "RepositoryAlreadyExistsException", message));
        }
        let (account, region, name) = key;
        let shown = Repository {
            arn: format!("arn:aws:ecr:{region}:{account}:repository/{name}"),
            uri: format!("{account}.dkr.ecr.{region}.amazonaws.com/{name}"),
            created: Some(self.now),
            mutability: new.mutability.clone(),
            scan_on_push: true,
            encryption: new.encryption.clone(),
        };
        let record = RepositoryRecord {
            shown: shown.clone(),
            scanned_by_registry: false,
            tags: new.tags.clone(),
            policy: None,
            lifecycle: None,
            images: BTreeMap::new(),
        };
        self.repositories.insert(key.clone(), record);
        Ok(shown)
    }

    fn delete_repository(&mut self, key: &RepositoryKey) -> Result<()> {
        let repository = self.repository(DELETE, key)?;
        if !repository.images.is_empty() {
            let message = "The repository cannot be deleted because it still contains images";
            return Err(refused(DELETE, "RepositoryNotEmptyException", message));
        }
        self.repositories.remove(key);
        Ok(())
    }
}

fn unreadable(operation: &'static str) -> CloudError {
    let message = "Invalid parameter: the policy provided is invalid";
    refused(operation, "InvalidParameterException", message)
}

/// The repositories of one account in one region.
pub(super) struct InsideRegion {
    pub(super) inside: Inside,
    pub(super) region: Region,
}

impl InsideRegion {
    fn key(&self, name: &RepositoryName) -> RepositoryKey {
        (self.inside.id.clone(), self.region, name.clone())
    }

    async fn read<T: Send>(
        &self,
        operation: &'static str,
        name: &RepositoryName,
        effect: impl FnOnce(&mut RepositoryRecord) -> Result<T> + Send,
    ) -> Result<T> {
        let (call, key) = (Call::read(operation, name), self.key(name));
        let run = |world: &mut World| effect(world.repository(operation, &key)?);
        self.inside.call(call, run).await
    }

    async fn write<T: Send>(
        &self,
        operation: &'static str,
        name: &RepositoryName,
        effect: impl FnOnce(&mut RepositoryRecord) -> Result<T> + Send,
    ) -> Result<T> {
        let (call, key) = (Call::write(operation, name), self.key(name));
        let run = |world: &mut World| effect(world.repository(operation, &key)?);
        self.inside.call(call, run).await
    }
}

#[async_trait]
impl Repositories for InsideRegion {
    async fn token(&self) -> Result<RegistryToken> {
        let (account, region) = (&self.inside.id, self.region);
        let call = Call::read(TOKEN, format!("{account}/{region}"));
        let run = |world: &mut World| {
            Ok(RegistryToken {
                user: "AWS".to_owned(),
                password: Secret::new(format!("{account}/{region} from {}", world.now)),
                expires: Some(world.now + TOKEN_LIVES),
            })
        };
        self.inside.call(call, run).await
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Option<Repository>> {
        let (call, key) = (Call::read(DESCRIBE, name), self.key(name));
        let run = |world: &mut World| {
            Ok(world
                .repositories
                .get(&key)
                .map(|found| found.shown.clone()))
        };
        self.inside.call(call, run).await
    }

    async fn create_repository(&self, new: &NewRepository) -> Result<Repository> {
        let (call, key) = (Call::write(CREATE, &new.name), self.key(&new.name));
        let run = |world: &mut World| world.create_repository(&key, new);
        self.inside.call(call, run).await
    }

    async fn delete_repository(&self, name: &RepositoryName) -> Result<()> {
        let (call, key) = (Call::write(DELETE, name), self.key(name));
        let run = |world: &mut World| world.delete_repository(&key);
        self.inside.call(call, run).await
    }

    async fn set_mutability(
        &self,
        name: &RepositoryName,
        mutability: &TagMutability,
    ) -> Result<()> {
        self.write(MUTABILITY, name, |repository| {
            repository.shown.mutability = mutability.clone();
            Ok(())
        })
        .await
    }

    async fn is_scanned(&self, name: &RepositoryName) -> Result<bool> {
        self.read(GET_SCANNING, name, |repository| {
            Ok(repository.shown.scan_on_push || repository.scanned_by_registry)
        })
        .await
    }

    async fn scan_on_push(&self, name: &RepositoryName) -> Result<()> {
        self.write(SCANNING, name, |repository| {
            // Where the registry has rules, what is set for one repository does not show.
            repository.shown.scan_on_push = !repository.scanned_by_registry;
            Ok(())
        })
        .await
    }

    async fn policy(&self, name: &RepositoryName) -> Result<Option<String>> {
        self.read(GET_POLICY, name, |repository| Ok(repository.policy.clone()))
            .await
    }

    async fn set_policy(&self, name: &RepositoryName, policy: &str) -> Result<()> {
        self.write(SET_POLICY, name, |repository| {
            repository.policy = Some(as_aws_writes(policy).ok_or_else(|| unreadable(SET_POLICY))?);
            Ok(())
        })
        .await
    }

    async fn lifecycle(&self, name: &RepositoryName) -> Result<Option<String>> {
        self.read(GET_LIFECYCLE, name, |repository| {
            Ok(repository.lifecycle.clone())
        })
        .await
    }

    async fn put_lifecycle(&self, name: &RepositoryName, policy: &str) -> Result<()> {
        self.write(PUT_LIFECYCLE, name, |repository| {
            expiry(policy).ok_or_else(|| unreadable(PUT_LIFECYCLE))?;
            repository.lifecycle = Some(policy.to_owned());
            Ok(())
        })
        .await
    }

    async fn delete_lifecycle(&self, name: &RepositoryName) -> Result<()> {
        self.write(DELETE_LIFECYCLE, name, |repository| {
            repository.lifecycle = None;
            Ok(())
        })
        .await
    }

    async fn tags(&self, arn: &str) -> Result<Tags> {
        let run = |world: &mut World| Ok(world.by_arn(LIST_TAGS, arn)?.tags.clone());
        self.inside.call(Call::read(LIST_TAGS, arn), run).await
    }

    async fn tag(&self, arn: &str, tags: &Tags) -> Result<()> {
        let run = |world: &mut World| {
            world.by_arn(TAG, arn)?.tags.extend(tags.clone());
            Ok(())
        };
        self.inside.call(Call::write(TAG, arn), run).await
    }

    async fn untag(&self, arn: &str, keys: &[String]) -> Result<()> {
        let run = |world: &mut World| {
            let repository = world.by_arn(UNTAG, arn)?;
            repository.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        };
        self.inside.call(Call::write(UNTAG, arn), run).await
    }

    async fn count_images(&self, name: &RepositoryName) -> Result<ImageCount> {
        self.read(LIST_IMAGES, name, |repository| {
            let count = repository.images.len();
            Ok(ImageCount {
                seen: count.min(PAGE),
                more: count > PAGE,
            })
        })
        .await
    }

    async fn tagged(
        &self,
        name: &RepositoryName,
        tags: &[String],
    ) -> Result<BTreeMap<String, String>> {
        self.read(GET_IMAGES, name, |repository| {
            at_most(tags.len())?;
            let mut found = BTreeMap::new();
            for (digest, image) in &repository.images {
                for tag in tags.iter().filter(|tag| image.tags.contains(*tag)) {
                    found.insert(tag.clone(), digest.clone());
                }
            }
            Ok(found)
        })
        .await
    }

    async fn images(&self, name: &RepositoryName, digests: &[String]) -> Result<Vec<Image>> {
        self.read(GET_IMAGES, name, |repository| {
            at_most(digests.len())?;
            let found = digests.iter().filter_map(|digest| {
                let image = repository.images.get(digest)?;
                Some(Image {
                    digest: digest.clone(),
                    manifest: image.manifest.clone(),
                    media_type: Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
                })
            });
            Ok(found.collect())
        })
        .await
    }

    async fn put_tag(&self, name: &RepositoryName, image: &Image, tag: &str) -> Result<()> {
        self.write(PUT_IMAGE, name, |repository| {
            let stored = repository.images.get(&image.digest);
            if stored.is_some_and(|stored| stored.manifest != image.manifest) {
                let message = "The specified image digest does not match the manifest";
                return Err(refused(PUT_IMAGE, "InvalidParameterException", message));
            }
            repository.put_tag(&image.digest, tag)
        })
        .await
    }
}

fn at_most(count: usize) -> Result<()> {
    if count > IMAGES_AT_ONCE {
        let message = "imageIds must have at most 100 items";
        return Err(refused(GET_IMAGES, "InvalidParameterException", message));
    }
    Ok(())
}
