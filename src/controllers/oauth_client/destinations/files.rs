//! The credentials bucket of an account, in the layout that mint had: `<application>/client.json`, and `user.json` beside it
//! where a user belongs to the version. S3 has no write of two objects: a reader may have one file of each of two versions,
//! both of which are valid then.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::super::destination::{Bundle, Destination, Receipt};
use super::{DELIVERY_FAILED, at, in_cluster};
use crate::api::{DeliverySpec, OAuthClient};
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

/// What a client has to do with a bucket, and since when there is that client.
struct Claim {
    name: String,
    uid: Option<String>,
    age: (Option<Time>, Option<String>),
    /// It shall be delivered there.
    wants: bool,
    /// What is there, it has written.
    holds: bool,
}

impl Claim {
    fn of(client: &OAuthClient, account: &str) -> Self {
        let is_there = |one: &DeliverySpec| one.s3.as_ref().is_some_and(|s3| s3.account == account);
        let status = client.status.iter();
        let mut written = status.flat_map(|status| &status.destinations);
        Self {
            name: client.name_any(),
            uid: client.uid(),
            age: (client.creation_timestamp(), client.uid()),
            wants: client.metadata.deletion_timestamp.is_none()
                && client.spec.delivery.iter().any(is_there),
            holds: written.any(|place| place.receipt.is_some() && is_there(&place.delivery)),
        }
    }

    /// Whether it keeps the other one from writing there: whoever has the place keeps it, and of two that want it the older
    /// one is given it.
    fn comes_before(&self, other: &Self) -> bool {
        match (self.holds, other.holds) {
            (true, false) => true,
            (false, true) => false,
            (holds, _) => (holds || self.wants) && self.age < other.age,
        }
    }

    /// Whether what is there must be left to it: it is there to stay, or goes by itself.
    fn keeps(&self, other: &Self) -> bool {
        self.wants || (self.holds && self.age < other.age)
    }
}

impl Rivals {
    /// This client's claim, and those of the others of the same application, as the API server knows them now.
    async fn claims(&self) -> Result<(Claim, Vec<Claim>), kube::Error> {
        let all = self.api.list(&ListParams::default()).await?.items;
        let same = |one: &&OAuthClient| one.spec.application == self.client.spec.application;
        let claims = all.iter().filter(same);
        let claims = claims.map(|one| Claim::of(one, &self.account));
        let (own, others): (Vec<_>, Vec<_>) = claims.partition(|it| it.uid == self.client.uid());
        let own = own.into_iter().next();
        let own = own.unwrap_or_else(|| Claim::of(&self.client, &self.account));
        Ok((own, others))
    }

    /// Another client that has the place.
    async fn first(&self) -> Result<Option<String>, kube::Error> {
        let (own, others) = self.claims().await?;
        let mut others = others.into_iter();
        Ok(others
            .find(|other| other.comes_before(&own))
            .map(|it| it.name))
    }

    /// Whether what is there is, or will be, another client's.
    async fn keep(&self) -> Result<bool, kube::Error> {
        let (own, others) = self.claims().await?;
        Ok(others.iter().any(|other| other.keeps(&own)))
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

impl CredentialsFile {
    /// A place that another client has is not written to.
    async fn is_free(&self) -> Result<(), Failure> {
        let location = self.location();
        let rival = self.rivals.first().await;
        let Some(name) = rival.map_err(|error| in_cluster(&location, error))? else {
            return Ok(());
        };
        let message = format!(
            "{location} is where OAuthClient {name} of the same application delivers to, and there is room for one: deliver to \
             another account or another kind of place"
        );
        Err(Failure::new(
            FailureKind::Terminal,
            DELIVERY_FAILED,
            message,
        ))
    }
}

#[async_trait]
impl Destination for CredentialsFile {
    fn location(&self) -> String {
        format!("s3://{}/{}/", self.place.name, self.application)
    }

    async fn check(&self) -> Result<(), Failure> {
        let location = self.location();
        self.is_free().await?;
        let files = self.files().await?;
        let user = self.user.then(|| self.user_key());
        for key in std::iter::once(self.key()).chain(user) {
            let may = files.may_put(&key).await;
            may.map_err(|error| at(&location, error))?;
        }
        Ok(())
    }

    async fn put(&self, bundle: &Bundle) -> Result<Receipt, Failure> {
        self.is_free().await?;
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
        let location = self.location();
        let is_kept = self.rivals.keep().await;
        if is_kept.map_err(|error| in_cluster(&location, error))? {
            return Ok(());
        }
        let files = self.files().await?;
        let user = self.user.then(|| self.user_key());
        for key in std::iter::once(self.key()).chain(user) {
            let removed = files.delete(&key).await;
            removed.map_err(|error| at(&location, error))?;
        }
        Ok(())
    }
}
