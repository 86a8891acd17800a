//! Clients as app clients of an Amazon Cognito user pool.
//!
//! AWS chooses their ids and secrets. Ours is what bears our mark in its name; nothing else is changed or removed. A secret is
//! shown once, when it is made; later it is known by its id alone, and the first one of a client by being the oldest.

mod absence;
mod client;

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use self::absence::Absence;
use self::client::{is_ours, is_the_one, name, scope, settings};
use super::real::Issuer;
use super::token::NOWHERE;
use super::{
    Capabilities, ClientMetadata, Description, ErrorKind, IdentityError, Inquiry, Method,
    NewClient, OAuthServer, Registration, Result, TokenAnswer, TokenRequest,
};
use crate::cloud::user_pools::{
    ListedPoolSecret, NewPoolClient, PoolClient, PoolClientSettings, UserPool,
};
use crate::cloud::{CloudError, ErrorKind as CloudKind, Sessions};
use crate::model::{AccountId, RoleName, UserPoolId};

/// The grant types that app clients have and we can give. The metadata says nothing of them.
const GRANT_TYPES: [&str; 3] = ["authorization_code", "client_credentials", "refresh_token"];

/// A user pool.
pub(super) struct Cognito {
    issuer: Issuer,
    sessions: Arc<dyn Sessions>,
    pool: UserPoolId,
    account: Option<(AccountId, RoleName)>,
    /// Whether what no list shows is not there.
    absence: Absence,
}

/// Where that pool's metadata is, if the issuer is that pool's.
pub(super) fn metadata_of(sessions: &dyn Sessions, pool: &UserPoolId, issuer: &Url) -> Result<Url> {
    let own = pool.issuer();
    if Url::parse(&own).ok().as_ref() != Some(issuer) {
        let message = format!(
            "spec.issuer is not the issuer of the user pool that spec.cognito.userPoolId names: that is {own}; correct the one \
             that is wrong"
        );
        return Err(IdentityError::new(ErrorKind::Refused, "open", message));
    }
    let at = sessions.user_pool_url(pool);
    at.parse().map_err(|error| {
        let message = format!("AWS is configured to be at {at}, which is no URL: {error}");
        IdentityError::new(ErrorKind::Invalid, "open", message)
    })
}

impl Cognito {
    pub(super) fn new(
        issuer: Issuer,
        sessions: Arc<dyn Sessions>,
        pool: UserPoolId,
        account: Option<(AccountId, RoleName)>,
    ) -> Self {
        let absence = Absence::new((issuer.clock)());
        Self {
            issuer,
            sessions,
            pool,
            account,
            absence,
        }
    }

    /// Where the client's people are sent, if it is there.
    async fn callback(&self, operation: &'static str, id: &str) -> Result<Option<String>> {
        match self.pool(operation).await?.client(id).await {
            Ok(client) => Ok(client.callbacks.into_iter().next()),
            // The token endpoint says so in its own words.
            Err(error) if error.kind == CloudKind::NotFound => Ok(None),
            Err(error) => Err(failed(operation, error)),
        }
    }

    async fn pool(&self, operation: &'static str) -> Result<Arc<dyn UserPool>> {
        let entered = self.sessions.user_pool(self.account.as_ref(), &self.pool);
        entered.await.map_err(|error| failed(operation, error))
    }

    /// That the pool is there, where we look.
    async fn present(&self, operation: &'static str, pool: &dyn UserPool) -> Result<bool> {
        match pool.state().await {
            Ok(state) => Ok(state.has_domain),
            Err(error) if error.kind == CloudKind::NotFound => {
                let place = match &self.account {
                    Some((account, _)) => format!("account {account}"),
                    None => "the operator's own account".to_owned(),
                };
                let message = format!(
                    "there is no user pool {} in {place}: check spec.cognito of the OAuthProvider",
                    self.pool
                );
                Err(IdentityError::new(ErrorKind::Refused, operation, message))
            }
            Err(error) => Err(failed(operation, error)),
        }
    }

    /// The client of a registration, if it is there; never one that is not ours. In a pool that is not there, nothing is gone.
    async fn ours(
        &self,
        operation: &'static str,
        pool: &dyn UserPool,
        id: &str,
    ) -> Result<Option<PoolClient>> {
        match pool.client(id).await {
            Ok(client) if is_ours(&client.name) => Ok(Some(client)),
            Ok(_) => {
                let message = format!(
                    "client {id} of user pool {} is not ours, by its name: it is left as it is",
                    self.pool
                );
                Err(IdentityError::new(
                    ErrorKind::AlreadyExists,
                    operation,
                    message,
                ))
            }
            Err(error) if error.kind == CloudKind::NotFound => {
                self.present(operation, pool).await?;
                Ok(None)
            }
            Err(error) => Err(failed(operation, error)),
        }
    }

    async fn existing(
        &self,
        operation: &'static str,
        pool: &dyn UserPool,
        id: &str,
    ) -> Result<PoolClient> {
        let missing = || {
            let message = format!("user pool {} has no client {id}", self.pool);
            IdentityError::new(ErrorKind::NotFound, operation, message)
        };
        self.ours(operation, pool, id).await?.ok_or_else(missing)
    }

    /// What it means that AWS does not take such a client: most likely a scope that no resource server has.
    async fn refused(
        &self,
        operation: &'static str,
        pool: &dyn UserPool,
        settings: &PoolClientSettings,
        error: CloudError,
    ) -> IdentityError {
        let custom: Vec<&String> = settings
            .scopes
            .iter()
            .filter(|scope| scope.contains('/'))
            .collect();
        if error.kind != CloudKind::Invalid || custom.is_empty() {
            return failed(operation, error);
        }
        let Ok(known) = pool.scopes().await else {
            return failed(operation, error);
        };
        let missing: Vec<&str> = custom
            .into_iter()
            .filter(|scope| !known.contains(*scope))
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            return failed(operation, error);
        }
        let message = format!(
            "user pool {} has no scope {}: its administrator adds it to the resource server that is named before the slash, or \
             makes that; bailiwick changes no resource servers",
            self.pool,
            missing.join(", ")
        );
        IdentityError::new(ErrorKind::Refused, operation, message)
    }

    /// The id of the registration's own secret, and those of the others.
    async fn secrets(
        &self,
        operation: &'static str,
        pool: &dyn UserPool,
        registration: &Registration,
    ) -> Result<Vec<ListedPoolSecret>> {
        let id = &registration.client_id;
        self.existing(operation, pool, id).await?;
        let listed = pool.secrets(id).await;
        let mut listed = listed.map_err(|error| failed(operation, error))?;
        listed.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        // What a client is born with has no id of which we were told.
        let own = match &registration.secret_id {
            Some(own) => listed.iter().position(|secret| secret.id == *own),
            None => (!listed.is_empty()).then_some(0),
        };
        let Some(own) = own else {
            let message = format!("client {id} has not the secret that is to stay");
            return Err(IdentityError::new(ErrorKind::NotFound, operation, message));
        };
        listed.remove(own);
        Ok(listed)
    }

    async fn end_others(
        &self,
        operation: &'static str,
        pool: &dyn UserPool,
        registration: &Registration,
    ) -> Result<()> {
        for other in self.secrets(operation, pool, registration).await? {
            match pool.delete_secret(&registration.client_id, &other.id).await {
                Err(error) if error.kind == CloudKind::NotFound => {}
                ended => ended.map_err(|error| failed(operation, error))?,
            }
        }
        Ok(())
    }
}

#[async_trait]
impl OAuthServer for Cognito {
    async fn describe(&self, _: Inquiry) -> Result<Description> {
        const OPERATION: &str = "describe";
        let pool = self.pool(OPERATION).await?;
        if !self.present(OPERATION, &*pool).await? {
            let message = format!(
                "user pool {} has no domain, and so no token endpoint: its administrator gives it one",
                self.pool
            );
            return Err(IdentityError::new(ErrorKind::Refused, OPERATION, message));
        }
        let metadata = self.issuer.discover().await?;
        let second = pool.has_second_secrets().await;
        let secrets_in_place = second.map_err(|error| failed(OPERATION, error))?;
        // A client of Cognito has no keys, whatever the metadata says; and need not have a secret, of which it says nothing.
        let has_secret = |method: &&Method| method.has_secret();
        let mut methods: Vec<Method> = metadata
            .methods
            .iter()
            .filter(has_secret)
            .copied()
            .collect();
        methods.push(Method::Public);
        Ok(Description {
            token_endpoint: metadata.token_endpoint.clone(),
            methods,
            grant_types: GRANT_TYPES.map(str::to_owned).to_vec(),
            capabilities: Capabilities {
                secrets_in_place,
                older_secret_lives: None,
                updates: true,
                search: true,
            },
        })
    }

    async fn register(&self, new: &NewClient) -> Result<Registration> {
        const OPERATION: &str = "register";
        let with_secret = new.metadata.method.has_secret();
        let client = NewPoolClient {
            name: name(OPERATION, &new.handle, &new.uid, &new.metadata.name)?,
            with_secret,
            settings: settings(OPERATION, &new.metadata)?,
        };
        let pool = self.pool(OPERATION).await?;
        let made = match pool.create_client(&client).await {
            Ok(made) => made,
            Err(error) => {
                if error.kind.may_have_happened() {
                    let now = (self.issuer.clock)();
                    self.absence.doubt(&new.handle, now);
                }
                return Err(self
                    .refused(OPERATION, &*pool, &client.settings, error)
                    .await);
            }
        };
        let registration = registration(made);
        if with_secret && registration.secret.is_none() {
            let message = "Cognito made a client and does not show its secret";
            return Err(IdentityError::new(ErrorKind::Invalid, OPERATION, message));
        }
        Ok(registration)
    }

    async fn find(&self, handle: &str, uid: &str) -> Result<Vec<Registration>> {
        const OPERATION: &str = "find";
        let pool = self.pool(OPERATION).await?;
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let page = pool.clients(next).await;
            let page = page.map_err(|error| failed(OPERATION, error))?;
            let ours = |name: &str| is_the_one(name, handle, uid);
            for listed in page.items.iter().filter(|listed| ours(&listed.name)) {
                match pool.client(&listed.id).await {
                    Ok(client) if ours(&client.name) => found.push(registration(client)),
                    // It has gone, or become another's, since.
                    Ok(_) => {}
                    Err(error) if error.kind == CloudKind::NotFound => {}
                    Err(error) => return Err(failed(OPERATION, error)),
                }
            }
            next = page.next;
            if next.is_some() {
                continue;
            }
            if found.is_empty() {
                let now = (self.issuer.clock)();
                self.absence.believe(OPERATION, handle, now)?;
            }
            return Ok(found);
        }
    }

    async fn update(&self, registration: &Registration, metadata: &ClientMetadata) -> Result<()> {
        const OPERATION: &str = "update";
        let settings = settings(OPERATION, metadata)?;
        let (pool, id) = (self.pool(OPERATION).await?, &registration.client_id);
        self.existing(OPERATION, &*pool, id).await?;
        match pool.change_client(id, &settings).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.refused(OPERATION, &*pool, &settings, error).await),
        }
    }

    async fn add_secret(&self, registration: &Registration) -> Result<Registration> {
        const OPERATION: &str = "add_secret";
        let pool = self.pool(OPERATION).await?;
        // Of a lost answer, most likely. What it is nobody will ever know, and there is room for two.
        self.end_others(OPERATION, &*pool, registration).await?;
        let made = pool.add_secret(&registration.client_id).await;
        let made = made.map_err(|error| failed(OPERATION, error))?;
        Ok(Registration {
            secret: Some(made.value),
            secret_id: Some(made.id),
            ..registration.clone()
        })
    }

    async fn retire_secret(&self, registration: &Registration) -> Result<()> {
        const OPERATION: &str = "retire_secret";
        let pool = self.pool(OPERATION).await?;
        self.end_others(OPERATION, &*pool, registration).await
    }

    async fn delete(&self, registration: &Registration) -> Result<()> {
        const OPERATION: &str = "delete";
        let (pool, id) = (self.pool(OPERATION).await?, &registration.client_id);
        if self.ours(OPERATION, &*pool, id).await?.is_none() {
            return Ok(());
        }
        match pool.delete_client(id).await {
            Err(error) if error.kind == CloudKind::NotFound => Ok(()),
            deleted => deleted.map_err(|error| failed(OPERATION, error)),
        }
    }

    async fn request_token(&self, request: &TokenRequest) -> Result<TokenAnswer> {
        let scopes = request.scopes.as_ref();
        let spelled = |scopes: &Vec<String>| scopes.iter().map(|it| scope(it)).collect();
        let request = TokenRequest {
            scopes: scopes.map(spelled),
            ..request.clone()
        };
        // Cognito answers `unauthorized_client` where a redirection URI is none of the client's, whatever the code.
        let callback = match request.scopes {
            Some(_) => None,
            None => self.callback("token", &request.client_id).await?,
        };
        let callback = callback.as_deref().unwrap_or(NOWHERE);
        self.issuer.request_token_at(&request, callback).await
    }
}

fn registration(client: PoolClient) -> Registration {
    Registration {
        client_id: client.id,
        secret: client.secret,
        secret_id: None,
        secret_expires: None,
        management: None,
    }
}

/// What an error of AWS means to who wants a client.
fn failed(operation: &'static str, error: CloudError) -> IdentityError {
    let kind = match error.kind {
        CloudKind::NotFound => ErrorKind::NotFound,
        CloudKind::AlreadyExists => ErrorKind::AlreadyExists,
        CloudKind::Denied => ErrorKind::Denied,
        CloudKind::Throttled => ErrorKind::Throttled,
        CloudKind::Conflict | CloudKind::Unavailable | CloudKind::Unknown => ErrorKind::Unavailable,
        // A pool has a thousand clients, unless AWS is asked for more.
        CloudKind::Invalid | CloudKind::Quota => ErrorKind::Refused,
    };
    IdentityError::new(kind, operation, error.to_string())
}
