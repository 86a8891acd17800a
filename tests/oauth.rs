//! Applications' credentials against an API server, authorization servers and places in memory, in virtual time.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "oauth/canaries.rs"]
mod canaries;
#[path = "oauth/cognito.rs"]
mod cognito;
#[path = "oauth/delivered.rs"]
mod delivered;
#[path = "oauth/held_back.rs"]
mod held_back;
#[path = "oauth/kills.rs"]
mod kills;
#[path = "oauth/kills_of_losses.rs"]
mod kills_of_losses;
#[path = "oauth/leaving.rs"]
mod leaving;
#[path = "oauth/lives.rs"]
mod lives;
#[path = "oauth/losses.rs"]
mod losses;
mod paper;
#[path = "oauth/places.rs"]
mod places;
#[path = "oauth/retained.rs"]
mod retained;
mod scan;
#[path = "oauth/scopes.rs"]
mod scopes;
#[path = "oauth/taken_back.rs"]
mod taken_back;
#[path = "oauth/turns.rs"]
mod turns;
#[path = "oauth/users.rs"]
mod users;
#[path = "oauth/weather.rs"]
mod weather;
#[path = "oauth/workload.rs"]
mod workload;
#[path = "oauth/world.rs"]
mod world;
