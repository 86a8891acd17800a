//! A collector of ours on loopback: what the operator sends by OTLP, decoded as far as is needed.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bailiwick::controllers::oauth_client::make::SystemMaker;
use bailiwick::controllers::oauth_client::outside::Outside;
use bailiwick::engine::metrics::Metrics;
use bailiwick::identity::observe;
use bailiwick::identity::simulated::{
    Call, Interceptor, Profile, SimulatedServer, SimulatedServers, Verdict,
};
use serde_json::json;

use super::scan::clean;
use super::*;

/// What the authorization server gives, and the token by which an operator registers there.
const SECRETS: [&str; 3] = ["canary-secret-1", "canary-secret-2", "canary-initial-token"];

/// Where the child writes its log.
const LOG: &str = "BAILIWICK_TEST_LOG";

struct Request {
    head: String,
    body: Vec<u8>,
}

/// Answers every request with 200, and keeps it.
fn collector() -> (String, Arc<Mutex<Vec<Request>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let kept: Arc<Mutex<Vec<Request>>> = Arc::default();
    let keep = kept.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            while let Some(request) = read(&mut stream) {
                keep.lock().unwrap().push(request);
                let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    (endpoint, kept)
}

fn read(stream: &mut BufReader<std::net::TcpStream>) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let (_, length) = head.split_once("content-length: ")?;
    let length = length.lines().next()?.trim().parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request { head, body })
}

/// The fields of a protobuf message that hold bytes, by number: messages, strings, ids.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = message[0];
            *message = &message[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let length = match tag & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)).unwrap(),
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (field, rest) = message.split_at(length);
        message = rest;
        if tag & 7 == 2 {
            found.push((tag >> 3, field));
        }
    }
    found
}

fn all<'m>(message: &'m [u8], path: &[u64]) -> Vec<&'m [u8]> {
    let Some((first, rest)) = path.split_first() else {
        return vec![message];
    };
    let inner = fields(message)
        .into_iter()
        .filter(|(number, _)| number == first);
    inner.flat_map(|(_, field)| all(field, rest)).collect()
}

struct Span {
    trace: String,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
}

/// The spans of an ExportTraceServiceRequest: resource_spans (1) → scope_spans (2) → spans (2).
fn spans(body: &[u8]) -> Vec<Span> {
    let one = |span: &[u8], number: u64| all(span, &[number]).first().map(|it| it.to_vec());
    let of = |span: &&[u8]| Span {
        trace: one(span, 1)
            .unwrap()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        id: one(span, 2).unwrap(),
        parent: one(span, 4).unwrap_or_default(),
        name: String::from_utf8(one(span, 5).unwrap()).unwrap(),
    };
    all(body, &[1, 2, 2]).iter().map(of).collect()
}

/// Nothing befalls the calls to the authorization server.
struct Calm;

impl Interceptor for Calm {
    fn before(&self, _call: Call) -> Verdict {
        Verdict::Continue
    }

    fn after(&self, _call: Call) -> Verdict {
        Verdict::Continue
    }
}

/// An authorization server, and a client that is delivered to a Secret, with secrets that can be recognised.
fn with_credentials() -> (Outside, Vec<Value>) {
    let issuer = "https://as.example.com/";
    let server = SimulatedServer::new(issuer.parse().unwrap(), Profile::Dynamic);
    let servers = SimulatedServers {
        servers: vec![server],
        interceptor: Arc::new(Calm),
    };
    let outside = Outside {
        // As the operator opens them: it is the calls through this that have spans.
        servers: observe(Arc::new(servers), Arc::new(Metrics::default())),
        destinations: None,
        maker: Arc::new(SystemMaker),
    };
    let ours = |kind: &str, metadata: Value, spec: Value| json!({"apiVersion": "bailiwick.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    let in_team = json!({"name": "api", "namespace": "team-ab"});
    let client = json!({"application": "api", "provider": "as", "authMethod": "client_secret_basic",
        "delivery": [{"name": "cluster", "secret": {"name": "api-oauth"}}]});
    let how = json!({"issuer": issuer, "dynamicRegistration": {"initialAccessToken": {"name": "as", "key": "token"}}});
    let objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "team-ab", "labels": {"bailiwick.dev/team": "ab"}}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "as", "namespace": "default"},
            "stringData": {"token": SECRETS[2]}}),
        ours("Application", in_team.clone(), json!({})),
        ours("OAuthProvider", json!({"name": "as"}), how),
        ours("OAuthClient", in_team, client),
    ];
    (outside, objects)
}

/// The credentials that were delivered, once they are of that version.
fn delivered(world: &World, version: u64) -> bool {
    let secret = world.server.get("secrets", "team-ab", "api-oauth");
    let encoded =
        secret.and_then(|secret| Some(secret["data"]["client.json"].as_str()?.to_owned()));
    encoded.is_some_and(|encoded| {
        use base64::Engine;
        let content = base64::prelude::BASE64_STANDARD.decode(encoded).unwrap();
        let client: Value = serde_json::from_slice(&content).unwrap();
        client["version"] == version
            && client["client_secret"] == format!("canary-secret-{version}")
    })
}

/// What the child does: an operator that makes an account and credentials, and replaces them, in real time, with the
/// exporter that the environment asks for. Alone it checks little.
#[tokio::test]
#[ignore = "run by the test below, in a process of its own, whose environment names a collector"]
async fn an_operator_whose_environment_names_a_collector() {
    assert!(bailiwick::config::exports_spans());
    let paper = Paper::default();
    let (subscriber, telemetry) =
        telemetry::build((LogFormat::Json, false), "info", true, paper.clone()).unwrap();
    let guard = tracing::subscriber::set_default(subscriber);
    let (outside, objects) = with_credentials();
    let world = World::start_with(&Arc::new(Sound::default()), true, outside, &objects);
    let (begun, mut asked) = (Instant::now(), false);
    while begun.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if !asked && delivered(&world, 1) {
            let mut client = world.server.get("oauthclients", "team-ab", "api").unwrap();
            client["metadata"]["annotations"] = json!({"bailiwick.dev/renew-requested-at": "now"});
            asked = world.server.put(&client).is_some();
        }
        let account = world.server.get("teamaccounts", "team-ab", "live").unwrap();
        if account["status"]["createRequestId"].is_string() && delivered(&world, 2) {
            break;
        }
    }
    assert!(
        delivered(&world, 2),
        "{:#}",
        json!(world.server.objects("oauthclients"))
    );
    world.end().await;
    drop(guard);
    telemetry.end().await;
    std::fs::write(std::env::var(LOG).unwrap(), paper.text()).unwrap();
}

#[test]
fn a_collector_gets_the_spans_under_the_trace_ids_of_the_log() {
    let (endpoint, kept) = collector();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let child = "collector::an_operator_whose_environment_names_a_collector";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", child])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
        .env(LOG, &log)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");

    let kept = kept.lock().unwrap();
    let mut sent = Vec::new();
    for Request { head, body } in kept.iter() {
        assert!(head.starts_with("post /v1/traces "), "{head}");
        assert!(
            head.contains("content-type: application/x-protobuf"),
            "{head}"
        );
        let resource: Vec<_> = all(body, &[1, 1, 1, 2, 1]);
        for word in ["bailiwick", "test", env!("CARGO_PKG_VERSION")] {
            assert!(resource.contains(&word.as_bytes()), "{word}");
        }
        sent.extend(spans(body));
    }
    // What is decoded is what is looked for; what is scanned is every byte.
    let registered = sent.iter().filter(|span| span.name == "oauth.register");
    assert_eq!(registered.count(), 2, "both versions were made under spans");
    let canaries = SECRETS.map(|secret| (secret.to_owned(), secret.to_owned()));
    let canaries = BTreeMap::from(canaries);
    for Request { head, body } in kept.iter() {
        clean("what a collector is sent", head, &canaries);
        clean(
            "what a collector is sent",
            &String::from_utf8_lossy(body),
            &canaries,
        );
    }
    let passes: Vec<_> = sent.iter().filter(|span| span.name == "pass").collect();
    assert!(passes.iter().all(|pass| pass.parent.is_empty()));
    let create = sent
        .iter()
        .find(|span| span.name == "organizations.CreateAccount")
        .expect("a span for the call");
    let within = passes
        .iter()
        .find(|pass| pass.trace == create.trace)
        .expect("its pass");
    assert_eq!(create.parent, within.id, "the call is a child of its pass");

    let text = std::fs::read_to_string(&log).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let logged: HashSet<String> = lines
        .filter_map(|line| Some(pass(&line)?["trace_id"].as_str()?.to_owned()))
        .collect();
    assert!(!logged.is_empty(), "{text}");
    for trace in logged {
        assert!(
            passes.iter().any(|pass| pass.trace == trace),
            "{trace} is in the log and was not sent"
        );
    }
}
