//! What code hosts say of commits: tickets, and reviews that count as approvals. The real controllers, against a server
//! that plays a code host's API, and in virtual time against one that is away for hours.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "reviews/away.rs"]
mod away;
#[path = "reviews/counted.rs"]
mod counted;
#[path = "reviews/host.rs"]
mod host;
#[path = "reviews/later.rs"]
mod later;
#[path = "reviews/merged.rs"]
mod merged;
#[allow(dead_code)]
#[path = "registry/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "applications/world.rs"]
mod world;
