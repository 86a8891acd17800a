//! The harness: an API server in memory, operators that die at a write, lose an answer or are slow, and registries.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick::app::{self, Parts};
use bailiwick::cloud::simulated::{self, Options, SimulatedCloud};
use bailiwick::config::RunOptions;
use bailiwick::controllers::oauth_client::outside::Outside;
use bailiwick::controllers::release::origins::{
    CommitRef, Origin, Origins, Resolved, ReviewsCount, Said, Searched, Trouble, TroubleKind,
};
use bailiwick::dev::api_server::{ApiServer, Call, Interceptor, Verdict};
use bailiwick::engine::clock::VirtualClock;
use bailiwick::engine::metrics::Metrics;
use bailiwick::model::{Digest, ImageRef, SourceRepository};
use bailiwick::server::Readiness;
use clap::Parser;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    run: RunOptions,
}

/// What happens at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    KillBefore,
    KillAfter,
    LoseAnswer,
}

/// One life of an operator.
#[derive(Default)]
pub struct Fate {
    /// Strike at that write.
    pub strike: Option<(u64, Fault)>,
    /// Keep every call waiting up to a second, by chance from this seed.
    pub dawdle: Option<u64>,
    pub writes: AtomicU64,
    pub calls: AtomicU64,
    pub dead: AtomicBool,
}

impl Fate {
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn strikes(&self, call: &Call, fault: Fault) -> bool {
        call.is_write() && self.strike == Some((self.writes.load(Ordering::SeqCst), fault))
    }

    async fn dawdle(&self) {
        if let Some(seed) = self.dawdle {
            let number = self.calls.fetch_add(1, Ordering::SeqCst);
            let share = bailiwick::engine::backoff::jitter(&format!("{seed}"), number as u32);
            tokio::time::sleep(Duration::from_millis((share * 1000.0) as u64)).await;
        }
    }
}

#[async_trait]
impl Interceptor for Fate {
    async fn before(&self, call: &Call) -> Verdict {
        self.dawdle().await;
        // Events come from tasks of their own, in no fixed order.
        if call.is_write() && call.plural != "events" {
            self.writes.fetch_add(1, Ordering::SeqCst);
        } else {
            return Verdict::Continue;
        }
        if self.strikes(call, Fault::KillBefore) {
            self.dead.store(true, Ordering::SeqCst);
            return Verdict::Hang;
        }
        Verdict::Continue
    }

    async fn after(&self, call: &Call, _status: u16) -> Verdict {
        if call.plural == "events" {
            return Verdict::Continue;
        }
        if self.strikes(call, Fault::KillAfter) {
            self.dead.store(true, Ordering::SeqCst);
            return Verdict::Hang;
        }
        if self.strikes(call, Fault::LoseAnswer) {
            return Verdict::LoseReply;
        }
        self.dawdle().await;
        Verdict::Continue
    }

    fn alive(&self) -> bool {
        !self.is_dead()
    }
}

/// Registries in memory.
#[derive(Default)]
pub struct Registries {
    tags: Mutex<BTreeMap<String, Digest>>,
    origins: Mutex<BTreeMap<String, Searched>>,
    slow: Mutex<BTreeMap<String, Duration>>,
    refuses: Mutex<Option<TroubleKind>>,
    code_host: Mutex<Option<Arc<dyn Origins>>>,
    pub asked: AtomicU64,
}

pub fn digest(letter: char) -> Digest {
    let hex: String = std::iter::repeat_n(letter, 64).collect();
    format!("sha256:{hex}").parse().unwrap()
}

impl Registries {
    /// Pushes an image.
    pub fn push(&self, reference: &str, digest: &Digest, searched: Searched) {
        let image: ImageRef = reference.parse().unwrap();
        self.tags
            .lock()
            .unwrap()
            .insert(image.to_string(), digest.clone());
        let at = image.name().at(digest.clone()).to_string();
        self.origins.lock().unwrap().insert(at, searched);
    }

    /// Makes a registry slow.
    pub fn slow_down(&self, registry: &str, by: Duration) {
        self.slow.lock().unwrap().insert(registry.to_owned(), by);
    }

    /// Refuses to be searched from now on, or no more.
    pub fn refuse(&self, kind: Option<TroubleKind>) {
        *self.refuses.lock().unwrap() = kind;
    }

    /// Whom to ask about commits.
    pub fn ask_about_commits(&self, code_host: Arc<dyn Origins>) {
        *self.code_host.lock().unwrap() = Some(code_host);
    }

    fn about_commits(&self) -> Option<Arc<dyn Origins>> {
        self.code_host.lock().unwrap().clone()
    }

    async fn ask(&self, image: &ImageRef) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let slow = self
            .slow
            .lock()
            .unwrap()
            .get(image.name().registry())
            .copied();
        tokio::time::sleep(slow.unwrap_or(Duration::from_millis(20))).await;
    }

    fn find(&self, image: &ImageRef) -> Result<Digest, Trouble> {
        let tags = self.tags.lock().unwrap();
        let missing = || {
            Trouble::new(
                TroubleKind::NotFound,
                format!("{image}: there is no such image"),
            )
        };
        tags.get(&image.to_string()).cloned().ok_or_else(missing)
    }
}

#[async_trait]
impl Origins for Registries {
    async fn resolve(&self, image: &ImageRef) -> Result<Resolved, Trouble> {
        self.ask(image).await;
        Ok(Resolved {
            digest: self.find(image)?,
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            platforms: Vec::new(),
        })
    }

    async fn current(&self, image: &ImageRef) -> Result<Digest, Trouble> {
        self.ask(image).await;
        self.find(image)
    }

    async fn search(&self, image: &ImageRef) -> Result<Searched, Trouble> {
        self.ask(image).await;
        if let Some(kind) = *self.refuses.lock().unwrap() {
            return Err(Trouble::new(kind, format!("{image}: not now")));
        }
        let origins = self.origins.lock().unwrap();
        Ok(origins.get(&image.to_string()).cloned().unwrap_or_default())
    }

    fn code_host(&self, repository: &SourceRepository, revision: &str) -> Option<ReviewsCount> {
        self.about_commits()?.code_host(repository, revision)
    }

    async fn commit(&self, commit: &CommitRef) -> Result<Said, Trouble> {
        self.about_commits().unwrap().commit(commit).await
    }
}

/// An image whose annotations name this repository.
pub fn built_from(repository: &str) -> Searched {
    Searched {
        origin: Some(Origin {
            repository: repository.parse().unwrap(),
            revision: Some("0123abc".to_owned()),
            dirty: Some(false),
            author: None,
            evidence: bailiwick::api::Evidence::Annotation,
            evidence_digest: None,
            signed_by: None,
            doubt: None,
        }),
        ..Searched::default()
    }
}

/// A cluster, and the registries that its images are in.
pub struct World {
    pub server: ApiServer,
    pub registries: Arc<Registries>,
    cloud: SimulatedCloud,
    clock: VirtualClock,
}

impl World {
    pub fn new() -> Self {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let time = simulated::tokio_clock(epoch);
        let server = ApiServer::with_own_kinds(time.clone());
        Self {
            server,
            registries: Arc::default(),
            cloud: SimulatedCloud::new(Options::default(), 1, time),
            clock: VirtualClock::starting_at(epoch),
        }
    }

    /// An operator that holds itself for the leader, whatever others do.
    pub fn operator(&self, fate: &Arc<Fate>) -> JoinHandle<()> {
        self.operator_with(fate, &["--authors-guarded", "true"])
    }

    pub fn operator_with(&self, fate: &Arc<Fate>, more: &[&str]) -> JoinHandle<()> {
        self.operator_asking(fate, more, self.registries.clone())
    }

    /// One that asks other registries.
    pub fn operator_asking(
        &self,
        fate: &Arc<Fate>,
        more: &[&str],
        origins: Arc<dyn Origins>,
    ) -> JoinHandle<()> {
        let arguments = [
            "test",
            "--cluster-name",
            "sim",
            "--namespace",
            "default",
            "--leader-elect",
            "false",
        ];
        let options = Arguments::parse_from(arguments.iter().chain(more)).run;
        let parts = Parts {
            client: self.server.client_with(fate.clone()),
            cloud: self.cloud.cloud(),
            origins,
            outside: Outside::default(),
            journal: None,
            clock: Arc::new(self.clock),
            metrics: Metrics::default(),
            readiness: Readiness::default(),
        };
        tokio::spawn(async move {
            let _ = app::lead(&options, parts, &CancellationToken::new()).await;
        })
    }

    /// Declares a team, with its namespace there already: what is in it need not wait.
    pub fn team(&self, name: &str) {
        self.server.put(&json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": format!("team-{name}"), "labels": {"bailiwick.dev/team": name}},
        }));
        self.server.put(&json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Team", "metadata": {"name": name},
            "spec": {"members": [{"user": format!("dev-{name}")}]},
        }));
    }

    pub fn application(&self, team: &str, name: &str, spec: &Value) {
        self.server.put(&json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Application",
            "metadata": {"name": name, "namespace": format!("team-{team}")}, "spec": spec,
        }));
    }

    pub fn release(&self, team: &str, name: &str, by: &str, spec: &Value) {
        self.server.put(&json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Release",
            "metadata": {
                "name": name, "namespace": format!("team-{team}"), "annotations": {"bailiwick.dev/created-by": by},
            },
            "spec": spec,
        }));
    }

    pub fn approval(&self, team: &str, name: &str, by: &str, release: &str, digest: &Digest) {
        self.server.put(&json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Approval",
            "metadata": {
                "name": name, "namespace": format!("team-{team}"), "annotations": {"bailiwick.dev/created-by": by},
            },
            "spec": {"release": release, "digest": digest.as_str(), "type": "CodeChange", "approver": by},
        }));
    }

    /// Changes an object as a person would: the metadata as it is, the fields of the spec that are named.
    pub fn edit(&self, plural: &str, team: &str, name: &str, edit: impl Fn(&mut Value)) {
        let mut object = self
            .server
            .get(plural, &format!("team-{team}"), name)
            .unwrap();
        edit(&mut object);
        self.server.put(&object);
    }

    /// The reason and message of a condition, with its value before it: `True Accepted: …`.
    pub fn condition(&self, plural: &str, team: &str, name: &str, type_: &str) -> String {
        let object = self
            .server
            .get(plural, &format!("team-{team}"), name)
            .unwrap_or_default();
        let conditions = object["status"]["conditions"].as_array().cloned();
        let found = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == type_);
        found.map_or_else(String::new, |found| {
            let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
            format!("{} {}: {}", text("status"), text("reason"), text("message"))
        })
    }

    /// Waits until this is so; in virtual time.
    pub async fn until(&self, what: &str, limit: Duration, holds: impl Fn(&Self) -> bool) {
        let end = tokio::time::Instant::now() + limit;
        while !holds(self) {
            assert!(
                tokio::time::Instant::now() < end,
                "never: {what}\n{:#}\n{:#}\n{:#}",
                json!(self.server.objects("applications")),
                json!(self.server.objects("applicationnames")),
                json!(self.server.objects("releases")),
            );
            tokio::time::sleep((limit / 500).max(Duration::from_millis(100))).await;
        }
    }

    /// Waits until this is so, or the operator is dead.
    pub async fn until_or_dead(
        &self,
        fate: &Fate,
        limit: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> bool {
        let end = tokio::time::Instant::now() + limit;
        while tokio::time::Instant::now() < end && !fate.is_dead() {
            if holds(self) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        false
    }
}

pub const HOUR: Duration = Duration::from_secs(3600);
