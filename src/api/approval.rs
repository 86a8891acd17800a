//! `Approval`: one person's word for one digest of a release.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One person's approval of a release, bound to the digest that they looked at.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "bailiwick.dev",
    version = "v1alpha1",
    kind = "Approval",
    plural = "approvals",
    category = "bailiwick",
    namespaced,
    status = "ApprovalStatus",
    derive = "PartialEq",
    selectable = ".spec.release",
    doc = "One person's approval of a release, for the digest that they looked at. Only that person can write it; the \
        spec cannot be changed.",
    printcolumn = r#"{"name":"Release","type":"string","jsonPath":".spec.release"}"#,
    printcolumn = r#"{"name":"Type","type":"string","jsonPath":".spec.type"}"#,
    printcolumn = r#"{"name":"Approver","type":"string","jsonPath":".spec.approver"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Digest","type":"string","jsonPath":".spec.digest","priority":1}"#,
    printcolumn = r#"{"name":"Comment","type":"string","jsonPath":".spec.comment","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self == oldSelf", "message": "the spec of an Approval cannot be changed: delete it and make a new one"}
]))]
pub struct ApprovalSpec {
    /// The `Release`, in this namespace.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub release: String,
    /// The digest that is approved, as the release's `status.image.digest` shows it.
    #[schemars(regex(pattern = r"^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$"))]
    pub digest: String,
    /// What is approved: `Specification`, `CodeChange`, `Test`, `Deploy` or another word.
    #[serde(rename = "type")]
    #[schemars(length(min = 2, max = 40), regex(pattern = r"^[A-Z][A-Za-z0-9]*$"))]
    pub type_: String,
    /// Who approves: the person who writes this object, by the name that the cluster knows them by.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^\S+$"))]
    pub approver: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub comment: Option<String>,
}

/// What the controller knows of an approval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// The generation that the last pass saw; -1: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: it counts, where its type is demanded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

super::standard_status!(ApprovalStatus);

/// The kind's own conditions, and what it means if they are True.
pub const CONDITIONS: &[(&str, &str)] = &[(
    "NotDemanded",
    "the application demands no approval of this type, so this one adds to nothing; only there while that is so, and no \
     part of Ready",
)];
