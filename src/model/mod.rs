//! Validated values. Each is parsed once, from what a person or AWS wrote, and never checked again.
//!
//! Every type implements `FromStr`; the error says what is wrong with the value and what a right one looks
//! like, so that a controller can put it into a condition as it is.

mod account;
mod application;
mod contact;
mod digest;
mod ecr_registry;
mod image;
mod names;
mod password_policy;
mod region;
mod repository;
mod secret;
mod source_repository;
mod tags;
mod unit_path;
mod user_pool;

pub use account::{AccountAlias, AccountId, AccountName, AccountState, RootEmail};
pub use application::{ApplicationId, Version};
pub use contact::{AlternateContact, ContactKind};
pub use digest::{Digest, DigestAlgorithm};
pub use ecr_registry::EcrRegistry;
pub use image::{ImageName, ImageRef};
pub use names::{BucketName, RoleName, TeamId};
pub use password_policy::PasswordPolicy;
pub use region::{REGIONS, Region};
pub use repository::{Encryption, OrganizationId, RepositoryName, TagMutability};
pub use secret::Secret;
pub use source_repository::{DECLARED_RULES, DeclaredRule, LONGEST_DECLARED, SourceRepository};
pub use tags::{Owner, TAG_CLUSTER, TAG_OWNER, TAG_QUARANTINED_AT, TAG_UID, Tags};
pub use unit_path::UnitPath;
pub use user_pool::UserPoolId;

/// A value that is not what its type demands: which value, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct InvalidValue {
    value: String,
    expected: &'static str,
}

impl InvalidValue {
    pub(crate) fn new(value: &str, expected: &'static str) -> Self {
        // Long rubbish would make the condition unreadable, and a status has a size limit.
        let value = value.chars().take(80).collect();
        Self { value, expected }
    }
}

/// Gives a one-field string type its `Display`, `AsRef<str>`, `as_str` and checked `FromStr`.
///
/// Used by all string values here, so that every one of them is parsed and printed alike.
macro_rules! text_value {
    ($name:ident, $expected:expr, $check:expr) => {
        impl $name {
            /// The text as AWS and Kubernetes write it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::model::InvalidValue;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err($crate::model::InvalidValue::new(text, $expected))
                }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use text_value;
