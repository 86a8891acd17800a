//! Who may do what.

use std::time::{Duration, Instant};

use crate::TEAM;
use crate::world::World;

/// Members and groups that change in the `Team` change who may do what, at the API server.
pub async fn who_joins_and_leaves_gains_and_loses(world: &World) {
    let may = async |user: &str, groups: &[&str]| {
        let config = world.plane.kubeconfig(user, groups).unwrap();
        let arguments = ["auth", "can-i", "get", "ta/test", "-n", "team-payments"];
        let output = world.plane.kubectl(&config, &arguments).await.unwrap();
        String::from_utf8_lossy(&output.stdout).trim() == "yes"
    };
    assert!(may("dev1@example.com", &[]).await);
    assert!(may("somebody", &["payments-devs"]).await);
    assert!(!may("dev2@example.com", &[]).await);
    world
        .apply(
            &TEAM
                .replace("dev1@", "dev2@")
                .replace("payments-devs", "payments-new"),
        )
        .await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !may("dev2@example.com", &[]).await {
        assert!(Instant::now() < deadline, "the new member has no rights");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(may("somebody", &["payments-new"]).await);
    // Their team, too, and what an account of theirs can be; nobody else may.
    let reads = async |user: &str, what: &str| {
        let config = world.plane.kubeconfig(user, &[]).unwrap();
        let output = world.plane.kubectl(&config, &["get", what]).await.unwrap();
        output.status.success()
    };
    for what in ["team/payments", "accountclasses"] {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reads("dev2@example.com", what).await {
            assert!(
                Instant::now() < deadline,
                "the new member cannot read {what}"
            );
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        assert!(!reads("dev1@example.com", what).await, "{what}");
    }
    assert!(!reads("dev2@example.com", "teams").await, "all teams");
    assert!(!may("dev1@example.com", &[]).await, "who left has rights");
    assert!(!may("somebody", &["payments-devs"]).await);
}
