//! Making what nobody may guess. From outside, so that a run can be repeated.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::engine::reasons::INTERNAL_ERROR;
use crate::engine::{Failure, FailureKind};
use crate::identity::{SigningKey, keys};
use crate::model::Secret;

/// Makes keys and secrets.
pub trait Maker: Send + Sync {
    /// A key to sign with.
    ///
    /// # Errors
    /// If the system has no randomness.
    fn key(&self) -> Result<SigningKey, Failure>;
    /// A secret, for a server that lets us choose it.
    ///
    /// # Errors
    /// If the system has no randomness.
    fn secret(&self) -> Result<Secret, Failure>;
}

/// With the randomness of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemMaker;

impl Maker for SystemMaker {
    fn key(&self) -> Result<SigningKey, Failure> {
        Ok(keys::make().0)
    }

    fn secret(&self) -> Result<Secret, Failure> {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        SystemRandom::new().fill(&mut bytes[..]).map_err(|_| {
            let message = "the system gives no randomness to make a secret from";
            Failure::new(FailureKind::Bug, INTERNAL_ERROR, message)
        })?;
        Ok(Secret::new(URL_SAFE_NO_PAD.encode(&bytes[..])))
    }
}
