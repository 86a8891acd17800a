//! The custom resources, one file per kind. Schema, validation rules and printer columns; no behaviour.
//!
//! Group `bailiwick.dev`, version `v1alpha1`. Rules that a field keeps by itself are in its schema, rules between
//! fields and over time are CEL in the schema, and what needs to know who asks is an admission policy in the chart.

mod account_class;
mod application;
mod application_name;
mod approval;
mod image_repository;
mod oauth_client;
mod oauth_provider;
mod release;
mod resource_type;
mod team;
mod team_account;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

pub use account_class::{
    AccountClass, AccountClassSpec, AccountClassStatus, AlternateContactSpec,
    AlternateContactsSpec, CredentialsBucketOverrides, CredentialsBucketSpec,
    PasswordPolicyOverrides, PasswordPolicySpec, QuarantineSpec,
};
pub use application::{
    Application, ApplicationSpec, ApplicationStatus, CredentialsSummary, LinkSpec, ReleaseSummary,
    RequiredApprovalsSpec, RetirementStatus, TicketSystemSpec, Tier,
};
pub use application_name::{
    ApplicationName, ApplicationNameSpec, ApplicationNameStatus, KeptApprovals, NameOwner,
    NameState,
};
pub use approval::{Approval, ApprovalSpec, ApprovalStatus};
pub use image_repository::{
    ImageRepository, ImageRepositorySpec, ImageRepositoryStatus, RepositoryDeletionPolicy,
};
pub use oauth_client::{
    AuthMethod, CredentialsDeletionPolicy, Day, DeliverySpec, DestinationStatus, GrantType,
    OAuthClient, OAuthClientSpec, OAuthClientStatus, RotationCause, RotationSpec, RotationStatus,
    RotationStep, S3DeliverySpec, SecretDeliverySpec, SecretsManagerDeliverySpec, VersionMethod,
    VersionState, VersionStatus, WindowSpec,
};
pub use oauth_provider::{
    CognitoSpec, DynamicRegistrationSpec, KeyReference, KeycloakSpec, OAuthProvider,
    OAuthProviderSpec, OAuthProviderStatus, PasswordGrant, ResourceServerSpec, SecretRotation,
};
pub use release::{
    ApprovalEvidence, ApprovalSummary, Evidence, Release, ReleaseImage, ReleaseSpec, ReleaseStatus,
    ReviewStatus, SourceStatus, TicketStatus,
};
pub use resource_type::{
    HeldScope, ResourceType, ResourceTypeSpec, ResourceTypeStatus, RetainedHolder, ScopeClass,
    ScopeSpec,
};
pub use team::{
    ContactSpec, MemberSpec, Team, TeamAccountSummary, TeamDeletionPolicy, TeamSpec, TeamStatus,
};
pub use team_account::{
    AccountOverrides, ChangeStatus, CreationStatus, CredentialsBucketStatus, DeletionPolicy,
    EmailUpdateStatus, Mode, QueueStatus, TeamAccount, TeamAccountSpec, TeamAccountStatus,
    UnitStatus,
};

/// The API group of every kind.
pub const GROUP: &str = "bailiwick.dev";
/// The label that says whose a namespace, or an object in the cluster, is: the team's id.
pub const LABEL_TEAM: &str = "bailiwick.dev/team";
/// Our finalizer: present from before the first write outside until what is outside is settled.
pub const FINALIZER: &str = "bailiwick.dev/finalizer";
/// Setting this annotation to a new value forces a full pass.
pub const ANNOTATION_RECONCILE: &str = "bailiwick.dev/reconcile-requested-at";
/// The second confirmation without which no account is closed: must hold the account's id.
pub const ANNOTATION_CONFIRM_CLOSE: &str = "bailiwick.dev/confirm-close";
/// Who made an object, as the API server authenticated them; set and kept by admission policies.
pub const ANNOTATION_CREATED_BY: &str = "bailiwick.dev/created-by";
/// Who changed an object's spec last, as the API server authenticated them; set and kept by admission policies.
pub const ANNOTATION_CHANGED_BY: &str = "bailiwick.dev/changed-by";
/// Setting this annotation of an `OAuthClient` to a new value rotates its credentials now, windows notwithstanding.
pub const ANNOTATION_RENEW: &str = "bailiwick.dev/renew-requested-at";
/// Setting this annotation of an `OAuthClient` to a new value removes all its credentials at once, and makes new ones.
pub const ANNOTATION_REVOKE: &str = "bailiwick.dev/revoke-requested-at";
/// The code that AWS mailed to an account's new root address; taken off again when it has been used.
pub const ANNOTATION_EMAIL_CODE: &str = "bailiwick.dev/email-confirmation-code";

/// What every status has, so that one frame can derive and write the summary of all kinds.
pub trait Status: Clone + Default + PartialEq + serde::Serialize + Send + Sync + 'static {
    /// The generation that the last finished pass saw.
    fn observed_generation(&mut self) -> &mut Option<i64>;
    /// The conditions.
    fn conditions(&mut self) -> &mut Vec<Condition>;
    /// The conditions, to read.
    fn conditions_ref(&self) -> &[Condition];
}

/// Implements [`Status`] for a status struct with the two standard fields.
macro_rules! standard_status {
    ($status:ty) => {
        impl $crate::api::Status for $status {
            fn observed_generation(&mut self) -> &mut Option<i64> {
                &mut self.observed_generation
            }
            fn conditions(
                &mut self,
            ) -> &mut Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
                &mut self.conditions
            }
            fn conditions_ref(
                &self,
            ) -> &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition] {
                &self.conditions
            }
        }
    };
}
pub(crate) use standard_status;

/// The conditions that every kind has, and what it means if they are True.
const CONDITIONS: [(&str, &str); 3] = [
    (
        "Ready",
        "everything is as declared: the summary of all others",
    ),
    ("Reconciling", "work is under way; only there while it is"),
    (
        "Stalled",
        "nothing will happen until a person changes something; only there while that is so",
    ),
];

/// The conditions of a kind, and what it means if they are True.
pub fn conditions_of(kind: &str) -> Vec<(&'static str, &'static str)> {
    let own = match kind {
        "AccountClass" => account_class::CONDITIONS,
        "Application" => application::CONDITIONS,
        "ApplicationName" => application_name::CONDITIONS,
        "Approval" => approval::CONDITIONS,
        "ImageRepository" => image_repository::CONDITIONS,
        "OAuthClient" => oauth_client::CONDITIONS,
        "OAuthProvider" => oauth_provider::CONDITIONS,
        "Release" => release::CONDITIONS,
        "ResourceType" => resource_type::CONDITIONS,
        "Team" => team::CONDITIONS,
        "TeamAccount" => team_account::CONDITIONS,
        _ => &[],
    };
    CONDITIONS.iter().chain(own).copied().collect()
}

/// The definitions of all kinds, as they are installed.
///
/// # Errors
/// Only if a definition cannot be turned into JSON and back, which a test rules out.
pub fn definitions() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    [
        AccountClass::crd(),
        Application::crd(),
        ApplicationName::crd(),
        Approval::crd(),
        ImageRepository::crd(),
        OAuthClient::crd(),
        OAuthProvider::crd(),
        Release::crd(),
        ResourceType::crd(),
        Team::crd(),
        TeamAccount::crd(),
    ]
    .into_iter()
    .map(complete)
    .collect()
}

/// Adds to a derived definition what the derive cannot say.
fn complete(
    definition: CustomResourceDefinition,
) -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut value = serde_json::to_value(definition)?;
    let kind = value["spec"]["names"]["kind"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if let Some(schema) = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        // An object that no controller has seen yet is "in progress" for kstatus only if this differs from the
        // generation; without the default it would count as done.
        if let Some(status) = schema.pointer_mut("/properties/status") {
            status["default"] = json!({ "observedGeneration": -1 });
            if let Some(conditions) = status.pointer_mut("/properties/conditions") {
                conditions["x-kubernetes-list-type"] = json!("map");
                conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
            }
        }
        if let Some(rule) = root_rule(&kind) {
            schema["x-kubernetes-validations"] = rule;
        }
    }
    serde_json::from_value(value)
}

/// A scope that somebody holds cannot vanish unseen.
fn held_scopes_stay() -> Value {
    json!({
        "rule": "!has(oldSelf.status) || !has(oldSelf.status.held) || oldSelf.status.held.all(held, \
            !oldSelf.spec.scopes.exists(scope, scope.name == held.name) || \
            self.spec.scopes.exists(scope, scope.name == held.name))",
        "message": "spec.scopes: a scope that somebody holds cannot be removed; status.held says who: take back what is granted \
            (grantedTo), or have them remove it from their spec.scopes, and remove it when nobody holds it any more",
    })
}

/// The account of an object that has one is not exchanged; where it has none yet, the one to adopt is not, for without it
/// another would be created; and none is named while AWS is creating one.
fn accounts_stay() -> Value {
    json!([{
        "rule": "(has(oldSelf.status) && has(oldSelf.status.accountId)) || !has(oldSelf.spec.accountId) || \
            (has(self.spec.accountId) && self.spec.accountId == oldSelf.spec.accountId)",
        "message": "spec.accountId cannot be changed before the account is adopted: delete this object and make a new one",
    }, {
        "rule": "!has(oldSelf.status) || !has(oldSelf.status.accountId) || !has(self.spec.accountId) || \
            self.spec.accountId == oldSelf.status.accountId || \
            (has(oldSelf.spec.accountId) && self.spec.accountId == oldSelf.spec.accountId)",
        "message": "spec.accountId cannot be changed: this object manages the account in status.accountId; remove the field, \
            or, for another account, delete this object (deletionPolicy: Retain keeps the account) and make a new one",
    }, {
        "rule": "!has(self.spec.accountId) || has(oldSelf.spec.accountId) || !has(oldSelf.status) || \
            has(oldSelf.status.accountId) || !has(oldSelf.status.creation) || has(oldSelf.status.creation.failure)",
        "message": "spec.accountId cannot be set while AWS is asked to create an account for this object (status.creation): \
            delete this object (deletionPolicy says what becomes of that account) and make a new one",
    }])
}

/// The rules about an object as a whole, where there are any: what it may be called, where its name is an id; others are
/// called what Kubernetes allows.
fn root_rule(kind: &str) -> Option<Value> {
    let what = match kind {
        "Team" => "a team id",
        "Application" | "ApplicationName" => "an application id",
        "AccountClass" | "TeamAccount" => "its name",
        "ResourceType" => return Some(json!([held_scopes_stay()])),
        _ => return None,
    };
    let mut rules = json!([{
        "rule": "self.metadata.name.matches('^[a-z][a-z0-9-]*[a-z0-9]$') && self.metadata.name.size() <= 40",
        "message": format!("metadata.name: {what} consists of lower-case letters, digits and hyphens, begins with a \
            letter, does not end with a hyphen, and has 2 to 40 characters"),
    }]);
    if kind == "TeamAccount"
        && let (Some(rules), Value::Array(more)) = (rules.as_array_mut(), accounts_stay())
    {
        rules.extend(more);
    }
    Some(rules)
}
