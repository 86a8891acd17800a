//! Repositories, governed: ECR counts the calls of each account in each region.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use super::super::budget::Domain;
use super::super::{
    Image, ImageCount, NewRepository, RegistryToken, Repositories, Repository, Result,
};
use super::Governor;
use crate::model::{AccountId, RepositoryName, TagMutability, Tags};

pub(super) struct GovernedRepositories {
    pub(super) domain: Domain,
    pub(super) account: AccountId,
    pub(super) port: Arc<dyn Repositories>,
    pub(super) governor: Governor,
}

impl GovernedRepositories {
    async fn ecr<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.governor
            .call(self.domain.clone(), operation, Some(&self.account), run)
            .await
    }
}

#[async_trait]
impl Repositories for GovernedRepositories {
    async fn token(&self) -> Result<RegistryToken> {
        self.ecr("GetAuthorizationToken", self.port.token()).await
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Option<Repository>> {
        self.ecr("DescribeRepositories", self.port.repository(name))
            .await
    }

    async fn create_repository(&self, new: &NewRepository) -> Result<Repository> {
        self.ecr("CreateRepository", self.port.create_repository(new))
            .await
    }

    async fn delete_repository(&self, name: &RepositoryName) -> Result<()> {
        self.ecr("DeleteRepository", self.port.delete_repository(name))
            .await
    }

    async fn set_mutability(
        &self,
        name: &RepositoryName,
        mutability: &TagMutability,
    ) -> Result<()> {
        let run = self.port.set_mutability(name, mutability);
        self.ecr("PutImageTagMutability", run).await
    }

    async fn is_scanned(&self, name: &RepositoryName) -> Result<bool> {
        let run = self.port.is_scanned(name);
        self.ecr("BatchGetRepositoryScanningConfiguration", run)
            .await
    }

    async fn scan_on_push(&self, name: &RepositoryName) -> Result<()> {
        let run = self.port.scan_on_push(name);
        self.ecr("PutImageScanningConfiguration", run).await
    }

    async fn policy(&self, name: &RepositoryName) -> Result<Option<String>> {
        self.ecr("GetRepositoryPolicy", self.port.policy(name))
            .await
    }

    async fn set_policy(&self, name: &RepositoryName, policy: &str) -> Result<()> {
        self.ecr("SetRepositoryPolicy", self.port.set_policy(name, policy))
            .await
    }

    async fn lifecycle(&self, name: &RepositoryName) -> Result<Option<String>> {
        self.ecr("GetLifecyclePolicy", self.port.lifecycle(name))
            .await
    }

    async fn put_lifecycle(&self, name: &RepositoryName, policy: &str) -> Result<()> {
        let run = self.port.put_lifecycle(name, policy);
        self.ecr("PutLifecyclePolicy", run).await
    }

    async fn delete_lifecycle(&self, name: &RepositoryName) -> Result<()> {
        self.ecr("DeleteLifecyclePolicy", self.port.delete_lifecycle(name))
            .await
    }

    async fn tags(&self, arn: &str) -> Result<Tags> {
        self.ecr("ListTagsForResource", self.port.tags(arn)).await
    }

    async fn tag(&self, arn: &str, tags: &Tags) -> Result<()> {
        self.ecr("TagResource", self.port.tag(arn, tags)).await
    }

    async fn untag(&self, arn: &str, keys: &[String]) -> Result<()> {
        self.ecr("UntagResource", self.port.untag(arn, keys)).await
    }

    async fn count_images(&self, name: &RepositoryName) -> Result<ImageCount> {
        self.ecr("ListImages", self.port.count_images(name)).await
    }

    async fn tagged(
        &self,
        name: &RepositoryName,
        tags: &[String],
    ) -> Result<BTreeMap<String, String>> {
        self.ecr("BatchGetImage", self.port.tagged(name, tags))
            .await
    }

    async fn images(&self, name: &RepositoryName, digests: &[String]) -> Result<Vec<Image>> {
        self.ecr("BatchGetImage", self.port.images(name, digests))
            .await
    }

    async fn put_tag(&self, name: &RepositoryName, image: &Image, tag: &str) -> Result<()> {
        self.ecr("PutImage", self.port.put_tag(name, image, tag))
            .await
    }
}
