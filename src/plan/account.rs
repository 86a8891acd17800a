//! What an account that exists still lacks: the difference between what is declared and what was seen.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::credentials_bucket::{self, BucketChange, DesiredBucket, ObservedBucket};
use super::revision::revision;
use crate::model::{
    AccountAlias, AccountName, AlternateContact, ContactKind, Owner, PasswordPolicy, Region,
    RoleName, RootEmail, TAG_QUARANTINED_AT, TAG_UID, Tags, UnitPath,
};

/// An account as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredAccount {
    /// The e-mail address for a new account.
    pub email: RootEmail,
    /// The name for a new account.
    pub name: AccountName,
    /// The address that an existing account shall have; `None`: whichever it has.
    pub keep_email: Option<RootEmail>,
    /// The name that an existing account shall have; `None`: whichever it has.
    pub keep_name: Option<AccountName>,
    /// Where it belongs.
    pub unit: UnitPath,
    /// Its tags, without those of ownership.
    pub tags: Tags,
    /// Whose it is.
    pub owner: Owner,
    /// Whose a unit is that is made for it: its class's, since it serves all accounts of that.
    pub unit_owner: Owner,
    /// The role through which it is entered.
    pub access_role: RoleName,
    /// Its alias; `None`: left alone.
    pub alias: Option<AccountAlias>,
    /// The contacts that are declared.
    pub contacts: BTreeMap<ContactKind, AlternateContact>,
    /// The password policy; `None`: left alone.
    pub password_policy: Option<PasswordPolicy>,
    /// The regions that it uses.
    pub regions: Vec<Region>,
    /// The bucket that credentials are delivered to; `None`: it shall have none of ours.
    pub credentials_bucket: Option<DesiredBucket>,
}

impl DesiredAccount {
    /// All tags, with those of ownership.
    pub fn all_tags(&self) -> Tags {
        let mut tags = self.tags.clone();
        tags.extend(self.owner.tags());
        tags
    }

    /// The same demands on an account that exists, the same revision: what an account that was found in order is
    /// compared by, without a call.
    pub fn revision(&self) -> String {
        // Destructured so that a new field does not compile until it is handled here.
        let Self {
            // Of a new account alone.
            email: _,
            name: _,
            keep_email,
            keep_name,
            unit,
            tags: _,
            owner: _,
            unit_owner: _,
            access_role,
            alias,
            contacts,
            password_policy,
            regions,
            credentials_bucket,
        } = self;
        let contacts: BTreeMap<_, _> = contacts
            .iter()
            .map(|(kind, contact)| {
                (
                    kind.as_str(),
                    [
                        &contact.name,
                        &contact.title,
                        &contact.email,
                        &contact.phone,
                    ],
                )
            })
            .collect();
        let regions: Vec<_> = regions.iter().map(|region| region.as_str()).collect();
        let all = json!([
            keep_email.as_ref().map(RootEmail::as_str),
            keep_name.as_ref().map(AccountName::as_str),
            unit.to_string(),
            self.all_tags(),
            access_role.to_string(),
            alias.as_ref().map(AccountAlias::as_str),
            contacts,
            password_policy.as_ref().map(ToString::to_string),
            regions,
            credentials_bucket.as_ref().map(DesiredBucket::demands),
        ]);
        revision(&all.to_string())
    }
}

/// An account as it was seen. What was not looked at is `None` and nothing is concluded from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedAccount {
    /// Its e-mail address.
    pub email: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Where it is.
    pub unit: Option<UnitPath>,
    /// Its tags.
    pub tags: Option<Tags>,
    /// The keys of those that we have set, besides those of ownership: nobody else's are ever removed.
    pub set_by_us: BTreeSet<String>,
    /// Its contacts; the inner `None`: there is none.
    pub contacts: BTreeMap<ContactKind, Option<AlternateContact>>,
    /// Its alias; the inner `None`: it has none.
    pub alias: Option<Option<String>>,
    /// Its password policy; the inner `None`: none is set.
    pub password_policy: Option<Option<PasswordPolicy>>,
    /// Regions that were looked at, and whether they are enabled or on their way.
    pub regions: BTreeMap<&'static str, bool>,
    /// Its credentials bucket; the inner `None`: there is none of that name.
    pub credentials_bucket: Option<Option<ObservedBucket>>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// MoveAccount.
    Move(UnitPath),
    /// UntagResource: an account that is wanted is not in quarantine, and time that it spent there must not count for
    /// a later one.
    EndQuarantine,
    /// UntagResource, with these: we have set them, and nobody wants them any more.
    Untag(Vec<String>),
    /// TagResource, with these.
    Tag(Tags),
    /// PutAccountName.
    Rename(AccountName),
    /// StartPrimaryEmailUpdate.
    ChangeEmail(RootEmail),
    /// PutAlternateContact.
    PutContact(ContactKind, AlternateContact),
    /// CreateAccountAlias.
    SetAlias(AccountAlias),
    /// UpdateAccountPasswordPolicy.
    PutPasswordPolicy(PasswordPolicy),
    /// EnableRegion.
    EnableRegion(Region),
    /// Something about the credentials bucket.
    Bucket(BucketChange),
}

/// A change with what is there now, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What to do.
    pub change: Change,
    /// What is there.
    pub before: Option<String>,
}

impl Planned {
    /// AWS's name for what would be done.
    pub fn action(&self) -> &'static str {
        match &self.change {
            Change::Move(_) => "MoveAccount",
            Change::EndQuarantine | Change::Untag(_) => "UntagResource",
            Change::Tag(_) => "TagResource",
            Change::Rename(_) => "PutAccountName",
            Change::ChangeEmail(_) => "StartPrimaryEmailUpdate",
            Change::PutContact(..) => "PutAlternateContact",
            Change::SetAlias(_) => "CreateAccountAlias",
            Change::PutPasswordPolicy(_) => "UpdateAccountPasswordPolicy",
            Change::EnableRegion(_) => "EnableRegion",
            Change::Bucket(change) => change.action(),
        }
    }

    /// What would be there.
    pub fn after(&self) -> String {
        match &self.change {
            Change::Move(unit) => unit.to_string(),
            Change::EndQuarantine => format!("without {TAG_QUARANTINED_AT}"),
            Change::Untag(keys) => format!("without {}", keys.join(", ")),
            Change::Tag(tags) => show_tags(tags),
            Change::Rename(name) => name.to_string(),
            Change::ChangeEmail(email) => email.to_string(),
            Change::PutContact(kind, contact) => format!("{}: {contact}", kind.as_str()),
            Change::SetAlias(alias) => alias.to_string(),
            Change::PutPasswordPolicy(policy) => policy.to_string(),
            Change::EnableRegion(region) => format!("{region} enabled"),
            Change::Bucket(change) => change.after(),
        }
    }
}

pub(super) fn show_tags(tags: &Tags) -> String {
    tags.iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Whose an account is, by its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// This object's.
    Ours,
    /// Nobody's that we know of.
    Unclaimed,
    /// Another object's.
    Others(Owner),
}

/// Reads whose an account is.
pub fn ownership(tags: &Tags, uid: &str) -> Ownership {
    match Owner::of(tags) {
        None => Ownership::Unclaimed,
        Some(owner) if tags.get(TAG_UID).is_some_and(|tag| tag == uid) && owner.uid == uid => {
            Ownership::Ours
        }
        Some(owner) => Ownership::Others(owner),
    }
}

/// The changes that make `observed` into `desired`, in the order in which they are to be made: first those that say
/// whose it is and where it belongs, last those inside of it.
pub fn changes(desired: &DesiredAccount, observed: &ObservedAccount) -> Vec<Planned> {
    // Destructured so that a new field does not compile until it is handled here.
    let DesiredAccount {
        email: _,
        name: _,
        keep_email,
        keep_name,
        unit,
        tags: _,
        owner: _,
        unit_owner: _,
        access_role: _,
        alias,
        contacts,
        password_policy,
        regions,
        credentials_bucket,
    } = desired;
    let mut plan = Vec::new();
    let mut push = |change, before| plan.push(Planned { change, before });

    // Before the account is marked as ours: from then on it may be let go, and closed.
    if let Some(since) = observed
        .tags
        .as_ref()
        .and_then(|tags| tags.get(TAG_QUARANTINED_AT))
    {
        push(
            Change::EndQuarantine,
            Some(format!("{TAG_QUARANTINED_AT}={since}")),
        );
    }
    if let Some(seen) = &observed.tags {
        let ours = observed.set_by_us.iter();
        let dropped: Tags = ours
            .filter(|key| !desired.tags.contains_key(*key))
            .filter_map(|key| Some((key.clone(), seen.get(key)?.clone())))
            .collect();
        if !dropped.is_empty() {
            let before = Some(show_tags(&dropped));
            push(Change::Untag(dropped.into_keys().collect()), before);
        }
        let differs = |(key, value): &(&String, &String)| seen.get(*key) != Some(*value);
        let all = desired.all_tags();
        let missing: Tags = all
            .iter()
            .filter(differs)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !missing.is_empty() {
            let before: Tags = seen
                .iter()
                .filter(|(key, _)| missing.contains_key(*key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            push(
                Change::Tag(missing),
                Some(show_tags(&before)).filter(|text| !text.is_empty()),
            );
        }
    }
    // Only once it is marked as ours: an adopted account whose object goes meanwhile must not stay moved by nobody.
    if let Some(seen) = &observed.unit
        && seen != unit
    {
        push(Change::Move(unit.clone()), Some(seen.to_string()));
    }
    if let (Some(seen), Some(name)) = (&observed.name, keep_name)
        && seen != name.as_str()
    {
        push(Change::Rename(name.clone()), Some(seen.clone()));
    }
    if let (Some(seen), Some(email)) = (&observed.email, keep_email)
        && !seen.eq_ignore_ascii_case(email.as_str())
    {
        push(Change::ChangeEmail(email.clone()), Some(seen.clone()));
    }
    for (kind, contact) in contacts {
        if let Some(seen) = observed.contacts.get(kind)
            && seen.as_ref() != Some(contact)
        {
            push(
                Change::PutContact(*kind, contact.clone()),
                seen.as_ref().map(ToString::to_string),
            );
        }
    }
    if let (Some(seen), Some(alias)) = (&observed.alias, alias)
        && seen.as_deref() != Some(alias.as_str())
    {
        push(Change::SetAlias(alias.clone()), seen.clone());
    }
    if let (Some(seen), Some(policy)) = (&observed.password_policy, password_policy)
        && seen.as_ref() != Some(policy)
    {
        push(
            Change::PutPasswordPolicy(policy.clone()),
            seen.as_ref().map(ToString::to_string),
        );
    }
    for region in regions {
        if observed.regions.get(region.as_str()) == Some(&false) {
            push(
                Change::EnableRegion(*region),
                Some(format!("{region} disabled")),
            );
        }
    }
    if let (Some(seen), Some(bucket)) = (&observed.credentials_bucket, credentials_bucket) {
        for (change, before) in credentials_bucket::changes(bucket, seen.as_ref()) {
            push(Change::Bucket(change), before);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired() -> DesiredAccount {
        DesiredAccount {
            email: "aws+a@example.com".parse().unwrap(),
            name: "a-test".parse().unwrap(),
            keep_email: None,
            keep_name: Some("a-test".parse().unwrap()),
            unit: "/Workloads/Test".parse().unwrap(),
            tags: Tags::from([("cost".into(), "1".into())]),
            owner: Owner {
                reference: "TeamAccount/team-a/test".into(),
                uid: "u1".into(),
                cluster: "c".into(),
            },
            unit_owner: Owner {
                reference: "AccountClass/test".into(),
                uid: "c1".into(),
                cluster: "c".into(),
            },
            access_role: "Access".parse().unwrap(),
            alias: Some("acme-a-test".parse().unwrap()),
            contacts: BTreeMap::new(),
            password_policy: Some(PasswordPolicy {
                minimum_length: 14,
                ..PasswordPolicy::default()
            }),
            regions: vec!["eu-south-1".parse().unwrap()],
            credentials_bucket: None,
        }
    }

    fn settled(desired: &DesiredAccount) -> ObservedAccount {
        ObservedAccount {
            email: Some("AWS+a@example.com".into()),
            name: Some("a-test".into()),
            unit: Some(desired.unit.clone()),
            tags: Some(desired.all_tags()),
            set_by_us: BTreeSet::new(),
            contacts: BTreeMap::new(),
            alias: Some(Some("acme-a-test".into())),
            password_policy: Some(desired.password_policy.clone()),
            regions: BTreeMap::from([("eu-south-1", true)]),
            credentials_bucket: None,
        }
    }

    #[test]
    fn every_demand_on_an_account_that_exists_is_in_the_revision() {
        let mut revisions = BTreeSet::from([desired().revision()]);
        let mut vary = |change: fn(&mut DesiredAccount)| {
            let mut other = desired();
            change(&mut other);
            assert!(revisions.insert(other.revision()), "{other:?}");
        };
        vary(|d| d.keep_email = Some("new@example.com".parse().unwrap()));
        vary(|d| d.keep_name = None);
        vary(|d| d.unit = UnitPath::root());
        vary(|d| d.tags = Tags::new());
        vary(|d| d.owner.uid = "u2".into());
        vary(|d| d.access_role = "Other".parse().unwrap());
        vary(|d| d.alias = None);
        vary(|d| {
            let contact = AlternateContact {
                name: "Security".into(),
                title: "On call".into(),
                email: "security@example.com".into(),
                phone: "1".into(),
            };
            d.contacts.insert(ContactKind::Security, contact);
        });
        vary(|d| d.password_policy = None);
        vary(|d| d.password_policy = Some(PasswordPolicy::default()));
        vary(|d| d.regions.clear());
        let mut same = desired();
        same.email = "aws+b@example.com".parse().unwrap();
        same.name = "b-test".parse().unwrap();
        assert_eq!(same.revision(), desired().revision());
    }

    #[test]
    fn nothing_seen_means_nothing_to_do() {
        assert_eq!(changes(&desired(), &ObservedAccount::default()), []);
    }

    #[test]
    fn an_account_in_order_needs_nothing_and_foreign_tags_stay() {
        let mut seen = settled(&desired());
        seen.tags
            .as_mut()
            .unwrap()
            .insert("somebody".into(), "else".into());
        assert_eq!(changes(&desired(), &seen), []);
    }

    #[test]
    fn a_tag_that_nobody_wants_any_more_goes_if_it_is_ours() {
        let mut seen = settled(&desired());
        let tags = seen.tags.as_mut().unwrap();
        for key in ["dropped", "somebodys"] {
            tags.insert(key.into(), "1".into());
        }
        seen.set_by_us = ["cost", "dropped", "gone"].map(String::from).into();
        let plan = changes(&desired(), &seen);
        let only = Planned {
            change: Change::Untag(vec!["dropped".into()]),
            before: Some("dropped=1".into()),
        };
        assert_eq!(plan, [only]);
        assert_eq!(
            (plan[0].action(), plan[0].after().as_str()),
            ("UntagResource", "without dropped")
        );
    }

    #[test]
    fn each_difference_is_one_change_in_order() {
        let mut seen = settled(&desired());
        seen.unit = Some(UnitPath::root());
        seen.tags = Some(Tags::new());
        seen.name = Some("old".into());
        seen.alias = Some(None);
        seen.password_policy = Some(None);
        seen.regions = BTreeMap::from([("eu-south-1", false)]);
        let mut wanted = desired();
        wanted.keep_email = Some("new@example.com".parse().unwrap());
        let actions: Vec<_> = changes(&wanted, &seen)
            .iter()
            .map(Planned::action)
            .collect();
        assert_eq!(
            actions,
            [
                "TagResource",
                "MoveAccount",
                "PutAccountName",
                "StartPrimaryEmailUpdate",
                "CreateAccountAlias",
                "UpdateAccountPasswordPolicy",
                "EnableRegion"
            ]
        );
    }

    #[test]
    fn the_mark_of_an_earlier_quarantine_goes_before_our_own_tags_come() {
        let mut seen = settled(&desired());
        let since = "2025-01-01T00:00:00Z".to_owned();
        seen.tags = Some(Tags::from([(TAG_QUARANTINED_AT.to_owned(), since)]));
        let plan = changes(&desired(), &seen);
        let actions: Vec<_> = plan.iter().map(Planned::action).collect();
        assert_eq!(actions, ["UntagResource", "TagResource"]);
    }

    #[test]
    fn a_name_used_again_owns_nothing() {
        let mut tags = desired().all_tags();
        assert_eq!(ownership(&tags, "u1"), Ownership::Ours);
        assert!(matches!(ownership(&tags, "u2"), Ownership::Others(_)));
        tags.remove(TAG_UID);
        assert_eq!(ownership(&tags, "u1"), Ownership::Unclaimed);
    }
}
