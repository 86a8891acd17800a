//! The journal's bucket and its keeper, from the configuration.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;

use crate::cloud::aws::{self, BucketOptions, Lock};
use crate::cloud::budget::Budgets;
use crate::cloud::governed::govern_bucket;
use crate::cloud::storage::Bucket;
use crate::config::{JournalOptions, LockMode, RunOptions};
use crate::controllers::journal::{Keeper, Setup, say_that_there_is_none};
use crate::engine::clock::Clock;
use crate::engine::leader::Leadership;
use crate::engine::metrics::Metrics;
use crate::journal::Settings;

const DAY: u64 = 24 * 3600;

/// The journal's bucket, if one is named.
pub(super) async fn bucket(
    options: &JournalOptions,
    metrics: &Metrics,
    budgets: &Arc<Budgets>,
) -> Option<Arc<dyn Bucket>> {
    let name = options.bucket.clone().filter(|name| !name.is_empty())?;
    let bucket_options = BucketOptions {
        name,
        region: options.region.clone().filter(|region| !region.is_empty()),
        path_style: options.path_style,
        lock: options.lock_days.map(|days| Lock {
            lasts: Duration::from_secs(u64::from(days) * DAY),
            compliance: options.lock_mode == LockMode::Compliance,
        }),
    };
    let bucket = aws::bucket(&bucket_options).await;
    let observer = Arc::new(metrics.clone());
    Some(govern_bucket(bucket, budgets.clone(), observer))
}

/// The journal, if there is a bucket for it.
pub(super) fn keeper(
    options: &RunOptions,
    bucket: Option<Arc<dyn Bucket>>,
    client: &Client,
    clock: &Arc<dyn Clock>,
    leadership: &Leadership,
    metrics: &Metrics,
) -> Option<Keeper> {
    let metrics = metrics.journal();
    let Some(bucket) = bucket else {
        say_that_there_is_none(&metrics);
        return None;
    };
    metrics.configured(true);
    Some(Keeper::new(Setup {
        bucket,
        prefix: options.journal.prefix.clone(),
        cluster: options.cluster_name.clone(),
        client: client.clone(),
        namespace: options.namespace.clone(),
        guarded: options.authors_guarded,
        clock: clock.clone(),
        leadership: leadership.clone(),
        metrics,
        settings: Settings {
            outbox: options.journal.outbox,
            ..Settings::default()
        },
    }))
}
