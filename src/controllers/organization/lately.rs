//! What we have written a moment ago: AWS's reads may say for a while yet what was there before, and are not believed then.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::Row;
use crate::cloud::ParentId;
use crate::model::{AccountId, UnitPath};

/// Until reads show what was made, moved or given another address: seconds, as people tell.
const SHOWN_WITHIN: Duration = Duration::from_secs(120);
/// The same for an account's name: up to four hours, AWS says.
const NAME_SHOWN_WITHIN: Duration = Duration::from_secs(4 * 3600);

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Where the account is.
    Parent(ParentId),
    /// What it is called.
    Name(String),
    /// Its root address.
    Email(String),
}

/// Our latest writes, until they are shown or old.
#[derive(Default)]
pub(super) struct Lately {
    accounts: HashMap<AccountId, Writes>,
    units: Vec<(Timestamp, UnitPath, ParentId)>,
}

#[derive(Default)]
struct Writes {
    born: Option<Timestamp>,
    parents: Past<ParentId>,
    names: Past<String>,
    emails: Past<String>,
}

/// What a value was before each of our latest writes of it.
struct Past<T>(Vec<(Timestamp, T)>);

impl<T> Default for Past<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone + PartialEq> Past<T> {
    fn forget_old(&mut self, now: Timestamp, within: Duration) {
        self.0.retain(|(at, _)| is_recent(*at, now, within));
    }

    /// Whoever says something that was not there before has seen our write, or what somebody wrote since.
    fn correct(&mut self, seen: &mut T, ours: &T) {
        match self.0.iter().any(|(_, before)| before == seen) {
            true => seen.clone_from(ours),
            false => self.0.clear(),
        }
    }
}

impl Lately {
    /// An account was created.
    pub(super) fn born(&mut self, id: &AccountId, now: Timestamp) {
        self.accounts.entry(id.clone()).or_default().born = Some(now);
    }

    /// An account is being changed, of which we know this.
    pub(super) fn wrote(&mut self, before: &Row, written: &Written, now: Timestamp) {
        let account = &before.account;
        let writes = self.accounts.entry(account.id.clone()).or_default();
        match written {
            Written::Parent(_) => writes.parents.0.push((now, before.parent.clone())),
            Written::Name(_) => writes.names.0.push((now, account.name.clone())),
            Written::Email(_) => writes.emails.0.push((now, account.email.clone())),
        }
    }

    /// A unit was found or made that the last sweep did not show.
    pub(super) fn unit(&mut self, path: &UnitPath, id: &ParentId, now: Timestamp) {
        self.units.push((now, path.clone(), id.clone()));
    }

    /// What was written so long before a read that it would show it is forgotten.
    pub(super) fn forget_old(&mut self, asked: Timestamp) {
        self.units
            .retain(|(at, ..)| is_recent(*at, asked, SHOWN_WITHIN));
        self.accounts.retain(|_, writes| {
            writes.forget_old(asked);
            !writes.is_empty()
        });
    }

    /// Corrects what a read has told of an account by what we know of it.
    pub(super) fn correct(&mut self, seen: &mut Row, ours: &Row) {
        let Some(writes) = self.accounts.get_mut(&ours.account.id) else {
            return;
        };
        let (seen_account, account) = (&mut seen.account, &ours.account);
        writes.parents.correct(&mut seen.parent, &ours.parent);
        writes.names.correct(&mut seen_account.name, &account.name);
        writes
            .emails
            .correct(&mut seen_account.email, &account.email);
    }

    /// Whether lists may not show an account yet, or not where it is.
    pub(super) fn hides(&self, id: &AccountId) -> bool {
        let writes = self.accounts.get(id);
        writes.is_some_and(|writes| writes.born.is_some() || !writes.parents.0.is_empty())
    }

    /// The units that lists may not show yet.
    pub(super) fn units(&self) -> impl Iterator<Item = (&UnitPath, &ParentId)> {
        self.units.iter().map(|(_, path, id)| (path, id))
    }
}

impl Writes {
    fn forget_old(&mut self, now: Timestamp) {
        self.born = self.born.filter(|at| is_recent(*at, now, SHOWN_WITHIN));
        self.parents.forget_old(now, SHOWN_WITHIN);
        self.names.forget_old(now, NAME_SHOWN_WITHIN);
        self.emails.forget_old(now, SHOWN_WITHIN);
    }

    fn is_empty(&self) -> bool {
        let Self {
            born,
            parents,
            names,
            emails,
        } = self;
        born.is_none() && parents.0.is_empty() && names.0.is_empty() && emails.0.is_empty()
    }
}

fn is_recent(at: Timestamp, now: Timestamp, within: Duration) -> bool {
    // What was written after the question has no age.
    Duration::try_from(now.duration_since(at)).unwrap_or_default() <= within
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Account;
    use crate::model::AccountState;

    fn row(name: &str, email: &str, parent: &str) -> Row {
        Row {
            account: Account {
                id: "111122223333".parse().unwrap(),
                name: name.to_owned(),
                email: email.to_owned(),
                state: AccountState::Active,
                joined: None,
            },
            parent: ParentId(parent.to_owned()),
            tags: None,
            sweep: 0,
            tags_sweep: 0,
        }
    }

    fn after(seconds: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_was_there_before_is_not_believed_until_the_write_is_shown_or_old() {
        let (old, ours) = (row("old", "old@x", "r-1"), row("new", "new@x", "ou-1"));
        let written = [
            Written::Name("new".to_owned()),
            Written::Email("new@x".to_owned()),
            Written::Parent(ours.parent.clone()),
        ];
        let wrote = || {
            let mut lately = Lately::default();
            written
                .iter()
                .for_each(|written| lately.wrote(&old, written, after(0)));
            lately
        };
        let told = |lately: &mut Lately, seen: &Row| {
            let mut seen = seen.clone();
            lately.correct(&mut seen, &ours);
            seen
        };
        let mut lately = wrote();
        assert_eq!(told(&mut lately, &old), ours);
        // A third one's word is believed, and what was shown once is not corrected again: somebody changes it back.
        let theirs = row("theirs", "theirs@x", "ou-2");
        for shown in [&theirs, &ours] {
            let mut lately = wrote();
            assert_eq!(told(&mut lately, shown), *shown);
            assert_eq!(told(&mut lately, &old), old);
        }
        lately.forget_old(after(121));
        assert_eq!(told(&mut lately, &old), row("new", "old@x", "r-1"));
        lately.forget_old(after(4 * 3600));
        assert_eq!(told(&mut lately, &old).account.name, "new");
        lately.forget_old(after(4 * 3600 + 1));
        assert_eq!(told(&mut lately, &old), old);
        assert!(lately.accounts.is_empty(), "nothing is kept of it");
    }

    #[test]
    fn of_several_writes_none_is_undone_by_what_was_before_an_earlier_one() {
        let names = ["first", "second", "third"].map(|name| row(name, "a@x", "r-1"));
        let mut lately = Lately::default();
        for pair in names.windows(2) {
            lately.wrote(&pair[0], &Written::Name(String::new()), after(0));
        }
        for shown in [0, 1, 0, 2] {
            let mut seen = names[shown].clone();
            lately.correct(&mut seen, &names[2]);
            assert_eq!(seen, names[2], "{shown}");
        }
    }

    #[test]
    fn what_is_new_is_hidden_for_two_minutes() {
        let (mut lately, new) = (Lately::default(), row("new", "new@x", "r-1"));
        let (id, path) = (&new.account.id, "/Workloads".parse().unwrap());
        lately.born(id, after(0));
        lately.unit(&path, &new.parent, after(0));
        lately.forget_old(after(120));
        assert!(lately.hides(id));
        assert_eq!(lately.units().collect::<Vec<_>>(), [(&path, &new.parent)]);
        lately.forget_old(after(121));
        assert!(!lately.hides(id) && lately.units().next().is_none());
    }
}
