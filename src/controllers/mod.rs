//! One folder per kind, each with the same steps under the same names: *gather* reads the world, *validate* parses the
//! spec, *decide* is in `plan`, *act* writes, *report* says in the status how far things are.

pub mod account_class;
pub mod organization;
pub mod team;
pub mod team_account;

use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;
use tokio::sync::watch;

use crate::api::{AccountClass, Team, TeamAccount};

/// The caches of the kinds, kept by their watches and read by all controllers.
#[derive(Clone)]
pub struct Caches {
    /// All teams.
    pub teams: Store<DeserializeGuard<Team>>,
    /// All classes.
    pub classes: Store<DeserializeGuard<AccountClass>>,
    /// All accounts.
    pub accounts: Store<DeserializeGuard<TeamAccount>>,
    /// Whether each of them has been filled once.
    pub filled: [watch::Receiver<bool>; 3],
}

impl Caches {
    /// Waits until all caches have been filled once: an object that is merely not known yet must not count as missing.
    pub async fn filled(&self) {
        for filled in &self.filled {
            // An error says that the watch has ended, which it does only with the whole process.
            let _ = filled.clone().wait_for(|filled| *filled).await;
        }
    }

    /// The class of that name, if there is one that can be read.
    pub fn class(&self, name: &str) -> Option<AccountClass> {
        let key = kube::runtime::reflector::ObjectRef::new(name);
        self.classes
            .get(&key)
            .and_then(|class| class.0.clone().ok())
    }

    /// The team that has this namespace. One that merely names it has nothing to say there: several may, and only one
    /// can be accepted.
    pub fn team_of(&self, namespace: &str) -> Option<Team> {
        self.oldest_team(|team| team::namespace_of(team) == namespace && team::is_accepted(team))
    }

    /// The same; if none has the namespace, the oldest that names it. For what has begun and must be brought to its end.
    pub fn team_of_or_claimant(&self, namespace: &str) -> Option<Team> {
        self.team_of(namespace)
            .or_else(|| self.oldest_team(|team| team::namespace_of(team) == namespace))
    }

    fn oldest_team(&self, wanted: impl Fn(&Team) -> bool) -> Option<Team> {
        self.teams
            .state()
            .iter()
            .filter_map(|team| team.0.as_ref().ok())
            .filter(|team| wanted(team))
            .min_by_key(|team| (team.metadata.creation_timestamp.clone(), team.uid()))
            .cloned()
    }

    /// What `look` makes of every account that can be read: for those who want to know something of many of them.
    pub fn each_account<T>(&self, look: impl Fn(&TeamAccount) -> Option<T>) -> Vec<T> {
        let state = self.accounts.state();
        state
            .iter()
            .filter_map(|account| account.0.as_ref().ok())
            .filter_map(look)
            .collect()
    }

    /// All accounts that can be read and for which `wanted` holds, each a copy: for those who want few of them.
    pub fn accounts(&self, wanted: impl Fn(&TeamAccount) -> bool) -> Vec<TeamAccount> {
        self.each_account(|account| wanted(account).then(|| account.clone()))
    }
}
