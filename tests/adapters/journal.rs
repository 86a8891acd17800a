//! The journal in a real bucket, and the command that reads it.

use std::process::Command;
use std::sync::Arc;

use bailiwick::cloud::storage::Bucket;
use bailiwick::journal::Observer;
use bailiwick::journal::chain::{Departure, Seen};
use bailiwick::journal::ledger::Ledger;
use serde_json::{Value, json};

use super::{bucket, emulator};

struct Nobody;

impl Observer for Nobody {
    fn wrote(&self, _: &'static str) {}
    fn failed(&self, reason: &'static str) {
        panic!("{reason}");
    }
}

fn seen(name: &str, generation: i64) -> Seen {
    let time = |minute: i64| format!("2026-01-01T00:{minute:02}:00Z").parse().unwrap();
    Seen {
        kind: "Application".to_owned(),
        namespace: Some("team-shop".to_owned()),
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
        generation,
        spec: Some(json!({ "description": format!("{generation}") })),
        created_by: Some("oidc:jane".to_owned()),
        changed_by: Some("oidc:joe".to_owned()),
        created: Some(time(1)),
        changed: Some(time(generation)),
        observed: time(59),
        departed: None,
        listed: false,
    }
}

/// A bucket with the journal of one cluster.
async fn written(name: &str) -> Arc<dyn Bucket> {
    let bucket = bucket::made(&bucket::options(name)).await;
    let ledger = Ledger::new(
        bucket.clone(),
        "audit",
        "platform",
        Arc::new(Nobody),
        || true,
    );
    ledger.open().await.unwrap();
    for generation in 1..=3 {
        ledger.append(&seen("shop", generation)).await.unwrap();
        ledger.append(&seen("cart", generation)).await.unwrap();
    }
    let gone = Departure {
        at: None,
        gone: true,
    };
    let end = Seen {
        departed: Some(gone),
        ..seen("cart", 3)
    };
    ledger.append(&end).await.unwrap();
    ledger.flush(seen("shop", 3).observed).await.unwrap();
    bucket
}

async fn command(name: &str, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
        .arg("journal")
        .args(arguments)
        .args([
            "--bucket",
            name,
            "--prefix",
            "audit",
            "--cluster-name",
            "platform",
            "--path-style",
        ])
        .env("AWS_ENDPOINT_URL", emulator::endpoint().await)
        .env("AWS_ACCESS_KEY_ID", "AKIAOURS")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test]
async fn two_ledgers_write_one_chain() {
    let bucket = written("two-ledgers").await;
    // Another one begins without having read the index: it finds its way at the chain.
    let other = Ledger::new(
        bucket.clone(),
        "audit",
        "platform",
        Arc::new(Nobody),
        || true,
    );
    other.append(&seen("shop", 3)).await.unwrap();
    other.append(&seen("shop", 4)).await.unwrap();
    let page = bucket
        .list("audit/platform/Application/uid-of-shop/", None)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 4);
    let (code, text, _) = command("two-ledgers", &["verify"]).await;
    assert_eq!(code, 0, "{text}");
}

#[tokio::test]
async fn the_command_says_who_changed_what() {
    written("said").await;
    let (code, text, error) = command("said", &["list", "--name", "cart"]).await;
    assert_eq!(code, 0, "{error}");
    insta::assert_snapshot!(text, @r"
    AT                    WHO        WHAT     OBJECT                      GENERATION  FIELDS
    2026-01-01T00:01:00Z  oidc:jane  Created  Application team-shop/cart  1
    2026-01-01T00:02:00Z  oidc:joe   Changed  Application team-shop/cart  2           description
    2026-01-01T00:03:00Z  oidc:joe   Changed  Application team-shop/cart  3           description
    2026-01-01T00:59:00Z  unknown    Deleted  Application team-shop/cart  3
    ");
    let (_, text, _) = command("said", &["list", "--kind", "Application", "-o", "json"]).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["records"].as_array().unwrap().len(), 7);
    let (_, text, _) = command("said", &["list", "--kind", "Release"]).await;
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[tokio::test]
async fn the_command_says_whether_it_is_whole() {
    let bucket = written("checked").await;
    let (code, text, _) = command("checked", &["verify"]).await;
    assert_eq!(
        (code, text.trim()),
        (
            0,
            "whole: 7 records of 2 objects read, nothing was changed, taken out or cut off"
        )
    );
    let key = "audit/platform/Application/uid-of-shop/0000000002.json";
    let mut bytes = bucket.get(key).await.unwrap().unwrap();
    bytes[30] ^= 1;
    bucket.put(key, &bytes).await.unwrap();
    let (code, text, _) = command("checked", &["verify"]).await;
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains(key) && text.contains("Application team-shop/shop"),
        "{text}"
    );
    let (code, text, _) = command("checked", &["verify", "-o", "json"]).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &document["whole"]), (1, &json!(false)));
    assert_eq!(document["broken"][0]["findings"][0]["key"], key);
    assert_eq!(document["broken"][0]["findings"][0]["problem"], "Altered");
    // The other object is whole.
    let (code, ..) = command("checked", &["verify", "--name", "cart"]).await;
    assert_eq!(code, 0);
    let (code, _, error) = command("nowhere-at-all", &["verify"]).await;
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("create the bucket"), "{error}");
}
