//! The reasons in conditions and events of an `ImageRepository`: a closed set. What each means is in [`ALL`].
#![expect(missing_docs, reason = "each is described in ALL")]

use crate::engine::reasons::{DONE, Reason, WAIT};

pub const READY: &str = crate::engine::reasons::READY;
pub const ACCEPTED: &str = "Accepted";
pub const INVALID_SPEC: &str = "InvalidSpec";
pub const TEAM_NOT_FOUND: &str = "TeamNotFound";
pub const APPLICATION_NOT_FOUND: &str = "ApplicationNotFound";
pub const APPLICATION_NOT_ACCEPTED: &str = "ApplicationNotAccepted";
pub const ACCOUNT_NOT_FOUND: &str = "AccountNotFound";
pub const ACCOUNT_NOT_READY: &str = "AccountNotReady";
pub const NO_PLATFORM_ACCOUNT: &str = "NoPlatformAccount";
pub const MUTABLE_TAGS_REFUSED: &str = "MutableTagsRefused";
pub const NAME_TAKEN: &str = "NameTaken";
pub const ACCESS_DENIED: &str = "AccessDenied";
pub const CREATING: &str = "Creating";
pub const REPOSITORY_EXISTS: &str = "RepositoryExists";
pub const OWNED_BY_OTHER: &str = "OwnedByOther";
pub const ENCRYPTION_DIFFERS: &str = "EncryptionDiffers";
pub const KEY_REFUSED: &str = "KeyRefused";
pub const POLICY_REFUSED: &str = "PolicyRefused";
pub const KEEP_TAG_TAKEN: &str = "KeepTagTaken";
pub const IN_SYNC: &str = "InSync";
pub const CHANGES_PLANNED: &str = "ChangesPlanned";
pub const SUSPENDED: &str = "Suspended";
pub const CREATED: &str = "Created";
pub const ADOPTED: &str = "Adopted";
pub const DRIFT_REPAIRED: &str = "DriftRepaired";
pub const REPOSITORY_MISSING: &str = "RepositoryMissing";
pub const REPOSITORY_RETAINED: &str = "RepositoryRetained";
pub const REPOSITORY_DELETED: &str = "RepositoryDeleted";
pub const NOT_EMPTY: &str = "NotEmpty";

/// All of them, for the reference.
pub const ALL: &[Reason] = &[
    Reason::new(READY, "Everything is as declared.", DONE),
    Reason::new(ACCEPTED, "The spec can be carried out.", DONE),
    Reason::new(
        INVALID_SPEC,
        "The spec cannot be carried out as it is.",
        "Whoever edits the repository, or the class of its account, corrects the field that the message names.",
    ),
    Reason::new(
        TEAM_NOT_FOUND,
        "The namespace belongs to no team.",
        "The platform team declares a Team for the namespace, or the repository is declared in a team's namespace.",
    ),
    Reason::new(
        APPLICATION_NOT_FOUND,
        "There is no application of that name in the namespace yet.",
        "A member of the team declares the application, or corrects spec.application.",
    ),
    Reason::new(
        APPLICATION_NOT_ACCEPTED,
        "The application does not have its name, as its own condition Accepted says, and no repository is made for it.",
        "Whoever the message names; then it goes on by itself.",
    ),
    Reason::new(
        ACCOUNT_NOT_FOUND,
        "There is no account of that name in the namespace.",
        "Whoever edits the repository corrects spec.account, or the platform team declares the account and its class.",
    ),
    Reason::new(
        ACCOUNT_NOT_READY,
        "The account is not ready yet.",
        "Nothing. If it stays: whoever the condition Ready of the account names.",
    ),
    Reason::new(
        NO_PLATFORM_ACCOUNT,
        "The operator knows no account for the platform's repositories, or one that cannot be meant.",
        "The platform team sets platformAccount.id in the chart to a member account, or whoever edits the repository names an account in spec.account.",
    ),
    Reason::new(
        MUTABLE_TAGS_REFUSED,
        "The account's class does not allow tags that can be moved.",
        "Whoever edits the repository removes spec.mutableTags, or the platform team allows them in the account's class.",
    ),
    Reason::new(
        NAME_TAKEN,
        "An older object declares the same repository.",
        "Whoever made this object deletes it, or chooses another spec.repositoryName.",
    ),
    Reason::new(
        ACCESS_DENIED,
        "The role does not let us into the account.",
        "Whoever owns the account has the role that the message names trust the operator's role.",
    ),
    Reason::new(CREATING, "The repository is about to be created.", WAIT),
    Reason::new(
        REPOSITORY_EXISTS,
        "A repository of that name exists without our tags, and adoption was not asked for.",
        "Whoever edits the repository sets spec.adopt to true to take it over, or chooses another spec.repositoryName.",
    ),
    Reason::new(
        OWNED_BY_OTHER,
        "Another object manages the repository.",
        "Whoever edits the repository chooses another spec.repositoryName, or the other object is deleted first.",
    ),
    Reason::new(
        ENCRYPTION_DIFFERS,
        "The repository is encrypted in another way, which cannot be changed.",
        "Whoever edits the repository removes spec.kmsKeyArn, or declares another repository.",
    ),
    Reason::new(
        KEY_REFUSED,
        "AWS cannot use the key that is to encrypt the repository.",
        "Whoever owns the key enables it, in the same region, and allows Amazon ECR in the account to use it.",
    ),
    Reason::new(
        POLICY_REFUSED,
        "AWS refuses the policy: somebody that it names does not exist.",
        "Whoever edits the repository corrects spec.pushRoles, so that every role in it exists.",
    ),
    Reason::new(
        KEEP_TAG_TAKEN,
        "The tag that would keep an image is at another one.",
        "A member of the team deletes the tag that the message names; until then nothing expires.",
    ),
    Reason::new(IN_SYNC, "The repository is as declared.", DONE),
    Reason::new(
        CHANGES_PLANNED,
        "There are changes, and `mode: Plan` keeps them from being made.",
        "Whoever planned it looks at status.plan and sets spec.mode to Apply.",
    ),
    Reason::new(
        SUSPENDED,
        "There are changes, and `suspend` keeps them from being made.",
        "Whoever suspended the repository sets spec.suspend to false.",
    ),
    Reason::new(CREATED, "The repository was created.", DONE),
    Reason::new(ADOPTED, "The repository was adopted. An event.", DONE),
    Reason::new(
        DRIFT_REPAIRED,
        "Something was changed behind our back and has been put right. An event.",
        "Nothing; whoever changed it outside changes the object instead.",
    ),
    Reason::new(
        REPOSITORY_MISSING,
        "The repository was gone, with all images, and has been created anew. An event.",
        "A member of the team pushes the images again that are still needed.",
    ),
    Reason::new(
        REPOSITORY_RETAINED,
        "The object is gone, the repository stays. An event.",
        "Nothing; another object takes the repository over with spec.adopt.",
    ),
    Reason::new(
        REPOSITORY_DELETED,
        "The repository was deleted, or was not there any more. An event.",
        DONE,
    ),
    Reason::new(
        NOT_EMPTY,
        "The repository is to be deleted, and there are images in it.",
        "A member of the team deletes the images, or sets spec.deletionPolicy to Retain.",
    ),
];
