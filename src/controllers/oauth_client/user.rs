//! The user of a version, for the grant type `password`: whether it may be had, its making, its use, its end.
//!
//! Each version has a user of its own, since a user has but one password. So it is with both files as with one: during the
//! overlap either client takes either user, and a reader may have one file of each version.

use super::reasons;
use super::validate::Desired;
use super::work::{Stop, Work};
use crate::api::{GrantType, OAuthClient, OAuthProvider, PasswordGrant};
use crate::engine::Outcome;
use crate::identity::users::PASSWORD_GRANT;
use crate::identity::{Description, ServiceUser, TokenAnswer, TokenRequest};
use crate::plan::rotation::Version;

/// Whether the object asks for one.
pub(super) fn is_wanted(object: &OAuthClient) -> bool {
    object.spec.grant_types.contains(&GrantType::Password)
}

/// Why the object may not have what it asks for: only Keycloak has such users, and only where the platform team says so.
pub(super) fn refusal(
    object: &OAuthClient,
    provider: &OAuthProvider,
    description: Option<&Description>,
) -> Option<Outcome> {
    if !is_wanted(object) {
        return None;
    }
    let name = &object.spec.provider;
    let lacks = |of: &Description| !of.grant_types.iter().any(|one| one == PASSWORD_GRANT);
    let why = match &provider.spec.keycloak {
        None => {
            format!(
                "OAuthProvider {name} is not Keycloak, and no other kind has users for applications: remove password, or \
                 use another provider"
            )
        }
        Some(keycloak) if keycloak.password_grant != PasswordGrant::Allowed => {
            format!(
                "OAuthProvider {name} does not open the grant type password: remove it, or have the platform team set \
                 spec.keycloak.passwordGrant of the provider to Allowed"
            )
        }
        Some(_) if description.is_some_and(lacks) => {
            format!(
                "the server of OAuthProvider {name} has not the grant type password any more: remove it"
            )
        }
        Some(_) => return None,
    };
    let message = format!("spec.grantTypes: {why}");
    Some(Outcome::blocked(reasons::PASSWORD_GRANT_CLOSED, message))
}

impl Work<'_> {
    /// The user of that version: found again by its name, which follows from the version. `None`: it has none, or its
    /// password is not kept any more.
    pub(super) fn service_user(&self, number: i64) -> Option<ServiceUser> {
        self.known.version(number).filter(|version| version.user)?;
        Some(ServiceUser {
            username: self.handle(number),
            uid: kube::ResourceExt::uid(self.object)?,
            password: self.kept.entries.get(&number)?.password.clone()?,
        })
    }

    /// Makes the user of a version that is being made, if it is to have one.
    pub(super) async fn make_user(&mut self, number: i64) -> Result<(), Stop> {
        if let Some(user) = self.service_user(number) {
            self.record.may_write()?;
            self.server()?.port.make_user(&user).await?;
        }
        Ok(())
    }

    /// Removes the user of a version, if it has one.
    pub(super) async fn remove_user(&self, version: &Version) -> Result<(), Stop> {
        if version.user {
            let uid = kube::ResourceExt::uid(self.object).unwrap_or_default();
            let port = &self.server()?.port;
            port.remove_user(&self.handle(version.number), &uid).await?;
        }
        Ok(())
    }

    /// Asks for a token with the user of that version, too. `None`: its password is not kept any more.
    pub(super) async fn token_of_user(
        &self,
        number: i64,
        request: &TokenRequest,
        scopes: Vec<String>,
    ) -> Result<Option<TokenAnswer>, Stop> {
        let Some(user) = self.service_user(number) else {
            return Ok(None);
        };
        let request = TokenRequest {
            scopes: Some(scopes),
            ..request.clone()
        };
        let port = &self.server()?.port;
        Ok(Some(port.request_token_as(&request, &user).await?))
    }
}

/// A client without a secret would keep its user's password for ever.
pub(super) fn is_confidential(desired: &Desired) -> Result<(), Outcome> {
    if desired.wanted.user && desired.metadata.method == crate::identity::Method::Public {
        let message = "spec.grantTypes: a public client cannot have the grant type password: choose another spec.authMethod";
        return Err(Outcome::blocked(reasons::INVALID_SPEC, message));
    }
    Ok(())
}
