//! The port to OAuth authorization servers: how clients are registered, given new credentials, and tried.
//!
//! | module | what |
//! |---|---|
//! | [`error`] | what can go wrong, classified once |
//! | [`keys`] | the keys by which clients sign |
//! | [`users`] | users that work for an application, where there still are such |
//! | [`real`] | the servers that there are: `dynamic` (RFC 7591/7592), `keycloak`, `cognito` |
//! | `http`, `discovery`, `token` | what those share: requests, the server's metadata, asking for a token |
//! | [`observed`] | the same servers, and every call is counted |
//! | `simulated` | servers in memory, with faults on demand (cargo feature `dev`) |
//!
//! A server is one of three kinds (RFC 7591/7592, Keycloak, Amazon Cognito), and what they can do differs; whoever decides
//! goes by [`Capabilities`] alone. Nothing here is retried: the caller knows what is durable.

pub mod client_json;
mod cognito;
mod discovery;
mod dynamic;
pub mod error;
mod http;
mod keycloak;
pub mod keys;
pub mod observed;
pub mod real;
#[cfg(feature = "dev")]
pub mod simulated;
mod token;
pub mod users;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;
use url::Url;

use crate::model::{AccountId, RoleName, Secret, UserPoolId};
pub use error::{ErrorKind, IdentityError};
pub use http::Limits;
pub use observed::{Observer, observe};
pub use real::RealServers;
pub use users::ServiceUser;

/// What a server answers.
pub type Result<T> = std::result::Result<T, IdentityError>;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How a client authenticates at the token endpoint (RFC 7591 section 2; OpenID Connect Core section 9). The first is
/// preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// `private_key_jwt`, with what the cluster signs for a pod.
    WorkloadIdentity,
    /// `private_key_jwt`.
    PrivateKeyJwt,
    /// `client_secret_basic`.
    SecretBasic,
    /// `client_secret_post`.
    SecretPost,
    /// `none`: a public client.
    Public,
}

impl Method {
    /// All that a server's metadata can name, preferred first.
    pub const ALL: [Self; 4] = [
        Self::PrivateKeyJwt,
        Self::SecretBasic,
        Self::SecretPost,
        Self::Public,
    ];

    /// As RFC 7591 and OpenID Connect spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::WorkloadIdentity | Self::PrivateKeyJwt => "private_key_jwt",
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
            Self::Public => "none",
        }
    }

    /// Whether there is a secret in it.
    pub fn has_secret(self) -> bool {
        matches!(self, Self::SecretBasic | Self::SecretPost)
    }
}

/// How a server is reached, and what we show it. From an `OAuthProvider` and what it refers to; a tenant has no say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// The issuer's identifier. Plain HTTP only for this machine itself.
    pub issuer: Url,
    /// Certificate authorities (PEM) that are trusted besides those of this machine; empty for none.
    pub authorities: String,
    /// How clients are registered.
    pub registration: RegistrationOptions,
}

/// How clients are registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationOptions {
    /// RFC 7591 and RFC 7592, at the endpoint that the metadata names.
    Dynamic {
        /// The initial access token (RFC 7591 section 1.2).
        initial_access_token: Option<Secret>,
    },
    /// Keycloak's admin API.
    Keycloak {
        /// Where it is, if not on the issuer's host.
        admin_url: Option<Url>,
        /// Who we are there.
        login: KeycloakLogin,
        /// The alias of the identity provider that stands for the cluster, if applications may authenticate by that.
        identity_provider: Option<String>,
    },
    /// App clients of a user pool.
    Cognito {
        /// The pool's id.
        user_pool: UserPoolId,
        /// The account that it is in, and the role to enter it by; `None`: the operator's own.
        account: Option<(AccountId, RoleName)>,
    },
}

/// Who we are at Keycloak's admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeycloakLogin {
    /// A service account (the grant type `client_credentials`) of the issuer's realm.
    ServiceAccount {
        /// Its client id.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
    },
    /// A user (the client `admin-cli`), of the realm `master`.
    User {
        /// Its name.
        username: String,
        /// Its password.
        password: Secret,
    },
}

/// Opens servers. The simulation brings its own.
#[async_trait]
pub trait Servers: Send + Sync {
    /// The server of these options. Asks nothing yet; clients and tokens of the admin API are kept as long as the
    /// returned value lives.
    fn open(&self, options: ServerOptions) -> Result<Arc<dyn OAuthServer>>;
}

/// What a server says of itself, and what was found out about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Where tokens are got. On the issuer's host, or one that the issuer's metadata names.
    pub token_endpoint: Url,
    /// The ways to authenticate that it has and that we can make credentials for, preferred first.
    pub methods: Vec<Method>,
    /// The grant types that it says it has (RFC 8414: `authorization_code` and `implicit` if it says nothing); empty: not
    /// known.
    pub grant_types: Vec<String>,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// How what a server does not say of itself may be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inquiry {
    /// By trying: with something that is made for it and removed within the call.
    Trying,
    /// By reading alone: nothing is written there.
    Reading {
        /// [`Capabilities::secrets_in_place`] where nothing but a trial would tell: as it was found out before.
        secrets_in_place: bool,
    },
}

/// What a server can do; found out by asking, never assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// A client can have two secrets for a while: [`OAuthServer::add_secret`], [`OAuthServer::retire_secret`].
    pub secrets_in_place: bool,
    /// How long the older of two secrets is taken at most, from when the newer one was made; `None`: until it is retired.
    pub older_secret_lives: Option<Duration>,
    /// What a client is registered with, its keys among it, can be changed any number of times, whatever answer is lost:
    /// [`OAuthServer::update`]. Not so where every change replaces the token by which the next one is made (RFC 7592
    /// section 2.2): a lost answer would leave a client that nobody can change or remove any more, and another client
    /// is registered beside instead.
    pub updates: bool,
    /// [`OAuthServer::find`] finds what a lost answer of [`OAuthServer::register`] left behind.
    pub search: bool,
}

/// What a client is registered with (RFC 7591 section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientMetadata {
    /// `client_name`: what people see, and by which an administrator of the server finds whose it is.
    pub name: String,
    /// `grant_types`.
    pub grant_types: Vec<String>,
    /// `redirect_uris`.
    pub redirect_uris: Vec<String>,
    /// `scope`.
    pub scopes: Vec<String>,
    /// What a person reads who is asked for consent, by those of the scopes that need it; only where the server takes such
    /// texts, and then nobody gets a token for such a scope unasked.
    pub consent: BTreeMap<String, String>,
    /// `token_endpoint_auth_method`.
    pub method: Method,
    /// `jwks`: the public keys, with [`Method::PrivateKeyJwt`]; both, while one follows the other.
    pub keys: Vec<PublicKey>,
    /// With [`Method::WorkloadIdentity`]: `sub` of the tokens that the server shall take. No two clients of a server may
    /// have the same: it would take the tokens for neither.
    pub subject: Option<String>,
}

/// A public key, as a JSON Web Key (RFC 7517) of the type EC, curve P-256, for ES256 (RFC 7518).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// `kid`.
    pub id: String,
    /// `x`, base64url.
    pub x: String,
    /// `y`, base64url.
    pub y: String,
}

impl PublicKey {
    /// As a JSON Web Key.
    fn jwk(&self) -> serde_json::Value {
        serde_json::json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id, "x": self.x, "y": self.y,
        })
    }
}

/// The keys as a JSON Web Key Set.
fn jwks(keys: &[PublicKey]) -> serde_json::Value {
    let keys: Vec<_> = keys.iter().map(PublicKey::jwk).collect();
    serde_json::json!({ "keys": keys })
}

/// A client that shall be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClient {
    /// Unique for every version of every client of every cluster, and the same when the call is made again: the client's
    /// id where the server lets us choose it, and by which it is found again.
    pub handle: String,
    /// Whose it is: `bailiwick.dev/uid` of Keycloak's attributes, for example. What bears another's is not ours.
    pub uid: String,
    /// What it is registered with.
    pub metadata: ClientMetadata,
    /// The secret, where the server lets us choose it; it is durable already.
    pub secret: Secret,
}

/// A client that is registered: all that must be kept to use, change and remove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The client's id.
    pub client_id: String,
    /// Its secret, if it has one.
    pub secret: Option<Secret>,
    /// By which the server knows the secret, where it has a name of its own.
    pub secret_id: Option<String>,
    /// When the secret ends by itself, if it does (`client_secret_expires_at`).
    pub secret_expires: Option<Timestamp>,
    /// How it is managed, where the server gives something for that.
    pub management: Option<Management>,
}

/// RFC 7592 section 3: by what one client is read and removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Management {
    /// `registration_client_uri`. An adapter refuses one that is not on the registration endpoint's origin.
    pub uri: Url,
    /// `registration_access_token`.
    pub token: Secret,
}

/// The key by which a client signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// `kid`.
    pub id: String,
    /// The private key, PKCS #8 in PEM.
    pub pem: Secret,
}

/// With what a client shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// By its secret, in the header (`SecretBasic`) or in the body (`SecretPost`).
    Secret(Method, Secret),
    /// By a signature (RFC 7523 section 2.2).
    Key(SigningKey),
    /// By what somebody else has signed for it (the same): the token of a ServiceAccount.
    Assertion(Secret),
    /// Not at all.
    Public,
}

/// A try to get a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The client's id.
    pub client_id: String,
    /// Its credential.
    pub credential: Credential,
    /// With the grant type `client_credentials`, for these scopes. `None`: the client has not that grant type; then a code
    /// is shown that does not exist, and whether the server complains of the code or of the client says it all.
    pub scopes: Option<Vec<String>>,
}

/// What came of it. The token itself is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenAnswer {
    /// The server gave a token, or would have if the code had been a real one.
    Accepted,
    /// The server refuses the client or its credential (`invalid_client`; Keycloak: `unauthorized_client` with 401).
    UnknownClient(String),
    /// The server knows the client, and refuses what it asks for: `invalid_scope`, `unauthorized_client`, …
    Refused(String),
}

/// An authorization server.
#[async_trait]
pub trait OAuthServer: Send + Sync {
    /// Its metadata (RFC 8414, else OpenID Connect Discovery; the issuer in it must be the one that was asked for), and
    /// what it can do. Writes nothing that outlives the call, and nothing at all with [`Inquiry::Reading`].
    async fn describe(&self, how: Inquiry) -> Result<Description>;

    /// Registers a client. What it gives must be made durable before anything else is done.
    ///
    /// Where the server takes our `handle` as the id, the call can be made again after a lost answer: it gives the client
    /// that exists, if that bears our `uid`, brought to `metadata` and `secret`. Elsewhere the caller asks
    /// [`find`](Self::find) first; and where that is not possible either, a lost answer leaves a client whose secret
    /// nobody has ever seen and that nobody can use, with our `client_name` on it.
    ///
    /// # Errors
    /// `AlreadyExists`: somebody else's client has that id.
    async fn register(&self, new: &NewClient) -> Result<Registration>;

    /// What an earlier call of [`register`](Self::register) with this handle left, if the server can be searched. Its
    /// secret is given where the server shows it; without, it is of no use and must be deleted.
    async fn find(&self, handle: &str, uid: &str) -> Result<Vec<Registration>>;

    /// Brings a client to `metadata`, its keys included. Only with [`Capabilities::updates`]. Idempotent.
    ///
    /// # Errors
    /// `NotFound`: there is no such client.
    async fn update(&self, registration: &Registration, metadata: &ClientMetadata) -> Result<()>;

    /// Makes a second secret valid beside the one of `registration`. Only with [`Capabilities::secrets_in_place`].
    /// Idempotent: if the server has a newer secret than that already, it is given, or replaced where it is not shown.
    async fn add_secret(&self, registration: &Registration) -> Result<Registration>;

    /// Ends every secret but that of `registration`. Only with [`Capabilities::secrets_in_place`]. Idempotent.
    async fn retire_secret(&self, registration: &Registration) -> Result<()>;

    /// When the newest secret of the client ends by itself, as the server has it now: where its administrators may have set an
    /// end since `registration` was given.
    ///
    /// # Errors
    /// `NotFound`: there is no such client.
    async fn secret_ends(&self, registration: &Registration) -> Result<Option<Timestamp>> {
        Ok(registration.secret_expires)
    }

    /// Removes a client with all its secrets and keys. That it is gone already is no error; a `registration` without what
    /// is needed to remove it is (`Invalid`).
    ///
    /// # Errors
    /// `Denied`: the token by which it is managed is not taken any more. With RFC 7592 that may mean that the client is
    /// gone: then [`request_token`](Self::request_token) says so.
    async fn delete(&self, registration: &Registration) -> Result<()>;

    /// Asks for a token.
    async fn request_token(&self, request: &TokenRequest) -> Result<TokenAnswer>;

    /// Makes a user that works for an application. Only before it is used by anybody: one that an earlier call has made
    /// is made anew. Idempotent.
    ///
    /// # Errors
    /// `AlreadyExists`: somebody else's user has that name. `Refused`: this kind of server has none.
    async fn make_user(&self, _user: &ServiceUser) -> Result<()> {
        Err(users::none("make_user"))
    }

    /// Removes a user of that object. That it is gone already is no error.
    ///
    /// # Errors
    /// `AlreadyExists`: it is somebody else's. `Refused`: this kind of server has none.
    async fn remove_user(&self, _username: &str, _uid: &str) -> Result<()> {
        Err(users::none("remove_user"))
    }

    /// Asks for a token with the grant type `password`: with the client's credential and the user's.
    async fn request_token_as(
        &self,
        _request: &TokenRequest,
        _user: &ServiceUser,
    ) -> Result<TokenAnswer> {
        Err(users::none("request_token_as"))
    }

    /// Whether the client is there and takes the tokens of this subject, with [`Method::WorkloadIdentity`]: read back, since
    /// nobody but its pods has such a token. `UnknownClient`: it is gone; `Refused`: somebody has changed it.
    async fn confirm(&self, registration: &Registration, subject: &str) -> Result<TokenAnswer> {
        let message = format!(
            "this kind of server has no client {} that takes the tokens of {subject}",
            registration.client_id
        );
        Err(IdentityError::new(ErrorKind::Refused, "confirm", message))
    }
}
