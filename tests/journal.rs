//! The journal with the real operator, an API server and a bucket in memory, in virtual time: nothing is lost and nothing
//! is doubled, whatever is away, killed, or answers nothing.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "journal/away.rs"]
mod away;
#[path = "journal/bounds.rs"]
mod bounds;
#[path = "journal/kills.rs"]
mod kills;
#[path = "journal/settled.rs"]
mod settled;
#[path = "journal/strike.rs"]
mod strike;
#[path = "journal/world.rs"]
mod world;
