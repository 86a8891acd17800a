//! One watch for each kind: it keeps the kind's cache, drives its controller, and tells the other controllers what has
//! changed. Nobody watches a kind a second time.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{Predicate, WatchStreamExt, predicates, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::{mpsc, watch};

use super::index::{Index, Keys};
use super::record::Kind;
use super::trigger::Trigger;

/// What of an object has changed, for those who depend on it. At least one of the two is there.
#[derive(Debug)]
pub struct Change<'a, K> {
    /// The object as it was, if it was there and could be read.
    pub before: Option<&'a K>,
    /// The object as it is, if it is there and can be read.
    pub after: Option<&'a K>,
}

impl<K> Change<'_, K> {
    /// The object, as it is or as it was last.
    pub fn object(&self) -> Option<&K> {
        self.after.or(self.before)
    }

    /// Whether what `of` takes from the object has changed; its coming and going is a change.
    pub fn of<T: PartialEq>(&self, of: impl Fn(&K) -> T) -> bool {
        self.before.map(&of) != self.after.map(&of)
    }
}

/// A kind as all controllers see it: what its watch has seen, and how a pass over an object is asked for.
#[derive(Debug)]
pub struct Cached<K: Kind> {
    store: Store<DeserializeGuard<K>>,
    index: Arc<Index<K>>,
    filled: watch::Receiver<bool>,
    wake: Trigger<K>,
}

impl<K: Kind> Clone for Cached<K> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            index: Arc::clone(&self.index),
            filled: self.filled.clone(),
            wake: self.wake.clone(),
        }
    }
}

impl<K: Kind> Cached<K> {
    /// Waits until the cache has been filled once: an object that is merely not known yet must not count as missing.
    pub async fn filled(&self) {
        // An error says that the watch has ended, which it does only with the whole process.
        let _ = self.filled.clone().wait_for(|filled| *filled).await;
    }

    /// The object of that name, if there is one that can be read; without a namespace for a kind that has none.
    pub fn get(&self, namespace: Option<&str>, name: &str) -> Option<K> {
        let mut key = ObjectRef::new(name);
        if let Some(namespace) = namespace {
            key = key.within(namespace);
        }
        self.store.get(&key).and_then(|found| found.0.clone().ok())
    }

    /// What `look` makes of every object that can be read: for those who want to know something of many of them.
    pub fn each<T>(&self, look: impl Fn(&K) -> Option<T>) -> Vec<T> {
        let state = self.store.state();
        let readable = state.iter().filter_map(|object| object.0.as_ref().ok());
        readable.filter_map(look).collect()
    }

    /// All objects that can be read and for which `wanted` holds, each a copy: for those who want few of them.
    pub fn select(&self, wanted: impl Fn(&K) -> bool) -> Vec<K> {
        self.each(|object| wanted(object).then(|| object.clone()))
    }

    /// What `look` makes of every object that is found under this key, in the order of their names. Of others it sees none.
    pub fn each_by<T>(&self, key: &str, look: impl Fn(&K) -> Option<T>) -> Vec<T> {
        let found = self.index.find(key);
        let readable = found.iter().filter_map(|object| object.0.as_ref().ok());
        readable.filter_map(look).collect()
    }

    /// Asks for a pass over all objects that are found under this key and for which `wanted` holds.
    pub fn wake_by(&self, key: &str, wanted: impl Fn(&K) -> bool) {
        let place = |object: &K| (object.meta().namespace.clone(), object.name_any());
        for (namespace, name) in self.each_by(key, |object| wanted(object).then(|| place(object))) {
            self.wake(namespace.as_deref(), &name);
        }
    }

    /// A copy of any object that can be read and for which `wanted` holds.
    pub fn any(&self, wanted: impl Fn(&K) -> bool) -> Option<K> {
        let state = self.store.state();
        let mut readable = state.iter().filter_map(|object| object.0.as_ref().ok());
        readable.find(|object| wanted(object)).cloned()
    }

    /// Whether there is an object of that name, be it one that cannot be read.
    pub fn exists(&self, namespace: Option<&str>, name: &str) -> bool {
        let mut key = ObjectRef::new(name);
        if let Some(namespace) = namespace {
            key = key.within(namespace);
        }
        self.store.get(&key).is_some()
    }

    /// How a pass is asked for.
    pub fn trigger(&self) -> Trigger<K> {
        self.wake.clone()
    }

    /// Asks for a pass over that object.
    pub fn wake(&self, namespace: Option<&str>, name: &str) {
        self.wake.fire(namespace, name);
    }

    /// Asks for a pass over all objects for which `wanted` holds.
    pub fn wake_where(&self, wanted: impl Fn(&K) -> bool) {
        let place = |object: &K| (object.meta().namespace.clone(), object.name_any());
        let mut places = self.each(|object| wanted(object).then(|| place(object)));
        // In an order that a run can be repeated with: the store's own is drawn anew for every process.
        places.sort_unstable();
        for (namespace, name) in places {
            self.wake(namespace.as_deref(), &name);
        }
    }
}

type Hearer<K> = Box<dyn Fn(&Change<'_, K>) + Send>;
type Wakes<K> = mpsc::UnboundedReceiver<ObjectRef<DeserializeGuard<K>>>;
type Seen<K> = Result<DeserializeGuard<K>, watcher::Error>;

/// A kind's watch, which begins when its controller does.
pub struct Watched<K: Kind> {
    api: Api<DeserializeGuard<K>>,
    store: Store<DeserializeGuard<K>>,
    index: Arc<Index<K>>,
    writer: Writer<DeserializeGuard<K>>,
    filled: watch::Sender<bool>,
    wakes: Wakes<K>,
    hearers: Vec<Hearer<K>>,
}

/// A kind's cache, in which objects are found by these keys besides their names, and the watch that fills it.
pub fn watch<K: Kind>(client: &Client, by: &[Keys<K>]) -> (Cached<K>, Watched<K>) {
    let (store, writer) = reflector::store();
    let index = Arc::new(Index::new(by));
    let (fill, filled) = watch::channel(false);
    let (wake, wakes) = Trigger::new();
    let watched = Watched {
        api: Api::all(client.clone()),
        store: store.clone(),
        index: Arc::clone(&index),
        writer,
        filled: fill,
        wakes,
        hearers: Vec::new(),
    };
    (
        Cached {
            store,
            index,
            filled,
            wake,
        },
        watched,
    )
}

impl<K: Kind> Watched<K> {
    /// Calls `hear` for every change of an object of this kind, once the cache shows it. It must not take long. What
    /// is there when the process starts is no change: every object gets a pass then anyway.
    pub fn on_change(&mut self, hear: impl Fn(&Change<'_, K>) + Send + 'static) {
        self.hearers.push(Box::new(hear));
    }

    /// Whether the cache has been filled once. The store could tell, but wakes only one of those who wait for it, and
    /// that one is the controller.
    pub(super) fn filled(&self) -> watch::Receiver<bool> {
        self.filled.subscribe()
    }

    /// Keeps the cache, without a controller: for tests of what reads it.
    #[cfg(feature = "dev")]
    pub async fn keep(self) {
        let (_store, mut stream, _wakes) = self.start();
        while stream.next().await.is_some() {}
    }

    /// The cache, the stream that keeps it and drives the controller, and the passes that others ask for.
    #[allow(clippy::type_complexity)]
    pub(super) fn start(
        self,
    ) -> (
        Store<DeserializeGuard<K>>,
        Pin<Box<dyn Stream<Item = Seen<K>> + Send>>,
        Wakes<K>,
    ) {
        let mut keeper = Keeper {
            store: self.store.clone(),
            index: self.index,
            writer: self.writer,
            filled: self.filled,
            hearers: self.hearers,
        };
        let mut said = None;
        let stream = watcher(self.api, watcher::Config::default())
            .default_backoff()
            .inspect_err(move |error| complain::<K>(&mut said, error))
            .modify(|object| object.managed_fields_mut().clear())
            .map(move |event| event.inspect(|event| keeper.keep(event)))
            .applied_objects()
            // Our own status writes do not call for another pass.
            .predicate_filter(
                predicates::generation
                    .combine(predicates::finalizers)
                    .combine(predicates::annotations),
                Default::default(),
            );
        (self.store, Box::pin(stream), self.wakes)
    }
}

/// Says why a kind cannot be watched, once for each cause: without its objects nothing is done, and nobody should have
/// to guess why. A watch that merely ended (every API server ends them now and then) is no trouble.
fn complain<K: Kind>(said: &mut Option<String>, error: &watcher::Error) {
    let initial = matches!(
        error,
        watcher::Error::InitialListFailed(_) | watcher::Error::WatchStartFailed(_)
    );
    let trouble = error.to_string();
    if initial && said.as_ref() != Some(&trouble) {
        tracing::warn!(
            kind = %K::kind(&()), error = trouble,
            "the objects cannot be watched: are the CustomResourceDefinitions installed (bailiwick crds | kubectl apply \
             --server-side -f -), and may the operator list and watch them?"
        );
        *said = Some(trouble);
    }
}

/// Keeps a cache, and tells who wants to know.
struct Keeper<K: Kind> {
    store: Store<DeserializeGuard<K>>,
    index: Arc<Index<K>>,
    writer: Writer<DeserializeGuard<K>>,
    filled: watch::Sender<bool>,
    hearers: Vec<Hearer<K>>,
}

type Key<K> = ObjectRef<DeserializeGuard<K>>;

impl<K: Kind> Keeper<K> {
    fn keep(&mut self, event: &watcher::Event<DeserializeGuard<K>>) {
        match event {
            watcher::Event::Apply(object) | watcher::Event::Delete(object) => {
                let key = ObjectRef::from_obj(object);
                let before = self.store.get(&key);
                self.writer.apply_watcher_event(event);
                let after = self.store.get(&key);
                self.index.change(before.as_ref(), after.as_ref());
                self.tell(before.as_deref(), after.as_deref());
            }
            watcher::Event::InitDone => {
                let old = self.by_key();
                self.writer.apply_watcher_event(event);
                self.index.fill(&self.store.state());
                // `false`: the first time; then nobody is told.
                if self.filled.send_replace(true) {
                    self.tell_differences(&old);
                }
            }
            watcher::Event::Init | watcher::Event::InitApply(_) => {
                self.writer.apply_watcher_event(event);
            }
        }
    }

    fn by_key(&self) -> HashMap<Key<K>, Arc<DeserializeGuard<K>>> {
        let state = self.store.state();
        state
            .into_iter()
            .map(|object| (ObjectRef::from_obj(object.as_ref()), object))
            .collect()
    }

    /// After an interruption: what has changed meanwhile.
    fn tell_differences(&self, old: &HashMap<Key<K>, Arc<DeserializeGuard<K>>>) {
        let new = self.by_key();
        for (key, before) in old {
            match new.get(key) {
                Some(after) if after.resource_version() == before.resource_version() => {}
                after => self.tell(Some(before), after.map(AsRef::as_ref)),
            }
        }
        for (_, after) in new.iter().filter(|(key, _)| !old.contains_key(key)) {
            self.tell(None, Some(after));
        }
    }

    fn tell(&self, before: Option<&DeserializeGuard<K>>, after: Option<&DeserializeGuard<K>>) {
        let change = Change {
            before: before.and_then(|object| object.0.as_ref().ok()),
            after: after.and_then(|object| object.0.as_ref().ok()),
        };
        if change.object().is_none() {
            return;
        }
        for hear in &self.hearers {
            hear(&change);
        }
    }
}
