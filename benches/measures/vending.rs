//! P1 to P4: many accounts are vended, five at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use bailiwick::cloud::simulated::RequestRecord;
use bailiwick::model::TAG_UID;
use k8s_openapi::jiff::Timestamp;

use crate::report::{Figure, Goal};
use crate::world::{CREATION, World, aws};
use crate::{Arguments, Limit, Problem, in_virtual_time, quantile, seconds};

/// AWS works on so many at a time.
const SLOTS: usize = 5;

/// Measures.
pub fn measure(arguments: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    in_virtual_time(
        limit,
        vend(arguments.accounts, arguments.spread, arguments.seed),
    )
}

async fn vend(count: usize, spread: u64, seed: u64) -> Result<Vec<Figure>, Problem> {
    let mut options = aws();
    options.creation_jitter = Duration::from_secs(spread);
    let world = World::new(options, seed, 0)?;
    world.declare(count, 10)?;
    let began = world.cloud.now();
    let operator = world.operator(&[]);
    let floor = CREATION * u32::try_from(count.div_ceil(SLOTS))?;
    world
        .until_ready(count, floor * 3 + Duration::from_secs(3600))
        .await?;
    drop(operator);

    let requests = world.cloud.requests();
    let last = requests
        .iter()
        .filter_map(|request| request.completed)
        .max()
        .ok_or("nothing was created")?;
    let took = Duration::try_from(last.duration_since(began))?;
    let creates = world.cloud.calls_of("organizations.CreateAccount");
    for (operation, count) in world.cloud.calls() {
        eprintln!(
            "bench:   {operation}: {} calls, {} throttled",
            count.calls, count.throttled
        );
    }
    let about = format!(
        "{count} accounts, D = {} s ± {spread} s",
        CREATION.as_secs()
    );
    let share = 100.0 * seconds(floor) / seconds(took);
    let throttled = 100.0 * creates.throttled as f64 / creates.calls.max(1) as f64;
    let lives = lives(&world);
    let late = lateness(&lives)?;
    let (own, all) = calls_per_account(&world, &lives);
    Ok(vec![
        Figure::new(
            "P1",
            share,
            "%",
            Goal::AtLeast(97.0),
            &format!("slot use while vending: {about}"),
        )
        .because(format!(
            "the floor is {} s and it took {} s",
            floor.as_secs(),
            took.as_secs()
        )),
        Figure::new(
            "P2",
            throttled,
            "%",
            Goal::AtMost(1.0),
            &format!(
                "CreateAccount calls that were throttled, of {}",
                creates.calls
            ),
        ),
        Figure::new(
            "P3",
            late,
            "s",
            Goal::AtMost(2.0),
            "from AWS's completion to the account's id in the status, p99",
        ),
        Figure::new(
            "P4",
            own,
            "calls",
            Goal::AtMost(3.2),
            "Organizations calls per account from create to Ready, of shared reads its share",
        )
        .because(
            "creations that end at any moment of a long span, and are to be noticed within two seconds, must be asked \
             for all that while",
        ),
        Figure::new(
            "P4.all",
            all,
            "calls",
            Goal::Known,
            "the same with all sweeps of the hours that vending took, over accounts that were Ready",
        ),
    ])
}

/// The life of one account, as the organization and the cluster saw it.
struct Life {
    requested: Timestamp,
    completed: Timestamp,
    noticed: Timestamp,
    ready: Timestamp,
}

fn lives(world: &World) -> Vec<Life> {
    let seen = world.seen();
    let by_uid: BTreeMap<String, (String, String)> = world
        .server
        .objects("teamaccounts")
        .iter()
        .filter_map(|object| {
            let text = |field: &str| object["metadata"][field].as_str().map(str::to_owned);
            Some((text("uid")?, (text("namespace")?, text("name")?)))
        })
        .collect();
    let life = |request: &RequestRecord| {
        let seen = seen.get(by_uid.get(request.tags.get(TAG_UID)?)?)?;
        Some(Life {
            requested: request.requested,
            completed: request.completed?,
            noticed: seen.created?,
            ready: seen.ready?,
        })
    };
    world.cloud.requests().iter().filter_map(life).collect()
}

/// From AWS's completion to the status, p99.
fn lateness(lives: &[Life]) -> Result<f64, Problem> {
    let late = lives
        .iter()
        .map(|life| between(life.completed, life.noticed));
    let late: Vec<f64> = late.collect();
    eprintln!(
        "bench:   noticed after {:.2} s in the middle, {:.2} s at worst",
        quantile(late.clone(), 0.5).unwrap_or(f64::NAN),
        quantile(late.clone(), 1.0).unwrap_or(f64::NAN)
    );
    Ok(quantile(late, 0.99).ok_or("nothing was created")?)
}

/// Calls per account: by its share of what is read for all, and with all that was read.
fn calls_per_account(world: &World, lives: &[Life]) -> (f64, f64) {
    let all = world.cloud.calls_to("organizations.") as f64;
    let of_sweeps: u64 = SWEEPS
        .iter()
        .map(|operation| world.cloud.calls_of(operation).calls)
        .sum();
    // A sweep serves all accounts that are there. What it does for one between create and Ready is that one's share.
    let end = world.cloud.now();
    let coming: f64 = lives
        .iter()
        .map(|life| between(life.requested, life.ready))
        .sum();
    let there: f64 = lives.iter().map(|life| between(life.requested, end)).sum();
    let others = of_sweeps as f64 * (1.0 - coming / there);
    let count = lives.len() as f64;
    ((all - others) / count, all / count)
}

/// What sweeps are made of.
const SWEEPS: [&str; 4] = [
    "organizations.ListRoots",
    "organizations.ListOrganizationalUnitsForParent",
    "organizations.ListAccountsForParent",
    "organizations.ListTagsForResource",
];

fn between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}
