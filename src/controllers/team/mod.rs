//! `Team`: its namespace, and the rights of its members in it.

mod act;

use async_trait::async_trait;
use kube::{Client, ResourceExt};

use super::Caches;
use crate::api::{Application, Team, TeamAccount, TeamAccountSummary, TeamDeletionPolicy};
use crate::engine::conditions::{self, Truth};
use crate::engine::frame::Reconcile;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::model::TeamId;

/// The reasons in this kind's conditions and events: a closed set, listed in the reference.
pub mod reasons {
    /// Everything is as declared.
    pub const READY: &str = "Ready";
    /// The spec cannot be carried out as it is.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// The namespace exists and is not this team's.
    pub const NAMESPACE_TAKEN: &str = "NamespaceTaken";
    /// The namespace is being deleted; a new one is made when it is gone.
    pub const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";
    /// The team is deleted and still owns something.
    pub const STILL_OWNS: &str = "StillOwns";
    /// The team is suspended.
    pub const SUSPENDED: &str = "Suspended";
    /// The team is gone, its namespace stays.
    pub const NAMESPACE_RETAINED: &str = "NamespaceRetained";
    /// All, for the reference.
    pub const ALL: &[&str] = &[
        READY,
        INVALID_SPEC,
        NAMESPACE_TAKEN,
        NAMESPACE_TERMINATING,
        STILL_OWNS,
        SUSPENDED,
        NAMESPACE_RETAINED,
    ];
}

/// The controller of `Team`.
pub struct Teams {
    /// The caches.
    pub caches: Caches,
    /// The API server.
    pub client: Client,
}

/// The namespace of a team, as declared.
pub fn namespace_of(team: &Team) -> String {
    team.spec
        .namespace
        .clone()
        .unwrap_or_else(|| format!("team-{}", team.name_any()))
}

#[async_trait]
impl Reconcile for Teams {
    type Kind = Team;
    const KIND: &'static str = "Team";

    async fn pass(&self, object: &Team, record: &mut Record<Team>) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        let namespace = namespace_of(object);
        let accounts = self
            .caches
            .accounts(|account| account.namespace().as_deref() == Some(&namespace));
        record.status.namespace = Some(namespace.clone());
        record.status.members = i64::try_from(object.spec.members.len()).ok();
        record.status.accounts = summaries(&accounts);
        let of_team = |one: &Application| one.namespace().as_deref() == Some(&namespace);
        let applications = self.caches.applications.select(of_team);
        record.status.applications = i64::try_from(applications.len()).ok();
        if object.metadata.deletion_timestamp.is_some() {
            return self.leave(object, record, &namespace).await;
        }
        if let Err(error) = object.name_any().parse::<TeamId>() {
            return Ok(Outcome::blocked(
                reasons::INVALID_SPEC,
                format!("metadata.name: {error}"),
            ));
        }
        if object.spec.suspend {
            return Ok(Outcome::blocked(
                reasons::SUSPENDED,
                "spec.suspend is true: nothing is written for this team",
            ));
        }
        if let Some(outcome) = self.ensure_namespace(object, record, &namespace).await? {
            return Ok(outcome);
        }
        self.ensure_members(object, record, &namespace).await?;
        record.set(
            "Accepted",
            Truth::True,
            "Accepted",
            "the team has its namespace and its members their rights",
        );
        Ok(Outcome::Settled { resync: None })
    }
}

fn summaries(accounts: &[TeamAccount]) -> Vec<TeamAccountSummary> {
    let mut list: Vec<_> = accounts
        .iter()
        .map(|account| {
            let status = account.status.as_ref();
            TeamAccountSummary {
                name: account.name_any(),
                id: status.and_then(|status| status.account_id.clone()),
                ready: status.is_some_and(|status| {
                    conditions::is_true(&status.conditions, conditions::READY)
                }),
            }
        })
        .collect();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}

impl Teams {
    async fn leave(
        &self,
        object: &Team,
        record: &mut Record<Team>,
        namespace: &str,
    ) -> Result<Outcome, Failure> {
        // Asked of the API server itself: a cache that lags behind must not let a team go that still owns something.
        let owned = self.accounts_now(namespace).await?;
        if !owned.is_empty() {
            let message = format!(
                "the team still owns the account(s) {}: delete those objects first (their AWS accounts are kept)",
                owned.join(", ")
            );
            return Ok(Outcome::blocked(reasons::STILL_OWNS, message));
        }
        let active = self.active_applications_now(namespace).await?;
        if !active.is_empty() {
            let message = format!(
                "the team still owns the active application(s) {}: set spec.active: false on them and let their \
                 retirement take effect, transfer them, or delete those objects first",
                active.join(", ")
            );
            return Ok(Outcome::blocked(reasons::STILL_OWNS, message));
        }
        record.may_write()?;
        match object.spec.deletion_policy {
            TeamDeletionPolicy::Retain => {
                self.remove_members(object, namespace).await?;
                let message = format!(
                    "namespace {namespace} is kept; a team of the same name takes it over again"
                );
                record.note(reasons::NAMESPACE_RETAINED, message);
            }
            TeamDeletionPolicy::Delete => self.remove_namespace(object, namespace).await?,
        }
        Ok(Outcome::Released)
    }
}
