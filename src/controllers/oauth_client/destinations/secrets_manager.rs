//! A secret of AWS Secrets Manager, in one of the team's accounts.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::super::destination::{Bundle, Destination, Receipt};
use super::{at, not_ours};
use crate::cloud::credentials::{SecretStore, StoredSecret};
use crate::cloud::{ErrorKind, Sessions};
use crate::engine::Failure;
use crate::model::{AccountId, Owner, Region, RoleName, Secret};
use crate::plan::revision::revision;

/// [`Destination`] by a secret of Secrets Manager.
pub(super) struct ManagedSecret {
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) account: AccountId,
    pub(super) role: RoleName,
    pub(super) region: Region,
    pub(super) name: String,
    pub(super) owner: Owner,
}

impl ManagedSecret {
    async fn store(&self) -> Result<Arc<dyn SecretStore>, Failure> {
        self.sessions
            .secret_store(&self.account, &self.role, self.region)
            .await
            .map_err(|error| at(&self.location(), error))
    }

    fn is_ours(&self, found: &StoredSecret) -> bool {
        Owner::of(&found.tags).is_some_and(|owner| owner.uid == self.owner.uid)
    }

    /// What is there; a terminal failure if it is somebody else's.
    async fn found(&self, store: &dyn SecretStore) -> Result<Option<StoredSecret>, Failure> {
        let found = store.describe(&self.name).await;
        match found.map_err(|error| at(&self.location(), error))? {
            Some(found) if !self.is_ours(&found) => Err(not_ours(
                &self.location(),
                "does not bear this object's tags",
            )),
            found => Ok(found),
        }
    }

    /// What makes a write of the same version the same write: the client's uid, which no other has, and the version's number.
    fn token(&self, version: i64) -> String {
        format!("{}-{version}", self.owner.uid)
    }

    /// The token of a write over what is current. Where a version is to be current again that was replaced (somebody has
    /// written another by hand, say), its first token would change nothing: so what is in the way is part of it.
    fn token_over(&self, version: i64, current: &str) -> String {
        format!("{}-{}", self.token(version), revision(current))
    }
}

/// Both files as one value, since two secrets could not be written at once: the members of both in one object.
fn one_value(bundle: &Bundle) -> Secret {
    let object = |file: &Secret| match serde_json::from_str(file.reveal()) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let Some(user) = &bundle.user_json else {
        return bundle.client_json.clone();
    };
    let mut members = object(&bundle.client_json);
    members.extend(object(user));
    Secret::new(Value::Object(members).to_string())
}

#[async_trait]
impl Destination for ManagedSecret {
    fn location(&self) -> String {
        format!(
            "arn:{}:secretsmanager:{}:{}:secret:{}",
            self.region.partition(),
            self.region,
            self.account,
            self.name
        )
    }

    async fn check(&self) -> Result<(), Failure> {
        // Secrets Manager has no call that only asks whether another would be let: what a description says must do.
        let store = self.store().await?;
        self.found(store.as_ref()).await.map(drop)
    }

    async fn put(&self, bundle: &Bundle) -> Result<Receipt, Failure> {
        let store = self.store().await?;
        let fail = |error| at(&self.location(), error);
        let found = self.found(store.as_ref()).await?;
        let content = &one_value(bundle);
        let written = match found {
            None => {
                let token = self.token(bundle.version);
                store
                    .create(&self.name, content, &self.owner.tags(), &token)
                    .await
            }
            Some(found) => {
                if found.deleted {
                    store.restore(&self.name).await.map_err(fail)?;
                }
                let current = found.version.unwrap_or_default();
                let own = self.token(bundle.version);
                let over = self.token_over(bundle.version, &current);
                // Where this version is current already, its own token: then nothing is written, unless the content is
                // another, which Secrets Manager refuses under the same token.
                if current == own || current.starts_with(&format!("{own}-")) {
                    match store.put(&self.name, content, &current).await {
                        Err(error) if error.kind == ErrorKind::AlreadyExists => {
                            store.put(&self.name, content, &over).await
                        }
                        written => written,
                    }
                } else {
                    store.put(&self.name, content, &over).await
                }
            }
        };
        written.map(Receipt).map_err(fail)
    }

    async fn look(&self) -> Result<Option<Receipt>, Failure> {
        let store = self.store().await?;
        let found = store.describe(&self.name).await;
        let found = found.map_err(|error| at(&self.location(), error))?;
        let ours = found.filter(|found| self.is_ours(found) && !found.deleted);
        Ok(ours.and_then(|found| found.version).map(Receipt))
    }

    async fn remove(&self) -> Result<(), Failure> {
        let store = self.store().await?;
        let fail = |error| at(&self.location(), error);
        let found = store.describe(&self.name).await.map_err(fail)?;
        match found {
            Some(found) if self.is_ours(&found) && !found.deleted => {
                store.delete(&self.name).await.map_err(fail)
            }
            _ => Ok(()),
        }
    }
}
