//! How image repositories are run, and who wakes them.

use futures::{FutureExt, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;
use kube::runtime::{WatchStreamExt, predicates, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::api::{AccountClass, ImageRepository, Release, TeamAccount};
use crate::cloud::Cloud;
use crate::config::RunOptions;
use crate::controllers::Caches;
use crate::controllers::image_repository::{ImageRepositories, PlatformAccount, Watched};
use crate::engine::due::DeepChecks;
use crate::engine::frame::{self, Engine, Trigger};
use crate::engine::record::Kind;

/// Spawns the controller among `tasks`, and what it needs besides, which may be cut off at any moment, in `background`.
pub(super) fn run(
    options: &RunOptions,
    caches: &Caches,
    cloud: Cloud,
    engine: &Engine,
    (tasks, background): (&mut JoinSet<()>, &mut JoinSet<()>),
) {
    let client = engine.client.clone();
    let (repositories, releases) = (
        frame::watch::<ImageRepository>(&client),
        frame::watch::<Release>(&client),
    );
    let watched = Watched {
        repositories: repositories.store.clone(),
        releases: releases.store.clone(),
        filled: [repositories.filled.clone(), releases.filled.clone()],
    };
    let (wake, wakes) = Trigger::new();
    let platform = options
        .platform_account
        .clone()
        .map(|account| PlatformAccount {
            account,
            role: options.platform_account_role.clone(),
            mutable_tags: options.platform_mutable_image_tags,
        });
    let routes = Routes {
        store: repositories.store.clone(),
        wake,
    };
    let controller = ImageRepositories {
        caches: caches.clone(),
        watched,
        client: client.clone(),
        cloud,
        cluster: options.cluster_name.clone(),
        platform,
        checks: DeepChecks::new(options.deep_check_interval),
        company: OnceCell::new(),
    };
    tasks.spawn(frame::run(controller, repositories, wakes, engine.clone()));
    background.spawn(releases.keep());
    background.spawn(routes.keep(client));
}

/// Who must look again when something changes that is not their own. What comes of it costs nothing where it changes
/// no demand.
struct Routes {
    store: Store<DeserializeGuard<ImageRepository>>,
    wake: Trigger<ImageRepository>,
}

impl Routes {
    /// A team's accounts push to its repositories; a class says what is allowed in its accounts; and what a release is
    /// of must be kept, in whomever's repository it is.
    async fn keep(self, client: Client) {
        let accounts = each(&client, |account: TeamAccount| {
            self.wake(|repository| repository.namespace() == account.namespace());
        });
        let classes = watcher(
            Api::<DeserializeGuard<AccountClass>>::all(client.clone()),
            watcher::Config::default(),
        )
        .default_backoff()
        .touched_objects()
        .predicate_filter(predicates::generation, Default::default())
        .for_each(|_| {
            self.wake(|repository| repository.spec.account.is_some());
            futures::future::ready(())
        });
        let releases = each(&client, |release: Release| {
            let image = release.status.and_then(|status| status.image);
            if let Some(image) = image {
                let uri = Some(image.repository);
                self.wake(|repository| {
                    repository
                        .status
                        .as_ref()
                        .is_some_and(|status| status.uri == uri)
                });
            }
        });
        futures::join!(accounts.boxed(), classes.boxed(), releases.boxed());
    }

    fn wake(&self, concerned: impl Fn(&ImageRepository) -> bool) {
        for repository in self.store.state() {
            if let Ok(repository) = &repository.0
                && concerned(repository)
            {
                self.wake
                    .fire(repository.namespace().as_deref(), &repository.name_any());
            }
        }
    }
}

/// Runs a function for every object of a kind that is touched; errors are the watch's own to retry.
async fn each<K: Kind>(client: &Client, action: impl Fn(K)) {
    watcher(
        Api::<DeserializeGuard<K>>::all(client.clone()),
        watcher::Config::default(),
    )
    .default_backoff()
    .touched_objects()
    .for_each(|item| {
        if let Ok(DeserializeGuard(Ok(object))) = item {
            action(object);
        }
        futures::future::ready(())
    })
    .await;
}
