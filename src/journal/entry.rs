//! What waits in a queue, and how much of it is remembered.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::chain::Seen;

/// Whether what was seen is safe.
pub(super) type Reply = oneshot::Sender<Result<(), ()>>;

/// Of how many objects that are gone a queue remembers the last spec at least, if the outbox takes none of them.
const GONE: usize = 16;
/// Of how many more, as a multiple, it remembers only that they are gone.
const GONE_BARE: usize = 16;

/// An observation in the queue.
pub(super) struct Entry {
    pub(super) seen: Seen,
    /// Whether it is in the outbox.
    pub(super) stored: bool,
    pub(super) replies: Vec<Reply>,
}

impl Entry {
    pub(super) fn mark(&self) -> (i64, bool) {
        (self.seen.generation, self.seen.departed.is_some())
    }

    pub(super) fn answer(&mut self, answer: Result<(), ()>) {
        for reply in self.replies.drain(..) {
            // Whoever asked may not wait any more.
            let _ = reply.send(answer);
        }
    }
}

/// Bounds what is remembered of objects that are gone and for which the outbox had no place. Whatever lives is bounded by
/// the cluster, which can be asked again; of what is gone nobody else knows. Of the first `room` everything is kept, of
/// many more that they are gone; the others are forgotten: their uids.
pub(super) fn bound(kept: &mut VecDeque<Entry>, room: usize) -> Vec<String> {
    let room = room.max(GONE);
    let (mut gone, mut forgotten) = (0, Vec::new());
    kept.retain_mut(|entry| {
        if entry.stored || !entry.seen.departed.is_some_and(|it| it.gone) {
            return true;
        }
        gone += 1;
        if gone > room {
            entry.seen.spec = None;
        }
        let is_kept = gone <= room * (1 + GONE_BARE);
        if !is_kept {
            forgotten.push(entry.seen.uid.clone());
        }
        is_kept
    });
    forgotten
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::journal::chain::Departure;

    fn entry(number: usize, gone: bool, stored: bool) -> Entry {
        let seen = Seen {
            kind: "Release".to_owned(),
            namespace: None,
            name: "one".to_owned(),
            uid: format!("{number}"),
            generation: 1,
            spec: Some(json!({})),
            created_by: None,
            changed_by: None,
            created: None,
            changed: None,
            observed: Timestamp::UNIX_EPOCH,
            departed: gone.then_some(Departure { at: None, gone }),
            listed: false,
        };
        Entry {
            seen,
            stored,
            replies: Vec::new(),
        }
    }

    #[test]
    fn of_what_is_gone_only_so_much_is_remembered() {
        let (room, bare) = (20, 20 * GONE_BARE);
        let mut kept: VecDeque<Entry> =
            (0..1000).map(|number| entry(number, true, false)).collect();
        let living = (1000..2000).map(|number| entry(number, number % 2 == 0, number % 2 == 0));
        kept.extend(living);
        let forgotten = bound(&mut kept, room);
        assert_eq!(forgotten.len(), 1000 - room - bare);
        assert_eq!(forgotten[0], format!("{}", room + bare));
        let whole = |entry: &&Entry| entry.seen.spec.is_some();
        assert_eq!(kept.iter().filter(whole).count(), room + 1000);
        assert_eq!(kept.len(), room + bare + 1000);
        assert_eq!(bound(&mut kept, room), Vec::<String>::new());
        // However small the outbox is.
        let mut kept: VecDeque<Entry> =
            (0..GONE).map(|number| entry(number, true, false)).collect();
        assert_eq!(bound(&mut kept, 0), Vec::<String>::new());
        assert!(kept.iter().all(|entry| entry.seen.spec.is_some()));
    }
}
