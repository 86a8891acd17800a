//! CreateAccount and its requests.
//!
//! AWS takes the request and works on it: the caller gets an id `car-…` and asks later. There is no client token
//! and no parent: the account appears in the root. Whatever is wrong with the address comes out only in the end.

use super::accounts::check_tags;
use super::options::SlotRefusal;
use super::paging;
use super::refusal::{refused, throttled, violated};
use super::world::{AccountRecord, EmailUse, Event, RequestRecord, World};
use crate::cloud::{CreateRequest, NewAccount, Page, RequestId, RequestState, Result};
use crate::model::AccountState;

pub(super) const CREATE: &str = "organizations.CreateAccount";
pub(super) const DESCRIBE: &str = "organizations.DescribeCreateAccountStatus";
pub(super) const LIST: &str = "organizations.ListCreateAccountStatus";

impl World {
    pub(super) fn create_account(&mut self, new: &NewAccount) -> Result<CreateRequest> {
        // "If any one of the tags is not valid, then the entire request fails and the account is not created."
        check_tags(CREATE, &new.tags)?;
        // Closed accounts count until they are purged, creations in flight count already.
        if self.accounts.len() + self.in_progress.len() >= self.options.account_limit {
            return Err(violated(CREATE, "ACCOUNT_NUMBER_LIMIT_EXCEEDED"));
        }
        if self.in_progress.len() >= self.options.creations_in_flight {
            return Err(match self.options.slot_refusal {
                SlotRefusal::TooManyRequests => throttled(CREATE),
                SlotRefusal::CreationRateLimit => {
                    violated(CREATE, "ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED")
                }
            });
        }
        let number = self.requests.len();
        let failure = self.failure_of(new);
        let duration = if failure.is_some() {
            self.options.creation_failure
        } else {
            self.emails
                .insert(new.email.key(), EmailUse::Request(number));
            self.about(self.options.creation, self.options.creation_jitter)
        };
        let id = RequestId(format!("car-{}", self.word(32)));
        self.requests.push(RequestRecord {
            id: id.clone(),
            email: new.email.as_str().to_owned(),
            name: new.name.as_str().to_owned(),
            access_role: new.access_role.clone(),
            tags: new.tags.clone(),
            requested: self.now,
            listed_from: self.now + self.options.request_lag,
            completed: None,
            state: RequestState::InProgress,
            failure,
        });
        self.request_numbers.insert(id, number);
        self.in_progress.insert(number);
        self.ledger.in_flight(self.in_progress.len(), self.now);
        // The answer is older than the end, even if the end comes at once.
        let answer = self.requests[number].view();
        self.plan(duration, Event::FinishRequest(number));
        Ok(answer)
    }

    /// Why the creation will fail: on demand, or because the address is taken. An address is unique over all of
    /// AWS, nobody can ask beforehand, and AWS says so only in the end. A second request for what is being
    /// created already ends CONCURRENT_ACCOUNT_MODIFICATION ("You already submitted a request with the same
    /// information").
    fn failure_of(&mut self, new: &NewAccount) -> Option<String> {
        let key = new.email.key();
        if let Some(reason) = self.next_failures.pop_front() {
            return Some(reason);
        }
        if let Some(reason) = self.failures_by_email.get(&key) {
            return Some(reason.clone());
        }
        let reason = match self.emails.get(&key)? {
            EmailUse::Account(_) | EmailUse::Stranger => "EMAIL_ALREADY_EXISTS",
            EmailUse::Request(_) => "CONCURRENT_ACCOUNT_MODIFICATION",
        };
        Some(reason.to_owned())
    }

    pub(super) fn finish_request(&mut self, number: usize) {
        self.in_progress.remove(&number);
        self.ledger.in_flight(self.in_progress.len(), self.now);
        self.requests[number].completed = Some(self.now);
        if let Some(reason) = self.requests[number].failure.clone() {
            self.requests[number].state = RequestState::Failed(reason);
            return;
        }
        let id = self.fresh_account_id();
        let root = self.root.clone();
        let request = &mut self.requests[number];
        request.state = RequestState::Succeeded(id.clone());
        let record = AccountRecord {
            access_role: Some(request.access_role.clone()),
            state: AccountState::PendingActivation,
            tags: request.tags.clone(),
            born_with: request.tags.clone(),
            ..AccountRecord::new(&request.name, &request.email, self.now, &root)
        };
        self.insert_account(id.clone(), record);
        self.place(&id, &root);
        self.plan(self.options.activation, Event::Activate(id));
    }

    pub(super) fn create_request(&self, id: &RequestId) -> Result<CreateRequest> {
        let found = self
            .request_numbers
            .get(id)
            .map(|number| &self.requests[*number]);
        match found.filter(|request| request.listed_from <= self.now) {
            Some(request) => Ok(request.view()),
            None => Err(refused(
                DESCRIBE,
                "CreateAccountStatusNotFoundException",
                "We can't find a create account request with the CreateAccountRequestId that you specified.",
            )),
        }
    }

    pub(super) fn create_requests(
        &mut self,
        only_in_progress: bool,
        page: Option<&str>,
    ) -> Result<Page<CreateRequest>> {
        let start = paging::start(LIST, page)?;
        if self.faults.happens(self.options.empty_page_rate) {
            return Ok(paging::empty(start));
        }
        let behind = start.and_then(|key| key.parse::<usize>().ok());
        let (from, to) = match (behind, self.options.oldest_requests_first) {
            (None, _) => (0, self.requests.len()),
            (Some(number), true) => (number + 1, self.requests.len()),
            (Some(number), false) => (0, number.min(self.requests.len())),
        };
        let numbers: Box<dyn DoubleEndedIterator<Item = usize>> = if only_in_progress {
            Box::new(self.in_progress.range(from..to.max(from)).copied())
        } else {
            Box::new(from..to)
        };
        let numbers: Box<dyn Iterator<Item = usize>> = if self.options.oldest_requests_first {
            numbers
        } else {
            Box::new(numbers.rev())
        };
        Ok(paging::fill(
            numbers
                .filter(|number| self.requests[*number].listed_from <= self.now)
                .map(|number| (number.to_string(), self.requests[number].view())),
        ))
    }
}

impl RequestRecord {
    /// The request as AWS shows it: without the address.
    pub(super) fn view(&self) -> CreateRequest {
        CreateRequest {
            id: self.id.clone(),
            account_name: self.name.clone(),
            requested: Some(self.requested),
            completed: self.completed,
            state: self.state.clone(),
        }
    }
}
