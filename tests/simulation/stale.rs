//! Old caches and broken watches.

use std::time::Duration;

use bailiwick::cloud::simulated::Options;
use bailiwick::model::{AccountState, TAG_UID, Tags};
use serde_json::json;

use crate::world::{HOUR, MINUTE, World};

/// Three accounts are created and two of them deleted, while the caches are this much behind.
async fn lives_behind(lag: Duration) {
    let context = format!("{lag:?} behind");
    let world = World::new(Options::default(), 1);
    world.server.set_watch_lag(lag);
    world.declare(1, 3);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    world.check(3, &context);
    assert_eq!(world.cloud.requests().len(), 3, "{context}");
    world.edit("acc1", |object| {
        object["spec"]["deletionPolicy"] = json!("Quarantine");
    });
    world.pass_time(&mut run, lag + MINUTE).await;
    world.delete("acc0");
    world.delete("acc1");
    let gone = || world.object("acc0").is_none() && world.object("acc1").is_none();
    world.must(&mut run, "two objects are gone", gone).await;
    world.pass_time(&mut run, HOUR).await;
    let mut paths: Vec<_> = world.cloud.accounts().into_iter().collect();
    paths.sort_by_key(|member| member.email.clone());
    let shown: Vec<_> = paths.iter().map(|member| member.path.as_str()).collect();
    assert_eq!(
        shown,
        ["/Workloads/Test", "/Quarantine", "/Workloads/Test"],
        "{context}"
    );
    assert!(
        paths
            .iter()
            .all(|member| member.state == AccountState::Active)
    );
    assert!(world.is_ready("acc2"), "{context}");
    world.check_once(&context);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn caches_that_lag_behind_do_no_harm() {
    for seconds in [1, 20, 90] {
        lives_behind(Duration::from_secs(seconds)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_conflicts_is_tried_less_and_less_often() {
    let world = World::with_one(false);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    world.server.set_watch_lag(5 * MINUTE);
    world.account("acc0", json!({}));
    world.must_be_ready(&mut run).await;
    let tried = world.journal.times_of("Patch teamaccounts/acc0");
    // A lag of five minutes several times over, with a write every ten seconds at most in the end.
    assert!(tried.len() < 150, "{} writes", tried.len());
    let pauses: Vec<_> = tried.windows(2).map(|two| two[1] - two[0]).collect();
    let longest_run = pauses
        .split(|pause| *pause >= Duration::from_secs(1))
        .map(<[Duration]>::len)
        .max()
        .unwrap();
    assert!(longest_run < 12, "{longest_run} in quick succession");
    // Once the cache has caught up it is not slow.
    world.server.set_watch_lag(Duration::ZERO);
    world.pass_time(&mut run, MINUTE).await;
    world.edit("acc0", |object| {
        object["spec"]["accountName"] = json!("renamed")
    });
    world.pass_time(&mut run, MINUTE / 6).await;
    assert!(world.is_ready("acc0"), "{:?}", world.ready("acc0"));
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn watches_that_break_and_history_that_is_forgotten_do_no_harm() {
    for every in [3, 17] {
        let world = World::new(Options::default(), 1);
        world.declare(2, 3);
        let mut run = world.start();
        for _ in 0..300 / every {
            world.server.compact();
            world.server.close_watches();
            tokio::time::sleep(Duration::from_secs(every)).await;
        }
        world.must_be_ready(&mut run).await;
        world.check(6, "broken watches");
        assert_eq!(world.cloud.requests().len(), 6);
        // What is changed while nobody watches is noticed all the same.
        world.server.compact();
        world.server.close_watches();
        world.edit("acc0", |object| {
            object["spec"]["accountName"] = json!("renamed")
        });
        world.server.compact();
        world
            .must(&mut run, "Ready again", || world.is_ready("acc0"))
            .await;
        assert_eq!(world.member("acc0").unwrap().name, "renamed");
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn an_adoption_that_is_taken_back_while_caches_lag_leaves_no_mark() {
    for seconds in (8..32).step_by(2) {
        let world = World::with_one(false);
        world.server.set_watch_lag(Duration::from_secs(9));
        let mut run = world.start();
        world.must_be_ready(&mut run).await;
        world.pass_time(&mut run, MINUTE).await;
        let id = world
            .cloud
            .add_member("hand@example.com", "By hand", Tags::new());
        let slow = Duration::from_secs(1);
        world.cloud.configure(|options| options.latency = slow);
        world.account("acc0", json!({"accountId": id.as_str()}));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        world.delete("acc0");
        world
            .must(&mut run, "the object is gone", || {
                world.object("acc0").is_none()
            })
            .await;
        world.pass_time(&mut run, HOUR).await;
        let tags = world.cloud.tags(&id);
        assert!(
            !tags.contains_key(TAG_UID),
            "deleted after {seconds} s: {tags:?}"
        );
        run.stop();
    }
}
