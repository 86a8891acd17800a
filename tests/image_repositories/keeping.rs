//! What was released is kept, whatever expires.

use std::time::Duration;

use bailiwick::cloud::simulated::refused;
use serde_json::json;

use super::world::{Life, World};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn digest(n: u8) -> String {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
}

fn tag(n: u8) -> String {
    format!("bailiwick-keep-{}", format!("{n:02x}").repeat(32))
}

#[tokio::test(start_paused = true)]
async fn images_without_a_tag_expire_and_what_was_released_does_not() {
    let world = World::new();
    world.declare(json!({"expireUntaggedAfterDays": 7}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "Ready").await;
    let shown = world.only().shown;
    let (arn, uri) = (shown.arn, shown.uri);
    // Pushed, released, and then the tag moves on; one by another team; one in another repository; one by nobody.
    for n in 1..=4 {
        world.cloud.push_image(&arn, &digest(n), &[]);
    }
    world.release("team-payments", "one", &uri, &digest(1));
    world.release("team-search", "two", &uri, &digest(2));
    world.release(
        "team-payments",
        "three",
        "ghcr.io/payments/ledger",
        &digest(3),
    );
    // And one that is in no repository at all.
    world.release("team-payments", "five", &uri, &digest(5));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let images = world.only().images;
    assert!(images[&digest(1)].tags.contains(&tag(1)));
    assert!(images[&digest(2)].tags.contains(&tag(2)));
    assert!(images[&digest(3)].tags.is_empty());
    assert_eq!(world.object("ledger").unwrap()["status"]["keptImages"], 2);
    assert_eq!(world.condition("ledger", "Ready").unwrap().0, "True");

    // Its release goes; the image stays all the same.
    world.server.delete("releases", "team-payments", "one");
    tokio::time::sleep(Duration::from_secs(60)).await;
    operator.abort();
    tokio::time::sleep(8 * DAY).await;
    assert_eq!(world.cloud.expire_images(), 2);
    let left: Vec<_> = world.only().images.into_keys().collect();
    assert_eq!(left, [digest(1), digest(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_is_taken_over_keeps_first_and_expires_then() {
    let world = World::new();
    let name = "payments/ledger".parse().unwrap();
    let arn = world.cloud.add_repository(
        &world.platform,
        "eu-central-1".parse().unwrap(),
        &name,
        Default::default(),
    );
    let uri = world.only().shown.uri;
    // More than AWS shows at once.
    for n in 0..=120 {
        world.cloud.push_image(&arn, &digest(n), &[]);
        world.release("team-payments", &format!("r{n}"), &uri, &digest(n));
    }
    tokio::time::sleep(8 * DAY).await;
    // The last of them cannot be kept at the first attempt.
    let refusal = refused("ecr.PutImage", "ServerException", "come back later");
    world.cloud.refuse_all(refusal);
    world.declare(json!({"adopt": true, "expireUntaggedAfterDays": 7}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(
        world.only().lifecycle,
        None,
        "what must be kept is not kept yet"
    );
    assert_eq!(world.cloud.expire_images(), 0);
    world.cloud.relent("ecr.PutImage");
    world.until("ledger", "Ready").await;
    assert!(world.only().lifecycle.is_some());
    assert_eq!(world.cloud.expire_images(), 0);
    assert_eq!(world.only().images.len(), 121);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn where_an_image_cannot_be_kept_nothing_expires() {
    let world = World::new();
    world.declare(json!({"expireUntaggedAfterDays": 7}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "Ready").await;
    let shown = world.only().shown;
    // Somebody has put the very tag at another image.
    world.cloud.push_image(&shown.arn, &digest(1), &[]);
    world.cloud.push_image(&shown.arn, &digest(2), &[&tag(1)]);
    world.release("team-payments", "one", &shown.uri, &digest(1));
    let message = world.until("ledger", "KeepTagTaken").await;
    assert!(message.contains(&tag(1)), "{message}");
    assert_eq!(world.only().lifecycle, None);
    operator.abort();
    tokio::time::sleep(8 * DAY).await;
    assert_eq!(world.cloud.expire_images(), 0);
    // A person puts it right.
    world.cloud.edit_repository(&shown.arn, |repository| {
        repository.images.get_mut(&digest(2)).unwrap().tags.clear();
    });
    let operator = world.operator(&Life::new(None));
    world.until("ledger", "Ready").await;
    assert!(world.only().lifecycle.is_some());
    assert_eq!(world.cloud.expire_images(), 1);
    assert!(world.only().images.contains_key(&digest(1)));
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_keeps_is_put_again_when_somebody_has_removed_it() {
    let world = World::new();
    world.declare(json!({}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "Ready").await;
    let shown = world.only().shown;
    world.cloud.push_image(&shown.arn, &digest(1), &["1.0"]);
    world.release("team-payments", "one", &shown.uri, &digest(1));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.only().images[&digest(1)].tags.contains(&tag(1)));
    world.cloud.edit_repository(&shown.arn, |repository| {
        repository.images.get_mut(&digest(1)).unwrap().tags.clear();
    });
    tokio::time::sleep(super::DEEP).await;
    assert!(world.only().images[&digest(1)].tags.contains(&tag(1)));
    assert!(world.event("ledger", "DriftRepaired").contains("PutImage"));
    operator.abort();
}

/// The attestation by which a source is known has no tag where it is attached: without it a later look would know nothing.
#[tokio::test(start_paused = true)]
async fn what_a_source_is_known_by_does_not_expire_either() {
    let world = World::new();
    world.declare(json!({"expireUntaggedAfterDays": 7}));
    let operator = world.operator(&Life::new(None));
    world.until("ledger", "Ready").await;
    let shown = world.only().shown;
    for n in 1..=4 {
        world.cloud.push_image(&shown.arn, &digest(n), &[]);
    }
    let by = |evidence: &str, at: u8| {
        json!({
            "repository": "https://git.example.com/payments/ledger", "evidence": evidence, "evidenceDigest": digest(at),
        })
    };
    // The other address of the repository, over either version of IP; nobody looks at all repositories for a while.
    let other = shown.uri.replace(".dkr.ecr.", ".dkr-ecr.");
    let other = other.replace(".amazonaws.com/", ".on.aws/");
    assert_ne!(other, shown.uri);
    let signed = (&*digest(1), by("Attestation", 3));
    world.attested_release("team-payments", "one", &other, signed);
    let file = (&*digest(2), by("ScmSourceFile", 4));
    world.attested_release("team-payments", "two", &shown.uri, file);
    tokio::time::sleep(Duration::from_secs(60)).await;
    operator.abort();
    tokio::time::sleep(8 * DAY).await;
    world.cloud.expire_images();
    let left: Vec<_> = world.only().images.into_keys().collect();
    assert_eq!(left, [digest(1), digest(2), digest(3)]);
}
