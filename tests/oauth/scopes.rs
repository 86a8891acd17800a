//! Who may hold which scope, and that none vanishes unseen.

use bailiwick::api::ResourceType;
use bailiwick::identity::simulated::Profile;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::world::{HOUR, Life, MINUTE, NAMESPACE, World, condition};

pub fn scopes(granted: &[&str]) -> Value {
    json!([
        {"name": "read", "summary": "Reads orders.", "class": "Application", "grantedTo": granted},
        {"name": "mine", "summary": "Reads one's own.", "class": "ResourceOwner"},
    ])
}

pub fn declare(world: &World, granted: &[&str]) {
    let spec = json!({"application": "api", "namespace": NAMESPACE, "scopes": scopes(granted)});
    world.put("ResourceType", "", "sales-order", spec);
}

pub async fn grant(world: &World, granted: &[&str]) {
    let api: kube::Api<ResourceType> = kube::Api::all(world.server.client());
    let patch = json!({"spec": {"scopes": scopes(granted)}});
    api.patch(
        "sales-order",
        &PatchParams::default(),
        &Patch::Merge(&patch),
    )
    .await
    .unwrap();
}

pub fn said(world: &World, type_: &str) -> (String, String, String) {
    let object = world
        .server
        .get("resourcetypes", "", "sales-order")
        .unwrap();
    condition(&object, type_).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_scope_is_held_when_its_owner_grants_it_and_taken_away_when_not() {
    for profile in [Profile::Dynamic, Profile::Keycloak] {
        let world = World::new(profile);
        let asked = json!({
            "scopes": ["sales-order.read", "sales-order.mine"],
            "grantTypes": ["authorization_code"],
            "redirectUris": ["https://api.example.com/back"],
        });
        world.declare("api", &["one"], asked);
        let operator = world.operator(&Life::new(None));
        let message = world.until_ready_says("api", "ScopeNotFound").await;
        assert!(message.contains("no ResourceType"), "{message}");
        assert_eq!(world.oauth[0].calls("register"), 0);
        declare(&world, &[]);
        let message = world.until_ready_says("api", "ScopeNotGranted").await;
        assert!(message.contains("grantedTo"), "{message}");
        assert_eq!(world.oauth[0].calls("register"), 0, "{profile:?}");
        grant(&world, &["api"]).await;
        world
            .until(HOUR, "version 1", |world| world.settled("api", 1))
            .await;
        assert_eq!(
            world.oauth[0].scopes("api"),
            [["sales-order.mine", "sales-order.read"]]
        );
        let held = || {
            world
                .server
                .get("resourcetypes", "", "sales-order")
                .unwrap()["status"]
                .clone()
        };
        world
            .until(MINUTE, "held", |_| held()["heldBy"] == "api")
            .await;
        assert_eq!(
            held()["held"][1],
            json!({"name": "read", "clients": ["team-shop/api"]})
        );
        grant(&world, &["somebody-else"]).await;
        world
            .until(HOUR, "taken away", |world| {
                world.oauth[0].scopes("api") == [["sales-order.mine"]]
            })
            .await;
        world.until_ready_says("api", "ScopeNotGranted").await;
        let (status, reason, _) = world.condition("api", "ScopesGranted").unwrap();
        assert_eq!(
            (status.as_str(), reason.as_str()),
            ("False", "ScopeNotGranted")
        );
        world
            .until(MINUTE, "told", |_| {
                held()["held"].as_array().unwrap().len() == 1
            })
            .await;
        assert_eq!(world.places.all().len(), 1, "what it may still do it does");
        operator.abort();
    }
}

/// With `client_credentials`, the default, nobody is asked.
#[tokio::test(start_paused = true)]
async fn what_persons_consent_to_is_not_had_without_them() {
    let world = World::new(Profile::Keycloak);
    declare(&world, &["api"]);
    let asked = json!({"scopes": ["sales-order.read", "sales-order.mine"]});
    world.declare("api", &["one"], asked);
    let operator = world.operator(&Life::new(None));
    let message = world.until_ready_says("api", "ScopeNotGranted").await;
    assert!(message.contains("client_credentials"), "{message}");
    tokio::time::sleep(HOUR).await;
    assert_eq!(world.oauth[0].calls("register"), 0);
    let only = json!({"spec": {"scopes": ["sales-order.read"]}});
    world.patch("api", only).await;
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    // To ask for more later is no way in, either.
    let more = json!({"spec": {"scopes": ["sales-order.read", "sales-order.mine"]}});
    world.patch("api", more).await;
    world.until_ready_says("api", "ScopeNotGranted").await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(world.oauth[0].scopes("api"), [["sales-order.read"]]);
    operator.abort();
}

/// Another team has the name.
fn give_the_name_away(world: &World) {
    world.put("Application", "team-other", "api", json!({}));
    let theirs = world.server.get("applications", "team-other", "api");
    let owner = json!({"team": "other", "namespace": "team-other", "uid": theirs.unwrap()["metadata"]["uid"]});
    world.put("ApplicationName", "", "api", json!({"owner": owner}));
}

/// The application was handed over: what was granted to it, its new team has.
#[tokio::test(start_paused = true)]
async fn who_loses_the_name_loses_what_was_granted_to_it() {
    let world = World::new(Profile::Keycloak);
    world.put("Application", NAMESPACE, "orders", json!({}));
    let spec = json!({"application": "orders", "namespace": NAMESPACE, "scopes": scopes(&["api"])});
    world.put("ResourceType", "", "sales-order", spec);
    world.declare("api", &["one"], json!({"scopes": ["sales-order.read"]}));
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    give_the_name_away(&world);
    world
        .until(HOUR, "taken away", |world| {
            world.oauth[0].scopes("api") == [Vec::<String>::new()]
        })
        .await;
    assert_eq!(world.oauth[0].live("api").len(), 1, "and nothing else");
    operator.abort();
}

/// The name is another team's: no client is registered under it.
#[tokio::test(start_paused = true)]
async fn a_client_is_of_an_application_that_has_its_name() {
    let world = World::new(Profile::Keycloak);
    give_the_name_away(&world);
    world.declare("api", &["one"], json!({}));
    let operator = world.operator(&Life::new(None));
    let message = world.until_ready_says("api", "ApplicationNotFound").await;
    assert!(message.contains("the name api"), "{message}");
    tokio::time::sleep(HOUR).await;
    assert_eq!(world.oauth[0].calls("register"), 0);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_resource_type_stays_while_somebody_holds_a_scope() {
    let world = World::new(Profile::Keycloak);
    declare(&world, &["api"]);
    world.declare("api", &["one"], json!({"scopes": ["sales-order.read"]}));
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    let api: kube::Api<ResourceType> = kube::Api::all(world.server.client());
    api.delete("sales-order", &DeleteParams::default())
        .await
        .unwrap();
    let held = |world: &World| said(world, "Unheld").1 == "StillHeld";
    world.until(MINUTE, "still held", held).await;
    assert!(
        said(&world, "Ready").2.contains("team-shop/api"),
        "{:?}",
        said(&world, "Ready")
    );
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(
        world.oauth[0].scopes("api"),
        [["sales-order.read"]],
        "nothing is taken away for it"
    );
    world.patch("api", json!({"spec": {"scopes": []}})).await;
    let gone = |world: &World| {
        world
            .server
            .get("resourcetypes", "", "sales-order")
            .is_none()
    };
    world.until(MINUTE, "gone", gone).await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn only_who_holds_the_name_speaks_for_the_application() {
    let world = World::new(Profile::Keycloak);
    let spec = json!({"application": "api", "namespace": "team-other", "scopes": scopes(&["api"])});
    world.put("ResourceType", "", "sales-order", spec);
    world.declare("api", &["one"], json!({"scopes": ["sales-order.read"]}));
    let operator = world.operator(&Life::new(None));
    world
        .until(MINUTE, "not owned", |world| {
            said(world, "Ready").1 == "NotOwned"
        })
        .await;
    world.until_ready_says("api", "ScopeNotFound").await;
    assert_eq!(world.oauth[0].calls("register"), 0);
    let held_in = |world: &World| {
        let stored = world.server.get("resourcetypes", "", "sales-order");
        stored.unwrap()["status"]["nameHeldIn"].clone()
    };
    assert_eq!(
        held_in(&world),
        "team-shop",
        "by which the policy lets that team take it"
    );
    let api: kube::Api<ResourceType> = kube::Api::all(world.server.client());
    let here = Patch::Merge(json!({"spec": {"namespace": "team-shop"}}));
    api.patch("sales-order", &PatchParams::default(), &here)
        .await
        .unwrap();
    world
        .until(MINUTE, "owned", |world| {
            said(world, "Accepted").1 == "Accepted" && held_in(world).is_null()
        })
        .await;
    operator.abort();
}
