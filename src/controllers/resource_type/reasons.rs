//! The reasons in conditions and events of a `ResourceType`: a closed set. What each means is in [`ALL`].
#![expect(missing_docs, reason = "each is described in ALL")]

use crate::engine::reasons::{DONE, Reason};

pub const READY: &str = crate::engine::reasons::READY;
pub const ACCEPTED: &str = "Accepted";
pub const NOT_OWNED: &str = "NotOwned";
pub const HELD_WITHOUT_GRANT: &str = "HeldWithoutGrant";
pub const STILL_HELD: &str = "StillHeld";
pub const NOT_HELD: &str = "NotHeld";

/// All of them, for the reference.
pub const ALL: &[Reason] = &[
    Reason::new(READY, "Everything is as declared.", DONE),
    Reason::new(
        ACCEPTED,
        "The application's name is held by the namespace that the spec names.",
        DONE,
    ),
    Reason::new(
        NOT_OWNED,
        "The application's name is not held by the namespace that the spec names. Scopes that are held stay held; no others are given.",
        "After a transfer the team that has the application now sets spec.namespace to its own. Otherwise whoever edits the resource type corrects spec.application or spec.namespace, or the team declares the application there.",
    ),
    Reason::new(
        HELD_WITHOUT_GRANT,
        "Somebody holds a scope that is not granted to its application any more: it is being taken away, or the client lets nothing be written. Or a scope is held that spec.scopes has no more.",
        "Nothing, if it goes by itself. What is not in spec.scopes any more its owner declares again until nobody holds it. If it stays: the owner of the client ends the suspension or the mode Plan, or mends the places; or the platform team removes the client at the server.",
    ),
    Reason::new(
        STILL_HELD,
        "The resource type is deleted, and somebody holds a scope of it.",
        "The owners of the clients that the message names remove the scope, or the owner of the resource type takes back what was granted; then it goes by itself.",
    ),
    Reason::new(NOT_HELD, "Nobody holds a scope of it.", DONE),
];
