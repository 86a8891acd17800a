//! What of the world outside the controllers of OAuth need besides AWS and the cluster; a simulation brings its own.

use std::sync::Arc;

use async_trait::async_trait;

use super::destination::{Destination, Destinations};
use super::make::{Maker, SystemMaker};
use super::reasons;
use crate::api::{DeliverySpec, OAuthClient};
use crate::engine::{Failure, Outcome};
use crate::identity::{ErrorKind, IdentityError, OAuthServer, Result, ServerOptions, Servers};

/// Servers, places, and what nobody may guess.
#[derive(Clone)]
pub struct Outside {
    /// Opens servers.
    pub servers: Arc<dyn Servers>,
    /// Opens places; `None`: those of the cluster and of the teams' accounts.
    pub destinations: Option<Arc<dyn Destinations>>,
    /// Makes keys and secrets.
    pub maker: Arc<dyn Maker>,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            servers: Arc::new(Nothing),
            destinations: Some(Arc::new(Nothing)),
            maker: Arc::new(SystemMaker),
        }
    }
}

/// Where there are neither servers nor places.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Servers for Nothing {
    fn open(&self, options: ServerOptions) -> Result<Arc<dyn OAuthServer>> {
        let message = format!("{}: this operator opens no servers", options.issuer);
        Err(IdentityError::new(ErrorKind::Refused, "open", message))
    }
}

#[async_trait]
impl Destinations for Nothing {
    async fn open(
        &self,
        _client: &OAuthClient,
        delivery: &DeliverySpec,
    ) -> std::result::Result<std::result::Result<Arc<dyn Destination>, Outcome>, Failure> {
        let message = format!("{}: this operator delivers nothing", delivery.name);
        Ok(Err(Outcome::blocked(reasons::DELIVERY_FAILED, message)))
    }
}
