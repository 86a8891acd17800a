//! The real controllers against an API server and an AWS organization in memory, in virtual time: killed before and
//! after every write, and with the answer of every write lost. At the end there is one account, and everything is Ready.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick::app::{self, Parts};
use bailiwick::cloud::budget::{BudgetOptions, Budgets};
use bailiwick::cloud::governed::govern;
use bailiwick::cloud::simulated::{self, Options, SimulatedCloud};
use bailiwick::config::RunOptions;
use bailiwick::dev::api_server::{self, ApiServer};
use bailiwick::engine::clock::VirtualClock;
use bailiwick::engine::metrics::Metrics;
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
enum Fault {
    KillBefore,
    KillAfter,
    LoseAnswer,
}

/// One life of the operator: it counts the writes and strikes at one of them.
struct Fate {
    strike: Option<(u64, Fault)>,
    writes: AtomicU64,
    dead: AtomicBool,
    struck: Mutex<Option<String>>,
}

enum Ruling {
    Go,
    Hang,
    Lose,
}

impl Fate {
    fn new(strike: Option<(u64, Fault)>) -> Arc<Self> {
        Arc::new(Self {
            strike,
            writes: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            struck: Mutex::default(),
        })
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn die(&self, what: &str) -> Ruling {
        self.dead.store(true, Ordering::SeqCst);
        *self.struck.lock().unwrap() = Some(what.to_owned());
        Ruling::Hang
    }

    /// Before a write; numbers it.
    fn before(&self, what: &str) -> Ruling {
        if self.is_dead() {
            return Ruling::Hang;
        }
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if self.strike == Some((number, Fault::KillBefore)) {
            self.die(what)
        } else {
            Ruling::Go
        }
    }

    /// After the write that was numbered last.
    fn after(&self, what: &str) -> Ruling {
        if self.is_dead() {
            return Ruling::Hang;
        }
        match self.strike {
            Some((at, fault))
                if at == self.writes.load(Ordering::SeqCst)
                    && self.struck.lock().unwrap().is_none() =>
            {
                match fault {
                    Fault::KillBefore => Ruling::Go,
                    Fault::KillAfter => self.die(what),
                    Fault::LoseAnswer => {
                        *self.struck.lock().unwrap() = Some(what.to_owned());
                        Ruling::Lose
                    }
                }
            }
            _ => Ruling::Go,
        }
    }
}

#[async_trait]
impl simulated::Interceptor for Fate {
    async fn before(&self, call: &simulated::Call) -> simulated::Verdict {
        let ruling = if call.is_write {
            Fate::before(self, call.operation)
        } else if self.is_dead() {
            Ruling::Hang
        } else {
            Ruling::Go
        };
        match ruling {
            Ruling::Go => simulated::Verdict::Continue,
            Ruling::Hang => simulated::Verdict::Hang,
            Ruling::Lose => simulated::Verdict::LoseReply,
        }
    }

    async fn after(&self, call: &simulated::Call, _ok: bool) -> simulated::Verdict {
        let ruling = if call.is_write {
            Fate::after(self, call.operation)
        } else {
            Ruling::Go
        };
        match ruling {
            Ruling::Go => simulated::Verdict::Continue,
            Ruling::Hang => simulated::Verdict::Hang,
            Ruling::Lose => simulated::Verdict::LoseReply,
        }
    }
}

fn name_of(call: &api_server::Call) -> String {
    let part = call.subresource.as_deref().unwrap_or_default();
    format!(
        "{:?} {}/{} {part}",
        call.verb,
        call.plural,
        call.name.as_deref().unwrap_or_default()
    )
}

#[async_trait]
impl api_server::Interceptor for Fate {
    async fn before(&self, call: &api_server::Call) -> api_server::Verdict {
        if !call.is_write() {
            return api_server::Verdict::Continue;
        }
        match Fate::before(self, &name_of(call)) {
            Ruling::Go => api_server::Verdict::Continue,
            Ruling::Hang => api_server::Verdict::Hang,
            Ruling::Lose => api_server::Verdict::LoseReply,
        }
    }

    async fn after(&self, call: &api_server::Call, _status: u16) -> api_server::Verdict {
        if !call.is_write() {
            return api_server::Verdict::Continue;
        }
        match Fate::after(self, &name_of(call)) {
            Ruling::Go => api_server::Verdict::Continue,
            Ruling::Hang => api_server::Verdict::Hang,
            Ruling::Lose => api_server::Verdict::LoseReply,
        }
    }

    fn alive(&self) -> bool {
        !self.is_dead()
    }
}

/// A cluster and an organization.
struct World {
    server: ApiServer,
    cloud: SimulatedCloud,
    clock: VirtualClock,
}

impl World {
    fn new(options: Options, seed: u64) -> Self {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let time = simulated::tokio_clock(epoch);
        let server = ApiServer::with_clock(time.clone());
        for definition in bailiwick::api::definitions().unwrap() {
            server.register_crd(&definition);
        }
        Self {
            server,
            cloud: SimulatedCloud::new(options, seed, time),
            clock: VirtualClock::starting_at(epoch),
        }
    }

    fn operator(&self, fate: &Arc<Fate>, elect: Option<&str>) -> JoinHandle<()> {
        let elected = if elect.is_some() { "true" } else { "false" };
        let identity = elect.unwrap_or("only");
        let options = Arguments::parse_from([
            "test",
            "--cluster-name",
            "sim",
            "--namespace",
            "default",
            "--leader-elect",
            elected,
            "--identity",
            identity,
        ])
        .run;
        let metrics = Metrics::default();
        let budgets = Arc::new(Budgets::new(BudgetOptions::default()));
        let parts = Parts {
            client: self.server.client_with(fate.clone()),
            cloud: govern(
                self.cloud.cloud_with(fate.clone()),
                budgets,
                Arc::new(metrics.clone()),
            ),
            journal: None,
            clock: Arc::new(self.clock),
            metrics,
            readiness: Readiness::default(),
        };
        tokio::spawn(async move {
            let _ = app::lead(&options, parts, &CancellationToken::new()).await;
        })
    }

    fn declare(&self, teams: usize, accounts: usize) {
        self.server.put(&json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "AccountClass", "metadata": {"name": "test"},
            "spec": {
                "organizationalUnitPath": "/Workloads/Test",
                "emailTemplate": "aws+{{team}}-{{account}}@example.com",
                "aliasTemplate": "acme-{{team}}-{{account}}",
                "regions": ["eu-central-1"],
                "tags": {"stage": "test"},
                "passwordPolicy": {"minimumLength": 16},
                "alternateContacts": {"security": {"name": "S", "title": "T", "email": "s@example.com", "phone": "1"}},
            },
        }));
        for team in 0..teams {
            let name = format!("team{team}");
            self.server.put(&json!({
                "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Team", "metadata": {"name": name},
                "spec": {"members": [{"user": "dev"}]},
            }));
            for account in 0..accounts {
                self.server.put(&json!({
                    "apiVersion": "bailiwick.dev/v1alpha1", "kind": "TeamAccount",
                    "metadata": {"name": format!("acc{account}"), "namespace": format!("team-{name}")},
                    "spec": {"className": "test"},
                }));
            }
        }
    }

    /// What is not Ready, at its generation.
    fn unready(&self) -> Vec<Value> {
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

    /// Waits, in virtual time, until all is Ready or the operator is dead. `true`: all is Ready.
    async fn settle(&self, fate: &Fate, limit: Duration) -> bool {
        let end = tokio::time::Instant::now() + limit;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_secs(5)).await;
            if fate.is_dead() {
                return false;
            }
            if self.unready().is_empty() {
                return true;
            }
        }
        false
    }

    /// One account for each object, all ours, no more.
    fn check(&self, wanted: usize, context: &str) {
        assert!(
            self.cloud.duplicates().is_empty(),
            "{context}: created twice: {:?}",
            self.cloud.duplicates()
        );
        let members = self.cloud.accounts();
        let ours = members
            .iter()
            .filter(|member| member.email.starts_with("aws+"))
            .count();
        assert_eq!(
            ours,
            wanted,
            "{context}: {:?}",
            members
                .iter()
                .map(|member| &member.email)
                .collect::<Vec<_>>()
        );
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
}

/// A whole life with one blow; how many writes there were, and what was struck.
async fn life(strike: Option<(u64, Fault)>) -> (u64, Option<String>) {
    let world = World::new(Options::default(), 1);
    world.declare(1, 1);
    let context = format!("{strike:?}");
    let fate = Fate::new(strike);
    let first = world.operator(&fate, None);
    let ready = world.settle(&fate, Duration::from_secs(3600)).await;
    let struck = fate.struck.lock().unwrap().clone();
    if fate.is_dead() {
        first.abort();
        let second_fate = Fate::new(None);
        let second = world.operator(&second_fate, None);
        let ready = world.settle(&second_fate, Duration::from_secs(7200)).await;
        assert!(
            ready,
            "{context} at {struck:?}: {}",
            serde_json::to_string_pretty(&world.unready()).unwrap()
        );
        second.abort();
    } else {
        assert!(
            ready,
            "{context} at {struck:?}: {}",
            serde_json::to_string_pretty(&world.unready()).unwrap()
        );
        first.abort();
    }
    world.check(1, &format!("{context} at {struck:?}"));
    (fate.writes.load(Ordering::SeqCst), struck)
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_write_there_is_one_account_and_all_is_ready() {
    let (writes, _) = life(None).await;
    assert!(
        writes >= 15,
        "only {writes} writes: the table would prove little"
    );
    let mut table = Vec::new();
    for fault in [Fault::KillBefore, Fault::KillAfter, Fault::LoseAnswer] {
        for position in 1..=writes {
            let (_, struck) = life(Some((position, fault))).await;
            table.push(format!(
                "{fault:?} {position}: {}",
                struck.unwrap_or_default()
            ));
        }
    }
    println!(
        "{} lives, {writes} writes each\n{}",
        table.len(),
        table.join("\n")
    );
    assert!(
        table.iter().any(|row| row.contains("CreateAccount")),
        "{table:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn three_hundred_accounts_while_calls_are_throttled_and_answers_lost() {
    let options = Options {
        throttle_rate: 0.05,
        lost_reply_rate: 0.01,
        ..Options::default()
    };
    let world = World::new(options, 7);
    world.declare(30, 10);
    let fate = Fate::new(None);
    let operator = world.operator(&fate, None);
    let ready = world.settle(&fate, Duration::from_secs(24 * 3600)).await;
    assert!(
        ready,
        "seed 7: {}",
        serde_json::to_string_pretty(&world.unready().first()).unwrap()
    );
    operator.abort();
    world.check(300, "seed 7");
    assert!(world.cloud.most_in_flight() <= 5);
}

#[tokio::test(start_paused = true)]
async fn of_two_operators_one_works_and_the_other_takes_over() {
    let world = World::new(Options::default(), 3);
    world.declare(2, 2);
    let (first_fate, second_fate) = (Fate::new(None), Fate::new(None));
    let first = world.operator(&first_fate, Some("first"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let second = world.operator(&second_fate, Some("second"));
    tokio::time::sleep(Duration::from_secs(20)).await;
    // In the middle of creating accounts the first one is gone, without a word.
    first_fate.dead.store(true, Ordering::SeqCst);
    first.abort();
    assert!(
        world.settle(&second_fate, Duration::from_secs(7200)).await,
        "{:?}",
        world.unready()
    );
    second.abort();
    world.check(4, "two operators");
}

#[tokio::test(start_paused = true)]
async fn a_settled_world_costs_no_write_and_one_share_of_a_sweep() {
    let world = World::new(Options::default(), 5);
    world.declare(10, 4);
    let fate = Fate::new(None);
    let operator = world.operator(&fate, None);
    assert!(
        world.settle(&fate, Duration::from_secs(24 * 3600)).await,
        "{:?}",
        world.unready().first()
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.server.reset_counters();
    world.cloud.forget_calls();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(
        world.server.writes(),
        0,
        "{:?}",
        world.server.all_requests()
    );
    assert_eq!(world.server.gets(), 0, "{:?}", world.server.all_requests());
    let calls = world.cloud.calls_to("organizations.");
    // Six sweeps: root, three units, their accounts in pages of twenty, and tags in turn.
    assert!(calls <= 120, "{calls}: {:?}", world.cloud.calls());
    operator.abort();
}
