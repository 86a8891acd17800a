//! The AWS emulator with a way to give it many accounts at once.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bailiwick::dev::{Assets, http, moto, plane};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use crate::Problem;

/// Importing it takes seconds, more on a busy machine.
const DEADLINE: Duration = Duration::from_secs(90);

/// The emulator; it ends with this value, or when the pipe to it closes.
pub struct Emulator {
    /// What `AWS_ENDPOINT_URL` is set to.
    pub endpoint: String,
    accounts: Mutex<ChildStdin>,
    answers: Mutex<BufReader<ChildStdout>>,
    _child: Child,
}

impl Emulator {
    /// Starts one, with an organization in it.
    pub async fn start(assets: &Assets) -> Result<Self, Problem> {
        let port = plane::free_port()?.to_string();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/measures/emulator.py");
        let mut child = Command::new(assets.python())
            .arg(script)
            .args(["-H", "127.0.0.1", "-p", &port])
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let emulator = Self {
            endpoint,
            accounts: Mutex::new(stdin.ok_or("the emulator has no input")?),
            answers: Mutex::new(BufReader::new(stdout.ok_or("the emulator has no output")?)),
            _child: child,
        };
        let end = tokio::time::Instant::now() + DEADLINE;
        while http::get(&emulator.endpoint, "/moto-api/").is_err() {
            if tokio::time::Instant::now() > end {
                return Err(format!("the emulator does not answer after {DEADLINE:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        moto::create_organization(&emulator.endpoint)?;
        Ok(emulator)
    }

    /// Gives it an account.
    pub async fn add(&self, account: &Value) -> Result<(), Problem> {
        self.say(account).await
    }

    /// Waits until it has taken all accounts.
    pub async fn finish(&self) -> Result<(), Problem> {
        self.say(&json!({})).await?;
        let mut answers = self.answers.lock().await;
        loop {
            let mut line = String::new();
            if answers.read_line(&mut line).await? == 0 {
                return Err("the emulator has ended".into());
            }
            // It says other things, too.
            if line.trim().parse::<usize>().is_ok() {
                return Ok(());
            }
        }
    }

    async fn say(&self, message: &Value) -> Result<(), Problem> {
        let line = format!("{message}\n");
        self.accounts
            .lock()
            .await
            .write_all(line.as_bytes())
            .await?;
        Ok(())
    }
}
