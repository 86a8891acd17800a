//! The frame that all controllers share.
//!
//! A controller implements [`frame::Reconcile`]: one pass over one object. The frame does the rest, in one place
//! for all kinds: leadership, finalizer, time limit, panics, backoff, the summary conditions, events on transition,
//! metrics, and the one status write per pass.

pub mod cache;
pub mod conditions;
pub mod due;
pub mod events;
pub mod frame;
pub mod index;
pub mod outcome;
pub mod record;

pub mod backoff;
pub mod clock;
pub mod journal_metrics;
pub mod leader;
pub mod metrics;
pub mod reasons;
pub mod shutdown;
pub mod trace;
pub mod trigger;
pub mod witness;

pub use outcome::{Failure, FailureKind, Outcome};
