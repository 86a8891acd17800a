//! The only place that constructs: configuration → clients → caches → controllers → server → leadership → shutdown.

mod journal;
mod kinds;
pub mod logins;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::events::Reporter;
use kube::{Client, ResourceExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::logins::GivenOrOwn;
use crate::api::TeamAccount;
use crate::cloud::Cloud;
use crate::cloud::budget::{BudgetOptions, Budgets};
use crate::cloud::storage::Bucket;
use crate::config::RunOptions;
use crate::controllers::Caches;
use crate::controllers::account_class::ClassList;
use crate::controllers::image_repository::logins::RegistryTokens;
use crate::controllers::journal::Keeper;
use crate::controllers::oauth_client::make::SystemMaker;
use crate::controllers::oauth_client::outside::Outside;
use crate::controllers::organization::Organization;
use crate::controllers::release::gather::RegistryOrigins;
use crate::controllers::release::origins::Origins;
use crate::engine::cache::Cached;
use crate::engine::clock::{Clock, SystemClock};
use crate::engine::frame::Engine;
use crate::engine::leader::{Candidate, Leadership};
use crate::engine::metrics::Metrics;
use crate::engine::shutdown;
use crate::identity::observed::observe;
use crate::identity::real::RealServers;
use crate::model::AccountId;
use crate::server::{self, Readiness};

/// What went wrong so early, or so badly, that the process ends.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The cluster cannot be reached.
    #[error("the cluster cannot be reached: {0}. Set KUBECONFIG, or run inside a cluster")]
    Cluster(#[from] Box<kube::Error>),
    /// No configuration for the cluster was found.
    #[error("no cluster is configured: {0}. Set KUBECONFIG, or run inside a cluster")]
    Configuration(String),
    /// AWS cannot be used.
    #[error("AWS cannot be used: {0}")]
    Aws(String),
    /// What is configured for registries cannot be used.
    #[error("the configuration for registries cannot be used: {0}")]
    Registries(String),
    /// The address for /readyz and /metrics cannot be had.
    #[error("{0} cannot be listened on: {1}. Choose another address with --listen")]
    Listen(std::net::SocketAddr, std::io::Error),
    /// The system does not let us listen for signals, or logging cannot start.
    #[error("{0}")]
    System(String),
    /// Another replica leads now.
    #[error("leadership was lost: ending, so that nothing is written any more")]
    LeadershipLost,
}

/// Runs the operator until it is told to end.
///
/// # Errors
/// If it cannot begin, or loses leadership.
pub async fn run(options: RunOptions) -> Result<(), AppError> {
    let export = crate::config::exports_spans();
    let telemetry = crate::telemetry::start(options.log_format, &options.log_filter, export)
        .map_err(AppError::System)?;
    let ended = operate(options).await;
    telemetry.end().await;
    ended
}

async fn operate(options: RunOptions) -> Result<(), AppError> {
    let stop = CancellationToken::new();
    shutdown::listen(stop.clone()).map_err(|error| AppError::System(error.to_string()))?;
    let config = kube::Config::infer()
        .await
        .map_err(|error| AppError::Configuration(error.to_string()))?;
    let client = Client::try_from(config).map_err(Box::new)?;
    let (metrics, readiness) = (Metrics::default(), Readiness::default());
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| AppError::Listen(options.listen, error))?;
    readiness.set("started", false);
    let serving = CancellationToken::new();
    let server = tokio::spawn(server::serve(
        listener,
        metrics.clone(),
        readiness.clone(),
        serving.clone(),
    ));
    let budgets = Arc::new(Budgets::new(BudgetOptions::default()));
    let connected = async {
        let cloud = connect(&options, &metrics, &budgets).await?;
        let journal = journal::bucket(&options.journal, &metrics, &budgets).await;
        Ok::<_, AppError>((cloud, journal))
    };
    let (cloud, journal) = tokio::select! {
        connected = connected => connected?,
        () = stop.cancelled() => return Ok(()),
    };
    let own = RegistryTokens::new(
        Arc::clone(&cloud.sessions),
        Arc::new(SystemClock),
        kinds::platform_account(&options),
    );
    let parts = Parts {
        client,
        outside: outside(&metrics, &cloud),
        cloud,
        origins: registries(&options, Some(Arc::new(own)))?,
        journal,
        clock: Arc::new(SystemClock),
        metrics,
        readiness,
    };
    let ended = lead(&options, parts, &stop).await;
    serving.cancel();
    // A client that keeps its connection open must not keep us.
    let _ = tokio::time::timeout(Duration::from_secs(2), server).await;
    ended
}

async fn connect(
    options: &RunOptions,
    metrics: &Metrics,
    budgets: &Arc<Budgets>,
) -> Result<Cloud, AppError> {
    use crate::cloud::aws::{AwsOptions, connect};
    use crate::cloud::governed::govern;
    let aws = AwsOptions {
        home_region: options.aws_home_region.clone(),
        ..AwsOptions::new(options.cluster_name.clone())
    };
    let cloud = connect(&aws)
        .await
        .map_err(|error| AppError::Aws(error.to_string()))?;
    let observer = Arc::new(metrics.clone());
    Ok(govern(cloud, budgets.clone(), observer))
}

/// The authorization servers and places that there are.
fn outside(metrics: &Metrics, cloud: &Cloud) -> Outside {
    let servers = RealServers::new(Arc::new(|| SystemClock.now()))
        .with_user_pools(Arc::clone(&cloud.sessions));
    Outside {
        servers: observe(Arc::new(servers), Arc::new(metrics.clone())),
        destinations: None,
        maker: Arc::new(SystemMaker),
    }
}

/// Registries, as they are configured; and the logins at those that are `own`. A trust that cannot be read ends the process: what somebody believes to be checked
/// must not silently be not.
///
/// # Errors
/// If a file that is named cannot be used.
pub fn registries(
    options: &RunOptions,
    own: Option<Arc<RegistryTokens>>,
) -> Result<Arc<dyn Origins>, AppError> {
    use crate::registry::code_hosts::CodeHosts;
    use crate::registry::files::{FileLogins, authorities, code_hosts, trust};
    use crate::registry::oci::{Registries, Settings};
    let authorities = options.registry_authorities.as_deref().map(authorities);
    let settings = Settings {
        authorities: authorities
            .transpose()
            .map_err(AppError::Registries)?
            .unwrap_or_default(),
        plain_http: options.registry_plain_http.iter().cloned().collect(),
        internal: options.registry_internal.iter().cloned().collect(),
        ..Settings::default()
    };
    let given = options.registry_credentials.as_deref();
    let given = given.map(FileLogins::new).transpose();
    let logins = GivenOrOwn {
        given: given.map_err(AppError::Registries)?,
        own: own.clone(),
    };
    let trust = options.trust.as_deref().map(trust).transpose();
    let unusable = |error: crate::registry::RegistryError| AppError::Registries(error.to_string());
    let hosts = options.code_hosts.as_deref().map(code_hosts).transpose();
    let hosts = hosts.map_err(AppError::Registries)?;
    let code_hosts = hosts.map(|hosts| CodeHosts::new(hosts, settings.clone()));
    let images = Registries::new(settings, Arc::new(logins)).map_err(unusable)?;
    Ok(Arc::new(RegistryOrigins {
        code_hosts: code_hosts.transpose().map_err(unusable)?,
        images: Arc::new(images),
        trust: trust.map_err(AppError::Registries)?.unwrap_or_default(),
        own,
    }))
}

/// What the operator is made of; a simulation brings others.
pub struct Parts {
    /// The API server.
    pub client: Client,
    /// AWS, with its budgets.
    pub cloud: Cloud,
    /// What registries say of images.
    pub origins: Arc<dyn Origins>,
    /// Authorization servers, and where credentials are delivered to.
    pub outside: Outside,
    /// Where the journal is kept; nowhere, if there is none.
    pub journal: Option<Arc<dyn Bucket>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
    /// What must be there before the process is ready.
    pub readiness: Readiness,
}

/// Waits for leadership, works while it has it, and gives it up at the end.
///
/// # Errors
/// If leadership is lost: then the process must end, for nothing may be written any more.
pub async fn lead(
    options: &RunOptions,
    parts: Parts,
    stop: &CancellationToken,
) -> Result<(), AppError> {
    if !options.leader_elect {
        parts.metrics.leader(true);
        work(options, parts, Leadership::always(), stop).await;
        return Ok(());
    }
    let me = options
        .identity
        .clone()
        .unwrap_or_else(|| format!("bailiwick-{:016x}", rand::random::<u64>()));
    let mut candidate = Candidate::new(
        parts.client.clone(),
        &options.namespace,
        "bailiwick",
        &me,
        parts.clock.clone(),
    );
    // A replica that stands by is ready: it has nothing to do but to wait.
    parts.readiness.set("started", true);
    tracing::info!(identity = me, "waiting for leadership");
    if !candidate.acquire(stop).await {
        return Ok(());
    }
    tracing::info!(identity = me, "leading");
    let (metrics, renewing) = (parts.metrics.clone(), CancellationToken::new());
    metrics.leader(true);
    let leadership = candidate.leadership();
    let working = work(options, parts, leadership, stop);
    let lost = {
        let keeping = candidate.keep(&renewing);
        tokio::pin!(working, keeping);
        tokio::select! {
            () = &mut working => false,
            () = &mut keeping => true,
        }
    };
    metrics.leader(false);
    if lost {
        return Err(AppError::LeadershipLost);
    }
    candidate.release().await;
    Ok(())
}

/// All controllers and their shared work, until `stop`; then what is in flight is finished within the grace period.
async fn work(
    options: &RunOptions,
    parts: Parts,
    leadership: Leadership,
    stop: &CancellationToken,
) {
    let Parts {
        client,
        cloud,
        origins,
        outside,
        journal,
        clock,
        metrics,
        readiness,
    } = parts;
    let reporter = Reporter {
        controller: "bailiwick".to_owned(),
        instance: options.identity.clone(),
    };
    let journal = journal::keeper(options, journal, &client, &clock, &leadership, &metrics);
    let (caches, watches) = Caches::new(&client);
    let parents = caches.clone();
    let engine = Engine {
        client: client.clone(),
        clock: clock.clone(),
        leadership,
        witness: journal.as_ref().map(Keeper::witness),
        metrics: metrics.clone(),
        reporter,
        parent_of: Arc::new(move |namespace| parents.parent_of(namespace)),
        concurrency: options.concurrency,
        pass_timeout: options.pass_timeout,
        trace_of: crate::telemetry::trace_of,
        shutdown: stop.clone(),
    };
    origins.know(&caches);
    let filled = caches.clone();
    let organization = Arc::new(Organization::new(
        cloud,
        clock,
        caches.accounts.trigger(),
        options.creation_slots,
    ));
    let (list, relisted) =
        ClassList::watched(&client, &options.namespace, engine.leadership.clone());
    let mut tasks = kinds::run(
        options,
        &caches,
        watches,
        &organization,
        (origins, outside),
        list,
        &engine,
    );

    // What follows may be cut off at any moment: it writes nothing but an empty list of classes where there is none.
    let mut background = JoinSet::new();
    background.spawn(routes::watch_what_is_ours(client, caches.teams.clone()));
    background.spawn(routes::keep_listed(relisted, caches.classes.clone()));
    let (sweeper, every, accounts, ended) = (
        organization.clone(),
        options.sweep_interval,
        caches.accounts,
        stop.clone(),
    );
    background.spawn(async move {
        sweeper
            .keep_swept(
                every,
                move |changed, first| objects_of(&accounts, changed, first),
                ended,
            )
            .await;
    });
    let (watcher, ended) = (organization.clone(), stop.clone());
    background.spawn(async move { watcher.keep_creations_watched(ended).await });
    background.spawn(report(organization, filled, metrics, readiness));

    // Journals to the end: what the last passes do is seen, too.
    let (mut journaling, journaled) = (JoinSet::new(), CancellationToken::new());
    if let Some(journal) = journal {
        journaling.spawn(journal.keep(journaled.clone()));
    }

    stop.cancelled().await;
    let finish = async {
        while tasks.join_next().await.is_some() {}
        journaled.cancel();
        while journaling.join_next().await.is_some() {}
    };
    if tokio::time::timeout(options.grace_period, finish)
        .await
        .is_err()
    {
        tracing::warn!(
            "the grace period is over; passes that are still in flight are cut off and resumed later"
        );
    }
}

/// The objects that manage these accounts, or want to; at the first sweep also all that have none: they waited for it.
fn objects_of(
    accounts: &Cached<TeamAccount>,
    changed: &[AccountId],
    first: bool,
) -> Vec<(String, String)> {
    let changed: std::collections::HashSet<&str> = changed.iter().map(AccountId::as_str).collect();
    accounts.each(|account| {
        let status = account.status.as_ref();
        let known = status.and_then(|status| status.account_id.as_deref());
        let concerned = match known.or(account.spec.account_id.as_deref()) {
            Some(id) => changed.contains(id) || (first && known.is_none()),
            None => first,
        };
        let place = || Some((account.namespace()?, account.name_any()));
        concerned.then(place).flatten()
    })
}

async fn report(
    organization: Arc<Organization>,
    caches: Caches,
    metrics: Metrics,
    readiness: Readiness,
) {
    readiness.set("organization", false);
    readiness.set("caches", false);
    readiness.set("started", true);
    let (filled, caches_filled) = (readiness.clone(), async move { caches.filled().await });
    let mut filling = JoinSet::new();
    filling.spawn(async move {
        caches_filled.await;
        filled.set("caches", true);
    });
    loop {
        readiness.set("organization", matches!(organization.is_known(), Ok(true)));
        metrics.organization_readable(organization.is_readable());
        metrics.creations(organization.slots());
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
