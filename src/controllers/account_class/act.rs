//! Act: keep the list of classes that the admission policies read. They cannot look up another object by a name that
//! is in the request, but they can read one ConfigMap.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::AccountClasses;
use super::list::{CLASS_LIST, amendment, list_of};
use crate::api::{AccountClass, TeamAccount};
use crate::engine::Failure;
use crate::engine::record::Record;

impl AccountClasses {
    /// Enters a class, if the list does not have it as it is.
    pub(super) async fn list(
        &self,
        record: &Record<AccountClass>,
        class: &AccountClass,
    ) -> Result<(), Failure> {
        let (name, regions) = (class.name_any(), class.spec.regions.join(","));
        let is_class = |name: &str| self.caches.classes.exists(None, name);
        let entries = self.list.entries().await?;
        let Some(data) = amendment(&entries, (&name, &regions), is_class) else {
            return Ok(());
        };
        self.enter(record, class, data).await
    }

    /// Enters a class, whatever the watch has seen.
    pub(super) async fn relist(
        &self,
        record: &Record<AccountClass>,
        class: &AccountClass,
    ) -> Result<(), Failure> {
        let entry = (class.name_any(), Some(class.spec.regions.join(",")));
        self.enter(record, class, [entry].into()).await
    }

    async fn enter(
        &self,
        record: &Record<AccountClass>,
        class: &AccountClass,
        data: BTreeMap<String, Option<String>>,
    ) -> Result<(), Failure> {
        record.may_write_in_cluster()?;
        if self.patch(&data).await? {
            return Ok(());
        }
        let list = list_of([(class.name_any(), class.spec.regions.join(","))].into());
        match self.lists().create(&PostParams::default(), &list).await {
            // Another class made it meanwhile: enter this one by the usual way.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                self.patch(&data).await?;
                Ok(())
            }
            other => Ok(other.map(drop)?),
        }
    }

    /// Takes a class off, whatever the watch has seen: it may lag behind, and nobody comes by later.
    pub(super) async fn unlist(
        &self,
        record: &Record<AccountClass>,
        name: &str,
    ) -> Result<(), Failure> {
        record.may_write_in_cluster()?;
        self.patch(&[(name.to_owned(), None)].into()).await?;
        Ok(())
    }

    /// `false`: there is no list.
    async fn patch(&self, data: &BTreeMap<String, Option<String>>) -> Result<bool, Failure> {
        let (params, patch) = (
            PatchParams::default(),
            Patch::Merge(json!({ "data": data })),
        );
        match self.lists().patch(CLASS_LIST, &params, &patch).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn lists(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The accounts that are of the class now, by `namespace/name`, those that cannot be decoded among them.
    pub(super) async fn accounts_now(&self, name: &str) -> Result<Vec<String>, Failure> {
        let api: Api<TeamAccount> = Api::all(self.client.clone());
        let of_class = ListParams::default().fields(&format!("spec.className={name}"));
        let list = api.list_metadata(&of_class).await?;
        let place = |account: &kube::core::PartialObjectMeta<TeamAccount>| {
            let namespace = account.namespace().unwrap_or_default();
            format!("{namespace}/{}", account.name_any())
        };
        Ok(list.items.iter().map(place).collect())
    }
}
