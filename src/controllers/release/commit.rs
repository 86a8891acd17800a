//! Act: what the code host says of the commit that the image was built from: the tickets in its message, and who has
//! reviewed it.
//!
//! No release waits for a code host that does not answer: what it owes is a condition of its own, and asked for again
//! ever more rarely. Once a release is approved nobody is asked any more.

use std::sync::PoisonError;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::lookups::Asker;
use super::origins::{CommitRef, ReviewsCount, Said};
use super::validate::Valid;
use super::{ANSWER_AGAIN, Releases, image, reasons};
use crate::api::{Evidence, Release, ReviewStatus};
use crate::engine::backoff::jitter;
use crate::engine::conditions::{self, Truth};
use crate::engine::record::Record;
use crate::plan::approval::reviews::{CODE_CHANGE, Judged, ReviewRefusal, judge};
use crate::plan::release::pause;

/// The condition that is there while a code host owes an answer.
const UNANSWERED: &str = "CodeHostUnanswered";
/// Between two attempts to get an answer that is owed, at least and at most.
const OWED: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(4 * 3600));
/// Between two looks for reviews that are not there yet, at least and at most.
const AWAITED: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));
/// How many reviews are shown.
const REVIEWS: usize = 50;

impl Releases {
    /// Asks the code host what is not known of the commit yet, if it is time; `again`: in any case. Gives back how soon to
    /// look again by itself for an answer that is owed.
    pub(super) async fn ask_code_host(
        &self,
        record: &mut Record<Release>,
        valid: &Valid,
        asker: &Asker,
        (again, is_approved): (bool, bool),
    ) -> Option<Duration> {
        let Some(commit) = self.commit(record, valid) else {
            conditions::remove(&mut record.status.conditions, UNANSWERED);
            return None;
        };
        let under_way = self.lookups.asks_about_commit(asker);
        let waits = self.waits(record, &asker.uid, commit.with_reviews && !is_approved);
        match waits {
            _ if again || under_way => {}
            Some(left) if left.is_zero() => {}
            // Reviews that may come are looked for whenever there is a pass; what is owed asks for one.
            left => return left.filter(|_| is_owed(record)),
        }
        let what = match commit.with_reviews {
            true => "its tickets and reviews",
            false => "its tickets",
        };
        let answer = self.lookups.commit(asker, &commit).await;
        self.asked_now(&asker.uid);
        match answer {
            Some(Ok(said)) => {
                conditions::remove(&mut record.status.conditions, UNANSWERED);
                enter(record, valid, said);
                None
            }
            Some(Err(trouble)) => {
                let message = format!(
                    "{what} are not known yet, which is asked for again by itself: {}",
                    trouble.message
                );
                owed(record, &message);
                self.waits(record, &asker.uid, false)
            }
            None => {
                let host = commit.repository.host();
                owed(
                    record,
                    &format!("the code host {host} is being asked for {what}"),
                );
                Some(ANSWER_AGAIN)
            }
        }
    }

    /// Reviews that would not be asked for any more, because the configuration or the application has changed, do not
    /// count any more.
    pub(super) fn forget_reviews(&self, record: &mut Record<Release>, valid: &Valid) {
        if !self
            .commit(record, valid)
            .is_some_and(|commit| commit.with_reviews)
        {
            record.status.reviews.clear();
        }
    }

    /// What its code host can be asked about, if it is one that is asked.
    fn commit(&self, record: &Record<Release>, valid: &Valid) -> Option<CommitRef> {
        let source = record.status.source.as_ref()?;
        let (repository, revision) = (source.repository.parse().ok()?, source.revision.clone()?);
        // The operator may read what the team may not: of another team's repository it tells this one nothing.
        if !valid.repositories.contains(&repository) {
            return None;
        }
        let count = self.lookups.code_host(&repository, &revision)?;
        let believed = match count {
            ReviewsCount::Never => false,
            ReviewsCount::IfSigned => source.evidence == Evidence::Attestation,
            ReviewsCount::Always => true,
        };
        let wanted = valid
            .required
            .types
            .iter()
            .any(|type_| type_ == CODE_CHANGE);
        Some(CommitRef {
            with_reviews: believed && wanted,
            repository,
            revision,
        })
    }

    /// How long to wait before the code host is asked again, from now on. `None`: nothing is expected of it. It takes the
    /// longer the longer it has been in vain; a restart begins to wait anew, and so nobody is asked by all at once.
    fn waits(&self, record: &Record<Release>, uid: &str, awaits: bool) -> Option<Duration> {
        let owed = conditions::find(&record.status.conditions, UNANSWERED);
        let (since, (least, most)) = match owed {
            Some(owed) => (owed.last_transition_time.0, OWED),
            None if awaits => (record.status.image.as_ref()?.resolved_at.0, AWAITED),
            None => return None,
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let waited = now - *asked.entry(uid.to_owned()).or_insert(now);
        let age = between(since, record.now).saturating_sub(waited);
        let pause = pause(age, least, most).mul_f64(0.5 + jitter(uid, 0) / 2.0);
        Some(pause.saturating_sub(waited))
    }

    fn asked_now(&self, uid: &str) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(uid.to_owned(), Instant::now());
    }
}

/// Whether the code host owes an answer.
pub(super) fn is_owed(record: &Record<Release>) -> bool {
    conditions::find(&record.status.conditions, UNANSWERED).is_some()
}

fn owed(record: &mut Record<Release>, message: &str) {
    record.set(
        UNANSWERED,
        Truth::True,
        reasons::CODE_HOST_UNANSWERED,
        message,
    );
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn enter(record: &mut Record<Release>, valid: &Valid, said: Said) {
    let system = valid.tickets.iter();
    let found = system.flat_map(|system| system.pattern.find_iter(&said.message));
    let tickets: Vec<String> = found.map(|found| found.as_str().to_owned()).collect();
    image::add_tickets(record, tickets);
    if let Some((reviewed, reviews)) = said.reviews {
        let judged = judge(&reviewed, &reviews);
        // Those that count first, so that the others do not push them out.
        let (counted, refused): (Vec<_>, Vec<_>) =
            judged.into_iter().partition(|one| one.verdict.is_ok());
        let all = counted.into_iter().chain(refused).take(REVIEWS);
        record.status.reviews = all.map(status).collect();
    }
}

fn status(judged: Judged) -> ReviewStatus {
    let Judged { review, verdict } = judged;
    let login = review.by.login;
    let why = |refusal| match refusal {
        ReviewRefusal::Withdrawn => "it asks for changes, or was dismissed".to_owned(),
        ReviewRefusal::OtherCommit => format!("it is of commit {:.40}", review.commit),
        ReviewRefusal::NotAPerson => format!("{login} is not a person"),
        ReviewRefusal::Stranger => {
            format!(
                "{login} is not of those who work on the repository, as the code host knows them"
            )
        }
        ReviewRefusal::OwnCommit => format!("the commit is {login}'s own work"),
        ReviewRefusal::AuthorUnknown => {
            format!("the code host does not know whose work the commit is, and it may be {login}'s")
        }
        ReviewRefusal::UserUnknown => format!(
            "nobody has said who {login} is in the cluster: the platform team enters them in the code host's reviews.users"
        ),
    };
    let refused = verdict.as_ref().err().copied().map(why);
    ReviewStatus {
        url: review.url,
        login,
        approver: verdict.ok(),
        refused,
    }
}
