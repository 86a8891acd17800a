//! `ImageRepository`: where an application's images are kept.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChangeStatus, Mode};

/// A repository for an application's images, in Amazon ECR.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "bailiwick.dev",
    version = "v1alpha1",
    kind = "ImageRepository",
    plural = "imagerepositories",
    shortname = "ir",
    category = "bailiwick",
    namespaced,
    status = "ImageRepositoryStatus",
    derive = "PartialEq",
    selectable = ".spec.application",
    doc = "A repository for an application's images, in Amazon ECR: tags that cannot be moved, scanned on push, pushed to \
        by the team alone, pulled by the company's accounts.",
    printcolumn = r#"{"name":"Application","type":"string","jsonPath":".spec.application"}"#,
    printcolumn = r#"{"name":"URI","type":"string","jsonPath":".status.uri"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp","priority":1}"#,
    printcolumn = r#"{"name":"Account","type":"string","jsonPath":".status.accountId","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.application == oldSelf.application", "message": "spec.application cannot be changed", "fieldPath": ".application"},
    {"rule": "has(self.account) == has(oldSelf.account) && (!has(self.account) || self.account == oldSelf.account)",
     "message": "spec.account cannot be changed: images do not move between accounts", "fieldPath": ".account"},
    {"rule": "self.region == oldSelf.region", "message": "spec.region cannot be changed: images do not move between regions", "fieldPath": ".region"},
    {"rule": "has(self.repositoryName) == has(oldSelf.repositoryName) && (!has(self.repositoryName) || self.repositoryName == oldSelf.repositoryName)",
     "message": "spec.repositoryName cannot be changed: make another ImageRepository", "fieldPath": ".repositoryName"}
]))]
pub struct ImageRepositorySpec {
    /// The `Application`, in this namespace.
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$")
    )]
    pub application: String,
    /// The `TeamAccount`, in this namespace, that the repository is in; the platform's account if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$")
    )]
    pub account: Option<String>,
    /// The region.
    #[schemars(schema_with = "region_schema")]
    pub region: String,
    /// The repository's name, `<team>/<application>` if left out. In the platform's account it must begin with
    /// `<team>/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 256),
        regex(
            pattern = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$"
        )
    )]
    pub repository_name: Option<String>,
    /// Tags that may be moved, `*-SNAPSHOT` for example; only where the account's class allows it. At most two `*` in
    /// each. Not those that begin with `bailiwick-keep-`: they keep what was released.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 5),
        inner(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9._-]*(\*[A-Za-z0-9._-]*){0,2}$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub mutable_tags: Vec<String>,
    /// The ARN of a KMS key to encrypt with; AES-256 by S3 if left out. Cannot be changed once the repository exists. Not
    /// an alias: AWS shows the key, and the two could not be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        regex(pattern = r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$")
    )]
    pub kms_key_arn: Option<String>,
    /// ARNs of IAM roles that may push, besides roles of the team's own accounts: the CI's role. They must exist, in an
    /// account of the company.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 20),
        inner(length(max = 256), regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub push_roles: Vec<String>,
    /// Days after which an image without a tag expires; never if left out. What a release is of bears a tag of ours and
    /// never expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub expire_untagged_after_days: Option<u16>,
    /// Takes over a repository that exists without our tags; shows what it would change first under `mode: Plan`.
    #[serde(default)]
    pub adopt: bool,
    /// Stops all writes for this repository; it is still observed.
    #[serde(default)]
    pub suspend: bool,
    /// `Plan` reads everything, publishes in `status.plan` what it would change, and writes nothing outside.
    #[serde(default)]
    pub mode: Mode,
    /// What becomes of the repository when this object is deleted; `Delete` deletes it only if it is empty.
    #[serde(default)]
    pub deletion_policy: RepositoryDeletionPolicy,
}

pub(super) fn region_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let names: Vec<&str> = crate::model::REGIONS
        .iter()
        .map(|region| region.as_str())
        .collect();
    schemars::json_schema!({ "type": "string", "enum": names })
}

/// What becomes of a repository when its object is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RepositoryDeletionPolicy {
    /// It stays as it is, no longer managed.
    #[default]
    Retain,
    /// It is deleted, if there is no image in it.
    Delete,
}

/// What the controller knows of a repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageRepositoryStatus {
    /// The generation that the last pass saw; -1: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The AWS account that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// When the repository was created; one made anew under the same name is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// The revision of the demands that it was last found to meet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// How many images are kept, because a release is of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_images: Option<i64>,
    /// The repository's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Where images are pushed to and pulled from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// What differs from the spec and is not being changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<ChangeStatus>,
    /// What would be changed, in this order, under `mode: Plan` or `suspend`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<ChangeStatus>,
    /// The last value of the annotation `bailiwick.dev/reconcile-requested-at` that was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready` is the summary of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

super::standard_status!(ImageRepositoryStatus);

/// The kind's own conditions, and what it means if they are True.
pub const CONDITIONS: &[(&str, &str)] = &[
    (
        "Accepted",
        "the spec, its account and its class can be carried out",
    ),
    ("Created", "the repository exists and is this object's"),
    ("InSync", "no difference was found, or none that is left"),
];
