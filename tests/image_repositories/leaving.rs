//! What becomes of a repository when its object is deleted.

use std::time::Duration;

use bailiwick::cloud::simulated::refused;
use serde_json::{Value, json};

use super::world::{Blow, Life, World};

/// A world in which the repository is there, and its operator.
async fn ready(spec: Value) -> (World, tokio::task::JoinHandle<()>) {
    let world = World::new();
    world.declare(spec);
    let operator = world.operator(&Life::new(None));
    world.until("ledger", "Ready").await;
    (world, operator)
}

async fn delete(world: &World) {
    assert!(
        world
            .server
            .delete("imagerepositories", "team-payments", "ledger")
    );
    tokio::time::sleep(Duration::from_secs(30)).await;
}

fn owners(world: &World) -> usize {
    let tags = world.only().tags;
    tags.keys()
        .filter(|key| key.starts_with("bailiwick.dev/"))
        .count()
}

#[tokio::test(start_paused = true)]
async fn it_is_kept_and_nobodys_and_can_be_taken_over_again() {
    let (world, operator) = ready(json!({})).await;
    delete(&world).await;
    assert!(world.object("ledger").is_none());
    assert_eq!(owners(&world), 0);
    assert!(
        world.only().policy.is_some(),
        "who pulls from it goes on doing so"
    );
    let note = world.event("ledger", "RepositoryRetained");
    assert!(note.contains(&world.only().shown.arn), "{note}");
    world.declare(json!({}));
    world.until("ledger", "RepositoryExists").await;
    world.patch("ledger", json!({"adopt": true})).await;
    world.until("ledger", "Ready").await;
    assert_eq!(owners(&world), 3);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn it_is_deleted_only_when_it_is_empty() {
    let (world, operator) = ready(json!({"deletionPolicy": "Delete"})).await;
    let arn = world.only().shown.arn;
    let (one, two) = (
        format!("sha256:{}", "01".repeat(32)),
        format!("sha256:{}", "02".repeat(32)),
    );
    world.cloud.push_image(&arn, &one, &["1.0", "1.0.1"]);
    world.cloud.push_image(&arn, &two, &[]);
    delete(&world).await;
    let message = world.until("ledger", "NotEmpty").await;
    assert!(message.contains("2 images"), "{message}");
    assert_eq!(owners(&world), 3);
    // Somebody pushes between the look and the deletion.
    world
        .cloud
        .edit_repository(&arn, |repository| repository.images.clear());
    world.cloud.refuse_next(refused(
        "ecr.DeleteRepository",
        "RepositoryNotEmptyException",
        "not empty",
    ));
    tokio::time::sleep(Duration::from_secs(700)).await;
    assert!(
        world
            .condition("ledger", "Ready")
            .unwrap()
            .2
            .contains("new images")
    );
    tokio::time::sleep(Duration::from_secs(700)).await;
    assert!(world.object("ledger").is_none());
    assert_eq!(world.cloud.repositories(&world.platform), []);
    assert!(world.event("ledger", "RepositoryDeleted").contains(&arn));
    operator.abort();
}

/// What the operator sees is a minute old: it deletes nothing for what is wanted no more.
#[tokio::test(start_paused = true)]
async fn a_deletion_that_is_withdrawn_meanwhile_does_not_take_place() {
    let (world, operator) = ready(json!({"deletionPolicy": "Delete"})).await;
    world.server.set_watch_lag(Duration::from_secs(60));
    delete(&world).await;
    world
        .patch("ledger", json!({"deletionPolicy": "Retain"}))
        .await;
    tokio::time::sleep(Duration::from_secs(700)).await;
    assert!(world.object("ledger").is_none());
    assert_eq!(world.cloud.repositories(&world.platform).len(), 1);
    assert_eq!(owners(&world), 0);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn held_back_it_stays_as_it_is() {
    let (world, operator) = ready(json!({"deletionPolicy": "Delete"})).await;
    world.patch("ledger", json!({"suspend": true})).await;
    delete(&world).await;
    world.until("ledger", "Suspended").await;
    let before = world.only();
    world.patch("ledger", json!({"mode": "Plan"})).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(world.object("ledger").is_none());
    assert_eq!(world.only(), before);
    assert!(world.event("ledger", "RepositoryRetained").contains("Plan"));
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_any_more_is_left_alone() {
    let (world, operator) = ready(json!({"deletionPolicy": "Delete"})).await;
    let arn = world.only().shown.arn;
    world.cloud.edit_repository(&arn, |repository| {
        repository
            .tags
            .insert("bailiwick.dev/uid".to_owned(), "somebody".to_owned());
    });
    let before = world.only();
    delete(&world).await;
    assert!(world.object("ledger").is_none());
    assert_eq!(world.only(), before);
    assert!(
        world
            .event("ledger", "RepositoryRetained")
            .contains("do not name this object")
    );
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_closed_to_us_holds_it_until_somebody_decides() {
    let (world, operator) = ready(json!({})).await;
    world.cloud.set_access_role_behind(&world.platform, None);
    delete(&world).await;
    let message = world.until("ledger", "AccessDenied").await;
    assert!(message.contains("set spec.mode to Plan"), "{message}");
    world.patch("ledger", json!({"mode": "Plan"})).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(world.object("ledger").is_none());
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_write_of_a_deletion_nothing_is_left() {
    async fn life(strike: Option<(u64, Blow)>) -> (u64, Option<String>) {
        let (world, operator) = ready(json!({"deletionPolicy": "Delete"})).await;
        operator.abort();
        let (first, second) = (Life::new(strike), Life::new(None));
        let operator = world.operator(&first);
        tokio::time::sleep(Duration::from_secs(60)).await;
        delete(&world).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        operator.abort();
        let operator = world.operator(&second);
        tokio::time::sleep(Duration::from_secs(600)).await;
        let struck = first.struck.lock().unwrap().clone();
        assert!(world.object("ledger").is_none(), "{strike:?} at {struck:?}");
        assert_eq!(
            world.cloud.repositories(&world.platform),
            [],
            "{strike:?} at {struck:?}"
        );
        operator.abort();
        (first.writes(), struck)
    }
    let (writes, _) = life(None).await;
    let mut struck = Vec::new();
    for blow in [Blow::KilledBefore, Blow::KilledAfter, Blow::AnswerLost] {
        for position in 1..=writes {
            struck.extend(life(Some((position, blow))).await.1);
        }
    }
    assert!(
        struck.iter().any(|what| what == "ecr.DeleteRepository"),
        "{struck:?}"
    );
}
