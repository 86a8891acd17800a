//! Member accounts by AWS Organizations.

use async_trait::async_trait;
use aws_sdk_organizations::Client;
use aws_sdk_organizations::config::Builder;
use aws_sdk_organizations::types;

use super::super::{
    Account, Accounts, CreateRequest, NewAccount, Page, ParentId, RequestId, RequestState, Result,
    Turn,
};
use super::error::classify;
use super::{never_again, odd_answer, timestamp};
use crate::model::{AccountId, AccountState, Tags};

/// What Organizations gives in one page at most.
pub(super) const PAGE_SIZE: i32 = 20;

/// [`Accounts`] by AWS Organizations.
pub(super) struct OrganizationAccounts {
    client: Client,
}

impl OrganizationAccounts {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Accounts for OrganizationAccounts {
    async fn create_account(&self, new: &NewAccount) -> Result<CreateRequest> {
        const OPERATION: &str = "organizations.CreateAccount";
        let answer = self
            .client
            .create_account()
            .email(new.email.as_str())
            .account_name(new.name.as_str())
            .role_name(new.access_role.as_str())
            .set_tags(Some(tags_to_aws(OPERATION, &new.tags)?))
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        let status = answer.create_account_status();
        request_from_aws(
            OPERATION,
            status.ok_or_else(|| odd_answer(OPERATION, "request"))?,
        )
    }

    async fn create_requests(
        &self,
        only_in_progress: bool,
        page: Option<String>,
    ) -> Result<Page<CreateRequest>> {
        const OPERATION: &str = "organizations.ListCreateAccountStatus";
        let states = only_in_progress.then(|| vec![types::CreateAccountState::InProgress]);
        let answer = self
            .client
            .list_create_account_status()
            .set_states(states)
            .max_results(PAGE_SIZE)
            .set_next_token(page)
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        let requests = answer.create_account_statuses().iter();
        let items = requests.map(|request| request_from_aws(OPERATION, request));
        Ok(Page {
            items: items.collect::<Result<_>>()?,
            next: answer.next_token,
        })
    }

    async fn create_request(&self, id: &RequestId) -> Result<CreateRequest> {
        const OPERATION: &str = "organizations.DescribeCreateAccountStatus";
        let answer = self
            .client
            .describe_create_account_status()
            .create_account_request_id(&id.0)
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        let status = answer.create_account_status();
        request_from_aws(
            OPERATION,
            status.ok_or_else(|| odd_answer(OPERATION, "request"))?,
        )
    }

    async fn account(&self, id: &AccountId) -> Result<Account> {
        const OPERATION: &str = "organizations.DescribeAccount";
        let answer = self
            .client
            .describe_account()
            .account_id(id.as_str())
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        let account = answer.account();
        account_from_aws(
            OPERATION,
            account.ok_or_else(|| odd_answer(OPERATION, "account"))?,
        )
    }

    async fn accounts(&self, page: Option<String>) -> Result<Page<Account>> {
        const OPERATION: &str = "organizations.ListAccounts";
        let answer = self
            .client
            .list_accounts()
            .max_results(PAGE_SIZE)
            .set_next_token(page)
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        let items = answer
            .accounts()
            .iter()
            .map(|account| account_from_aws(OPERATION, account));
        Ok(Page {
            items: items.collect::<Result<_>>()?,
            next: answer.next_token,
        })
    }

    async fn accounts_in(&self, parent: &ParentId, page: Option<String>) -> Result<Page<Account>> {
        const OPERATION: &str = "organizations.ListAccountsForParent";
        let answer = self
            .client
            .list_accounts_for_parent()
            .parent_id(&parent.0)
            .max_results(PAGE_SIZE)
            .set_next_token(page)
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        let items = answer
            .accounts()
            .iter()
            .map(|account| account_from_aws(OPERATION, account));
        Ok(Page {
            items: items.collect::<Result<_>>()?,
            next: answer.next_token,
        })
    }

    async fn parent_of(&self, id: &AccountId) -> Result<ParentId> {
        const OPERATION: &str = "organizations.ListParents";
        let answer = self
            .client
            .list_parents()
            .child_id(id.as_str())
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        // AWS calls it a list; an account has exactly one.
        let parent = answer.parents().first().and_then(|parent| parent.id());
        Ok(ParentId(
            parent
                .ok_or_else(|| odd_answer(OPERATION, "parent"))?
                .to_owned(),
        ))
    }

    async fn move_account(&self, id: &AccountId, from: &ParentId, to: &ParentId) -> Result<()> {
        // After a lost reply a second call would not find the account where it was.
        self.client
            .move_account()
            .account_id(id.as_str())
            .source_parent_id(&from.0)
            .destination_parent_id(&to.0)
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(|error| classify("organizations.MoveAccount", error))?;
        Ok(())
    }

    async fn tags(&self, id: &AccountId) -> Result<Tags> {
        const OPERATION: &str = "organizations.ListTagsForResource";
        let (mut tags, mut page) = (Tags::new(), None);
        loop {
            let answer = self
                .client
                .list_tags_for_resource()
                .resource_id(id.as_str())
                .set_next_token(page)
                .send()
                .await
                .map_err(|error| classify(OPERATION, error))?;
            let read = answer
                .tags()
                .iter()
                .map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
            tags.extend(read);
            page = answer.next_token;
            if page.is_none() {
                return Ok(tags);
            }
        }
    }

    async fn tag(&self, id: &AccountId, tags: &Tags) -> Result<()> {
        const OPERATION: &str = "organizations.TagResource";
        self.client
            .tag_resource()
            .resource_id(id.as_str())
            .set_tags(Some(tags_to_aws(OPERATION, tags)?))
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        Ok(())
    }

    async fn untag(&self, id: &AccountId, keys: &[String]) -> Result<()> {
        self.client
            .untag_resource()
            .resource_id(id.as_str())
            .set_tag_keys(Some(keys.to_vec()))
            .send()
            .await
            .map_err(|error| classify("organizations.UntagResource", error))?;
        Ok(())
    }

    async fn close_account(&self, id: &AccountId, _: Turn) -> Result<()> {
        self.client
            .close_account()
            .account_id(id.as_str())
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(|error| classify("organizations.CloseAccount", error))?;
        Ok(())
    }
}

/// For a call that is not repeated by the SDK.
pub(super) fn once() -> Builder {
    aws_sdk_organizations::Config::builder().retry_config(never_again())
}

pub(super) fn tags_to_aws(operation: &'static str, tags: &Tags) -> Result<Vec<types::Tag>> {
    let tag = |(key, value): (&String, &String)| {
        // Fails only if a field is missing.
        let tag = types::Tag::builder().key(key).value(value).build();
        tag.map_err(|_| odd_answer(operation, "tag"))
    };
    tags.iter().map(tag).collect()
}

fn account_from_aws(operation: &'static str, account: &types::Account) -> Result<Account> {
    let id = account.id().and_then(|id| id.parse().ok());
    // `Status` is retired. Where an answer has no `State`, we do not know it, and so nothing is decided by it.
    let state = account
        .state()
        .map_or("UNSPECIFIED", |state| state.as_str());
    Ok(Account {
        id: id.ok_or_else(|| odd_answer(operation, "account id"))?,
        name: account.name().unwrap_or_default().to_owned(),
        email: account.email().unwrap_or_default().to_owned(),
        state: AccountState::from_aws(state),
        joined: timestamp(account.joined_timestamp()),
    })
}

fn request_from_aws(
    operation: &'static str,
    status: &types::CreateAccountStatus,
) -> Result<CreateRequest> {
    use types::CreateAccountState::{Failed, Succeeded};
    let state = match status.state() {
        Some(Succeeded) => {
            let id = status.account_id().and_then(|id| id.parse().ok());
            RequestState::Succeeded(id.ok_or_else(|| odd_answer(operation, "account id"))?)
        }
        Some(Failed) => {
            let reason = status
                .failure_reason()
                .map_or("UNSPECIFIED", |reason| reason.as_str());
            RequestState::Failed(reason.to_owned())
        }
        // A state that AWS has added since is neither success nor failure.
        _ => RequestState::InProgress,
    };
    Ok(CreateRequest {
        id: RequestId(
            status
                .id()
                .ok_or_else(|| odd_answer(operation, "request id"))?
                .to_owned(),
        ),
        account_name: status.account_name().unwrap_or_default().to_owned(),
        requested: timestamp(status.requested_timestamp()),
        completed: timestamp(status.completed_timestamp()),
        state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(deprecated)] // `Status`, which we must not read, is retired.
    fn the_state_is_read_and_the_status_is_not() {
        let account = types::Account::builder()
            .id("111122223333")
            .status(types::AccountStatus::Active);
        let read = |account: types::builders::AccountBuilder| {
            account_from_aws("organizations.ListAccounts", &account.build())
                .unwrap()
                .state
        };
        assert_eq!(
            read(account.clone()),
            AccountState::Unknown("UNSPECIFIED".to_owned())
        );
        let closed = account.clone().state(types::AccountState::Closed);
        assert_eq!(read(closed), AccountState::Closed);
        let new = account.state(types::AccountState::from("FROZEN"));
        assert_eq!(read(new), AccountState::Unknown("FROZEN".to_owned()));
    }

    #[test]
    fn a_request_without_what_its_state_promises_is_odd() {
        let request = types::CreateAccountStatus::builder().id("car-1");
        let read = |state: &str, account: Option<&str>| {
            let request = request
                .clone()
                .state(state.into())
                .set_account_id(account.map(str::to_owned));
            request_from_aws("organizations.CreateAccount", &request.build()).map(|r| r.state)
        };
        let id = "111122223333".parse().unwrap();
        assert_eq!(
            read("SUCCEEDED", Some("111122223333")),
            Ok(RequestState::Succeeded(id))
        );
        assert_eq!(read("SUCCEEDED", None).unwrap_err().code, "OddAnswer");
        assert_eq!(
            read("FAILED", None),
            Ok(RequestState::Failed("UNSPECIFIED".to_owned()))
        );
        assert_eq!(read("IN_PROGRESS", None), Ok(RequestState::InProgress));
        assert_eq!(read("PONDERING", None), Ok(RequestState::InProgress));
    }
}
