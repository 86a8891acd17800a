//! `Release`: from an image reference to a digest, a source, and the word of different people.
//!
//! | step | file |
//! |---|---|
//! | gather: what registries and code hosts say, aside of the passes | `origins.rs` (the port), `gather.rs`, `evidence.rs`, `annotated.rs`, `lookups.rs`, `turns.rs` |
//! | validate: the application, the version, the image | `validate.rs` |
//! | decide | `plan::release`, `plan::approval` |
//! | act: the digest, once; the source; what is said of the commit | `image.rs`, `commit.rs` |
//! | report: conditions | `report.rs` |

mod annotated;
mod commit;
mod evidence;
pub mod gather;
mod image;
pub mod lookups;
pub mod origins;
pub mod reasons;
mod report;
mod turns;
pub mod validate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kube::ResourceExt;
use tokio::time::Instant;

use self::image::Look;
use self::lookups::{Asker, Lookups};
use super::approval::Authors;
use super::{Caches, keys};
use crate::api::{ANNOTATION_RECONCILE, Release};
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::plan::approval::reviews::CODE_CHANGE;
use crate::plan::approval::{Count, Given, Required, count};

/// A registry is asked for nothing more often than this of one release, unless a person wants it.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);
/// How soon a pass that waits for a registry looks again if it hears nothing.
const ANSWER_AGAIN: Duration = Duration::from_secs(60);

/// The controller of `Release`.
pub struct Releases {
    /// The caches.
    pub caches: Caches,
    /// Questions to registries.
    pub lookups: Arc<Lookups>,
    /// Who made what.
    pub authors: Authors,
    /// When the registry was asked about each release's image last, by uid.
    pub looked: Looked,
    /// When the code host was asked about each release's commit last, by uid.
    pub asked: Looked,
}

/// When something was looked at last, by uid.
pub type Looked = Arc<Mutex<HashMap<String, Instant>>>;

#[async_trait]
impl Reconcile for Releases {
    type Kind = Release;
    const KIND: &'static str = "Release";
    const REASONS: &'static [Reason] = reasons::ALL;
    /// Nothing outside is made for a release, so nothing is owed when it goes.
    const FINALIZES: bool = false;

    async fn pass(
        &self,
        object: &Release,
        record: &mut Record<Release>,
    ) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        record.status.requester = self.authors.of(object);
        let valid = match validate::release(object, &self.caches) {
            Ok(valid) => valid,
            Err((reason, message)) => return Ok(Outcome::blocked(reason, message)),
        };
        let requested = object.annotations().get(ANNOTATION_RECONCILE).cloned();
        let again = requested.is_some() && requested != record.status.last_handled_reconcile_at;
        let asker = Asker {
            uid: object.uid().unwrap_or_default(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        };
        let (searched, look_again) = match self.look(record, &valid, &asker, again).await? {
            Look::Waits(waiting) => return Ok(waiting),
            Look::Searched => (true, None),
            Look::Known => (false, None),
            Look::Owed(after) => (false, Some(after)),
        };
        let again = again && look_again.is_none();
        let was_approved = record.is_true("Approved");
        self.forget_reviews(record, &valid);
        let is_approved = self
            .approvals(object, record, &valid.required, true)
            .is_enough();
        // A review that was counted before may have been withdrawn since. What makes a release approved with it is looked
        // at once more, and counts only with an answer.
        let decides = is_approved && !was_approved && !record.status.reviews.is_empty();
        let ask = (again || searched || decides, is_approved);
        let owed = self.ask_code_host(record, &valid, &asker, ask).await;
        let answered = !(decides && commit::is_owed(record));
        let approvals = self.approvals(object, record, &valid.required, answered);
        let findings = report::findings(record, &valid, &approvals);
        if look_again.is_none() {
            record.status.last_handled_reconcile_at = requested;
        }
        Ok(match report::outcome(&findings, owed) {
            Outcome::Settled { resync } => Outcome::Settled {
                resync: resync.into_iter().chain(look_again).min(),
            },
            other => other,
        })
    }
}

impl Releases {
    /// Counts the approvals of this release, and the reviews of its commit.
    fn approvals(
        &self,
        object: &Release,
        record: &Record<Release>,
        required: &Required,
        with_reviews: bool,
    ) -> Count {
        let key = keys::release(&object.namespace().unwrap_or_default(), &object.name_any());
        let mut given: Vec<_> = self.caches.approvals.each_by(&key, |approval| {
            let lives = approval.metadata.deletion_timestamp.is_none();
            lives.then(|| self.authors.given(approval))
        });
        // The digest of this pass: the object may not have it yet.
        let mut asked = self.authors.asked(object);
        let image = record.status.image.as_ref();
        asked.digest = image.map(|image| image.digest.clone());
        let digest = asked.digest.clone().unwrap_or_default();
        let reviews = record.status.reviews.iter().filter_map(|review| {
            let approver = review.approver.clone()?;
            Some(Given {
                name: review.url.clone(),
                type_: CODE_CHANGE.to_owned(),
                author: Some(approver.clone()),
                is_robot: self.authors.is_robot(&approver),
                approver,
                // Of the commit that this digest was built from.
                digest: digest.clone(),
                is_review: true,
            })
        });
        given.extend(reviews.filter(|_| with_reviews));
        count(required, &asked, &given)
    }
}
