//! How the commands behave towards a shell: exit codes, closed pipes, output for programs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The program, with nothing of the person's own configuration.
fn bailiwick(arguments: &[&str], home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("KUBECONFIG", home.join("none"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    bailiwick(arguments, home.path()).output().unwrap()
}

const ALONE: &[&str] = &["run", "--cluster-name", "c", "--listen", "127.0.0.1:0"];

#[test]
fn the_exit_code_says_how_it_went() {
    let table: [(&[&str], i32, &str); 6] = [
        (&["--help"], 0, ""),
        (&["crds"], 0, ""),
        (&["dev", "status"], 0, ""),
        (ALONE, 1, "Set KUBECONFIG"),
        (&["crds", "--output", "toml"], 2, "toml"),
        (&["nonsense"], 2, "nonsense"),
    ];
    let help = String::from_utf8(output(&["--help"]).stdout).unwrap();
    for (arguments, code, complaint) in table {
        let output = output(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(complaint), "{arguments:?}: {said}");
        let documented = |line: &str| line.trim_start().starts_with(&format!("{code} "));
        assert!(help.lines().any(documented), "--help lacks {code}:\n{help}");
    }
}

#[test]
fn a_reader_that_goes_away_makes_nothing_panic() {
    let home = tempfile::tempdir().unwrap();
    let table: [(&[&str], i32); 9] = [
        (&["--help"], 0),
        (&["crds"], 0),
        (&["crds", "--output", "json"], 0),
        (&["generate"], 0),
        (&["dev", "status"], 0),
        (&["dev", "status", "--output", "yaml"], 0),
        (&["dev", "down"], 0),
        (&["nonsense"], 2),
        (ALONE, 1),
    ];
    for (arguments, code) in table {
        // Nobody reads from the beginning on, which is the worst that can happen.
        let (reader, out) = std::io::pipe().unwrap();
        drop(reader);
        let (reader, complaints) = std::io::pipe().unwrap();
        drop(reader);
        let status = bailiwick(arguments, home.path())
            .stdout(out)
            .stderr(complaints)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
    assert!(home.path().join("docs/cli.md").exists(), "generate went on");
}

#[test]
fn what_is_for_programs_can_be_read_by_them() {
    let json = |arguments: &[&str]| -> Value {
        let output = output(arguments);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let definitions = json(&["crds", "-o", "json"]);
    assert_eq!(definitions.as_array().unwrap().len(), 3);
    let status = json(&["dev", "status", "-o", "json"]);
    assert_eq!(status["running"], false);

    let text = String::from_utf8(output(&["crds"]).stdout).unwrap();
    let documents: Vec<&str> = text.split("---\n").skip(1).collect();
    for (document, definition) in documents.iter().zip(definitions.as_array().unwrap()) {
        let document: Value = serde_saphyr::from_str(document).unwrap();
        assert_eq!(document, *definition);
    }
    assert_eq!(documents.len(), 3);
}
