//! What was registered, kept where nobody but the operator reads: one Secret for each `OAuthClient`, in the operator's
//! namespace.
//!
//! It is read by its name, which follows from the object's uid; Secrets are never listed or watched. It is written under
//! the version that was read: of two operators one is refused.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde::{Deserialize, Serialize};

use crate::api::OAuthClient;
use crate::engine::reasons::CONFLICT;
use crate::engine::{Failure, FailureKind};
use crate::identity::{Management, Registration, SigningKey};
use crate::model::Secret;

/// The label of all of them.
const LABEL: &str = "bailiwick.dev/vault";
/// The annotation that says whose it is.
const OWNER: &str = "bailiwick.dev/owner";

/// Where they are.
#[derive(Clone)]
pub struct Vault {
    /// The API server.
    pub client: Client,
    /// The operator's namespace.
    pub namespace: String,
}

/// What is kept of one client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// The version that was read; `None`: there was no such Secret.
    resource_version: Option<String>,
    /// What is kept of each version.
    pub entries: BTreeMap<i64, Entry>,
}

/// What is kept of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The issuer at which it is registered, or shall be. `None`: it was kept before that was.
    pub issuer: Option<String>,
    /// The secret that we have chosen, where the server lets us.
    pub chosen: Secret,
    /// The password of the version's user, if it has one.
    pub password: Option<Secret>,
    /// The key to sign with, if that is how it authenticates.
    pub key: Option<SigningKey>,
    /// What the server gave.
    pub registration: Option<Registration>,
}

impl Entry {
    /// The entry of a version without credentials: nothing of it must be kept, for its client's id is in the status.
    pub fn open(registration: Option<Registration>) -> Self {
        Self {
            issuer: None,
            chosen: Secret::new(""),
            password: None,
            key: None,
            registration,
        }
    }

    fn is_open(&self) -> bool {
        self.chosen.reveal().is_empty() && self.key.is_none()
    }
}

impl Vault {
    /// What the Secret of this object is called.
    pub fn name(object: &OAuthClient) -> String {
        Self::named(&object.uid().unwrap_or_default())
    }

    /// What the Secret of the object with that uid is called.
    pub fn named(uid: &str) -> String {
        format!("bailiwick-oauth-{uid}")
    }

    fn api(&self) -> Api<KubeSecret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// What is kept of this object. What cannot be read is as good as gone.
    ///
    /// # Errors
    /// If the API server does not answer, or does not let us.
    pub async fn read(&self, object: &OAuthClient) -> Result<Kept, Failure> {
        let Some(found) = self.api().get_opt(&Self::name(object)).await? else {
            return Ok(Kept::default());
        };
        let data = found.data.iter().flatten();
        let entries = data.filter_map(|(key, ByteString(bytes))| {
            let number = key.strip_suffix(".json")?.parse().ok()?;
            let written: Written = serde_json::from_slice(bytes).ok()?;
            Some((number, written.read()?))
        });
        Ok(Kept {
            entries: entries.collect(),
            resource_version: found.metadata.resource_version,
        })
    }

    /// Keeps it.
    ///
    /// # Errors
    /// Conflict, if somebody else has written since it was read: then nothing was written.
    pub async fn write(&self, object: &OAuthClient, kept: &mut Kept) -> Result<(), Failure> {
        let secret = |entry: &&Entry| !entry.is_open();
        if kept.resource_version.is_none() && !kept.entries.values().any(|it| secret(&it)) {
            return Ok(());
        }
        self.put(object, kept).await
    }

    /// Sees to it that there is such a Secret, even if nothing is in it: as long as it is there, what is registered is.
    ///
    /// # Errors
    /// If the API server does not answer, or does not let us.
    pub async fn stand(&self, object: &OAuthClient) -> Result<(), Failure> {
        let mut kept = self.read(object).await?;
        match kept.resource_version {
            Some(_) => Ok(()),
            None => self.put(object, &mut kept).await,
        }
    }

    /// Whether there is the Secret of the object with that uid.
    ///
    /// # Errors
    /// If the API server does not answer, or does not let us.
    pub async fn stands(&self, uid: &str) -> Result<bool, Failure> {
        let found = self.api().get_metadata_opt(&Self::named(uid)).await?;
        Ok(found.is_some())
    }

    async fn put(&self, object: &OAuthClient, kept: &mut Kept) -> Result<(), Failure> {
        let mut data = BTreeMap::new();
        let secret = |entry: &&Entry| !entry.is_open();
        for (number, entry) in kept.entries.iter().filter(|(_, entry)| secret(entry)) {
            let bytes = serde_json::to_vec(&Written::of(entry)).map_err(|_| {
                let message = "what is kept of a client cannot be written as JSON";
                Failure::new(
                    FailureKind::Bug,
                    crate::engine::reasons::INTERNAL_ERROR,
                    message,
                )
            })?;
            data.insert(format!("{number}.json"), ByteString(bytes));
        }
        let owner = format!(
            "OAuthClient/{}/{}",
            object.namespace().unwrap_or_default(),
            object.name_any()
        );
        let managed = ("app.kubernetes.io/managed-by", "bailiwick");
        let labels = [(LABEL, "oauth-client"), managed];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let name = Self::name(object);
        let secret = KubeSecret {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(labels.into()),
                annotations: Some([(OWNER.to_owned(), owner)].into()),
                resource_version: kept.resource_version.clone(),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..KubeSecret::default()
        };
        let parameters = PostParams::default();
        let written = match &kept.resource_version {
            Some(_) => self.api().replace(&name, &parameters, &secret).await,
            None => self.api().create(&parameters, &secret).await,
        };
        match written {
            Ok(written) => {
                kept.resource_version = written.metadata.resource_version;
                Ok(())
            }
            Err(kube::Error::Api(status))
                if status.is_already_exists() || status.is_not_found() =>
            {
                let message = "what is kept of the client has changed meanwhile";
                Err(Failure::new(FailureKind::Conflict, CONFLICT, message))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes it. That there is none is no error.
    ///
    /// # Errors
    /// If the API server does not answer, or does not let us.
    pub async fn delete(&self, object: &OAuthClient) -> Result<(), Failure> {
        let name = Self::name(object);
        match self.api().delete(&name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Kept {
    /// What is registered of that version.
    pub fn registration(&self, number: i64) -> Option<&Registration> {
        self.entries.get(&number)?.registration.as_ref()
    }
}

/// An entry as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default)]
    issuer: Option<String>,
    chosen: String,
    #[serde(default)]
    password: Option<String>,
    key_id: Option<String>,
    key_pem: Option<String>,
    client_id: Option<String>,
    secret: Option<String>,
    secret_id: Option<String>,
    secret_expires: Option<i64>,
    management_uri: Option<String>,
    management_token: Option<String>,
}

impl Written {
    fn of(entry: &Entry) -> Self {
        let registration = entry.registration.as_ref();
        let management = registration.and_then(|it| it.management.as_ref());
        let reveal = |secret: &Secret| secret.reveal().to_owned();
        Self {
            issuer: entry.issuer.clone(),
            chosen: reveal(&entry.chosen),
            password: entry.password.as_ref().map(reveal),
            key_id: entry.key.as_ref().map(|key| key.id.clone()),
            key_pem: entry.key.as_ref().map(|key| reveal(&key.pem)),
            client_id: registration.map(|it| it.client_id.clone()),
            secret: registration.and_then(|it| it.secret.as_ref()).map(reveal),
            secret_id: registration.and_then(|it| it.secret_id.clone()),
            secret_expires: registration
                .and_then(|it| it.secret_expires)
                .map(Timestamp::as_second),
            management_uri: management.map(|it| it.uri.to_string()),
            management_token: management.map(|it| reveal(&it.token)),
        }
    }

    fn read(self) -> Option<Entry> {
        let key = match (self.key_id, self.key_pem) {
            (Some(id), Some(pem)) => Some(SigningKey {
                id,
                pem: Secret::new(pem),
            }),
            _ => None,
        };
        let management = match (self.management_uri, self.management_token) {
            (Some(uri), Some(token)) => Some(Management {
                uri: uri.parse().ok()?,
                token: Secret::new(token),
            }),
            _ => None,
        };
        let registration = self.client_id.map(|client_id| Registration {
            client_id,
            secret: self.secret.map(Secret::new),
            secret_id: self.secret_id,
            secret_expires: self
                .secret_expires
                .and_then(|second| Timestamp::from_second(second).ok()),
            management,
        });
        Some(Entry {
            issuer: self.issuer,
            chosen: Secret::new(self.chosen),
            password: self.password.map(Secret::new),
            key,
            registration,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_as_it_was_written() {
        let registration = Registration {
            client_id: "c".to_owned(),
            secret: Some(Secret::new("s")),
            secret_id: Some("i".to_owned()),
            secret_expires: "2026-01-01T00:00:00Z".parse().ok(),
            management: Some(Management {
                uri: "https://as.example.com/reg/c".parse().unwrap(),
                token: Secret::new("t"),
            }),
        };
        let key = SigningKey {
            id: "k".to_owned(),
            pem: Secret::new("p"),
        };
        for (key, registration) in [(None, None), (Some(key), Some(registration))] {
            let entry = Entry {
                issuer: key
                    .as_ref()
                    .map(|_: &SigningKey| "https://as.example.com".to_owned()),
                chosen: Secret::new("own"),
                password: key.as_ref().map(|_: &SigningKey| Secret::new("word")),
                key,
                registration,
            };
            let bytes = serde_json::to_vec(&Written::of(&entry)).unwrap();
            let written: Written = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(written.read(), Some(entry));
        }
    }
}
