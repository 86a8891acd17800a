//! The Account Management API, called from the management account about a member.

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;
use rand::RngExt;

use std::time::Duration;

use super::Gate;
use super::faults::Call;
use super::refusal::{refused, throttled};
use super::world::{AccountRecord, EmailUpdate, EmailUse, Event, World};
use crate::cloud::{AccountSettings, CloudError, RegionState, Result};
use crate::model::{
    AccountId, AccountName, AccountState, AlternateContact, ContactKind, Region, RootEmail,
};

const GET_CONTACT: &str = "account.GetAlternateContact";
const PUT_CONTACT: &str = "account.PutAlternateContact";
const PUT_NAME: &str = "account.PutAccountName";
const START_EMAIL: &str = "account.StartPrimaryEmailUpdate";
const ACCEPT_EMAIL: &str = "account.AcceptPrimaryEmailUpdate";
const GET_REGION: &str = "account.GetRegionOptStatus";
const ENABLE_REGION: &str = "account.EnableRegion";

/// "Maximum number of StartPrimaryEmailUpdate requests per target account: 3 per 30 seconds".
const CODES: (usize, Duration) = (3, Duration::from_secs(30));
/// "Number of concurrent region-opt requests per account", and "per organization".
const REGIONS_AT_ONCE: (usize, usize) = (6, 50);

impl World {
    /// The member that a call is about. Denied without trusted access, for accounts of others, and for the
    /// management account, which must not name itself.
    fn member(&mut self, operation: &'static str, id: &AccountId) -> Result<&mut AccountRecord> {
        let trusted = self.options.account_management_trusted;
        match self.accounts.get_mut(id) {
            Some(account) if trusted && *id != self.management => Ok(account),
            _ => Err(denied(operation)),
        }
    }

    /// The member that a write is about: nothing can be changed in one that is closed or suspended.
    fn open_member(
        &mut self,
        operation: &'static str,
        id: &AccountId,
    ) -> Result<&mut AccountRecord> {
        let account = self.member(operation, id)?;
        if account.state.is_leaving() {
            Err(denied(operation))
        } else {
            Ok(account)
        }
    }

    fn put_contact(
        &mut self,
        id: &AccountId,
        kind: ContactKind,
        contact: &AlternateContact,
    ) -> Result<()> {
        let account = self.open_member(PUT_CONTACT, id)?;
        let fields = [
            (&contact.name, 64),
            (&contact.title, 50),
            (&contact.email, 254),
            (&contact.phone, 25),
        ];
        for (field, most) in fields {
            if !(1..=most).contains(&field.chars().count()) {
                let message = format!("a contact's field must have 1 to {most} characters");
                return Err(refused(PUT_CONTACT, "ValidationException", message));
            }
        }
        account.contacts.insert(kind, contact.clone());
        Ok(())
    }

    fn rename(&mut self, id: &AccountId, name: &AccountName) -> Result<()> {
        self.open_member(PUT_NAME, id)?;
        let event = Event::Rename(id.clone(), name.as_str().to_owned());
        self.plan(self.options.rename_lag, event);
        Ok(())
    }

    fn start_email_update(&mut self, id: &AccountId, email: &RootEmail) -> Result<()> {
        let now = self.now;
        let code = format!("{:06}", self.chance.random_range(0..1_000_000));
        let taken = self.emails.contains_key(&email.key());
        let account = self.open_member(START_EMAIL, id)?;
        if taken {
            return Err(refused(
                START_EMAIL,
                "ConflictException",
                "The email address is already in use.",
            ));
        }
        let recent = |at: &&Timestamp| now < **at + CODES.1;
        if account.codes_sent.iter().filter(recent).count() >= CODES.0 {
            return Err(throttled(START_EMAIL));
        }
        account.codes_sent.push(now);
        let email = email.as_str().to_owned();
        account.email_update = Some(EmailUpdate {
            email,
            code,
            sent: now,
        });
        Ok(())
    }

    fn accept_email_update(&mut self, id: &AccountId, email: &RootEmail, code: &str) -> Result<()> {
        let now = self.now;
        let lasts = self.options.email_code_lasts;
        let account = self.open_member(ACCEPT_EMAIL, id)?;
        let Some(update) = account.email_update.clone() else {
            let message = "There is no update of the primary email address to accept.";
            return Err(refused(ACCEPT_EMAIL, "ResourceNotFoundException", message));
        };
        if !update.email.eq_ignore_ascii_case(email.as_str())
            || update.code != code
            || now >= update.sent + lasts
        {
            let message = "The one-time password is not valid for that email address.";
            return Err(refused(ACCEPT_EMAIL, "ValidationException", message));
        }
        if self.emails.contains_key(&email.key()) {
            let message = "The email address is already in use.";
            return Err(refused(ACCEPT_EMAIL, "ConflictException", message));
        }
        self.set_email(id, update.email);
        Ok(())
    }

    /// Gives the account another address; the one that it had is free again.
    pub(super) fn set_email(&mut self, id: &AccountId, email: String) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        account.email_update = None;
        let before = std::mem::replace(&mut account.email, email.clone());
        self.emails.remove(&before.to_ascii_lowercase());
        self.emails
            .insert(email.to_ascii_lowercase(), EmailUse::Account(id.clone()));
    }

    fn region(&mut self, id: &AccountId, region: Region) -> Result<RegionState> {
        let account = self.member(GET_REGION, id)?;
        if !region.is_opt_in() {
            return Ok(RegionState::Enabled);
        }
        Ok(account
            .regions
            .get(&region)
            .copied()
            .unwrap_or(RegionState::Disabled))
    }

    fn enable_region(&mut self, id: &AccountId, region: Region) -> Result<()> {
        let organization_busy = self.regions_enabling >= REGIONS_AT_ONCE.1;
        let account = self.open_member(ENABLE_REGION, id)?;
        if !region.is_opt_in() {
            let message = format!("{region} is enabled by default.");
            return Err(refused(ENABLE_REGION, "ValidationException", message));
        }
        match account
            .regions
            .get(&region)
            .copied()
            .unwrap_or(RegionState::Disabled)
        {
            RegionState::Enabled => return Ok(()),
            RegionState::Enabling | RegionState::Disabling => {
                let message = format!("The status of {region} is being changed.");
                return Err(refused(ENABLE_REGION, "ConflictException", message));
            }
            RegionState::Disabled => {}
        }
        let busy = account
            .regions
            .values()
            .filter(|state| **state == RegionState::Enabling);
        if organization_busy || busy.count() >= REGIONS_AT_ONCE.0 {
            return Err(throttled(ENABLE_REGION));
        }
        account.regions.insert(region, RegionState::Enabling);
        self.regions_enabling += 1;
        self.plan(
            self.options.region_opt_in,
            Event::FinishRegion(id.clone(), region),
        );
        Ok(())
    }

    /// Whether the account can be entered and used. Everything in a closed or suspended account is out of reach,
    /// and a new one is not usable before its activation.
    pub(super) fn is_usable(account: &AccountRecord) -> bool {
        matches!(
            account.state,
            AccountState::Active | AccountState::Unknown(_)
        )
    }
}

fn denied(operation: &'static str) -> CloudError {
    let message = "User isn't authorized to access the account.";
    refused(operation, "AccessDeniedException", message)
}

#[async_trait]
impl AccountSettings for Gate {
    async fn contact(&self, id: &AccountId, kind: ContactKind) -> Result<Option<AlternateContact>> {
        self.call(Call::read(GET_CONTACT, id), |world| {
            Ok(world.member(GET_CONTACT, id)?.contacts.get(&kind).cloned())
        })
        .await
    }

    async fn put_contact(
        &self,
        id: &AccountId,
        kind: ContactKind,
        contact: &AlternateContact,
    ) -> Result<()> {
        let call = Call::write(PUT_CONTACT, id);
        self.call(call, |world| world.put_contact(id, kind, contact))
            .await
    }

    async fn rename(&self, id: &AccountId, name: &AccountName) -> Result<()> {
        self.call(Call::write(PUT_NAME, id), |world| world.rename(id, name))
            .await
    }

    async fn start_email_update(&self, id: &AccountId, email: &RootEmail) -> Result<()> {
        let call = Call::write(START_EMAIL, id);
        self.call(call, |world| world.start_email_update(id, email))
            .await
    }

    async fn accept_email_update(
        &self,
        id: &AccountId,
        email: &RootEmail,
        code: &str,
    ) -> Result<()> {
        let call = Call::write(ACCEPT_EMAIL, id);
        self.call(call, |world| world.accept_email_update(id, email, code))
            .await
    }

    async fn region(&self, id: &AccountId, region: Region) -> Result<RegionState> {
        self.call(Call::read(GET_REGION, id), |world| world.region(id, region))
            .await
    }

    async fn enable_region(&self, id: &AccountId, region: Region) -> Result<()> {
        let call = Call::write(ENABLE_REGION, id);
        self.call(call, |world| world.enable_region(id, region))
            .await
    }
}
