//! The places that there are: a Secret of the cluster, the credentials bucket of an account, Secrets Manager in one.
//!
//! What exists there and is not ours is not touched: a Secret is known by the uid in a label, a secret of Secrets Manager by
//! the uid in its tags. What is in a credentials bucket is the operator's alone to write.

mod files;
mod secret;
mod secrets_manager;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::{Api, Client, ResourceExt};

use super::destination::{Destination, Destinations};
use crate::api::{DeliverySpec, GrantType, OAuthClient, TeamAccount};
use crate::cloud::credentials::BucketPlace;
use crate::cloud::{CloudError, ErrorKind, Sessions};
use crate::controllers::Caches;
use crate::engine::reasons::{CLUSTER_ACCESS_DENIED, CONFLICT};
use crate::engine::{Failure, FailureKind, Outcome};
use crate::model::{AccountId, Owner, RoleName};

pub use secret::{ANNOTATION_NOT_AFTER, ANNOTATION_VERSION, CLIENT_JSON, LABEL_UID, USER_JSON};

/// The reason for everything that is wrong with a place; what it is says the message.
const DELIVERY_FAILED: &str = "DeliveryFailed";
/// How soon we look again for what an account is still to be given.
const ACCOUNT_AGAIN: Duration = Duration::from_secs(60);

/// [`Destinations`] in the cluster and in the team's accounts.
pub struct Places {
    /// The caches.
    pub caches: Caches,
    /// The API server.
    pub client: Client,
    /// The way into the accounts.
    pub sessions: Arc<dyn Sessions>,
    /// The cluster's name, for tags of ownership.
    pub cluster: String,
}

/// An account that can be entered.
struct Entry {
    account: AccountId,
    role: RoleName,
    bucket: Option<BucketPlace>,
}

#[async_trait]
impl Destinations for Places {
    async fn open(
        &self,
        client: &OAuthClient,
        delivery: &DeliverySpec,
    ) -> Result<Result<Arc<dyn Destination>, Outcome>, Failure> {
        let DeliverySpec {
            name,
            secret,
            s3,
            secrets_manager,
        } = delivery;
        let opened = match (secret, s3, secrets_manager) {
            (Some(secret), None, None) => Ok(self.secret(client, name, &secret.name)),
            (None, Some(s3), None) => self.files(client, name, &s3.account),
            (None, None, Some(wanted)) => self.secrets_manager(client, name, wanted),
            _ => {
                let message = format!(
                    "spec.delivery {name:?}: exactly one of secret, s3 and secretsManager says where the credentials go"
                );
                Err(Outcome::blocked(DELIVERY_FAILED, message))
            }
        };
        Ok(opened)
    }

    fn is_out_of_reach(&self, client: &OAuthClient, delivery: &DeliverySpec) -> bool {
        let bucket = delivery.s3.as_ref().map(|it| &it.account);
        let manager = delivery.secrets_manager.as_ref().map(|it| &it.account);
        let namespace = client.namespace();
        bucket
            .or(manager)
            .is_some_and(|account| !self.caches.accounts.exists(namespace.as_deref(), account))
    }
}

impl Places {
    fn owner(&self, client: &OAuthClient) -> Owner {
        let reference = format!(
            "OAuthClient/{}/{}",
            client.namespace().unwrap_or_default(),
            client.name_any()
        );
        Owner {
            reference,
            uid: client.uid().unwrap_or_default(),
            cluster: self.cluster.clone(),
        }
    }

    fn secret(&self, client: &OAuthClient, delivery: &str, name: &str) -> Arc<dyn Destination> {
        let namespace = client.namespace().unwrap_or_default();
        Arc::new(secret::KubernetesSecret {
            api: Api::namespaced(self.client.clone(), &namespace),
            namespace,
            name: name.to_owned(),
            owner: self.owner(client),
            application: client.spec.application.clone(),
            user: may_hold_user(client, delivery),
        })
    }

    fn files(
        &self,
        client: &OAuthClient,
        delivery: &str,
        account: &str,
    ) -> Result<Arc<dyn Destination>, Outcome> {
        let entry = self.entry(client, delivery, account)?;
        let Some(place) = entry.bucket else {
            return Err(self.without_bucket(client, delivery, account));
        };
        Ok(Arc::new(files::CredentialsFile {
            sessions: Arc::clone(&self.sessions),
            account: entry.account,
            role: entry.role,
            place,
            application: client.spec.application.clone(),
            user: may_hold_user(client, delivery),
            rivals: files::Rivals {
                api: Api::namespaced(self.client.clone(), &client.namespace().unwrap_or_default()),
                client: client.clone(),
                account: account.to_owned(),
            },
        }))
    }

    fn secrets_manager(
        &self,
        client: &OAuthClient,
        delivery: &str,
        wanted: &crate::api::SecretsManagerDeliverySpec,
    ) -> Result<Arc<dyn Destination>, Outcome> {
        let entry = self.entry(client, delivery, &wanted.account)?;
        let region = wanted.region.parse().map_err(|error| {
            let message = format!("spec.delivery {delivery:?}: secretsManager.region: {error}");
            Outcome::blocked(DELIVERY_FAILED, message)
        })?;
        let name = wanted.secret_name.clone();
        let name = name.unwrap_or_else(|| format!("{}/oauth-client", client.spec.application));
        Ok(Arc::new(secrets_manager::ManagedSecret {
            sessions: Arc::clone(&self.sessions),
            account: entry.account,
            role: entry.role,
            region,
            name,
            owner: self.owner(client),
        }))
    }

    /// The account of that name, in the same namespace alone: nobody delivers into another team's account.
    fn entry(&self, client: &OAuthClient, delivery: &str, account: &str) -> Result<Entry, Outcome> {
        let namespace = client.namespace().unwrap_or_default();
        let here = format!("spec.delivery {delivery:?}");
        let Some(found) = self.caches.accounts.get(Some(&namespace), account) else {
            let message = format!(
                "{here}: there is no TeamAccount {account:?} in namespace {namespace}: name one of the team's own accounts"
            );
            return Err(Outcome::blocked(DELIVERY_FAILED, message));
        };
        let not_ready = |what: &str| {
            let message = format!(
                "{here}: account {account} {what} (kubectl describe teamaccount {account})"
            );
            Outcome::waiting(DELIVERY_FAILED, message, ACCOUNT_AGAIN)
        };
        let status = found.status.clone().unwrap_or_default();
        let id = status.account_id.as_deref().map(str::parse);
        let Some(Ok(id)) = id else {
            return Err(not_ready("is not made yet"));
        };
        let class = self.caches.class(&found.spec.class_name);
        let role = class.map(|class| class.spec.access_role_name.parse());
        let Some(Ok(role)) = role else {
            return Err(not_ready("has no class that names the role to enter it by"));
        };
        let bucket = status.credentials_bucket.and_then(|bucket| {
            Some(BucketPlace {
                name: bucket.bucket.parse().ok()?,
                region: bucket.region.parse().ok()?,
            })
        });
        Ok(Entry {
            account: id,
            role,
            bucket,
        })
    }

    /// Why an account has no credentials bucket.
    fn without_bucket(&self, client: &OAuthClient, delivery: &str, account: &str) -> Outcome {
        let namespace = client.namespace().unwrap_or_default();
        let found = self.caches.accounts.get(Some(&namespace), account);
        let shall_have = found.is_some_and(|found| self.shall_have_bucket(&found));
        let here = format!("spec.delivery {delivery:?}: account {account}");
        if shall_have {
            let message = format!(
                "{here} does not have its credentials bucket yet (kubectl describe teamaccount {account})"
            );
            return Outcome::waiting(DELIVERY_FAILED, message, ACCOUNT_AGAIN);
        }
        let message = format!(
            "{here} has no credentials bucket: the platform team names one in spec.credentialsBucket of its class, or \
             deliver to somewhere else"
        );
        Outcome::blocked(DELIVERY_FAILED, message)
    }

    fn shall_have_bucket(&self, account: &TeamAccount) -> bool {
        let overrides = account.spec.overrides.as_ref();
        let own = overrides.and_then(|overrides| overrides.credentials_bucket.as_ref());
        let class = self.caches.class(&account.spec.class_name);
        own.is_some_and(|bucket| bucket.name.is_some())
            || class.is_some_and(|class| class.spec.credentials_bucket.is_some())
    }
}

/// Whether a `user.json` of this client may be at that place: declared, of a version that there is, or written before (the
/// receipt is of two files then, and has a space in it). Only then is it touched: it may be mint's, or put there by hand.
fn may_hold_user(client: &OAuthClient, delivery: &str) -> bool {
    let status = client.status.as_ref();
    client.spec.grant_types.contains(&GrantType::Password)
        || status.is_some_and(|status| {
            let pair = |receipt: &String| receipt.contains(' ');
            let mut places = status.destinations.iter();
            status.versions.iter().any(|version| version.user)
                || places.any(|place| {
                    place.delivery.name == delivery && place.receipt.as_ref().is_some_and(pair)
                })
        })
}

/// A failure at a place, with its name.
fn at(location: &str, error: CloudError) -> Failure {
    let what = match error.kind {
        ErrorKind::Denied => {
            ": the operator's session there may write and list, if the account's role may; see the bucket's or the \
             secret's policy, its KMS key's, and the organization's service control policies"
        }
        _ => "",
    };
    let mut failure = Failure::from(error);
    failure.message = format!("{location}: {}{what}", failure.message);
    failure
}

/// What a place holds is somebody else's.
fn not_ours(location: &str, what: &str) -> Failure {
    let message = format!(
        "{location} exists and {what}: it is not touched; name another place in spec.delivery, or remove it if nobody needs it"
    );
    Failure::new(FailureKind::Terminal, DELIVERY_FAILED, message)
}

/// A failure of the API server, with the place's name. What changed under the write is looked at again.
fn in_cluster(location: &str, error: kube::Error) -> Failure {
    let mut failure = Failure::from(error);
    let what = match failure.label {
        CLUSTER_ACCESS_DENIED => {
            " (the Team's controller binds the operator to the role bailiwick-credentials-writer in the namespace)"
        }
        _ => "",
    };
    if failure.label == CONFLICT {
        failure.kind = FailureKind::Transient;
    }
    failure.message = format!("{location}: {}{what}", failure.message);
    failure
}
