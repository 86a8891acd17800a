//! One queue of observations. All of one object are in the same queue, and leave it in their order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::chain::Seen;
use super::entry::{Entry, Reply, bound};
use super::ledger::Ledger;
use super::outbox::{Outbox, Places, id};
use super::{Behind, Board, LANES, Observer, Settings};
use crate::cloud::ErrorKind;

/// An observation on its way to the queue.
pub(super) struct Message {
    pub(super) seen: Seen,
    /// Whoever waits until it is safe.
    pub(super) reply: Option<Reply>,
}

/// What cannot be written for reasons of its own, while the rest can.
#[derive(Default)]
struct Aside {
    uids: HashSet<String>,
    entries: VecDeque<Entry>,
    why: Option<String>,
}

pub(super) struct Lane {
    number: usize,
    ledger: Arc<Ledger>,
    outbox: Arc<dyn Outbox>,
    places: Arc<Places>,
    observer: Arc<dyn Observer>,
    settings: Settings,
    board: Arc<Board>,
    queue: VecDeque<Entry>,
    /// The newest observation of each object in the queue.
    newest: HashMap<String, (i64, bool)>,
    /// What is written and still in the outbox: the id, and whose place it takes.
    leftovers: Vec<(String, Option<String>)>,
    /// How often in a row the sink did not take a record.
    attempts: u32,
    retry_at: Instant,
    why: Option<String>,
    opened: watch::Receiver<bool>,
}

impl Lane {
    pub(super) fn new(
        number: usize,
        ledger: Arc<Ledger>,
        (outbox, places): (Arc<dyn Outbox>, Arc<Places>),
        observer: Arc<dyn Observer>,
        settings: Settings,
        (board, opened): (Arc<Board>, watch::Receiver<bool>),
    ) -> Self {
        Self {
            number,
            ledger,
            outbox,
            places,
            observer,
            settings,
            board,
            queue: VecDeque::new(),
            newest: HashMap::new(),
            leftovers: Vec::new(),
            attempts: 0,
            retry_at: Instant::now(),
            why: None,
            opened,
        }
    }

    /// An observation that an earlier life left in the outbox.
    pub(super) fn resume(&mut self, seen: Seen) {
        self.places.occupy(seen.namespace.as_deref());
        self.push(Entry {
            seen,
            stored: true,
            replies: Vec::new(),
        });
    }

    fn push(&mut self, entry: Entry) {
        self.newest.insert(entry.seen.uid.clone(), entry.mark());
        self.queue.push_back(entry);
    }

    pub(super) async fn run(
        mut self,
        mut messages: mpsc::UnboundedReceiver<Message>,
        stop: CancellationToken,
    ) {
        let mut opened = self.opened.clone();
        loop {
            self.show();
            let open = self.ledger.is_open();
            let waiting = open && !(self.queue.is_empty() && self.leftovers.is_empty());
            tokio::select! {
                () = stop.cancelled() => break,
                message = messages.recv() => match message {
                    Some(message) => self.accept(message),
                    None => break,
                },
                _ = opened.changed(), if !open => {}
                () = tokio::time::sleep_until(self.retry_at), if waiting => {}
            }
            while let Ok(message) = messages.try_recv() {
                self.accept(message);
            }
            if self.attempts == 0 || Instant::now() >= self.retry_at {
                self.deliver().await;
            } else {
                self.spill().await;
            }
        }
        while let Ok(message) = messages.try_recv() {
            self.accept(message);
        }
        self.deliver().await;
        self.show();
    }

    fn accept(&mut self, Message { seen, reply }: Message) {
        let mark = (seen.generation, seen.departed.is_some());
        let newest = self.newest.get(&seen.uid).copied();
        // The same again, or the spec of an object whose departure with that spec is in the queue.
        let known = newest.filter(|newest| *newest == mark || *newest == (mark.0, true));
        if let Some(known) = known {
            let same = |entry: &&mut Entry| entry.seen.uid == seen.uid && entry.mark() == known;
            if let Some(entry) = self.queue.iter_mut().find(same) {
                if let (Some(departure), Some(again)) = (&mut entry.seen.departed, seen.departed) {
                    departure.gone |= again.gone;
                }
                entry.replies.extend(reply);
                if entry.stored {
                    entry.answer(Ok(()));
                }
                return;
            }
        }
        self.push(Entry {
            seen,
            stored: false,
            replies: reply.into_iter().collect(),
        });
    }

    /// Brings the queue to the sink, as far as that takes it; the rest to the outbox.
    async fn deliver(&mut self) {
        if !self.ledger.is_open() {
            return self.spill().await;
        }
        let mut aside = Aside::default();
        while let Some(entry) = self.queue.front_mut() {
            if aside.uids.contains(&entry.seen.uid) {
                aside.entries.extend(self.queue.pop_front());
                continue;
            }
            let written =
                tokio::time::timeout(self.settings.patience, self.ledger.append(&entry.seen));
            let why = match written.await {
                Ok(Ok(())) => {
                    entry.answer(Ok(()));
                    self.done().await;
                    continue;
                }
                Ok(Err(error)) => {
                    self.observer.failed(error.kind.label());
                    // Its chain cannot be read, say: that holds up this object and no other one.
                    if error.kind == ErrorKind::Invalid {
                        aside.uids.insert(entry.seen.uid.clone());
                        aside.why = Some(error.to_string());
                        continue;
                    }
                    error.to_string()
                }
                Err(_) => {
                    self.observer.failed("unavailable");
                    let seconds = self.settings.patience.as_secs();
                    format!("no answer within {seconds} s")
                }
            };
            aside.why = Some(why);
            break;
        }
        // In front of what was not come to, so that those of one object are still in their order.
        aside.entries.append(&mut self.queue);
        self.queue = aside.entries;
        match aside.why {
            Some(why) => {
                self.go_away(why);
                self.spill().await;
            }
            None => self.come_back(),
        }
        self.tidy().await;
    }

    /// The first of the queue is written.
    async fn done(&mut self) {
        let Some(entry) = self.queue.pop_front() else {
            return;
        };
        if self.newest.get(&entry.seen.uid) == Some(&entry.mark()) {
            self.newest.remove(&entry.seen.uid);
        }
        if entry.seen.departed.is_some_and(|departure| departure.gone) {
            self.ledger.forget(&entry.seen.uid);
        }
        if entry.stored {
            self.leftovers
                .push((id(&entry.seen), entry.seen.namespace.clone()));
            self.tidy().await;
        }
        if self.queue.len().is_multiple_of(64) {
            self.show();
        }
    }

    /// Takes out of the outbox what is written.
    async fn tidy(&mut self) {
        while let Some((id, _)) = self.leftovers.last() {
            if let Err(error) = self.outbox.remove(id).await {
                self.observer.failed("outbox");
                tracing::warn!(
                    error,
                    "what is in the journal is still in its outbox; trying again"
                );
                self.retry_at = self.retry_at.max(Instant::now() + self.pause(1));
                return;
            }
            if let Some((_, namespace)) = self.leftovers.pop() {
                self.places.give_back(namespace.as_deref());
            }
        }
    }

    fn pause(&self, attempts: u32) -> Duration {
        let seconds = 1_u64 << attempts.min(16);
        Duration::from_secs(seconds).min(self.settings.longest_pause)
    }

    fn go_away(&mut self, why: String) {
        self.attempts = self.attempts.saturating_add(1);
        self.retry_at = Instant::now() + self.pause(self.attempts);
        if self.why.as_ref() != Some(&why) {
            let pending = self.queue.len();
            tracing::warn!(
                lane = self.number,
                pending,
                error = why,
                "the journal's sink takes no records; what is seen waits in the cluster"
            );
        }
        self.why = Some(why);
    }

    fn come_back(&mut self) {
        if self.attempts > 0 {
            tracing::info!(lane = self.number, "the journal's sink takes records again");
        }
        self.attempts = 0;
        self.why = None;
    }

    /// Brings to the outbox what is not there yet. What finds no place is not forgotten as long as this process lives,
    /// but of several changes of one object only the last is kept, and of what is gone not more than [`bound`] leaves;
    /// whoever waits is told.
    async fn spill(&mut self) {
        let mut kept = VecDeque::with_capacity(self.queue.len());
        while let Some(mut entry) = self.queue.pop_front() {
            let newer = self.newest.get(&entry.seen.uid) != Some(&entry.mark());
            if entry.stored || !self.is_change(&entry, newer) {
                kept.push_back(entry);
                continue;
            }
            if self.store(&mut entry).await {
                entry.answer(Ok(()));
                kept.push_back(entry);
                continue;
            }
            // Whoever asked about an object that is still there will ask again.
            let there = entry.seen.departed.is_some_and(|departure| !departure.gone);
            let asked_again = there && !entry.replies.is_empty();
            entry.answer(Err(()));
            if newer {
                continue;
            }
            if asked_again {
                self.newest.remove(&entry.seen.uid);
            } else {
                kept.push_back(entry);
            }
        }
        let forgotten = bound(&mut kept, self.settings.outbox / LANES);
        for uid in &forgotten {
            self.observer.failed("lost");
            self.newest.remove(uid);
        }
        if !forgotten.is_empty() {
            tracing::error!(
                objects = forgotten.len(),
                "more has vanished than the journal can remember while it is behind: what the index of heads knows is \
                 journaled after the next start, the rest is lost"
            );
        }
        self.queue = kept;
    }

    /// Whether this is known to be a change: what was found in a list may have been written long ago, which only the
    /// index can tell; unless something has happened to the object since.
    fn is_change(&self, entry: &Entry, newer: bool) -> bool {
        !entry.seen.listed || newer || self.ledger.is_open()
    }

    async fn store(&self, entry: &mut Entry) -> bool {
        if !self.places.take(entry.seen.namespace.as_deref()) {
            self.observer.failed("outbox_full");
            return false;
        }
        match self.outbox.put(&entry.seen).await {
            Ok(()) => entry.stored = true,
            Err(error) => {
                self.places.give_back(entry.seen.namespace.as_deref());
                self.observer.failed("outbox");
                tracing::warn!(
                    error,
                    kind = entry.seen.kind,
                    name = entry.seen.name,
                    "what was seen can be kept neither in the journal nor in its outbox"
                );
            }
        }
        entry.stored
    }

    fn show(&self) {
        let open = self.ledger.is_open();
        let pending = || {
            self.queue
                .iter()
                .filter(move |entry| open || !entry.seen.listed || entry.stored)
        };
        self.board.show(
            self.number,
            Behind {
                pending: pending().count(),
                stored: self.queue.iter().filter(|entry| entry.stored).count(),
                oldest: pending().map(|entry| entry.seen.observed).min(),
                why: self.why.clone(),
            },
        );
    }
}
