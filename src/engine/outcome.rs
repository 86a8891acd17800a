//! How a pass over an object ends.

use std::time::Duration;

use super::reasons;
use crate::cloud::CloudError;

/// The end of a pass that did not fail. Waiting is not an error, and errors are not control flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as declared. Look again after `resync`, if at all.
    Settled {
        /// When to look again without being asked.
        resync: Option<Duration>,
    },
    /// Something outside is under way; look again `after`.
    Waiting {
        /// The reason, one of the kind's closed set.
        reason: &'static str,
        /// For the person who asks why it is not ready.
        message: String,
        /// When to look again without being asked.
        after: Duration,
    },
    /// Something outside has just been asked, and will answer in a moment: not worth a word in the status yet, which stays as
    /// it is. Look again `after`.
    Begun {
        /// When to look again without being asked.
        after: Duration,
    },
    /// A person must change something first. Looked at again now and then, since it may be something outside.
    Blocked {
        /// The reason, one of the kind's closed set.
        reason: &'static str,
        /// What is wrong, where, and what to do.
        message: String,
    },
    /// The object is being deleted and nothing outside is owed any more: the finalizer may go.
    Released,
}

impl Outcome {
    /// Waiting, in one line.
    pub fn waiting(reason: &'static str, message: impl Into<String>, after: Duration) -> Self {
        Self::Waiting {
            reason,
            message: message.into(),
            after,
        }
    }

    /// Blocked, in one line.
    pub fn blocked(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Blocked {
            reason,
            message: message.into(),
        }
    }

    /// The label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Settled { .. } => "settled",
            Self::Waiting { .. } | Self::Begun { .. } => "waiting",
            Self::Blocked { .. } => "blocked",
            Self::Released => "released",
        }
    }
}

/// What a failed pass asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The same pass may succeed later: retried with growing pauses.
    Transient,
    /// The object changed under the pass (a write with an old resource version). Retried at once, and not a failure.
    Conflict,
    /// It will not succeed until somebody changes something.
    Terminal,
    /// A defect of ours.
    Bug,
}

/// A pass that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What it asks for.
    pub kind: FailureKind,
    /// The reason, static: for the condition, the event and the metric.
    pub label: &'static str,
    /// What is wrong, for a person.
    pub message: String,
}

impl Failure {
    /// A failure of `kind` with its static label.
    pub fn new(kind: FailureKind, label: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            label,
            message: message.into(),
        }
    }
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Self {
        use crate::cloud::ErrorKind as K;
        let (kind, label) = match error.kind {
            K::Throttled => (FailureKind::Transient, reasons::AWS_THROTTLED),
            K::Conflict => (FailureKind::Transient, reasons::AWS_CONFLICT),
            K::Unavailable => (FailureKind::Transient, reasons::AWS_UNAVAILABLE),
            K::Unknown => (FailureKind::Transient, reasons::AWS_UNKNOWN_ERROR),
            K::NotFound => (FailureKind::Transient, reasons::AWS_NOT_FOUND),
            K::Denied => (FailureKind::Terminal, reasons::AWS_ACCESS_DENIED),
            K::Invalid => (FailureKind::Terminal, reasons::AWS_REFUSED),
            K::AlreadyExists => (FailureKind::Terminal, reasons::AWS_ALREADY_EXISTS),
            K::Quota => (FailureKind::Terminal, reasons::AWS_QUOTA_EXCEEDED),
        };
        Self::new(kind, label, error.to_string())
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.is_conflict() => Self::new(
                FailureKind::Conflict,
                reasons::CONFLICT,
                "the object has changed meanwhile",
            ),
            kube::Error::Api(status) if status.is_forbidden() => Self::new(
                FailureKind::Terminal,
                reasons::CLUSTER_ACCESS_DENIED,
                format!(
                    "the operator may not do this in the cluster: {}",
                    status.message
                ),
            ),
            kube::Error::Api(status) => Self::new(
                FailureKind::Transient,
                reasons::CLUSTER_ERROR,
                status.message.clone(),
            ),
            other => Self::new(
                FailureKind::Transient,
                reasons::CLUSTER_UNAVAILABLE,
                other.to_string(),
            ),
        }
    }
}
