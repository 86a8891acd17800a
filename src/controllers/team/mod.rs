//! `Team`: its namespace, and the rights of its members in it.

mod act;
pub mod report;

use async_trait::async_trait;
use kube::{Client, ResourceExt};

use super::Caches;
use crate::api::{Team, TeamAccount, TeamDeletionPolicy};
use crate::engine::conditions::Truth;
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::model::TeamId;

/// The reasons in this kind's conditions and events: a closed set. What each means is in `ALL`.
#[expect(missing_docs, reason = "each is described in ALL")]
pub mod reasons {
    use crate::engine::reasons::{DONE, Reason, WAIT};

    pub const READY: &str = crate::engine::reasons::READY;
    pub const ACCEPTED: &str = "Accepted";
    pub const INVALID_SPEC: &str = "InvalidSpec";
    pub const NAMESPACE_TAKEN: &str = "NamespaceTaken";
    pub const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";
    pub const STILL_OWNS: &str = "StillOwns";
    pub const SUSPENDED: &str = "Suspended";
    pub const NAMESPACE_RETAINED: &str = "NamespaceRetained";
    pub const ALL_READY: &str = "AllReady";
    pub const SOME_NOT_READY: &str = "SomeNotReady";

    /// All of them, for the reference.
    pub const ALL: &[Reason] = &[
        Reason::new(
            READY,
            "The team has its namespace, and its members have their rights.",
            DONE,
        ),
        Reason::new(ACCEPTED, "The team can be carried out as declared.", DONE),
        Reason::new(
            INVALID_SPEC,
            "The team cannot be carried out as it is declared.",
            "Whoever edits the team corrects the field that the message names.",
        ),
        Reason::new(
            NAMESPACE_TAKEN,
            "The team's namespace exists already and does not bear the team's label, so it may be somebody else's.",
            "A cluster administrator labels the namespace if it shall be the team's (the message has the command); otherwise the platform team deletes the team and declares it with another spec.namespace.",
        ),
        Reason::new(
            NAMESPACE_TERMINATING,
            "The team's namespace is being deleted; a new one is made when it is gone.",
            WAIT,
        ),
        Reason::new(
            STILL_OWNS,
            "The team is being deleted and still owns the accounts that the message lists.",
            "The platform team deletes those TeamAccounts first; what becomes of the AWS accounts is in their spec.deletionPolicy.",
        ),
        Reason::new(
            SUSPENDED,
            "spec.suspend holds all writes for this team.",
            "Whoever suspended the team sets spec.suspend to false.",
        ),
        Reason::new(
            NAMESPACE_RETAINED,
            "The team is gone and its namespace was kept, labelled. An event.",
            "Nothing; a team of the same name takes the namespace over again.",
        ),
        Reason::new(ALL_READY, "All accounts of the team are Ready.", DONE),
        Reason::new(
            SOME_NOT_READY,
            "Some accounts of the team are not Ready; the message names them, status.accounts says why.",
            "Whoever the reason of the account itself names.",
        ),
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
    const REASONS: &'static [Reason] = reasons::ALL;

    async fn pass(&self, object: &Team, record: &mut Record<Team>) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        let namespace = namespace_of(object);
        record.status.namespace = Some(namespace.clone());
        record.status.members = i64::try_from(object.spec.members.len()).ok();
        let theirs =
            |account: &TeamAccount| account.metadata.namespace.as_deref() == Some(&namespace);
        report::accounts(
            record,
            self.caches
                .each_account(|account| theirs(account).then(|| report::summary_of(account))),
        );
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
            reasons::ACCEPTED,
            "the team has its namespace and its members their rights",
        );
        Ok(Outcome::Settled { resync: None })
    }
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
        record.may_write_in_cluster()?;
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
