//! What identifies an application, and a version of it.

use super::text_value;

/// An application's id, unique in the company: what the `Application` object is called,
/// `^[a-z][a-z0-9-]*[a-z0-9]$`, at most 40 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApplicationId(String);

text_value!(
    ApplicationId,
    "an application id: lower-case letters, digits and hyphens, first a letter, last no hyphen, 2 to 40 characters",
    super::names::is_id
);

/// A version of an application: `^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$`, at most 40 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(String);

text_value!(
    Version,
    "a version: letters and digits with single separators (. _ -) between them, 1 to 40 characters",
    |text| {
        (1..=40).contains(&text.len())
            && text
                .split(['.', '_', '-'])
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn application_ids_follow_the_pattern_of_the_api() {
        for good in ["ab", "shop", "shop-2", "a--b", &"a".repeat(40)] {
            assert!(good.parse::<ApplicationId>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "1a",
            "-a",
            "a-",
            "Shop",
            "a_b",
            "a.b",
            &"a".repeat(41),
        ] {
            assert!(bad.parse::<ApplicationId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_have_single_separators_between_their_parts() {
        for good in [
            "1",
            "1.2.3",
            "v1_2-rc1",
            "2026-11-25",
            "cd75",
            &"1".repeat(40),
        ] {
            assert!(good.parse::<Version>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".1",
            "1.",
            "1..2",
            "1--2",
            "1..-..1",
            "1.2 ",
            "1/2",
            "1+2",
            "ä",
            &"1".repeat(41),
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }
}
