//! What a repository for images still lacks: the difference between what is declared and what was seen.
//!
//! What was ever released is kept: it bears a tag of ours, and the only rule by which images expire is about images
//! without a tag. So the order matters: the tags come before the rule, and a rule of somebody else goes first.

mod access;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::account::{Ownership, ownership};
use super::policy_document::PolicyDocument;
use super::revision::revision;
use crate::few::few;
use crate::model::{Encryption, Owner, RepositoryName, TagMutability, Tags};
pub use access::access;

/// What the tags begin with that keep an image; the rest is its digest.
pub const KEEP_PREFIX: &str = "bailiwick-keep-";

/// A repository as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredRepository {
    /// Its name.
    pub name: RepositoryName,
    /// Whose it is.
    pub owner: Owner,
    /// Which tags may be moved.
    pub mutability: TagMutability,
    /// The key that it is encrypted with; `None`: S3's own, and an existing repository keeps what it has.
    pub kms_key: Option<String>,
    /// Who may pull and push.
    pub policy: PolicyDocument,
    /// After how many days an image without a tag expires; `None`: nothing ever does.
    pub expire_untagged_after_days: Option<u16>,
    /// The digests that are kept.
    pub keep: BTreeSet<String>,
    /// Whether one that exists without an owner may be taken over.
    pub adopt: bool,
}

impl DesiredRepository {
    /// The encryption of a new repository.
    pub fn encryption(&self) -> Encryption {
        self.kms_key
            .clone()
            .map_or(Encryption::Aes256, Encryption::Kms)
    }

    /// The same demands, the same revision: what an object that is settled is compared by, without a call.
    pub fn revision(&self) -> String {
        // Destructured so that a new field does not compile until it is handled here.
        let Self {
            name,
            owner,
            mutability,
            kms_key,
            policy,
            expire_untagged_after_days,
            keep,
            adopt,
        } = self;
        let all = json!([
            name.as_str(),
            owner.tags(),
            mutability.to_string(),
            kms_key,
            policy.to_json(),
            expire_untagged_after_days,
            keep,
            adopt
        ]);
        revision(&all.to_string())
    }
}

/// A repository as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedRepository {
    /// Which tags can be moved.
    pub mutability: TagMutability,
    /// Whether images are scanned when they are pushed.
    pub scan_on_push: bool,
    /// How it is encrypted.
    pub encryption: Encryption,
    /// When it was created, in seconds; a repository made anew under the same name differs in this.
    pub created: Option<i64>,
    /// Its tags.
    pub tags: Tags,
    /// Its policy; `None`: it has none.
    pub policy: Option<String>,
    /// By which rules images expire; `None`: none do.
    pub lifecycle: Option<String>,
    /// The digests to be kept that are there, and whether each bears its tag.
    pub kept: BTreeMap<String, bool>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// CreateRepository, with everything that can be said then.
    Create,
    /// TagResource, with these.
    Tag(Tags),
    /// DeleteLifecyclePolicy: rules that are not ours may expire what is to be kept.
    RemoveLifecycle,
    /// PutImageTagMutability.
    SetMutability,
    /// PutImageScanningConfiguration.
    ScanOnPush,
    /// SetRepositoryPolicy.
    SetPolicy,
    /// PutImage, a further tag for each of these digests.
    Keep(BTreeSet<String>),
    /// PutLifecyclePolicy.
    PutLifecycle(u16),
}

/// A change with what is there now, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What to do.
    pub change: Change,
    /// What is there.
    pub before: Option<String>,
    /// What would be there.
    pub after: Option<String>,
}

impl Planned {
    /// AWS's name for what would be done.
    pub fn action(&self) -> &'static str {
        match self.change {
            Change::Create => "CreateRepository",
            Change::Tag(_) => "TagResource",
            Change::RemoveLifecycle => "DeleteLifecyclePolicy",
            Change::SetMutability => "PutImageTagMutability",
            Change::ScanOnPush => "PutImageScanningConfiguration",
            Change::SetPolicy => "SetRepositoryPolicy",
            Change::Keep(_) => "PutImage",
            Change::PutLifecycle(_) => "PutLifecyclePolicy",
        }
    }
}

/// Why a repository that exists is not touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// It is nobody's that we know of, and adoption was not asked for.
    Unclaimed,
    /// It is another object's.
    Others(Owner),
    /// It is encrypted in another way than declared, which cannot be changed.
    Encryption(Encryption),
}

/// The changes that make `observed` into `desired`, in the order in which they are to be made. `known` is when the
/// repository was created that this object had the last time: one that has merely lost its tags is still ours.
///
/// # Errors
/// If nothing may be changed at all.
pub fn changes(
    desired: &DesiredRepository,
    observed: Option<&ObservedRepository>,
    known: Option<i64>,
) -> Result<Vec<Planned>, Obstacle> {
    let Some(seen) = observed else {
        return Ok(creation(desired));
    };
    let ours = known.is_some() && seen.created == known;
    match ownership(&seen.tags, &desired.owner.uid) {
        Ownership::Others(owner) => return Err(Obstacle::Others(owner)),
        Ownership::Unclaimed if !desired.adopt && !ours => return Err(Obstacle::Unclaimed),
        Ownership::Ours | Ownership::Unclaimed => {}
    }
    if desired.kms_key.is_some() && seen.encryption != desired.encryption() {
        return Err(Obstacle::Encryption(seen.encryption.clone()));
    }
    Ok(differences(desired, seen))
}

fn creation(desired: &DesiredRepository) -> Vec<Planned> {
    let what = format!(
        "{}; scan on push; {}; {}",
        desired.mutability,
        desired.encryption(),
        show_tags(&desired.owner.tags())
    );
    let mut plan = vec![Planned {
        change: Change::Create,
        before: None,
        after: Some(what),
    }];
    plan.push(Planned {
        change: Change::SetPolicy,
        before: None,
        after: Some(desired.policy.to_json()),
    });
    if let Some(days) = desired.expire_untagged_after_days {
        plan.push(put_lifecycle(days, None));
    }
    plan
}

fn differences(desired: &DesiredRepository, seen: &ObservedRepository) -> Vec<Planned> {
    let mut plan = Vec::new();
    let mut push = |change, before, after| {
        plan.push(Planned {
            change,
            before,
            after,
        });
    };
    let differs = |(key, value): &(&String, &String)| seen.tags.get(*key) != Some(*value);
    let owner = desired.owner.tags();
    let missing: Tags = owner
        .iter()
        .filter(differs)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !missing.is_empty() {
        let before = seen
            .tags
            .iter()
            .filter(|(key, _)| missing.contains_key(*key));
        let before = show_tags(
            &before
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        );
        let after = show_tags(&missing);
        push(
            Change::Tag(missing),
            Some(before).filter(|text| !text.is_empty()),
            Some(after),
        );
    }
    if desired.expire_untagged_after_days.is_none() && seen.lifecycle.is_some() {
        push(Change::RemoveLifecycle, seen.lifecycle.clone(), None);
    }
    if seen.mutability != desired.mutability {
        push(
            Change::SetMutability,
            Some(seen.mutability.to_string()),
            Some(desired.mutability.to_string()),
        );
    }
    if !seen.scan_on_push {
        push(
            Change::ScanOnPush,
            Some("no scan on push".to_owned()),
            Some("scan on push".to_owned()),
        );
    }
    let same = |text: &String| desired.policy.says_the_same_as(text);
    if !seen.policy.as_ref().is_some_and(same) {
        push(
            Change::SetPolicy,
            seen.policy.clone(),
            Some(desired.policy.to_json()),
        );
    }
    let unkept: BTreeSet<String> = seen
        .kept
        .iter()
        .filter(|(digest, kept)| !**kept && desired.keep.contains(*digest))
        .map(|(digest, _)| digest.clone())
        .collect();
    if !unkept.is_empty() {
        let after = show_kept(&unkept);
        push(Change::Keep(unkept), None, Some(after));
    }
    if let Some(days) = desired.expire_untagged_after_days
        && !seen
            .lifecycle
            .as_ref()
            .is_some_and(|text| same_lifecycle(text, days))
    {
        plan.push(put_lifecycle(days, seen.lifecycle.clone()));
    }
    plan
}

fn put_lifecycle(days: u16, before: Option<String>) -> Planned {
    Planned {
        change: Change::PutLifecycle(days),
        before,
        after: Some(lifecycle(days)),
    }
}

fn show_tags(tags: &Tags) -> String {
    let pairs = tags.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(", ")
}

/// A few of them; there can be hundreds.
fn show_kept(digests: &BTreeSet<String>) -> String {
    format!("a tag {KEEP_PREFIX}… for {}", few(digests, 3))
}

/// The tag by which an image is kept: with its whole digest, so that no two share one. `None` if that is not the
/// digest of an image in a registry.
pub fn keep_tag(digest: &str) -> Option<String> {
    let hash = digest.strip_prefix("sha256:")?;
    let is_hash = hash.len() == 64
        && hash
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_hash.then(|| format!("{KEEP_PREFIX}{hash}"))
}

/// Whether tags that match this pattern could be ones that keep an image. Says yes rather too often.
pub fn may_match_keep_tag(pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern.starts_with(KEEP_PREFIX);
    };
    let end = rest.rsplit('*').next().unwrap_or_default();
    let fits_start = KEEP_PREFIX.starts_with(start) || start.starts_with(KEEP_PREFIX);
    fits_start
        && end
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The rule by which images without a tag expire. There is no rule about images with a tag, ours or another.
pub fn lifecycle(days: u16) -> String {
    json!({ "rules": [{
        "rulePriority": 1,
        "description": "images without a tag; what was released has one",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": days,
        },
        "action": { "type": "expire" },
    }] })
    .to_string()
}

/// Whether this text says the same as [`lifecycle`]; what is said for people only does not matter.
fn same_lifecycle(text: &str, days: u16) -> bool {
    let read = |text: &str| {
        let mut value: Value = serde_json::from_str(text).ok()?;
        for rule in value.get_mut("rules")?.as_array_mut()? {
            rule.as_object_mut()?.remove("description");
        }
        Some(value)
    };
    let ours = read(&lifecycle(days));
    ours.is_some() && read(text) == ours
}

#[cfg(test)]
mod tests;
