//! Act: the digest, resolved once and kept; whether the tag still means it; and the source.

use std::sync::PoisonError;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

use super::lookups::Asker;
use super::origins::{Searched, Trouble, TroubleKind};
use super::validate::Valid;
use super::{ANSWER_AGAIN, LOOK_AGAIN, Releases, reasons};
use crate::api::{Evidence, Release, ReleaseImage, SourceStatus, TicketStatus};
use crate::engine::conditions::{self, Truth};
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::model::{Digest, ImageRef};

/// The condition that says whether the image is known by its digest.
const RESOLVED: &str = "Resolved";
/// The condition that is there while the tag names another image than the one that was resolved.
const TAG_MOVED: &str = "TagMoved";
/// The condition that is there while a source that is known could not be looked for again.
const UNCONFIRMED: &str = "SourceUnconfirmed";
/// How soon a look that a registry did not answer is had again, where the source is known already.
const TRY_AGAIN: Duration = Duration::from_secs(300);

/// How long a question waits for its answer before the status says so.
const SAY_SO: Duration = Duration::from_secs(10);

/// How much of what does not count is kept: others can attach as much as they like to an image.
const REMARKS: usize = 10;
const REMARK_LENGTH: usize = 400;
/// How many tickets are kept.
const TICKETS: usize = 20;
const TICKET_LENGTH: usize = 100;

/// What a look at the registry came to.
pub(super) enum Look {
    /// An answer is waited for.
    Waits(Outcome),
    /// What was known still is.
    Known,
    /// What was known still is; whether it is so is owed, and asked again after this time.
    Owed(Duration),
    /// The source was searched for.
    Searched,
}

impl Releases {
    /// Learns of the registry what is not known yet, or shall be looked at again.
    pub(super) async fn look(
        &self,
        record: &mut Record<Release>,
        valid: &Valid,
        asker: &Asker,
        again: bool,
    ) -> Result<Look, Failure> {
        let image = &valid.image;
        let digest = match known_digest(record) {
            Some(digest) => digest,
            None => match self.resolve(record, image, asker).await? {
                Ok(digest) => digest,
                Err(outcome) => return Ok(Look::Waits(outcome)),
            },
        };
        let source = record.status.source.as_ref();
        let lacking = source.is_none_or(|source| source.revision.is_none());
        let never = conditions::find(&record.status.conditions, "SourceKnown").is_none();
        // A release whose source is known is none the less Ready because somebody wants it looked at once more.
        let later = |what: &str| match lacking {
            true => Look::Waits(self.waiting(asker, image, what)),
            false => Look::Owed(ANSWER_AGAIN),
        };
        // After a restart nothing is due: ten thousand settled releases are not asked about all at once.
        let due = again || self.is_due(&asker.uid);
        if due && !self.compare(record, image, asker, &digest).await? {
            return Ok(later("whether its tag was moved"));
        }
        if !(again || never || (lacking && due)) {
            return Ok(Look::Known);
        }
        match self.lookups.search(asker, &image.name().at(digest)).await {
            None => Ok(later("where it comes from")),
            Some(Ok(searched)) => {
                self.looked_now(&asker.uid);
                Ok(enter(record, searched))
            }
            Some(Err(trouble)) if record.status.source.is_some() => Ok(keep(record, trouble)),
            // Of the best evidence nothing may be known: a worse one is not taken in its place.
            Some(Err(trouble)) if trouble.kind == TroubleKind::Transient => Err(trouble.into()),
            Some(Err(trouble)) => {
                self.looked_now(&asker.uid);
                let searched = Searched {
                    remarks: vec![trouble.message],
                    ..Searched::default()
                };
                Ok(enter(record, searched))
            }
        }
    }

    /// The digest, which is in the status before anything is done with it.
    async fn resolve(
        &self,
        record: &mut Record<Release>,
        image: &ImageRef,
        asker: &Asker,
    ) -> Result<Result<Digest, Outcome>, Failure> {
        let resolved = match self.lookups.resolve(asker, image).await {
            None => return Ok(Err(self.waiting(asker, image, "which digest it has"))),
            Some(Err(trouble)) if trouble.kind == TroubleKind::Transient => {
                return Err(trouble.into());
            }
            Some(Err(trouble)) => return Ok(Err(unresolved(record, trouble))),
            Some(Ok(resolved)) => resolved,
        };
        self.looked_now(&asker.uid);
        record.status.image = Some(ReleaseImage {
            repository: image.name().to_string(),
            tag: image.tag().map(str::to_owned),
            digest: resolved.digest.to_string(),
            media_type: resolved.media_type,
            platforms: resolved.platforms,
            resolved_at: Time(record.now),
            moved_to: None,
        });
        let message = format!("{image} is {}", resolved.digest);
        record.set(RESOLVED, Truth::True, reasons::RESOLVED, &message);
        record.save().await?;
        Ok(Ok(resolved.digest))
    }

    /// Whether the tag still means the digest, which stays what it is. Gives back whether there was an answer.
    async fn compare(
        &self,
        record: &mut Record<Release>,
        image: &ImageRef,
        asker: &Asker,
        digest: &Digest,
    ) -> Result<bool, Failure> {
        let Some(tag) = image.tag().filter(|_| image.digest().is_none()) else {
            self.looked_now(&asker.uid);
            return Ok(true);
        };
        let current = match self.lookups.current(asker, image).await {
            None => return Ok(false),
            Some(Ok(current)) => Some(current),
            // A tag that is gone means nothing else: what was resolved stays.
            Some(Err(trouble)) if trouble.kind == TroubleKind::NotFound => None,
            // A settled release does not become less so by a registry that does not answer.
            Some(Err(_)) => return Ok(true),
        };
        self.looked_now(&asker.uid);
        let moved = current.filter(|current| current != digest);
        let Some(status) = record.status.image.as_mut() else {
            return Ok(true);
        };
        let before = std::mem::replace(
            &mut status.moved_to,
            moved.as_ref().map(ToString::to_string),
        );
        let Some(moved) = moved else {
            conditions::remove(&mut record.status.conditions, TAG_MOVED);
            return Ok(true);
        };
        let message = format!(
            "the tag {tag} of {} names {moved} now; this release stays {digest}: release the other one under another \
             version, if it is wanted",
            image.name()
        );
        record.set(TAG_MOVED, Truth::True, reasons::TAG_MOVED, &message);
        if before.as_deref() != Some(moved.as_str()) {
            record.warn(reasons::TAG_MOVED, message);
        }
        Ok(true)
    }

    /// That a registry has not answered yet: said of those only that wait for long, so that a thousand releases that come at
    /// once do not cost two writes more each.
    fn waiting(&self, asker: &Asker, image: &ImageRef, what: &str) -> Outcome {
        if let Some(rest) = SAY_SO.checked_sub(self.lookups.waited(asker))
            && !rest.is_zero()
        {
            return Outcome::Begun { after: rest };
        }
        let message = format!(
            "the registry {} is being asked about {image}: {what}",
            image.name().registry()
        );
        Outcome::waiting(reasons::ASKING_REGISTRY, message, ANSWER_AGAIN)
    }

    fn is_due(&self, uid: &str) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let last = *looked.entry(uid.to_owned()).or_insert(now);
        now.duration_since(last) >= LOOK_AGAIN
    }

    fn looked_now(&self, uid: &str) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.insert(uid.to_owned(), Instant::now());
    }
}

fn known_digest(record: &Record<Release>) -> Option<Digest> {
    record.status.image.as_ref()?.digest.parse().ok()
}

fn unresolved(record: &mut Record<Release>, trouble: Trouble) -> Outcome {
    let failure = Failure::from(trouble);
    record.set(RESOLVED, Truth::False, failure.label, &failure.message);
    Outcome::blocked(failure.label, failure.message)
}

/// Keeps what is known of the source, and says that it could not be looked for again: a digest means what it meant, also
/// where it can be read no more.
fn keep(record: &mut Record<Release>, trouble: Trouble) -> Look {
    let after = match trouble.kind {
        TroubleKind::Transient => TRY_AGAIN,
        _ => LOOK_AGAIN,
    };
    let failure = Failure::from(trouble);
    let message = format!(
        "what is known of the source is from an earlier look; it was looked for again, and {}",
        failure.message
    );
    record.set(UNCONFIRMED, Truth::True, failure.label, &message);
    Look::Owed(after)
}

/// Enters what was found. What was found before and is not there any more is forgotten: the status says what can be
/// shown. What could not be asked for is no such finding.
fn enter(record: &mut Record<Release>, searched: Searched) -> Look {
    let Searched {
        origin,
        tickets,
        remarks,
        refused,
    } = searched;
    let known = record.status.source.as_ref();
    let found = origin.as_ref().map(|origin| rank(origin.evidence));
    let is_worse = known.is_some_and(|known| found.is_none_or(|it| it > rank(known.evidence)));
    if let Some(refused) = refused.filter(|_| is_worse) {
        return keep(record, Trouble::new(TroubleKind::Denied, refused));
    }
    conditions::remove(&mut record.status.conditions, UNCONFIRMED);
    let source = origin.map(|origin| SourceStatus {
        repository: origin.repository.to_string(),
        revision: origin.revision,
        dirty: origin.dirty,
        author: origin.author,
        evidence: origin.evidence,
        evidence_digest: origin.evidence_digest.map(|digest| digest.to_string()),
        signed_by: origin.signed_by,
        doubt: origin
            .doubt
            .map(|doubt| doubt.chars().take(REMARK_LENGTH).collect()),
    });
    if source != record.status.source {
        // What was said of another commit, or of one that was better known, is not said of this one.
        record.status.tickets.clear();
        record.status.reviews.clear();
        record.status.source = source;
    }
    record.status.remarks = remarks
        .into_iter()
        .take(REMARKS)
        .map(|remark| remark.chars().take(REMARK_LENGTH).collect())
        .collect();
    add_tickets(record, tickets);
    Look::Searched
}

/// How good an evidence is; 0 is the best.
fn rank(evidence: Evidence) -> u8 {
    match evidence {
        Evidence::Attestation => 0,
        Evidence::Annotation => 1,
        Evidence::ScmSourceFile => 2,
    }
}

/// Adds tickets to those that are known: an image and a commit never name fewer than they did. What has white space is a piece of
/// text and no id of a ticket: a pattern that fits everything shall not show what is written in a commit.
pub(super) fn add_tickets(record: &mut Record<Release>, tickets: impl IntoIterator<Item = String>) {
    let known = &mut record.status.tickets;
    for id in tickets {
        let id: String = id.chars().take(TICKET_LENGTH).collect();
        let is_id = !id.is_empty() && !id.contains(char::is_whitespace);
        if known.len() < TICKETS && is_id && known.iter().all(|one| one.id != id) {
            known.push(TicketStatus { id, url: None });
        }
    }
}
