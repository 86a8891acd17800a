//! The servers that there are, opened by how clients are registered there.

use std::sync::{Arc, Mutex, PoisonError};

use url::Url;

use super::discovery::{Metadata, discover};
use super::dynamic::DynamicRegistration;
use super::http::{Http, Limits};
use super::keycloak::Keycloak;
use super::{
    Clock, ErrorKind, IdentityError, OAuthServer, RegistrationOptions, Result, ServerOptions,
    Servers, TokenAnswer, TokenRequest, token,
};

/// [`Servers`] over the network.
pub struct RealServers {
    clock: Clock,
    limits: Limits,
}

impl RealServers {
    /// Servers for whom this is the time.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            limits: Limits::default(),
        }
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
        let http = Http::new(&issuer, &authorities, self.limits)?;
        let issuer = Issuer {
            http,
            issuer,
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
            RegistrationOptions::Cognito { .. } => {
                let message = "app clients of Amazon Cognito cannot be managed yet; use another kind of provider";
                return Err(IdentityError::new(ErrorKind::Refused, "open", message));
            }
        })
    }
}

/// What all kinds of servers have: an issuer, its metadata, and a token endpoint.
pub(super) struct Issuer {
    pub(super) http: Http,
    pub(super) issuer: Url,
    pub(super) clock: Clock,
    /// As it was read last.
    metadata: Mutex<Option<Arc<Metadata>>>,
}

impl Issuer {
    /// The metadata as it is now.
    pub(super) async fn discover(&self) -> Result<Arc<Metadata>> {
        let metadata = Arc::new(discover(&self.http, &self.issuer).await?);
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
        let metadata = self.metadata().await?;
        token::request(&self.http, &metadata, &self.clock, request).await
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Arc<Metadata>>> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
