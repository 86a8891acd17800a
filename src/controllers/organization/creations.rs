//! Creations under way: their slots, and how it is noticed that they are done.

use std::collections::HashSet;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Expected, Organization};
use crate::cloud::{CreateRequest, RequestId, RequestState, Result};
use crate::plan::queue::Answer;

/// How often creations are asked for once they may be done: all of them with one call.
const CREATION_ROUND: Duration = Duration::from_secs(2);

impl Organization {
    /// Asks for a slot to create an account in.
    pub fn ask_slot(
        &self,
        object: (&str, &str, &str),
        team: &str,
        durable: &HashSet<String>,
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
        self.view().own.insert(request.id.clone());
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

    /// Whether CreateAccount gave this id to this very process; else a request that was found by its name must prove
    /// itself by its account's e-mail address.
    pub fn is_own(&self, id: &RequestId) -> bool {
        self.view().own.contains(id)
    }

    /// Since when this process has been looking for the creation of that object.
    pub fn searching_since(&self, uid: &str) -> Timestamp {
        let now = self.clock.now();
        *self.view().searching.entry(uid.to_owned()).or_insert(now)
    }

    /// The search has come to an end.
    pub fn search_done(&self, uid: &str) {
        self.view().searching.remove(uid);
    }

    /// All requests that AWS remembers, page by page, until `enough`.
    ///
    /// # Errors
    /// AWS's.
    pub async fn requests(
        &self,
        mut enough: impl FnMut(&[CreateRequest]) -> bool,
    ) -> Result<Vec<CreateRequest>> {
        let (mut all, mut page) = (Vec::new(), None);
        loop {
            let answer = self.cloud.accounts.create_requests(false, page).await?;
            all.extend(answer.items);
            page = answer.next;
            if page.is_none() || enough(&all) {
                return Ok(all);
            }
        }
    }

    /// Notices for all creations at once when they are done, for ever.
    pub async fn keep_creations_watched(&self, stop: CancellationToken) {
        loop {
            let pause = match self.until_next_round() {
                Some(pause) => pause,
                None => tokio::select! {
                    () = self.expecting.notified() => continue,
                    () = stop.cancelled() => return,
                },
            };
            let woken = tokio::time::timeout_at(Instant::now() + pause, stop.cancelled()).await;
            if woken.is_ok() {
                return;
            }
            if let Err(error) = self.creation_round().await {
                tracing::warn!(%error, "creation requests could not be read");
            }
        }
    }

    /// When it is worth asking: before the shortest creation that was ever seen none is done.
    fn until_next_round(&self) -> Option<Duration> {
        let view = self.view();
        let oldest = view
            .expected
            .values()
            .map(|expected| expected.since)
            .min()?;
        let age = Duration::try_from(self.clock.now().duration_since(oldest)).unwrap_or_default();
        let earliest = view.shortest.unwrap_or_default().mul_f64(0.9);
        Some(earliest.saturating_sub(age).max(CREATION_ROUND))
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
                view.shortest = Some(view.shortest.map_or(took, |shortest| shortest.min(took)));
            }
            view.expected.remove(&request.id);
            view.finished.insert(request.id.clone(), request);
            tracing::debug!(uid = expected.uid, "a creation has come to an end");
            self.trigger.fire(Some(&expected.namespace), &expected.name);
        }
        Ok(())
    }
}
