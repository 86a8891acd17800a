//! What is taken back goes in our time and not in the holder's; and what nobody gave is not had.

use std::time::Duration;

use bailiwick::identity::simulated::Profile;
use serde_json::{Value, json};

use super::scopes::{declare, grant, said};
use super::world::{HOUR, Life, MINUTE, World};

const READ: &str = "sales-order.read";
const MINE: &str = "sales-order.mine";
const TWO: &str = "s3://two/api";

/// How many clients at the server have that scope.
fn holders(world: &World, scope: &str) -> usize {
    let all = world.oauth[0].scopes("api");
    let has = |scopes: &&Vec<String>| scopes.iter().any(|one| one == scope);
    all.iter().filter(has).count()
}

fn status(world: &World) -> Value {
    world.object("api").unwrap()["status"].clone()
}

/// The longest overlap that can be declared, nine years, under way when the grant goes.
#[tokio::test(start_paused = true)]
async fn an_overlap_keeps_nothing_that_was_taken_back() {
    for (profile, renews) in [
        (Profile::Dynamic, false),
        (Profile::Dynamic, true),
        (Profile::Keycloak, true),
    ] {
        let world = World::new(profile);
        declare(&world, &["api"]);
        let long = json!({"period": "9999d", "overlap": "3333d"});
        let fields =
            json!({"scopes": [READ], "rotation": long, "authMethod": "client_secret_basic"});
        world.declare("api", &["one", "s3:two"], fields);
        let operator = world.operator(&Life::new(None));
        world
            .until(HOUR, "version 1", |world| world.settled("api", 1))
            .await;
        if renews {
            world.ask("api", "renew", "one").await;
            let two = |world: &World| status(world)["version"] == 2;
            world.until(HOUR, "version 2", two).await;
            assert_eq!(holders(&world, READ), 2, "{profile:?}: both versions");
            // What is held is held, asked for or not.
            world.patch("api", json!({"spec": {"scopes": []}})).await;
            tokio::time::sleep(MINUTE).await;
        }
        grant(&world, &[]).await;
        let none = |world: &World| holders(world, READ) == 0;
        world.until(2 * HOUR + 5 * MINUTE, "taken back", none).await;
        let within = |world: &World| said(world, "WithinGrants").1.is_empty();
        world.until(MINUTE, "told", within).await;
        assert!(
            world.oauth[0].live("api").iter().all(|it| it.2),
            "{profile:?}"
        );
        let told = world.events("api", "OverlapShortened").len();
        assert_eq!(told, usize::from(renews), "{profile:?}");
        operator.abort();
    }
}

/// Nor does a rotation that was begun for another reason and cannot end, since a place takes nothing.
#[tokio::test(start_paused = true)]
async fn a_rotation_that_hangs_keeps_nothing_that_was_taken_back() {
    let world = World::new(Profile::Dynamic);
    declare(&world, &["api"]);
    world.declare("api", &["one", "s3:two"], json!({"scopes": [READ]}));
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    world.ask("api", "renew", "one").await;
    while world.oauth[0].calls("register") < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.places.deny(TWO, true);
    tokio::time::sleep(HOUR).await;
    assert_eq!(status(&world)["rotation"]["step"], "Deliver");
    assert_eq!(holders(&world, READ), 2);
    grant(&world, &[]).await;
    let none = |world: &World| holders(world, READ) == 0;
    world.until(3 * HOUR, "taken back", none).await;
    operator.abort();
}

/// What is declared no more and held all the same (the API server refuses that, but for who is faster than the status) is
/// named; nothing takes it away.
#[tokio::test(start_paused = true)]
async fn what_is_held_and_not_declared_any_more_is_named() {
    let world = World::new(Profile::Keycloak);
    declare(&world, &["api"]);
    world.declare("api", &["one"], json!({"scopes": [READ]}));
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    let mut object = world
        .server
        .get("resourcetypes", "", "sales-order")
        .unwrap();
    let scopes = object["spec"]["scopes"].as_array_mut().unwrap();
    scopes.retain(|scope| scope["name"] != "read");
    world.server.put(&object).unwrap();
    let told = |world: &World| said(world, "Ready").1 == "HeldWithoutGrant";
    world.until(MINUTE, "named", told).await;
    let message = said(&world, "WithinGrants").2;
    for word in ["read by team-shop/api", "not in spec.scopes"] {
        assert!(message.contains(word), "{message}");
    }
    tokio::time::sleep(HOUR).await;
    assert_eq!(holders(&world, READ), 1);
    declare(&world, &[]);
    let good = |world: &World| holders(world, READ) == 0 && said(world, "Ready").0 == "True";
    world.until(HOUR, "taken back", good).await;
    operator.abort();
}

/// A user that was made for an application is no person who consents.
#[tokio::test(start_paused = true)]
async fn a_user_of_an_application_consents_to_nothing() {
    let world = World::new(Profile::Keycloak);
    world.open_password_grant(true);
    declare(&world, &["api"]);
    let fields =
        json!({"scopes": [MINE], "grantTypes": ["password"], "authMethod": "client_secret_basic"});
    world.declare("api", &["one"], fields);
    let operator = world.operator(&Life::new(None));
    let message = world.until_ready_says("api", "ScopeNotGranted").await;
    assert!(message.contains("password"), "{message}");
    tokio::time::sleep(HOUR).await;
    assert_eq!(world.oauth[0].calls("register"), 0);
    operator.abort();
}

/// What a person reads who is asked, where the server asks with our words.
#[tokio::test(start_paused = true)]
async fn persons_read_what_the_owner_of_a_scope_wrote() {
    for (profile, texts) in [
        (Profile::Keycloak, ["Reads one's own.", "See your orders."]),
        (Profile::Dynamic, ["", ""]),
    ] {
        let world = World::new(profile);
        declare(&world, &[]);
        let people = json!({"scopes": [MINE], "grantTypes": ["authorization_code"],
            "redirectUris": ["https://api.example.com/back"]});
        world.declare("api", &["one"], people);
        let operator = world.operator(&Life::new(None));
        world
            .until(HOUR, "version 1", |world| world.settled("api", 1))
            .await;
        let shown = |world: &World| {
            let mut all = world.oauth[0].consent("api");
            assert_eq!(all.len(), 1, "{profile:?}");
            all.remove(0).remove(MINE).unwrap_or_default()
        };
        assert_eq!(shown(&world), texts[0]);
        let mut object = world
            .server
            .get("resourcetypes", "", "sales-order")
            .unwrap();
        object["spec"]["scopes"][1]["consentText"] = json!("See your orders.");
        world.server.put(&object).unwrap();
        world
            .until(MINUTE, "the new text", |world| shown(world) == texts[1])
            .await;
        tokio::time::sleep(HOUR).await;
        assert!(
            world.settled("api", 1),
            "{profile:?}: no other version for it"
        );
        operator.abort();
    }
}

/// A user pool has its resource servers from elsewhere, and asks nobody.
#[tokio::test(start_paused = true)]
async fn a_resource_server_is_nobodys_for_its_name() {
    let world = World::new(Profile::Cognito);
    let hand_over = |servers: Value| {
        let mut provider = world.server.get("oauthproviders", "", "as").unwrap();
        provider["spec"]["cognito"]["resourceServers"] = servers;
        world.server.put(&provider).unwrap();
    };
    declare(&world, &["api"]);
    let people = json!({"scopes": [READ], "grantTypes": ["authorization_code"],
        "redirectUris": ["https://api.example.com/back"]});
    world.declare("api", &["one"], people);
    let operator = world.operator(&Life::new(None));
    for servers in [
        json!([]),
        json!([{"name": "sales-order", "application": "orders"}, {"name": "billing", "application": "api"}]),
    ] {
        hand_over(servers);
        let message = world.until_ready_says("api", "ScopeNotGranted").await;
        assert!(
            message.contains("spec.cognito.resourceServers"),
            "{message}"
        );
        tokio::time::sleep(HOUR).await;
        assert_eq!(world.oauth[0].calls("register"), 0);
    }
    hand_over(json!([{"name": "sales-order", "application": "api"}]));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    // What is held stays, and what is a person's needs the grant.
    hand_over(json!([]));
    world.until_ready_says("api", "ScopeNotGranted").await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(world.oauth[0].scopes("api"), [[READ]]);
    hand_over(json!([{"name": "sales-order", "application": "api"}]));
    let more = json!({"spec": {"scopes": [READ, MINE]}});
    world.patch("api", more).await;
    let message = world.until_ready_says("api", "ScopeNotGranted").await;
    assert!(message.contains(MINE), "{message}");
    assert_eq!(world.oauth[0].scopes("api"), [[READ]]);
    operator.abort();
}

/// What a change would make of what is there is said before it is made.
#[tokio::test(start_paused = true)]
async fn a_plan_says_what_is_there_and_what_would_be() {
    for (profile, action) in [
        (Profile::Keycloak, "Update"),
        (Profile::Dynamic, "Register"),
    ] {
        let world = World::new(profile);
        declare(&world, &["api"]);
        world.declare("api", &["one"], json!({"scopes": [READ]}));
        let operator = world.operator(&Life::new(None));
        world
            .until(HOUR, "version 1", |world| world.settled("api", 1))
            .await;
        let planned = json!({"spec": {"mode": "Plan", "scopes": []}});
        world.patch("api", planned).await;
        world.until_ready_says("api", "ChangesPlanned").await;
        let plan = status(&world)["plan"].clone();
        let text = |change: usize, field: &str| plan[change][field].as_str().unwrap_or_default();
        assert_eq!(text(0, "action"), action);
        assert_eq!(text(0, "before"), format!("version 1 with scopes {READ}"));
        assert!(
            text(0, "after").contains("with no scopes, grant types client_credentials"),
            "{plan}"
        );
        if action == "Register" {
            assert_eq!(text(1, "action"), "Deliver");
            assert_eq!(text(1, "before"), "version 1");
        }
        operator.abort();
    }
}
