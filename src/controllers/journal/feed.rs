//! What the journal sees: every kind of ours, by watches of its own, whether or not a controller works on it.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::Value;

use crate::api::{ANNOTATION_CHANGED_BY, ANNOTATION_CREATED_BY, definitions};
use crate::engine::clock::Clock;
use crate::journal::Journal;
use crate::journal::chain::{Departure, Seen};

/// All kinds of ours, as the API server serves them: a new kind is journaled without a word here.
pub(super) fn kinds() -> Vec<ApiResource> {
    let definitions = definitions().unwrap_or_else(|error| {
        tracing::error!(%error, "the kinds cannot be listed, so nothing is journaled: a defect of the operator");
        Vec::new()
    });
    let resources = definitions.iter().filter_map(|definition| {
        let (spec, version) = (&definition.spec, definition.spec.versions.first()?);
        let kind = GroupVersionKind::gvk(&spec.group, &version.name, &spec.names.kind);
        Some(ApiResource::from_gvk_with_plural(&kind, &spec.names.plural))
    });
    resources.collect()
}

/// What is known of an object; `None` if it is none that the API server knows. `guarded`: policies keep its stamps true; where
/// they do not, whoever may write the object may write somebody else's name there.
pub(super) fn seen(
    (kind, guarded): (&str, bool),
    meta: &ObjectMeta,
    spec: Option<Value>,
    now: Timestamp,
) -> Option<Seen> {
    let annotation = |name: &str| {
        let annotations = meta.annotations.as_ref().filter(|_| guarded);
        annotations.and_then(|annotations| annotations.get(name).cloned())
    };
    // Asking for the deletion counts as a generation of its own, although the spec stays what it is.
    let asked = i64::from(meta.deletion_timestamp.is_some());
    Some(Seen {
        kind: kind.to_owned(),
        namespace: meta.namespace.clone(),
        name: meta.name.clone()?,
        uid: meta.uid.clone()?,
        generation: meta.generation.unwrap_or(1).saturating_sub(asked).max(1),
        spec,
        created_by: annotation(ANNOTATION_CREATED_BY),
        changed_by: annotation(ANNOTATION_CHANGED_BY),
        created: meta.creation_timestamp.as_ref().map(|time| time.0),
        changed: spec_set(meta),
        observed: now,
        departed: None,
        listed: false,
    })
}

/// The spec; an empty one for an object that has none, of which nothing can be changed but its existence.
fn spec_of(object: &mut DynamicObject) -> Value {
    let spec = object.data.get_mut("spec").map(Value::take);
    spec.unwrap_or_else(|| Value::Object(serde_json::Map::new()))
}

/// When a field of the spec was set last, as the API server keeps account of it.
fn spec_set(meta: &ObjectMeta) -> Option<Timestamp> {
    let entries = meta.managed_fields.iter().flatten();
    let of_spec = entries.filter(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.get("f:spec").is_some())
    });
    of_spec
        .filter_map(|entry| entry.time.as_ref().map(|time| time.0))
        .max()
}

/// One kind's objects, as the watch shows them.
struct Follower {
    kind: String,
    guarded: bool,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    /// The uids of all that live.
    living: HashSet<String>,
    /// The same for a list that is under way.
    listing: Option<HashSet<String>>,
    /// Whether the living are to be held against the index.
    compare: bool,
}

/// Tells the journal of every object of a kind, for ever.
pub(super) async fn follow(
    client: Client,
    (resource, guarded): (ApiResource, bool),
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
) {
    let mut opened = journal.opened();
    let mut follower = Follower {
        kind: resource.kind.clone(),
        guarded,
        journal,
        clock,
        living: HashSet::new(),
        listing: None,
        compare: false,
    };
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let mut events = watcher(api, watcher::Config::default())
        .default_backoff()
        .boxed();
    loop {
        let open = *opened.borrow_and_update();
        if open && follower.compare {
            follower.compare = false;
            let now = follower.clock.now();
            follower
                .journal
                .compare(&follower.kind, &follower.living, now);
        }
        tokio::select! {
            _ = opened.changed(), if !open => {}
            event = events.next() => match event {
                Some(Ok(event)) => follower.take(event),
                Some(Err(error)) => {
                    tracing::debug!(kind = follower.kind, %error, "the journal's watch was interrupted and goes on");
                }
                None => return,
            }
        }
    }
}

impl Follower {
    fn take(&mut self, event: Event<DynamicObject>) {
        match event {
            Event::Init => self.listing = Some(HashSet::new()),
            Event::InitApply(object) => {
                if let Some(uid) = &object.metadata.uid
                    && let Some(listing) = &mut self.listing
                {
                    listing.insert(uid.clone());
                }
                self.tell(object, true);
            }
            Event::InitDone => {
                self.living = self.listing.take().unwrap_or_default();
                self.compare = true;
            }
            Event::Apply(object) => {
                self.living.extend(object.metadata.uid.clone());
                self.tell(object, false);
            }
            Event::Delete(object) => {
                if let Some(uid) = &object.metadata.uid {
                    self.living.remove(uid);
                }
                self.tell_gone(object);
            }
        }
    }

    fn tell(&self, mut object: DynamicObject, listed: bool) {
        let (spec, now) = (spec_of(&mut object), self.clock.now());
        if let Some(mut seen) = seen(
            (&self.kind, self.guarded),
            &object.metadata,
            Some(spec),
            now,
        ) {
            seen.listed = listed;
            self.journal.see(seen);
        }
    }

    fn tell_gone(&self, mut object: DynamicObject) {
        let (spec, now) = (spec_of(&mut object), self.clock.now());
        if let Some(mut seen) = seen(
            (&self.kind, self.guarded),
            &object.metadata,
            Some(spec),
            now,
        ) {
            seen.departed = Some(Departure {
                at: object.metadata.deletion_timestamp.map(|time| time.0),
                gone: true,
            });
            self.journal.see(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_kinds_are_journaled() {
        let kinds: Vec<String> = kinds().into_iter().map(|resource| resource.kind).collect();
        assert_eq!(kinds.len(), definitions().unwrap().len());
        assert!(kinds.contains(&"Release".to_owned()), "{kinds:?}");
    }

    #[test]
    fn an_object_is_seen_with_its_stamps_and_times() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let meta: ObjectMeta = serde_json::from_value(json!({
            "name": "shop", "namespace": "team-shop", "uid": "u", "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"bailiwick.dev/created-by": "jane", "bailiwick.dev/changed-by": "joe"},
            "managedFields": [
                {"manager": "kubectl", "operation": "Apply", "time": "2026-01-01T01:00:00Z", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:spec": {"f:tier": {}}}},
                {"manager": "bailiwick", "operation": "Update", "time": "2026-01-01T02:00:00Z", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:metadata": {}}},
            ],
        }))
        .unwrap();
        let object = seen(("Application", true), &meta, Some(json!({})), now).unwrap();
        assert_eq!(object.generation, 3);
        assert_eq!(object.created_by.as_deref(), Some("jane"));
        assert_eq!(object.changed_by.as_deref(), Some("joe"));
        assert_eq!(
            object.changed,
            Some("2026-01-01T01:00:00Z".parse().unwrap())
        );
        let forged = seen(("Application", false), &meta, None, now).unwrap();
        assert_eq!((forged.created_by, forged.changed_by), (None, None));
        let leaving = ObjectMeta {
            deletion_timestamp: meta.creation_timestamp.clone(),
            ..meta
        };
        let object = seen(("Application", true), &leaving, None, now).unwrap();
        assert_eq!(object.generation, 2, "the deletion's own is not counted");
    }
}
