//! Server processes that end when they should.
//!
//! [`Servers`] holds processes and ends them when it is dropped, last started first. That covers a test that panics. A
//! process that is killed drops nothing, so every [`Servers`] also has a watchdog: a small shell that waits for the
//! end of a pipe which only we hold, and then does the same. Servers and watchdog are in process groups of their own,
//! so an interrupt typed at the terminal ends us first, and them through us.

use std::fs::{self, File};
use std::future::Future;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Error;

/// How many lines of a log an error shows.
const TAIL: usize = 15;

/// One server and the file that takes what it says.
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Waits until `probe` succeeds, as long as the process lives and until the deadline.
    pub async fn ready<P, F>(&mut self, deadline: Duration, mut probe: P) -> Result<(), Error>
    where
        P: FnMut() -> F,
        F: Future<Output = Result<(), String>>,
    {
        let start = Instant::now();
        loop {
            let answer = probe().await;
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Error::Ended {
                    name: self.name.clone(),
                    status: status.to_string(),
                    log: self.log.clone(),
                    tail: self.tail(),
                });
            }
            let Err(last) = answer else { return Ok(()) };
            if start.elapsed() > deadline {
                return Err(Error::NotReady {
                    name: self.name.clone(),
                    seconds: deadline.as_secs(),
                    last,
                    log: self.log.clone(),
                    tail: self.tail(),
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Everything it has said so far.
    pub fn said(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn tail(&self) -> String {
        let text = self.said();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    fn end(&mut self) {
        // Killed, not asked: what these servers keep goes away with them, and an API server whose etcd ends first
        // would ignore the request for minutes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Servers that end with this value, in the reverse order of their start.
pub struct Servers {
    running: Vec<Server>,
    watchdog: Watchdog,
}

impl Servers {
    /// None yet. `temporary` is a folder that goes away with them if we are killed.
    pub fn new(temporary: Option<&Path>) -> Result<Self, Error> {
        Ok(Self {
            running: Vec::new(),
            watchdog: Watchdog::start(temporary)?,
        })
    }

    /// Starts one; what it says goes to `<logs>/<name>.log`.
    pub fn start(
        &mut self,
        name: &str,
        command: &mut Command,
        logs: &Path,
    ) -> Result<&mut Server, Error> {
        fs::create_dir_all(logs).map_err(|source| Error::io("create", logs, source))?;
        let child = spawn(command, &log_of(logs, name))?;
        self.watchdog.guard(child.id());
        self.running.push(Server {
            name: name.to_owned(),
            child,
            log: log_of(logs, name),
        });
        let last = self.running.len() - 1;
        Ok(&mut self.running[last])
    }

    /// Ends the one that was started last.
    pub fn end_last(&mut self) {
        if let Some(mut server) = self.running.pop() {
            server.end();
        }
    }

    /// The process ids, in the order of their start.
    pub fn pids(&self) -> Vec<u32> {
        self.running
            .iter()
            .map(|server| server.child.id())
            .collect()
    }

    /// Leaves them running and says which they are, in the order of their start.
    pub fn detach(mut self) -> Vec<Detached> {
        let running = std::mem::take(&mut self.running);
        running
            .iter()
            .map(|server| Detached::new(&server.name, server.child.id()))
            .collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        while !self.running.is_empty() {
            self.end_last();
        }
    }
}

/// Starts a process that outlives us; what it says goes to `<logs>/<name>.log`.
pub fn start_detached(name: &str, command: &mut Command, logs: &Path) -> Result<Detached, Error> {
    fs::create_dir_all(logs).map_err(|source| Error::io("create", logs, source))?;
    let child = spawn(command, &log_of(logs, name))?;
    Ok(Detached::new(name, child.id()))
}

fn log_of(logs: &Path, name: &str) -> PathBuf {
    logs.join(format!("{name}.log"))
}

fn spawn(command: &mut Command, log: &Path) -> Result<Child, Error> {
    let file = File::create(log).map_err(|source| Error::io("create", log, source))?;
    let copy = file
        .try_clone()
        .map_err(|source| Error::io("write", log, source))?;
    command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy)
        .process_group(0);
    let program = PathBuf::from(command.get_program());
    command
        .spawn()
        .map_err(|source| Error::io("start", &program, source))
}

/// Ends the processes that it was told of, once the pipe to it closes without a word.
struct Watchdog {
    child: Child,
    pipe: Option<ChildStdin>,
}

const WATCHDOG: &str = r#"
pids=
while read -r word; do
  case $word in
    done) exit 0 ;;
    *) pids="$word $pids" ;;
  esac
done
[ -z "$pids" ] || kill -KILL $pids
[ -z "$1" ] || { sleep 1; rm -rf -- "$1"; }
"#;

impl Watchdog {
    fn start(temporary: Option<&Path>) -> Result<Self, Error> {
        let mut child = Command::new("sh")
            .args(["-c", WATCHDOG, "bailiwick-watchdog"])
            .arg(temporary.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|source| Error::io("start", Path::new("sh"), source))?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }

    fn guard(&mut self, pid: u32) {
        self.say(&pid.to_string());
    }

    fn say(&mut self, word: &str) {
        if let Some(pipe) = &mut self.pipe {
            // A watchdog that is gone cannot be told; the processes still end by `Drop`.
            let _ = writeln!(pipe, "{word}");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.say("done");
        self.pipe = None;
        let _ = self.child.wait();
    }
}

/// A process that outlives the one which started it, as remembered in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detached {
    /// What it is.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// When it started, in the kernel's ticks: a process id comes back one day, the pair does not.
    started: Option<u64>,
}

impl Detached {
    fn new(name: &str, pid: u32) -> Self {
        Self {
            name: name.to_owned(),
            pid,
            started: started(pid),
        }
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.started.is_some() && started(self.pid) == self.started
    }

    /// Ends it: asks, waits up to `grace`, then kills.
    pub fn end(&self, grace: Duration) {
        let start = Instant::now();
        let mut signal = if grace.is_zero() { "KILL" } else { "TERM" };
        self.send(signal);
        while self.is_running() {
            if signal == "TERM" && start.elapsed() > grace {
                signal = "KILL";
                self.send(signal);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn send(&self, signal: &str) {
        if self.is_running() {
            let _ = Command::new("sh")
                .args([
                    "-c",
                    r#"kill -s "$1" "$2""#,
                    "sh",
                    signal,
                    &self.pid.to_string(),
                ])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// When the process started, if it runs: field 22 of its `stat`, counted from behind the name, which may hold anything.
/// One that has ended and was not waited for yet (state Z) does not run.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (state != "Z").then_some(started)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_process_id_of_somebody_else_is_not_ours() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let ours = Detached::new("sleep", child.id());
        assert!(ours.is_running());
        let other = Detached {
            started: ours.started.map(|ticks| ticks - 1),
            ..ours.clone()
        };
        assert!(!other.is_running());
        other.end(Duration::ZERO);
        assert!(ours.is_running(), "an other process was ended");
        ours.end(Duration::ZERO);
        assert!(!ours.is_running(), "a zombie does not run");
        child.wait().expect("wait");
    }
}
