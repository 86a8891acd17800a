//! The account password policy (IAM API Reference, UpdateAccountPasswordPolicy).

/// What IAM demands of its users' passwords. `Default` is AWS's own default where a policy is set but a field
/// is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// 6 to 128 characters.
    pub minimum_length: u8,
    /// At least one of `A-Z`.
    pub require_uppercase: bool,
    /// At least one of `a-z`.
    pub require_lowercase: bool,
    /// At least one digit.
    pub require_numbers: bool,
    /// At least one of IAM's symbols.
    pub require_symbols: bool,
    /// Users may change their own password.
    pub allow_users_to_change: bool,
    /// Days until a password expires, 1 to 1095; `None`: never.
    pub max_age_days: Option<u16>,
    /// How many earlier passwords may not come back, 1 to 24; `None`: any may.
    pub reuse_prevention: Option<u8>,
    /// An expired password can only be replaced by an administrator.
    pub hard_expiry: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            minimum_length: 6,
            require_uppercase: false,
            require_lowercase: false,
            require_numbers: false,
            require_symbols: false,
            allow_users_to_change: false,
            max_age_days: None,
            reuse_prevention: None,
            hard_expiry: false,
        }
    }
}

impl std::fmt::Display for PasswordPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "length≥{}", self.minimum_length)?;
        let flags = [
            (self.require_uppercase, "upper"),
            (self.require_lowercase, "lower"),
            (self.require_numbers, "digits"),
            (self.require_symbols, "symbols"),
            (self.allow_users_to_change, "self-service"),
            (self.hard_expiry, "hard-expiry"),
        ];
        for (_, word) in flags.iter().filter(|(on, _)| *on) {
            write!(f, ", {word}")?;
        }
        if let Some(days) = self.max_age_days {
            write!(f, ", max-age={days}d")?;
        }
        if let Some(count) = self.reuse_prevention {
            write!(f, ", remembered={count}")?;
        }
        Ok(())
    }
}
