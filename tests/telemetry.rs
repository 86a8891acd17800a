//! What is logged of a pass, and what is sent of it: every line of one pass can be found by its object and its trace
//! id, for people and for machines, and with the feature `otel` a collector gets the spans under the same id.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[cfg(feature = "otel")]
#[path = "telemetry/collector.rs"]
mod collector;
mod in_memory;
mod paper;
#[cfg(feature = "otel")]
mod scan;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick::cloud::simulated;
use bailiwick::dev::api_server;
use bailiwick::telemetry::{self, LogFormat};
use in_memory::World;
use paper::Paper;
use serde_json::Value;

/// Little goes wrong: one call is throttled, so that one pass fails and says so.
#[derive(Default)]
struct Sound(AtomicBool);

impl api_server::Interceptor for Sound {}

#[async_trait]
impl simulated::Interceptor for Sound {
    async fn before(&self, call: &simulated::Call) -> simulated::Verdict {
        if call.operation == "organizations.MoveAccount" && !self.0.swap(true, Ordering::SeqCst) {
            return simulated::Verdict::Refuse(simulated::throttled("organizations.MoveAccount"));
        }
        simulated::Verdict::Continue
    }

    async fn after(&self, _call: &simulated::Call, _ok: bool) -> simulated::Verdict {
        simulated::Verdict::Continue
    }
}

/// What an operator logs that makes one account.
async fn log(format: LogFormat, filter: &str) -> String {
    let paper = Paper::default();
    let (subscriber, telemetry) =
        telemetry::build((format, false), filter, false, paper.clone()).unwrap();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::start(&Arc::new(Sound::default()), true);
    tokio::time::sleep(Duration::from_secs(900)).await;
    let (server, _) = world.end().await;
    telemetry.end().await;
    let account = server.get("teamaccounts", "team-ab", "live").unwrap();
    assert!(account["status"]["accountId"].is_string(), "{account}");
    paper.text()
}

/// The span of the pass that a line belongs to.
fn pass(line: &Value) -> Option<&Value> {
    let spans = line["spans"].as_array()?;
    spans.iter().find(|span| span["name"] == "pass")
}

#[tokio::test(start_paused = true)]
async fn every_line_of_a_pass_names_its_object_and_its_trace() {
    let text = log(LogFormat::Json, "info,bailiwick=debug").await;
    let (mut objects, mut calls) = (HashMap::new(), 0);
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let inside = line["target"]
            .as_str()
            .is_some_and(|target| target.starts_with("bailiwick::engine::frame"));
        let Some(pass) = pass(&line) else {
            assert!(!inside, "outside of any pass: {line}");
            continue;
        };
        let trace = pass["trace_id"].as_str().unwrap();
        assert!(trace.len() == 32 && trace.chars().all(|it| it.is_ascii_hexdigit()));
        let object = format!("{} {} {}", pass["kind"], pass["namespace"], pass["object"]);
        let known = objects
            .entry(trace.to_owned())
            .or_insert_with(|| object.clone());
        assert_eq!(*known, object, "two objects under one trace id");
        if line["message"] == "call to AWS" {
            calls += 1;
            for field in ["service", "operation"] {
                assert!(line["span"][field].is_string(), "{field}: {line}");
            }
            for field in ["outcome", "waited_ms", "took_ms"] {
                assert!(!line[field].is_null(), "{field}: {line}");
            }
        }
    }
    assert!(calls > 3, "{calls} calls to AWS within passes:\n{text}");
    let live = objects
        .values()
        .filter(|object| object.as_str() == r#""TeamAccount" "team-ab" "live""#);
    assert!(live.count() > 1, "each pass has an id of its own");
    let moved = text
        .lines()
        .find(|line| line.contains(r#""operation":"MoveAccount""#));
    assert!(moved.unwrap().contains(r#""account":""#), "which account");
}

#[tokio::test(start_paused = true)]
async fn people_read_object_and_trace_too_and_no_filter_takes_them_off() {
    for filter in ["info", "warn"] {
        let text = log(LogFormat::Human, filter).await;
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.contains("bailiwick::engine::frame"))
            .collect();
        assert!(!lines.is_empty(), "{filter}: {text}");
        for line in lines {
            for field in ["kind=", "object=", "trace_id="] {
                assert!(line.contains(field), "{filter}: no {field} in {line}");
            }
        }
    }
}

/// Of a panic the log has the place and what stands in the code, and no value that it is made of.
#[test]
fn a_panic_is_logged_without_what_the_code_had_in_hand() {
    let secret = String::from("canary-señor-in-a-panic");
    let told = |format, panics: &dyn Fn()| {
        // The other tests of this process say why they fail as ever.
        let paper = Paper::default();
        let (subscriber, _telemetry) =
            telemetry::build((format, false), "info", false, paper.clone()).unwrap();
        let _guard = tracing::subscriber::set_default(subscriber);
        let before = std::panic::take_hook();
        telemetry::panics::log();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics));
        std::panic::set_hook(before);
        assert!(ended.is_err());
        paper.text()
    };
    let cut = secret.find('ñ').unwrap() + 1;
    let said = told(LogFormat::Json, &|| drop(secret[cut..].to_owned()));
    let line: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert!(
        line["place"].as_str().unwrap().contains("telemetry.rs:"),
        "{line}"
    );
    assert!(!said.contains("canary"), "{said}");
    let said = told(LogFormat::Human, &|| panic!("it holds {secret}"));
    assert!(said.contains("ERROR") && !said.contains("canary"), "{said}");
    let said = told(LogFormat::Human, &|| panic!("this cannot be"));
    assert!(said.contains("this cannot be"), "{said}");
}
