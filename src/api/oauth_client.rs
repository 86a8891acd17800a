//! `OAuthClient`: an application's credentials at an authorization server, rotated and delivered.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChangeStatus, Mode};

/// An application's credentials at an authorization server: registered, rotated without a gap, and delivered to where
/// the application reads them.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "bailiwick.dev",
    version = "v1alpha1",
    kind = "OAuthClient",
    plural = "oauthclients",
    shortname = "oc",
    category = "bailiwick",
    namespaced,
    status = "OAuthClientStatus",
    derive = "PartialEq",
    selectable = ".spec.application",
    selectable = ".spec.provider",
    doc = "An application's credentials at an OAuth authorization server: registered, rotated without a gap, and \
        delivered to where the application reads them. No secret is ever in this object.",
    printcolumn = r#"{"name":"Application","type":"string","jsonPath":".spec.application"}"#,
    printcolumn = r#"{"name":"Version","type":"integer","jsonPath":".status.version"}"#,
    printcolumn = r#"{"name":"Next rotation","type":"string","jsonPath":".status.nextRotation"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Provider","type":"string","jsonPath":".spec.provider","priority":1}"#,
    printcolumn = r#"{"name":"Client id","type":"string","jsonPath":".status.clientId","priority":1}"#,
    printcolumn = r#"{"name":"Method","type":"string","jsonPath":".status.authMethod","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.application == oldSelf.application", "message": "spec.application cannot be changed: make another OAuthClient", "fieldPath": ".application"},
    {"rule": "self.provider == oldSelf.provider", "message": "spec.provider cannot be changed: make another OAuthClient beside this one, then delete this one", "fieldPath": ".provider"},
    {"rule": "!('authorization_code' in self.grantTypes) || (has(self.redirectUris) && self.redirectUris.size() > 0)",
     "message": "the grant type authorization_code needs spec.redirectUris", "fieldPath": ".redirectUris"},
    {"rule": "!has(self.authMethod) || self.authMethod != 'none' || !('client_credentials' in self.grantTypes)",
     "message": "a public client (authMethod none) cannot have the grant type client_credentials (RFC 6749 section 4.4)", "fieldPath": ".authMethod"},
    {"rule": "!has(self.authMethod) || self.authMethod != 'none' || !('password' in self.grantTypes)",
     "message": "a public client (authMethod none) cannot have the grant type password: its credentials would never be replaced", "fieldPath": ".authMethod"},
    {"rule": "!has(self.authMethod) || self.authMethod != 'workload_identity' || has(self.serviceAccount)",
     "message": "authMethod workload_identity needs spec.serviceAccount: whose tokens the server shall take", "fieldPath": ".authMethod"},
    {"rule": "!has(self.serviceAccount) || !has(self.authMethod) || self.authMethod == 'workload_identity'",
     "message": "spec.serviceAccount is for authMethod workload_identity alone: remove one of the two", "fieldPath": ".serviceAccount"},
    {"rule": "!has(self.serviceAccount) || !('password' in self.grantTypes)",
     "message": "an application with the identity of a ServiceAccount has no user with a password: remove password from spec.grantTypes", "fieldPath": ".grantTypes"},
    {"rule": "!has(self.serviceAccount) || self.serviceAccount != 'default'",
     "message": "every pod that names no other runs as the ServiceAccount default: make one for this application", "fieldPath": ".serviceAccount"},
    {"rule": "!has(self.serviceAccount) || !has(self.delivery) || self.delivery.all(place, has(place.secret))",
     "message": "only a pod of this cluster has the identity of a ServiceAccount, and reads a Secret: remove s3 and secretsManager", "fieldPath": ".delivery"}
]))]
pub struct OAuthClientSpec {
    /// The `Application`, in this namespace, whose credentials these are.
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$")
    )]
    pub application: String,
    /// The `OAuthProvider`.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub provider: String,
    /// What the client may ask tokens for with (RFC 7591 section 2).
    #[serde(default = "default_grant_types")]
    #[schemars(length(min = 1, max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub grant_types: Vec<GrantType>,
    /// Where people are sent back to (RFC 6749 section 3.1.2): https, or this machine itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "redirect_uris_schema")]
    pub redirect_uris: Vec<String>,
    /// The scopes that it may ask for, as `<resource type>.<scope>`; a scope of the class `Application` only if the
    /// owner of the `ResourceType` has granted it to the application.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        inner(length(min = 3, max = 110), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\.[a-z][a-z0-9_]*$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub scopes: Vec<String>,
    /// How the client authenticates at the token endpoint (RFC 7591 section 2). If left out: by the identity of
    /// `serviceAccount` if that is given, else the best that the server has, a key before a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<AuthMethod>,
    /// The ServiceAccount, in this namespace, by whose tokens the application authenticates, without any credentials: with
    /// `workload_identity` alone. A client beside is registered when it changes; the one before stays for the overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    )]
    pub service_account: Option<String>,
    /// When credentials are replaced; as the provider says if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationSpec>,
    /// Where the credentials are delivered to.
    #[serde(default)]
    #[schemars(
        length(max = 10),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub delivery: Vec<DeliverySpec>,
    /// Stops all writes for this client; it is still observed. Credentials that expire meanwhile are not replaced.
    #[serde(default)]
    pub suspend: bool,
    /// `Plan` reads everything, publishes in `status.plan` what it would change, and writes nothing outside.
    #[serde(default)]
    pub mode: Mode,
    /// What becomes of the credentials when this object is deleted.
    #[serde(default)]
    pub deletion_policy: CredentialsDeletionPolicy,
}

fn default_grant_types() -> Vec<GrantType> {
    vec![GrantType::ClientCredentials]
}

/// The rule is CEL and not a pattern, since its message can then say what a redirection URI looks like.
fn redirect_uris_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 20,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 512,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^(https://[^ /?#*]+|http://(localhost|127[.]0[.]0[.]1|[[]::1[]])(:[0-9]+)?)(/[^ #*]*)?([?][^ #*]*)?$')",
                "message": "a redirection URI is absolute, begins with https:// (or http:// to this machine itself), and has neither a fragment nor an asterisk (RFC 6749 section 3.1.2)"
            }],
        },
    })
}

/// What a client may ask tokens for with (RFC 7591 section 2, the names of the IANA registry).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum GrantType {
    /// On its own behalf (RFC 6749 section 4.4).
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    /// On behalf of a person who was asked in a browser (RFC 6749 section 4.1).
    #[serde(rename = "authorization_code")]
    AuthorizationCode,
    /// With a refresh token (RFC 6749 section 6).
    #[serde(rename = "refresh_token")]
    RefreshToken,
    /// On behalf of a person at another device (RFC 8628).
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// With another token (RFC 8693).
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
    /// With the name and password of a user that is made for the application and delivered as `user.json` (RFC 6749
    /// section 4.3). OAuth 2.1 has it no more: it is for applications that cannot do without it yet, and only where the
    /// provider opens it.
    #[serde(rename = "password")]
    Password,
}

/// How a client authenticates at the token endpoint (RFC 7591 section 2; private_key_jwt is of OpenID Connect Core
/// section 9). The first is preferred.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum AuthMethod {
    /// By a token that the cluster gives to the pods of a ServiceAccount (RFC 7523 section 2.2, `private_key_jwt` at the
    /// token endpoint): there are no credentials.
    #[serde(rename = "workload_identity")]
    WorkloadIdentity,
    /// By a signature with a key that we make; the server knows the public part alone.
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
    /// By a secret in the header.
    #[serde(rename = "client_secret_basic")]
    ClientSecretBasic,
    /// By a secret in the body.
    #[serde(rename = "client_secret_post")]
    ClientSecretPost,
    /// Not at all: a public client, in a browser or on a telephone.
    #[serde(rename = "none")]
    None,
}

/// When credentials are replaced. Durations are written `15m`, `24h` or `30d`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationSpec {
    /// How long credentials live at most; they are replaced after two thirds of that. `30d` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 6), regex(pattern = r"^[1-9][0-9]{0,4}[mhd]$"))]
    pub period: Option<String>,
    /// How long the old ones stay valid beside the new ones: longer than every reader needs to read again, and than
    /// a token lives. A third of the period at most. `1h` if left out, and no longer than that where a scope was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 6), regex(pattern = r"^[1-9][0-9]{0,4}[mhd]$"))]
    pub overlap: Option<String>,
    /// When credentials may be replaced; at any time if left out. What would expire before the next window is replaced
    /// outside of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowSpec>,
}

/// A time of the day on some days of the week, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowSpec {
    /// On which days it begins; every day if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub days: Vec<Day>,
    /// When it begins, `08:30` for example.
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub from: String,
    /// When it ends; if that is not later than `from`, on the next day.
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub to: String,
}

/// A day of the week.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[allow(missing_docs)]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// One place that the credentials are delivered to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.secret), has(self.s3), has(self.secretsManager)].filter(given, given).size() == 1",
     "message": "exactly one of secret, s3 and secretsManager says where the credentials go"}
]))]
pub struct DeliverySpec {
    /// What this place is called here.
    #[schemars(
        length(min = 1, max = 40),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: String,
    /// A Secret in this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretDeliverySpec>,
    /// The credentials bucket of one of the team's accounts: `<bucket>/<application>/client.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3DeliverySpec>,
    /// A secret of AWS Secrets Manager in one of the team's accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_manager: Option<SecretsManagerDeliverySpec>,
}

/// A Secret in this namespace, with `client.json` in the same layout as in S3. It is made by the operator; one that
/// exists already and is not this object's is not touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretDeliverySpec {
    /// Its name.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// The credentials bucket of an account, which its class names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3DeliverySpec {
    /// The `TeamAccount`, in this namespace.
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$")
    )]
    pub account: String,
}

/// A secret of AWS Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretsManagerDeliverySpec {
    /// The `TeamAccount`, in this namespace.
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$")
    )]
    pub account: String,
    /// The region.
    #[schemars(schema_with = "super::image_repository::region_schema")]
    pub region: String,
    /// Its name; `<application>/oauth-client` if left out. One that exists already and does not bear our tags is not
    /// touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[A-Za-z0-9/_+=.@-]+$"))]
    pub secret_name: Option<String>,
}

/// What becomes of the credentials when their object is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialsDeletionPolicy {
    /// They stay as they are, registered and delivered, until they expire, no longer managed.
    #[default]
    Retain,
    /// After a grace period they are removed at the server and from where they were delivered to. The grace period, and
    /// how many clients may go in an hour, are the operator's (`bailiwick run --help`).
    Delete,
}

/// What the controller knows of a client. No secret, and nothing from which one could be guessed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuthClientStatus {
    /// The generation that the last pass saw; -1: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The client's id at the server, of the current version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How the current version authenticates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<AuthMethod>,
    /// The number of the current version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The number of the newest version that was ever begun; numbers are never used twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_version: Option<i64>,
    /// The versions that there are: at most two of them live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["number"]))]
    pub versions: Vec<VersionStatus>,
    /// The rotation that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationStatus>,
    /// When the next rotation begins, if nobody asks for one earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<Time>,
    /// Which of the series of moments that follow from the uid its rotations keep to: the one that was the emptiest when the
    /// first version was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<u8>,
    /// The places that hold credentials, and which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub destinations: Vec<DestinationStatus>,
    /// The scopes that its versions are registered with, all of them: also those of the one before, while it is valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The issuer at whose server they are registered. They are never shown to another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// When the credentials of an object that is being deleted, or whose application was retired, go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves_at: Option<Time>,
    /// What would be changed, in this order, under `mode: Plan` or `suspend`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<ChangeStatus>,
    /// The last value of the annotation `bailiwick.dev/reconcile-requested-at` that was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The last value of the annotation `bailiwick.dev/renew-requested-at` that was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_renew_at: Option<String>,
    /// The last value of the annotation `bailiwick.dev/revoke-requested-at` that was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_revoke_at: Option<String>,
    /// `Ready` is the summary of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// One version of the credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatus {
    /// Its number.
    pub number: i64,
    /// What it is for now.
    pub state: VersionState,
    /// How it came beside the one before it.
    pub method: VersionMethod,
    /// How it authenticates.
    pub auth_method: AuthMethod,
    /// The ServiceAccount whose tokens the server takes for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// The client's id at the server, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// A user was made for it, whose name and password are delivered as `user.json`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub user: bool,
    /// The revision of what was registered: redirection URIs, grant types, scopes, the way to authenticate.
    pub revision: String,
    /// The scopes that it is registered with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Since when it exists at the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// Until when it is valid by itself, or should be by its period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When it is removed at the server: the end of the overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<Time>,
}

/// What a version is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VersionState {
    /// It is being made and delivered.
    Pending,
    /// It is the one to use.
    Current,
    /// It was the one to use, and is valid until the end of the overlap.
    Previous,
    /// It is being removed, since it was revoked or never finished.
    Retiring,
}

/// How a version came beside the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VersionMethod {
    /// By another client at the server.
    Client,
    /// By a second secret of the same client.
    Secret,
    /// By a second key of the same client.
    Key,
}

/// A rotation that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationStatus {
    /// The number of the version that it brings.
    pub version: i64,
    /// Why it was begun.
    pub cause: RotationCause,
    /// The step that it is at.
    pub step: RotationStep,
    /// When it was begun.
    pub started_at: Time,
}

/// Why a rotation was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RotationCause {
    /// There were no credentials.
    Initial,
    /// Two thirds of their life were over.
    Due,
    /// Somebody asked for it.
    Requested,
    /// The spec, or what is granted, has changed, and what is registered cannot be changed in place.
    Changed,
    /// A scope that it holds is not granted any more, and what is registered cannot be changed in place.
    Withdrawn,
    /// All were revoked.
    Revoked,
    /// The server knows the client no more, or refuses its credentials.
    Lost,
}

/// The step that a rotation is at. What is before it is durable.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum RotationStep {
    /// The new version is made at the server, and tried there.
    Create,
    /// It is delivered to all places.
    Deliver,
    /// A token is requested with what was delivered.
    Test,
}

/// A place that credentials were delivered to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DestinationStatus {
    /// What it is called in the spec.
    pub name: String,
    /// Where it is, for people: `secret team-shop/api-oauth`, `s3://bucket/api/`, an ARN. Kept when the spec names it no
    /// more, so that it can be cleaned.
    pub location: String,
    /// What is needed to find it again when the spec names it no more: the spec as it was.
    pub delivery: DeliverySpec,
    /// The number of the version that it holds; none: an attempt to write there was made, or it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// By which it is recognised that somebody else has written there: a resource version, an ETag, a version id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// The revision of what its files say besides the credentials: where tokens are got, for whom, until when. None: it was
    /// written before there were such revisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

super::standard_status!(OAuthClientStatus);

/// The kind's own conditions, and what it means if they are True.
pub const CONDITIONS: &[(&str, &str)] = &[
    (
        "Accepted",
        "the spec, its application and its provider can be carried out",
    ),
    (
        "ScopesGranted",
        "every scope that it asks for exists, and may be held by it",
    ),
    (
        "Registered",
        "there are credentials at the server, and it gives tokens for them",
    ),
    ("Delivered", "every place holds the current version"),
    (
        "Rotating",
        "a new version is on its way; only there while it is",
    ),
    (
        "Revoked",
        "all credentials were revoked as was asked for, and there are no new ones in use yet; False: it was asked for and \
         is held back. Only there meanwhile",
    ),
];
