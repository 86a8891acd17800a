//! What places hold when they get other names, and when something changes of what is in their files besides the credentials.

use bailiwick::identity::simulated::Profile;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::world::{HOUR, Life, MINUTE, NAMESPACE, World};

const A: &str = "secret team-shop/a";
const B: &str = "secret team-shop/b";

async fn settled(world: World, delivery: Value, more: Value) -> (World, JoinHandle<()>) {
    let mut spec = json!({"delivery": delivery});
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    world.declare("api", &[], spec);
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    (world, operator)
}

fn secret(name: &str, secret: &str) -> Value {
    json!({"name": name, "secret": {"name": secret}})
}

async fn deliver(world: &World, delivery: Value) {
    let patch = json!({"spec": {"delivery": delivery}});
    world.patch("api", patch).await;
}

fn names(world: &World) -> Vec<String> {
    let all = world.object("api").unwrap()["status"]["destinations"].clone();
    let all = all.as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = all
        .iter()
        .map(|place| place["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// What is in `client.json` at the place.
fn said(world: &World, place: &str, field: &str) -> Value {
    let content: Value = serde_json::from_str(&world.places.content(place).unwrap()).unwrap();
    content[field].clone()
}

/// Waits until the place says so, with version 1 still, and the client rests.
async fn until_it_says(world: &World, place: &str, field: &str, value: &str) {
    let is_said = |world: &World| said(world, place, field) == value && world.settled("api", 1);
    world.until(MINUTE, value, is_said).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_gets_another_name_keeps_what_it_holds() {
    let managed = |name: &str, more: Value| {
        let mut managed = json!({"account": "two", "region": "eu-central-1"});
        if more.is_string() {
            managed["secretName"] = more;
        }
        json!({"name": name, "secretsManager": managed})
    };
    let bucket = |name: &str| json!({"name": name, "s3": {"account": "two"}});
    let before = json!([
        secret("cluster", "a"),
        bucket("hosts"),
        managed("vault", json!(null))
    ]);
    let world = World::new(Profile::Dynamic);
    let (world, operator) = settled(world, before, json!({})).await;
    let held = world.places.all();
    assert_eq!(held.len(), 3);
    let places = world.places.clone();
    let watched = tokio::spawn(async move {
        loop {
            assert_eq!(places.all().len(), 3, "something is missing");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
    let written_out = managed("vault", json!("api/oauth-client"));
    let after = json!([secret("k8s", "a"), bucket("files"), written_out]);
    // What would be done says nothing of a removal.
    let plan = json!({"spec": {"mode": "Plan", "delivery": after}});
    world.patch("api", plan).await;
    world.until_ready_says("api", "ChangesPlanned").await;
    let plan = world.object("api").unwrap()["status"]["plan"].to_string();
    assert!(
        plan.contains("Deliver") && !plan.contains("Clean"),
        "{plan}"
    );
    world.patch("api", json!({"spec": {"mode": "Apply"}})).await;
    let renamed =
        |world: &World| names(world) == ["files", "k8s", "vault"] && world.settled("api", 1);
    world.until(MINUTE, "renamed", renamed).await;
    // Two names for one place, and one of them is taken away.
    deliver(
        &world,
        json!([
            secret("k8s", "a"),
            secret("copy", "a"),
            bucket("files"),
            written_out
        ]),
    )
    .await;
    let doubled = |world: &World| names(world).len() == 4 && world.settled("api", 1);
    world.until(MINUTE, "doubled", doubled).await;
    deliver(&world, after).await;
    world.until(MINUTE, "single again", renamed).await;
    tokio::time::sleep(7 * HOUR).await;
    assert_eq!(world.places.all(), held);
    assert_eq!(world.events("api", "DeliveryRemoved"), Vec::<String>::new());
    assert!(!watched.is_finished(), "something was missing meanwhile");
    watched.abort();
    // And what is really declared no more goes.
    deliver(&world, json!([secret("k8s", "a")])).await;
    let cleaned = |world: &World| world.places.all().len() == 1 && world.settled("api", 1);
    world.until(MINUTE, "cleaned", cleaned).await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_moved_in_vain_and_back_is_delivered_to_as_before() {
    let world = World::new(Profile::Dynamic);
    let (world, operator) = settled(world, json!([secret("cluster", "a")]), json!({})).await;
    world.places.deny(B, true);
    deliver(&world, json!([secret("cluster", "b")])).await;
    let message = world.until_ready_says("api", "DeliveryFailed").await;
    assert!(message.contains(B), "{message}");
    world.places.deny(B, false);
    deliver(&world, json!([secret("cluster", "a")])).await;
    let back = |world: &World| names(world) == ["cluster"] && world.settled("api", 1);
    world.until(MINUTE, "back", back).await;
    let written = world.places.writes(A);
    world.ask("api", "renew", "one").await;
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(world.places.writes(A), written + 1);
    assert_eq!(said(&world, A, "version"), 2);
    operator.abort();
}

/// The end of the version in use, as the status has it and as the place has it.
fn ends(world: &World) -> (Value, Value) {
    let object = world.object("api").unwrap();
    let status = object["status"]["versions"][0]["expiresAt"].clone();
    (status, said(world, A, "not_after"))
}

#[tokio::test(start_paused = true)]
async fn what_changes_besides_the_credentials_is_delivered_with_the_same_version() {
    let world = World::new(Profile::Keycloak);
    let (world, operator) = settled(world, json!([secret("cluster", "a")]), json!({})).await;
    let registered = world.oauth[0].calls("register");
    let (before, written) = (ends(&world), world.places.writes(A));
    assert_eq!(before.0, before.1);

    let period = json!({"spec": {"rotation": {"period": "60d"}}});
    world.patch("api", period).await;
    until_it_says(&world, A, "not_after", "2026-03-02T00:00:00Z").await;
    // The platform's period counts where the client has none.
    let of_provider = |more: Value| {
        let mut provider = world.server.get("oauthproviders", "", "as").unwrap();
        for (field, value) in more.as_object().unwrap() {
            provider[field] = value.clone();
        }
        world.server.put(&provider).unwrap();
    };
    world
        .patch("api", json!({"spec": {"rotation": null}}))
        .await;
    until_it_says(&world, A, "not_after", "2026-01-31T00:00:00Z").await;
    let mut spec = world.server.get("oauthproviders", "", "as").unwrap()["spec"].clone();
    spec["rotation"] = json!({"period": "45d"});
    of_provider(json!({"spec": spec}));
    until_it_says(&world, A, "not_after", "2026-02-15T00:00:00Z").await;
    assert_eq!(ends(&world).0, ends(&world).1);

    world.oauth[0].move_token_endpoint("elsewhere");
    let mut metadata = world.server.get("oauthproviders", "", "as").unwrap()["metadata"].clone();
    metadata["annotations"] = json!({"bailiwick.dev/reconcile-requested-at": "now"});
    of_provider(json!({"metadata": metadata}));
    until_it_says(
        &world,
        A,
        "token_endpoint",
        "https://as.example.com/elsewhere",
    )
    .await;

    assert_eq!(world.places.writes(A), written + 4, "once for each");
    assert_eq!(world.oauth[0].calls("register"), registered);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_workload_learns_of_another_audience() {
    let world = World::new(Profile::Keycloak);
    world.oauth[0].set_takes_workloads(true);
    let provider = |more: Value| {
        let mut how = json!({"credentialsSecret": "keycloak", "workloadIdentity": {"identityProvider": "cluster"}});
        if more.is_string() {
            how["workloadIdentity"]["audience"] = more;
        }
        json!({"issuer": "https://as.example.com/", "keycloak": how})
    };
    world.put("OAuthProvider", "", "as", provider(json!(null)));
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "api", "namespace": NAMESPACE}});
    world.server.put(&account).unwrap();
    let (world, operator) = settled(
        world,
        json!([secret("cluster", "a")]),
        json!({"serviceAccount": "api"}),
    )
    .await;
    let written = world.places.writes(A);
    assert_eq!(said(&world, A, "audience"), "https://as.example.com/");
    world.put("OAuthProvider", "", "as", provider(json!("company")));
    until_it_says(&world, A, "audience", "company").await;
    assert_eq!(world.places.writes(A), written + 1);

    // What was written before contents had a revision is not written again but once, at its next look.
    without_revision(&world);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.places.writes(A), written + 1);
    tokio::time::sleep(13 * HOUR).await;
    assert_eq!(world.places.writes(A), written + 2);
    assert!(world.settled("api", 1));
    operator.abort();
}

/// The status as it was before contents had a revision.
fn without_revision(world: &World) {
    let mut object = world.object("api").unwrap();
    let place = &mut object["status"]["destinations"][0];
    assert!(place["content"].is_string());
    place.as_object_mut().unwrap().remove("content");
    world.server.put(&object).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_before_there_were_revisions_is_not_delivered_again() {
    let world = World::new(Profile::Keycloak);
    let (world, operator) = settled(world, json!([secret("cluster", "a")]), json!({})).await;
    let written = world.places.writes(A);
    without_revision(&world);
    tokio::time::sleep(13 * HOUR).await;
    assert_eq!(world.places.writes(A), written);
    // From its next look on it has one.
    let place = world.object("api").unwrap()["status"]["destinations"][0].clone();
    assert!(place["content"].is_string(), "{place}");
    assert!(world.settled("api", 1));
    operator.abort();
}

/// A policy of the server that is newer than the client ends its secret with a change of ours, or when it is used.
#[tokio::test(start_paused = true)]
async fn an_end_that_the_server_sets_later_is_noticed() {
    for by_us in [true, false] {
        let world = World::new(Profile::KeycloakRotating);
        let more = json!({"authMethod": "client_secret_basic", "rotation": {"period": "90d", "overlap": "10m"}});
        let (world, operator) = settled(world, json!([secret("cluster", "a")]), more).await;
        let rotates = |world: &World| {
            let object = world.object("api").unwrap();
            object["status"]["nextRotation"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert!(ends(&world).0.as_str().unwrap() > "2026-03-31");
        let life = 29 * 24 * HOUR;
        world.oauth[0].end_secrets_after(life, world.time.clone());
        if by_us {
            let uris = json!({"spec": {"redirectUris": ["https://shop.example.com/back"]}});
            world.patch("api", uris).await;
            tokio::time::sleep(MINUTE).await;
        } else {
            let id = world.object("api").unwrap()["status"]["clientId"].clone();
            world.oauth[0].end_secrets_of(id.as_str().unwrap());
            tokio::time::sleep(7 * HOUR).await;
        }
        let (status, said) = ends(&world);
        assert!(
            status.as_str().unwrap().starts_with("2026-01-30T"),
            "{by_us}: {status}"
        );
        assert_eq!(status, said, "{by_us}");
        assert!(
            rotates(&world).as_str() < "2026-01-30",
            "{by_us}: {}",
            rotates(&world)
        );
        assert!(world.settled("api", 1), "{by_us}");
        // It is known then, and asked for no more.
        let asked = world.oauth[0].calls("secret_ends");
        tokio::time::sleep(13 * HOUR).await;
        assert_eq!(world.oauth[0].calls("secret_ends"), asked, "{by_us}");
        operator.abort();
    }
}
