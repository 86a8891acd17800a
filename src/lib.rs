//! bailiwick: teams as first-class citizens of a company that runs on AWS.
//!
//! The map, from the inside out. Each module knows only those above it (`tests/house_rules.rs` keeps that):
//!
//! | module | what lives there |
//! |---|---|
//! | [`causes`] | what an error says, with all that caused it |
//! | [`few`] | a bounded list in a sentence |
//! | [`model`] | validated values: parse once, never re-check |
//! | [`plan`] | pure decisions: (desired, observed, now) → what to do |
//! | [`api`] | the custom resources, one file per kind |
//! | [`cloud`] | ports to AWS; `cloud::aws` is the real one, `cloud::simulated` the one in memory |
//! | [`outbound`] | HTTP to servers of others: the one client |
//! | [`registry`] | images: digests, manifests, attestations, and where their source is |
//! | [`identity`] | the port to OAuth authorization servers, and its adapters |
//! | [`journal`] | every change of our objects, kept outside of the cluster |
//! | [`engine`] | the frame that all controllers share |
//! | [`controllers`] | one folder per kind: gather → validate → decide → act → report |
//! | [`trace`] | the chain from an image to the people who answer for it; pure |
//! | [`server`] | /livez /readyz /metrics |
//! | [`config`], [`telemetry`], [`app`] | what is configured, logged, and constructed |
//! | [`agent`] | the host side: credentials from a bucket into a directory |
//! | [`cli`] | the commands people type |
//! | `dev` | a control plane on this machine, for trying and for tests (cargo feature `dev`) |

pub mod agent;
pub mod api;
pub mod app;
pub mod causes;
pub mod cli;
pub mod cloud;
pub mod config;
pub mod controllers;
#[cfg(feature = "dev")]
pub mod dev;
pub mod engine;
pub mod few;
pub mod identity;
pub mod journal;
pub mod model;
pub mod outbound;
pub mod plan;
pub mod registry;
pub mod server;
pub mod telemetry;
pub mod trace;
