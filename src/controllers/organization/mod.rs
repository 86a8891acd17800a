//! What all accounts share: one view of the organization, read in bulk, and the queue for creations.
//!
//! One page of ListAccountsForParent says of twenty accounts where they are, what they are called and in which state;
//! no object asks for itself what a sweep has told already. What we change ourselves is entered here at once, and no read
//! that is behind it undoes it.

mod creations;
mod lately;
mod pages;
mod sweep;
mod units;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::api::TeamAccount;
use crate::cloud::{Account, Cloud, CloudError, CreateRequest, ParentId, RequestId};
use crate::engine::clock::Clock;
use crate::engine::trigger::Trigger;
use crate::model::{AccountId, RootEmail, Tags, UnitPath};
use crate::plan::queue::Queue;
use crate::plan::rounds::Rounds;

use lately::Lately;
pub use lately::Written;

/// An account, as the last bulk read or our own last write says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The account.
    pub account: Account,
    /// Where it is.
    pub parent: ParentId,
    /// Its tags, if they have been read.
    pub tags: Option<Tags>,
    /// In which sweep, or after which, this was written.
    sweep: u64,
    /// The same for the tags alone, which have their own turn.
    tags_sweep: u64,
}

/// An object that waits for a creation: where it is, and since when.
#[derive(Debug, Clone)]
struct Expected {
    uid: String,
    namespace: String,
    name: String,
    since: Timestamp,
}

#[derive(Default)]
struct View {
    /// Counts sweeps that have begun; 0: none.
    begun: u64,
    /// The last sweep that was completed.
    done: u64,
    /// What sweeps have seen to have changed, and nobody has been told of yet.
    changed: Vec<AccountId>,
    error: Option<CloudError>,
    root: Option<ParentId>,
    units: HashMap<UnitPath, ParentId>,
    paths: HashMap<ParentId, UnitPath>,
    rows: HashMap<AccountId, Row>,
    lately: Lately,
    by_email: HashMap<String, AccountId>,
    expected: HashMap<RequestId, Expected>,
    finished: HashMap<RequestId, CreateRequest>,
    /// Requests whose id CreateAccount gave to this very process, and when: certainly ours.
    own: HashMap<RequestId, Timestamp>,
    /// Objects whose creation may or may not have been asked for, and since when this process knows of them.
    searching: HashMap<String, Timestamp>,
    /// The last list of all requests, with its number, for as long as anybody searches.
    listed: Option<(u64, Arc<Vec<CreateRequest>>)>,
    /// Counts the lists of all requests that have begun.
    lists_begun: u64,
    places: HashMap<String, (String, String)>,
    rounds: Rounds,
}

/// The shared view.
pub struct Organization {
    cloud: Cloud,
    clock: Arc<dyn Clock>,
    trigger: Trigger<TeamAccount>,
    view: Mutex<View>,
    queue: Mutex<Queue>,
    sweeping: tokio::sync::Mutex<()>,
    listing: tokio::sync::Mutex<()>,
    creating_units: tokio::sync::Mutex<()>,
    expecting: Notify,
    /// Counts the attempts to read the organization that have come to an end.
    attempts: watch::Sender<u64>,
}

impl Organization {
    /// A view that knows nothing yet.
    pub fn new(
        cloud: Cloud,
        clock: Arc<dyn Clock>,
        trigger: Trigger<TeamAccount>,
        slots: usize,
    ) -> Self {
        Self {
            cloud,
            clock,
            trigger,
            view: Mutex::default(),
            queue: Mutex::new(Queue::new(slots)),
            sweeping: tokio::sync::Mutex::default(),
            listing: tokio::sync::Mutex::default(),
            creating_units: tokio::sync::Mutex::default(),
            expecting: Notify::new(),
            attempts: watch::Sender::new(0),
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the organization has been read once; if not, why not.
    ///
    /// # Errors
    /// The error of the last attempt, if there was one.
    pub fn is_known(&self) -> std::result::Result<bool, CloudError> {
        let view = self.view();
        match (view.done, &view.error) {
            (0, Some(error)) => Err(error.clone()),
            (done, _) => Ok(done > 0),
        }
    }

    /// Whether the last attempt to read the organization succeeded.
    pub fn is_readable(&self) -> bool {
        let view = self.view();
        view.done > 0 && view.error.is_none()
    }

    /// Waits until the organization has been read once: what was settled before a restart is not unsettled by it.
    ///
    /// # Errors
    /// The error of an attempt that failed meanwhile.
    pub async fn known(&self) -> std::result::Result<(), CloudError> {
        let mut attempts = self.attempts.subscribe();
        while !self.is_known()? {
            // The sender is ours, so it is there.
            let _ = attempts.changed().await;
        }
        Ok(())
    }

    /// The account of that id.
    pub fn row(&self, id: &AccountId) -> Option<Row> {
        self.view().rows.get(id).cloned()
    }

    /// The member account that has that e-mail address.
    pub fn by_email(&self, email: &RootEmail) -> Option<Row> {
        let view = self.view();
        view.by_email
            .get(&email.key())
            .and_then(|id| view.rows.get(id))
            .cloned()
    }

    /// The path of a unit or of the root.
    pub fn path(&self, id: &ParentId) -> Option<UnitPath> {
        self.view().paths.get(id).cloned()
    }

    /// The id of a unit, if it exists.
    pub fn unit(&self, path: &UnitPath) -> Option<ParentId> {
        self.view().units.get(path).cloned()
    }

    /// Changes what the view says of an account, after a write of ours or a single read.
    pub fn update(&self, id: &AccountId, change: impl FnOnce(&mut Row)) {
        let mut view = self.view();
        let sweep = view.begun + 1;
        if let Some(row) = view.rows.get_mut(id) {
            let tags = row.tags.clone();
            change(row);
            // A sweep that began before this write does not know of it yet.
            row.sweep = sweep;
            if row.tags != tags {
                row.tags_sweep = sweep;
            }
        }
    }

    /// The same after a write of ours that AWS's reads may not show for a while.
    pub fn wrote(&self, id: &AccountId, written: Written) {
        let view = &mut *self.view();
        let sweep = view.begun + 1;
        let Some(row) = view.rows.get_mut(id) else {
            return;
        };
        view.lately.wrote(row, &written, self.clock.now());
        row.sweep = sweep;
        match written {
            Written::Parent(parent) => row.parent = parent,
            Written::Name(name) => row.account.name = name,
            Written::Email(email) => {
                view.by_email
                    .remove(&row.account.email.to_ascii_lowercase());
                view.by_email.insert(email.to_ascii_lowercase(), id.clone());
                row.account.email = email;
            }
        }
    }

    /// Enters an account that AWS has just created.
    pub fn enter_newborn(&self, account: Account, parent: ParentId, tags: Option<Tags>) {
        self.view().lately.born(&account.id, self.clock.now());
        self.enter(account, parent, tags);
    }

    /// Enters an account that a single call has told us of.
    pub fn enter(&self, account: Account, parent: ParentId, tags: Option<Tags>) {
        let view = &mut *self.view();
        let sweep = view.begun + 1;
        let mut row = Row {
            account,
            parent,
            tags,
            sweep,
            tags_sweep: sweep,
        };
        if let Some(old) = view.rows.get(&row.account.id) {
            view.lately.forget_old(self.clock.now());
            view.lately.correct(&mut row, old);
        }
        let id = row.account.id.clone();
        view.by_email
            .insert(row.account.email.to_ascii_lowercase(), id.clone());
        view.rows.insert(id, row);
    }

    /// The ports.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }
}
