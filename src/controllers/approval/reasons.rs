//! The reasons in conditions and events of an `Approval`: a closed set. What each means is in [`ALL`].
#![expect(missing_docs, reason = "each is described in ALL")]

use crate::engine::reasons::{DONE, Reason};

pub const READY: &str = crate::engine::reasons::READY;
pub const RELEASE_NOT_FOUND: &str = "ReleaseNotFound";
pub const RELEASE_NOT_RESOLVED: &str = "ReleaseNotResolved";
pub const DIGEST_MISMATCH: &str = "DigestMismatch";
pub const OWN_RELEASE: &str = "OwnRelease";
pub const NOT_THE_APPROVER: &str = "NotTheApprover";
pub const NOT_A_PERSON: &str = "NotAPerson";
pub const NOT_DEMANDED: &str = "NotDemanded";
pub const AUTHOR_UNKNOWN: &str = "AuthorUnknown";
pub const REQUESTER_UNKNOWN: &str = "RequesterUnknown";

/// All of them, for the reference.
pub const ALL: &[Reason] = &[
    Reason::new(READY, "The approval counts.", DONE),
    Reason::new(
        RELEASE_NOT_FOUND,
        "There is no release of the name in spec.release.",
        "The approver writes it anew with the right name, or waits for the release.",
    ),
    Reason::new(
        RELEASE_NOT_RESOLVED,
        "The release has no digest yet, so nobody can have seen what it is.",
        "Nothing. If it stays: the condition Resolved of the release says who must do what.",
    ),
    Reason::new(
        DIGEST_MISMATCH,
        "The approval is for another digest than the release's.",
        "The approver looks at the release's digest, and writes a new Approval of that one.",
    ),
    Reason::new(
        OWN_RELEASE,
        "The approval is by the person who requested the release.",
        "Another person approves.",
    ),
    Reason::new(
        NOT_THE_APPROVER,
        "The approval was written by somebody else than its approver.",
        "The approver writes it themselves.",
    ),
    Reason::new(
        NOT_A_PERSON,
        "The approval was not written by a person.",
        "A person approves; robots and service accounts make releases only.",
    ),
    Reason::new(
        NOT_DEMANDED,
        "The application demands no approval of this type, so this one adds to nothing.",
        "Nothing, if that is meant; else the approver writes one of a type that is demanded, or a member of the team enters the type in the application's spec.requiredApprovals.",
    ),
    Reason::new(
        AUTHOR_UNKNOWN,
        "Nobody can tell who wrote the approval, since the cluster did not stamp it.",
        "The platform team enables admission in the chart on Kubernetes 1.36 or later; then the approver writes it anew.",
    ),
    Reason::new(
        REQUESTER_UNKNOWN,
        "Nobody can tell who requested the release, which may be the approver.",
        "The platform team enables admission in the chart on Kubernetes 1.36 or later; then the team makes the release anew.",
    ),
];
