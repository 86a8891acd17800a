//! What the goals for speed and cost are measured with: `make bench`.
//!
//! A [`Run`] sets something up and yields the figures of one or several measures. What waits on AWS runs on the
//! simulated organization in virtual time; what is about this machine runs the real binary on a real API server.
//! A goal that is missed is said to be missed, and is no failure; a measurement that could not be made is one.

mod binary;
mod clients;
mod credentials;
mod edits;
mod emulator;
mod evenness;
mod images;
mod journal;
mod kept;
mod layer;
mod oauth;
mod population;
mod process;
mod processor;
mod releases;
mod report;
mod settled;
mod site;
mod turmoil;
mod vending;
mod world;

// What tests measure in, too: there a world that is not as it should be ends the test.
#[allow(clippy::unwrap_used, dead_code)]
#[path = "../../tests/registry/large.rs"]
mod large;
#[allow(clippy::unwrap_used, dead_code)]
#[path = "../../tests/registry/server.rs"]
mod server;
#[allow(clippy::unwrap_used, dead_code)]
#[path = "../../tests/applications/world.rs"]
mod shop;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use clap::Parser;
use report::{Figure, is_wanted};
use serde_json::json;

/// What can go wrong while something is measured.
type Problem = Box<dyn std::error::Error + Send + Sync>;

/// One set-up and what it measures.
struct Run {
    /// The measures whose figures it yields.
    ids: &'static [&'static str],
    /// What happens in it.
    what: &'static str,
    /// About how many seconds it takes on two cores.
    seconds: u64,
    /// After so many seconds it is given up, and its figures are not measured.
    limit: u64,
    /// Does it.
    execute: fn(&Arguments, Limit) -> Result<Vec<Figure>, Problem>,
}

/// All of them. A new measure is a line here.
const RUNS: &[Run] = &[
    Run {
        ids: &["P1", "P2", "P3", "P4"],
        what: "vending accounts on the simulated organization, in virtual time",
        seconds: 30,
        limit: 300,
        execute: vending::measure,
    },
    Run {
        ids: &["P5"],
        what: "a sweep of 10,000 accounts on the simulated organization, in virtual time",
        seconds: 30,
        limit: 300,
        execute: settled::sweep,
    },
    Run {
        ids: &["P6"],
        what: "1,000 settled objects over a whole cycle, in virtual time",
        seconds: 10,
        limit: 120,
        execute: settled::cycle,
    },
    Run {
        ids: &["P7"],
        what: "the processor's time for passes over settled objects, and for creations",
        seconds: 20,
        limit: 180,
        execute: processor::measure,
    },
    Run {
        ids: &["P9"],
        what: "vending while answers are lost and the operator is killed, in virtual time",
        seconds: 60,
        limit: 420,
        execute: turmoil::measure,
    },
    Run {
        ids: &["R1", "R2"],
        what: "releases resolved against a registry on this machine",
        seconds: 30,
        limit: 180,
        execute: releases::resolve,
    },
    Run {
        ids: &["R4"],
        what: "1,000 settled releases over six hours, in virtual time",
        seconds: 10,
        limit: 120,
        execute: releases::settled,
    },
    Run {
        ids: &["R5"],
        what: "layers of 10 GiB, searched in processes of their own",
        seconds: 20,
        limit: 300,
        execute: layer::measure,
    },
    Run {
        ids: &["R6"],
        what: "the journal's bucket away for an hour and the operator killed in it, in virtual time",
        seconds: 10,
        limit: 120,
        execute: journal::measure,
    },
    Run {
        ids: &["O1"],
        what: "one rotation of a client's credentials, in virtual time",
        seconds: 5,
        limit: 60,
        execute: credentials::rotation,
    },
    Run {
        ids: &["O2"],
        what: "when the credentials of 10,000 clients are replaced",
        seconds: 20,
        limit: 300,
        execute: evenness::measure,
    },
    Run {
        ids: &["O3"],
        what: "100 settled clients over twelve hours, in virtual time",
        seconds: 10,
        limit: 120,
        execute: credentials::settled,
    },
    Run {
        ids: &["O5", "O6"],
        what: "200 rotations while answers are lost and the operator is killed, in virtual time",
        seconds: 30,
        limit: 240,
        execute: credentials::turmoil,
    },
    Run {
        ids: &["R3"],
        what: "10,000 settled releases in the real binary on a real API server",
        seconds: 90,
        limit: 300,
        execute: kept::measure,
    },
    Run {
        ids: &["O4"],
        what: "10,000 settled OAuth clients in the real binary on a real API server",
        seconds: 90,
        limit: 400,
        execute: clients::measure,
    },
    Run {
        ids: &["P8", "P10"],
        what: "the real binary on a real API server and the AWS emulator",
        seconds: 400,
        limit: 900,
        execute: binary::measure,
    },
];

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One line per figure.
    Human,
    /// One document.
    Json,
    /// The table of docs/performance.md.
    Markdown,
}

/// Measures what the goals are about.
#[derive(Debug, Parser)]
#[command(name = "make bench --")]
struct Arguments {
    /// Only these measures, by id: P1,P4 or P8.idle.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// By how many seconds creations take less or more than sixty (P1 to P4).
    #[arg(long, default_value_t = 0)]
    spread: u64,
    /// How many accounts are vended (P1 to P4, P9).
    #[arg(long, default_value_t = 1000)]
    accounts: usize,
    /// Where randomness comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Another binary for P8, P10, R3 and O4, say that of an earlier version.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Names the measures and ends.
    #[arg(long)]
    list: bool,
    /// The process of R5 that searches a layer packed like this.
    #[arg(long, hide = true)]
    search_layer: Option<String>,
    /// Said by cargo to every benchmark; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(packing) = &arguments.search_layer {
        return match layer::child(packing) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                eprintln!("{problem}");
                ExitCode::FAILURE
            }
        };
    }
    let wanted = |run: &&Run| run.ids.iter().any(|id| concerns(&arguments.only, id));
    let runs: Vec<&Run> = RUNS.iter().filter(wanted).collect();
    if arguments.list {
        for run in runs {
            println!("{:<16} {}", run.ids.join(","), run.what);
        }
        return ExitCode::SUCCESS;
    }
    if runs.is_empty() {
        eprintln!(
            "there is no measure {}: --list names them",
            arguments.only.join(",")
        );
        return ExitCode::FAILURE;
    }
    if measure(&arguments, &runs) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Measures and prints, one after the other. `false`: something could not be measured.
fn measure(arguments: &Arguments, runs: &[&Run]) -> bool {
    let total: u64 = runs.iter().map(|run| run.seconds).sum();
    let (start, minutes) = (Instant::now(), total.div_ceil(60));
    eprintln!("bench: about {minutes} min in all");
    if arguments.format == Format::Markdown {
        println!("{}", report::TABLE);
    }
    let (mut figures, mut unmeasured) = (Vec::new(), Vec::new());
    for (number, run) in runs.iter().enumerate() {
        let ids = run.ids.join(",");
        let (number, of) = (number + 1, runs.len());
        eprintln!(
            "bench: {number}/{of} {ids}: {} (about {} s)",
            run.what, run.seconds
        );
        let began = Instant::now();
        match (run.execute)(arguments, Limit::of(run)) {
            Ok(found) => {
                let found = found
                    .into_iter()
                    .filter(|figure| is_wanted(&arguments.only, figure.id));
                for figure in found {
                    match arguments.format {
                        Format::Human => println!("{}", figure.line()),
                        Format::Markdown => println!("{}", figure.row()),
                        Format::Json => figures.push(figure.json()),
                    }
                }
            }
            Err(problem) => {
                match arguments.format {
                    Format::Human => println!("{ids:<14} FAILED           not measured: {problem}"),
                    Format::Markdown => {
                        println!("| `{ids}` | FAILED | | | not measured: {problem} |")
                    }
                    Format::Json => {}
                }
                unmeasured.push(json!({ "ids": run.ids, "problem": problem.to_string() }));
            }
        }
        eprintln!("bench: {ids}: {} s", began.elapsed().as_secs());
    }
    if arguments.format == Format::Json {
        let document = json!({ "figures": figures, "notMeasured": unmeasured });
        println!("{document:#}");
    }
    let took = start.elapsed().as_secs();
    eprintln!("bench: {} min {} s in all", took / 60, took % 60);
    unmeasured.is_empty()
}

/// Whether one of the wanted words is about this measure or one of its figures.
fn concerns(wanted: &[String], measure: &str) -> bool {
    wanted.is_empty()
        || wanted.iter().any(|word| {
            word.split('.')
                .next()
                .is_some_and(|first| first.eq_ignore_ascii_case(measure))
        })
}

/// Until when a run must have ended.
#[derive(Debug, Clone, Copy)]
struct Limit {
    end: Instant,
    seconds: u64,
}

impl Limit {
    fn of(run: &Run) -> Self {
        Self {
            end: Instant::now() + Duration::from_secs(run.limit),
            seconds: run.limit,
        }
    }

    /// The same future, given up when the limit is reached. The clock is a thread of its own: virtual time may stand
    /// still while the tasks are busy, and then no timer of theirs ever fires.
    async fn keep<T>(self, future: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        let (over, reached) = tokio::sync::oneshot::channel::<()>();
        let (ended, wait) = std::sync::mpsc::channel::<()>();
        let clock = std::thread::spawn(move || {
            let left = self.end.saturating_duration_since(Instant::now());
            if wait.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                let _ = over.send(());
            }
        });
        let result = tokio::select! {
            result = future => result,
            Ok(()) = reached => Err(format!("it did not end within {} s", self.seconds).into()),
        };
        drop(ended);
        let _ = clock.join();
        result
    }
}

/// Runs a future on this thread in virtual time: it leaps from one timer to the next.
fn in_virtual_time<F: Future<Output = Result<T, Problem>>, T>(
    limit: Limit,
    future: F,
) -> Result<T, Problem> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()?
        .block_on(limit.keep(future))
}

/// The value below which `share` of them are; `None` of none.
fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let index = (last as f64 * share).ceil() as usize;
    values.get(index.min(last)).copied()
}

/// What is elapsed, in seconds.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
