//! P7: the processor's time. The simulation runs in this process and its time is in the figures, which therefore are
//! above what the operator itself takes.

use std::time::Duration;

use crate::population;
use crate::process::processor_time;
use crate::report::{Figure, Goal};
use crate::world::{World, aws};
use crate::{Arguments, Limit, Problem, in_virtual_time, seconds};

/// Measures.
pub fn measure(arguments: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    let shallow = in_virtual_time(limit, shallow(arguments.seed))?;
    let deep = in_virtual_time(limit, deep(arguments.seed))?;
    let (create, serving) = in_virtual_time(limit, create(arguments))?;
    let with = "in virtual time, with the simulation's own time";
    Ok(vec![
        Figure::new(
            "P7.pass",
            shallow,
            "ms",
            Goal::AtMost(0.5),
            &format!("processor time per pass over a settled account, {with}"),
        ),
        Figure::new(
            "P7.look",
            deep,
            "ms",
            Goal::AtMost(0.5),
            &format!("the same for a pass that looks into the account (four calls to AWS), {with}"),
        ),
        Figure::new(
            "P7.create",
            create - serving,
            "ms",
            Goal::AtMost(6.0),
            &format!(
                "processor time per account from declared to Ready, {} of them, less what the API server in memory was \
                 measured to take for carrying out requests; the rest of it, and all of the simulated organization, is \
                 still in: the operator's own is less",
                arguments.accounts
            ),
        ),
        Figure::new(
            "P7.create.all",
            create,
            "ms",
            Goal::Known,
            "the same with nothing taken off",
        ),
    ])
}

fn spent() -> Result<Duration, Problem> {
    processor_time(std::process::id())
}

/// Changes of the team call for a pass over each of its 1,000 accounts.
async fn shallow(seed: u64) -> Result<f64, Problem> {
    let world = World::new(aws(), seed, 0)?;
    world.settle(1_000, 1_000).await?;
    let operator = world.operator(&[
        "--deep-check-interval",
        "1000h",
        "--sweep-interval",
        "1000h",
    ]);
    world.until_passes(1_000, Duration::from_secs(3600)).await?;
    let (before, began, rounds) = (world.passes("settled"), spent()?, 10);
    for round in 1..=rounds {
        let mut team = population::team("team000");
        team["spec"]["displayName"] = format!("round {round}").into();
        let old = world
            .server
            .get("teams", "", "team000")
            .ok_or("the team is gone")?;
        team["status"] = old["status"].clone();
        team["metadata"]["finalizers"] = old["metadata"]["finalizers"].clone();
        world.put(&team)?;
        world
            .until_passes(before + round * 1_000, Duration::from_secs(600))
            .await?;
    }
    let passes = world.passes("settled") - before;
    let cost = spent()?.saturating_sub(began);
    drop(operator);
    Ok(seconds(cost) * 1e3 / passes as f64)
}

/// Every account is looked into once an hour.
async fn deep(seed: u64) -> Result<f64, Problem> {
    let world = World::new(aws(), seed, 0)?;
    world.settle(1_000, 10).await?;
    let operator = world.operator(&["--deep-check-interval", "1h", "--sweep-interval", "1000h"]);
    world
        .until_passes(2_000, Duration::from_secs(8 * 3600))
        .await?;
    let (before, began) = (world.passes("settled"), spent()?);
    world
        .until_passes(before + 10_000, Duration::from_secs(24 * 3600))
        .await?;
    let passes = world.passes("settled") - before;
    let cost = spent()?.saturating_sub(began);
    drop(operator);
    Ok(seconds(cost) * 1e3 / passes as f64)
}

/// The time of the whole process for each account, and of that the API server's for carrying out what it was asked.
async fn create(arguments: &Arguments) -> Result<(f64, f64), Problem> {
    let count = arguments.accounts;
    let world = World::new(aws(), arguments.seed, 0)?;
    world.declare(count, 10)?;
    let began = spent()?;
    let operator = world.operator(&[]);
    world
        .until_ready(count, Duration::from_secs(24 * 3600))
        .await?;
    let cost = spent()?.saturating_sub(began);
    drop(operator);
    for line in world.metrics.encode().lines() {
        if line.starts_with("bailiwick_reconciles_total") {
            eprintln!("bench:   {line}");
        }
    }
    for ((verb, plural, part), number) in world.server.all_requests() {
        eprintln!("bench:   {verb:?} {plural}/{part}: {number}");
    }
    let each = |spent: Duration| seconds(spent) * 1e3 / count as f64;
    Ok((each(cost), each(world.serving())))
}
