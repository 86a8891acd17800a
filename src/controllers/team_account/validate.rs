//! Validate: the spec and its class, parsed into what the account shall be.

use std::collections::BTreeMap;
use std::str::FromStr;

use kube::ResourceExt;

use super::{bucket, reasons};
use crate::api::{
    AccountClass, AlternateContactSpec, AlternateContactsSpec, PasswordPolicyOverrides,
    PasswordPolicySpec, Team, TeamAccount,
};
use crate::model::{
    AccountId, AlternateContact, ContactKind, InvalidValue, Owner, PasswordPolicy, Region,
    RoleName, UnitPath,
};
use crate::plan::account::DesiredAccount;
use crate::plan::naming;

/// A reason and a sentence for whoever must act.
pub type Refusal = (&'static str, String);

/// What stands in templates for the id of an account that there is not yet: long enough to be checked, and never sent to AWS.
/// Whoever acts has the account's own id.
const NO_ACCOUNT: &str = "000000000000";

/// What the account shall be. Without its `id` this says only whether it can be declared: what is made of it may name
/// [`NO_ACCOUNT`].
pub fn desired(
    object: &TeamAccount,
    class: Option<&AccountClass>,
    team: Option<&Team>,
    cluster: &str,
    id: Option<&AccountId>,
) -> Result<DesiredAccount, Refusal> {
    let spec = &object.spec;
    let id = match id {
        Some(id) => id,
        None => &parse(NO_ACCOUNT, "status.accountId")?,
    };
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let team = team.ok_or_else(|| {
        let message = format!(
            "no accepted Team has namespace {namespace}: create the Team, see why the one that names it is not accepted (kubectl get teams), or use the namespace of another"
        );
        (reasons::TEAM_NOT_FOUND, message)
    })?;
    let class_name = &spec.class_name;
    let class = class.ok_or_else(|| {
        (
            reasons::CLASS_NOT_FOUND,
            format!("spec.className: there is no AccountClass {class_name:?} that can be read"),
        )
    })?;
    let (team, purpose) = (team.name_any(), spec.purpose.clone().unwrap_or_default());
    let values = [
        ("team", team.as_str()),
        ("account", name.as_str()),
        ("purpose", purpose.as_str()),
    ];
    let overrides = spec.overrides.clone().unwrap_or_default();
    let of_class = |field: &str| format!("AccountClass {class_name}: spec.{field}");

    let fill = |template: &str, field: &str| {
        naming::render(template, &values).map_err(|e| invalid(&of_class(field), e))
    };
    let (email, email_field) = match &spec.email {
        Some(email) => (email.clone(), "spec.email".to_owned()),
        None => (
            fill(&class.spec.email_template, "emailTemplate")?,
            of_class("emailTemplate"),
        ),
    };
    let (account_name, name_field) = match &spec.account_name {
        Some(name) => (name.clone(), "spec.accountName".to_owned()),
        None => (
            fill(&class.spec.account_name_template, "accountNameTemplate")?,
            of_class("accountNameTemplate"),
        ),
    };
    let (unit, unit_field) = match &overrides.organizational_unit_path {
        Some(path) => (
            path.clone(),
            "spec.overrides.organizationalUnitPath".to_owned(),
        ),
        None => (
            class.spec.organizational_unit_path.clone(),
            of_class("organizationalUnitPath"),
        ),
    };
    let alias = match (&overrides.alias, &class.spec.alias_template) {
        (Some(alias), _) => Some(parse(alias, "spec.overrides.alias")?),
        (None, Some(template)) => {
            let with_id = [values[0], values[1], values[2], ("account.id", id.as_str())];
            let text = naming::render(template, &with_id)
                .map_err(|e| invalid(&of_class("aliasTemplate"), e))?;
            Some(parse(&text, &of_class("aliasTemplate"))?)
        }
        (None, None) => None,
    };
    let mut tags = class.spec.tags.clone();
    tags.extend(overrides.tags.clone());
    let policy = policy_of(
        class.spec.password_policy.as_ref(),
        overrides.password_policy.as_ref(),
    );
    let name: crate::model::AccountName = parse(&account_name, &name_field)?;
    // The template names an account once, at its creation; later only the spec, or that record, changes it. What was
    // adopted after a creation that failed was not named by that.
    let recorded = object
        .status
        .as_ref()
        .and_then(|status| status.creation.as_ref())
        .filter(|creation| creation.failure.is_none());
    let keep_name = match (&spec.account_name, recorded) {
        (Some(_), _) => Some(name.clone()),
        (None, Some(creation)) => creation.account_name.parse().ok(),
        (None, None) => None,
    };
    let regions = regions(&spec.regions, &class.spec.regions, class_name)?;
    let owner = owner(object, cluster);
    let bucket = bucket::desired(object, class, &values, &regions, &owner, id)?;
    Ok(DesiredAccount {
        email: parse(&email, &email_field)?,
        name,
        keep_email: spec
            .email
            .as_ref()
            .map(|email| parse(email, "spec.email"))
            .transpose()?,
        keep_name,
        unit: parse::<UnitPath>(&unit, &unit_field)?,
        tags,
        owner,
        unit_owner: owner_of_units(class, cluster),
        access_role: parse::<RoleName>(&class.spec.access_role_name, &of_class("accessRoleName"))?,
        alias,
        contacts: contacts(
            class.spec.alternate_contacts.as_ref(),
            overrides.alternate_contacts.as_ref(),
        ),
        password_policy: policy,
        regions,
        credentials_bucket: bucket,
    })
}

/// Whose the account is: this object's.
pub fn owner(object: &TeamAccount, cluster: &str) -> Owner {
    let reference = format!(
        "TeamAccount/{}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    );
    Owner {
        reference,
        uid: object.uid().unwrap_or_default(),
        cluster: cluster.to_owned(),
    }
}

/// Whose the organizational units are that are made for accounts of a class: the class's.
pub fn owner_of_units(class: &AccountClass, cluster: &str) -> Owner {
    Owner {
        reference: format!("AccountClass/{}", class.name_any()),
        uid: class.uid().unwrap_or_default(),
        cluster: cluster.to_owned(),
    }
}

pub(super) fn parse<T: FromStr<Err = InvalidValue>>(text: &str, field: &str) -> Result<T, Refusal> {
    text.parse().map_err(|error| invalid(field, error))
}

pub(super) fn invalid(field: &str, error: impl std::fmt::Display) -> Refusal {
    (reasons::INVALID_SPEC, format!("{field}: {error}"))
}

fn regions(own: &[String], class: &[String], class_name: &str) -> Result<Vec<Region>, Refusal> {
    let chosen = if own.is_empty() { class } else { own };
    chosen
        .iter()
        .map(|name| {
            if !class.contains(name) {
                let of_class = class.join(", ");
                let message =
                    format!("{name:?} is not a region of AccountClass {class_name} ({of_class})");
                return Err(invalid("spec.regions", message));
            }
            parse(name, "spec.regions")
        })
        .collect()
}

fn contacts(
    class: Option<&AlternateContactsSpec>,
    own: Option<&AlternateContactsSpec>,
) -> BTreeMap<ContactKind, AlternateContact> {
    let pick = |get: fn(&AlternateContactsSpec) -> Option<&AlternateContactSpec>| {
        own.and_then(get).or_else(|| class.and_then(get))
    };
    let all = [
        (
            ContactKind::Billing,
            pick(|contacts| contacts.billing.as_ref()),
        ),
        (
            ContactKind::Operations,
            pick(|contacts| contacts.operations.as_ref()),
        ),
        (
            ContactKind::Security,
            pick(|contacts| contacts.security.as_ref()),
        ),
    ];
    let some = all
        .into_iter()
        .filter_map(|(kind, contact)| Some((kind, contact?)));
    some.map(|(kind, contact)| {
        let AlternateContactSpec {
            name,
            title,
            email,
            phone,
        } = contact.clone();
        (
            kind,
            AlternateContact {
                name,
                title,
                email,
                phone,
            },
        )
    })
    .collect()
}

/// The class's policy, rule by rule what the account overrides; none if neither says anything.
fn policy_of(
    class: Option<&PasswordPolicySpec>,
    own: Option<&PasswordPolicyOverrides>,
) -> Option<PasswordPolicy> {
    if class.is_none() && own.is_none() {
        return None;
    }
    let PasswordPolicySpec {
        minimum_length,
        require_uppercase,
        require_lowercase,
        require_numbers,
        require_symbols,
        allow_users_to_change,
        max_age_days,
        reuse_prevention,
        hard_expiry,
    } = class.cloned().unwrap_or_default();
    let own = own.cloned().unwrap_or_default();
    Some(PasswordPolicy {
        minimum_length: own.minimum_length.unwrap_or(minimum_length),
        require_uppercase: own.require_uppercase.unwrap_or(require_uppercase),
        require_lowercase: own.require_lowercase.unwrap_or(require_lowercase),
        require_numbers: own.require_numbers.unwrap_or(require_numbers),
        require_symbols: own.require_symbols.unwrap_or(require_symbols),
        allow_users_to_change: own.allow_users_to_change.unwrap_or(allow_users_to_change),
        max_age_days: own.max_age_days.or(max_age_days),
        reuse_prevention: own.reuse_prevention.or(reuse_prevention),
        hard_expiry: own.hard_expiry.unwrap_or(hard_expiry),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_rule_that_is_overridden_leaves_the_others_alone() {
        let class = PasswordPolicySpec {
            minimum_length: 16,
            require_numbers: true,
            max_age_days: Some(90),
            ..PasswordPolicySpec::default()
        };
        let own = PasswordPolicyOverrides {
            minimum_length: Some(20),
            require_symbols: Some(true),
            ..PasswordPolicyOverrides::default()
        };
        let merged = policy_of(Some(&class), Some(&own)).unwrap();
        assert_eq!(merged.minimum_length, 20);
        assert!(merged.require_numbers && merged.require_symbols);
        assert_eq!(merged.max_age_days, Some(90));
        assert!(!policy_of(Some(&class), None).unwrap().require_symbols);
        assert_eq!(policy_of(None, Some(&own)).unwrap().minimum_length, 20);
        assert_eq!(policy_of(None, None), None);
    }
}
