//! One folder per kind, each with the same steps under the same names: *gather* reads the world, *validate* parses the
//! spec, *decide* is in `plan`, *act* writes, *report* says in the status how far things are.

pub mod account_class;
pub mod application;
pub mod application_name;
pub mod approval;
pub mod image_repository;
pub mod journal;
pub mod keys;
pub mod oauth_client;
pub mod oauth_provider;
pub mod organization;
pub mod release;
pub mod resource_type;
pub mod team;
pub mod team_account;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource, ResourceExt};

use crate::api::{
    AccountClass, Application, ApplicationName, Approval, ImageRepository, OAuthClient,
    OAuthProvider, Release, ResourceType, Team, TeamAccount,
};
use crate::engine::cache::{self, Cached, Watched};

/// Declares the kinds that there are: the caches that all controllers read, by which keys objects are found in them besides
/// their names, and the watches that fill them. Whoever takes the watches apart cannot forget one.
macro_rules! kinds {
    ($($(#[$doc:meta])* $field:ident: $kind:ty $(=> $by:path)?,)+) => {
        /// The caches of the kinds, kept by their watches and read by all controllers.
        #[derive(Clone)]
        pub struct Caches {
            $($(#[$doc])* pub $field: Cached<$kind>,)+
        }

        /// The watches of the kinds, each for its controller.
        pub struct Watches {
            $($(#[$doc])* pub $field: Watched<$kind>,)+
        }

        impl Caches {
            /// A cache and a watch for every kind.
            pub fn new(client: &Client) -> (Self, Watches) {
                $(let $field = cache::watch::<$kind>(client, &[$($by)?]);)+
                (Self { $($field: $field.0,)+ }, Watches { $($field: $field.1,)+ })
            }

            /// Waits until all caches have been filled once: an object that is merely not known yet must not count as
            /// missing.
            pub async fn filled(&self) {
                $(self.$field.filled().await;)+
            }
        }
    };
}

kinds! {
    /// All teams.
    teams: Team,
    /// All classes.
    classes: AccountClass,
    /// All accounts.
    accounts: TeamAccount => keys::of_account,
    /// All applications.
    applications: Application,
    /// All claims on applications' names.
    names: ApplicationName,
    /// All releases.
    releases: Release => keys::of_release,
    /// All approvals.
    approvals: Approval => keys::of_approval,
    /// All repositories for images.
    repositories: ImageRepository,
    /// All authorization servers.
    providers: OAuthProvider,
    /// All applications' credentials at them.
    clients: OAuthClient => keys::of_client,
    /// All resource types, with their scopes.
    resource_types: ResourceType,
}

impl Caches {
    /// The class of that name, if there is one that can be read.
    pub fn class(&self, name: &str) -> Option<AccountClass> {
        self.classes.get(None, name)
    }

    /// The team that has this namespace. One that merely names it has nothing to say there: several may, and only one
    /// can be accepted.
    pub fn team_of(&self, namespace: &str) -> Option<Team> {
        let age = |team: &Team| (team.metadata.creation_timestamp.clone(), team.uid());
        let has = |team: &Team| team.home() == namespace && team::is_accepted(team);
        self.teams.select(has).into_iter().min_by_key(age)
    }

    /// Who hears of what is in this namespace when nothing in it can be told of any more: its team, or else the namespace.
    pub fn parent_of(&self, namespace: &str) -> ObjectReference {
        match self.team_of(namespace) {
            Some(team) => team.object_ref(&()),
            None => ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Namespace".to_owned()),
                name: Some(namespace.to_owned()),
                ..ObjectReference::default()
            },
        }
    }

    /// What `look` makes of every account that can be read: for those who want to know something of many of them.
    pub fn each_account<T>(&self, look: impl Fn(&TeamAccount) -> Option<T>) -> Vec<T> {
        self.accounts.each(look)
    }

    /// All accounts that can be read and for which `wanted` holds, each a copy: for those who want few of them.
    pub fn accounts(&self, wanted: impl Fn(&TeamAccount) -> bool) -> Vec<TeamAccount> {
        self.accounts.select(wanted)
    }
}
