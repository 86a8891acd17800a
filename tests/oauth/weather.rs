//! Servers and places that are away, hang, or ask us to wait; and many clients among whom one is in trouble.

use std::time::Duration;

use bailiwick::identity::simulated::Profile;
use serde_json::json;
use tokio::time::Instant;

use super::world::{HOUR, Life, MINUTE, Readers, World};

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_for_a_day_breaks_nothing() {
    for profile in Profile::ALL {
        let world = World::new(profile);
        world.declare(
            "api",
            &["one", "s3:two"],
            json!({"rotation": {"period": "4d", "overlap": "1h"}}),
        );
        let life = Life::new(None);
        let operator = world.operator(&life);
        world
            .until(HOUR, "version 1", |world| world.settled("api", 1))
            .await;
        let readers = Readers::start(&world);
        world.oauth[0].set_away(true);
        world.ask("api", "renew", "one").await;
        // Whoever restarts meanwhile knows nothing of the server, and leaves everything as it is.
        tokio::time::sleep(12 * HOUR).await;
        let said = world.condition("api", "Rotating").unwrap();
        assert_eq!(said.1, "RotationDelayed", "{profile:?}");
        life.die();
        operator.abort();
        let operator = world.operator(&Life::new(None));
        tokio::time::sleep(12 * HOUR).await;
        let (ready, ..) = world.condition("api", "Ready").unwrap();
        assert_eq!(ready, "True", "{profile:?}: what is in use works");
        let calls = world.oauth[0].all_calls();
        assert!(calls < 3000, "{profile:?}: {calls} calls in a day");
        world.oauth[0].set_away(false);
        world
            .until(2 * HOUR, "renewed", |world| world.settled("api", 2))
            .await;
        assert_eq!(world.oauth[0].live("api").len(), 1, "{profile:?}");
        assert!(world.oauth[0].most_live("api") <= 2);
        readers.end("away");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_to_wait_is_given_time() {
    let world = World::new(Profile::Dynamic);
    for number in 0..10 {
        world.declare(&format!("c{number}"), &[&format!("c{number}")], json!({}));
    }
    let operator = world.operator(&Life::new(None));
    tokio::time::sleep(Duration::from_millis(600)).await;
    world.oauth[0].throttle(4, Duration::from_secs(120));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let calls = world.oauth[0].all_calls();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let during = world.oauth[0].all_calls() - calls;
    assert_eq!(
        during, 0,
        "nobody asks before the time that the server named"
    );
    for number in 0..10 {
        let name = format!("c{number}");
        world
            .until(HOUR, "version 1", |world| world.settled(&name, 1))
            .await;
        assert_eq!(world.oauth[0].live(&format!("/{name})")).len(), 1);
    }
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_holds_up_only_its_own_clients() {
    let mut world = World::new(Profile::Keycloak);
    world.provider("stuck", Profile::Keycloak);
    for number in 0..40 {
        let name = format!("s{number}");
        world.declare(&name, &[&name], json!({"provider": "stuck"}));
    }
    let operator = world.operator(&Life::new(None));
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.oauth[1].set_hanging(true);
    let began = Instant::now();
    for number in 0..40 {
        let name = format!("c{number}");
        world.declare(&name, &[&name], json!({}));
    }
    for number in 0..40 {
        let name = format!("c{number}");
        world
            .until(HOUR, "version 1", |world| world.settled(&name, 1))
            .await;
    }
    let took = began.elapsed();
    println!("40 clients of a sound server beside 40 of one that hangs: {took:?}");
    assert!(took < 2 * MINUTE, "{took:?}");
    assert!(
        world.oauth[1].busiest() <= 4,
        "{}",
        world.oauth[1].busiest()
    );
    world.oauth[1].set_hanging(false);
    for number in 0..40 {
        let name = format!("s{number}");
        world
            .until(HOUR, "version 1", |world| world.settled(&name, 1))
            .await;
    }
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn one_dead_bucket_among_two_hundred_clients_stops_nobody_else() {
    let world = World::new(Profile::Dynamic);
    let names: Vec<String> = (0..200).map(|number| format!("c{number:03}")).collect();
    for name in &names {
        let bucket = format!("s3:{name}");
        world.declare(name, &[name, &bucket], json!({}));
    }
    let dead = "s3://c007/api";
    world.places.hang(dead, true);
    let operator = world.operator(&Life::new(None));
    let began = Instant::now();
    let others = |world: &World, version| {
        names
            .iter()
            .filter(|name| name.as_str() != "c007")
            .all(|name| world.settled(name, version))
    };
    world
        .until(HOUR, "all others", |world| others(world, 1))
        .await;
    println!(
        "199 clients beside one with a dead bucket: {:?}",
        began.elapsed()
    );
    assert!(began.elapsed() < 10 * MINUTE, "{:?}", began.elapsed());
    assert_eq!(
        world.oauth[0].live("c007").len(),
        0,
        "nothing is made that cannot be delivered"
    );
    world.places.hang(dead, false);
    world
        .until(HOUR, "the last one", |world| world.settled("c007", 1))
        .await;
    // It dies while all rotate.
    let readers = Readers::start(&world);
    world.places.hang(dead, true);
    for name in &names {
        world.ask(name, "renew", "one").await;
    }
    world
        .until(HOUR, "all others again", |world| others(world, 2))
        .await;
    let (ready, ..) = world.condition("c007", "Ready").unwrap();
    assert_eq!(ready, "True", "what it has works");
    world.places.hang(dead, false);
    world
        .until(HOUR, "the last one again", |world| world.settled("c007", 2))
        .await;
    for name in &names {
        assert_eq!(world.oauth[0].live(&format!("/{name})")).len(), 1, "{name}");
    }
    readers.end("two hundred");
    operator.abort();
}
