//! Who must look again when something changes that is not their own.

use std::collections::BTreeMap;

use futures::{FutureExt, Stream};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};

use crate::api::{
    AccountClass, Application, LABEL_TEAM, OAuthClient, Release, ResourceType, Status, Team,
    TeamAccount,
};
use crate::controllers::application::{ACCEPTED, credentials, summary};
use crate::controllers::team::report::summary_of;
use crate::controllers::team::{MEMBER_ROLE, is_accepted};
use crate::controllers::{Caches, Watches, keys};
use crate::engine::cache::Cached;
use crate::engine::conditions;
use crate::model::EcrRegistry;

/// Enters all routes.
pub(super) fn enter(caches: &Caches, watches: &mut Watches) {
    of_teams_and_classes(caches, watches);
    of_accounts(caches, watches);
    of_applications(caches, watches);
    of_names(caches, watches);
    of_releases(caches, watches);
    of_approvals(caches, watches);
    to_repositories(caches, watches);
    to_clients(caches, watches);
    of_clients(caches, watches);
}

/// A class's change concerns its accounts, and a team's what is in its namespace. Their own status concerns nobody.
fn of_teams_and_classes(caches: &Caches, watches: &mut Watches) {
    let of = caches.clone();
    watches.classes.on_change(move |change| {
        if let Some(class) = change
            .object()
            .filter(|_| change.of(|class| class.metadata.generation))
        {
            let name = class.name_any();
            of.accounts
                .wake_where(|account| account.spec.class_name == name);
            if change.of(|class| class.spec.production) {
                of.releases.wake_where(may_move);
            }
        }
    });
    let of = caches.clone();
    watches.teams.on_change(move |change| {
        // What it declares, and whether it has its namespace: only then may it speak for what is in there.
        if let Some(team) = change
            .object()
            .filter(|_| change.of(|team| (team.metadata.generation, is_accepted(team))))
        {
            let namespace = team.home();
            of.accounts
                .wake_where(|account| account.namespace().as_deref() == Some(&namespace));
            of.applications
                .wake_where(|one| one.namespace().as_deref() == Some(&namespace));
        }
    });
}

/// An account's change concerns its team and its class, and its class the releases that may not be deployed there.
fn of_accounts(caches: &Caches, watches: &mut Watches) {
    let of = caches.clone();
    watches.accounts.on_change(move |change| {
        let Some(account) = change.object() else {
            return;
        };
        let namespace = account.namespace().unwrap_or_default();
        // Most changes of an account are steps on its way that nobody else tells of.
        if change.of(shown) {
            of.teams.wake_where(|team| team.home() == namespace);
            for account in change.before.iter().chain(&change.after) {
                of.classes.wake(None, &account.spec.class_name);
            }
        }
        if change.of(|account| account.spec.class_name.clone()) {
            of.releases.wake_where(|release| {
                may_move(release) && release.namespace().as_deref() == Some(&namespace)
            });
        }
    });
}

/// An application's change concerns its team, which counts it, its releases, which are compared with it, its name, and
/// those who want the same name.
fn of_applications(caches: &Caches, watches: &mut Watches) {
    let of = caches.clone();
    watches.applications.on_change(move |change| {
        let Some(application) = change.object() else {
            return;
        };
        let (name, namespace) = (
            application.name_any(),
            application.namespace().unwrap_or_default(),
        );
        let is_retired = |one: &Application| {
            let status = one.status.as_ref();
            status.and_then(|status| status.retirement.as_ref().map(|it| it.effective))
        };
        if change.of(|one| (is_retired(one), accepted(one))) {
            of.teams.wake_where(|team| team.home() == namespace);
        }
        if change.of(|one| (one.metadata.generation, accepted(one), is_retired(one))) {
            of.releases
                .wake_by(&keys::application(&namespace, &name), |_| true);
        }
        if change.of(|one| one.spec.required_approvals.clone()) {
            // Those that nobody demands say so.
            of.approvals.wake_where(|approval| {
                let release = of.releases.get(Some(&namespace), &approval.spec.release);
                approval.namespace().as_deref() == Some(&namespace)
                    && release.is_some_and(|release| release.spec.application == name)
            });
        }
        if change.of(|one| one.metadata.generation) {
            of.names.wake(None, &name);
            of.applications.wake_where(|one| {
                one.name_any() == name && one.namespace().as_deref() != Some(&namespace)
            });
        }
    });
}

/// A name's change concerns all who want it, and, where it says what approvals they need, the releases.
fn of_names(caches: &Caches, watches: &mut Watches) {
    let (applications, releases) = (caches.applications.clone(), caches.releases.clone());
    watches.names.on_change(move |change| {
        if let Some(name) = change
            .object()
            .filter(|_| change.of(|name| name.metadata.generation))
        {
            let name = name.name_any();
            applications.wake_where(|one| one.name_any() == name);
            if change.of(|name| name.spec.required_approvals.clone()) {
                releases.wake_where(|release| release.spec.application == name);
            }
        }
    });
}

/// A release's change concerns its application, once there is something to say, its approvals, and the release of the
/// same version that waits for it to go.
fn of_releases(caches: &Caches, watches: &mut Watches) {
    let of = caches.clone();
    watches.releases.on_change(move |change| {
        let Some(release) = change.object() else {
            return;
        };
        let namespace = release.namespace();
        let said = |release: &Release| {
            let status = release.status.clone().unwrap_or_default();
            conditions::find(status.conditions_ref(), conditions::READY).map(|_| summary(release))
        };
        if change.after.is_none() || change.before.and_then(said) != change.after.and_then(said) {
            of.applications
                .wake(namespace.as_deref(), &release.spec.application);
        }
        let digest = |release: &Release| {
            let image = release.status.as_ref()?.image.as_ref()?;
            Some(image.digest.clone())
        };
        if change.of(digest) {
            let (namespace, name) = (namespace.as_deref().unwrap_or_default(), release.name_any());
            of.approvals
                .wake_by(&keys::release(namespace, &name), |_| true);
        }
        if change.after.is_none() {
            let (namespace, spec) = (namespace.as_deref().unwrap_or_default(), &release.spec);
            let key = keys::version(namespace, &spec.application, &spec.version);
            of.releases.wake_by(&key, |_| true);
        }
    });
}

/// An approval concerns its release.
fn of_approvals(caches: &Caches, watches: &mut Watches) {
    let releases = caches.releases.clone();
    watches.approvals.on_change(move |change| {
        if let Some(approval) = change
            .object()
            .filter(|_| change.of(|approval| approval.metadata.generation))
        {
            releases.wake(approval.namespace().as_deref(), &approval.spec.release);
        }
    });
}

/// A team's accounts push to its repositories; a class says what is allowed in its accounts; every repository is an
/// application's; and what a release is of must be kept, in whomever's repository it is. A pass that finds no other
/// demand costs nothing.
fn to_repositories(caches: &Caches, watches: &mut Watches) {
    let repositories = caches.repositories.clone();
    watches.accounts.on_change(move |change| {
        let matters = |account: &TeamAccount| {
            let status = account.status.as_ref();
            let state = status.and_then(|status| status.state.clone());
            let baselined =
                status.is_some_and(|status| conditions::is_true(&status.conditions, "Baselined"));
            (
                account.metadata.generation,
                shown(account),
                state,
                baselined,
            )
        };
        if let Some(account) = change.object()
            && change.of(matters)
        {
            let namespace = account.namespace();
            repositories.wake_where(|repository| repository.namespace() == namespace);
        }
    });
    let repositories = caches.repositories.clone();
    watches.classes.on_change(move |change| {
        if change.of(|class| class.metadata.generation) {
            repositories.wake_where(|repository| repository.spec.account.is_some());
        }
    });
    let repositories = caches.repositories.clone();
    watches.applications.on_change(move |change| {
        // What waits for its application goes on once that has its name.
        if let Some(application) = change.after
            && change.of(accepted)
        {
            let (name, namespace) = (application.name_any(), application.namespace());
            repositories.wake_where(|repository| {
                repository.spec.application == name && repository.namespace() == namespace
            });
        }
    });
    let repositories = caches.repositories.clone();
    watches.releases.on_change(move |change| {
        let image = |release: &Release| release.status.as_ref()?.image.clone();
        let of_digest = |release: &Release| {
            let source = release.status.as_ref().and_then(|it| it.source.as_ref());
            let evidence = source.and_then(|source| source.evidence_digest.clone());
            (image(release).map(|image| image.digest), evidence)
        };
        if let Some(image) = change.object().and_then(image)
            && change.of(of_digest)
        {
            let addresses = EcrRegistry::addresses(&image.repository).unwrap_or_default();
            repositories.wake_where(|repository| {
                let status = repository.status.as_ref();
                status
                    .and_then(|status| status.uri.as_ref())
                    .is_some_and(|uri| addresses.contains(uri))
            });
        }
    });
}

/// A provider, an application with its name, an account and a resource type say what becomes of a client. Who waits for
/// something that is merely not there yet looks again by itself.
fn to_clients(caches: &Caches, watches: &mut Watches) {
    let clients = caches.clients.clone();
    watches.providers.on_change(move |change| {
        if let Some(provider) = change.object()
            && change.of(|provider| provider.metadata.generation)
        {
            let name = provider.name_any();
            clients.wake_where(|client| client.spec.provider == name);
        }
    });
    let clients = caches.clients.clone();
    watches.applications.on_change(move |change| {
        let retired = |one: &Application| {
            let status = one.status.as_ref();
            status.and_then(|status| Some(status.retirement.as_ref()?.effective))
        };
        if let Some(application) = change.object()
            && change.of(|one| (retired(one), accepted(one)))
        {
            let (name, namespace) = (application.name_any(), application.namespace());
            clients.wake_where(|client| {
                client.spec.application == name && client.namespace() == namespace
            });
        }
    });
    let clients = caches.clients.clone();
    watches.accounts.on_change(move |change| {
        if let Some(account) = change.object()
            && change.of(shown)
        {
            let (name, namespace) = (account.name_any(), account.namespace());
            clients
                .wake_where(|client| client.namespace() == namespace && delivers_to(client, &name));
        }
    });
    let (clients, types) = (caches.clients.clone(), caches.resource_types.clone());
    watches.resource_types.on_change(move |change| {
        let judged = |one: &ResourceType| {
            let status = one.status.as_ref();
            let accepted = status.is_some_and(|it| conditions::is_true(&it.conditions, ACCEPTED));
            (one.metadata.generation, accepted)
        };
        if let Some(resource_type) = change.object()
            && change.of(judged)
        {
            let prefix = format!("{}.", resource_type.name_any());
            // Also what is asked for no more may be held by a version that is still valid.
            clients.wake_where(|client| {
                let held = client.status.iter().flat_map(|status| &status.scopes);
                let mut scopes = client.spec.scopes.iter().chain(held);
                scopes.any(|scope| scope.starts_with(&prefix))
            });
        }
    });
    watches.names.on_change(move |change| {
        if let Some(name) = change.object()
            && change.of(|name| name.metadata.generation)
        {
            let name = name.name_any();
            types.wake_where(|one| one.spec.application == name);
        }
    });
}

/// A client's scopes concern their resource types, whether it has credentials its provider, which counts them, and how it
/// is its application, which lists it.
fn of_clients(caches: &Caches, watches: &mut Watches) {
    let of = caches.clone();
    watches.clients.on_change(move |change| {
        let Some(client) = change.object() else {
            return;
        };
        let scopes = |client: &OAuthClient| {
            let status = client.status.as_ref();
            status
                .map(|status| status.scopes.clone())
                .unwrap_or_default()
        };
        if change.of(scopes) {
            let both = change.before.iter().chain(&change.after);
            let all: Vec<String> = both.flat_map(|client| scopes(client)).collect();
            let of_type = |name: &str| {
                let mut all = all.iter();
                all.any(|scope| scope.rsplit_once('.').is_some_and(|(of, _)| of == name))
            };
            of.resource_types.wake_where(|one| of_type(&one.name_any()));
        }
        if change.of(|client| client.status.as_ref().and_then(|it| it.version).is_some()) {
            of.providers.wake(None, &client.spec.provider);
        }
        let listed = |client: &OAuthClient| {
            let lives = client.metadata.deletion_timestamp.is_none();
            lives.then(|| credentials(client))
        };
        if change.of(listed) {
            let namespace = client.namespace();
            of.applications
                .wake(namespace.as_deref(), &client.spec.application);
        }
    });
}

/// Whether a client's credentials go to that account.
fn delivers_to(client: &OAuthClient, account: &str) -> bool {
    client.spec.delivery.iter().any(|delivery| {
        let bucket = delivery.s3.as_ref().map(|it| it.account.as_str());
        let manager = delivery.secrets_manager.as_ref();
        bucket == Some(account) || manager.is_some_and(|it| it.account == account)
    })
}

/// What a team and a class tell of an account in their own status.
fn shown(account: &TeamAccount) -> impl PartialEq + use<> {
    let status = account.status.as_ref();
    (
        account.spec.class_name.clone(),
        account.metadata.deletion_timestamp.is_some(),
        status.and_then(|status| status.class_revision.clone()),
        summary_of(account),
    )
}

fn accepted(application: &Application) -> Option<String> {
    let status = application.status.as_ref()?;
    conditions::find(&status.conditions, ACCEPTED).map(|accepted| accepted.status.clone())
}

/// Whether the release's image has a tag that is meant to be moved.
fn may_move(release: &Release) -> bool {
    let image = release.spec.image.parse::<crate::model::ImageRef>();
    image.is_ok_and(|image| image.has_moving_tag())
}

/// What somebody does to a team's namespace, role or bindings concerns the team. Only ours are watched, by label; and the
/// role that all members have, by name: whether it is there concerns all teams.
pub(super) async fn watch_what_is_ours(client: Client, teams: Cached<Team>) {
    use futures::StreamExt;
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
    let bindings = watcher(Api::<RoleBinding>::all(client.clone()), labelled())
        .default_backoff()
        .touched_objects()
        .map_each(|binding: RoleBinding| wake(binding.labels()));
    let roles = watcher(Api::<ClusterRole>::all(client.clone()), labelled())
        .default_backoff()
        .touched_objects()
        .map_each(|role: ClusterRole| wake(role.labels()));
    let mut was_there = None;
    let role = watcher::watch_object(Api::<ClusterRole>::all(client.clone()), MEMBER_ROLE)
        .default_backoff()
        .for_each(|seen| {
            if let Ok(found) = seen {
                let is_there = found.is_some();
                if was_there
                    .replace(is_there)
                    .is_some_and(|was| was != is_there)
                {
                    teams.wake_where(|_| true);
                }
            }
            futures::future::ready(())
        });
    let readers = watcher(Api::<ClusterRoleBinding>::all(client), labelled())
        .default_backoff()
        .touched_objects()
        .map_each(|binding: ClusterRoleBinding| wake(binding.labels()));
    futures::join!(
        namespaces.boxed(),
        bindings.boxed(),
        roles.boxed(),
        role.boxed(),
        readers.boxed()
    );
}

/// Whenever the list for the admission policies is not what it was, every class sees to its entry.
pub(super) async fn keep_listed(relisted: impl Stream<Item = ()>, classes: Cached<AccountClass>) {
    use futures::StreamExt;
    let woken = relisted.for_each(|()| {
        classes.wake_where(|_| true);
        futures::future::ready(())
    });
    woken.await;
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
