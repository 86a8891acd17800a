//! What can go wrong with a registry, classified once, at the edge.

use std::time::Duration;

/// What kind of failure it was; what a caller decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum ErrorKind {
    /// The registry has no such image, manifest or blob (some say so as well where we may not read it).
    NotFound,
    /// We may not read this, or may not talk to this registry at all.
    Denied,
    /// Too many requests. Try again later, and not before what [`RegistryError::retry_after`] says.
    Throttled,
    /// The registry did not answer in time, or cannot at the moment.
    Unavailable,
    /// An answer that contradicts the specification, or itself: a digest that does not match, rubbish instead of JSON.
    Invalid,
    /// More than we are willing to read.
    TooLarge,
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

/// An error of a request to a registry: what, from where, and why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {message}")]
pub struct RegistryError {
    /// The class.
    pub kind: ErrorKind,
    /// What was asked for: an image, a blob, a registry.
    pub subject: String,
    /// What is wrong, and where there is something to do, what.
    pub message: String,
    /// How long the registry asked us to wait.
    pub retry_after: Option<Duration>,
}

impl RegistryError {
    /// An error about `subject`.
    pub fn new(kind: ErrorKind, subject: impl ToString, message: impl Into<String>) -> Self {
        Self {
            kind,
            subject: subject.to_string(),
            message: message.into(),
            retry_after: None,
        }
    }
}
