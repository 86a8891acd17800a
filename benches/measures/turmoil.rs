//! P9: accounts are vended while one answer in twenty is lost and the operator is killed again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::population::is_ready;
use crate::report::{Figure, Goal};
use crate::world::{World, aws};
use crate::{Arguments, Limit, Problem, in_virtual_time};

/// Measures.
pub fn measure(arguments: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    in_virtual_time(limit, endure(arguments.accounts, arguments.seed))
}

async fn endure(count: usize, seed: u64) -> Result<Vec<Figure>, Problem> {
    let mut options = aws();
    options.lost_reply_rate = 0.05;
    options.creation_jitter = Duration::from_secs(15);
    let world = World::new(options, seed, 20)?;
    world.declare(count, 10)?;
    let (mut chance, mut kills) = (StdRng::seed_from_u64(seed), 0);
    // Killed at any moment, fifty times over the time that the creations take at least.
    let apart = 12 * u64::try_from(count)? / 50 + 2;
    for _ in 0..50 {
        let operator = world.operator(&[]);
        let life = chance.random_range(1_000..=apart * 2_000);
        tokio::time::sleep(Duration::from_millis(life)).await;
        drop(operator);
        kills += 1;
        if kills % 5 == 0 {
            eprintln!("bench:   {kills} kills: {}", progress(&world));
        }
        // A pod is not back at once.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let operator = world.operator(&[]);
    let limit = Duration::from_secs(4 * 60) * u32::try_from(count)?;
    let ended = world.until_ready(count, limit).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    drop(operator);
    if let Err(problem) = ended {
        eprintln!("bench:   {problem}: {}", progress(&world));
    }

    let objects = world.server.objects("teamaccounts");
    let unconverged = objects.iter().filter(|object| !is_ready(object)).count();
    let uids: BTreeSet<String> = objects
        .iter()
        .filter_map(|object| object["metadata"]["uid"].as_str().map(str::to_owned))
        .collect();
    let orphans = world.cloud.orphans(&uids).len();
    let duplicates = world.cloud.duplicates().len();
    let about = |what: &str| {
        format!("{what} after {count} creates, 5 % of the answers lost, {kills} kills, seed {seed}")
    };
    Ok(vec![
        Figure::new(
            "P9.duplicates",
            duplicates as f64,
            "accounts",
            Goal::AtMost(0.0),
            &about("duplicates"),
        ),
        Figure::new(
            "P9.orphans",
            orphans as f64,
            "accounts",
            Goal::AtMost(0.0),
            &about("orphans"),
        ),
        Figure::new(
            "P9.unconverged",
            unconverged as f64,
            "objects",
            Goal::AtMost(0.0),
            &about("unconverged objects"),
        ),
    ])
}

/// How many objects stand at which reason, and at what virtual time.
fn progress(world: &World) -> String {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for object in world.server.objects("teamaccounts") {
        let conditions = object["status"]["conditions"].as_array();
        let ready = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == "Ready");
        let reason = ready.and_then(|ready| ready["reason"].as_str());
        *reasons
            .entry(reason.unwrap_or("new").to_owned())
            .or_default() += 1;
    }
    format!("at {}: {reasons:?}", world.cloud.now())
}
