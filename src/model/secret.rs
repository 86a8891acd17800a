//! Something that must never be printed.

use zeroize::Zeroizing;

/// A password, a token, a private key. `Debug` hides it, nothing prints or serializes it, and its memory is overwritten
/// when it goes. Two are compared in a time that does not tell where they differ.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself. Only for what sends it to where it belongs: adapters and destinations
    /// (`tests/house_rules.rs` knows the list).
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (self.0.as_bytes(), other.0.as_bytes());
        let differing = |(a, b): (&u8, &u8)| a ^ b;
        one.len() == two.len()
            && one
                .iter()
                .zip(two)
                .map(differing)
                .fold(0, |all, bits| all | bits)
                == 0
    }
}

impl Eq for Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_but_not_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret:?} {:#?}", Some(&secret)),
            "Secret(…) Some(\n    Secret(…),\n)"
        );
        assert_eq!(secret, Secret::new("hunter2"));
        for other in ["hunter3", "Hunter2", "hunter", "hunter22", ""] {
            assert_ne!(secret, Secret::new(other), "{other}");
        }
        assert_eq!(secret.reveal(), "hunter2");
    }
}
