//! Digests of bytes.

use aws_lc_rs::digest;

use super::error::{ErrorKind, RegistryError};
use crate::model::{Digest, DigestAlgorithm};

/// Hashes bytes as they come.
pub struct Hasher {
    algorithm: DigestAlgorithm,
    context: digest::Context,
}

impl Hasher {
    /// Nothing hashed yet.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        let context = digest::Context::new(match algorithm {
            DigestAlgorithm::Sha256 => &digest::SHA256,
            DigestAlgorithm::Sha512 => &digest::SHA512,
        });
        Self { algorithm, context }
    }

    /// These bytes come next.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// Fails unless all bytes together have this digest. `subject` names in the error what they are.
    pub fn check(self, subject: &str, expected: &Digest) -> Result<(), RegistryError> {
        let invalid = |message: String| RegistryError::new(ErrorKind::Invalid, subject, message);
        let hash = self.context.finish();
        let digest = Digest::from_hash(self.algorithm, hash.as_ref())
            .map_err(|error| invalid(error.to_string()))?;
        if digest == *expected {
            return Ok(());
        }
        Err(invalid(format!(
            "the registry served bytes with the digest {digest} where {expected} was asked for"
        )))
    }
}

/// Fails unless these bytes have this digest.
pub fn check(subject: &str, expected: &Digest, bytes: &[u8]) -> Result<(), RegistryError> {
    let mut hasher = Hasher::new(expected.algorithm());
    hasher.update(bytes);
    hasher.check(subject, expected)
}

/// The SHA-256 digest of these bytes.
pub fn sha256(bytes: &[u8]) -> Result<Digest, RegistryError> {
    let hash = digest::digest(&digest::SHA256, bytes);
    Digest::from_hash(DigestAlgorithm::Sha256, hash.as_ref())
        .map_err(|error| RegistryError::new(ErrorKind::Invalid, "a digest", error.to_string()))
}
