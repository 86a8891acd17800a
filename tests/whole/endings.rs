//! How the operator's process ends, and how the next one goes on.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::administrator::start_operator;
use crate::world::World;
use crate::{ACCOUNT, READY};

/// Told to end, the operator ends soon and gives its lease up, so that the next one need not wait for it to run out.
pub async fn an_operator_that_is_told_to_end_ends(world: &mut World) {
    let mut operator = world.operator.take().unwrap();
    let told = Instant::now();
    let pid = operator.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let ended = loop {
        if let Some(ended) = operator.0.try_wait().unwrap() {
            break ended;
        }
        assert!(
            told.elapsed() < Duration::from_secs(10),
            "it does not end: {:?}",
            told.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(ended.success(), "{ended}");
    let holder = [
        "get",
        "lease",
        "bailiwick",
        "-n",
        "default",
        "-o=jsonpath={.spec.holderIdentity}",
    ];
    assert_eq!(world.kubectl(&holder).await.unwrap(), "");
    world.operator = Some(start_operator(world, &[]));
    let begun = Instant::now();
    while world.kubectl(&holder).await.unwrap().is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "nobody takes the lease"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub async fn a_killed_operator_goes_on(world: &mut World, id: &str) {
    world.operator = None;
    world.operator = Some(start_operator(world, &[]));
    // Not given up, the lease of the killed one must run out first; then an edit is seen.
    world
        .apply(&ACCOUNT.replace("purpose: test", "purpose: live"))
        .await;
    world
        .until("teamaccount", "test", ".status.observedGeneration", "2")
        .await;
    world.until("teamaccount", "test", READY, "True").await;
    assert_eq!(
        world
            .field("teamaccount", "test", ".status.accountId")
            .await,
        id
    );
}
