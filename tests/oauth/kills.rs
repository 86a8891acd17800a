//! Whatever befalls the operator, at any write: the credentials that are somewhere work, and in the end there is one version.

use std::sync::Arc;

use bailiwick::identity::simulated::Profile;
use serde_json::json;

use super::world::{Blow, HOUR, Life, Readers, World, deliveries, user_of};

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
async fn life(case: Case, strike: Option<Strike>) -> (u64, Option<String>) {
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
    let spared = forgiven(case, strike, struck.as_deref());
    let places = ["secret team-shop/one", "s3://two/api"];
    check(&world, case, places, &context, spared);
    assert!(readers.end(&context) > 100, "{context}");
    operators.iter().for_each(tokio::task::JoinHandle::abort);
    (first.writes(), struck)
}

/// Has the client made, renewed and changed; the first operator's life, and all operators, which are still at it.
pub async fn drive(
    world: &World,
    strike: Option<Strike>,
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
fn check(world: &World, case: Case, places: [&str; 2], context: &str, forgiven: usize) {
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
    for place in places {
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

/// How many clients that nobody knows may be left. A server that can be searched keeps none; the others one, if the answer
/// was lost that named it, or whoever had it was killed before it was kept.
fn forgiven(case: Case, strike: Option<Strike>, struck: Option<&str>) -> usize {
    let before = strike.is_some_and(|(_, blow)| blow == Blow::KilledBefore);
    let struck = struck.unwrap_or_default();
    let unknown = struck == "register" && !before;
    let unkept = struck.starts_with("Update secrets") && before;
    usize::from(case.profile == Profile::Dynamic && (unknown || unkept))
}

/// Delivered elsewhere, made public and confidential again, revoked, and deleted, with one blow at the operator. One with a
/// user cannot be public: it sends its secret in another way for a while.
async fn later_life(case: Case, strike: Option<Strike>) -> (u64, Option<String>) {
    let world = World::new(case.profile);
    let mut fields = json!({
        "grantTypes": ["authorization_code"], "redirectUris": ["https://shop.example.com/back"],
        "authMethod": case.method, "deletionPolicy": "Delete",
    });
    if case.user {
        world.open_password_grant(true);
        fields["grantTypes"] = json!(["authorization_code", "password"]);
    }
    let other = if case.user {
        "client_secret_post"
    } else {
        "none"
    };
    world.declare("api", &["one", "s3:two"], fields);
    let first = Life::new(strike);
    let mut operators = vec![world.operator(&first)];
    let context = format!("{case:?}, {strike:?}");
    let quiet = |world: &World| ready(world) && alone(world) && changed(world);
    reached(&world, &first, &mut operators, &context, quiet).await;
    let elsewhere = json!({"spec": {"delivery": deliveries(&["one", "s3:three"])}});
    world.patch("api", elsewhere).await;
    let moved = |world: &World| {
        let places = world.places.all();
        let places: Vec<&str> = places.iter().map(|(place, _)| place.as_str()).collect();
        quiet(world) && places == ["s3://three/api", "secret team-shop/one"]
    };
    reached(&world, &first, &mut operators, &context, moved).await;
    // A reader of the place that was removed has nothing to read, and is none of these.
    let readers = Readers::start(&world);
    for method in [other, case.method] {
        world
            .patch("api", json!({"spec": {"authMethod": method}}))
            .await;
        let so = move |world: &World| {
            quiet(world) && world.object("api").unwrap()["status"]["authMethod"] == method
        };
        reached(&world, &first, &mut operators, &context, so).await;
    }
    assert!(readers.end(&context) > 100, "{context}");
    world.ask("api", "revoke", "incident").await;
    let revoked = |world: &World| {
        // The conditions are of the pass before until the one that revokes is over.
        let status = world.object("api").unwrap()["status"].clone();
        quiet(world) && status["lastHandledRevokeAt"] == "incident" && status["version"].is_i64()
    };
    reached(&world, &first, &mut operators, &context, revoked).await;
    let struck = || first.struck.lock().unwrap().clone();
    let spared = || forgiven(case, strike, struck().as_deref());
    let places = ["secret team-shop/one", "s3://three/api"];
    check(&world, case, places, &context, spared());
    let uid = world.object("api").unwrap()["metadata"]["uid"].clone();
    let vault = format!("bailiwick-oauth-{}", uid.as_str().unwrap());
    world.delete("api").await;
    let gone = |world: &World| world.object("api").is_none();
    reached(&world, &first, &mut operators, &context, gone).await;
    let context = format!("{context} at {:?}", struck());
    let live = world.oauth[0].live("api");
    assert!(live.len() <= spared(), "{context}: {live:?}");
    let users = world.oauth[0].users(uid.as_str().unwrap());
    assert!(users.is_empty(), "{context}: {users:?}");
    assert!(world.places.all().is_empty(), "{context}");
    let kept = world.server.get("secrets", "default", &vault);
    assert!(kept.is_none(), "{context}");
    operators.iter().for_each(tokio::task::JoinHandle::abort);
    (first.writes(), struck())
}

/// Waits until it is so; whoever was killed is followed by another.
async fn reached(
    world: &World,
    first: &Arc<Life>,
    operators: &mut Vec<tokio::task::JoinHandle<()>>,
    context: &str,
    so: impl Fn(&World) -> bool,
) {
    for _ in 0..7200 {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        if first.is_dead() && operators.len() == 1 {
            operators.push(world.operator(&Life::new(None)));
        }
        if so(world) {
            return;
        }
    }
    panic!("{context}: never: {:#?}", world.object("api"));
}

type Strike = (u64, Blow);

/// Lives in which a write is struck, by each of the blows; what must be among the writes. Those of a life without a blow are
/// counted first. `strikes` says of which blow (0, 1, 2) at which write there is a life.
pub async fn table(
    of: &str,
    needed: &[&str],
    strikes: impl Fn(u64, u64) -> bool,
    life: impl AsyncFn(Option<Strike>) -> (u64, Option<String>),
) {
    let (writes, _) = life(None).await;
    assert!(
        writes >= 12,
        "{of}: only {writes} writes: the table would prove little"
    );
    let mut rows = Vec::new();
    for (turn, blow) in (0..).zip([Blow::KilledBefore, Blow::KilledAfter, Blow::AnswerLost]) {
        for position in (1..=writes).filter(|position| strikes(turn, *position)) {
            let (_, struck) = life(Some((position, blow))).await;
            rows.push(format!(
                "{blow:?} {position}: {}",
                struck.unwrap_or_default()
            ));
        }
    }
    println!(
        "{of}: {} lives, {writes} writes each\n{}",
        rows.len(),
        rows.join("\n")
    );
    for write in needed {
        assert!(
            rows.iter().any(|row| row.contains(write)),
            "{of}: {write}: {rows:#?}"
        );
    }
}

/// A kill before every write, and every answer lost. A kill behind a write leaves what a kill before the next one leaves:
/// it is struck as well with `BAILIWICK_EVERY_BLOW=1`.
pub fn each_write(turn: u64, _position: u64) -> bool {
    turn != 1 || every_blow()
}

/// Each write is struck once, by the three blows in turn: for lives that are long.
pub fn in_turn(turn: u64, position: u64) -> bool {
    position % 3 == turn || every_blow()
}

fn every_blow() -> bool {
    std::env::var("BAILIWICK_EVERY_BLOW").is_ok()
}

async fn whole_table(case: Case, needed: &[&str]) {
    let life = async |strike| life(case, strike).await;
    table(&format!("{case:?}"), needed, each_write, life).await;
}

async fn later_table(case: Case, needed: &[&str]) {
    let life = async |strike| later_life(case, strike).await;
    table(&format!("{case:?}, later"), needed, in_turn, life).await;
}

const LATER: [&str; 5] = ["register", "put", "clean", "delete", "Delete secrets"];

#[tokio::test(start_paused = true)]
async fn dynamic_registration_later_in_its_life() {
    let case = Case::new(Profile::Dynamic, "client_secret_basic");
    later_table(case, &LATER).await;
}

#[tokio::test(start_paused = true)]
async fn keycloak_later_in_its_life() {
    let case = Case::new(Profile::Keycloak, "private_key_jwt");
    later_table(case, &LATER).await;
}

#[tokio::test(start_paused = true)]
async fn keycloak_with_two_secrets_later_in_its_life() {
    let case = Case::new(Profile::KeycloakRotating, "client_secret_basic");
    later_table(case, &LATER).await;
}

#[tokio::test(start_paused = true)]
async fn cognito_later_in_its_life() {
    let case = Case::new(Profile::Cognito, "client_secret_basic");
    later_table(case, &LATER).await;
}

#[tokio::test(start_paused = true)]
async fn users_later_in_their_lives() {
    let case = Case::with_user(Profile::Keycloak, "client_secret_basic");
    later_table(case, &[&LATER[..], &OF_USERS].concat()).await;
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
    whole_table(case, &[&ALWAYS[..], &["delete"]].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn dynamic_registration_with_keys() {
    let case = Case::new(Profile::Dynamic, "private_key_jwt");
    whole_table(case, &[&ALWAYS[..], &["delete"]].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn keycloak_with_one_secret() {
    let case = Case::new(Profile::Keycloak, "client_secret_post");
    whole_table(case, &[&ALWAYS[..], &["delete", "update"]].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn keycloak_with_keys() {
    let case = Case::new(Profile::Keycloak, "private_key_jwt");
    whole_table(case, &[&ALWAYS[..], &["update"]].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn keycloak_with_two_secrets() {
    let case = Case::new(Profile::KeycloakRotating, "client_secret_basic");
    whole_table(
        case,
        &[&ALWAYS[..], &["add_secret", "retire_secret", "update"]].concat(),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn cognito() {
    let case = Case::new(Profile::Cognito, "client_secret_basic");
    whole_table(
        case,
        &[&ALWAYS[..], &["add_secret", "retire_secret", "update"]].concat(),
    )
    .await;
}

const OF_USERS: [&str; 3] = ["make_user", "remove_user", "put user.json"];

#[tokio::test(start_paused = true)]
async fn users_beside_one_secret() {
    let case = Case::with_user(Profile::Keycloak, "client_secret_post");
    whole_table(case, &[&ALWAYS[..], &OF_USERS, &["delete"]].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn users_beside_two_secrets() {
    let case = Case::with_user(Profile::KeycloakRotating, "client_secret_basic");
    let secrets = ["add_secret", "retire_secret"];
    whole_table(case, &[&ALWAYS[..], &OF_USERS, &secrets].concat()).await;
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
