//! What follows from a deletion: finalizers, owners and their dependents, namespaces and their content.
//!
//! On a cluster kube-controller-manager does the last two a moment later; here they are done with the write.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    rules::is_finished,
    store::{Key, Store},
};

/// Something to look at once a write is through.
#[derive(Debug, PartialEq)]
pub(super) enum Work {
    /// An object whose owners may all be gone.
    Collect(usize, Key),
    /// A namespace that may be ending.
    Drain(String),
}

/// How far a deletion has come.
pub(super) enum Deletion {
    /// Finalizers hold the object.
    Pending(Arc<Value>),
    Done(Arc<Value>),
}

impl Store {
    /// Deletes an object, or marks it if something holds it.
    pub fn begin_deletion(&mut self, table: usize, key: &Key) -> Option<Deletion> {
        let kind = self.tables[table].kind.clone();
        let stored = self.tables[table].objects.get(key)?.clone();
        if !stored.value["metadata"]["deletionTimestamp"].is_null() {
            return Some(Deletion::Pending(stored.value));
        }
        let mut object = (*stored.value).clone();
        object["metadata"]["deletionTimestamp"] = self.now().into();
        if is_finished(&kind, &object) {
            return Some(Deletion::Done(self.commit(table, key.clone(), None)));
        }
        if kind.is_namespace() {
            object["status"]["phase"] = "Terminating".into();
            self.queue.push_back(Work::Drain(key.1.clone()));
        } else {
            object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
        }
        if let Some(generation) = object["metadata"]["generation"].as_i64() {
            object["metadata"]["generation"] = (generation + 1).into();
        }
        let marked = self.commit(table, key.clone(), Some((object, stored.managers)));
        Some(Deletion::Pending(marked))
    }

    /// Lets go of the dependents of an owner that is about to be deleted with `propagationPolicy: Orphan`.
    pub fn orphan(&mut self, uid: &str) {
        for (table, key) in self.dependents.get(uid).cloned().into_iter().flatten() {
            let Some(stored) = self.tables[table].objects.get(&key).cloned() else {
                continue;
            };
            let mut object = (*stored.value).clone();
            if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
                owners.retain(|owner| owner["uid"] != uid);
            }
            self.tables[table].kind.complete(&mut object);
            self.commit(table, key, Some((object, stored.managers)));
        }
    }

    /// Keeps the index of owners, and notes what a change may bring about.
    pub fn index(
        &mut self,
        table: usize,
        key: &Key,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        for uid in before.into_iter().flat_map(owners) {
            if let Some(dependents) = self.dependents.get_mut(uid) {
                dependents.remove(&(table, key.clone()));
            }
        }
        for uid in after.into_iter().flat_map(owners) {
            let dependents = self.dependents.entry(uid.to_owned()).or_default();
            dependents.insert((table, key.clone()));
            if !self.living.contains(uid) {
                self.queue.push_back(Work::Collect(table, key.clone()));
            }
        }
        match (before, after) {
            (None, Some(object)) => {
                self.living.insert(uid(object).to_owned());
            }
            (Some(object), None) => {
                self.living.remove(uid(object));
                let dependents = self.dependents.remove(uid(object)).into_iter().flatten();
                self.queue
                    .extend(dependents.map(|(table, key)| Work::Collect(table, key)));
                let drain = Work::Drain(key.0.clone());
                if !key.0.is_empty() && self.queue.back() != Some(&drain) {
                    self.queue.push_back(drain);
                }
            }
            _ => {}
        }
    }

    /// Does all that the last write brought about.
    pub fn settle(&mut self) {
        while let Some(work) = self.queue.pop_front() {
            match work {
                Work::Collect(table, key) => {
                    self.collect(table, &key);
                }
                Work::Drain(namespace) => self.drain(&namespace),
            }
        }
    }

    /// Deletes an object whose owners are all gone; forgets those that are gone while others live.
    fn collect(&mut self, table: usize, key: &Key) {
        let Some(stored) = self.tables[table].objects.get(key).cloned() else {
            return;
        };
        let (living, gone): (Vec<_>, Vec<_>) =
            owners(&stored.value).partition(|uid| self.living.contains(*uid));
        if gone.is_empty() {
            return;
        }
        if living.is_empty() {
            self.begin_deletion(table, key);
            return;
        }
        let mut object = (*stored.value).clone();
        if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
            owners.retain(|owner| living.iter().any(|uid| owner["uid"] == **uid));
        }
        self.commit(table, key.clone(), Some((object, stored.managers)));
    }

    fn drain(&mut self, namespace: &str) {
        let Some(namespaces) = self.table("", "v1", "namespaces") else {
            return;
        };
        let own = (String::new(), namespace.to_owned());
        let Some(stored) = self.tables[namespaces].objects.get(&own).cloned() else {
            return;
        };
        if stored.value["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let mut is_empty = true;
        for table in 0..self.tables.len() {
            let from = (namespace.to_owned(), String::new());
            let objects = self.tables[table].objects.range(from..);
            let inside = objects.take_while(|(key, _)| key.0 == namespace);
            for key in inside.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
                is_empty &= matches!(self.begin_deletion(table, &key), Some(Deletion::Done(_)));
            }
        }
        if !is_empty || stored.value["spec"]["finalizers"].is_null() {
            return;
        }
        let mut object = (*stored.value).clone();
        object["spec"] = json!({});
        let kind = self.tables[namespaces].kind.clone();
        let rest = (!is_finished(&kind, &object)).then_some((object, stored.managers));
        self.commit(namespaces, own, rest);
    }
}

fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let references = object["metadata"]["ownerReferences"].as_array();
    references
        .into_iter()
        .flatten()
        .filter_map(|owner| owner["uid"].as_str())
}
