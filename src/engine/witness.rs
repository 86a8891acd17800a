//! Who must have heard of an object before it goes.

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// Is told of every object that is about to leave, before our finalizer is taken off: afterwards nothing is left of it to
/// tell.
#[async_trait]
pub trait Witness: Send + Sync {
    /// Returns when the departure is recorded where it will not be lost.
    ///
    /// # Errors
    /// If it is not: a sentence for the person who waits for the deletion. It is asked again.
    async fn departs(&self, kind: &str, meta: &ObjectMeta, spec: Value) -> Result<(), String>;
}
