//! What `make try` and `make try-stop` do, twice, as a person would.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bailiwick::dev::trial::Trial;

/// A trial in a folder of its own. It ends with this value, whatever fails.
struct Try(tempfile::TempDir);

impl Try {
    fn dev(&self, command: &str) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .args([
                "dev",
                command,
                "--repository",
                env!("CARGO_MANIFEST_DIR"),
                "--folder",
            ])
            .arg(self.folder())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "dev {command}:\n{said}{complaint}");
        said
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        if let Ok(Some(trial)) = Trial::load(self.folder()) {
            let _ = trial.end();
        }
    }
}

#[test]
fn everything_is_ready_at_the_first_go_and_again_at_once_and_gone_when_told() {
    let folder = tempfile::Builder::new()
        .prefix("bailiwick-try-")
        .tempdir()
        .unwrap();
    let attempt = Try(folder);

    let first = attempt.dev("up");
    for expected in [
        "team.bailiwick.dev/payments",
        "team-payments   teamaccount.bailiwick.dev/test",
        "aws+payments-test@example.com",
        "team-payments   release.bailiwick.dev/api-1.0.0",
        "team-payments   imagerepository.bailiwick.dev/api",
        "dkr.ecr.eu-central-1.amazonaws.com/payments/api",
        "dev1@example.com approves sha256:",
        "$ bailiwick trace application/api",
        "PAY-42 (https://tickets.example.com/PAY-42)",
        "The chain is whole.",
        "✗ tree",
        "The chain is broken at one hop.",
        "export KUBECONFIG=",
    ] {
        assert!(first.contains(expected), "no {expected:?} in:\n{first}");
    }
    let trial = Trial::load(attempt.folder()).unwrap().unwrap();
    let accounts = bailiwick::dev::moto::accounts(trial.emulator()).unwrap();
    assert!(trial.is_whole() && trial.operator_runs());

    let start = Instant::now();
    let second = attempt.dev("up");
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "again took {:?}",
        start.elapsed()
    );
    assert!(second.contains("they run already"), "{second}");
    assert_eq!(
        bailiwick::dev::moto::accounts(trial.emulator()).unwrap(),
        accounts
    );

    attempt.dev("down");
    assert!(
        trial.servers().iter().all(|server| !server.is_running()),
        "something runs on"
    );
    assert!(Trial::load(attempt.folder()).unwrap().is_none());
    assert!(attempt.dev("down").contains("Nothing runs"));
}
