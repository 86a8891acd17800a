//! O2: how evenly the credentials of many clients are replaced.

use std::collections::BTreeMap;

use bailiwick::plan::rotation::schedule::due_at;
use bailiwick::plan::rotation::turns::{self, Load};
use k8s_openapi::jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::report::{Figure, Goal};
use crate::{Arguments, Limit, Problem};

/// Clients whose rotations are spread, over how long a life, in seconds.
const SPREAD: usize = 10_000;
const LIFE: i64 = 6 * 3600;
/// After how many seconds each is replaced, then.
const CYCLE: i64 = LIFE * 7 / 12;
/// With how many kinds of chance.
const SEEDS: u64 = 20;

/// How even the rotations of many clients are that all came in one minute. A minute has some fifty of them with that
/// life; with one so long that many minutes have none, the most against the mean says nothing.
pub fn measure(arguments: &Arguments, _: Limit) -> Result<Vec<Figure>, Problem> {
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
