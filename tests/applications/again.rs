//! A release whose source is known is looked at once more: whatever the registry says then, or does not say, nothing that is
//! known is lost.

use std::sync::Arc;
use std::time::Duration;

use bailiwick::api::Evidence;
use bailiwick::controllers::release::origins::{Searched, TroubleKind};
use serde_json::{Value, json};

use super::world::{HOUR, World, built_from, digest};

const MINUTE: Duration = Duration::from_secs(60);
const IMAGE: &str = "registry.example.com/a/shop:1";
const SOURCE: &str = "https://git.example.com/a/shop";

/// An image whose source somebody trusted has signed for.
fn signed() -> Searched {
    let mut searched = built_from(SOURCE);
    let origin = searched.origin.as_mut().unwrap();
    origin.evidence = Evidence::Attestation;
    origin.signed_by = Some("ci".to_owned());
    searched.tickets = vec!["SHOP-1".to_owned()];
    searched
}

fn object(world: &World) -> Value {
    world.server.get("releases", "team-aa", "shop-1").unwrap()
}

fn says(world: &World, type_: &str) -> String {
    world.condition("releases", "aa", "shop-1", type_)
}

/// A release that is Ready, of an image that is signed.
async fn ready() -> (World, tokio::task::JoinHandle<()>) {
    let world = World::new();
    world.team("aa");
    world.application("aa", "shop", &json!({"repositories": [SOURCE]}));
    world.registries.push(IMAGE, &digest('1'), signed());
    let operator = world.operator(&Arc::default());
    let spec = json!({"application": "shop", "version": "1", "image": IMAGE});
    world.release("aa", "shop-1", "robot", &spec);
    world
        .until("ready", MINUTE, |world| {
            says(world, "Ready").starts_with("True")
        })
        .await;
    (world, operator)
}

fn look_again(world: &World, value: &str) {
    world.edit("releases", "aa", "shop-1", |object| {
        object["metadata"]["annotations"]["bailiwick.dev/reconcile-requested-at"] = json!(value);
    });
}

#[tokio::test(start_paused = true)]
async fn what_is_known_stays_when_the_registry_refuses() {
    for (kind, reason) in [
        (TroubleKind::Denied, "True RegistryAccessDenied"),
        (TroubleKind::NotFound, "True ImageNotFound"),
        (TroubleKind::Invalid, "True ImageInvalid"),
        (TroubleKind::Transient, "True RegistryUnavailable"),
    ] {
        let (world, operator) = ready().await;
        let before = object(&world)["status"].clone();
        world.registries.refuse(Some(kind));
        look_again(&world, "now");
        world
            .until("said", MINUTE, |world| {
                let said = says(world, "SourceUnconfirmed");
                said.starts_with(reason) && said.contains("not now")
            })
            .await;
        // Also after more attempts than make an object unready that fails.
        tokio::time::sleep(3 * HOUR).await;
        let after = object(&world)["status"].clone();
        for field in ["source", "tickets", "image"] {
            assert_eq!(after[field], before[field], "{kind:?}: {field}");
        }
        assert!(
            says(&world, "Ready").starts_with("True"),
            "{kind:?}: {after:#}"
        );
        assert_eq!(after["lastHandledReconcileAt"], Value::Null, "{kind:?}");
        // By itself, once the registry shows it again.
        world.registries.refuse(None);
        world
            .until("confirmed", 2 * HOUR, |world| {
                says(world, "SourceUnconfirmed").is_empty()
            })
            .await;
        assert_eq!(object(&world)["status"]["lastHandledReconcileAt"], "now");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn worse_evidence_does_not_replace_what_could_not_be_asked_for() {
    let (world, operator) = ready().await;
    let mut annotated = built_from("https://git.example.com/a/other");
    annotated.refused = Some("the attestation may not be read".to_owned());
    world
        .registries
        .push(IMAGE, &digest('1'), annotated.clone());
    look_again(&world, "1");
    world
        .until("said", MINUTE, |world| {
            says(world, "SourceUnconfirmed").contains("may not be read")
        })
        .await;
    let source = object(&world)["status"]["source"].clone();
    assert_eq!(
        (&source["evidence"], &source["repository"]),
        (&json!("Attestation"), &json!(SOURCE))
    );
    // Once it may be read, and is not there: the status says what can be shown.
    annotated.refused = None;
    world.registries.push(IMAGE, &digest('1'), annotated);
    look_again(&world, "2");
    world
        .until("found", MINUTE, |world| {
            says(world, "Ready").starts_with("False SourceMismatch")
        })
        .await;
    assert_eq!(says(&world, "SourceUnconfirmed"), "");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_does_not_make_it_unready() {
    let (world, operator) = ready().await;
    world
        .registries
        .slow_down("registry.example.com", Duration::from_secs(300));
    look_again(&world, "now");
    let end = tokio::time::Instant::now() + Duration::from_secs(240);
    while tokio::time::Instant::now() < end {
        assert!(
            says(&world, "Ready").starts_with("True"),
            "{:#}",
            object(&world)
        );
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    world
        .until("handled", HOUR, |world| {
            object(world)["status"]["lastHandledReconcileAt"] == "now"
        })
        .await;
    operator.abort();
}
