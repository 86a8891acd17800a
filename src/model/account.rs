//! What identifies an AWS account, and the state it is in.

use super::text_value;

/// The id of an AWS account: twelve digits (leading zeros count, so it is text).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(String);

text_value!(
    AccountId,
    "an AWS account id: exactly twelve digits",
    |text| { text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) }
);

/// The e-mail address of an account's root user. Unique over all of AWS, and the only natural key that
/// CreateAccount has (Organizations API Reference, CreateAccount: 6 to 64 characters, 7-bit ASCII).
///
/// Compared without regard to case, since AWS does.
#[derive(Debug, Clone, Eq)]
pub struct RootEmail(String);

impl RootEmail {
    /// The form under which two addresses are the same one.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for RootEmail {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl std::hash::Hash for RootEmail {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

text_value!(
    RootEmail,
    "an e-mail address that AWS takes for an account: 6 to 64 ASCII characters, one @, no spaces, \
     no dot first, last or doubled",
    |text| {
        let Some((local, domain)) = text.split_once('@') else {
            return false;
        };
        (6..=64).contains(&text.len())
            && text.bytes().all(|b| (0x21..=0x7e).contains(&b))
            && !local.is_empty()
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !text.contains("..")
            && !local.bytes().any(|b| b"\"'()<>[]:;,\\|%&".contains(&b))
            && domain.contains('.')
            && domain.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            })
    }
);

/// The name of an account as AWS shows it (CreateAccount and PutAccountName: 1 to 50 printable ASCII characters).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountName(String);

text_value!(
    AccountName,
    "an account name: 1 to 50 printable ASCII characters",
    |text| {
        (1..=50).contains(&text.len())
            && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
            && text.trim() == text
    }
);

/// An account alias (IAM User Guide, "Your AWS account ID and its alias"): 3 to 63 lower-case letters, digits
/// and single hyphens, unique in the whole partition, and not twelve digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountAlias(String);

text_value!(
    AccountAlias,
    "an account alias: 3 to 63 lower-case letters, digits and single hyphens, no hyphen first or last, \
     not twelve digits",
    |text| {
        let looks_like_an_id = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        (3..=63).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !text.contains("--")
            && !looks_like_an_id
    }
);

/// `State` of a member account (Organizations API Reference, Account; the older `Status` is retired).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountState {
    /// Created, not yet usable.
    PendingActivation,
    /// Usable.
    Active,
    /// AWS has suspended it, or it was closed and can still be reinstated.
    Suspended,
    /// Being closed.
    PendingClosure,
    /// Closed; listed until AWS purges it.
    Closed,
    /// A state that AWS has added since; never taken for any of the others.
    Unknown(String),
}

impl AccountState {
    /// The state by AWS's own word for it.
    pub fn from_aws(word: &str) -> Self {
        match word {
            "PENDING_ACTIVATION" => Self::PendingActivation,
            "ACTIVE" => Self::Active,
            "SUSPENDED" => Self::Suspended,
            "PENDING_CLOSURE" => Self::PendingClosure,
            "CLOSED" => Self::Closed,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// AWS's word for the state.
    pub fn as_str(&self) -> &str {
        match self {
            Self::PendingActivation => "PENDING_ACTIVATION",
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::PendingClosure => "PENDING_CLOSURE",
            Self::Closed => "CLOSED",
            Self::Unknown(word) => word,
        }
    }

    /// Whether the account is closed or on its way there, or suspended, which looks the same from outside.
    pub fn is_leaving(&self) -> bool {
        matches!(self, Self::Suspended | Self::PendingClosure | Self::Closed)
    }
}

impl std::fmt::Display for AccountState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids_are_twelve_digits() {
        assert!("000123456789".parse::<AccountId>().is_ok());
        for bad in [
            "",
            "12345678901",
            "1234567890123",
            "12345678901a",
            "１２３４５６７８９０１２",
        ] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn root_emails_are_the_same_whatever_their_case() {
        let a: RootEmail = "Aws+Team@Example.com".parse().unwrap();
        assert_eq!(a, "aws+team@example.com".parse().unwrap());
        assert_eq!(a.as_str(), "Aws+Team@Example.com");
    }

    #[test]
    fn root_emails_that_aws_refuses_are_refused() {
        let long = format!("{}@example.com", "a".repeat(60));
        for bad in [
            "a@b.c",
            "no-at.example",
            "two@@example.com",
            ".a@example.com",
            "a..b@example.com",
            "a b@example.com",
            "a@example",
            "a@-x.com",
            "ü@example.com",
            &long,
        ] {
            assert!(bad.parse::<RootEmail>().is_err(), "{bad}");
        }
    }

    #[test]
    fn aliases_follow_iams_rules() {
        for good in ["abc", "acme-payments-test", "1234567890123"] {
            assert!(good.parse::<AccountAlias>().is_ok(), "{good}");
        }
        for bad in [
            "ab",
            "Acme",
            "a--b",
            "-ab",
            "ab-",
            "123456789012",
            "a_b",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<AccountAlias>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_state_stays_unknown() {
        let state = AccountState::from_aws("FROZEN");
        assert_eq!(state, AccountState::Unknown("FROZEN".into()));
        assert!(!state.is_leaving());
        assert_eq!(state.to_string(), "FROZEN");
    }
}
