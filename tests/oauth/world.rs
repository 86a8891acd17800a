//! A cluster, authorization servers and places in memory, and readers that use whatever they find.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick::api::OAuthClient;
use bailiwick::app::{self, Parts};
use bailiwick::cloud::simulated::{Options, SimulatedCloud, tokio_clock};
use bailiwick::config::RunOptions;
use bailiwick::controllers::oauth_client::destination::Destinations;
use bailiwick::controllers::oauth_client::make::{Maker, SystemMaker};
use bailiwick::controllers::oauth_client::outside::Outside;
use bailiwick::dev::api_server::{self, ApiServer};
use bailiwick::engine::clock::VirtualClock;
use bailiwick::engine::metrics::Metrics;
use bailiwick::identity::simulated::{
    Call, Interceptor, Profile, SimulatedServer, SimulatedServers, Verdict,
};
use bailiwick::identity::{Credential, Servers, client_json};

use bailiwick::model::Secret;
use bailiwick::server::Readiness;
use clap::Parser;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::places::{Delivering, Places};

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const NAMESPACE: &str = "team-shop";

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
    /// How many more updates of Secrets are carried out; none is refused if that is not said.
    updates: Mutex<Option<u64>>,
    pub struck: Mutex<Option<String>>,
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

    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// After so many more updates of Secrets they are refused; `None`: no more.
    pub fn let_update(&self, updates: Option<u64>) {
        *self.updates.lock().unwrap() = updates;
    }

    fn may_update(&self) -> bool {
        match self.updates.lock().unwrap().as_mut() {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// What becomes of a call, a write if it is named.
    pub fn rule(&self, write: Option<String>, before: bool) -> Verdict {
        if self.is_dead() {
            return Verdict::Hang;
        }
        let Some(what) = write else {
            return Verdict::Continue;
        };
        let number = match before {
            true => self.writes.fetch_add(1, Ordering::SeqCst) + 1,
            false => self.writes(),
        };
        let blow = match self.strike {
            Some((at, blow)) if at == number => blow,
            _ => return Verdict::Continue,
        };
        let mut struck = self.struck.lock().unwrap();
        if struck.is_some() || before != (blow == Blow::KilledBefore) {
            return Verdict::Continue;
        }
        *struck = Some(what);
        if blow == Blow::AnswerLost {
            return Verdict::LoseReply;
        }
        self.die();
        Verdict::Hang
    }
}

impl Interceptor for Life {
    fn before(&self, call: Call) -> Verdict {
        self.rule(call.is_write.then(|| call.operation.to_owned()), true)
    }

    fn after(&self, call: Call) -> Verdict {
        self.rule(call.is_write.then(|| call.operation.to_owned()), false)
    }
}

impl Life {
    fn cluster(&self, call: &api_server::Call, before: bool) -> api_server::Verdict {
        // What is struck at is what the credentials depend on.
        let ours = ["oauthclients", "secrets"].contains(&call.plural.as_str());
        let part = call.subresource.as_deref().unwrap_or_default();
        let what = format!("{:?} {} {part}", call.verb, call.plural);
        if before && what.starts_with("Update secrets") && !self.may_update() {
            return api_server::Verdict::refuse(403, "Forbidden", "secrets are not updated");
        }
        match self.rule((ours && call.is_write()).then_some(what), before) {
            Verdict::Continue => api_server::Verdict::Continue,
            Verdict::Hang => api_server::Verdict::Hang,
            Verdict::LoseReply => api_server::Verdict::LoseReply,
        }
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
    pub oauth: Vec<SimulatedServer>,
    pub places: Places,
    pub cloud: SimulatedCloud,
    /// Credentials go to accounts of that cloud, and to Secrets, and not to the places in memory.
    pub in_accounts: bool,
    clock: VirtualClock,
    /// The same time, for those who must not depend on the operator.
    pub time: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Makes keys and secrets for all operators.
    pub maker: Arc<dyn Maker>,
    /// What all operators count.
    pub metrics: Metrics,
    /// Further arguments of the operator.
    pub arguments: Vec<String>,
    /// Which servers an operator opens in that life of it, if not those in memory.
    pub servers: Option<Opened>,
}

/// The servers of one life.
pub type Opened = Box<dyn Fn(&Arc<Life>) -> Arc<dyn Servers> + Send + Sync>;

impl World {
    /// Team `shop` with application `api`, and provider `as` of this profile.
    pub fn new(profile: Profile) -> Self {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let time = tokio_clock(epoch);
        let server = ApiServer::with_own_kinds(time.clone());
        let mut world = Self {
            server,
            oauth: Vec::new(),
            places: Places::default(),
            cloud: SimulatedCloud::new(Options::default(), 1, time.clone()),
            in_accounts: false,
            time,
            clock: VirtualClock::starting_at(epoch),
            maker: Arc::new(SystemMaker),
            metrics: Metrics::default(),
            arguments: Vec::new(),
            servers: None,
        };
        world.provider("as", profile);
        world.server.put(&json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"bailiwick.dev/team": "shop"}},
        }));
        world.put("Team", "", "shop", json!({"members": [{"user": "dev"}]}));
        world.put("Application", NAMESPACE, "api", json!({}));
        world
    }

    /// One more provider, with a server of its own.
    pub fn provider(&mut self, name: &str, profile: Profile) {
        let issuer = format!("https://{name}.example.com/");
        self.oauth
            .push(SimulatedServer::new(issuer.parse().unwrap(), profile));
        let how = match profile {
            Profile::Dynamic => json!({"dynamicRegistration": {}}),
            Profile::Cognito => json!({"cognito": {"userPoolId": "eu-central-1_AbCdEfGhI"}}),
            Profile::Keycloak | Profile::KeycloakRotating => {
                self.server.put(&json!({
                    "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keycloak", "namespace": "default"},
                    "stringData": {"client-id": "bailiwick", "client-secret": "canary-admin"},
                }));
                json!({"keycloak": {"credentialsSecret": "keycloak"}})
            }
        };
        let mut spec = how;
        spec["issuer"] = json!(issuer);
        self.put("OAuthProvider", "", name, spec);
    }

    /// The platform team opens the grant type `password`, or closes it.
    pub fn open_password_grant(&self, open: bool) {
        let mut provider = self.server.get("oauthproviders", "", "as").unwrap();
        let word = if open { "Allowed" } else { "Refused" };
        provider["spec"]["keycloak"]["passwordGrant"] = json!(word);
        self.server.put(&provider).unwrap();
    }

    #[track_caller]
    pub fn put(&self, kind: &str, namespace: &str, name: &str, spec: Value) {
        let mut object = json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        assert!(self.server.put(&object).is_some(), "not accepted: {object}");
    }

    /// A client of application `api` that is delivered to these places, with these fields besides.
    #[track_caller]
    pub fn declare(&self, name: &str, places: &[&str], more: Value) {
        let mut spec = json!({
            "application": "api", "provider": "as", "delivery": deliveries(places),
            "rotation": {"period": "30d", "overlap": "10m"},
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        self.put("OAuthClient", NAMESPACE, name, spec);
    }

    /// Changes the object, as kubectl would.
    pub async fn patch(&self, name: &str, patch: Value) {
        let api: kube::Api<OAuthClient> = kube::Api::namespaced(self.server.client(), NAMESPACE);
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }

    pub async fn ask(&self, name: &str, what: &str, value: &str) {
        let annotation = format!("bailiwick.dev/{what}-requested-at");
        self.patch(
            name,
            json!({"metadata": {"annotations": {annotation: value}}}),
        )
        .await;
    }

    pub async fn delete(&self, name: &str) {
        let api: kube::Api<OAuthClient> = kube::Api::namespaced(self.server.client(), NAMESPACE);
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub fn operator(&self, life: &Arc<Life>) -> JoinHandle<()> {
        self.operator_with(life, &["--leader-elect=false", "--identity=only"])
    }

    pub fn operator_with(&self, life: &Arc<Life>, more: &[&str]) -> JoinHandle<()> {
        let fixed = ["test", "--cluster-name=sim", "--namespace=default"];
        let own = self.arguments.iter().map(String::as_str);
        let arguments = fixed.into_iter().chain(more.iter().copied()).chain(own);
        let options = Arguments::parse_from(arguments).run;
        let parts = Parts {
            client: self.server.client_with(life.clone()),
            cloud: self.cloud.cloud(),
            origins: Arc::new(bailiwick::controllers::release::origins::NoRegistry),
            outside: Outside {
                servers: match &self.servers {
                    Some(open) => open(life),
                    None => Arc::new(SimulatedServers {
                        servers: self.oauth.clone(),
                        interceptor: life.clone(),
                    }),
                },
                destinations: (!self.in_accounts).then(|| {
                    let (places, life) = (self.places.clone(), life.clone());
                    Arc::new(Delivering { places, life }) as Arc<dyn Destinations>
                }),
                maker: self.maker.clone(),
            },
            journal: None,
            clock: Arc::new(self.clock),
            metrics: self.metrics.clone(),
            readiness: Readiness::default(),
        };
        tokio::spawn(async move {
            let _ = app::lead(&options, parts, &CancellationToken::new()).await;
        })
    }

    pub fn object(&self, name: &str) -> Option<Value> {
        self.server.get("oauthclients", NAMESPACE, name)
    }

    /// A condition: its status, reason and message.
    pub fn condition(&self, name: &str, type_: &str) -> Option<(String, String, String)> {
        condition(&self.object(name)?, type_)
    }

    /// Whether this version is in use, alone, with nothing under way, and the object is Ready.
    pub fn settled(&self, name: &str, version: i64) -> bool {
        let Some(object) = self.object(name) else {
            return false;
        };
        let status = &object["status"];
        let alone = status["versions"]
            .as_array()
            .is_some_and(|all| all.len() == 1);
        let ready = condition(&object, "Ready").is_some_and(|(ready, ..)| ready == "True");
        status["version"] == version && alone && status["rotation"].is_null() && ready
    }

    /// Waits, in virtual time, until this is so.
    #[track_caller]
    pub fn until<'w>(
        &'w self,
        limit: Duration,
        what: &'w str,
        holds: impl Fn(&Self) -> bool + 'w,
    ) -> impl Future<Output = ()> + 'w {
        let caller = std::panic::Location::caller();
        async move {
            let end = tokio::time::Instant::now() + limit;
            while !holds(self) {
                assert!(
                    tokio::time::Instant::now() < end,
                    "{caller}: never: {what}\n{:#}\n{:#}\n{:?}",
                    json!(
                        self.server
                            .objects("oauthclients")
                            .iter()
                            .take(3)
                            .collect::<Vec<_>>()
                    ),
                    json!(self.server.objects("oauthproviders")),
                    self.places.all(),
                );
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
    }

    /// Waits until Ready of the object has this reason; its message.
    #[track_caller]
    pub fn until_ready_says<'w>(
        &'w self,
        name: &'w str,
        reason: &'w str,
    ) -> impl Future<Output = String> + 'w {
        let waiting = self.until(2 * HOUR, reason, move |world| {
            let found = world.condition(name, "Ready");
            found.is_some_and(|(_, found, _)| found == reason)
        });
        async move {
            waiting.await;
            self.condition(name, "Ready").unwrap().2
        }
    }

    /// What the events with this reason about the object say.
    pub fn events(&self, name: &str, reason: &str) -> Vec<String> {
        let events = self.server.objects("events");
        let ours = events.iter().filter(|event| {
            event["regarding"]["name"] == name
                && event["regarding"]["kind"] == "OAuthClient"
                && event["reason"] == reason
        });
        ours.map(|event| event["note"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// The client ids of all versions that the vault of the object keeps.
    pub fn kept(&self, name: &str) -> Vec<String> {
        let uid = self.object(name).unwrap()["metadata"]["uid"].clone();
        let vault = format!("bailiwick-oauth-{}", uid.as_str().unwrap());
        let Some(secret) = self.server.get("secrets", "default", &vault) else {
            return Vec::new();
        };
        let data = secret["data"].as_object().cloned().unwrap_or_default();
        let ids = data.values().filter_map(|encoded| {
            use base64::Engine;
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(encoded.as_str()?)
                .ok()?;
            let kept: Value = serde_json::from_slice(&bytes).ok()?;
            Some(kept["clientId"].as_str()?.to_owned())
        });
        ids.collect()
    }
}

pub fn deliveries(places: &[&str]) -> Value {
    let delivery = |place: &&str| match place.strip_prefix("s3:") {
        Some(account) => json!({"name": format!("in-{account}"), "s3": {"account": account}}),
        None => json!({"name": place, "secret": {"name": place}}),
    };
    json!(places.iter().map(delivery).collect::<Vec<_>>())
}

pub fn condition(object: &Value, type_: &str) -> Option<(String, String, String)> {
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

/// The name and the password in a `user.json`.
pub fn user_of(content: &str) -> (String, String) {
    let content: Value = serde_json::from_str(content).unwrap();
    let text = |field: &str| content[field].as_str().unwrap().to_owned();
    (text("application_username"), text("application_password"))
}

/// What a reader uses of `client.json`: its secret or key, or, as a pod, the token that its ServiceAccount is given. Those of
/// the simulated server are the subject's name.
pub fn credential(content: &str) -> Option<(String, Credential)> {
    let client: Value = serde_json::from_str(content).ok()?;
    if client["token_file"].is_string() {
        let id = client["client_id"].as_str()?.to_owned();
        let token = Secret::new(client["subject"].as_str()?);
        return Some((id, Credential::Assertion(token)));
    }
    client_json::credential(content)
}

/// Reads all places every two minutes, as a slow reader would, and asks for a token every few seconds with what it has.
/// `user.json`, where there is one, it reads a minute later: so that it has one file of each version for a while.
pub struct Readers {
    task: JoinHandle<()>,
    pub failures: Arc<Mutex<Vec<String>>>,
    pub requests: Arc<AtomicU64>,
}

impl Readers {
    pub fn start(world: &World) -> Self {
        let servers = world.oauth.clone();
        Self::of(world, move |id, credential, user| {
            servers.iter().any(|server| match user {
                None => server.takes(id, credential),
                Some((name, password)) => server.takes_user(id, credential, (name, password)),
            })
        })
    }

    /// The same, where that says whether a token is given: to the client, or to the user with its name and password.
    pub fn of(
        world: &World,
        takes: impl Fn(&str, &Credential, Option<&(String, String)>) -> bool + Send + 'static,
    ) -> Self {
        let places = world.places.clone();
        let (failures, requests) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<AtomicU64>::default(),
        );
        let (failed, asked) = (failures.clone(), requests.clone());
        let task = tokio::spawn(async move {
            let mut read: BTreeMap<String, String> = BTreeMap::new();
            let mut users: BTreeMap<String, String> = BTreeMap::new();
            for tick in 0_u64.. {
                let fresh = tick % 24 == 0;
                for (place, content) in places.all() {
                    if fresh || !read.contains_key(&place) {
                        read.insert(place, content);
                    }
                }
                for (place, content) in places.users() {
                    if tick % 24 == 12 || !users.contains_key(&place) {
                        users.insert(place, content);
                    }
                }
                for (place, content) in &read {
                    asked.fetch_add(1, Ordering::SeqCst);
                    let found = credential(content);
                    let given = found.is_some_and(|(id, credential)| {
                        let user = users.get(place).map(|content| user_of(content));
                        takes(&id, &credential, user.as_ref())
                    });
                    if !given {
                        failed.lock().unwrap().push(format!("tick {tick}, {place}"));
                    }
                }
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        });
        Self {
            task,
            failures,
            requests,
        }
    }

    /// How many requests there were, of which none failed.
    #[track_caller]
    pub fn end(self, context: &str) -> u64 {
        self.task.abort();
        let failures = self.failures.lock().unwrap();
        assert!(
            failures.is_empty(),
            "{context}: readers failed: {failures:?}"
        );
        self.requests.load(Ordering::SeqCst)
    }
}
