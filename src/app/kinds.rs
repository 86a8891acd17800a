//! Which controller each kind has. A kind is added here, to the list of kinds in `controllers`, and to `routes.rs` where
//! its changes concern others.

use std::sync::{Arc, PoisonError};

use kube::ResourceExt;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::routes;
use crate::api::{OAuthClient, OAuthProvider, Release, ResourceType};
use crate::config::RunOptions;
use crate::controllers::account_class::{AccountClasses, ClassList};
use crate::controllers::application::Applications;
use crate::controllers::application_name::ApplicationNames;
use crate::controllers::approval::{Approvals, Authors};
use crate::controllers::image_repository::{ImageRepositories, PlatformAccount};
use crate::controllers::oauth_client::destination::Destinations;
use crate::controllers::oauth_client::destinations::Places;
use crate::controllers::oauth_client::make::Maker;
use crate::controllers::oauth_client::outside::Outside;
use crate::controllers::oauth_client::turns::Turns;
use crate::controllers::oauth_client::vault::Vault;
use crate::controllers::oauth_client::{Departures, OAuthClients};
use crate::controllers::oauth_provider::OAuthProviders;
use crate::controllers::oauth_provider::directory::Directory;
use crate::controllers::organization::Organization;
use crate::controllers::release::lookups::Lookups;
use crate::controllers::release::origins::Origins;
use crate::controllers::release::{Looked, Releases};
use crate::controllers::resource_type::ResourceTypes;
use crate::controllers::team::Teams;
use crate::controllers::team_account::TeamAccounts;
use crate::controllers::{Caches, Watches};
use crate::engine::backoff::Attempts;
use crate::engine::cache::Watched;
use crate::engine::due::DeepChecks;
use crate::engine::frame::{self, Engine};
use crate::identity::Servers;

/// Runs every kind's controller.
pub(super) fn run(
    options: &RunOptions,
    caches: &Caches,
    mut watches: Watches,
    organization: &Arc<Organization>,
    (origins, outside): (Arc<dyn Origins>, Outside),
    list: ClassList,
    engine: &Engine,
) -> JoinSet<()> {
    routes::enter(caches, &mut watches);
    // Taken apart in full, so that no kind is without its controller.
    let Watches {
        teams,
        classes,
        accounts,
        applications,
        names,
        releases,
        approvals,
        repositories,
        providers,
        clients,
        resource_types,
    } = watches;
    let mut tasks = JoinSet::new();
    let of_class = AccountClasses {
        caches: caches.clone(),
        client: engine.client.clone(),
        namespace: options.namespace.clone(),
        list,
    };
    tasks.spawn(frame::run(of_class, classes, engine.clone()));
    let of_team = Teams {
        caches: caches.clone(),
        client: engine.client.clone(),
        operator_namespace: options.namespace.clone(),
    };
    tasks.spawn(frame::run(of_team, teams, engine.clone()));
    let of_account = TeamAccounts {
        caches: caches.clone(),
        organization: organization.clone(),
        cluster: options.cluster_name.clone(),
        checks: DeepChecks::new(options.deep_check_interval),
    };
    tasks.spawn(frame::run(of_account, accounts, engine.clone()));
    let of_application = Applications {
        caches: caches.clone(),
        client: engine.client.clone(),
    };
    tasks.spawn(frame::run(of_application, applications, engine.clone()));
    let of_name = ApplicationNames {
        caches: caches.clone(),
        client: engine.client.clone(),
    };
    tasks.spawn(frame::run(of_name, names, engine.clone()));
    let authors = Authors {
        guarded: options.authors_guarded,
        robots: options.robot_users.clone(),
    };
    let (of_release, releases) = releases_controller(caches, releases, origins, authors.clone());
    tasks.spawn(frame::run(of_release, releases, engine.clone()));
    let of_approval = Approvals {
        caches: caches.clone(),
        authors,
    };
    tasks.spawn(frame::run(of_approval, approvals, engine.clone()));
    let of_repository = ImageRepositories {
        caches: caches.clone(),
        cloud: organization.cloud().clone(),
        cluster: options.cluster_name.clone(),
        platform: platform_account(options),
        checks: DeepChecks::new(options.deep_check_interval),
        company: OnceCell::new(),
    };
    tasks.spawn(frame::run(of_repository, repositories, engine.clone()));
    let of_oauth = (providers, clients, resource_types);
    let Outside {
        servers,
        destinations,
        maker,
    } = outside;
    let destinations = destinations.unwrap_or_else(|| {
        Arc::new(Places {
            caches: caches.clone(),
            client: engine.client.clone(),
            sessions: organization.cloud().sessions.clone(),
            cluster: options.cluster_name.clone(),
        })
    });
    let outside = (servers, destinations, maker);
    oauth(&mut tasks, options, caches, of_oauth, outside, engine);
    tasks
}

/// Runs the controllers of OAuth, which share the servers.
fn oauth(
    tasks: &mut JoinSet<()>,
    options: &RunOptions,
    caches: &Caches,
    (providers, clients, resource_types): (
        Watched<OAuthProvider>,
        Watched<OAuthClient>,
        Watched<ResourceType>,
    ),
    (servers, destinations, maker): (Arc<dyn Servers>, Arc<dyn Destinations>, Arc<dyn Maker>),
    engine: &Engine,
) {
    let directory = Arc::new(Directory::default());
    let of_provider = OAuthProviders {
        caches: caches.clone(),
        client: engine.client.clone(),
        namespace: options.namespace.clone(),
        servers,
        directory: directory.clone(),
        checks: DeepChecks::new(options.deep_check_interval),
    };
    let mut providers = providers;
    let forgetting = directory.clone();
    providers.on_change(move |change| {
        if let (Some(provider), None) = (change.before, change.after) {
            forgetting.forget(&provider.name_any());
        }
    });
    tasks.spawn(frame::run(of_provider, providers, engine.clone()));
    let vault = Vault {
        client: engine.client.clone(),
        namespace: options.namespace.clone(),
    };
    let of_client = OAuthClients {
        caches: caches.clone(),
        vault: vault.clone(),
        directory,
        destinations,
        maker,
        checks: DeepChecks::new(options.deep_check_interval),
        departures: Departures::new(
            options.credential_removals_per_hour,
            engine.client.clone(),
            &options.namespace,
        ),
        grace: options.credential_removal_grace,
        attempts: Attempts::default(),
        refusals: Attempts::default(),
        turns: Turns::default(),
    };
    tasks.spawn(frame::run(of_client, clients, engine.clone()));
    let of_type = ResourceTypes {
        caches: caches.clone(),
        vault,
    };
    tasks.spawn(frame::run(of_type, resource_types, engine.clone()));
}

/// The account for the repositories of objects that name none.
pub(super) fn platform_account(options: &RunOptions) -> Option<PlatformAccount> {
    let account = options.platform_account.clone()?;
    Some(PlatformAccount {
        account,
        role: options.platform_account_role.clone(),
        mutable_tags: options.platform_mutable_image_tags,
    })
}

/// The controller of releases, and its watch: what it remembers of a release goes when the release does.
fn releases_controller(
    caches: &Caches,
    mut watched: Watched<Release>,
    origins: Arc<dyn Origins>,
    authors: Authors,
) -> (Releases, Watched<Release>) {
    let lookups = Arc::new(Lookups::new(origins, caches.releases.trigger()));
    let (looked, asked) = (Looked::default(), Looked::default());
    let (forgetting, forgotten) = (lookups.clone(), [looked.clone(), asked.clone()]);
    watched.on_change(move |change| {
        if let (Some(release), None) = (change.before, change.after) {
            let uid = release.uid().unwrap_or_default();
            forgetting.forget(&uid);
            for times in &forgotten {
                let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
                times.remove(&uid);
            }
        }
    });
    let controller = Releases {
        caches: caches.clone(),
        lookups,
        authors,
        looked,
        asked,
    };
    (controller, watched)
}
