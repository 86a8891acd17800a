//! What can go wrong with an authorization server, classified once, at the edge.

use std::time::Duration;

/// What kind of failure it was; what a caller decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum ErrorKind {
    /// There is no such client.
    NotFound,
    /// Somebody else's client has that id.
    AlreadyExists,
    /// We may not do this: our credentials, or the client's management token, are not taken.
    Denied,
    /// Too many requests. Try again later, and not before what [`IdentityError::retry_after`] says.
    Throttled,
    /// The server did not answer in time, or cannot at the moment. The request may or may not have taken effect.
    Unavailable,
    /// The server refuses the request as it is: a grant type that it has not, a redirection URI that it does not like.
    Refused,
    /// An answer that contradicts the specification, or itself: another issuer, rubbish instead of JSON.
    Invalid,
}

impl ErrorKind {
    /// The label for metrics and logs.
    pub fn label(self) -> &'static str {
        self.into()
    }

    /// Whether the same request can succeed later with nothing changed.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable)
    }
}

/// An error of a request to an authorization server. Its text never has anything of what was sent or received but the
/// server's `error` and `error_description`, shortened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct IdentityError {
    /// The class.
    pub kind: ErrorKind,
    /// What was asked: `register`, `delete`, `token`, …: static, for metrics.
    pub operation: &'static str,
    /// What is wrong, and where there is something to do, what.
    pub message: String,
    /// How long the server asked us to wait.
    pub retry_after: Option<Duration>,
}

impl IdentityError {
    /// An error of `operation`.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            operation,
            message: message.into(),
            retry_after: None,
        }
    }
}
