//! What must never be taken for ours, or for the present state of things.

use std::time::Duration;

use bailiwick::cloud::NewAccount;
use bailiwick::cloud::simulated::Options;
use bailiwick::model::{AccountId, AccountState, TAG_QUARANTINED_AT, TAG_UID, Tags};
use serde_json::json;

use crate::fate::{Aim, Fault};
use crate::world::{HOUR, MINUTE, Run, World};

const EMAIL: &str = "aws+team0-acc0@example.com";

/// Somebody else asks AWS for an account with the name of ours.
async fn namesake(world: &World, email: &str) {
    let new = NewAccount {
        email: email.parse().unwrap(),
        name: "team0-acc0".parse().unwrap(),
        access_role: "Theirs".parse().unwrap(),
        tags: Tags::new(),
    };
    let theirs = world.cloud.cloud().accounts;
    theirs.create_account(&new).await.unwrap();
}

/// An operator that strikes at its first CreateAccount, until it has.
async fn struck_at_create(world: &World, fault: Fault) -> Run {
    let mut run = world.start();
    run.fate.aim(Aim {
        start: "organizations.CreateAccount",
        has: "",
        fault,
        times: 1,
    });
    let fate = run.fate.clone();
    world
        .must(&mut run, "the blow", || fate.struck().is_some())
        .await;
    run
}

#[tokio::test(start_paused = true)]
async fn a_request_of_the_same_name_is_not_taken_for_ours() {
    let world = World::with_one(true);
    namesake(&world, "first@example.com").await;
    // Ours was never made; theirs is all that AWS knows.
    let mut run = struck_at_create(&world, Fault::KillBefore).await;
    world.must_be_ready(&mut run).await;
    world.check(1, "namesake");
    let theirs = world.cloud.account_by_email("first@example.com").unwrap();
    assert!(
        theirs.tags.is_empty() && theirs.path.as_str() == "/",
        "{theirs:?}"
    );
    assert_ne!(world.member("acc0").unwrap().id, theirs.id);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_request_of_the_same_name_and_address_is_not_taken_without_our_uid() {
    let world = World::with_one(true);
    let mut run = struck_at_create(&world, Fault::KillBefore).await;
    namesake(&world, EMAIL).await;
    let message = world.must_say(&mut run, "EmailTakenByMember").await;
    let theirs = world.cloud.account_by_email(EMAIL).unwrap();
    assert!(message.contains(theirs.id.as_str()), "{message}");
    world.pass_time(&mut run, HOUR).await;
    let theirs = world.cloud.account_by_email(EMAIL).unwrap();
    assert!(
        theirs.tags.is_empty() && theirs.path.as_str() == "/",
        "{theirs:?}"
    );
    assert_eq!(world.cloud.account_count(), 1);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn requests_of_the_same_name_do_not_hide_ours() {
    let options = Options {
        creations_in_flight: 100,
        ..Options::default()
    };
    let world = World::new(options, 1);
    world.declare(1, 1);
    world.cloud.configure(|options| options.creation = 2 * HOUR);
    let mut run = struck_at_create(&world, Fault::KillAfter).await;
    world
        .cloud
        .configure(|options| options.creation = Duration::from_secs(30));
    // More than a page of them, all newer, all done before ours is.
    for other in 0..25 {
        namesake(&world, &format!("other{other}@example.com")).await;
    }
    world.must_be_ready(&mut run).await;
    let requests = world.cloud.requests();
    let ours = requests.iter().filter(|request| request.email == EMAIL);
    assert_eq!(ours.count(), 1, "asked for twice");
    world.check(1, "hidden");
    run.stop();
}

/// A world whose account is Ready, with a deletion policy, and confirmed to be closed.
async fn confirmed(policy: &str) -> (World, Run, AccountId) {
    let world = World::with_one(true);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let id = world.cloud.accounts()[0].id.clone();
    world.edit("acc0", |object| {
        object["spec"]["deletionPolicy"] = json!(policy)
    });
    world.annotate("acc0", "confirm-close", id.as_str());
    world.pass_time(&mut run, MINUTE).await;
    (world, run, id)
}

/// Another object's, all of a sudden, and no sweep has told.
fn hand_over(world: &World, id: &AccountId) {
    world.cloud.retag_behind(id, TAG_UID, Some("another"));
    let owner = Some("TeamAccount/team-b/theirs");
    world.cloud.retag_behind(id, "bailiwick.dev/owner", owner);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_anothers_by_now_is_let_go_untouched() {
    for policy in ["Retain", "Quarantine", "Close"] {
        let (world, mut run, id) = confirmed(policy).await;
        hand_over(&world, &id);
        let (before, writes) = (world.cloud.account(&id), world.cloud.writes());
        world.delete("acc0");
        world
            .must(&mut run, "the object is gone", || {
                world.object("acc0").is_none()
            })
            .await;
        world.pass_time(&mut run, 4 * HOUR).await;
        assert_eq!(world.cloud.account(&id), before, "{policy}");
        assert_eq!(world.cloud.writes(), writes, "{policy}");
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_becomes_anothers_in_quarantine_is_not_closed() {
    let (world, mut run, id) = confirmed("Close").await;
    world.delete("acc0");
    world.must_say(&mut run, "AwaitingClosure").await;
    let (status, reason, _) = world.condition("acc0", "Placed").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "Quarantined"));
    let unit = &world.object("acc0").unwrap()["status"]["organizationalUnit"];
    assert_eq!(
        unit["path"],
        world.cloud.account(&id).unwrap().path.as_str()
    );
    // Shortly before its time is over, so that hardly a sweep comes by.
    world.pass_time(&mut run, 2 * HOUR - 2 * MINUTE).await;
    hand_over(&world, &id);
    world
        .must(&mut run, "the object is gone", || {
            world.object("acc0").is_none()
        })
        .await;
    world.pass_time(&mut run, 4 * HOUR).await;
    assert_eq!(
        world.cloud.account(&id).unwrap().state,
        AccountState::Active
    );
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_anothers_by_now_is_not_changed() {
    let world = World::with_one(true);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let id = world.cloud.accounts()[0].id.clone();
    hand_over(&world, &id);
    let (before, writes) = (world.cloud.account(&id), world.cloud.writes());
    world.edit("acc0", |object| {
        object["spec"]["accountName"] = json!("mine")
    });
    let message = world.must_say(&mut run, "OwnedByOther").await;
    assert!(message.contains("TeamAccount/team-b/theirs"), "{message}");
    world.pass_time(&mut run, HOUR).await;
    assert_eq!(world.cloud.account(&id), before);
    assert_eq!(world.cloud.writes(), writes);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn time_in_an_earlier_quarantine_does_not_count() {
    for mode in ["Apply", "Plan"] {
        let world = World::with_one(false);
        let since = "2025-10-01T00:00:00Z".to_owned();
        let tags = Tags::from([(TAG_QUARANTINED_AT.to_owned(), since)]);
        let id = world.cloud.add_member("hand@example.com", "By hand", tags);
        let mut run = world.start();
        let spec = json!({"accountId": id.as_str(), "deletionPolicy": "Close", "mode": mode});
        world.account("acc0", spec);
        world.annotate("acc0", "confirm-close", id.as_str());
        // One that was only planned at first.
        world.pass_time(&mut run, MINUTE).await;
        world.edit("acc0", |object| object["spec"]["mode"] = json!("Apply"));
        world.must_be_ready(&mut run).await;
        world.delete("acc0");
        let deleted = tokio::time::Instant::now();
        world
            .must(&mut run, "the object is gone", || {
                world.object("acc0").is_none()
            })
            .await;
        let closed = world.journal.times_of("organizations.CloseAccount");
        assert_eq!(closed.len(), 1);
        let waited = closed[0] - deleted;
        assert!(waited >= 2 * HOUR, "{mode}: closed after {waited:?}");
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_is_older_than_the_deletion_does_not_count() {
    let (world, mut run, id) = confirmed("Close").await;
    // No sweep comes by before the deletion, which would take it off.
    let since = Some("2025-10-01T00:00:00Z");
    world.cloud.retag_behind(&id, TAG_QUARANTINED_AT, since);
    world.delete("acc0");
    let deleted = tokio::time::Instant::now();
    world.must_say(&mut run, "AwaitingClosure").await;
    let mark = world.cloud.tags(&id)[TAG_QUARANTINED_AT].clone();
    assert!(mark.starts_with("2026-01-01"), "marked anew: {mark}");
    world
        .must(&mut run, "the object is gone", || {
            world.object("acc0").is_none()
        })
        .await;
    let closed = world.journal.times_of("organizations.CloseAccount");
    assert_eq!(closed.len(), 1);
    let waited = closed[0] - deleted;
    assert!(waited >= 2 * HOUR, "closed after {waited:?}");
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_account_is_not_closed_without_the_very_id_in_the_confirmation() {
    for word in [None, Some("yes"), Some("000000000000")] {
        let (world, mut run, id) = confirmed("Close").await;
        world.edit("acc0", |object| {
            object["metadata"]["annotations"] = json!({});
            if let Some(word) = word {
                object["metadata"]["annotations"]["bailiwick.dev/confirm-close"] = json!(word);
            }
        });
        world.delete("acc0");
        world.must_say(&mut run, "AwaitingConfirmation").await;
        world.pass_time(&mut run, 24 * HOUR).await;
        let account = world.cloud.account(&id).unwrap();
        assert_eq!(account.state, AccountState::Active, "{word:?}");
        // Whoever changes their mind keeps it.
        world.edit("acc0", |object| {
            object["spec"]["deletionPolicy"] = json!("Retain")
        });
        world
            .must(&mut run, "the object is gone", || {
                world.object("acc0").is_none()
            })
            .await;
        assert_eq!(
            world.cloud.account(&id).unwrap().state,
            AccountState::Active
        );
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_the_status_write_leaks_no_slot() {
    let world = World::new(Options::default(), 1);
    world.declare(1, 12);
    let mut run = world.start();
    // The write that says that an account was born: it took effect, and the operator does not know.
    run.fate.aim(Aim {
        start: "Patch teamaccounts/",
        has: " accountId",
        fault: Fault::LoseAnswer,
        times: 40,
    });
    let fate = run.fate.clone();
    world.must_be_ready(&mut run).await;
    world.check(12, "slots");
    assert!(fate.struck().is_some(), "no answer was lost");
    run.stop();
}
