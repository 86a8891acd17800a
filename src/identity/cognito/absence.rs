//! When it may be believed that a client is not there because no list shows it: not while a list may be behind a creation whose
//! answer was lost, or another one would be made.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::super::{ErrorKind, IdentityError, Result};

/// How far behind a list of clients may be. AWS says nothing of that; what it lists of other things is there within seconds.
const BEHIND: Duration = Duration::from_secs(10);

/// Of which clients it is not known whether they were made.
pub(super) struct Absence {
    /// Since when we are here: what was made before, by whoever was killed, is not known.
    began: Timestamp,
    /// Those whose answers were lost, and when.
    lost: Mutex<HashMap<String, Timestamp>>,
}

impl Absence {
    pub(super) fn new(began: Timestamp) -> Self {
        Self {
            began,
            lost: Mutex::default(),
        }
    }

    /// The answer to its creation was lost.
    pub(super) fn doubt(&self, handle: &str, now: Timestamp) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.insert(handle.to_owned(), now);
    }

    /// That there is none.
    ///
    /// # Errors
    /// `Unavailable`: not yet.
    pub(super) fn believe(
        &self,
        operation: &'static str,
        handle: &str,
        now: Timestamp,
    ) -> Result<()> {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let since = lost.get(handle).copied().unwrap_or(self.began);
        let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        if passed >= BEHIND {
            lost.remove(handle);
            return Ok(());
        }
        let message = "a list of app clients may be behind, and one may have been made already whose answer was lost: asked again \
                       in some seconds";
        let mut error = IdentityError::new(ErrorKind::Unavailable, operation, message);
        error.retry_after = Some(BEHIND.saturating_sub(passed));
        Err(error)
    }
}
