//! Which controller each kind has, and who must look again when an object of it changes: the place to add a kind to,
//! besides the list of kinds in `controllers`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinSet;

use crate::api::{LABEL_TEAM, Team};
use crate::config::RunOptions;
use crate::controllers::account_class::AccountClasses;
use crate::controllers::organization::Organization;
use crate::controllers::team::{Teams, namespace_of};
use crate::controllers::team_account::TeamAccounts;
use crate::controllers::{Caches, Watches};
use crate::engine::cache::Cached;
use crate::engine::frame::{self, Engine};

/// Runs every kind's controller.
pub(super) fn run(
    options: &RunOptions,
    caches: &Caches,
    mut watches: Watches,
    organization: &Arc<Organization>,
    engine: &Engine,
) -> JoinSet<()> {
    route(caches, &mut watches);
    // Taken apart in full, so that no kind is without its controller.
    let Watches {
        teams,
        classes,
        accounts,
    } = watches;
    let mut tasks = JoinSet::new();
    let of_class = AccountClasses {
        caches: caches.clone(),
        client: engine.client.clone(),
        namespace: options.namespace.clone(),
    };
    tasks.spawn(frame::run(of_class, classes, engine.clone()));
    let of_team = Teams {
        caches: caches.clone(),
        client: engine.client.clone(),
    };
    tasks.spawn(frame::run(of_team, teams, engine.clone()));
    let of_account = TeamAccounts {
        caches: caches.clone(),
        organization: organization.clone(),
        cluster: options.cluster_name.clone(),
        deep_check_every: options.deep_check_interval,
        due: Mutex::new(HashMap::new()),
    };
    tasks.spawn(frame::run(of_account, accounts, engine.clone()));
    tasks
}

/// Who must look again when something changes that is not their own.
fn route(caches: &Caches, watches: &mut Watches) {
    // An account's change concerns its team and its class.
    let of = caches.clone();
    watches.accounts.on_change(move |change| {
        let Some(account) = change.object() else {
            return;
        };
        if let Some(team) = of.team_of(&account.namespace().unwrap_or_default()) {
            of.teams.wake(None, &team.name_any());
        }
        of.classes.wake(None, &account.spec.class_name);
    });
    // A class's change concerns its accounts, and a team's its own.
    let accounts = caches.accounts.clone();
    watches.classes.on_change(move |change| {
        if let Some(class) = change
            .object()
            .filter(|_| change.of(|class| class.metadata.generation))
        {
            let name = class.name_any();
            accounts.wake_where(|account| account.spec.class_name == name);
        }
    });
    let accounts = caches.accounts.clone();
    watches.teams.on_change(move |change| {
        if let Some(team) = change
            .object()
            .filter(|_| change.of(|team| team.metadata.generation))
        {
            let namespace = namespace_of(team);
            accounts.wake_where(|account| account.namespace().as_deref() == Some(&namespace));
        }
    });
}

/// What somebody does to a team's namespace or binding concerns the team. Of both only ours are watched, by label.
pub(super) async fn watch_what_is_ours(client: Client, teams: Cached<Team>) {
    let labelled = || watcher::Config::default().labels(LABEL_TEAM);
    let wake = |labels: &BTreeMap<String, String>| {
        if let Some(team) = labels.get(LABEL_TEAM) {
            teams.wake(None, team);
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
    futures::join!(namespaces.boxed(), bindings.boxed());
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
