//! What all accounts share: one view of the organization, read in bulk, and the queue for creations.
//!
//! One page of ListAccountsForParent says of twenty accounts where they are, what they are called and in which state;
//! no object asks for itself what a sweep has told already. What we change ourselves is entered here at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::api::TeamAccount;
use crate::cloud::{
    Account, Cloud, CloudError, CreateRequest, ParentId, RequestId, RequestState, Result,
};
use crate::engine::clock::Clock;
use crate::engine::frame::Trigger;
use crate::model::{AccountId, RootEmail, Tags, UnitPath};
use crate::plan::queue::{Answer, Queue};

/// Every sweep reads the tags of one in so many of our accounts: tags cannot be listed in bulk.
const TAG_ROTATION: u64 = 20;
/// How soon a sweep that failed is tried again.
const SWEEP_AGAIN: Duration = Duration::from_secs(15);
/// How often creations are asked for once they may be done: all of them with one call.
const CREATION_ROUND: Duration = Duration::from_secs(2);

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
    error: Option<CloudError>,
    root: Option<ParentId>,
    units: HashMap<UnitPath, ParentId>,
    paths: HashMap<ParentId, UnitPath>,
    rows: HashMap<AccountId, Row>,
    by_email: HashMap<String, AccountId>,
    expected: HashMap<RequestId, Expected>,
    finished: HashMap<RequestId, CreateRequest>,
    /// Requests whose id CreateAccount gave to this very process: certainly ours.
    own: HashSet<RequestId>,
    /// Objects whose creation may or may not have been asked for, and since when this process knows of them.
    searching: HashMap<String, Timestamp>,
    places: HashMap<String, (String, String)>,
    shortest: Option<Duration>,
}

/// The shared view.
pub struct Organization {
    cloud: Cloud,
    clock: Arc<dyn Clock>,
    trigger: Trigger<TeamAccount>,
    view: Mutex<View>,
    queue: Mutex<Queue>,
    sweeping: tokio::sync::Mutex<()>,
    creating_units: tokio::sync::Mutex<()>,
    expecting: Notify,
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
            creating_units: tokio::sync::Mutex::default(),
            expecting: Notify::new(),
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

    /// Changes what the view says of an account, after a write of ours.
    pub fn update(&self, id: &AccountId, change: impl FnOnce(&mut Row)) {
        let mut view = self.view();
        let sweep = view.begun + 1;
        if let Some(row) = view.rows.get_mut(id) {
            change(row);
            // A sweep that began before this write does not know of it yet.
            row.sweep = sweep;
        }
    }

    /// Enters an account that a single call has told us of.
    pub fn enter(&self, account: Account, parent: ParentId, tags: Option<Tags>) {
        let mut view = self.view();
        let sweep = view.begun + 1;
        view.by_email
            .insert(account.email.to_ascii_lowercase(), account.id.clone());
        view.rows.insert(
            account.id.clone(),
            Row {
                account,
                parent,
                tags,
                sweep,
            },
        );
    }

    /// The root of the organization.
    ///
    /// # Errors
    /// AWS's, if it has to be asked.
    pub async fn root(&self) -> Result<ParentId> {
        if let Some(root) = self.view().root.clone() {
            return Ok(root);
        }
        self.cloud.units.root().await
    }

    /// The id of a unit; units that are missing on the path are created, by one caller at a time.
    ///
    /// # Errors
    /// AWS's.
    pub async fn ensure_unit(&self, path: &UnitPath, tags: &Tags) -> Result<ParentId> {
        if let Some(id) = self.unit(path) {
            return Ok(id);
        }
        let _one_at_a_time = self.creating_units.lock().await;
        let (mut parent, mut here) = (self.root().await?, UnitPath::root());
        for name in path.names() {
            here = here.child(name);
            parent = match self.unit(&here) {
                Some(id) => id,
                None => self.find_or_create_unit(&parent, &here, name, tags).await?,
            };
        }
        Ok(parent)
    }

    async fn find_or_create_unit(
        &self,
        parent: &ParentId,
        path: &UnitPath,
        name: &str,
        tags: &Tags,
    ) -> Result<ParentId> {
        let mut page = None;
        let found = loop {
            let answer = self.cloud.units.units_in(parent, page).await?;
            if let Some(unit) = answer.items.into_iter().find(|unit| unit.name == name) {
                break Some(unit.id);
            }
            page = answer.next;
            if page.is_none() {
                break None;
            }
        };
        let id = match found {
            Some(id) => id,
            None => self.cloud.units.create_unit(parent, name, tags).await?.id,
        };
        let mut view = self.view();
        view.units.insert(path.clone(), id.clone());
        view.paths.insert(id.clone(), path.clone());
        Ok(id)
    }

    /// Makes sure that the view is not older than the moment of this call: one sweep serves all who ask meanwhile.
    ///
    /// # Errors
    /// AWS's: then the view is what it was.
    pub async fn refresh(&self) -> Result<Vec<AccountId>> {
        let asked_at = self.view().begun;
        let _one_at_a_time = self.sweeping.lock().await;
        {
            let view = self.view();
            // A sweep that began after we asked has ended while we waited.
            if view.done > asked_at {
                return Ok(Vec::new());
            }
        }
        let number = {
            let mut view = self.view();
            view.begun += 1;
            view.begun
        };
        let span = tracing::debug_span!("sweep", number);
        let outcome = self.sweep(number).instrument(span).await;
        let mut view = self.view();
        view.error = outcome.as_ref().err().cloned();
        outcome
    }

    /// Reads the whole organization. Returns the accounts of which something has changed.
    async fn sweep(&self, number: u64) -> Result<Vec<AccountId>> {
        let root = self.cloud.units.root().await?;
        let mut units = HashMap::from([(UnitPath::root(), root.clone())]);
        let mut open = vec![(UnitPath::root(), root.clone())];
        let mut rows = HashMap::new();
        while let Some((path, id)) = open.pop() {
            let mut page = None;
            loop {
                let answer = self.cloud.units.units_in(&id, page).await?;
                for unit in answer.items {
                    let child = path.child(&unit.name);
                    units.insert(child.clone(), unit.id.clone());
                    open.push((child, unit.id));
                }
                page = answer.next;
                if page.is_none() {
                    break;
                }
            }
            let mut page = None;
            loop {
                let answer = self.cloud.accounts.accounts_in(&id, page).await?;
                for account in answer.items {
                    let row = Row {
                        parent: id.clone(),
                        tags: None,
                        sweep: number,
                        account,
                    };
                    rows.insert(row.account.id.clone(), row);
                }
                page = answer.next;
                if page.is_none() {
                    break;
                }
            }
        }
        self.read_some_tags(&mut rows, number).await?;
        Ok(self.replace(root, units, rows, number))
    }

    async fn read_some_tags(&self, rows: &mut HashMap<AccountId, Row>, number: u64) -> Result<()> {
        let mut due: Vec<AccountId> = {
            let view = self.view();
            let ours = |id: &&AccountId| view.rows.get(*id).is_some_and(|row| row.tags.is_some());
            let turn = |id: &&AccountId| {
                crate::plan::revision::fnv1a(id.as_str().as_bytes()) % TAG_ROTATION
                    == number % TAG_ROTATION
            };
            rows.keys().filter(ours).filter(turn).cloned().collect()
        };
        // In an order that a run can be repeated with.
        due.sort();
        for id in due {
            let tags = self.cloud.accounts.tags(&id).await?;
            if let Some(row) = rows.get_mut(&id) {
                row.tags = Some(tags);
            }
        }
        Ok(())
    }

    fn replace(
        &self,
        root: ParentId,
        units: HashMap<UnitPath, ParentId>,
        mut rows: HashMap<AccountId, Row>,
        number: u64,
    ) -> Vec<AccountId> {
        let mut view = self.view();
        let mut changed = Vec::new();
        for (id, old) in &view.rows {
            if old.sweep > number {
                // Written by us while the sweep was under way: what the sweep saw may be older.
                rows.insert(id.clone(), old.clone());
            } else if let Some(new) = rows.get_mut(id) {
                if new.tags.is_none() {
                    new.tags = old.tags.clone();
                }
                let same =
                    new.account == old.account && new.parent == old.parent && new.tags == old.tags;
                if !same {
                    changed.push(id.clone());
                }
            } else {
                changed.push(id.clone());
            }
        }
        changed.extend(
            rows.keys()
                .filter(|id| !view.rows.contains_key(*id))
                .cloned(),
        );
        view.by_email = rows
            .values()
            .map(|row| {
                (
                    row.account.email.to_ascii_lowercase(),
                    row.account.id.clone(),
                )
            })
            .collect();
        view.rows = rows;
        view.paths = units
            .iter()
            .map(|(path, id)| (id.clone(), path.clone()))
            .collect();
        view.units = units;
        view.root = Some(root);
        view.done = number;
        changed
    }

    /// Sweeps for ever, and asks for a pass over every object whose account has changed.
    pub async fn keep_swept(
        &self,
        every: Duration,
        objects_of: impl Fn(&[AccountId]) -> Vec<(String, String)>,
        stop: CancellationToken,
    ) {
        loop {
            let pause = match self.refresh().await {
                Ok(changed) => {
                    for (namespace, name) in objects_of(&changed) {
                        self.trigger.fire(Some(&namespace), &name);
                    }
                    every
                }
                Err(error) => {
                    tracing::warn!(%error, "the organization could not be read");
                    SWEEP_AGAIN
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Asks for a slot to create an account in.
    pub fn ask_slot(
        &self,
        object: (&str, &str, &str),
        team: &str,
        durable: &HashSet<String>,
    ) -> Answer {
        let (uid, namespace, name) = object;
        self.view()
            .places
            .insert(uid.to_owned(), (namespace.to_owned(), name.to_owned()));
        self.queue().ask(uid, team, durable, self.clock.now())
    }

    /// Gives a slot back and wakes whoever is next.
    pub fn slot_done(&self, uid: &str, took: Option<Duration>) {
        let next = {
            let mut queue = self.queue();
            queue.done(uid, took);
            queue.next()
        };
        let mut view = self.view();
        view.places.remove(uid);
        for uid in next {
            if let Some((namespace, name)) = view.places.get(&uid) {
                self.trigger.fire(Some(namespace), name);
            }
        }
    }

    /// AWS would not begin one more creation.
    pub fn slot_refused(&self, uid: &str) {
        self.queue().refused(uid, self.clock.now());
    }

    /// How many wait for a slot, how many hold one, and how many there are.
    pub fn slots(&self) -> (usize, usize, usize) {
        self.queue().sizes()
    }

    /// What has become of a request; `None`: not known yet, and from now on it is watched for.
    pub fn request(
        &self,
        id: &RequestId,
        (uid, namespace, name): (&str, &str, &str),
        since: Timestamp,
    ) -> Option<CreateRequest> {
        let mut view = self.view();
        if let Some(request) = view.finished.get(id) {
            return Some(request.clone());
        }
        view.expected.entry(id.clone()).or_insert_with(|| Expected {
            uid: uid.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            since,
        });
        self.expecting.notify_one();
        None
    }

    /// Enters a request that CreateAccount has answered with.
    pub fn enter_request(&self, request: CreateRequest) {
        self.view().own.insert(request.id.clone());
        if request.state != RequestState::InProgress {
            self.view().finished.insert(request.id.clone(), request);
        }
    }

    /// Forgets a request whose outcome is in the object's status.
    pub fn forget_request(&self, id: &RequestId) {
        let mut view = self.view();
        view.expected.remove(id);
        view.finished.remove(id);
        view.own.remove(id);
    }

    /// Whether CreateAccount gave this id to this very process; else a request that was found by its name must prove
    /// itself by its account's e-mail address.
    pub fn is_own(&self, id: &RequestId) -> bool {
        self.view().own.contains(id)
    }

    /// Since when this process has been looking for the creation of that object.
    pub fn searching_since(&self, uid: &str) -> Timestamp {
        let now = self.clock.now();
        *self.view().searching.entry(uid.to_owned()).or_insert(now)
    }

    /// The search has come to an end.
    pub fn search_done(&self, uid: &str) {
        self.view().searching.remove(uid);
    }

    /// All requests that AWS remembers, page by page, until `enough`.
    ///
    /// # Errors
    /// AWS's.
    pub async fn requests(
        &self,
        mut enough: impl FnMut(&[CreateRequest]) -> bool,
    ) -> Result<Vec<CreateRequest>> {
        let (mut all, mut page) = (Vec::new(), None);
        loop {
            let answer = self.cloud.accounts.create_requests(false, page).await?;
            all.extend(answer.items);
            page = answer.next;
            if page.is_none() || enough(&all) {
                return Ok(all);
            }
        }
    }

    /// Notices for all creations at once when they are done, for ever.
    pub async fn keep_creations_watched(&self, stop: CancellationToken) {
        loop {
            let pause = match self.until_next_round() {
                Some(pause) => pause,
                None => tokio::select! {
                    () = self.expecting.notified() => continue,
                    () = stop.cancelled() => return,
                },
            };
            let woken = tokio::time::timeout_at(Instant::now() + pause, stop.cancelled()).await;
            if woken.is_ok() {
                return;
            }
            if let Err(error) = self.creation_round().await {
                tracing::warn!(%error, "creation requests could not be read");
            }
        }
    }

    /// When it is worth asking: before the shortest creation that was ever seen none is done.
    fn until_next_round(&self) -> Option<Duration> {
        let view = self.view();
        let oldest = view
            .expected
            .values()
            .map(|expected| expected.since)
            .min()?;
        let age = Duration::try_from(self.clock.now().duration_since(oldest)).unwrap_or_default();
        let earliest = view.shortest.unwrap_or_default().mul_f64(0.9);
        Some(earliest.saturating_sub(age).max(CREATION_ROUND))
    }

    async fn creation_round(&self) -> Result<()> {
        let wanted: HashSet<RequestId> = self.view().expected.keys().cloned().collect();
        let all = self
            .requests(|seen| {
                wanted
                    .iter()
                    .all(|id| seen.iter().any(|request| request.id == *id))
            })
            .await?;
        let mut view = self.view();
        for request in all {
            let Some(expected) = view.expected.get(&request.id).cloned() else {
                continue;
            };
            if request.state == RequestState::InProgress {
                continue;
            }
            if let (Some(from), Some(to)) = (request.requested, request.completed) {
                let took = Duration::try_from(to.duration_since(from)).unwrap_or_default();
                view.shortest = Some(view.shortest.map_or(took, |shortest| shortest.min(took)));
            }
            view.expected.remove(&request.id);
            view.finished.insert(request.id.clone(), request);
            tracing::debug!(uid = expected.uid, "a creation has come to an end");
            self.trigger.fire(Some(&expected.namespace), &expected.name);
        }
        Ok(())
    }

    /// The ports.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }
}
