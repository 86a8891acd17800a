//! One bucket of S3: strongly consistent, with conditional writes.

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;

use super::faults::Call;
use super::refusal::refused;
use super::world::World;
use super::{Gate, SimulatedCloud, paging};
use crate::cloud::storage::{Bucket, StoredObject};
use crate::cloud::{CloudError, ErrorKind, Page, Result};

const PUT: &str = "s3.PutObject";
const GET: &str = "s3.GetObject";
const LIST: &str = "s3.ListObjectsV2";

/// What is under a key.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    bytes: Vec<u8>,
    modified: Timestamp,
}

impl World {
    fn store(&mut self, key: &str, bytes: &[u8]) {
        let stored = Stored {
            bytes: bytes.to_vec(),
            modified: self.now,
        };
        self.objects.insert(key.to_owned(), stored);
    }
}

#[async_trait]
impl Bucket for Gate {
    async fn put_new(&self, key: &str, bytes: &[u8], _written: Timestamp) -> Result<()> {
        self.call(Call::write(PUT, key), |world| {
            if world.objects.contains_key(key) {
                let message =
                    "At least one of the pre-conditions you specified did not hold".to_owned();
                return Err(refused(PUT, "PreconditionFailed", message));
            }
            world.store(key, bytes);
            Ok(())
        })
        .await
    }

    async fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.call(Call::write(PUT, key), |world| {
            world.store(key, bytes);
            Ok(())
        })
        .await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.call(Call::read(GET, key), |world| {
            Ok(world.objects.get(key).map(|stored| stored.bytes.clone()))
        })
        .await
    }

    async fn list(&self, prefix: &str, page: Option<String>) -> Result<Page<StoredObject>> {
        self.call(Call::read(LIST, prefix), |world| {
            let start = paging::start(LIST, page.as_deref())?;
            if world.faults.happens(world.options.empty_page_rate) {
                return Ok(paging::empty(start));
            }
            let after = start.unwrap_or_default().to_owned();
            let objects = world.objects.range(prefix.to_owned()..);
            let objects = objects
                .take_while(|(key, _)| key.starts_with(prefix))
                .filter(|(key, _)| **key > after)
                .map(|(key, stored)| {
                    let object = StoredObject {
                        key: key.clone(),
                        modified: Some(stored.modified),
                    };
                    (key.clone(), object)
                });
            Ok(paging::fill(objects))
        })
        .await
    }
}

/// What a test sees of the bucket, and does to it, past the port.
impl SimulatedCloud {
    /// All keys with this prefix, and what is under them.
    pub fn objects(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let world = self.world();
        let objects = world.objects.iter();
        objects
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, stored)| (key.clone(), stored.bytes.clone()))
            .collect()
    }

    /// Puts something under a key, or takes away what is there.
    pub fn change_object_behind(&self, key: &str, bytes: Option<&[u8]>) {
        let mut world = self.world();
        match bytes {
            Some(bytes) => world.store(key, bytes),
            None => drop(world.objects.remove(key)),
        }
    }

    /// The bucket does not answer from now on, or does again.
    pub fn set_bucket_away(&self, away: bool) {
        for operation in [PUT, GET, LIST] {
            if away {
                let message = "the bucket is away";
                let code = "ServiceUnavailable";
                let error = CloudError::new(ErrorKind::Unavailable, operation, code, message);
                self.refuse_all(error);
            } else {
                self.relent(operation);
            }
        }
    }
}
