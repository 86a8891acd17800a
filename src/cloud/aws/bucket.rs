//! One bucket of Amazon S3.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, ObjectLockMode};
use k8s_openapi::jiff::Timestamp;

use super::super::storage::{Bucket, StoredObject};
use super::super::{CloudError, ErrorKind, Page, Result};
use super::error::classify;
use super::{odd_answer, timestamp};

/// Which bucket, and how it is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketOptions {
    /// Its name.
    pub name: String,
    /// Its region, if it is not the one that the environment says.
    pub region: Option<String>,
    /// Name the bucket in the path instead of in the host's name: for stores that play S3.
    pub path_style: bool,
    /// How long what is written once is locked.
    pub lock: Option<Lock>,
}

/// An object lock. The bucket must have been made with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// For how long from the writing on.
    pub lasts: Duration,
    /// Whether nobody at all can end it early (compliance), or whoever has a right of its own can (governance).
    pub compliance: bool,
}

/// [`Bucket`] by Amazon S3.
pub(super) struct S3Bucket {
    client: Client,
    name: String,
    lock: Option<Lock>,
}

impl S3Bucket {
    pub(super) fn new(client: Client, options: &BucketOptions) -> Self {
        Self {
            client,
            name: options.name.clone(),
            lock: options.lock,
        }
    }
}

const PUT: &str = "s3.PutObject";
const GET: &str = "s3.GetObject";
const LIST: &str = "s3.ListObjectsV2";

#[async_trait]
impl Bucket for S3Bucket {
    async fn put_new(&self, key: &str, bytes: &[u8], written: Timestamp) -> Result<()> {
        let mut call = self.client.put_object().if_none_match("*");
        if let Some(lock) = self.lock {
            let mode = if lock.compliance {
                ObjectLockMode::Compliance
            } else {
                ObjectLockMode::Governance
            };
            let until = written
                .checked_add(lock.lasts)
                .map_err(|error| bad_lock(&error.to_string()))?;
            call = call
                .object_lock_mode(mode)
                .object_lock_retain_until_date(DateTime::from_secs(until.as_second()));
        }
        call.bucket(&self.name)
            .key(key)
            .content_type("application/json")
            // Checked by S3 before it takes the object, and demanded where objects are locked.
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .body(ByteStream::from(bytes.to_vec()))
            .send()
            .await
            .map_err(|error| classify(PUT, error))?;
        Ok(())
    }

    async fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type("application/json")
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .body(ByteStream::from(bytes.to_vec()))
            .send()
            .await
            .map_err(|error| classify(PUT, error))?;
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let call = self.client.get_object().bucket(&self.name).key(key);
        let answer = match call.send().await.map_err(|error| classify(GET, error)) {
            // Without the right to list, S3 says AccessDenied instead: that is an error, and says what to allow.
            Err(error) if error.kind == ErrorKind::NotFound && error.code == "NoSuchKey" => {
                return Ok(None);
            }
            answer => answer?,
        };
        let bytes = answer.body.collect().await.map_err(|error| {
            CloudError::new(
                ErrorKind::Unavailable,
                GET,
                "BrokenAnswer",
                error.to_string(),
            )
        })?;
        Ok(Some(bytes.to_vec()))
    }

    async fn list(&self, prefix: &str, page: Option<String>) -> Result<Page<StoredObject>> {
        let answer = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(prefix)
            .set_continuation_token(page)
            .send()
            .await
            .map_err(|error| classify(LIST, error))?;
        let items = answer.contents().iter().map(|object| {
            Ok(StoredObject {
                key: object
                    .key()
                    .ok_or_else(|| odd_answer(LIST, "key"))?
                    .to_owned(),
                modified: timestamp(object.last_modified()),
            })
        });
        Ok(Page {
            items: items.collect::<Result<_>>()?,
            next: answer
                .next_continuation_token()
                .filter(|_| answer.is_truncated() == Some(true))
                .map(str::to_owned),
        })
    }
}

/// Where a bucket is, if S3 says: it does so even to whom it lets do nothing, and from whichever region it is asked.
pub(super) async fn region_of(client: &Client, name: &str) -> Option<String> {
    match client.head_bucket().bucket(name).send().await {
        Ok(answer) => answer.bucket_region().map(str::to_owned),
        Err(error) => {
            let headers = error.raw_response()?.headers();
            headers.get("x-amz-bucket-region").map(str::to_owned)
        }
    }
}

fn bad_lock(why: &str) -> CloudError {
    let message = format!("the time until which the object would be locked cannot be had: {why}");
    CloudError::new(ErrorKind::Invalid, PUT, "BadLock", message)
}
