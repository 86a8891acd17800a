//! `Release`: one version of an application, as an image whose origin is known.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One version of an application. Its image is resolved to a digest once; a tag that moves later changes nothing.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "bailiwick.dev",
    version = "v1alpha1",
    kind = "Release",
    plural = "releases",
    shortname = "rel",
    category = "bailiwick",
    namespaced,
    status = "ReleaseStatus",
    derive = "PartialEq",
    selectable = ".spec.application",
    doc = "One version of an application: an image by digest, the source it was built from, the tickets and the \
        approvals of different people. The spec cannot be changed.",
    printcolumn = r#"{"name":"Application","type":"string","jsonPath":".spec.application"}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".spec.version"}"#,
    printcolumn = r#"{"name":"Source","type":"string","jsonPath":".status.source.evidence"}"#,
    printcolumn = r#"{"name":"Approved","type":"string","jsonPath":".status.conditions[?(@.type==\"Approved\")].status"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp","priority":1}"#,
    printcolumn = r#"{"name":"Digest","type":"string","jsonPath":".status.image.digest","priority":1}"#,
    printcolumn = r#"{"name":"Revision","type":"string","jsonPath":".status.source.revision","priority":1}"#,
    printcolumn = r#"{"name":"Requester","type":"string","jsonPath":".metadata.annotations.bailiwick\\.dev/created-by","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self == oldSelf", "message": "the spec of a Release cannot be changed: make a new Release, with another version"}
]))]
pub struct ReleaseSpec {
    /// The `Application`, in this namespace.
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$")
    )]
    pub application: String,
    /// The version: letters and digits, with single `.`, `_` or `-` between them. In quotes, since YAML takes `1.0` for a number.
    #[schemars(
        length(min = 1, max = 40),
        regex(pattern = r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$")
    )]
    pub version: String,
    /// The image, with its registry: `registry.example.com/payments/api:1.4.2`, or by digest.
    #[schemars(length(min = 3, max = 512), regex(pattern = r"^[^\s]+$"), extend("x-kubernetes-validations" = [
        {"rule": "self.contains('/')", "message": "an image reference with its registry is needed, like registry.example.com/team/shop:1.2; no registry is assumed"}
    ]))]
    pub image: String,
    /// What is new, in Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub notes: Option<String>,
}

/// What the controller knows of a release.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStatus {
    /// The generation that the last pass saw; -1: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The image, resolved once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ReleaseImage>,
    /// What it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceStatus>,
    /// What else was found about the image's source and does not count, or could not be looked at, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// The tickets that the commit names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tickets: Vec<TicketStatus>,
    /// The approvals that count: of this digest, by people other than the requester.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalSummary>,
    /// What the people say who have reviewed the commit on its code host; only where the operator is configured to ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<ReviewStatus>,
    /// Who made the release, as the API server knew them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// When it was Ready for the first time. What was before its application was retired stays so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ready_at: Option<Time>,
    /// The last value of the annotation `bailiwick.dev/reconcile-requested-at` that was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready` is the summary of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

super::standard_status!(ReleaseStatus);

/// An image, as it was resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseImage {
    /// Registry and repository, without tag and digest.
    pub repository: String,
    /// The tag that was asked for, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The digest of the manifest or index that the tag named when it was resolved.
    pub digest: String,
    /// The manifest's media type.
    pub media_type: String,
    /// The platforms of an index, `linux/amd64` for example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// When it was resolved.
    pub resolved_at: Time,
    /// The digest that the tag was last seen at, if it has moved since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
}

/// What an image was built from, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// The source repository, as it was found.
    pub repository: String,
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether the tree was modified when the image was built; unknown if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
    /// Who built it, as the image says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// How that is known.
    pub evidence: Evidence,
    /// Where the evidence was found: the digest of the attestation's manifest, of the layer or of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_digest: Option<String>,
    /// Who signed it, for an attestation: the name of the trusted key or identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Why it may be said of the image's base image rather than of the image. Nobody can tell where an image does not name
    /// its base image, or not truly, and nobody has signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// How the source of an image is known; the first is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Evidence {
    /// A signed provenance attestation that is bound to the digest.
    Attestation,
    /// The image's OCI annotations.
    Annotation,
    /// A `scm-source.json` in the image.
    ScmSourceFile,
}

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketStatus {
    /// Its id.
    pub id: String,
    /// Where it is found, if it is one of the application's ticket system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// An approval that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalSummary {
    /// The `Approval`'s name; for a review on the code host, its URL.
    pub name: String,
    /// What was approved.
    #[serde(rename = "type")]
    pub type_: String,
    /// By whom.
    pub approver: String,
    /// What it is.
    #[serde(default)]
    pub evidence: ApprovalEvidence,
}

/// What an approval that counts is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApprovalEvidence {
    /// An `Approval`, written by the approver.
    #[default]
    Approval,
    /// A review of the commit on its code host.
    Review,
}

/// The last word of somebody who has reviewed the commit on its code host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewStatus {
    /// Where it is found.
    pub url: String,
    /// Whose it is, as the code host calls them.
    pub login: String,
    /// Who that is in the cluster, where it is an approval of this commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    /// Why it is no approval of this commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The kind's own conditions, and what it means if they are True.
pub const CONDITIONS: &[(&str, &str)] = &[
    ("Resolved", "the image is known by its digest"),
    (
        "SourceKnown",
        "it is known from which commit the image was built",
    ),
    (
        "SourceMatches",
        "the image was built from one of the application's repositories",
    ),
    (
        "Clean",
        "the image was built from an unmodified tree; Unknown alone does not keep the release from being Ready",
    ),
    (
        "Approved",
        "as many people have approved as the application demands",
    ),
    (
        "TagMoved",
        "the tag named another image when the release was last looked at, which the annotation \
         bailiwick.dev/reconcile-requested-at asks for; only there while it does, and no part of Ready",
    ),
    (
        "SourceUnconfirmed",
        "the source was to be looked for again, and could not be: what was known before stays; only there while that is so, \
         and no part of Ready",
    ),
    (
        "CodeHostUnanswered",
        "the code host owes an answer about the commit, which is asked for again by itself; only there while it does, \
         and no part of Ready",
    ),
];
