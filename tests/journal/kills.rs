//! A blow at every write of a life, and two operators at once.

use std::time::Duration;

use bailiwick::cloud::simulated::Options;

use super::strike::{Fault, Strike};
use super::world::{World, minutes};

/// People at work while the sink comes and goes, and one blow; how many writes there were, and what was struck.
async fn life(blow: Option<(u64, Fault)>) -> (u64, Option<String>) {
    let world = World::new(Options::default());
    let strike = blow.map_or_else(Strike::none, |(at, fault)| Strike::at(at, fault));
    let mut operator = Some(world.operator(strike.clone(), &[]));
    let mut second = None;
    for step in 0..8 {
        match step {
            0 => drop(world.declare("Team", "shop", 1)),
            1 => {
                world.declare("Application", "one", 2);
                world.declare("Release", "one-1", 1);
            }
            2 => drop(world.declare("Team", "shop", 3)),
            3 => world.cloud.set_bucket_away(true),
            4 => drop(world.declare("Team", "shop", 4)),
            5 => {
                world.declare("Application", "one", 5);
                world.declare("Approval", "ann", 7);
            }
            6 => {
                // A team does not go while it has an active application.
                world.delete("Application", "one");
                world.delete("Team", "shop");
                world.delete("Release", "one-1");
                world.delete("Approval", "ann");
            }
            _ => world.cloud.set_bucket_away(false),
        }
        minutes(1).await;
        if strike.is_dead()
            && let Some(dead) = operator.take()
        {
            dead.kill();
            second = Some(world.operator(Strike::none(), &[]));
            minutes(1).await;
        }
    }
    let context = format!("{blow:?} at {:?}", strike.struck());
    let caught_up = world.catch_up(Duration::from_secs(900)).await;
    assert!(
        caught_up,
        "{context}: {:?}, {:#?}",
        world.check(&context).await,
        world.records().await
    );
    // The end of a life is written to, too.
    if let Some(operator) = operator.take() {
        operator.end().await;
    }
    if let Some(second) = second {
        second.end().await;
    }
    assert_eq!(world.check(&context).await, (0, 0), "{context}");
    assert!(world.server.get("teams", "", "shop").is_none(), "{context}");
    assert!(world.server.objects("releases").is_empty(), "{context}");
    assert!(world.server.objects("approvals").is_empty(), "{context}");
    (strike.writes(), strike.struck())
}

#[tokio::test(start_paused = true)]
async fn struck_at_every_write_nothing_is_lost_or_doubled() {
    let (writes, _) = life(None).await;
    assert!(
        writes >= 15,
        "only {writes} writes: the table would prove little"
    );
    let mut table = Vec::new();
    for fault in [Fault::KillBefore, Fault::KillAfter, Fault::LoseAnswer] {
        for position in 1..=writes {
            let (_, struck) = life(Some((position, fault))).await;
            table.push(format!(
                "{fault:?} {position}: {}",
                struck.unwrap_or_default()
            ));
        }
    }
    println!(
        "{} lives, {writes} writes each\n{}",
        table.len(),
        table.join("\n")
    );
    for part in ["s3.PutObject", "Create configmaps", "Delete configmaps"] {
        assert!(
            table.iter().any(|row| row.contains(part)),
            "{part}: {table:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn two_operators_at_once_neither_fork_nor_double_a_chain() {
    let options = Options {
        latency: Duration::from_millis(200),
        ..Options::default()
    };
    let world = World::new(options);
    let one = world.operator(Strike::none(), &[]);
    let other = world.operator_ahead(Duration::from_secs(7));
    for round in 0..20 {
        for number in 0..4 {
            world.declare("Application", &format!("app{number}"), round * 10 + number);
        }
        if round % 5 == 4 {
            world.cloud.set_bucket_away(round % 10 == 4);
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    world.delete("Application", "app0");
    assert!(
        world.catch_up(Duration::from_secs(300)).await,
        "{:?}",
        world.check("after").await
    );
    one.end().await;
    other.end().await;
    assert_eq!(world.check("two operators").await, (0, 0));
}
