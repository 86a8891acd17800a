//! A cluster and a bucket in memory, operators in it, and what people did to the objects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick::api::FINALIZER;
use bailiwick::app::{self, Parts};
use bailiwick::cloud::budget::{BudgetOptions, Budgets};
use bailiwick::cloud::governed::{govern, govern_bucket};
use bailiwick::cloud::simulated::{self, Options, SimulatedCloud};
use bailiwick::config::RunOptions;
use bailiwick::controllers::oauth_client::outside::Outside;
use bailiwick::dev::api_server::ApiServer;
use bailiwick::engine::clock::{Clock, VirtualClock};
use bailiwick::engine::metrics::Metrics;
use bailiwick::journal::reader::{Reader, Verdict, Wanted};
use bailiwick::journal::record::{Operation, Record};
use bailiwick::server::Readiness;
use clap::Parser;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::strike::Strike;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    run: RunOptions,
}

/// What somebody did to an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    pub generation: i64,
    pub who: String,
    pub spec: Value,
    /// Whether an operator was there to see it.
    pub watched: bool,
}

/// An operator at work.
pub struct Operator {
    pub strike: Arc<Strike>,
    pub metrics: Metrics,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Operator {
    /// It is gone at once, without a word.
    pub fn kill(self) {
        self.strike.kill();
        self.task.abort();
    }

    /// It is told to end, and does.
    pub async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

pub struct World {
    pub server: ApiServer,
    pub cloud: SimulatedCloud,
    clock: VirtualClock,
    /// What was done to each object, by uid.
    deeds: Mutex<BTreeMap<String, Vec<Deed>>>,
    /// Those of them that were deleted.
    deleted: Mutex<BTreeMap<String, String>>,
    /// Whether an operator is there.
    pub watched: Mutex<bool>,
}

impl World {
    pub fn new(options: Options) -> Self {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let time = simulated::tokio_clock(epoch);
        let server = ApiServer::with_own_kinds(time.clone());
        Self {
            server,
            cloud: SimulatedCloud::new(options, 1, time),
            clock: VirtualClock::starting_at(epoch),
            deeds: Mutex::default(),
            deleted: Mutex::default(),
            watched: Mutex::new(true),
        }
    }

    pub fn operator(&self, strike: Arc<Strike>, more: &[&str]) -> Operator {
        self.operator_by(self.clock, strike, more)
    }

    /// An operator whose clock is ahead: it never says of anything what another one says.
    pub fn operator_ahead(&self, by: Duration) -> Operator {
        let clock = VirtualClock::starting_at(self.clock.now() + by);
        self.operator_by(clock, Strike::none(), &[])
    }

    pub fn operator_without_journal(&self) -> Operator {
        self.operator_of(self.clock, Strike::none(), &[], false)
    }

    fn operator_by(&self, clock: VirtualClock, strike: Arc<Strike>, more: &[&str]) -> Operator {
        self.operator_of(clock, strike, more, true)
    }

    fn operator_of(
        &self,
        clock: VirtualClock,
        strike: Arc<Strike>,
        more: &[&str],
        journaled: bool,
    ) -> Operator {
        let arguments = ["test", "--cluster-name", "sim", "--namespace", "default"];
        let guarded = ["--leader-elect", "false", "--authors-guarded", "true"];
        let arguments = arguments.iter().chain(&guarded).chain(more);
        let options = Arguments::parse_from(arguments).run;
        let (metrics, stop) = (Metrics::default(), CancellationToken::new());
        let budgets = Arc::new(Budgets::new(BudgetOptions::default()));
        let observer = Arc::new(metrics.clone());
        let bucket = self.cloud.bucket(Some(strike.clone()));
        let parts = Parts {
            client: self.server.client_with(strike.clone()),
            cloud: govern(self.cloud.cloud(), budgets.clone(), observer.clone()),
            origins: Arc::new(bailiwick::controllers::release::origins::NoRegistry),
            outside: Outside::default(),
            journal: journaled.then(|| govern_bucket(bucket, budgets, observer)),
            clock: Arc::new(clock),
            metrics: metrics.clone(),
            readiness: Readiness::default(),
        };
        let ended = stop.clone();
        let task = tokio::spawn(async move {
            let _ = app::lead(&options, parts, &ended).await;
        });
        Operator {
            strike,
            metrics,
            stop,
            task,
        }
    }

    /// Somebody declares an object, or changes its spec: `number` is what the spec says.
    pub fn declare(&self, kind: &str, name: &str, number: u64) -> String {
        let (plural, namespace) = place(kind);
        let spec = match kind {
            "Team" => json!({ "displayName": format!("Team {number}") }),
            "Release" => json!({
                "application": "one", "version": format!("{number}"), "image": format!("registry.example.com/shop/one:{number}"),
            }),
            "Approval" => json!({
                "release": "one-1", "type": "Test", "approver": format!("oidc:user-{number}"),
                "digest": format!("sha256:{number:064}"),
            }),
            _ => json!({ "displayName": "Shop", "description": format!("{number}") }),
        };
        let who = format!("oidc:user-{number}");
        let mut object = self.server.get(plural, namespace, name).unwrap_or_else(|| {
            json!({
                "apiVersion": "bailiwick.dev/v1alpha1", "kind": kind,
                "metadata": { "name": name, "namespace": namespace,
                              "annotations": { "bailiwick.dev/created-by": who } },
            })
        });
        if namespace.is_empty() {
            object["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("namespace");
        }
        // As the chart's policy does to whatever is made where there is a journal.
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["finalizers"] = json!([FINALIZER]);
        }
        object["spec"] = spec.clone();
        object["metadata"]["annotations"]["bailiwick.dev/changed-by"] = who.clone().into();
        let object = self.server.put(&object).expect("an acceptable object");
        let uid = object["metadata"]["uid"].as_str().unwrap().to_owned();
        let deed = Deed {
            generation: object["metadata"]["generation"].as_i64().unwrap(),
            who,
            spec: object["spec"].clone(),
            watched: *self.watched.lock().unwrap(),
        };
        self.deeds
            .lock()
            .unwrap()
            .entry(uid.clone())
            .or_default()
            .push(deed);
        uid
    }

    pub fn delete(&self, kind: &str, name: &str) {
        let (plural, namespace) = place(kind);
        let object = self
            .server
            .get(plural, namespace, name)
            .expect("what is deleted");
        let uid = object["metadata"]["uid"].as_str().unwrap().to_owned();
        assert!(self.server.delete(plural, namespace, name));
        self.deleted.lock().unwrap().insert(uid, name.to_owned());
    }

    /// Somebody takes an object away by force, finalizers or not.
    pub fn wipe_out(&self, name: &str) {
        let mut object = self.server.get("applications", "team-shop", name).unwrap();
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("finalizers");
        self.server.put(&object).unwrap();
        self.delete("Application", name);
        assert!(self.server.get("applications", "team-shop", name).is_none());
    }

    pub fn reader(&self) -> Reader {
        Reader::new(self.cloud.bucket(None), "journal", "sim")
    }

    pub async fn records(&self) -> Vec<Record> {
        self.reader().records(&Wanted::default()).await.unwrap()
    }

    pub async fn verdict(&self) -> Verdict {
        self.reader().verify(&Wanted::default()).await.unwrap()
    }

    /// How many observations wait in the cluster.
    pub fn outbox(&self) -> usize {
        let maps = self.server.objects("configmaps");
        maps.iter()
            .filter(|map| map["metadata"]["labels"]["bailiwick.dev/journal"] == "outbox")
            .count()
    }

    /// Holds the journal against what was done: how much is lost, how much is doubled, and whether all else is true.
    pub async fn check(&self, context: &str) -> (usize, usize) {
        let verdict = self.verdict().await;
        assert!(verdict.whole, "{context}: {verdict:#?}");
        let mut chains: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for record in self.records().await {
            chains.entry(record.uid.clone()).or_default().push(record);
        }
        let (mut lost, mut doubled) = (0, 0);
        let deeds = self.deeds.lock().unwrap().clone();
        let deleted = self.deleted.lock().unwrap().clone();
        for (uid, deeds) in &deeds {
            let chain = chains.remove(uid).unwrap_or_default();
            for deed in deeds {
                let told = chain.iter().filter(|record| tells(record, deed)).count();
                lost += usize::from(told == 0);
                doubled += told.saturating_sub(1);
                if let Some(record) = chain.iter().find(|record| tells(record, deed))
                    && record.operation == Operation::Gap
                {
                    assert!(
                        !deed.watched,
                        "{context}: somebody watched {deed:?}: {record:#?}"
                    );
                }
            }
            let ends = chain
                .iter()
                .filter(|record| record.operation == Operation::Deleted);
            let (ends, wanted) = (ends.count(), usize::from(deleted.contains_key(uid)));
            lost += wanted.saturating_sub(ends);
            doubled += ends.saturating_sub(wanted);
        }
        // What the operator makes by itself is journaled, too.
        chains.retain(|_, chain| KINDS.contains(&chain[0].kind.as_str()));
        assert_eq!(
            chains.len(),
            0,
            "{context}: nobody made {:?}",
            chains.keys()
        );
        (lost, doubled)
    }

    /// Waits, in virtual time, until nothing is behind; `false`: it did not come to that.
    pub async fn catch_up(&self, limit: Duration) -> bool {
        let end = tokio::time::Instant::now() + limit;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_secs(5)).await;
            if self.outbox() == 0 && self.check("catching up").await.0 == 0 {
                return true;
            }
        }
        false
    }
}

/// The kinds that people declare here; of the others the operator makes objects by itself.
const KINDS: [&str; 4] = ["Team", "Application", "Release", "Approval"];

/// Where an object of a kind is.
fn place(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "Team" => ("teams", ""),
        "Application" => ("applications", "team-shop"),
        "Release" => ("releases", "team-shop"),
        "Approval" => ("approvals", "team-shop"),
        other => panic!("nobody declares {other} here"),
    }
}

/// Whether this record is about that deed.
fn tells(record: &Record, deed: &Deed) -> bool {
    match record.operation {
        Operation::Created | Operation::Changed => {
            let same = record.generation == Some(deed.generation);
            if same {
                assert_eq!(record.after.as_ref(), Some(&deed.spec), "{record:#?}");
                assert_eq!(record.who.as_ref(), Some(&deed.who), "{record:#?}");
            }
            same
        }
        Operation::Gap => record
            .unseen
            .is_some_and(|unseen| (unseen.from..=unseen.to).contains(&deed.generation)),
        Operation::Deleted => false,
    }
}

pub async fn minutes(count: u64) {
    tokio::time::sleep(Duration::from_secs(60 * count)).await;
}
