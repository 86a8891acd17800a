//! The journal's side in the cluster: what it is told, where it waits, and what it says of itself.

mod feed;
mod outbox;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::cloud::storage::Bucket;
use crate::engine::clock::Clock;
use crate::engine::journal_metrics::JournalMetrics;
use crate::engine::leader::Leadership;
use crate::engine::witness::Witness;
use crate::journal::chain::Departure;
use crate::journal::ledger::Ledger;
use crate::journal::{Behind, Journal, Settings};
pub use outbox::LABEL as OUTBOX_LABEL;

/// How often it is shown how far behind the journal is.
const SHOWN_EVERY: Duration = Duration::from_secs(5);
/// How often it is logged, as long as it is.
const SAID_EVERY: Duration = Duration::from_secs(300);
/// How far behind is worth a line in the log.
const WORTH_SAYING: Duration = Duration::from_secs(60);

/// What the journal is made of.
pub struct Setup {
    /// Where the records go.
    pub bucket: Arc<dyn Bucket>,
    /// What their keys begin with.
    pub prefix: String,
    /// The cluster's name, the next part of their keys.
    pub cluster: String,
    /// The API server.
    pub client: Client,
    /// The operator's own namespace, where the outbox is.
    pub namespace: String,
    /// Whether policies keep the stamps true that say who made and changed an object.
    pub guarded: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether this replica may write.
    pub leadership: Leadership,
    /// What is counted.
    pub metrics: JournalMetrics,
    /// How patient it is.
    pub settings: Settings,
}

/// The journal with its watches.
pub struct Keeper {
    journal: Arc<Journal>,
    client: Client,
    guarded: bool,
    clock: Arc<dyn Clock>,
    metrics: JournalMetrics,
}

impl Keeper {
    /// A journal that begins with [`Keeper::keep`].
    pub fn new(setup: Setup) -> Self {
        let Setup {
            bucket,
            prefix,
            cluster,
            client,
            namespace,
            guarded,
            clock,
            leadership,
            metrics,
            settings,
        } = setup;
        let observer = Arc::new(metrics.clone());
        let outbox = outbox::ConfigMaps::new(client.clone(), &namespace, leadership.clone());
        let ledger = Ledger::new(bucket, &prefix, &cluster, observer.clone(), move || {
            leadership.guard().is_ok()
        });
        Self {
            journal: Arc::new(Journal::new(ledger, Arc::new(outbox), observer, settings)),
            client,
            guarded,
            clock,
            metrics,
        }
    }

    /// Who must be told before an object goes.
    pub fn witness(&self) -> Arc<dyn Witness> {
        Arc::new(Departures {
            journal: self.journal.clone(),
            guarded: self.guarded,
            clock: self.clock.clone(),
        })
    }

    /// Watches all kinds and journals them until `stop`; then brings what it has to the sink or the outbox.
    pub async fn keep(self, stop: CancellationToken) {
        let mut watches = JoinSet::new();
        for resource in feed::kinds() {
            let (journal, clock) = (self.journal.clone(), self.clock.clone());
            let what = (resource, self.guarded);
            watches.spawn(feed::follow(self.client.clone(), what, journal, clock));
        }
        watches.spawn(show(self.journal.clone(), self.metrics, self.clock.clone()));
        let clock = self.clock;
        self.journal.run(move || clock.now(), stop).await;
    }
}

/// The journal as a witness.
struct Departures {
    journal: Arc<Journal>,
    guarded: bool,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Witness for Departures {
    async fn departs(&self, kind: &str, meta: &ObjectMeta, spec: Value) -> Result<(), String> {
        let Some(mut seen) = feed::seen((kind, self.guarded), meta, Some(spec), self.clock.now())
        else {
            return Err("the object has no uid".to_owned());
        };
        seen.departed = Some(Departure {
            at: meta.deletion_timestamp.as_ref().map(|time| time.0),
            gone: false,
        });
        let places = self.journal.outbox_places();
        self.journal
            .part(seen)
            .await
            .map_err(|behind| waits(&behind, places))
    }
}

fn waits(behind: &Behind, places: usize) -> String {
    let why = behind.why.as_deref().unwrap_or("its sink does not answer");
    format!(
        "the deletion waits for the journal, so that it is not lost: the journal takes no records ({why}), and its outbox \
         in the cluster does not either ({} of {places} places taken, of which no namespace gets all). Make the bucket reachable, or end journaling by \
         naming no bucket",
        behind.stored
    )
}

/// Shows how far behind the journal is, and says it now and then.
async fn show(journal: Arc<Journal>, metrics: JournalMetrics, clock: Arc<dyn Clock>) {
    let mut said: Option<tokio::time::Instant> = None;
    loop {
        let (behind, now) = (journal.behind(), clock.now());
        metrics.behind(&behind, now);
        let age = behind.oldest.map(|oldest| now.duration_since(oldest));
        let age = age.and_then(|age| Duration::try_from(age).ok());
        if age.is_some_and(|age| age >= WORTH_SAYING)
            && said.is_none_or(|said| said.elapsed() >= SAID_EVERY)
        {
            said = Some(tokio::time::Instant::now());
            tracing::warn!(
                pending = behind.pending,
                in_outbox = behind.stored,
                behind_seconds = age.map(|age| age.as_secs()),
                reason = behind.why,
                "the journal is behind: what is pending is written when its sink takes records again"
            );
        }
        tokio::time::sleep(SHOWN_EVERY).await;
    }
}

/// Says once that nothing is journaled.
pub fn say_that_there_is_none(metrics: &JournalMetrics) {
    metrics.configured(false);
    tracing::warn!(
        group = api::GROUP,
        "there is no journal: nobody but the cluster remembers who changed what. Name a bucket with --journal-bucket"
    );
}
