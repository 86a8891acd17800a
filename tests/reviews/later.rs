//! Reviews that counted when the code host was asked, and would not count now.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use bailiwick::api::Evidence;
use serde_json::{Value, json};

use super::counted::{SOON, look_again, release, reviewing, says, shop, status, verdict};
use super::host::{COMMIT, Host, Mood, review};
use super::world::{World, digest};

/// Two people must approve: ann has by a review, which counts.
async fn one_review_counts(evidence: Evidence) -> (Host, World) {
    let (host, world) = (Host::start().await, shop(2, evidence));
    world
        .registries
        .ask_about_commits(host.origins(Some(reviewing())));
    host.review(review(1, "ann", "APPROVED", COMMIT));
    release(&world, "requester@example.com");
    (host, world)
}

async fn one_more_is_missing(world: &World) {
    world
        .until("one more", SOON, |world| {
            verdict(world, "ann") == "ann@example.com"
                && says(world, "Approved").contains("an approval by one more person")
        })
        .await;
}

fn bob_approves(world: &World) {
    world.approval("aa", "bob", "bob@example.com", "shop-1", &digest('1'));
}

/// What was said when the code host was asked decides nothing later: it is asked once more, and must answer.
#[tokio::test]
async fn a_review_that_was_withdrawn_meanwhile_decides_nothing() {
    let lives = [Mood::Answers, Mood::Broken, Mood::Silent].map(|mood| async move {
        let (host, world) = one_review_counts(Evidence::Attestation).await;
        let operator = world.operator(&Arc::default());
        one_more_is_missing(&world).await;
        host.now_says("ann", "DISMISSED");
        host.becomes(mood);
        bob_approves(&world);
        let ever_approved = Cell::new(false);
        let note = |world: &World| {
            let approved = says(world, "Approved").starts_with("True");
            ever_approved.set(ever_approved.get() || approved);
        };
        if mood != Mood::Answers {
            world
                .until("owed", SOON, |world| {
                    note(world);
                    !says(world, "CodeHostUnanswered").is_empty()
                })
                .await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert!(!says(&world, "Approved").starts_with("True"), "{mood:?}");
            host.becomes(Mood::Answers);
        }
        world
            .until("withdrawn", SOON, |world| {
                note(world);
                verdict(world, "ann").contains("was dismissed")
                    && says(world, "CodeHostUnanswered").is_empty()
            })
            .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let approved = says(&world, "Approved");
        assert!(!ever_approved.get(), "{mood:?}: {approved}");
        assert!(
            approved.contains("an approval by one more person"),
            "{mood:?}: {approved}"
        );
        // Another one does.
        host.review(review(2, "cid", "APPROVED", COMMIT));
        look_again(&world, "1");
        world
            .until("ready", SOON, |world| {
                says(world, "Ready").starts_with("True")
            })
            .await;
        operator.abort();
    });
    futures::future::join_all(lives).await;
}

/// Reviews count only as long as somebody wants them to: here the platform team does no longer.
#[tokio::test]
async fn reviews_that_are_not_configured_any_more_are_forgotten() {
    let (host, world) = one_review_counts(Evidence::Attestation).await;
    let first = world.operator(&Arc::default());
    one_more_is_missing(&world).await;
    first.abort();
    world.registries.ask_about_commits(host.origins(None));
    let second = world.operator(&Arc::default());
    world
        .until("forgotten", SOON, |world| {
            status(world)["reviews"].is_null()
        })
        .await;
    bob_approves(&world);
    world
        .until("bob's alone", SOON, |world| {
            status(world)["approvals"][0]["approver"] == "bob@example.com"
        })
        .await;
    assert!(says(&world, "Approved").contains("an approval by one more person"));
    // And wanted again they are asked for.
    second.abort();
    world
        .registries
        .ask_about_commits(host.origins(Some(reviewing())));
    let third = world.operator(&Arc::default());
    look_again(&world, "1");
    world
        .until("ready", SOON, |world| {
            says(world, "Ready").starts_with("True")
        })
        .await;
    third.abort();
}

/// The platform team agrees that what the application demands now is enough.
async fn agreed(world: &World) {
    let demanded = |world: &World| {
        let shop = world.server.get("applications", "team-aa", "shop");
        shop.unwrap()["spec"]["requiredApprovals"].clone()
    };
    let name = |world: &World| world.server.get("applicationnames", "", "shop").unwrap();
    world
        .until("kept", SOON, |world| {
            let kept = name(world)["spec"]["requiredApprovals"]["types"].clone();
            let kept = kept.as_array().unwrap();
            demanded(world)["types"]
                .as_array()
                .unwrap()
                .iter()
                .all(|type_| kept.contains(type_))
        })
        .await;
    let mut lowered = name(world);
    lowered["spec"]["requiredApprovals"] = demanded(world);
    world.server.put(&lowered).unwrap();
}

/// The team does no longer: by what it demands, and by what it calls its own.
#[tokio::test]
async fn reviews_that_the_application_does_not_ask_for_any_more_are_forgotten() {
    type Change = fn(&mut Value);
    let changes: [Change; 2] = [
        |spec| spec["requiredApprovals"]["types"] = json!(["Deploy"]),
        |spec| spec["repositories"] = json!(["https://github.com/acme/other"]),
    ];
    for change in changes {
        let (_host, world) = one_review_counts(Evidence::Attestation).await;
        let operator = world.operator(&Arc::default());
        one_more_is_missing(&world).await;
        assert_eq!(status(&world)["approvals"][0]["evidence"], "Review");
        world.edit("applications", "aa", "shop", |object| {
            change(&mut object["spec"]);
        });
        agreed(&world).await;
        world
            .until("forgotten", SOON, |world| {
                let status = status(world);
                status["reviews"].is_null() && status["approvals"].is_null()
            })
            .await;
        operator.abort();
    }
}
