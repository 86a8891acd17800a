//! The servers that were opened, shared by all clients, each behind a gate: a server that hangs or asks us to wait holds up
//! those who need it, and nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::api::OAuthProvider;
use crate::identity::{
    ClientMetadata, Description, ErrorKind, IdentityError, Inquiry, NewClient, OAuthServer,
    Registration, Result, ServiceUser, TokenAnswer, TokenRequest,
};

/// How many requests to one server are under way at most: fewer than there are passes at once.
const AT_ONCE: usize = 4;
/// How soon one that found no room comes again.
const NO_ROOM: Duration = Duration::from_secs(2);
/// How long a server may take for one call.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a server that does not answer is left alone, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// The longest that a server may have us wait.
const LONGEST: Duration = Duration::from_secs(3600);

/// A server that was reached.
pub struct Server {
    /// The server, behind its gate.
    pub port: Arc<dyn OAuthServer>,
    /// What it says of itself.
    pub description: Description,
    /// Whose server it is.
    issuer: String,
    /// From what it was opened.
    key: String,
}

/// The servers, by the names of their providers.
#[derive(Default)]
pub struct Directory(Mutex<HashMap<String, Arc<Server>>>);

impl Directory {
    fn map(&self) -> MutexGuard<'_, HashMap<String, Arc<Server>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server of that provider, if it was reached since the operator began.
    fn get(&self, provider: &str) -> Option<Arc<Server>> {
        self.map().get(provider).cloned()
    }

    /// The server of that provider as it is declared: not one that was opened when another issuer was declared under the name.
    pub fn of(&self, provider: &OAuthProvider) -> Option<Arc<Server>> {
        let found = self.get(&provider.name_any());
        found.filter(|server| server.issuer == provider.spec.issuer)
    }

    /// The same, if it was opened from this.
    pub fn opened_from(&self, provider: &str, key: &str) -> Option<Arc<Server>> {
        self.get(provider).filter(|server| server.key == key)
    }

    /// Enters a server that was reached. `true`: it says something else than before, or there was none.
    pub fn enter(
        &self,
        provider: &OAuthProvider,
        key: String,
        port: Arc<dyn OAuthServer>,
        description: Description,
    ) -> bool {
        let server = Arc::new(Server {
            port,
            description,
            issuer: provider.spec.issuer.clone(),
            key,
        });
        let said = server.description.clone();
        let before = self.map().insert(provider.name_any(), server);
        before.is_none_or(|before| before.description != said)
    }

    /// The provider is gone.
    pub fn forget(&self, provider: &str) {
        self.map().remove(provider);
    }
}

/// A server behind its gate.
pub struct Gated {
    inner: Arc<dyn OAuthServer>,
    room: Semaphore,
    away: Mutex<Away>,
}

/// Until when a server is left alone, and why.
#[derive(Default)]
struct Away {
    until: Option<(Instant, ErrorKind)>,
    failures: u32,
}

impl Gated {
    /// Puts a gate before it.
    pub fn new(inner: Arc<dyn OAuthServer>) -> Self {
        Self {
            inner,
            room: Semaphore::new(AT_ONCE),
            away: Mutex::default(),
        }
    }

    fn away(&self) -> MutexGuard<'_, Away> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_now(
        operation: &'static str,
        kind: ErrorKind,
        message: &str,
        after: Duration,
    ) -> IdentityError {
        IdentityError {
            retry_after: Some(after),
            ..IdentityError::new(kind, operation, message)
        }
    }

    /// One call, if it may be made now.
    async fn pass<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let left = self.away().until.and_then(|(until, kind)| {
            let left = until.checked_duration_since(Instant::now())?;
            (!left.is_zero()).then_some((left, kind))
        });
        if let Some((left, kind)) = left {
            let message = "the server did not answer a moment ago, or asked us to wait";
            return Err(Self::not_now(operation, kind, message, left));
        }
        let Ok(_room) = self.room.try_acquire() else {
            let message = "as many requests to the server are under way as may be";
            let kind = ErrorKind::Throttled;
            return Err(Self::not_now(operation, kind, message, NO_ROOM));
        };
        let answer = tokio::time::timeout(PATIENCE, call)
            .await
            .unwrap_or_else(|_| {
                let message = format!("no answer within {} s", PATIENCE.as_secs());
                Err(IdentityError::new(
                    ErrorKind::Unavailable,
                    operation,
                    message,
                ))
            });
        self.learn(&answer);
        answer
    }

    fn learn<T>(&self, answer: &Result<T>) {
        let mut away = self.away();
        let Some(error) = answer
            .as_ref()
            .err()
            .filter(|error| error.kind.is_transient())
        else {
            *away = Away::default();
            return;
        };
        away.failures = away.failures.saturating_add(1);
        let (first, most) = PAUSE;
        let own = first.saturating_mul(2u32.saturating_pow(away.failures.min(8) - 1));
        let pause = error
            .retry_after
            .map_or(own.min(most), |after| after.min(LONGEST));
        away.until = Some((Instant::now() + pause, error.kind));
    }
}

#[async_trait]
impl OAuthServer for Gated {
    async fn describe(&self, how: Inquiry) -> Result<Description> {
        self.pass("describe", self.inner.describe(how)).await
    }

    async fn register(&self, new: &NewClient) -> Result<Registration> {
        self.pass("register", self.inner.register(new)).await
    }

    async fn find(&self, handle: &str, uid: &str) -> Result<Vec<Registration>> {
        self.pass("find", self.inner.find(handle, uid)).await
    }

    async fn update(&self, registration: &Registration, metadata: &ClientMetadata) -> Result<()> {
        let call = self.inner.update(registration, metadata);
        self.pass("update", call).await
    }

    async fn add_secret(&self, registration: &Registration) -> Result<Registration> {
        let call = self.inner.add_secret(registration);
        self.pass("add_secret", call).await
    }

    async fn retire_secret(&self, registration: &Registration) -> Result<()> {
        let call = self.inner.retire_secret(registration);
        self.pass("retire_secret", call).await
    }

    async fn secret_ends(&self, registration: &Registration) -> Result<Option<Timestamp>> {
        let call = self.inner.secret_ends(registration);
        self.pass("secret_ends", call).await
    }

    async fn delete(&self, registration: &Registration) -> Result<()> {
        self.pass("delete", self.inner.delete(registration)).await
    }

    async fn request_token(&self, request: &TokenRequest) -> Result<TokenAnswer> {
        self.pass("token", self.inner.request_token(request)).await
    }

    async fn make_user(&self, user: &ServiceUser) -> Result<()> {
        self.pass("make_user", self.inner.make_user(user)).await
    }

    async fn remove_user(&self, username: &str, uid: &str) -> Result<()> {
        let call = self.inner.remove_user(username, uid);
        self.pass("remove_user", call).await
    }

    async fn request_token_as(
        &self,
        request: &TokenRequest,
        user: &ServiceUser,
    ) -> Result<TokenAnswer> {
        let call = self.inner.request_token_as(request, user);
        self.pass("token", call).await
    }

    async fn confirm(&self, registration: &Registration, subject: &str) -> Result<TokenAnswer> {
        let call = self.inner.confirm(registration, subject);
        self.pass("confirm", call).await
    }
}
