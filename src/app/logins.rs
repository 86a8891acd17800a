//! How the operator says at registries who it is: by the logins that were given by hand, else, at repositories that it has
//! made itself, by the tokens of their accounts.

use std::sync::Arc;

use async_trait::async_trait;

use crate::cloud::CloudError;
use crate::controllers::image_repository::logins::RegistryTokens;
use crate::model::ImageName;
use crate::registry::files::FileLogins;
use crate::registry::oci::{Login, Logins};
use crate::registry::{ErrorKind, RegistryError, Result};

/// Logins out of a file first, and then our own.
pub struct GivenOrOwn {
    /// The logins that the platform team has given.
    pub given: Option<FileLogins>,
    /// Those for what we have made ourselves.
    pub own: Option<Arc<RegistryTokens>>,
}

#[async_trait]
impl Logins for GivenOrOwn {
    async fn login(&self, name: &ImageName) -> Result<Option<Login>> {
        if let Some(given) = &self.given
            && let Some(login) = given.login(name).await?
        {
            return Ok(Some(login));
        }
        let Some(own) = &self.own else {
            return Ok(None);
        };
        let token = own
            .token(name)
            .await
            .map_err(|error| failed(name, &error))?;
        Ok(token.map(|token| Login::Here {
            user: token.user,
            password: token.password,
        }))
    }

    fn refused(&self, name: &ImageName) {
        if let Some(own) = &self.own {
            own.forget(name);
        }
    }
}

fn failed(name: &ImageName, error: &CloudError) -> RegistryError {
    use crate::cloud::ErrorKind as Cloud;
    let kind = match error.kind {
        Cloud::Throttled => ErrorKind::Throttled,
        kind if kind.is_transient() => ErrorKind::Unavailable,
        _ => ErrorKind::Denied,
    };
    let message = format!("no login at {}: {error}", name.registry());
    RegistryError::new(kind, name, message)
}
