//! Applications without credentials: by the identity that the cluster gives to their pods.

use bailiwick::identity::Credential;
use bailiwick::identity::simulated::Profile;
use bailiwick::model::Secret;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::kills::{each_write, table};
use super::world::{Blow, HOUR, Life, MINUTE, NAMESPACE, Readers, World};

const ONE: &str = "secret team-shop/one";
const SUBJECT: &str = "system:serviceaccount:team-shop:api";

/// A world whose provider takes the identity of workloads, with these ServiceAccounts.
fn world(accounts: &[&str]) -> World {
    let world = World::new(Profile::Keycloak);
    world.oauth[0].set_takes_workloads(true);
    let how = json!({"credentialsSecret": "keycloak", "workloadIdentity": {"identityProvider": "cluster"}});
    let spec = json!({"issuer": "https://as.example.com/", "keycloak": how});
    world.put("OAuthProvider", "", "as", spec);
    accounts.iter().for_each(|name| account(&world, name));
    world
}

fn account(world: &World, name: &str) {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}});
    assert!(world.server.put(&account).is_some());
}

async fn settled(world: World) -> (World, JoinHandle<()>) {
    world.declare("api", &["one"], json!({"serviceAccount": "api"}));
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    (world, operator)
}

fn delivered(world: &World) -> Value {
    serde_json::from_str(&world.places.content(ONE).unwrap()).unwrap()
}

/// Whether a pod of that ServiceAccount gets a token.
fn gets_one(world: &World, account: &str) -> bool {
    let credential = Credential::Assertion(Secret::new(format!(
        "system:serviceaccount:{NAMESPACE}:{account}"
    )));
    let clients = world.oauth[0].live("api");
    clients
        .iter()
        .any(|(id, ..)| world.oauth[0].takes(id, &credential))
}

#[tokio::test(start_paused = true)]
async fn there_is_nothing_to_keep_and_nothing_to_replace() {
    let world = world(&["api"]);
    let short = json!({"serviceAccount": "api", "rotation": {"period": "2h", "overlap": "10m"}});
    world.declare("api", &["one"], short);
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    let client = delivered(&world);
    for (field, value) in [
        ("client_secret", json!(null)),
        ("private_key", json!(null)),
        ("not_after", json!(null)),
        ("version", json!(1)),
        ("subject", json!(SUBJECT)),
        ("audience", json!("https://as.example.com/")),
        (
            "token_file",
            json!("/var/run/secrets/bailiwick.dev/serviceaccount/token"),
        ),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
    ] {
        assert_eq!(client[field], value, "{field}");
    }
    let object = world.object("api").unwrap();
    let status = &object["status"];
    assert_eq!(status["authMethod"], "workload_identity");
    assert_eq!(status["clientId"], client["client_id"]);
    assert_eq!(status["nextRotation"], json!(null));
    assert_eq!(status["versions"][0]["serviceAccount"], "api");
    assert_eq!(status["versions"][0]["expiresAt"], json!(null));
    let uid = object["metadata"]["uid"].as_str().unwrap();
    let vault = world
        .server
        .get("secrets", "default", &format!("bailiwick-oauth-{uid}"));
    assert_eq!(vault, None, "nothing is kept");
    let (.., message) = world.condition("api", "Registered").unwrap();
    assert!(
        message.contains("no credentials, and nothing is replaced"),
        "{message}"
    );

    world.ask("api", "renew", "one").await;
    for _ in 0..2 {
        // Another operator begins with nothing but what the cluster holds.
        operator.abort();
        let operator = world.operator(&Life::new(None));
        tokio::time::sleep(20 * HOUR).await;
        assert!(world.settled("api", 1));
        operator.abort();
    }
    assert_eq!(world.oauth[0].calls("register"), 1);
    assert_eq!(
        world.oauth[0].calls("token"),
        0,
        "nobody but a pod has such a token"
    );
    assert!(world.oauth[0].calls("confirm") > 5, "it is looked at");
    assert!(gets_one(&world, "api") && !gets_one(&world, "other"));
}

#[tokio::test(start_paused = true)]
async fn a_service_account_that_is_not_there_is_said_and_waited_for() {
    let world = world(&[]);
    world.declare("api", &["one"], json!({"serviceAccount": "api"}));
    let operator = world.operator(&Life::new(None));
    let message = world
        .until_ready_says("api", "ServiceAccountNotFound")
        .await;
    assert!(
        message.contains(r#"no ServiceAccount "api" in namespace team-shop"#),
        "{message}"
    );
    let registered = |world: &World| {
        world
            .condition("api", "Registered")
            .is_some_and(|it| it.0 == "True")
    };
    world.until(HOUR, "registered meanwhile", registered).await;
    account(&world, "api");
    world
        .until(2 * MINUTE, "found", |world| world.settled("api", 1))
        .await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_does_not_offer_is_refused_and_not_replaced_by_a_secret() {
    for declared in [
        json!({"serviceAccount": "api"}),
        json!({"serviceAccount": "api", "authMethod": "workload_identity"}),
    ] {
        let world = World::new(Profile::Keycloak);
        world.declare("api", &["one"], declared);
        let operator = world.operator(&Life::new(None));
        let message = world.until_ready_says("api", "MethodNotSupported").await;
        assert!(
            message.contains("spec.keycloak.workloadIdentity"),
            "{message}"
        );
        tokio::time::sleep(HOUR).await;
        assert_eq!(world.oauth[0].calls("register"), 0);
        operator.abort();
    }
    // Where it is offered, whoever names nobody is given a key as before.
    let world = world(&["api"]);
    world.declare("api", &["one"], json!({}));
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    assert!(delivered(&world)["private_key"].is_string());
    operator.abort();
}

/// Who asks with what was read some minutes ago gets a token all the time, whichever way that is.
#[tokio::test(start_paused = true)]
async fn from_a_secret_to_a_workload_to_another_one_and_back() {
    let world = world(&["api", "other"]);
    world.declare(
        "api",
        &["one"],
        json!({"authMethod": "client_secret_basic"}),
    );
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "a secret", |world| world.settled("api", 1))
        .await;
    let readers = Readers::start(&world);
    let declared = |account: Value, method: Value| json!({"spec": {"serviceAccount": account, "authMethod": method}});
    world
        .patch("api", declared(json!("api"), json!("workload_identity")))
        .await;
    world
        .until(MINUTE, "in use", |world| delivered(world)["version"] == 2)
        .await;
    let versions = world.object("api").unwrap()["status"]["versions"].clone();
    assert_eq!(versions[0]["state"], "Previous", "{versions:#}");
    world
        .until(HOUR, "a workload", |world| world.settled("api", 2))
        .await;
    assert!(gets_one(&world, "api"));

    world
        .patch("api", declared(json!("other"), json!(null)))
        .await;
    world
        .until(MINUTE, "in use", |world| delivered(world)["version"] == 3)
        .await;
    assert!(
        gets_one(&world, "api") && gets_one(&world, "other"),
        "for the overlap"
    );
    // And back, while the one before is there: it waits, since no server takes two clients for one subject.
    world
        .patch("api", declared(json!("api"), json!(null)))
        .await;
    world
        .until(HOUR, "back", |world| world.settled("api", 4))
        .await;
    assert!(gets_one(&world, "api") && !gets_one(&world, "other"));

    world.patch("api", declared(json!(null), json!(null))).await;
    world
        .until(HOUR, "a key", |world| world.settled("api", 5))
        .await;
    assert!(delivered(&world)["private_key"].is_string());
    assert_eq!(world.oauth[0].live("api").len(), 1);
    assert!(world.oauth[0].most_live("api") <= 2);
    readers.end("all ways");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changes_at_the_server_is_changed_back_and_what_is_removed_made_again() {
    let (world, operator) = settled(world(&["api"])).await;
    let id = delivered(&world)["client_id"].as_str().unwrap().to_owned();
    world.oauth[0].give_away(&id, "system:serviceaccount:team-evil:api");
    assert!(!gets_one(&world, "api"));
    world.ask("api", "reconcile", "one").await;
    world
        .until(MINUTE, "changed back", |world| gets_one(world, "api"))
        .await;
    let event = world.events("api", "Updated").join("");
    assert!(
        event.contains(&id) && event.contains("changed back"),
        "{event}"
    );
    assert!(world.settled("api", 1));

    world.oauth[0].forget_client(&id);
    world.ask("api", "reconcile", "two").await;
    world
        .until(HOUR, "made again", |world| world.settled("api", 2))
        .await;
    assert!(gets_one(&world, "api"));
    // Its administrators close the way: nobody gets a token, and it is said.
    world.oauth[0].set_takes_workloads(false);
    tokio::time::sleep(13 * HOUR).await;
    world.until_ready_says("api", "MethodNotSupported").await;
    assert_eq!(
        world.oauth[0].live("api").len(),
        1,
        "nothing is removed for that"
    );
    operator.abort();
}

/// A server takes two clients with one subject for none.
#[tokio::test(start_paused = true)]
async fn a_service_account_is_one_clients() {
    let (world, operator) = settled(world(&["api", "other"])).await;
    let readers = Readers::start(&world);
    world.declare("young", &[], json!({"serviceAccount": "api"}));
    let message = world.until_ready_says("young", "ServiceAccountTaken").await;
    assert!(message.contains("OAuthClient api has"), "{message}");
    // Nor by way of another provider that leads to the same server.
    let provider = world.server.get("oauthproviders", "", "as").unwrap();
    let mut spec = provider["spec"].clone();
    spec["issuer"] = json!("https://as.example.com");
    world.put("OAuthProvider", "", "mirror", spec);
    let mirrored = json!({"serviceAccount": "api", "provider": "mirror"});
    world.declare("mirrored", &[], mirrored);
    let message = world
        .until_ready_says("mirrored", "ServiceAccountTaken")
        .await;
    assert!(message.contains("OAuthClient api has"), "{message}");
    world.delete("mirrored").await;
    // The older one wants what the younger one has by now.
    world
        .patch("young", json!({"spec": {"serviceAccount": "other"}}))
        .await;
    world
        .until(HOUR, "another", |world| world.settled("young", 1))
        .await;
    world
        .patch("api", json!({"spec": {"serviceAccount": "other"}}))
        .await;
    world.until_ready_says("api", "ServiceAccountTaken").await;
    readers.end("what is in use stays in use");
    world
        .patch("young", json!({"spec": {"deletionPolicy": "Delete"}}))
        .await;
    world.delete("young").await;
    world
        .until(200 * HOUR, "given", |world| world.settled("api", 2))
        .await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn it_goes_with_its_object() {
    let (world, operator) = settled(world(&["api"])).await;
    world.ask("api", "revoke", "incident").await;
    world
        .until(HOUR, "another client", |world| world.settled("api", 2))
        .await;
    assert!(gets_one(&world, "api"));
    world
        .patch("api", json!({"spec": {"deletionPolicy": "Delete"}}))
        .await;
    world.delete("api").await;
    world
        .until(200 * HOUR, "gone", |world| world.object("api").is_none())
        .await;
    assert!(world.oauth[0].live("api").is_empty());
    assert!(world.places.all().is_empty());
    operator.abort();
}

/// Made, given to another workload, and turned into a secret, with one blow at the operator.
async fn life(strike: Option<(u64, Blow)>) -> (u64, Option<String>) {
    let world = world(&["api", "other"]);
    world.declare("api", &["one"], json!({"serviceAccount": "api"}));
    let readers = Readers::start(&world);
    let (first, second) = (Life::new(strike), Life::new(None));
    let mut operators = vec![world.operator(&first)];
    let steps = [
        Some(json!({"spec": {"serviceAccount": "other"}})),
        Some(json!({"spec": {"serviceAccount": null, "authMethod": "client_secret_basic"}})),
        None,
    ];
    let mut steps = steps.into_iter().zip(1..);
    let mut waits = steps.next();
    for _ in 0..3600 {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        if first.is_dead() && operators.len() == 1 {
            operators.push(world.operator(&second));
        }
        let Some((step, least)) = &waits else { break };
        let reached = (*least..least + 4).any(|version| world.settled("api", version));
        if !reached {
            continue;
        }
        if let Some(step) = step {
            world.patch("api", step.clone()).await;
        }
        waits = steps.next();
    }
    let struck = first.struck.lock().unwrap().clone();
    let context = format!("{strike:?} at {struck:?}");
    assert!(
        waits.is_none(),
        "{context}: {:#}",
        world.object("api").unwrap()
    );
    let live = world.oauth[0].live("api");
    assert_eq!(live.len(), 1, "{context}: {live:?}");
    assert_eq!(world.kept("api"), [live[0].0.clone()], "{context}");
    assert!(world.oauth[0].most_live("api") <= 2, "{context}");
    assert!(readers.end(&context) > 100, "{context}");
    operators.iter().for_each(JoinHandle::abort);
    (first.writes(), struck)
}

#[tokio::test(start_paused = true)]
async fn whatever_befalls_the_operator_pods_get_tokens() {
    let needed = [
        "register",
        "put",
        "delete",
        "oauthclients status",
        "Create secrets",
    ];
    table("workload", &needed, each_write, life).await;
}
