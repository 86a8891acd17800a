//! Credentials that are lost, refused, ended or kept by the wrong one: what works goes on working, and somebody is told.

use std::time::Duration;

use bailiwick::identity::simulated::{Profile, SimulatedServers};
use bailiwick::identity::{
    ClientMetadata, Method, NewClient, RegistrationOptions, ServerOptions, Servers,
};
use bailiwick::model::Secret;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::world::{Blow, HOUR, Life, MINUTE, NAMESPACE, Readers, World, credential};

const ONE: &str = "secret team-shop/one";
const TWO: &str = "s3://two/api";
const DAY: Duration = Duration::from_secs(86_400);

async fn settled(profile: Profile, more: Value) -> (World, tokio::task::JoinHandle<()>) {
    let world = World::new(profile);
    world.declare("api", &["one", "s3:two"], more);
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    (world, operator)
}

fn status(world: &World) -> Value {
    world.object("api").unwrap()["status"].clone()
}

fn client_id(world: &World) -> String {
    status(world)["clientId"].as_str().unwrap().to_owned()
}

async fn in_use(world: &World, version: i64, limit: Duration) {
    let found = move |world: &World| status(world)["version"] == version;
    world.until(limit, "in use", found).await;
}

/// A renewal whose new version one place does not take: it is delivered to the other, and waits.
async fn stopped_midway(world: &World) {
    world.ask("api", "renew", "one").await;
    let begun = |world: &World| !status(world)["rotation"].is_null();
    for _ in 0..100_000 {
        if begun(world) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.places.set_away(TWO, true);
    let delivering = |world: &World| status(world)["rotation"]["step"] == "Deliver";
    world.until(HOUR, "delivering", delivering).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_when_its_successor_shall_come_beside_is_made_anew() {
    for (profile, method) in [
        (Profile::KeycloakRotating, "client_secret_basic"),
        (Profile::Cognito, "client_secret_basic"),
        (Profile::Keycloak, "private_key_jwt"),
    ] {
        let (world, operator) = settled(profile, json!({"authMethod": method})).await;
        let id = client_id(&world);
        world.oauth[0].forget_client(&id);
        world.ask("api", "renew", "one").await;
        world
            .until(10 * MINUTE, "made anew", |world| {
                world
                    .condition("api", "Ready")
                    .is_some_and(|it| it.0 == "True")
                    && status(world)["version"] == 3
            })
            .await;
        let event = world.events("api", "ClientLost").join("");
        assert!(event.contains(&id), "{profile:?}: {event}");
        world
            .until(HOUR, "alone", |world| world.settled("api", 3))
            .await;
        assert_eq!(world.oauth[0].live("api").len(), 1, "{profile:?}");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_when_it_shall_be_changed_is_made_anew() {
    let (world, operator) = settled(Profile::Keycloak, json!({})).await;
    world.oauth[0].forget_client(&client_id(&world));
    let more = json!({"spec": {"redirectUris": ["https://shop.example.com/back"]}});
    world.patch("api", more).await;
    world
        .until(HOUR, "made anew", |world| world.settled("api", 2))
        .await;
    assert_eq!(world.events("api", "ClientLost").len(), 1);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_noticed_while_a_rotation_waits() {
    let (world, operator) = settled(Profile::Dynamic, json!({})).await;
    let id = client_id(&world);
    stopped_midway(&world).await;
    world.oauth[0].forget_client(&id);
    tokio::time::sleep(7 * HOUR).await;
    let (registered, reason, message) = world.condition("api", "Registered").unwrap();
    assert_eq!(
        (registered.as_str(), reason.as_str()),
        ("False", "ClientLost")
    );
    assert!(message.contains(&id), "{message}");
    assert_eq!(world.condition("api", "Ready").unwrap().0, "False");
    world.places.set_away(TWO, false);
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    assert_eq!(world.condition("api", "Registered").unwrap().0, "True");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_got_no_further_is_completed() {
    let mut struck = 0;
    for blow in [Blow::KilledAfter, Blow::AnswerLost] {
        for position in 1..=6 {
            let world = World::new(Profile::Keycloak);
            let scopes = json!([
                {"name": "read", "summary": "Reads orders.", "class": "Application", "grantedTo": ["api"]},
            ]);
            let spec = json!({"application": "api", "namespace": NAMESPACE, "scopes": scopes});
            world.put("ResourceType", "", "sales-order", spec);
            world.declare("api", &["one"], json!({"scopes": ["sales-order.read"]}));
            let first = Life::new(Some((position, blow)));
            let mut operators = vec![world.operator(&first)];
            tokio::time::sleep(MINUTE).await;
            if first.is_dead() {
                operators.push(world.operator(&Life::new(None)));
            }
            world
                .until(HOUR, "version 1", |world| world.settled("api", 1))
                .await;
            assert_eq!(world.oauth[0].scopes("api"), [["sales-order.read"]]);
            let what = first.struck.lock().unwrap().clone();
            struck += usize::from(what.as_deref() == Some("register"));
            operators.iter().for_each(tokio::task::JoinHandle::abort);
        }
    }
    assert_eq!(struck, 2, "the call that matters was struck");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_taken_back() {
    let world = World::new(Profile::Dynamic);
    world.declare("api", &["one", "s3:two"], json!({}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    let readers = Readers::start(&world);
    // What we choose can be kept, and then nothing more.
    life.let_update(Some(1));
    world.ask("api", "renew", "one").await;
    for _ in 0..60 {
        tokio::time::sleep(MINUTE).await;
        let live = world.oauth[0].live("api").len();
        assert!(live <= 2, "{live}");
    }
    let registered = world.oauth[0].calls("register");
    assert!(registered > 3, "{registered}: it was tried again");
    life.let_update(None);
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    assert_eq!(world.oauth[0].live("api").len(), 1);
    readers.end("kept in the end");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn one_refusal_during_an_overlap_takes_nothing_away() {
    for profile in Profile::ALL {
        let (world, operator) =
            settled(profile, json!({"authMethod": "client_secret_basic"})).await;
        world.ask("api", "renew", "one").await;
        in_use(&world, 2, HOUR).await;
        let readers = Readers::start(&world);
        world.oauth[0].distrust(1);
        world.ask("api", "reconcile", "now").await;
        let message = world.until_ready_says("api", "ClientLost").await;
        assert!(!message.is_empty());
        world
            .until(HOUR, "settled", |world| world.settled("api", 2))
            .await;
        assert!(world.events("api", "Abandoned").is_empty(), "{profile:?}");
        readers.end("doubted");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_during_the_overlap_is_made_anew_at_once() {
    for (profile, method) in [
        (Profile::KeycloakRotating, "client_secret_basic"),
        (Profile::Cognito, "client_secret_basic"),
        (Profile::Keycloak, "private_key_jwt"),
    ] {
        let fields = json!({"authMethod": method, "rotation": {"period": "30d", "overlap": "6h"}});
        let (world, operator) = settled(profile, fields).await;
        world.ask("api", "renew", "one").await;
        in_use(&world, 2, HOUR).await;
        world.oauth[0].forget_client(&client_id(&world));
        world.ask("api", "reconcile", "now").await;
        in_use(&world, 3, 20 * MINUTE).await;
        world
            .until(8 * HOUR, "settled", |world| world.settled("api", 3))
            .await;
        assert_eq!(world.oauth[0].live("api").len(), 1, "{profile:?}");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_removed_is_named_until_it_is() {
    for profile in [Profile::Dynamic, Profile::Keycloak] {
        let (world, operator) =
            settled(profile, json!({"authMethod": "client_secret_basic"})).await;
        let id = client_id(&world);
        world.oauth[0].set_keeping(true);
        world.ask("api", "renew", "one").await;
        in_use(&world, 2, HOUR).await;
        let readers = Readers::start(&world);
        let message = world.until_ready_says("api", "RemovalDenied").await;
        assert!(message.contains(&id), "{profile:?}: {message}");
        // The next one has to wait, and says for what.
        let registered = world.oauth[0].calls("register");
        world.ask("api", "renew", "two").await;
        tokio::time::sleep(3 * HOUR).await;
        let (_, reason, message) = world.condition("api", "Ready").unwrap();
        assert_eq!(reason, "RemovalDenied", "{profile:?}: {message}");
        let (_, reason, message) = world.condition("api", "Rotating").unwrap();
        assert_eq!(reason, "RotationDelayed", "{profile:?}: {message}");
        for word in ["version 1", id.as_str()] {
            assert!(message.contains(word), "{profile:?}: {word}: {message}");
        }
        assert_eq!(world.oauth[0].calls("register"), registered);
        world.oauth[0].set_keeping(false);
        world
            .until(3 * HOUR, "version 3", |world| world.settled("api", 3))
            .await;
        assert_eq!(world.oauth[0].live("api").len(), 1);
        readers.end("kept");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_version_that_is_refused_is_tried_again_and_clocks_are_named() {
    let world = World::new(Profile::Keycloak);
    world.oauth[0].distrust(4);
    world.declare("api", &["one"], json!({"authMethod": "private_key_jwt"}));
    let operator = world.operator(&Life::new(None));
    let message = world.until_ready_says("api", "CredentialsRefused").await;
    assert!(message.contains("clocks"), "{message}");
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_after_the_delivery_holds_up_only_the_promotion() {
    for profile in Profile::ALL {
        let (world, operator) = settled(profile, json!({})).await;
        let readers = Readers::start(&world);
        stopped_midway(&world).await;
        world.oauth[0].set_withholding(true);
        world.places.set_away(TWO, false);
        let waits = |world: &World| {
            let said = world.condition("api", "Rotating");
            said.is_some_and(|(_, reason, message)| {
                reason == "RotationDelayed" && message.contains("version 2 and gives it no token")
            })
        };
        world.until(2 * HOUR, "refused at the test", waits).await;
        assert_eq!(status(&world)["rotation"]["step"], "Test", "{profile:?}");
        tokio::time::sleep(2 * HOUR).await;
        assert_eq!(status(&world)["version"], 1, "{profile:?}");
        assert!(world.events("api", "Abandoned").is_empty(), "{profile:?}");
        world.oauth[0].set_withholding(false);
        world
            .until(2 * HOUR, "version 2", |world| world.settled("api", 2))
            .await;
        readers.end("withheld");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_to_wait_during_a_rotation_is_given_time() {
    let (world, operator) = settled(Profile::Dynamic, json!({})).await;
    let readers = Readers::start(&world);
    stopped_midway(&world).await;
    let registered = world.oauth[0].calls("register");
    world.oauth[0].throttle(1, 20 * MINUTE);
    world.places.set_away(TWO, false);
    let tested = |world: &World| status(world)["rotation"]["step"] == "Test";
    world.until(HOUR, "asked to wait", tested).await;
    let (calls, registers) = (world.oauth[0].all_calls(), registered);
    tokio::time::sleep(15 * MINUTE).await;
    assert_eq!(world.oauth[0].all_calls(), calls, "nobody asks before that");
    assert_eq!(status(&world)["version"], 1);
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    assert_eq!(world.oauth[0].calls("register"), registers);
    readers.end("asked to wait");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_place_that_refuses_for_ever_ends_only_itself_where_secrets_end() {
    for profile in [Profile::Dynamic, Profile::KeycloakRotating] {
        let world = World::new(profile);
        world.oauth[0].end_secrets_after(2 * DAY, world.time.clone());
        let fields = json!({"authMethod": "client_secret_basic"});
        world.declare("api", &["one", "s3:two"], fields);
        let operator = world.operator(&Life::new(None));
        world
            .until(HOUR, "version 1", |world| world.settled("api", 1))
            .await;
        world.places.deny(TWO, true);
        for hour in 0..6 * 24 {
            tokio::time::sleep(HOUR).await;
            let content = world.places.content(ONE).unwrap();
            let (id, credential) = credential(&content).unwrap();
            assert!(
                world.oauth[0].takes(&id, &credential),
                "{profile:?}: hour {hour}: {:#}",
                status(&world)
            );
            assert!(world.oauth[0].live("api").len() <= 2, "{profile:?}");
        }
        let (ready, _, message) = world.condition("api", "Ready").unwrap();
        assert_eq!(ready, "False", "{profile:?}");
        assert!(message.contains(TWO), "{profile:?}: {message}");
        let version = status(&world)["version"].as_i64().unwrap();
        assert!(version >= 3, "{profile:?}: {version}");
        world.places.deny(TWO, false);
        let mended = |world: &World| {
            let ready = world.condition("api", "Ready");
            ready.is_some_and(|(ready, ..)| ready == "True")
        };
        world.until(2 * HOUR, "mended", mended).await;
        operator.abort();
    }
}

/// Registers a client as an operator would have that went by an old status, and keeps it under this number.
async fn stray(world: &World, number: i64) -> String {
    let servers = SimulatedServers {
        servers: world.oauth.clone(),
        interceptor: Life::new(None),
    };
    let issuer = "https://as.example.com/".parse().unwrap();
    let server = servers
        .open(ServerOptions {
            issuer,
            authorities: String::new(),
            registration: RegistrationOptions::Dynamic {
                initial_access_token: None,
            },
        })
        .unwrap();
    let uid = world.object("api").unwrap()["metadata"]["uid"].clone();
    let uid = uid.as_str().unwrap().to_owned();
    let made = server
        .register(&NewClient {
            handle: format!("api-{uid}-{number}"),
            uid: uid.clone(),
            metadata: ClientMetadata {
                name: "api, a stray one".to_owned(),
                grant_types: vec!["client_credentials".to_owned()],
                redirect_uris: Vec::new(),
                scopes: Vec::new(),
                consent: Default::default(),
                method: Method::SecretBasic,
                keys: Vec::new(),
                subject: None,
            },
            secret: Secret::new("chosen"),
        })
        .await
        .unwrap();
    let management = made.management.as_ref();
    let entry = json!({
        "chosen": "chosen", "clientId": made.client_id, "secret": made.secret.as_ref().map(Secret::reveal),
        "managementUri": management.map(|it| it.uri.to_string()),
        "managementToken": management.map(|it| it.token.reveal()),
    });
    let secrets: kube::Api<KubeSecret> = kube::Api::namespaced(world.server.client(), "default");
    let patch = json!({"stringData": {format!("{number}.json"): entry.to_string()}});
    secrets
        .patch(
            &format!("bailiwick-oauth-{uid}"),
            &PatchParams::default(),
            &Patch::Merge(&patch),
        )
        .await
        .unwrap();
    made.client_id
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_and_known_to_nobody_is_removed() {
    // Not where the stray one would have the id of the client in use, and its secret take the place of that one's.
    for profile in [Profile::Dynamic, Profile::Keycloak, Profile::Cognito] {
        let (world, operator) =
            settled(profile, json!({"authMethod": "client_secret_basic"})).await;
        world.ask("api", "renew", "one").await;
        world
            .until(HOUR, "version 2", |world| world.settled("api", 2))
            .await;
        let readers = Readers::start(&world);
        let id = stray(&world, 1).await;
        // One of a later number may be what another operator is about to say.
        let later = stray(&world, 9).await;
        assert!(world.kept("api").contains(&id), "{profile:?}");
        world.ask("api", "reconcile", "now").await;
        world
            .until(HOUR, "removed", |world| !world.kept("api").contains(&id))
            .await;
        let live = world.oauth[0].live("api");
        assert!(
            live.iter().all(|(live, ..)| *live != id),
            "{profile:?}: {live:?}"
        );
        assert!(
            live.iter().any(|(live, ..)| *live == later),
            "{profile:?}: {live:?}"
        );
        assert!(world.settled("api", 2), "{profile:?}");
        readers.end("a stray one");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_removed_is_not_said_to_be() {
    let (world, operator) = settled(Profile::Dynamic, json!({})).await;
    let id = client_id(&world);
    let uid = world.object("api").unwrap()["metadata"]["uid"].clone();
    let vault = format!("bailiwick-oauth-{}", uid.as_str().unwrap());
    let secrets: kube::Api<KubeSecret> = kube::Api::namespaced(world.server.client(), "default");
    secrets.delete(&vault, &Default::default()).await.unwrap();
    world.ask("api", "reconcile", "now").await;
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    assert_eq!(world.oauth[0].live("api").len(), 2, "it is still there");
    let event = world.events("api", "RemovalDenied").join("");
    assert!(event.contains(&id) && event.contains("by hand"), "{event}");
    let event = world.events("api", "Retired").join("");
    assert!(!event.contains("version 1"), "{event}");
    operator.abort();
}
