//! What `make try` and `make try-stop` do, twice, as a person would.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reader;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick::api::{OAuthClient, Team};
use bailiwick::dev::trial::Trial;
use bailiwick::identity::{RealServers, RegistrationOptions, ServerOptions, Servers};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use reader::{asked_once, asked_with};
use serde_json::json;

/// The credentials bucket of the account that the example delivers to.
const BUCKET: &str = "acme-search-test-credentials";
/// What is asked for.
const SCOPE: &str = "payment.read";

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

/// `bailiwick agent credentials` as it runs on a host, with rounds in quick succession. It ends with this value.
struct Agent(Child);

impl Agent {
    fn start(trial: &Trial, directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        command
            .args(["agent", "credentials"])
            .arg(directory)
            .args(["-a", "index", "-m", BUCKET])
            .args(["--path-style", "--interval", "1", "--silent"])
            .env_clear()
            .env("AWS_ENDPOINT_URL", trial.emulator())
            .env("AWS_ACCESS_KEY_ID", "host")
            .env("AWS_SECRET_ACCESS_KEY", "host")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        Self(command.spawn().unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Renews the credentials by hand while somebody asks for tokens with whatever is in the Secret, and somebody else with
/// whatever the agent has written to a host's disk: no request fails, and in the end it is another client that asks.
#[tokio::main(flavor = "current_thread")]
async fn rotated_under_readers(trial: &Trial) {
    let issuer = trial.issuer().expect("there is an authorization server");
    let options = ServerOptions {
        issuer: issuer.parse().unwrap(),
        authorities: String::new(),
        registration: RegistrationOptions::Dynamic {
            initial_access_token: None,
        },
    };
    let server = RealServers::new(Arc::new(Timestamp::now))
        .open(options)
        .unwrap();
    let client = bailiwick::dev::plane::client(&trial.kubeconfig())
        .await
        .unwrap();
    let secrets: kube::Api<Secret> = kube::Api::namespaced(client.clone(), "team-search");
    let clients: kube::Api<OAuthClient> = kube::Api::namespaced(client, "team-search");

    let host = tempfile::tempdir().unwrap();
    let directory = host.path().join("credentials");
    let mut agent = Agent::start(trial, &directory);
    let start = Instant::now();
    while !directory.join("client.json").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing fetched");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ask = async || {
        let read = asked_once(&secrets, "index-oauth", &*server, SCOPE).await;
        let fetched = asked_with(&on_disk(&directory), &*server, SCOPE).await;
        (read.0, fetched.client_id)
    };
    let (first, fetched) = ask().await;
    let mut in_secret = BTreeSet::from([first]);
    let mut fetched_by_host = BTreeSet::from([fetched]);
    assert_eq!(in_secret, fetched_by_host);

    let renew = json!({"metadata": {"annotations": {"bailiwick.dev/renew-requested-at": "now"}}});
    clients
        .patch("index", &PatchParams::default(), &Patch::Merge(renew))
        .await
        .unwrap();
    let (start, mut after) = (Instant::now(), 0);
    // A while longer than until the new ones are in both places.
    while after < 20 {
        assert!(
            start.elapsed() < Duration::from_secs(90),
            "nothing was rotated: {:?}",
            clients.get("index").await.unwrap().status
        );
        let (read, fetched) = ask().await;
        in_secret.insert(read);
        fetched_by_host.insert(fetched);
        let status = clients.get("index").await.unwrap().status.unwrap();
        after += usize::from(status.version == Some(2) && fetched_by_host.len() == 2);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(in_secret.len(), 2, "one after the other: {in_secret:?}");
    assert_eq!(in_secret, fetched_by_host);
    assert!(agent.0.try_wait().unwrap().is_none(), "the agent has ended");
    let status = clients.get("index").await.unwrap().status.unwrap();
    let places = status.destinations.iter();
    let delivered: Vec<_> = places.map(|place| place.version).collect();
    assert_eq!(delivered, [Some(2), Some(2)], "both places have version 2");
}

/// What a person does who goes on by hand: fields of the examples are kubectl's then.
#[tokio::main(flavor = "current_thread")]
async fn edited_by_hand(trial: &Trial) {
    let client = bailiwick::dev::plane::client(&trial.kubeconfig())
        .await
        .unwrap();
    let teams: kube::Api<Team> = kube::Api::all(client);
    let edit = json!({"spec": {"displayName": "By hand"}});
    let params = PatchParams {
        field_manager: Some("kubectl-patch".to_owned()),
        ..PatchParams::default()
    };
    teams
        .patch("payments", &params, &Patch::Merge(edit))
        .await
        .unwrap();
}

fn on_disk(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("client.json")).unwrap()
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
        "gave one with the scope payment.read for what is in Secret team-search/index-oauth",
        "for what is in s3://acme-search-test-credentials/index/client.json, fetched by",
        "The credentials of OAuthClient team-search/index were delivered to:",
        "s3://acme-search-test-credentials/index/, version 1",
        "Bucket acme-search-test-credentials, as the AWS emulator lists it:",
        "Z  index/client.json",
        "The chain is broken at one hop.",
        "Release team-search/index-0.9.0",
        "16 of 18 Ready, 2 refused as they are meant to be",
        "# bailiwick, kubectl and helm",
        "export AWS_ENDPOINT_URL=http://127.0.0.1:",
        "No journal of changes is kept here",
        "export KUBECONFIG=",
    ] {
        assert!(first.contains(expected), "no {expected:?} in:\n{first}");
    }
    let trial = Trial::load(attempt.folder()).unwrap().unwrap();
    let accounts = bailiwick::dev::moto::accounts(trial.emulator()).unwrap();
    assert!(trial.is_whole() && trial.operator_runs());

    rotated_under_readers(&trial);

    edited_by_hand(&trial);
    let start = Instant::now();
    let second = attempt.dev("up");
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "again took {:?}",
        start.elapsed()
    );
    assert!(second.contains("they run already"), "{second}");
    assert!(
        second.contains("what was edited by hand in their fields is overwritten"),
        "{second}"
    );
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
