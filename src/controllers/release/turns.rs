//! Whose turn it is: how many questions are under way to one registry, for one namespace, and altogether.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A limit: what is counted, and how many of it there may be.
pub type Limit = (String, usize);

/// Counts what is under way. Who waits holds nothing meanwhile: who waits for a slow registry must not keep others from a
/// quick one.
#[derive(Debug, Default)]
pub struct Turns {
    under_way: Mutex<HashMap<String, usize>>,
    over: Notify,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    limits: Vec<Limit>,
}

impl Turns {
    /// Waits until none of the limits is reached.
    pub async fn wait(self: &Arc<Self>, limits: Vec<Limit>) -> Turn {
        loop {
            // Registered before it is looked, so that no end is missed in between.
            let over = self.over.notified();
            tokio::pin!(over);
            over.as_mut().enable();
            if self.begin(&limits) {
                return Turn {
                    turns: self.clone(),
                    limits,
                };
            }
            over.await;
        }
    }

    /// Whether none of the limits is reached at the moment.
    pub fn are_free(&self, limits: &[Limit]) -> bool {
        are_free(&self.under_way(), limits)
    }

    /// Counts one more of each, or nothing.
    fn begin(&self, limits: &[Limit]) -> bool {
        let mut under_way = self.under_way();
        if !are_free(&under_way, limits) {
            return false;
        }
        for (what, _) in limits {
            *under_way.entry(what.clone()).or_default() += 1;
        }
        true
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn are_free(under_way: &HashMap<String, usize>, limits: &[Limit]) -> bool {
    let is_free = |(what, most): &Limit| under_way.get(what).is_none_or(|many| many < most);
    limits.iter().all(is_free)
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = self.turns.under_way();
        for (what, _) in &self.limits {
            if let Some(many) = under_way.get_mut(what) {
                *many -= 1;
            }
        }
        under_way.retain(|_, many| *many > 0);
        drop(under_way);
        self.turns.over.notify_waiters();
    }
}
