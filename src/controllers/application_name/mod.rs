//! `ApplicationName`: says whether a name is in use, and buries one whose application has gone without a word.

pub mod reasons;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use super::Caches;
use crate::api::{Application, ApplicationName, NameState};
use crate::engine::conditions::Truth;
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};

/// The controller of `ApplicationName`.
pub struct ApplicationNames {
    /// The caches.
    pub caches: Caches,
    /// The API server.
    pub client: Client,
}

#[async_trait]
impl Reconcile for ApplicationNames {
    type Kind = ApplicationName;
    const KIND: &'static str = "ApplicationName";
    const REASONS: &'static [Reason] = reasons::ALL;
    /// Deleting a tombstone is what releases the name.
    const FINALIZES: bool = false;

    async fn pass(
        &self,
        object: &ApplicationName,
        record: &mut Record<ApplicationName>,
    ) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        let (name, owner) = (object.name_any(), &object.spec.owner);
        if object.spec.state == NameState::Tombstone {
            let message = format!(
                "team {}'s application is gone; the name is theirs to use again, and anybody's once this object is deleted",
                owner.team
            );
            record.set("Held", Truth::False, reasons::TOMBSTONE, &message);
            return Ok(Outcome::Settled { resync: None });
        }
        if !self.has_application(object).await? {
            record.may_write_in_cluster()?;
            let mut buried = object.clone();
            buried.spec.state = NameState::Tombstone;
            buried.spec.retired_at = Some(Time(record.now));
            buried.status = None;
            let api: Api<ApplicationName> = Api::all(self.client.clone());
            api.replace(&name, &PostParams::default(), &buried).await?;
            let message = "the name was buried, since its application is gone: looking at it anew";
            return Err(Failure::new(FailureKind::Conflict, "Conflict", message));
        }
        let message = format!(
            "it is Application {}/{name}, team {}'s",
            owner.namespace, owner.team
        );
        record.set("Held", Truth::True, reasons::HELD, &message);
        Ok(Outcome::Settled { resync: None })
    }
}

impl ApplicationNames {
    /// Whether the application exists that the name belongs to. That it does not is believed of the API server alone.
    async fn has_application(&self, object: &ApplicationName) -> Result<bool, Failure> {
        let (name, owner) = (object.name_any(), &object.spec.owner);
        let is_it = |found: &Application| found.uid().as_ref() == Some(&owner.uid);
        let cached = self.caches.applications.get(Some(&owner.namespace), &name);
        if cached.as_ref().is_some_and(is_it) {
            return Ok(true);
        }
        let api: Api<Application> = Api::namespaced(self.client.clone(), &owner.namespace);
        Ok(api.get_opt(&name).await?.as_ref().is_some_and(is_it))
    }
}
