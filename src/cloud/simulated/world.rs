//! The state of the organization, and what happens in it as time goes by.
//!
//! Nothing runs in the background: whoever looks first settles what has been due, each event at its own time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::bucket::Stored;
use super::credentials::Kept;
use super::faults::Faults;
use super::ledger::Ledger;
use super::options::Options;
use super::repositories::{RepositoryKey, RepositoryRecord};
use super::user_pools::Pools;
use crate::cloud::{ParentId, RegionState, RequestId, RequestState};
use crate::model::{
    AccountId, AccountState, AlternateContact, ContactKind, OrganizationId, PasswordPolicy, Region,
    RoleName, Tags,
};

/// Everything there is, behind one lock.
pub(super) struct World {
    pub(super) options: Options,
    pub(super) now: Timestamp,
    pub(super) chance: StdRng,
    pub(super) faults: Faults,
    pub(super) ledger: Ledger,
    pub(super) organization: OrganizationId,
    pub(super) management: AccountId,
    pub(super) root: ParentId,
    pub(super) units: BTreeMap<ParentId, UnitRecord>,
    /// Units by parent, in the order of their ids.
    pub(super) branches: BTreeMap<ParentId, BTreeSet<ParentId>>,
    pub(super) accounts: BTreeMap<AccountId, AccountRecord>,
    /// Accounts by parent, as the lists show them: one page costs one page, not the organization.
    pub(super) listed: BTreeMap<ParentId, BTreeSet<AccountId>>,
    /// Who has an address, over all of AWS. By [`crate::model::RootEmail::key`].
    pub(super) emails: BTreeMap<String, EmailUse>,
    /// Who has an alias, over all of AWS; `None`: somebody outside.
    pub(super) aliases: BTreeMap<String, Option<AccountId>>,
    /// Creation requests in the order of their arrival.
    pub(super) requests: Vec<RequestRecord>,
    pub(super) request_numbers: BTreeMap<RequestId, usize>,
    pub(super) in_progress: BTreeSet<usize>,
    /// How the next creations end, whatever they are for.
    pub(super) next_failures: VecDeque<String>,
    /// How the creations of an address end, by its key.
    pub(super) failures_by_email: BTreeMap<String, String>,
    /// When the closures of the last 30 days were accepted.
    pub(super) closures: VecDeque<Timestamp>,
    /// Regions that are being enabled, over all accounts.
    pub(super) regions_enabling: usize,
    /// Repositories of images, by account, region and name.
    pub(super) repositories: BTreeMap<RepositoryKey, RepositoryRecord>,
    /// Credentials buckets and secrets.
    pub(super) kept: Kept,
    /// User pools.
    pub(super) pools: Pools,
    /// What is in the bucket, by key.
    pub(super) objects: BTreeMap<String, Stored>,
    events: BTreeMap<(Timestamp, u64), Event>,
    events_planned: u64,
}

/// An organizational unit.
pub(super) struct UnitRecord {
    pub(super) name: String,
    pub(super) parent: ParentId,
    pub(super) tags: Tags,
    /// Reads show it from then on.
    pub(super) listed_from: Timestamp,
}

/// Who has an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EmailUse {
    /// An account of this organization.
    Account(AccountId),
    /// A creation request in progress.
    Request(usize),
    /// An account elsewhere, or one that is closed for good: its address never becomes free.
    Stranger,
}

/// An account.
pub(super) struct AccountRecord {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) joined: Timestamp,
    /// The role through which the management account gets in; `None`: there is none, as in an invited account.
    pub(super) access_role: Option<RoleName>,
    pub(super) state: AccountState,
    pub(super) parent: ParentId,
    /// The parent that reads show; `None`: they do not show the account yet.
    pub(super) listed_in: Option<ParentId>,
    pub(super) tags: Tags,
    /// The tags that it was created with.
    pub(super) born_with: Tags,
    pub(super) contacts: BTreeMap<ContactKind, AlternateContact>,
    /// Opt-in regions that are not disabled.
    pub(super) regions: BTreeMap<Region, RegionState>,
    pub(super) email_update: Option<EmailUpdate>,
    /// When confirmation codes were sent.
    pub(super) codes_sent: Vec<Timestamp>,
    pub(super) alias: Option<String>,
    pub(super) password_policy: Option<PasswordPolicy>,
    /// When CloseAccount was accepted.
    pub(super) closed: Option<Timestamp>,
}

/// A change of the root address that waits for its code.
#[derive(Debug, Clone)]
pub(super) struct EmailUpdate {
    pub(super) email: String,
    pub(super) code: String,
    pub(super) sent: Timestamp,
}

/// A creation request.
pub(super) struct RequestRecord {
    pub(super) id: RequestId,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) access_role: RoleName,
    pub(super) tags: Tags,
    pub(super) requested: Timestamp,
    pub(super) listed_from: Timestamp,
    pub(super) completed: Option<Timestamp>,
    pub(super) state: RequestState,
    /// Decided when AWS takes the request: why it will fail, if it will.
    pub(super) failure: Option<String>,
}

/// What happens by itself, later.
pub(super) enum Event {
    /// A creation request ends.
    FinishRequest(usize),
    /// Reads show the account at this parent.
    List(AccountId, ParentId),
    /// A new account becomes usable.
    Activate(AccountId),
    /// A closure is done.
    FinishClosure(AccountId),
    /// A closed account disappears.
    Purge(AccountId),
    /// Reads show the account's new name.
    Rename(AccountId, String),
    /// A region is enabled.
    FinishRegion(AccountId, Region),
}

impl World {
    pub(super) fn new(options: Options, seed: u64, now: Timestamp) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let root = ParentId(format!("r-{}", word(&mut chance, 4)));
        let management = account_id(&mut chance);
        let organization = organization_id(seed);
        let mut world = Self {
            options,
            now,
            chance,
            faults: Faults::new(seed),
            ledger: Ledger::new(now),
            organization,
            management: management.clone(),
            root: root.clone(),
            units: BTreeMap::new(),
            branches: BTreeMap::new(),
            accounts: BTreeMap::new(),
            listed: BTreeMap::new(),
            emails: BTreeMap::new(),
            aliases: BTreeMap::new(),
            requests: Vec::new(),
            request_numbers: BTreeMap::new(),
            in_progress: BTreeSet::new(),
            next_failures: VecDeque::new(),
            failures_by_email: BTreeMap::new(),
            closures: VecDeque::new(),
            regions_enabling: 0,
            repositories: BTreeMap::new(),
            kept: Kept::default(),
            pools: Pools::default(),
            objects: BTreeMap::new(),
            events: BTreeMap::new(),
            events_planned: 0,
        };
        let record = AccountRecord::new("management", "management@root.example", now, &root);
        world.insert_account(management.clone(), record);
        world.show(&management, root);
        world
    }

    /// Lets everything happen that is due by `now`. A clock that steps back is held.
    pub(super) fn settle(&mut self, now: Timestamp) {
        while let Some(next) = self.events.first_entry() {
            let (due, _) = *next.key();
            if due > now {
                break;
            }
            let event = next.remove();
            self.now = self.now.max(due);
            self.happen(event);
        }
        self.now = self.now.max(now);
    }

    /// Plans an event for `delay` from now; without a delay it happens at once.
    pub(super) fn plan(&mut self, delay: Duration, event: Event) {
        if delay.is_zero() {
            self.happen(event);
        } else {
            self.events_planned += 1;
            self.events
                .insert((self.now + delay, self.events_planned), event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::FinishRequest(number) => self.finish_request(number),
            Event::List(id, parent) => {
                // A place that it has left meanwhile is not shown any more.
                if self
                    .accounts
                    .get(&id)
                    .is_some_and(|account| account.parent == parent)
                {
                    self.show(&id, parent);
                }
            }
            Event::Activate(id) => {
                if let Some(account) = self.accounts.get_mut(&id)
                    && account.state == AccountState::PendingActivation
                {
                    account.state = AccountState::Active;
                }
            }
            Event::FinishClosure(id) => self.finish_closure(&id),
            Event::Purge(id) => self.purge(&id),
            Event::Rename(id, name) => {
                if let Some(account) = self.accounts.get_mut(&id) {
                    account.name = name;
                }
            }
            Event::FinishRegion(id, region) => {
                self.regions_enabling -= 1;
                if let Some(account) = self.accounts.get_mut(&id) {
                    account.regions.insert(region, RegionState::Enabled);
                }
            }
        }
    }

    /// Adds an account that reads do not show yet.
    pub(super) fn insert_account(&mut self, id: AccountId, record: AccountRecord) {
        self.emails.insert(
            record.email.to_ascii_lowercase(),
            EmailUse::Account(id.clone()),
        );
        self.accounts.insert(id, record);
    }

    /// Makes reads show the account at `parent`.
    pub(super) fn show(&mut self, id: &AccountId, parent: ParentId) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        let before = account.listed_in.replace(parent.clone());
        if let Some(list) = before.and_then(|before| self.listed.get_mut(&before)) {
            list.remove(id);
        }
        self.listed.entry(parent).or_default().insert(id.clone());
    }

    /// Puts the account elsewhere: at once for writes, after the lag for reads.
    pub(super) fn place(&mut self, id: &AccountId, parent: &ParentId) {
        if let Some(account) = self.accounts.get_mut(id) {
            account.parent = parent.clone();
            self.plan(
                self.options.visibility_lag,
                Event::List(id.clone(), parent.clone()),
            );
        }
    }

    /// Removes the account from the organization. Its address stays with whom it belongs to now.
    pub(super) fn remove_account(&mut self, id: &AccountId) {
        let Some(account) = self.accounts.remove(id) else {
            return;
        };
        if let Some(list) = account
            .listed_in
            .and_then(|parent| self.listed.get_mut(&parent))
        {
            list.remove(id);
        }
        self.emails
            .insert(account.email.to_ascii_lowercase(), EmailUse::Stranger);
        if let Some(alias) = account.alias {
            self.aliases.insert(alias, None);
        }
    }

    /// Whether accounts and units can be put there.
    pub(super) fn is_parent(&self, parent: &ParentId) -> bool {
        *parent == self.root || self.units.contains_key(parent)
    }

    /// An id that no account has.
    pub(super) fn fresh_account_id(&mut self) -> AccountId {
        loop {
            let id = account_id(&mut self.chance);
            if !self.accounts.contains_key(&id) {
                return id;
            }
        }
    }

    /// `length` letters and digits, as AWS makes its ids.
    pub(super) fn word(&mut self, length: usize) -> String {
        word(&mut self.chance, length)
    }

    /// `middle`, give or take up to `jitter`.
    pub(super) fn about(&mut self, middle: Duration, jitter: Duration) -> Duration {
        let jitter = jitter.min(middle);
        if jitter.is_zero() {
            return middle;
        }
        let millis = u64::try_from(2 * jitter.as_millis()).unwrap_or(u64::MAX);
        middle - jitter + Duration::from_millis(self.chance.random_range(0..=millis))
    }
}

impl AccountRecord {
    /// An active account with nothing in it.
    pub(super) fn new(name: &str, email: &str, joined: Timestamp, parent: &ParentId) -> Self {
        Self {
            name: name.to_owned(),
            email: email.to_owned(),
            joined,
            access_role: None,
            state: AccountState::Active,
            parent: parent.clone(),
            listed_in: None,
            tags: Tags::new(),
            born_with: Tags::new(),
            contacts: BTreeMap::new(),
            regions: BTreeMap::new(),
            email_update: None,
            codes_sent: Vec::new(),
            alias: None,
            password_policy: None,
            closed: None,
        }
    }
}

fn word(chance: &mut StdRng, length: usize) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..length)
        .map(|_| char::from(ALPHABET[chance.random_range(0..ALPHABET.len())]))
        .collect()
}

/// By a stream of its own, so that the ids of everything else are what they are.
fn organization_id(seed: u64) -> OrganizationId {
    let mut chance = StdRng::seed_from_u64(!seed);
    loop {
        if let Ok(id) = format!("o-{}", word(&mut chance, 10)).parse() {
            return id;
        }
    }
}

fn account_id(chance: &mut StdRng) -> AccountId {
    loop {
        let digits = chance
            .random_range(100_000_000_000_u64..1_000_000_000_000)
            .to_string();
        if let Ok(id) = digits.parse() {
            return id;
        }
    }
}
