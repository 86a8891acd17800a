//! The index of heads: where every living object's chain ends. It lies beside the records in a few parts, so that a
//! start reads a few objects instead of one per chain, and so that a chain that was cut off at its end is noticed.
//!
//! It is only ever behind the chains, never ahead, and written seldom: soon after an object is new, so that its vanishing
//! would be noticed, and otherwise now and then. What it lacks is found out at the chain itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chain::Head;
use super::record::{VERSION, sha256};

/// Into how many parts the index is cut.
pub const SHARDS: u8 = 16;

/// In which part an object is.
pub fn shard_of(uid: &str) -> u8 {
    let digit = sha256(uid.as_bytes()).bytes().next();
    let value = digit.and_then(|digit| char::from(digit).to_digit(16));
    value.map_or(0, |value| value as u8)
}

/// One part, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shard {
    /// What the fields mean.
    pub version: u32,
    /// When it was written.
    pub written_at: Timestamp,
    /// The heads by uid.
    pub heads: BTreeMap<String, Head>,
}

impl Shard {
    /// Reads a part.
    ///
    /// # Errors
    /// If it is none, or one of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let shard: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if shard.version == VERSION {
            Ok(shard)
        } else {
            Err(format!("it has version {}", shard.version))
        }
    }
}

/// The heads in memory, and which parts are to be written.
#[derive(Debug, Default)]
pub struct Heads {
    known: HashMap<String, Head>,
    dirty: HashSet<u8>,
    /// Whether there is a chain that the kept index does not know at all.
    births: bool,
    loaded: bool,
}

impl Heads {
    /// Whether the kept index has been read.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Enters what the kept index says. What is known already is newer.
    pub fn load(&mut self, shards: Vec<Shard>) {
        for (uid, head) in shards.into_iter().flat_map(|shard| shard.heads) {
            self.known.entry(uid).or_insert(head);
        }
        self.loaded = true;
    }

    /// An object's head.
    pub fn get(&self, uid: &str) -> Option<&Head> {
        self.known.get(uid)
    }

    /// Enters a new head.
    pub fn set(&mut self, uid: &str, head: Head) {
        self.dirty.insert(shard_of(uid));
        self.births |= self.known.insert(uid.to_owned(), head).is_none();
    }

    /// Whether an object is known here that the kept index lacks: if it vanished now with this process, nobody would ever
    /// ask for it.
    pub fn has_births(&self) -> bool {
        self.births
    }

    /// Forgets an object that is gone: its chain ends with the record that says so.
    pub fn forget(&mut self, uid: &str) {
        self.known.remove(uid);
    }

    /// The living objects of a kind.
    pub fn living<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a String, &'a Head)> {
        self.known
            .iter()
            .filter(move |(_, head)| head.kind == kind && !head.ended)
    }

    /// The parts that have changed since they were taken last.
    pub fn take_dirty(&mut self, now: Timestamp) -> Vec<(u8, Shard)> {
        let dirty = std::mem::take(&mut self.dirty);
        self.births = false;
        let mut shards: BTreeMap<u8, Shard> = dirty
            .into_iter()
            .map(|number| {
                let heads = BTreeMap::new();
                let shard = Shard {
                    version: VERSION,
                    written_at: now,
                    heads,
                };
                (number, shard)
            })
            .collect();
        for (uid, head) in self.known.iter().filter(|(_, head)| !head.ended) {
            if let Some(shard) = shards.get_mut(&shard_of(uid)) {
                shard.heads.insert(uid.clone(), head.clone());
            }
        }
        shards.into_iter().collect()
    }

    /// A part could not be written: it is to be written again.
    pub fn mark_dirty(&mut self, shard: u8) {
        self.births = true;
        self.dirty.insert(shard);
    }
}
