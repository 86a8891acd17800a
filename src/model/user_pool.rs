//! User pools of Amazon Cognito, by their ids.

use super::text_value;

/// The id of a user pool (Cognito API Reference, `UserPoolId`: 55 of `[\w-]+_[0-9a-zA-Z]+`): the region's code, an underscore,
/// and letters and digits. The region may be one of any partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserPoolId(String);

text_value!(
    UserPoolId,
    "the id of a user pool: its region, an underscore, letters and digits, as in eu-central-1_AbCdEfGhI",
    |text| {
        let is_pool = |(region, rest): (&str, &str)| {
            is_region(region) && !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        text.len() <= 55 && text.split_once('_').is_some_and(is_pool)
    }
);

/// Words and a number: what becomes part of a host's name must be no more than that.
fn is_region(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let number = parts.next().unwrap_or_default();
    let words: Vec<&str> = parts.collect();
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
        && words.len() >= 2
        && words.iter().all(is_word)
}

impl UserPoolId {
    /// The code of the region that it is in.
    pub fn region(&self) -> &str {
        self.0.split_once('_').map_or("", |(region, _)| region)
    }

    /// The issuer's identifier of the tokens that it gives (Cognito Developer Guide, "Understanding user pool JSON web
    /// tokens", `iss`).
    pub fn issuer(&self) -> String {
        let region = self.region();
        let domain = match region.starts_with("cn-") {
            true => "amazonaws.com.cn",
            false => "amazonaws.com",
        };
        format!("https://cognito-idp.{region}.{domain}/{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_says_where_it_is() {
        for (id, region, issuer) in [
            (
                "eu-central-1_AbCdEfGhI",
                "eu-central-1",
                "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI",
            ),
            (
                "us-gov-west-1_a1",
                "us-gov-west-1",
                "https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_a1",
            ),
            (
                "cn-north-1_X",
                "cn-north-1",
                "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_X",
            ),
        ] {
            let pool: UserPoolId = id.parse().unwrap();
            assert_eq!((pool.region(), pool.issuer().as_str()), (region, issuer));
        }
    }

    #[test]
    fn what_would_lead_to_another_host_is_no_pool() {
        for id in [
            "",
            "_a",
            "eu-central-1",
            "eu-central-1_",
            "eu-central-1_a/b",
            "evil.example.com/-1_a",
            "central-1_a",
            "eu-central_a",
            "EU-central-1_a",
            "eu--1_a",
            "eu-central-1_a_b",
        ] {
            assert!(id.parse::<UserPoolId>().is_err(), "{id}");
        }
        let long = format!("eu-central-1_{}", "a".repeat(43));
        assert!(long.parse::<UserPoolId>().is_err());
    }
}
