//! Applications' credentials against an API server, authorization servers and places in memory, in virtual time.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "oauth/kills.rs"]
mod kills;
#[path = "oauth/places.rs"]
mod places;
#[path = "oauth/world.rs"]
mod world;
