//! The sink is away.

use std::time::Duration;

use bailiwick::cloud::simulated::Options;
use bailiwick::journal::record::Operation;

use super::strike::Strike;
use super::world::{World, minutes};

/// What happens in the hour: changes all the time, and nobody watches between two of its minutes.
async fn an_hour_away(seed: u64) -> (World, usize) {
    let world = World::new(Options::default());
    let operator = world.operator(Strike::none(), &[]);
    for number in 0..5 {
        world.declare("Team", &format!("team{number}"), number);
        world.declare("Application", &format!("app{number}"), number);
    }
    minutes(5).await;
    assert_eq!(world.check("before").await, (0, 0));

    world.cloud.set_bucket_away(true);
    let mut first = Some(operator);
    let mut second = None;
    for minute in 0..60 {
        // A small generator: which object, by seed and minute.
        let dice = (seed * 31 + minute * 7) % 5;
        world.declare("Team", &format!("team{dice}"), 100 + minute);
        if minute % 3 == 0 {
            world.declare(
                "Application",
                &format!("app{}", (dice + 1) % 5),
                200 + minute,
            );
        }
        // Releases come and go, some of them while no operator runs, with somebody's word for the next one.
        match minute % 4 {
            1 => {
                world.declare("Release", &format!("one-{minute}"), minute);
                if minute > 4 {
                    world.delete("Release", &format!("one-{}", minute - 4));
                }
            }
            3 => drop(world.declare("Approval", &format!("ann-{minute}"), minute)),
            _ => {}
        }
        if minute == 15 {
            world.delete("Application", "app4");
            minutes(1).await;
            world.declare("Application", "app4", 300);
        }
        if minute == 50 {
            world.delete("Team", "team4");
            minutes(1).await;
            assert!(
                world.server.get("teams", "", "team4").is_none(),
                "deletions go on"
            );
            world.declare("Team", "team4", 400);
        }
        minutes(1).await;
        if minute == 25
            && let Some(first) = first.take()
        {
            assert!(world.outbox() > 20, "{} in the outbox", world.outbox());
            let text = first.metrics.encode();
            assert!(
                text.contains(r#"bailiwick_journal_pending{place="memory"} 0"#),
                "{text}"
            );
            let behind = text
                .lines()
                .find(|line| line.starts_with("bailiwick_journal_behind_seconds "));
            let behind: f64 = behind.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            assert!((1500.0..1700.0).contains(&behind), "{behind} s behind");
            first.kill();
            *world.watched.lock().unwrap() = false;
        }
        if minute == 35 {
            second = Some(world.operator(Strike::none(), &[]));
            // What was there when it began, it found so; from now on it watches.
            minutes(1).await;
            *world.watched.lock().unwrap() = true;
        }
    }
    world.cloud.set_bucket_away(false);
    let caught_up = world.catch_up(Duration::from_secs(300)).await;
    assert!(caught_up, "seed {seed}: {:?}", world.check("after").await);
    let records = world.records().await.len();
    second.unwrap().end().await;
    (world, records)
}

#[tokio::test(start_paused = true)]
async fn an_hour_away_and_the_operator_killed_in_it_nothing_is_lost_or_doubled() {
    for seed in 0..5 {
        let (world, records) = an_hour_away(seed).await;
        let (lost, doubled) = world.check(&format!("seed {seed}")).await;
        println!("seed {seed}: {records} records, {lost} lost, {doubled} doubled");
        assert_eq!((lost, doubled), (0, 0), "seed {seed}");
        let gaps = world.records().await;
        let gaps = gaps
            .iter()
            .filter(|record| record.operation == Operation::Gap);
        assert!(gaps.count() > 0, "what nobody watched is said");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_holds_deletions_and_nothing_else() {
    let world = World::new(Options::default());
    let operator = world.operator(Strike::none(), &["--journal-outbox", "3"]);
    for number in 0..6 {
        world.declare("Team", &format!("team{number}"), number);
    }
    minutes(5).await;
    world.cloud.set_bucket_away(true);
    for number in 0..6 {
        world.declare("Team", &format!("team{number}"), 10 + number);
        minutes(1).await;
    }
    assert_eq!(world.outbox(), 3);
    world.delete("Team", "team5");
    world.declare("Team", "fresh", 20);
    minutes(5).await;
    let ready = |name: &str| {
        let team = world.server.get("teams", "", name).unwrap();
        let conditions = team["status"]["conditions"].as_array().unwrap().clone();
        conditions
            .into_iter()
            .find(|condition| condition["type"] == "Ready")
            .unwrap()
    };
    assert_eq!(ready("fresh")["status"], "True", "the controllers go on");
    let held = ready("team5");
    assert_eq!(
        (held["status"].as_str(), held["reason"].as_str()),
        (Some("False"), Some("JournalBehind"))
    );
    assert!(
        held["message"].as_str().unwrap().contains("3 of 3 places"),
        "{held}"
    );

    world.cloud.set_bucket_away(false);
    assert!(
        world.catch_up(Duration::from_secs(300)).await,
        "{:?}",
        world.check("after").await
    );
    assert!(world.server.get("teams", "", "team5").is_none());
    assert_eq!(world.check("after").await, (0, 0));
    operator.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_throttles_and_loses_answers_gets_each_record_once() {
    for seed in 1..4 {
        let options = Options {
            throttle_rate: 0.1,
            lost_reply_rate: 0.1,
            unavailable_rate: 0.1,
            empty_page_rate: 0.2,
            ..Options::default()
        };
        let world = World::new(options);
        let operator = world.operator(Strike::none(), &[]);
        for round in 0..10 {
            for number in 0..10 {
                world.declare(
                    "Application",
                    &format!("app{number}"),
                    seed * 1000 + round * 10 + number,
                );
            }
            minutes(2).await;
        }
        minutes(10).await;
        world
            .cloud
            .configure(|options| *options = Options::default());
        assert!(
            world.catch_up(Duration::from_secs(600)).await,
            "{:?}",
            world.check("after").await
        );
        assert_eq!(world.check("after").await, (0, 0));
        assert_eq!(world.records().await.len(), 100);
        operator.end().await;
    }
}
