//! Act: keep the list of classes that the admission policies read. They cannot look up another object by a name that
//! is in the request, but they can read one ConfigMap.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::AccountClasses;
use crate::api::AccountClass;
use crate::engine::Failure;
use crate::engine::record::Record;

/// The ConfigMap: one key for each class, its regions as the value.
pub const CLASS_LIST: &str = "bailiwick-account-classes";

impl AccountClasses {
    /// Enters a class, if it is not there as it is.
    pub(super) async fn list(
        &self,
        record: &Record<AccountClass>,
        class: &AccountClass,
    ) -> Result<(), Failure> {
        self.enter(
            record,
            &class.name_any(),
            Some(class.spec.regions.join(",")),
        )
        .await
    }

    /// Takes a class off.
    pub(super) async fn unlist(
        &self,
        record: &Record<AccountClass>,
        name: &str,
    ) -> Result<(), Failure> {
        self.enter(record, name, None).await
    }

    async fn enter(
        &self,
        record: &Record<AccountClass>,
        name: &str,
        value: Option<String>,
    ) -> Result<(), Failure> {
        let settled = record.status.observed_generation == Some(record.generation);
        if settled && value.is_some() && record.status.revision.is_some() {
            return Ok(());
        }
        record.may_write_in_cluster()?;
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let patch: Value = json!({ "data": { name: value } });
        match api
            .patch(CLASS_LIST, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() && value.is_none() => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                let metadata = ObjectMeta {
                    name: Some(CLASS_LIST.to_owned()),
                    ..ObjectMeta::default()
                };
                let data = value.map(|value| [(name.to_owned(), value)].into());
                let list = ConfigMap {
                    metadata,
                    data,
                    ..ConfigMap::default()
                };
                match api.create(&PostParams::default(), &list).await {
                    // Another class made it meanwhile: enter this one by the usual way.
                    Err(kube::Error::Api(status)) if status.is_already_exists() => {
                        api.patch(CLASS_LIST, &PatchParams::default(), &Patch::Merge(&patch))
                            .await?;
                        Ok(())
                    }
                    other => Ok(other.map(drop)?),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}
