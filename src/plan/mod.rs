//! Pure decisions: (desired, observed, now) → what to do. No I/O, no clock, no randomness: whoever calls brings them.

pub mod account;
pub mod creation;
pub mod naming;
pub mod queue;
pub mod revision;
pub mod rounds;
