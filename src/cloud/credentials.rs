//! Ports to where credentials are kept in a team's account: its credentials bucket, and AWS Secrets Manager.
//!
//! Who delivers can write and not read: the adapter enters the account with a session policy that lets it do no more than
//! these traits say.

use async_trait::async_trait;

use super::Result;
use crate::model::{BucketName, Region, Secret, Tags, UserPoolId};

/// Which bucket, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketPlace {
    /// Its name.
    pub name: BucketName,
    /// Its region.
    pub region: Region,
}

/// What an account is entered for by whoever delivers credentials, or makes them: a session for one of them can do nothing
/// else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeliveryPlace {
    /// To write, list and remove files in this bucket.
    Files(BucketPlace),
    /// To write, describe and remove secrets of Secrets Manager in this region.
    Secrets(Region),
    /// For the app clients of this user pool.
    UserPool(UserPoolId),
}

/// The configuration of an account's credentials bucket, as it was seen. `None` in a field: not as it should be, or not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialsBucketState {
    /// Its tags: whose it is.
    pub tags: Tags,
    /// All four settings of its public access block are on.
    pub private: bool,
    /// Object ownership is `BucketOwnerEnforced`: access control lists count for nothing.
    pub owner_enforced: bool,
    /// It is encrypted by default with KMS (`aws:kms`), and with which key, if not AWS's own.
    pub encryption: Option<BucketEncryption>,
    /// Its policy, as AWS has it.
    pub policy: Option<String>,
}

/// Encryption by KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketEncryption {
    /// The key's ARN; `None`: AWS's own key for S3 (`aws/s3`).
    pub key: Option<String>,
    /// A data key serves the whole bucket for a while, which costs fewer calls to KMS.
    pub bucket_key: bool,
}

/// The credentials bucket itself, as the account's baseline sets it up. Entered with the account's full role.
#[async_trait]
pub trait CredentialsBucket: Send + Sync {
    /// GetBucketTagging; `None`: there is no bucket of that name. `Denied`: the name is somebody else's.
    async fn tags(&self) -> Result<Option<Tags>>;
    /// GetPublicAccessBlock: whether all four are on.
    async fn is_private(&self) -> Result<bool>;
    /// GetBucketOwnershipControls: whether it is `BucketOwnerEnforced`.
    async fn is_owner_enforced(&self) -> Result<bool>;
    /// GetBucketEncryption; `None`: not by KMS.
    async fn encryption(&self) -> Result<Option<BucketEncryption>>;
    /// GetBucketPolicy; `None`: it has none.
    async fn policy(&self) -> Result<Option<String>>;
    /// CreateBucket in the bucket's region, owned, private and tagged from birth. `AlreadyExists`: the name is somebody
    /// else's. That it is this account's already is no error.
    async fn create(&self, tags: &Tags) -> Result<()>;
    /// PutBucketTagging: these, and no others.
    async fn put_tags(&self, tags: &Tags) -> Result<()>;
    /// PutPublicAccessBlock, all four.
    async fn make_private(&self) -> Result<()>;
    /// PutBucketOwnershipControls, `BucketOwnerEnforced`.
    async fn enforce_owner(&self) -> Result<()>;
    /// PutBucketEncryption.
    async fn put_encryption(&self, encryption: &BucketEncryption) -> Result<()>;
    /// PutBucketPolicy.
    async fn put_policy(&self, policy: &str) -> Result<()>;

    /// All that there is to see; `None`: there is no bucket of that name. What by its tags is not ours is not looked at any
    /// further.
    async fn state(
        &self,
        is_ours: &(dyn for<'a> Fn(&'a Tags) -> bool + Sync),
    ) -> Result<Option<CredentialsBucketState>> {
        let Some(tags) = self.tags().await? else {
            return Ok(None);
        };
        if !is_ours(&tags) {
            let state = CredentialsBucketState {
                tags,
                ..CredentialsBucketState::default()
            };
            return Ok(Some(state));
        }
        Ok(Some(CredentialsBucketState {
            tags,
            private: self.is_private().await?,
            owner_enforced: self.is_owner_enforced().await?,
            encryption: self.encryption().await?,
            policy: self.policy().await?,
        }))
    }
}

/// A file, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its key.
    pub key: String,
    /// By which it is seen that somebody has written there: it is another one after every write.
    pub etag: String,
}

/// The files in a credentials bucket. Written, listed and removed, never read.
#[async_trait]
pub trait CredentialFiles: Send + Sync {
    /// Whether [`put`](Self::put) would be let, without leaving anything: a PutObject that S3 authorizes and then cannot
    /// accept, under a name beside that key. A condition on the ETag would not do: to state one, S3 demands the right to read.
    async fn may_put(&self, key: &str) -> Result<()>;
    /// PutObject, encrypted as the bucket is by default; gives the ETag.
    async fn put(&self, key: &str, content: &Secret) -> Result<String>;
    /// ListObjectsV2, all pages.
    async fn list(&self, prefix: &str) -> Result<Vec<StoredFile>>;
    /// DeleteObject; that there is none is no error.
    async fn delete(&self, key: &str) -> Result<()>;
}

/// A secret of Secrets Manager, as a description shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// Its ARN.
    pub arn: String,
    /// Its tags: whose it is.
    pub tags: Tags,
    /// The id of the version that is current (`AWSCURRENT`): another one after every write.
    pub version: Option<String>,
    /// It is scheduled to be deleted.
    pub deleted: bool,
}

/// AWS Secrets Manager, in one account and region. Written and described, never read.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// DescribeSecret; `None`: there is none of that name.
    async fn describe(&self, name: &str) -> Result<Option<StoredSecret>>;
    /// CreateSecret with tags from birth on and `token` as ClientRequestToken, which becomes the version's id: a call that
    /// is made again with the same token and content gives the same. Gives the version's id.
    async fn create(
        &self,
        name: &str,
        content: &Secret,
        tags: &Tags,
        token: &str,
    ) -> Result<String>;
    /// PutSecretValue, with `token` likewise. Gives the version's id.
    async fn put(&self, name: &str, content: &Secret, token: &str) -> Result<String>;
    /// RestoreSecret: takes back that it is to be deleted.
    async fn restore(&self, name: &str) -> Result<()>;
    /// DeleteSecret, with a recovery window of seven days. That there is none is no error.
    async fn delete(&self, name: &str) -> Result<()>;
}
