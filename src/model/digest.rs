//! Content digests, as OCI writes them.

use super::InvalidValue;

/// How the hash was made. The two algorithms that the OCI image specification registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// SHA-256: what everybody uses.
    Sha256,
    /// SHA-512: allowed, seldom seen.
    Sha512,
}

impl DigestAlgorithm {
    /// The word before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// The digest of a manifest, a configuration or a layer: `sha256:` and 64 lower-case hexadecimal digits (OCI image
/// specification, "Digests"; `sha512:` and 128 digits likewise).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    text: String,
}

const EXPECTED: &str =
    "a content digest: sha256: and 64, or sha512: and 128 digits or letters a to f";

impl Digest {
    /// Which hash it is.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The digits behind the colon.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.as_str().len() + 1..]
    }

    /// The whole, `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The digest that these bytes, a hash made with `algorithm`, spell.
    pub fn from_hash(algorithm: DigestAlgorithm, hash: &[u8]) -> Result<Self, InvalidValue> {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}:{hex}", algorithm.as_str()).parse()
    }
}

impl std::str::FromStr for Digest {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let invalid = || InvalidValue::new(text, EXPECTED);
        let (word, hex) = text.split_once(':').ok_or_else(invalid)?;
        let algorithm = match word {
            "sha256" => DigestAlgorithm::Sha256,
            "sha512" => DigestAlgorithm::Sha512,
            _ => return Err(invalid()),
        };
        let digits = hex
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex.len() != algorithm.hex_length() || !digits {
            return Err(invalid());
        }
        Ok(Self {
            algorithm,
            text: text.to_owned(),
        })
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_what_oci_writes() {
        let hex = "0123456789abcdef".repeat(4);
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        assert_eq!(digest.hex(), hex);
        assert_eq!(digest.algorithm(), DigestAlgorithm::Sha256);
        let long: Digest = format!("sha512:{hex}{hex}").parse().unwrap();
        assert_eq!(long.hex().len(), 128);
        for bad in [
            "",
            "sha256:",
            &hex,
            &format!("sha256:{}", hex.to_uppercase()),
            &format!("sha256:{hex}0"),
            &format!("sha512:{hex}"),
            &format!("md5:{hex}"),
            &format!("sha256:{}", "g".repeat(64)),
            &format!("sha256:{}ü", &hex[2..]),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hash_is_spelled_in_lower_case() {
        let digest = Digest::from_hash(DigestAlgorithm::Sha256, &[0xAB; 32]).unwrap();
        assert_eq!(digest.as_str(), format!("sha256:{}", "ab".repeat(32)));
        assert!(Digest::from_hash(DigestAlgorithm::Sha256, &[0; 31]).is_err());
    }
}
