//! The reasons in this kind's conditions and events: a closed set, listed in the reference.

/// Everything that is demanded of the release is there.
pub const READY: &str = "Ready";
/// The spec cannot be carried out as it is.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// There is no such application.
pub const APPLICATION_NOT_FOUND: &str = "ApplicationNotFound";
/// The application is not this team's.
pub const APPLICATION_NOT_ACCEPTED: &str = "ApplicationNotAccepted";
/// An older release has this version.
pub const DUPLICATE: &str = "Duplicate";
/// The registry has not answered yet.
pub const ASKING_REGISTRY: &str = "AskingRegistry";
/// The image is known by its digest.
pub const RESOLVED: &str = "Resolved";
/// There is no such image.
pub const IMAGE_NOT_FOUND: &str = "ImageNotFound";
/// What the registry says of the image cannot be used.
pub const IMAGE_INVALID: &str = "ImageInvalid";
/// The registry cannot answer at the moment.
pub const REGISTRY_UNAVAILABLE: &str = "RegistryUnavailable";
/// The registry does not let us read the image.
pub const REGISTRY_ACCESS_DENIED: &str = "RegistryAccessDenied";
/// The tag names another image now.
pub const TAG_MOVED: &str = "TagMoved";
/// The tag is meant to be moved, and the team has production.
pub const MOVING_TAG: &str = "MovingTag";
/// It is known from which commit the image was built.
pub const SOURCE_KNOWN: &str = "SourceKnown";
/// Nothing says where the image comes from.
pub const SOURCE_UNKNOWN: &str = "SourceUnknown";
/// Nothing says from which commit it was built.
pub const REVISION_UNKNOWN: &str = "RevisionUnknown";
/// The image was built from a repository of the application.
pub const SOURCE_MATCHES: &str = "SourceMatches";
/// The application has no repositories to compare with.
pub const NO_REPOSITORIES: &str = "NoRepositories";
/// The image was built from another repository.
pub const SOURCE_MISMATCH: &str = "SourceMismatch";
/// The image was built from an unmodified tree.
pub const CLEAN: &str = "Clean";
/// The image was built from a modified tree.
pub const DIRTY: &str = "Dirty";
/// Nothing says whether the tree was modified.
pub const CLEAN_UNKNOWN: &str = "CleanUnknown";
/// Enough people have approved.
pub const APPROVED: &str = "Approved";
/// The application demands no approvals.
pub const NONE_REQUIRED: &str = "NoneRequired";
/// People must approve.
pub const AWAITING_APPROVAL: &str = "AwaitingApproval";
/// Who requested the release is not known, so that approvals cannot be judged.
pub const REQUESTER_UNKNOWN: &str = "RequesterUnknown";
/// All, for the reference.
pub const ALL: &[&str] = &[
    READY,
    INVALID_SPEC,
    APPLICATION_NOT_FOUND,
    APPLICATION_NOT_ACCEPTED,
    DUPLICATE,
    ASKING_REGISTRY,
    RESOLVED,
    IMAGE_NOT_FOUND,
    IMAGE_INVALID,
    REGISTRY_UNAVAILABLE,
    REGISTRY_ACCESS_DENIED,
    TAG_MOVED,
    MOVING_TAG,
    SOURCE_KNOWN,
    SOURCE_UNKNOWN,
    REVISION_UNKNOWN,
    SOURCE_MATCHES,
    NO_REPOSITORIES,
    SOURCE_MISMATCH,
    CLEAN,
    DIRTY,
    CLEAN_UNKNOWN,
    APPROVED,
    NONE_REQUIRED,
    AWAITING_APPROVAL,
    REQUESTER_UNKNOWN,
];
