//! Users that work for an application, for the grant type `password` (RFC 6749 section 4.3): only for applications that cannot
//! do without it yet, and only where a server has such users.

use super::{ErrorKind, IdentityError};
use crate::model::Secret;

/// The grant type.
pub const PASSWORD_GRANT: &str = "password";

/// A user that works for an application. It has one password for all its life: another version is another user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUser {
    /// By which it logs in: unique for every version of every client of every cluster, and found again by it.
    pub username: String,
    /// Whose it is. What bears another's is not ours.
    pub uid: String,
    /// Its password; it is durable already.
    pub password: Secret,
}

/// The answer of a server that has no users of that kind.
pub(super) fn none(operation: &'static str) -> IdentityError {
    let message =
        "this kind of server has no users that work for an application (the grant type password)";
    IdentityError::new(ErrorKind::Refused, operation, message)
}
