//! Secrets that can be recognised, through a whole life with all that may befall it: none is in anything that anybody but the
//! readers of Secrets and places can see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick::controllers::oauth_client::destination::Bundle;
use bailiwick::controllers::oauth_client::make::{Maker, SystemMaker};
use bailiwick::controllers::oauth_client::vault::{Entry, Kept};
use bailiwick::engine::Failure;
use bailiwick::identity::simulated::Profile;
use bailiwick::identity::{
    ClientMetadata, Credential, KeycloakLogin, Management, Method, NewClient, Registration,
    RegistrationOptions, ServerOptions, ServiceUser, SigningKey, TokenRequest,
};
use bailiwick::model::Secret;
use bailiwick::telemetry::{self, LogFormat};
use serde_json::{Value, json};

use super::paper::Paper;
use super::scan::clean;
use super::world::{Blow, HOUR, Life, MINUTE, World, credential};

/// Remembers what it has made.
#[derive(Default)]
struct Remembering(Mutex<Vec<String>>);

impl Remembering {
    fn remember(&self, secret: &Secret) {
        self.0.lock().unwrap().push(secret.reveal().to_owned());
    }
}

impl Maker for Remembering {
    fn key(&self) -> Result<SigningKey, Failure> {
        let key = SystemMaker.key()?;
        self.remember(&key.pem);
        Ok(key)
    }

    fn secret(&self) -> Result<Secret, Failure> {
        let secret = SystemMaker.secret()?;
        self.remember(&secret);
        Ok(secret)
    }

    fn password(&self) -> Result<Secret, Failure> {
        let password = SystemMaker.password()?;
        self.remember(&password);
        Ok(password)
    }
}

/// All that ever was in an object which is no Secret, once for each object as it was.
async fn watch(world: &World, seen: &Mutex<BTreeSet<String>>) {
    let mut before = 0;
    loop {
        let revision = world.server.revision();
        if revision != before {
            before = revision;
            let asked = world.server.all_requests();
            let plurals: BTreeSet<&String> = asked.keys().map(|(_, plural, _)| plural).collect();
            for plural in plurals.into_iter().filter(|plural| *plural != "secrets") {
                let objects = world.server.objects(plural);
                let texts = objects.iter().map(Value::to_string);
                seen.lock().unwrap().extend(texts);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Made while answers are lost and the operator is killed; denied a place, throttled, away, overwritten, forgotten, changed,
/// revoked, and deleted in the end.
async fn life(world: &World, method: &str, with_user: bool) {
    let mut fields = json!({"authMethod": method, "deletionPolicy": "Delete"});
    if with_user {
        world.open_password_grant(true);
        fields["grantTypes"] = json!(["client_credentials", "password"]);
    }
    world.places.deny("s3://two/api", true);
    world.declare("api", &["one", "s3:two"], fields);
    let (lossy, killed) = (
        Life::new(Some((4, Blow::AnswerLost))),
        Life::new(Some((9, Blow::KilledAfter))),
    );
    let first = world.operator(&lossy);
    world.until_ready_says("api", "DeliveryFailed").await;
    world.places.deny("s3://two/api", false);
    world
        .until(HOUR, "made", |world| {
            world.settled("api", 1) || world.settled("api", 2)
        })
        .await;
    lossy.die();
    first.abort();
    let second = world.operator(&killed);
    world.ask("api", "renew", "one").await;
    world.until(HOUR, "killed", |_| killed.is_dead()).await;
    second.abort();
    let last = world.operator(&Life::new(None));
    world.until(HOUR, "renewed", still).await;
    let server = &world.oauth[0];
    server.throttle(2, MINUTE);
    world.ask("api", "renew", "two").await;
    tokio::time::sleep(30 * MINUTE).await;
    world.until(HOUR, "renewed again", still).await;
    server.set_away(true);
    world.ask("api", "renew", "three").await;
    tokio::time::sleep(3 * HOUR).await;
    server.set_away(false);
    world.until(2 * HOUR, "renewed once more", still).await;
    world.places.overwrite("secret team-shop/one", "{}");
    world.ask("api", "reconcile", "one").await;
    tokio::time::sleep(MINUTE).await;
    let more = json!({"spec": {"redirectUris": ["https://shop.example.com/back"]}});
    world.patch("api", more).await;
    tokio::time::sleep(HOUR).await;
    let content = world.places.content("secret team-shop/one").unwrap();
    server.forget_client(&credential(&content).unwrap().0);
    world.ask("api", "renew", "four").await;
    tokio::time::sleep(2 * HOUR).await;
    world.ask("api", "revoke", "one").await;
    tokio::time::sleep(HOUR).await;
    world.until(2 * HOUR, "made anew", still).await;
    world.delete("api").await;
    world
        .until(3 * HOUR, "gone", |world| world.object("api").is_none())
        .await;
    last.abort();
}

/// Whether one version is in use and nothing is under way.
fn still(world: &World) -> bool {
    let version = world.object("api").unwrap()["status"]["version"].as_i64();
    version.is_some_and(|version| world.settled("api", version))
}

/// All secrets that there may be, by what they are.
fn canaries(made: &[String]) -> BTreeMap<String, String> {
    // How all of them begin, of a length that begins the same in base64, too.
    let given = [
        ("a secret of the server", "canary-secre"),
        ("a token of the server", "canary-token"),
        ("our own at Keycloak", "canary-admin"),
    ];
    let given = given.map(|(what, canary)| (what.to_owned(), canary.to_owned()));
    let mut all = BTreeMap::from(given);
    for (number, secret) in made.iter().enumerate() {
        // Of a key each line by itself, too: it may be written with or without its breaks.
        let lines = secret.lines().filter(|line| !line.starts_with("-----"));
        for (line, text) in lines.filter(|line| line.len() >= 12).enumerate() {
            let what = format!("line {line} of what was made {number}");
            // So much of it is the same in base64 when more comes after it.
            let begin = &text[..text.len() - text.len() % 3];
            all.insert(format!("the begin of {what}"), begin.into());
            all.insert(what, text.into());
        }
    }
    all
}

async fn nothing_is_seen(profile: Profile, method: &str, with_user: bool) {
    let paper = Paper::default();
    // While there is one subscriber alone, whoever comes first to a place that says something decides whether it is heard:
    // a test beside this one that listens to nothing, perhaps. With two, both are asked.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let (subscriber, _) =
        telemetry::build((LogFormat::Json, false), "trace", false, paper.clone()).unwrap();
    let guard = tracing::subscriber::set_default(subscriber);
    let mut world = World::new(profile);
    let maker = Arc::<Remembering>::default();
    world.maker = maker.clone();
    let (seen, places) = (Mutex::default(), Mutex::<BTreeSet<String>>::default());
    let reading = async {
        loop {
            let all = world.places.all().into_iter().chain(world.places.users());
            let contents = all.map(|(_, content)| content);
            places.lock().unwrap().extend(contents);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = life(&world, method, with_user) => {}
        () = watch(&world, &seen) => unreachable!(),
        () = reading => unreachable!(),
    }
    drop(guard);
    let made = maker.0.lock().unwrap().clone();
    let secrets = canaries(&made);
    let context = format!("{profile:?} with {method}, a user: {with_user}");
    let (log, seen) = (paper.text(), seen.into_inner().unwrap());
    let lines = log
        .lines()
        .filter(|line| line.contains("\"TRACE\""))
        .count();
    assert!(lines > 1000, "{context}: {lines} lines of the finest");
    for reason in [
        "DeliveryFailed",
        "Rotated",
        "Revoked",
        "RotationDelayed",
        "Leaving",
    ] {
        assert!(
            seen.iter().any(|object| object.contains(reason)),
            "{context}: nothing of {reason} was written: the life would prove little"
        );
    }
    // The canaries were really there, and would be recognised.
    let delivered: Vec<String> = places.into_inner().unwrap().into_iter().collect();
    let held = delivered.iter().filter(|content| {
        secrets
            .values()
            .any(|secret| content.contains(secret.as_str()))
    });
    assert!(
        held.count() >= 4,
        "{context}: {} deliveries",
        delivered.len()
    );
    let passwords = delivered
        .iter()
        .filter(|content| content.contains("application_password"));
    assert_eq!(passwords.count() >= 4, with_user, "{context}");
    println!(
        "{context}: {} objects, {} KiB of log, {} secrets",
        seen.len(),
        log.len() / 1024,
        secrets.len()
    );
    clean(&format!("the log of {context}"), &log, &secrets);
    clean("the metrics", &world.metrics.encode(), &secrets);
    let objects: Vec<String> = seen.into_iter().collect();
    clean("an object", &objects.join("\n"), &secrets);
}

#[tokio::test(start_paused = true)]
async fn secrets_of_the_server_are_seen_nowhere() {
    for profile in Profile::ALL {
        nothing_is_seen(profile, "client_secret_basic", false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_seen_nowhere() {
    for profile in [Profile::Dynamic, Profile::Keycloak] {
        nothing_is_seen(profile, "private_key_jwt", false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn passwords_are_seen_nowhere() {
    for profile in [Profile::Keycloak, Profile::KeycloakRotating] {
        nothing_is_seen(profile, "client_secret_basic", true).await;
    }
}

#[test]
fn what_carries_a_secret_does_not_print_it() {
    let canary = || Secret::new("canary-secret-1");
    let key = SigningKey {
        id: "thumbprint".into(),
        pem: canary(),
    };
    let registration = Registration {
        client_id: "client-1".into(),
        secret: Some(canary()),
        secret_id: None,
        secret_expires: None,
        management: Some(Management {
            uri: "https://as.example.com/client-1".parse().unwrap(),
            token: canary(),
        }),
    };
    let metadata = ClientMetadata {
        name: "api".into(),
        grant_types: Vec::new(),
        redirect_uris: Vec::new(),
        scopes: Vec::new(),
        consent: Default::default(),
        method: Method::SecretBasic,
        keys: Vec::new(),
        subject: None,
    };
    let new = NewClient {
        handle: "api".into(),
        uid: "uid".into(),
        metadata,
        secret: canary(),
    };
    let login = |login| RegistrationOptions::Keycloak {
        admin_url: None,
        login,
        identity_provider: None,
    };
    let registrations = [
        RegistrationOptions::Dynamic {
            initial_access_token: Some(canary()),
        },
        login(KeycloakLogin::ServiceAccount {
            client_id: "bailiwick".into(),
            client_secret: canary(),
        }),
        login(KeycloakLogin::User {
            username: "bailiwick".into(),
            password: canary(),
        }),
    ];
    let mut kept = Kept::default();
    let entry = Entry {
        issuer: None,
        chosen: canary(),
        password: Some(canary()),
        key: Some(key.clone()),
        registration: Some(registration.clone()),
    };
    kept.entries.insert(1, entry);
    let bundle = Bundle {
        version: 1,
        client_json: canary(),
        user_json: Some(canary()),
        not_after: None,
    };
    let user = ServiceUser {
        username: "api-1".into(),
        uid: "uid".into(),
        password: canary(),
    };
    let mut texts = vec![
        format!("{kept:?} {kept:#?}"),
        format!("{bundle:?} {registration:?} {new:?} {user:?}"),
        format!("{:?}", Credential::Secret(Method::SecretBasic, canary())),
    ];
    let request = TokenRequest {
        client_id: "client-1".into(),
        credential: Credential::Key(key),
        scopes: Some(Vec::new()),
    };
    texts.push(format!("{request:?}"));
    for registration in registrations {
        let options = ServerOptions {
            issuer: "https://as.example.com/".parse().unwrap(),
            authorities: String::new(),
            registration,
        };
        texts.push(format!("{options:?}"));
    }
    let secrets = canaries(&[]);
    for text in texts {
        assert!(text.contains("Secret(…)"), "{text}");
        clean("Debug", &text, &secrets);
    }
}
