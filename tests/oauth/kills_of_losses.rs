//! The same blows where a client is lost at its server, and where a version that was begun is given up. Each write is struck
//! once, by the three blows in turn.

use std::sync::Arc;

use bailiwick::identity::simulated::Profile;
use serde_json::json;
use tokio::task::JoinHandle;

use super::kills::{alone, changed, ready, table};
use super::world::{Blow, HOUR, Life, MINUTE, World};

type Strike = (u64, Blow);

/// A world whose client was settled by an operator that nothing befell, so that it is not among what is struck.
async fn settled(profile: Profile) -> World {
    let world = World::new(profile);
    let fields = json!({"authMethod": "client_secret_basic"});
    world.declare("api", &["one", "s3:two"], fields);
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    operator.abort();
    world
}

async fn end(world: &World, first: &Arc<Life>, mut operators: Vec<JoinHandle<()>>, context: &str) {
    let quiet = |world: &World| {
        let status = world.object("api").unwrap()["status"].clone();
        let newer = status["lastVersion"].as_i64() >= Some(2);
        newer && ready(world) && alone(world) && changed(world)
    };
    for _ in 0..3600 {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        if first.is_dead() && operators.len() == 1 {
            operators.push(world.operator(&Life::new(None)));
        }
        if quiet(world) {
            break;
        }
    }
    assert!(
        quiet(world),
        "{context}: {:#}",
        world.object("api").unwrap()
    );
    let (kept, live) = (world.kept("api"), world.oauth[0].live("api"));
    assert_eq!(kept.len(), 1, "{context}: {kept:?}");
    // What a lost answer named nobody can remove, where the server cannot be searched: that one alone may be left.
    let struck = first.struck.lock().unwrap().clone().unwrap_or_default();
    let unknown = struck == "register" || struck.starts_with("Update secrets");
    let known: Vec<_> = live.iter().filter(|(id, ..)| *id == kept[0]).collect();
    assert_eq!(known.len(), 1, "{context}: {live:?}");
    let dynamic = live.iter().any(|(id, ..)| id.starts_with("client-"));
    let spared = usize::from(unknown && dynamic);
    assert!(live.len() <= 1 + spared, "{context}, {struck}: {live:?}");
    for (place, content) in world.places.all() {
        assert!(content.contains(&kept[0]), "{context}: {place}");
    }
    operators.iter().for_each(JoinHandle::abort);
}

/// Its client is gone at the server.
async fn lost(profile: Profile, strike: Option<Strike>) -> (u64, Option<String>) {
    let world = settled(profile).await;
    let id = world.object("api").unwrap()["status"]["clientId"].clone();
    world.oauth[0].forget_client(id.as_str().unwrap());
    world.ask("api", "reconcile", "now").await;
    let first = Life::new(strike);
    let operators = vec![world.operator(&first)];
    end(
        &world,
        &first,
        operators,
        &format!("lost, {profile:?}, {strike:?}"),
    )
    .await;
    let struck = first.struck.lock().unwrap().clone();
    (first.writes(), struck)
}

/// What is declared changes while a version is made that the server gives no token for.
async fn abandoned(profile: Profile, strike: Option<Strike>) -> (u64, Option<String>) {
    let world = settled(profile).await;
    world.oauth[0].set_withholding(true);
    world.ask("api", "renew", "one").await;
    let first = Life::new(strike);
    let mut operators = vec![world.operator(&first)];
    tokio::time::sleep(MINUTE).await;
    if first.is_dead() {
        operators.push(world.operator(&Life::new(None)));
        tokio::time::sleep(MINUTE).await;
    }
    let more = json!({"spec": {"redirectUris": ["https://shop.example.com/back"]}});
    world.patch("api", more).await;
    tokio::time::sleep(MINUTE).await;
    world.oauth[0].set_withholding(false);
    world.ask("api", "reconcile", "now").await;
    end(
        &world,
        &first,
        operators,
        &format!("abandoned, {profile:?}, {strike:?}"),
    )
    .await;
    let struck = first.struck.lock().unwrap().clone();
    (first.writes(), struck)
}

fn in_turn(turn: u64, position: u64) -> bool {
    position % 3 == turn
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_made_anew() {
    for profile in [Profile::Dynamic, Profile::KeycloakRotating] {
        let of = format!("lost, {profile:?}");
        let needed = ["register", "put", "oauthclients status"];
        table(&of, &needed, in_turn, async |strike| {
            lost(profile, strike).await
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_goes() {
    for profile in [Profile::Dynamic, Profile::KeycloakRotating] {
        let of = format!("abandoned, {profile:?}");
        // Where what is declared is changed in place, nothing new is delivered.
        let needed: &[&str] = match profile {
            Profile::Dynamic => &["put", "delete", "oauthclients status"],
            _ => &["add_secret", "retire_secret", "oauthclients status"],
        };
        table(&of, needed, in_turn, async |strike| {
            abandoned(profile, strike).await
        })
        .await;
    }
}
