//! The kill table: an operator is killed before and after every write of an account's life, outside and inside the
//! cluster, and every answer is lost once.

use std::pin::Pin;

use crate::fate::Fault;
use crate::world::{Run, World};

type Boxed<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A part of an account's life.
pub struct Life {
    /// For messages.
    pub name: &'static str,
    /// The world in which it begins; what happens until then is not struck at.
    pub begin: for<'a> fn(&'a World, &'a mut Run) -> Boxed<'a>,
    /// What people do, and what comes of it: every call of this is struck at.
    pub live: for<'a> fn(&'a World, &'a mut Run, &'a str) -> Boxed<'a>,
    /// What must be true in the end.
    pub end: for<'a> fn(&'a World, &'a mut Run, &'a str) -> Boxed<'a>,
    /// The world before anything.
    pub world: fn() -> World,
}

/// Lives it once. The writes and reads that there were to strike at, and what was struck.
async fn once(life: &Life, strike: Option<(u64, Fault)>) -> ((u64, u64), Option<String>) {
    let world = (life.world)();
    let mut run = world.start();
    (life.begin)(&world, &mut run).await;
    run.fate.arm(strike);
    let first = run.fate.clone();
    let context = format!("{}, {strike:?}", life.name);
    (life.live)(&world, &mut run, &context).await;
    let counts = first.counts();
    (life.end)(&world, &mut run, &context).await;
    world.check_once(&context);
    run.stop();
    (counts, first.struck())
}

/// Lives it once with every blow at every position. `expected` are the writes that the table must have struck at.
pub async fn table(life: Life, expected: &[&str]) {
    let ((writes, reads), _) = once(&life, None).await;
    let mut rows = Vec::new();
    for fault in Fault::AT_WRITES {
        for position in 1..=writes {
            rows.push((
                position,
                fault,
                once(&life, Some((position, fault))).await.1,
            ));
        }
    }
    for position in 1..=reads {
        let fault = Fault::LoseRead;
        rows.push((
            position,
            fault,
            once(&life, Some((position, fault))).await.1,
        ));
    }
    let text: Vec<_> = rows
        .iter()
        .map(|(position, fault, struck)| {
            format!("{fault:?} {position}: {}", struck.as_deref().unwrap_or("-"))
        })
        .collect();
    println!(
        "{}: {} lives, {writes} writes and {reads} reads each\n{}",
        life.name,
        rows.len(),
        text.join("\n")
    );
    for fault in Fault::AT_WRITES {
        for what in expected {
            let hit = rows.iter().any(|(_, with, struck)| {
                *with == fault && struck.as_deref().is_some_and(|at| at.starts_with(what))
            });
            assert!(hit, "{}: no {fault:?} at {what}: {text:#?}", life.name);
        }
    }
}
