//! The outbox: one ConfigMap for each observation, in the operator's own namespace.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};

use crate::engine::Failure;
use crate::engine::leader::Leadership;
use crate::journal::chain::Seen;
use crate::journal::outbox::{Outbox, id, order};

/// The label by which they are found.
pub const LABEL: (&str, &str) = ("bailiwick.dev/journal", "outbox");
/// The one key in each.
const KEY: &str = "seen.json";
/// How many are read at once.
const PAGE: u32 = 200;

/// [`Outbox`] by ConfigMaps.
pub(super) struct ConfigMaps {
    api: Api<ConfigMap>,
    leadership: Leadership,
}

impl ConfigMaps {
    pub(super) fn new(client: Client, namespace: &str, leadership: Leadership) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            leadership,
        }
    }

    fn may_write(&self) -> Result<(), String> {
        let guard = self.leadership.guard();
        guard.map_err(|_| "this replica is not the leader".to_owned())
    }
}

fn name(id: &str) -> String {
    format!("bailiwick-journal-{id}")
}

/// What the API server said, and nothing of how it is kept here.
fn said(error: kube::Error) -> String {
    Failure::from(error).message
}

#[async_trait]
impl Outbox for ConfigMaps {
    async fn put(&self, seen: &Seen) -> Result<(), String> {
        self.may_write()?;
        let text = serde_json::to_string(seen).map_err(|error| error.to_string())?;
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(name(&id(seen))),
                labels: Some([(LABEL.0.to_owned(), LABEL.1.to_owned())].into()),
                ..ObjectMeta::default()
            },
            data: Some([(KEY.to_owned(), text)].into()),
            immutable: Some(true),
            ..ConfigMap::default()
        };
        match self.api.create(&PostParams::default(), &map).await {
            // Written before, with its answer lost.
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            other => other.map(drop).map_err(said),
        }
    }

    async fn remove(&self, id: &str) -> Result<(), String> {
        self.may_write()?;
        match self.api.delete(&name(id), &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => other.map(drop).map_err(said),
        }
    }

    async fn load(&self) -> Result<Vec<Seen>, String> {
        let mut all = Vec::new();
        let mut params = ListParams::default()
            .labels(&format!("{}={}", LABEL.0, LABEL.1))
            .limit(PAGE);
        loop {
            let page = self.api.list(&params).await;
            let page = page.map_err(said)?;
            for map in &page.items {
                let text = map.data.as_ref().and_then(|data| data.get(KEY));
                match serde_json::from_str::<Seen>(text.map_or("", String::as_str)) {
                    Ok(seen) => all.push(seen),
                    Err(error) => tracing::error!(
                        name = map.name_any(),
                        %error,
                        "this part of the journal's outbox cannot be read and is left alone: read it, and delete it"
                    ),
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
        all.sort_by_key(order);
        Ok(all)
    }
}
