//! Alternate contacts (Account Management API Reference, AlternateContact).

/// What an alternate contact is asked about. AWS knows exactly these three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContactKind {
    /// Invoices and payment.
    Billing,
    /// Outages and maintenance.
    Operations,
    /// Abuse reports and security notices.
    Security,
}

impl ContactKind {
    /// All kinds, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Billing, Self::Operations, Self::Security];

    /// AWS's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Billing => "BILLING",
            Self::Operations => "OPERATIONS",
            Self::Security => "SECURITY",
        }
    }
}

/// Whom AWS writes to and calls besides the root user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlternateContact {
    /// A person's or a group's name, 1 to 64 characters.
    pub name: String,
    /// Their function, 1 to 50 characters.
    pub title: String,
    /// Their e-mail address, 1 to 254 characters.
    pub email: String,
    /// Their telephone number, 1 to 25 characters.
    pub phone: String,
}

impl std::fmt::Display for AlternateContact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} ({}) <{}> {}",
            self.name, self.title, self.email, self.phone
        )
    }
}
