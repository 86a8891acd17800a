//! Creations under way: their slots, and how it is noticed that they are done.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pages::pages;
use super::{Expected, Organization};
use crate::cloud::{CreateRequest, RequestId, RequestState, Result};
use crate::plan::queue::Answer;

impl Organization {
    /// Asks for a slot to create an account in.
    pub fn ask_slot(
        &self,
        object: (&str, &str, &str),
        team: &str,
        durable: impl FnOnce() -> HashSet<String>,
    ) -> Answer {
        let (uid, namespace, name) = object;
        self.view()
            .places
            .insert(uid.to_owned(), (namespace.to_owned(), name.to_owned()));
        self.queue().ask(uid, team, durable, self.clock.now())
    }

    /// Gives a slot back and wakes whoever is next.
    pub fn slot_done(&self, uid: &str, took: Option<Duration>) {
        let next = {
            let mut queue = self.queue();
            queue.done(uid, took);
            queue.next()
        };
        let mut view = self.view();
        view.places.remove(uid);
        for uid in next {
            if let Some((namespace, name)) = view.places.get(&uid) {
                self.trigger.fire(Some(namespace), name);
            }
        }
    }

    /// AWS would not begin one more creation.
    pub fn slot_refused(&self, uid: &str) {
        self.queue().refused(uid, self.clock.now());
    }

    /// How many wait for a slot, how many hold one, and how many there are.
    pub fn slots(&self) -> (usize, usize, usize) {
        self.queue().sizes()
    }

    /// What has become of a request; `None`: not known yet, and from now on it is watched for.
    pub fn request(
        &self,
        id: &RequestId,
        (uid, namespace, name): (&str, &str, &str),
        since: Timestamp,
    ) -> Option<CreateRequest> {
        let mut view = self.view();
        if let Some(request) = view.finished.get(id) {
            return Some(request.clone());
        }
        // The intent is older than the call, by as long as the call waited for its budget.
        let since = view.own.get(id).copied().unwrap_or(since);
        view.expected.entry(id.clone()).or_insert_with(|| Expected {
            uid: uid.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            since,
        });
        self.expecting.notify_one();
        None
    }

    /// Enters a request that CreateAccount has answered with.
    pub fn enter_request(&self, request: CreateRequest) {
        self.view().own.insert(request.id.clone(), self.clock.now());
        if request.state != RequestState::InProgress {
            self.view().finished.insert(request.id.clone(), request);
        }
    }

    /// Forgets a request whose outcome is in the object's status.
    pub fn forget_request(&self, id: &RequestId) {
        let mut view = self.view();
        view.expected.remove(id);
        view.finished.remove(id);
        view.own.remove(id);
    }

    /// Since when this process has been looking for the creation of that object.
    pub fn searching_since(&self, uid: &str) -> Timestamp {
        let now = self.clock.now();
        *self.view().searching.entry(uid.to_owned()).or_insert(now)
    }

    /// The search has come to an end.
    pub fn search_done(&self, uid: &str) {
        let mut view = self.view();
        view.searching.remove(uid);
        if view.searching.is_empty() {
            view.listed = None;
        }
    }

    /// All requests that AWS remembers, none older than the moment of this call: one list serves all who ask
    /// meanwhile. There may be thousands of them, and after a restart several objects search at once.
    ///
    /// # Errors
    /// AWS's.
    pub async fn all_requests(&self) -> Result<Arc<Vec<CreateRequest>>> {
        let asked_at = self.view().lists_begun;
        let _one_at_a_time = self.listing.lock().await;
        let number = {
            let mut view = self.view();
            // A list that began after we asked has been read while we waited.
            if let Some((number, all)) = &view.listed
                && *number > asked_at
            {
                return Ok(all.clone());
            }
            view.lists_begun += 1;
            view.lists_begun
        };
        let all = Arc::new(self.requests(|_| false).await?);
        self.view().listed = Some((number, all.clone()));
        Ok(all)
    }

    /// The requests that AWS remembers, page by page, until `enough`.
    async fn requests(
        &self,
        enough: impl FnMut(&[CreateRequest]) -> bool,
    ) -> Result<Vec<CreateRequest>> {
        let accounts = &self.cloud.accounts;
        pages(|page| accounts.create_requests(false, page), enough).await
    }

    /// Notices for all creations at once when they are done, for ever.
    pub async fn keep_creations_watched(&self, stop: CancellationToken) {
        let mut last = Instant::now();
        loop {
            let pause = self.until_next_round(last.elapsed());
            let round = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = round => {}
                // One more, which may be done earlier than the others.
                () = self.expecting.notified() => continue,
                () = stop.cancelled() => return,
            }
            last = Instant::now();
            if let Err(error) = self.creation_round().await {
                tracing::warn!(%error, "creation requests could not be read");
            }
        }
    }

    /// How long until it is worth asking, `idle` after the last question; `None`: nothing is being created.
    fn until_next_round(&self, idle: Duration) -> Option<Duration> {
        let (view, now) = (self.view(), self.clock.now());
        let pauses = view.expected.values().map(|expected| {
            let age = Duration::try_from(now.duration_since(expected.since)).unwrap_or_default();
            view.rounds.pause(age, idle)
        });
        pauses.min()
    }

    async fn creation_round(&self) -> Result<()> {
        let wanted: HashSet<RequestId> = self.view().expected.keys().cloned().collect();
        let all = self
            .requests(|seen| {
                wanted
                    .iter()
                    .all(|id| seen.iter().any(|request| request.id == *id))
            })
            .await?;
        let mut view = self.view();
        for request in all {
            let Some(expected) = view.expected.get(&request.id).cloned() else {
                continue;
            };
            if request.state == RequestState::InProgress {
                continue;
            }
            if let (Some(from), Some(to)) = (request.requested, request.completed) {
                let took = Duration::try_from(to.duration_since(from)).unwrap_or_default();
                view.rounds.learn(took);
            }
            view.expected.remove(&request.id);
            view.finished.insert(request.id.clone(), request);
            tracing::debug!(uid = expected.uid, "a creation has come to an end");
            self.trigger.fire(Some(&expected.namespace), &expected.name);
        }
        Ok(())
    }
}
