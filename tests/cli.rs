//! How the commands behave towards a shell: exit codes, closed pipes, output for programs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

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

/// A cluster and an AWS that accept connections and never answer: the worst that can be there at the start.
#[test]
fn an_operator_that_is_told_to_end_does_so_whoever_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    // Another program could take the port before the operator does; then it would complain and this test fail.
    let listen = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listen.local_addr().unwrap().to_string();
    drop(listen);
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config");
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": silent}}],
        "users": [{"name": "u", "user": {}}],
    });
    std::fs::write(&config, text.to_string()).unwrap();
    let arguments = ["run", "--cluster-name", "c", "--listen", &address];
    let mut operator = bailiwick(&arguments, home.path())
        .env("KUBECONFIG", &config)
        .env("AWS_ENDPOINT_URL", &silent)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "none")
        .env("AWS_SECRET_ACCESS_KEY", "none")
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while std::net::TcpStream::connect(&address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = operator.id().to_string();
    let told = Instant::now();
    let sent = Command::new("sh")
        .args(["-c", r#"kill -s TERM "$1""#, "sh", &pid])
        .status();
    assert!(sent.unwrap().success());
    let status = loop {
        if let Some(status) = operator.try_wait().unwrap() {
            break status;
        }
        if told.elapsed() > Duration::from_secs(10) {
            operator.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0), "ended in order");
}

#[test]
fn what_is_for_programs_can_be_read_by_them() {
    let json = |arguments: &[&str]| -> Value {
        let output = output(arguments);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let definitions = json(&["crds", "-o", "json"]);
    assert_eq!(definitions.as_array().unwrap().len(), 11);
    let status = json(&["dev", "status", "-o", "json"]);
    assert_eq!(status["running"], false);

    let text = String::from_utf8(output(&["crds"]).stdout).unwrap();
    let documents: Vec<&str> = text.split("---\n").skip(1).collect();
    for (document, definition) in documents.iter().zip(definitions.as_array().unwrap()) {
        let document: Value = serde_saphyr::from_str(document).unwrap();
        assert_eq!(document, *definition);
    }
    assert_eq!(documents.len(), definitions.as_array().unwrap().len());
}
