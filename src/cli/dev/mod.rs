//! `bailiwick dev`: the whole on this machine, for trying. A control plane and an AWS emulator are started, the chart
//! is installed, the operator runs as its service account, and the examples are applied.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::steps::Whole;
use super::print::{self, Output};
use crate::dev::registries::ImageTools;
use crate::dev::trial::Trial;
use crate::dev::{self, Assets, moto};

mod images;
mod oauth;
mod status;
mod steps;

/// What stands below the help of `bailiwick dev`.
pub const HELP: &str = "\
Examples:
  bailiwick dev up
  bailiwick dev status
  bailiwick dev down";

/// What to do where nothing is found, and something runs.
const ELSEWHERE: &str = "If it was started from another folder, name that checkout with --repository (and what was given as --folder)";

/// A whole bailiwick on this machine, for trying.
#[derive(Debug, clap::Subcommand)]
pub enum DevCommand {
    /// Start it, or go on with what runs: again after a change of the operator, the chart or the examples.
    #[command(
        after_long_help = "Examples:\n  bailiwick dev up\n  bailiwick dev up --repository ~/bailiwick --wait 600"
    )]
    Up {
        /// Where it is.
        #[command(flatten)]
        place: Place,
        /// How many seconds the examples may take to become Ready.
        #[arg(long, default_value_t = 300)]
        wait: u64,
    },
    /// End it and forget everything.
    #[command(after_long_help = "Example:\n  bailiwick dev down")]
    Down {
        /// Where it is.
        #[command(flatten)]
        place: Place,
    },
    /// Say what runs, and where.
    #[command(after_long_help = "Examples:\n  bailiwick dev status\n  \
        export KUBECONFIG=$(bailiwick dev status -o json | jq -r .kubeconfig)")]
    Status {
        /// Where it is.
        #[command(flatten)]
        place: Place,
        /// For a program; a table if left out.
        #[arg(short, long, value_enum)]
        output: Option<Output>,
    },
}

/// Where it finds what it needs and keeps what it makes.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The checkout of bailiwick that has the chart, the examples and tools/build.
    #[arg(long, env = "BAILIWICK_REPOSITORY", default_value = ".")]
    repository: PathBuf,
    /// The folder for state, logs and kubeconfigs; inside the checkout if not absolute.
    #[arg(long, default_value = ".try")]
    folder: PathBuf,
}

/// Why the whole does not stand, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A server did not start.
    #[error(transparent)]
    Dev(#[from] dev::Error),
    /// This is not a checkout of bailiwick.
    #[error("{} has no {missing}; give the checkout with --repository", repository.display())]
    Repository {
        /// What was taken for one.
        repository: PathBuf,
        /// What it lacks.
        missing: &'static str,
    },
    /// kubectl or helm failed.
    #[error(
        "{command} failed: {said}\nWhat ran before is left running: mend what it names and run this again, or begin afresh \
         with `make try-stop`"
    )]
    Command {
        /// What was run.
        command: String,
        /// Its errors.
        said: String,
    },
    /// The examples are there and not Ready.
    #[error(
        "not Ready after {seconds} s:\n{objects}\nThe operator's log: {}\nEverything is left running; run this again to \
         go on, or `make try-stop`",
        log.display()
    )]
    NotReady {
        /// How long it was waited for.
        seconds: u64,
        /// What each of them says.
        objects: String,
        /// Where to look.
        log: PathBuf,
    },
    /// The credentials that were delivered are of no use.
    #[error(
        "no token for what is in {place}: {said}\n`kubectl describe oauthclients -A` says what the operator delivered; run \
         this again, or begin afresh with `make try-stop`"
    )]
    Token {
        /// Where it was read.
        place: String,
        /// What is wrong.
        said: String,
    },
    /// What there is to say cannot be written.
    #[error("cannot print: {0}")]
    Print(#[from] std::io::Error),
    /// The operator ended.
    #[error(
        "the operator has ended; the last lines of its log say why: {}\nMend that and run this again; it starts the \
         operator anew",
        log.display()
    )]
    OperatorEnded {
        /// Where to look.
        log: PathBuf,
    },
}

/// Does what the command says.
///
/// # Errors
/// If a step fails; what ran before it is left running.
pub async fn run(command: DevCommand) -> Result<(), Failure> {
    match command {
        DevCommand::Up { place, wait } => up(&place, Duration::from_secs(wait)).await,
        DevCommand::Down { place } => down(&place),
        DevCommand::Status { place, output } => status::show(&place.folder()?, output),
    }
}

fn down(place: &Place) -> Result<(), Failure> {
    match Trial::load(&place.folder()?)? {
        Some(trial) => {
            trial.end()?;
            print::line("Ended; nothing is left running.")?;
        }
        None => {
            let folder = place.folder()?;
            print::line(format_args!(
                "Nothing runs in {}. {ELSEWHERE}",
                folder.display()
            ))?;
        }
    }
    Ok(())
}

async fn up(place: &Place, wait: Duration) -> Result<(), Failure> {
    let start = Instant::now();
    let folder = place.folder()?;
    let repository = place.repository()?;
    let assets = Assets::find(&repository)?;

    let tools = ImageTools::find(&repository)?;
    let starting = servers(&assets, &tools, &folder);
    let trial = step("control plane, AWS emulator and image registry", starting).await?;
    let mut whole = Whole {
        assets,
        tools,
        repository,
        folder,
        trial,
    };
    step(
        "chart: CRDs, roles, admission policies",
        whole.install_chart(),
    )
    .await?;
    step("operator", whole.start_operator()).await?;
    step("authorization server", whole.start_oauth()).await?;
    step("images of the examples", whole.push_images()).await?;
    step("examples", whole.apply_examples()).await?;
    step("a person approves a release", whole.approve()).await?;
    step("everything Ready", whole.wait(wait)).await?;
    if whole.trial.issuer().is_some() {
        step("tokens with what was delivered", whole.token()).await?;
    }
    whole.show().await?;
    print::line(format_args!(
        "\nAll of it took {:.0} s.",
        start.elapsed().as_secs_f64()
    ))?;
    Ok(())
}

/// Runs one step, and says which one it is and how long it took.
async fn step<T>(name: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let start = Instant::now();
    print::line(format_args!("==> {name}"))?;
    let done = work.await?;
    let took = start.elapsed().as_secs_f64();
    print::line(format_args!("    done in {took:.1} s"))?;
    Ok(done)
}

/// The servers that run already, or new ones in place of what is left of them.
async fn servers(assets: &Assets, tools: &ImageTools, folder: &Path) -> Result<Trial, Failure> {
    if let Some(trial) = Trial::load(folder)? {
        if trial.is_whole() {
            print::line("    they run already")?;
            return Ok(trial);
        }
        print::line("    some of them have ended: starting afresh")?;
        trial.end()?;
    }
    let trial = Trial::start(assets, tools, folder).await?;
    // What the owner of the company's management account did long ago.
    moto::create_organization(trial.emulator())?;
    Ok(trial)
}

impl Place {
    fn repository(&self) -> Result<PathBuf, Failure> {
        for missing in ["tools/build", "charts/bailiwick", "examples"] {
            if !self.repository.join(missing).exists() {
                let repository = self.repository.clone();
                return Err(Failure::Repository {
                    repository,
                    missing,
                });
            }
        }
        absolute(&self.repository)
    }

    fn folder(&self) -> Result<PathBuf, Failure> {
        Ok(absolute(&self.repository)?.join(&self.folder))
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    Ok(fs::canonicalize(path).map_err(|source| dev::Error::io("find", path, source))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_says_what_to_do() {
        let log = PathBuf::from("operator.log");
        let (place, said) = ("secret a/b".to_owned(), "no".to_owned());
        for failure in [
            Failure::Command {
                command: "helm upgrade".to_owned(),
                said: said.clone(),
            },
            Failure::NotReady {
                seconds: 1,
                objects: "Team a".to_owned(),
                log: log.clone(),
            },
            Failure::Token { place, said },
            Failure::OperatorEnded { log },
        ] {
            let says = failure.to_string();
            assert!(says.contains("run this again"), "{says}");
        }
    }
}
