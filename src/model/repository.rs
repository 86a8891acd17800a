//! Repositories for container images (Amazon ECR API Reference, CreateRepository), and who may reach them.

use std::collections::BTreeSet;

use super::text_value;

/// The name of a repository within one registry: 2 to 256 characters, in parts that a `/` separates.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(String);

text_value!(
    RepositoryName,
    "the name of a repository: 2 to 256 lower-case letters and digits, with single . _ - / or __ or several - between \
     them",
    |text| (2..=256).contains(&text.len()) && text.split('/').all(is_part)
);

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_part(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = part.split(is_word).filter(|between| !between.is_empty());
    part.starts_with(is_word)
        && part.ends_with(is_word)
        && separators.all(|between| {
            matches!(between, "." | "_" | "__") || between.bytes().all(|b| b == b'-')
        })
}

/// The id of an organization, `o-` and 10 to 32 letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrganizationId(String);

text_value!(
    OrganizationId,
    "the id of an organization: o- and 10 to 32 lower-case letters and digits",
    |text| {
        text.strip_prefix("o-").is_some_and(|rest| {
            (10..=32).contains(&rest.len())
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
    }
);

/// Whether a tag of a repository can be moved to another image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagMutability {
    /// None can.
    Immutable,
    /// Those that match one of these patterns can, in which `*` stands for anything.
    ImmutableExcept(BTreeSet<String>),
    /// Anything else, in AWS's words: never what we want.
    Other(String),
}

impl TagMutability {
    /// Immutable but for these patterns.
    pub fn except(patterns: BTreeSet<String>) -> Self {
        if patterns.is_empty() {
            Self::Immutable
        } else {
            Self::ImmutableExcept(patterns)
        }
    }
}

impl std::fmt::Display for TagMutability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Immutable => f.write_str("IMMUTABLE"),
            Self::ImmutableExcept(patterns) => {
                let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
                write!(f, "IMMUTABLE_WITH_EXCLUSION: {}", patterns.join(", "))
            }
            Self::Other(word) => f.write_str(word),
        }
    }
}

/// How a repository is encrypted, which is decided when it is created and never again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// By S3, with its own keys.
    Aes256,
    /// With the KMS key of this ARN.
    Kms(String),
    /// Anything else, in AWS's words.
    Other(String),
}

impl std::fmt::Display for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Aes256 => f.write_str("AES256"),
            Self::Kms(key) => write!(f, "KMS {key}"),
            Self::Other(word) => f.write_str(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_names_follow_ecrs_rule() {
        for good in ["ab", "payments/ledger", "a.b_c__d---e/f0", &"a".repeat(256)] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "A/b",
            "a//b",
            "/a",
            "a/",
            "a..b",
            "a___b",
            "-a/b",
            "a-/b",
            "a._b",
            "ä/b",
            &"a".repeat(257),
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn organization_ids_are_what_aws_gives() {
        assert!("o-aa111bb222".parse::<OrganizationId>().is_ok());
        for bad in ["", "o-", "o-short", "r-aa111bb222", "o-AA111BB222"] {
            assert!(bad.parse::<OrganizationId>().is_err(), "{bad}");
        }
    }
}
