use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::CloudError;
use super::super::budget::BudgetOptions;
use super::*;
use crate::cloud::credentials::{BucketPlace, CredentialFiles, CredentialsBucket, SecretStore};
use crate::cloud::user_pools::UserPool;
use crate::cloud::{MemberAccount, Repositories, Sessions};
use crate::model::{AccountAlias, PasswordPolicy, RoleName, UserPoolId};

/// Writes down what it was told.
#[derive(Default)]
struct Log(Mutex<Vec<(String, &'static str, u64)>>);

impl CallObserver for Log {
    fn called(
        &self,
        service: &'static str,
        operation: &'static str,
        outcome: &'static str,
        budget_wait: Duration,
        _took: Duration,
    ) {
        let line = (
            format!("{service}.{operation}"),
            outcome,
            budget_wait.as_secs(),
        );
        self.0.lock().unwrap().push(line);
    }
}

impl Log {
    fn lines(&self) -> Vec<(String, &'static str, u64)> {
        self.0.lock().unwrap().clone()
    }
}

/// A root that is refused once, and accounts of which the first entering is real.
#[derive(Default)]
struct Port {
    calls: AtomicUsize,
    member: Mutex<Option<Arc<dyn MemberAccount>>>,
}

#[async_trait]
impl Units for Port {
    async fn company(&self) -> Result<Company> {
        unimplemented!()
    }
    async fn root(&self) -> Result<ParentId> {
        match self.calls.fetch_add(1, Ordering::SeqCst) {
            0 => Err(CloudError::new(
                ErrorKind::Throttled,
                "organizations.ListRoots",
                "Slow",
                "",
            )),
            1 => Err(CloudError::new(
                ErrorKind::Denied,
                "organizations.ListRoots",
                "No",
                "",
            )),
            _ => Ok(ParentId("r-1".to_owned())),
        }
    }

    async fn units_in(&self, _: &ParentId, _: Option<String>) -> Result<Page<Unit>> {
        Ok(Page {
            items: Vec::new(),
            next: None,
        })
    }

    async fn create_unit(&self, _: &ParentId, name: &str, _: &Tags) -> Result<Unit> {
        Ok(Unit {
            id: ParentId("ou-1".to_owned()),
            name: name.to_owned(),
        })
    }
}

#[async_trait]
impl Sessions for Port {
    fn entered(&self, _: &AccountId, _: &RoleName) -> Option<Arc<dyn MemberAccount>> {
        self.member.lock().unwrap().clone()
    }

    async fn enter(&self, _: &AccountId, _: &RoleName) -> Result<Arc<dyn MemberAccount>> {
        let member: Arc<dyn MemberAccount> = Arc::new(Member);
        *self.member.lock().unwrap() = Some(Arc::clone(&member));
        Ok(member)
    }

    async fn credential_files(
        &self,
        _: &AccountId,
        _: &RoleName,
        _: &BucketPlace,
    ) -> Result<Arc<dyn CredentialFiles>> {
        unimplemented!()
    }

    async fn secret_store(
        &self,
        _: &AccountId,
        _: &RoleName,
        _: Region,
    ) -> Result<Arc<dyn SecretStore>> {
        unimplemented!()
    }

    async fn user_pool(
        &self,
        _: Option<&(AccountId, RoleName)>,
        _: &UserPoolId,
    ) -> Result<Arc<dyn UserPool>> {
        unimplemented!()
    }
}

struct Member;

#[async_trait]
impl MemberAccount for Member {
    async fn alias(&self) -> Result<Option<String>> {
        Ok(Some("acme".to_owned()))
    }
    async fn set_alias(&self, _: &AccountAlias) -> Result<()> {
        Ok(())
    }
    async fn password_policy(&self) -> Result<Option<PasswordPolicy>> {
        Ok(None)
    }
    async fn put_password_policy(&self, _: &PasswordPolicy) -> Result<()> {
        Ok(())
    }
    fn repositories(&self, _: Region) -> Arc<dyn Repositories> {
        unimplemented!()
    }
    fn credentials_bucket(&self, _: &BucketPlace) -> Arc<dyn CredentialsBucket> {
        unimplemented!()
    }
}

fn governor() -> (Governor, Arc<Log>) {
    let log = Arc::new(Log::default());
    let budgets = Arc::new(Budgets::new(BudgetOptions::default()));
    (
        Governor {
            budgets,
            observer: Arc::clone(&log) as _,
        },
        log,
    )
}

#[tokio::test(start_paused = true)]
async fn every_call_is_counted_with_its_outcome_and_refusals_slow_the_next() {
    let (governor, log) = governor();
    let domain = Domain::Operation {
        service: "organizations",
        operation: "ListRoots",
    };
    let before = governor.budgets.of(&domain).rate();
    let units: Governed<dyn Units> = Governed {
        port: Arc::new(Port::default()),
        governor: governor.clone(),
    };
    assert_eq!(units.root().await.unwrap_err().kind, ErrorKind::Throttled);
    assert_eq!(governor.budgets.of(&domain).rate(), before / 2.0);
    assert_eq!(units.root().await.unwrap_err().kind, ErrorKind::Denied);
    assert_eq!(units.root().await.unwrap(), ParentId("r-1".to_owned()));
    let outcomes: Vec<_> = log
        .lines()
        .into_iter()
        .map(|(_, outcome, _)| outcome)
        .collect();
    assert_eq!(outcomes, ["throttled", "denied", "ok"]);
    assert!(governor.budgets.of(&domain).rate() > before / 2.0);
}

#[tokio::test(start_paused = true)]
async fn an_open_session_costs_nothing_and_what_is_done_in_it_does() {
    let (governor, log) = governor();
    let sessions: Governed<dyn Sessions> = Governed {
        port: Arc::new(Port::default()),
        governor,
    };
    let (id, role) = ("111122223333".parse().unwrap(), "Access".parse().unwrap());
    for _ in 0..3 {
        let member = sessions.enter(&id, &role).await.unwrap();
        assert_eq!(member.alias().await.unwrap().as_deref(), Some("acme"));
    }
    let calls: Vec<_> = log.lines().into_iter().map(|(call, _, _)| call).collect();
    assert_eq!(
        calls,
        [
            "sts.AssumeRole",
            "iam.ListAccountAliases",
            "iam.ListAccountAliases",
            "iam.ListAccountAliases"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_time_spent_waiting_for_the_budget_is_told_apart() {
    let (governor, log) = governor();
    let create = || {
        let ready = std::future::ready(Ok(()));
        governor.organizations("CreateAccount", ready)
    };
    for _ in 0..4 {
        create().await.unwrap();
    }
    let waits: Vec<_> = log.lines().into_iter().map(|(_, _, wait)| wait).collect();
    assert_eq!(waits, [0, 0, 0, 10]);
}
