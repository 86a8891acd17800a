//! `Team`: who belongs together, and what they own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A team: its members, all with equal rights, and how to reach it. Its name is the team's id. A team owns one
/// namespace, in which everything that the team declares lives.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "bailiwick.dev",
    version = "v1alpha1",
    kind = "Team",
    plural = "teams",
    category = "bailiwick",
    status = "TeamStatus",
    derive = "PartialEq",
    doc = "A team: its members, all with equal rights, the namespace that it owns, and how to reach it. The \
        object's name is the team's id.",
    printcolumn = r#"{"name":"Namespace","type":"string","jsonPath":".status.namespace"}"#,
    printcolumn = r#"{"name":"Members","type":"integer","jsonPath":".status.members"}"#,
    printcolumn = r#"{"name":"Accounts","type":"string","jsonPath":".status.accountsReady"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Display name","type":"string","jsonPath":".spec.displayName","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.__namespace__) == has(oldSelf.__namespace__) && (!has(self.__namespace__) || self.__namespace__ == oldSelf.__namespace__)",
     "message": "spec.namespace cannot be changed: what the team owns lives there", "fieldPath": ".namespace"}
]))]
pub struct TeamSpec {
    /// What people call the team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub display_name: Option<String>,
    /// The members. All have the same rights.
    #[serde(default)]
    #[schemars(length(max = 500), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["user"]))]
    pub members: Vec<MemberSpec>,
    /// Groups whose members have the same rights as the members, as the cluster's identity provider issues them.
    #[serde(default)]
    #[schemars(length(max = 50), inner(length(min = 1, max = 256)), extend("x-kubernetes-list-type" = "set"))]
    pub groups: Vec<String>,
    /// How to reach the team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactSpec>,
    /// Where its costs are booked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cost_center: Option<String>,
    /// The namespace, `team-<name>` if left out. One that exists already is taken over only if it bears the label
    /// `bailiwick.dev/team: <name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub namespace: Option<String>,
    /// What becomes of the namespace when the team is deleted: `Retain` keeps it, labelled, for a team of the same
    /// name; `Delete` deletes it with everything in it.
    #[serde(default)]
    pub deletion_policy: TeamDeletionPolicy,
    /// Stops all writes for this team; it is still watched.
    #[serde(default)]
    pub suspend: bool,
}

/// What becomes of a deleted team's namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TeamDeletionPolicy {
    /// Keep it.
    #[default]
    Retain,
    /// Delete it with everything in it.
    Delete,
}

/// A member of a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberSpec {
    /// The user, as the cluster authenticates them.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^\S+$"))]
    pub user: String,
    /// The principal in the member's SSH certificates, if it is not the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub ssh_principal: Option<String>,
}

/// How to reach a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContactSpec {
    /// An e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 254), regex(pattern = r"^[^@\s]+@[^@\s]+$"))]
    pub email: Option<String>,
    /// Whom to call at night: a telephone number, or the page of a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub on_call: Option<String>,
    /// A chat room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub chat: Option<String>,
}

/// What the controller knows of a team.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeamStatus {
    /// The generation that the last pass saw; -1: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The team's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How many members the team declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<i64>,
    /// How many of the team's accounts are Ready, of how many: `2/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts_ready: Option<String>,
    /// The team's accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<TeamAccountSummary>,
    /// How many applications the team declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications: Option<i64>,
    /// `Ready` is the summary of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

super::standard_status!(TeamStatus);

/// The conditions of this kind, and what it means if they are True.
pub const CONDITIONS: &[(&str, &str)] = &[
    (
        "Accepted",
        "the team has its namespace, and its members their rights",
    ),
    (
        "AccountsReady",
        "all of the team's accounts are Ready; not there while there are none, and no part of Ready",
    ),
];

/// One account of a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeamAccountSummary {
    /// The `TeamAccount`'s name.
    pub name: String,
    /// The AWS account's id, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether it is Ready.
    pub ready: bool,
    /// Why it is not, if it is not: the reason of its condition Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The message of its condition Ready, if the account waits for a person; cut off where it is long, and left out
    /// where there are many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Team {
    /// The namespace of the team, as declared.
    pub fn home(&self) -> String {
        let name = || format!("team-{}", self.metadata.name.as_deref().unwrap_or_default());
        self.spec.namespace.clone().unwrap_or_else(name)
    }
}
