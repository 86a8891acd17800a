//! One member account from inside, by IAM; and the way to its other services.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use aws_sdk_iam::types;

use super::super::credentials::{BucketPlace, CredentialsBucket};
use super::super::{CloudError, ErrorKind, MemberAccount, Repositories, Result};
use super::credentials_bucket::S3CredentialsBucket;
use super::error::classify;
use super::repositories::EcrRepositories;
use super::sessions::{Clients, OpenSessions, Session, SessionKey};
use super::{never_again, odd_answer};
use crate::model::{AccountAlias, PasswordPolicy, Region};

/// [`MemberAccount`] by the IAM of the account that the session is in.
pub(super) struct Member {
    clients: Clients,
    session: Arc<Session>,
    key: SessionKey,
    /// Where this session is kept open. Weak, since that holds us.
    open: Weak<OpenSessions>,
}

impl Member {
    pub(super) fn new(
        clients: Clients,
        session: Session,
        key: SessionKey,
        open: &Arc<OpenSessions>,
    ) -> Self {
        Self {
            clients,
            session: Arc::new(session),
            key,
            open: Arc::downgrade(open),
        }
    }

    /// What AWS does not let us do closes the session.
    fn check(&self, error: CloudError) -> CloudError {
        OpenSessions::check(&self.open, &self.key, error)
    }
}

#[async_trait]
impl MemberAccount for Member {
    async fn alias(&self) -> Result<Option<String>> {
        let call = self.clients.iam.list_account_aliases().customize();
        let answer = call.config_override(self.session.iam()).send().await;
        let answer =
            answer.map_err(|error| self.check(classify("iam.ListAccountAliases", error)))?;
        // AWS calls it a list; an account has one at most.
        Ok(answer.account_aliases().first().cloned())
    }

    async fn set_alias(&self, alias: &AccountAlias) -> Result<()> {
        // After a lost reply a second call would say that the alias is taken, by whomever.
        let once = self.session.iam().retry_config(never_again());
        self.clients
            .iam
            .create_account_alias()
            .account_alias(alias.as_str())
            .customize()
            .config_override(once)
            .send()
            .await
            .map_err(|error| self.check(classify("iam.CreateAccountAlias", error)))?;
        Ok(())
    }

    async fn password_policy(&self) -> Result<Option<PasswordPolicy>> {
        const OPERATION: &str = "iam.GetAccountPasswordPolicy";
        let call = self.clients.iam.get_account_password_policy().customize();
        let answer = call.config_override(self.session.iam()).send().await;
        match answer.map_err(|error| self.check(classify(OPERATION, error))) {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(answer) => {
                let policy = answer.password_policy();
                policy_from_aws(policy.ok_or_else(|| odd_answer(OPERATION, "policy"))?).map(Some)
            }
        }
    }

    async fn put_password_policy(&self, policy: &PasswordPolicy) -> Result<()> {
        let PasswordPolicy {
            minimum_length,
            require_uppercase,
            require_lowercase,
            require_numbers,
            require_symbols,
            allow_users_to_change,
            max_age_days,
            reuse_prevention,
            hard_expiry,
        } = policy;
        // What is left out goes back to AWS's default, which is what `None` means.
        self.clients
            .iam
            .update_account_password_policy()
            .minimum_password_length(i32::from(*minimum_length))
            .require_uppercase_characters(*require_uppercase)
            .require_lowercase_characters(*require_lowercase)
            .require_numbers(*require_numbers)
            .require_symbols(*require_symbols)
            .allow_users_to_change_password(*allow_users_to_change)
            .set_max_password_age(max_age_days.map(i32::from))
            .set_password_reuse_prevention(reuse_prevention.map(i32::from))
            .hard_expiry(*hard_expiry)
            .customize()
            .config_override(self.session.iam())
            .send()
            .await
            .map_err(|error| self.check(classify("iam.UpdateAccountPasswordPolicy", error)))?;
        Ok(())
    }

    fn repositories(&self, region: Region) -> Arc<dyn Repositories> {
        Arc::new(EcrRepositories::new(
            self.clients.ecr.clone(),
            Arc::clone(&self.session),
            region,
            (self.key.clone(), self.open.clone()),
        ))
    }

    fn credentials_bucket(&self, place: &BucketPlace) -> Arc<dyn CredentialsBucket> {
        Arc::new(S3CredentialsBucket::new(
            self.clients.s3.clone(),
            Arc::clone(&self.session),
            place.clone(),
            (self.key.clone(), self.open.clone()),
        ))
    }
}

fn policy_from_aws(policy: &types::PasswordPolicy) -> Result<PasswordPolicy> {
    const OPERATION: &str = "iam.GetAccountPasswordPolicy";
    let default = PasswordPolicy::default();
    let minimum = match policy.minimum_password_length() {
        Some(length) => {
            u8::try_from(length).map_err(|_| odd_answer(OPERATION, "minimum length"))?
        }
        None => default.minimum_length,
    };
    // AWS writes "no limit" as an absent field and, in some answers, as zero.
    let positive = |value: Option<i32>| value.filter(|value| *value > 0);
    let age = positive(policy.max_password_age())
        .map(u16::try_from)
        .transpose();
    let reuse = positive(policy.password_reuse_prevention())
        .map(u8::try_from)
        .transpose();
    Ok(PasswordPolicy {
        minimum_length: minimum,
        require_uppercase: policy.require_uppercase_characters(),
        require_lowercase: policy.require_lowercase_characters(),
        require_numbers: policy.require_numbers(),
        require_symbols: policy.require_symbols(),
        allow_users_to_change: policy.allow_users_to_change_password(),
        max_age_days: age.map_err(|_| odd_answer(OPERATION, "maximum age"))?,
        reuse_prevention: reuse.map_err(|_| odd_answer(OPERATION, "reuse prevention"))?,
        hard_expiry: policy.hard_expiry().unwrap_or(default.hard_expiry),
    })
}
