//! The governed user pools.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use super::super::budget::Domain;
use super::super::user_pools::{
    ListedPoolClient, ListedPoolSecret, NewPoolClient, NewPoolSecret, PoolClient,
    PoolClientSettings, PoolState, UserPool,
};
use super::super::{Page, Result};
use super::Governor;
use crate::model::AccountId;

pub(super) struct GovernedPool {
    pub(super) port: Arc<dyn UserPool>,
    /// `None`: our own.
    pub(super) account: Option<AccountId>,
    pub(super) region: String,
    pub(super) governor: Governor,
}

impl GovernedPool {
    async fn call<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let domain = Domain::Cognito(self.account.clone(), self.region.clone());
        let governor = &self.governor;
        governor
            .call(domain, operation, self.account.as_ref(), run)
            .await
    }
}

#[async_trait]
impl UserPool for GovernedPool {
    async fn state(&self) -> Result<PoolState> {
        self.call("DescribeUserPool", self.port.state()).await
    }

    async fn has_second_secrets(&self) -> Result<bool> {
        let run = self.port.has_second_secrets();
        self.call("ListUserPoolClientSecrets", run).await
    }

    async fn scopes(&self) -> Result<BTreeSet<String>> {
        self.call("ListResourceServers", self.port.scopes()).await
    }

    async fn clients(&self, page: Option<String>) -> Result<Page<ListedPoolClient>> {
        self.call("ListUserPoolClients", self.port.clients(page))
            .await
    }

    async fn client(&self, id: &str) -> Result<PoolClient> {
        self.call("DescribeUserPoolClient", self.port.client(id))
            .await
    }

    async fn create_client(&self, new: &NewPoolClient) -> Result<PoolClient> {
        self.call("CreateUserPoolClient", self.port.create_client(new))
            .await
    }

    async fn change_client(&self, id: &str, settings: &PoolClientSettings) -> Result<()> {
        let run = self.port.change_client(id, settings);
        self.call("UpdateUserPoolClient", run).await
    }

    async fn delete_client(&self, id: &str) -> Result<()> {
        self.call("DeleteUserPoolClient", self.port.delete_client(id))
            .await
    }

    async fn secrets(&self, id: &str) -> Result<Vec<ListedPoolSecret>> {
        self.call("ListUserPoolClientSecrets", self.port.secrets(id))
            .await
    }

    async fn add_secret(&self, id: &str) -> Result<NewPoolSecret> {
        self.call("AddUserPoolClientSecret", self.port.add_secret(id))
            .await
    }

    async fn delete_secret(&self, id: &str, secret: &str) -> Result<()> {
        let run = self.port.delete_secret(id, secret);
        self.call("DeleteUserPoolClientSecret", run).await
    }
}
