//! What becomes of an account: made once, left in peace, put right, and kept when nobody wants it any more.

use std::time::{Duration, Instant};

use bailiwick::dev::moto;

use crate::REASON;
use crate::world::World;

pub async fn exactly_one_account_and_a_quiet_one(world: &World, id: &str) {
    let accounts = moto::accounts(world.moto.endpoint()).unwrap();
    let ours: Vec<_> = accounts
        .iter()
        .filter(|account| account["Name"] == "payments-test")
        .collect();
    assert_eq!(ours.len(), 1, "{accounts:?}");
    assert_eq!(ours[0]["Id"], id);
    // Settled, it costs no write: several sweeps leave its resource version alone.
    let version = world
        .field("teamaccount", "test", ".metadata.resourceVersion")
        .await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        world
            .field("teamaccount", "test", ".metadata.resourceVersion")
            .await,
        version
    );
}

pub async fn drift_is_repaired(world: &World, id: &str) {
    let endpoint = world.moto.endpoint();
    let ask = |operation: &str, input: serde_json::Value| {
        moto::organizations(endpoint, operation, &input).unwrap()
    };
    let root = ask("ListRoots", serde_json::json!({}))["Roots"][0]["Id"]
        .as_str()
        .unwrap()
        .to_owned();
    let unit = world
        .field("teamaccount", "test", ".status.organizationalUnit.id")
        .await;
    let moved =
        serde_json::json!({"AccountId": id, "SourceParentId": unit, "DestinationParentId": root});
    ask("MoveAccount", moved);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let parent = ask("ListParents", serde_json::json!({"ChildId": id}));
        if parent["Parents"][0]["Id"] == unit.as_str() {
            break;
        }
        assert!(Instant::now() < deadline, "the account was not moved back");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

pub async fn a_team_that_owns_something_stays(world: &World) {
    world
        .kubectl(&["delete", "team", "payments", "--wait=false"])
        .await
        .unwrap();
    world.until("team", "payments", REASON, "StillOwns").await;
    let message = world
        .field(
            "team",
            "payments",
            ".status.conditions[?(@.type==\"Ready\")].message",
        )
        .await;
    assert!(message.contains("test"), "{message}");
}

pub async fn a_deleted_object_leaves_its_account(world: &World, id: &str) {
    world
        .kubectl(&[
            "delete",
            "teamaccount",
            "-n",
            "team-payments",
            "test",
            "--timeout=60s",
        ])
        .await
        .unwrap();
    let accounts = moto::accounts(world.moto.endpoint()).unwrap();
    assert!(
        accounts.iter().any(|account| account["Id"] == id),
        "the account is kept"
    );
    let tags = moto::organizations(
        world.moto.endpoint(),
        "ListTagsForResource",
        &serde_json::json!({"ResourceId": id}),
    )
    .unwrap();
    assert!(
        !tags.to_string().contains("bailiwick.dev"),
        "no longer ours: {tags}"
    );
    assert!(
        tags.to_string().contains("stage"),
        "its other tags stay: {tags}"
    );
    let events = world
        .kubectl(&["get", "events", "-n", "team-payments"])
        .await
        .unwrap();
    assert!(
        events.contains("AccountRetained") && events.contains(id),
        "{events}"
    );
    world
        .kubectl(&["wait", "--for=delete", "team/payments", "--timeout=60s"])
        .await
        .unwrap();
    let namespace = world.kubectl(&["get", "namespace", "team-payments"]).await;
    assert!(namespace.is_ok(), "the team's namespace is kept");
}
