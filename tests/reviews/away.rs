//! A code host that is away for hours, in virtual time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick::api::Evidence;
use bailiwick::controllers::release::origins::{
    CommitRef, Origins, Resolved, ReviewsCount, Said, Searched, Trouble, TroubleKind,
};
use bailiwick::model::{Digest, ImageRef, SourceRepository};
use bailiwick::plan::approval::reviews::{Person, Review, Reviewed, Word};

use super::counted::{release, says, shop, status};
use super::host::COMMIT;
use super::world::HOUR;

const MINUTE: Duration = Duration::from_secs(60);

/// A code host that counts how often it is asked.
#[derive(Default)]
struct Away {
    is_away: AtomicBool,
    asked: AtomicU64,
    reviews: Mutex<Vec<Review>>,
}

impl Away {
    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    fn approved_by(&self, login: &str) {
        self.reviews.lock().unwrap().push(Review {
            url: format!("https://github.com/acme/shop/pull/7#{login}"),
            by: person(login),
            is_person: true,
            is_insider: true,
            word: Word::Approved,
            commit: COMMIT.to_owned(),
            at: (1, 1),
        });
    }
}

fn person(login: &str) -> Person {
    Person {
        login: login.to_owned(),
        user: Some(login.to_owned()),
    }
}

#[async_trait]
impl Origins for Away {
    async fn resolve(&self, _: &ImageRef) -> Result<Resolved, Trouble> {
        unreachable!("a code host is not asked for images")
    }

    async fn current(&self, _: &ImageRef) -> Result<Digest, Trouble> {
        unreachable!("a code host is not asked for images")
    }

    async fn search(&self, _: &ImageRef) -> Result<Searched, Trouble> {
        unreachable!("a code host is not asked for images")
    }

    fn code_host(&self, _: &SourceRepository, _: &str) -> Option<ReviewsCount> {
        Some(ReviewsCount::IfSigned)
    }

    async fn commit(&self, commit: &CommitRef) -> Result<Said, Trouble> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.is_away.load(Ordering::SeqCst) {
            let message = format!("{commit}: nobody is there");
            return Err(Trouble::new(TroubleKind::Transient, message));
        }
        let reviewed = Reviewed {
            revision: COMMIT.to_owned(),
            same: Vec::new(),
            authors: Some(vec![person("dev")]),
        };
        let reviews = commit
            .with_reviews
            .then(|| (reviewed, self.reviews.lock().unwrap().clone()));
        Ok(Said {
            message: "SHOP-8".to_owned(),
            reviews,
        })
    }
}

/// Three hours without the code host, and a restart in the middle: few questions, and everything is there in the end.
#[tokio::test(start_paused = true)]
async fn what_was_missed_in_an_outage_is_fetched_later_by_itself() {
    let world = shop(1, Evidence::Attestation);
    let host = Arc::new(Away::default());
    host.is_away.store(true, Ordering::SeqCst);
    host.approved_by("ann");
    world.registries.ask_about_commits(host.clone());
    let first = world.operator(&Arc::default());
    release(&world, "requester");
    world
        .until("owed", MINUTE, |world| {
            says(world, "CodeHostUnanswered").starts_with("True")
        })
        .await;
    tokio::time::sleep(HOUR).await;
    first.abort();
    let second = world.operator(&Arc::default());
    tokio::time::sleep(2 * HOUR).await;
    let asked = host.asked();
    assert!((5..40).contains(&asked), "{asked}");
    assert!(says(&world, "Ready").starts_with("False CodeHostUnanswered"));
    host.is_away.store(false, Ordering::SeqCst);
    world
        .until("ready", 2 * HOUR, |world| {
            says(world, "Ready").starts_with("True")
        })
        .await;
    assert_eq!(status(&world)["tickets"][0]["id"], "SHOP-8");
    assert_eq!(says(&world, "CodeHostUnanswered"), "");
    let asked = host.asked();
    world.server.reset_counters();
    tokio::time::sleep(48 * HOUR).await;
    assert_eq!((host.asked(), world.server.writes()), (asked, 0));
    second.abort();
}

/// A release that needs no word of the code host is Ready without it, and gets its tickets later.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_tickets() {
    let world = shop(1, Evidence::Annotation);
    let host = Arc::new(Away::default());
    host.is_away.store(true, Ordering::SeqCst);
    world.registries.ask_about_commits(host.clone());
    let operator = world.operator(&Arc::default());
    release(&world, "requester");
    world
        .until("resolved", MINUTE, |world| {
            says(world, "Resolved").starts_with("True")
        })
        .await;
    world.approval("aa", "ann", "ann", "shop-1", &super::world::digest('1'));
    world
        .until("ready", MINUTE, |world| {
            says(world, "Ready").starts_with("True")
        })
        .await;
    assert!(status(&world)["tickets"].is_null());
    tokio::time::sleep(HOUR).await;
    assert!(says(&world, "CodeHostUnanswered").starts_with("True"));
    assert!(says(&world, "Ready").starts_with("True"));
    host.is_away.store(false, Ordering::SeqCst);
    world
        .until("tickets", HOUR, |world| {
            status(world)["tickets"][0]["id"] == "SHOP-8"
        })
        .await;
    operator.abort();
}

/// A review that comes days later is found, at the price of few questions.
#[tokio::test(start_paused = true)]
async fn reviews_are_waited_for_ever_more_rarely() {
    let world = shop(1, Evidence::Attestation);
    let host = Arc::new(Away::default());
    world.registries.ask_about_commits(host.clone());
    let operator = world.operator(&Arc::default());
    release(&world, "requester");
    world
        .until("awaited", MINUTE, |world| {
            says(world, "Ready").starts_with("False AwaitingApproval")
        })
        .await;
    tokio::time::sleep(48 * HOUR).await;
    let asked = host.asked();
    assert!((5..30).contains(&asked), "{asked}");
    host.approved_by("requester");
    host.approved_by("ann");
    world
        .until("ready", 26 * HOUR, |world| {
            says(world, "Ready").starts_with("True")
        })
        .await;
    let asked = host.asked();
    tokio::time::sleep(100 * HOUR).await;
    assert_eq!(host.asked(), asked);
    operator.abort();
}
