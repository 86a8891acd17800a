//! The port to repositories of container images: Amazon ECR, in one account and one region.

use std::collections::BTreeMap;

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;

use super::Result;
use crate::model::{Encryption, RepositoryName, Secret, TagMutability, Tags};

/// A repository, as a description shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its ARN.
    pub arn: String,
    /// Where images are pushed to and pulled from.
    pub uri: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Which tags can be moved.
    pub mutability: TagMutability,
    /// Whether it is set for this repository that images are scanned when they are pushed.
    pub scan_on_push: bool,
    /// How it is encrypted.
    pub encryption: Encryption,
}

/// What CreateRepository is asked for. Images are scanned on push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRepository {
    /// The name.
    pub name: RepositoryName,
    /// Which tags can be moved.
    pub mutability: TagMutability,
    /// How it is encrypted, for ever.
    pub encryption: Encryption,
    /// Tags from birth on, ours among them: who finds the repository after a lost reply knows whose it is.
    pub tags: Tags,
}

/// An image, as BatchGetImage shows it: enough to give it a further tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The digest of its manifest or index.
    pub digest: String,
    /// The manifest itself, byte by byte: the digest is that of these bytes.
    pub manifest: String,
    /// What kind of manifest it is.
    pub media_type: Option<String>,
}

/// How many images there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageCount {
    /// So many were seen.
    pub seen: usize,
    /// And there are more.
    pub more: bool,
}

/// What a registry takes instead of a password, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryToken {
    /// The user name that goes with it.
    pub user: String,
    /// The token.
    pub password: Secret,
    /// When it ends, if AWS says.
    pub expires: Option<Timestamp>,
}

/// So many images BatchGetImage takes at once.
pub const IMAGES_AT_ONCE: usize = 100;

/// Repositories of one account in one region.
#[async_trait]
pub trait Repositories: Send + Sync {
    /// GetAuthorizationToken: for the registry of this account in this region.
    async fn token(&self) -> Result<RegistryToken>;
    /// DescribeRepositories; `None` where there is none of that name.
    async fn repository(&self, name: &RepositoryName) -> Result<Option<Repository>>;
    /// CreateRepository. Idempotent by its name: after a lost reply a second call says that it exists, and the tags
    /// say whose it is.
    async fn create_repository(&self, new: &NewRepository) -> Result<Repository>;
    /// DeleteRepository, which AWS refuses (`RepositoryNotEmptyException`) while there are images in it.
    async fn delete_repository(&self, name: &RepositoryName) -> Result<()>;
    /// PutImageTagMutability.
    async fn set_mutability(&self, name: &RepositoryName, mutability: &TagMutability)
    -> Result<()>;
    /// BatchGetRepositoryScanningConfiguration: whether images are scanned when they are pushed, whoever says so. The
    /// account may have rules for all its repositories, and then what is set for one alone does not count.
    async fn is_scanned(&self, name: &RepositoryName) -> Result<bool>;
    /// PutImageScanningConfiguration: images are scanned when they are pushed.
    async fn scan_on_push(&self, name: &RepositoryName) -> Result<()>;
    /// GetRepositoryPolicy; `None` where there is none.
    async fn policy(&self, name: &RepositoryName) -> Result<Option<String>>;
    /// SetRepositoryPolicy.
    async fn set_policy(&self, name: &RepositoryName, policy: &str) -> Result<()>;
    /// GetLifecyclePolicy; `None` where there is none.
    async fn lifecycle(&self, name: &RepositoryName) -> Result<Option<String>>;
    /// PutLifecyclePolicy.
    async fn put_lifecycle(&self, name: &RepositoryName, policy: &str) -> Result<()>;
    /// DeleteLifecyclePolicy; that there is none is no error.
    async fn delete_lifecycle(&self, name: &RepositoryName) -> Result<()>;
    /// ListTagsForResource.
    async fn tags(&self, arn: &str) -> Result<Tags>;
    /// TagResource.
    async fn tag(&self, arn: &str, tags: &Tags) -> Result<()>;
    /// UntagResource.
    async fn untag(&self, arn: &str, keys: &[String]) -> Result<()>;
    /// ListImages, one page: enough to say whether the repository is empty.
    async fn count_images(&self, name: &RepositoryName) -> Result<ImageCount>;
    /// BatchGetImage by tags, at most [`IMAGES_AT_ONCE`]: the digest that each is at; those that are nowhere are left
    /// out.
    async fn tagged(
        &self,
        name: &RepositoryName,
        tags: &[String],
    ) -> Result<BTreeMap<String, String>>;
    /// BatchGetImage by digests, at most [`IMAGES_AT_ONCE`]: those that are there.
    async fn images(&self, name: &RepositoryName, digests: &[String]) -> Result<Vec<Image>>;
    /// PutImage: a further tag for an image that is there. `AlreadyExists`: the tag is at this image already, or, where
    /// tags cannot be moved, at another one; which of the two must be looked up.
    async fn put_tag(&self, name: &RepositoryName, image: &Image, tag: &str) -> Result<()>;
}
