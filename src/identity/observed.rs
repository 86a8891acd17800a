//! The observed servers: every call is counted, whoever makes it and whatever is behind the port.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;

use super::{
    ClientMetadata, Description, Inquiry, NewClient, OAuthServer, Registration,
    RegistrationOptions, Result, ServerOptions, Servers, ServiceUser, TokenAnswer, TokenRequest,
};

/// Is told of every call.
pub trait Observer: Send + Sync {
    /// A call has ended. `provider` is the kind of server, `operation` the method of [`OAuthServer`], `outcome` is `ok`, the
    /// label of an [`ErrorKind`](super::ErrorKind), or, for a request for a token, `unknown_client` or `refused`.
    fn called(
        &self,
        provider: &'static str,
        operation: &'static str,
        outcome: &'static str,
        took: Duration,
    );
}

/// The kinds of servers, as they are counted.
pub const PROVIDERS: [&str; 3] = ["cognito", "dynamic", "keycloak"];

/// The same servers with an observer of every call.
pub fn observe(servers: Arc<dyn Servers>, observer: Arc<dyn Observer>) -> Arc<dyn Servers> {
    Arc::new(Observed { servers, observer })
}

struct Observed {
    servers: Arc<dyn Servers>,
    observer: Arc<dyn Observer>,
}

impl Servers for Observed {
    fn open(&self, options: ServerOptions) -> Result<Arc<dyn OAuthServer>> {
        let provider = match &options.registration {
            RegistrationOptions::Cognito { .. } => "cognito",
            RegistrationOptions::Dynamic { .. } => "dynamic",
            RegistrationOptions::Keycloak { .. } => "keycloak",
        };
        Ok(Arc::new(ObservedServer {
            provider,
            issuer: options.issuer.to_string(),
            server: self.servers.open(options)?,
            observer: Arc::clone(&self.observer),
        }))
    }
}

struct ObservedServer {
    provider: &'static str,
    issuer: String,
    server: Arc<dyn OAuthServer>,
    observer: Arc<dyn Observer>,
}

impl ObservedServer {
    /// What every call goes through: the count, and a span that says which call, where, how it ended and how long it
    /// took; of what was sent and answered nothing.
    async fn call<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T>>,
        ended: impl Fn(&T) -> &'static str,
    ) -> Result<T> {
        let span = tracing::debug_span!(
            "oauth",
            provider = self.provider,
            operation,
            issuer = self.issuer,
            outcome = tracing::field::Empty,
            otel.name = format_args!("oauth.{operation}"),
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
        );
        let measured = async {
            let started = Instant::now();
            let result = run.await;
            let outcome = result
                .as_ref()
                .map_or_else(|error| error.kind.label(), &ended);
            let (took, span) = (started.elapsed(), tracing::Span::current());
            span.record("outcome", outcome);
            if result.is_err() {
                span.record("otel.status_code", "ERROR");
            }
            tracing::debug!(
                outcome,
                took_ms = took.as_millis(),
                "call to an authorization server"
            );
            self.observer
                .called(self.provider, operation, outcome, took);
            result
        };
        measured.instrument(span).await
    }

    async fn plain<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.call(operation, run, |_| "ok").await
    }
}

#[async_trait]
impl OAuthServer for ObservedServer {
    async fn describe(&self, how: Inquiry) -> Result<Description> {
        self.plain("describe", self.server.describe(how)).await
    }

    async fn register(&self, new: &NewClient) -> Result<Registration> {
        self.plain("register", self.server.register(new)).await
    }

    async fn find(&self, handle: &str, uid: &str) -> Result<Vec<Registration>> {
        self.plain("find", self.server.find(handle, uid)).await
    }

    async fn update(&self, registration: &Registration, metadata: &ClientMetadata) -> Result<()> {
        let run = self.server.update(registration, metadata);
        self.plain("update", run).await
    }

    async fn add_secret(&self, registration: &Registration) -> Result<Registration> {
        let run = self.server.add_secret(registration);
        self.plain("add_secret", run).await
    }

    async fn retire_secret(&self, registration: &Registration) -> Result<()> {
        let run = self.server.retire_secret(registration);
        self.plain("retire_secret", run).await
    }

    async fn secret_ends(&self, registration: &Registration) -> Result<Option<Timestamp>> {
        let run = self.server.secret_ends(registration);
        self.plain("secret_ends", run).await
    }

    async fn delete(&self, registration: &Registration) -> Result<()> {
        self.plain("delete", self.server.delete(registration)).await
    }

    async fn request_token(&self, request: &TokenRequest) -> Result<TokenAnswer> {
        let run = self.server.request_token(request);
        self.call("request_token", run, answered).await
    }

    async fn make_user(&self, user: &ServiceUser) -> Result<()> {
        self.plain("make_user", self.server.make_user(user)).await
    }

    async fn remove_user(&self, username: &str, uid: &str) -> Result<()> {
        let run = self.server.remove_user(username, uid);
        self.plain("remove_user", run).await
    }

    async fn request_token_as(
        &self,
        request: &TokenRequest,
        user: &ServiceUser,
    ) -> Result<TokenAnswer> {
        let run = self.server.request_token_as(request, user);
        self.call("request_token", run, answered).await
    }

    async fn confirm(&self, registration: &Registration, subject: &str) -> Result<TokenAnswer> {
        let run = self.server.confirm(registration, subject);
        self.call("confirm", run, answered).await
    }
}

fn answered(answer: &TokenAnswer) -> &'static str {
    match answer {
        TokenAnswer::Accepted => "ok",
        TokenAnswer::UnknownClient(_) => "unknown_client",
        TokenAnswer::Refused(_) => "refused",
    }
}
