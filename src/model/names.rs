//! Names that people choose in Kubernetes and IAM.

use super::text_value;

/// A team's id: what the `Team` object is called, `^[a-z][a-z0-9-]*[a-z0-9]$`, at most 40 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TeamId(String);

text_value!(
    TeamId,
    "a team id: lower-case letters, digits and hyphens, first a letter, last no hyphen, 2 to 40 characters",
    is_id
);

/// What the ids of teams and applications are made of.
pub(super) fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    (2..=40).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes[bytes.len() - 1] != b'-'
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

/// The name of an IAM role, without its path (IAM User Guide, "IAM and AWS STS quotas": 64 of `[\w+=,.@-]`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleName(String);

text_value!(
    RoleName,
    "the name of an IAM role: 1 to 64 letters, digits and _+=,.@-",
    |text| {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
    }
);

/// The name of an S3 bucket: AWS's rules for general purpose buckets, and without dots, since a name with one has no valid
/// certificate as a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(String);

text_value!(
    BucketName,
    "the name of an S3 bucket: 3 to 63 lower-case letters, digits and hyphens, no hyphen at either end, and none of the \
     beginnings and ends that AWS reserves (xn--, sthree-, amzn-s3-demo-, -s3alias, --ol-s3, --x-s3, --table-s3)",
    |text| {
        (3..=63).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !["xn--", "sthree-", "amzn-s3-demo-"]
                .iter()
                .any(|start| text.starts_with(start))
            && !["-s3alias", "--ol-s3", "--x-s3", "--table-s3"]
                .iter()
                .any(|end| text.ends_with(end))
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn team_ids_follow_the_pattern_of_the_api() {
        for good in ["ab", "payments", "a1", "team-7", &"a".repeat(40)] {
            assert!(good.parse::<TeamId>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "1a",
            "-a",
            "a-",
            "Payments",
            "a_b",
            "ä1",
            &"a".repeat(41),
        ] {
            assert!(bad.parse::<TeamId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn bucket_names_are_ones_that_s3_takes() {
        for good in ["abc", "acme-mint-123456789012-eu-central-1", "0-0"] {
            assert!(good.parse::<BucketName>().is_ok(), "{good}");
        }
        for bad in [
            "ab",
            "a.b.c",
            "Abc",
            "-abc",
            "abc-",
            "xn--abc",
            "abc-s3alias",
            "a_c",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<BucketName>().is_err(), "{bad}");
        }
    }
}
