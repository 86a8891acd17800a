//! Reading the journal: chain after chain, as the sink lists them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use super::chain::Head;
use super::index::{SHARDS, Shard, shard_of};
use super::layout::{Layout, Place};
use super::record::Record;
use super::verify::{ChainCheck, ChainReport, Indexed};
use crate::cloud::Result;
use crate::cloud::storage::{Bucket, StoredObject};

/// How many records are read at once.
const AT_ONCE: usize = 16;

/// Which objects' records are wanted; all if nothing is said.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Their kind.
    pub kind: Option<String>,
    /// Their namespace.
    pub namespace: Option<String>,
    /// Their name.
    pub name: Option<String>,
}

impl Wanted {
    fn is(&self, namespace: Option<&str>, name: &str) -> bool {
        let namespace_fits = self.namespace.is_none() || self.namespace.as_deref() == namespace;
        namespace_fits && self.name.as_deref().is_none_or(|wanted| wanted == name)
    }
}

/// What was found in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether something was found, and nothing is wrong with it.
    pub whole: bool,
    /// How many chains were looked at.
    pub chains: u64,
    /// How many records.
    pub records: u64,
    /// The chains with which something is wrong.
    pub broken: Vec<ChainReport>,
    /// Parts of the index that cannot be read.
    pub unreadable_index: Vec<String>,
}

/// One record as it lies in the sink.
struct Link {
    sequence: u64,
    modified: Option<Timestamp>,
    bytes: Vec<u8>,
}

/// The keys of one chain, in their order.
type Keys = Vec<(Place, StoredObject)>;

/// The index, as it is kept.
#[derive(Default)]
struct Index {
    heads: BTreeMap<String, Head>,
    written: BTreeMap<u8, Timestamp>,
    unreadable: Vec<String>,
}

impl Index {
    fn of(&self, uid: &str) -> Indexed {
        Indexed {
            head: self.heads.get(uid).cloned(),
            written: self.written.get(&shard_of(uid)).copied(),
        }
    }
}

/// A cluster's journal, to read.
pub struct Reader {
    bucket: Arc<dyn Bucket>,
    layout: Layout,
}

impl Reader {
    /// A cluster's records in this bucket.
    pub fn new(bucket: Arc<dyn Bucket>, prefix: &str, cluster: &str) -> Self {
        Self {
            bucket,
            layout: Layout::new(prefix, cluster),
        }
    }

    /// Whether the journal is whole.
    ///
    /// # Errors
    /// If the sink cannot be read.
    pub async fn verify(&self, wanted: &Wanted) -> Result<Verdict> {
        // Before the chains: what is written meanwhile is then only missing in the index, not in the chains.
        let mut index = self.index().await?;
        let mut verdict = Verdict {
            unreadable_index: std::mem::take(&mut index.unreadable),
            ..Verdict::default()
        };
        let mut unseen = index.heads.clone();
        let mut chains = std::pin::pin!(self.chains(wanted));
        while let Some((place, links)) = chains.try_next().await? {
            unseen.remove(&place.uid);
            let indexed = index.of(&place.uid);
            let mut check = ChainCheck::new(&self.layout, &place.kind, &place.uid, indexed);
            for link in links {
                check.link(link.sequence, link.modified, &link.bytes);
            }
            verdict.enter(check.finish());
        }
        let in_question = |head: &Head| {
            let kind_fits = wanted.kind.as_ref().is_none_or(|kind| *kind == head.kind);
            kind_fits && wanted.is(head.namespace.as_deref(), &head.name)
        };
        for (uid, head) in unseen.iter().filter(|(_, head)| in_question(head)) {
            let check = ChainCheck::new(&self.layout, &head.kind, uid, index.of(uid));
            verdict.enter(check.finish());
        }
        // Of nothing nobody can say that it is whole: a name may be mistyped, or a bucket emptied.
        verdict.whole =
            !verdict.is_empty() && verdict.broken.is_empty() && verdict.unreadable_index.is_empty();
        Ok(verdict)
    }

    /// The records that can be read, the earliest first. What cannot be read is not this one's to say.
    ///
    /// # Errors
    /// If the sink cannot be read.
    pub async fn records(&self, wanted: &Wanted) -> Result<Vec<Record>> {
        let chains = self.chains(wanted);
        let mut records: Vec<Record> = chains
            .try_fold(Vec::new(), async |mut all, (_, links)| {
                let read = links
                    .iter()
                    .filter_map(|link| Record::from_bytes(&link.bytes).ok());
                all.extend(read);
                Ok(all)
            })
            .await?;
        records.sort_by(|one, other| {
            let key = |record: &Record| (record.at, record.uid.clone(), record.sequence);
            key(one).cmp(&key(other))
        });
        Ok(records)
    }

    async fn index(&self) -> Result<Index> {
        let mut index = Index::default();
        for number in 0..SHARDS {
            let key = self.layout.heads(number);
            let Some(bytes) = self.bucket.get(&key).await? else {
                continue;
            };
            match Shard::from_bytes(&bytes) {
                Ok(shard) => {
                    index.written.insert(number, shard.written_at);
                    index.heads.extend(shard.heads);
                }
                Err(error) => index.unreadable.push(format!("{key}: {error}")),
            }
        }
        Ok(index)
    }

    /// The wanted chains with their records.
    fn chains(&self, wanted: &Wanted) -> impl Stream<Item = Result<(Place, Vec<Link>)>> {
        let prefix = match &wanted.kind {
            Some(kind) => self.layout.kind(kind),
            None => self.layout.all(),
        };
        let listing = Listing {
            reader: self,
            prefix,
            page: Some(None),
            keys: VecDeque::new(),
        };
        let all = futures::stream::try_unfold(listing, async |mut listing| {
            let chain = listing.next_chain().await?;
            Ok(chain.map(|chain| (chain, listing)))
        });
        let wanted = wanted.clone();
        all.map_ok(move |keys| {
            let wanted = wanted.clone();
            async move { self.fetch(&wanted, keys).await }
        })
        .try_buffered(AT_ONCE)
        .try_filter_map(async |chain| Ok(chain))
    }

    /// A chain's records; `None` if it is not a wanted one, which its first record says.
    async fn fetch(&self, wanted: &Wanted, keys: Keys) -> Result<Option<(Place, Vec<Link>)>> {
        let Some((place, _)) = keys.first().cloned() else {
            return Ok(None);
        };
        let mut links = Vec::with_capacity(keys.len());
        let mut rest = std::pin::pin!(
            futures::stream::iter(keys)
                .map(|(place, object)| async move {
                    let bytes = self.bucket.get(&object.key).await?;
                    // One that is gone since it was listed is missing.
                    Ok(bytes.map(|bytes| Link {
                        sequence: place.sequence,
                        modified: object.modified,
                        bytes,
                    }))
                })
                .buffered(if wanted.namespace.is_some() || wanted.name.is_some() {
                    1
                } else {
                    AT_ONCE
                })
        );
        while let Some(link) = rest.try_next().await? {
            let Some(link) = link else { continue };
            if links.is_empty()
                && let Ok(record) = Record::from_bytes(&link.bytes)
                && !wanted.is(record.namespace.as_deref(), &record.name)
            {
                return Ok(None);
            }
            links.push(link);
        }
        Ok(Some((place, links)))
    }
}

impl Verdict {
    /// Whether nothing at all was found: neither records nor an index that tells of some.
    pub fn is_empty(&self) -> bool {
        self.chains == 0 && self.unreadable_index.is_empty()
    }

    fn enter(&mut self, report: ChainReport) {
        self.chains += 1;
        self.records += report.records;
        if !report.findings.is_empty() {
            self.broken.push(report);
        }
    }
}

/// The list of keys, page by page.
struct Listing<'a> {
    reader: &'a Reader,
    prefix: String,
    /// The token of the next page; `None`: there is none.
    page: Option<Option<String>>,
    keys: VecDeque<(Place, StoredObject)>,
}

impl Listing<'_> {
    /// The keys of the next chain, complete.
    async fn next_chain(&mut self) -> Result<Option<Keys>> {
        loop {
            let first = self.keys.front().map(|(place, _)| place.uid.clone());
            let other = self
                .keys
                .iter()
                .position(|(place, _)| first.as_ref() != Some(&place.uid));
            if let Some(end) = other.or(self.page.is_none().then_some(self.keys.len())) {
                let chain: Keys = self.keys.drain(..end).collect();
                return Ok((!chain.is_empty()).then_some(chain));
            }
            if let Some(token) = self.page.take() {
                let page = self.reader.bucket.list(&self.prefix, token).await?;
                let placed = page
                    .items
                    .into_iter()
                    .filter_map(|object| Some((self.reader.layout.place(&object.key)?, object)));
                self.keys.extend(placed);
                self.page = page.next.map(Some);
            }
        }
    }
}
