//! Clients by Keycloak's admin API.

mod admin;
mod probe;
mod representation;
mod scopes;
mod users;
mod workload;

use std::sync::Mutex;

use async_trait::async_trait;
use http::{Method as HttpMethod, StatusCode};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use self::admin::Admin;
use self::probe::Overlap;
use self::representation::{UID, merge, text, wanted};
use super::http::{Payload, Reply};
use super::real::Issuer;
use super::{
    Capabilities, ClientMetadata, Description, ErrorKind, IdentityError, Inquiry, KeycloakLogin,
    Method, NewClient, OAuthServer, Registration, Result, ServiceUser, TokenAnswer, TokenRequest,
};
use crate::model::Secret;

/// A realm of Keycloak.
pub(super) struct Keycloak {
    admin: Admin,
    /// The alias of the identity provider that stands for the cluster.
    identity_provider: Option<String>,
    /// What the last probe found, and under which policies.
    probed: Mutex<Option<(String, Overlap)>>,
}

impl Keycloak {
    pub(super) fn new(
        issuer: Issuer,
        admin_url: Option<Url>,
        login: KeycloakLogin,
        identity_provider: Option<String>,
    ) -> Result<Self> {
        Ok(Self {
            identity_provider,
            admin: Admin::new(issuer, admin_url, login)?,
            probed: Mutex::default(),
        })
    }

    /// The client of this id, whoever's it is.
    async fn look_up(&self, operation: &'static str, id: &str) -> Result<Option<Value>> {
        let query = [("clientId", id)];
        let reply = self.admin.get(operation, &["clients"], &query).await?;
        let clients: Vec<Value> = reply.success()?.json()?;
        Ok(clients.into_iter().find(|client| client["clientId"] == id))
    }

    /// The client of a registration, if it is there; never one that is not ours.
    async fn ours(&self, operation: &'static str, id: &str) -> Result<Option<Value>> {
        let found = self.look_up(operation, id).await?;
        match found {
            Some(client) if client["attributes"][UID].is_string() => Ok(Some(client)),
            Some(_) => Err(foreign(operation, id)),
            None => Ok(None),
        }
    }

    async fn existing(&self, operation: &'static str, id: &str) -> Result<Value> {
        let missing = || {
            let message = format!("the realm has no client {id}");
            IdentityError::new(ErrorKind::NotFound, operation, message)
        };
        self.ours(operation, id).await?.ok_or_else(missing)
    }

    /// Writes the client as it was read, with these changes.
    async fn write(
        &self,
        operation: &'static str,
        mut client: Value,
        changes: Value,
        secret: Option<&Secret>,
    ) -> Result<()> {
        merge(&mut client, changes);
        let path = ["clients", text(operation, &client["id"])?];
        let put = self.admin.ask(operation, HttpMethod::PUT, &path);
        let put = put.with(Payload::json(&client)).hiding(secret);
        self.admin.send(put).await?.success()?;
        Ok(())
    }

    async fn secret(&self, operation: &'static str, uuid: &str) -> Result<Secret> {
        let path = ["clients", uuid, "client-secret"];
        let reply = self.admin.get(operation, &path, &[]).await?.success()?;
        secret_of(operation, &reply.json()?)
    }

    /// The secret before the present one, if it is still taken.
    async fn rotated(&self, operation: &'static str, uuid: &str) -> Result<Option<Secret>> {
        let path = ["clients", uuid, "client-secret", "rotated"];
        let reply = self.admin.get(operation, &path, &[]).await?;
        match reply.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => secret_of(operation, &reply.success()?.json()?).map(Some),
        }
    }

    /// Makes a new secret. The one before it lives on only where a policy of the realm says so.
    async fn renew(&self, operation: &'static str, uuid: &str) -> Result<Secret> {
        let path = ["clients", uuid, "client-secret"];
        let post = self.admin.ask(operation, HttpMethod::POST, &path);
        let reply = self.admin.send(post).await?.success()?;
        secret_of(operation, &reply.json()?)
    }

    /// The client as it is registered now.
    async fn registration(&self, operation: &'static str, id: &str) -> Result<Registration> {
        let client = self.existing(operation, id).await?;
        let uuid = text(operation, &client["id"])?;
        let secret =
            client["publicClient"] != true && client["clientAuthenticatorType"] == "client-secret";
        let secret = match secret {
            true => Some(self.secret(operation, uuid).await?),
            false => None,
        };
        Ok(Registration {
            client_id: id.to_owned(),
            secret_id: None,
            secret_expires: ends(&client).filter(|_| secret.is_some()),
            secret,
            management: None,
        })
    }
}

#[async_trait]
impl OAuthServer for Keycloak {
    async fn describe(&self, how: Inquiry) -> Result<Description> {
        let metadata = self.admin.issuer.discover().await?;
        let overlap = self.rotates("describe", how).await?;
        let mut methods = metadata.methods.clone();
        // Its metadata has only ways to authenticate, and not that a client need not.
        if !methods.contains(&Method::Public) {
            methods.push(Method::Public);
        }
        if self.takes_assertions("describe").await? {
            methods.insert(0, Method::WorkloadIdentity);
        }
        Ok(Description {
            token_endpoint: metadata.token_endpoint.clone(),
            methods,
            grant_types: metadata.grant_types.clone(),
            capabilities: Capabilities {
                secrets_in_place: overlap.is_had,
                older_secret_lives: overlap.lasts,
                updates: true,
                search: true,
            },
        })
    }

    async fn register(&self, new: &NewClient) -> Result<Registration> {
        const OPERATION: &str = "register";
        let secret = new.metadata.method.has_secret().then_some(&new.secret);
        let mut client = wanted(OPERATION, &new.metadata, self.identity_provider.as_deref())?;
        client["clientId"] = Value::from(new.handle.as_str());
        client["protocol"] = Value::from("openid-connect");
        client["attributes"][UID] = Value::from(new.uid.as_str());
        if let Some(secret) = secret {
            client["secret"] = Value::from(secret.reveal());
        }
        let post = self.admin.ask(OPERATION, HttpMethod::POST, &["clients"]);
        let post = post.with(Payload::json(&client)).hiding(secret);
        let reply = self.admin.send(post).await?;
        let uuid = if reply.status == StatusCode::CONFLICT {
            let found = self.look_up(OPERATION, &new.handle).await?;
            let found = found.ok_or_else(|| reply.refusal())?;
            if found["attributes"][UID] != new.uid.as_str() {
                return Err(foreign(OPERATION, &new.handle));
            }
            let uuid = text(OPERATION, &found["id"])?.to_owned();
            self.write(OPERATION, found, client, secret).await?;
            uuid
        } else {
            created(&reply.success()?)?
        };
        self.sync_scopes(OPERATION, &uuid, &new.metadata).await?;
        self.registration(OPERATION, &new.handle).await
    }

    async fn find(&self, handle: &str, uid: &str) -> Result<Vec<Registration>> {
        const OPERATION: &str = "find";
        match self.look_up(OPERATION, handle).await? {
            Some(client) if client["attributes"][UID] == uid => {
                Ok(vec![self.registration(OPERATION, handle).await?])
            }
            _ => Ok(Vec::new()),
        }
    }

    async fn update(&self, registration: &Registration, metadata: &ClientMetadata) -> Result<()> {
        const OPERATION: &str = "update";
        let changes = wanted(OPERATION, metadata, self.identity_provider.as_deref())?;
        let client = self.existing(OPERATION, &registration.client_id).await?;
        let uuid = text(OPERATION, &client["id"])?.to_owned();
        let secret = registration.secret.as_ref();
        self.write(OPERATION, client, changes, secret).await?;
        self.sync_scopes(OPERATION, &uuid, metadata).await
    }

    async fn add_secret(&self, registration: &Registration) -> Result<Registration> {
        const OPERATION: &str = "add_secret";
        let (id, old) = (&registration.client_id, known(OPERATION, registration)?);
        let client = self.existing(OPERATION, id).await?;
        let uuid = text(OPERATION, &client["id"])?;
        if self.secret(OPERATION, uuid).await? != *old {
            // A lost answer, most likely: the newer one is there.
            return self.registration(OPERATION, id).await;
        }
        self.renew(OPERATION, uuid).await?;
        if self.rotated(OPERATION, uuid).await?.as_ref() != Some(old) {
            // What was found out about the realm does not hold for this client: nothing must break by it.
            let client = self.existing(OPERATION, id).await?;
            let back = json!({"secret": old.reveal()});
            self.write(OPERATION, client, back, Some(old)).await?;
            let message = format!(
                "no policy of the realm lets client {id} have two secrets; its old one was put back"
            );
            return Err(IdentityError::new(ErrorKind::Refused, OPERATION, message));
        }
        self.registration(OPERATION, id).await
    }

    async fn retire_secret(&self, registration: &Registration) -> Result<()> {
        const OPERATION: &str = "retire_secret";
        let (id, kept) = (&registration.client_id, known(OPERATION, registration)?);
        let client = self.existing(OPERATION, id).await?;
        let uuid = text(OPERATION, &client["id"])?.to_owned();
        if self.secret(OPERATION, &uuid).await? != *kept {
            if self.rotated(OPERATION, &uuid).await?.as_ref() != Some(kept) {
                let message = format!("client {id} has not the secret that is to stay");
                return Err(IdentityError::new(ErrorKind::NotFound, OPERATION, message));
            }
            // It is the older one that stays.
            let back = json!({"secret": kept.reveal()});
            self.write(OPERATION, client, back, Some(kept)).await?;
        }
        let path = ["clients", &uuid, "client-secret", "rotated"];
        let delete = self.admin.ask(OPERATION, HttpMethod::DELETE, &path);
        gone(self.admin.send(delete).await?)
    }

    async fn secret_ends(&self, registration: &Registration) -> Result<Option<Timestamp>> {
        let client = self
            .existing("secret_ends", &registration.client_id)
            .await?;
        Ok(ends(&client).filter(|_| registration.secret.is_some()))
    }

    async fn delete(&self, registration: &Registration) -> Result<()> {
        const OPERATION: &str = "delete";
        let Some(client) = self.ours(OPERATION, &registration.client_id).await? else {
            return Ok(());
        };
        let path = ["clients", text(OPERATION, &client["id"])?];
        let delete = self.admin.ask(OPERATION, HttpMethod::DELETE, &path);
        gone(self.admin.send(delete).await?)
    }

    async fn request_token(&self, request: &TokenRequest) -> Result<TokenAnswer> {
        self.admin.issuer.request_token(request).await
    }

    async fn make_user(&self, user: &ServiceUser) -> Result<()> {
        Self::make_user(self, "make_user", user).await
    }

    async fn remove_user(&self, username: &str, uid: &str) -> Result<()> {
        Self::remove_user(self, "remove_user", username, uid).await
    }

    async fn request_token_as(
        &self,
        request: &TokenRequest,
        user: &ServiceUser,
    ) -> Result<TokenAnswer> {
        self.admin.issuer.request_token_as(request, user).await
    }

    async fn confirm(&self, registration: &Registration, subject: &str) -> Result<TokenAnswer> {
        const OPERATION: &str = "confirm";
        let id = &registration.client_id;
        let found = self.ours(OPERATION, id).await?;
        let alias = self.identity_provider.as_deref();
        Ok(workload::judge(id, found.as_ref(), alias, subject))
    }
}

/// When the secret of a client ends. A policy sets that with the client's next change or use where there was none before.
fn ends(client: &Value) -> Option<Timestamp> {
    let seconds = client["attributes"]["client.secret.expiration.time"].as_str()?;
    Timestamp::from_second(seconds.parse().ok()?).ok()
}

/// That it is gone already is no error.
fn gone(reply: Reply) -> Result<()> {
    match reply.status {
        StatusCode::NOT_FOUND => Ok(()),
        _ => reply.success().map(drop),
    }
}

/// The id of what was made: the end of `Location`.
fn created(reply: &Reply) -> Result<String> {
    let id = reply
        .header("location")
        .and_then(|url| url.rsplit('/').next());
    id.filter(|id| !id.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| {
            let message = "Keycloak does not say what it made (no Location)";
            IdentityError::new(ErrorKind::Invalid, reply.operation, message)
        })
}

fn secret_of(operation: &'static str, document: &Value) -> Result<Secret> {
    text(operation, &document["value"]).map(Secret::new)
}

fn known<'a>(operation: &'static str, registration: &'a Registration) -> Result<&'a Secret> {
    registration.secret.as_ref().ok_or_else(|| {
        let message = format!("client {} has no secret", registration.client_id);
        IdentityError::new(ErrorKind::Invalid, operation, message)
    })
}

fn foreign(operation: &'static str, id: &str) -> IdentityError {
    let message = format!(
        "the realm has a client {id} that is not ours (its attribute {UID} is another's, or missing): rename or remove it"
    );
    IdentityError::new(ErrorKind::AlreadyExists, operation, message)
}
