//! A cluster and an organization in memory, in virtual time, and operators in it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick::app::{self, Parts};
use bailiwick::cloud::budget::{BudgetOptions, Budgets};
use bailiwick::cloud::governed::govern;
use bailiwick::cloud::simulated::{self, Options, SimulatedCloud};
use bailiwick::config::RunOptions;
use bailiwick::controllers::oauth_client::outside::Outside;
use bailiwick::dev::api_server::{self, ApiServer, Call, Verdict};
use bailiwick::engine::clock::{Clock, VirtualClock};
use bailiwick::engine::metrics::Metrics;
use bailiwick::model::{AlternateContact, ContactKind};
use bailiwick::server::Readiness;
use clap::Parser;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Problem;
use crate::population::{self, Place, Sample, UNIT};
use crate::process::thread_time;

/// How long a call to Organizations takes, from people's traces of it.
pub const AWS_LATENCY: Duration = Duration::from_millis(200);
/// How long creating an account takes. At sixty seconds five in flight need a CreateAccount every twelve seconds, which
/// AWS's one in ten allows; below fifty the rate would be the limit, and not the slots.
pub const CREATION: Duration = Duration::from_secs(60);
/// How long the API server takes to answer.
const READ_LATENCY: Duration = Duration::from_millis(4);
const WRITE_LATENCY: Duration = Duration::from_millis(10);

#[derive(Parser)]
struct OperatorArguments {
    #[command(flatten)]
    run: RunOptions,
}

/// AWS as it publishes itself: its rates, its delays, no fault.
pub fn aws() -> Options {
    Options {
        latency: AWS_LATENCY,
        creation: CREATION,
        creation_jitter: Duration::ZERO,
        visibility_lag: Duration::from_secs(2),
        rates: Options::aws_rates(),
        ..Options::default()
    }
}

/// What was seen of one account's object.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// When its status first had an account id.
    pub created: Option<Timestamp>,
    /// Since when its status says Ready.
    pub ready: Option<Timestamp>,
}

/// Sits between the operator and the API server: takes the time that a network takes, loses answers, and notes what
/// becomes of the accounts.
pub struct Wire {
    clock: VirtualClock,
    /// One write in so many is not answered; 0: all are.
    lose_every: u64,
    writes: AtomicU64,
    accounts: Mutex<BTreeMap<(String, String), Seen>>,
    /// The thread's time when the API server was last given a request: it answers before anything else runs.
    given: Mutex<Option<Duration>>,
    /// The processor's time that the API server in memory has taken between request and answer.
    serving: Mutex<Duration>,
}

impl Wire {
    fn serving(&self) -> MutexGuard<'_, Duration> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn given(&self) -> MutexGuard<'_, Option<Duration>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accounts(&self) -> MutexGuard<'_, BTreeMap<(String, String), Seen>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, call: &Call) {
        let status = &call.body["status"];
        let (Some(namespace), Some(name)) = (&call.namespace, &call.name) else {
            return;
        };
        let mut accounts = self.accounts();
        let seen = accounts
            .entry((namespace.clone(), name.clone()))
            .or_default();
        if status["accountId"].is_string() && seen.created.is_none() {
            seen.created = Some(self.clock.now());
        }
        if let Some(conditions) = status["conditions"].as_array() {
            let is_ready = conditions
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            let since = seen.ready.unwrap_or_else(|| self.clock.now());
            seen.ready = is_ready.then_some(since);
        }
    }
}

#[async_trait]
impl api_server::Interceptor for Wire {
    async fn before(&self, call: &Call) -> Verdict {
        let latency = if call.is_write() {
            WRITE_LATENCY
        } else {
            READ_LATENCY
        };
        tokio::time::sleep(latency).await;
        *self.given() = Some(thread_time());
        Verdict::Continue
    }

    async fn after(&self, call: &Call, status: u16) -> Verdict {
        if let Some(given) = self.given().take() {
            *self.serving() += thread_time().saturating_sub(given);
        }
        if !call.is_write() {
            return Verdict::Continue;
        }
        let of_account =
            call.plural == "teamaccounts" && call.subresource.as_deref() == Some("status");
        if of_account && status == 200 {
            self.note(call);
        }
        let number = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        if self.lose_every > 0 && number.is_multiple_of(self.lose_every) {
            return Verdict::LoseReply;
        }
        Verdict::Continue
    }
}

/// The world.
pub struct World {
    /// The cluster.
    pub server: ApiServer,
    /// The organization.
    pub cloud: SimulatedCloud,
    /// What the operator counts.
    pub metrics: Metrics,
    wire: Arc<Wire>,
    clock: VirtualClock,
}

impl World {
    /// An empty one. One write to the API server in `lose_every` is not answered; 0: all are.
    pub fn new(options: Options, seed: u64, lose_every: u64) -> Result<Self, Problem> {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse()?;
        let time = simulated::tokio_clock(epoch);
        let server = ApiServer::with_own_kinds(time.clone());
        let clock = VirtualClock::starting_at(epoch);
        let wire = Wire {
            clock,
            lose_every,
            writes: AtomicU64::new(0),
            accounts: Mutex::default(),
            given: Mutex::default(),
            serving: Mutex::default(),
        };
        let world = Self {
            server,
            cloud: SimulatedCloud::new(options, seed, time),
            metrics: Metrics::default(),
            wire: Arc::new(wire),
            clock,
        };
        world.put(&population::class())?;
        Ok(world)
    }

    /// Puts an object into the cluster.
    pub fn put(&self, object: &Value) -> Result<Value, Problem> {
        let refused = || format!("the API server in memory refuses {object}");
        Ok(self.server.put(object).ok_or_else(refused)?)
    }

    /// Declares teams with `each` accounts, `count` in all.
    pub fn declare(&self, count: usize, each: usize) -> Result<Vec<Place>, Problem> {
        let places: Vec<Place> = (0..count)
            .map(|number| Place::number(number, each))
            .collect();
        for place in &places {
            if place.name == "acc000" {
                self.put(&population::team(&place.team))?;
            }
            let mut object = place.object();
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("finalizers");
            }
            self.put(&object)?;
        }
        Ok(places)
    }

    /// Starts an operator; `flags` beyond the usual ones.
    pub fn operator(&self, flags: &[&str]) -> Operator {
        let usual = ["bench", "--cluster-name", "bench", "--namespace", "default"];
        let alone = ["--leader-elect", "false", "--identity", "only"];
        let all = [&usual[..], &alone, flags].concat();
        let options = OperatorArguments::parse_from(all).run;
        let budgets = Arc::new(Budgets::new(BudgetOptions::default()));
        let parts = Parts {
            client: self.server.client_with(self.wire.clone()),
            cloud: govern(self.cloud.cloud(), budgets, Arc::new(self.metrics.clone())),
            origins: Arc::new(bailiwick::controllers::release::origins::NoRegistry),
            outside: Outside::default(),
            journal: None,
            clock: Arc::new(self.clock),
            metrics: self.metrics.clone(),
            readiness: Readiness::default(),
        };
        Operator(tokio::spawn(async move {
            // Without election it ends only when it is told to.
            let _ = app::lead(&options, parts, &CancellationToken::new()).await;
        }))
    }

    /// The processor's time that the API server in memory has taken to answer; reading requests and telling watches
    /// come on top.
    pub fn serving(&self) -> Duration {
        *self.wire.serving()
    }

    /// What was seen of every account's object.
    pub fn seen(&self) -> BTreeMap<(String, String), Seen> {
        self.wire.accounts().clone()
    }

    /// Waits until so many accounts are Ready.
    pub async fn until_ready(&self, count: usize, limit: Duration) -> Result<(), Problem> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let ready = self
                .wire
                .accounts()
                .values()
                .filter(|seen| seen.ready.is_some())
                .count();
            if ready >= count {
                return Ok(());
            }
            if tokio::time::Instant::now() > end {
                return Err(
                    format!("only {ready} of {count} accounts are Ready after {limit:?}").into(),
                );
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// `count` settled accounts, `each` to a team: the operator settles the first, the others are made after it, in
    /// the cluster and in the organization. No operator runs when this ends.
    pub async fn settle(&self, count: usize, each: usize) -> Result<(), Problem> {
        self.declare(1, each)?;
        let first = self.operator(&[]);
        self.until_ready(1, Duration::from_secs(3600)).await?;
        // Its last events and its team's status.
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(first);
        let sample = self.sample(&Place::number(0, each))?;
        let contact = AlternateContact {
            name: "Security".into(),
            title: "On call".into(),
            email: "security@example.com".into(),
            phone: "1".into(),
        };
        for number in 1..count {
            let place = Place::number(number, each);
            if place.name == "acc000" {
                self.put(&population::team(&place.team))?;
            }
            let mut object = self.put(&place.object())?;
            let uid = object["metadata"]["uid"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let name = format!("{}-{}", place.team, place.name);
            let tags = sample.tags_of(&place, &uid);
            let id = self.cloud.add_member(&place.email(), &name, tags);
            self.cloud.move_behind(&id, &UNIT.parse()?);
            self.cloud
                .set_contact_behind(&id, ContactKind::Security, Some(contact.clone()));
            self.cloud.set_alias_behind(&id, Some(&place.alias()));
            let policy = self
                .cloud
                .account(&sample.id.parse()?)
                .and_then(|account| account.password_policy);
            self.cloud.set_policy_behind(&id, policy);
            object["status"] = sample.status_of(&place, &uid, id.as_str());
            self.put(&object)?;
        }
        Ok(())
    }

    fn sample(&self, place: &Place) -> Result<Sample, Problem> {
        let object = self
            .server
            .get("teamaccounts", &place.namespace(), &place.name)
            .ok_or("the sample is gone")?;
        let id = object["status"]["accountId"]
            .as_str()
            .unwrap_or_default()
            .parse()?;
        let tags = self.cloud.tags(&id);
        Ok(Sample::of(place.clone(), &object, tags).ok_or("the sample has no account")?)
    }

    /// How many passes over accounts have ended as `outcome`.
    pub fn passes(&self, outcome: &str) -> u64 {
        passes(&self.metrics.encode(), "TeamAccount", outcome)
    }

    /// Waits, looking every virtual second, until the count of settled passes over accounts is `count`.
    pub async fn until_passes(&self, count: u64, limit: Duration) -> Result<(), Problem> {
        let end = tokio::time::Instant::now() + limit;
        while self.passes("settled") < count {
            if tokio::time::Instant::now() > end {
                let found = self.passes("settled");
                return Err(format!("only {found} of {count} passes after {limit:?}").into());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }
}

/// How many passes over objects of a kind have ended as `outcome`, by the text of /metrics.
pub fn passes(text: &str, kind: &str, outcome: &str) -> u64 {
    let start = format!("bailiwick_reconciles_total{{kind=\"{kind}\",outcome=\"{outcome}\"}} ");
    text.lines()
        .find_map(|line| line.strip_prefix(&start)?.trim().parse().ok())
        .unwrap_or(0)
}

/// A running operator; dropped, it is killed where it stands.
pub struct Operator(JoinHandle<()>);

impl Drop for Operator {
    fn drop(&mut self) {
        self.0.abort();
    }
}
