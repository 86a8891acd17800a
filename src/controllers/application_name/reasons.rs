//! The reasons in conditions and events of an `ApplicationName`: a closed set. What each means is in [`ALL`].
#![expect(missing_docs, reason = "each is described in ALL")]

use crate::engine::reasons::{DONE, Reason};

pub const READY: &str = crate::engine::reasons::READY;
pub const HELD: &str = "Held";
pub const TOMBSTONE: &str = "Tombstone";

/// All of them, for the reference.
pub const ALL: &[Reason] = &[
    Reason::new(READY, "What the object says is so.", DONE),
    Reason::new(HELD, "The name's application exists.", DONE),
    Reason::new(
        TOMBSTONE,
        "The name's application is gone; its team may declare it again, nobody else.",
        "Nothing; the platform team deletes the object to release the name to anybody.",
    ),
];
