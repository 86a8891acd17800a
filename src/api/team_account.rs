//! `TeamAccount`: one AWS account of a team.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account_class::{
    AlternateContactsSpec, CredentialsBucketOverrides, PasswordPolicyOverrides, regions_schema,
};

/// One AWS account of a team.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "bailiwick.dev",
    version = "v1alpha1",
    kind = "TeamAccount",
    plural = "teamaccounts",
    shortname = "ta",
    category = "bailiwick",
    namespaced,
    status = "TeamAccountStatus",
    derive = "PartialEq",
    selectable = ".spec.className",
    doc = "One AWS account of a team: created in, or adopted from, the organization, placed, tagged and brought to \
        the baseline of its class. Drift of place, name and address is found by the next sweep (--sweep-interval, ten minutes), \
        of tags within twenty sweeps, of alias, contacts, password policy, regions and bucket within --deep-check-interval (six \
        hours), and all of it at once if the annotation bailiwick.dev/reconcile-requested-at is set to another value.",
    printcolumn = r#"{"name":"Account","type":"string","jsonPath":".status.accountId"}"#,
    printcolumn = r#"{"name":"Class","type":"string","jsonPath":".spec.className"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"State","type":"string","jsonPath":".status.state","priority":1}"#,
    printcolumn = r#"{"name":"Unit","type":"string","jsonPath":".status.organizationalUnit.path","priority":1}"#,
    printcolumn = r#"{"name":"Alias","type":"string","jsonPath":".status.alias","priority":1}"#,
    printcolumn = r#"{"name":"Email","type":"string","jsonPath":".status.email","priority":1}"#,
    printcolumn = r#"{"name":"Queue","type":"integer","jsonPath":".status.queue.position","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.className == oldSelf.className",
     "message": "spec.className cannot be changed: delete this object (the account is kept), and adopt the account by spec.accountId in one of the other class", "fieldPath": ".className"}
]))]
pub struct TeamAccountSpec {
    /// The `AccountClass`.
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$")
    )]
    pub class_name: String,
    /// What the account is for: `test`, `live`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 40),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub purpose: Option<String>,
    /// The root user's e-mail address, if not the class's. A change is carried out in place; AWS sends a code to the
    /// new address, which is given back in the annotation `bailiwick.dev/email-confirmation-code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 6, max = 64),
        regex(pattern = r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    )]
    pub email: Option<String>,
    /// The account's name, if not the class's. Changed in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50), regex(pattern = r"^[ -~]+$"))]
    pub account_name: Option<String>,
    /// Adopts this member account instead of creating one. Once the object has an account (`status.accountId`) the field
    /// can be removed, and the account stays managed. In quotes, since YAML takes twelve digits for a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "account_id_schema")]
    pub account_id: Option<String>,
    /// The regions that the account uses, a subset of the class's; all of the class's if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "regions_schema")]
    pub regions: Vec<String>,
    /// What differs from the class, merged field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<AccountOverrides>,
    /// Stops all writes for this account; it is still observed.
    #[serde(default)]
    pub suspend: bool,
    /// `Plan` reads everything, publishes in `status.plan` what it would change, and writes nothing outside.
    #[serde(default)]
    pub mode: Mode,
    /// What becomes of the AWS account when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// The rule is CEL and not a pattern, since its message can then say what an account id is.
fn account_id_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "maxLength": 64,
        "x-kubernetes-validations": [
            {"rule": "self.matches('^[0-9]{12}$')", "message": "an AWS account id is exactly twelve digits"}
        ],
    })
}

/// Whether changes are made or only shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Make them.
    #[default]
    Apply,
    /// Show them.
    Plan,
}

/// What becomes of the AWS account when its object is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It stays as it is, no longer managed.
    #[default]
    Retain,
    /// It is moved to the class's quarantine unit.
    Quarantine,
    /// It is moved to quarantine, and closed after the class's waiting time, but only if the annotation
    /// `bailiwick.dev/confirm-close` holds its id.
    Close,
}

/// What differs from the class. A field that is set here replaces the class's; maps are merged by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountOverrides {
    /// Another organizational unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 512),
        regex(pattern = r"^(/|(/[^/]{1,128}){1,5})$")
    )]
    pub organizational_unit_path: Option<String>,
    /// Another alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 3, max = 63),
        regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$")
    )]
    pub alias: Option<String>,
    /// Further tags, or other values. One that is dropped is removed from the account, if the operator has set it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 40, "additionalProperties" = {"type": "string", "maxLength": 256}, "x-kubernetes-validations" = [
        {"rule": "self.all(key, !key.startsWith('aws:') && !key.startsWith('bailiwick.dev/'))",
         "message": "keys that begin with aws: or bailiwick.dev/ are reserved"}
    ]))]
    pub tags: BTreeMap<String, String>,
    /// Other contacts, each of the three by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternate_contacts: Option<AlternateContactsSpec>,
    /// What of the password policy is different, each rule by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_policy: Option<PasswordPolicyOverrides>,
    /// What of the credentials bucket is different, each field by itself. Where the class has none, a name alone makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_bucket: Option<CredentialsBucketOverrides>,
}

/// What the controller knows of an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeamAccountStatus {
    /// The generation that the last pass saw; -1: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The AWS account's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The account's state, in AWS's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The id of AWS's creation request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_request_id: Option<String>,
    /// What was, or is about to be, asked of CreateAccount: written before the call, so that it is never made twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation: Option<CreationStatus>,
    /// Where the account stands in the queue for creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueStatus>,
    /// Where the account is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizational_unit: Option<UnitStatus>,
    /// The root user's e-mail address, as AWS has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The account's name, as AWS has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_name: Option<String>,
    /// The keys of the tags that the operator has set on the account, besides those that say whose it is: what is dropped
    /// of them from the class and the overrides is removed from the account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag_keys: Vec<String>,
    /// The account's alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The regions that are enabled for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// The bucket that OAuth credentials are delivered to; it keeps its name and its region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_bucket: Option<CredentialsBucketStatus>,
    /// The revision of the class that it has reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_revision: Option<String>,
    /// The revision of the demands that the account was last found to meet; none while they are being carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What differs from the spec and is not being changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<ChangeStatus>,
    /// What would be changed, in this order, under `mode: Plan` or `suspend`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<ChangeStatus>,
    /// A change of the root user's e-mail address that waits for its code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_update: Option<EmailUpdateStatus>,
    /// Since when the account is in quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined_at: Option<Time>,
    /// The last value of the annotation `bailiwick.dev/reconcile-requested-at` that was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready` is the summary of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

super::standard_status!(TeamAccountStatus);

/// The conditions of this kind, and what it means if they are True.
pub const CONDITIONS: &[(&str, &str)] = &[
    ("Accepted", "the spec and its class can be carried out"),
    (
        "Created",
        "the account exists and is a member of the organization",
    ),
    ("Placed", "the account is in its organizational unit"),
    ("Accessible", "the access role lets the operator in"),
    (
        "Baselined",
        "the account has what its class demands inside of it",
    ),
    ("InSync", "no difference was found, or none that is left"),
];

/// The record of a creation, from before the call on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreationStatus {
    /// The e-mail address that is asked for: the key by which the account is found again.
    pub email: String,
    /// The name that is asked for.
    pub account_name: String,
    /// A word that is this attempt's alone, for whoever compares the status with logs. AWS takes no such word: the account is
    /// recognised by its address, and by the object's uid, which it bears as a tag from birth on.
    pub marker: String,
    /// When the intent was recorded.
    pub started_at: Time,
    /// Whether the request is one that was found by its name after a lost answer, and may be somebody else's until its
    /// account proves the contrary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub found_by_name: bool,
    /// A hash of all that was asked for: when something of it changes, a creation that failed is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// Why AWS gave up, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The bucket that OAuth credentials are delivered to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsBucketStatus {
    /// Its name.
    pub bucket: String,
    /// Its region.
    pub region: String,
}

/// A place in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// About how many creations come first. Written when it has halved, not at every step.
    pub position: i64,
    /// When the creation is expected to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_start: Option<Time>,
}

/// An organizational unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitStatus {
    /// Its id.
    pub id: String,
    /// Its path from the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// One change that would be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeStatus {
    /// What would be done, by the name of AWS's operation.
    pub action: String,
    /// To what.
    pub target: String,
    /// What is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What would be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A change of the root user's e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmailUpdateStatus {
    /// The new address, to which AWS sent a code.
    pub email: String,
    /// When AWS was asked to send it.
    pub requested_at: Time,
}
