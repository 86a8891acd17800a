//! The servers that there are, opened by how clients are registered there.

use std::sync::{Arc, Mutex, PoisonError};

use url::Url;

use super::cognito::{self, Cognito};
use super::discovery::{Metadata, discover, discover_at};
use super::dynamic::DynamicRegistration;
use super::http::{Http, Limits};
use super::keycloak::Keycloak;
use super::{
    Clock, ErrorKind, IdentityError, OAuthServer, RegistrationOptions, Result, ServerOptions,
    Servers, ServiceUser, TokenAnswer, TokenRequest, token,
};
use crate::cloud::Sessions;

/// [`Servers`] over the network.
pub struct RealServers {
    clock: Clock,
    limits: Limits,
    sessions: Option<Arc<dyn Sessions>>,
}

impl RealServers {
    /// Servers for whom this is the time.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            limits: Limits::default(),
            sessions: None,
        }
    }

    /// The same, and they reach user pools of Amazon Cognito.
    pub fn with_user_pools(mut self, sessions: Arc<dyn Sessions>) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// The same with other limits.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl Servers for RealServers {
    fn open(&self, options: ServerOptions) -> Result<Arc<dyn OAuthServer>> {
        let ServerOptions {
            issuer,
            authorities,
            registration,
        } = options;
        let at = match &registration {
            RegistrationOptions::Cognito { user_pool, .. } => {
                let sessions = self.user_pools()?;
                Some(cognito::metadata_of(&**sessions, user_pool, &issuer)?)
            }
            _ => None,
        };
        let issuer = Issuer {
            http: Http::new(at.as_ref().unwrap_or(&issuer), &authorities, self.limits)?,
            issuer,
            at,
            clock: Arc::clone(&self.clock),
            metadata: Mutex::default(),
        };
        Ok(match registration {
            RegistrationOptions::Dynamic {
                initial_access_token,
            } => Arc::new(DynamicRegistration::new(issuer, initial_access_token)),
            RegistrationOptions::Keycloak {
                admin_url,
                login,
                identity_provider,
            } => Arc::new(Keycloak::new(issuer, admin_url, login, identity_provider)?),
            RegistrationOptions::Cognito { user_pool, account } => {
                let sessions = Arc::clone(self.user_pools()?);
                Arc::new(Cognito::new(issuer, sessions, user_pool, account))
            }
        })
    }
}

impl RealServers {
    fn user_pools(&self) -> Result<&Arc<dyn Sessions>> {
        self.sessions.as_ref().ok_or_else(|| {
            let message = "user pools of Amazon Cognito are reached through AWS, which is not configured here";
            IdentityError::new(ErrorKind::Refused, "open", message)
        })
    }
}

/// What all kinds of servers have: an issuer, its metadata, and a token endpoint.
pub(super) struct Issuer {
    pub(super) http: Http,
    pub(super) issuer: Url,
    /// Where its metadata is kept, if not where the standards say.
    at: Option<Url>,
    pub(super) clock: Clock,
    /// As it was read last.
    metadata: Mutex<Option<Arc<Metadata>>>,
}

impl Issuer {
    /// The metadata as it is now.
    pub(super) async fn discover(&self) -> Result<Arc<Metadata>> {
        let metadata = match &self.at {
            Some(at) => discover_at(&self.http, at, &self.issuer).await?,
            None => discover(&self.http, &self.issuer).await?,
        };
        let metadata = Arc::new(metadata);
        *self.kept() = Some(Arc::clone(&metadata));
        Ok(metadata)
    }

    /// The metadata as it was read last, or as it is now if it never was.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>> {
        let kept = self.kept().clone();
        match kept {
            Some(metadata) => Ok(metadata),
            None => self.discover().await,
        }
    }

    /// Asks for a token.
    pub(super) async fn request_token(&self, request: &TokenRequest) -> Result<TokenAnswer> {
        self.request_token_at(request, token::NOWHERE).await
    }

    /// The same, for a server that looks at the redirection URI before it looks at the code.
    pub(super) async fn request_token_at(
        &self,
        request: &TokenRequest,
        redirect_uri: &str,
    ) -> Result<TokenAnswer> {
        let metadata = self.metadata().await?;
        let (http, clock) = (&self.http, &self.clock);
        token::request(http, &metadata, clock, request, None, redirect_uri).await
    }

    /// Asks for a token with a user's name and password besides.
    pub(super) async fn request_token_as(
        &self,
        request: &TokenRequest,
        user: &ServiceUser,
    ) -> Result<TokenAnswer> {
        let metadata = self.metadata().await?;
        let (http, clock) = (&self.http, &self.clock);
        token::request(http, &metadata, clock, request, Some(user), token::NOWHERE).await
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Arc<Metadata>>> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
