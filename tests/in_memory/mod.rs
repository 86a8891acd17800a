//! The operator between an API server and an AWS organization in memory, with one account to make.

use std::sync::Arc;
use std::time::Duration;

use bailiwick::app::{self, Parts};
use bailiwick::cloud::budget::{BudgetOptions, Budgets};
use bailiwick::cloud::governed::govern;
use bailiwick::cloud::simulated::{self, Options, SimulatedCloud};
use bailiwick::config::RunOptions;
use bailiwick::controllers::oauth_client::outside::Outside;
use bailiwick::dev::api_server::{self, ApiServer};
use bailiwick::engine::clock::VirtualClock;
use bailiwick::engine::metrics::Metrics;
use bailiwick::server::Readiness;
use clap::Parser;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    run: RunOptions,
}

/// All of it.
pub struct World {
    pub server: ApiServer,
    stop: CancellationToken,
    operator: tokio::task::JoinHandle<()>,
}

impl World {
    /// Starts the operator; `between` sees every request to either side.
    pub fn start<I>(between: &Arc<I>, elect: bool) -> Self
    where
        I: api_server::Interceptor + simulated::Interceptor + 'static,
    {
        Self::start_with(between, elect, Outside::default(), &[])
    }

    /// The same, with this besides AWS and the cluster, and these objects in it.
    pub fn start_with<I>(between: &Arc<I>, elect: bool, outside: Outside, more: &[Value]) -> Self
    where
        I: api_server::Interceptor + simulated::Interceptor + 'static,
    {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let time = simulated::tokio_clock(epoch);
        let server = ApiServer::with_own_kinds(time.clone());
        declare(&server);
        for object in more {
            assert!(server.put(object).is_some(), "not accepted: {object}");
        }
        let cloud = SimulatedCloud::new(Options::default(), 1, time);
        let metrics = Metrics::default();
        let budgets = Arc::new(Budgets::new(BudgetOptions::default()));
        let cloud = cloud.cloud_with(between.clone());
        let parts = Parts {
            client: server.client_with(between.clone()),
            cloud: govern(cloud, budgets, Arc::new(metrics.clone())),
            origins: Arc::new(bailiwick::controllers::release::origins::NoRegistry),
            outside,
            journal: None,
            clock: Arc::new(VirtualClock::starting_at(epoch)),
            metrics,
            readiness: Readiness::default(),
        };
        let elect = format!("--leader-elect={elect}");
        let arguments = [
            "test",
            "--cluster-name=sim",
            "--namespace=default",
            "--identity=one",
            &elect,
        ];
        let options = Arguments::parse_from(arguments).run;
        let stop = CancellationToken::new();
        let told = stop.clone();
        let operator = tokio::spawn(async move {
            app::lead(&options, parts, &told).await.unwrap();
        });
        Self {
            server,
            stop,
            operator,
        }
    }

    /// Tells it to end; how long that takes.
    pub async fn end(self) -> (ApiServer, Duration) {
        let start = Instant::now();
        self.stop.cancel();
        self.operator.await.unwrap();
        (self.server, start.elapsed())
    }
}

fn declare(server: &ApiServer) {
    let class = json!({"organizationalUnitPath": "/Test", "emailTemplate": "aws+{{team}}-{{account}}@example.com"});
    for (kind, metadata, spec) in [
        ("AccountClass", json!({"name": "test"}), class),
        ("Team", json!({"name": "ab"}), json!({})),
        (
            "TeamAccount",
            json!({"name": "live", "namespace": "team-ab"}),
            json!({"className": "test"}),
        ),
    ] {
        server.put(&json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec,
        }));
    }
}
