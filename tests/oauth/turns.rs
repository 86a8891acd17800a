//! Rotations are laid out evenly, and stay as they were laid out.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick::identity::simulated::Profile;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::world::{HOUR, Life, MINUTE, World};

/// What each of these clients has: its turn, and the minute of its next rotation.
fn turns(world: &World, names: &[String]) -> BTreeMap<String, (u64, i64)> {
    let of = |name: &String| {
        let status = world.object(name).unwrap()["status"].clone();
        let next: Timestamp = status["nextRotation"].as_str().unwrap().parse().unwrap();
        let turn = status["turn"].as_u64().unwrap();
        (name.clone(), (turn, next.as_second().div_euclid(60)))
    };
    names.iter().map(of).collect()
}

/// The most rotations in a minute.
fn most(turns: &BTreeMap<String, (u64, i64)>) -> usize {
    let mut counts = BTreeMap::<i64, usize>::new();
    for (_, minute) in turns.values() {
        *counts.entry(*minute).or_default() += 1;
    }
    counts.into_values().max().unwrap()
}

fn declare(world: &World, numbers: std::ops::Range<usize>) -> Vec<String> {
    let names: Vec<String> = numbers.map(|number| format!("c{number:03}")).collect();
    for name in &names {
        // A cycle of 70 minutes.
        let rotation = json!({"rotation": {"period": "2h", "overlap": "1m"}});
        world.declare(name, &[name.as_str()], rotation);
    }
    names
}

#[tokio::test(start_paused = true)]
async fn clients_that_come_together_take_turns_and_keep_them() {
    let world = World::new(Profile::Keycloak);
    let operator = world.operator(&Life::new(None));
    let names = declare(&world, 0..140);
    let all = |names: Vec<String>, version: i64| {
        move |world: &World| {
            names.iter().all(|name| {
                let status = world.object(name).unwrap()["status"].clone();
                status["version"].as_i64() >= Some(version) && status["nextRotation"].is_string()
            })
        }
    };
    let made = all(names.clone(), 1);
    world.until(10 * MINUTE, "all made", made).await;
    let first = turns(&world, &names);
    // Two a minute on the average; by chance alone six or seven in the worst.
    assert!(most(&first) <= 4, "{first:?}");
    let taken: BTreeSet<u64> = first.values().map(|(turn, _)| *turn).collect();
    assert!(
        taken.len() > 1 && taken.iter().all(|turn| *turn < 4),
        "{taken:?}"
    );

    // Another replica keeps what was taken, and lays out those that come later beside them.
    operator.abort();
    let operator = world.operator(&Life::new(None));
    tokio::time::sleep(MINUTE).await;
    let later = declare(&world, 140..210);
    let made = all(later.clone(), 1);
    world.until(10 * MINUTE, "the later ones made", made).await;
    let everyone = [names.clone(), later].concat();
    let rotated = all(everyone.clone(), 2);
    world.until(2 * HOUR, "all rotated", rotated).await;
    let second = turns(&world, &everyone);
    for (name, (turn, _)) in &first {
        assert_eq!(second[name].0, *turn, "{name} has kept its turn");
    }
    // Some are in their second life and some in their third: it is the minute of the cycle that counts.
    let folded = second
        .into_iter()
        .map(|(name, (turn, minute))| (name, (turn, minute.rem_euclid(70))))
        .collect();
    assert!(most(&folded) <= 6, "{folded:?}");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_public_client_takes_no_turn() {
    let world = World::new(Profile::Keycloak);
    let operator = world.operator(&Life::new(None));
    world.declare("api", &["one"], json!({"authMethod": "none", "redirectUris": ["https://shop.example.com/"], "grantTypes": ["authorization_code"]}));
    world
        .until(HOUR, "made", |world| world.settled("api", 1))
        .await;
    let status = &world.object("api").unwrap()["status"];
    assert!(status["turn"].is_null(), "{status}");
    operator.abort();
}
