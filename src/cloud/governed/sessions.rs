//! The governed way into member accounts, and what is called inside of them.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use super::super::budget::Domain;
use super::super::credentials::{
    BucketPlace, CredentialFiles, CredentialsBucket, DeliveryPlace, SecretStore,
};
use super::super::user_pools::UserPool;
use super::super::{MemberAccount, Repositories, Result, Sessions};
use super::credentials::{GovernedBucket, GovernedFiles, GovernedSecrets};
use super::repositories::GovernedRepositories;
use super::user_pools::GovernedPool;
use super::{Governed, Governor};
use crate::model::{AccountAlias, AccountId, PasswordPolicy, Region, RoleName, UserPoolId};

impl Governed<dyn Sessions> {
    /// Enters an account. A session that is open costs no call, and so neither budget nor count.
    async fn assume<T>(
        &self,
        id: &AccountId,
        is_open: bool,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if is_open {
            return run.await;
        }
        let domain = Domain::Operation {
            service: "sts",
            operation: "AssumeRole",
        };
        let governor = &self.governor;
        governor.call(domain, "AssumeRole", Some(id), run).await
    }

    fn member(&self, id: &AccountId, port: Arc<dyn MemberAccount>) -> Arc<dyn MemberAccount> {
        Arc::new(GovernedMember {
            id: id.clone(),
            port,
            governor: self.governor.clone(),
        })
    }
}

#[async_trait]
impl Sessions for Governed<dyn Sessions> {
    fn entered(&self, id: &AccountId, role: &RoleName) -> Option<Arc<dyn MemberAccount>> {
        self.port
            .entered(id, role)
            .map(|member| self.member(id, member))
    }

    async fn enter(&self, id: &AccountId, role: &RoleName) -> Result<Arc<dyn MemberAccount>> {
        // A session that is open costs no call, and so neither budget nor count.
        if let Some(member) = self.entered(id, role) {
            return Ok(member);
        }
        let member = self.assume(id, false, self.port.enter(id, role)).await?;
        Ok(self.member(id, member))
    }

    fn is_open_for(&self, id: &AccountId, role: &RoleName, place: &DeliveryPlace) -> bool {
        self.port.is_open_for(id, role, place)
    }

    async fn credential_files(
        &self,
        id: &AccountId,
        role: &RoleName,
        place: &BucketPlace,
    ) -> Result<Arc<dyn CredentialFiles>> {
        let open = self.is_open_for(id, role, &DeliveryPlace::Files(place.clone()));
        let run = self.port.credential_files(id, role, place);
        Ok(Arc::new(GovernedFiles {
            port: self.assume(id, open, run).await?,
            account: id.clone(),
            governor: self.governor.clone(),
        }))
    }

    async fn secret_store(
        &self,
        id: &AccountId,
        role: &RoleName,
        region: Region,
    ) -> Result<Arc<dyn SecretStore>> {
        let open = self.is_open_for(id, role, &DeliveryPlace::Secrets(region));
        let run = self.port.secret_store(id, role, region);
        Ok(Arc::new(GovernedSecrets {
            port: self.assume(id, open, run).await?,
            account: id.clone(),
            region,
            governor: self.governor.clone(),
        }))
    }

    async fn user_pool(
        &self,
        account: Option<&(AccountId, RoleName)>,
        pool: &UserPoolId,
    ) -> Result<Arc<dyn UserPool>> {
        let run = self.port.user_pool(account, pool);
        let port = match account {
            // Our own credentials are there already.
            None => run.await?,
            Some((id, role)) => {
                let open = self.is_open_for(id, role, &DeliveryPlace::UserPool(pool.clone()));
                self.assume(id, open, run).await?
            }
        };
        Ok(Arc::new(GovernedPool {
            port,
            account: account.map(|(id, _)| id.clone()),
            region: pool.region().to_owned(),
            governor: self.governor.clone(),
        }))
    }

    fn user_pool_url(&self, pool: &UserPoolId) -> String {
        self.port.user_pool_url(pool)
    }
}

struct GovernedMember {
    id: AccountId,
    port: Arc<dyn MemberAccount>,
    governor: Governor,
}

impl GovernedMember {
    async fn iam<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.governor
            .call(Domain::Iam(self.id.clone()), operation, Some(&self.id), run)
            .await
    }
}

#[async_trait]
impl MemberAccount for GovernedMember {
    async fn alias(&self) -> Result<Option<String>> {
        self.iam("ListAccountAliases", self.port.alias()).await
    }

    async fn set_alias(&self, alias: &AccountAlias) -> Result<()> {
        self.iam("CreateAccountAlias", self.port.set_alias(alias))
            .await
    }

    async fn password_policy(&self) -> Result<Option<PasswordPolicy>> {
        self.iam("GetAccountPasswordPolicy", self.port.password_policy())
            .await
    }

    async fn put_password_policy(&self, policy: &PasswordPolicy) -> Result<()> {
        self.iam(
            "UpdateAccountPasswordPolicy",
            self.port.put_password_policy(policy),
        )
        .await
    }

    fn repositories(&self, region: Region) -> Arc<dyn Repositories> {
        Arc::new(GovernedRepositories {
            domain: Domain::Ecr(self.id.clone(), region),
            account: self.id.clone(),
            port: self.port.repositories(region),
            governor: self.governor.clone(),
        })
    }

    fn credentials_bucket(&self, place: &BucketPlace) -> Arc<dyn CredentialsBucket> {
        Arc::new(GovernedBucket {
            port: self.port.credentials_bucket(place),
            account: self.id.clone(),
            governor: self.governor.clone(),
        })
    }
}
