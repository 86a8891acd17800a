//! What is written next: pure, from the end of an object's chain and what was seen of the object.

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::{Evidence, Hash, Operation, Record, TimeSource, Unseen, VERSION};

/// What was seen of an object: enough to make a record of it later, and all that is kept while the sink is away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The kind.
    pub kind: String,
    /// The namespace, if the kind has one.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The uid.
    pub uid: String,
    /// The generation of the spec, without what a deletion adds to it.
    pub generation: i64,
    /// The spec; `None` if the object was gone before it could be read.
    pub spec: Option<Value>,
    /// The stamp of who made the object.
    pub created_by: Option<String>,
    /// The stamp of who changed its spec last.
    pub changed_by: Option<String>,
    /// When the object was made.
    pub created: Option<Timestamp>,
    /// When a field of its spec was set last.
    pub changed: Option<Timestamp>,
    /// When all this was seen.
    pub observed: Timestamp,
    /// Whether the object is leaving or gone, and since when.
    pub departed: Option<Departure>,
    /// Whether this is how the object was found in a list, as opposed to a change that was watched. Not kept: what comes
    /// out of the outbox is old.
    #[serde(skip)]
    pub listed: bool,
}

/// How an object leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Departure {
    /// Since when it is being deleted, if the object said so.
    pub at: Option<Timestamp>,
    /// Whether it is gone from the cluster, so that nothing of it needs to be remembered.
    pub gone: bool,
}

/// The end of an object's chain, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The kind.
    pub kind: String,
    /// The namespace, if the kind has one.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The number of the last record.
    pub sequence: u64,
    /// The SHA-256 of its bytes.
    pub hash: Hash,
    /// The generation that it is about; `None` where that cannot be read.
    pub generation: Option<i64>,
    /// Whether it is the record of the deletion: nothing comes after it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

impl Head {
    /// The head that this record is, as it lies in the sink. One that cannot be read is a link of the chain all the
    /// same: verification names it, and the journal goes on after it.
    pub fn of(seen: &Seen, sequence: u64, bytes: &[u8]) -> Self {
        let record = Record::from_bytes(bytes).ok();
        Self {
            kind: seen.kind.clone(),
            namespace: seen.namespace.clone(),
            name: seen.name.clone(),
            sequence,
            hash: super::record::sha256(bytes),
            generation: record.as_ref().and_then(|record| record.generation),
            ended: record.is_some_and(|record| record.operation == Operation::Deleted),
        }
    }
}

/// What the next record says, but for what the sink must be asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    operation: Operation,
    generation: Option<i64>,
    unseen: Option<Unseen>,
    note: Option<String>,
}

/// The spec that an object had before a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Before {
    /// This one; `None`: there was none.
    Spec(Option<Value>),
    /// The record that says so cannot be read.
    Unknown,
}

const UNREADABLE: &str = "the record before this one cannot be read";
const NOT_KEPT: &str =
    "its last changes are not known: the journal had no room for them while its sink was away";
const DELETION: &str = "who deleted it is not known: Kubernetes keeps nobody's name with a deletion, and no audit log of \
    the API server is connected";
const VANISHED: &str = "it vanished while nobody watched, and who deleted it is not known";
const REWOUND: &str = "the cluster was set back: it has an older generation than the journal";

/// The next record that `seen` asks for at this end of the chain; `None`: all is written. Asking again with what was
/// written gives the one after it, so that a deletion comes after the change that was seen with it.
pub fn next(head: Option<&Head>, seen: &Seen) -> Option<Draft> {
    if head.is_some_and(|head| head.ended) {
        return None;
    }
    if seen.spec.is_some()
        && let Some(draft) = change(head, seen)
    {
        return Some(draft);
    }
    let departure = seen.departed?;
    let written = head.and_then(|head| head.generation);
    let note = match departure.at {
        None if seen.spec.is_none() => VANISHED,
        _ => DELETION,
    };
    // What was seen was forgotten again, for want of room.
    let is_lost = seen.spec.is_none() && written.is_none_or(|written| written < seen.generation);
    let note = if is_lost {
        format!("{note}; {NOT_KEPT}")
    } else {
        note.to_owned()
    };
    Some(Draft {
        operation: Operation::Deleted,
        generation: match head {
            Some(head) => head.generation,
            None => Some(seen.generation),
        },
        unseen: None,
        note: Some(note),
    })
}

/// The record of a change of the spec, if there was one.
fn change(head: Option<&Head>, seen: &Seen) -> Option<Draft> {
    let now = seen.generation;
    let draft = |operation, unseen, note: Option<&str>| Draft {
        operation,
        generation: Some(now),
        unseen,
        note: note.map(str::to_owned),
    };
    let gap = |from, note| draft(Operation::Gap, Some(Unseen { from, to: now }), Some(note));
    match head.map(|head| head.generation) {
        None if now <= 1 => Some(draft(Operation::Created, None, None)),
        None => Some(gap(
            1,
            "the journal begins here: what was before, nobody watched",
        )),
        Some(None) => Some(gap(now, UNREADABLE)),
        Some(Some(before)) if now == before + 1 => Some(draft(Operation::Changed, None, None)),
        Some(Some(before)) if now > before => Some(gap(
            before + 1,
            "several changes while nobody watched: who made all but the last is not known",
        )),
        Some(Some(before)) if now < before && seen.listed => Some(gap(now, REWOUND)),
        // Written already: an observation that comes a second time, or late.
        Some(Some(_)) => None,
    }
}

impl Draft {
    /// What kind of record it will be.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The record, after `head`; `before` is the spec that the head's record ends with.
    pub fn into_record(
        self,
        cluster: &str,
        head: Option<&Head>,
        before: Before,
        seen: &Seen,
    ) -> Record {
        let (who, who_from) = self.author(seen);
        let (at, at_from) = self.time(seen);
        let note = match (self.note, &before) {
            (Some(note), Before::Unknown) if !note.contains(UNREADABLE) => Some(format!(
                "{note}; what was before is not known: {UNREADABLE}"
            )),
            (None, Before::Unknown) => Some(format!("what was before is not known: {UNREADABLE}")),
            (note, _) => note,
        };
        // It was there, and nothing of it is in any record.
        let is_lost = head.is_none() && self.operation == Operation::Deleted;
        let (before, before_unknown) = match before {
            Before::Spec(spec) => (spec, is_lost),
            Before::Unknown => (None, true),
        };
        Record {
            version: VERSION,
            cluster: cluster.to_owned(),
            kind: seen.kind.clone(),
            namespace: seen.namespace.clone(),
            name: seen.name.clone(),
            uid: seen.uid.clone(),
            sequence: head.map_or(1, |head| head.sequence + 1),
            operation: self.operation,
            generation: self.generation,
            unseen: self.unseen,
            who,
            who_from,
            at,
            at_from,
            observed_at: seen.observed,
            before,
            before_unknown,
            after: match self.operation {
                Operation::Deleted => None,
                _ => seen.spec.clone(),
            },
            note,
            previous: head.map(|head| head.hash.clone()),
        }
    }

    fn author(&self, seen: &Seen) -> (Option<String>, Evidence) {
        let (who, evidence) = match self.operation {
            Operation::Created => match &seen.created_by {
                Some(who) => (Some(who), Evidence::CreatedBy),
                None => (seen.changed_by.as_ref(), Evidence::ChangedBy),
            },
            Operation::Changed => (seen.changed_by.as_ref(), Evidence::ChangedBy),
            Operation::Gap => (seen.changed_by.as_ref(), Evidence::ChangedByOfLast),
            Operation::Deleted => return (None, Evidence::DeletionIsNotStamped),
        };
        match who {
            Some(who) => (Some(who.clone()), evidence),
            None => (None, Evidence::NotStamped),
        }
    }

    fn time(&self, seen: &Seen) -> (Timestamp, TimeSource) {
        let (time, source) = match self.operation {
            Operation::Created => (seen.created, TimeSource::Created),
            // Whoever changes an object may write what its managed fields say: what is yet to come was not done.
            Operation::Changed | Operation::Gap => (
                seen.changed.filter(|at| *at <= seen.observed),
                TimeSource::ManagedFields,
            ),
            Operation::Deleted => (
                seen.departed.and_then(|departure| departure.at),
                TimeSource::Deletion,
            ),
        };
        time.map_or((seen.observed, TimeSource::Observed), |time| (time, source))
    }
}
