//! Gather: what the spec refers to, in the operator's namespace alone.

use k8s_openapi::api::core::v1::{ConfigMap, Secret as KubeSecret};
use kube::{Api, ResourceExt};

use super::{OAuthProviders, reasons};
use crate::api::{KeyReference, KeycloakSpec, OAuthProvider};
use crate::engine::Failure;
use crate::identity::{KeycloakLogin, RegistrationOptions, ServerOptions};
use crate::model::Secret;

/// A reason and a sentence for whoever must act.
type Refusal = (&'static str, String);

impl OAuthProviders {
    /// How the server is opened, and the versions of what that was read from.
    pub(super) async fn gather(
        &self,
        object: &OAuthProvider,
    ) -> Result<Result<(ServerOptions, String), Refusal>, Failure> {
        let mut versions = Vec::new();
        let authorities = match &object.spec.authorities {
            None => String::new(),
            Some(reference) => match self.authorities(reference, &mut versions).await? {
                Ok(authorities) => authorities,
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        let registration = match self.registration(object, &mut versions).await? {
            Ok(registration) => registration,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let issuer = match object.spec.issuer.parse() {
            Ok(issuer) => issuer,
            Err(error) => {
                let message = format!("spec.issuer: {:?} is no URL: {error}", object.spec.issuer);
                return Ok(Err((reasons::INVALID_SPEC, message)));
            }
        };
        let options = ServerOptions {
            issuer,
            authorities,
            registration,
        };
        Ok(Ok((options, versions.join(" "))))
    }

    async fn authorities(
        &self,
        reference: &KeyReference,
        versions: &mut Vec<String>,
    ) -> Result<Result<String, Refusal>, Failure> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = api.get_opt(&reference.name).await?;
        versions.extend(found.as_ref().and_then(ResourceExt::resource_version));
        let mut data = found.and_then(|found| found.data).unwrap_or_default();
        Ok(data.remove(&reference.key).ok_or_else(|| {
            let message = format!(
                "spec.authorities: there is no ConfigMap {} with the key {} in namespace {}",
                reference.name, reference.key, self.namespace
            );
            (reasons::AUTHORITIES_NOT_FOUND, message)
        }))
    }

    async fn registration(
        &self,
        object: &OAuthProvider,
        versions: &mut Vec<String>,
    ) -> Result<Result<RegistrationOptions, Refusal>, Failure> {
        let spec = &object.spec;
        if let Some(dynamic) = &spec.dynamic_registration {
            let token = match &dynamic.initial_access_token {
                None => None,
                Some(reference) => {
                    let keys = [reference.key.as_str()];
                    match self.secret(&reference.name, &keys, versions).await? {
                        Ok(mut values) => values.pop(),
                        Err(refusal) => return Ok(Err(refusal)),
                    }
                }
            };
            return Ok(Ok(RegistrationOptions::Dynamic {
                initial_access_token: token,
            }));
        }
        if let Some(keycloak) = &spec.keycloak {
            let login = match self.keycloak(keycloak, versions).await? {
                Ok(login) => login,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let admin_url = keycloak.admin_url.as_deref().map(str::parse).transpose();
            return Ok(match admin_url {
                Ok(admin_url) => Ok(RegistrationOptions::Keycloak {
                    admin_url,
                    login,
                    identity_provider: keycloak
                        .workload_identity
                        .as_ref()
                        .map(|it| it.identity_provider.clone()),
                }),
                Err(error) => {
                    let message = format!("spec.keycloak.adminUrl: {error}");
                    Err((reasons::INVALID_SPEC, message))
                }
            });
        }
        Ok(cognito(object))
    }

    async fn keycloak(
        &self,
        spec: &KeycloakSpec,
        versions: &mut Vec<String>,
    ) -> Result<Result<KeycloakLogin, Refusal>, Failure> {
        let (name, account) = (&spec.credentials_secret, ["client-id", "client-secret"]);
        let refusal = match self.secret(name, &account, versions).await? {
            Ok(values) => match <[Secret; 2]>::try_from(values) {
                Ok([client_id, client_secret]) => {
                    return Ok(Ok(KeycloakLogin::ServiceAccount {
                        client_id: client_id.reveal().to_owned(),
                        client_secret,
                    }));
                }
                Err(_) => return Ok(Err((reasons::SECRET_NOT_FOUND, name.clone()))),
            },
            Err(refusal) => refusal,
        };
        versions.clear();
        let user = self
            .secret(name, &["username", "password"], versions)
            .await?;
        let user = user
            .ok()
            .and_then(|values| <[Secret; 2]>::try_from(values).ok());
        Ok(user.map_or_else(
            || {
                Err((
                    refusal.0,
                    format!("{}, and none with username and password", refusal.1),
                ))
            },
            |[username, password]| {
                Ok(KeycloakLogin::User {
                    username: username.reveal().to_owned(),
                    password,
                })
            },
        ))
    }

    /// The values of these keys, all of them.
    async fn secret(
        &self,
        name: &str,
        keys: &[&str],
        versions: &mut Vec<String>,
    ) -> Result<Result<Vec<Secret>, Refusal>, Failure> {
        let api: Api<KubeSecret> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = api.get_opt(name).await?;
        versions.extend(found.as_ref().and_then(ResourceExt::resource_version));
        let data = found.and_then(|found| found.data).unwrap_or_default();
        let value = |key: &&str| {
            let text = String::from_utf8(data.get(*key)?.0.clone()).ok()?;
            Some(Secret::new(text.trim_end_matches(['\r', '\n'])))
        };
        let values: Option<Vec<Secret>> = keys.iter().map(value).collect();
        Ok(values.ok_or_else(|| {
            let message = format!(
                "there is no Secret {name} with {} in namespace {}",
                keys.join(" and "),
                self.namespace
            );
            (reasons::SECRET_NOT_FOUND, message)
        }))
    }
}

fn cognito(object: &OAuthProvider) -> Result<RegistrationOptions, Refusal> {
    let invalid = |message: String| (reasons::INVALID_SPEC, message);
    let Some(spec) = &object.spec.cognito else {
        let message = "exactly one of spec.dynamicRegistration, spec.keycloak and spec.cognito says how clients are registered";
        return Err(invalid(message.to_owned()));
    };
    let user_pool = spec
        .user_pool_id
        .parse()
        .map_err(|error| invalid(format!("spec.cognito.userPoolId: {error}")))?;
    let account = match (&spec.account, &spec.role) {
        (None, None) => None,
        (Some(account), Some(role)) => {
            let account = account
                .parse()
                .map_err(|error| invalid(format!("spec.cognito.account: {error}")))?;
            let role = role
                .parse()
                .map_err(|error| invalid(format!("spec.cognito.role: {error}")))?;
            Some((account, role))
        }
        _ => {
            let message = "spec.cognito: account and role go together: name both, or neither";
            return Err(invalid(message.to_owned()));
        }
    };
    Ok(RegistrationOptions::Cognito { user_pool, account })
}
