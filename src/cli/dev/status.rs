//! `bailiwick dev status`: what runs, and where.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Failure;
use crate::cli::print::{self, Output};
use crate::dev::process::Detached;
use crate::dev::trial::Trial;

/// What runs, as it is printed for a program.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    /// The folder that was looked at.
    folder: PathBuf,
    /// Whether everything that belongs to it runs.
    running: bool,
    /// The administrator's kubeconfig.
    kubeconfig: Option<PathBuf>,
    /// The AWS emulator's endpoint.
    emulator: Option<String>,
    /// The operator's log.
    log: Option<PathBuf>,
    processes: Vec<Process>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    name: String,
    pid: u32,
    running: bool,
}

impl Process {
    fn of(process: &Detached) -> Self {
        Self {
            name: process.name.clone(),
            pid: process.pid,
            running: process.is_running(),
        }
    }
}

impl Status {
    fn of(trial: Option<&Trial>, folder: &Path) -> Self {
        let Some(trial) = trial else {
            return Self {
                folder: folder.to_owned(),
                running: false,
                kubeconfig: None,
                emulator: None,
                log: None,
                processes: Vec::new(),
            };
        };
        let processes = trial.servers().iter().chain(trial.operator());
        Self {
            folder: folder.to_owned(),
            running: trial.is_whole() && trial.operator_runs(),
            kubeconfig: Some(trial.kubeconfig()),
            emulator: Some(trial.emulator().to_owned()),
            log: Some(folder.join("operator.log")),
            processes: processes.map(Process::of).collect(),
        }
    }

    fn table(&self) -> String {
        if self.processes.is_empty() {
            return format!(
                "Nothing runs in {}. Start it with: bailiwick dev up\n{}\n",
                self.folder.display(),
                super::ELSEWHERE
            );
        }
        let mut text = format!("{:<26} {:>8}  STATE\n", "PROCESS", "PID");
        for Process { name, pid, running } in &self.processes {
            let state = if *running { "running" } else { "ended" };
            text.push_str(&format!("{name:<26} {pid:>8}  {state}\n"));
        }
        let path = |path: &Option<PathBuf>| path.as_deref().map(|it| it.display().to_string());
        let places = [
            ("KUBECONFIG", path(&self.kubeconfig)),
            ("AWS_ENDPOINT_URL", self.emulator.clone()),
            ("Operator's log", path(&self.log)),
        ];
        for (name, place) in places {
            text.push_str(&format!("{name:<18} {}\n", place.unwrap_or_default()));
        }
        if !self.running {
            text.push_str("Not all of it runs: go on with bailiwick dev up, or end it with bailiwick dev down\n");
        }
        text
    }
}

/// Says what runs.
pub(super) fn show(folder: &Path, output: Option<Output>) -> Result<(), Failure> {
    let trial = Trial::load(folder)?;
    let status = Status::of(trial.as_ref(), folder);
    match output {
        Some(output) => print::object(&status, output)?,
        None => print::text(status.table())?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_runs_it_says_so_and_how_to_begin() {
        let folder = Path::new("/nonexistent");
        let status = Status::of(None, folder);
        let table = status.table();
        for expected in ["in /nonexistent.", "bailiwick dev up", "--repository"] {
            assert!(table.contains(expected), "no {expected:?} in {table}");
        }
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["running"], false);
        assert_eq!(json["processes"], serde_json::json!([]));
    }

    #[test]
    fn what_has_ended_is_not_said_to_run() {
        let status = Status {
            folder: "/try".into(),
            running: false,
            kubeconfig: Some("/try/kubeconfig".into()),
            emulator: Some("http://127.0.0.1:5000".to_owned()),
            log: Some("/try/operator.log".into()),
            processes: vec![
                Process {
                    name: "etcd".to_owned(),
                    pid: 7,
                    running: true,
                },
                Process {
                    name: "operator".to_owned(),
                    pid: 8,
                    running: false,
                },
            ],
        };
        let table = status.table();
        let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line("etcd").ends_with("running"));
        assert!(line("operator ").ends_with("ended"));
        assert!(table.contains("Not all of it runs"));
    }
}
