//! The way into a member account, and what is there: an alias, a password policy, and the way to its other services.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;

use super::credentials::{InsideBucket, InsideFiles, InsideSecrets};
use super::faults::Call;
use super::refusal::refused;
use super::repositories::InsideRegion;
use super::user_pools::InsidePool;
use super::world::World;
use super::{Gate, SessionKey};
use crate::cloud::credentials::{
    BucketPlace, CredentialFiles, CredentialsBucket, DeliveryPlace, SecretStore,
};
use crate::cloud::user_pools::UserPool;
use crate::cloud::{ErrorKind, MemberAccount, Repositories, Result, Sessions};
use crate::model::{AccountAlias, AccountId, PasswordPolicy, Region, RoleName, UserPoolId};

const ASSUME: &str = "sts.AssumeRole";
const LIST_ALIASES: &str = "iam.ListAccountAliases";
const CREATE_ALIAS: &str = "iam.CreateAccountAlias";
const GET_POLICY: &str = "iam.GetAccountPasswordPolicy";
const UPDATE_POLICY: &str = "iam.UpdateAccountPasswordPolicy";

impl World {
    /// Denied for every cause alike, as STS does: no such account, not yet or no longer usable, no such role.
    fn let_in(&self, operation: &'static str, id: &AccountId, role: &RoleName) -> Result<()> {
        let open = self.accounts.get(id).is_some_and(|account| {
            Self::is_usable(account) && account.access_role.as_ref() == Some(role)
        });
        if open {
            return Ok(());
        }
        let message = format!(
            "User is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::{id}:role/{role}"
        );
        Err(refused(operation, "AccessDenied", message))
    }

    fn set_alias(&mut self, id: &AccountId, alias: &AccountAlias) -> Result<()> {
        if self.aliases.contains_key(alias.as_str()) {
            // Whoever has it, this account included.
            let message = format!("The account alias {alias} already exists.");
            return Err(refused(CREATE_ALIAS, "EntityAlreadyExists", message));
        }
        self.give_alias(id, Some(alias.as_str()));
        Ok(())
    }

    /// An account has one alias at most: a new one replaces the one before, which is free again.
    pub(super) fn give_alias(&mut self, id: &AccountId, alias: Option<&str>) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        if let Some(before) = std::mem::replace(&mut account.alias, alias.map(str::to_owned)) {
            self.aliases.remove(&before);
        }
        if let Some(alias) = alias {
            self.aliases.insert(alias.to_owned(), Some(id.clone()));
        }
    }

    fn put_password_policy(&mut self, id: &AccountId, policy: &PasswordPolicy) -> Result<()> {
        let valid = (6..=128).contains(&policy.minimum_length)
            && policy
                .max_age_days
                .is_none_or(|days| (1..=1095).contains(&days))
            && policy
                .reuse_prevention
                .is_none_or(|count| (1..=24).contains(&count));
        if !valid {
            let message = "A value of the password policy is out of its range.";
            return Err(refused(UPDATE_POLICY, "ValidationError", message));
        }
        if let Some(account) = self.accounts.get_mut(id) {
            account.password_policy = Some(policy.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl Sessions for Gate {
    async fn enter(&self, id: &AccountId, role: &RoleName) -> Result<Arc<dyn MemberAccount>> {
        Ok(Arc::new(self.assume(id, role, None).await?))
    }

    fn is_open_for(&self, id: &AccountId, role: &RoleName, place: &DeliveryPlace) -> bool {
        self.has_session(&(id.clone(), role.clone(), Some(place.clone())))
    }

    async fn credential_files(
        &self,
        id: &AccountId,
        role: &RoleName,
        place: &BucketPlace,
    ) -> Result<Arc<dyn CredentialFiles>> {
        let narrow = DeliveryPlace::Files(place.clone());
        Ok(Arc::new(InsideFiles {
            inside: self.assume(id, role, Some(narrow)).await?,
            place: place.clone(),
        }))
    }

    async fn secret_store(
        &self,
        id: &AccountId,
        role: &RoleName,
        region: Region,
    ) -> Result<Arc<dyn SecretStore>> {
        let narrow = DeliveryPlace::Secrets(region);
        Ok(Arc::new(InsideSecrets {
            inside: self.assume(id, role, Some(narrow)).await?,
            region,
        }))
    }

    async fn user_pool(
        &self,
        account: Option<&(AccountId, RoleName)>,
        pool: &UserPoolId,
    ) -> Result<Arc<dyn UserPool>> {
        let inside = match account {
            None => None,
            Some((id, role)) => {
                let narrow = DeliveryPlace::UserPool(pool.clone());
                Some(self.assume(id, role, Some(narrow)).await?)
            }
        };
        Ok(Arc::new(InsidePool {
            gate: self.clone(),
            inside,
            pool: pool.clone(),
        }))
    }

    fn user_pool_url(&self, pool: &UserPoolId) -> String {
        self.sim.world().user_pool_url(pool)
    }
}

impl Gate {
    async fn assume(
        &self,
        id: &AccountId,
        role: &RoleName,
        narrow: Option<DeliveryPlace>,
    ) -> Result<Inside> {
        let key = (id.clone(), role.clone(), narrow);
        if !self.has_session(&key) {
            let until = self
                .call(Call::read(ASSUME, id), |world| {
                    world.let_in(ASSUME, id, role)?;
                    Ok(world.now + world.options.session)
                })
                .await?;
            self.sessions().insert(key.clone(), until);
        }
        let (id, role, narrow) = key;
        Ok(Inside {
            gate: self.clone(),
            id,
            role,
            narrow,
        })
    }

    fn has_session(&self, key: &SessionKey) -> bool {
        let now = self.sim.world().now;
        self.sessions().get(key).is_some_and(|until| now < *until)
    }

    fn close_session(&self, key: &SessionKey) {
        self.sessions().remove(key);
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionKey, Timestamp>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One member account, entered through one role. An open session is worth nothing once the account is closed or the
/// role is gone; the next one who enters then has to assume the role again, as with the AWS adapter.
#[derive(Clone)]
pub(super) struct Inside {
    gate: Gate,
    pub(super) id: AccountId,
    role: RoleName,
    narrow: Option<DeliveryPlace>,
}

impl Inside {
    pub(super) async fn call<T, F>(&self, call: Call, effect: F) -> Result<T>
    where
        T: Send,
        F: FnOnce(&mut World) -> Result<T> + Send,
    {
        let operation = call.operation;
        let checked = |world: &mut World| {
            world.let_in(operation, &self.id, &self.role)?;
            effect(world)
        };
        let answer = self.gate.call(call, checked).await;
        if matches!(&answer, Err(error) if error.kind == ErrorKind::Denied) {
            let key = (self.id.clone(), self.role.clone(), self.narrow.clone());
            self.gate.close_session(&key);
        }
        answer
    }
}

#[async_trait]
impl MemberAccount for Inside {
    async fn alias(&self) -> Result<Option<String>> {
        let call = Call::read(LIST_ALIASES, &self.id);
        self.call(call, |world| {
            Ok(world
                .accounts
                .get(&self.id)
                .and_then(|account| account.alias.clone()))
        })
        .await
    }

    async fn set_alias(&self, alias: &AccountAlias) -> Result<()> {
        let call = Call::write(CREATE_ALIAS, &self.id);
        self.call(call, |world| world.set_alias(&self.id, alias))
            .await
    }

    async fn password_policy(&self) -> Result<Option<PasswordPolicy>> {
        let call = Call::read(GET_POLICY, &self.id);
        self.call(call, |world| {
            Ok(world
                .accounts
                .get(&self.id)
                .and_then(|account| account.password_policy.clone()))
        })
        .await
    }

    async fn put_password_policy(&self, policy: &PasswordPolicy) -> Result<()> {
        let call = Call::write(UPDATE_POLICY, &self.id);
        self.call(call, |world| world.put_password_policy(&self.id, policy))
            .await
    }

    fn repositories(&self, region: Region) -> Arc<dyn Repositories> {
        Arc::new(InsideRegion {
            inside: self.clone(),
            region,
        })
    }

    fn credentials_bucket(&self, place: &BucketPlace) -> Arc<dyn CredentialsBucket> {
        Arc::new(InsideBucket {
            inside: self.clone(),
            place: place.clone(),
        })
    }
}
