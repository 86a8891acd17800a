//! The reasons in conditions and events of an `Application`: a closed set. What each means is in [`ALL`].
#![expect(missing_docs, reason = "each is described in ALL")]

use crate::engine::reasons::{DONE, Reason};

pub const READY: &str = crate::engine::reasons::READY;
pub const ACCEPTED: &str = "Accepted";
pub const INVALID_SPEC: &str = "InvalidSpec";
pub const TEAM_NOT_FOUND: &str = "TeamNotFound";
pub const NAME_TAKEN: &str = "NameTaken";
pub const TRANSFERRED: &str = "Transferred";
pub const TAKEN_OVER: &str = "TakenOver";
pub const SUSPENDED: &str = "Suspended";
pub const ACTIVE: &str = "Active";
pub const RETIRING: &str = "Retiring";
pub const RETIRED: &str = "Retired";
pub const RETIREMENT_CALLED_OFF: &str = "RetirementCalledOff";
pub const NAME_KEPT: &str = "NameKept";
pub const APPROVALS_KEPT: &str = "ApprovalsKept";

/// All of them, for the reference.
pub const ALL: &[Reason] = &[
    Reason::new(
        READY,
        "The application has its name, and its status is up to date.",
        DONE,
    ),
    Reason::new(ACCEPTED, "The application's name is this team's.", DONE),
    Reason::new(
        INVALID_SPEC,
        "The application cannot be carried out as it is declared.",
        "A member of the team corrects the field that the message names.",
    ),
    Reason::new(
        TEAM_NOT_FOUND,
        "The namespace belongs to no team.",
        "The platform team declares a Team for the namespace, or the application is declared in a team's namespace.",
    ),
    Reason::new(
        NAME_TAKEN,
        "Another team has the name, or had it and nobody has released it.",
        "A member of the team chooses another name; or the team that has it sets spec.transferTo; or the platform team releases it by deleting the ApplicationName of an application that is gone.",
    ),
    Reason::new(
        TRANSFERRED,
        "The application was given to another team, which has taken it over.",
        "A member of the team deletes the object; the name stays the other team's.",
    ),
    Reason::new(
        TAKEN_OVER,
        "The application was taken over from another team, which had offered it. An event.",
        DONE,
    ),
    Reason::new(
        SUSPENDED,
        "spec.suspend holds all writes for this application.",
        "Whoever suspended the application sets spec.suspend to false.",
    ),
    Reason::new(ACTIVE, "The application is in use.", DONE),
    Reason::new(
        RETIRING,
        "The application was set inactive; at the time that the message names nothing new is deployed any more and its credentials are retired.",
        "Nothing, if that is meant. To call it off, a member of the team sets spec.active back to true before then.",
    ),
    Reason::new(
        RETIRED,
        "The application is inactive: nothing new is deployed, and its credentials are retired.",
        DONE,
    ),
    Reason::new(
        RETIREMENT_CALLED_OFF,
        "The application is active again. An event.",
        DONE,
    ),
    Reason::new(
        APPROVALS_KEPT,
        "The application demands fewer approvals than before, and its releases go on needing those that it demanded.",
        "If fewer shall do: the platform team lowers spec.requiredApprovals of the ApplicationName.",
    ),
    Reason::new(
        NAME_KEPT,
        "The application is gone, and its name stays reserved for its team. An event.",
        "Nothing; the platform team releases the name by deleting the ApplicationName.",
    ),
];
