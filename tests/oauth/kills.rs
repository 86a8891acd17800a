//! Whatever befalls the operator, at any write: the credentials that are somewhere work, and in the end there is one version.

use std::sync::Arc;

use bailiwick::identity::simulated::Profile;
use serde_json::json;

use super::world::{Blow, HOUR, Life, Readers, World, user_of};

/// What a life is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Case {
    profile: Profile,
    method: &'static str,
    /// With a user for each version.
    user: bool,
}

impl Case {
    fn new(profile: Profile, method: &'static str) -> Self {
        let user = false;
        Self {
            profile,
            method,
            user,
        }
    }

    fn with_user(profile: Profile, method: &'static str) -> Self {
        let user = true;
        Self {
            profile,
            method,
            user,
        }
    }
}

/// Made, renewed, and changed, with one blow at the operator; how many writes there were, and what was struck.
async fn life(case: Case, strike: Option<(u64, Blow)>) -> (u64, Option<String>) {
    let context = format!("{case:?}, {strike:?}");
    let world = World::new(case.profile);
    let mut fields = json!({"authMethod": case.method});
    if case.user {
        world.open_password_grant(true);
        fields["grantTypes"] = json!(["client_credentials", "password"]);
    }
    world.declare("api", &["one", "s3:two"], fields);
    let readers = Readers::start(&world);
    let (first, operators) = drive(&world, strike).await;
    let struck = first.struck.lock().unwrap().clone();
    let context = format!("{context} at {struck:?}");
    check(&world, case, &context, strike.is_some());
    assert!(readers.end(&context) > 100, "{context}");
    operators.iter().for_each(tokio::task::JoinHandle::abort);
    (first.writes(), struck)
}

/// Has the client made, renewed and changed; the first operator's life, and all operators, which are still at it.
pub async fn drive(
    world: &World,
    strike: Option<(u64, Blow)>,
) -> (Arc<Life>, Vec<tokio::task::JoinHandle<()>>) {
    let (first, second) = (Life::new(strike), Life::new(None));
    let mut operators = vec![world.operator(&first)];
    // An hour is enough for everything: the overlap is ten minutes.
    let mut asked = 0;
    for _ in 0..1800 {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        if first.is_dead() && operators.len() == 1 {
            operators.push(world.operator(&second));
        }
        let in_use =
            |version| world.object("api").unwrap()["status"]["version"].as_i64() >= Some(version);
        match asked {
            0 if in_use(1) && ready(world) => {
                world.ask("api", "renew", "one").await;
                asked = 1;
            }
            1 if in_use(2) && ready(world) => {
                // While the version before it is still valid.
                let more = json!({"spec": {"redirectUris": ["https://shop.example.com/back"]}});
                world.patch("api", more).await;
                asked = 2;
            }
            2 if in_use(2) && ready(world) && alone(world) && changed(world) => break,
            _ => {}
        }
    }
    (first, operators)
}

pub fn ready(world: &World) -> bool {
    world
        .condition("api", "Ready")
        .is_some_and(|(ready, ..)| ready == "True")
}

pub fn alone(world: &World) -> bool {
    let object = world.object("api").unwrap();
    let status = &object["status"];
    status["rotation"].is_null()
        && status["versions"]
            .as_array()
            .is_some_and(|all| all.len() == 1)
}

pub fn changed(world: &World) -> bool {
    let object = world.object("api").unwrap();
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// One version, in every place, with what is declared.
fn check(world: &World, case: Case, context: &str, struck: bool) {
    let object = world.object("api").unwrap();
    assert!(
        ready(world) && alone(world) && changed(world),
        "{context}: {object:#}"
    );
    let server = &world.oauth[0];
    let (kept, live) = (world.kept("api"), server.live("api"));
    assert_eq!(kept.len(), 1, "{context}: kept {kept:?}");
    let (ours, orphans): (Vec<_>, Vec<_>) = live.iter().partition(|(id, ..)| *id == kept[0]);
    assert_eq!(ours.len(), 1, "{context}: {live:?}");
    assert_eq!(ours[0].1, 1, "{context}: {live:?}");
    // A server that can be searched keeps nothing that nobody knows; the others one for an answer that nobody kept.
    let forgiven = usize::from(struck && case.profile == Profile::Dynamic);
    assert!(orphans.len() <= forgiven, "{context}: {live:?}");
    assert!(
        server.most_live("api") <= 2 + orphans.len(),
        "{context}: {}",
        server.most_live("api")
    );
    let version = object["status"]["version"].clone();
    let uid = object["metadata"]["uid"].as_str().unwrap();
    let user = case.user.then(|| format!("api-{uid}-{version}"));
    let users: Vec<String> = user.iter().cloned().collect();
    assert_eq!(server.users(uid), users, "{context}: one user");
    assert!(server.most_users(uid) <= 2, "{context}");
    for place in ["secret team-shop/one", "s3://two/api"] {
        let content: serde_json::Value =
            serde_json::from_str(&world.places.content(place).unwrap()).unwrap();
        assert_eq!(content["version"], version, "{context}: {place}");
        assert_eq!(content["client_id"], kept[0].as_str(), "{context}: {place}");
        assert_eq!(
            content["token_endpoint"], "https://as.example.com/token",
            "{place}"
        );
        let delivered = world.places.user(place).map(|content| user_of(&content).0);
        assert_eq!(delivered, user, "{context}: {place}");
    }
}

async fn table(case: Case, needed: &[&str]) {
    let (writes, _) = life(case, None).await;
    assert!(
        writes >= 12,
        "{case:?}: only {writes} writes: the table would prove little"
    );
    let mut rows = Vec::new();
    for blow in [Blow::KilledBefore, Blow::KilledAfter, Blow::AnswerLost] {
        for position in 1..=writes {
            let (_, struck) = life(case, Some((position, blow))).await;
            rows.push(format!(
                "{blow:?} {position}: {}",
                struck.unwrap_or_default()
            ));
        }
    }
    println!(
        "{case:?}: {} lives, {writes} writes each\n{}",
        rows.len(),
        rows.join("\n")
    );
    for write in needed {
        assert!(
            rows.iter().any(|row| row.contains(write)),
            "{case:?}: {write}: {rows:#?}"
        );
    }
}

const ALWAYS: [&str; 5] = [
    "register",
    "put",
    "Create secrets",
    "Update secrets",
    "oauthclients status",
];

#[tokio::test(start_paused = true)]
async fn dynamic_registration_with_secrets() {
    let case = Case::new(Profile::Dynamic, "client_secret_basic");
    table(case, &[&ALWAYS[..], &["delete"]].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn dynamic_registration_with_keys() {
    let case = Case::new(Profile::Dynamic, "private_key_jwt");
    table(case, &[&ALWAYS[..], &["delete"]].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn keycloak_with_one_secret() {
    let case = Case::new(Profile::Keycloak, "client_secret_post");
    table(case, &[&ALWAYS[..], &["delete", "update"]].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn keycloak_with_keys() {
    let case = Case::new(Profile::Keycloak, "private_key_jwt");
    table(case, &[&ALWAYS[..], &["update"]].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn keycloak_with_two_secrets() {
    let case = Case::new(Profile::KeycloakRotating, "client_secret_basic");
    table(
        case,
        &[&ALWAYS[..], &["add_secret", "retire_secret", "update"]].concat(),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn cognito() {
    let case = Case::new(Profile::Cognito, "client_secret_basic");
    table(
        case,
        &[&ALWAYS[..], &["add_secret", "retire_secret", "update"]].concat(),
    )
    .await;
}

const OF_USERS: [&str; 3] = ["make_user", "remove_user", "put user.json"];

#[tokio::test(start_paused = true)]
async fn users_beside_one_secret() {
    let case = Case::with_user(Profile::Keycloak, "client_secret_post");
    table(case, &[&ALWAYS[..], &OF_USERS, &["delete"]].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn users_beside_two_secrets() {
    let case = Case::with_user(Profile::KeycloakRotating, "client_secret_basic");
    let secrets = ["add_secret", "retire_secret"];
    table(case, &[&ALWAYS[..], &OF_USERS, &secrets].concat()).await;
}

/// Two operators that both hold themselves for the leader: what each begins the other goes on with.
#[tokio::test(start_paused = true)]
async fn two_operators_at_once_end_with_one_version() {
    for profile in Profile::ALL {
        let world = World::new(profile);
        world.declare(
            "api",
            &["one", "s3:two"],
            json!({"authMethod": "client_secret_basic"}),
        );
        let readers = Readers::start(&world);
        let lives: Vec<Arc<Life>> = (0..2).map(|_| Life::new(None)).collect();
        let operators: Vec<_> = lives.iter().map(|life| world.operator(life)).collect();
        world
            .until(HOUR, "version 1", |world| world.settled("api", 1))
            .await;
        world.ask("api", "renew", "one").await;
        world
            .until(HOUR, "renewed", |world| {
                ready(world) && alone(world) && {
                    world.object("api").unwrap()["status"]["version"].as_i64() >= Some(2)
                }
            })
            .await;
        tokio::time::sleep(HOUR).await;
        let kept = world.kept("api");
        let live = world.oauth[0].live("api");
        assert_eq!(kept.len(), 1, "{profile:?}: {kept:?}");
        let known: Vec<_> = live.iter().filter(|(id, ..)| *id == kept[0]).collect();
        assert_eq!(known.len(), 1, "{profile:?}: {live:?}");
        assert_eq!(
            live.len(),
            1,
            "{profile:?}: whoever comes second takes back what it made: {live:?}"
        );
        readers.end(&format!("{profile:?}"));
        operators.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// With an election one works, and the other goes on where it was when it is gone without a word.
#[tokio::test(start_paused = true)]
async fn of_two_operators_the_other_takes_over() {
    let world = World::new(Profile::Dynamic);
    world.declare("api", &["one", "s3:two"], json!({}));
    let readers = Readers::start(&world);
    let (first, second) = (Life::new(Some((6, Blow::KilledAfter))), Life::new(None));
    let one = world.operator_with(&first, &["--identity=first"]);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let two = world.operator_with(&second, &["--identity=second"]);
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    assert!(first.is_dead() && second.writes() > 0);
    readers.end("the other");
    one.abort();
    two.abort();
}
