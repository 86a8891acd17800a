//! Where what was seen waits while the sink is away: a port, since it is in the cluster.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// How much more than what is left one namespace may have, in places: the larger, the more of the outbox a namespace gets
/// that is alone, four fifths with this, and the less is left for the first of others.
const SHARE: usize = 4;

/// The places in the outbox, of which there are only so many. No namespace gets all of them: whoever has many waits as
/// soon as few are left, and whoever has none finds one. What belongs to no namespace counts as one.
#[derive(Debug)]
pub struct Places {
    limit: usize,
    taken: Mutex<HashMap<String, usize>>,
}

impl Places {
    /// So many places.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: Mutex::default(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for something of this namespace; `false`: there is none for it.
    pub fn take(&self, namespace: Option<&str>) -> bool {
        let mut taken = self.taken();
        let left = self.limit.saturating_sub(taken.values().sum());
        let namespace = namespace.unwrap_or_default();
        let own = taken.get(namespace).copied().unwrap_or_default();
        let may = own < left.saturating_mul(SHARE);
        if may {
            taken.insert(namespace.to_owned(), own + 1);
        }
        may
    }

    /// Takes a place for what is there already, limit or no limit.
    pub fn occupy(&self, namespace: Option<&str>) {
        let namespace = namespace.unwrap_or_default().to_owned();
        *self.taken().entry(namespace).or_default() += 1;
    }

    /// Gives a place back.
    pub fn give_back(&self, namespace: Option<&str>) {
        let (mut taken, namespace) = (self.taken(), namespace.unwrap_or_default());
        if let Some(own) = taken.get_mut(namespace) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(places: &Places, namespace: Option<&str>) -> usize {
        (0..).take_while(|_| places.take(namespace)).count()
    }

    #[test]
    fn one_alone_gets_most_and_others_always_find_some() {
        let places = Places::new(2000);
        assert_eq!(fill(&places, Some("loud")), 1600);
        for team in 0..20 {
            let name = format!("team-{team}");
            assert!(places.take(Some(&name)), "{name}");
        }
        // What is left is shared in the same way.
        assert!(fill(&places, None) > 250);
        assert!(places.take(Some("late")));
        places.give_back(Some("loud"));
        assert!(!places.take(Some("loud")), "others come first");
        for _ in 0..1599 {
            places.give_back(Some("loud"));
        }
        assert!(fill(&places, Some("loud")) > 1000, "it is free again");
    }

    #[test]
    fn no_more_are_taken_than_there_are() {
        let places = Places::new(3);
        assert_eq!(fill(&places, None), 3);
        assert!(!places.take(Some("other")));
        // What an earlier life has left may be more.
        for _ in 0..4 {
            places.occupy(Some("old"));
        }
        places.give_back(None);
        assert!(!places.take(None));
        assert_eq!(fill(&Places::new(0), None), 0);
    }
}
