//! What can go wrong outside, classified once, at the edge.

/// What kind of refusal it was; what a caller decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum ErrorKind {
    /// The thing does not exist.
    NotFound,
    /// It exists already: the desired state, or somebody else's.
    AlreadyExists,
    /// Another change is under way (ConcurrentModificationException and its kin). Try again soon.
    Conflict,
    /// Too many calls. Try again later, and call less.
    Throttled,
    /// We may not do this.
    Denied,
    /// The request can never succeed as it is.
    Invalid,
    /// A limit that waiting alone does not lift, or only after long: somebody may have to raise it.
    Quota,
    /// AWS did not answer, or is not able to at the moment. The call may or may not have taken effect.
    Unavailable,
    /// An answer that we do not know. Treated as one that may have taken effect.
    Unknown,
}

impl ErrorKind {
    /// The label for metrics and logs.
    pub fn label(self) -> &'static str {
        self.into()
    }

    /// Whether the same call can succeed later with nothing changed.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Conflict | Self::Throttled | Self::Unavailable | Self::Unknown
        )
    }

    /// Whether the call may have taken effect although it failed.
    pub fn may_have_happened(self) -> bool {
        matches!(self, Self::Unavailable | Self::Unknown)
    }
}

/// An error of a call to AWS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {code}: {message}")]
pub struct CloudError {
    /// The class.
    pub kind: ErrorKind,
    /// `Service.Operation`, `organizations.CreateAccount` for example.
    pub operation: &'static str,
    /// AWS's error code (`TooManyRequestsException`), or a word of ours where there was no answer.
    pub code: String,
    /// The typed `Reason` of a ConstraintViolationException or InvalidInputException, if there is one.
    pub reason: Option<String>,
    /// AWS's message.
    pub message: String,
}

impl CloudError {
    /// An error of `operation` with AWS's `code` and `message`.
    pub fn new(
        kind: ErrorKind,
        operation: &'static str,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            operation,
            code: code.into(),
            reason: None,
            message: message.into(),
        }
    }

    /// The constraint of the organization that stands against it, if it is one.
    pub fn constraint(&self) -> Option<&str> {
        let is_one = self.code == "ConstraintViolationException";
        self.reason.as_deref().filter(|_| is_one)
    }

    /// The same with the typed reason.
    pub fn with_reason(mut self, reason: Option<String>) -> Self {
        self.reason = reason;
        self
    }
}
