//! The pure parts: which record comes next, and what verification finds.

mod chains;
mod tampering;

use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::chain::{Before, Departure, Head, Seen, next};
use super::layout::Layout;
use super::record::Record;
use super::verify::{ChainCheck, ChainReport, Indexed};

fn time(minute: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + minute * 60).unwrap()
}

/// What the watch says of an object at a generation.
fn seen(uid: &str, generation: i64) -> Seen {
    Seen {
        kind: "Release".to_owned(),
        namespace: Some("team-shop".to_owned()),
        name: format!("name-of-{uid}"),
        uid: uid.to_owned(),
        generation,
        spec: Some(json!({ "version": generation })),
        created_by: Some("oidc:jane".to_owned()),
        changed_by: Some(format!("oidc:user-{generation}")),
        created: Some(time(0)),
        changed: Some(time(generation)),
        observed: time(100 + generation),
        departed: None,
        listed: false,
    }
}

fn leaving(seen: Seen) -> Seen {
    Seen {
        departed: Some(Departure {
            at: Some(time(500)),
            gone: false,
        }),
        ..seen
    }
}

/// A chain as it is written, and where it ends.
#[derive(Default, Clone)]
struct Chain {
    records: Vec<Vec<u8>>,
    head: Option<Head>,
}

impl Chain {
    /// Writes what is not written yet; the operations.
    fn append(&mut self, seen: &Seen) -> Vec<Record> {
        let mut written = Vec::new();
        while let Some(draft) = next(self.head.as_ref(), seen) {
            let last = self.records.last();
            let before = last.and_then(|bytes| Record::from_bytes(bytes).unwrap().after);
            let before = Before::Spec(before);
            let record = draft.into_record("test", self.head.as_ref(), before, seen);
            let bytes = record.to_bytes().unwrap();
            self.head = Some(Head::of(seen, record.sequence, &bytes));
            self.records.push(bytes);
            written.push(record);
            assert!(written.len() < 10, "no end: {written:?}");
        }
        written
    }

    /// So many changes of one object.
    fn of(uid: &str, generations: i64) -> Self {
        let mut chain = Self::default();
        for generation in 1..=generations {
            chain.append(&seen(uid, generation));
        }
        chain
    }
}

/// Verifies these records under these numbers.
fn check(records: &[(u64, Vec<u8>)], head: Option<Head>) -> ChainReport {
    let layout = Layout::new("audit", "test");
    let indexed = Indexed {
        head,
        written: Some(time(10_000)),
    };
    let mut check = ChainCheck::new(&layout, "Release", "u", indexed);
    for (sequence, bytes) in records {
        check.link(*sequence, Some(time(600)), bytes);
    }
    check.finish()
}

fn numbered(chain: &Chain) -> Vec<(u64, Vec<u8>)> {
    (1..).zip(chain.records.iter().cloned()).collect()
}
