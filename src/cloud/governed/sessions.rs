//! The governed way into member accounts, and what is called inside of them.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use super::super::budget::Domain;
use super::super::{MemberAccount, Repositories, Result, Sessions};
use super::repositories::GovernedRepositories;
use super::{Governed, Governor};
use crate::model::{AccountAlias, AccountId, PasswordPolicy, Region, RoleName};

impl Governed<dyn Sessions> {
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
        let domain = Domain::Operation {
            service: "sts",
            operation: "AssumeRole",
        };
        let run = self.port.enter(id, role);
        let member = self
            .governor
            .call(domain, "AssumeRole", Some(id), run)
            .await?;
        Ok(self.member(id, member))
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
}
