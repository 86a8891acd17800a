//! Credentials buckets and secrets, in each account; and what people do to them behind our back.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::SimulatedCloud;
use super::faults::Call;
use super::member::Inside;
use super::refusal::{out_of_order, refused};
use super::repositories::as_aws_writes;
use super::world::World;
use crate::cloud::Result;
use crate::cloud::credentials::{
    BucketEncryption, BucketPlace, CredentialFiles, CredentialsBucket, CredentialsBucketState,
    SecretStore, StoredFile, StoredSecret,
};
use crate::model::{AccountId, Region, Secret, Tags};

const CREATE: &str = "s3.CreateBucket";
const GET_TAGS: &str = "s3.GetBucketTagging";
const GET_PRIVATE: &str = "s3.GetPublicAccessBlock";
const GET_OWNER: &str = "s3.GetBucketOwnershipControls";
const GET_ENCRYPTION: &str = "s3.GetBucketEncryption";
const GET_POLICY: &str = "s3.GetBucketPolicy";
const PUT_TAGS: &str = "s3.PutBucketTagging";
const PUT_PRIVATE: &str = "s3.PutPublicAccessBlock";
const PUT_OWNER: &str = "s3.PutBucketOwnershipControls";
const PUT_ENCRYPTION: &str = "s3.PutBucketEncryption";
const PUT_POLICY: &str = "s3.PutBucketPolicy";
const PUT: &str = "s3.PutObject";
const LIST: &str = "s3.ListObjectsV2";
const DELETE: &str = "s3.DeleteObject";
const DESCRIBE_SECRET: &str = "secretsmanager.DescribeSecret";
const CREATE_SECRET: &str = "secretsmanager.CreateSecret";
const PUT_SECRET: &str = "secretsmanager.PutSecretValue";
const RESTORE_SECRET: &str = "secretsmanager.RestoreSecret";
const DELETE_SECRET: &str = "secretsmanager.DeleteSecret";

/// What is wrong with all credentials buckets and secrets of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsFault {
    /// Nothing may be written or listed.
    Denied,
    /// There is no answer but that the service is out of order.
    Away,
}

/// A credentials bucket, as it is.
#[derive(Debug, Clone, Default)]
pub struct BucketRecord {
    /// Whose it is; `None`: a stranger's.
    pub account: Option<AccountId>,
    /// How it is configured.
    pub state: CredentialsBucketState,
    /// What is in it, by key.
    pub files: BTreeMap<String, FileRecord>,
}

/// A file, as it is.
#[derive(Debug, Clone)]
pub struct FileRecord {
    /// What is in it.
    pub content: Secret,
    /// Another one after every write.
    pub etag: String,
}

/// A secret of Secrets Manager, as it is.
#[derive(Debug, Clone)]
pub struct SecretRecord {
    /// What a description shows.
    pub shown: StoredSecret,
    /// What each version holds, by its id.
    pub versions: BTreeMap<String, Secret>,
}

/// Everything of this kind that there is.
#[derive(Default)]
pub(super) struct Kept {
    buckets: BTreeMap<String, BucketRecord>,
    secrets: BTreeMap<(AccountId, Region, String), SecretRecord>,
    faults: BTreeMap<AccountId, CredentialsFault>,
    writes: u64,
}

impl Kept {
    /// A name that no write had before.
    fn next(&mut self) -> String {
        self.writes += 1;
        format!("{:032x}", self.writes)
    }

    /// The fault of an account, if it has one.
    fn healthy(&self, operation: &'static str, account: &AccountId) -> Result<()> {
        match self.faults.get(account) {
            None => Ok(()),
            Some(CredentialsFault::Away) => Err(out_of_order(operation)),
            Some(CredentialsFault::Denied) => {
                let message =
                    "User is not authorized, with an explicit deny in a resource-based policy";
                Err(refused(operation, "AccessDenied", message))
            }
        }
    }

    fn bucket(
        &mut self,
        operation: &'static str,
        name: &str,
        account: &AccountId,
    ) -> Result<&mut BucketRecord> {
        match self.buckets.get_mut(name) {
            None => {
                let message = "The specified bucket does not exist";
                Err(refused(operation, "NoSuchBucket", message))
            }
            Some(bucket) if bucket.account.as_ref() != Some(account) => {
                Err(refused(operation, "AccessDenied", "Access Denied"))
            }
            Some(bucket) => Ok(bucket),
        }
    }

    fn create(&mut self, name: &str, account: &AccountId, tags: &Tags) -> Result<()> {
        match self.buckets.get(name) {
            Some(bucket) if bucket.account.as_ref() == Some(account) => Ok(()),
            Some(_) => {
                let message = "The requested bucket name is not available.";
                Err(refused(CREATE, "BucketAlreadyExists", message))
            }
            None => {
                // As S3 makes one: private, and encrypted by a key of its own, which is not KMS.
                let state = CredentialsBucketState {
                    tags: tags.clone(),
                    private: true,
                    owner_enforced: true,
                    ..CredentialsBucketState::default()
                };
                let bucket = BucketRecord {
                    account: Some(account.clone()),
                    state,
                    files: BTreeMap::new(),
                };
                self.buckets.insert(name.to_owned(), bucket);
                Ok(())
            }
        }
    }

    fn put_secret(
        &mut self,
        operation: &'static str,
        key: &(AccountId, Region, String),
        content: &Secret,
        token: &str,
    ) -> Result<String> {
        let Some(secret) = self.secrets.get_mut(key) else {
            let message = "Secrets Manager can't find the specified secret.";
            return Err(refused(operation, "ResourceNotFoundException", message));
        };
        if secret.shown.deleted {
            let message = "You can't perform this operation on the secret because it was marked for deletion.";
            return Err(refused(operation, "InvalidRequestException", message));
        }
        match secret.versions.get(token) {
            Some(held) if held != content => {
                let message =
                    "You can't modify an existing version, you can only create a new version.";
                return Err(refused(operation, "ResourceExistsException", message));
            }
            // The same call again changes nothing, whichever version is current by now.
            Some(_) => return Ok(token.to_owned()),
            None => {}
        }
        secret.versions.insert(token.to_owned(), content.clone());
        secret.shown.version = Some(token.to_owned());
        Ok(token.to_owned())
    }
}

/// The configuration of a credentials bucket.
pub(super) struct InsideBucket {
    pub(super) inside: Inside,
    pub(super) place: BucketPlace,
}

impl InsideBucket {
    async fn run<T: Send>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut CredentialsBucketState) -> T + Send,
    ) -> Result<T> {
        let operation = call.operation;
        let run = |world: &mut World| {
            let bucket = world.kept.bucket(operation, self.name(), &self.inside.id)?;
            Ok(effect(&mut bucket.state))
        };
        self.inside.call(call, run).await
    }

    async fn read<T: Send>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut CredentialsBucketState) -> T + Send,
    ) -> Result<T> {
        self.run(Call::read(operation, self.name()), effect).await
    }

    async fn write(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut CredentialsBucketState) + Send,
    ) -> Result<()> {
        self.run(Call::write(operation, self.name()), effect).await
    }

    fn name(&self) -> &str {
        self.place.name.as_str()
    }
}

#[async_trait]
impl CredentialsBucket for InsideBucket {
    async fn tags(&self) -> Result<Option<Tags>> {
        match self.read(GET_TAGS, |state| state.tags.clone()).await {
            Err(error) if error.code == "NoSuchBucket" => Ok(None),
            tags => tags.map(Some),
        }
    }

    async fn is_private(&self) -> Result<bool> {
        self.read(GET_PRIVATE, |state| state.private).await
    }

    async fn is_owner_enforced(&self) -> Result<bool> {
        self.read(GET_OWNER, |state| state.owner_enforced).await
    }

    async fn encryption(&self) -> Result<Option<BucketEncryption>> {
        self.read(GET_ENCRYPTION, |state| state.encryption.clone())
            .await
    }

    async fn policy(&self) -> Result<Option<String>> {
        self.read(GET_POLICY, |state| state.policy.clone()).await
    }

    async fn create(&self, tags: &Tags) -> Result<()> {
        let account = &self.inside.id;
        let run = |world: &mut World| world.kept.create(self.name(), account, tags);
        self.inside
            .call(Call::write(CREATE, self.name()), run)
            .await
    }

    async fn put_tags(&self, tags: &Tags) -> Result<()> {
        self.write(PUT_TAGS, |state| state.tags = tags.clone())
            .await
    }

    async fn make_private(&self) -> Result<()> {
        self.write(PUT_PRIVATE, |state| state.private = true).await
    }

    async fn enforce_owner(&self) -> Result<()> {
        self.write(PUT_OWNER, |state| state.owner_enforced = true)
            .await
    }

    async fn put_encryption(&self, encryption: &BucketEncryption) -> Result<()> {
        self.write(PUT_ENCRYPTION, |state| {
            state.encryption = Some(encryption.clone());
        })
        .await
    }

    async fn put_policy(&self, policy: &str) -> Result<()> {
        let written = as_aws_writes(policy).ok_or_else(|| {
            refused(
                PUT_POLICY,
                "MalformedPolicy",
                "This policy contains invalid Json",
            )
        })?;
        self.write(PUT_POLICY, |state| state.policy = Some(written))
            .await
    }
}

/// The files in a bucket, through a session for them alone.
pub(super) struct InsideFiles {
    pub(super) inside: Inside,
    pub(super) place: BucketPlace,
}

impl InsideFiles {
    async fn run<T: Send>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut BucketRecord, String) -> T + Send,
    ) -> Result<T> {
        let operation = call.operation;
        let run = |world: &mut World| {
            world.kept.healthy(operation, &self.inside.id)?;
            let etag = world.kept.next();
            let name = self.place.name.as_str();
            let bucket = world.kept.bucket(operation, name, &self.inside.id)?;
            Ok(effect(bucket, etag))
        };
        self.inside.call(call, run).await
    }

    fn at(&self, key: &str) -> String {
        format!("{}/{key}", self.place.name)
    }
}

#[async_trait]
impl CredentialFiles for InsideFiles {
    async fn may_put(&self, key: &str) -> Result<()> {
        self.run(Call::read(PUT, self.at(key)), |_, _| ()).await
    }

    async fn put(&self, key: &str, content: &Secret) -> Result<String> {
        self.run(Call::write(PUT, self.at(key)), |bucket, etag| {
            let file = FileRecord {
                content: content.clone(),
                etag: etag.clone(),
            };
            bucket.files.insert(key.to_owned(), file);
            etag
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<StoredFile>> {
        self.run(Call::read(LIST, self.at(prefix)), |bucket, _| {
            let files = bucket.files.iter();
            files
                .filter(|(key, _)| key.starts_with(prefix))
                .map(|(key, file)| StoredFile {
                    key: key.clone(),
                    etag: file.etag.clone(),
                })
                .collect()
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.run(Call::write(DELETE, self.at(key)), |bucket, _| {
            bucket.files.remove(key);
        })
        .await
    }
}

/// The secrets of one region, through a session for them alone.
pub(super) struct InsideSecrets {
    pub(super) inside: Inside,
    pub(super) region: Region,
}

impl InsideSecrets {
    async fn run<T: Send>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut Kept) -> Result<T> + Send,
    ) -> Result<T> {
        let operation = call.operation;
        let run = |world: &mut World| {
            world.kept.healthy(operation, &self.inside.id)?;
            effect(&mut world.kept)
        };
        self.inside.call(call, run).await
    }

    fn key(&self, name: &str) -> (AccountId, Region, String) {
        (self.inside.id.clone(), self.region, name.to_owned())
    }
}

#[async_trait]
impl SecretStore for InsideSecrets {
    async fn describe(&self, name: &str) -> Result<Option<StoredSecret>> {
        let key = self.key(name);
        self.run(Call::read(DESCRIBE_SECRET, name), |kept| {
            Ok(kept.secrets.get(&key).map(|secret| secret.shown.clone()))
        })
        .await
    }

    async fn create(
        &self,
        name: &str,
        content: &Secret,
        tags: &Tags,
        token: &str,
    ) -> Result<String> {
        let key = self.key(name);
        self.run(Call::write(CREATE_SECRET, name), |kept| {
            if let Some(secret) = kept.secrets.get(&key)
                && secret.versions.get(token) != Some(content)
            {
                let message = "The operation failed because the secret already exists.";
                return Err(refused(CREATE_SECRET, "ResourceExistsException", message));
            }
            let (account, region) = (&self.inside.id, self.region);
            let shown = StoredSecret {
                arn: format!("arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"),
                tags: tags.clone(),
                version: None,
                deleted: false,
            };
            kept.secrets.entry(key.clone()).or_insert(SecretRecord {
                shown,
                versions: BTreeMap::new(),
            });
            kept.put_secret(CREATE_SECRET, &key, content, token)
        })
        .await
    }

    async fn put(&self, name: &str, content: &Secret, token: &str) -> Result<String> {
        let key = self.key(name);
        self.run(Call::write(PUT_SECRET, name), |kept| {
            kept.put_secret(PUT_SECRET, &key, content, token)
        })
        .await
    }

    async fn restore(&self, name: &str) -> Result<()> {
        let key = self.key(name);
        self.run(Call::write(RESTORE_SECRET, name), |kept| {
            if let Some(secret) = kept.secrets.get_mut(&key) {
                secret.shown.deleted = false;
                return Ok(());
            }
            let message = "Secrets Manager can't find the specified secret.";
            Err(refused(
                RESTORE_SECRET,
                "ResourceNotFoundException",
                message,
            ))
        })
        .await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let key = self.key(name);
        self.run(Call::write(DELETE_SECRET, name), |kept| {
            if let Some(secret) = kept.secrets.get_mut(&key) {
                secret.shown.deleted = true;
            }
            Ok(())
        })
        .await
    }
}

/// What a test sees of buckets and secrets, and does to them, past the ports.
impl SimulatedCloud {
    /// A credentials bucket.
    pub fn credentials_bucket(&self, name: &str) -> Option<BucketRecord> {
        self.world().kept.buckets.get(name).cloned()
    }

    /// All credentials buckets, by name.
    pub fn credentials_buckets(&self) -> BTreeMap<String, BucketRecord> {
        self.world().kept.buckets.clone()
    }

    /// Changes a bucket behind the controller's back, or makes one: a stranger's, unless `change` says whose.
    pub fn change_credentials_bucket(&self, name: &str, change: impl FnOnce(&mut BucketRecord)) {
        let mut world = self.world();
        change(world.kept.buckets.entry(name.to_owned()).or_default());
    }

    /// Somebody writes a file by hand, or removes one.
    pub fn change_file(&self, bucket: &str, key: &str, content: Option<&str>) {
        let mut world = self.world();
        let etag = world.kept.next();
        let Some(bucket) = world.kept.buckets.get_mut(bucket) else {
            return;
        };
        match content {
            Some(content) => {
                let content = Secret::new(content);
                bucket
                    .files
                    .insert(key.to_owned(), FileRecord { content, etag });
            }
            None => drop(bucket.files.remove(key)),
        }
    }

    /// A secret of Secrets Manager.
    pub fn secret(&self, account: &AccountId, region: Region, name: &str) -> Option<SecretRecord> {
        let key = (account.clone(), region, name.to_owned());
        self.world().kept.secrets.get(&key).cloned()
    }

    /// Somebody changes a secret by hand, or makes one.
    pub fn change_secret(
        &self,
        account: &AccountId,
        region: Region,
        name: &str,
        change: impl FnOnce(&mut SecretRecord),
    ) {
        let mut world = self.world();
        let key = (account.clone(), region, name.to_owned());
        let version = world.kept.next();
        let secret = world
            .kept
            .secrets
            .entry(key)
            .or_insert_with(|| SecretRecord {
                shown: StoredSecret {
                    arn: format!("arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"),
                    tags: Tags::new(),
                    version: Some(version.clone()),
                    deleted: false,
                },
                versions: BTreeMap::from([(version, Secret::new("{}"))]),
            });
        change(secret);
    }

    /// From now on all credentials buckets and secrets of an account are as this says; `None`: as they should be.
    pub fn set_credentials_fault(&self, account: &AccountId, fault: Option<CredentialsFault>) {
        let mut world = self.world();
        match fault {
            Some(fault) => drop(world.kept.faults.insert(account.clone(), fault)),
            None => drop(world.kept.faults.remove(account)),
        }
    }
}
