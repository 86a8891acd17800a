//! The port to a user pool of Amazon Cognito: its app clients, and the secrets that they have.

use std::collections::BTreeSet;

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;

use super::{Page, Result};
use crate::model::Secret;

/// What a client may be used for at the token endpoint (`AllowedOAuthFlows`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OAuthFlow {
    /// `code`: for people.
    Code,
    /// `client_credentials`: on its own behalf.
    ClientCredentials,
}

/// What we decide about a client. All else is the pool's administrators'.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolClientSettings {
    /// `AllowedOAuthFlows`.
    pub flows: Vec<OAuthFlow>,
    /// `AllowedOAuthScopes`: `<resource server>/<scope>`, or one of OpenID Connect's.
    pub scopes: Vec<String>,
    /// `CallbackURLs`.
    pub callbacks: Vec<String>,
}

/// A client that shall be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPoolClient {
    /// Its name: not unique, and all that a list shows besides the id.
    pub name: String,
    /// Whether it has a secret; that never changes.
    pub with_secret: bool,
    /// The rest.
    pub settings: PoolClientSettings,
}

/// A client, as a description shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolClient {
    /// Its id, which AWS has chosen.
    pub id: String,
    /// Its name.
    pub name: String,
    /// A secret of it, if it has one. Which one, where it has two, AWS does not say.
    pub secret: Option<Secret>,
    /// `CallbackURLs`.
    pub callbacks: Vec<String>,
}

/// A client, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPoolClient {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A secret of a client, as a list shows it: never what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPoolSecret {
    /// Its id.
    pub id: String,
    /// Since when there is one, if AWS says.
    pub created: Option<Timestamp>,
}

/// A secret that was just made. What it is, AWS shows never again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPoolSecret {
    /// Its id.
    pub id: String,
    /// What it is.
    pub value: Secret,
}

/// A user pool, as a description shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// It has a domain, Cognito's or one's own; without, there is no token endpoint.
    pub has_domain: bool,
}

/// One user pool.
#[async_trait]
pub trait UserPool: Send + Sync {
    /// DescribeUserPool.
    async fn state(&self) -> Result<PoolState>;
    /// Whether there are the operations by which a client gets a second secret. Asked by ListUserPoolClientSecrets of a
    /// client that cannot be, so that nothing is written.
    async fn has_second_secrets(&self) -> Result<bool>;
    /// ListResourceServers, all pages: every custom scope that there is, as `<resource server>/<scope>`.
    async fn scopes(&self) -> Result<BTreeSet<String>>;
    /// ListUserPoolClients, one page of sixty.
    async fn clients(&self, page: Option<String>) -> Result<Page<ListedPoolClient>>;
    /// DescribeUserPoolClient.
    async fn client(&self, id: &str) -> Result<PoolClient>;
    /// CreateUserPoolClient. Not idempotent and without a token: never sent twice, and after a lost answer a list must be
    /// searched for the name.
    async fn create_client(&self, new: &NewPoolClient) -> Result<PoolClient>;
    /// UpdateUserPoolClient. It sets all that is left out to its default; so what is not of `settings` is read before, and
    /// written as it was.
    async fn change_client(&self, id: &str, settings: &PoolClientSettings) -> Result<()>;
    /// DeleteUserPoolClient, with all its secrets.
    async fn delete_client(&self, id: &str) -> Result<()>;
    /// ListUserPoolClientSecrets; there are two at most.
    async fn secrets(&self, id: &str) -> Result<Vec<ListedPoolSecret>>;
    /// AddUserPoolClientSecret, and AWS chooses it. Not idempotent: never sent twice. `Quota`: there are two already.
    async fn add_secret(&self, id: &str) -> Result<NewPoolSecret>;
    /// DeleteUserPoolClientSecret.
    async fn delete_secret(&self, id: &str, secret: &str) -> Result<()>;
}
