//! The reasons in this kind's conditions and events: a closed set, listed in the reference.

/// Everything is as declared.
pub const READY: &str = "Ready";
/// The spec cannot be carried out as it is.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// The namespace belongs to no team.
pub const TEAM_NOT_FOUND: &str = "TeamNotFound";
/// There is no application of that name in the namespace yet.
pub const APPLICATION_NOT_FOUND: &str = "ApplicationNotFound";
/// There is no account of that name in the namespace.
pub const ACCOUNT_NOT_FOUND: &str = "AccountNotFound";
/// The account is not ready yet.
pub const ACCOUNT_NOT_READY: &str = "AccountNotReady";
/// The operator knows no account for the platform's repositories, or one that cannot be meant.
pub const NO_PLATFORM_ACCOUNT: &str = "NoPlatformAccount";
/// The account's class does not allow tags that can be moved.
pub const MUTABLE_TAGS_REFUSED: &str = "MutableTagsRefused";
/// An older object declares the same repository.
pub const NAME_TAKEN: &str = "NameTaken";
/// The role does not let us into the account.
pub const ACCESS_DENIED: &str = "AccessDenied";
/// The repository is about to be created.
pub const CREATING: &str = "Creating";
/// A repository of that name exists without our tags, and adoption was not asked for.
pub const REPOSITORY_EXISTS: &str = "RepositoryExists";
/// Another object manages the repository.
pub const OWNED_BY_OTHER: &str = "OwnedByOther";
/// The repository is encrypted in another way, which cannot be changed.
pub const ENCRYPTION_DIFFERS: &str = "EncryptionDiffers";
/// AWS cannot use the key that is to encrypt the repository.
pub const KEY_REFUSED: &str = "KeyRefused";
/// AWS refuses the policy: somebody that it names does not exist.
pub const POLICY_REFUSED: &str = "PolicyRefused";
/// The tag that would keep an image is at another one.
pub const KEEP_TAG_TAKEN: &str = "KeepTagTaken";
/// There are changes, and `mode: Plan` keeps them from being made.
pub const CHANGES_PLANNED: &str = "ChangesPlanned";
/// There are changes, and `suspend` keeps them from being made.
pub const SUSPENDED: &str = "Suspended";
/// The repository was created.
pub const CREATED: &str = "Created";
/// The repository was adopted.
pub const ADOPTED: &str = "Adopted";
/// Something was changed behind our back and has been put right.
pub const DRIFT_REPAIRED: &str = "DriftRepaired";
/// The repository was gone, with all images, and has been created anew.
pub const REPOSITORY_MISSING: &str = "RepositoryMissing";
/// The object is gone, the repository stays.
pub const REPOSITORY_RETAINED: &str = "RepositoryRetained";
/// The repository was deleted.
pub const REPOSITORY_DELETED: &str = "RepositoryDeleted";
/// The repository is to be deleted, and there are images in it.
pub const NOT_EMPTY: &str = "NotEmpty";
/// All, for the reference.
pub const ALL: &[&str] = &[
    READY,
    INVALID_SPEC,
    TEAM_NOT_FOUND,
    APPLICATION_NOT_FOUND,
    ACCOUNT_NOT_FOUND,
    ACCOUNT_NOT_READY,
    NO_PLATFORM_ACCOUNT,
    MUTABLE_TAGS_REFUSED,
    NAME_TAKEN,
    ACCESS_DENIED,
    CREATING,
    REPOSITORY_EXISTS,
    OWNED_BY_OTHER,
    ENCRYPTION_DIFFERS,
    KEY_REFUSED,
    POLICY_REFUSED,
    KEEP_TAG_TAKEN,
    CHANGES_PLANNED,
    SUSPENDED,
    CREATED,
    ADOPTED,
    DRIFT_REPAIRED,
    REPOSITORY_MISSING,
    REPOSITORY_RETAINED,
    REPOSITORY_DELETED,
    NOT_EMPTY,
];
