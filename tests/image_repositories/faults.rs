//! Whatever befalls the operator, there is one repository, and it is Ready.

use std::time::Duration;

use bailiwick::cloud::simulated::refused;
use bailiwick::model::Tags;
use serde_json::json;

use super::world::{Blow, Life, World};
use super::{DEEP, check};

/// Where the repository comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Created,
    Adopted,
}

/// A whole life with one blow at the operator; how many writes there were, and what was struck.
async fn life(origin: Origin, strike: Option<(u64, Blow)>) -> (u64, Option<String>) {
    let world = World::new();
    let arn = format!(
        "arn:aws:ecr:eu-central-1:{}:repository/payments/ledger",
        world.platform
    );
    let uri = format!(
        "{}.dkr.ecr.eu-central-1.amazonaws.com/payments/ledger",
        world.platform
    );
    let digest = format!("sha256:{}", "ab".repeat(32));
    if origin == Origin::Adopted {
        let (name, region) = (
            "payments/ledger".parse().unwrap(),
            "eu-central-1".parse().unwrap(),
        );
        world
            .cloud
            .add_repository(&world.platform, region, &name, Tags::new());
    }
    world.declare(json!({"expireUntaggedAfterDays": 7, "adopt": origin == Origin::Adopted}));
    let context = format!("{origin:?}, {strike:?}");
    let (first, second) = (Life::new(strike), Life::new(None));
    let mut operators = vec![world.operator(&first)];
    let mut pushed = false;
    // Restarted when it is dead, in which case the object has not got there; an hour is enough for everything.
    for _ in 0..720 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        if first.is_dead() && operators.len() == 1 {
            operators.push(world.operator(&second));
        }
        if !pushed && world.cloud.repository(&arn).is_some() {
            world.cloud.push_image(&arn, &digest, &["1.0"]);
            world.release("team-payments", "one", &uri, &digest);
            pushed = true;
        }
        let kept = world.cloud.repository(&arn).is_some_and(|repository| {
            let image = repository.images.get(&digest);
            image.is_some_and(|image| image.tags.len() == 2)
        });
        let ready = world.condition("ledger", "Ready");
        if kept && ready.is_some_and(|(_, reason, _)| reason == "Ready") {
            break;
        }
    }
    let struck = first.struck.lock().unwrap().clone();
    assert_eq!(
        world
            .condition("ledger", "Ready")
            .map(|(_, reason, _)| reason)
            .as_deref(),
        Some("Ready"),
        "{context} at {struck:?}: {:#?}",
        world.object("ledger")
    );
    let repository = world.only();
    check(&world, &repository);
    assert!(repository.lifecycle.is_some(), "{context} at {struck:?}");
    let tags = &repository.images[&digest].tags;
    assert_eq!(tags.len(), 2, "{context} at {struck:?}: {tags:?}");
    operators.iter().for_each(tokio::task::JoinHandle::abort);
    (first.writes(), struck)
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_write_there_is_one_repository_and_it_is_ready() {
    for (origin, write) in [
        (Origin::Created, "CreateRepository"),
        (Origin::Adopted, "TagResource"),
    ] {
        let (writes, _) = life(origin, None).await;
        assert!(
            writes >= 10,
            "only {writes} writes: the table would prove little"
        );
        let mut table = Vec::new();
        for blow in [Blow::KilledBefore, Blow::KilledAfter, Blow::AnswerLost] {
            for position in 1..=writes {
                let (_, struck) = life(origin, Some((position, blow))).await;
                table.push(format!(
                    "{blow:?} {position}: {}",
                    struck.unwrap_or_default()
                ));
            }
        }
        println!(
            "{origin:?}: {} lives, {writes} writes each\n{}",
            table.len(),
            table.join("\n")
        );
        for write in [
            write,
            "SetRepositoryPolicy",
            "PutImage",
            "PutLifecyclePolicy",
            "imagerepositories status",
        ] {
            assert!(
                table.iter().any(|row| row.contains(write)),
                "{write}: {table:#?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_repositories_while_calls_are_throttled_and_answers_lost() {
    let world = World::new();
    let names: Vec<String> = (0..50).map(|n| format!("r{n}")).collect();
    for name in &names {
        world.declare_as(name, json!({"repositoryName": format!("payments/{name}")}));
    }
    world.cloud.configure(|options| {
        options.throttle_rate = 0.05;
        options.unavailable_rate = 0.02;
        options.lost_reply_rate = 0.05;
    });
    let operator = world.operator(&Life::new(None));
    for name in &names {
        world.until(name, "Ready").await;
    }
    operator.abort();
    let repositories = world.cloud.repositories(&world.platform);
    assert_eq!(repositories.len(), names.len());
    for repository in repositories {
        let name = repository.shown.arn.rsplit('/').next().unwrap();
        let object = world.object(name).unwrap();
        assert_eq!(
            repository.tags["bailiwick.dev/uid"],
            object["metadata"]["uid"]
        );
        assert!(repository.policy.is_some(), "{name}");
    }
    let lost = world.cloud.calls_of("ecr.CreateRepository");
    assert!(
        lost.calls > 50,
        "nothing went wrong: {:?}",
        world.cloud.calls()
    );
}

#[tokio::test(start_paused = true)]
async fn a_throttled_look_does_not_make_a_repository_unready() {
    let world = World::new();
    world.declare(json!({}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "Ready").await;
    for operation in ["ecr.DescribeRepositories", "ecr.GetRepositoryPolicy"] {
        world
            .cloud
            .refuse_next(refused(operation, "ThrottlingException", "Rate exceeded"));
    }
    world.server.reset_counters();
    tokio::time::sleep(DEEP).await;
    assert!(world.cloud.calls_of("ecr.DescribeRepositories").throttled >= 1);
    assert_eq!(
        world.server.writes(),
        0,
        "{:?}",
        world.server.all_requests()
    );
    operator.abort();
}
