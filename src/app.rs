//! The only place that constructs: configuration → clients → caches → controllers → server → leadership → shutdown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::Store;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{AccountClass, Team, TeamAccount};
use crate::cloud::Cloud;
use crate::config::RunOptions;
use crate::controllers::Caches;
use crate::controllers::account_class::AccountClasses;
use crate::controllers::organization::Organization;
use crate::controllers::team::{Teams, namespace_of};
use crate::controllers::team_account::TeamAccounts;
use crate::engine::clock::{Clock, SystemClock};
use crate::engine::frame::{self, Engine, Touched, Trigger};
use crate::engine::leader::{Candidate, Leadership};
use crate::engine::metrics::Metrics;
use crate::engine::shutdown;
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
    let cloud = tokio::select! {
        cloud = connect(&options, &metrics) => cloud?,
        () = stop.cancelled() => return Ok(()),
    };
    let parts = Parts {
        client,
        cloud,
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

async fn connect(options: &RunOptions, metrics: &Metrics) -> Result<Cloud, AppError> {
    use crate::cloud::aws::{AwsOptions, connect};
    use crate::cloud::budget::{BudgetOptions, Budgets};
    use crate::cloud::governed::govern;
    let aws = AwsOptions::new(options.cluster_name.clone());
    let cloud = connect(&aws)
        .await
        .map_err(|error| AppError::Aws(error.to_string()))?;
    Ok(govern(
        cloud,
        Arc::new(Budgets::new(BudgetOptions::default())),
        Arc::new(metrics.clone()),
    ))
}

/// What the operator is made of; a simulation brings others.
pub struct Parts {
    /// The API server.
    pub client: Client,
    /// AWS, with its budgets.
    pub cloud: Cloud,
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
        clock,
        metrics,
        readiness,
    } = parts;
    let reporter = Reporter {
        controller: "bailiwick".to_owned(),
        instance: options.identity.clone(),
    };
    let engine = Engine {
        client: client.clone(),
        clock: clock.clone(),
        leadership,
        metrics: metrics.clone(),
        recorder: Recorder::new(client.clone(), reporter),
        concurrency: options.concurrency,
        pass_timeout: options.pass_timeout,
        trace_of: crate::telemetry::trace_of,
        shutdown: stop.clone(),
    };
    let (touch, touched) = mpsc::unbounded_channel();
    let (teams, classes, accounts) = (
        frame::watch::<Team>(&client),
        frame::watch::<AccountClass>(&client),
        // Nobody listens any more only when everything ends.
        frame::watch_and_tell(&client, move |event| drop(touch.send(Concerned::by(event)))),
    );
    let caches = Caches {
        teams: teams.store.clone(),
        classes: classes.store.clone(),
        accounts: accounts.store.clone(),
        filled: [
            teams.filled.clone(),
            classes.filled.clone(),
            accounts.filled.clone(),
        ],
    };
    let (wake_team, team_wakes) = Trigger::new();
    let (wake_class, class_wakes) = Trigger::new();
    let (wake_account, account_wakes) = Trigger::new();
    let organization = Arc::new(Organization::new(
        cloud,
        clock,
        wake_account.clone(),
        options.creation_slots,
    ));

    let mut tasks = JoinSet::new();
    let of_class = AccountClasses {
        caches: caches.clone(),
        client: client.clone(),
        namespace: options.namespace.clone(),
    };
    tasks.spawn(frame::run(of_class, classes, class_wakes, engine.clone()));
    let of_team = Teams {
        caches: caches.clone(),
        client: client.clone(),
    };
    tasks.spawn(frame::run(of_team, teams, team_wakes, engine.clone()));
    let of_account = TeamAccounts {
        caches: caches.clone(),
        organization: organization.clone(),
        cluster: options.cluster_name.clone(),
        deep_check_every: options.deep_check_interval,
        due: Mutex::new(HashMap::new()),
    };
    tasks.spawn(frame::run(of_account, accounts, account_wakes, engine));

    // What follows may be cut off at any moment: it writes nothing.
    let mut background = JoinSet::new();
    let routes = Routes {
        caches: caches.clone(),
        wake_team,
        wake_class,
        wake_account,
    };
    background.spawn(routes.keep(client, touched));
    let (sweeper, every, store, ended) = (
        organization.clone(),
        options.sweep_interval,
        caches.accounts.clone(),
        stop.clone(),
    );
    background.spawn(async move {
        sweeper
            .keep_swept(
                every,
                move |changed, first| objects_of(&store, changed, first),
                ended,
            )
            .await;
    });
    let (watcher, ended) = (organization.clone(), stop.clone());
    background.spawn(async move { watcher.keep_creations_watched(ended).await });
    background.spawn(report(organization, metrics, readiness));

    stop.cancelled().await;
    let finish = async { while tasks.join_next().await.is_some() {} };
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
    store: &Store<DeserializeGuard<TeamAccount>>,
    changed: &[AccountId],
    first: bool,
) -> Vec<(String, String)> {
    let changed: std::collections::HashSet<&str> = changed.iter().map(AccountId::as_str).collect();
    let concerns = |account: &TeamAccount| {
        let status = account.status.as_ref();
        let known = status.and_then(|status| status.account_id.as_deref());
        match known.or(account.spec.account_id.as_deref()) {
            Some(id) => changed.contains(id) || (first && known.is_none()),
            None => first,
        }
    };
    store
        .state()
        .iter()
        .filter_map(|account| account.0.as_ref().ok())
        .filter(|account| concerns(account))
        .filter_map(|account| Some((account.namespace()?, account.name_any())))
        .collect()
}

async fn report(organization: Arc<Organization>, metrics: Metrics, readiness: Readiness) {
    readiness.set("organization", false);
    readiness.set("started", true);
    loop {
        readiness.set("organization", matches!(organization.is_known(), Ok(true)));
        metrics.organization_readable(organization.is_readable());
        metrics.creations(organization.slots());
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Whom a change of an account may concern.
enum Concerned {
    /// Any change may have been missed.
    Everybody,
    /// The team of the namespace, and the class; if `shown` is not what it was: that is what they tell of the account.
    By {
        namespace: String,
        name: String,
        class: String,
        shown: Option<u64>,
    },
}

impl Concerned {
    fn by(event: Touched<'_, TeamAccount>) -> Self {
        let (account, shown) = match event {
            Touched::All => return Self::Everybody,
            Touched::Written(account) => (account, Some(shown(account))),
            Touched::Gone(account) => (account, None),
        };
        Self::By {
            namespace: account.namespace().unwrap_or_default(),
            name: account.name_any(),
            class: account.spec.class_name.clone(),
            shown,
        }
    }
}

/// What a team and a class tell of an account in their own status, as one number.
fn shown(account: &TeamAccount) -> u64 {
    let status = account.status.as_ref();
    let told = (
        &account.spec.class_name,
        account.metadata.deletion_timestamp.is_some(),
        status.and_then(|status| status.class_revision.as_deref()),
        crate::controllers::team::report::summary_of(account),
    );
    crate::plan::revision::fnv1a(format!("{told:?}").as_bytes())
}

/// Who must look again when something changes that is not their own.
struct Routes {
    caches: Caches,
    wake_team: Trigger<Team>,
    wake_class: Trigger<AccountClass>,
    wake_account: Trigger<TeamAccount>,
}

impl Routes {
    /// An account's change concerns its team and its class; a class's and a team's change their accounts; what
    /// somebody does to a team's namespace or binding, the team.
    async fn keep(self, client: Client, mut accounts: mpsc::UnboundedReceiver<Concerned>) {
        use k8s_openapi::api::core::v1::Namespace;
        use k8s_openapi::api::rbac::v1::RoleBinding;
        let labelled = || watcher::Config::default().labels(crate::api::LABEL_TEAM);
        let accounts = async {
            let mut known = HashMap::new();
            while let Some(concerned) = accounts.recv().await {
                self.wake_concerned(concerned, &mut known);
            }
        };
        let classes = watcher(
            Api::<DeserializeGuard<AccountClass>>::all(client.clone()),
            watcher::Config::default(),
        )
        .default_backoff()
        .touched_objects()
        .predicate_filter(kube::runtime::predicates::generation, Default::default())
        .map_each(|class: DeserializeGuard<AccountClass>| {
            let name = class.name_any();
            self.wake_accounts(|account| account.spec.class_name == name);
        });
        let teams = watcher(
            Api::<DeserializeGuard<Team>>::all(client.clone()),
            watcher::Config::default(),
        )
        .default_backoff()
        .touched_objects()
        .predicate_filter(kube::runtime::predicates::generation, Default::default())
        .map_each(|team: DeserializeGuard<Team>| {
            let Ok(team) = team.0 else { return };
            let namespace = namespace_of(&team);
            self.wake_accounts(|account| account.namespace().as_deref() == Some(&namespace));
        });
        let wake = |labels: &std::collections::BTreeMap<String, String>| {
            if let Some(team) = labels.get(crate::api::LABEL_TEAM) {
                self.wake_team.fire(None, team);
            }
        };
        let namespaces = watcher(Api::<Namespace>::all(client.clone()), labelled())
            .default_backoff()
            .touched_objects()
            .map_each(|namespace: Namespace| wake(namespace.labels()));
        let bindings = watcher(Api::<RoleBinding>::all(client), labelled())
            .default_backoff()
            .touched_objects()
            .map_each(|binding: RoleBinding| wake(binding.labels()));
        futures::join!(
            accounts,
            classes.boxed(),
            teams.boxed(),
            namespaces.boxed(),
            bindings.boxed()
        );
    }

    /// `known`: what was shown of each account last. Most changes of an account are steps on its way that nobody
    /// else tells of.
    fn wake_concerned(
        &self,
        concerned: Concerned,
        known: &mut HashMap<(String, String), Option<u64>>,
    ) {
        let (of_team, of_class) = match concerned {
            Concerned::Everybody => {
                known.clear();
                (None, None)
            }
            Concerned::By {
                namespace,
                name,
                class,
                shown,
            } => {
                let key = (namespace.clone(), name);
                let before = if shown.is_some() {
                    known.insert(key, shown)
                } else {
                    known.remove(&key)
                };
                if before == Some(shown) {
                    return;
                }
                (Some(namespace), Some(class))
            }
        };
        for team in self.caches.teams.state() {
            let owns = |team: &Team| of_team.as_ref().is_none_or(|n| namespace_of(team) == *n);
            if matches!(&team.0, Ok(team) if owns(team)) {
                self.wake_team.fire(None, &team.name_any());
            }
        }
        for class in self.caches.classes.state() {
            let name = class.name_any();
            if of_class.as_ref().is_none_or(|of| name == *of) {
                self.wake_class.fire(None, &name);
            }
        }
    }

    fn wake_accounts(&self, which: impl Fn(&TeamAccount) -> bool) {
        let places = self.caches.each_account(|account| {
            which(account).then(|| (account.namespace(), account.name_any()))
        });
        for (namespace, name) in places {
            self.wake_account.fire(namespace.as_deref(), &name);
        }
    }
}

/// Runs a function for every object of a watch; errors are the watch's own to retry.
trait ForEachObject<T>: futures::Stream<Item = Result<T, watcher::Error>> + Sized {
    fn map_each(self, mut action: impl FnMut(T)) -> impl Future<Output = ()> {
        use futures::StreamExt;
        self.for_each(move |item| {
            match item {
                Ok(object) => action(object),
                Err(error) => tracing::debug!(%error, "a watch was interrupted and goes on"),
            }
            futures::future::ready(())
        })
    }
}

impl<T, S: futures::Stream<Item = Result<T, watcher::Error>>> ForEachObject<T> for S {}
