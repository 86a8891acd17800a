//! The files in an account's credentials bucket, by Amazon S3, through a session that cannot read them.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Region as AwsRegion};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;

use super::super::credentials::{BucketPlace, CredentialFiles, StoredFile};
use super::super::{CloudError, Result};
use super::error::classify;
use super::odd_answer;
use super::sessions::{NarrowKey, NarrowSessions, Session};
use crate::model::Secret;

/// [`CredentialFiles`] by the S3 of the account that the session is in.
pub(super) struct S3Files {
    client: Client,
    session: Arc<Session>,
    place: BucketPlace,
    key: NarrowKey,
    open: Arc<NarrowSessions>,
}

const PUT: &str = "s3.PutObject";
const LIST: &str = "s3.ListObjectsV2";
const DELETE: &str = "s3.DeleteObject";

/// What is asked whether a file may be written is asked of a name beside it, where nothing ever is: something that plays S3
/// and looks neither at digests nor at conditions writes what it must not, and that must not be the file in use.
const BESIDE: &str = ".preflight";

/// A digest in Base64, as Content-MD5 wants one: of sixteen zero bytes, and so of no content that anybody knows.
const IMPOSSIBLE_MD5: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

impl S3Files {
    pub(super) fn new(
        client: Client,
        session: Arc<Session>,
        place: BucketPlace,
        key: NarrowKey,
        open: Arc<NarrowSessions>,
    ) -> Self {
        Self {
            client,
            session,
            place,
            key,
            open,
        }
    }

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

    fn failed<E>(&self, operation: &'static str, error: SdkError<E>) -> CloudError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        self.open.check(&self.key, classify(operation, error))
    }
}

/// S3 writes an ETag in quotation marks.
fn bare(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

#[async_trait]
impl CredentialFiles for S3Files {
    async fn may_put(&self, key: &str) -> Result<()> {
        let beside = format!("{key}{BESIDE}");
        // Authorized by its head, and then refused because of its body, or because there is something already. A condition
        // on the ETag (If-Match) would be refused for want of s3:GetObject; this one (If-None-Match) takes s3:PutObject
        // alone. Whether the bucket's key may be used is not certain to be found out.
        let answer = self
            .client
            .put_object()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .key(&beside)
            .if_none_match("*")
            .content_md5(IMPOSSIBLE_MD5)
            .content_type("application/json")
            .body(ByteStream::from_static(b"{}"))
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(PUT, error));
        match answer {
            Err(error) if matches!(error.code.as_str(), "BadDigest" | "PreconditionFailed") => {
                Ok(())
            }
            Err(error) => Err(error),
            // Something that plays S3 and does not look at digests.
            Ok(_) => self.delete(&beside).await,
        }
    }

    async fn put(&self, key: &str, content: &Secret) -> Result<String> {
        let answer = self
            .client
            .put_object()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .key(key)
            .content_type("application/json")
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .body(ByteStream::from(content.reveal().as_bytes().to_vec()))
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(PUT, error))?;
        let etag = answer.e_tag().ok_or_else(|| odd_answer(PUT, "ETag"))?;
        Ok(bare(etag))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<StoredFile>> {
        let (mut files, mut next) = (Vec::new(), None);
        loop {
            let answer = self
                .client
                .list_objects_v2()
                .bucket(self.name())
                .expected_bucket_owner(self.owner())
                .prefix(prefix)
                .set_continuation_token(next)
                .customize()
                .config_override(self.here())
                .send()
                .await
                .map_err(|error| self.failed(LIST, error))?;
            for object in answer.contents() {
                let key = object.key().ok_or_else(|| odd_answer(LIST, "key"))?;
                let etag = object.e_tag().ok_or_else(|| odd_answer(LIST, "ETag"))?;
                files.push(StoredFile {
                    key: key.to_owned(),
                    etag: bare(etag),
                });
            }
            next = answer
                .next_continuation_token
                .filter(|_| answer.is_truncated == Some(true));
            if next.is_none() {
                return Ok(files);
            }
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.client
            .delete_object()
            .bucket(self.name())
            .expected_bucket_owner(self.owner())
            .key(key)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(DELETE, error))?;
        Ok(())
    }
}
