//! Why is it not ready? `kubectl describe` says so: in the condition, and in the event.

use std::time::{Duration, Instant};

use bailiwick::dev::moto;

use crate::REASON;
use crate::world::World;

const OTHER: &str = r#"
apiVersion: bailiwick.dev/v1alpha1
kind: TeamAccount
metadata: {name: other, namespace: team-payments}
spec: {className: test}
"#;

/// Two sweeps have begun since: five parents each at most.
async fn a_sweep_has_seen_it(world: &World) {
    let pages = || {
        let calls = world.moto.calls().unwrap();
        calls.get("organizations:ListAccountsForParent").copied()
    };
    let enough = pages().unwrap_or_default() + 10;
    let deadline = Instant::now() + Duration::from_secs(60);
    while pages() < Some(enough) {
        assert!(Instant::now() < deadline, "no sweep");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// An account whose address somebody has used already, by hand.
pub async fn describe_shows_why_it_is_not_ready(world: &World) {
    let email = "aws+payments-other@example.com";
    let by_hand = serde_json::json!({"AccountName": "by hand", "Email": email});
    let made = moto::organizations(world.moto.endpoint(), "CreateAccount", &by_hand).unwrap();
    let id = made["CreateAccountStatus"]["AccountId"].as_str().unwrap();
    a_sweep_has_seen_it(world).await;
    world.apply(OTHER).await;
    let (kind, name) = ("teamaccount", "other");
    world.until(kind, name, REASON, "EmailTakenByMember").await;
    // What is wrong, with which account, and what to do.
    let words = [
        email,
        id,
        &format!("set spec.accountId to {id} to adopt it"),
    ];
    let describe = ["describe", "-n", "team-payments", kind, name];
    let told = async || {
        let text = world.kubectl(&describe).await.unwrap();
        let (object, events) = text.split_once("\nEvents:").unwrap();
        (object.to_owned(), events.to_owned())
    };
    let (object, mut events) = told().await;
    // The event is published right after the status.
    for _ in 0..20 {
        if events.contains("EmailTakenByMember") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        events = told().await.1;
    }
    let has = |line: &&str, all: &[&str]| all.iter().all(|word| line.contains(word));
    let message = object
        .lines()
        .find(|line| line.trim_start().starts_with("Message:") && has(line, &words));
    assert!(message.is_some(), "no condition says why:\n{object}");
    let reason = object.lines().map(str::trim);
    let reason = reason.filter(|line| line.starts_with("Reason:") && line.ends_with("ByMember"));
    assert!(reason.count() >= 1, "{object}");
    let event = events
        .lines()
        .find(|line| has(line, &["Warning", "EmailTakenByMember"]) && has(line, &words));
    assert!(event.is_some(), "no event says why:\n{events}");
    let deleted = ["delete", "-n", "team-payments", kind, name, "--timeout=60s"];
    world.kubectl(&deleted).await.unwrap();
    let accounts = moto::accounts(world.moto.endpoint()).unwrap();
    let theirs = accounts.iter().find(|account| account["Id"] == id).unwrap();
    assert_eq!(theirs["Name"], "by hand", "nothing was changed");
}
