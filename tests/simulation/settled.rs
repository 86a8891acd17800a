//! What many accounts cost, and what settled ones do not.

use bailiwick::cloud::simulated::Options;
use serde_json::Value;

use crate::world::{HOUR, MINUTE, World};

#[tokio::test(start_paused = true)]
async fn three_hundred_accounts_while_calls_are_throttled_and_answers_lost() {
    let options = Options {
        throttle_rate: 0.05,
        lost_reply_rate: 0.01,
        ..Options::default()
    };
    let mut world = World::new(options, 7);
    world.look = MINUTE;
    world.declare(30, 10);
    let mut run = world.start();
    let ready = world
        .until(&mut run, 24 * HOUR, || world.unready().is_empty())
        .await;
    assert!(ready, "seed 7: {:#?}", world.unready().first());
    run.stop();
    world.check(300, "seed 7");
    assert!(world.cloud.most_in_flight() <= 5);
}

#[tokio::test(start_paused = true)]
async fn a_settled_world_costs_no_write_and_one_share_of_a_sweep() {
    let world = World::new(Options::default(), 5);
    world.declare(10, 4);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    world.pass_time(&mut run, MINUTE).await;
    world.server.reset_counters();
    world.cloud.forget_calls();
    world.pass_time(&mut run, HOUR).await;
    let asked = world.server.all_requests();
    assert_eq!(world.server.writes(), 0, "{asked:?}");
    assert_eq!(world.server.gets(), 0, "{asked:?}");
    let calls = world.cloud.calls_to("organizations.");
    // Six sweeps: root, three units, their accounts in pages of twenty, and tags in turn.
    assert!(calls <= 120, "{calls}: {:?}", world.cloud.calls());
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_restart_tells_those_who_wait_in_the_queue_nothing_new() {
    let options = Options {
        creation: HOUR,
        ..Options::default()
    };
    let world = World::new(options, 5);
    world.declare(4, 5);
    let mut run = world.start();
    world.pass_time(&mut run, 2 * MINUTE).await;
    let reason = |object: &Value| object["reason"].as_str().map(str::to_owned);
    let told = || -> Vec<String> {
        let events = world.server.objects("events");
        events.iter().filter_map(reason).collect()
    };
    let of = |told: &[String], reason: &str| told.iter().filter(|said| *said == reason).count();
    let before = told();
    assert!(
        of(&before, "Queued") >= 15,
        "five of twenty are being created: {before:?}"
    );
    run.fate.die();
    world.pass_time(&mut run, MINUTE).await;
    let after = told();
    for said in ["ReadingOrganization", "Queued"] {
        assert_eq!(of(&after, said), of(&before, said), "{said}: {after:?}");
    }
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn no_more_creations_are_under_way_than_the_operator_is_told() {
    let options = Options {
        creations_in_flight: 10,
        ..Options::default()
    };
    let mut world = World::new(options, 5);
    world.flags = vec!["--creation-slots", "2"];
    world.declare(2, 3);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    world.check(6, "two slots");
    assert_eq!(world.cloud.most_in_flight(), 2);
    run.stop();
}

/// However many creations are under way, one question in a round serves them all.
#[tokio::test(start_paused = true)]
async fn creations_share_the_question_whether_they_are_done() {
    let mut asked = Vec::new();
    for accounts in [1, 5] {
        let options = Options {
            creation: 10 * MINUTE,
            ..Options::default()
        };
        let world = World::new(options, 5);
        world.declare(1, accounts);
        let mut run = world.start();
        world.must_be_ready(&mut run).await;
        assert_eq!(world.cloud.most_in_flight(), accounts);
        let calls = world
            .cloud
            .calls_of("organizations.ListCreateAccountStatus");
        asked.push(calls.calls);
        run.stop();
    }
    assert!(
        asked[0] > 1 && asked[1] < 2 * asked[0],
        "{asked:?} calls for one and for five"
    );
}
