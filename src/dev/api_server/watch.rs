//! Watches: changes as a stream, from a revision on.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch as signal,
    time::{Instant, sleep_until},
};

use super::{
    ApiServer, Interceptor,
    reads::{cached_revision, version},
    selector::Selector,
    service::{Asked, partial},
    status::{self, Answer},
    store::{Change, Store},
};

/// How often a quiet watch tells its client where it stands.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long before its end a watch does so for the last time.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// For clients that say nothing; the real server takes between 30 and 60 minutes.
const LONGEST: Duration = Duration::from_secs(30 * 60);

struct Watching {
    server: ApiServer,
    interceptor: Arc<dyn Interceptor>,
    table: usize,
    namespace: Option<String>,
    selector: Selector,
    is_partial: bool,
    wants_bookmarks: bool,
    /// Everything up to here has been told.
    revision: u64,
    /// What is told first.
    opening: VecDeque<Value>,
    changed: signal::Receiver<u64>,
    epoch: signal::Receiver<u64>,
    ends: Instant,
    bookmark: Instant,
    is_over: bool,
}

/// Starts a watch; one that asks for forgotten history gets `Expired` as its only event.
pub(super) fn open(
    server: &ApiServer,
    interceptor: &Arc<dyn Interceptor>,
    asked: &Asked,
) -> Answer<(u16, BoxStream<'static, Bytes>)> {
    let store = server.store();
    let table = &store.tables[asked.table];
    let selector = Selector::parse(
        &table.kind,
        asked.query("labelSelector"),
        asked.query("fieldSelector"),
    )?;
    let from = version(asked.query("resourceVersion"))?.unwrap_or(0);
    let wants_initial = asked.is_set("sendInitialEvents");
    let revision = if from == 0 || wants_initial {
        cached_revision(server, &store, asked.table)
    } else {
        from
    };
    let lasts = asked
        .query("timeoutSeconds")
        .parse()
        .ok()
        .filter(|seconds| *seconds > 0);
    let now = Instant::now();
    let mut watching = Watching {
        server: server.clone(),
        interceptor: interceptor.clone(),
        table: asked.table,
        namespace: asked.call.namespace.clone(),
        selector,
        is_partial: asked.is_partial,
        wants_bookmarks: asked.is_set("allowWatchBookmarks"),
        revision,
        opening: VecDeque::new(),
        changed: table.changed.subscribe(),
        epoch: server.inner.epoch.subscribe(),
        ends: now + lasts.map_or(LONGEST, Duration::from_secs),
        bookmark: now,
        is_over: false,
    };
    watching.plan_bookmark(now);
    if from == 0 || wants_initial {
        let objects = table.as_of(revision)?;
        let shown = objects
            .iter()
            .filter(|(key, object)| watching.shows(&key.0, object));
        watching.opening = shown
            .map(|(_, object)| watching.event("ADDED", object))
            .collect();
    }
    if wants_initial {
        let mut end = watching.bookmark_event(&store);
        end["object"]["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        watching.opening.push_back(end);
    }
    drop(store);
    let chunks = stream::unfold(watching, |mut watching| async {
        watching.next().await.map(|chunk| (chunk, watching))
    });
    Ok((200, chunks.boxed()))
}

impl Watching {
    /// The next batch of events; nothing when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.interceptor.alive() {
                return std::future::pending().await;
            }
            if self.is_over {
                return None;
            }
            let (events, next) = self.collect();
            if !events.is_empty() {
                return Some(lines(&events));
            }
            if self.is_over {
                return None;
            }
            // What is on its way comes first: a bookmark, or the end, before it would never be reached.
            let until = next.unwrap_or(self.ends.min(self.bookmark));
            tokio::select! {
                changed = self.changed.changed() => self.is_over |= changed.is_err(),
                _ = self.epoch.changed() => self.is_over = true,
                () = sleep_until(until) => {}
            }
        }
    }

    /// What can be told now, and when there may be more if nothing changes meanwhile.
    fn collect(&mut self) -> (Vec<Value>, Option<Instant>) {
        self.changed.mark_unchanged();
        if !self.opening.is_empty() {
            return (self.opening.drain(..).collect(), None);
        }
        let (server, now) = (self.server.clone(), Instant::now());
        let (store, lag) = (server.store(), server.lag());
        let table = &store.tables[self.table];
        if self.revision < table.compacted {
            self.is_over = true;
            let why = format!(
                "too old resource version: {} ({})",
                self.revision, table.compacted
            );
            let gone = status::body(&status::expired(why));
            return (vec![json!({"type": "ERROR", "object": gone})], None);
        }
        let first = table
            .history
            .partition_point(|change| change.revision <= self.revision);
        let mut events = Vec::new();
        for change in table.history.range(first..) {
            if change.at + lag > now {
                let next = change.at + lag;
                return (events, Some(next));
            }
            self.revision = change.revision;
            events.extend(self.change(change));
        }
        if events.is_empty() && now >= self.bookmark.min(self.ends) {
            self.is_over = now >= self.ends;
            if !self.is_over && self.wants_bookmarks {
                events.push(self.bookmark_event(&store));
            }
            drop(store);
            self.plan_bookmark(now);
        }
        (events, None)
    }

    /// Every minute, and once more shortly before the end.
    fn plan_bookmark(&mut self, now: Instant) {
        let last = self.ends.checked_sub(LAST_BOOKMARK).unwrap_or(now);
        self.bookmark = if last > now {
            last.min(now + BOOKMARK_EVERY)
        } else {
            self.ends
        };
    }

    fn shows(&self, namespace: &str, object: &Value) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
            && self.selector.matches(object)
    }

    /// A change as this watch sees it: what leaves the selection is deleted, what enters it is added.
    fn change(&self, change: &Change) -> Option<Value> {
        let namespace = &change.key.0;
        let before = change
            .before
            .as_deref()
            .is_some_and(|object| self.shows(namespace, object));
        let after = !change.deleted && self.shows(namespace, &change.object);
        match (before, after) {
            (false, false) => None,
            (false, true) => Some(self.event("ADDED", &change.object)),
            (true, true) => Some(self.event("MODIFIED", &change.object)),
            (true, false) => {
                let mut last = change.before.as_deref().cloned().unwrap_or_default();
                last["metadata"]["resourceVersion"] = change.revision.to_string().into();
                Some(self.event("DELETED", &last))
            }
        }
    }

    fn event(&self, what: &str, object: &Value) -> Value {
        let object = if self.is_partial {
            partial(object)
        } else {
            object.clone()
        };
        json!({"type": what, "object": object})
    }

    fn bookmark_event(&self, store: &Store) -> Value {
        let kind = &store.tables[self.table].kind;
        let revision = cached_revision(&self.server, store, self.table).max(self.revision);
        let object = json!({
            "kind": kind.kind, "apiVersion": kind.api_version(),
            "metadata": {"resourceVersion": revision.to_string()},
        });
        self.event("BOOKMARK", &object)
    }
}

fn lines(events: &[Value]) -> Bytes {
    events
        .iter()
        .map(|event| format!("{event}\n"))
        .collect::<String>()
        .into()
}
