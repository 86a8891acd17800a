//! Reading images: from real registries into which real tools have pushed, and from a server of our own for what no real
//! one does on request: to be slow, to refuse, to lie.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "registry/configured.rs"]
mod configured;
#[path = "registry/evidence.rs"]
mod evidence;
#[path = "registry/faults.rs"]
mod faults;
#[path = "registry/keyless.rs"]
mod keyless;
#[path = "registry/logins.rs"]
mod logins;
#[path = "registry/pushed.rs"]
mod pushed;
#[path = "registry/server.rs"]
mod server;
#[path = "registry/signed.rs"]
mod signed;
#[path = "registry/stage.rs"]
mod stage;
#[path = "registry/streams.rs"]
mod streams;
#[path = "registry/tokens.rs"]
mod tokens;
