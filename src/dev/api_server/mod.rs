//! An API server in memory, behind [`kube::Client`]: the Kubernetes side of the simulation.
//!
//! It behaves as kube-apiserver and kube-controller-manager do towards our controllers, no more:
//! `tests/differential.rs` sends the same requests to it and to the real ones and compares the answers.
//! It takes its time from a clock that is given to it, and waits only on tokio's timers, so it runs under
//! paused time; names and uids come from a counter, so a run can be repeated.
//!
//! Left out: validation by schema and CEL, admission, authorization, conversion between versions, discovery,
//! strategic merge patches, the deletion of collections. What the controller manager does a moment later is done with
//! the write that causes it; `Foreground` deletion is carried out like `Background`.

mod cascade;
mod fields;
mod kinds;
mod ownership;
mod patch;
mod reads;
mod requests;
mod rules;
mod selector;
mod service;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod watch;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    jiff::{SignedDuration, Timestamp},
};
use kube::core::Status;
use serde_json::Value;
use tokio::{sync::watch as signal, time::Instant};

pub use kinds::ResourceKind;
use ownership::{Manager, Managers};
use store::{Author, Scope, Store};

/// Where the server reads the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The server; clones share everything.
#[derive(Clone)]
pub struct ApiServer {
    inner: Arc<Inner>,
}

struct Inner {
    store: Mutex<Store>,
    requests: Mutex<BTreeMap<Counted, u64>>,
    lag: Mutex<Duration>,
    /// Raised when all open watches are to end.
    epoch: signal::Sender<u64>,
}

/// What requests are counted by: verb, plural, subresource (empty for none).
type Counted = (Verb, String, String);

/// What a request does, in the words of RBAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
}

/// One request, as an [`Interceptor`] sees it.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it does.
    pub verb: Verb,
    /// API group; empty for the core group.
    pub group: String,
    /// The kind's name in the path.
    pub plural: String,
    /// `status`, for example; nothing for the object itself.
    pub subresource: Option<String>,
    /// The namespace; nothing for cluster-scoped kinds and for lists across namespaces.
    pub namespace: Option<String>,
    /// The object's name, for a creation too if the body has one.
    pub name: Option<String>,
    /// The body; null if there is none.
    pub body: Value,
}

impl Call {
    /// Whether it changes something if it succeeds.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, Verb::Get | Verb::List | Verb::Watch)
    }
}

/// What becomes of a request or its answer.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Go on as if nobody had asked.
    Continue,
    /// Answer this instead; before the request is carried out: without carrying it out.
    Refuse(Box<Status>),
    /// The connection breaks instead of an answer.
    LoseReply,
    /// No answer ever: the caller has been killed.
    Hang,
}

impl Verdict {
    /// Refuses as a server would, say with `(429, "TooManyRequests", "slow down")`.
    pub fn refuse(code: u16, reason: &str, message: &str) -> Self {
        Self::Refuse(Status::failure(message, reason).with_code(code).boxed())
    }
}

/// Faults for one client: asked around every request.
#[async_trait]
pub trait Interceptor: Send + Sync {
    /// Before the request is carried out.
    async fn before(&self, _call: &Call) -> Verdict {
        Verdict::Continue
    }

    /// After it has been carried out and would be answered with this HTTP status.
    async fn after(&self, _call: &Call, _status: u16) -> Verdict {
        Verdict::Continue
    }

    /// Whether the process that this client belongs to still lives. For a dead one nothing is carried out or
    /// answered, and its open watches are silent for ever.
    fn alive(&self) -> bool {
        true
    }
}

/// No faults.
struct Sound;

impl Interceptor for Sound {}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").finish_non_exhaustive()
    }
}

/// bailiwick's own kinds and their definitions: to make them takes longer than most simulations, so they are made once for
/// all servers of a process.
static OWN_KINDS: LazyLock<Vec<(Arc<ResourceKind>, Value)>> = LazyLock::new(|| {
    // There is no error: a test of the definitions rules it out.
    let definitions = crate::api::definitions().unwrap_or_default();
    let kinds = definitions.iter().filter_map(|crd| {
        let kind = ResourceKind::from_crd(crd)?;
        Some((Arc::new(kind), established(crd)))
    });
    kinds.collect()
});

/// The definition, as it is once it is served.
fn established(crd: &CustomResourceDefinition) -> Value {
    let mut object = serde_json::to_value(crd).unwrap_or_default();
    object["status"] = serde_json::json!({
        "acceptedNames": object["spec"]["names"],
        "conditions": [
            {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": ""},
            {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": ""},
        ],
    });
    object
}

impl ApiServer {
    /// A server whose clock starts with 2026 and runs with tokio's.
    pub fn new() -> Self {
        let (start, origin) = (Instant::now(), Timestamp::constant(1_767_225_600, 0));
        Self::with_clock(Arc::new(move || {
            let passed = SignedDuration::try_from(start.elapsed()).unwrap_or_default();
            origin.saturating_add(passed).unwrap_or(origin)
        }))
    }

    /// A server with the built-in kinds and the namespaces that every cluster has.
    pub fn with_clock(clock: Clock) -> Self {
        let server = Self {
            inner: Arc::new(Inner {
                store: Mutex::new(Store::new(clock)),
                requests: Mutex::default(),
                lag: Mutex::default(),
                epoch: signal::Sender::new(0),
            }),
        };
        for name in ["default", "kube-system"] {
            server.put(&serde_json::json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
            }));
        }
        server
    }

    /// A server that serves bailiwick's own kinds besides, and has the role that the chart brings for the members of teams.
    pub fn with_own_kinds(clock: Clock) -> Self {
        let server = Self::with_clock(clock);
        for (kind, definition) in OWN_KINDS.iter() {
            server.store().register(kind.clone());
            server.put_as(definition, Author::Known(Managers::new()));
        }
        server.put(&serde_json::json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": crate::controllers::team::MEMBER_ROLE}, "rules": [],
        }));
        server
    }

    /// Serves one more kind.
    pub fn register(&self, kind: ResourceKind) {
        self.store().register(Arc::new(kind));
    }

    /// Serves the kind that a definition describes, by its storage version, and stores the definition as an
    /// established one. A definition without a storage version is not served.
    pub fn register_crd(&self, crd: &CustomResourceDefinition) {
        let Some(kind) = ResourceKind::from_crd(crd) else {
            return;
        };
        self.register(kind);
        self.put(&established(crd));
    }

    /// A client that nothing goes wrong for.
    pub fn client(&self) -> kube::Client {
        self.client_with(Arc::new(Sound))
    }

    /// A client whose requests `interceptor` may refuse, lose or let hang.
    pub fn client_with(&self, interceptor: Arc<dyn Interceptor>) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request| {
            service::serve(server.clone(), interceptor.clone(), request)
        });
        kube::Client::new(service, "default")
    }

    /// All objects of a kind, ordered by namespace and name.
    pub fn objects(&self, plural: &str) -> Vec<Value> {
        let store = self.store();
        let tables = store
            .tables
            .iter()
            .filter(|table| table.kind.plural == plural);
        tables
            .flat_map(|table| table.objects.values().map(|stored| (*stored.value).clone()))
            .collect()
    }

    /// One object; `namespace` is empty for cluster-scoped kinds.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let (store, key) = (self.store(), (namespace.to_owned(), name.to_owned()));
        let mut tables = store
            .tables
            .iter()
            .filter(|table| table.kind.plural == plural);
        tables.find_map(|table| {
            table
                .objects
                .get(&key)
                .map(|stored| (*stored.value).clone())
        })
    }

    /// Creates or overwrites an object, status included, whatever its version. Nothing happens, and nothing is
    /// returned, if its kind is not served or the object is not acceptable.
    pub fn put(&self, object: &Value) -> Option<Value> {
        let administrator = Author::Writer(Manager {
            name: "administrator".into(),
            applies: false,
            subresource: String::new(),
        });
        self.put_as(object, administrator)
    }

    fn put_as(&self, object: &Value, author: Author) -> Option<Value> {
        let mut store = self.store();
        let table = store.tables.iter().position(|table| {
            object["apiVersion"] == table.kind.api_version() && object["kind"] == table.kind.kind
        })?;
        let text = |field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let namespaced = store.tables[table].kind.namespaced;
        let key = (
            if namespaced {
                text("namespace")
            } else {
                String::new()
            },
            text("name"),
        );
        let mut object = object.clone();
        let written = match store.find(table, &key).map(|stored| stored.value.clone()) {
            Ok(old) => {
                object["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
                object["metadata"]["uid"] = old["metadata"]["uid"].clone();
                store.replace(table, &key, Scope::Whole, object, author, false)
            }
            Err(_) => store.create(table, key, Scope::Whole, object, author, false),
        };
        written.ok().map(|object| (*object).clone())
    }

    /// Deletes an object as a client would: finalizers hold it. Whether it was there.
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) -> bool {
        let (mut store, key) = (self.store(), (namespace.to_owned(), name.to_owned()));
        let table = store
            .tables
            .iter()
            .position(|table| table.kind.plural == plural && table.objects.contains_key(&key));
        let Some(table) = table else { return false };
        store.begin_deletion(table, &key);
        store.settle();
        true
    }

    /// How often `verb` was asked of a kind; the subresource is empty for the object itself.
    pub fn requests(&self, verb: Verb, plural: &str, subresource: &str) -> u64 {
        let key = (verb, plural.to_owned(), subresource.to_owned());
        lock(&self.inner.requests).get(&key).copied().unwrap_or(0)
    }

    /// All requests since the counters were reset, by verb, plural and subresource.
    pub fn all_requests(&self) -> BTreeMap<(Verb, String, String), u64> {
        lock(&self.inner.requests).clone()
    }

    /// How many requests wanted to change something.
    pub fn writes(&self) -> u64 {
        let reads = [Verb::Get, Verb::List, Verb::Watch];
        self.count(|verb| !reads.contains(&verb))
    }

    /// How many requests read one object.
    pub fn gets(&self) -> u64 {
        self.count(|verb| verb == Verb::Get)
    }

    /// The version of the newest change. It grows by one with every change, and only then: the difference is what
    /// was really written.
    pub fn revision(&self) -> u64 {
        self.store().revision
    }

    /// Starts counting again.
    pub fn reset_counters(&self) {
        lock(&self.inner.requests).clear();
    }

    /// From now on changes reach watches, and reads from the cache (`resourceVersion=0`), this much later.
    pub fn set_watch_lag(&self, lag: Duration) {
        *lock(&self.inner.lag) = lag;
    }

    /// Forgets all history: whoever asks for something older is told `Expired`.
    pub fn compact(&self) {
        let mut store = self.store();
        let revision = store.revision;
        for table in &mut store.tables {
            table.history.clear();
            table.compacted = revision;
        }
    }

    /// Ends all open watches, as a server that goes away does; clients come back where they were.
    pub fn close_watches(&self) {
        self.inner.epoch.send_modify(|epoch| *epoch += 1);
    }

    fn count(&self, counts: impl Fn(Verb) -> bool) -> u64 {
        let requests = lock(&self.inner.requests);
        requests
            .iter()
            .filter(|((verb, ..), _)| counts(*verb))
            .map(|(_, count)| count)
            .sum()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.inner.store)
    }

    fn lag(&self) -> Duration {
        *lock(&self.inner.lag)
    }
}

/// A panic elsewhere leaves nothing half done here: every change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
