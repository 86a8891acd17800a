//! `AccountClass`: checks a class, gives it a revision, and counts its accounts. Nothing outside the cluster.

mod act;
mod validate;

use std::collections::BTreeMap;

use async_trait::async_trait;
use kube::{Client, ResourceExt};

use super::Caches;
use crate::api::AccountClass;
use crate::engine::conditions::Truth;
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::plan::revision::revision;

/// The reasons in this kind's conditions and events: a closed set. What each means is in `ALL`.
#[expect(missing_docs, reason = "each is described in ALL")]
pub mod reasons {
    use crate::engine::reasons::{DONE, Reason};

    pub const READY: &str = crate::engine::reasons::READY;
    pub const ACCEPTED: &str = "Accepted";
    pub const INVALID_SPEC: &str = "InvalidSpec";
    pub const IN_USE: &str = "InUse";

    /// All of them, for the reference.
    pub const ALL: &[Reason] = &[
        Reason::new(
            READY,
            "The class is in order, and accounts of it are admitted.",
            DONE,
        ),
        Reason::new(ACCEPTED, "The class can be carried out as declared.", DONE),
        Reason::new(
            INVALID_SPEC,
            "The class cannot be carried out as it is declared.",
            "The platform team corrects the field that the message names.",
        ),
        Reason::new(
            IN_USE,
            "The class is being deleted while accounts are of it.",
            "The platform team deletes those TeamAccounts first; what becomes of the AWS accounts is in their spec.deletionPolicy.",
        ),
    ];
}

/// The controller of `AccountClass`.
pub struct AccountClasses {
    /// The caches.
    pub caches: Caches,
    /// The API server.
    pub client: Client,
    /// Where the list of classes for the admission policies is kept.
    pub namespace: String,
}

/// The revision of what a class demands of an account: the same spec, the same revision.
pub fn revision_of(class: &AccountClass) -> String {
    revision(&serde_json::to_string(&class.spec).unwrap_or_default())
}

#[async_trait]
impl Reconcile for AccountClasses {
    type Kind = AccountClass;
    const KIND: &'static str = "AccountClass";
    const REASONS: &'static [Reason] = reasons::ALL;

    async fn pass(
        &self,
        object: &AccountClass,
        record: &mut Record<AccountClass>,
    ) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        let name = object.name_any();
        let accounts = self.caches.each_account(|account| {
            let of_class = account.spec.class_name == name;
            let revision = account
                .status
                .as_ref()
                .and_then(|status| status.class_revision.clone());
            of_class.then_some(revision)
        });
        let mut by_revision = BTreeMap::new();
        for revision in accounts.iter().flatten() {
            *by_revision.entry(revision.clone()).or_insert(0) += 1;
        }
        record.status.accounts = i64::try_from(accounts.len()).ok();
        record.status.accounts_by_revision = by_revision;
        if object.metadata.deletion_timestamp.is_some() {
            let first = self.caches.accounts.find(
                |account| matches!(&account.0, Ok(account) if account.spec.class_name == name),
            );
            if let Some(first) = first {
                let message = format!(
                    "{} account(s) are of this class, {}/{} for one: delete those objects first (their accounts are kept)",
                    accounts.len(),
                    first.namespace().unwrap_or_default(),
                    first.name_any()
                );
                return Ok(Outcome::blocked(reasons::IN_USE, message));
            }
            self.unlist(record, &name).await?;
            return Ok(Outcome::Released);
        }
        if let Err(message) = validate::class(&object.spec) {
            record.set("Accepted", Truth::False, reasons::INVALID_SPEC, &message);
            return Ok(Outcome::blocked(reasons::INVALID_SPEC, message));
        }
        record.set(
            "Accepted",
            Truth::True,
            reasons::ACCEPTED,
            "the class can be carried out",
        );
        self.list(record, object).await?;
        record.status.revision = Some(revision_of(object));
        Ok(Outcome::Settled { resync: None })
    }
}
