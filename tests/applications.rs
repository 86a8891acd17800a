//! Applications, their names, releases and approvals: the real controllers against an API server in memory, in virtual
//! time. Two teams, two operators, killed at every write, in any order.
//!
//! | file | what it asks |
//! |---|---|
//! | `world.rs` | the harness: an API server, operators that die or are slow, registries |
//! | `claims.rs` | exactly one has a name, whatever happens when |
//! | `demands.rs` | what releases need, and who may make it less |
//! | `lives.rs` | transfer, burial, retirement, a team that still owns something |
//! | `releases.rs` | from create to Ready; slow registries, moved tags, approvals |
//! | `again.rs` | what is known stays when it is looked at once more in vain |
//! | `retired.rs` | nothing new of an application that is retired |
//! | `played.rs` | the same with the adapter for registries, against one that is played |
//! | `found.rs` | how many objects a pass looks at |
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "applications/again.rs"]
mod again;
#[path = "applications/claims.rs"]
mod claims;
#[path = "applications/demands.rs"]
mod demands;
#[path = "applications/found.rs"]
mod found;
#[path = "applications/lives.rs"]
mod lives;
#[path = "applications/played.rs"]
mod played;
#[path = "applications/releases.rs"]
mod releases;
#[path = "applications/retired.rs"]
mod retired;
// More than these tests need of it.
#[allow(dead_code)]
#[path = "registry/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "applications/world.rs"]
mod world;
