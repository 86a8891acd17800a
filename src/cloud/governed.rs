//! The governed cloud: every call keeps its budget and is counted, whoever makes it and whatever is behind the port.

mod credentials;
mod repositories;
mod sessions;
mod user_pools;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::Instrument;

use super::budget::{Budgets, Domain};
use super::{
    Account, AccountSettings, Accounts, Cloud, Company, CreateRequest, ErrorKind, NewAccount, Page,
    ParentId, RegionState, RequestId, Result, Turn, Unit, Units,
};
use crate::model::{
    AccountId, AccountName, AlternateContact, ContactKind, Region, RootEmail, Tags,
};

mod storage;

pub use storage::govern_bucket;

const CLOSE: Domain = Domain::Operation {
    service: "organizations",
    operation: "CloseAccount",
};

/// Is told of every call.
pub trait CallObserver: Send + Sync {
    /// A call has ended. `outcome` is `ok` or the label of an [`ErrorKind`]; `budget_wait` is how long it waited for
    /// its budget before, `took` how long AWS took.
    fn called(
        &self,
        service: &'static str,
        operation: &'static str,
        outcome: &'static str,
        budget_wait: Duration,
        took: Duration,
    );
}

/// The same cloud with budgets and an observer before every call.
pub fn govern(cloud: Cloud, budgets: Arc<Budgets>, observer: Arc<dyn CallObserver>) -> Cloud {
    let governor = Governor { budgets, observer };
    Cloud {
        accounts: Arc::new(Governed {
            port: cloud.accounts,
            governor: governor.clone(),
        }),
        units: Arc::new(Governed {
            port: cloud.units,
            governor: governor.clone(),
        }),
        settings: Arc::new(Governed {
            port: cloud.settings,
            governor: governor.clone(),
        }),
        sessions: Arc::new(Governed {
            port: cloud.sessions,
            governor,
        }),
    }
}

struct Governed<P: ?Sized> {
    port: Arc<P>,
    governor: Governor,
}

#[derive(Clone)]
struct Governor {
    budgets: Arc<Budgets>,
    observer: Arc<dyn CallObserver>,
}

impl Governor {
    async fn organizations<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let domain = Domain::Operation {
            service: "organizations",
            operation,
        };
        self.call(domain, operation, None, run).await
    }

    async fn about<T>(
        &self,
        service: &'static str,
        operation: &'static str,
        account: &AccountId,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let domain = Domain::Operation { service, operation };
        self.call(domain, operation, Some(account), run).await
    }

    /// What every call goes through: its budget, the count, and a span that says which call, on which account, how it
    /// ended and how long it took; of what was sent and answered nothing.
    async fn call<T>(
        &self,
        domain: Domain,
        operation: &'static str,
        account: Option<&AccountId>,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.call_in(Turn::default(), domain, operation, account, run)
            .await
    }

    /// The same in a turn that was had before, if it was.
    async fn call_in<T>(
        &self,
        turn: Turn,
        domain: Domain,
        operation: &'static str,
        account: Option<&AccountId>,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let service = domain.service();
        let span = tracing::debug_span!(
            "aws",
            service,
            operation,
            account = account.map(tracing::field::display),
            outcome = tracing::field::Empty,
            otel.name = format_args!("{service}.{operation}"),
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
        );
        self.measured(turn, domain, operation, run)
            .instrument(span)
            .await
    }

    async fn measured<T>(
        &self,
        turn: Turn,
        domain: Domain,
        operation: &'static str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let service = domain.service();
        let asked = Instant::now();
        let permit = match turn.0 {
            Some(permit) => permit,
            None => self.budgets.of(&domain).acquire().await,
        };
        let started = Instant::now();
        let result = run.await;
        let outcome = match &result {
            Ok(_) => {
                permit.answered();
                "ok"
            }
            Err(error) => {
                match error.kind {
                    ErrorKind::Throttled => permit.throttled(),
                    // Nothing was learned about the rate.
                    ErrorKind::Conflict | ErrorKind::Unavailable | ErrorKind::Unknown => {
                        drop(permit)
                    }
                    _ => permit.answered(),
                }
                error.kind.label()
            }
        };
        let (waited, took) = (started - asked, started.elapsed());
        let span = tracing::Span::current();
        span.record("outcome", outcome);
        if result.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        tracing::debug!(
            outcome,
            waited_ms = waited.as_millis(),
            took_ms = took.as_millis(),
            "call to AWS"
        );
        self.observer
            .called(service, operation, outcome, waited, took);
        result
    }
}

#[async_trait]
impl Accounts for Governed<dyn Accounts> {
    async fn create_account(&self, new: &NewAccount) -> Result<CreateRequest> {
        self.governor
            .organizations("CreateAccount", self.port.create_account(new))
            .await
    }

    async fn create_requests(
        &self,
        only_in_progress: bool,
        page: Option<String>,
    ) -> Result<Page<CreateRequest>> {
        let run = self.port.create_requests(only_in_progress, page);
        self.governor
            .organizations("ListCreateAccountStatus", run)
            .await
    }

    async fn create_request(&self, id: &RequestId) -> Result<CreateRequest> {
        let run = self.port.create_request(id);
        self.governor
            .organizations("DescribeCreateAccountStatus", run)
            .await
    }

    async fn account(&self, id: &AccountId) -> Result<Account> {
        self.governor
            .about(
                "organizations",
                "DescribeAccount",
                id,
                self.port.account(id),
            )
            .await
    }

    async fn accounts(&self, page: Option<String>) -> Result<Page<Account>> {
        self.governor
            .organizations("ListAccounts", self.port.accounts(page))
            .await
    }

    async fn accounts_in(&self, parent: &ParentId, page: Option<String>) -> Result<Page<Account>> {
        let run = self.port.accounts_in(parent, page);
        self.governor
            .organizations("ListAccountsForParent", run)
            .await
    }

    async fn parent_of(&self, id: &AccountId) -> Result<ParentId> {
        self.governor
            .about("organizations", "ListParents", id, self.port.parent_of(id))
            .await
    }

    async fn move_account(&self, id: &AccountId, from: &ParentId, to: &ParentId) -> Result<()> {
        self.governor
            .about(
                "organizations",
                "MoveAccount",
                id,
                self.port.move_account(id, from, to),
            )
            .await
    }

    async fn tags(&self, id: &AccountId) -> Result<Tags> {
        self.governor
            .about(
                "organizations",
                "ListTagsForResource",
                id,
                self.port.tags(id),
            )
            .await
    }

    async fn tag(&self, id: &AccountId, tags: &Tags) -> Result<()> {
        self.governor
            .about("organizations", "TagResource", id, self.port.tag(id, tags))
            .await
    }

    async fn untag(&self, id: &AccountId, keys: &[String]) -> Result<()> {
        self.governor
            .about(
                "organizations",
                "UntagResource",
                id,
                self.port.untag(id, keys),
            )
            .await
    }

    async fn turn_to_close(&self, id: &AccountId) -> std::result::Result<Turn, Duration> {
        let budget = self.governor.budgets.of(&CLOSE);
        Ok(Turn(Some(budget.turn_of(id).await?)))
    }

    async fn close_account(&self, id: &AccountId, turn: Turn) -> Result<()> {
        let run = self.port.close_account(id, Turn::default());
        self.governor
            .call_in(turn, CLOSE, "CloseAccount", Some(id), run)
            .await
    }
}

#[async_trait]
impl Units for Governed<dyn Units> {
    async fn company(&self) -> Result<Company> {
        self.governor
            .organizations("DescribeOrganization", self.port.company())
            .await
    }

    async fn root(&self) -> Result<ParentId> {
        self.governor
            .organizations("ListRoots", self.port.root())
            .await
    }

    async fn units_in(&self, parent: &ParentId, page: Option<String>) -> Result<Page<Unit>> {
        let run = self.port.units_in(parent, page);
        self.governor
            .organizations("ListOrganizationalUnitsForParent", run)
            .await
    }

    async fn create_unit(&self, parent: &ParentId, name: &str, tags: &Tags) -> Result<Unit> {
        let run = self.port.create_unit(parent, name, tags);
        self.governor
            .organizations("CreateOrganizationalUnit", run)
            .await
    }
}

#[async_trait]
impl AccountSettings for Governed<dyn AccountSettings> {
    async fn contact(&self, id: &AccountId, kind: ContactKind) -> Result<Option<AlternateContact>> {
        self.governor
            .about(
                "account",
                "GetAlternateContact",
                id,
                self.port.contact(id, kind),
            )
            .await
    }

    async fn put_contact(
        &self,
        id: &AccountId,
        kind: ContactKind,
        contact: &AlternateContact,
    ) -> Result<()> {
        let run = self.port.put_contact(id, kind, contact);
        self.governor
            .about("account", "PutAlternateContact", id, run)
            .await
    }

    async fn rename(&self, id: &AccountId, name: &AccountName) -> Result<()> {
        self.governor
            .about("account", "PutAccountName", id, self.port.rename(id, name))
            .await
    }

    async fn start_email_update(&self, id: &AccountId, email: &RootEmail) -> Result<()> {
        let run = self.port.start_email_update(id, email);
        self.governor
            .about("account", "StartPrimaryEmailUpdate", id, run)
            .await
    }

    async fn accept_email_update(
        &self,
        id: &AccountId,
        email: &RootEmail,
        code: &str,
    ) -> Result<()> {
        let run = self.port.accept_email_update(id, email, code);
        self.governor
            .about("account", "AcceptPrimaryEmailUpdate", id, run)
            .await
    }

    async fn region(&self, id: &AccountId, region: Region) -> Result<RegionState> {
        self.governor
            .about(
                "account",
                "GetRegionOptStatus",
                id,
                self.port.region(id, region),
            )
            .await
    }

    async fn enable_region(&self, id: &AccountId, region: Region) -> Result<()> {
        self.governor
            .about(
                "account",
                "EnableRegion",
                id,
                self.port.enable_region(id, region),
            )
            .await
    }
}

#[cfg(test)]
mod tests;
