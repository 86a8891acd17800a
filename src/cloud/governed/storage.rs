//! The governed bucket.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;

use super::super::budget::{Budgets, Domain};
use super::super::storage::{Bucket, StoredObject};
use super::super::{Page, Result};
use super::{CallObserver, Governed, Governor};

/// The same bucket with budgets and an observer before every call.
pub fn govern_bucket(
    bucket: Arc<dyn Bucket>,
    budgets: Arc<Budgets>,
    observer: Arc<dyn CallObserver>,
) -> Arc<dyn Bucket> {
    Arc::new(Governed {
        port: bucket,
        governor: Governor { budgets, observer },
    })
}

impl Governor {
    async fn s3<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let domain = Domain::Operation {
            service: "s3",
            operation,
        };
        self.call(domain, operation, None, run).await
    }
}

#[async_trait]
impl Bucket for Governed<dyn Bucket> {
    async fn put_new(&self, key: &str, bytes: &[u8], written: Timestamp) -> Result<()> {
        let run = self.port.put_new(key, bytes, written);
        self.governor.s3("PutObject", run).await
    }

    async fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.governor
            .s3("PutObject", self.port.put(key, bytes))
            .await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.governor.s3("GetObject", self.port.get(key)).await
    }

    async fn list(&self, prefix: &str, page: Option<String>) -> Result<Page<StoredObject>> {
        self.governor
            .s3("ListObjectsV2", self.port.list(prefix, page))
            .await
    }
}
