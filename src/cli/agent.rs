//! `bailiwick agent`: what runs on hosts.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use rand::RngExt;
use tokio::signal::unix::{SignalKind, signal};

use super::print;
use crate::agent::directory::{Directory, replace};
use crate::agent::settings::{self, Key};
use crate::agent::{Fetcher, Round, Trouble, last_success, metrics, pause};
use crate::cloud::aws::{BucketOptions, host_bucket};
use crate::cloud::storage::Bucket;
use crate::engine::clock::{Clock, SystemClock};
use crate::model::{ApplicationId, BucketName};

/// What runs on hosts.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Fetch an application's credentials from its account's bucket into a directory, and keep them fresh.
    #[command(after_long_help = CREDENTIALS_HELP)]
    Credentials(Credentials),
}

/// What stands below the help of `bailiwick agent`.
pub const HELP: &str = "\
Example:
  bailiwick agent credentials /meta/credentials --application-id api --mint-bucket acme-mint-123456789012";

const CREDENTIALS_HELP: &str = "\
What is fetched: <bucket>/<application>/client.json, and user.json if there is one. Both are put in place at once; their
paths are <directory>/client.json and <directory>/user.json, links into <directory>/..data, which is what to resolve for
whoever reads both and must have them of one version. Files have mode 0440. What is no credentials replaces none, and
nothing is written or said when nothing has changed.

Takes berry's place: the same options, /etc/taupage.yaml (application_id, mint_bucket), and the same file of keys.

How it gets in: the key of the application in --aws-credentials-file; else as every AWS tool does: AWS_PROFILE, AWS_ACCESS_KEY_ID,
web identity, or the instance's role. It needs s3:GetObject on <bucket>/<application>/* and kms:Decrypt with the bucket's key.
With s3:ListBucket on the bucket, too, a file that is not there (5) is told from one that may not be read (3).

Exit codes, with --once:
  0  the directory holds what the bucket holds
  1  the directory cannot be written
  2  the command line, or a file that it names, was not understood
  3  access denied
  4  there is no such bucket
  5  there is no client.json for the application
  6  what is there is no credentials
  7  S3 cannot be reached, or is out of order; or no AWS credentials were to be had, as the message says then
Without --once it goes on until it is told to end, and ends with 0.

Examples:
  bailiwick agent credentials /meta/credentials
  bailiwick agent credentials /meta/credentials --once || echo 'no credentials yet'
  bailiwick agent credentials /meta/credentials -a api -m acme-mint-123456789012 --region eu-central-1 \\
    --metrics-file /var/lib/node-exporter/credentials.prom";

/// Where berry's configuration is.
const TAUPAGE: &str = "/etc/taupage.yaml";

/// What to fetch, from where, and how often.
#[derive(Debug, Args)]
pub struct Credentials {
    /// The directory that the files are put into.
    directory: PathBuf,
    /// The file that names application and bucket, where the command line does not.
    #[arg(short = 'f', long, default_value = TAUPAGE)]
    config_file: PathBuf,
    /// Whose credentials: the application's id.
    #[arg(short, long)]
    application_id: Option<String>,
    /// The bucket.
    #[arg(short, long)]
    mint_bucket: Option<String>,
    /// A file with lines `application:key:secret`, read again in every round.
    #[arg(short = 'c', long)]
    aws_credentials_file: Option<PathBuf>,
    /// The bucket's region; found out if left out.
    #[arg(long)]
    region: Option<String>,
    /// Name the bucket in the path instead of in the host's name: for stores that play S3.
    #[arg(long)]
    path_style: bool,
    /// Seconds between two rounds; less while something is wrong, and spread.
    #[arg(short, long, default_value = "120", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    interval: u32,
    /// One round, and end.
    #[arg(long)]
    once: bool,
    /// Say nothing but what is wrong.
    #[arg(short, long)]
    silent: bool,
    /// A file for Prometheus' textfile collector, with the time of the last success: it is kept through failures and restarts.
    #[arg(long)]
    metrics_file: Option<PathBuf>,
}

/// The command line was not understood.
const USAGE: u8 = 2;

/// Runs the command.
pub async fn run(command: AgentCommand) -> ExitCode {
    let AgentCommand::Credentials(options) = command;
    match Agent::new(options) {
        Ok(agent) => agent.run().await,
        Err(message) => {
            print::complaint(message);
            ExitCode::from(USAGE)
        }
    }
}

struct Agent {
    options: Credentials,
    application: String,
    bucket: BucketOptions,
    clock: SystemClock,
}

impl Agent {
    fn new(options: Credentials) -> Result<Self, String> {
        let of_file = match std::fs::read_to_string(&options.config_file) {
            Ok(text) => settings::taupage(&text)
                .map_err(|error| format!("{}: {error}", options.config_file.display()))?,
            // Berry's own place need not exist; one that was named must.
            Err(_) if options.config_file.as_os_str() == TAUPAGE => settings::Taupage::default(),
            Err(error) => return Err(format!("{}: {error}", options.config_file.display())),
        };
        let missing = |what: &str, option: &str, field: &str| {
            let file = options.config_file.display();
            format!("{what} is not named: give {option}, or {field} in {file}")
        };
        let application = options.application_id.clone().or(of_file.application_id);
        let application = application
            .ok_or_else(|| missing("the application", "--application-id", "application_id"))?;
        let application: ApplicationId = application
            .parse()
            .map_err(|error| format!("--application-id: {error}"))?;
        let bucket = options.mint_bucket.clone().or(of_file.mint_bucket);
        let bucket = bucket.ok_or_else(|| missing("the bucket", "--mint-bucket", "mint_bucket"))?;
        let name: BucketName = bucket
            .parse()
            .map_err(|error| format!("--mint-bucket: {error}"))?;
        let bucket = BucketOptions {
            name: name.to_string(),
            region: options.region.clone(),
            path_style: options.path_style,
            lock: None,
        };
        let agent = Self {
            application: application.to_string(),
            bucket,
            clock: SystemClock,
            options,
        };
        agent.key()?;
        Ok(agent)
    }

    /// The key to get in with, if it is in a file.
    fn key(&self) -> Result<Option<Key>, String> {
        let Some(path) = &self.options.aws_credentials_file else {
            return Ok(None);
        };
        let file = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{file}: {error}"))?;
        let key = settings::key_of(&self.application, &text);
        let key =
            key.ok_or_else(|| format!("{file} has no key for application {}", self.application))?;
        Ok(Some(key))
    }

    async fn run(&self) -> ExitCode {
        if self.options.once {
            return match self.told().await {
                Ok(()) => ExitCode::SUCCESS,
                Err(code) => ExitCode::from(code),
            };
        }
        tokio::select! {
            () = self.keep_fresh() => ExitCode::SUCCESS,
            () = told_to_end() => ExitCode::SUCCESS,
        }
    }

    async fn keep_fresh(&self) {
        let interval = Duration::from_secs(u64::from(self.options.interval));
        let (mut failures, mut success) = (0, self.last_success());
        let mut open = None;
        loop {
            match self.report(self.round(&mut open).await) {
                Ok(()) => {
                    failures = 0;
                    success = Some(self.clock.now().as_second());
                }
                Err(_) => {
                    failures += 1;
                    // The next round finds out anew where the bucket is and who we are.
                    open = None;
                }
            }
            self.count(success, failures);
            tokio::time::sleep(pause(interval, failures, rand::rng().random())).await;
        }
    }

    /// One round for itself.
    async fn told(&self) -> Result<(), u8> {
        let answer = self.report(self.round(&mut None).await);
        let success = match answer {
            Ok(()) => Some(self.clock.now().as_second()),
            Err(_) => self.last_success(),
        };
        self.count(success, u32::from(answer.is_err()));
        answer
    }

    async fn round(&self, open: &mut Option<Opened>) -> Result<Round, Ended> {
        let key = self.key().map_err(Ended::Usage)?;
        let bucket = match open {
            Some(opened) if opened.key == key => Arc::clone(&opened.bucket),
            _ => {
                let pair = key.clone().map(|key| (key.id, key.secret));
                let bucket = host_bucket(&self.bucket, pair).await;
                let opened = Opened {
                    key,
                    bucket: Arc::clone(&bucket),
                };
                *open = Some(opened);
                bucket
            }
        };
        let fetcher = Fetcher {
            bucket,
            application: self.application.clone(),
            directory: Directory::new(&self.options.directory),
        };
        fetcher.round().await.map_err(Ended::Trouble)
    }

    /// Says what a round brought; the exit code of one that failed.
    fn report(&self, answer: Result<Round, Ended>) -> Result<(), u8> {
        let (message, code) = match answer {
            Ok(Round::Unchanged) => return Ok(()),
            Ok(Round::Switched) => {
                if !self.options.silent {
                    print::complaint(format_args!(
                        "credentials of {} are in place",
                        self.application
                    ));
                }
                return Ok(());
            }
            Err(Ended::Usage(message)) => (message, USAGE),
            Err(Ended::Trouble(trouble)) => (trouble.to_string(), code_of(&trouble)),
        };
        let name = &self.bucket.name;
        print::complaint(format_args!("s3://{name}/{}/: {message}", self.application));
        Err(code)
    }

    /// As whoever ran before us has left it.
    fn last_success(&self) -> Option<i64> {
        let path = self.options.metrics_file.as_ref()?;
        let text = std::fs::read_to_string(path).ok()?;
        last_success(&self.application, &text)
    }

    fn count(&self, success: Option<i64>, failures: u32) {
        if let Some(path) = &self.options.metrics_file
            && let Err(error) = replace(path, &metrics(&self.application, success, failures))
        {
            print::complaint(error);
        }
    }
}

/// A bucket, and the key that it was opened with.
struct Opened {
    key: Option<Key>,
    bucket: Arc<dyn Bucket>,
}

enum Ended {
    Usage(String),
    Trouble(Trouble),
}

fn code_of(trouble: &Trouble) -> u8 {
    match trouble {
        Trouble::Disk(_) => 1,
        Trouble::Denied(_) => 3,
        Trouble::NoBucket(_) => 4,
        Trouble::NoKey(_) => 5,
        Trouble::Invalid { .. } => 6,
        Trouble::Unreachable(_) => 7,
    }
}

/// Waits for SIGTERM or SIGINT; a switch under way is a few calls without a pause between them, and ends first.
async fn told_to_end() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
