//! `OAuthProvider`: an authorization server, and how clients are registered there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AuthMethod;

/// An authorization server. Written by the platform team alone; a team's `OAuthClient` names it and can point the
/// operator to no other address.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "bailiwick.dev",
    version = "v1alpha1",
    kind = "OAuthProvider",
    plural = "oauthproviders",
    shortname = "op",
    category = "bailiwick",
    status = "OAuthProviderStatus",
    derive = "PartialEq",
    doc = "An OAuth authorization server: where it is, and how clients are registered there.",
    printcolumn = r#"{"name":"Issuer","type":"string","jsonPath":".spec.issuer"}"#,
    printcolumn = r#"{"name":"Clients","type":"integer","jsonPath":".status.clients"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Rotation","type":"string","jsonPath":".status.secretRotation","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.issuer == oldSelf.issuer",
     "message": "spec.issuer cannot be changed: clients are registered there; make another OAuthProvider", "fieldPath": ".issuer"},
    {"rule": "[has(self.dynamicRegistration), has(self.keycloak), has(self.cognito)].filter(given, given).size() == 1",
     "message": "exactly one of spec.dynamicRegistration, spec.keycloak and spec.cognito says how clients are registered"},
    {"rule": "has(self.dynamicRegistration) == has(oldSelf.dynamicRegistration) && has(self.keycloak) == has(oldSelf.keycloak)",
     "message": "how clients are registered cannot be changed: make another OAuthProvider"},
    {"rule": "self.issuer.startsWith('https://') || self.issuer.matches('^http://(localhost|127[.]0[.]0[.]1|[[]::1[]])(:[0-9]+)?(/.*)?$')",
     "message": "spec.issuer must begin with https://; plain http is for this machine itself alone", "fieldPath": ".issuer"}
]))]
pub struct OAuthProviderSpec {
    /// The issuer's identifier (RFC 8414 section 2); its metadata is found from it: by RFC 8414, else by OpenID Connect
    /// Discovery, and must name the same issuer.
    #[schemars(length(min = 8, max = 512), regex(pattern = r"^https?://[^\s?#]+$"))]
    pub issuer: String,
    /// Clients are registered by RFC 7591 and managed by RFC 7592.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_registration: Option<DynamicRegistrationSpec>,
    /// Clients are registered by Keycloak's admin API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keycloak: Option<KeycloakSpec>,
    /// Clients are app clients of an Amazon Cognito user pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cognito: Option<CognitoSpec>,
    /// A ConfigMap in the operator's namespace with certificate authorities (PEM) that are trusted for this server
    /// besides those of the machine: the company's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<KeyReference>,
    /// How the clients rotate that say nothing themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<super::RotationSpec>,
    /// Stops all writes to this server; it is still observed.
    #[serde(default)]
    pub suspend: bool,
}

/// RFC 7591 and RFC 7592.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DynamicRegistrationSpec {
    /// The key of a Secret in the operator's namespace with the initial access token (RFC 7591 section 1.2), if the server
    /// wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_access_token: Option<KeyReference>,
}

/// A realm of Keycloak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeycloakSpec {
    /// A Secret in the operator's namespace with `client-id` and `client-secret` of a service account that may manage
    /// the realm's clients, or with `username` and `password` of such a user.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    )]
    pub credentials_secret: String,
    /// Where the admin API is, if not on the issuer's host: `https://admin.example.com`. The realm is the issuer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 512), regex(pattern = r"^https?://[^\s?#]+$"))]
    pub admin_url: Option<String>,
    /// Whether clients may have the grant type `password`, each with a user that is made for it (RFC 6749 section 4.3,
    /// which OAuth 2.1 has no more). The account in `credentialsSecret` must then be let manage users, too.
    #[serde(default)]
    pub password_grant: PasswordGrant,
    /// Lets applications authenticate by the tokens of their ServiceAccounts; they cannot if this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<WorkloadIdentitySpec>,
}

/// How the realm knows the tokens that this cluster gives to pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadIdentitySpec {
    /// The alias of the realm's identity provider that stands for this cluster: of the type `kubernetes`, or of `oidc` with
    /// client assertions allowed. Whoever made it sees to it that its issuer is this cluster's and no other.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[^\s/]+$"))]
    pub identity_provider: String,
    /// The audience that the tokens must be for; the issuer if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^\S+$"))]
    pub audience: Option<String>,
}

/// Whether clients may have the grant type `password`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PasswordGrant {
    /// No new client has it.
    #[default]
    Refused,
    /// Who asks for it has it.
    Allowed,
}

/// A user pool of Amazon Cognito. `spec.issuer` must be its issuer, and the operator is there who it is in AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CognitoSpec {
    /// The pool's id, `eu-central-1_AbCdEfGhI` for example.
    #[schemars(length(min = 3, max = 55), regex(pattern = r"^[\w-]+_[0-9a-zA-Z]+$"))]
    pub user_pool_id: String,
    /// The account that the pool is in; the operator's own if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{12}$"))]
    pub account: Option<String>,
    /// The role through which that account is entered; it goes with the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[\w+=,.@-]+$"))]
    pub role: Option<String>,
    /// Whose the pool's resource servers are. They are made by its administrators and not by bailiwick, so that a `ResourceType` of
    /// a resource server's name says nothing of it unless it stands here with the application that owns the `ResourceType`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 300),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub resource_servers: Vec<ResourceServerSpec>,
}

/// A resource server of a user pool, and the application whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceServerSpec {
    /// Its identifier, which is the name of the `ResourceType`.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The application that the `ResourceType` of that name must belong to.
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$")
    )]
    pub application: String,
}

/// A key of a Secret or a ConfigMap in the operator's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyReference {
    /// The object's name.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// What the controller knows of a provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuthProviderStatus {
    /// The generation that the last pass saw; -1: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where tokens are got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// The ways to authenticate that the server has and that we can make credentials for, preferred first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth_methods: Vec<AuthMethod>,
    /// How a client secret is replaced without a gap, as it was found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_rotation: Option<SecretRotation>,
    /// So many clients of ours there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<i64>,
    /// The last value of the annotation `bailiwick.dev/reconcile-requested-at` that was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready` is the summary of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// How a client secret is replaced without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SecretRotation {
    /// A client has two secrets for a while.
    InPlace,
    /// A client has one secret: another client is registered beside it, and the first one removed after the overlap.
    Beside,
}

super::standard_status!(OAuthProviderStatus);

/// The kind's own conditions, and what it means if they are True.
pub const CONDITIONS: &[(&str, &str)] = &[
    (
        "Accepted",
        "the spec and the Secret that it names can be used",
    ),
    (
        "Reachable",
        "the server answered with its metadata, and let us in",
    ),
];
