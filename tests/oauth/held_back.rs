//! What is taken back, revoked or asked for comes to pass, or somebody is told why it does not.

use std::time::Duration;

use bailiwick::api::OAuthProvider;
use bailiwick::identity::simulated::Profile;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::scopes::{declare, grant, said};
use super::world::{Blow, HOUR, Life, MINUTE, Readers, World, deliveries};

const TWO: &str = "s3://two/api";
const READ: &str = "sales-order.read";

async fn settled(world: World, more: Value) -> (World, JoinHandle<()>) {
    world.declare("api", &["one", "s3:two"], more);
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    (world, operator)
}

/// A client that holds a scope of class `Application`.
async fn holding(profile: Profile) -> (World, JoinHandle<()>) {
    let world = World::new(profile);
    declare(&world, &["api"]);
    settled(world, json!({"scopes": [READ]})).await
}

fn status(world: &World) -> Value {
    world.object("api").unwrap()["status"].clone()
}

fn says(world: &World, condition: &str) -> (String, String, String) {
    world.condition("api", condition).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn credentials_are_shown_to_no_other_issuer() {
    for profile in [Profile::Dynamic, Profile::Keycloak] {
        let mut world = World::new(profile);
        world.provider("other", profile);
        let (mut world, operator) = settled(world, json!({"deletionPolicy": "Delete"})).await;
        let providers: kube::Api<OAuthProvider> = kube::Api::all(world.server.client());
        let spec = |world: &World, name: &str| {
            let found = world.server.get("oauthproviders", "", name);
            found.unwrap()["spec"].clone()
        };
        let (own, others) = (spec(&world, "as"), spec(&world, "other"));
        let gone = DeleteParams::default();
        providers.delete("as", &gone).await.unwrap();
        world.put("OAuthProvider", "", "as", others);
        let message = world.until_ready_says("api", "ProviderChanged").await;
        for word in [
            "https://as.example.com/",
            "https://other.example.com/",
            "Retain",
        ] {
            assert!(message.contains(word), "{message}");
        }
        // Nor does somebody who asks for it, or takes away what the status says of it, bring it about.
        world.ask("api", "renew", "one").await;
        world.ask("api", "revoke", "one").await;
        let clients: kube::Api<bailiwick::api::OAuthClient> =
            kube::Api::namespaced(world.server.client(), "team-shop");
        let forgotten = kube::api::Patch::Merge(json!({"status": {"issuer": null}}));
        let patch = kube::api::PatchParams::default();
        clients
            .patch_status("api", &patch, &forgotten)
            .await
            .unwrap();
        tokio::time::sleep(7 * HOUR).await;
        world.until_ready_says("api", "ProviderChanged").await;
        assert_eq!(says(&world, "Revoked").1, "RevocationHeldBack");
        world.delete("api").await;
        tokio::time::sleep(3 * HOUR).await;
        let other = world.oauth.remove(1);
        assert_eq!(other.all_calls(), other.calls("describe"), "{profile:?}");
        assert_eq!(world.oauth[0].live("api").len(), 1, "{profile:?}");
        // Back where it was it goes on.
        providers.delete("as", &gone).await.unwrap();
        world.put("OAuthProvider", "", "as", own);
        world
            .until(3 * HOUR, "gone", |world| world.object("api").is_none())
            .await;
        assert!(world.oauth[0].live("api").is_empty(), "{profile:?}");
        operator.abort();
    }
}

/// Who holds a scope does not keep it by a place that takes nothing.
#[tokio::test(start_paused = true)]
async fn what_is_taken_back_waits_for_no_place() {
    let (world, operator) = holding(Profile::Dynamic).await;
    world.places.deny(TWO, true);
    grant(&world, &[]).await;
    let without = |world: &World| {
        let scopes = world.oauth[0].scopes("api");
        scopes.len() == 1 && scopes[0].iter().all(|scope| scope != READ)
    };
    world.until(HOUR, "without it", without).await;
    assert_eq!(status(&world)["version"], 2);
    let (ready, _, message) = says(&world, "Ready");
    assert_eq!(ready, "False");
    assert!(message.contains(TWO) || message.contains(READ), "{message}");
    operator.abort();
}

/// Nor by a spec that cannot be carried out.
#[tokio::test(start_paused = true)]
async fn what_is_taken_back_or_revoked_waits_for_no_spec() {
    for profile in [Profile::Dynamic, Profile::Keycloak] {
        let (world, operator) = holding(profile).await;
        let wrong = json!({"spec": {"rotation": {"period": "1d", "overlap": "20h"}}});
        world.patch("api", wrong).await;
        world.until_ready_says("api", "InvalidSpec").await;
        grant(&world, &[]).await;
        let without = |world: &World| {
            let scopes = world.oauth[0].scopes("api");
            scopes.len() == 1 && scopes[0].iter().all(|scope| scope != READ)
        };
        world.until(2 * HOUR, "without it", without).await;
        world
            .until(MINUTE, "told", |world| {
                says(world, "Ready").1 == "InvalidSpec"
            })
            .await;
        assert_eq!(says(&world, "Accepted").0, "False");
        let before = world.kept("api");
        world.ask("api", "revoke", "incident").await;
        let others = |world: &World| {
            let live = world.oauth[0].live("api");
            live.iter().all(|(id, ..)| !before.contains(id))
        };
        world.until(MINUTE, "revoked", others).await;
        assert_eq!(status(&world)["lastHandledRevokeAt"], "incident");
        operator.abort();
    }
}

/// Where nothing may be written the owner of the scope is told who holds it.
#[tokio::test(start_paused = true)]
async fn who_holds_what_is_not_granted_is_named() {
    for field in [json!({"suspend": true}), json!({"mode": "Plan"})] {
        let (world, operator) = holding(Profile::Keycloak).await;
        world.patch("api", json!({"spec": field})).await;
        grant(&world, &[]).await;
        let told = |world: &World| said(world, "WithinGrants").1 == "HeldWithoutGrant";
        world.until(MINUTE, "named", told).await;
        tokio::time::sleep(HOUR).await;
        let (ready, reason, message) = said(&world, "Ready");
        assert_eq!(
            (ready.as_str(), reason.as_str()),
            ("False", "HeldWithoutGrant")
        );
        assert!(message.contains("team-shop/api read"), "{message}");
        assert_eq!(world.oauth[0].scopes("api"), [[READ]], "nothing is written");
        let free = json!({"spec": {"suspend": false, "mode": "Apply"}});
        world.patch("api", free).await;
        let good = |world: &World| {
            said(world, "WithinGrants").1.is_empty() && said(world, "Ready").0 == "True"
        };
        world.until(MINUTE, "taken away", good).await;
        assert_eq!(world.oauth[0].scopes("api"), [Vec::<String>::new()]);
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_secret_that_ends_too_soon_is_not_relied_on() {
    for (lives, way) in [(Duration::from_secs(60), "Client"), (HOUR, "Secret")] {
        let world = World::new(Profile::KeycloakRotating);
        world.oauth[0].end_older_secrets_after(lives, world.time.clone());
        let fields = json!({"authMethod": "client_secret_basic"});
        let (world, operator) = settled(world, fields).await;
        let readers = Readers::start(&world);
        world.ask("api", "renew", "one").await;
        let two = |world: &World| status(world)["version"] == 2;
        world.until(HOUR, "version 2", two).await;
        assert_eq!(status(&world)["versions"][1]["method"], way);
        world
            .until(HOUR, "alone", |world| world.settled("api", 2))
            .await;
        readers.end(way);
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_is_held_back_says_so_until_it_is_done() {
    for (held, free, reason) in [
        (
            json!({"suspend": true}),
            json!({"suspend": false}),
            "Suspended",
        ),
        (
            json!({"mode": "Plan"}),
            json!({"mode": "Apply"}),
            "ChangesPlanned",
        ),
    ] {
        let (world, operator) = settled(World::new(Profile::Keycloak), json!({})).await;
        world.patch("api", json!({"spec": held})).await;
        world.ask("api", "revoke", "incident").await;
        world.until_ready_says("api", reason).await;
        let (truth, found, message) = says(&world, "Revoked");
        assert_eq!(
            (truth.as_str(), found.as_str()),
            ("False", "RevocationHeldBack")
        );
        assert!(message.contains("still valid"), "{message}");
        assert_eq!(world.oauth[0].calls("delete"), 0);
        world.patch("api", json!({"spec": free})).await;
        world
            .until(HOUR, "version 2", |world| world.settled("api", 2))
            .await;
        assert!(world.condition("api", "Revoked").is_none());
        operator.abort();
    }
}

/// An operator that has just started and cannot reach the server.
#[tokio::test(start_paused = true)]
async fn a_revocation_that_cannot_be_done_yet_is_not_ready() {
    let (world, operator) = settled(World::new(Profile::Keycloak), json!({})).await;
    operator.abort();
    world.oauth[0].set_away(true);
    world.ask("api", "revoke", "incident").await;
    let operator = world.operator(&Life::new(None));
    let held = |world: &World| says(world, "Revoked").1 == "RevocationHeldBack";
    world.until(MINUTE, "held back", held).await;
    assert_eq!(says(&world, "Ready").0, "False");
    world.oauth[0].set_away(false);
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    operator.abort();
}

/// Killed just behind the write that revokes, before any event: the status alone says it.
#[tokio::test(start_paused = true)]
async fn what_a_revocation_breaks_is_in_the_status_with_it() {
    let (world, operator) = settled(World::new(Profile::Dynamic), json!({})).await;
    operator.abort();
    world.ask("api", "revoke", "incident").await;
    let life = Life::new(Some((2, Blow::KilledAfter)));
    let operator = world.operator(&life);
    world.until(MINUTE, "killed", |_| life.is_dead()).await;
    assert_eq!(status(&world)["versions"][0]["state"], "Retiring");
    assert_eq!(says(&world, "Ready").0, "False");
    assert_eq!(says(&world, "Registered").0, "False");
    let (truth, _, message) = says(&world, "Revoked");
    assert_eq!(truth, "True");
    for word in ["version 1", TWO] {
        assert!(message.contains(word), "{message}");
    }
    operator.abort();
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    assert!(world.condition("api", "Revoked").is_none());
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn to_renew_what_there_is_not_is_answered() {
    let public = json!({
        "authMethod": "none", "grantTypes": ["authorization_code"], "redirectUris": ["https://shop.example.com/back"],
    });
    let (world, operator) = settled(World::new(Profile::Keycloak), public).await;
    world.ask("api", "renew", "one").await;
    let answered = |world: &World| status(world)["lastHandledRenewAt"] == "one";
    world.until(MINUTE, "answered", answered).await;
    tokio::time::sleep(HOUR).await;
    assert!(world.settled("api", 1));
    assert_eq!(world.events("api", "NothingToRenew").len(), 1);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn an_overlap_in_which_hosts_do_not_read_is_refused() {
    let world = World::new(Profile::Keycloak);
    let short = json!({"rotation": {"period": "1d", "overlap": "4m"}});
    world.declare("api", &["one", "s3:two"], short);
    let operator = world.operator(&Life::new(None));
    let message = world.until_ready_says("api", "InvalidSpec").await;
    assert!(message.contains("5m"), "{message}");
    let elsewhere = json!({"spec": {"delivery": deliveries(&["one"])}});
    world.patch("api", elsewhere).await;
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_removed_place_that_cannot_be_cleaned_is_named() {
    let (world, operator) = settled(World::new(Profile::Keycloak), json!({})).await;
    let readers = Readers::start(&world);
    world.places.deny(TWO, true);
    let elsewhere = json!({"spec": {"delivery": deliveries(&["one"])}});
    world.patch("api", elsewhere).await;
    let told = |world: &World| says(world, "Delivered").0 == "False";
    world.until(HOUR, "told", told).await;
    for condition in ["Delivered", "Ready"] {
        let (truth, reason, message) = says(&world, condition);
        assert_eq!(
            (truth.as_str(), reason.as_str()),
            ("False", "DeliveryFailed")
        );
        assert!(
            message.contains(TWO) && message.contains("by hand"),
            "{message}"
        );
    }
    world.places.deny(TWO, false);
    world
        .until(HOUR, "cleaned", |world| world.settled("api", 1))
        .await;
    assert_eq!(world.places.content(TWO), None);
    assert_eq!(says(&world, "Delivered").0, "True");
    drop(readers);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_place_whose_account_is_gone_holds_up_no_removal() {
    let fields = json!({"deletionPolicy": "Delete"});
    let (world, operator) = settled(World::new(Profile::Keycloak), fields).await;
    world.places.deny(TWO, true);
    world.places.lose_account("two");
    world.delete("api").await;
    let leaving = |world: &World| says(world, "Ready").1 == "Leaving";
    world.until(HOUR, "leaving", leaving).await;
    let (_, _, message) = says(&world, "Ready");
    let but = format!("from all places but {TWO}");
    assert!(message.contains(&but), "{message}");
    assert_eq!(says(&world, "Delivered").0, "False");
    world
        .until(2 * HOUR, "gone", |world| world.object("api").is_none())
        .await;
    let event = world.events("api", "DeliveryForgotten").join("");
    assert!(event.contains(TWO) && event.contains("by hand"), "{event}");
    let event = world.events("api", "CredentialsRemoved").join("");
    assert!(event.contains(&but), "{event}");
    assert!(world.oauth[0].live("api").is_empty());
    operator.abort();
}
