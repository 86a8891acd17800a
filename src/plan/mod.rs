//! Pure decisions: (desired, observed, now) → what to do. No I/O, no clock, no randomness: whoever calls brings them.

pub mod account;
pub mod approval;
pub mod bucket_policy;
pub mod claim;
pub mod creation;
pub mod credentials_bucket;
pub mod naming;
pub mod policy_document;
pub mod queue;
pub mod release;
pub mod repository;
pub mod retirement;
pub mod revision;
pub mod rotation;
pub mod rounds;
