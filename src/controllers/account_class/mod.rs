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
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::plan::revision::revision;

/// The reasons in this kind's conditions and events: a closed set, listed in the reference.
pub mod reasons {
    /// The class is in order.
    pub const READY: &str = "Ready";
    /// The spec cannot be carried out as it is.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// The class is deleted, and accounts still are of it.
    pub const IN_USE: &str = "InUse";
    /// All, for the reference.
    pub const ALL: &[&str] = &[READY, INVALID_SPEC, IN_USE];
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
            "Accepted",
            "the class can be carried out",
        );
        self.list(record, object).await?;
        record.status.revision = Some(revision_of(object));
        Ok(Outcome::Settled { resync: None })
    }
}
