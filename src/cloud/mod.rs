//! Ports to AWS: one small trait per capability, in the words of bailiwick, without a type of the SDK.
//!
//! `aws` talks to AWS, `simulated` is AWS in memory. Everything reaches them through [`governed`], which keeps the
//! rate budgets and counts the calls, so that no caller can forget to.

pub mod aws;
pub mod budget;
pub mod credentials;
pub mod error;
pub mod governed;
mod recent;
mod repositories;
#[cfg(feature = "dev")]
pub mod simulated;
pub mod storage;
pub mod user_pools;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;

use self::credentials::{
    BucketPlace, CredentialFiles, CredentialsBucket, DeliveryPlace, SecretStore,
};
use self::user_pools::UserPool;
use crate::model::{
    AccountAlias, AccountId, AccountName, AccountState, AlternateContact, ContactKind,
    OrganizationId, PasswordPolicy, Region, RoleName, RootEmail, Tags, UserPoolId,
};
pub use error::{CloudError, ErrorKind};
pub use repositories::{
    IMAGES_AT_ONCE, Image, ImageCount, NewRepository, RegistryToken, Repositories, Repository,
};

/// What a port answers.
pub type Result<T> = std::result::Result<T, CloudError>;

/// All ports of one organization, as the management account (or its delegate) sees it.
#[derive(Clone)]
pub struct Cloud {
    /// Member accounts.
    pub accounts: Arc<dyn Accounts>,
    /// Organizational units.
    pub units: Arc<dyn Units>,
    /// What the Account Management API keeps about a member account.
    pub settings: Arc<dyn AccountSettings>,
    /// The way into a member account.
    pub sessions: Arc<dyn Sessions>,
}

/// One page of a list, and the token for the next one.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items of this page, at most twenty in AWS Organizations.
    pub items: Vec<T>,
    /// `None`: this was the last page.
    pub next: Option<String>,
}

/// A member account, as a list or a description shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name. As AWS has it: the name of an account made by hand may be one that we would refuse.
    pub name: String,
    /// Its root user's e-mail address, as AWS has it.
    pub email: String,
    /// Its state.
    pub state: AccountState,
    /// When it joined the organization, if AWS says.
    pub joined: Option<Timestamp>,
}

/// The id of a root (`r-…`) or of an organizational unit (`ou-…`): what an account can be placed in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParentId(pub String);

impl std::fmt::Display for ParentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An organizational unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its id.
    pub id: ParentId,
    /// Its name among its siblings.
    pub name: String,
}

/// The organization itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// Its id.
    pub id: OrganizationId,
    /// The account that it is managed from.
    pub management: AccountId,
}

/// The id of an account creation request, `car-…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub String);

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What CreateAccount is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// The root user's e-mail address.
    pub email: RootEmail,
    /// The account's name.
    pub name: AccountName,
    /// The role that AWS makes in it, through which we enter.
    pub access_role: RoleName,
    /// Tags from birth on, ours among them.
    pub tags: Tags,
}

/// How far a creation request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestState {
    /// AWS is at it.
    InProgress,
    /// The account exists.
    Succeeded(AccountId),
    /// AWS gave up, and says why (`EMAIL_ALREADY_EXISTS`, …).
    Failed(String),
}

/// A creation request, as AWS remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// Its id.
    pub id: RequestId,
    /// The name that was asked for. AWS does not show the e-mail address here.
    pub account_name: String,
    /// When AWS took the request.
    pub requested: Option<Timestamp>,
    /// When AWS finished it.
    pub completed: Option<Timestamp>,
    /// How far it is.
    pub state: RequestState,
}

/// The turn to make one call: the budget's leave, held until the call is answered. Where no budget is kept it is empty.
#[derive(Debug, Default)]
pub struct Turn(Option<budget::Permit>);

/// Member accounts: AWS Organizations, from the management account.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// CreateAccount. Not idempotent and without a client token: record the intent first, and after a lost reply
    /// search before calling again.
    async fn create_account(&self, new: &NewAccount) -> Result<CreateRequest>;
    /// ListCreateAccountStatus, one page; only those in progress if asked so.
    async fn create_requests(
        &self,
        only_in_progress: bool,
        page: Option<String>,
    ) -> Result<Page<CreateRequest>>;
    /// DescribeCreateAccountStatus.
    async fn create_request(&self, id: &RequestId) -> Result<CreateRequest>;
    /// DescribeAccount.
    async fn account(&self, id: &AccountId) -> Result<Account>;
    /// ListAccounts, one page.
    async fn accounts(&self, page: Option<String>) -> Result<Page<Account>>;
    /// ListAccountsForParent, one page.
    async fn accounts_in(&self, parent: &ParentId, page: Option<String>) -> Result<Page<Account>>;
    /// ListParents: where the account is.
    async fn parent_of(&self, id: &AccountId) -> Result<ParentId>;
    /// MoveAccount.
    async fn move_account(&self, id: &AccountId, from: &ParentId, to: &ParentId) -> Result<()>;
    /// ListTagsForResource, all pages.
    async fn tags(&self, id: &AccountId) -> Result<Tags>;
    /// TagResource.
    async fn tag(&self, id: &AccountId, tags: &Tags) -> Result<()>;
    /// UntagResource.
    async fn untag(&self, id: &AccountId, keys: &[String]) -> Result<()>;
    /// The turn to call CloseAccount, or how long there is none: who asks again then has it. Whatever the object says of its
    /// closing is looked at after this, for it may be withdrawn while others are closed.
    async fn turn_to_close(&self, _id: &AccountId) -> std::result::Result<Turn, Duration> {
        Ok(Turn::default())
    }
    /// CloseAccount. Irreversible for practical purposes: the caller has checked what the object says since it had its turn.
    async fn close_account(&self, id: &AccountId, turn: Turn) -> Result<()>;
}

/// Organizational units: AWS Organizations, from the management account.
#[async_trait]
pub trait Units: Send + Sync {
    /// DescribeOrganization.
    async fn company(&self) -> Result<Company>;
    /// ListRoots: the one root of the organization.
    async fn root(&self) -> Result<ParentId>;
    /// ListOrganizationalUnitsForParent, one page.
    async fn units_in(&self, parent: &ParentId, page: Option<String>) -> Result<Page<Unit>>;
    /// CreateOrganizationalUnit.
    async fn create_unit(&self, parent: &ParentId, name: &str, tags: &Tags) -> Result<Unit>;
}

/// How far a region's opt-in is, in one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionState {
    /// Usable (on by default, or enabled).
    Enabled,
    /// AWS is enabling it; takes minutes to hours.
    Enabling,
    /// Not usable.
    Disabled,
    /// AWS is disabling it.
    Disabling,
}

/// Settings of a member account that AWS keeps outside of it: the Account Management API, called from the
/// management account with the member's id (needs trusted access for Account Management).
#[async_trait]
pub trait AccountSettings: Send + Sync {
    /// GetAlternateContact; `None` where there is none.
    async fn contact(&self, id: &AccountId, kind: ContactKind) -> Result<Option<AlternateContact>>;
    /// PutAlternateContact.
    async fn put_contact(
        &self,
        id: &AccountId,
        kind: ContactKind,
        contact: &AlternateContact,
    ) -> Result<()>;
    /// PutAccountName.
    async fn rename(&self, id: &AccountId, name: &AccountName) -> Result<()>;
    /// StartPrimaryEmailUpdate: AWS sends a one-time code to the new address.
    async fn start_email_update(&self, id: &AccountId, email: &RootEmail) -> Result<()>;
    /// AcceptPrimaryEmailUpdate with the code that a person read in the new mailbox.
    async fn accept_email_update(
        &self,
        id: &AccountId,
        email: &RootEmail,
        code: &str,
    ) -> Result<()>;
    /// GetRegionOptStatus.
    async fn region(&self, id: &AccountId, region: Region) -> Result<RegionState>;
    /// EnableRegion; asynchronous.
    async fn enable_region(&self, id: &AccountId, region: Region) -> Result<()>;
}

/// The way into member accounts: STS AssumeRole. Sessions are cached by the adapter.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// The clients of one account if its session is open already: costs no call. `None` where that is not known.
    fn entered(&self, _id: &AccountId, _role: &RoleName) -> Option<Arc<dyn MemberAccount>> {
        None
    }
    /// The clients of one account, entered through `role`. Succeeds only if AWS let us in and the identity that it
    /// gave is one of that very account.
    async fn enter(&self, id: &AccountId, role: &RoleName) -> Result<Arc<dyn MemberAccount>>;
    /// Whether a session for this delivery is open already: then the two below cost no call.
    fn is_open_for(&self, _id: &AccountId, _role: &RoleName, _place: &DeliveryPlace) -> bool {
        false
    }
    /// The files of a credentials bucket, through a session that can write, list and remove there, and read nothing.
    async fn credential_files(
        &self,
        id: &AccountId,
        role: &RoleName,
        place: &BucketPlace,
    ) -> Result<Arc<dyn CredentialFiles>>;
    /// The secrets of Secrets Manager in one region, through a session that can write, describe and remove them, and
    /// read none.
    async fn secret_store(
        &self,
        id: &AccountId,
        role: &RoleName,
        region: Region,
    ) -> Result<Arc<dyn SecretStore>>;
    /// A user pool of Amazon Cognito: in this account, through a session that can do no more than [`UserPool`] says and in
    /// that pool alone; or in our own account, with our own credentials.
    async fn user_pool(
        &self,
        account: Option<&(AccountId, RoleName)>,
        pool: &UserPoolId,
    ) -> Result<Arc<dyn UserPool>>;
    /// Where that pool's OpenID configuration is found, below `/.well-known`: at its issuer's identifier, unless the operator
    /// is configured to reach AWS elsewhere.
    fn user_pool_url(&self, pool: &UserPoolId) -> String {
        pool.issuer()
    }
}

/// One member account, seen from inside.
#[async_trait]
pub trait MemberAccount: Send + Sync {
    /// IAM ListAccountAliases; an account has one alias at most.
    async fn alias(&self) -> Result<Option<String>>;
    /// IAM CreateAccountAlias; replaces the present one.
    async fn set_alias(&self, alias: &AccountAlias) -> Result<()>;
    /// IAM GetAccountPasswordPolicy; `None` where none is set.
    async fn password_policy(&self) -> Result<Option<PasswordPolicy>>;
    /// IAM UpdateAccountPasswordPolicy.
    async fn put_password_policy(&self, policy: &PasswordPolicy) -> Result<()>;
    /// The account's repositories of container images in one region. Costs no call.
    fn repositories(&self, region: Region) -> Arc<dyn Repositories>;
    /// The account's credentials bucket, to set it up. Costs no call.
    fn credentials_bucket(&self, place: &BucketPlace) -> Arc<dyn CredentialsBucket>;
}
