//! The reasons in conditions and events of a `Release`: a closed set. What each means is in [`ALL`].
#![expect(missing_docs, reason = "each is described in ALL")]

use crate::engine::reasons::{DONE, Reason, WAIT};

pub const READY: &str = crate::engine::reasons::READY;
pub const INVALID_SPEC: &str = "InvalidSpec";
pub const APPLICATION_NOT_FOUND: &str = "ApplicationNotFound";
pub const APPLICATION_NOT_ACCEPTED: &str = "ApplicationNotAccepted";
pub const APPLICATION_RETIRED: &str = "ApplicationRetired";
pub const DUPLICATE: &str = "Duplicate";
pub const ASKING_REGISTRY: &str = "AskingRegistry";
pub const RESOLVED: &str = "Resolved";
pub const IMAGE_NOT_FOUND: &str = "ImageNotFound";
pub const IMAGE_INVALID: &str = "ImageInvalid";
pub const REGISTRY_UNAVAILABLE: &str = "RegistryUnavailable";
pub const REGISTRY_ACCESS_DENIED: &str = "RegistryAccessDenied";
pub const TAG_MOVED: &str = "TagMoved";
pub const MOVING_TAG: &str = "MovingTag";
pub const SOURCE_KNOWN: &str = "SourceKnown";
pub const SOURCE_UNKNOWN: &str = "SourceUnknown";
pub const REVISION_UNKNOWN: &str = "RevisionUnknown";
pub const SOURCE_MATCHES: &str = "SourceMatches";
pub const NO_REPOSITORIES: &str = "NoRepositories";
pub const SOURCE_MISMATCH: &str = "SourceMismatch";
pub const CLEAN: &str = "Clean";
pub const DIRTY: &str = "Dirty";
pub const CLEAN_UNKNOWN: &str = "CleanUnknown";
pub const APPROVED: &str = "Approved";
pub const NONE_REQUIRED: &str = "NoneRequired";
pub const AWAITING_APPROVAL: &str = "AwaitingApproval";
pub const REQUESTER_UNKNOWN: &str = "RequesterUnknown";
pub const CODE_HOST_UNANSWERED: &str = "CodeHostUnanswered";

/// All of them, for the reference.
pub const ALL: &[Reason] = &[
    Reason::new(
        READY,
        "Everything that is demanded of the release is there.",
        DONE,
    ),
    Reason::new(
        INVALID_SPEC,
        "The release cannot be carried out as it is declared.",
        "Whoever made the release makes a new one with the field corrected that the message names.",
    ),
    Reason::new(
        APPLICATION_NOT_FOUND,
        "There is no application of the name in spec.application in this namespace.",
        "A member of the team declares it, or the release is made in the namespace of the team that has it.",
    ),
    Reason::new(
        APPLICATION_NOT_ACCEPTED,
        "The application is not this team's, or has not been looked at yet.",
        "Whoever the application's condition Accepted names.",
    ),
    Reason::new(
        APPLICATION_RETIRED,
        "The application is retired, and the release was not Ready before that: nothing new is deployed.",
        "A member of the team sets spec.active of the application back to true, if it is to be released again.",
    ),
    Reason::new(
        DUPLICATE,
        "An older release of the application has the same version.",
        "Whoever made the release chooses another version, or deletes the older one.",
    ),
    Reason::new(ASKING_REGISTRY, "The registry has not answered yet.", WAIT),
    Reason::new(
        RESOLVED,
        "The image is known by its digest, which stays what it is.",
        DONE,
    ),
    Reason::new(
        IMAGE_NOT_FOUND,
        "The registry has no such image. It is looked for again every ten minutes.",
        "Whoever builds the image pushes it, or the release is made anew with the right reference; the annotation bailiwick.dev/reconcile-requested-at has it looked for at once.",
    ),
    Reason::new(
        IMAGE_INVALID,
        "What the registry says of the image contradicts itself or the specification.",
        "Whoever builds the image pushes it again with a current tool; if it stays, whoever runs the registry looks into it.",
    ),
    Reason::new(
        REGISTRY_UNAVAILABLE,
        "The registry does not answer, or asks for patience.",
        "Nothing. If it stays: whoever runs the registry looks into it, and the platform team checks the operator's way to it.",
    ),
    Reason::new(
        REGISTRY_ACCESS_DENIED,
        "The registry does not let the operator read the image, or is none that it may talk to.",
        "The platform team enters a login in the Secret of the chart's registries.credentialsSecret, or the registry in registries.plainHttp or registries.internal.",
    ),
    Reason::new(
        TAG_MOVED,
        "The tag names another image than the one that was released. The release stays what it was.",
        "Nothing; whoever wants the other image releases it under another version.",
    ),
    Reason::new(
        MOVING_TAG,
        "The tag is one that is meant to be moved, and the team has an account of a class with production.",
        "Whoever made the release makes a new one by a tag that stays, or by the digest.",
    ),
    Reason::new(
        SOURCE_KNOWN,
        "It is known from which commit the image was built.",
        DONE,
    ),
    Reason::new(
        SOURCE_UNKNOWN,
        "Nothing that counts says from which source the image was built.",
        "Whoever builds the image has it say so by annotations, or signs its provenance with a key that the platform team trusts.",
    ),
    Reason::new(
        REVISION_UNKNOWN,
        "The repository is known, and the commit is not.",
        "Whoever builds the image adds the annotation org.opencontainers.image.revision.",
    ),
    Reason::new(
        SOURCE_MATCHES,
        "The image was built from one of the application's repositories.",
        DONE,
    ),
    Reason::new(
        NO_REPOSITORIES,
        "The application names no repository to compare with.",
        "A member of the team enters the repository in the application's spec.repositories.",
    ),
    Reason::new(
        SOURCE_MISMATCH,
        "The image was built from a repository that is not the application's.",
        "Whoever made the release releases another image, or a member of the team enters the repository in the application's spec.repositories.",
    ),
    Reason::new(CLEAN, "The image was built from an unmodified tree.", DONE),
    Reason::new(
        DIRTY,
        "The image was built from a modified tree, so its commit does not say what is in it.",
        "Whoever builds the image commits, and builds anew.",
    ),
    Reason::new(
        CLEAN_UNKNOWN,
        "The evidence does not say whether the tree was modified. That alone does not keep the release from being Ready.",
        "Nothing; signed provenance and scm-source.json say it.",
    ),
    Reason::new(APPROVED, "Enough different people have approved.", DONE),
    Reason::new(NONE_REQUIRED, "The application demands no approvals.", DONE),
    Reason::new(
        AWAITING_APPROVAL,
        "Approvals are missing; the message says which, and by how many people.",
        "People other than the requester make an Approval each, of the release's digest; or approve the commit on its code host, where the platform team lets that count.",
    ),
    Reason::new(
        CODE_HOST_UNANSWERED,
        "The code host owes an answer about the commit: its tickets, and its reviews where they count. It is asked again by itself, ever more rarely the longer it takes.",
        "Nothing. If it stays: the platform team checks the host's entry in the Secret of the chart's registries.codeHostsSecret, and the operator's way to it.",
    ),
    Reason::new(
        REQUESTER_UNKNOWN,
        "Nobody can tell who requested the release or wrote its approvals, and nobody may approve their own.",
        "The platform team enables admission in the chart on Kubernetes 1.36 or later; then release and approvals are made anew.",
    ),
];
