//! `AccountClass`: what every account of a class has in common.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::REGIONS;

/// What every account of a class has in common.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "bailiwick.dev",
    version = "v1alpha1",
    kind = "AccountClass",
    plural = "accountclasses",
    category = "bailiwick",
    status = "AccountClassStatus",
    derive = "PartialEq",
    doc = "What every AWS account of a class has in common: where it is placed, how it is named, and its baseline.",
    printcolumn = r#"{"name":"Unit","type":"string","jsonPath":".spec.organizationalUnitPath"}"#,
    printcolumn = r#"{"name":"Accounts","type":"integer","jsonPath":".status.accounts"}"#,
    printcolumn = r#"{"name":"Revision","type":"string","jsonPath":".status.revision"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.accessRoleName == oldSelf.accessRoleName",
     "message": "spec.accessRoleName cannot be changed: AWS made the role of that name in the accounts that exist; make another class", "fieldPath": ".accessRoleName"}
]))]
pub struct AccountClassSpec {
    /// The organizational unit that the accounts are placed in, from the root: `/Workloads/Test`. Created when
    /// missing.
    #[schemars(
        length(min = 1, max = 512),
        regex(pattern = r"^(/|(/[^/]{1,128}){1,5})$")
    )]
    pub organizational_unit_path: String,
    /// The root user's e-mail address. `{{team}}`, `{{account}}` and `{{purpose}}` are replaced. Must come out
    /// different for every account.
    #[schemars(length(min = 6, max = 200))]
    pub email_template: String,
    /// The account's name. `{{team}}`, `{{account}}` and `{{purpose}}` are replaced.
    #[serde(default = "default_name_template")]
    #[schemars(length(min = 1, max = 200))]
    pub account_name_template: String,
    /// The account's alias, if it shall have one. `{{team}}`, `{{account}}`, `{{purpose}}` and `{{account.id}}` are
    /// replaced. Unique over all of AWS, so begin it with your company's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 200))]
    pub alias_template: Option<String>,
    /// Tags of every account, besides the ones that say who owns it. One that is dropped here is removed from the accounts
    /// on which the operator has set it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 40, "additionalProperties" = {"type": "string", "maxLength": 256}, "x-kubernetes-validations" = [
        {"rule": "self.all(key, !key.startsWith('aws:') && !key.startsWith('bailiwick.dev/'))",
         "message": "keys that begin with aws: or bailiwick.dev/ are reserved"}
    ]))]
    pub tags: BTreeMap<String, String>,
    /// The role through which the accounts are entered; AWS makes it when it creates an account. It cannot be
    /// changed for accounts that exist.
    #[serde(default = "default_access_role")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[\w+=,.@-]+$"))]
    pub access_role_name: String,
    /// Whom AWS writes to besides the root user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternate_contacts: Option<AlternateContactsSpec>,
    /// The regions that the accounts use. Those that are not on by default are enabled.
    #[serde(default)]
    #[schemars(schema_with = "regions_schema")]
    pub regions: Vec<String>,
    /// What IAM demands of passwords. Left alone if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_policy: Option<PasswordPolicySpec>,
    /// The bucket of each account that OAuth credentials are delivered to. None if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_bucket: Option<CredentialsBucketSpec>,
    /// Whether these accounts carry production. A team that has one can have no Ready release of an image tag that may
    /// be moved: `latest`, or one that ends in `-SNAPSHOT`.
    #[serde(default)]
    pub production: bool,
    /// Whether repositories in these accounts may have tags that can be moved.
    #[serde(default)]
    pub mutable_image_tags: bool,
    /// Where accounts go whose object was deleted with `deletionPolicy: Quarantine` or `Close`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<QuarantineSpec>,
}

fn default_name_template() -> String {
    "{{team}}-{{account}}".to_owned()
}

fn default_access_role() -> String {
    "OrganizationAccountAccessRole".to_owned()
}

/// A set of regions that this version knows, so that a typing error is refused at admission.
pub(super) fn regions_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let names: Vec<&str> = REGIONS.iter().map(|region| region.as_str()).collect();
    schemars::json_schema!({
        "type": "array",
        "maxItems": 40,
        "x-kubernetes-list-type": "set",
        "items": { "type": "string", "enum": names },
    })
}

/// The three alternate contacts. One that is left out is left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlternateContactsSpec {
    /// Invoices and payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<AlternateContactSpec>,
    /// Outages and maintenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<AlternateContactSpec>,
    /// Abuse reports and security notices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<AlternateContactSpec>,
}

/// An alternate contact (Account Management API Reference, PutAlternateContact).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlternateContactSpec {
    /// A person's or a group's name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Their function.
    #[schemars(length(min = 1, max = 50))]
    pub title: String,
    /// Their e-mail address.
    #[schemars(
        length(min = 3, max = 254),
        regex(pattern = r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    )]
    pub email: String,
    /// Their telephone number.
    #[schemars(length(min = 1, max = 25), regex(pattern = r"^[0-9\s()+-]+$"))]
    pub phone: String,
}

/// What IAM demands of passwords (IAM API Reference, UpdateAccountPasswordPolicy).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordPolicySpec {
    /// At least so many characters.
    #[serde(default = "default_minimum_length")]
    #[schemars(range(min = 6, max = 128))]
    pub minimum_length: u8,
    /// At least one capital letter.
    #[serde(default)]
    pub require_uppercase: bool,
    /// At least one small letter.
    #[serde(default)]
    pub require_lowercase: bool,
    /// At least one digit.
    #[serde(default)]
    pub require_numbers: bool,
    /// At least one symbol.
    #[serde(default)]
    pub require_symbols: bool,
    /// Users may change their own password.
    #[serde(default)]
    pub allow_users_to_change: bool,
    /// Days until a password expires; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1095))]
    pub max_age_days: Option<u16>,
    /// How many earlier passwords may not come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 24))]
    pub reuse_prevention: Option<u8>,
    /// An expired password can only be replaced by an administrator.
    #[serde(default)]
    pub hard_expiry: bool,
}

impl Default for PasswordPolicySpec {
    /// What the API server fills in for an empty policy.
    fn default() -> Self {
        Self {
            minimum_length: default_minimum_length(),
            require_uppercase: false,
            require_lowercase: false,
            require_numbers: false,
            require_symbols: false,
            allow_users_to_change: false,
            max_age_days: None,
            reuse_prevention: None,
            hard_expiry: false,
        }
    }
}

/// What of the class's password policy is different; what is left out is as the class has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordPolicyOverrides {
    /// At least so many characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 6, max = 128))]
    pub minimum_length: Option<u8>,
    /// At least one capital letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_uppercase: Option<bool>,
    /// At least one small letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_lowercase: Option<bool>,
    /// At least one digit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_numbers: Option<bool>,
    /// At least one symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_symbols: Option<bool>,
    /// Users may change their own password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_users_to_change: Option<bool>,
    /// Days until a password expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1095))]
    pub max_age_days: Option<u16>,
    /// How many earlier passwords may not come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 24))]
    pub reuse_prevention: Option<u8>,
    /// An expired password can only be replaced by an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard_expiry: Option<bool>,
}

fn default_minimum_length() -> u8 {
    14
}

/// The bucket that OAuth credentials are delivered to: private, encrypted with KMS, and with a policy that lets a role read
/// only what is below the name of its own application. It is made in every account, repaired, and never deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsBucketSpec {
    /// Its name. `{{team}}`, `{{account}}`, `{{purpose}}`, `{{account.id}}` and `{{region}}` are replaced. Unique over all of
    /// AWS, so begin it with your company's name. It is filled in once for an account; a later change is for new ones.
    #[schemars(length(min = 3, max = 200))]
    pub name_template: String,
    /// Its region, one of the class's; the first of those if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "region_schema")]
    pub region: Option<String>,
    /// The KMS key that it is encrypted with by default, by its ARN; AWS's own for S3 (`aws/s3`) if left out. The same
    /// placeholders are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 20, max = 300),
        regex(pattern = r"^arn:aws[a-z-]*:kms:[^:]+:[^:]+:(key|alias)/.+$")
    )]
    pub kms_key_arn: Option<String>,
}

/// One of the regions that this version knows.
fn region_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let names: Vec<&str> = REGIONS.iter().map(|region| region.as_str()).collect();
    schemars::json_schema!({ "type": "string", "enum": names })
}

/// What of the class's credentials bucket is different; what is left out is as the class has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsBucketOverrides {
    /// Another name. It must be decided before the bucket is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 3, max = 63),
        regex(pattern = r"^[a-z0-9][a-z0-9-]*[a-z0-9]$")
    )]
    pub name: Option<String>,
    /// Another region, one of the account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "region_schema")]
    pub region: Option<String>,
    /// Another KMS key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 20, max = 300),
        regex(pattern = r"^arn:aws[a-z-]*:kms:[^:]+:[^:]+:(key|alias)/.+$")
    )]
    pub kms_key_arn: Option<String>,
}

/// Where accounts wait before they are closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuarantineSpec {
    /// The organizational unit, from the root. Created when missing.
    #[schemars(length(min = 2, max = 512), regex(pattern = r"^(/[^/]{1,128}){1,5}$"))]
    pub organizational_unit_path: String,
    /// How long an account stays there before it may be closed, `30d` or `12h` for example.
    #[serde(default = "default_close_after")]
    #[schemars(length(min = 2, max = 6), regex(pattern = r"^[1-9][0-9]{0,4}[mhd]$"))]
    pub close_after: String,
}

fn default_close_after() -> String {
    "30d".to_owned()
}

/// What the controller knows of a class.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountClassStatus {
    /// The generation that the last pass saw; -1: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// A hash of what the class demands of an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// How many accounts are of this class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<i64>,
    /// How many of them have reached which revision.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts_by_revision: BTreeMap<String, i64>,
    /// `Ready` is the summary of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

super::standard_status!(AccountClassStatus);

/// The conditions of this kind, and what it means if they are True.
pub const CONDITIONS: &[(&str, &str)] = &[("Accepted", "the class can be carried out")];
