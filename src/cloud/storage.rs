//! One bucket of an object store, as the journal needs it: write once, read, list.

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;

use super::{Page, Result};

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Its key.
    pub key: String,
    /// When it was written, if the store says.
    pub modified: Option<Timestamp>,
}

/// One bucket.
#[async_trait]
pub trait Bucket: Send + Sync {
    /// PutObject with `If-None-Match: *`: writes only if there is nothing under this key, and says
    /// [`AlreadyExists`](super::ErrorKind::AlreadyExists) otherwise. Of two writers one wins, and a write that is
    /// repeated after a lost answer cannot replace anything. `written` is the time from which the object is locked, where
    /// the bucket's objects are.
    async fn put_new(&self, key: &str, bytes: &[u8], written: Timestamp) -> Result<()>;
    /// PutObject: writes or replaces; never locked.
    async fn put(&self, key: &str, bytes: &[u8]) -> Result<()>;
    /// GetObject; `None` if there is nothing under this key.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;
    /// ListObjectsV2: the keys with this prefix in their order, one page.
    async fn list(&self, prefix: &str, page: Option<String>) -> Result<Page<StoredObject>>;
}
