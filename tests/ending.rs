//! How the operator ends when it is told to: what is between intent and result is finished, and nothing else is waited
//! for, least of all an API server that does not answer. In virtual time; only what signals do is tried with a process.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod in_memory;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick::cloud::simulated;
use bailiwick::dev::api_server;
use in_memory::World;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// An API server that can fall silent, and an AWS that takes its time over CreateAccount.
#[derive(Default)]
struct Trouble {
    silent: AtomicBool,
    slow: bool,
    asked: tokio::sync::Notify,
}

#[async_trait]
impl api_server::Interceptor for Trouble {
    async fn before(&self, _call: &api_server::Call) -> api_server::Verdict {
        match self.silent.load(Ordering::SeqCst) {
            true => api_server::Verdict::Hang,
            false => api_server::Verdict::Continue,
        }
    }
}

#[async_trait]
impl simulated::Interceptor for Trouble {
    async fn before(&self, call: &simulated::Call) -> simulated::Verdict {
        if self.slow && call.operation == "organizations.CreateAccount" {
            self.asked.notify_one();
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        simulated::Verdict::Continue
    }

    async fn after(&self, _call: &simulated::Call, _ok: bool) -> simulated::Verdict {
        simulated::Verdict::Continue
    }
}

fn troubled(silent: bool, slow: bool) -> Arc<Trouble> {
    Arc::new(Trouble {
        silent: silent.into(),
        slow,
        ..Trouble::default()
    })
}

#[tokio::test(start_paused = true)]
async fn a_settled_operator_ends_at_once() {
    for elect in [true, false] {
        let world = World::start(&troubled(false, false), elect);
        tokio::time::sleep(Duration::from_secs(900)).await;
        let (server, took) = world.end().await;
        assert!(took < Duration::from_secs(1), "took {took:?}");
        if elect {
            let lease = server.get("leases", "default", "bailiwick").unwrap();
            assert_eq!(lease["spec"]["holderIdentity"], "", "given up");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_not_waited_for() {
    // From the beginning on: while it contends, and while its caches are empty.
    for elect in [true, false] {
        let world = World::start(&troubled(true, false), elect);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (_, took) = world.end().await;
        assert!(
            took < Duration::from_secs(6),
            "elect {elect}: took {took:?}"
        );
    }
    // And while it leads, with a pass that waits for an answer: the edit of a team calls for one.
    let trouble = troubled(false, false);
    let world = World::start(&trouble, true);
    tokio::time::sleep(Duration::from_secs(900)).await;
    let mut team = world.server.get("teams", "", "ab").unwrap();
    team["spec"]["members"] = json!([{"user": "somebody"}]);
    trouble.silent.store(true, Ordering::SeqCst);
    world.server.put(&team);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (_, took) = world.end().await;
    assert!(took < Duration::from_secs(6), "took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_between_intent_and_result_is_finished() {
    let trouble = troubled(false, true);
    let world = World::start(&trouble, true);
    trouble.asked.notified().await;
    let account = world.server.get("teamaccounts", "team-ab", "live").unwrap();
    assert!(account["status"]["creation"].is_object(), "the intent");
    assert!(account["status"]["createRequestId"].is_null());
    let (server, took) = world.end().await;
    assert!(
        (Duration::from_secs(9)..Duration::from_secs(12)).contains(&took),
        "took {took:?}"
    );
    let account = server.get("teamaccounts", "team-ab", "live").unwrap();
    let id = &account["status"]["createRequestId"];
    assert!(id.as_str().is_some_and(|id| id.starts_with("car-")), "{id}");
}

/// What a process of its own is told to be: this very program, as [`a_process_that_finishes_its_work`].
const CHILD: &str = "BAILIWICK_TEST_ENDING";

/// How a process that is finishing its work ends after so many signals, and how long that takes. Real time, and a real
/// process: a signal is for the whole of it.
fn signalled(signals: &[&str]) -> (std::process::ExitStatus, Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_finishes_its_work"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut until = |word: &str| {
        let found = said.any(|line| line.unwrap().contains(word));
        assert!(found, "the process ended before it said {word:?}");
    };
    until("working");
    let mut told = std::time::Instant::now();
    for (number, signal) in signals.iter().enumerate() {
        told = std::time::Instant::now();
        let sent = Command::new("kill")
            .args([*signal, pid.as_str()])
            .status()
            .unwrap();
        assert!(sent.success());
        if number == 0 {
            until("told to end");
        }
    }
    let status = child.wait().unwrap();
    (status, told.elapsed())
}

#[test]
#[ignore = "the process that the next test starts and signals"]
fn a_process_that_finishes_its_work() {
    assert!(std::env::var_os(CHILD).is_some(), "started by a test only");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let told = CancellationToken::new();
        bailiwick::engine::shutdown::listen(told.clone()).unwrap();
        let trouble = troubled(false, true);
        let world = World::start(&trouble, true);
        trouble.asked.notified().await;
        println!("working");
        told.cancelled().await;
        println!("told to end");
        let (server, _) = world.end().await;
        let account = server.get("teamaccounts", "team-ab", "live").unwrap();
        assert!(account["status"]["createRequestId"].is_string());
    });
}

#[test]
fn a_second_signal_ends_what_the_first_one_would_have_finished() {
    // The call that is under way takes ten seconds, and the grace period is longer.
    let (status, took) = signalled(&["-TERM"]);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(took > Duration::from_secs(7), "not finished: {took:?}");
    for both in [["-TERM", "-TERM"], ["-INT", "-INT"], ["-TERM", "-INT"]] {
        let (status, took) = signalled(&both);
        assert_eq!(status.code(), Some(130), "{both:?}: {status}");
        assert!(took < Duration::from_secs(3), "{both:?}: took {took:?}");
    }
}
