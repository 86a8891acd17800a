//! Budgets of calls to AWS: one per throttle domain, shared by all controllers, fair, and learning from refusals.

mod bucket;
mod limits;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::recent::Recent;
use crate::model::{AccountId, Region};
pub use bucket::Bucket;
pub use limits::{BudgetOptions, Limits};

/// What AWS counts together when it refuses calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Domain {
    /// One operation, called from the management account: AWS counts it over the whole organization.
    Operation {
        /// `organizations`, `account`, `sts` or `s3`.
        service: &'static str,
        /// The operation, as AWS spells it.
        operation: &'static str,
    },
    /// IAM inside of one account.
    Iam(AccountId),
    /// ECR inside of one account, in one region.
    Ecr(AccountId, Region),
    /// S3 inside of one account.
    S3(AccountId),
    /// Secrets Manager inside of one account, in one region.
    Secrets(AccountId, Region),
    /// User pools inside of one account (`None`: our own), in one region.
    Cognito(Option<AccountId>, String),
}

impl Domain {
    /// The service that counts.
    pub fn service(&self) -> &'static str {
        match self {
            Self::Operation { service, .. } => service,
            Self::Iam(_) => "iam",
            Self::Ecr(..) => "ecr",
            Self::S3(_) => "s3",
            Self::Secrets(..) => "secretsmanager",
            Self::Cognito(..) => "cognito-idp",
        }
    }

    /// Whether it changes the organization: AWS makes such changes one after the other.
    fn changes_organization(&self) -> bool {
        matches!(
            self,
            Self::Operation {
                service: "organizations",
                operation: "CreateAccount"
                    | "MoveAccount"
                    | "TagResource"
                    | "UntagResource"
                    | "CloseAccount"
                    | "CreateOrganizationalUnit",
            }
        )
    }
}

/// How long after its time a turn is kept for who was to come back for it.
const KEPT: Duration = Duration::from_secs(600);
/// How many turns are kept.
const TURNS: usize = 4096;

/// All budgets of one organization.
#[derive(Debug)]
pub struct Budgets {
    options: BudgetOptions,
    /// Holds the changes of the organization apart from each other, whatever operation they are.
    writes: Arc<Semaphore>,
    operations: Mutex<HashMap<Domain, Arc<Budget>>>,
    /// One per account (and region), and so bounded. A forgotten budget begins anew, which costs a refusal at worst.
    accounts: Mutex<Recent<Domain, Arc<Budget>>>,
}

impl Budgets {
    /// Budgets with these limits, all of them full.
    pub fn new(options: BudgetOptions) -> Self {
        Self {
            writes: Arc::new(Semaphore::new(options.organization_writes.max(1))),
            operations: Mutex::default(),
            accounts: Mutex::new(Recent::new(options.accounts)),
            options,
        }
    }

    /// The budget of a domain.
    pub fn of(&self, domain: &Domain) -> Arc<Budget> {
        match domain {
            Domain::Operation { .. } => {
                let mut operations = lock(&self.operations);
                let new = || self.fresh(domain);
                Arc::clone(operations.entry(domain.clone()).or_insert_with(new))
            }
            Domain::Iam(_)
            | Domain::Ecr(..)
            | Domain::S3(_)
            | Domain::Secrets(..)
            | Domain::Cognito(..) => {
                let mut accounts = lock(&self.accounts);
                if let Some(budget) = accounts.get(domain) {
                    return Arc::clone(budget);
                }
                let budget = self.fresh(domain);
                accounts.insert(domain.clone(), Arc::clone(&budget));
                budget
            }
        }
    }

    fn fresh(&self, domain: &Domain) -> Arc<Budget> {
        let gate = domain
            .changes_organization()
            .then(|| Arc::clone(&self.writes));
        Arc::new(Budget::new(self.options.limits(domain), gate))
    }
}

/// The budget of one domain.
#[derive(Debug)]
pub struct Budget {
    epoch: Instant,
    bucket: Mutex<Bucket>,
    /// Who is next. Tokio's mutex is fair: first come, first served, so nobody starves.
    turn: tokio::sync::Mutex<()>,
    /// Those who come back for their turn, and when it is.
    booked: Mutex<Recent<AccountId, Duration>>,
    /// Limits the calls under way, if anything does.
    gate: Option<Arc<Semaphore>>,
}

impl Budget {
    /// A full budget; with a `gate`, each call needs one of its permits, too.
    pub fn new(limits: Limits, gate: Option<Arc<Semaphore>>) -> Self {
        Self {
            epoch: Instant::now(),
            bucket: Mutex::new(Bucket::new(limits)),
            turn: tokio::sync::Mutex::new(()),
            booked: Mutex::new(Recent::new(TURNS)),
            gate,
        }
    }

    /// Waits for the asker's turn. Giving up waiting (dropping the future) harms nobody.
    pub async fn acquire(self: &Arc<Self>) -> Permit {
        {
            let _turn = self.turn.lock().await;
            loop {
                // By its own statement, so that the lock is not held while asleep.
                let taken = lock(&self.bucket).take(self.now());
                match taken {
                    Ok(()) => break,
                    Err(wait) => tokio::time::sleep(wait).await,
                }
            }
        }
        self.permit().await
    }

    /// The turn of a call about that account, for an asker that does not wait for it here. `Err`: how long until then; it is
    /// kept for who asks again.
    pub async fn turn_of(self: &Arc<Self>, id: &AccountId) -> Result<Permit, Duration> {
        self.booked(id)?;
        Ok(self.permit().await)
    }

    fn booked(&self, id: &AccountId) -> Result<(), Duration> {
        let (now, mut booked) = (self.now(), lock(&self.booked));
        let kept = booked.get(id).copied().filter(|at| now < *at + KEPT);
        let at = kept.unwrap_or_else(|| now + lock(&self.bucket).book(now));
        if now < at {
            booked.insert(id.clone(), at);
            return Err(at - now);
        }
        booked.remove(id);
        Ok(())
    }

    async fn permit(self: &Arc<Self>) -> Permit {
        // Only now, so that who waits ten seconds for a token does not hold up a different operation.
        let gate = match &self.gate {
            // The semaphore is never closed; if it were, a call without a gate is the lesser evil.
            Some(gate) => Arc::clone(gate).acquire_owned().await.ok(),
            None => None,
        };
        Permit {
            budget: Arc::clone(self),
            started: self.now(),
            _gate: gate,
        }
    }

    /// Calls per second at the moment, as learned.
    pub fn rate(&self) -> f64 {
        lock(&self.bucket).rate()
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }
}

/// The right to make one call. Keep it until the call is answered, then say how it went; where it was not answered
/// at all there is nothing to learn, and dropping the permit is right.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    budget: Arc<Budget>,
    started: Duration,
    _gate: Option<OwnedSemaphorePermit>,
}

impl Permit {
    /// AWS answered (with whatever it was): the rate is all right.
    pub fn answered(self) {
        lock(&self.budget.bucket).on_success();
    }

    /// AWS refused because there were too many calls.
    pub fn throttled(self) {
        let now = self.budget.now();
        lock(&self.budget.bucket).on_throttle(now, self.started);
    }
}

/// What is inside stays consistent even if somebody panicked while holding it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(operation: &'static str) -> Domain {
        Domain::Operation {
            service: "organizations",
            operation,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn askers_are_served_in_order_and_at_the_rate() {
        let budget = Arc::new(Budget::new(Limits::published(1.0, 2.0), None));
        let start = Instant::now();
        let (sender, mut served) = tokio::sync::mpsc::unbounded_channel();
        for asker in 0..5 {
            let (budget, sender) = (Arc::clone(&budget), sender.clone());
            tokio::spawn(async move {
                budget.acquire().await.answered();
                sender.send((asker, start.elapsed().as_secs())).unwrap();
            });
            // Let it queue before the next one does.
            tokio::task::yield_now().await;
        }
        drop(sender);
        let mut order = Vec::new();
        while let Some(one) = served.recv().await {
            order.push(one);
        }
        assert_eq!(order, [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_slows_those_who_wait() {
        let budget = Arc::new(Budget::new(Limits::published(1.0, 1.0), None));
        budget.acquire().await.throttled();
        let start = Instant::now();
        budget.acquire().await.answered();
        assert_eq!(start.elapsed().as_secs(), 2);
        assert!(budget.rate() > 0.5 && budget.rate() < 0.6);
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_leaves_the_turn_to_the_next() {
        let budget = Arc::new(Budget::new(Limits::published(0.1, 1.0), None));
        budget.acquire().await.answered();
        let impatient = tokio::time::timeout(Duration::from_secs(1), budget.acquire()).await;
        assert!(impatient.is_err());
        let start = Instant::now();
        budget.acquire().await.answered();
        assert_eq!(start.elapsed().as_secs(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_for_a_turn_has_it_at_its_time_and_not_for_ever() {
        let budget = Arc::new(Budget::new(Limits::published(0.05, 1.0), None));
        let ids: Vec<AccountId> = (0..3)
            .map(|n| format!("{n:012}").parse().unwrap())
            .collect();
        let wait = async |n: usize| {
            let turn = budget.turn_of(&ids[n]).await;
            turn.map(Permit::answered)
                .map_err(|wait| wait.as_secs_f64().round())
        };
        let after = async |seconds| tokio::time::sleep(Duration::from_secs(seconds)).await;
        assert_eq!(wait(0).await, Ok(()));
        assert_eq!((wait(1).await, wait(2).await), (Err(20.0), Err(40.0)));
        after(10).await;
        // Asking earlier than told gains nothing and loses nothing.
        assert_eq!((wait(2).await, wait(1).await), (Err(30.0), Err(10.0)));
        after(11).await;
        assert_eq!(wait(1).await, Ok(()));
        // Who has had its turn stands at the end.
        assert_eq!(wait(1).await, Err(39.0));
        // Who does not come back loses its turn, and holds nobody up.
        after(700).await;
        assert_eq!((wait(0).await, wait(2).await), (Ok(()), Err(20.0)));
    }

    #[tokio::test(start_paused = true)]
    async fn changes_of_the_organization_do_not_overlap_but_reads_do() {
        let budgets = Budgets::new(BudgetOptions::default());
        let create = budgets.of(&operation("CreateAccount")).acquire().await;
        let read = budgets.of(&operation("ListAccounts"));
        assert!(
            tokio::time::timeout(Duration::from_secs(1), read.acquire())
                .await
                .is_ok()
        );
        let moves = budgets.of(&operation("MoveAccount"));
        assert!(
            tokio::time::timeout(Duration::from_secs(1), moves.acquire())
                .await
                .is_err()
        );
        create.answered();
        assert!(
            tokio::time::timeout(Duration::from_secs(1), moves.acquire())
                .await
                .is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_token_holds_nobody_else_up() {
        let budgets = Arc::new(Budgets::new(BudgetOptions::default()));
        let create = budgets.of(&operation("CreateAccount"));
        for _ in 0..3 {
            create.acquire().await.answered();
        }
        let waiting = tokio::spawn(async move { create.acquire().await.answered() });
        tokio::task::yield_now().await;
        let moves = budgets.of(&operation("MoveAccount"));
        assert!(
            tokio::time::timeout(Duration::from_secs(1), moves.acquire())
                .await
                .is_ok()
        );
        waiting.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn budgets_of_accounts_are_apart_and_bounded() {
        let options = BudgetOptions {
            accounts: 10,
            ..BudgetOptions::default()
        };
        let budgets = Budgets::new(options);
        let iam = |n: u64| Domain::Iam(format!("{n:012}").parse().unwrap());
        let first = budgets.of(&iam(1));
        assert!(Arc::ptr_eq(&first, &budgets.of(&iam(1))));
        assert!(!Arc::ptr_eq(&first, &budgets.of(&iam(2))));
        for n in 0..1_000 {
            budgets.of(&iam(n));
        }
        assert_eq!(lock(&budgets.accounts).len(), 10);
    }
}
