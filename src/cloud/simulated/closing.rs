//! CloseAccount, and what is left of an account afterwards.

use super::accounts::account_not_found;
use super::options::days;
use super::refusal::{refused, violated};
use super::world::{AccountRecord, Event, World};
use crate::cloud::Result;
use crate::model::{AccountId, AccountState};

pub(super) const CLOSE: &str = "organizations.CloseAccount";

impl World {
    pub(super) fn close_account(&mut self, id: &AccountId) -> Result<()> {
        let Some(account) = self.accounts.get(id) else {
            return Err(account_not_found(CLOSE));
        };
        if *id == self.management {
            return Err(violated(CLOSE, "CANNOT_CLOSE_MANAGEMENT_ACCOUNT"));
        }
        match account.state {
            AccountState::Closed | AccountState::Suspended => {
                let message = "You attempted to close an account that is already closed.";
                return Err(refused(CLOSE, "AccountAlreadyClosedException", message));
            }
            AccountState::PendingClosure | AccountState::PendingActivation => {
                let message = "The request conflicts with the current state of the account.";
                return Err(refused(CLOSE, "ConflictException", message));
            }
            AccountState::Active | AccountState::Unknown(_) => {}
        }
        let now = self.now;
        self.closures.retain(|at| now < *at + days(30));
        if self.closures.len() >= self.close_quota() {
            return Err(violated(CLOSE, "CLOSE_ACCOUNT_QUOTA_EXCEEDED"));
        }
        let closing = |account: &&AccountRecord| account.state == AccountState::PendingClosure;
        if self.accounts.values().filter(closing).count() >= self.options.closures_in_flight {
            return Err(violated(CLOSE, "CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED"));
        }
        self.closures.push_back(now);
        if let Some(account) = self.accounts.get_mut(id) {
            account.state = AccountState::PendingClosure;
            account.closed = Some(now);
        }
        self.plan(self.options.closure, Event::FinishClosure(id.clone()));
        Ok(())
    }

    /// Closures per rolling 30 days: 20 % of the members, at least 250 and at most 1000.
    fn close_quota(&self) -> usize {
        let members = self.accounts.len().saturating_sub(1);
        self.options
            .close_quota
            .unwrap_or_else(|| (members / 5).clamp(250, 1000))
    }

    pub(super) fn finish_closure(&mut self, id: &AccountId) {
        let closed_as = self.options.closed_as.clone();
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        if account.state == AccountState::PendingClosure {
            account.state = closed_as;
            self.plan(self.options.closed_listed, Event::Purge(id.clone()));
        }
    }

    /// After 90 days a closed account is gone for good, unless it was reinstated (and perhaps closed anew).
    pub(super) fn purge(&mut self, id: &AccountId) {
        let closed = self.accounts.get(id).and_then(|account| account.closed);
        if closed.is_some_and(|at| at + self.options.closed_listed <= self.now) {
            self.remove_account(id);
        }
    }

    /// The state that reads show: for some minutes after a closure it may say ACTIVE every other time.
    pub(super) fn shown_state(&self, account: &AccountRecord) -> AccountState {
        if let (Some(flapping), Some(closed)) = (self.options.flapping, account.closed)
            && self.now < closed + flapping.lasts
        {
            let phase = self.now.duration_since(closed).as_millis()
                / i128::try_from(flapping.period.as_millis())
                    .unwrap_or(i128::MAX)
                    .max(1);
            if phase % 2 == 1 {
                return AccountState::Active;
            }
        }
        account.state.clone()
    }
}
