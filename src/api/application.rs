//! `Application`: what a team builds and runs, and what must hold before it is deployed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KeptApprovals;
use crate::model::{DECLARED_RULES, DeclaredRule, LONGEST_DECLARED};

/// An application. Its name is the application's id, unique in the company and never given to another team.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "bailiwick.dev",
    version = "v1alpha1",
    kind = "Application",
    plural = "applications",
    shortname = "app",
    category = "bailiwick",
    namespaced,
    status = "ApplicationStatus",
    derive = "PartialEq",
    doc = "An application: whose it is, where its source is, and what must hold before it is deployed. The object's \
        name is the application's id, unique in the company.",
    printcolumn = r#"{"name":"Team","type":"string","jsonPath":".status.team"}"#,
    printcolumn = r#"{"name":"Active","type":"boolean","jsonPath":".spec.active"}"#,
    printcolumn = r#"{"name":"Release","type":"string","jsonPath":".status.latestReadyVersion"}"#,
    printcolumn = r#"{"name":"Credentials","type":"string","jsonPath":".status.credentialsReady"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Tier","type":"string","jsonPath":".spec.tier","priority":1}"#,
    printcolumn = r#"{"name":"Releases","type":"integer","jsonPath":".status.releaseCount","priority":1}"#,
    printcolumn = r#"{"name":"Incident contact","type":"string","jsonPath":".spec.incidentContact","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSpec {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub display_name: Option<String>,
    /// What it does, in Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub description: Option<String>,
    /// `false` retires the application: after `retirementPeriod` nothing new is deployed and its credentials are
    /// retired. What will happen when is in the status from the first moment on.
    #[serde(default = "default_active")]
    pub active: bool,
    /// How long an application that is set inactive keeps its rights, `24h` or `7d` for example.
    #[serde(default = "default_retirement_period")]
    #[schemars(length(min = 2, max = 6), regex(pattern = r"^[1-9][0-9]{0,4}[mhd]$"))]
    pub retirement_period: String,
    /// How much depends on it; `Tier1` most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The source repositories that its images may be built from: `https://host/owner/name`, `ssh://git@host/owner/name`
    /// or `git@host:owner/name`, without a password. Compared by host, owner and name alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "repositories_schema")]
    pub repositories: Vec<String>,
    /// Where people find more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type", "url"]))]
    pub links: Vec<LinkSpec>,
    /// How a ticket is recognised in a commit message, and where it is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_system: Option<TicketSystemSpec>,
    /// Whom to call when it is down: a team, a telephone number, a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub incident_contact: Option<String>,
    /// Which approvals a release needs. None if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_approvals: Option<RequiredApprovalsSpec>,
    /// The team that may take this application over, by an `Application` of the same name of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 40),
        regex(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$")
    )]
    pub transfer_to: Option<String>,
    /// Stops all writes for this application; it is still observed.
    #[serde(default)]
    pub suspend: bool,
}

fn default_active() -> bool {
    true
}

fn default_retirement_period() -> String {
    "24h".to_owned()
}

/// The rules are CEL and not patterns, since their messages can then say what a repository's URL looks like.
fn repositories_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let rule = |rule: &DeclaredRule| {
        let refused = format!("!self.matches('{}')", rule.when);
        let rule_text = match rule.then {
            None => refused,
            Some(then) => format!("{refused} || self.matches('{then}')"),
        };
        serde_json::json!({"rule": rule_text, "message": format!("it must be {}", rule.message)})
    };
    let rules: Vec<serde_json::Value> = DECLARED_RULES.iter().map(rule).collect();
    schemars::json_schema!({
        "type": "array",
        "maxItems": 20,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "maxLength": LONGEST_DECLARED, "x-kubernetes-validations": rules},
    })
}

/// How much depends on an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Tier {
    /// The business stands still without it.
    Tier1,
    /// Something important is missing without it.
    Tier2,
    /// It can wait until the morning.
    Tier3,
    /// Nothing that customers notice.
    NotRelevant,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkSpec {
    /// What is found there: `documentation`, `specification`, `support`, `service`, …
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub type_: String,
    /// Where.
    #[schemars(
        length(min = 8, max = 1024),
        regex(pattern = r"^(https?://|mailto:)[^\s]+$")
    )]
    pub url: String,
    /// What people read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub title: Option<String>,
}

/// How a ticket is recognised and found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketSystemSpec {
    /// A regular expression (RE2) that finds a ticket's id in a commit message, `[A-Z]+-[0-9]+` for example.
    #[schemars(length(min = 1, max = 200))]
    pub pattern: String,
    /// The ticket's URL; `{{ticket}}` is replaced by its id.
    #[schemars(
        length(min = 8, max = 512),
        regex(pattern = r"^https?://[^\s]*\{\{ticket\}\}[^\s]*$")
    )]
    pub url_template: String,
}

/// Which approvals a release needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequiredApprovalsSpec {
    /// The types, each of which must be given: `Specification`, `CodeChange`, `Test`, `Deploy` or another word.
    #[schemars(
        length(min = 1, max = 10),
        inner(length(min = 2, max = 40), regex(pattern = r"^[A-Z][A-Za-z0-9]*$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub types: Vec<String>,
    /// By how many different people, over all types together; the release's requester never counts.
    #[serde(default = "default_people")]
    #[schemars(range(min = 1, max = 10))]
    pub people: u8,
}

fn default_people() -> u8 {
    1
}

/// What the controller knows of an application: whose it is, which versions are released, as which image, and whether they
/// are Ready, whether it has its credentials, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationStatus {
    /// The generation that the last pass saw; -1: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The team that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The source repositories in the form in which they are compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// How many releases there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_count: Option<i64>,
    /// The newest release that is Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_ready_version: Option<String>,
    /// The newest releases, newest first, twenty at most: what may run, by version and digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<ReleaseSummary>,
    /// How many of its credentials are Ready, of how many: `1/2`. Left out if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ready: Option<String>,
    /// Its credentials, by name, twenty at most: those that are not Ready before the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<CredentialsSummary>,
    /// What releases need, if that is more than `spec.requiredApprovals`: what was demanded before stays until the
    /// platform team lowers it in the `ApplicationName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_approvals: Option<KeptApprovals>,
    /// What will become, or has become, of an application that was set inactive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retirement: Option<RetirementStatus>,
    /// The last value of the annotation `bailiwick.dev/reconcile-requested-at` that was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready` is the summary of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

super::standard_status!(ApplicationStatus);

/// One release of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSummary {
    /// The `Release`'s name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its image's digest, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether it is Ready.
    pub ready: bool,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One of an application's `OAuthClient`s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsSummary {
    /// The `OAuthClient`'s name.
    pub name: String,
    /// Whether it is Ready.
    pub ready: bool,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when the current version is valid by itself, or should be by its period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// The retirement of an application: announced first, then carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetirementStatus {
    /// When it was seen to be inactive.
    pub announced_at: Time,
    /// When nothing new is deployed any more and the credentials are retired; changing `active` back before then
    /// calls it off.
    pub effective_at: Time,
    /// Whether that time has come.
    pub effective: bool,
}

/// The kind's own conditions, and what it means if they are True.
pub const CONDITIONS: &[(&str, &str)] = &[
    (
        "Accepted",
        "the name is this team's, and the application can be carried out as declared",
    ),
    (
        "Active",
        "the application is in use: it is neither retired nor being retired",
    ),
];
