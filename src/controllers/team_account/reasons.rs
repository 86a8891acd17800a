//! The reasons in conditions and events of a `TeamAccount`: a closed set. What each means is in [`ALL`].
#![expect(missing_docs, reason = "each is described in ALL")]

use crate::engine::reasons::{DONE, Reason, WAIT};

pub const READY: &str = crate::engine::reasons::READY;
pub const ACCEPTED: &str = "Accepted";
pub const INVALID_SPEC: &str = "InvalidSpec";
pub const CLASS_NOT_FOUND: &str = "ClassNotFound";
pub const TEAM_NOT_FOUND: &str = "TeamNotFound";
pub const READING_ORGANIZATION: &str = "ReadingOrganization";
pub const QUEUED: &str = "Queued";
pub const CREATING: &str = "Creating";
pub const SEARCHING: &str = "Searching";
pub const CREATION_FAILED: &str = "CreationFailed";
pub const EMAIL_TAKEN_BY_MEMBER: &str = "EmailTakenByMember";
pub const EMAIL_TAKEN: &str = "EmailTaken";
pub const OWNED_BY_OTHER: &str = "OwnedByOther";
pub const NOT_A_MEMBER: &str = "NotAMember";
pub const ACCOUNT_SUSPENDED: &str = "AccountSuspended";
pub const ACTIVATING: &str = "Activating";
pub const ACCESSIBLE: &str = "Accessible";
pub const ACCESS_DENIED: &str = "AccessDenied";
pub const PLACED: &str = "Placed";
pub const BASELINED: &str = "Baselined";
pub const IN_SYNC: &str = "InSync";
pub const PROGRESSING: &str = "Progressing";
pub const EMAIL_CONFIRMATION_PENDING: &str = "EmailConfirmationPending";
pub const EMAIL_CHANGED: &str = "EmailChanged";
pub const EMAIL_CODE_REFUSED: &str = "EmailCodeRefused";
pub const CHANGES_PLANNED: &str = "ChangesPlanned";
pub const SUSPENDED: &str = "Suspended";
pub const ALIAS_TAKEN: &str = "AliasTaken";
pub const BUCKET_TAKEN: &str = "BucketTaken";
pub const DRIFTED: &str = "Drifted";
pub const DRIFT_REPAIRED: &str = "DriftRepaired";
pub const ADOPTED: &str = "Adopted";
pub const CREATED: &str = "Created";
pub const ACCOUNT_RETAINED: &str = "AccountRetained";
pub const QUARANTINED: &str = "Quarantined";
pub const AWAITING_CONFIRMATION: &str = "AwaitingConfirmation";
pub const AWAITING_CLOSURE: &str = "AwaitingClosure";
pub const CLOSED: &str = "Closed";

/// All of them, for the reference.
pub const ALL: &[Reason] = &[
    Reason::new(READY, "The account is as declared.", DONE),
    Reason::new(ACCEPTED, "The spec and its class can be carried out.", DONE),
    Reason::new(
        INVALID_SPEC,
        "The account cannot be carried out as it, or its class, is declared.",
        "Whoever edits the account or the class corrects the field that the message names; a changed spec is tried at once.",
    ),
    Reason::new(
        CLASS_NOT_FOUND,
        "There is no AccountClass of the name in spec.className.",
        "The platform team creates the class, or corrects the name.",
    ),
    Reason::new(
        TEAM_NOT_FOUND,
        "The namespace belongs to no team.",
        "The platform team declares a Team for the namespace, or the account in a team's namespace.",
    ),
    Reason::new(
        READING_ORGANIZATION,
        "The operator reads the organization: it has just started, or the account is in a unit that it does not know yet.",
        WAIT,
    ),
    Reason::new(
        QUEUED,
        "The account waits for a slot: AWS creates only a few accounts at a time for the whole organization.",
        "Nothing; status.queue says how many come first and when the turn is expected.",
    ),
    Reason::new(
        CREATING,
        "AWS is creating the account; this takes minutes.",
        WAIT,
    ),
    Reason::new(
        SEARCHING,
        "The answer to CreateAccount was lost; the operator looks whether the account was created before it asks again.",
        WAIT,
    ),
    Reason::new(
        CREATION_FAILED,
        "AWS gave up on the creation, or would not begin it.",
        "Whoever the message names does what it says; what AWS may do by itself is tried again after a minute.",
    ),
    Reason::new(
        EMAIL_TAKEN_BY_MEMBER,
        "The root e-mail address belongs to another account of the organization.",
        "Whoever edits the account sets spec.accountId to adopt that account, or spec.email to another address.",
    ),
    Reason::new(
        EMAIL_TAKEN,
        "The root e-mail address belongs to an AWS account outside of the organization, or to one that was closed.",
        "Whoever edits the account sets spec.email to an address that no AWS account has had.",
    ),
    Reason::new(
        OWNED_BY_OTHER,
        "Another object, maybe in another cluster, manages the account (or did, and its tags are still there), or asks for the same e-mail address.",
        "The platform team decides which object it shall be, and deletes or corrects the other; from the account of one that is gone it removes the bailiwick.dev/ tags.",
    ),
    Reason::new(
        NOT_A_MEMBER,
        "The account is not a member of the organization; nothing is created in its place.",
        "The platform team invites the account (again), corrects spec.accountId, or deletes the object.",
    ),
    Reason::new(
        ACCOUNT_SUSPENDED,
        "The account is suspended or closed in AWS; nothing is created in its place.",
        "The platform team asks AWS Support to reinstate it, or deletes the object.",
    ),
    Reason::new(
        ACTIVATING,
        "The account exists, and AWS does not show it, or let the operator in, yet.",
        WAIT,
    ),
    Reason::new(ACCESSIBLE, "The access role lets the operator in.", DONE),
    Reason::new(
        ACCESS_DENIED,
        "The access role does not let the operator in.",
        "The platform team makes the role in the account and lets it trust the management account, or corrects the class's accessRoleName.",
    ),
    Reason::new(PLACED, "The account is in its organizational unit.", DONE),
    Reason::new(BASELINED, "The account has what its class demands.", DONE),
    Reason::new(IN_SYNC, "No difference was found.", DONE),
    Reason::new(
        PROGRESSING,
        "A change takes its time inside AWS, a region that is being enabled for example.",
        WAIT,
    ),
    Reason::new(
        EMAIL_CONFIRMATION_PENDING,
        "AWS has mailed a code to the account's new root address and waits for it.",
        "Whoever reads that mailbox gives the code to the platform team, who sets the annotation bailiwick.dev/email-confirmation-code.",
    ),
    Reason::new(
        EMAIL_CHANGED,
        "The account's root e-mail address was changed. An event.",
        DONE,
    ),
    Reason::new(
        EMAIL_CODE_REFUSED,
        "AWS refused the code for the new root address. An event.",
        "Whoever gave the code looks for the newest mail and gives its code.",
    ),
    Reason::new(
        CHANGES_PLANNED,
        "There are changes to make, and spec.mode: Plan keeps them from being made; status.plan lists them.",
        "Whoever edits the account reads status.plan and sets spec.mode to Apply.",
    ),
    Reason::new(
        SUSPENDED,
        "There are changes to make, and spec.suspend keeps them from being made; status.plan lists them.",
        "Whoever suspended the account sets spec.suspend to false.",
    ),
    Reason::new(
        ALIAS_TAKEN,
        "The alias belongs to another AWS account somewhere in the world.",
        "The platform team chooses another aliasTemplate in the class.",
    ),
    Reason::new(
        BUCKET_TAKEN,
        "The name of the account's credentials bucket is taken: by another AWS account, or by a bucket in this one that does not bear the account's tags. It is not taken over.",
        "The platform team chooses another name in spec.overrides.credentialsBucket.name or in the class, or whoever owns that bucket gives the name free.",
    ),
    Reason::new(
        DRIFTED,
        "Something was changed in AWS behind the operator's back, and could not be put right; status.drift lists it.",
        "Whoever the reason of Ready names; it is tried again by itself.",
    ),
    Reason::new(
        DRIFT_REPAIRED,
        "Something was changed in AWS behind the operator's back and has been put right (or, after a restart of the operator, AWS still showed what was there before a change of its own: a name for up to four hours). An event.",
        "Nothing; whoever changed it changes the class or the account instead.",
    ),
    Reason::new(ADOPTED, "A member account was adopted. An event.", DONE),
    Reason::new(
        CREATED,
        "The account exists and is a member of the organization.",
        DONE,
    ),
    Reason::new(
        ACCOUNT_RETAINED,
        "The object is gone, and the AWS account is kept and not managed any more. An event.",
        "Nothing; adopt the account again by spec.accountId.",
    ),
    Reason::new(
        QUARANTINED,
        "The account was moved to the quarantine unit of its class. An event.",
        DONE,
    ),
    Reason::new(
        AWAITING_CONFIRMATION,
        "The account is to be closed, which nobody has confirmed.",
        "The platform team sets the annotation bailiwick.dev/confirm-close to the account's id, or spec.deletionPolicy to Retain.",
    ),
    Reason::new(
        AWAITING_CLOSURE,
        "The account will be closed: its time in quarantine is not over, AWS allows no further closure at the moment, or AWS is at it.",
        "Nothing; who wants to keep the account sets spec.deletionPolicy to Retain before that.",
    ),
    Reason::new(
        CLOSED,
        "The account is closed, or AWS is closing it. An event.",
        DONE,
    ),
];
