//! O1, O3, O5 and O6: what credentials cost, and whether anybody notices when they are replaced, in the world of
//! `tests/oauth.rs`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bailiwick::identity::simulated::Profile;
use bailiwick::model::Tags;
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
