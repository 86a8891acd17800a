//! The real controllers against an API server and an AWS organization in memory, in virtual time.
//!
//! | file | what it asks |
//! |---|---|
//! | `world.rs`, `fate.rs`, `weather.rs` | the harness: a world, an operator's fate, chance from a seed |
//! | `kills.rs`, `lives.rs` | killed at every write of an account's life, every answer lost once |
//! | `teams.rs`, `classes.rs` | the same for a team and a class; whose a namespace is, what admission is told |
//! | `failures.rs` | what AWS refuses, and why |
//! | `again.rs` | what was found once is not forgotten |
//! | `drift.rs` | what others change in an account, and what the status says of it |
//! | `lag.rs` | what AWS's reads do not show for a while is neither done twice nor told as drift |
//! | `held.rs` | `mode: Plan` and `suspend` write nothing |
//! | `guards.rs` | what must never be taken for ours, or for now |
//! | `events.rs` | what is told, and how often |
//! | `stale.rs`, `leaders.rs` | old caches, broken watches, two operators |
//! | `meanwhile.rs` | what people change while something is under way |
//! | `outside.rs` | what others do to an account |
//! | `seeds.rs` | everything at once, by chance; `BAILIWICK_SEED=7 cargo test --test simulation seeded` replays one |
//! | `settled.rs` | three hundred accounts, and an hour in which nothing happens |
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "simulation/again.rs"]
mod again;
#[path = "simulation/bucket.rs"]
mod bucket;
#[path = "simulation/classes.rs"]
mod classes;
#[path = "simulation/drift.rs"]
mod drift;
#[path = "simulation/events.rs"]
mod events;
#[path = "simulation/failures.rs"]
mod failures;
#[path = "simulation/fate.rs"]
mod fate;
#[path = "simulation/guards.rs"]
mod guards;
#[path = "simulation/held.rs"]
mod held;
#[path = "simulation/kills.rs"]
mod kills;
#[path = "simulation/lag.rs"]
mod lag;
#[path = "simulation/leaders.rs"]
mod leaders;
#[path = "simulation/lives.rs"]
mod lives;
#[path = "simulation/meanwhile.rs"]
mod meanwhile;
#[path = "simulation/outside.rs"]
mod outside;
#[path = "simulation/seeds.rs"]
mod seeds;
#[path = "simulation/settled.rs"]
mod settled;
#[path = "simulation/stale.rs"]
mod stale;
#[path = "simulation/teams.rs"]
mod teams;
#[path = "simulation/weather.rs"]
mod weather;
#[path = "simulation/world.rs"]
mod world;
