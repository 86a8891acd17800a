//! Secrets by AWS Secrets Manager, in one account and region, through a session that cannot read them.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Builder, Region as AwsRegion};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::types::Tag;

use super::super::credentials::{SecretStore, StoredSecret};
use super::super::{CloudError, ErrorKind, Result};
use super::error::classify;
use super::odd_answer;
use super::sessions::{NarrowKey, NarrowSessions, Session};
use crate::model::{Region, Secret, Tags};

/// For how many days a deleted secret can be had back; the fewest that AWS takes.
const RECOVERY_DAYS: i64 = 7;
/// The label of the version that is current.
const CURRENT: &str = "AWSCURRENT";

/// [`SecretStore`] by the Secrets Manager of the account that the session is in.
pub(super) struct SecretsManager {
    client: Client,
    session: Arc<Session>,
    region: Region,
    key: NarrowKey,
    open: Arc<NarrowSessions>,
}

impl SecretsManager {
    pub(super) fn new(
        client: Client,
        session: Arc<Session>,
        region: Region,
        key: NarrowKey,
        open: Arc<NarrowSessions>,
    ) -> Self {
        Self {
            client,
            session,
            region,
            key,
            open,
        }
    }

    fn here(&self) -> Builder {
        let region = AwsRegion::from_static(self.region.as_str());
        self.session.secrets().region(region)
    }

    fn failed<E>(&self, operation: &'static str, error: SdkError<E>) -> CloudError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        self.open.check(&self.key, classify(operation, error))
    }
}

#[async_trait]
impl SecretStore for SecretsManager {
    async fn describe(&self, name: &str) -> Result<Option<StoredSecret>> {
        const OPERATION: &str = "secretsmanager.DescribeSecret";
        let answer = self
            .client
            .describe_secret()
            .secret_id(name)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error));
        let found = match answer {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            answer => answer?,
        };
        let tags = found.tags().iter();
        let tags = tags.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
        let version = found.version_ids_to_stages().and_then(|versions| {
            let current =
                |(_, stages): &(&String, &Vec<String>)| stages.iter().any(|s| s == CURRENT);
            versions.iter().find(current).map(|(id, _)| id.clone())
        });
        Ok(Some(StoredSecret {
            arn: found
                .arn()
                .ok_or_else(|| odd_answer(OPERATION, "ARN"))?
                .to_owned(),
            tags: tags.collect(),
            version,
            deleted: found.deleted_date().is_some(),
        }))
    }

    async fn create(
        &self,
        name: &str,
        content: &Secret,
        tags: &Tags,
        token: &str,
    ) -> Result<String> {
        const OPERATION: &str = "secretsmanager.CreateSecret";
        let tags = tags
            .iter()
            .map(|(key, value)| Tag::builder().key(key).value(value).build());
        let answer = self
            .client
            .create_secret()
            .name(name)
            .secret_string(content.reveal())
            .client_request_token(token)
            .set_tags(Some(tags.collect()))
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        answer
            .version_id
            .ok_or_else(|| odd_answer(OPERATION, "version"))
    }

    async fn put(&self, name: &str, content: &Secret, token: &str) -> Result<String> {
        const OPERATION: &str = "secretsmanager.PutSecretValue";
        let answer = self
            .client
            .put_secret_value()
            .secret_id(name)
            .secret_string(content.reveal())
            .client_request_token(token)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        answer
            .version_id
            .ok_or_else(|| odd_answer(OPERATION, "version"))
    }

    async fn restore(&self, name: &str) -> Result<()> {
        const OPERATION: &str = "secretsmanager.RestoreSecret";
        self.client
            .restore_secret()
            .secret_id(name)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error))?;
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        const OPERATION: &str = "secretsmanager.DeleteSecret";
        let answer = self
            .client
            .delete_secret()
            .secret_id(name)
            .recovery_window_in_days(RECOVERY_DAYS)
            .customize()
            .config_override(self.here())
            .send()
            .await
            .map_err(|error| self.failed(OPERATION, error));
        match answer {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            answer => answer.map(|_| ()),
        }
    }
}
