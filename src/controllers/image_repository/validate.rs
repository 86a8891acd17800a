//! Validate: the spec, its account and class, parsed into where the repository is and what it shall be.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use kube::ResourceExt;

use super::{Place, PlatformAccount, reasons};
use crate::api::{AccountClass, ImageRepository, Team, TeamAccount};
use crate::cloud::Company;
use crate::engine::Outcome;
use crate::engine::conditions::{self, READY};
use crate::model::{
    AccountId, AccountState, InvalidValue, OrganizationId, Owner, RepositoryName, RoleName,
    TagMutability,
};
use crate::plan::repository::{
    DesiredRepository, KEEP_PREFIX, access, keep_tag, may_match_keep_tag,
};

/// How soon we look again for something that another controller, or a person, is about to make.
const SOON: Duration = Duration::from_secs(30);

/// What the spec refers to.
pub(super) struct Given<'a> {
    pub(super) team: Option<&'a Team>,
    pub(super) account: Option<&'a TeamAccount>,
    pub(super) class: Option<&'a AccountClass>,
    pub(super) platform: Option<&'a PlatformAccount>,
}

/// Where the repository is.
pub(super) fn place(object: &ImageRepository, given: &Given<'_>) -> Result<Place, Outcome> {
    let spec = &object.spec;
    let region = parse(&spec.region, "spec.region")?;
    let Some(name) = &spec.account else {
        let platform = given.platform.ok_or_else(|| {
            let message = "spec.account is left out, and the operator knows no account for the platform's repositories: \
                           run it with --platform-account, or name a TeamAccount of this namespace";
            Outcome::blocked(reasons::NO_PLATFORM_ACCOUNT, message)
        })?;
        return Ok(Place {
            account: platform.account.clone(),
            role: platform.role.clone(),
            region,
        });
    };
    let namespace = object.namespace().unwrap_or_default();
    let account = given.account.ok_or_else(|| {
        let message =
            format!("spec.account: there is no TeamAccount {name:?} in namespace {namespace}");
        Outcome::blocked(reasons::ACCOUNT_NOT_FOUND, message)
    })?;
    let id = account_id(account).ok_or_else(|| account_not_ready(account))?;
    let class_name = &account.spec.class_name;
    let class = given.class.ok_or_else(|| {
        let message = format!("TeamAccount {name}: there is no AccountClass {class_name:?}");
        Outcome::blocked(reasons::ACCOUNT_NOT_FOUND, message)
    })?;
    let regions = match account.spec.regions.as_slice() {
        [] => &class.spec.regions,
        own => own,
    };
    if !regions.contains(&spec.region) {
        let message = format!(
            "spec.region: {} is not a region of TeamAccount {name} ({})",
            spec.region,
            regions.join(", ")
        );
        return Err(Outcome::blocked(reasons::INVALID_SPEC, message));
    }
    let role: RoleName = parse(
        &class.spec.access_role_name,
        &format!("AccountClass {class_name}: spec.accessRoleName"),
    )?;
    Ok(Place {
        account: id,
        role,
        region,
    })
}

/// The id of the account, once it has one.
pub(super) fn account_id(account: &TeamAccount) -> Option<AccountId> {
    let status = account.status.as_ref()?;
    status.account_id.as_deref()?.parse().ok()
}

/// An account whose repository is to be created must be ready; later a passing trouble of the account is no trouble of
/// its repositories.
pub(super) fn not_ready(account: Option<&TeamAccount>) -> Option<Outcome> {
    let account = account?;
    let status = account.status.as_ref();
    let ready = status.is_some_and(|status| conditions::is_true(&status.conditions, READY));
    (!ready).then(|| account_not_ready(account))
}

fn account_not_ready(account: &TeamAccount) -> Outcome {
    let message = format!(
        "TeamAccount {} is not ready yet: its own conditions say why",
        account.name_any()
    );
    Outcome::waiting(reasons::ACCOUNT_NOT_READY, message, SOON)
}

/// Every repository is an application's.
pub(super) fn no_application(name: &str, namespace: &str) -> Outcome {
    let message = format!(
        "spec.application: there is no Application {name:?} in namespace {namespace} yet: create it"
    );
    Outcome::waiting(reasons::APPLICATION_NOT_FOUND, message, SOON)
}

pub(super) fn not_accepted(name: &str, why: &str) -> Outcome {
    let message = format!("spec.application: Application {name} is not accepted: {why}");
    Outcome::waiting(reasons::APPLICATION_NOT_ACCEPTED, message, SOON)
}

/// The organization's id. The account that manages it holds no images: its role could do anything, and no policy of
/// the organization binds it.
pub(super) fn company<'a>(
    company: &'a Company,
    place: &Place,
    object: &ImageRepository,
) -> Result<&'a OrganizationId, Outcome> {
    if object.spec.account.is_none() && place.account == company.management {
        let message = format!(
            "account {} manages the organization and holds no repositories: give the operator another one with \
             --platform-account",
            place.account
        );
        return Err(Outcome::blocked(reasons::NO_PLATFORM_ACCOUNT, message));
    }
    Ok(&company.id)
}

/// The team's accounts whose roles may push: those that were once ready and are not closed. AWS takes no policy that
/// names an account which it does not know yet, or not any more.
pub(super) fn pushing(accounts: &[TeamAccount]) -> BTreeSet<AccountId> {
    let open = accounts.iter().filter(|account| {
        account.status.as_ref().is_some_and(|status| {
            let state = status.state.as_deref().map(AccountState::from_aws);
            // Unlike Ready it does not go away with a passing trouble, which must not stop anybody from pushing.
            conditions::is_true(&status.conditions, "Baselined")
                && !state.is_some_and(|state| state.is_leaving())
        })
    });
    open.filter_map(account_id).collect()
}

/// What the repository is called.
pub(super) fn name(object: &ImageRepository, team: &str) -> String {
    let spec = &object.spec;
    let default = || format!("{team}/{}", spec.application);
    spec.repository_name.clone().unwrap_or_else(default)
}

/// What the repository shall be.
pub(super) fn desired(
    object: &ImageRepository,
    given: &Given<'_>,
    cluster: &str,
    (organization, own, released): (&OrganizationId, &BTreeSet<AccountId>, BTreeSet<String>),
) -> Result<DesiredRepository, Outcome> {
    let spec = &object.spec;
    let namespace = object.namespace().unwrap_or_default();
    let team = given.team.ok_or_else(|| {
        let message = format!(
            "namespace {namespace} belongs to no Team: create the Team first, or use its namespace"
        );
        Outcome::blocked(reasons::TEAM_NOT_FOUND, message)
    })?;
    let team = team.name_any();
    let name: RepositoryName = parse(&name(object, &team), "spec.repositoryName")?;
    if spec.account.is_none() && !name.as_str().starts_with(&format!("{team}/")) {
        let message = format!(
            "spec.repositoryName: in the platform's account a name of team {team} begins with \"{team}/\", which {:?} \
             does not",
            name.as_str()
        );
        return Err(Outcome::blocked(reasons::INVALID_SPEC, message));
    }
    let roles: BTreeSet<String> = spec.push_roles.iter().cloned().collect();
    Ok(DesiredRepository {
        name,
        owner: owner(object, cluster),
        mutability: TagMutability::except(mutable_tags(object, given)?),
        kms_key: spec.kms_key_arn.clone(),
        policy: access(organization, own, &roles),
        expire_untagged_after_days: spec.expire_untagged_after_days,
        keep: released
            .into_iter()
            .filter(|digest| keep_tag(digest).is_some())
            .collect(),
        adopt: spec.adopt,
    })
}

/// Whose the repository is: this object's.
pub(super) fn owner(object: &ImageRepository, cluster: &str) -> Owner {
    Owner {
        reference: format!(
            "ImageRepository/{}/{}",
            object.namespace().unwrap_or_default(),
            object.name_any()
        ),
        uid: object.uid().unwrap_or_default(),
        cluster: cluster.to_owned(),
    }
}

fn mutable_tags(object: &ImageRepository, given: &Given<'_>) -> Result<BTreeSet<String>, Outcome> {
    let patterns = &object.spec.mutable_tags;
    let allowed = match (&object.spec.account, given.class, given.platform) {
        (None, _, platform) => platform.is_some_and(|platform| platform.mutable_tags),
        (Some(_), class, _) => class.is_some_and(|class| class.spec.mutable_image_tags),
    };
    if !patterns.is_empty() && !allowed {
        let who = match (&object.spec.account, given.class) {
            (Some(_), Some(class)) => format!(
                "AccountClass {} allows no tags that can be moved (spec.mutableImageTags)",
                class.name_any()
            ),
            _ => "the platform's account allows no tags that can be moved \
                  (--platform-mutable-image-tags)"
                .to_owned(),
        };
        let message = format!("spec.mutableTags: {who}: remove the field, or use another account");
        return Err(Outcome::blocked(reasons::MUTABLE_TAGS_REFUSED, message));
    }
    if let Some(pattern) = patterns.iter().find(|pattern| may_match_keep_tag(pattern)) {
        let message = format!(
            "spec.mutableTags: tags that match {pattern:?} could be ones that begin with {KEEP_PREFIX} and keep what was \
             released: choose a narrower pattern"
        );
        return Err(Outcome::blocked(reasons::INVALID_SPEC, message));
    }
    Ok(patterns.iter().cloned().collect())
}

/// The refusal where an older object declares the same repository.
pub(super) fn name_taken(other: &ImageRepository, desired: &DesiredRepository) -> Outcome {
    let message = format!(
        "repository {} is declared by the older ImageRepository {}/{}: choose another spec.repositoryName, or delete one \
         of the two",
        desired.name,
        other.namespace().unwrap_or_default(),
        other.name_any()
    );
    Outcome::blocked(reasons::NAME_TAKEN, message)
}

fn parse<T: FromStr<Err = InvalidValue>>(text: &str, field: &str) -> Result<T, Outcome> {
    let invalid = |error| Outcome::blocked(reasons::INVALID_SPEC, format!("{field}: {error}"));
    text.parse().map_err(invalid)
}
