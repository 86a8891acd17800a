//! The controller of image repositories against an API server and an AWS organization in memory, in virtual time.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "image_repositories/faults.rs"]
mod faults;
#[path = "image_repositories/keeping.rs"]
mod keeping;
#[path = "image_repositories/leaving.rs"]
mod leaving;
#[path = "image_repositories/logins.rs"]
mod logins;
#[path = "image_repositories/refusals.rs"]
mod refusals;
#[path = "image_repositories/world.rs"]
mod world;

use std::time::Duration;

use bailiwick::cloud::simulated::RepositoryRecord;
use bailiwick::model::{TagMutability, Tags};
use serde_json::{Value, json};

use world::{Life, World};

const DEEP: Duration = Duration::from_secs(6 * 3600 + 60);

/// All that a new repository has, and whose it is.
fn check(world: &World, repository: &RepositoryRecord) {
    let uri = format!(
        "{}.dkr.ecr.eu-central-1.amazonaws.com/payments/ledger",
        world.platform
    );
    assert_eq!(repository.shown.uri, uri);
    assert_eq!(repository.shown.mutability, TagMutability::Immutable);
    assert!(repository.shown.scan_on_push);
    let object = world.object("ledger").unwrap();
    assert_eq!(
        repository.tags["bailiwick.dev/uid"],
        object["metadata"]["uid"]
    );
    assert_eq!(
        repository.tags["bailiwick.dev/owner"],
        "ImageRepository/team-payments/ledger"
    );
    assert_eq!(repository.tags["bailiwick.dev/cluster"], "sim");
    assert_eq!(object["status"]["uri"], uri);
    assert_eq!(object["status"]["arn"], repository.shown.arn);
    let policy = repository.policy.as_ref().expect("a policy");
    assert!(policy.contains("aws:PrincipalOrgID"), "{policy}");
}

#[tokio::test(start_paused = true)]
async fn a_repository_is_created_and_costs_nothing_afterwards() {
    let world = World::new();
    world.declare(json!({}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "Ready").await;
    check(&world, &world.only());
    for condition in ["Accepted", "Created", "InSync"] {
        assert_eq!(
            world.condition("ledger", condition).unwrap().0,
            "True",
            "{condition}"
        );
    }
    assert!(world.event("ledger", "Created").contains("was created"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.server.reset_counters();
    world.cloud.forget_calls();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.cloud.calls_to("ecr."), 0, "{:?}", world.cloud.calls());
    assert_eq!(
        world.server.writes(),
        0,
        "{:?}",
        world.server.all_requests()
    );
    // Now and then it is looked at, and that is all.
    tokio::time::sleep(DEEP).await;
    let calls = world.cloud.calls_to("ecr.");
    assert!((4..=8).contains(&calls), "{:?}", world.cloud.calls());
    assert_eq!(world.cloud.writes(), 0);
    assert_eq!(
        world.server.writes(),
        0,
        "{:?}",
        world.server.all_requests()
    );
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_from_outside_is_put_right() {
    let world = World::new();
    world.declare(json!({}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "Ready").await;
    let before = world.only();
    let arn = before.shown.arn.clone();
    world.cloud.edit_repository(&arn, |repository| {
        repository.shown.mutability = TagMutability::Other("MUTABLE".to_owned());
        repository.shown.scan_on_push = false;
        repository.policy = None;
        repository.tags.clear();
        repository.tags.insert("theirs".to_owned(), "stays".to_owned());
        let anything = r#"{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"sinceImagePushed",
            "countUnit":"days","countNumber":1},"action":{"type":"expire"}}]}"#;
        repository.lifecycle = Some(anything.to_owned());
    });
    tokio::time::sleep(DEEP).await;
    let mut after = world.only();
    assert_eq!(after.tags.remove("theirs").as_deref(), Some("stays"));
    assert_eq!(after, before);
    let note = world.event("ledger", "DriftRepaired");
    for action in [
        "TagResource",
        "DeleteLifecyclePolicy",
        "PutImageTagMutability",
        "PutImageScanningConfiguration",
        "SetRepositoryPolicy",
    ] {
        assert!(note.contains(action), "{action}: {note}");
    }
    // One that is gone is made again, and somebody is told.
    world.cloud.delete_repository_behind(&arn);
    tokio::time::sleep(DEEP).await;
    check(&world, &world.only());
    assert!(
        world
            .event("ledger", "RepositoryMissing")
            .contains("all its images")
    );
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn rules_of_the_account_about_scanning_are_not_fought() {
    let world = World::new();
    world.declare(json!({}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "Ready").await;
    world
        .cloud
        .edit_repository(&world.only().shown.arn, |repository| {
            repository.scanned_by_registry = true;
            repository.shown.scan_on_push = false;
        });
    world.cloud.forget_calls();
    tokio::time::sleep(DEEP).await;
    assert!(world.cloud.calls_to("ecr.") > 0);
    assert_eq!(world.cloud.writes(), 0, "{:?}", world.cloud.calls());
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn an_annotation_forces_a_look() {
    let world = World::new();
    world.declare(json!({}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "Ready").await;
    let arn = world.only().shown.arn;
    world
        .cloud
        .edit_repository(&arn, |repository| repository.policy = None);
    let mut object = world.object("ledger").unwrap();
    object["metadata"]["annotations"] = json!({"bailiwick.dev/reconcile-requested-at": "now"});
    world.server.put(&object).unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(world.only().policy.is_some());
    let object = world.object("ledger").unwrap();
    assert_eq!(object["status"]["lastHandledReconcileAt"], "now");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_repository_in_the_teams_own_account() {
    let world = World::new();
    world.put(
        "TeamAccount",
        "team-payments",
        "dev",
        json!({"className": "dev"}),
    );
    world.declare(json!({
        "account": "dev", "repositoryName": "anything/at-all", "mutableTags": ["*-SNAPSHOT"],
        "kmsKeyArn": "arn:aws:kms:eu-central-1:111122223333:key/1234",
        "pushRoles": ["arn:aws:iam::999988887777:role/ci"],
    }));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "AccountNotReady").await;
    world.until("ledger", "Ready").await;
    let account = world
        .cloud
        .account_by_email("aws+payments-dev@example.com")
        .unwrap()
        .id;
    let repositories = world.cloud.repositories(&account);
    assert_eq!(repositories.len(), 1);
    let repository = &repositories[0];
    assert_eq!(
        repository.shown.mutability.to_string(),
        "IMMUTABLE_WITH_EXCLUSION: *-SNAPSHOT"
    );
    assert!(
        repository
            .shown
            .encryption
            .to_string()
            .ends_with("key/1234")
    );
    let policy: Value = serde_json::from_str(repository.policy.as_ref().unwrap()).unwrap();
    let policy = policy.to_string();
    for part in [
        format!("arn:aws:iam::{account}:root"),
        format!("arn:aws:iam::{account}:role/*"),
        "arn:aws:iam::999988887777:role/ci".to_owned(),
    ] {
        assert!(policy.contains(&part), "{part}: {policy}");
    }
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_new_account_of_the_team_may_push() {
    let world = World::new();
    world.declare(json!({}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "Ready").await;
    assert!(!world.only().policy.unwrap().contains("ecr:PutImage"));
    world.put(
        "TeamAccount",
        "team-payments",
        "dev",
        json!({"className": "dev"}),
    );
    tokio::time::sleep(Duration::from_secs(300)).await;
    let account = world
        .cloud
        .account_by_email("aws+payments-dev@example.com")
        .unwrap()
        .id;
    let policy = world.only().policy.unwrap();
    assert!(
        policy.contains(&format!("arn:aws:iam::{account}:root")),
        "{policy}"
    );
    assert!(policy.contains("ecr:PutImage"), "{policy}");
    // No drift: it is we who want something else.
    assert!(
        !world
            .events("ledger")
            .iter()
            .any(|(reason, _)| reason == "DriftRepaired")
    );
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn what_exists_is_taken_over_only_when_asked_for_and_shown_first() {
    let world = World::new();
    let name = "payments/ledger".parse().unwrap();
    let region = "eu-central-1".parse().unwrap();
    let tags = Tags::from([("made-by".to_owned(), "hand".to_owned())]);
    let arn = world
        .cloud
        .add_repository(&world.platform, region, &name, tags);
    let before = world.only();
    world.declare(json!({}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    let message = world.until("ledger", "RepositoryExists").await;
    assert!(message.contains("spec.adopt"), "{message}");
    assert_eq!(world.only(), before);

    world
        .patch("ledger", json!({"adopt": true, "mode": "Plan"}))
        .await;
    world.until("ledger", "ChangesPlanned").await;
    assert_eq!(world.only(), before);
    let plan = world.object("ledger").unwrap()["status"]["plan"].clone();
    let actions: Vec<_> = plan
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "TagResource",
            "PutImageTagMutability",
            "PutImageScanningConfiguration",
            "SetRepositoryPolicy"
        ]
    );
    assert_eq!(plan[1]["before"], "MUTABLE");
    assert_eq!(plan[1]["after"], "IMMUTABLE");
    assert_eq!(plan[1]["target"], arn.as_str());

    world.patch("ledger", json!({"mode": "Apply"})).await;
    world.until("ledger", "Ready").await;
    let after = world.only();
    check(&world, &after);
    assert_eq!(after.tags["made-by"], "hand");
    assert!(world.object("ledger").unwrap()["status"]["plan"].is_null());
    assert!(world.event("ledger", "Adopted").contains("payments/ledger"));
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn plan_and_suspend_write_nothing() {
    for hold in [json!({"mode": "Plan"}), json!({"suspend": true})] {
        let world = World::new();
        world.declare(hold.clone());
        let life = Life::new(None);
        let operator = world.operator(&life);
        let reason = if hold["suspend"] == true {
            "Suspended"
        } else {
            "ChangesPlanned"
        };
        world.until("ledger", reason).await;
        tokio::time::sleep(DEEP).await;
        assert_eq!(world.cloud.repositories(&world.platform), []);
        let object = world.object("ledger").unwrap();
        assert_eq!(object["status"]["plan"][0]["action"], "CreateRepository");
        operator.abort();
    }
}
