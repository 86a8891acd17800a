//! When what is outside is looked at again although nothing has changed here: somebody may have changed it there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::jitter;

/// The next look for each object, by uid.
#[derive(Debug)]
pub struct DeepChecks {
    every: Duration,
    due: Mutex<HashMap<String, Instant>>,
}

impl DeepChecks {
    /// Each object once in `every`.
    pub fn new(every: Duration) -> Self {
        Self {
            every,
            due: Mutex::default(),
        }
    }

    /// Whether it is time for a look.
    pub fn is_due(&self, uid: &str) -> bool {
        self.due().get(uid).is_some_and(|at| Instant::now() >= *at)
    }

    /// When to look next: after a look a whole interval; after a restart at a moment of the object's own, so that ten
    /// thousand objects are not all looked at at once.
    pub fn next(&self, uid: &str, looked: bool) -> Duration {
        let mut due = self.due();
        let now = Instant::now();
        if looked {
            due.insert(uid.to_owned(), now + self.every);
        }
        let share = self.every.mul_f64(jitter(uid, 0));
        let at = *due.entry(uid.to_owned()).or_insert(now + share);
        at.saturating_duration_since(now)
            .max(Duration::from_secs(1))
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.due().remove(uid);
    }

    fn due(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_is_due_after_the_interval_and_after_a_restart_sooner() {
        let every = Duration::from_secs(3600);
        let checks = DeepChecks::new(every);
        assert!(!checks.is_due("a"), "a restart looks at nobody at once");
        let first = checks.next("a", false);
        assert!(first < every, "{first:?}");
        assert_ne!(first, checks.next("b", false), "each at its own moment");
        tokio::time::advance(first).await;
        assert!(checks.is_due("a"));
        assert_eq!(checks.next("a", true), every);
        assert!(!checks.is_due("a"));
        tokio::time::advance(every / 2).await;
        // A pass for another reason does not put it off.
        assert_eq!(checks.next("a", false), every / 2);
        checks.forget("a");
        tokio::time::advance(every).await;
        assert!(!checks.is_due("a"));
    }
}
