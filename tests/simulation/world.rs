//! A cluster, an organization, and the operators between them, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use bailiwick::app::{self, Parts};
use bailiwick::cloud::budget::{BudgetOptions, Budgets};
use bailiwick::cloud::governed::govern;
use bailiwick::cloud::simulated::{self, Member, Options, SimulatedCloud};
use bailiwick::config::RunOptions;
use bailiwick::controllers::oauth_client::outside::Outside;
use bailiwick::dev::api_server::ApiServer;
use bailiwick::engine::clock::VirtualClock;
use bailiwick::engine::metrics::Metrics;
use bailiwick::server::Readiness;
use clap::Parser;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fate::{Fate, Journal};
use crate::weather::Weather;

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    run: RunOptions,
}

/// A cluster and an organization.
pub struct World {
    pub server: ApiServer,
    pub cloud: SimulatedCloud,
    pub journal: Journal,
    pub weather: Option<Arc<Weather>>,
    /// How often a test looks at it.
    pub look: Duration,
    /// What its operators are told besides the usual.
    pub flags: Vec<&'static str>,
    clock: VirtualClock,
}

/// An operator at work. One that dies is replaced when the world is looked at next.
pub struct Run {
    pub fate: Arc<Fate>,
    task: JoinHandle<()>,
    told: CancellationToken,
    lives: usize,
    /// What killed it, or was struck.
    pub struck: Option<String>,
}

impl Run {
    pub fn stop(&self) {
        self.task.abort();
    }

    /// Tells it to end, as SIGTERM does, and waits until it has.
    pub async fn step_down(&mut self) {
        self.told.cancel();
        let _ = (&mut self.task).await;
    }

    /// Whether the process has ended by itself.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

impl World {
    pub fn new(options: Options, seed: u64) -> Self {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let time = simulated::tokio_clock(epoch);
        let server = ApiServer::with_own_kinds(time.clone());
        Self {
            server,
            cloud: SimulatedCloud::new(options, seed, time),
            journal: Journal::default(),
            weather: None,
            look: Duration::from_secs(5),
            flags: Vec::new(),
            clock: VirtualClock::starting_at(epoch),
        }
    }

    /// A world as AWS's defaults have it, with a class, a team and, if wanted, its account `acc0`.
    pub fn with_one(account: bool) -> Self {
        let world = Self::new(Options::default(), 1);
        world.declare(1, usize::from(account));
        world
    }

    pub fn fate(&self, who: &str) -> Arc<Fate> {
        Fate::new(who, self.journal.clone(), self.weather.clone())
    }

    /// The only operator.
    pub fn start(&self) -> Run {
        self.start_elected(None)
    }

    /// One of several operators, by its identity.
    pub fn start_elected(&self, identity: Option<&str>) -> Run {
        let fate = self.fate(identity.unwrap_or("1"));
        let told = CancellationToken::new();
        let task = self.operator(&fate, identity, &told);
        Run {
            fate,
            task,
            told,
            lives: 1,
            struck: None,
        }
    }

    fn operator(
        &self,
        fate: &Arc<Fate>,
        elect: Option<&str>,
        told: &CancellationToken,
    ) -> JoinHandle<()> {
        let elected = if elect.is_some() { "true" } else { "false" };
        let usual = [
            "test",
            "--cluster-name",
            "sim",
            "--namespace",
            "default",
            "--leader-elect",
            elected,
            "--identity",
            elect.unwrap_or("only"),
        ];
        let options = Arguments::parse_from(usual.iter().chain(&self.flags)).run;
        let metrics = Metrics::default();
        let budgets = Arc::new(Budgets::new(BudgetOptions::default()));
        let parts = Parts {
            client: self.server.client_with(fate.clone()),
            cloud: govern(
                self.cloud.cloud_with(fate.clone()),
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
        let told = told.clone();
        tokio::spawn(async move {
            let _ = app::lead(&options, parts, &told).await;
        })
    }

    /// Puts a new operator in the place of a dead one.
    pub fn revive(&self, run: &mut Run) {
        run.struck = run.struck.take().or(run.fate.struck());
        if !run.fate.is_dead() {
            return;
        }
        run.task.abort();
        run.lives += 1;
        run.fate = self.fate(&run.lives.to_string());
        run.task = self.operator(&run.fate, None, &run.told);
    }

    /// Waits in virtual time, replacing the operator as often as it dies. Whether `done` came true.
    pub async fn until(
        &self,
        run: &mut Run,
        limit: Duration,
        mut done: impl FnMut() -> bool,
    ) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            tokio::time::sleep(self.look).await;
            self.revive(run);
            if done() {
                return true;
            }
        }
        false
    }

    /// The same, and fails the test if it does not come true.
    #[track_caller]
    pub fn must<'a>(
        &'a self,
        run: &'a mut Run,
        what: &'a str,
        done: impl FnMut() -> bool + 'a,
    ) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let came = self.until(run, 8 * HOUR, done).await;
            let all = self.server.objects("teamaccounts");
            let state = serde_json::to_string_pretty(&all).unwrap();
            assert!(
                came,
                "{caller}: never came: {what}; struck {:?}: {state}",
                run.struck
            );
        }
    }

    pub async fn must_be_ready(&self, run: &mut Run) {
        self.must(run, "all is Ready", || self.unready().is_empty())
            .await;
    }

    /// Waits until the account `acc0` says this reason in its Ready condition; returns the message.
    pub async fn must_say(&self, run: &mut Run, reason: &str) -> String {
        let says = || {
            self.ready("acc0")
                .is_some_and(|(_, said, _)| said == reason)
        };
        self.must(run, reason, says).await;
        self.ready("acc0").unwrap().2
    }

    /// Time goes by in which nothing but waiting is to be seen: the reads of its sweeps are not struck at.
    pub async fn rest(&self, run: &mut Run, time: Duration) {
        run.fate.rest(true);
        let end = Instant::now() + time;
        while Instant::now() < end {
            tokio::time::sleep(MINUTE).await;
            self.revive(run);
        }
        run.fate.rest(false);
    }

    /// Time goes by; an operator that dies is replaced.
    pub async fn pass_time(&self, run: &mut Run, time: Duration) {
        self.until(run, time, || false).await;
    }
}

/// What people declare and see.
impl World {
    pub fn declare(&self, teams: usize, accounts: usize) {
        self.server.put(&json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "AccountClass", "metadata": {"name": "test"},
            "spec": {
                "organizationalUnitPath": "/Workloads/Test",
                "emailTemplate": "aws+{{team}}-{{account}}@example.com",
                "aliasTemplate": "acme-{{team}}-{{account}}",
                "regions": ["eu-central-1", "eu-south-1"],
                "tags": {"stage": "test"},
                "passwordPolicy": {"minimumLength": 16},
                "alternateContacts": {"security": {"name": "S", "title": "T", "email": "s@example.com", "phone": "1"}},
                "quarantine": {"organizationalUnitPath": "/Quarantine", "closeAfter": "2h"},
            },
        }));
        for team in 0..teams {
            let name = format!("team{team}");
            self.server.put(&json!({
                "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Team", "metadata": {"name": name},
                "spec": {"members": [{"user": "dev"}]},
            }));
            for account in 0..accounts {
                self.account_in(&name, &format!("acc{account}"), json!({}));
            }
        }
    }

    /// Declares an account of the first team.
    pub fn account(&self, name: &str, spec: Value) {
        self.account_in("team0", name, spec);
    }

    pub fn account_in(&self, team: &str, name: &str, mut spec: Value) {
        spec["className"] = json!("test");
        if spec["regions"].is_null() {
            spec["regions"] = json!(["eu-central-1"]);
        }
        let put = self.server.put(&json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "TeamAccount",
            "metadata": {"name": name, "namespace": format!("team-{team}")},
            "spec": spec,
        }));
        assert!(put.is_some(), "{name} was not accepted");
    }

    /// An account of the first team, if it is there.
    pub fn object(&self, name: &str) -> Option<Value> {
        self.server.get("teamaccounts", "team-team0", name)
    }

    /// Edits an account of the first team.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.object(name).expect("the object is there");
        change(&mut object);
        assert!(self.server.put(&object).is_some(), "the edit was refused");
    }

    pub fn annotate(&self, name: &str, key: &str, value: &str) {
        self.edit(name, |object| {
            object["metadata"]["annotations"][format!("bailiwick.dev/{key}")] = json!(value);
        });
    }

    pub fn delete(&self, name: &str) {
        assert!(self.server.delete("teamaccounts", "team-team0", name));
    }

    /// A condition: status, reason, message.
    pub fn condition(&self, name: &str, type_: &str) -> Option<(String, String, String)> {
        let object = self.object(name)?;
        let generation = &object["metadata"]["generation"];
        let all = object["status"]["conditions"].as_array()?;
        let found = all.iter().find(|condition| condition["type"] == type_)?;
        // One about an older generation says nothing yet.
        (found["observedGeneration"] == *generation).then(|| {
            let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
            (text("status"), text("reason"), text("message"))
        })
    }

    pub fn ready(&self, name: &str) -> Option<(String, String, String)> {
        self.condition(name, "Ready")
    }

    pub fn is_ready(&self, name: &str) -> bool {
        self.ready(name)
            .is_some_and(|(status, ..)| status == "True")
    }

    /// The AWS account of an object.
    pub fn member(&self, name: &str) -> Option<Member> {
        let object = self.object(name)?;
        let id = object["status"]["accountId"].as_str()?.parse().ok()?;
        self.cloud.account(&id)
    }

    /// What is not Ready, at its generation.
    pub fn unready(&self) -> Vec<Value> {
        let all = ["teams", "accountclasses", "teamaccounts"]
            .into_iter()
            .flat_map(|kind| self.server.objects(kind));
        all.filter(|object| {
            let ready = object["status"]["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            !ready || object["status"]["observedGeneration"] != object["metadata"]["generation"]
        })
        .collect()
    }

    /// One account for each object, all ours and in their place, and no more of our making.
    #[track_caller]
    pub fn check(&self, wanted: usize, context: &str) {
        self.check_once(context);
        let members = self.cloud.accounts();
        let ours = members.iter().map(|member| &member.email);
        let ours: Vec<_> = ours.filter(|email| email.starts_with("aws+")).collect();
        assert_eq!(ours.len(), wanted, "{context}: {ours:?}");
        for object in self.server.objects("teamaccounts") {
            let id = object["status"]["accountId"].as_str().unwrap_or_default();
            let member = members
                .iter()
                .find(|member| member.id.as_str() == id)
                .expect("a member account");
            assert_eq!(member.path.as_str(), "/Workloads/Test", "{context}");
            assert_eq!(
                object["metadata"]["uid"],
                member.tags["bailiwick.dev/uid"].as_str(),
                "{context}"
            );
        }
    }

    /// Nothing was created twice.
    #[track_caller]
    pub fn check_once(&self, context: &str) {
        let twice = self.cloud.duplicates();
        assert!(twice.is_empty(), "{context}: created twice: {twice:?}");
    }
}
