//! What a settled world costs, and what is found when somebody has been at the bucket.

use std::time::Duration;

use bailiwick::cloud::simulated::Options;
use bailiwick::journal::record::{Operation, Record};
use bailiwick::journal::verify::Problem;

use super::strike::Strike;
use super::world::{World, minutes};

async fn with_objects(count: u64) -> World {
    let world = World::new(Options::default());
    let operator = world.operator(Strike::none(), &[]);
    for number in 0..count {
        world.declare("Application", &format!("app{number}"), number);
    }
    world.declare("Team", "shop", 1);
    minutes(5).await;
    world.declare("Application", "app0", 1000);
    minutes(5).await;
    assert_eq!(world.check("at first").await, (0, 0));
    operator.end().await;
    world
}

fn s3(world: &World) -> (u64, u64, u64) {
    let calls = |operation| world.cloud.calls_of(operation).calls;
    (
        calls("s3.PutObject"),
        calls("s3.GetObject"),
        calls("s3.ListObjectsV2"),
    )
}

#[tokio::test(start_paused = true)]
async fn a_settled_object_costs_nothing_and_a_start_sixteen_reads() {
    let world = with_objects(300).await;
    world.cloud.forget_calls();
    let operator = world.operator(Strike::none(), &[]);
    minutes(5).await;
    assert_eq!(s3(&world), (0, 16, 0), "a start");
    world.cloud.forget_calls();
    world.server.reset_counters();
    minutes(62).await;
    assert_eq!(s3(&world), (0, 0, 0), "an hour");
    assert_eq!(world.server.writes(), 0, "an hour");
    world.declare("Application", "app7", 2000);
    minutes(2).await;
    assert_eq!(s3(&world), (1, 1, 0), "a change");
    minutes(10).await;
    assert_eq!(s3(&world), (2, 1, 0), "a change, and its part of the index");
    operator.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_index_is_made_anew_from_the_chains() {
    let world = with_objects(20).await;
    for (key, _) in world.cloud.objects("journal/sim/heads/") {
        world.cloud.change_object_behind(&key, None);
    }
    let operator = world.operator(Strike::none(), &[]);
    world.declare("Application", "app3", 3000);
    minutes(15).await;
    assert_eq!(world.check("after").await, (0, 0));
    assert!(!world.cloud.objects("journal/sim/heads/").is_empty());
    operator.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_vanished_while_nobody_watched_is_journaled_at_the_next_start() {
    let world = with_objects(3).await;
    world.wipe_out("app1");
    let operator = world.operator(Strike::none(), &[]);
    assert!(world.catch_up(Duration::from_secs(60)).await);
    let records = world.records().await;
    let gone = records
        .iter()
        .find(|record| record.operation == Operation::Deleted)
        .unwrap();
    assert!(gone.note.as_ref().unwrap().contains("vanished"), "{gone:?}");
    assert_eq!(gone.before.as_ref().unwrap()["description"], "1");
    operator.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_new_and_vanishes_with_the_operator_is_not_forgotten() {
    let world = World::new(Options::default());
    let operator = world.operator(Strike::none(), &[]);
    minutes(1).await;
    world.declare("Application", "fresh", 1);
    tokio::time::sleep(Duration::from_secs(20)).await;
    operator.kill();
    world.wipe_out("fresh");
    let operator = world.operator(Strike::none(), &[]);
    assert!(world.catch_up(Duration::from_secs(60)).await);
    operator.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_reader_finds_what_somebody_did_to_the_bucket() {
    let world = with_objects(3).await;
    let chain = |world: &World| {
        let keys = world.cloud.objects("journal/sim/Application/");
        let record = keys
            .iter()
            .find(|(key, _)| key.ends_with("0000000002.json"));
        record.cloned().unwrap()
    };
    let (key, bytes) = chain(&world);
    // Cut off.
    world.cloud.change_object_behind(&key, None);
    let verdict = world.verdict().await;
    assert!(!verdict.whole);
    assert_eq!(
        verdict.broken[0].findings[0].problem,
        Problem::CutOff { head: 2 }
    );
    assert_eq!(verdict.broken[0].findings[0].key, key);
    // One bit.
    let mut altered = bytes.clone();
    altered[100] ^= 1;
    world.cloud.change_object_behind(&key, Some(&altered));
    let verdict = world.verdict().await;
    assert_eq!(verdict.broken.len(), 1);
    let altered = |p: &Problem| matches!(p, Problem::Altered { .. });
    assert!(
        verdict.broken[0]
            .findings
            .iter()
            .any(|f| altered(&f.problem)),
        "{verdict:?}"
    );
    // Forged with care.
    let mut forged = Record::from_bytes(&bytes).unwrap();
    forged.who = Some("oidc:somebody-else".to_owned());
    world
        .cloud
        .change_object_behind(&key, Some(&forged.to_bytes().unwrap()));
    assert_eq!(
        world.verdict().await.broken[0].findings[0].problem,
        Problem::Replaced
    );
    // As it was.
    world.cloud.change_object_behind(&key, Some(&bytes));
    assert!(world.verdict().await.whole);
    // A whole chain.
    let folder = key.trim_end_matches("0000000002.json").to_owned();
    for (key, _) in world.cloud.objects(&folder) {
        world.cloud.change_object_behind(&key, None);
    }
    let verdict = world.verdict().await;
    assert_eq!(
        verdict.broken[0].findings[0].problem,
        Problem::CutOff { head: 2 }
    );
    assert_eq!(verdict.broken[0].name.as_deref(), Some("app0"));
    // A part of the index.
    let (index, _) = world.cloud.objects("journal/sim/heads/").remove(0);
    world.cloud.change_object_behind(&index, Some(b"{}"));
    assert_eq!(world.verdict().await.unreadable_index.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rubbish_where_a_record_was_to_be_stops_nothing_and_is_found() {
    let world = with_objects(2).await;
    let keys = world.cloud.objects("journal/sim/Application/");
    let key = keys
        .iter()
        .map(|(key, _)| key)
        .find(|key| key.ends_with("0000000002.json"));
    let next = key.unwrap().replace("0000000002", "0000000003");
    world.cloud.change_object_behind(&next, Some(b"rubbish"));
    let operator = world.operator(Strike::none(), &[]);
    world.declare("Application", "app0", 4000);
    minutes(5).await;
    let records = world.records().await;
    let last = records.iter().find(|record| record.sequence == 4).unwrap();
    assert_eq!(last.after.as_ref().unwrap()["description"], "4000");
    let verdict = world.verdict().await;
    let findings = &verdict.broken[0].findings;
    assert!(
        findings.iter().any(|finding| finding.key == next),
        "{findings:?}"
    );
    operator.end().await;
}
