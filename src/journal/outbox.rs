//! Where what was seen waits while the sink is away: a port, since it is in the cluster.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::chain::Seen;

/// A durable place outside of this process that is there when the sink is not.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Keeps an observation under its [`id`]; that it is there already is no error.
    ///
    /// # Errors
    /// If it cannot be kept: a sentence that says why.
    async fn put(&self, seen: &Seen) -> Result<(), String>;
    /// Takes an observation away; that it is not there is no error.
    ///
    /// # Errors
    /// If it may still be there.
    async fn remove(&self, id: &str) -> Result<(), String>;
    /// All that is kept, those of one object in the order in which they happened.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn load(&self) -> Result<Vec<Seen>, String>;
}

/// What an observation is kept under: the same one twice has the same.
pub fn id(seen: &Seen) -> String {
    let departed = if seen.departed.is_some() {
        "-departed"
    } else {
        ""
    };
    format!("{}-{}{departed}", seen.uid, seen.generation)
}

/// The order of one object's observations.
pub fn order(seen: &Seen) -> (String, i64, bool) {
    (seen.uid.clone(), seen.generation, seen.departed.is_some())
}

/// The places in the outbox, of which there are only so many.
#[derive(Debug)]
pub struct Places {
    limit: usize,
    taken: AtomicUsize,
}

impl Places {
    /// So many places.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: AtomicUsize::new(0),
        }
    }

    /// Takes a place; `false`: there is none.
    pub fn take(&self) -> bool {
        let more = |taken| (taken < self.limit).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .is_ok()
    }

    /// Takes a place for what is there already, limit or no limit.
    pub fn occupy(&self) {
        self.taken.fetch_add(1, Ordering::SeqCst);
    }

    /// Gives a place back.
    pub fn give_back(&self) {
        let fewer = |taken: usize| taken.checked_sub(1);
        let _ = self
            .taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer);
    }
}
