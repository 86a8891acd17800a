//! The time, from outside: no decision asks the system for it.

use k8s_openapi::jiff::Timestamp;

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that follows tokio's, which a test can pause and which then leaps from one timer to the next.
#[cfg(feature = "dev")]
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock {
    epoch: Timestamp,
    start: tokio::time::Instant,
}

#[cfg(feature = "dev")]
impl VirtualClock {
    /// A clock that shows `epoch` now.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self {
            epoch,
            start: tokio::time::Instant::now(),
        }
    }
}

#[cfg(feature = "dev")]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.epoch
            .checked_add(self.start.elapsed())
            .unwrap_or(self.epoch)
    }
}
