//! A cluster and an organization in memory, with a team, an application and an account for repositories.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick::api::ImageRepository;
use bailiwick::app::{self, Parts};
use bailiwick::cloud::budget::{BudgetOptions, Budgets};
use bailiwick::cloud::governed::govern;
use bailiwick::cloud::simulated::{self, Options, RepositoryRecord, SimulatedCloud};
use bailiwick::config::RunOptions;
use bailiwick::controllers::oauth_client::outside::Outside;
use bailiwick::dev::api_server::{self, ApiServer};
use bailiwick::engine::clock::VirtualClock;
use bailiwick::engine::metrics::Metrics;
use bailiwick::model::{AccountId, Tags};
use bailiwick::server::Readiness;
use clap::Parser;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    run: RunOptions,
}

/// What befalls the operator at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    KilledBefore,
    KilledAfter,
    AnswerLost,
}

/// One life of the operator: counts its writes, and strikes at one of them. Once dead, none of its calls returns.
#[derive(Default)]
pub struct Life {
    strike: Option<(u64, Blow)>,
    writes: AtomicU64,
    dead: AtomicBool,
    pub struck: Mutex<Option<String>>,
}

enum Ruling {
    Go,
    Hang,
    Lose,
}

impl Life {
    pub fn new(strike: Option<(u64, Blow)>) -> Arc<Self> {
        Arc::new(Self {
            strike,
            ..Self::default()
        })
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    fn rule(&self, write: Option<String>, before: bool) -> Ruling {
        if self.is_dead() {
            return Ruling::Hang;
        }
        let Some(what) = write else {
            return Ruling::Go;
        };
        let number = match before {
            true => self.writes.fetch_add(1, Ordering::SeqCst) + 1,
            false => self.writes(),
        };
        let blow = match self.strike {
            Some((at, blow)) if at == number => blow,
            _ => return Ruling::Go,
        };
        let mut struck = self.struck.lock().unwrap();
        if struck.is_some() || before != (blow == Blow::KilledBefore) {
            return Ruling::Go;
        }
        *struck = Some(what);
        if blow == Blow::AnswerLost {
            return Ruling::Lose;
        }
        self.dead.store(true, Ordering::SeqCst);
        Ruling::Hang
    }

    fn cloud(&self, call: &simulated::Call, before: bool) -> simulated::Verdict {
        let write = call.is_write.then(|| call.operation.to_owned());
        match self.rule(write, before) {
            Ruling::Go => simulated::Verdict::Continue,
            Ruling::Hang => simulated::Verdict::Hang,
            Ruling::Lose => simulated::Verdict::LoseReply,
        }
    }

    fn cluster(&self, call: &api_server::Call, before: bool) -> api_server::Verdict {
        let part = call.subresource.as_deref().unwrap_or_default();
        let write = call
            .is_write()
            .then(|| format!("{:?} {} {part}", call.verb, call.plural));
        match self.rule(write, before) {
            Ruling::Go => api_server::Verdict::Continue,
            Ruling::Hang => api_server::Verdict::Hang,
            Ruling::Lose => api_server::Verdict::LoseReply,
        }
    }
}

#[async_trait]
impl simulated::Interceptor for Life {
    async fn before(&self, call: &simulated::Call) -> simulated::Verdict {
        self.cloud(call, true)
    }

    async fn after(&self, call: &simulated::Call, _ok: bool) -> simulated::Verdict {
        self.cloud(call, false)
    }
}

#[async_trait]
impl api_server::Interceptor for Life {
    async fn before(&self, call: &api_server::Call) -> api_server::Verdict {
        self.cluster(call, true)
    }

    async fn after(&self, call: &api_server::Call, _status: u16) -> api_server::Verdict {
        self.cluster(call, false)
    }

    fn alive(&self) -> bool {
        !self.is_dead()
    }
}

pub struct World {
    pub server: ApiServer,
    pub cloud: SimulatedCloud,
    clock: VirtualClock,
    /// The account that the operator is told of.
    pub platform: AccountId,
    /// Further arguments of the operator.
    pub arguments: Vec<String>,
}

impl World {
    /// Team `payments` with application `ledger`, and a class that allows tags to be moved.
    pub fn new() -> Self {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let time = simulated::tokio_clock(epoch);
        let server = ApiServer::with_own_kinds(time.clone());
        let cloud = SimulatedCloud::new(Options::default(), 1, time);
        let platform = cloud.add_member("platform@example.com", "platform", Tags::new());
        let world = Self {
            server,
            cloud,
            clock: VirtualClock::starting_at(epoch),
            arguments: vec![format!("--platform-account={platform}")],
            platform,
        };
        world.put("AccountClass", "", "dev", json!({
            "organizationalUnitPath": "/Dev", "emailTemplate": "aws+{{team}}-{{account}}@example.com",
            "regions": ["eu-central-1"], "mutableImageTags": true,
        }));
        world.team("payments");
        world
    }

    pub fn team(&self, team: &str) {
        self.put("Team", "", team, json!({"members": [{"user": "dev"}]}));
        self.put("Application", &format!("team-{team}"), "ledger", json!({}));
    }

    #[track_caller]
    pub fn put(&self, kind: &str, namespace: &str, name: &str, spec: Value) {
        self.put_with_status(kind, namespace, name, spec, Value::Null);
    }

    #[track_caller]
    fn put_with_status(&self, kind: &str, namespace: &str, name: &str, spec: Value, status: Value) {
        let mut object = json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        if !status.is_null() {
            object["status"] = status;
        }
        let put = self.server.put(&object);
        assert!(put.is_some(), "not accepted: {object}");
    }

    /// `ImageRepository` `ledger` of team `payments`, in eu-central-1, with these fields besides.
    #[track_caller]
    pub fn declare(&self, more: Value) {
        self.declare_as("ledger", more);
    }

    #[track_caller]
    pub fn declare_as(&self, name: &str, more: Value) {
        let mut spec = json!({"application": "ledger", "region": "eu-central-1"});
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        self.put("ImageRepository", "team-payments", name, spec);
    }

    /// A release that was resolved to this digest.
    pub fn release(&self, namespace: &str, name: &str, repository: &str, digest: &str) {
        self.attested_release(namespace, name, repository, (digest, Value::Null));
    }

    /// The same, with the source of its status.
    pub fn attested_release(
        &self,
        namespace: &str,
        name: &str,
        repository: &str,
        (digest, source): (&str, Value),
    ) {
        let spec = json!({"application": "ledger", "version": name, "image": format!("{repository}:{name}")});
        let mut status = json!({"image": {
            "repository": repository, "tag": name, "digest": digest,
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "resolvedAt": "2026-01-01T00:00:00Z",
        }});
        if !source.is_null() {
            status["source"] = source;
        }
        self.put_with_status("Release", namespace, name, spec, status);
    }

    /// Changes the spec of the object, as kubectl would.
    pub async fn patch(&self, name: &str, spec: Value) {
        let api: kube::Api<ImageRepository> =
            kube::Api::namespaced(self.server.client(), "team-payments");
        let patch = json!({ "spec": spec });
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }

    pub fn operator(&self, life: &Arc<Life>) -> JoinHandle<()> {
        let fixed = [
            "test",
            "--cluster-name=sim",
            "--namespace=default",
            "--leader-elect=false",
            "--identity=only",
        ];
        let arguments = fixed
            .into_iter()
            .chain(self.arguments.iter().map(String::as_str));
        let options = Arguments::parse_from(arguments).run;
        let metrics = Metrics::default();
        let budgets = Arc::new(Budgets::new(BudgetOptions::default()));
        let parts = Parts {
            client: self.server.client_with(life.clone()),
            cloud: govern(
                self.cloud.cloud_with(life.clone()),
                budgets,
                Arc::new(metrics.clone()),
            ),
            origins: Arc::new(bailiwick::controllers::release::origins::NoRegistry),
            outside: Outside::default(),
            journal: None,
            clock: Arc::new(self.clock),
            metrics,
            readiness: Readiness::default(),
        };
        tokio::spawn(async move {
            let _ = app::lead(&options, parts, &CancellationToken::new()).await;
        })
    }

    pub fn object(&self, name: &str) -> Option<Value> {
        self.server.get("imagerepositories", "team-payments", name)
    }

    /// A condition of the object: its status, reason and message.
    pub fn condition(&self, name: &str, type_: &str) -> Option<(String, String, String)> {
        let object = self.object(name)?;
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        let conditions = object["status"]["conditions"].as_array()?;
        let found = conditions.iter().find(|found| found["type"] == type_);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        found.filter(|_| current).map(|found| {
            (
                text(&found["status"]),
                text(&found["reason"]),
                text(&found["message"]),
            )
        })
    }

    /// Waits, in virtual time, until Ready of the object has this reason. Its message.
    #[track_caller]
    pub fn until<'w>(
        &'w self,
        name: &'w str,
        reason: &'w str,
    ) -> impl Future<Output = String> + 'w {
        let caller = std::panic::Location::caller();
        async move {
            for _ in 0..720 {
                if let Some((_, found, message)) = self.condition(name, "Ready")
                    && found == reason
                {
                    return message;
                }
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            panic!(
                "{caller}: no {reason} within an hour: {:#?}",
                self.object(name)
            )
        }
    }

    /// The only repository in the platform's account.
    #[track_caller]
    pub fn only(&self) -> RepositoryRecord {
        let mut all = self.cloud.repositories(&self.platform);
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    /// The reasons of the events about the object, and what they say.
    pub fn events(&self, name: &str) -> Vec<(String, String)> {
        let events = self.server.objects("events");
        let ours = events.iter().filter(|event| {
            event["regarding"]["name"] == name && event["regarding"]["kind"] == "ImageRepository"
        });
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ours.map(|event| (text(&event["reason"]), text(&event["note"])))
            .collect()
    }

    /// What the event with this reason says.
    #[track_caller]
    pub fn event(&self, name: &str, reason: &str) -> String {
        let events = self.events(name);
        let found = events.iter().find(|(found, _)| found == reason);
        let (_, note) = found.unwrap_or_else(|| panic!("no event {reason}: {events:#?}"));
        note.clone()
    }
}
