//! `OAuthProvider`: an authorization server, opened once and shared by all its clients.
//!
//! | step | file |
//! |---|---|
//! | gather: the Secret and the ConfigMap that the spec names | `gather.rs` |
//! | act: open the server and have it describe itself | here |
//! | the servers that were opened | `directory.rs` |
//!
//! A server that is away stays open: what was found out about it when it was there still counts.

pub mod directory;
mod gather;
pub mod reasons;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::{Client, ResourceExt};

use super::Caches;
use crate::api::{ANNOTATION_RECONCILE, AuthMethod, OAuthProvider, SecretRotation};
use crate::engine::conditions::Truth;
use crate::engine::due::DeepChecks;
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};
use crate::identity::{Description, ErrorKind, IdentityError, Inquiry, Method, Servers};
use directory::{Directory, Gated};

/// How often the Secret that the spec names is read again: Secrets are not watched.
const REREAD: Duration = Duration::from_secs(600);

/// The controller of `OAuthProvider`.
pub struct OAuthProviders {
    /// The caches.
    pub caches: Caches,
    /// The API server.
    pub client: Client,
    /// The operator's namespace.
    pub namespace: String,
    /// Opens servers.
    pub servers: Arc<dyn Servers>,
    /// The servers that were opened.
    pub directory: Arc<Directory>,
    /// How often a server is asked what it can do.
    pub checks: DeepChecks,
}

#[async_trait]
impl Reconcile for OAuthProviders {
    type Kind = OAuthProvider;
    const KIND: &'static str = "OAuthProvider";
    const FINALIZES: bool = false;
    const REASONS: &'static [Reason] = reasons::ALL;

    async fn pass(
        &self,
        object: &OAuthProvider,
        record: &mut Record<OAuthProvider>,
    ) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        let (name, uid) = (object.name_any(), object.uid().unwrap_or_default());
        let (options, versions) = match self.gather(object).await? {
            Ok(gathered) => gathered,
            Err((reason, message)) => {
                record.set("Accepted", Truth::False, reason, &message);
                return Ok(Outcome::blocked(reason, message));
            }
        };
        let message = "the spec and what it refers to can be used";
        record.set("Accepted", Truth::True, reasons::ACCEPTED, message);
        record.status.clients = i64::try_from(self.clients(&name)).ok();
        let key = format!("{uid} {} {versions}", record.generation);
        let requested = object.annotations().get(ANNOTATION_RECONCILE).cloned();
        let opened = self.directory.opened_from(&name, &key);
        let look = self.checks.is_due(&uid)
            || record.status.last_handled_reconcile_at != requested
            || !record.is_true("Reachable");
        let port = match opened {
            Some(server) if !look => {
                described(record, object, &server.description);
                let resync = self.checks.next(&uid, false).min(REREAD);
                return Ok(Outcome::Settled {
                    resync: Some(resync),
                });
            }
            Some(server) => server.port.clone(),
            None => match self.servers.open(options) {
                Ok(server) => Arc::new(Gated::new(server)) as Arc<_>,
                Err(error) => return ended(record, &error),
            },
        };
        let how = inquiry(object, record)?;
        let description = match port.describe(how).await {
            Ok(description) => description,
            Err(error) => return ended(record, &error),
        };
        described(record, object, &description);
        record.status.last_handled_reconcile_at = requested;
        if self.directory.enter(object, key, port, description) {
            let clients = &self.caches.clients;
            clients.wake_where(|client| client.spec.provider == name);
        }
        Ok(Outcome::Settled {
            resync: Some(self.checks.next(&uid, true).min(REREAD)),
        })
    }
}

impl OAuthProviders {
    /// How many clients of ours there are at the server.
    fn clients(&self, provider: &str) -> usize {
        let has = |client: &crate::api::OAuthClient| {
            let status = client.status.as_ref();
            let version = status.and_then(|status| status.version);
            (client.spec.provider == provider && version.is_some()).then_some(())
        };
        self.caches.clients.each(has).len()
    }
}

/// A server that is suspended is read and not tried: what was found out about it before still counts.
fn inquiry(object: &OAuthProvider, record: &Record<OAuthProvider>) -> Result<Inquiry, Failure> {
    if object.spec.suspend {
        let before = record.status.secret_rotation;
        return Ok(Inquiry::Reading {
            secrets_in_place: before == Some(SecretRotation::InPlace),
        });
    }
    record.may_write()?;
    Ok(Inquiry::Trying)
}

/// What the server says of itself.
fn described(
    record: &mut Record<OAuthProvider>,
    object: &OAuthProvider,
    description: &Description,
) {
    let method = |method: &Method| match method {
        Method::WorkloadIdentity => AuthMethod::WorkloadIdentity,
        Method::PrivateKeyJwt => AuthMethod::PrivateKeyJwt,
        Method::SecretBasic => AuthMethod::ClientSecretBasic,
        Method::SecretPost => AuthMethod::ClientSecretPost,
        Method::Public => AuthMethod::None,
    };
    let status = &mut record.status;
    status.token_endpoint = Some(description.token_endpoint.to_string());
    status.auth_methods = description.methods.iter().map(method).collect();
    // Of one that was suspended from the beginning it is not known.
    if !object.spec.suspend || status.secret_rotation.is_some() {
        status.secret_rotation = Some(match description.capabilities.secrets_in_place {
            true => SecretRotation::InPlace,
            false => SecretRotation::Beside,
        });
    }
    let message = "the server answered with its metadata and let us in";
    record.set("Reachable", Truth::True, reasons::REACHABLE, message);
}

/// What an error of the server makes of the pass.
fn ended(record: &mut Record<OAuthProvider>, error: &IdentityError) -> Result<Outcome, Failure> {
    let reason = match error.kind {
        ErrorKind::Throttled | ErrorKind::Unavailable => reasons::SERVER_UNAVAILABLE,
        ErrorKind::Denied => reasons::SERVER_DENIED,
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Refused
        | ErrorKind::Invalid => reasons::SERVER_INVALID,
    };
    let message = error.to_string();
    record.set("Reachable", Truth::False, reason, &message);
    match error.retry_after {
        Some(after) if error.kind.is_transient() => Ok(Outcome::waiting(reason, message, after)),
        _ if error.kind.is_transient() => {
            Err(Failure::new(FailureKind::Transient, reason, message))
        }
        _ => Ok(Outcome::blocked(reason, message)),
    }
}
