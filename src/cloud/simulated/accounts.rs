//! Accounts: what reads show, moving, tags; and the port to all of it.

use async_trait::async_trait;

use super::closing::CLOSE;
use super::creation::{CREATE, DESCRIBE as DESCRIBE_REQUEST, LIST as LIST_REQUESTS};
use super::faults::Call;
use super::refusal::{invalid_input, refused, violated};
use super::world::{AccountRecord, World};
use super::{Gate, paging};
use crate::cloud::{
    Account, Accounts, CloudError, CreateRequest, NewAccount, Page, ParentId, RequestId, Result,
    Turn,
};
use crate::model::{AccountId, Tags};

const DESCRIBE: &str = "organizations.DescribeAccount";
const LIST: &str = "organizations.ListAccounts";
const LIST_FOR_PARENT: &str = "organizations.ListAccountsForParent";
const LIST_PARENTS: &str = "organizations.ListParents";
const MOVE: &str = "organizations.MoveAccount";
const LIST_TAGS: &str = "organizations.ListTagsForResource";
const TAG: &str = "organizations.TagResource";
const UNTAG: &str = "organizations.UntagResource";

/// Tags per account (Organizations User Guide, "Quotas").
const MOST_TAGS: usize = 50;

impl World {
    fn described(&self, id: &AccountId) -> Result<Account> {
        match self
            .accounts
            .get(id)
            .filter(|account| account.listed_in.is_some())
        {
            Some(account) => Ok(self.view(id, account)),
            None => Err(account_not_found(DESCRIBE)),
        }
    }

    fn view(&self, id: &AccountId, account: &AccountRecord) -> Account {
        Account {
            id: id.clone(),
            name: account.name.clone(),
            email: account.email.clone(),
            state: self.shown_state(account),
            joined: Some(account.joined),
        }
    }

    fn list_accounts(&mut self, page: Option<&str>) -> Result<Page<Account>> {
        let start = paging::start(LIST, page)?;
        if self.faults.happens(self.options.empty_page_rate) {
            return Ok(paging::empty(start));
        }
        let after = after(LIST, start)?;
        let shown = self.accounts.range((after, std::ops::Bound::Unbounded));
        let shown = shown.filter(|(_, account)| account.listed_in.is_some());
        Ok(paging::fill(shown.map(|(id, account)| {
            (id.to_string(), self.view(id, account))
        })))
    }

    fn list_accounts_for(
        &mut self,
        parent: &ParentId,
        page: Option<&str>,
    ) -> Result<Page<Account>> {
        let start = paging::start(LIST_FOR_PARENT, page)?;
        if !self.is_parent(parent) {
            return Err(refused(
                LIST_FOR_PARENT,
                "ParentNotFoundException",
                "We can't find a root or OU with the ParentId that you specified.",
            ));
        }
        if self.faults.happens(self.options.empty_page_rate) {
            return Ok(paging::empty(start));
        }
        let after = after(LIST_FOR_PARENT, start)?;
        let range = (after, std::ops::Bound::Unbounded);
        let ids = self
            .listed
            .get(parent)
            .into_iter()
            .flat_map(|ids| ids.range(range.clone()));
        let found = ids.filter_map(|id| self.accounts.get(id).map(|account| (id, account)));
        Ok(paging::fill(found.map(|(id, account)| {
            (id.to_string(), self.view(id, account))
        })))
    }

    fn list_parents(&self, id: &AccountId) -> Result<ParentId> {
        let shown = self
            .accounts
            .get(id)
            .and_then(|account| account.listed_in.clone());
        shown.ok_or_else(|| {
            let message = "We can't find an account or OU with the ChildId that you specified.";
            refused(LIST_PARENTS, "ChildNotFoundException", message)
        })
    }

    /// MoveAccount wants to be told where the account is, and refuses if it is not there.
    fn move_account(&mut self, id: &AccountId, from: &ParentId, to: &ParentId) -> Result<()> {
        let Some(account) = self.accounts.get(id) else {
            return Err(account_not_found(MOVE));
        };
        if !self.is_parent(to) {
            let message =
                "We can't find the destination container with the ParentId that you specified.";
            return Err(refused(MOVE, "DestinationParentNotFoundException", message));
        }
        if account.parent == *to {
            let message = "That account is already present in the specified destination.";
            return Err(refused(MOVE, "DuplicateAccountException", message));
        }
        if account.parent != *from {
            let message = "We can't find a source root or OU with the ParentId that you specified.";
            return Err(refused(MOVE, "SourceParentNotFoundException", message));
        }
        self.place(id, to);
        Ok(())
    }

    fn tags_of(&self, id: &AccountId) -> Result<Tags> {
        let account = self
            .accounts
            .get(id)
            .ok_or_else(|| target_not_found(LIST_TAGS))?;
        Ok(account.tags.clone())
    }

    fn tag(&mut self, id: &AccountId, tags: &Tags) -> Result<()> {
        let account = self
            .accounts
            .get_mut(id)
            .ok_or_else(|| target_not_found(TAG))?;
        check_tags(TAG, tags)?;
        let added = tags
            .keys()
            .filter(|key| !account.tags.contains_key(*key))
            .count();
        if account.tags.len() + added > MOST_TAGS {
            return Err(violated(TAG, "MAX_TAG_LIMIT_EXCEEDED"));
        }
        account.tags.extend(tags.clone());
        Ok(())
    }

    fn untag(&mut self, id: &AccountId, keys: &[String]) -> Result<()> {
        let account = self
            .accounts
            .get_mut(id)
            .ok_or_else(|| target_not_found(UNTAG))?;
        account.tags.retain(|key, _| !keys.contains(key));
        Ok(())
    }
}

/// The rules of a tag set that AWS checks as a whole: at most fifty, keys of 1 to 128 characters and none of
/// AWS's own, values of at most 256.
pub(super) fn check_tags(operation: &'static str, tags: &Tags) -> Result<()> {
    if tags.len() > MOST_TAGS {
        return Err(violated(operation, "MAX_TAG_LIMIT_EXCEEDED"));
    }
    for (key, value) in tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid_input(operation, "INVALID_SYSTEM_TAGS_PARAMETER"));
        }
        if key.is_empty() {
            return Err(invalid_input(operation, "MIN_LENGTH_EXCEEDED"));
        }
        if key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid_input(operation, "MAX_LENGTH_EXCEEDED"));
        }
        let allowed = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
        if !key.chars().chain(value.chars()).all(allowed) {
            return Err(invalid_input(operation, "INVALID_PATTERN"));
        }
    }
    Ok(())
}

fn after(operation: &'static str, start: Option<&str>) -> Result<std::ops::Bound<AccountId>> {
    match start {
        None => Ok(std::ops::Bound::Unbounded),
        Some(key) => match key.parse() {
            Ok(id) => Ok(std::ops::Bound::Excluded(id)),
            Err(_) => Err(invalid_input(operation, "INVALID_PAGINATION_TOKEN")),
        },
    }
}

pub(super) fn account_not_found(operation: &'static str) -> CloudError {
    let message = "We can't find an AWS account with the AccountId that you specified.";
    refused(operation, "AccountNotFoundException", message)
}

fn target_not_found(operation: &'static str) -> CloudError {
    let message =
        "We can't find a root, OU, account, or policy with the TargetId that you specified.";
    refused(operation, "TargetNotFoundException", message)
}

#[async_trait]
impl Accounts for Gate {
    async fn create_account(&self, new: &NewAccount) -> Result<CreateRequest> {
        self.call(Call::write(CREATE, &new.email), |world| {
            world.create_account(new)
        })
        .await
    }

    async fn create_requests(
        &self,
        only_in_progress: bool,
        page: Option<String>,
    ) -> Result<Page<CreateRequest>> {
        let call = Call::read(LIST_REQUESTS, "");
        self.call(call, |world| {
            world.create_requests(only_in_progress, page.as_deref())
        })
        .await
    }

    async fn create_request(&self, id: &RequestId) -> Result<CreateRequest> {
        self.call(Call::read(DESCRIBE_REQUEST, id), |world| {
            world.create_request(id)
        })
        .await
    }

    async fn account(&self, id: &AccountId) -> Result<Account> {
        self.call(Call::read(DESCRIBE, id), |world| world.described(id))
            .await
    }

    async fn accounts(&self, page: Option<String>) -> Result<Page<Account>> {
        self.call(Call::read(LIST, ""), |world| {
            world.list_accounts(page.as_deref())
        })
        .await
    }

    async fn accounts_in(&self, parent: &ParentId, page: Option<String>) -> Result<Page<Account>> {
        let call = Call::read(LIST_FOR_PARENT, parent);
        self.call(call, |world| {
            world.list_accounts_for(parent, page.as_deref())
        })
        .await
    }

    async fn parent_of(&self, id: &AccountId) -> Result<ParentId> {
        self.call(Call::read(LIST_PARENTS, id), |world| world.list_parents(id))
            .await
    }

    async fn move_account(&self, id: &AccountId, from: &ParentId, to: &ParentId) -> Result<()> {
        self.call(Call::write(MOVE, id), |world| {
            world.move_account(id, from, to)
        })
        .await
    }

    async fn tags(&self, id: &AccountId) -> Result<Tags> {
        self.call(Call::read(LIST_TAGS, id), |world| world.tags_of(id))
            .await
    }

    async fn tag(&self, id: &AccountId, tags: &Tags) -> Result<()> {
        self.call(Call::write(TAG, id), |world| world.tag(id, tags))
            .await
    }

    async fn untag(&self, id: &AccountId, keys: &[String]) -> Result<()> {
        self.call(Call::write(UNTAG, id), |world| world.untag(id, keys))
            .await
    }

    async fn close_account(&self, id: &AccountId, _: Turn) -> Result<()> {
        self.call(Call::write(CLOSE, id), |world| world.close_account(id))
            .await
    }
}
