//! One folder per kind, each with the same steps under the same names: *gather* reads the world, *validate* parses the
//! spec, *decide* is in `plan`, *act* writes, *report* says in the status how far things are.

pub mod account_class;
pub mod journal;
pub mod organization;
pub mod team;
pub mod team_account;

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

    /// The team whose namespace this is.
    pub fn team_of(&self, namespace: &str) -> Option<Team> {
        let owns = |team: &Team| team::namespace_of(team) == namespace;
        self.teams
            .state()
            .iter()
            .filter_map(|team| team.0.as_ref().ok())
            .find(|team| owns(team))
            .cloned()
    }

    /// All accounts that can be read and for which `wanted` holds.
    pub fn accounts(&self, wanted: impl Fn(&TeamAccount) -> bool) -> Vec<TeamAccount> {
        let state = self.accounts.state();
        state
            .iter()
            .filter_map(|account| account.0.as_ref().ok())
            .filter(|a| wanted(a))
            .cloned()
            .collect()
    }
}
