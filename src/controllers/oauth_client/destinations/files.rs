//! The credentials bucket of an account, in the layout that mint had: `<application>/client.json`, and `user.json` beside it
//! where a user belongs to the version. S3 has no write of two objects: a reader may have one file of each of two versions,
//! both of which are valid then.

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
    /// `user.json` is ours, too: it is, was or will be there.
    pub(super) user: bool,
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

/// What is known of both files in one.
fn receipt(client: String, user: Option<String>) -> Receipt {
    Receipt(match user {
        Some(user) => format!("{client} {user}"),
        None => client,
    })
}

impl CredentialsFile {
    fn key(&self) -> String {
        format!("{}/client.json", self.application)
    }

    fn user_key(&self) -> String {
        format!("{}/user.json", self.application)
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
        let user = self.user.then(|| self.user_key());
        for key in std::iter::once(self.key()).chain(user) {
            let may = files.may_put(&key).await;
            may.map_err(|error| at(&location, error))?;
        }
        Ok(())
    }

    async fn put(&self, bundle: &Bundle) -> Result<Receipt, Failure> {
        let files = self.files().await?;
        let fail = |error| at(&self.location(), error);
        let user = bundle.user_json.as_ref();
        // A user goes before its client and comes after it: some client takes whatever user is there.
        if self.user && user.is_none() {
            files.delete(&self.user_key()).await.map_err(fail)?;
        }
        let client = files.put(&self.key(), &bundle.client_json).await;
        let client = client.map_err(fail)?;
        let user = match user {
            Some(user) => Some(files.put(&self.user_key(), user).await.map_err(fail)?),
            None => None,
        };
        Ok(receipt(client, user))
    }

    async fn look(&self) -> Result<Option<Receipt>, Failure> {
        let (key, user) = (self.key(), self.user_key());
        // Listed, since whoever may not read may not ask for a file's head either.
        let prefix = match self.user {
            true => format!("{}/", self.application),
            false => key.clone(),
        };
        let listed = self.files().await?.list(&prefix).await;
        let listed = listed.map_err(|error| at(&self.location(), error))?;
        let etag = |key: &str| {
            let found = listed.iter().find(|file| file.key == key);
            found.map(|file| file.etag.clone())
        };
        Ok(etag(&key).map(|client| receipt(client, etag(&user))))
    }

    async fn remove(&self) -> Result<(), Failure> {
        let files = self.files().await?;
        let user = self.user.then(|| self.user_key());
        for key in std::iter::once(self.key()).chain(user) {
            let removed = files.delete(&key).await;
            removed.map_err(|error| at(&self.location(), error))?;
        }
        Ok(())
    }
}
