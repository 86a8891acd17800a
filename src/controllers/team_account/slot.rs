//! Act: wait for a slot. AWS creates only a few accounts at a time, so the objects take turns.

use std::collections::HashSet;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{TeamAccounts, reasons};
use crate::api::{QueueStatus, TeamAccount};
use crate::engine::Outcome;
use crate::engine::conditions::Truth;
use crate::engine::record::Record;
use crate::plan::queue::Answer;

/// How soon who waits for a slot asks again although nobody has called; the queue forgets who does not.
const QUEUED_AGAIN: Duration = Duration::from_secs(600);

impl TeamAccounts {
    /// `Some`: there is no slot yet.
    pub(super) fn take_slot(
        &self,
        object: &TeamAccount,
        record: &mut Record<TeamAccount>,
    ) -> Option<Outcome> {
        let (uid, name) = (object.uid().unwrap_or_default(), object.name_any());
        let namespace = object.namespace().unwrap_or_default();
        let answer = self
            .organization
            .ask_slot((&uid, &namespace, &name), &namespace, || self.unresolved());
        let Answer::Wait { position, estimate } = answer else {
            return None;
        };
        let place = i64::try_from(position).unwrap_or(i64::MAX);
        // Written when it has halved: a queue that moves must not cost a write per object and step.
        let old = record.status.queue.as_ref().map(|queue| queue.position);
        if old.is_none_or(|old| place * 2 <= old && place < old) {
            let start = record.now.checked_add(estimate).ok().map(Time);
            record.status.queue = Some(QueueStatus {
                position: place,
                estimated_start: start,
            });
        }
        record.set(
            "Created",
            Truth::False,
            reasons::QUEUED,
            "waiting for a slot",
        );
        Some(Outcome::waiting(
            reasons::QUEUED,
            place_in_words(record.status.queue.as_ref()),
            estimate.clamp(Duration::from_secs(15), QUEUED_AGAIN),
        ))
    }

    /// The objects whose creation has begun and has no outcome, as their statuses say.
    fn unresolved(&self) -> HashSet<String> {
        let begun = |account: &TeamAccount| {
            let status = account.status.as_ref()?;
            let creation = status.creation.as_ref()?;
            let open = status.account_id.is_none() && creation.failure.is_none();
            open.then(|| account.uid()).flatten()
        };
        self.caches.each_account(begun).into_iter().collect()
    }
}

/// The place as it is recorded, so that the sentence changes, and is written, no more often than the record.
fn place_in_words(queue: Option<&QueueStatus>) -> String {
    let few = "AWS creates only a few accounts at a time for the whole organization";
    match queue {
        Some(QueueStatus {
            position,
            estimated_start: Some(start),
        }) => format!(
            "{few}: about {position} come first, and this one is expected to begin at {}",
            start.0
        ),
        Some(QueueStatus { position, .. }) => format!("{few}: about {position} come first"),
        None => format!("{few}: this one waits for its turn"),
    }
}
