//! User pools by Amazon Cognito, in the account that the session is in, or in our own.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_cognitoidentityprovider::config::{Builder, Region as AwsRegion};
use aws_sdk_cognitoidentityprovider::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cognitoidentityprovider::types::{
    ClientSecretDescriptorType, ExplicitAuthFlowsType, OAuthFlowType,
    PreventUserExistenceErrorTypes, UserPoolClientType,
};
use aws_sdk_cognitoidentityprovider::{Client, Config};

use super::super::user_pools::{
    ListedPoolClient, ListedPoolSecret, NewPoolClient, NewPoolSecret, OAuthFlow, PoolClient,
    PoolClientSettings, PoolState, UserPool,
};
use super::super::{CloudError, ErrorKind, Page, Result};
use super::error::classify;
use super::sessions::{NarrowKey, NarrowSessions, Session};
use super::{never_again, odd_answer, timestamp};
use crate::model::{Secret, UserPoolId};

/// The most that a list of clients has in a page, and one of resource servers.
const CLIENTS: i32 = 60;
const SERVERS: i32 = 50;
/// A client that cannot be: AWS makes ids of letters and digits.
const NOBODY: &str = "bailiwick_asks_for_nobody";
/// Who signs in with the pool's own users.
const OWN_USERS: &str = "COGNITO";

/// A session in another account, and where it is closed if it is of no use.
pub(super) struct Entered {
    pub(super) session: Arc<Session>,
    pub(super) key: NarrowKey,
    pub(super) open: Arc<NarrowSessions>,
}

/// [`UserPool`] by Amazon Cognito.
pub(super) struct CognitoPool {
    client: Client,
    pool: UserPoolId,
    /// `None`: our own account, with our own credentials.
    entered: Option<Entered>,
}

impl CognitoPool {
    pub(super) fn new(client: Client, pool: UserPoolId, entered: Option<Entered>) -> Self {
        Self {
            client,
            pool,
            entered,
        }
    }

    fn here(&self) -> Builder {
        let region = AwsRegion::new(self.pool.region().to_owned());
        let builder = match &self.entered {
            Some(entered) => entered.session.cognito(),
            None => Config::builder(),
        };
        builder.region(region)
    }

    /// For what must not be done twice when the first answer is lost.
    fn once(&self) -> Builder {
        self.here().retry_config(never_again())
    }

    fn failed<E>(&self, operation: &'static str, error: SdkError<E>) -> CloudError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let error = classify(operation, error);
        match &self.entered {
            Some(entered) => entered.open.check(&entered.key, error),
            None => error,
        }
    }

    async fn describe(&self, id: &str) -> Result<UserPoolClientType> {
        const OPERATION: &str = "cognito-idp.DescribeUserPoolClient";
        let answer = self
            .client
            .describe_user_pool_client()
            .user_pool_id(self.pool.as_str())
            .client_id(id)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        answer
            .user_pool_client
            .ok_or_else(|| odd_answer(OPERATION, "client"))
    }
}

#[async_trait]
impl UserPool for CognitoPool {
    async fn state(&self) -> Result<PoolState> {
        const OPERATION: &str = "cognito-idp.DescribeUserPool";
        let answer = self
            .client
            .describe_user_pool()
            .user_pool_id(self.pool.as_str())
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        let pool = answer
            .user_pool
            .ok_or_else(|| odd_answer(OPERATION, "user pool"))?;
        let has = |domain: Option<&str>| domain.is_some_and(|domain| !domain.is_empty());
        Ok(PoolState {
            has_domain: has(pool.domain()) || has(pool.custom_domain()),
        })
    }

    async fn has_second_secrets(&self) -> Result<bool> {
        let mut said = self.secrets(NOBODY).await;
        if said.as_ref().is_err_and(is_out_of_order) {
            // Something that plays AWS says so of an operation that it lacks, and a gateway of everything when it is ill. The
            // one lacks it always, and knows others.
            self.state().await?;
            said = self.secrets(NOBODY).await;
        }
        match said {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(true),
            Err(error) if error.code == "InvalidParameterException" => Ok(true),
            Err(error) if is_unknown_operation(&error) || is_out_of_order(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn scopes(&self) -> Result<BTreeSet<String>> {
        const OPERATION: &str = "cognito-idp.ListResourceServers";
        let (mut scopes, mut next) = (BTreeSet::new(), None);
        loop {
            let answer = self
                .client
                .list_resource_servers()
                .user_pool_id(self.pool.as_str())
                .max_results(SERVERS)
                .set_next_token(next)
                .customize()
                .config_override(self.here())
                .send()
                .await
                .map_err(|error| self.failed(OPERATION, error))?;
            for server in answer.resource_servers() {
                let identifier = server.identifier().unwrap_or_default();
                let names = server.scopes().iter().map(|scope| scope.scope_name());
                scopes.extend(names.map(|name| format!("{identifier}/{name}")));
            }
            next = answer.next_token;
            if next.is_none() {
                return Ok(scopes);
            }
        }
    }

    async fn clients(&self, page: Option<String>) -> Result<Page<ListedPoolClient>> {
        const OPERATION: &str = "cognito-idp.ListUserPoolClients";
        let answer = self
            .client
            .list_user_pool_clients()
            .user_pool_id(self.pool.as_str())
            .max_results(CLIENTS)
            .set_next_token(page)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        let listed = answer.user_pool_clients().iter().map(|client| {
            Ok(ListedPoolClient {
                id: client
                    .client_id()
                    .ok_or_else(|| odd_answer(OPERATION, "client"))?
                    .to_owned(),
                name: client.client_name().unwrap_or_default().to_owned(),
            })
        });
        Ok(Page {
            items: listed.collect::<Result<_>>()?,
            next: answer.next_token,
        })
    }

    async fn client(&self, id: &str) -> Result<PoolClient> {
        let client = self.describe(id).await?;
        shown("cognito-idp.DescribeUserPoolClient", client)
    }

    async fn create_client(&self, new: &NewPoolClient) -> Result<PoolClient> {
        const OPERATION: &str = "cognito-idp.CreateUserPoolClient";
        let PoolClientSettings {
            flows,
            scopes,
            callbacks,
        } = &new.settings;
        let answer = self
            .client
            .create_user_pool_client()
            .user_pool_id(self.pool.as_str())
            .client_name(&new.name)
            .generate_secret(new.with_secret)
            .allowed_o_auth_flows_user_pool_client(true)
            .set_allowed_o_auth_flows(Some(flows_of(flows)))
            .set_allowed_o_auth_scopes(Some(scopes.clone()))
            .set_callback_urls(Some(callbacks.clone()))
            .set_supported_identity_providers(signs_in(flows).then(own_users))
            // Left out, it would let people sign in past the authorization server.
            .explicit_auth_flows(ExplicitAuthFlowsType::AllowRefreshTokenAuth)
            .prevent_user_existence_errors(PreventUserExistenceErrorTypes::Enabled)
            .enable_token_revocation(true)
            .customize()
            .config_override(self.once())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        let made = answer.user_pool_client;
        shown(
            OPERATION,
            made.ok_or_else(|| odd_answer(OPERATION, "client"))?,
        )
    }

    async fn change_client(&self, id: &str, settings: &PoolClientSettings) -> Result<()> {
        const OPERATION: &str = "cognito-idp.UpdateUserPoolClient";
        let PoolClientSettings {
            flows,
            scopes,
            callbacks,
        } = settings;
        let kept = self.describe(id).await?;
        let of_default = |url: &String| callbacks.contains(url);
        let providers = kept.supported_identity_providers;
        let none = providers.as_ref().is_none_or(Vec::is_empty);
        let providers = match none && signs_in(flows) {
            true => Some(own_users()),
            false => providers,
        };
        self.client
            .update_user_pool_client()
            .user_pool_id(self.pool.as_str())
            .client_id(id)
            .allowed_o_auth_flows_user_pool_client(true)
            .set_allowed_o_auth_flows(Some(flows_of(flows)))
            .set_allowed_o_auth_scopes(Some(scopes.clone()))
            .set_callback_urls(Some(callbacks.clone()))
            .set_supported_identity_providers(providers)
            // One that is not among the others would be refused.
            .set_default_redirect_uri(kept.default_redirect_uri.filter(of_default))
            // What follows is not ours.
            .set_client_name(kept.client_name)
            .set_refresh_token_validity(
                // Nought is how the SDK reads that there is none.
                Some(kept.refresh_token_validity).filter(|validity| *validity != 0),
            )
            .set_access_token_validity(kept.access_token_validity)
            .set_id_token_validity(kept.id_token_validity)
            .set_token_validity_units(kept.token_validity_units)
            .set_read_attributes(kept.read_attributes)
            .set_write_attributes(kept.write_attributes)
            .set_explicit_auth_flows(kept.explicit_auth_flows)
            .set_logout_urls(kept.logout_urls)
            .set_analytics_configuration(kept.analytics_configuration)
            .set_prevent_user_existence_errors(kept.prevent_user_existence_errors)
            .set_enable_token_revocation(kept.enable_token_revocation)
            .set_enable_propagate_additional_user_context_data(
                kept.enable_propagate_additional_user_context_data,
            )
            .set_auth_session_validity(kept.auth_session_validity)
            .set_refresh_token_rotation(kept.refresh_token_rotation)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        Ok(())
    }

    async fn delete_client(&self, id: &str) -> Result<()> {
        self.client
            .delete_user_pool_client()
            .user_pool_id(self.pool.as_str())
            .client_id(id)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("cognito-idp.DeleteUserPoolClient", error))?;
        Ok(())
    }

    async fn secrets(&self, id: &str) -> Result<Vec<ListedPoolSecret>> {
        const OPERATION: &str = "cognito-idp.ListUserPoolClientSecrets";
        let answer = self
            .client
            .list_user_pool_client_secrets()
            .user_pool_id(self.pool.as_str())
            .client_id(id)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        let listed = |secret: &ClientSecretDescriptorType| {
            Ok(ListedPoolSecret {
                id: named(OPERATION, secret)?,
                created: timestamp(secret.client_secret_create_date()),
            })
        };
        answer.client_secrets().iter().map(listed).collect()
    }

    async fn add_secret(&self, id: &str) -> Result<NewPoolSecret> {
        const OPERATION: &str = "cognito-idp.AddUserPoolClientSecret";
        let answer = self
            .client
            .add_user_pool_client_secret()
            .user_pool_id(self.pool.as_str())
            .client_id(id)
            .customize()
            .config_override(self.once())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        let made = answer
            .client_secret_descriptor
            .ok_or_else(|| odd_answer(OPERATION, "secret"))?;
        let id = named(OPERATION, &made)?;
        let value = made.client_secret_value;
        Ok(NewPoolSecret {
            id,
            value: Secret::new(value.ok_or_else(|| odd_answer(OPERATION, "secret"))?),
        })
    }

    async fn delete_secret(&self, id: &str, secret: &str) -> Result<()> {
        self.client
            .delete_user_pool_client_secret()
            .user_pool_id(self.pool.as_str())
            .client_id(id)
            .client_secret_id(secret)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed("cognito-idp.DeleteUserPoolClientSecret", error))?;
        Ok(())
    }
}

/// Whether that is how an endpoint says that it has no such operation: in AWS's own words, or without any.
fn is_unknown_operation(error: &CloudError) -> bool {
    matches!(
        error.code.as_str(),
        "UnknownOperationException" | "InvalidAction" | "HTTP 404" | "HTTP 405" | "HTTP 501"
    )
}

/// Whether it may be that, or anything else.
fn is_out_of_order(error: &CloudError) -> bool {
    error.code == "HTTP 500"
}

fn named(operation: &'static str, secret: &ClientSecretDescriptorType) -> Result<String> {
    secret
        .client_secret_id()
        .map(str::to_owned)
        .ok_or_else(|| odd_answer(operation, "id of a secret"))
}

fn shown(operation: &'static str, client: UserPoolClientType) -> Result<PoolClient> {
    Ok(PoolClient {
        id: client
            .client_id
            .ok_or_else(|| odd_answer(operation, "client id"))?,
        name: client.client_name.unwrap_or_default(),
        secret: client
            .client_secret
            .filter(|secret| !secret.is_empty())
            .map(Secret::new),
        callbacks: client.callback_urls.unwrap_or_default(),
    })
}

fn flows_of(flows: &[OAuthFlow]) -> Vec<OAuthFlowType> {
    let flow = |flow: &OAuthFlow| match flow {
        OAuthFlow::Code => OAuthFlowType::Code,
        OAuthFlow::ClientCredentials => OAuthFlowType::ClientCredentials,
    };
    flows.iter().map(flow).collect()
}

/// Whether people sign in, for which there must be somebody who knows them.
fn signs_in(flows: &[OAuthFlow]) -> bool {
    flows.contains(&OAuthFlow::Code)
}

fn own_users() -> Vec<String> {
    vec![OWN_USERS.to_owned()]
}
