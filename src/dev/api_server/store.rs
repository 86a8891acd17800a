//! The objects, their history, and the rules for writing one.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    sync::Arc,
};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use super::{
    Clock,
    cascade::Work,
    kinds::ResourceKind,
    ownership::{self, Manager, Managers},
    rules::{check_change, check_version, confine, is_finished, is_new_generation, is_valid_name},
    status::{self, Answer},
};

/// Namespace (empty for cluster-scoped objects) and name.
pub(super) type Key = (String, String);

/// How many changes of one kind are remembered; a watch that falls further behind must list again.
const HISTORY: usize = 20_000;

#[derive(Clone)]
pub(super) struct Stored {
    pub value: Arc<Value>,
    pub managers: Managers,
    /// The status is the schema's default, seen by every reader and yet not stored: the next write stores it,
    /// also one that changes nothing.
    pub is_status_unsaved: bool,
}

/// One step in the history of a kind.
pub(super) struct Change {
    pub revision: u64,
    pub at: Instant,
    pub key: Key,
    pub before: Option<Arc<Value>>,
    /// The object after the change, or as it was when it was deleted.
    pub object: Arc<Value>,
    pub deleted: bool,
}

pub(super) struct Table {
    pub kind: Arc<ResourceKind>,
    pub objects: BTreeMap<Key, Stored>,
    pub history: VecDeque<Change>,
    /// Changes up to here are forgotten.
    pub compacted: u64,
    pub changed: watch::Sender<u64>,
}

pub(super) struct Store {
    pub tables: Vec<Table>,
    pub revision: u64,
    pub clock: Clock,
    pub queue: VecDeque<Work>,
    /// Who names an owner, by the owner's uid.
    pub dependents: BTreeMap<String, BTreeSet<(usize, Key)>>,
    /// The uids that exist.
    pub living: HashSet<String>,
    born: u64,
}

/// Which part of an object a write may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scope {
    Main,
    Status,
    /// `namespaces/finalize`.
    Finalize,
    /// Spec and status at once: only the administrator of the simulation can do this.
    Whole,
}

/// Whose fields they are after a write.
pub(super) enum Author {
    /// The writer owns what it changed.
    Writer(Manager),
    /// Server-side apply has worked it out already.
    Known(Managers),
}

impl Store {
    pub fn new(clock: Clock) -> Self {
        let mut store = Self {
            tables: Vec::new(),
            revision: 1,
            clock,
            queue: VecDeque::new(),
            dependents: BTreeMap::new(),
            living: HashSet::new(),
            born: 0,
        };
        ResourceKind::builtins()
            .into_iter()
            .for_each(|kind| store.register(Arc::new(kind)));
        store
    }

    /// Serves `kind` from now on; a kind that is served already is described anew.
    pub fn register(&mut self, kind: Arc<ResourceKind>) {
        match self.table(&kind.group, &kind.version, &kind.plural) {
            Some(table) => self.tables[table].kind = kind,
            None => self.tables.push(Table {
                kind,
                objects: BTreeMap::new(),
                history: VecDeque::new(),
                compacted: self.revision,
                changed: watch::Sender::new(0),
            }),
        }
    }

    pub fn table(&self, group: &str, version: &str, plural: &str) -> Option<usize> {
        self.tables.iter().position(|table| {
            let kind = &table.kind;
            kind.plural == plural && kind.group == group && kind.version == version
        })
    }

    pub fn find(&self, table: usize, key: &Key) -> Answer<&Stored> {
        let table = &self.tables[table];
        table
            .objects
            .get(key)
            .ok_or_else(|| status::not_found(&table.kind, &key.1))
    }

    pub fn now(&self) -> String {
        timestamp((self.clock)())
    }

    /// Creates an object, named or not yet, with whatever status it brings under [`Scope::Whole`].
    pub fn create(
        &mut self,
        table: usize,
        key: Key,
        scope: Scope,
        mut object: Value,
        author: Author,
        dry_run: bool,
    ) -> Answer<Arc<Value>> {
        let kind = self.tables[table].kind.clone();
        let key = self.named(&kind, key, &object)?;
        if self.tables[table].objects.contains_key(&key) {
            return Err(status::already_exists(&kind, &key.1));
        }
        if kind.namespaced && scope != Scope::Whole {
            self.check_namespace(&kind, &key)?;
        }
        self.born += 1;
        let metadata = &mut object["metadata"];
        metadata["name"] = key.1.as_str().into();
        if kind.namespaced {
            metadata["namespace"] = key.0.as_str().into();
        }
        metadata["uid"] = format!("00000000-0000-4000-8000-{:012x}", self.born).into();
        metadata["creationTimestamp"] = self.now().into();
        metadata["generation"] = if kind.custom { 1.into() } else { Value::Null };
        for field in [
            "resourceVersion",
            "managedFields",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            metadata[field] = Value::Null;
        }
        if kind.status_subresource && scope != Scope::Whole {
            object.as_object_mut().map(|fields| fields.remove("status"));
        }
        if kind.is_namespace() {
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            object["status"] = json!({"phase": "Active"});
        }
        kind.complete(&mut object);
        let managers = match author {
            Author::Known(managers) => managers,
            Author::Writer(manager) => {
                let mut fields = ownership::fields(&kind.schema, &object);
                // A status that the schema's default put there is nobody's.
                fields.retain(|path| scope == Scope::Whole || path[0] != "f:status");
                Managers::from([(manager, fields)])
            }
        };
        if dry_run {
            return Ok(Arc::new(object));
        }
        let is_status_unsaved =
            kind.custom && kind.status_subresource && object["status"].is_object();
        let created = self.commit(table, key.clone(), Some((object, managers)));
        if let Some(stored) = self.tables[table].objects.get_mut(&key) {
            stored.is_status_unsaved = is_status_unsaved && scope != Scope::Whole;
        }
        self.settle();
        Ok(created)
    }

    /// Writes `object` over the one that is there: version checked, the rest carried over, nothing done if nothing changes.
    pub fn replace(
        &mut self,
        table: usize,
        key: &Key,
        scope: Scope,
        mut object: Value,
        author: Author,
        dry_run: bool,
    ) -> Answer<Arc<Value>> {
        let kind = self.tables[table].kind.clone();
        let old = self.find(table, key)?.clone();
        check_version(&kind, &old.value, &object)?;
        confine(&kind, scope, &old.value, &mut object);
        kind.complete(&mut object);
        check_change(&kind, &old.value, &object)?;
        if kind.custom && is_new_generation(&kind, &old.value, &object) {
            let generation = old.value["metadata"]["generation"].as_i64().unwrap_or(0);
            object["metadata"]["generation"] = (generation + 1).into();
        }
        let managers = match author {
            Author::Known(managers) => managers,
            Author::Writer(manager) => {
                ownership::record(&kind.schema, &old.value, &object, &old.managers, manager)
            }
        };
        if object == *old.value && managers == old.managers && !old.is_status_unsaved {
            return Ok(old.value);
        }
        if dry_run {
            return Ok(Arc::new(object));
        }
        let written = if is_finished(&kind, &object) {
            self.commit(table, key.clone(), None);
            Arc::new(object)
        } else {
            self.commit(table, key.clone(), Some((object, managers)))
        };
        self.settle();
        Ok(written)
    }

    /// The name to create under, made from `generateName` if need be.
    fn named(&self, kind: &ResourceKind, key: Key, object: &Value) -> Answer<Key> {
        let (namespace, mut name) = key;
        if name.is_empty() {
            let prefix = object["metadata"]["generateName"]
                .as_str()
                .unwrap_or_default();
            if prefix.is_empty() {
                return Err(status::invalid(
                    kind,
                    "",
                    "metadata.name",
                    "Required value: name or generateName is required",
                ));
            }
            name = format!("{prefix}{}", suffix(self.born));
        }
        if !is_valid_name(kind, &name) {
            return Err(status::invalid(
                kind,
                &name,
                "metadata.name",
                "Invalid value: not an RFC 1123 name",
            ));
        }
        Ok((namespace, name))
    }

    fn check_namespace(&self, kind: &ResourceKind, (namespace, name): &Key) -> Answer<()> {
        let Some(table) = self.table("", "v1", "namespaces") else {
            return Ok(());
        };
        let found = self.find(table, &(String::new(), namespace.clone()))?;
        if found.value["metadata"]["deletionTimestamp"].is_null() {
            return Ok(());
        }
        Err(status::namespace_terminating(kind, name, namespace))
    }

    /// Stores an object, or removes it, under the next revision. The only place that changes a table.
    pub fn commit(
        &mut self,
        table: usize,
        key: Key,
        after: Option<(Value, Managers)>,
    ) -> Arc<Value> {
        self.revision += 1;
        let before = self.tables[table]
            .objects
            .get(&key)
            .map(|stored| stored.value.clone());
        let deleted = after.is_none();
        let (mut object, managers) = after.unwrap_or_else(|| {
            (
                before.as_deref().cloned().unwrap_or_default(),
                Managers::new(),
            )
        });
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let object = Arc::new(object);
        self.index(
            table,
            &key,
            before.as_deref(),
            (!deleted).then_some(&*object),
        );
        let table = &mut self.tables[table];
        if deleted {
            table.objects.remove(&key);
        } else {
            let stored = Stored {
                value: object.clone(),
                managers,
                is_status_unsaved: false,
            };
            table.objects.insert(key.clone(), stored);
        }
        table.history.push_back(Change {
            revision: self.revision,
            at: Instant::now(),
            key,
            before,
            object: object.clone(),
            deleted,
        });
        if table.history.len() > HISTORY
            && let Some(forgotten) = table.history.pop_front()
        {
            table.compacted = forgotten.revision;
        }
        table.changed.send_replace(self.revision);
        object
    }
}

impl Table {
    /// The objects as they were at `revision`, in the order of their keys.
    pub fn as_of(&self, revision: u64) -> Answer<BTreeMap<&Key, &Arc<Value>>> {
        if revision < self.compacted {
            return Err(status::expired(
                "The resourceVersion for the provided list is too old.",
            ));
        }
        let mut objects: BTreeMap<_, _> = self
            .objects
            .iter()
            .map(|(key, stored)| (key, &stored.value))
            .collect();
        for change in self
            .history
            .iter()
            .rev()
            .take_while(|change| change.revision > revision)
        {
            match &change.before {
                Some(before) => objects.insert(&change.key, before),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects)
    }
}

/// What makes a generated name unique: deterministic here, in the real server's alphabet.
fn suffix(mut number: u64) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut text = [b'b'; 5];
    for place in text.iter_mut().rev() {
        *place = ALPHABET[(number % 27) as usize];
        number /= 27;
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn timestamp(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}
