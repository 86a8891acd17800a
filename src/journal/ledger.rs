//! Writing to the sink: every record once, whatever happens on the way.
//!
//! A record is written under its number in the object's chain, and only if there is none. What is found there instead is
//! the chain's truth, whoever wrote it: our own record whose answer was lost, or another operator's. Then what was seen is
//! held against the new end, and is either in it or comes after it. So nothing needs to be remembered about a write that
//! may have happened.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::jiff::Timestamp;

use super::Observer;
use super::chain::{self, Before, Departure, Head, Seen};
use super::index::{Heads, SHARDS, Shard};
use super::layout::Layout;
use super::record::{Record, sha256};
use crate::cloud::storage::Bucket;
use crate::cloud::{CloudError, ErrorKind, Result};

/// How many records one observation may meet on its way to the end of a chain; each is another operator's, of which
/// there are few.
const MOST_STEPS: usize = 1000;

/// The sink, and what is known of it.
pub struct Ledger {
    bucket: Arc<dyn Bucket>,
    layout: Layout,
    cluster: String,
    observer: Arc<dyn Observer>,
    may_write: Box<dyn Fn() -> bool + Send + Sync>,
    heads: Mutex<Heads>,
}

impl Ledger {
    /// A cluster's records in this bucket. Nothing is written unless `may_write` says so.
    pub fn new(
        bucket: Arc<dyn Bucket>,
        prefix: &str,
        cluster: &str,
        observer: Arc<dyn Observer>,
        may_write: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            bucket,
            layout: Layout::new(prefix, cluster),
            cluster: cluster.to_owned(),
            observer,
            may_write: Box::new(may_write),
            heads: Mutex::default(),
        }
    }

    fn heads(&self) -> MutexGuard<'_, Heads> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the index has been read.
    pub fn is_open(&self) -> bool {
        self.heads().is_loaded()
    }

    /// Reads the index, once. One that is missing or unreadable costs a few calls per object, and no record.
    ///
    /// # Errors
    /// If the sink does not answer.
    pub async fn open(&self) -> Result<()> {
        if self.is_open() {
            return Ok(());
        }
        let shards: Vec<Option<Shard>> = futures::stream::iter(0..SHARDS)
            .map(|number| async move {
                let key = self.layout.heads(number);
                let bytes = self.bucket.get(&key).await?;
                let shard = bytes.map(|bytes| Shard::from_bytes(&bytes)).transpose();
                Ok(shard.unwrap_or_else(|error| {
                    tracing::error!(
                        key,
                        error,
                        "a part of the journal's index cannot be read and is made anew"
                    );
                    self.observer.failed("broken");
                    None
                }))
            })
            .buffer_unordered(usize::from(SHARDS))
            .try_collect()
            .await?;
        self.heads().load(shards.into_iter().flatten().collect());
        Ok(())
    }

    /// Whether there is nothing to write about what was seen, as far as is known here.
    pub fn is_written(&self, seen: &Seen) -> bool {
        let heads = self.heads();
        let head = heads.get(&seen.uid);
        heads.is_loaded() && head.is_some() && chain::next(head, seen).is_none()
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.heads().forget(uid);
    }

    /// The objects of a kind that the index knows as living and that are not among those that live.
    pub fn vanished(&self, kind: &str, living: &HashSet<String>, now: Timestamp) -> Vec<Seen> {
        let heads = self.heads();
        let vanished = heads.living(kind).filter(|(uid, _)| !living.contains(*uid));
        vanished
            .map(|(uid, head)| Seen {
                kind: kind.to_owned(),
                namespace: head.namespace.clone(),
                name: head.name.clone(),
                uid: uid.clone(),
                generation: head.generation.unwrap_or_default(),
                spec: None,
                created_by: None,
                changed_by: None,
                created: None,
                changed: None,
                observed: now,
                departed: Some(Departure {
                    at: None,
                    gone: true,
                }),
                listed: false,
            })
            .collect()
    }

    /// Writes what is not written yet about what was seen. The index should have been read before: without it the first
    /// write of every object is refused, and its chain listed.
    ///
    /// # Errors
    /// If the sink does not take it. It may have taken some or all of it: calling again is safe.
    pub async fn append(&self, seen: &Seen) -> Result<()> {
        for _ in 0..MOST_STEPS {
            let head = self.heads().get(&seen.uid).cloned();
            let Some(draft) = chain::next(head.as_ref(), seen) else {
                return Ok(());
            };
            let before = match &head {
                Some(head) => self.after(seen, head).await?,
                None => Before::Spec(None),
            };
            let operation: &'static str = draft.operation().into();
            let record = draft.into_record(&self.cluster, head.as_ref(), before, seen);
            let bytes = record.to_bytes().map_err(|error| unwritable(&error))?;
            self.guard()?;
            let key = self.layout.key(&seen.kind, &seen.uid, record.sequence);
            match self.bucket.put_new(&key, &bytes, seen.observed).await {
                Ok(()) => {
                    self.observer.wrote(operation);
                    self.advance(seen, record.sequence, &bytes);
                }
                Err(error) if error.kind == ErrorKind::AlreadyExists => {
                    self.catch_up(seen, head.as_ref()).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(CloudError::new(
            ErrorKind::Conflict,
            "s3.PutObject",
            "NoEnd",
            format!(
                "{} {}: somebody else writes its records as fast as we do",
                seen.kind, seen.uid
            ),
        ))
    }

    fn advance(&self, seen: &Seen, sequence: u64, bytes: &[u8]) {
        let head = Head::of(seen, sequence, bytes);
        self.heads().set(&seen.uid, head);
    }

    /// The spec that the head's record ends with. A record that is not there any more, or not what it was, is said and
    /// does not stop the journal; nor is it believed.
    async fn after(&self, seen: &Seen, head: &Head) -> Result<Before> {
        let key = self.layout.key(&seen.kind, &seen.uid, head.sequence);
        let bytes = match self.bucket.get(&key).await {
            // In an archive, say. Its hash is known, so that the chain goes on; what it said is not.
            Err(error) if !error.kind.is_transient() && error.kind != ErrorKind::Denied => {
                self.observer.failed(error.kind.label());
                let message = "the last record of this object cannot be read, and so the next one says that it is not known what was before";
                tracing::error!(key, error = %error, "{message}");
                return Ok(Before::Unknown);
            }
            read => read?,
        };
        let Some(bytes) = bytes.filter(|bytes| sha256(bytes) == head.hash) else {
            self.observer.failed("broken");
            tracing::error!(
                key,
                "the last record of this object is missing from the journal, or is not what it was: \
                 `bailiwick journal verify` says more"
            );
            return Ok(Before::Unknown);
        };
        let record = Record::from_bytes(&bytes);
        Ok(record.map_or(Before::Unknown, |record| Before::Spec(record.after)))
    }

    /// There is a record where the next one was to be: takes it, or the last one if nothing was known of the chain.
    async fn catch_up(&self, seen: &Seen, head: Option<&Head>) -> Result<()> {
        let sequence = match head {
            Some(head) => head.sequence + 1,
            None => self.last(seen).await?,
        };
        let key = self.layout.key(&seen.kind, &seen.uid, sequence);
        match self.bucket.get(&key).await? {
            Some(bytes) => {
                self.advance(seen, sequence, &bytes);
                Ok(())
            }
            None => Err(CloudError::new(
                ErrorKind::Conflict,
                "s3.GetObject",
                "NoSuchKey",
                format!("{key} was there and is not any more"),
            )),
        }
    }

    /// The number of the last record of a chain that has one.
    async fn last(&self, seen: &Seen) -> Result<u64> {
        let (prefix, mut page, mut last) = (self.layout.chain(&seen.kind, &seen.uid), None, 1);
        loop {
            let list = self.bucket.list(&prefix, page).await?;
            let places = list
                .items
                .iter()
                .filter_map(|item| self.layout.place(&item.key));
            last = places
                .map(|place| place.sequence)
                .max()
                .unwrap_or(0)
                .max(last);
            page = list.next;
            if page.is_none() {
                return Ok(last);
            }
        }
    }

    /// Whether the kept index lacks an object altogether.
    pub fn has_births(&self) -> bool {
        self.heads().has_births()
    }

    /// Writes the parts of the index that have changed.
    ///
    /// # Errors
    /// If the sink does not take one: then it is written the next time.
    pub async fn flush(&self, now: Timestamp) -> Result<()> {
        if !self.is_open() {
            return Ok(());
        }
        let dirty = self.heads().take_dirty(now);
        let mut end = Ok(());
        for (number, shard) in dirty {
            let bytes = serde_json::to_vec(&shard).map_err(|error| unwritable(&error))?;
            let put = match self.guard() {
                Ok(()) => self.bucket.put(&self.layout.heads(number), &bytes).await,
                Err(error) => Err(error),
            };
            if let Err(error) = put {
                self.heads().mark_dirty(number);
                end = Err(error);
            }
        }
        end
    }

    fn guard(&self) -> Result<()> {
        if (self.may_write)() {
            return Ok(());
        }
        let message = "this replica is not the leader";
        Err(CloudError::new(
            ErrorKind::Unavailable,
            "s3.PutObject",
            "NotLeader",
            message,
        ))
    }
}

fn unwritable(error: &serde_json::Error) -> CloudError {
    CloudError::new(
        ErrorKind::Invalid,
        "s3.PutObject",
        "Unwritable",
        error.to_string(),
    )
}
