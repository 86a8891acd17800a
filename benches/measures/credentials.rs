//! O1 to O3, O5 and O6: what credentials cost, how evenly they are replaced, and whether anybody notices, in the world of
//! `tests/oauth.rs`.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bailiwick::identity::simulated::Profile;
use bailiwick::model::Tags;
use bailiwick::plan::rotation::schedule::due_at;
use bailiwick::plan::rotation::turns::{self, Load};
use k8s_openapi::jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::oauth::world::{Blow, HOUR, Life, MINUTE, NAMESPACE, Readers, World};
use crate::report::{Figure, Goal};
use crate::{Arguments, Limit, Problem, in_virtual_time};

const PLACES: [&str; 3] = ["one", "s3:two", "s3:three"];
/// Rotations in all, of so many clients for each kind of server.
const ROTATIONS: u32 = 200;
const CLIENTS: usize = 5;
/// Clients whose rotations are spread, over how long a life, in seconds.
const SPREAD: usize = 10_000;
const LIFE: i64 = 6 * 3600;
/// After how many seconds each is replaced, then.
const CYCLE: i64 = LIFE * 7 / 12;
/// With how many kinds of chance.
const SEEDS: u64 = 20;

/// O1: the calls of one rotation, to the server and to AWS.
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
    figures.extend(in_virtual_time(limit, in_accounts())?);
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

/// The calls to AWS of a client's first version, and of its next one within the hour and after it.
async fn in_accounts() -> Result<Vec<Figure>, Problem> {
    let mut world = World::new(Profile::Dynamic);
    world.in_accounts = true;
    account(&world);
    let delivery = json!([
        {"name": "cluster", "secret": {"name": "api-oauth"}},
        {"name": "bucket", "s3": {"account": "live"}},
        {"name": "managed", "secretsManager": {"account": "live", "region": "eu-central-1"}},
    ]);
    world.declare("api", &[], json!({"delivery": delivery}));
    let operator = world.operator(&Life::new(None));
    until(&world, "made", |world| world.settled("api", 1)).await?;
    let mut figures = Vec::new();
    for (id, what, wait, version) in [
        ("O1.aws", "with sessions that are open", MINUTE, 2),
        ("O1.aws.closed", "with none open", 2 * HOUR, 3),
    ] {
        tokio::time::sleep(wait).await;
        world.cloud.forget_calls();
        world.ask("api", "renew", id).await;
        until(&world, "renewed", |world| world.settled("api", version)).await?;
        let calls = world.cloud.calls();
        // A look at how the bucket is configured belongs to the account, whose turn it may be meanwhile.
        let ours = calls.iter().filter(|(operation, _)| {
            let services = ["s3.", "secretsmanager.", "sts."];
            let of_account = operation.starts_with("s3.GetBucket");
            !of_account
                && services
                    .iter()
                    .any(|service| operation.starts_with(service))
        });
        let (mut all, mut each) = (0, Vec::new());
        for (operation, count) in ours {
            all += count.calls;
            each.push(format!("{} {operation}", count.calls));
        }
        let what = format!(
            "calls to AWS for one rotation to a Secret, a bucket and Secrets Manager, {what}: {}",
            each.join(", ")
        );
        figures.push(Figure::new(id, all as f64, "calls", Goal::Known, &what));
    }
    operator.abort();
    Ok(figures)
}

/// An account of the team with a credentials bucket, as it is once it has been made.
fn account(world: &World) {
    const BUCKET: &str = "acme-live";
    let id = world.cloud.add_member("a@example.com", "live", Tags::new());
    world
        .cloud
        .change_credentials_bucket(BUCKET, |bucket| bucket.account = Some(id.clone()));
    let class = json!({"organizationalUnitPath": "/T", "emailTemplate": "aws+{{team}}-{{account}}@example.com",
        "regions": ["eu-central-1"], "credentialsBucket": {"nameTemplate": "acme-{{account.name}}"}});
    world.put("AccountClass", "", "live", class);
    // Suspended: what the account's own controller calls is no part of this.
    let kept = world.server.put(&json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": "TeamAccount",
        "metadata": {"name": "live", "namespace": NAMESPACE},
        "spec": {"className": "live", "suspend": true},
        "status": {"accountId": id.as_str(), "credentialsBucket": {"bucket": BUCKET, "region": "eu-central-1"}},
    }));
    assert!(kept.is_some(), "the account is not accepted");
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

/// O2: how even the rotations of many clients are that all came in one minute. A minute has some fifty of them with that
/// life; with one so long that many minutes have none, the most against the mean says nothing.
pub fn evenness(arguments: &Arguments, _: Limit) -> Result<Vec<Figure>, Problem> {
    let mut worst: Option<(f64, u64)> = None;
    let mut chance: f64 = 0.0;
    for seed in (0..SEEDS).map(|more| arguments.seed + more) {
        let mut by_chance = StdRng::seed_from_u64(seed);
        // As the API server makes them.
        let uids: Vec<String> = (0..SPREAD)
            .map(|_| format!("{:032x}", by_chance.random::<u128>()))
            .collect();
        let (found, first) = (unevenness(&chosen(&uids)?)?, unevenness(&first(&uids))?);
        eprintln!("bench:   seed {seed}: {found:.3}, with the first series alone {first:.3}");
        chance = chance.max(first);
        if worst.is_none_or(|(worst, _)| found > worst) {
            worst = Some((found, seed));
        }
    }
    let (worst, seed) = worst.ok_or("no seed")?;
    let what = format!(
        "most rotations in a minute against the mean of {:.1}, {SPREAD} clients that came in one minute and live 6 h, the worse \
         of their first and their fortieth life, the worst of {SEEDS} seeds",
        SPREAD as f64 / CYCLE as f64 * 60.0
    );
    let figure = Figure::new("O2", worst, "times", Goal::AtMost(1.5), &what);
    let why = format!("seed {seed}; if each kept to its first series, at most {chance:.2}");
    Ok(vec![figure.because(&why)])
}

/// Each client's series, and when it came.
type Clients = Vec<(String, i64)>;

/// As they choose when they come, one after the other.
fn chosen(uids: &[String]) -> Result<Clients, Problem> {
    let mut load = Load::default();
    first(uids)
        .into_iter()
        .map(|(uid, came)| {
            let life = (second(came)?, second(came + LIFE)?);
            let (turn, due) = turns::choose(&uid, life, None, &load);
            load.note(&uid, Some(due));
            Ok((turns::series(&uid, Some(turn)).into_owned(), came))
        })
        .collect()
}

/// As they would be if each took its first series.
fn first(uids: &[String]) -> Clients {
    uids.iter().cloned().zip((0..60).cycle()).collect()
}

/// So many seconds after the beginning of 2026.
fn second(after: i64) -> Result<Timestamp, Problem> {
    Ok(Timestamp::from_second(1_767_225_600 + after)?)
}

/// The most in a minute against the mean, in the worse of two lives.
fn unevenness(clients: &Clients) -> Result<f64, Problem> {
    let mut worst: f64 = 0.0;
    for from in [LIFE / 12, 40 * CYCLE] {
        let counts = counts(clients, from / 60, CYCLE / 60)?;
        let all: u32 = counts.values().sum();
        let mean = f64::from(all) / (CYCLE / 60) as f64;
        let most = counts.values().copied().max().unwrap_or_default();
        worst = worst.max(f64::from(most) / mean);
    }
    Ok(worst)
}

/// The rotations in each of so many minutes.
fn counts(clients: &Clients, from: i64, minutes: i64) -> Result<BTreeMap<i64, u32>, Problem> {
    let start = second(0)?.as_second();
    let mut counts = BTreeMap::new();
    for (series, came) in clients {
        let mut created = *came;
        loop {
            let due = due_at(series, second(created)?, second(created + LIFE)?, None);
            let due = due.as_second() - start;
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
            "clients left at the server of RFC 7591 whose secret nobody kept, since the answer was lost or the operator killed before it was kept: no other answer names them (RFC 7592 manages a client by what that one answer gives), so this cannot be 0",
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
