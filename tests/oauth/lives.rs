//! What a team and the platform ask for, and what becomes of it.

use std::time::Duration;

use bailiwick::identity::simulated::Profile;
use serde_json::json;

use super::world::{HOUR, Life, MINUTE, NAMESPACE, Readers, World, credential, deliveries};

const ONE: &str = "secret team-shop/one";
const TWO: &str = "s3://two/api";

/// A client that is delivered to two places, and the operator that has done it.
async fn settled(
    profile: Profile,
    more: serde_json::Value,
) -> (World, tokio::task::JoinHandle<()>) {
    let world = World::new(profile);
    world.declare("api", &["one", "s3:two"], more);
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    (world, operator)
}

#[tokio::test(start_paused = true)]
async fn a_settled_client_costs_no_write_and_few_calls() {
    let (world, operator) = settled(Profile::Keycloak, json!({})).await;
    for condition in ["Accepted", "ScopesGranted", "Registered", "Delivered"] {
        assert_eq!(
            world.condition("api", condition).unwrap().0,
            "True",
            "{condition}"
        );
    }
    assert!(world.condition("api", "Rotating").is_none());
    let object = world.object("api").unwrap();
    assert_eq!(
        object["status"]["authMethod"], "private_key_jwt",
        "a key before a secret"
    );
    tokio::time::sleep(MINUTE).await;
    world.server.reset_counters();
    let (calls, looks) = (world.oauth[0].all_calls(), world.places.looks());
    // Six hours are the interval of the deep check: each place is looked at once, and one token is asked for; and the server
    // is once asked what it can do.
    tokio::time::sleep(6 * HOUR).await;
    assert_eq!(
        world.server.writes(),
        0,
        "{:?}",
        world.server.all_requests()
    );
    let (calls, looks) = (
        world.oauth[0].all_calls() - calls,
        world.places.looks() - looks,
    );
    println!(
        "a settled client with two places, six hours: {calls} calls to the server, {looks} looks at places"
    );
    assert!((1..=3).contains(&calls), "{calls}");
    assert!((2..=4).contains(&looks), "{looks}");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn an_application_shows_its_credentials() {
    let (world, operator) = settled(Profile::Keycloak, json!({})).await;
    let shown = async |count: &str| {
        let status = |world: &World| {
            let application = world.server.get("applications", NAMESPACE, "api");
            application.unwrap_or_default()["status"].clone()
        };
        world
            .until(HOUR, count, |world| {
                status(world)["credentialsReady"] == count
            })
            .await;
        status(&world)["credentials"].clone()
    };
    let all = shown("1/1").await;
    let expires =
        |name: &str| world.object(name).unwrap()["status"]["versions"][0]["expiresAt"].clone();
    assert!(expires("api").is_string());
    let ours = json!({"name": "api", "ready": true, "expiresAt": expires("api")});
    assert_eq!(all, json!([ours]));

    // What is wrong comes first; another application's are not its own.
    let web = json!({"application": "web", "provider": "as"});
    world.put("OAuthClient", NAMESPACE, "other", web);
    world.declare("late", &["late"], json!({"provider": "nowhere"}));
    let all = shown("1/2").await;
    assert_eq!(
        (&all[0]["name"], &all[0]["ready"]),
        (&json!("late"), &json!(false))
    );
    world
        .until(HOUR, "its reason", |world| {
            let application = world.server.get("applications", NAMESPACE, "api").unwrap();
            application["status"]["credentials"][0]["reason"] == "ProviderNotFound"
        })
        .await;
    assert_eq!(all[1], ours);

    world.delete("late").await;
    assert_eq!(shown("1/1").await, json!([ours]));
    // The time of the next ones, once they are there.
    world.ask("api", "renew", "now").await;
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    assert_ne!(json!(expires("api")), ours["expiresAt"]);
    let ours = json!({"name": "api", "ready": true, "expiresAt": expires("api")});
    assert_eq!(shown("1/1").await, json!([ours]));
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn credentials_are_replaced_when_their_time_comes_for_a_long_time() {
    for profile in Profile::ALL {
        let world = World::new(profile);
        let rotation = json!({"rotation": {"period": "2h", "overlap": "10m"}});
        world.declare("api", &["one", "s3:two"], rotation);
        let operator = world.operator(&Life::new(None));
        world
            .until(HOUR, "version 1", |world| world.settled("api", 1))
            .await;
        let readers = Readers::start(&world);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..50 {
            tokio::time::sleep(10 * MINUTE).await;
            let object = world.object("api").unwrap();
            seen.insert(object["status"]["version"].as_i64().unwrap());
            let next = object["status"]["nextRotation"]
                .as_str()
                .unwrap()
                .to_owned();
            assert!(next.as_str() > "2026", "{next}");
        }
        // Every 70 minutes, and the first one at a moment of the client's own.
        let newest = *seen.last().unwrap();
        assert!((7..=9).contains(&newest), "{profile:?}: {seen:?}");
        assert!(world.oauth[0].most_live("api") <= 2);
        assert!(readers.end("eight hours") > 10_000);
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn renew_rotates_now_and_once() {
    let (world, operator) = settled(Profile::Dynamic, json!({})).await;
    let readers = Readers::start(&world);
    world.ask("api", "renew", "2026-01-01").await;
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    assert!(!world.events("api", "Rotated").is_empty());
    tokio::time::sleep(2 * HOUR).await;
    assert!(world.settled("api", 2), "once for each request");
    world.ask("api", "renew", "2026-01-02").await;
    world.ask("api", "renew", "2026-01-03").await;
    world
        .until(HOUR, "version 3", |world| {
            world.settled("api", 3) || world.settled("api", 4)
        })
        .await;
    readers.end("renewed");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn revoke_ends_everything_at_once_and_says_what_breaks() {
    for profile in Profile::ALL {
        let (world, operator) =
            settled(profile, json!({"authMethod": "client_secret_basic"})).await;
        world.ask("api", "renew", "one").await;
        let two = |world: &World| world.object("api").unwrap()["status"]["version"] == 2;
        world.until(HOUR, "version 2", two).await;
        let before = world.places.all();
        world.ask("api", "revoke", "incident").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        for (place, content) in before {
            let (id, credential) = credential(&content).unwrap();
            assert!(
                !world.oauth[0].takes(&id, &credential),
                "{profile:?}: {place}"
            );
        }
        world
            .until(HOUR, "version 3", |world| world.settled("api", 3))
            .await;
        let event = world.events("api", "Revoked").join("");
        for word in [
            "versions 1 and 2 are removed",
            ONE,
            TWO,
            "since 2026-01-01T",
        ] {
            assert!(event.contains(word), "{profile:?}: {word}: {event}");
        }
        for (place, content) in world.places.all() {
            let (id, credential) = credential(&content).unwrap();
            assert!(
                world.oauth[0].takes(&id, &credential),
                "{profile:?}: {place}"
            );
        }
        assert_eq!(world.oauth[0].live("api").len(), 1);
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_is_added_and_removed_and_its_name_given_to_another() {
    let (world, operator) = settled(Profile::Dynamic, json!({})).await;
    let readers = Readers::start(&world);
    let registered = world.oauth[0].calls("register");
    let three = json!({"spec": {"delivery": deliveries(&["one", "s3:two", "three"])}});
    world.patch("api", three).await;
    let added = |world: &World| world.places.content("secret team-shop/three").is_some();
    world.until(MINUTE, "added", added).await;
    world
        .until(MINUTE, "settled", |world| world.settled("api", 1))
        .await;
    readers.end("added");
    // A list in a merge patch is the whole list.
    world
        .patch("api", json!({"spec": {"delivery": deliveries(&["three"])}}))
        .await;
    world
        .until(MINUTE, "cleaned", |world| world.places.all().len() == 1)
        .await;
    world
        .until(MINUTE, "settled", |world| world.settled("api", 1))
        .await;
    let event = world.events("api", "DeliveryRemoved").join("");
    assert!(event.contains(ONE) && event.contains(TWO), "{event}");
    let elsewhere = json!([{"name": "three", "secret": {"name": "elsewhere"}}]);
    world
        .patch("api", json!({"spec": {"delivery": elsewhere}}))
        .await;
    world
        .until(MINUTE, "moved", |world| {
            let all = world.places.all();
            all.len() == 1 && all[0].0 == "secret team-shop/elsewhere" && world.settled("api", 1)
        })
        .await;
    assert_eq!(
        world.oauth[0].calls("register"),
        registered,
        "no new version for a place"
    );
    let places = world.object("api").unwrap()["status"]["destinations"].clone();
    assert_eq!(places.as_array().unwrap().len(), 1, "{places:#}");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_writes_or_removes_is_written_again() {
    let (world, operator) = settled(Profile::Dynamic, json!({})).await;
    let before = world.places.all();
    world.places.overwrite(ONE, "{}");
    world.places.clear(TWO);
    tokio::time::sleep(6 * HOUR + MINUTE).await;
    assert_eq!(world.places.all(), before);
    let event = world.events("api", "DeliveryRepaired").join("");
    assert!(event.contains(ONE) && event.contains(TWO), "{event}");
    assert!(world.settled("api", 1));
    // Whoever does not want to wait for the next look asks for one.
    world.places.overwrite(ONE, "{}");
    world.ask("api", "reconcile", "now").await;
    world
        .until(MINUTE, "repaired", |world| world.places.all() == before)
        .await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn no_version_is_made_while_a_place_refuses() {
    let (world, operator) = settled(Profile::Dynamic, json!({})).await;
    let readers = Readers::start(&world);
    let registered = world.oauth[0].calls("register");
    world.places.deny(TWO, true);
    world.server.reset_counters();
    let calls = world.oauth[0].all_calls();
    world.ask("api", "renew", "one").await;
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(world.oauth[0].calls("register"), registered);
    let writes = world.server.writes();
    assert!(writes < 40, "{writes}: {:?}", world.server.all_requests());
    let calls = world.oauth[0].all_calls() - calls;
    assert!(calls <= 2, "{calls}");
    let (ready, ..) = world.condition("api", "Ready").unwrap();
    assert_eq!(ready, "True", "what is in use works");
    let problem = world.object("api").unwrap()["status"]["destinations"].to_string();
    assert!(problem.contains("may not write there"), "{problem}");
    world.places.deny(TWO, false);
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    readers.end("denied");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_place_that_fails_midway_gets_the_same_version_later() {
    for profile in Profile::ALL {
        let (world, operator) = settled(profile, json!({})).await;
        let readers = Readers::start(&world);
        world.ask("api", "renew", "one").await;
        // After the first write of the new version the other place is away, for hours.
        let begun = |world: &World| !world.object("api").unwrap()["status"]["rotation"].is_null();
        let mut waited = 0;
        while !begun(&world) && waited < 100_000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            waited += 1;
        }
        world.places.set_away(TWO, true);
        let registered = world.oauth[0].calls("register") + world.oauth[0].calls("add_secret");
        tokio::time::sleep(2 * HOUR).await;
        let object = world.object("api").unwrap();
        assert_eq!(object["status"]["version"], 1, "{profile:?}");
        assert_eq!(
            object["status"]["rotation"]["step"], "Deliver",
            "{profile:?}"
        );
        let (ready, ..) = world.condition("api", "Ready").unwrap();
        assert_eq!(ready, "True", "{profile:?}: both are valid");
        let (_, reason, message) = world.condition("api", "Rotating").unwrap();
        assert_eq!(reason, "RotationDelayed", "{profile:?}");
        assert!(message.contains(TWO), "{message}");
        assert_eq!(world.events("api", "RotationDelayed").len(), 1, "said once");
        world.places.set_away(TWO, false);
        world
            .until(HOUR, "version 2", |world| world.settled("api", 2))
            .await;
        let made = world.oauth[0].calls("register") + world.oauth[0].calls("add_secret");
        assert!(made <= registered + 1, "{profile:?}: {made}, {registered}");
        assert!(world.oauth[0].most_live("api") <= 2);
        readers.end("midway");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn public_and_confidential_are_different_versions() {
    let grants = json!({
        "grantTypes": ["authorization_code"], "redirectUris": ["https://shop.example.com/back"], "authMethod": "none",
        "rotation": {"period": "2h", "overlap": "10m"},
    });
    for profile in Profile::ALL {
        let (world, operator) = settled(profile, grants.clone()).await;
        let content = world.places.content(ONE).unwrap();
        assert!(content.contains(r#""client_secret":null"#), "{content}");
        // Nothing of it grows old.
        tokio::time::sleep(5 * HOUR).await;
        assert!(world.settled("api", 1), "{profile:?}");
        assert!(world.object("api").unwrap()["status"]["nextRotation"].is_null());
        let readers = Readers::start(&world);
        world
            .patch(
                "api",
                json!({"spec": {"authMethod": "client_secret_basic"}}),
            )
            .await;
        world
            .until(HOUR, "confidential", |world| world.settled("api", 2))
            .await;
        assert!(
            !world
                .places
                .content(ONE)
                .unwrap()
                .contains(r#""client_secret":null"#)
        );
        world
            .patch("api", json!({"spec": {"authMethod": "none"}}))
            .await;
        world
            .until(HOUR, "public", |world| world.settled("api", 3))
            .await;
        assert_eq!(world.oauth[0].live("api").len(), 1, "{profile:?}");
        readers.end("public");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn plan_and_suspend_write_nothing_and_say_what_would_be() {
    let world = World::new(Profile::Keycloak);
    world.declare("api", &["one"], json!({"mode": "Plan"}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until_ready_says("api", "ChangesPlanned").await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(world.oauth[0].calls("register"), 0);
    assert!(world.places.all().is_empty());
    let plan = world.object("api").unwrap()["status"]["plan"].to_string();
    for word in ["Register", "Deliver", "there were no credentials"] {
        assert!(plan.contains(word), "{plan}");
    }
    world.patch("api", json!({"spec": {"mode": "Apply"}})).await;
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    assert!(world.object("api").unwrap()["status"]["plan"].is_null());
    world.patch("api", json!({"spec": {"suspend": true}})).await;
    world.ask("api", "renew", "one").await;
    world.until_ready_says("api", "Suspended").await;
    let writes = world.places.writes(ONE);
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(
        (world.oauth[0].calls("register"), world.places.writes(ONE)),
        (1, writes)
    );
    world
        .patch("api", json!({"spec": {"suspend": false}}))
        .await;
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_suspended_is_not_written_to() {
    let (world, operator) = settled(Profile::Keycloak, json!({})).await;
    let mut provider = world.server.get("oauthproviders", "", "as").unwrap();
    provider["spec"]["suspend"] = json!(true);
    world.server.put(&provider).unwrap();
    world.ask("api", "revoke", "now").await;
    world.until_ready_says("api", "ProviderSuspended").await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(world.oauth[0].calls("delete"), 0);
    assert_eq!(world.oauth[0].live("api").len(), 1);
    operator.abort();
}

/// Whether its secrets overlap is tried by making a client there: not at one that is suspended, not by whoever is asked to
/// look again, and not by an operator that has just begun.
#[tokio::test(start_paused = true)]
async fn a_provider_that_is_suspended_is_not_tried() {
    let world = World::new(Profile::KeycloakRotating);
    let suspend = |suspend: bool, word: &str| {
        let mut provider = world.server.get("oauthproviders", "", "as").unwrap();
        provider["spec"]["suspend"] = json!(suspend);
        let asked = json!({"bailiwick.dev/reconcile-requested-at": word});
        provider["metadata"]["annotations"] = asked;
        world.server.put(&provider).unwrap();
    };
    let rotation = || {
        let provider = world.server.get("oauthproviders", "", "as").unwrap();
        provider["status"]["secretRotation"].clone()
    };
    let seen = |word: &'static str| {
        move |world: &World| {
            let provider = world.server.get("oauthproviders", "", "as").unwrap();
            provider["status"]["lastHandledReconcileAt"] == word
        }
    };
    suspend(true, "one");
    let life = Life::new(None);
    let first = world.operator(&life);
    world.until(HOUR, "seen", seen("one")).await;
    tokio::time::sleep(13 * HOUR).await;
    assert!(world.oauth[0].calls("describe") >= 2, "it is observed");
    assert_eq!((world.oauth[0].trials(), rotation()), (0, json!(null)));
    suspend(false, "two");
    world.until(HOUR, "seen", seen("two")).await;
    assert!(world.oauth[0].trials() > 0);
    assert_eq!(rotation(), "InPlace");
    suspend(true, "three");
    world.until(HOUR, "seen", seen("three")).await;
    let trials = world.oauth[0].trials();
    life.die();
    first.abort();
    let second = world.operator(&Life::new(None));
    suspend(true, "four");
    world.until(HOUR, "seen", seen("four")).await;
    tokio::time::sleep(13 * HOUR).await;
    assert_eq!(
        (world.oauth[0].trials(), rotation()),
        (trials, json!("InPlace"))
    );
    second.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_somebody_has_removed_is_made_anew() {
    for profile in Profile::ALL {
        let (world, operator) = settled(profile, json!({})).await;
        let id = world.object("api").unwrap()["status"]["clientId"].clone();
        world.oauth[0].forget_client(id.as_str().unwrap());
        tokio::time::sleep(6 * HOUR + MINUTE).await;
        world
            .until(HOUR, "version 2", |world| world.settled("api", 2))
            .await;
        let event = world.events("api", "ClientLost").join("");
        assert!(event.contains(id.as_str().unwrap()), "{profile:?}: {event}");
        assert_eq!(world.oauth[0].live("api").len(), 1, "{profile:?}");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_and_is_gone_is_made_anew() {
    let (world, operator) = settled(Profile::Keycloak, json!({})).await;
    let uid = world.object("api").unwrap()["metadata"]["uid"].clone();
    let vault = format!("bailiwick-oauth-{}", uid.as_str().unwrap());
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
        kube::Api::namespaced(world.server.client(), "default");
    secrets
        .delete(&vault, &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let readers = Readers::start(&world);
    world.ask("api", "reconcile", "now").await;
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    assert_eq!(world.events("api", "CredentialsMissing").len(), 1);
    assert_eq!(
        world.oauth[0].live("api").len(),
        1,
        "a server that can be searched keeps nothing"
    );
    readers.end("missing");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn an_application_that_is_merely_absent_loses_nothing() {
    let (world, operator) = settled(Profile::Keycloak, json!({})).await;
    let applications: kube::Api<bailiwick::api::Application> =
        kube::Api::namespaced(world.server.client(), NAMESPACE);
    applications
        .delete("api", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    world.until_ready_says("api", "ApplicationNotFound").await;
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(world.oauth[0].live("api").len(), 1);
    assert_eq!(world.places.all().len(), 2);
    world.put("Application", NAMESPACE, "api", json!({}));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    operator.abort();
}
