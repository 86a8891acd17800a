//! `ApplicationName`: the claim on an application's id, unique in the company because it is cluster-scoped.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The claim on an application's id. Made by the controller for the first `Application` of that name; when that is
/// deleted the claim stays as a tombstone, so that nobody else gets the name (and what was granted to it) by accident.
/// The platform team releases a name by deleting its tombstone.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "bailiwick.dev",
    version = "v1alpha1",
    kind = "ApplicationName",
    plural = "applicationnames",
    category = "bailiwick",
    status = "ApplicationNameStatus",
    derive = "PartialEq",
    doc = "The claim on an application's id: who has it. A deleted application leaves its name as a tombstone, which \
        only the platform team releases, by deleting this object.",
    printcolumn = r#"{"name":"Team","type":"string","jsonPath":".spec.owner.team"}"#,
    printcolumn = r#"{"name":"State","type":"string","jsonPath":".spec.state"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Namespace","type":"string","jsonPath":".spec.owner.namespace","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationNameSpec {
    /// Whose it is, or was.
    pub owner: NameOwner,
    /// Whether the application exists.
    #[serde(default)]
    pub state: NameState,
    /// Since when it is a tombstone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Time>,
    /// The approvals that releases of the application need whatever it demands itself: all that it has ever demanded.
    /// It grows with the application's `requiredApprovals`; only the platform team lowers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_approvals: Option<KeptApprovals>,
}

/// What an application has demanded of its releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptApprovals {
    /// The types, each of which must be given.
    #[schemars(
        length(min = 1, max = 40),
        inner(length(min = 2, max = 40), regex(pattern = r"^[A-Z][A-Za-z0-9]*$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub types: Vec<String>,
    /// By how many different people, over all types together.
    #[schemars(range(min = 1, max = 10))]
    pub people: u8,
}

/// Whether a name is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NameState {
    /// Its application exists.
    #[default]
    Held,
    /// Its application was deleted; the same team may declare it again, nobody else.
    Tombstone,
}

/// Who has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NameOwner {
    /// The team's id.
    #[schemars(length(min = 2, max = 40))]
    pub team: String,
    /// The namespace of the `Application`.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// The uid of the `Application`: one of the same name that was made anew is another one.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}

/// What the controller knows of a name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationNameStatus {
    /// The generation that the last pass saw; -1: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` is the summary of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

super::standard_status!(ApplicationNameStatus);

/// The kind's own conditions, and what it means if they are True.
pub const CONDITIONS: &[(&str, &str)] = &[(
    "Held",
    "the name's application exists; False: it is gone, and its team may declare it again",
)];
