//! The credentials bucket of an account, in the layout that mint had: `<application>/client.json`.

use std::sync::Arc;

use async_trait::async_trait;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::super::destination::{Bundle, Destination, Receipt};
use super::{DELIVERY_FAILED, at, in_cluster};
use crate::api::OAuthClient;
use crate::cloud::Sessions;
use crate::cloud::credentials::{BucketPlace, CredentialFiles};
use crate::engine::{Failure, FailureKind};
use crate::model::{AccountId, RoleName};

/// [`Destination`] by a file in a credentials bucket.
pub(super) struct CredentialsFile {
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) account: AccountId,
    pub(super) role: RoleName,
    pub(super) place: BucketPlace,
    pub(super) application: String,
    pub(super) rivals: Rivals,
}

/// Who else may want to write there: the layout has room for one client of an application, and a file in S3 does not say
/// whose it is to whom may not read it.
pub(super) struct Rivals {
    pub(super) api: Api<OAuthClient>,
    pub(super) client: OAuthClient,
    pub(super) account: String,
}

impl Rivals {
    /// Another client of the same application that was there first, and delivers to the same bucket.
    async fn older(&self) -> Result<Option<String>, kube::Error> {
        let age = |one: &OAuthClient| (one.metadata.creation_timestamp.clone(), one.uid());
        let ours = age(&self.client);
        let all = self.api.list(&ListParams::default()).await?;
        let is_rival = |other: &OAuthClient| {
            let there = |account: &str| account == self.account;
            other.uid() != self.client.uid()
                && other.spec.application == self.client.spec.application
                && age(other) < ours
                && other
                    .spec
                    .delivery
                    .iter()
                    .any(|one| one.s3.as_ref().is_some_and(|s3| there(&s3.account)))
        };
        Ok(all
            .items
            .iter()
            .find(|one| is_rival(one))
            .map(ResourceExt::name_any))
    }
}

impl CredentialsFile {
    fn key(&self) -> String {
        format!("{}/client.json", self.application)
    }

    async fn files(&self) -> Result<Arc<dyn CredentialFiles>, Failure> {
        self.sessions
            .credential_files(&self.account, &self.role, &self.place)
            .await
            .map_err(|error| at(&self.location(), error))
    }
}

#[async_trait]
impl Destination for CredentialsFile {
    fn location(&self) -> String {
        format!("s3://{}/{}/", self.place.name, self.application)
    }

    async fn check(&self) -> Result<(), Failure> {
        let location = self.location();
        let rival = self.rivals.older().await;
        if let Some(name) = rival.map_err(|error| in_cluster(&location, error))? {
            let message = format!(
                "{location} is where OAuthClient {name} of the same application delivers to, and there is room for one: \
                 deliver to another account or another kind of place"
            );
            return Err(Failure::new(
                FailureKind::Terminal,
                DELIVERY_FAILED,
                message,
            ));
        }
        let files = self.files().await?;
        files
            .may_put(&self.key())
            .await
            .map_err(|error| at(&location, error))
    }

    async fn put(&self, bundle: &Bundle) -> Result<Receipt, Failure> {
        let files = self.files().await?;
        let written = files.put(&self.key(), &bundle.client_json).await;
        written
            .map(Receipt)
            .map_err(|error| at(&self.location(), error))
    }

    async fn look(&self) -> Result<Option<Receipt>, Failure> {
        let key = self.key();
        // Listed, since whoever may not read may not ask for a file's head either.
        let listed = self.files().await?.list(&key).await;
        let listed = listed.map_err(|error| at(&self.location(), error))?;
        let found = listed.into_iter().find(|file| file.key == key);
        Ok(found.map(|file| Receipt(file.etag)))
    }

    async fn remove(&self) -> Result<(), Failure> {
        let removed = self.files().await?.delete(&self.key()).await;
        removed.map_err(|error| at(&self.location(), error))
    }
}
