//! The journal: every change of our objects, with its author and the spec before and after, kept outside of the cluster.
//!
//! | part | what it is |
//! |---|---|
//! | [`record`], [`layout`] | one record: fields, bytes, hash; and its key |
//! | [`chain`] | which record comes next, from what was seen: pure |
//! | [`index`] | where the chains end, for a cheap start |
//! | [`ledger`] | writing to the sink, each record once |
//! | [`outbox`] | where what was seen waits, in the cluster, while the sink is away |
//! | [`lane`], [`entry`] | the order: one queue for each object; what is remembered |
//! | [`verify`], [`reader`] | reading it again, and whether it is whole |
//!
//! Each object has a chain of records, `<prefix>/<cluster>/<kind>/<uid>/<number>.json`, each with the SHA-256 of the one
//! before. The sink itself is the memory of what is written: a settled object costs no call, a change one read and one
//! write, a start sixteen reads however many objects there are.
//!
//! While the sink is away, what is seen goes to the outbox and is written in order when it is back. When the outbox is
//! full, changes are still let through, and those of one object that nobody can remember become one record that says so
//! (a gap); deletions wait, because after them there is nothing left to find them by.

pub mod chain;
mod entry;
pub mod index;
mod lane;
pub mod layout;
pub mod ledger;
pub mod outbox;
pub mod reader;
pub mod record;
pub mod verify;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use chain::Seen;
use lane::{Lane, Message};
use ledger::Ledger;
use outbox::{Outbox, Places};

/// How many queues there are. An object is always in the same one.
const LANES: usize = 8;
/// How often what could not be read at the start is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// How long somebody waits for the word that a departure is safe, while the queue before it is long.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// Is told what the journal does.
pub trait Observer: Send + Sync {
    /// A record was written.
    fn wrote(&self, operation: &'static str);
    /// Something failed: the label of an [`ErrorKind`](crate::cloud::ErrorKind), `outbox`, `broken` where the sink
    /// holds what should not be there, or `lost`.
    fn failed(&self, reason: &'static str);
}

/// How patient the journal is, and how much it remembers.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many observations the outbox takes.
    pub outbox: usize,
    /// After how long without an answer the sink counts as away, and what was seen goes to the outbox.
    pub patience: Duration,
    /// How long between two attempts at most.
    pub longest_pause: Duration,
    /// How soon the index is written when there is a new object.
    pub births_every: Duration,
    /// How often the index is written, if anything else has changed.
    pub flush_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            outbox: 2000,
            patience: Duration::from_secs(3),
            longest_pause: Duration::from_secs(30),
            births_every: Duration::from_secs(15),
            flush_every: Duration::from_secs(600),
        }
    }
}

/// How far behind the journal is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behind {
    /// Changes that were seen and are not in the sink.
    pub pending: usize,
    /// Those of them that are in the outbox, and survive the end of this process.
    pub stored: usize,
    /// When the oldest of them was seen.
    pub oldest: Option<Timestamp>,
    /// What the sink said last, if it did not take a record.
    pub why: Option<String>,
}

/// The state of the queues, for whoever asks.
#[derive(Debug, Default)]
struct Board {
    lanes: Mutex<Vec<Behind>>,
    /// Why the index cannot be read, as long as it has not been.
    index: Mutex<Option<String>>,
}

impl Board {
    fn lanes(&self) -> MutexGuard<'_, Vec<Behind>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> MutexGuard<'_, Option<String>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, lane: usize, behind: Behind) {
        if let Some(place) = self.lanes().get_mut(lane) {
            *place = behind;
        }
    }
}

/// The journal of one cluster.
pub struct Journal {
    ledger: Arc<Ledger>,
    outbox: Arc<dyn Outbox>,
    places: Arc<Places>,
    observer: Arc<dyn Observer>,
    settings: Settings,
    board: Arc<Board>,
    senders: Vec<mpsc::UnboundedSender<Message>>,
    receivers: Mutex<Vec<mpsc::UnboundedReceiver<Message>>>,
    opened: watch::Sender<bool>,
}

impl Journal {
    /// A journal that writes to `ledger`; it begins with [`Journal::run`].
    pub fn new(
        ledger: Ledger,
        outbox: Arc<dyn Outbox>,
        observer: Arc<dyn Observer>,
        settings: Settings,
    ) -> Self {
        let (senders, receivers) = (0..LANES).map(|_| mpsc::unbounded_channel()).unzip();
        let board = Board {
            lanes: Mutex::new(vec![Behind::default(); LANES]),
            index: Mutex::default(),
        };
        Self {
            ledger: Arc::new(ledger),
            outbox,
            places: Arc::new(Places::new(settings.outbox)),
            observer,
            settings,
            board: Arc::new(board),
            senders,
            receivers: Mutex::new(receivers),
            opened: watch::channel(false).0,
        }
    }

    fn send(&self, message: Message) {
        let lane = lane_of(&message.seen.uid);
        if let Some(sender) = self.senders.get(lane) {
            // It fails only when the journal has ended, with the whole process.
            let _ = sender.send(message);
        }
    }

    /// Something was seen. What is written already is dropped at once.
    pub fn see(&self, seen: Seen) {
        let gone = seen.departed.is_some_and(|departure| departure.gone);
        if self.ledger.is_written(&seen) && !gone {
            return;
        }
        self.send(Message { seen, reply: None });
    }

    /// An object is about to leave: returns when that is in the journal, or safe in the outbox.
    ///
    /// # Errors
    /// If neither takes it. The object must wait, and its controller ask again.
    pub async fn part(&self, seen: Seen) -> Result<(), Behind> {
        if self.ledger.is_written(&seen) {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        self.send(Message {
            seen,
            reply: Some(reply),
        });
        match tokio::time::timeout(LONGEST_ANSWER, answer).await {
            Ok(Ok(Ok(()))) => Ok(()),
            _ => Err(self.behind()),
        }
    }

    /// Says when the index has been read, so that [`Journal::compare`] can be asked.
    pub fn opened(&self) -> watch::Receiver<bool> {
        self.opened.subscribe()
    }

    /// Journals the deletion of whatever is not among the living any more and vanished while nobody watched.
    pub fn compare(&self, kind: &str, living: &HashSet<String>, now: Timestamp) {
        for seen in self.ledger.vanished(kind, living, now) {
            self.see(seen);
        }
    }

    /// How far behind it is.
    pub fn behind(&self) -> Behind {
        let start = Behind {
            why: self.board.index().clone(),
            ..Behind::default()
        };
        self.board.lanes().iter().fold(start, |sum, lane| Behind {
            pending: sum.pending + lane.pending,
            stored: sum.stored + lane.stored,
            oldest: match (sum.oldest, lane.oldest) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
            why: lane.why.clone().or(sum.why),
        })
    }

    /// How many places the outbox has.
    pub fn outbox_places(&self) -> usize {
        self.settings.outbox
    }

    /// Works until `stop`, then brings what it can to the sink or the outbox, and ends. `now` tells the time.
    pub async fn run(
        &self,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        stop: CancellationToken,
    ) {
        let receivers = std::mem::take(
            &mut *self
                .receivers
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let Some(stored) = self.load(&stop).await else {
            return;
        };
        let mut lanes: Vec<Lane> = (0..LANES)
            .map(|number| {
                Lane::new(
                    number,
                    self.ledger.clone(),
                    (self.outbox.clone(), self.places.clone()),
                    self.observer.clone(),
                    self.settings,
                    (self.board.clone(), self.opened.subscribe()),
                )
            })
            .collect();
        for seen in stored {
            if let Some(lane) = lanes.get_mut(lane_of(&seen.uid)) {
                lane.resume(seen);
            }
        }
        let mut tasks = JoinSet::new();
        for (lane, receiver) in lanes.into_iter().zip(receivers) {
            tasks.spawn(lane.run(receiver, stop.clone()));
        }
        self.keep_index(&now, &stop).await;
        while tasks.join_next().await.is_some() {}
        if let Err(error) = self.ledger.flush(now()).await {
            tracing::warn!(%error, "the journal's index is left behind its records; the next start catches up");
        }
    }

    /// What the outbox holds from an earlier life. `None`: it is time to stop.
    async fn load(&self, stop: &CancellationToken) -> Option<Vec<Seen>> {
        let mut said = None;
        loop {
            match self.outbox.load().await {
                Ok(stored) => return Some(stored),
                Err(error) => {
                    self.observer.failed("outbox");
                    // The same every five seconds would bury what else is wrong.
                    if said.as_ref() != Some(&error) {
                        tracing::warn!(error, "the journal's outbox cannot be read; trying again");
                    }
                    said = Some(error);
                }
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    /// Reads the index, then writes it now and then.
    async fn keep_index(&self, now: &impl Fn() -> Timestamp, stop: &CancellationToken) {
        while let Err(error) = self.ledger.open().await {
            self.observer.failed(error.kind.label());
            let why = Some(error.to_string());
            let known = std::mem::replace(&mut *self.board.index(), why.clone());
            if known != why {
                tracing::warn!(%error, "the journal's index cannot be read; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
        *self.board.index() = None;
        self.opened.send_replace(true);
        let (mut written, mut failing) = (tokio::time::Instant::now(), false);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.settings.births_every) => {}
            }
            if !self.ledger.has_births() && written.elapsed() < self.settings.flush_every {
                continue;
            }
            written = tokio::time::Instant::now();
            match self.ledger.flush(now()).await {
                Ok(()) => failing = false,
                Err(error) => {
                    self.observer.failed(error.kind.label());
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "the journal's index cannot be written; trying again");
                    }
                }
            }
        }
    }
}

fn lane_of(uid: &str) -> usize {
    usize::from(index::shard_of(uid)) % LANES
}

#[cfg(test)]
mod tests;
