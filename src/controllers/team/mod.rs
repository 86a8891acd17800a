//! `Team`: its namespace, and the rights of its members in it.

mod act;
pub mod readers;
pub mod report;

pub use act::{FIELD_MANAGER, MEMBER_ROLE};

use async_trait::async_trait;
use kube::{Client, ResourceExt};

use super::Caches;
use crate::api::{Application, Team, TeamAccount, TeamDeletionPolicy};
use crate::engine::conditions::{self, Truth};
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::model::TeamId;

/// The condition that says that the team has its namespace.
const ACCEPTED: &str = "Accepted";

/// The reasons in this kind's conditions and events: a closed set. What each means is in `ALL`.
#[expect(missing_docs, reason = "each is described in ALL")]
pub mod reasons {
    use crate::engine::reasons::{DONE, Reason, WAIT};

    pub const READY: &str = crate::engine::reasons::READY;
    pub const ACCEPTED: &str = "Accepted";
    pub const INVALID_SPEC: &str = "InvalidSpec";
    pub const NAMESPACE_TAKEN: &str = "NamespaceTaken";
    pub const BINDING_TAKEN: &str = "BindingTaken";
    pub const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";
    pub const ROLE_MISSING: &str = "RoleMissing";
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
            BINDING_TAKEN,
            "A ClusterRoleBinding has the name of the one by which the members read their team, and binds another role, which cannot be changed.",
            "A cluster administrator removes it (the message has the command); the right one is made then.",
        ),
        Reason::new(
            NAMESPACE_TERMINATING,
            "The team's namespace is being deleted; a new one is made when it is gone.",
            WAIT,
        ),
        Reason::new(
            ROLE_MISSING,
            "The ClusterRole that the members are bound to does not exist, so that they have no rights in their namespace.",
            "A cluster administrator installs the chart, which brings it; with replicaCount=0 if the operator runs elsewhere.",
        ),
        Reason::new(
            STILL_OWNS,
            "The team is being deleted and still owns the accounts, or the active applications, that the message lists.",
            "The platform team deletes those TeamAccounts first; what becomes of the AWS accounts is in their spec.deletionPolicy.",
        ),
        Reason::new(
            SUSPENDED,
            "There is something to write for the team, or its deletion to carry out, and spec.suspend holds it.",
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
    /// The namespace that the operator itself lives in.
    pub operator_namespace: String,
}

/// Whether the team has its namespace: not only named it, but found it to be its own.
pub fn is_accepted(team: &Team) -> bool {
    let status = team.status.as_ref();
    status.is_some_and(|status| conditions::is_true(&status.conditions, ACCEPTED))
}

#[async_trait]
impl Reconcile for Teams {
    type Kind = Team;
    const KIND: &'static str = "Team";
    const REASONS: &'static [Reason] = reasons::ALL;

    async fn pass(&self, object: &Team, record: &mut Record<Team>) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        let namespace = object.home();
        record.status.namespace = Some(namespace.clone());
        record.status.members = i64::try_from(object.spec.members.len()).ok();
        if object.metadata.deletion_timestamp.is_some() {
            return self.leave(object, record, &namespace).await;
        }
        if let Err(error) = object.name_any().parse::<TeamId>() {
            let message = format!("metadata.name: {error}");
            record.set(ACCEPTED, Truth::False, reasons::INVALID_SPEC, &message);
            return Ok(Outcome::blocked(reasons::INVALID_SPEC, message));
        }
        if let Some(outcome) = self.ensure_namespace(object, record, &namespace).await? {
            let has = record.is_true(ACCEPTED);
            self.tell_what_it_owns(record, &namespace, has);
            return Ok(outcome);
        }
        self.tell_what_it_owns(record, &namespace, true);
        if let Some(outcome) = self.ensure_members(object, record, &namespace).await? {
            return Ok(outcome);
        }
        if let Some(outcome) = self.ensure_readers(object, record).await? {
            return Ok(outcome);
        }
        record.set(
            ACCEPTED,
            Truth::True,
            reasons::ACCEPTED,
            "the team has its namespace",
        );
        let missing = self.missing_role(&namespace).await?;
        Ok(missing.unwrap_or(Outcome::Settled { resync: None }))
    }
}

impl Teams {
    /// Sums up what is in the namespace, if it is this team's: what another owns is none of its business.
    fn tell_what_it_owns(&self, record: &mut Record<Team>, namespace: &str, is_ours: bool) {
        let of_team = |one: &Application| is_ours && one.namespace().as_deref() == Some(namespace);
        let applications = self
            .caches
            .applications
            .each(|one| of_team(one).then_some(()));
        record.status.applications = i64::try_from(applications.len()).ok();
        let theirs = |account: &TeamAccount| {
            is_ours && account.metadata.namespace.as_deref() == Some(namespace)
        };
        report::accounts(
            record,
            self.caches
                .each_account(|account| theirs(account).then(|| report::summary_of(account))),
        );
    }

    async fn leave(
        &self,
        object: &Team,
        record: &mut Record<Team>,
        namespace: &str,
    ) -> Result<Outcome, Failure> {
        // Asked of the API server itself: a cache that lags behind must not let a team go that still owns something.
        let found = self.namespace_now(namespace).await?;
        let is_others = found.is_some_and(|found| !act::is_of(&found, object));
        self.tell_what_it_owns(record, namespace, !is_others);
        if is_others {
            // The team never had it, or has it no longer: nothing in it is this team's to wait for or to remove.
            return Ok(Outcome::Released);
        }
        let owned = self.accounts_now(namespace).await?;
        if !owned.is_empty() {
            let message = format!(
                "the team still owns the account(s) {}: delete those objects first; what becomes of their AWS accounts \
                 is in their spec.deletionPolicy",
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
        if object.spec.suspend {
            let message =
                "the team is suspended: set spec.suspend to false to have the deletion go on";
            return Ok(Outcome::blocked(reasons::SUSPENDED, message));
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
            TeamDeletionPolicy::Delete => {
                // The policy may have been withdrawn, and nothing brings a namespace back.
                record.reaffirm().await?;
                self.remove_namespace(object, namespace).await?;
            }
        }
        Ok(Outcome::Released)
    }
}
