//! Which moments a client takes for its rotations: what the replica that leads knows of the others.

use std::sync::{Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::plan::rotation::turns::{self, Load};
use crate::plan::rotation::{Known, Wanted};

/// The next rotation of every client. After a start it is known as soon as every client has been looked at once; what was
/// taken is in each status, and stays.
#[derive(Debug, Default)]
pub struct Turns(Mutex<Load>);

impl Turns {
    /// When a client's next rotation is, if it is known.
    pub(super) fn note(&self, uid: &str, next: Option<&Time>) {
        if let Some(next) = next {
            self.load(|load| load.note(uid, Some(next.0)));
        }
    }

    /// It has none any more.
    pub(super) fn forget(&self, uid: &str) {
        self.load(|load| load.note(uid, None));
    }

    /// Takes a turn for a client that has none, as soon as one of its versions has a life.
    pub(super) fn take(&self, wanted: &Wanted, known: &mut Known, life: (Timestamp, Timestamp)) {
        if known.turn.is_some() || !wanted.auth.ages() {
            return;
        }
        let window = wanted.window.as_ref();
        // Asked and noted at once, so that clients that come together see each other.
        known.turn = Some(self.load(|load| {
            let (turn, due) = turns::choose(&wanted.uid, life, window, load);
            load.note(&wanted.uid, Some(due));
            turn
        }));
    }

    fn load<T>(&self, with: impl FnOnce(&mut Load) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
