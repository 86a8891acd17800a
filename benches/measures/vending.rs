//! P1 to P4: many accounts are vended, five at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use bailiwick::model::TAG_UID;

use crate::report::{Figure, Goal};
use crate::world::{CREATION, World, aws};
use crate::{Arguments, Problem, in_virtual_time, quantile, seconds};

/// AWS works on so many at a time.
const SLOTS: usize = 5;

/// Measures.
pub fn measure(arguments: &Arguments) -> Result<Vec<Figure>, Problem> {
    in_virtual_time(vend(arguments.accounts, arguments.spread, arguments.seed))
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
    let calls = world.cloud.calls_to("organizations.");
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
    let late = lateness(&world)?;
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
            calls as f64 / count as f64,
            "calls",
            Goal::AtMost(3.2),
            "Organizations calls per account from create to Ready, all sweeps meanwhile included",
        ),
    ])
}

/// From AWS's completion to the status, p99.
fn lateness(world: &World) -> Result<f64, Problem> {
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
    let late = world.cloud.requests().into_iter().filter_map(|request| {
        let place = by_uid.get(request.tags.get(TAG_UID)?)?;
        let noticed = seen.get(place)?.created?;
        Some(noticed.duration_since(request.completed?).as_secs_f64())
    });
    let late: Vec<f64> = late.collect();
    eprintln!(
        "bench:   noticed after {:.2} s in the middle, {:.2} s at worst",
        quantile(late.clone(), 0.5).unwrap_or(f64::NAN),
        quantile(late.clone(), 1.0).unwrap_or(f64::NAN)
    );
    Ok(quantile(late, 0.99).ok_or("nothing was created")?)
}
