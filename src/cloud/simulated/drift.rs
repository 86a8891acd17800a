//! What happens behind the controller's back: people at the console, strangers, AWS itself; and what a test wants
//! to go wrong. Nothing here counts as a call. Naming an account that does not exist is a mistake in the test, and
//! panics.

use super::SimulatedCloud;
use super::options::Options;
use super::refusal::violated;
use super::world::{AccountRecord, EmailUse, World};
use crate::cloud::{CloudError, ParentId, RegionState};
use crate::model::{
    AccountId, AccountState, AlternateContact, ContactKind, PasswordPolicy, Region, RoleName, Tags,
    UnitPath,
};

impl SimulatedCloud {
    /// Turns the knobs.
    pub fn configure(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.world().options);
    }

    /// An account outside the organization has this address.
    pub fn add_stranger(&self, email: &str) {
        self.world()
            .emails
            .insert(email.to_ascii_lowercase(), EmailUse::Stranger);
    }

    /// An account outside the organization has this alias.
    pub fn add_foreign_alias(&self, alias: &str) {
        self.world().aliases.insert(alias.to_owned(), None);
    }

    /// A member that somebody made by hand long ago: active, in the root, with the usual access role.
    pub fn add_member(&self, email: &str, name: &str, tags: Tags) -> AccountId {
        let mut world = self.world();
        let free = !world.emails.contains_key(&email.to_ascii_lowercase());
        assert!(free, "{email} is taken");
        let id = world.fresh_account_id();
        let root = world.root.clone();
        let role = "OrganizationAccountAccessRole".parse::<RoleName>().ok();
        let record = AccountRecord {
            access_role: role,
            tags,
            ..AccountRecord::new(name, email, world.now, &root)
        };
        world.insert_account(id.clone(), record);
        world.show(&id, root);
        id
    }

    /// The unit of this path, made if it is missing.
    pub fn ensure_unit(&self, path: &UnitPath) -> ParentId {
        let mut world = self.world();
        let mut at = world.root.clone();
        for name in path.names() {
            at = match world.unit_named(&at, name) {
                Some(id) => id,
                None => match world.create_unit(&at, name, &Tags::new()) {
                    Ok(unit) => unit.id,
                    Err(error) => panic!("the unit {path} cannot be made: {error}"),
                },
            };
        }
        at
    }

    /// Somebody moves the account. Reads show it at once.
    pub fn move_behind(&self, id: &AccountId, path: &UnitPath) {
        let parent = self.ensure_unit(path);
        self.change(id, |world, id| {
            if let Some(account) = world.accounts.get_mut(id) {
                account.parent = parent.clone();
            }
            world.show(id, parent);
        });
    }

    /// Somebody sets a tag, or with `None` removes it.
    pub fn retag_behind(&self, id: &AccountId, key: &str, value: Option<&str>) {
        self.edit(id, |account| match value {
            Some(value) => drop(account.tags.insert(key.to_owned(), value.to_owned())),
            None => drop(account.tags.remove(key)),
        });
    }

    /// Somebody renames the account.
    pub fn rename_behind(&self, id: &AccountId, name: &str) {
        self.edit(id, |account| name.clone_into(&mut account.name));
    }

    /// AWS suspends the account, somebody closes or reinstates it, or AWS says a word that nobody knows yet
    /// (`AccountState::from_aws("FROZEN")`).
    pub fn set_state_behind(&self, id: &AccountId, state: AccountState) {
        let now = self.now();
        self.edit(id, |account| {
            account.closed = match state {
                AccountState::PendingClosure | AccountState::Closed => account.closed.or(Some(now)),
                _ => None,
            };
            account.state = state;
        });
    }

    /// Somebody changes the root address.
    pub fn set_email_behind(&self, id: &AccountId, email: &str) {
        self.change(id, |world, id| world.set_email(id, email.to_owned()));
    }

    /// Somebody changes or removes an alternate contact.
    pub fn set_contact_behind(
        &self,
        id: &AccountId,
        kind: ContactKind,
        contact: Option<AlternateContact>,
    ) {
        self.edit(id, |account| match contact {
            Some(contact) => drop(account.contacts.insert(kind, contact)),
            None => drop(account.contacts.remove(&kind)),
        });
    }

    /// Somebody in the account changes or removes its alias.
    pub fn set_alias_behind(&self, id: &AccountId, alias: Option<&str>) {
        self.change(id, |world, id| world.give_alias(id, alias));
    }

    /// Somebody in the account changes or removes its password policy.
    pub fn set_policy_behind(&self, id: &AccountId, policy: Option<PasswordPolicy>) {
        self.edit(id, |account| account.password_policy = policy);
    }

    /// Somebody in the account changes the state of an opt-in region.
    pub fn set_region_behind(&self, id: &AccountId, region: Region, state: RegionState) {
        self.edit(id, |account| {
            account.regions.insert(region, state);
        });
    }

    /// Somebody replaces or removes the role by which the management account gets in.
    pub fn set_access_role_behind(&self, id: &AccountId, role: Option<RoleName>) {
        self.edit(id, |account| account.access_role = role);
    }

    /// The account leaves the organization: it exists elsewhere, and its address stays taken.
    pub fn leave_behind(&self, id: &AccountId) {
        self.change(id, World::remove_account);
    }

    /// The next creation ends FAILED for this reason, whatever it is for. Several wait in line.
    pub fn fail_next_creation(&self, reason: &str) {
        self.world().next_failures.push_back(reason.to_owned());
    }

    /// Every creation of this address ends FAILED for this reason, until it is allowed again.
    pub fn fail_creation_of(&self, email: &str, reason: &str) {
        let key = email.to_ascii_lowercase();
        self.world()
            .failures_by_email
            .insert(key, reason.to_owned());
    }

    /// Creations of this address may succeed again.
    pub fn allow_creation_of(&self, email: &str) {
        self.world()
            .failures_by_email
            .remove(&email.to_ascii_lowercase());
    }

    /// The next call of the error's operation is refused with it. Several wait in line.
    pub fn refuse_next(&self, error: CloudError) {
        self.world().faults.demand(error);
    }

    /// Every call of the error's operation is refused with it, until [`Self::relent`].
    pub fn refuse_all(&self, error: CloudError) {
        self.world().faults.stand(error);
    }

    /// The next call of `operation` is refused with a ConstraintViolationException of this reason.
    pub fn violate_next(&self, operation: &'static str, reason: &str) {
        self.refuse_next(violated(operation, reason));
    }

    /// Takes back what was demanded of an operation.
    pub fn relent(&self, operation: &str) {
        self.world().faults.lift(operation);
    }

    #[track_caller]
    fn edit(&self, id: &AccountId, change: impl FnOnce(&mut AccountRecord)) {
        let mut world = self.world();
        let Some(account) = world.accounts.get_mut(id) else {
            panic!("there is no account {id}")
        };
        change(account);
    }

    #[track_caller]
    fn change(&self, id: &AccountId, change: impl FnOnce(&mut World, &AccountId)) {
        let mut world = self.world();
        assert!(world.accounts.contains_key(id), "there is no account {id}");
        change(&mut world, id);
    }
}
