//! A repository and its images as AWS keeps them: which tags can be moved, how a policy comes back, when images expire.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::super::options::days;
use super::super::refusal::refused;
use super::PUT_IMAGE;
use crate::cloud::{Repository, Result};
use crate::model::{TagMutability, Tags};

/// A repository, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRecord {
    /// What a description shows.
    pub shown: Repository,
    /// Whether the account's own rules have its images scanned.
    pub scanned_by_registry: bool,
    /// Its tags.
    pub tags: Tags,
    /// Its policy, as AWS gives it back.
    pub policy: Option<String>,
    /// Its rules of expiry.
    pub lifecycle: Option<String>,
    /// Its images, by digest.
    pub images: BTreeMap<String, ImageRecord>,
}

/// An image, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// Its manifest.
    pub manifest: String,
    /// When it was pushed.
    pub pushed: Timestamp,
    /// Its tags.
    pub tags: BTreeSet<String>,
}

impl RepositoryRecord {
    /// Puts a tag at an image, if the tag can be moved or is nowhere else.
    pub(super) fn put_tag(&mut self, digest: &str, tag: &str) -> Result<()> {
        let at = self
            .images
            .iter()
            .find(|(_, image)| image.tags.contains(tag));
        match at.map(|(at, _)| at.clone()) {
            Some(at) if at == digest => {
                let message = "Image with that digest and tag already exists";
                return Err(refused(PUT_IMAGE, "ImageAlreadyExistsException", message));
            }
            Some(at) => {
                if !self.can_move(tag) {
                    let message =
                        format!("The image tag '{tag}' already exists and cannot be overwritten");
                    return Err(refused(
                        PUT_IMAGE,
                        "ImageTagAlreadyExistsException",
                        message,
                    ));
                }
                if let Some(image) = self.images.get_mut(&at) {
                    image.tags.remove(tag);
                }
            }
            None => {}
        }
        match self.images.get_mut(digest) {
            Some(image) => drop(image.tags.insert(tag.to_owned())),
            None => {
                let message = "The image's layers do not exist";
                return Err(refused(PUT_IMAGE, "LayersNotFoundException", message));
            }
        }
        Ok(())
    }

    fn can_move(&self, tag: &str) -> bool {
        match &self.shown.mutability {
            TagMutability::Immutable => false,
            TagMutability::ImmutableExcept(patterns) => {
                patterns.iter().any(|pattern| fits(pattern, tag))
            }
            TagMutability::Other(_) => true,
        }
    }
}

/// Whether `text` fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.get(at..).is_some_and(|end| fits(rest, end)))
        }),
    }
}

/// AWS stores what a policy says, not how it was written: lists of one become strings, statements change places.
pub(in crate::cloud::simulated) fn as_aws_writes(policy: &str) -> Option<String> {
    fn unlist(value: &mut Value) {
        match value {
            Value::Array(items) if items.len() == 1 => *value = items.remove(0),
            Value::Array(items) => items.reverse(),
            Value::Object(fields) => fields.values_mut().for_each(unlist),
            _ => {}
        }
    }
    let mut policy: Value = serde_json::from_str(policy).ok()?;
    let statements = policy.get_mut("Statement")?.as_array_mut()?;
    statements.reverse();
    statements.iter_mut().for_each(unlist);
    serde_json::to_string_pretty(&policy).ok()
}

/// After how many days images without a tag, or with whatever tags, expire.
pub(super) fn expiry(policy: &str) -> Option<(bool, Duration)> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let selection = policy.pointer("/rules/0/selection")?;
    let untagged_only = selection.get("tagStatus")? == "untagged";
    let count = selection.get("countNumber")?.as_u64()?;
    Some((untagged_only, days(count)))
}
