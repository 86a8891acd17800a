//! The places that credentials are delivered to: in the API server in memory, and in accounts of the simulated AWS.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use bailiwick::api::{DeliverySpec, GrantType, OAuthClient};
use bailiwick::cloud::simulated::{self, CredentialsFault, Options, SimulatedCloud};
use bailiwick::controllers::Caches;
use bailiwick::controllers::oauth_client::destination::{Bundle, Destination, Destinations};
use bailiwick::controllers::oauth_client::destinations::Places;
use bailiwick::dev::api_server::ApiServer;
use bailiwick::engine::{FailureKind, Outcome};
use bailiwick::model::{AccountId, Secret, Tags};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

const BUCKET: &str = "acme-mint";

struct World {
    server: ApiServer,
    cloud: SimulatedCloud,
    account: AccountId,
    places: Places,
}

impl World {
    async fn new() -> Self {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let time = simulated::tokio_clock(epoch);
        let server = ApiServer::with_own_kinds(time.clone());
        let cloud = SimulatedCloud::new(Options::default(), 1, time);
        let account = cloud.add_member("a@example.com", "a", Tags::new());
        cloud.change_credentials_bucket(BUCKET, |bucket| bucket.account = Some(account.clone()));
        for name in ["team-a", "team-b"] {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            server.put(&namespace).unwrap();
        }
        let class = json!({"organizationalUnitPath": "/T", "emailTemplate": "aws+{{team}}-{{account}}@example.com",
            "regions": ["eu-central-1"], "credentialsBucket": {"nameTemplate": "acme-{{account.id}}"}});
        put(&server, "AccountClass", "", "test", class, Value::Null);
        let plain = json!({"organizationalUnitPath": "/T", "emailTemplate": "aws+{{team}}-{{account}}@example.com"});
        put(&server, "AccountClass", "", "plain", plain, Value::Null);
        let status = json!({"accountId": account.as_str(), "credentialsBucket": {"bucket": BUCKET, "region": "eu-central-1"}});
        for (namespace, name, class, status) in [
            ("team-a", "live", "test", status.clone()),
            ("team-a", "new", "test", json!({})),
            (
                "team-a",
                "young",
                "test",
                json!({"accountId": account.as_str()}),
            ),
            (
                "team-a",
                "bare",
                "plain",
                json!({"accountId": account.as_str()}),
            ),
            ("team-b", "theirs", "test", status),
        ] {
            put(
                &server,
                "TeamAccount",
                namespace,
                name,
                json!({"className": class}),
                status,
            );
        }
        let (caches, watches) = Caches::new(&server.client());
        // The watches are what fills the caches.
        tokio::spawn(watches.accounts.keep());
        tokio::spawn(watches.classes.keep());
        caches.accounts.filled().await;
        caches.classes.filled().await;
        let places = Places {
            caches,
            client: server.client(),
            sessions: cloud.cloud().sessions,
            cluster: "test".to_owned(),
        };
        Self {
            server,
            cloud,
            account,
            places,
        }
    }

    fn client(&self, name: &str, delivery: Value) -> OAuthClient {
        let spec = json!({"application": "api", "provider": "main", "delivery": [delivery]});
        put(
            &self.server,
            "OAuthClient",
            "team-a",
            name,
            spec,
            Value::Null,
        );
        let made = self.server.get("oauthclients", "team-a", name).unwrap();
        serde_json::from_value(made).unwrap()
    }

    /// The place of a client that asks for the grant type `password`.
    async fn open_with_user(&self, delivery: Value) -> Arc<dyn Destination> {
        let mut client = self.client("api", delivery.clone());
        client.spec.grant_types.push(GrantType::Password);
        let delivery: DeliverySpec = serde_json::from_value(delivery).unwrap();
        self.places.open(&client, &delivery).await.unwrap().unwrap()
    }

    async fn open(&self, delivery: Value) -> Result<Arc<dyn Destination>, Outcome> {
        let client = self.client("api", delivery.clone());
        let delivery: DeliverySpec = serde_json::from_value(delivery).unwrap();
        self.places.open(&client, &delivery).await.unwrap()
    }
}

fn put(server: &ApiServer, kind: &str, namespace: &str, name: &str, spec: Value, status: Value) {
    let mut object = json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    if !status.is_null() {
        object["status"] = status;
    }
    assert!(server.put(&object).is_some(), "not accepted: {object}");
}

fn secret() -> Value {
    json!({"name": "cluster", "secret": {"name": "api-oauth"}})
}

fn s3() -> Value {
    json!({"name": "bucket", "s3": {"account": "live"}})
}

fn managed() -> Value {
    json!({"name": "managed", "secretsManager": {"account": "live", "region": "eu-central-1"}})
}

fn bundle(version: i64) -> Bundle {
    Bundle {
        version,
        client_json: Secret::new(format!(
            "{{\"client_id\":\"c{version}\",\"client_secret\":\"canary-{version}\"}}"
        )),
        user_json: None,
        not_after: Some("2026-02-01T00:00:00Z".to_owned()),
    }
}

/// The same with the user of that version.
fn pair(version: i64) -> Bundle {
    let user = format!(
        "{{\"application_username\":\"u{version}\",\"application_password\":\"canary-word-{version}\"}}"
    );
    Bundle {
        user_json: Some(Secret::new(user)),
        ..bundle(version)
    }
}

/// A user is delivered with its client, healed, and taken away again, whatever the place.
#[tokio::test(start_paused = true)]
async fn a_user_comes_with_its_client_and_goes() {
    let world = World::new().await;
    let region = "eu-central-1".parse().unwrap();
    for delivery in [secret(), s3(), managed()] {
        let place = world.open_with_user(delivery).await;
        let name = place.location();
        // What each place has, as a reader finds it: the name of the client, and the one of the user.
        let found = || -> (String, Option<String>) {
            let text = |file: &Value, field: &str| file[field].as_str().map(str::to_owned);
            let parse = |content: &str| serde_json::from_str::<Value>(content).unwrap();
            let (client, user) = if name.starts_with("secret ") {
                let found = world.server.get("secrets", "team-a", "api-oauth").unwrap();
                let file = |key: &str| {
                    let bytes = BASE64_STANDARD.decode(found["data"][key].as_str()?);
                    Some(parse(&String::from_utf8(bytes.unwrap()).unwrap()))
                };
                (file("client.json").unwrap(), file("user.json"))
            } else if name.starts_with("s3://") {
                let bucket = world.cloud.credentials_bucket(BUCKET).unwrap();
                let file = |key: &str| Some(parse(bucket.files.get(key)?.content.reveal()));
                (file("api/client.json").unwrap(), file("api/user.json"))
            } else {
                let kept = world
                    .cloud
                    .secret(&world.account, region, "api/oauth-client");
                let kept = kept.unwrap();
                let current = kept.shown.version.clone().unwrap();
                let both = parse(kept.versions[&current].reveal());
                (both.clone(), Some(both))
            };
            let user = user.and_then(|user| text(&user, "application_username"));
            (text(&client, "client_id").unwrap(), user)
        };
        let has = |client: &str, user: Option<&str>| {
            assert_eq!(
                found(),
                (client.to_owned(), user.map(str::to_owned)),
                "{name}"
            );
        };
        place.check().await.unwrap();
        for version in [1, 2] {
            let receipt = place.put(&pair(version)).await.unwrap();
            assert!(!format!("{receipt:?}").contains("canary"), "{name}");
            assert_eq!(place.look().await.unwrap(), Some(receipt), "{name}");
            has(&format!("c{version}"), Some(&format!("u{version}")));
        }
        let alone = place.put(&bundle(3)).await.unwrap();
        has("c3", None);
        assert_eq!(place.look().await.unwrap(), Some(alone), "{name}");
        let ours = place.put(&pair(4)).await.unwrap();
        if name.starts_with("secret ") {
            let mut by_hand = world.server.get("secrets", "team-a", "api-oauth").unwrap();
            by_hand["data"]["user.json"] = json!("e30=");
            world.server.put(&by_hand);
        } else if name.starts_with("s3://") {
            world.cloud.change_file(BUCKET, "api/user.json", Some("{}"));
        }
        if !name.starts_with("arn:") {
            assert_ne!(place.look().await.unwrap(), Some(ours), "{name}");
        }
        let healed = place.put(&pair(4)).await.unwrap();
        assert_eq!(place.look().await.unwrap(), Some(healed), "{name}");
        has("c4", Some("u4"));
        place.remove().await.unwrap();
        assert_eq!(place.look().await.unwrap(), None, "{name}");
    }
    let bucket = world.cloud.credentials_bucket(BUCKET).unwrap();
    assert!(bucket.files.is_empty(), "{:?}", bucket.files.keys());
}

/// A `user.json` that is there already and is nobody's of ours stays: another may have written it before us, or by hand.
#[tokio::test(start_paused = true)]
async fn a_user_of_somebody_else_stays() {
    let world = World::new().await;
    world.cloud.change_file(BUCKET, "api/user.json", Some("{}"));
    let place = world.open(s3()).await.unwrap();
    let ours = place.put(&bundle(1)).await.unwrap();
    assert_eq!(place.look().await.unwrap(), Some(ours));
    place.remove().await.unwrap();
    let bucket = world.cloud.credentials_bucket(BUCKET).unwrap();
    let left: Vec<_> = bucket.files.keys().collect();
    assert_eq!(left, ["api/user.json"]);

    let place = world.open(secret()).await.unwrap();
    let ours = place.put(&bundle(1)).await.unwrap();
    let mut by_hand = world.server.get("secrets", "team-a", "api-oauth").unwrap();
    by_hand["data"]["user.json"] = json!("e30=");
    world.server.put(&by_hand);
    assert_eq!(place.look().await.unwrap(), Some(ours));
    place.put(&bundle(2)).await.unwrap();
    let kept = world.server.get("secrets", "team-a", "api-oauth").unwrap();
    assert_eq!(kept["data"]["user.json"], "e30=");
}

/// What every kind of place promises.
#[tokio::test(start_paused = true)]
async fn a_place_takes_a_version_after_the_other_and_knows_what_it_holds() {
    let world = World::new().await;
    for delivery in [secret(), s3(), managed()] {
        let place = world.open(delivery).await.unwrap();
        let name = place.location();
        place.check().await.unwrap();
        assert_eq!(
            place.look().await.unwrap(),
            None,
            "{name}: a check leaves nothing"
        );
        place.remove().await.unwrap();
        let first = place.put(&bundle(1)).await.unwrap();
        assert_eq!(place.look().await.unwrap().as_ref(), Some(&first), "{name}");
        place.check().await.unwrap();
        assert_eq!(place.look().await.unwrap().as_ref(), Some(&first), "{name}");
        let second = place.put(&bundle(2)).await.unwrap();
        assert_ne!(first, second, "{name}");
        // A lost answer: the same again.
        let again = place.put(&bundle(2)).await.unwrap();
        assert_eq!(place.look().await.unwrap().as_ref(), Some(&again), "{name}");
        // Back to the one before, as after a version that is given up.
        let back = place.put(&bundle(1)).await.unwrap();
        assert_eq!(place.look().await.unwrap().as_ref(), Some(&back), "{name}");
        assert!(
            !format!("{first:?}{second:?}{back:?}").contains("canary"),
            "{name}"
        );
        for _ in 0..2 {
            place.remove().await.unwrap();
            assert_eq!(place.look().await.unwrap(), None, "{name}");
        }
        // What was removed can be had again.
        let anew = place.put(&bundle(3)).await.unwrap();
        assert_eq!(place.look().await.unwrap(), Some(anew), "{name}");
    }
}

/// The Secret says of each version when it ends, and of one that has no end nothing: whoever made the annotation.
#[tokio::test(start_paused = true)]
async fn a_version_without_an_end_is_not_said_to_have_one() {
    let world = World::new().await;
    let place = world.open(secret()).await.unwrap();
    let said = |field: &str| {
        let found = world.server.get("secrets", "team-a", "api-oauth").unwrap();
        let of = &found["metadata"]["annotations"];
        of[format!("bailiwick.dev/credentials-{field}")].clone()
    };
    // The first is made by a create, the second by an apply.
    for version in [1, 2] {
        place.put(&bundle(version)).await.unwrap();
        assert_eq!(said("not-after"), "2026-02-01T00:00:00Z");
        let endless = Bundle {
            not_after: None,
            ..bundle(version + 10)
        };
        let receipt = place.put(&endless).await.unwrap();
        assert_eq!(said("not-after"), Value::Null);
        assert_eq!(said("version"), (version + 10).to_string());
        assert_eq!(place.look().await.unwrap(), Some(receipt));
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_writes_by_hand_is_seen_and_healed() {
    let world = World::new().await;
    let region = "eu-central-1".parse().unwrap();
    for delivery in [secret(), s3(), managed()] {
        let place = world.open(delivery).await.unwrap();
        let ours = place.put(&bundle(1)).await.unwrap();
        match place.location() {
            kube if kube.starts_with("secret ") => {
                let mut by_hand = world.server.get("secrets", "team-a", "api-oauth").unwrap();
                by_hand["data"]["client.json"] = json!("e30=");
                world.server.put(&by_hand);
            }
            file if file.starts_with("s3://") => {
                world
                    .cloud
                    .change_file(BUCKET, "api/client.json", Some("{}"));
            }
            _ => {
                let account = &world.account;
                world
                    .cloud
                    .change_secret(account, region, "api/oauth-client", |secret| {
                        secret.shown.version = Some("by-hand".to_owned());
                    });
            }
        }
        let seen = place.look().await.unwrap();
        assert_ne!(seen.as_ref(), Some(&ours), "{}", place.location());
        let healed = place.put(&bundle(1)).await.unwrap();
        assert_eq!(
            place.look().await.unwrap(),
            Some(healed),
            "{}",
            place.location()
        );
    }
    let file = &world.cloud.credentials_bucket(BUCKET).unwrap().files["api/client.json"];
    assert_eq!(file.content, bundle(1).client_json);
    let kept = world
        .cloud
        .secret(&world.account, region, "api/oauth-client")
        .unwrap();
    let current = kept.shown.version.unwrap();
    assert_eq!(kept.versions[&current], bundle(1).client_json);
}

/// Tools that put annotations and labels at a Secret are answered by no write, and lose nothing by ours.
#[tokio::test(start_paused = true)]
async fn annotations_of_others_are_no_change_and_stay() {
    let world = World::new().await;
    let place = world.open(secret()).await.unwrap();
    let ours = place.put(&bundle(1)).await.unwrap();
    let mut touched = world.server.get("secrets", "team-a", "api-oauth").unwrap();
    touched["metadata"]["annotations"]["reloader"] = json!("on");
    touched["data"]["more"] = json!("e30=");
    world.server.put(&touched);
    assert_eq!(place.look().await.unwrap(), Some(ours));
    place.put(&bundle(2)).await.unwrap();
    let written = world.server.get("secrets", "team-a", "api-oauth").unwrap();
    let metadata = &written["metadata"];
    assert_eq!(metadata["annotations"]["reloader"], "on");
    assert_eq!(
        metadata["annotations"]["bailiwick.dev/credentials-version"],
        "2"
    );
    assert_eq!(
        metadata["annotations"]["bailiwick.dev/credentials-not-after"],
        "2026-02-01T00:00:00Z"
    );
    assert_eq!(metadata["ownerReferences"], Value::Null);
    assert_eq!(
        (&written["type"], &written["data"]["more"]),
        (&json!("Opaque"), &json!("e30="))
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_neither_written_nor_removed() {
    let world = World::new().await;
    let foreign = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "api-oauth", "namespace": "team-a"}, "data": {"client.json": "e30="}});
    world.server.put(&foreign);
    let region = "eu-central-1".parse().unwrap();
    world
        .cloud
        .change_secret(&world.account, region, "api/oauth-client", |_| {});
    for delivery in [secret(), managed()] {
        let place = world.open(delivery).await.unwrap();
        for refused in [
            place.check().await.unwrap_err(),
            place.put(&bundle(1)).await.unwrap_err(),
        ] {
            assert_eq!(refused.kind, FailureKind::Terminal, "{refused}");
            assert!(refused.message.contains(&place.location()), "{refused}");
            assert!(refused.message.contains("not touched"), "{refused}");
        }
        assert_eq!(place.look().await.unwrap(), None);
        place.remove().await.unwrap();
    }
    let kept = world.server.get("secrets", "team-a", "api-oauth").unwrap();
    assert_eq!(kept["data"]["client.json"], "e30=");
    assert!(
        !world
            .cloud
            .secret(&world.account, region, "api/oauth-client")
            .unwrap()
            .shown
            .deleted
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_must_be_the_teams_own_and_have_a_bucket() {
    let world = World::new().await;
    for (account, waits, says) in [
        ("theirs", false, "no TeamAccount"),
        ("nobody", false, "no TeamAccount"),
        ("new", true, "not made yet"),
        ("young", true, "does not have its credentials bucket yet"),
        ("bare", false, "spec.credentialsBucket of its class"),
    ] {
        let opened = world
            .open(json!({"name": "b", "s3": {"account": account}}))
            .await;
        match opened.map(|place| place.location()).unwrap_err() {
            Outcome::Waiting { message, .. } => {
                assert!(waits && message.contains(says), "{message}")
            }
            Outcome::Blocked { message, .. } => {
                assert!(!waits && message.contains(says), "{message}")
            }
            other => panic!("{account}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_refuses_or_is_away_says_so_with_its_name() {
    let world = World::new().await;
    for delivery in [s3(), managed()] {
        let place = world.open(delivery).await.unwrap();
        for (fault, kind) in [
            (CredentialsFault::Denied, FailureKind::Terminal),
            (CredentialsFault::Away, FailureKind::Transient),
        ] {
            world
                .cloud
                .set_credentials_fault(&world.account, Some(fault));
            let failures = [
                place.check().await.unwrap_err(),
                place.put(&bundle(1)).await.unwrap_err(),
                place.look().await.unwrap_err(),
            ];
            for failure in failures {
                assert_eq!(failure.kind, kind, "{failure}");
                assert!(failure.message.contains(&place.location()), "{failure}");
                assert!(!failure.message.contains("canary"), "{failure}");
            }
        }
        world.cloud.set_credentials_fault(&world.account, None);
        place.put(&bundle(1)).await.unwrap();
    }
}

/// The layout has room for one client of an application.
#[tokio::test(start_paused = true)]
async fn the_second_client_of_an_application_does_not_write_over_the_first() {
    let world = World::new().await;
    let first = world.client("first", s3());
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let second = world.client("second", s3());
    let delivery: DeliverySpec = serde_json::from_value(s3()).unwrap();
    let first = world.places.open(&first, &delivery).await.unwrap().unwrap();
    let second = world
        .places
        .open(&second, &delivery)
        .await
        .unwrap()
        .unwrap();
    first.check().await.unwrap();
    let refused = second.check().await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Terminal, "{refused}");
    assert!(refused.message.contains("OAuthClient first"), "{refused}");
}

/// What a client of the same application says of its S3 place in the status: that it has written there.
async fn says_it_holds(world: &World, name: &str) -> OAuthClient {
    let mut client = world.server.get("oauthclients", "team-a", name).unwrap();
    client["status"]["destinations"] = json!([{
        "name": "place", "location": "s3", "delivery": s3(), "version": 1, "receipt": "etag",
    }]);
    world.server.put(&client).unwrap();
    let client = world.server.get("oauthclients", "team-a", name).unwrap();
    serde_json::from_value(client).unwrap()
}

/// Whoever has the file keeps it: nobody who comes later, older or not, writes over it or removes it.
#[tokio::test(start_paused = true)]
async fn nobody_who_comes_later_touches_the_file_of_another_client() {
    for holder_is_older in [true, false] {
        let world = World::new().await;
        let names = ["one", "two"];
        for name in names {
            world.client(name, s3());
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        }
        let (holds, comes) = match holder_is_older {
            true => (names[0], names[1]),
            false => (names[1], names[0]),
        };
        let delivery: DeliverySpec = serde_json::from_value(s3()).unwrap();
        let comes = world.server.get("oauthclients", "team-a", comes).unwrap();
        let comes: OAuthClient = serde_json::from_value(comes).unwrap();
        let holds = says_it_holds(&world, holds).await;
        let open = |client: &OAuthClient| {
            let (places, client, delivery) = (&world.places, client.clone(), delivery.clone());
            async move { places.open(&client, &delivery).await.unwrap().unwrap() }
        };
        let (own, other) = (open(&holds).await, open(&comes).await);
        let receipt = own.put(&bundle(1)).await.unwrap();
        let refused = other.put(&bundle(7)).await.unwrap_err();
        assert_eq!(refused.kind, FailureKind::Terminal, "{refused}");
        other.remove().await.unwrap();
        assert_eq!(own.look().await.unwrap(), Some(receipt), "untouched");
        // Whoever has it has it removed, once nobody else is to have it.
        assert!(world.server.delete(
            "oauthclients",
            "team-a",
            &kube::ResourceExt::name_any(&comes)
        ));
        own.remove().await.unwrap();
        assert_eq!(own.look().await.unwrap(), None);
    }
}
