//! The reasons in conditions and events of an `OAuthProvider`: a closed set. What each means is in [`ALL`].
#![expect(missing_docs, reason = "each is described in ALL")]

use crate::engine::reasons::{DONE, Reason};

pub const READY: &str = crate::engine::reasons::READY;
pub const ACCEPTED: &str = "Accepted";
pub const INVALID_SPEC: &str = "InvalidSpec";
pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
pub const AUTHORITIES_NOT_FOUND: &str = "AuthoritiesNotFound";
pub const REACHABLE: &str = "Reachable";
pub const SERVER_UNAVAILABLE: &str = "ServerUnavailable";
pub const SERVER_DENIED: &str = "ServerDenied";
pub const SERVER_INVALID: &str = "ServerInvalid";

/// All of them, for the reference.
pub const ALL: &[Reason] = &[
    Reason::new(READY, "Everything is as declared.", DONE),
    Reason::new(
        ACCEPTED,
        "The spec and what it refers to can be used.",
        DONE,
    ),
    Reason::new(
        INVALID_SPEC,
        "The spec cannot be carried out as it is.",
        "The platform team corrects the field that the message names.",
    ),
    Reason::new(
        SECRET_NOT_FOUND,
        "The Secret that the spec names is not in the operator's namespace, or lacks a key.",
        "The platform team makes it, with the keys that the message names.",
    ),
    Reason::new(
        AUTHORITIES_NOT_FOUND,
        "The ConfigMap with the certificate authorities is not in the operator's namespace, or lacks the key.",
        "The platform team makes it, or corrects spec.authorities.",
    ),
    Reason::new(
        REACHABLE,
        "The server answered with its metadata and let us in.",
        DONE,
    ),
    Reason::new(
        SERVER_UNAVAILABLE,
        "The server did not answer in time, or says that it cannot at the moment.",
        "Nothing; what is in use stays in use. If it stays: the platform team looks at the server and the way there.",
    ),
    Reason::new(
        SERVER_DENIED,
        "The server does not take our credentials, or they have too few rights there.",
        "The platform team corrects the Secret that the spec names, or the rights at the server.",
    ),
    Reason::new(
        SERVER_INVALID,
        "The server's answer contradicts the specification or itself: another issuer, no metadata.",
        "The platform team corrects spec.issuer, or looks at the server.",
    ),
];
