//! O1 to O3, O5 and O6: what credentials cost, how evenly they are replaced, and whether anybody notices, in the world of
//! `tests/oauth.rs`.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bailiwick::identity::simulated::Profile;
use bailiwick::plan::rotation::schedule::due_at;
use k8s_openapi::jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::oauth::world::{Blow, HOUR, Life, MINUTE, Readers, World};
use crate::report::{Figure, Goal};
use crate::{Arguments, Limit, Problem, in_virtual_time};

const PLACES: [&str; 3] = ["one", "s3:two", "s3:three"];
/// Rotations in all, of so many clients for each kind of server.
const ROTATIONS: u32 = 200;
const CLIENTS: usize = 5;
/// Clients whose rotations are spread, over how long a life, in seconds.
const SPREAD: usize = 10_000;
const LIFE: i64 = 6 * 3600;

/// O1: the calls of one rotation.
pub fn rotation(_: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    let mut figures = Vec::new();
    for (profile, id, name) in [
        (Profile::Dynamic, "O1", "RFC 7591"),
        (
            Profile::KeycloakRotating,
            "O1.inplace",
            "two secrets of one client",
        ),
    ] {
        let (calls, places) = in_virtual_time(limit, one_rotation(profile))?;
        let what = format!(
            "calls to the server for one rotation with three places and its retirement, {name}; and {places} writes to places"
        );
        figures.push(Figure::new(id, calls, "calls", Goal::Known, &what));
    }
    Ok(figures)
}

async fn one_rotation(profile: Profile) -> Result<(f64, u64), Problem> {
    let world = World::new(profile);
    world.declare("api", &PLACES, json!({"authMethod": "client_secret_basic"}));
    let operator = world.operator(&Life::new(None));
    until(&world, "made", |world| world.settled("api", 1)).await?;
    tokio::time::sleep(MINUTE).await;
    let (calls, puts) = (world.oauth[0].all_calls(), puts(&world));
    world.ask("api", "renew", "one").await;
    until(&world, "renewed", |world| world.settled("api", 2)).await?;
    operator.abort();
    let calls = world.oauth[0].all_calls() - calls;
    Ok((calls as f64, self::puts(&world) - puts))
}

fn puts(world: &World) -> u64 {
    let places = ["secret team-shop/one", "s3://two/api", "s3://three/api"];
    places.iter().map(|place| world.places.writes(place)).sum()
}

async fn until(world: &World, what: &str, holds: impl Fn(&World) -> bool) -> Result<(), Problem> {
    for _ in 0..3600 {
        if holds(world) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Err(format!("never: {what}").into())
}

/// O2: how even the rotations of many clients are that all came in one minute.
pub fn evenness(arguments: &Arguments, _: Limit) -> Result<Vec<Figure>, Problem> {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let cycle = LIFE * 7 / 12;
    let mut chance = StdRng::seed_from_u64(arguments.seed);
    // As the API server makes them: by chance.
    let uid = |_| format!("{:032x}", chance.random::<u128>());
    let uids: Vec<String> = (0..SPREAD).map(uid).collect();
    let mut worst: f64 = 0.0;
    for from in [LIFE / 12, 40 * cycle] {
        let counts = counts(&uids, start, from / 60, cycle / 60)?;
        let all: u32 = counts.values().sum();
        let mean = f64::from(all) / (cycle / 60) as f64;
        let most = counts.values().copied().max().unwrap_or_default();
        worst = worst.max(f64::from(most) / mean);
    }
    let what = format!(
        "most rotations in a minute against the mean, {SPREAD} clients that came in one minute and live 6 h, the worse of \
         their first and their fortieth life"
    );
    let figure = Figure::new("O2", worst, "times", Goal::AtMost(1.5), &what);
    Ok(vec![figure.because(
        "moments that follow from uids by chance are as even as chance is, about 48 a minute: another seed has another figure",
    )])
}

/// The rotations in each of so many minutes.
fn counts(
    uids: &[String],
    start: Timestamp,
    from: i64,
    minutes: i64,
) -> Result<BTreeMap<i64, u32>, Problem> {
    let after = |second: i64| Timestamp::from_second(start.as_second() + second);
    let mut counts = BTreeMap::new();
    for (client, uid) in uids.iter().enumerate() {
        let mut created = i64::try_from(client)? % 60;
        loop {
            let due = due_at(uid, after(created)?, after(created + LIFE)?, None);
            let due = due.as_second() - start.as_second();
            let minute = due / 60 - from;
            if minute >= minutes {
                break;
            }
            if minute >= 0 {
                *counts.entry(minute).or_default() += 1;
            }
            created = due + 5;
        }
    }
    Ok(counts)
}

/// O3: what settled clients cost.
pub fn settled(_: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    in_virtual_time(limit, settled_clients())
}

async fn settled_clients() -> Result<Vec<Figure>, Problem> {
    const MANY: u32 = 100;
    const HOURS: u32 = 12;
    let world = World::new(Profile::Dynamic);
    let names: Vec<String> = (0..MANY).map(|number| format!("c{number:03}")).collect();
    for name in &names {
        let more = json!({"rotation": {"period": "90d", "overlap": "10m"}});
        world.declare(
            name,
            &[&format!("{name}-one"), &format!("s3:{name}-two")],
            more,
        );
    }
    let operator = world.operator(&Life::new(None));
    let all = |world: &World| names.iter().all(|name| world.settled(name, 1));
    until(&world, "all settled", all).await?;
    tokio::time::sleep(HOUR).await;
    let calls = |world: &World| (world.oauth[0].all_calls(), world.places.looks());
    let (before, writes) = (calls(&world), world.server.writes());
    tokio::time::sleep(HOURS * HOUR).await;
    let (after, written) = (calls(&world), world.server.writes() - writes);
    operator.abort();
    let each = |count: u64| count as f64 / f64::from(MANY * HOURS);
    let of = format!("{MANY} settled clients with two places over {HOURS} virtual hours");
    Ok(vec![
        Figure::new(
            "O3.writes",
            each(written),
            "writes/h",
            Goal::AtMost(0.0),
            &format!("writes to the API server for each client and hour, {of}"),
        ),
        Figure::new(
            "O3.calls",
            each(after.0 - before.0),
            "calls/h",
            Goal::Known,
            &format!("calls to the server for each client and hour, {of}"),
        ),
        Figure::new(
            "O3.looks",
            each(after.1 - before.1),
            "looks/h",
            Goal::Known,
            &format!("looks at places for each client and hour, {of}"),
        ),
    ])
}

/// O5 and O6: whether anybody notices, and what is left.
pub fn turmoil(arguments: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    let mut total = Turmoil::default();
    for profile in Profile::ALL {
        let seed = arguments.seed;
        let found = in_virtual_time(limit, rotations_under_fire(profile, seed))?;
        total.add(&found);
    }
    let of = format!(
        "{} rotations of {} clients of four kinds of servers, {} of them struck by a kill or a lost answer, seed {}",
        total.rotations,
        CLIENTS * Profile::ALL.len(),
        total.struck,
        arguments.seed
    );
    Ok(vec![
        Figure::new(
            "O5",
            total.failed as f64,
            "requests",
            Goal::AtMost(0.0),
            &format!(
                "token requests that failed, of {}, during {of}",
                total.requests
            ),
        ),
        Figure::new(
            "O6",
            total.uneven as f64,
            "clients",
            Goal::AtMost(0.0),
            &format!("clients that had not exactly one live version in the end, after {of}"),
        ),
        Figure::new(
            "O6.unknown",
            total.unknown as f64,
            "clients",
            Goal::Known,
            "clients left at the server of RFC 7591, which cannot be searched, whose secret nobody kept: the answer was lost, or the operator killed before it was kept",
        ),
    ])
}

#[derive(Default)]
struct Turmoil {
    rotations: u32,
    struck: u32,
    requests: u64,
    failed: usize,
    uneven: usize,
    unknown: usize,
}

impl Turmoil {
    fn add(&mut self, other: &Self) {
        self.rotations += other.rotations;
        self.struck += other.struck;
        self.requests += other.requests;
        self.failed += other.failed;
        self.uneven += other.uneven;
        self.unknown += other.unknown;
    }
}

fn version(world: &World, name: &str) -> i64 {
    let object = world.object(name);
    object
        .and_then(|object| object["status"]["version"].as_i64())
        .unwrap_or(0)
}

/// Whether each client has one version, a later one than it had.
fn all_beyond(world: &World, names: &[String], before: &[i64]) -> bool {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    names.iter().zip(before).all(|(name, before)| {
        let version = version(world, name);
        version > before && world.settled(name, version)
    })
}

async fn rotations_under_fire(profile: Profile, seed: u64) -> Result<Turmoil, Problem> {
    let mut chance = StdRng::seed_from_u64(seed);
    let world = World::new(profile);
    let names: Vec<String> = (0..CLIENTS).map(|number| format!("c{number}")).collect();
    for name in &names {
        let method = json!({"authMethod": "client_secret_basic"});
        world.declare(
            name,
            &[&format!("{name}-one"), &format!("s3:{name}-two")],
            method,
        );
    }
    let mut life = Life::new(None);
    let mut operator = world.operator(&life);
    until(&world, "all made", |world| all_beyond(world, &names, &[])).await?;
    let readers = Readers::start(&world);
    let mut found = Turmoil::default();
    let rounds = ROTATIONS / u32::try_from(CLIENTS * Profile::ALL.len())?;
    for round in 0..rounds {
        operator.abort();
        let before: Vec<i64> = names.iter().map(|name| version(&world, name)).collect();
        // About forty writes a round: it is struck somewhere in it.
        let blows = [Blow::KilledBefore, Blow::KilledAfter, Blow::AnswerLost];
        let blow = blows[chance.random_range(0..blows.len())];
        life = Life::new(Some((chance.random_range(1..=30), blow)));
        operator = world.operator(&life);
        for name in &names {
            world.ask(name, "renew", &format!("round {round}")).await;
        }
        let mut ended = false;
        for _ in 0..3600 {
            if life.is_dead() {
                found.struck += 1;
                operator.abort();
                tokio::time::sleep(MINUTE).await;
                life = Life::new(None);
                operator = world.operator(&life);
            }
            ended = all_beyond(&world, &names, &before);
            if ended {
                break;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        if !ended {
            return Err(format!("{profile:?}: round {round} of rotations did not end").into());
        }
        found.struck += u32::from(life.struck.lock().is_ok_and(|struck| struck.is_some()));
        found.rotations += u32::try_from(CLIENTS)?;
    }
    operator.abort();
    found.requests = readers.requests.load(Ordering::SeqCst);
    found.failed = readers
        .failures
        .lock()
        .map_or(usize::MAX, |failures| failures.len());
    for name in &names {
        let (kept, live) = (world.kept(name), world.oauth[0].live(&format!("/{name})")));
        let (ours, unknown): (Vec<_>, Vec<_>) =
            live.into_iter().partition(|(id, ..)| kept.contains(id));
        let versions: usize = ours.iter().map(|(_, versions, _)| *versions).sum();
        // A server that can be searched has no excuse for what nobody knows of.
        let excused = profile == Profile::Dynamic || unknown.is_empty();
        if kept.len() != 1 || versions != 1 || !excused {
            eprintln!("bench:   {profile:?} {name}: kept {kept:?}, {ours:?}, unknown {unknown:?}");
            found.uneven += 1;
        }
        found.unknown += unknown.len();
    }
    Ok(found)
}
