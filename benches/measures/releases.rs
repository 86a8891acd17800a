//! R1, R2 and R4: what it takes to resolve a release, and what a settled one costs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bailiwick::controllers::release::gather::RegistryOrigins;
use bailiwick::controllers::release::origins::Origins;
use bailiwick::dev::api_server::Verb;
use bailiwick::registry::attestation::Trust;
use bailiwick::registry::oci::{Login, Registries, Settings};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::images::{Evidence, SOURCE, Shelf};
use crate::population::is_ready;
use crate::report::{Figure, Goal};
use crate::shop::{World, built_from, digest};
use crate::{Arguments, Limit, Problem, in_virtual_time, seconds};

/// Releases in a measure.
const MANY: usize = 1_000;
/// The team of all of them.
const TEAM: &str = "aa";

/// R1 and R2.
pub fn resolve(_: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(limit.keep(async {
            let shelf = Shelf::start().await?;
            let annotated = round(&shelf, Evidence::Annotated).await?;
            let inside = round(&shelf, Evidence::InTheLayer).await?;
            Ok(figures(&annotated, &inside))
        }))
}

/// What was seen while releases were resolved.
struct Round {
    took: Duration,
    statuses: u64,
    writes: u64,
}

async fn round(shelf: &Shelf, evidence: Evidence) -> Result<Round, Problem> {
    let path = format!("acme/{evidence:?}").to_lowercase();
    let image = shelf.push(&path, evidence, MANY)?;
    let world = World::new();
    let operator = Operator(world.operator_asking(
        &Arc::default(),
        &["--authors-guarded", "true"],
        registries(shelf)?,
    ));
    declare(&world).await?;
    // What the application itself still has to write is not the releases'.
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.server.reset_counters();
    let began = Instant::now();
    release(&world, &image);
    let statuses = || world.server.requests(Verb::Patch, "releases", "status");
    // Looking at the objects costs more than looking at a number.
    while statuses() < 2 * MANY as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until_ready(&world, Duration::from_millis(20)).await?;
    let took = began.elapsed();
    // The last events, and the application's own status.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for ((verb, plural, part), number) in world.server.all_requests() {
        eprintln!("bench:   {evidence:?}: {verb:?} {plural}/{part}: {number}");
    }
    drop(operator);
    Ok(Round {
        took,
        statuses: statuses(),
        writes: world.server.writes(),
    })
}

/// The port as the operator has it.
fn registries(shelf: &Shelf) -> Result<Arc<dyn Origins>, Problem> {
    let settings = Settings {
        plain_http: [shelf.host().to_owned()].into(),
        ..Settings::default()
    };
    let images = Registries::new(settings, Arc::new(BTreeMap::<String, Login>::new()))?;
    Ok(Arc::new(RegistryOrigins {
        images: Arc::new(images),
        // Nobody is trusted, so that nothing is asked about attestations: what those cost is not in these figures.
        trust: Trust::default(),
        code_hosts: None,
        own: None,
    }))
}

/// A team and its application; returns when it has its name.
async fn declare(world: &World) -> Result<(), Problem> {
    world.team(TEAM);
    world.application(TEAM, "shop", &json!({"repositories": [SOURCE]}));
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while !world
        .condition("applications", TEAM, "shop", "Ready")
        .starts_with("True")
    {
        if tokio::time::Instant::now() > end {
            return Err("the application is not Ready after a minute".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Declares the releases, all at once.
fn release(world: &World, image: &str) {
    for number in 0..MANY {
        let version = number.to_string();
        let spec = json!({"application": "shop", "version": version, "image": format!("{image}:{number}")});
        world.release(TEAM, &format!("shop-{number}"), "robot", &spec);
    }
}

/// Waits until all of them are; the run's limit bounds it.
async fn until_ready(world: &World, look: Duration) -> Result<(), Problem> {
    loop {
        let objects = world.server.objects("releases");
        let ready = objects.iter().filter(|object| is_ready(object)).count();
        if ready == MANY {
            return Ok(());
        }
        tokio::time::sleep(look).await;
    }
}

fn figures(annotated: &Round, inside: &Round) -> Vec<Figure> {
    let rate = |round: &Round| MANY as f64 / seconds(round.took);
    let each = |count: u64| count as f64 / MANY as f64;
    let asked = "a registry on loopback asked four at a time, the API server in memory, no signatures trusted";
    vec![
        Figure::new(
            "R1",
            rate(annotated),
            "releases/s",
            Goal::AtLeast(100.0),
            &format!("releases of annotated images resolved, {MANY} at once: {asked}"),
        ),
        Figure::new(
            "R1.layer",
            rate(inside),
            "releases/s",
            Goal::AtLeast(50.0),
            &format!("the same where only a file in the layer names the source: {asked}"),
        ),
        Figure::new(
            "R2",
            each(annotated.statuses.max(inside.statuses)),
            "writes",
            Goal::AtMost(2.0),
            "writes of a release from create to Ready: its digest, and what was found",
        ),
        Figure::new(
            "R2.all",
            each(annotated.writes.max(inside.writes)),
            "writes",
            Goal::Known,
            "the same with its events and the application's status",
        ),
    ]
}

/// R4: the questions to registries over six hours in which the operator starts anew once.
pub fn settled(_: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    const HOURS: u32 = 6;
    in_virtual_time(limit, async {
        let world = World::new();
        let image = "registry.example.com/a/shop";
        for number in 0..MANY {
            let letter = char::from_digit(u32::try_from(number % 16)?, 16).unwrap_or('0');
            let tagged = format!("{image}:{number}");
            world
                .registries
                .push(&tagged, &digest(letter), built_from(SOURCE));
        }
        let operator = Operator(world.operator(&Arc::default()));
        declare(&world).await?;
        release(&world, image);
        until_ready(&world, Duration::from_secs(1)).await?;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let asked = || world.registries.asked.load(Ordering::SeqCst);
        let before = asked();
        if before < 2 * MANY as u64 {
            return Err(format!("only {before} questions for {MANY} releases").into());
        }
        world.server.reset_counters();
        let span = Duration::from_secs(3600) * HOURS / 2;
        tokio::time::sleep(span).await;
        drop(operator);
        let again = Operator(world.operator(&Arc::default()));
        tokio::time::sleep(span).await;
        drop(again);
        let writes = world.server.writes();
        eprintln!("bench:   {before} questions until Ready, {writes} writes since");
        Ok(vec![
            Figure::new(
                "R4",
                (asked() - before) as f64 / MANY as f64 / f64::from(HOURS),
                "requests",
                Goal::AtMost(0.0),
                &format!(
                    "questions to registries per settled release and hour, of {MANY} over {HOURS} h with a restart"
                ),
            ),
            Figure::new(
                "R4.writes",
                writes as f64,
                "writes",
                Goal::AtMost(0.0),
                "writes to the API server in that time",
            ),
        ])
    })
}

/// A running operator; dropped, it is killed where it stands.
struct Operator(JoinHandle<()>);

impl Drop for Operator {
    fn drop(&mut self) {
        self.0.abort();
    }
}
