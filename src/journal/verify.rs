//! Whether a chain is whole: pure.
//!
//! Found is every bit that was changed, every record that was taken out of the middle, put elsewhere, exchanged or added,
//! and the end that was cut off, as long as the index of heads was not changed with it: a chain ends with the deletion of
//! its object, or its end is in the index. What hashes alone cannot show is that somebody with the right to write has
//! replaced a whole chain and the index by others, or removed a chain that had ended: against that the bucket locks its
//! objects.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::chain::Head;
use super::layout::Layout;
use super::record::{Hash, Operation, Record, Unreadable, sha256};

/// What is wrong at one place of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all_fields = "camelCase")]
pub enum Problem {
    /// Records are not there.
    #[error("records {from} to {to} are missing")]
    Missing {
        /// The first one.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// A record was changed, or is none.
    #[error("the record was altered: {why}")]
    Altered {
        /// How that shows.
        why: String,
    },
    /// A record is about something else than its key says.
    #[error("the record belongs to another place: {belongs}")]
    Misplaced {
        /// Where it says that it belongs.
        belongs: String,
    },
    /// A record names another predecessor.
    #[error("the record follows {says}, but the one before it is {is}")]
    Unlinked {
        /// What it says.
        says: String,
        /// The hash of what is before it.
        is: Hash,
    },
    /// A record begins with another spec than the one before it ends with.
    #[error("the spec before the change is not the one that the record before it ends with")]
    Discontinuous,
    /// There is something after the end.
    #[error("the record comes after the one of the object's deletion")]
    AfterEnd,
    /// The end is not there any more.
    #[error("the chain is cut off: the index of heads says that it ends with record {head}")]
    CutOff {
        /// The number of the last record by the index.
        head: u64,
    },
    /// The end is not the one that the index knows.
    #[error("the record is not the one that the index of heads knows")]
    Replaced,
    /// The chain has no end that can be trusted.
    #[error(
        "the chain does not end with a deletion and is not in the index of heads: its end may be cut off"
    )]
    Unindexed,
}

/// A problem, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The key of the record that it is about, be it there or not.
    pub key: String,
    /// The problem.
    #[serde(flatten)]
    pub problem: Problem,
    /// The same as a sentence.
    pub message: String,
}

/// What was found about one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainReport {
    /// The kind.
    pub kind: String,
    /// The object's namespace, if its kind has one and a record can be read.
    pub namespace: Option<String>,
    /// The object's name, if a record can be read.
    pub name: Option<String>,
    /// The object's uid.
    pub uid: String,
    /// How many records there are.
    pub records: u64,
    /// Whether the chain ends with the deletion.
    pub ended: bool,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// What the index of heads says of a chain.
#[derive(Debug, Clone)]
pub struct Indexed {
    /// The chain's head, if it is in the index.
    pub head: Option<Head>,
    /// When its part of the index was written, if there is one.
    pub written: Option<Timestamp>,
}

/// How long a chain may be younger than the index before its absence from it means something: the operator enters it
/// within minutes, but may just have begun to make the index anew.
const INDEX_LAG: SignedDuration = SignedDuration::from_hours(1);

/// Goes along one chain, record by record.
pub struct ChainCheck<'a> {
    layout: &'a Layout,
    indexed: Indexed,
    last: Option<(u64, Hash, Option<Record>)>,
    newest: Option<Timestamp>,
    report: ChainReport,
}

impl<'a> ChainCheck<'a> {
    /// Begins with a chain.
    pub fn new(layout: &'a Layout, kind: &str, uid: &str, indexed: Indexed) -> Self {
        let head = indexed.head.as_ref();
        Self {
            layout,
            last: None,
            newest: None,
            report: ChainReport {
                kind: kind.to_owned(),
                namespace: head.and_then(|head| head.namespace.clone()),
                name: head.map(|head| head.name.clone()),
                uid: uid.to_owned(),
                records: 0,
                ended: false,
                findings: Vec::new(),
            },
            indexed,
        }
    }

    fn find(&mut self, sequence: u64, problem: Problem) {
        let key = self
            .layout
            .key(&self.report.kind, &self.report.uid, sequence);
        let message = problem.to_string();
        self.report.findings.push(Finding {
            key,
            problem,
            message,
        });
    }

    /// The next record, in the order of the keys.
    pub fn link(&mut self, sequence: u64, modified: Option<Timestamp>, bytes: &[u8]) {
        self.report.records += 1;
        self.newest = self.newest.max(modified);
        let hash = sha256(bytes);
        let expected = self.last.as_ref().map_or(1, |(last, ..)| last + 1);
        if sequence > expected {
            let to = sequence - 1;
            self.find(expected, Problem::Missing { from: expected, to });
        }
        let known = self.indexed.head.as_ref();
        if known.is_some_and(|head| head.sequence == sequence && head.hash != hash) {
            self.find(sequence, Problem::Replaced);
        }
        let record = match Record::from_bytes(bytes) {
            Ok(record) => {
                self.check(sequence, expected, &record);
                Some(record)
            }
            Err(error) => {
                let why = unreadable(&error);
                self.find(sequence, Problem::Altered { why });
                None
            }
        };
        self.last = Some((sequence, hash, record));
    }

    /// Holds a record that can be read against its place and the one before it.
    fn check(&mut self, sequence: u64, expected: u64, record: &Record) {
        let own = Layout::new("", &record.cluster).key(&record.kind, &record.uid, record.sequence);
        let key = self
            .layout
            .key(&self.report.kind, &self.report.uid, sequence);
        let ends_alike = key == own || key.ends_with(&format!("/{own}"));
        if !ends_alike {
            self.find(sequence, Problem::Misplaced { belongs: own });
            return;
        }
        self.report.namespace.clone_from(&record.namespace);
        self.report.name = Some(record.name.clone());
        if self.report.ended {
            self.find(sequence, Problem::AfterEnd);
        }
        self.report.ended = record.operation == Operation::Deleted;
        let (previous, after) = match &self.last {
            Some((_, hash, before)) => (Some(hash.clone()), before.as_ref().map(|b| &b.after)),
            None => (None, Some(&None)),
        };
        // A record that does not know what was before does not contradict it.
        let silent = record.before_unknown && record.before.is_none();
        let continuous =
            silent || after.is_none_or(|after: &Option<Value>| *after == record.before);
        // After records that are missing nothing can be said about the link.
        if sequence != expected {
            return;
        }
        if record.previous != previous {
            let none = || "none".to_owned();
            let says = record.previous.clone().unwrap_or_else(none);
            let is = previous.unwrap_or_else(none);
            self.find(sequence, Problem::Unlinked { says, is });
        } else if !continuous {
            self.find(sequence, Problem::Discontinuous);
        }
    }

    /// There are no more records.
    pub fn finish(mut self) -> ChainReport {
        let last = self.last.as_ref().map_or(0, |(last, ..)| *last);
        match &self.indexed.head {
            Some(head) if head.sequence > last => {
                let head = head.sequence;
                self.find(last + 1, Problem::CutOff { head });
            }
            None if !self.report.ended => {
                let indexed_since = match (self.newest, self.indexed.written) {
                    (Some(newest), Some(written)) => written.duration_since(newest) > INDEX_LAG,
                    _ => false,
                };
                if indexed_since {
                    self.find(last, Problem::Unindexed);
                }
            }
            _ => {}
        }
        self.report
    }
}

fn unreadable(error: &Unreadable) -> String {
    error.to_string()
}
