//! The record of one object during a pass: its status, and how it is written.
//!
//! A status is written with the resource version that was read, so that a write based on old knowledge is refused
//! by the API server and never overwrites an intent; and only if it differs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::object::HasStatus;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::conditions::{self, Truth};
use super::leader::Leadership;
use super::outcome::{Failure, FailureKind};
use super::reasons::{self, Reason};
use crate::api::Status;

/// What the frame needs of a kind.
pub trait Kind:
    Resource<DynamicType = ()>
    + HasStatus<Status: Status>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = ()>
        + HasStatus<Status: Status>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// An event to publish when the pass is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Whether somebody should worry.
    pub warning: bool,
    /// The reason, one of the kind's closed set.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// One object during a pass.
pub struct Record<K: Kind> {
    client: Client,
    leadership: Leadership,
    reasons: &'static [Reason],
    object: Arc<K>,
    written: Value,
    resource_version: String,
    begun: Arc<AtomicBool>,
    /// The generation that this pass is about.
    pub generation: i64,
    /// The time of this pass.
    pub now: Timestamp,
    /// The status as it shall be.
    pub status: K::Status,
    /// The events of this pass.
    pub notes: Vec<Note>,
}

impl<K: Kind> Record<K> {
    pub(super) fn open(
        client: Client,
        leadership: Leadership,
        reasons: &'static [Reason],
        object: Arc<K>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let status = object.status().cloned().unwrap_or_default();
        Ok(Self {
            written: to_value(&status)?,
            resource_version: object.resource_version().unwrap_or_default(),
            generation: object.meta().generation.unwrap_or(0),
            begun: Arc::default(),
            client,
            leadership,
            reasons,
            object,
            // A status keeps whole seconds; what is written must be what will be read.
            now: Timestamp::from_second(now.as_second()).unwrap_or(now),
            status,
            notes: Vec::new(),
        })
    }

    /// Sets a condition of this object.
    pub fn set(&mut self, type_: &str, truth: Truth, reason: &str, message: &str) {
        let at = (self.generation, self.now);
        conditions::set(
            self.status.conditions(),
            type_,
            truth,
            (reason, message),
            at,
        );
    }

    /// Whether a condition is True.
    pub fn is_true(&self, type_: &str) -> bool {
        conditions::is_true(self.status.conditions_ref(), type_)
    }

    /// Adds an event.
    pub fn note(&mut self, reason: &'static str, message: impl Into<String>) {
        self.notes.push(Note {
            warning: false,
            reason,
            message: message.into(),
        });
    }

    /// Adds an event that somebody should worry about.
    pub fn warn(&mut self, reason: &'static str, message: impl Into<String>) {
        self.notes.push(Note {
            warning: true,
            reason,
            message: message.into(),
        });
    }

    /// What a condition or an event gives as its reason is one of the documented set. In tests a reason that is not
    /// fails; in production it is better to say it all the same.
    pub(super) fn check(&self) {
        let conditions = self.status.conditions_ref().iter();
        let said = conditions
            .map(|condition| condition.reason.as_str())
            .chain(self.notes.iter().map(|note| note.reason));
        for reason in said {
            debug_assert!(
                reasons::is_documented(self.reasons, reason),
                "{reason} is not in the table of reasons of this kind"
            );
        }
    }

    /// Must be asked before every write outside: a replica that is not the leader any more writes nothing. From here on
    /// the pass is not cut short when the process is told to end: its result must be recorded.
    ///
    /// # Errors
    /// Transient, if leadership is lost.
    pub fn may_write(&self) -> Result<(), Failure> {
        self.may_write_in_cluster()?;
        self.begun.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the pass has begun to write something outside.
    pub(super) fn begun(&self) -> Arc<AtomicBool> {
        self.begun.clone()
    }

    /// The same before a write in the cluster besides this object. Such a write says what is declared and is made again
    /// by the next pass: a process that ends need not wait for it.
    ///
    /// # Errors
    /// Transient, if leadership is lost.
    pub fn may_write_in_cluster(&self) -> Result<(), Failure> {
        self.leadership.guard().map_err(|_| {
            Failure::new(
                FailureKind::Transient,
                reasons::NOT_LEADER,
                "this replica is not the leader",
            )
        })
    }

    /// Writes the status now, if it differs: the record of an intent must be durable before the call it announces.
    /// `true`: something was written.
    ///
    /// # Errors
    /// Conflict if the object has changed since it was read: then nothing was written and the pass must end.
    pub async fn save(&mut self) -> Result<bool, Failure> {
        let wanted = to_value(&self.status)?;
        if wanted == self.written {
            return Ok(false);
        }
        self.write(wanted).await?;
        Ok(true)
    }

    /// The same, also if nothing differs: before a call that nobody can take back, the API server says whether the object
    /// is still what this pass has read of it.
    ///
    /// # Errors
    /// Conflict if the object has changed since it was read: then the pass must end without that call.
    pub async fn reaffirm(&mut self) -> Result<(), Failure> {
        let wanted = to_value(&self.status)?;
        self.write(wanted).await
    }

    async fn write(&mut self, wanted: Value) -> Result<(), Failure> {
        let body = json!({
            "metadata": { "resourceVersion": self.resource_version },
            "status": merge_diff(&self.written, &wanted),
        });
        let answer = self.patch(Some("status"), body).await?;
        self.resource_version = answer.resource_version().unwrap_or_default();
        self.written = wanted;
        Ok(())
    }

    /// Adds the finalizer, before the first write outside.
    pub(super) async fn add_finalizer(&mut self, finalizer: &str) -> Result<(), Failure> {
        let mut finalizers = self.object.finalizers().to_vec();
        finalizers.push(finalizer.to_owned());
        self.patch_metadata(json!({ "finalizers": finalizers }))
            .await
    }

    /// Takes the finalizer off: nothing outside is owed any more.
    pub(super) async fn remove_finalizer(&mut self, finalizer: &str) -> Result<(), Failure> {
        let finalizers: Vec<_> = self
            .object
            .finalizers()
            .iter()
            .filter(|name| *name != finalizer)
            .collect();
        self.patch_metadata(json!({ "finalizers": finalizers }))
            .await
    }

    /// Takes an annotation off that has been acted upon.
    ///
    /// # Errors
    /// Conflict if the object has changed since it was read.
    pub async fn remove_annotation(&mut self, name: &str) -> Result<(), Failure> {
        self.patch_metadata(json!({ "annotations": { name: null } }))
            .await
    }

    async fn patch_metadata(&mut self, mut metadata: Value) -> Result<(), Failure> {
        metadata["resourceVersion"] = json!(self.resource_version);
        let answer = self.patch(None, json!({ "metadata": metadata })).await?;
        self.resource_version = answer.resource_version().unwrap_or_default();
        Ok(())
    }

    async fn patch(&self, subresource: Option<&str>, body: Value) -> Result<K, Failure> {
        self.may_write_in_cluster()?;
        let url = K::url_path(&(), self.object.namespace().as_deref());
        let request = kube::core::Request::new(url);
        let (name, params) = (self.object.name_any(), PatchParams::default());
        let request = match subresource {
            Some(part) => request.patch_subresource(part, &name, &params, &Patch::Merge(body)),
            None => request.patch(&name, &params, &Patch::Merge(body)),
        };
        let request = request
            .map_err(|e| Failure::new(FailureKind::Bug, reasons::INTERNAL_ERROR, e.to_string()))?;
        Ok(self.client.request(request).await?)
    }
}

fn to_value<S: Serialize>(status: &S) -> Result<Value, Failure> {
    serde_json::to_value(status)
        .map_err(|e| Failure::new(FailureKind::Bug, reasons::INTERNAL_ERROR, e.to_string()))
}

/// The merge patch (RFC 7386) that makes `old` into `new`.
fn merge_diff(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return new.clone();
    };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match old.get(key) {
            Some(before) if before == value => {}
            Some(before) => {
                patch.insert(key.clone(), merge_diff(before, value));
            }
            None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_diff_says_only_what_changes() {
        let old = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1], "f": 1});
        let new = json!({"a": 1, "b": {"c": 1, "d": 3}, "e": [1, 2], "g": {"h": 1}});
        let patch = merge_diff(&old, &new);
        assert_eq!(
            patch,
            json!({"b": {"d": 3}, "e": [1, 2], "f": null, "g": {"h": 1}})
        );
        assert_eq!(merge_diff(&new, &new), json!({}));
    }
}
