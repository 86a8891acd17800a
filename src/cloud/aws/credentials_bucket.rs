//! An account's credentials bucket, by Amazon S3, as the baseline sets it up.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Region as AwsRegion};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, ObjectOwnership, OwnershipControls,
    OwnershipControlsRule, PublicAccessBlockConfiguration, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
    Tag, Tagging,
};

use super::super::credentials::{BucketEncryption, BucketPlace, CredentialsBucket};
use super::super::{CloudError, ErrorKind, Result};
use super::error::classify;
use super::sessions::{OpenSessions, Session, SessionKey};
use crate::model::Tags;

/// [`CredentialsBucket`] by the S3 of the account that the session is in.
pub(super) struct S3CredentialsBucket {
    client: Client,
    session: Arc<Session>,
    place: BucketPlace,
    key: SessionKey,
    open: Weak<OpenSessions>,
}

impl S3CredentialsBucket {
    pub(super) fn new(
        client: Client,
        session: Arc<Session>,
        place: BucketPlace,
        (key, open): (SessionKey, Weak<OpenSessions>),
    ) -> Self {
        Self {
            client,
            session,
            place,
            key,
            open,
        }
    }

    /// The session's credentials, at the bucket's region.
    fn here(&self) -> Builder {
        let region = AwsRegion::from_static(self.place.region.as_str());
        self.session.s3().region(region)
    }

    fn name(&self) -> &str {
        self.place.name.as_str()
    }

    /// Names of buckets are the whole world's: S3 refuses each call on one that another account has.
    fn owner(&self) -> &str {
        self.key.0.as_str()
    }

    /// The class of an error; what AWS does not let us do closes the session, as everywhere inside.
    fn failed<E>(&self, operation: &'static str, error: SdkError<E>) -> CloudError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        OpenSessions::check(&self.open, &self.key, classify(operation, error))
    }
}

/// What is not set is no error, but a bucket that is gone is.
fn unset<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Err(error) if error.kind == ErrorKind::NotFound && error.code != "NoSuchBucket" => Ok(None),
        answer => answer.map(Some),
    }
}

/// The caller's fault, before anything was sent.
fn unbuilt(
    operation: &'static str,
) -> impl Fn(aws_sdk_s3::error::BuildError) -> CloudError + 'static {
    move |error| {
        CloudError::new(
            ErrorKind::Invalid,
            operation,
            "BadRequest",
            error.to_string(),
        )
    }
}

fn tags_to_aws(operation: &'static str, tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter()
        .map(|(key, value)| {
            let tag = Tag::builder().key(key).value(value);
            tag.build().map_err(unbuilt(operation))
        })
        .collect()
}

#[async_trait]
impl CredentialsBucket for S3CredentialsBucket {
    async fn tags(&self) -> Result<Option<Tags>> {
        const OPERATION: &str = "s3.GetBucketTagging";
        let answer = self
            .client
            .get_bucket_tagging()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error));
        match answer {
            Err(error) if error.code == "NoSuchBucket" => Ok(None),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Some(Tags::new())),
            answer => {
                let tags = answer?.tag_set;
                let tags = tags.into_iter().map(|tag| (tag.key, tag.value));
                Ok(Some(tags.collect()))
            }
        }
    }

    async fn is_private(&self) -> Result<bool> {
        const OPERATION: &str = "s3.GetPublicAccessBlock";
        let answer = self
            .client
            .get_public_access_block()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error));
        let settings = unset(answer)?.and_then(|answer| answer.public_access_block_configuration);
        Ok(settings.is_some_and(|settings| {
            [
                settings.block_public_acls,
                settings.block_public_policy,
                settings.ignore_public_acls,
                settings.restrict_public_buckets,
            ]
            .iter()
            .all(|on| *on == Some(true))
        }))
    }

    async fn is_owner_enforced(&self) -> Result<bool> {
        const OPERATION: &str = "s3.GetBucketOwnershipControls";
        let answer = self
            .client
            .get_bucket_ownership_controls()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error));
        let controls = unset(answer)?.and_then(|answer| answer.ownership_controls);
        Ok(controls.is_some_and(|controls| {
            let rules = controls.rules();
            !rules.is_empty()
                && rules
                    .iter()
                    .all(|rule| *rule.object_ownership() == ObjectOwnership::BucketOwnerEnforced)
        }))
    }

    async fn encryption(&self) -> Result<Option<BucketEncryption>> {
        const OPERATION: &str = "s3.GetBucketEncryption";
        let answer = self
            .client
            .get_bucket_encryption()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error));
        let set = unset(answer)?.and_then(|answer| answer.server_side_encryption_configuration);
        Ok(set.and_then(|set| {
            let rule = set.rules().first()?;
            let by_default = rule.apply_server_side_encryption_by_default()?;
            (*by_default.sse_algorithm() == ServerSideEncryption::AwsKms).then(|| {
                BucketEncryption {
                    key: by_default.kms_master_key_id().map(str::to_owned),
                    bucket_key: rule.bucket_key_enabled() == Some(true),
                }
            })
        }))
    }

    async fn policy(&self) -> Result<Option<String>> {
        const OPERATION: &str = "s3.GetBucketPolicy";
        let answer = self
            .client
            .get_bucket_policy()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error));
        Ok(unset(answer)?.and_then(|answer| answer.policy))
    }

    async fn create(&self, tags: &Tags) -> Result<()> {
        const OPERATION: &str = "s3.CreateBucket";
        let region = self.place.region.as_str();
        let mut wanted =
            CreateBucketConfiguration::builder().set_tags(Some(tags_to_aws(OPERATION, tags)?));
        // The one region that S3 does not let be named.
        if region != "us-east-1" {
            wanted = wanted.location_constraint(BucketLocationConstraint::from(region));
        }
        let answer = self
            .client
            .create_bucket()
            .bucket(self.name())
            .object_ownership(ObjectOwnership::BucketOwnerEnforced)
            .create_bucket_configuration(wanted.build())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error));
        match answer {
            // By a call of ours whose answer was lost.
            Err(error) if error.code == "BucketAlreadyOwnedByYou" => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    async fn put_tags(&self, tags: &Tags) -> Result<()> {
        const OPERATION: &str = "s3.PutBucketTagging";
        let tags = Tagging::builder().set_tag_set(Some(tags_to_aws(OPERATION, tags)?));
        self.client
            .put_bucket_tagging()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .tagging(tags.build().map_err(unbuilt(OPERATION))?)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        Ok(())
    }

    async fn make_private(&self) -> Result<()> {
        const OPERATION: &str = "s3.PutPublicAccessBlock";
        let all = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .block_public_policy(true)
            .ignore_public_acls(true)
            .restrict_public_buckets(true);
        self.client
            .put_public_access_block()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .public_access_block_configuration(all.build())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        Ok(())
    }

    async fn enforce_owner(&self) -> Result<()> {
        const OPERATION: &str = "s3.PutBucketOwnershipControls";
        let rule = OwnershipControlsRule::builder()
            .object_ownership(ObjectOwnership::BucketOwnerEnforced)
            .build()
            .map_err(unbuilt(OPERATION))?;
        let controls = OwnershipControls::builder().rules(rule);
        self.client
            .put_bucket_ownership_controls()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .ownership_controls(controls.build().map_err(unbuilt(OPERATION))?)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        Ok(())
    }

    async fn put_encryption(&self, encryption: &BucketEncryption) -> Result<()> {
        const OPERATION: &str = "s3.PutBucketEncryption";
        let by_default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::AwsKms)
            .set_kms_master_key_id(encryption.key.clone())
            .build()
            .map_err(unbuilt(OPERATION))?;
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(by_default)
            .bucket_key_enabled(encryption.bucket_key)
            .build();
        let rules = ServerSideEncryptionConfiguration::builder().rules(rule);
        self.client
            .put_bucket_encryption()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .server_side_encryption_configuration(rules.build().map_err(unbuilt(OPERATION))?)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        Ok(())
    }

    async fn put_policy(&self, policy: &str) -> Result<()> {
        const OPERATION: &str = "s3.PutBucketPolicy";
        self.client
            .put_bucket_policy()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .policy(policy)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        Ok(())
    }
}
