//! Settings of member accounts by the Account Management API.

use async_trait::async_trait;
use aws_sdk_account::Client;
use aws_sdk_account::config::Builder;
use aws_sdk_account::types::{AlternateContactType, RegionOptStatus};

use super::super::{AccountSettings, ErrorKind, RegionState, Result};
use super::error::classify;
use super::{never_again, odd_answer};
use crate::model::{AccountId, AccountName, AlternateContact, ContactKind, Region, RootEmail};

/// [`AccountSettings`] by the Account Management API.
pub(super) struct AccountManagement {
    client: Client,
}

impl AccountManagement {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl AccountSettings for AccountManagement {
    async fn contact(&self, id: &AccountId, kind: ContactKind) -> Result<Option<AlternateContact>> {
        let answer = self
            .client
            .get_alternate_contact()
            .account_id(id.as_str())
            .alternate_contact_type(contact_type(kind))
            .send()
            .await
            .map_err(|error| classify("account.GetAlternateContact", error));
        let answer = match answer {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            answer => answer?,
        };
        Ok(answer.alternate_contact().map(|contact| AlternateContact {
            name: contact.name().unwrap_or_default().to_owned(),
            title: contact.title().unwrap_or_default().to_owned(),
            email: contact.email_address().unwrap_or_default().to_owned(),
            phone: contact.phone_number().unwrap_or_default().to_owned(),
        }))
    }

    async fn put_contact(
        &self,
        id: &AccountId,
        kind: ContactKind,
        contact: &AlternateContact,
    ) -> Result<()> {
        let AlternateContact {
            name,
            title,
            email,
            phone,
        } = contact;
        self.client
            .put_alternate_contact()
            .account_id(id.as_str())
            .alternate_contact_type(contact_type(kind))
            .name(name)
            .title(title)
            .email_address(email)
            .phone_number(phone)
            .send()
            .await
            .map_err(|error| classify("account.PutAlternateContact", error))?;
        Ok(())
    }

    async fn rename(&self, id: &AccountId, name: &AccountName) -> Result<()> {
        self.client
            .put_account_name()
            .account_id(id.as_str())
            .account_name(name.as_str())
            .send()
            .await
            .map_err(|error| classify("account.PutAccountName", error))?;
        Ok(())
    }

    async fn start_email_update(&self, id: &AccountId, email: &RootEmail) -> Result<()> {
        // Every call sends a code, and only the last one is valid.
        self.client
            .start_primary_email_update()
            .account_id(id.as_str())
            .primary_email(email.as_str())
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(|error| classify("account.StartPrimaryEmailUpdate", error))?;
        Ok(())
    }

    async fn accept_email_update(
        &self,
        id: &AccountId,
        email: &RootEmail,
        code: &str,
    ) -> Result<()> {
        // A code is good for one call.
        self.client
            .accept_primary_email_update()
            .account_id(id.as_str())
            .primary_email(email.as_str())
            .otp(code)
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(|error| classify("account.AcceptPrimaryEmailUpdate", error))?;
        Ok(())
    }

    async fn region(&self, id: &AccountId, region: Region) -> Result<RegionState> {
        const OPERATION: &str = "account.GetRegionOptStatus";
        let answer = self
            .client
            .get_region_opt_status()
            .account_id(id.as_str())
            .region_name(region.as_str())
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        match answer.region_opt_status() {
            Some(RegionOptStatus::Enabled | RegionOptStatus::EnabledByDefault) => {
                Ok(RegionState::Enabled)
            }
            Some(RegionOptStatus::Enabling) => Ok(RegionState::Enabling),
            Some(RegionOptStatus::Disabling) => Ok(RegionState::Disabling),
            Some(RegionOptStatus::Disabled) => Ok(RegionState::Disabled),
            _ => Err(odd_answer(OPERATION, "region status")),
        }
    }

    async fn enable_region(&self, id: &AccountId, region: Region) -> Result<()> {
        self.client
            .enable_region()
            .account_id(id.as_str())
            .region_name(region.as_str())
            .send()
            .await
            .map_err(|error| classify("account.EnableRegion", error))?;
        Ok(())
    }
}

/// For a call that is not repeated by the SDK.
fn once() -> Builder {
    aws_sdk_account::Config::builder().retry_config(never_again())
}

fn contact_type(kind: ContactKind) -> AlternateContactType {
    match kind {
        ContactKind::Billing => AlternateContactType::Billing,
        ContactKind::Operations => AlternateContactType::Operations,
        ContactKind::Security => AlternateContactType::Security,
    }
}
