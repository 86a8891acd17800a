//! Repositories of container images by Amazon ECR, in one account and one region.

mod convert;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::config::{Builder, Region as AwsRegion};
use aws_sdk_ecr::error::SdkError;
use aws_sdk_ecr::types::{ImageIdentifier, RepositoryScanningConfiguration, ScanFrequency};

use super::super::{
    CloudError, Image, ImageCount, NewRepository, RegistryToken, Repositories, Repository, Result,
};
use super::error::classify;
use super::odd_answer;
use super::sessions::{OpenSessions, Session, SessionKey};
use crate::model::{Region, RepositoryName, TagMutability, Tags};
use convert::{
    by, encryption_to_aws, mutability_to_aws, repository_from_aws, scanned, tags_to_aws,
    token_from_aws,
};

/// Every kind of manifest that an image can have: what is not named here AWS may convert, and then the digest is of
/// something else.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// [`Repositories`] by the ECR of the account that the session is in.
pub(super) struct EcrRepositories {
    client: Client,
    session: Arc<Session>,
    region: Region,
    key: SessionKey,
    open: Weak<OpenSessions>,
}

impl EcrRepositories {
    pub(super) fn new(
        client: Client,
        session: Arc<Session>,
        region: Region,
        (key, open): (SessionKey, Weak<OpenSessions>),
    ) -> Self {
        Self {
            client,
            session,
            region,
            key,
            open,
        }
    }

    /// The session's credentials, at the region's endpoint.
    fn here(&self) -> Builder {
        let region = AwsRegion::from_static(self.region.as_str());
        self.session.ecr().region(region)
    }

    /// The class of an error; what AWS does not let us do closes the session, as everywhere inside.
    fn failed<E>(&self, operation: &'static str, error: SdkError<E>) -> CloudError
    where
        E: std::error::Error + aws_sdk_ecr::error::ProvideErrorMetadata + 'static,
    {
        OpenSessions::check(&self.open, &self.key, classify(operation, error))
    }

    async fn batch(
        &self,
        name: &RepositoryName,
        ids: Vec<ImageIdentifier>,
    ) -> Result<Vec<aws_sdk_ecr::types::Image>> {
        const OPERATION: &str = "ecr.BatchGetImage";
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self
            .client
            .batch_get_image()
            .repository_name(name.as_str())
            .set_image_ids(Some(ids))
            .set_accepted_media_types(Some(MEDIA_TYPES.map(str::to_owned).to_vec()))
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        // Failures are images that are not there, or that are in the archive and do not expire.
        Ok(answer.images.unwrap_or_default())
    }
}

#[async_trait]
impl Repositories for EcrRepositories {
    async fn token(&self) -> Result<RegistryToken> {
        const OPERATION: &str = "ecr.GetAuthorizationToken";
        let answer = self
            .client
            .get_authorization_token()
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        let given = answer.authorization_data().first();
        token_from_aws(given.ok_or_else(|| odd_answer(OPERATION, "token"))?)
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Option<Repository>> {
        const OPERATION: &str = "ecr.DescribeRepositories";
        let answer = self
            .client
            .describe_repositories()
            .repository_names(name.as_str())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error));
        let answer = match answer {
            Err(error) if error.code == "RepositoryNotFoundException" => return Ok(None),
            answer => answer?,
        };
        let found = answer.repositories().first();
        found
            .map(|found| repository_from_aws(OPERATION, found))
            .transpose()
    }

    async fn create_repository(&self, new: &NewRepository) -> Result<Repository> {
        const OPERATION: &str = "ecr.CreateRepository";
        let NewRepository {
            name,
            mutability,
            encryption,
            tags,
        } = new;
        let (mutability, filters) = mutability_to_aws(OPERATION, mutability)?;
        let answer = self
            .client
            .create_repository()
            .repository_name(name.as_str())
            .image_tag_mutability(mutability)
            .set_image_tag_mutability_exclusion_filters(filters)
            .image_scanning_configuration(scanned())
            .encryption_configuration(encryption_to_aws(OPERATION, encryption)?)
            .set_tags(Some(tags_to_aws(OPERATION, tags)?))
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        let made = answer.repository();
        repository_from_aws(
            OPERATION,
            made.ok_or_else(|| odd_answer(OPERATION, "repository"))?,
        )
    }

    async fn delete_repository(&self, name: &RepositoryName) -> Result<()> {
        self.client
            .delete_repository()
            .repository_name(name.as_str())
            .force(false)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("ecr.DeleteRepository", error))?;
        Ok(())
    }

    async fn set_mutability(
        &self,
        name: &RepositoryName,
        mutability: &TagMutability,
    ) -> Result<()> {
        const OPERATION: &str = "ecr.PutImageTagMutability";
        let (mutability, filters) = mutability_to_aws(OPERATION, mutability)?;
        self.client
            .put_image_tag_mutability()
            .repository_name(name.as_str())
            .image_tag_mutability(mutability)
            .set_image_tag_mutability_exclusion_filters(filters)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        Ok(())
    }

    async fn is_scanned(&self, name: &RepositoryName) -> Result<bool> {
        const OPERATION: &str = "ecr.BatchGetRepositoryScanningConfiguration";
        let answer = self
            .client
            .batch_get_repository_scanning_configuration()
            .repository_names(name.as_str())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        let scanned = |found: &RepositoryScanningConfiguration| {
            let frequency = found.scan_frequency();
            found.scan_on_push()
                || matches!(
                    frequency,
                    Some(ScanFrequency::ScanOnPush | ScanFrequency::ContinuousScan)
                )
        };
        Ok(answer.scanning_configurations().iter().any(scanned))
    }

    async fn scan_on_push(&self, name: &RepositoryName) -> Result<()> {
        self.client
            .put_image_scanning_configuration()
            .repository_name(name.as_str())
            .image_scanning_configuration(scanned())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("ecr.PutImageScanningConfiguration", error))?;
        Ok(())
    }

    async fn policy(&self, name: &RepositoryName) -> Result<Option<String>> {
        let answer = self
            .client
            .get_repository_policy()
            .repository_name(name.as_str())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("ecr.GetRepositoryPolicy", error));
        match answer {
            Err(error) if error.code == "RepositoryPolicyNotFoundException" => Ok(None),
            answer => Ok(answer?.policy_text),
        }
    }

    async fn set_policy(&self, name: &RepositoryName, policy: &str) -> Result<()> {
        self.client
            .set_repository_policy()
            .repository_name(name.as_str())
            .policy_text(policy)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("ecr.SetRepositoryPolicy", error))?;
        Ok(())
    }

    async fn lifecycle(&self, name: &RepositoryName) -> Result<Option<String>> {
        let answer = self
            .client
            .get_lifecycle_policy()
            .repository_name(name.as_str())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("ecr.GetLifecyclePolicy", error));
        match answer {
            Err(error) if error.code == "LifecyclePolicyNotFoundException" => Ok(None),
            answer => Ok(answer?.lifecycle_policy_text),
        }
    }

    async fn put_lifecycle(&self, name: &RepositoryName, policy: &str) -> Result<()> {
        self.client
            .put_lifecycle_policy()
            .repository_name(name.as_str())
            .lifecycle_policy_text(policy)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("ecr.PutLifecyclePolicy", error))?;
        Ok(())
    }

    async fn delete_lifecycle(&self, name: &RepositoryName) -> Result<()> {
        let answer = self
            .client
            .delete_lifecycle_policy()
            .repository_name(name.as_str())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("ecr.DeleteLifecyclePolicy", error));
        match answer {
            Err(error) if error.code == "LifecyclePolicyNotFoundException" => Ok(()),
            answer => answer.map(drop),
        }
    }

    async fn tags(&self, arn: &str) -> Result<Tags> {
        let answer = self
            .client
            .list_tags_for_resource()
            .resource_arn(arn)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("ecr.ListTagsForResource", error))?;
        let tags = answer.tags().iter();
        Ok(tags
            .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
            .collect())
    }

    async fn tag(&self, arn: &str, tags: &Tags) -> Result<()> {
        const OPERATION: &str = "ecr.TagResource";
        self.client
            .tag_resource()
            .resource_arn(arn)
            .set_tags(Some(tags_to_aws(OPERATION, tags)?))
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        Ok(())
    }

    async fn untag(&self, arn: &str, keys: &[String]) -> Result<()> {
        self.client
            .untag_resource()
            .resource_arn(arn)
            .set_tag_keys(Some(keys.to_vec()))
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("ecr.UntagResource", error))?;
        Ok(())
    }

    async fn count_images(&self, name: &RepositoryName) -> Result<ImageCount> {
        let answer = self
            .client
            .list_images()
            .repository_name(name.as_str())
            .max_results(1000)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("ecr.ListImages", error))?;
        // One line for each tag: an image with two tags is one image.
        let digests = answer.image_ids().iter().filter_map(|id| id.image_digest());
        let digests: std::collections::BTreeSet<&str> = digests.collect();
        Ok(ImageCount {
            seen: digests.len(),
            more: answer.next_token().is_some(),
        })
    }

    async fn tagged(
        &self,
        name: &RepositoryName,
        tags: &[String],
    ) -> Result<BTreeMap<String, String>> {
        let ids = tags.iter().map(|tag| by().image_tag(tag).build());
        let images = self.batch(name, ids.collect()).await?;
        let found = images.iter().filter_map(|image| {
            let id = image.image_id()?;
            Some((id.image_tag()?.to_owned(), id.image_digest()?.to_owned()))
        });
        Ok(found.collect())
    }

    async fn images(&self, name: &RepositoryName, digests: &[String]) -> Result<Vec<Image>> {
        let ids = digests
            .iter()
            .map(|digest| by().image_digest(digest).build());
        let images = self.batch(name, ids.collect()).await?;
        let found = images.into_iter().filter_map(|image| {
            Some(Image {
                digest: image.image_id?.image_digest?,
                manifest: image.image_manifest?,
                media_type: image.image_manifest_media_type,
            })
        });
        Ok(found.collect())
    }

    async fn put_tag(&self, name: &RepositoryName, image: &Image, tag: &str) -> Result<()> {
        self.client
            .put_image()
            .repository_name(name.as_str())
            .image_manifest(&image.manifest)
            .set_image_manifest_media_type(image.media_type.clone())
            // AWS refuses a manifest that is not, byte by byte, the one of this digest.
            .image_digest(&image.digest)
            .image_tag(tag)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("ecr.PutImage", error))?;
        Ok(())
    }
}
