//! Growing pauses between attempts at one object.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How pauses grow: doubled from `base` to `max`, each between half and the whole of that.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// After the first failure.
    pub base: Duration,
    /// At most.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            max: Duration::from_secs(300),
        }
    }
}

impl Backoff {
    /// The pause after the `attempt`th failure in a row (from 1 on); `jitter` is in 0..1.
    pub fn delay(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = self
            .base
            .saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1).min(30)));
        doubled
            .min(self.max)
            .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

/// How often in a row each object has failed, by uid. Objects that succeed take no room.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<String, u32>>);

impl Attempts {
    fn map(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more failure; how many in a row that makes.
    pub fn failed(&self, uid: &str) -> u32 {
        let mut map = self.map();
        let count = map.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// It went well: the next failure is a first one.
    pub fn succeeded(&self, uid: &str) {
        self.map().remove(uid);
    }

    /// How many failures in a row there were.
    pub fn count(&self, uid: &str) -> u32 {
        self.map().get(uid).copied().unwrap_or(0)
    }
}

/// A number in 0..1 from the object and the attempt: objects that fail together do not come back together, and a run
/// can be repeated.
pub fn jitter(uid: &str, attempt: u32) -> f64 {
    let hash = crate::plan::revision::fnv1a(format!("{uid}/{attempt}").as_bytes());
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_most_and_vary_by_half() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(1, 1.0), Duration::from_secs(1));
        assert_eq!(backoff.delay(1, 0.0), Duration::from_millis(500));
        assert_eq!(backoff.delay(4, 1.0), Duration::from_secs(8));
        assert_eq!(backoff.delay(u32::MAX, 1.0), Duration::from_secs(300));
    }
}
