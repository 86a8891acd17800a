//! `Team`: its namespace, and the rights of its members in it.

mod act;

use async_trait::async_trait;
use kube::{Client, ResourceExt};

use super::Caches;
use crate::api::{Team, TeamAccountSummary, TeamDeletionPolicy};
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
        record.status.namespace = Some(namespace.clone());
        record.status.members = i64::try_from(object.spec.members.len()).ok();
        record.status.accounts = self.summaries(&namespace);
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

impl Teams {
    fn summaries(&self, namespace: &str) -> Vec<TeamAccountSummary> {
        let mut list = self.caches.each_account(|account| {
            if account.metadata.namespace.as_deref() != Some(namespace) {
                return None;
            }
            let status = account.status.as_ref();
            Some(TeamAccountSummary {
                name: account.name_any(),
                id: status.and_then(|status| status.account_id.clone()),
                ready: status.is_some_and(|status| {
                    conditions::is_true(&status.conditions, conditions::READY)
                }),
            })
        });
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list
    }

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
