//! Credentials in memory, with readers that use them: where tests measure, too.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

#[path = "../../tests/oauth/places.rs"]
pub mod places;
#[path = "../../tests/oauth/world.rs"]
pub mod world;
