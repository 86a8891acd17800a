//! What a test sees of the organization, past the ports: nothing here counts as a call.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::SimulatedCloud;
use super::ledger::CallCount;
use super::world::{AccountRecord, World};
use crate::cloud::{ParentId, RegionState, RequestId, RequestState};
use crate::model::{
    AccountId, AccountState, AlternateContact, ContactKind, PasswordPolicy, Region, RoleName,
    TAG_UID, Tags, UnitPath,
};

/// A member account, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Its root address.
    pub email: String,
    /// The state that reads show.
    pub state: AccountState,
    /// When it was created or joined.
    pub joined: Timestamp,
    /// Where it is, lag or no lag.
    pub parent: ParentId,
    /// The same as a path.
    pub path: UnitPath,
    /// Its tags.
    pub tags: Tags,
    /// Its alias.
    pub alias: Option<String>,
    /// Its alternate contacts.
    pub contacts: BTreeMap<ContactKind, AlternateContact>,
    /// Its password policy.
    pub password_policy: Option<PasswordPolicy>,
    /// Its opt-in regions that are not disabled.
    pub regions: BTreeMap<Region, RegionState>,
    /// The role by which the management account gets in.
    pub access_role: Option<RoleName>,
}

/// A creation request with all that AWS knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// Its id.
    pub id: RequestId,
    /// The address that was asked for.
    pub email: String,
    /// The tags that were asked for.
    pub tags: Tags,
    /// When AWS took it.
    pub requested: Timestamp,
    /// When AWS finished it.
    pub completed: Option<Timestamp>,
    /// How far it is.
    pub state: RequestState,
}

impl SimulatedCloud {
    /// What time it is in this world.
    pub fn now(&self) -> Timestamp {
        self.world().now
    }

    /// The root.
    pub fn root_id(&self) -> ParentId {
        self.world().root.clone()
    }

    /// The management account.
    pub fn management_account(&self) -> AccountId {
        self.world().management.clone()
    }

    /// All member accounts that are not purged, in the order of their ids, the management account left out.
    pub fn accounts(&self) -> Vec<Member> {
        let world = self.world();
        let members = world
            .accounts
            .iter()
            .filter(|(id, _)| **id != world.management);
        members
            .map(|(id, account)| member(&world, id, account))
            .collect()
    }

    /// How many those are.
    pub fn account_count(&self) -> usize {
        self.world().accounts.len().saturating_sub(1)
    }

    /// One account.
    pub fn account(&self, id: &AccountId) -> Option<Member> {
        let world = self.world();
        world
            .accounts
            .get(id)
            .map(|account| member(&world, id, account))
    }

    /// The account with this root address, whatever its case.
    pub fn account_by_email(&self, email: &str) -> Option<Member> {
        let world = self.world();
        let same = |account: &AccountRecord| account.email.eq_ignore_ascii_case(email);
        let (id, account) = world.accounts.iter().find(|(_, account)| same(account))?;
        Some(member(&world, id, account))
    }

    /// Where the account is.
    pub fn parent_path(&self, id: &AccountId) -> Option<UnitPath> {
        let world = self.world();
        world
            .accounts
            .get(id)
            .map(|account| world.path_of(&account.parent))
    }

    /// The account's tags.
    pub fn tags(&self, id: &AccountId) -> Tags {
        self.account(id)
            .map(|account| account.tags)
            .unwrap_or_default()
    }

    /// The account's alias.
    pub fn alias(&self, id: &AccountId) -> Option<String> {
        self.account(id)?.alias
    }

    /// One of the account's alternate contacts.
    pub fn contact(&self, id: &AccountId, kind: ContactKind) -> Option<AlternateContact> {
        self.account(id)?.contacts.remove(&kind)
    }

    /// The paths of all units, sorted; the root is none of them.
    pub fn unit_paths(&self) -> Vec<UnitPath> {
        let world = self.world();
        let mut paths: Vec<_> = world.units.keys().map(|id| world.path_of(id)).collect();
        paths.sort();
        paths
    }

    /// The tags of a unit.
    pub fn unit_tags(&self, path: &UnitPath) -> Option<Tags> {
        let world = self.world();
        let (_, unit) = world
            .units
            .iter()
            .find(|(id, _)| world.path_of(id) == *path)?;
        Some(unit.tags.clone())
    }

    /// All creation requests in the order of their arrival, each with the time of its completion.
    pub fn requests(&self) -> Vec<RequestRecord> {
        let world = self.world();
        let record = |request: &super::world::RequestRecord| RequestRecord {
            id: request.id.clone(),
            email: request.email.clone(),
            tags: request.tags.clone(),
            requested: request.requested,
            completed: request.completed,
            state: request.state.clone(),
        };
        world.requests.iter().map(record).collect()
    }

    /// The one-time code that AWS has sent to the new address, if an e-mail change waits for it.
    pub fn email_code(&self, id: &AccountId) -> Option<String> {
        let world = self.world();
        Some(world.accounts.get(id)?.email_update.as_ref()?.code.clone())
    }

    /// How many codes were sent for the account.
    pub fn email_codes_sent(&self, id: &AccountId) -> usize {
        self.world()
            .accounts
            .get(id)
            .map_or(0, |account| account.codes_sent.len())
    }

    /// The calls that reached AWS, by operation.
    pub fn calls(&self) -> BTreeMap<&'static str, CallCount> {
        self.world().ledger.calls.clone()
    }

    /// The calls of one operation.
    pub fn calls_of(&self, operation: &str) -> CallCount {
        self.world()
            .ledger
            .calls
            .get(operation)
            .copied()
            .unwrap_or_default()
    }

    /// The calls whose operation starts so: `organizations.`, for example.
    pub fn calls_to(&self, service: &str) -> u64 {
        let world = self.world();
        let calls = world
            .ledger
            .calls
            .iter()
            .filter(|(name, _)| name.starts_with(service));
        calls.map(|(_, count)| count.calls).sum()
    }

    /// The writes that took effect, over all services.
    pub fn writes(&self) -> u64 {
        self.world().ledger.writes
    }

    /// Sets calls and writes back to zero; what the slots did is kept.
    pub fn forget_calls(&self) {
        let mut world = self.world();
        world.ledger.calls.clear();
        world.ledger.writes = 0;
    }

    /// Creations in flight now.
    pub fn in_flight(&self) -> usize {
        self.world().in_progress.len()
    }

    /// The most creations that were in flight together.
    pub fn most_in_flight(&self) -> usize {
        self.world().ledger.most_in_flight
    }

    /// The sum over all creation slots of the time in which each was taken. Divided by the elapsed time and the
    /// number of slots it is their utilisation.
    pub fn busy_slot_time(&self) -> Duration {
        let world = self.world();
        world.ledger.busy_until(world.now)
    }

    /// Broken promises of "exactly once": every owner uid that more than one account bears or was born with, and
    /// those accounts. Accounts that were purged cannot be seen any more.
    pub fn duplicates(&self) -> BTreeMap<String, BTreeSet<AccountId>> {
        let world = self.world();
        let mut by_uid: BTreeMap<String, BTreeSet<AccountId>> = BTreeMap::new();
        for (id, account) in &world.accounts {
            let uids = [account.tags.get(TAG_UID), account.born_with.get(TAG_UID)];
            for uid in uids.into_iter().flatten() {
                by_uid.entry(uid.clone()).or_default().insert(id.clone());
            }
        }
        by_uid.retain(|_, ids| ids.len() > 1);
        by_uid
    }

    /// Members whose owner is none of these uids, or who have none at all: after a run in which everything was
    /// created for somebody, nobody should be left.
    pub fn orphans(&self, owners: &BTreeSet<String>) -> Vec<AccountId> {
        let members = self.accounts().into_iter();
        let owned = |member: &Member| {
            member
                .tags
                .get(TAG_UID)
                .is_some_and(|uid| owners.contains(uid))
        };
        members
            .filter(|member| !owned(member))
            .map(|member| member.id)
            .collect()
    }
}

fn member(world: &World, id: &AccountId, account: &AccountRecord) -> Member {
    Member {
        id: id.clone(),
        name: account.name.clone(),
        email: account.email.clone(),
        state: world.shown_state(account),
        joined: account.joined,
        parent: account.parent.clone(),
        path: world.path_of(&account.parent),
        tags: account.tags.clone(),
        alias: account.alias.clone(),
        contacts: account.contacts.clone(),
        password_policy: account.password_policy.clone(),
        regions: account.regions.clone(),
        access_role: account.access_role.clone(),
    }
}
