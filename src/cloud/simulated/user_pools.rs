//! User pools: their app clients, and what people do to them behind our back.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::faults::Call;
use super::member::Inside;
use super::refusal::refused;
use super::world::World;
use super::{Gate, SimulatedCloud};
use crate::cloud::user_pools::{
    ListedPoolClient, ListedPoolSecret, NewPoolClient, NewPoolSecret, OAuthFlow, PoolClient,
    PoolClientSettings, PoolState, UserPool,
};
use crate::cloud::{Page, Result};
use crate::model::{AccountId, Secret, UserPoolId};

const DESCRIBE_POOL: &str = "cognito-idp.DescribeUserPool";
const LIST_SERVERS: &str = "cognito-idp.ListResourceServers";
const LIST: &str = "cognito-idp.ListUserPoolClients";
const DESCRIBE: &str = "cognito-idp.DescribeUserPoolClient";
const CREATE: &str = "cognito-idp.CreateUserPoolClient";
const UPDATE: &str = "cognito-idp.UpdateUserPoolClient";
const DELETE: &str = "cognito-idp.DeleteUserPoolClient";
const LIST_SECRETS: &str = "cognito-idp.ListUserPoolClientSecrets";
const ADD_SECRET: &str = "cognito-idp.AddUserPoolClientSecret";
const DELETE_SECRET: &str = "cognito-idp.DeleteUserPoolClientSecret";

/// As many as AWS gives in a page.
const PAGE: usize = 60;
/// Cognito's quota, app clients for each pool.
const CLIENTS: usize = 1000;
/// As many as a client has at most.
const SECRETS: usize = 2;

/// A user pool, as it is.
#[derive(Debug, Clone, Default)]
pub struct UserPoolRecord {
    /// Whose it is; `None`: our own account's.
    pub account: Option<AccountId>,
    /// It has a domain.
    pub has_domain: bool,
    /// There are the operations for second secrets.
    pub has_second_secrets: bool,
    /// The custom scopes, as `<resource server>/<scope>`.
    pub scopes: BTreeSet<String>,
    /// The clients, by id.
    pub clients: BTreeMap<String, PoolClientRecord>,
    /// So many more lists are behind: the newest client is not in them.
    pub lists_behind: u32,
    made: u64,
}

/// A client, as it is.
#[derive(Debug, Clone, Default)]
pub struct PoolClientRecord {
    /// Its name.
    pub name: String,
    /// Its secrets, the oldest first; a public client has none.
    pub secrets: Vec<(ListedPoolSecret, Secret)>,
    /// What we decide.
    pub settings: PoolClientSettings,
    /// It was made without a secret.
    pub is_public: bool,
}

/// All that there are.
#[derive(Default)]
pub(super) struct Pools {
    by_id: BTreeMap<UserPoolId, UserPoolRecord>,
    /// Where their OpenID configurations are, if not at home.
    endpoint: Option<String>,
}

impl UserPoolRecord {
    fn client(&mut self, operation: &'static str, id: &str) -> Result<&mut PoolClientRecord> {
        self.clients.get_mut(id).ok_or_else(|| {
            let message = format!("User pool client {id} does not exist.");
            refused(operation, "ResourceNotFoundException", message)
        })
    }

    fn check(&self, operation: &'static str, settings: &PoolClientSettings) -> Result<()> {
        let invalid = |message: &str| Err(refused(operation, "InvalidParameterException", message));
        let custom = |scope: &&String| scope.contains('/');
        let mut scopes = settings.scopes.iter().filter(custom);
        if let Some(missing) = scopes.find(|scope| !self.scopes.contains(*scope)) {
            return Err(refused(
                operation,
                "ScopeDoesNotExistException",
                missing.as_str(),
            ));
        }
        if settings.scopes.is_empty() || settings.flows.is_empty() {
            return invalid(
                "AllowedOAuthFlows and AllowedOAuthScopes are required if user pool client is allowed to use OAuth flows.",
            );
        }
        if settings.flows.contains(&OAuthFlow::ClientCredentials) && settings.flows.len() > 1 {
            return invalid("client_credentials flow can not be selected along with code flow.");
        }
        Ok(())
    }

    fn secret(
        &mut self,
        client: &str,
        now: k8s_openapi::jiff::Timestamp,
    ) -> (ListedPoolSecret, Secret) {
        self.made += 1;
        let number = self.made;
        let listed = ListedPoolSecret {
            id: format!("{client}--{number}"),
            created: Some(now),
        };
        (
            listed,
            Secret::new(format!("canarysecretofapool{number:08}")),
        )
    }
}

/// A pool, for one caller.
pub(super) struct InsidePool {
    pub(super) gate: Gate,
    /// `None`: our own account.
    pub(super) inside: Option<Inside>,
    pub(super) pool: UserPoolId,
}

impl InsidePool {
    async fn call<T: Send>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut UserPoolRecord, &mut World) -> Result<T> + Send,
    ) -> Result<T> {
        let operation = call.operation;
        let account = self.inside.as_ref().map(|inside| inside.id.clone());
        let run = |world: &mut World| {
            let found = world.pools.by_id.get(&self.pool).cloned();
            let found = found.filter(|found| found.account == account);
            let Some(mut record) = found else {
                let message = format!("User pool {} does not exist.", self.pool);
                return Err(refused(operation, "ResourceNotFoundException", message));
            };
            let answer = effect(&mut record, world);
            world.pools.by_id.insert(self.pool.clone(), record);
            answer
        };
        match &self.inside {
            Some(inside) => inside.call(call, run).await,
            None => self.gate.call(call, run).await,
        }
    }

    /// Operations that are not everywhere.
    async fn of_secrets<T: Send>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut UserPoolRecord, &mut World) -> Result<T> + Send,
    ) -> Result<T> {
        let operation = call.operation;
        self.call(call, |record, world| {
            if !record.has_second_secrets {
                return Err(refused(operation, "UnknownOperationException", ""));
            }
            effect(record, world)
        })
        .await
    }
}

#[async_trait]
impl UserPool for InsidePool {
    async fn state(&self) -> Result<PoolState> {
        self.call(Call::read(DESCRIBE_POOL, &self.pool), |record, _| {
            Ok(PoolState {
                has_domain: record.has_domain,
            })
        })
        .await
    }

    async fn has_second_secrets(&self) -> Result<bool> {
        self.call(Call::read(LIST_SECRETS, "nobody"), |record, _| {
            Ok(record.has_second_secrets)
        })
        .await
    }

    async fn scopes(&self) -> Result<BTreeSet<String>> {
        self.call(Call::read(LIST_SERVERS, &self.pool), |record, _| {
            Ok(record.scopes.clone())
        })
        .await
    }

    async fn clients(&self, page: Option<String>) -> Result<Page<ListedPoolClient>> {
        self.call(Call::read(LIST, &self.pool), |record, _| {
            let after = page.unwrap_or_default();
            let rest = record
                .clients
                .range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
            let listed = rest.take(PAGE).map(|(id, client)| ListedPoolClient {
                id: id.clone(),
                name: client.name.clone(),
            });
            let mut items: Vec<_> = listed.collect();
            let full = items.len() == PAGE;
            let next = items.last().filter(|_| full).map(|last| last.id.clone());
            let newest = record.clients.keys().next_back();
            if next.is_none() && record.lists_behind > 0 {
                items.retain(|listed| Some(&listed.id) != newest);
                record.lists_behind -= 1;
            }
            Ok(Page { items, next })
        })
        .await
    }

    async fn client(&self, id: &str) -> Result<PoolClient> {
        self.call(Call::read(DESCRIBE, id), |record, _| {
            let client = record.client(DESCRIBE, id)?;
            Ok(PoolClient {
                id: id.to_owned(),
                name: client.name.clone(),
                secret: client.secrets.first().map(|(_, value)| value.clone()),
                callbacks: client.settings.callbacks.clone(),
            })
        })
        .await
    }

    async fn create_client(&self, new: &NewPoolClient) -> Result<PoolClient> {
        self.call(Call::write(CREATE, &new.name), |record, world| {
            record.check(CREATE, &new.settings)?;
            if record.clients.len() >= CLIENTS {
                let message = "The limit of app clients of the user pool is reached.";
                return Err(refused(CREATE, "LimitExceededException", message));
            }
            record.made += 1;
            let id = format!("client{:020}", record.made);
            let secret = new.with_secret.then(|| record.secret(&id, world.now));
            let value = secret.as_ref().map(|(_, value)| value.clone());
            let client = PoolClientRecord {
                name: new.name.clone(),
                secrets: secret.into_iter().collect(),
                settings: new.settings.clone(),
                is_public: !new.with_secret,
            };
            record.clients.insert(id.clone(), client);
            Ok(PoolClient {
                id,
                name: new.name.clone(),
                secret: value,
                callbacks: new.settings.callbacks.clone(),
            })
        })
        .await
    }

    async fn change_client(&self, id: &str, settings: &PoolClientSettings) -> Result<()> {
        self.call(Call::write(UPDATE, id), |record, _| {
            record.check(UPDATE, settings)?;
            record.client(UPDATE, id)?.settings = settings.clone();
            Ok(())
        })
        .await
    }

    async fn delete_client(&self, id: &str) -> Result<()> {
        self.call(Call::write(DELETE, id), |record, _| {
            record.client(DELETE, id)?;
            record.clients.remove(id);
            Ok(())
        })
        .await
    }

    async fn secrets(&self, id: &str) -> Result<Vec<ListedPoolSecret>> {
        self.of_secrets(Call::read(LIST_SECRETS, id), |record, _| {
            let secrets = record.client(LIST_SECRETS, id)?.secrets.iter();
            // In no order that AWS promises.
            Ok(secrets.rev().map(|(listed, _)| listed.clone()).collect())
        })
        .await
    }

    async fn add_secret(&self, id: &str) -> Result<NewPoolSecret> {
        self.of_secrets(Call::write(ADD_SECRET, id), |record, world| {
            let client = record.client(ADD_SECRET, id)?;
            if client.is_public {
                let message = "The app client has no secret.";
                return Err(refused(ADD_SECRET, "InvalidParameterException", message));
            }
            if client.secrets.len() >= SECRETS {
                let message = "The app client has the maximum number of secrets.";
                return Err(refused(ADD_SECRET, "LimitExceededException", message));
            }
            let made = record.secret(id, world.now);
            let (listed, value) = made.clone();
            record.client(ADD_SECRET, id)?.secrets.push(made);
            Ok(NewPoolSecret {
                id: listed.id,
                value,
            })
        })
        .await
    }

    async fn delete_secret(&self, id: &str, secret: &str) -> Result<()> {
        self.of_secrets(Call::write(DELETE_SECRET, id), |record, _| {
            let secrets = &mut record.client(DELETE_SECRET, id)?.secrets;
            let Some(at) = secrets.iter().position(|(listed, _)| listed.id == secret) else {
                let message = "The client secret does not exist.";
                return Err(refused(DELETE_SECRET, "ResourceNotFoundException", message));
            };
            if secrets.len() == 1 {
                let message = "The last secret of an app client cannot be deleted.";
                return Err(refused(DELETE_SECRET, "InvalidParameterException", message));
            }
            secrets.remove(at);
            Ok(())
        })
        .await
    }
}

impl World {
    pub(super) fn user_pool_url(&self, pool: &UserPoolId) -> String {
        match &self.pools.endpoint {
            Some(endpoint) => format!("{endpoint}/{pool}"),
            None => pool.issuer(),
        }
    }
}

/// What a test sees of user pools, and does to them, past the port.
impl SimulatedCloud {
    /// A user pool.
    pub fn user_pool(&self, pool: &UserPoolId) -> Option<UserPoolRecord> {
        self.world().pools.by_id.get(pool).cloned()
    }

    /// Somebody changes a user pool by hand, or makes one.
    pub fn change_user_pool(&self, pool: &UserPoolId, change: impl FnOnce(&mut UserPoolRecord)) {
        let mut world = self.world();
        change(world.pools.by_id.entry(pool.clone()).or_default());
    }

    /// From now on the pools' OpenID configurations are at this address.
    pub fn set_user_pools_at(&self, endpoint: &str) {
        self.world().pools.endpoint = Some(endpoint.to_owned());
    }
}
