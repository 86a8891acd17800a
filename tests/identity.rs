//! The port to authorization servers, over the adapters: its whole contract against real servers, and against answers of our
//! own for what no server does when it is asked: to be slow, to lie, to be somebody else. And, since they are here already, the
//! whole life of credentials at them, made by the operator.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "whole/administrator.rs"]
mod administrator;
#[path = "identity/cognito.rs"]
mod cognito;
#[path = "identity/contract.rs"]
mod contract;
#[path = "identity/dynamic.rs"]
mod dynamic;
#[path = "identity/faults.rs"]
mod faults;
#[path = "identity/keycloak.rs"]
mod keycloak;
#[path = "identity/life.rs"]
mod life;
#[path = "identity/pool.rs"]
mod pool;
mod reader;
#[path = "identity/realm.rs"]
mod realm;
mod scan;
#[path = "identity/scopes.rs"]
mod scopes;
#[path = "identity/server.rs"]
mod server;
#[path = "identity/tls.rs"]
mod tls;
#[path = "identity/users.rs"]
mod users;
#[path = "identity/workload.rs"]
mod workload;
#[path = "whole/world.rs"]
mod world;

use std::sync::Arc;
use std::time::Duration;

use bailiwick::identity::{
    ClientMetadata, Limits, Method, NewClient, OAuthServer, RealServers, RegistrationOptions,
    ServerOptions, Servers,
};
use bailiwick::model::Secret;
use k8s_openapi::jiff::Timestamp;

/// Adapters whose clock is the system's.
fn servers() -> RealServers {
    RealServers::new(Arc::new(Timestamp::now))
}

/// The same, and they wait no longer than two seconds.
fn impatient() -> RealServers {
    servers().with_limits(Limits {
        answer: Duration::from_secs(2),
    })
}

fn options(issuer: &str, registration: RegistrationOptions) -> ServerOptions {
    ServerOptions {
        issuer: issuer.parse().unwrap(),
        authorities: String::new(),
        registration,
    }
}

fn dynamic_options(issuer: &str, token: Option<&str>) -> ServerOptions {
    let initial_access_token = token.map(Secret::new);
    options(
        issuer,
        RegistrationOptions::Dynamic {
            initial_access_token,
        },
    )
}

fn open(options: ServerOptions) -> Arc<dyn OAuthServer> {
    servers().open(options).unwrap()
}

/// A client that works on its own behalf.
fn new_client(handle: &str, method: Method, scopes: &[&str]) -> NewClient {
    NewClient {
        handle: handle.to_owned(),
        uid: format!("uid-of-{handle}"),
        metadata: ClientMetadata {
            name: format!("shop/{handle} (bailiwick)"),
            grant_types: vec!["client_credentials".to_owned()],
            redirect_uris: Vec::new(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            consent: Default::default(),
            method,
            keys: Vec::new(),
            subject: None,
        },
        secret: Secret::new(format!("chosen-secret-of-{handle}")),
    }
}
