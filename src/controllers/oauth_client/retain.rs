//! Act, when the object goes and its credentials stay: whoever granted a scope must go on seeing who holds it.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::OAuthClients;
use crate::api::{OAuthClient, ResourceType, RetainedHolder};
use crate::engine::Failure;
use crate::engine::record::Record;

impl OAuthClients {
    /// Enters in each resource type what is held of it by what stays. It is forgotten when somebody has removed the client at
    /// the server and then the Secret in the operator's namespace, which is there for that even if nothing is in it.
    pub(super) async fn retain(
        &self,
        object: &OAuthClient,
        record: &Record<OAuthClient>,
    ) -> Result<(), Failure> {
        let mut by_type: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (of, name) in record
            .status
            .scopes
            .iter()
            .filter_map(|it| it.rsplit_once('.'))
        {
            by_type.entry(of).or_default().push(name.to_owned());
        }
        if by_type.is_empty() {
            return Ok(());
        }
        record.may_write_in_cluster()?;
        self.vault.stand(object).await?;
        let uid = object.uid().unwrap_or_default();
        let versions = record.status.versions.iter();
        let ids: BTreeSet<String> = versions.filter_map(|it| it.client_id.clone()).collect();
        let api: Api<ResourceType> = Api::all(self.vault.client.clone());
        for (of, scopes) in by_type {
            let Some(found) = api.get_opt(of).await? else {
                continue;
            };
            let status = found.status.clone().unwrap_or_default();
            let mut retained = status.retained;
            if retained.iter().any(|one| one.uid == uid) {
                continue;
            }
            retained.push(RetainedHolder {
                uid: uid.clone(),
                client: format!(
                    "{}/{}",
                    object.namespace().unwrap_or_default(),
                    object.name_any()
                ),
                application: object.spec.application.clone(),
                client_ids: ids.iter().cloned().collect(),
                scopes,
            });
            let patch = json!({
                "metadata": {"resourceVersion": found.resource_version()},
                "status": {"retained": retained},
            });
            api.patch_status(of, &PatchParams::default(), &Patch::Merge(&patch))
                .await?;
        }
        Ok(())
    }
}
