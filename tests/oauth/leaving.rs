//! Credentials go by explicit objects alone, after a grace period, and only so many in an hour; or stay.

use bailiwick::api::OAuthClient;
use bailiwick::identity::simulated::Profile;
use kube::api::DeleteParams;
use serde_json::json;
use tokio::task::JoinHandle;

use super::world::{HOUR, Life, MINUTE, NAMESPACE, Readers, World, condition};

#[tokio::test(start_paused = true)]
async fn what_is_retained_stays_and_is_named() {
    let world = World::new(Profile::Dynamic);
    world.declare("api", &["one"], json!({}));
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    let id = world.object("api").unwrap()["status"]["clientId"].clone();
    let readers = Readers::start(&world);
    world.delete("api").await;
    world
        .until(MINUTE, "gone", |world| world.object("api").is_none())
        .await;
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(world.oauth[0].live("api").len(), 1);
    let event = world.events("api", "CredentialsRetained").join("");
    for word in [
        id.as_str().unwrap(),
        "secret team-shop/one",
        "bailiwick-oauth-",
    ] {
        assert!(event.contains(word), "{word}: {event}");
    }
    readers.end("retained");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_goes_after_its_grace_period() {
    for profile in Profile::ALL {
        let world = World::new(profile);
        world.declare(
            "api",
            &["one", "s3:two"],
            json!({"deletionPolicy": "Delete"}),
        );
        let operator = world.operator(&Life::new(None));
        world
            .until(HOUR, "version 1", |world| world.settled("api", 1))
            .await;
        // In the middle of a rotation, too.
        world.ask("api", "renew", "one").await;
        let two = |world: &World| world.object("api").unwrap()["status"]["version"] == 2;
        world.until(HOUR, "version 2", two).await;
        let readers = Readers::start(&world);
        world.delete("api").await;
        let message = world.until_ready_says("api", "Leaving").await;
        assert!(message.contains("Retain"), "{message}");
        tokio::time::sleep(59 * MINUTE).await;
        readers.end("within the grace period");
        assert!(!world.object("api").unwrap()["status"]["leavesAt"].is_null());
        world
            .until(10 * MINUTE, "gone", |world| world.object("api").is_none())
            .await;
        assert!(world.oauth[0].live("api").is_empty(), "{profile:?}");
        assert!(world.places.all().is_empty(), "{profile:?}");
        let secrets = world.server.objects("secrets");
        let vaults = secrets.iter().filter(|secret| {
            secret["metadata"]["name"]
                .as_str()
                .unwrap()
                .starts_with("bailiwick-oauth-")
        });
        assert_eq!(vaults.count(), 0, "{profile:?}");
        operator.abort();
    }
}

/// A client with its first version that goes when it is deleted.
async fn to_be_deleted() -> (World, JoinHandle<()>) {
    let world = World::new(Profile::Keycloak);
    world.declare("api", &["one"], json!({"deletionPolicy": "Delete"}));
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    (world, operator)
}

/// What the operator sees is minutes old: nothing is removed for what is wanted no more.
#[tokio::test(start_paused = true)]
async fn a_removal_that_is_withdrawn_meanwhile_does_not_take_place() {
    let (world, operator) = to_be_deleted().await;
    world.delete("api").await;
    world.until_ready_says("api", "Leaving").await;
    world.server.set_watch_lag(5 * MINUTE);
    tokio::time::sleep(58 * MINUTE).await;
    world
        .patch("api", json!({"spec": {"deletionPolicy": "Retain"}}))
        .await;
    world
        .until(20 * MINUTE, "gone", |world| world.object("api").is_none())
        .await;
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(world.oauth[0].live("api").len(), 1);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_removed_while_the_provider_is_missing_or_away() {
    let (world, operator) = to_be_deleted().await;
    world.oauth[0].set_away(true);
    world.delete("api").await;
    tokio::time::sleep(3 * HOUR).await;
    assert!(world.object("api").is_some());
    assert_eq!(world.places.all().len(), 1, "the server first");
    let provider = world.server.get("oauthproviders", "", "as").unwrap();
    let providers: kube::Api<bailiwick::api::OAuthProvider> = kube::Api::all(world.server.client());
    providers
        .delete("as", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    world.oauth[0].set_away(false);
    world.until_ready_says("api", "ProviderNotFound").await;
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(
        (world.oauth[0].live("api").len(), world.places.all().len()),
        (1, 1)
    );
    world.put("OAuthProvider", "", "as", provider["spec"].clone());
    world
        .until(HOUR, "gone", |world| world.object("api").is_none())
        .await;
    assert!(world.oauth[0].live("api").is_empty());
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_wave_of_deletions_goes_bit_by_bit() {
    let mut world = World::new(Profile::Keycloak);
    world
        .arguments
        .push("--credential-removals-per-hour=5".to_owned());
    let names: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    for name in &names {
        world.declare(name, &[name], json!({"deletionPolicy": "Delete"}));
    }
    let life = Life::new(None);
    let mut operator = world.operator(&life);
    for name in &names {
        world
            .until(HOUR, "version 1", |world| world.settled(name, 1))
            .await;
    }
    for name in &names {
        world.delete(name).await;
    }
    tokio::time::sleep(HOUR + 10 * MINUTE).await;
    assert_eq!(world.server.objects("oauthclients").len(), 7);
    // Whoever restarts the operator begins no new hour.
    life.die();
    operator.abort();
    for _ in 0..3 {
        let life = Life::new(None);
        operator = world.operator(&life);
        tokio::time::sleep(5 * MINUTE).await;
        assert_eq!(world.server.objects("oauthclients").len(), 7);
        life.die();
        operator.abort();
    }
    operator = world.operator(&Life::new(None));
    tokio::time::sleep(MINUTE).await;
    let waiting = names.iter().filter(|name| {
        let found = world.condition(name, "Ready");
        found.is_some_and(|(_, reason, _)| reason == "RemovalsLimited")
    });
    assert_eq!(waiting.count(), 7);
    tokio::time::sleep(HOUR - 16 * MINUTE).await;
    assert_eq!(world.server.objects("oauthclients").len(), 2);
    tokio::time::sleep(HOUR).await;
    assert!(world.server.objects("oauthclients").is_empty());
    operator.abort();
}

/// Whoever deletes many does not keep another team's from going.
#[tokio::test(start_paused = true)]
async fn a_wave_of_one_team_lets_another_team_go_first() {
    let mut world = World::new(Profile::Keycloak);
    let limit = "--credential-removals-per-hour=4".to_owned();
    world.arguments.push(limit);
    let delete = json!({"deletionPolicy": "Delete"});
    for number in 0..12 {
        let name = format!("c{number}");
        world.declare(&name, &[&name], delete.clone());
    }
    world.server.put(&json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "team-mail", "labels": {"bailiwick.dev/team": "mail"}},
    }));
    world.put("Team", "", "mail", json!({"members": [{"user": "eve"}]}));
    world.put("Application", "team-mail", "mail", json!({}));
    let delivery = json!([{"name": "one", "secret": {"name": "mail"}}]);
    let mut mail = json!({"application": "mail", "provider": "as", "delivery": delivery});
    mail["deletionPolicy"] = json!("Delete");
    for name in ["m0", "m1"] {
        world.put("OAuthClient", "team-mail", name, mail.clone());
    }
    let operator = world.operator(&Life::new(None));
    let all_ready = |world: &World| {
        let clients = world.server.objects("oauthclients");
        let ready = |client: &serde_json::Value| {
            condition(client, "Ready").is_some_and(|(ready, ..)| ready == "True")
        };
        clients.iter().all(ready)
    };
    world.until(HOUR, "all ready", all_ready).await;
    let left = |world: &World, namespace: &str| {
        let clients = world.server.objects("oauthclients");
        let of = |client: &&serde_json::Value| client["metadata"]["namespace"] == namespace;
        clients.iter().filter(of).count()
    };
    for number in 0..12 {
        world.delete(&format!("c{number}")).await;
    }
    tokio::time::sleep(30 * MINUTE).await;
    let clients = kube::Api::<OAuthClient>::namespaced(world.server.client(), "team-mail");
    for name in ["m0", "m1"] {
        clients
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }
    // When its grace period is over as many went as may.
    tokio::time::sleep(85 * MINUTE).await;
    assert_eq!((left(&world, NAMESPACE), left(&world, "team-mail")), (8, 2));
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!((left(&world, NAMESPACE), left(&world, "team-mail")), (6, 0));
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_retired_application_loses_its_credentials_and_may_come_back() {
    let world = World::new(Profile::KeycloakRotating);
    world.declare("api", &["one"], json!({}));
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    let activate = |active: bool| {
        let mut application = world.server.get("applications", NAMESPACE, "api").unwrap();
        application["spec"]["active"] = json!(active);
        application["spec"]["retirementPeriod"] = json!("3h");
        world.server.put(&application).unwrap();
    };
    activate(false);
    tokio::time::sleep(2 * HOUR).await;
    assert!(world.settled("api", 1), "it is only announced");
    let message = world.until_ready_says("api", "Leaving").await;
    assert!(message.contains("spec.active"), "{message}");
    // Called off in time.
    activate(true);
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    assert_eq!(world.events("api", "LeavingCalledOff").len(), 1);
    activate(false);
    tokio::time::sleep(3 * HOUR).await;
    world.until_ready_says("api", "ApplicationRetired").await;
    assert!(world.oauth[0].live("api").is_empty());
    assert!(world.places.all().is_empty());
    activate(true);
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    operator.abort();
}

/// Whoever has lost credentials deletes their object, and then asks to have them gone.
#[tokio::test(start_paused = true)]
async fn a_revocation_waits_for_no_grace_and_no_turn() {
    let mut world = World::new(Profile::Keycloak);
    let none = "--credential-removals-per-hour=1".to_owned();
    world.arguments.push(none);
    for name in ["first", "second"] {
        world.declare(name, &[name], json!({"deletionPolicy": "Delete"}));
    }
    let operator = world.operator(&Life::new(None));
    for name in ["first", "second"] {
        world
            .until(HOUR, "version 1", |world| world.settled(name, 1))
            .await;
        world.delete(name).await;
        world.until_ready_says(name, "Leaving").await;
    }
    for name in ["first", "second"] {
        world.oauth[0].set_away(name == "second");
        world.ask(name, "revoke", "incident").await;
        if name == "second" {
            let held = |world: &World| {
                let found = world.condition(name, "Revoked");
                found.is_some_and(|(status, ..)| status == "False")
            };
            world.until(MINUTE, "it is said", held).await;
            world.oauth[0].set_away(false);
        }
        world
            .until(10 * MINUTE, "gone", |world| world.object(name).is_none())
            .await;
        assert!(world.oauth[0].live(name).is_empty());
        assert_eq!(
            world.places.content(&format!("secret team-shop/{name}")),
            None
        );
    }
    operator.abort();

    // And what is asked for before is not forgotten for the sake of what else would be kept.
    let world = World::new(Profile::Keycloak);
    world.declare(
        "api",
        &["one", "s3:two"],
        json!({"deletionPolicy": "Retain"}),
    );
    let life = Life::new(None);
    let operator = world.operator(&life);
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    life.die();
    operator.abort();
    world.ask("api", "revoke", "incident").await;
    world.delete("api").await;
    // Nor when it is half done: the server has removed all, and a place answers only later.
    world.places.set_away("s3://two/api", true);
    let operator = world.operator(&Life::new(None));
    world
        .until(MINUTE, "removed at the server", |world| {
            world.oauth[0].live("api").is_empty()
        })
        .await;
    tokio::time::sleep(20 * MINUTE).await;
    assert!(world.object("api").is_some(), "a place still has it");
    let (.., message) = world.condition("api", "Ready").unwrap();
    assert!(!message.contains("until then"), "{message}");
    world.places.set_away("s3://two/api", false);
    world
        .until(10 * MINUTE, "gone", |world| world.object("api").is_none())
        .await;
    assert!(world.oauth[0].live("api").is_empty());
    assert!(world.places.all().is_empty(), "nothing is left anywhere");
    operator.abort();
}
