//! Whoever grants a scope sees who holds it: also through the version before, and what nobody manages any more.

use bailiwick::api::ResourceType;
use bailiwick::identity::simulated::Profile;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::scopes::{declare, said};
use super::world::{HOUR, Life, MINUTE, World};

fn of_type(world: &World) -> Option<Value> {
    let found = world.server.get("resourcetypes", "", "sales-order")?;
    Some(found["status"].clone())
}

async fn holding(profile: Profile) -> (World, tokio::task::JoinHandle<()>) {
    let world = World::new(profile);
    declare(&world, &["api"]);
    world.declare("api", &["one"], json!({"scopes": ["sales-order.read"]}));
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    (world, operator)
}

#[tokio::test(start_paused = true)]
async fn what_the_version_before_holds_is_held() {
    let (world, operator) = holding(Profile::Dynamic).await;
    world.patch("api", json!({"spec": {"scopes": []}})).await;
    let two = |world: &World| world.object("api").unwrap()["status"]["version"] == 2;
    world.until(HOUR, "version 2", two).await;
    tokio::time::sleep(5 * MINUTE).await;
    let status = world.object("api").unwrap()["status"].clone();
    assert_eq!(status["scopes"], json!(["sales-order.read"]), "{status:#}");
    assert_eq!(of_type(&world).unwrap()["heldBy"], "api");
    world
        .until(HOUR, "alone", |world| world.settled("api", 2))
        .await;
    let let_go = |world: &World| of_type(world).unwrap()["heldBy"].is_null();
    world.until(MINUTE, "let go", let_go).await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_retained_is_held_until_it_is_removed() {
    let (world, operator) = holding(Profile::Keycloak).await;
    let object = world.object("api").unwrap();
    let (uid, id) = (&object["metadata"]["uid"], &object["status"]["clientId"]);
    let vault = format!("bailiwick-oauth-{}", uid.as_str().unwrap());
    world.delete("api").await;
    world
        .until(MINUTE, "gone", |world| world.object("api").is_none())
        .await;
    let event = world.events("api", "CredentialsRetained").join("");
    assert!(event.contains("sales-order.read"), "{event}");
    tokio::time::sleep(3 * HOUR).await;
    let status = of_type(&world).unwrap();
    assert_eq!(status["heldBy"], "api");
    let held = json!([{"name": "read", "clients": ["team-shop/api"]}]);
    assert_eq!(status["held"], held);
    let types: kube::Api<ResourceType> = kube::Api::all(world.server.client());
    let gone = DeleteParams::default();
    types.delete("sales-order", &gone).await.unwrap();
    let still = |world: &World| said(world, "Unheld").1 == "StillHeld";
    world.until(MINUTE, "still held", still).await;
    tokio::time::sleep(3 * HOUR).await;
    let message = said(&world, "Ready").2;
    for word in ["team-shop/api", &vault, id.as_str().unwrap()] {
        assert!(message.contains(word), "{message}");
    }
    assert!(world.server.delete("secrets", "default", &vault));
    world
        .until(HOUR, "gone", |world| of_type(world).is_none())
        .await;
    operator.abort();
}

/// Whoever makes and deletes clients without end does not make another team's object grow.
#[tokio::test(start_paused = true)]
async fn of_a_namespace_so_many_are_retained_and_the_next_stays_until_there_is_room() {
    let (world, operator) = holding(Profile::Dynamic).await;
    let names: Vec<String> = (0..21).map(|number| format!("c{number:02}")).collect();
    for name in &names {
        world.declare(name, &[name], json!({"scopes": ["sales-order.read"]}));
    }
    for name in &names {
        world
            .until(HOUR, "version 1", |world| world.settled(name, 1))
            .await;
    }
    let vault = |name: &str| {
        let uid = world.object(name).unwrap()["metadata"]["uid"].clone();
        format!("bailiwick-oauth-{}", uid.as_str().unwrap())
    };
    let first = vault(&names[0]);
    for name in &names[..20] {
        world.delete(name).await;
        world
            .until(MINUTE, "gone", |world| world.object(name).is_none())
            .await;
    }
    let last = names[20].as_str();
    world.delete(last).await;
    let message = world.until_ready_says(last, "TooManyRetained").await;
    for word in ["sales-order", "team-shop", "status.retained"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    tokio::time::sleep(HOUR).await;
    let retained = || {
        of_type(&world).unwrap()["retained"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((retained(), world.object(last).is_some()), (20, true));
    assert!(world.server.delete("secrets", "default", &first));
    world
        .until(HOUR, "gone", |world| world.object(last).is_none())
        .await;
    assert_eq!(retained(), 20);
    operator.abort();
}
