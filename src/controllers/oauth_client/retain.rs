//! Act, when the object goes and its credentials stay: whoever granted a scope must go on seeing who holds it.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::{OAuthClients, reasons};
use crate::api::{OAuthClient, ResourceType, RetainedHolder};
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};

/// How many clients that nobody manages any more a resource type keeps of one namespace, so that none fills it for all, and
/// altogether, since an object has room for so much.
const OF_ONE: usize = 20;
const IN_ALL: usize = 200;

impl OAuthClients {
    /// Enters in each resource type what is held of it by what stays. It is forgotten when somebody has removed the client at
    /// the server and then the Secret in the operator's namespace, which is there for that even if nothing is in it. Where no
    /// more are kept the object stays and says so: a holder that nobody sees there must not be.
    pub(super) async fn retain(
        &self,
        object: &OAuthClient,
        record: &Record<OAuthClient>,
    ) -> Result<Option<Outcome>, Failure> {
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
            return Ok(None);
        }
        record.may_write_in_cluster()?;
        self.vault.stand(object).await?;
        let uid = object.uid().unwrap_or_default();
        let namespace = object.namespace().unwrap_or_default();
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
            if let Some(whose) = full(&retained, &namespace) {
                let message = format!(
                    "ResourceType {of} keeps as many clients {whose} already as it may whose OAuthClients are gone: have some that its \
                     status.retained names removed at the server, then their Secrets bailiwick-oauth-<uid> in the operator's \
                     namespace; or set spec.deletionPolicy to Delete, if this one is not needed any more"
                );
                return Ok(Some(Outcome::blocked(reasons::TOO_MANY_RETAINED, message)));
            }
            retained.push(RetainedHolder {
                uid: uid.clone(),
                client: format!("{namespace}/{}", object.name_any()),
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
        Ok(None)
    }
}

/// Of whom there are as many as may be, if there is no room for another of this namespace.
fn full(retained: &[RetainedHolder], namespace: &str) -> Option<String> {
    let is_its = |one: &&RetainedHolder| {
        let of = one.client.split_once('/').map(|(of, _)| of);
        of == Some(namespace)
    };
    if retained.iter().filter(is_its).count() >= OF_ONE {
        return Some(format!("of namespace {namespace} ({OF_ONE})"));
    }
    (retained.len() >= IN_ALL).then(|| format!("of all namespaces ({IN_ALL})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespace_fills_it_for_the_others_and_all_have_an_end() {
        let of = |namespace: usize| RetainedHolder {
            client: format!("team-{namespace}/api"),
            ..RetainedHolder::default()
        };
        let mut retained: Vec<RetainedHolder> = vec![of(1); OF_ONE];
        assert!(full(&retained, "team-1").unwrap().contains("team-1"));
        assert_eq!(full(&retained, "team-11"), None);
        retained.extend((100..).map(of).take(IN_ALL - OF_ONE - 1));
        assert_eq!(full(&retained, "team-11"), None);
        retained.push(of(11));
        assert!(full(&retained, "team-11").unwrap().contains("all"));
    }
}
