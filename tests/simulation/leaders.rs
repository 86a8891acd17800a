//! Two operators: one works, and whoever may have lost the lease writes nothing.

use std::time::Duration;

use bailiwick::cloud::simulated::Options;
use tokio::time::Instant;

use crate::world::{HOUR, MINUTE, World};

/// How long a holder takes itself for the leader after its last renewal.
const OWN_END: Duration = Duration::from_secs(12);

#[tokio::test(start_paused = true)]
async fn of_two_operators_one_works_and_the_other_takes_over() {
    let world = World::new(Options::default(), 3);
    world.declare(2, 2);
    let first = world.start_elected(Some("first"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut second = world.start_elected(Some("second"));
    tokio::time::sleep(Duration::from_secs(20)).await;
    // In the middle of creating accounts the first one is gone, without a word.
    first.fate.die();
    first.stop();
    world.must_be_ready(&mut second).await;
    second.stop();
    world.check(4, "two operators");
}

/// The first is cut off from the API server after so long, with creations waiting for their turn, and comes back.
async fn cut_off_after(time: Duration) {
    let context = format!("cut off after {time:?}");
    let options = Options {
        latency: Duration::from_millis(300),
        ..Options::default()
    };
    let world = World::new(options, 3);
    world.declare(4, 3);
    let first = world.start_elected(Some("first"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut second = world.start_elected(Some("second"));
    tokio::time::sleep(time).await;
    let cut = Instant::now();
    first.fate.partition(true);
    world.must_be_ready(&mut second).await;
    // It is back, and a new process in its place stands by.
    first.fate.partition(false);
    assert!(
        first.is_over(),
        "{context}: a process without its lease ends"
    );
    let third = world.start_elected(Some("first again"));
    world.pass_time(&mut second, HOUR).await;
    world.check(12, &context);
    let writes = world.journal.outside_writes_since(cut);
    let by = |who: &'static str| writes.iter().filter(move |entry| entry.who == who);
    let all = world.journal.all();
    let renewals = all.iter().filter(|entry| {
        let is_lease =
            ["Create leases/", "Update leases/"].map(|start| entry.what.starts_with(start));
        entry.who == "first" && entry.at < cut && is_lease.contains(&true)
    });
    let ends = renewals.map(|entry| entry.at).max().unwrap() + OWN_END;
    let late = by("first").find(|entry| entry.at >= ends);
    assert!(
        late.is_none(),
        "{context}: written without the lease: {late:?}"
    );
    let last = by("first").map(|entry| entry.at).max();
    let next = by("second").map(|entry| entry.at).min();
    assert!(last < next, "{context}: {last:?}, {next:?}");
    assert_eq!(by("first again").count(), 0, "{context}");
    second.stop();
    third.stop();
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_writes_nothing_when_the_lease_is_over() {
    for seconds in [1, 4, 6, 9, 14, 19, 31, 62] {
        cut_off_after(Duration::from_secs(seconds)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_operators_that_start_together_create_nothing_twice() {
    let world = World::new(Options::default(), 4);
    world.declare(3, 2);
    let mut first = world.start_elected(Some("first"));
    let second = world.start_elected(Some("second"));
    world.must_be_ready(&mut first).await;
    world.pass_time(&mut first, MINUTE).await;
    let all = world.journal.all();
    let outside = all
        .iter()
        .filter(|entry| entry.is_outside && entry.is_write);
    let who: std::collections::BTreeSet<_> = outside.map(|entry| &entry.who).collect();
    assert_eq!(who.len(), 1, "both wrote: {who:?}");
    world.check(6, "together");
    first.stop();
    second.stop();
}

/// The first is told to end after so long, with creations under way, while all caches are this much behind.
async fn handed_over_after(time: Duration, lag: Duration) {
    let context = format!("told after {time:?}, {lag:?} behind");
    let options = Options {
        latency: Duration::from_millis(300),
        ..Options::default()
    };
    let world = World::new(options, 3);
    world.server.set_watch_lag(lag);
    world.declare(4, 3);
    let mut first = world.start_elected(Some("first"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut second = world.start_elected(Some("second"));
    tokio::time::sleep(time).await;
    let told = Instant::now();
    first.step_down().await;
    let took = told.elapsed();
    assert!(
        took < Duration::from_secs(26),
        "{context}: ended in {took:?}"
    );
    let lease = world.server.get("leases", "default", "bailiwick").unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "", "{context}: given up");
    let over = Instant::now();
    world.must_be_ready(&mut second).await;
    world.pass_time(&mut second, lag + MINUTE).await;
    world.check(12, &context);
    let asked = world.cloud.requests().len();
    assert_eq!(asked, 12, "{context}: nothing is asked for twice");
    let all = world.journal.all();
    let late = all
        .iter()
        .find(|entry| entry.who == "first" && entry.at > over);
    assert!(late.is_none(), "{context}: after its end: {late:?}");
    // Sooner than a lease that was not given up would have run out; and nothing was written outside before.
    let of_second = || {
        all.iter()
            .filter(|entry| entry.who == "second" && entry.is_write)
    };
    let taken = of_second().find(|entry| entry.what.starts_with("Update leases/"));
    let taken = taken.unwrap().at;
    let waited = taken.duration_since(over);
    assert!(
        taken >= over && waited < Duration::from_secs(6),
        "{context}: led after {waited:?}"
    );
    let early = of_second().find(|entry| entry.is_outside && entry.at < taken);
    assert!(early.is_none(), "{context}: {early:?}");
    second.stop();
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_end_hands_over_and_a_lagging_successor_creates_nothing_twice() {
    for lag in [0, 7, 40] {
        for seconds in [0, 1, 4, 9, 31, 62] {
            handed_over_after(Duration::from_secs(seconds), Duration::from_secs(lag)).await;
        }
    }
}
