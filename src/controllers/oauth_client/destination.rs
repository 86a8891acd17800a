//! Where credentials are delivered to, whatever it is.

use std::sync::Arc;

use async_trait::async_trait;

use crate::api::{DeliverySpec, OAuthClient};
use crate::engine::{Failure, Outcome};
use crate::model::Secret;

/// What is delivered: the files of one version, the same everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The number of the version.
    pub version: i64,
    /// `client.json`: `client_id`, `client_secret` (null for a public client or with a key), as mint wrote it; and besides
    /// `version`, `not_after`, `issuer`, `token_endpoint`, `token_endpoint_auth_method`, and with a key `private_key` (PEM)
    /// and `key_id`.
    pub client_json: Secret,
    /// `user.json`: `application_username` and `application_password`, where a user belongs to the version.
    pub user_json: Option<Secret>,
    /// When it ends, RFC 3339; for annotations and tags.
    pub not_after: Option<String>,
}

/// By which it is recognised that nobody else has written there since: a resource version, an ETag, a version's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt(pub String);

/// One place.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Where it is, for people: `secret team-shop/api-oauth`, `s3://bucket/api/`, an ARN.
    fn location(&self) -> String;
    /// Whether [`put`](Self::put) would succeed, without leaving anything there. A failure's message names the place and says
    /// what to do.
    async fn check(&self) -> Result<(), Failure>;
    /// Writes the bundle, all of it or nothing. Idempotent for the same bundle. What exists there and is not ours is not
    /// touched: a terminal failure.
    async fn put(&self, bundle: &Bundle) -> Result<Receipt, Failure>;
    /// What is there, by its receipt, without reading the secret; `None`: nothing of ours.
    async fn look(&self) -> Result<Option<Receipt>, Failure>;
    /// Removes what is ours. That there is nothing is no error.
    async fn remove(&self) -> Result<(), Failure>;
}

/// Opens places; the simulation brings its own.
#[async_trait]
pub trait Destinations: Send + Sync {
    /// The place of `delivery` for `client`, with what is needed to find it again should the account's class change. The
    /// inner error: it cannot be opened now (no such account, or it is not ready, or its class names no bucket), and why.
    async fn open(
        &self,
        client: &OAuthClient,
        delivery: &DeliverySpec,
    ) -> Result<Result<Arc<dyn Destination>, Outcome>, Failure>;

    /// Whether the place cannot be opened ever again: what led to it was deleted.
    fn is_out_of_reach(&self, _client: &OAuthClient, _delivery: &DeliverySpec) -> bool {
        false
    }
}
