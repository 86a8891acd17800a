//! The way into member accounts: STS AssumeRole, one session per account and role.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::config::SharedIdentityCache;
use aws_sdk_sts::config::retry::RetryPartition;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::get_caller_identity::{
    GetCallerIdentityError, GetCallerIdentityOutput,
};

use super::super::credentials::{BucketPlace, CredentialFiles, DeliveryPlace, SecretStore};
use super::super::recent::Recent;
use super::super::user_pools::UserPool;
use super::super::{CloudError, ErrorKind, MemberAccount, Result, Sessions};
use super::credential_files::S3Files;
use super::error::classify;
use super::member::Member;
use super::narrow;
use super::secret_store::SecretsManager;
use super::user_pools::{CognitoPool, Entered};
use super::{AwsOptions, odd_answer};
use crate::model::{AccountId, Region, RoleName, UserPoolId};

/// As long as AWS lets a session that was itself entered by a role (role chaining) live.
const SESSION_SECONDS: i32 = 3600;

/// Who we are to AWS.
pub(super) struct Identity {
    pub(super) account: String,
    pub(super) arn: String,
}

/// GetCallerIdentity needs no permission, so what fails is the credentials or the network.
pub(super) fn identity(
    answer: std::result::Result<GetCallerIdentityOutput, SdkError<GetCallerIdentityError>>,
) -> Result<Identity> {
    const OPERATION: &str = "sts.GetCallerIdentity";
    let answer = answer.map_err(|error| classify(OPERATION, error))?;
    Ok(Identity {
        account: answer
            .account
            .ok_or_else(|| odd_answer(OPERATION, "account"))?,
        arn: answer.arn.ok_or_else(|| odd_answer(OPERATION, "ARN"))?,
    })
}

/// What a session is open for.
pub(super) type SessionKey = (AccountId, RoleName);

/// The sessions that are open.
pub(super) struct OpenSessions(Mutex<Recent<SessionKey, Arc<dyn MemberAccount>>>);

impl OpenSessions {
    fn get(&self, key: &SessionKey) -> Option<Arc<dyn MemberAccount>> {
        self.lock().get(key).cloned()
    }

    fn keep(&self, key: SessionKey, member: Arc<dyn MemberAccount>) {
        self.lock().insert(key, member);
    }

    /// Closes the session if AWS does not let us do what we came for: the role may have been changed, and the next one
    /// to enter gets new credentials. What works in a session does not keep the others open, so it holds them weakly.
    pub(super) fn check(open: &Weak<Self>, key: &SessionKey, error: CloudError) -> CloudError {
        if error.kind == ErrorKind::Denied
            && let Some(open) = open.upgrade()
        {
            open.lock().remove(key);
        }
        error
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Recent<SessionKey, Arc<dyn MemberAccount>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clients that work inside of accounts, each call with its session's credentials.
#[derive(Clone)]
pub(super) struct Clients {
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) ecr: aws_sdk_ecr::Client,
    pub(super) s3: aws_sdk_s3::Client,
    pub(super) secrets: aws_sdk_secretsmanager::Client,
    pub(super) cognito: aws_sdk_cognitoidentityprovider::Client,
}

/// What a narrowed session is open for.
pub(super) type NarrowKey = (AccountId, RoleName, DeliveryPlace);

/// The narrowed sessions that are open.
pub(super) struct NarrowSessions(Mutex<Recent<NarrowKey, Arc<Session>>>);

impl NarrowSessions {
    fn get(&self, key: &NarrowKey) -> Option<Arc<Session>> {
        self.lock().get(key).cloned()
    }

    fn keep(&self, key: NarrowKey, session: Arc<Session>) {
        self.lock().insert(key, session);
    }

    /// Closes the session if AWS does not let us do what we came for: the role may have been changed, and the next one
    /// to enter gets new credentials.
    pub(super) fn check(&self, key: &NarrowKey, error: CloudError) -> CloudError {
        if error.kind == ErrorKind::Denied {
            self.lock().remove(key);
        }
        error
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Recent<NarrowKey, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// [`Sessions`] by STS AssumeRole.
pub(super) struct AssumedSessions {
    sts: aws_sdk_sts::Client,
    inside: Clients,
    /// `aws`, `aws-cn` or `aws-us-gov`: that of our own ARN.
    partition: String,
    session_name: String,
    external_id: Option<String>,
    /// Where AWS is reached, if not where it is at home.
    endpoint: Option<String>,
    open: Arc<OpenSessions>,
    narrow: Arc<NarrowSessions>,
}

impl AssumedSessions {
    pub(super) fn new(
        sts: aws_sdk_sts::Client,
        inside: Clients,
        us: &Identity,
        options: &AwsOptions,
        endpoint: Option<&str>,
    ) -> Self {
        Self {
            sts,
            inside,
            partition: us.arn.split(':').nth(1).unwrap_or("aws").to_owned(),
            session_name: session_name(&options.cluster),
            external_id: options.external_id.clone(),
            endpoint: endpoint.map(str::to_owned),
            open: Arc::new(OpenSessions(Mutex::new(Recent::new(options.sessions)))),
            narrow: Arc::new(NarrowSessions(Mutex::new(Recent::new(options.sessions)))),
        }
    }

    /// A new session, with no more rights than `policy` lets it have, if there is one.
    async fn assume(
        &self,
        id: &AccountId,
        role: &RoleName,
        policy: Option<String>,
    ) -> Result<Session> {
        let credentials = SharedCredentialsProvider::new(AssumedRole {
            sts: self.sts.clone(),
            role: format!("arn:{}:iam::{id}:role/{role}", self.partition),
            session_name: self.session_name.clone(),
            external_id: self.external_id.clone(),
            policy,
        });
        let session = Session::new(id, credentials);
        let inside = self
            .sts
            .get_caller_identity()
            .customize()
            .config_override(session.sts());
        check_identity(id, &identity(inside.send().await)?)?;
        Ok(session)
    }

    /// The session for this delivery alone.
    async fn narrowed(&self, key: &NarrowKey) -> Result<Arc<Session>> {
        if let Some(session) = self.narrow.get(key) {
            return Ok(session);
        }
        let (id, role, place) = key;
        let policy = narrow::policy(&self.partition, id, place);
        let session = Arc::new(self.assume(id, role, Some(policy)).await?);
        self.narrow.keep(key.clone(), Arc::clone(&session));
        Ok(session)
    }
}

#[async_trait]
impl Sessions for AssumedSessions {
    fn entered(&self, id: &AccountId, role: &RoleName) -> Option<Arc<dyn MemberAccount>> {
        self.open.get(&(id.clone(), role.clone()))
    }

    async fn enter(&self, id: &AccountId, role: &RoleName) -> Result<Arc<dyn MemberAccount>> {
        if let Some(member) = self.entered(id, role) {
            return Ok(member);
        }
        let session = self.assume(id, role, None).await?;
        let key = (id.clone(), role.clone());
        let member: Arc<dyn MemberAccount> = Arc::new(Member::new(
            self.inside.clone(),
            session,
            key.clone(),
            &self.open,
        ));
        self.open.keep(key, Arc::clone(&member));
        Ok(member)
    }

    fn is_open_for(&self, id: &AccountId, role: &RoleName, place: &DeliveryPlace) -> bool {
        let key = (id.clone(), role.clone(), place.clone());
        self.narrow.get(&key).is_some()
    }

    async fn credential_files(
        &self,
        id: &AccountId,
        role: &RoleName,
        place: &BucketPlace,
    ) -> Result<Arc<dyn CredentialFiles>> {
        let key = (
            id.clone(),
            role.clone(),
            DeliveryPlace::Files(place.clone()),
        );
        let session = self.narrowed(&key).await?;
        let narrow = Arc::clone(&self.narrow);
        let client = self.inside.s3.clone();
        Ok(Arc::new(S3Files::new(
            client,
            session,
            place.clone(),
            key,
            narrow,
        )))
    }

    async fn secret_store(
        &self,
        id: &AccountId,
        role: &RoleName,
        region: Region,
    ) -> Result<Arc<dyn SecretStore>> {
        let key = (id.clone(), role.clone(), DeliveryPlace::Secrets(region));
        let session = self.narrowed(&key).await?;
        let narrow = Arc::clone(&self.narrow);
        let client = self.inside.secrets.clone();
        Ok(Arc::new(SecretsManager::new(
            client, session, region, key, narrow,
        )))
    }

    async fn user_pool(
        &self,
        account: Option<&(AccountId, RoleName)>,
        pool: &UserPoolId,
    ) -> Result<Arc<dyn UserPool>> {
        let entered = match account {
            None => None,
            Some((id, role)) => {
                let place = DeliveryPlace::UserPool(pool.clone());
                let key = (id.clone(), role.clone(), place);
                Some(Entered {
                    session: self.narrowed(&key).await?,
                    key,
                    open: Arc::clone(&self.narrow),
                })
            }
        };
        let client = self.inside.cognito.clone();
        Ok(Arc::new(CognitoPool::new(client, pool.clone(), entered)))
    }

    fn user_pool_url(&self, pool: &UserPoolId) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("{}/{pool}", endpoint.trim_end_matches('/')),
            None => pool.issuer(),
        }
    }
}

/// What the calls in one account have of their own. The clients are shared, since each client of its own would take some
/// twenty kilobytes, for thousands of accounts.
#[derive(Debug)]
pub(super) struct Session {
    credentials: SharedCredentialsProvider,
    /// The SDK's shared one has room for 64 identities only.
    identities: SharedIdentityCache,
    /// The SDK's shared one counts the retries of all accounts together: one that is throttled would slow the others.
    retries: RetryPartition,
}

impl Session {
    fn new(id: &AccountId, credentials: SharedCredentialsProvider) -> Self {
        let identities = IdentityCache::lazy()
            .load_timeout(Duration::from_secs(60))
            .buffer_time(Duration::from_secs(60))
            .build();
        let retries = RetryPartition::custom(format!("account/{id}")).build();
        Self {
            credentials,
            identities,
            retries,
        }
    }

    /// To call STS from inside.
    fn sts(&self) -> aws_sdk_sts::config::Builder {
        let mut builder = aws_sdk_sts::Config::builder()
            .identity_cache(self.identities.clone())
            .retry_partition(self.retries.clone());
        // Not by `credentials_provider`: that would wrap the provider anew, and each call would ask for a session of
        // its own.
        builder.set_credentials_provider(Some(self.credentials.clone()));
        builder
    }

    /// To call ECR from inside.
    pub(super) fn ecr(&self) -> aws_sdk_ecr::config::Builder {
        let mut builder = aws_sdk_ecr::Config::builder()
            .identity_cache(self.identities.clone())
            .retry_partition(self.retries.clone());
        builder.set_credentials_provider(Some(self.credentials.clone()));
        builder
    }

    /// To call S3 from inside.
    pub(super) fn s3(&self) -> aws_sdk_s3::config::Builder {
        let mut builder = aws_sdk_s3::Config::builder()
            .identity_cache(self.identities.clone())
            .retry_partition(self.retries.clone());
        builder.set_credentials_provider(Some(self.credentials.clone()));
        builder
    }

    /// To call Secrets Manager from inside.
    pub(super) fn secrets(&self) -> aws_sdk_secretsmanager::config::Builder {
        let mut builder = aws_sdk_secretsmanager::Config::builder()
            .identity_cache(self.identities.clone())
            .retry_partition(self.retries.clone());
        builder.set_credentials_provider(Some(self.credentials.clone()));
        builder
    }

    /// To call Cognito from inside.
    pub(super) fn cognito(&self) -> aws_sdk_cognitoidentityprovider::config::Builder {
        let mut builder = aws_sdk_cognitoidentityprovider::Config::builder()
            .identity_cache(self.identities.clone())
            .retry_partition(self.retries.clone());
        builder.set_credentials_provider(Some(self.credentials.clone()));
        builder
    }

    /// To call IAM from inside.
    pub(super) fn iam(&self) -> aws_sdk_iam::config::Builder {
        let mut builder = aws_sdk_iam::Config::builder()
            .identity_cache(self.identities.clone())
            .retry_partition(self.retries.clone());
        builder.set_credentials_provider(Some(self.credentials.clone()));
        builder
    }
}

/// Nothing is done in an account that is not the one that was meant.
fn check_identity(id: &AccountId, inside: &Identity) -> Result<()> {
    if inside.account == id.as_str() {
        return Ok(());
    }
    let message = format!(
        "the session that was to be in account {id} is in account {} as {}",
        inside.account, inside.arn
    );
    Err(CloudError::new(
        ErrorKind::Denied,
        "sts.AssumeRole",
        "WrongAccount",
        message,
    ))
}

/// `bailiwick-<cluster>`, in the letters and the length that AWS takes.
fn session_name(cluster: &str) -> String {
    let takes = |c: char| c.is_ascii_alphanumeric() || "_=,.@-".contains(c);
    let cluster = cluster.chars().map(|c| if takes(c) { c } else { '-' });
    "bailiwick-".chars().chain(cluster).take(64).collect()
}

/// Credentials of a role, from STS. Asked again by the identity cache shortly before they expire.
#[derive(Debug)]
struct AssumedRole {
    sts: aws_sdk_sts::Client,
    role: String,
    session_name: String,
    external_id: Option<String>,
    /// What the session may do at most; all that the role may if `None`.
    policy: Option<String>,
}

impl AssumedRole {
    async fn assume(&self) -> provider::Result {
        const OPERATION: &str = "sts.AssumeRole";
        // Our own error goes through the SDK unchanged and comes out of the call that needed the credentials.
        let failed = |error: CloudError| CredentialsError::provider_error(error);
        let answer = self
            .sts
            .assume_role()
            .role_arn(&self.role)
            .role_session_name(&self.session_name)
            .set_external_id(self.external_id.clone())
            .set_policy(self.policy.clone())
            .duration_seconds(SESSION_SECONDS)
            .send()
            .await
            .map_err(|error| failed(classify(OPERATION, error)))?;
        let given = answer
            .credentials()
            .ok_or_else(|| failed(odd_answer(OPERATION, "session")))?;
        let expires = SystemTime::try_from(*given.expiration());
        Ok(Credentials::new(
            given.access_key_id(),
            given.secret_access_key(),
            Some(given.session_token().to_owned()),
            Some(expires.map_err(|_| failed(odd_answer(OPERATION, "expiry")))?),
            "AssumeRole",
        ))
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_are_ones_that_aws_takes() {
        assert_eq!(session_name("prod"), "bailiwick-prod");
        assert_eq!(session_name("prod/eu west"), "bailiwick-prod-eu-west");
        assert_eq!(session_name(&"x".repeat(100)).len(), 64);
    }

    #[test]
    fn another_account_is_not_entered() {
        let id: AccountId = "111122223333".parse().unwrap();
        let inside = |account: &str| Identity {
            account: account.to_owned(),
            arn: String::new(),
        };
        assert!(check_identity(&id, &inside("111122223333")).is_ok());
        let error = check_identity(&id, &inside("999988887777")).unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Denied, "WrongAccount")
        );
    }
}
