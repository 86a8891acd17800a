//! `ResourceType`: the scopes of an application, and who may hold them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an application protects, and the OAuth scopes by which others are let at it. A scope's name for the
/// authorization server is `<resource type>.<scope>`, `sales-order.read` for example.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "bailiwick.dev",
    version = "v1alpha1",
    kind = "ResourceType",
    plural = "resourcetypes",
    shortname = "rt",
    category = "bailiwick",
    status = "ResourceTypeStatus",
    derive = "PartialEq",
    doc = "What an application protects: its OAuth scopes, to whom they are granted, and who holds them. Only the team \
        that owns the application may write it.",
    printcolumn = r#"{"name":"Application","type":"string","jsonPath":".spec.application"}"#,
    printcolumn = r#"{"name":"Scopes","type":"string","jsonPath":".spec.scopes[*].name"}"#,
    printcolumn = r#"{"name":"Held by","type":"string","jsonPath":".status.heldBy"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Namespace","type":"string","jsonPath":".spec.namespace","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ResourceTypeSpec {
    /// The application that owns it. Its `ApplicationName` must be held by the namespace below.
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$")
    )]
    pub application: String,
    /// The namespace of that `Application`: whoever may change the application there may write this object.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub namespace: String,
    /// What it is, for those who ask for a scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// Its scopes.
    #[serde(default)]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub scopes: Vec<ScopeSpec>,
}

/// A scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScopeSpec {
    /// Its name, `read` or `write_all` for example.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z][a-z0-9_]*$"))]
    pub name: String,
    /// What it lets its holder do, in a line.
    #[schemars(length(min = 1, max = 200))]
    pub summary: String,
    /// What a person reads who is asked for consent, at servers that can be told; the summary if left out. Only for scopes of
    /// the class `ResourceOwner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub consent_text: Option<String>,
    /// On whose behalf it is used.
    pub class: ScopeClass,
    /// The applications that may hold it on their own behalf, without a person: whatever its class is. A scope of the class
    /// `ResourceOwner` may besides be asked for by every client that gets tokens only from persons who are asked (no
    /// `client_credentials`, `password` or token exchange, and not at Amazon Cognito), for it is they who consent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 500),
        inner(length(min = 2, max = 40), regex(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub granted_to: Vec<String>,
}

/// On whose behalf a scope is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScopeClass {
    /// On behalf of a person, who consents; without one only if the owner of the resource type grants it.
    ResourceOwner,
    /// On the application's own behalf; granted by the owner of the resource type.
    Application,
}

/// What the controller knows of a resource type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceTypeStatus {
    /// The generation that the last pass saw; -1: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The team that owns the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The namespace that holds the application's name, where it is another than the one that the spec names, after a transfer for
    /// example: whoever may change the application there may set spec.namespace to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub name_held_in: Option<String>,
    /// Who holds a scope of it, in a line: the first applications, by their ids, and how many more there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// The scopes that are held, and by whom; also one that is not in the spec any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub held: Vec<HeldScope>,
    /// Who holds a scope although the `OAuthClient` is gone: it was deleted with `deletionPolicy: Retain`. One goes from here when
    /// the operator's Secret of it is removed, which whoever has removed the client at the server does. Of a namespace that has
    /// twenty here no more is let go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["uid"]))]
    pub retained: Vec<RetainedHolder>,
    /// `Ready` is the summary of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A scope that somebody holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldScope {
    /// The scope's name.
    #[schemars(length(max = 40))]
    pub name: String,
    /// The first twenty `OAuthClient`s that are registered with it, as `<namespace>/<name>`, in their order; also those that are
    /// gone and whose clients at the server were retained.
    #[schemars(length(max = 20))]
    pub clients: Vec<String>,
    /// So many more are registered with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub more: Option<i64>,
}

/// A client at the server that nobody manages any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetainedHolder {
    /// The uid that its `OAuthClient` had. The operator's Secret is called `bailiwick-oauth-<uid>`.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// What its `OAuthClient` was: `<namespace>/<name>`.
    pub client: String,
    /// The application.
    pub application: String,
    /// Its ids at the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_ids: Vec<String>,
    /// The names of the scopes that it is registered with.
    pub scopes: Vec<String>,
}

super::standard_status!(ResourceTypeStatus);

/// The kind's own conditions, and what it means if they are True.
pub const CONDITIONS: &[(&str, &str)] = &[
    (
        "Accepted",
        "the application exists, and its name is held by the namespace that the spec names",
    ),
    (
        "Unheld",
        "only there while it is deleted: nobody holds a scope of it any more",
    ),
    (
        "WithinGrants",
        "only there, and False, while somebody holds a scope that is not granted to its application any more",
    ),
];
