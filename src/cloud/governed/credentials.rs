//! Where credentials are kept, governed: each account by itself, so that one that is throttled slows no other.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use super::super::Result;
use super::super::budget::Domain;
use super::super::credentials::{
    BucketEncryption, CredentialFiles, CredentialsBucket, SecretStore, StoredFile, StoredSecret,
};
use super::Governor;
use crate::model::{AccountId, Region, Secret, Tags};

pub(super) struct GovernedBucket {
    pub(super) port: Arc<dyn CredentialsBucket>,
    pub(super) account: AccountId,
    pub(super) governor: Governor,
}

impl GovernedBucket {
    async fn s3<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let domain = Domain::S3(self.account.clone());
        let governor = &self.governor;
        governor
            .call(domain, operation, Some(&self.account), run)
            .await
    }
}

#[async_trait]
impl CredentialsBucket for GovernedBucket {
    async fn tags(&self) -> Result<Option<Tags>> {
        self.s3("GetBucketTagging", self.port.tags()).await
    }

    async fn is_private(&self) -> Result<bool> {
        self.s3("GetPublicAccessBlock", self.port.is_private())
            .await
    }

    async fn is_owner_enforced(&self) -> Result<bool> {
        let run = self.port.is_owner_enforced();
        self.s3("GetBucketOwnershipControls", run).await
    }

    async fn encryption(&self) -> Result<Option<BucketEncryption>> {
        self.s3("GetBucketEncryption", self.port.encryption()).await
    }

    async fn policy(&self) -> Result<Option<String>> {
        self.s3("GetBucketPolicy", self.port.policy()).await
    }

    async fn create(&self, tags: &Tags) -> Result<()> {
        self.s3("CreateBucket", self.port.create(tags)).await
    }

    async fn put_tags(&self, tags: &Tags) -> Result<()> {
        self.s3("PutBucketTagging", self.port.put_tags(tags)).await
    }

    async fn make_private(&self) -> Result<()> {
        self.s3("PutPublicAccessBlock", self.port.make_private())
            .await
    }

    async fn enforce_owner(&self) -> Result<()> {
        self.s3("PutBucketOwnershipControls", self.port.enforce_owner())
            .await
    }

    async fn put_encryption(&self, encryption: &BucketEncryption) -> Result<()> {
        let run = self.port.put_encryption(encryption);
        self.s3("PutBucketEncryption", run).await
    }

    async fn put_policy(&self, policy: &str) -> Result<()> {
        self.s3("PutBucketPolicy", self.port.put_policy(policy))
            .await
    }
}

pub(super) struct GovernedFiles {
    pub(super) port: Arc<dyn CredentialFiles>,
    pub(super) account: AccountId,
    pub(super) governor: Governor,
}

impl GovernedFiles {
    async fn s3<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let domain = Domain::S3(self.account.clone());
        let governor = &self.governor;
        governor
            .call(domain, operation, Some(&self.account), run)
            .await
    }
}

#[async_trait]
impl CredentialFiles for GovernedFiles {
    async fn may_put(&self, key: &str) -> Result<()> {
        self.s3("PutObject", self.port.may_put(key)).await
    }

    async fn put(&self, key: &str, content: &Secret) -> Result<String> {
        self.s3("PutObject", self.port.put(key, content)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<StoredFile>> {
        self.s3("ListObjectsV2", self.port.list(prefix)).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.s3("DeleteObject", self.port.delete(key)).await
    }
}

pub(super) struct GovernedSecrets {
    pub(super) port: Arc<dyn SecretStore>,
    pub(super) account: AccountId,
    pub(super) region: Region,
    pub(super) governor: Governor,
}

impl GovernedSecrets {
    async fn secrets<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let domain = Domain::Secrets(self.account.clone(), self.region);
        let governor = &self.governor;
        governor
            .call(domain, operation, Some(&self.account), run)
            .await
    }
}

#[async_trait]
impl SecretStore for GovernedSecrets {
    async fn describe(&self, name: &str) -> Result<Option<StoredSecret>> {
        self.secrets("DescribeSecret", self.port.describe(name))
            .await
    }

    async fn create(
        &self,
        name: &str,
        content: &Secret,
        tags: &Tags,
        token: &str,
    ) -> Result<String> {
        let run = self.port.create(name, content, tags, token);
        self.secrets("CreateSecret", run).await
    }

    async fn put(&self, name: &str, content: &Secret, token: &str) -> Result<String> {
        let run = self.port.put(name, content, token);
        self.secrets("PutSecretValue", run).await
    }

    async fn restore(&self, name: &str) -> Result<()> {
        self.secrets("RestoreSecret", self.port.restore(name)).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.secrets("DeleteSecret", self.port.delete(name)).await
    }
}
