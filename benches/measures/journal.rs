//! R6: what the journal loses or doubles when its bucket is away for an hour and the operator is killed in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bailiwick::api::FINALIZER;
use bailiwick::app::{self, Parts};
use bailiwick::cloud::budget::{BudgetOptions, Budgets};
use bailiwick::cloud::governed::{govern, govern_bucket};
use bailiwick::cloud::simulated::{self, Options, SimulatedCloud};
use bailiwick::config::RunOptions;
use bailiwick::controllers::oauth_client::outside::Outside;
use bailiwick::dev::api_server::ApiServer;
use bailiwick::engine::clock::VirtualClock;
use bailiwick::engine::metrics::Metrics;
use bailiwick::journal::reader::{Reader, Wanted};
use bailiwick::journal::record::{Operation, Record};
use bailiwick::server::Readiness;
use clap::Parser;
use k8s_openapi::jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::report::{Figure, Goal};
use crate::{Arguments, Limit, Problem, in_virtual_time};

/// How many objects there are.
const OBJECTS: u32 = 200;
/// How many changes there are in the hour.
const CHANGES: u32 = 900;
/// After how many changes there is a release; the one before it is deleted.
const RELEASED_EVERY: u32 = 5;

/// Measures.
pub fn measure(arguments: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    in_virtual_time(limit, an_hour_away(arguments.seed))
}

#[derive(Parser)]
struct OperatorArguments {
    #[command(flatten)]
    run: RunOptions,
}

/// A cluster and a bucket, and every change that was made.
struct Cluster {
    server: ApiServer,
    cloud: SimulatedCloud,
    clock: VirtualClock,
    /// The generations that there were, by uid, and of each whether an operator saw it made.
    changes: BTreeMap<String, Vec<(i64, bool)>>,
    /// Those of them that were deleted.
    deleted: Vec<String>,
}

impl Cluster {
    fn new(seed: u64) -> Result<Self, Problem> {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse()?;
        let time = simulated::tokio_clock(epoch);
        let server = ApiServer::with_own_kinds(time.clone());
        Ok(Self {
            server,
            cloud: SimulatedCloud::new(Options::default(), seed, time),
            clock: VirtualClock::starting_at(epoch),
            changes: BTreeMap::new(),
            deleted: Vec::new(),
        })
    }

    fn operator(&self) -> Operator {
        let flags = ["bench", "--cluster-name", "bench", "--namespace", "default"];
        let flags = [
            &flags[..],
            &["--leader-elect", "false"],
            &["--authors-guarded", "true"],
        ]
        .concat();
        let options = OperatorArguments::parse_from(flags).run;
        let metrics = Metrics::default();
        let budgets = Arc::new(Budgets::new(BudgetOptions::default()));
        let observer = Arc::new(metrics.clone());
        let bucket = self.cloud.bucket(None);
        let parts = Parts {
            client: self.server.client(),
            cloud: govern(self.cloud.cloud(), budgets.clone(), observer.clone()),
            origins: Arc::new(bailiwick::controllers::release::origins::NoRegistry),
            outside: Outside::default(),
            journal: Some(govern_bucket(bucket, budgets, observer)),
            clock: Arc::new(self.clock),
            metrics,
            readiness: Readiness::default(),
        };
        Operator(tokio::spawn(async move {
            // Without election it ends only when it is told to.
            let _ = app::lead(&options, parts, &CancellationToken::new()).await;
        }))
    }

    /// Declares a team, or changes it; `watched`: before the eyes of an operator.
    fn change(&mut self, number: u32, text: &str, watched: bool) -> Result<(), Problem> {
        let name = format!("team{number}");
        let old = self.server.get("teams", "", &name);
        let mut object = old.unwrap_or_else(|| {
            json!({
                "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Team", "metadata": { "name": name, "annotations": {} },
            })
        });
        object["spec"] = json!({ "displayName": text });
        object["metadata"]["annotations"]["bailiwick.dev/changed-by"] = format!("by-{text}").into();
        let object = self.server.put(&object).ok_or("the team is refused")?;
        let (uid, generation) = (
            object["metadata"]["uid"].as_str().unwrap_or_default(),
            object["metadata"]["generation"]
                .as_i64()
                .unwrap_or_default(),
        );
        self.changes
            .entry(uid.to_owned())
            .or_default()
            .push((generation, watched));
        Ok(())
    }

    /// Declares a release and somebody's word for it, as admission lets them through where there is a journal; neither can
    /// be changed.
    fn release(&mut self, number: u32) -> Result<(), Problem> {
        for (kind, spec) in [
            (
                "Release",
                json!({"application": "one", "version": format!("{number}"), "image": "registry.example.com/shop/one:1"}),
            ),
            (
                "Approval",
                json!({
                    "release": format!("one-{number}"), "type": "Test", "approver": "ann",
                    "digest": format!("sha256:{number:064}"),
                }),
            ),
        ] {
            let object = json!({
                "apiVersion": "bailiwick.dev/v1alpha1", "kind": kind, "spec": spec,
                "metadata": { "name": format!("one-{number}"), "namespace": "team-shop", "finalizers": [FINALIZER] },
            });
            let object = self.server.put(&object).ok_or("the release is refused")?;
            let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
            self.changes.insert(uid.to_owned(), vec![(1, true)]);
        }
        Ok(())
    }

    /// Deletes both again.
    fn withdraw(&mut self, number: u32) {
        let name = format!("one-{number}");
        for plural in ["releases", "approvals"] {
            let object = self.server.get(plural, "team-shop", &name);
            let uid =
                object.and_then(|object| object["metadata"]["uid"].as_str().map(str::to_owned));
            self.deleted.extend(uid);
            self.server.delete(plural, "team-shop", &name);
        }
    }

    /// How many changes are in no record, and how many in more than one; and how many are told by the record of a gap alone,
    /// which counts for those that no operator saw.
    async fn count(&self) -> Result<(usize, usize, usize), Problem> {
        let reader = Reader::new(self.cloud.bucket(None), "journal", "bench");
        let verdict = reader.verify(&Wanted::default()).await?;
        if !verdict.whole {
            return Err(format!("the journal is broken: {:?}", verdict.broken.first()).into());
        }
        let mut records: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for record in reader.records(&Wanted::default()).await? {
            records.entry(record.uid.clone()).or_default().push(record);
        }
        let (mut lost, mut doubled, mut gaps) = (0, 0, 0);
        for (uid, generations) in &self.changes {
            let chain = records.get(uid).map(Vec::as_slice).unwrap_or_default();
            for (generation, watched) in generations {
                let told = chain.iter().filter(|record| tells(record, *generation));
                let told: Vec<bool> = told.map(is_gap).collect();
                let in_gap = told.contains(&true);
                lost += usize::from(told.is_empty() || (in_gap && *watched));
                gaps += usize::from(in_gap && !watched);
                doubled += told.len().saturating_sub(1);
            }
        }
        for uid in &self.deleted {
            let chain = records.get(uid).map(Vec::as_slice).unwrap_or_default();
            let ends = chain
                .iter()
                .filter(|record| record.operation == Operation::Deleted);
            let ends = ends.count();
            lost += usize::from(ends == 0);
            doubled += ends.saturating_sub(1);
        }
        Ok((lost, doubled, gaps))
    }
}

fn is_gap(record: &Record) -> bool {
    record.operation == Operation::Gap
}

fn tells(record: &Record, generation: i64) -> bool {
    match (record.operation, record.unseen) {
        (Operation::Gap, Some(unseen)) => (unseen.from..=unseen.to).contains(&generation),
        (Operation::Created | Operation::Changed, _) => record.generation == Some(generation),
        _ => false,
    }
}

/// A running operator; dropped, it is killed where it stands.
struct Operator(JoinHandle<()>);

impl Drop for Operator {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn an_hour_away(seed: u64) -> Result<Vec<Figure>, Problem> {
    let mut cluster = Cluster::new(seed)?;
    let mut chance = StdRng::seed_from_u64(seed);
    let mut operator = Some(cluster.operator());
    for number in 0..OBJECTS {
        cluster.change(number, "new", true)?;
    }
    tokio::time::sleep(Duration::from_secs(300)).await;
    cluster.cloud.set_bucket_away(true);
    let killed = chance.random_range(CHANGES / 4..CHANGES / 2);
    for change in 0..CHANGES {
        let number = chance.random_range(0..OBJECTS);
        // What is done in the moment of the kill is seen by nobody any more.
        let watched = operator.is_some() && change != killed;
        cluster.change(number, &format!("change {change}"), watched)?;
        if change % RELEASED_EVERY == 0 {
            cluster.release(change)?;
            if let Some(before) = change.checked_sub(RELEASED_EVERY) {
                cluster.withdraw(before);
            }
        }
        if change == killed {
            operator = None;
        }
        // A pod is back within a minute.
        if change == killed + 15 {
            operator = Some(cluster.operator());
        }
        tokio::time::sleep(Duration::from_secs(3600) / CHANGES).await;
    }
    cluster.cloud.set_bucket_away(false);
    tokio::time::sleep(Duration::from_secs(300)).await;
    drop(operator);
    let (lost, doubled, gaps) = cluster.count().await?;
    let about = |what: &str| {
        format!(
            "changes {what} by the journal, of {}, its bucket away for an hour and the operator killed in it, seed {seed}",
            // Of releases and approvals the making and the deletion, of all but the last.
            OBJECTS + CHANGES + 4 * (CHANGES / RELEASED_EVERY) - 2
        )
    };
    Ok(vec![
        Figure::new(
            "R6.lost",
            lost as f64,
            "changes",
            Goal::AtMost(0.0),
            &about("lost"),
        ),
        Figure::new(
            "R6.doubled",
            doubled as f64,
            "changes",
            Goal::AtMost(0.0),
            &about("doubled"),
        ),
        // No more than were made while no operator ran.
        Figure::new(
            "R6.gaps",
            gaps as f64,
            "changes",
            Goal::AtMost(16.0),
            &about("told as a gap, with the spec before it and after it, since no operator ran,"),
        ),
    ])
}
