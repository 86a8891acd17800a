//! Making what nobody may guess. From outside, so that a run can be repeated.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::engine::reasons::INTERNAL_ERROR;
use crate::engine::{Failure, FailureKind};
use crate::identity::{SigningKey, keys};
use crate::model::Secret;
use zeroize::Zeroizing;

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
    /// A password of a user. A server may want something of every class in it, which chance alone does not promise.
    ///
    /// # Errors
    /// If the system has no randomness.
    fn password(&self) -> Result<Secret, Failure>;
}

/// With the randomness of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemMaker;

impl Maker for SystemMaker {
    fn key(&self) -> Result<SigningKey, Failure> {
        Ok(keys::make().0)
    }

    fn secret(&self) -> Result<Secret, Failure> {
        Ok(Secret::new(chance()?.as_str()))
    }

    fn password(&self) -> Result<Secret, Failure> {
        let password = Zeroizing::new(format!("{}.aA1", chance()?.as_str()));
        Ok(Secret::new(password.as_str()))
    }
}

/// What nobody guesses, as text.
fn chance() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(&mut bytes[..]).map_err(|_| {
        let message = "the system gives no randomness to make a secret from";
        Failure::new(FailureKind::Bug, INTERNAL_ERROR, message)
    })?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(&bytes[..])))
}
