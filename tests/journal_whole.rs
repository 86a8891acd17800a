//! The journal of a real API server's objects in an S3 emulator's bucket, written by the real binary and read by it.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use bailiwick::dev::plane::ControlPlane;
use bailiwick::dev::{Assets, Moto};
use serde_json::{Value, json};

const BUCKET: &str = "acme-audit";

/// The binary, as somebody would call it who means this cluster and this bucket.
fn bailiwick(plane: &ControlPlane, moto: &Moto) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
    command
        .env("KUBECONFIG", plane.admin_kubeconfig())
        .env("AWS_ENDPOINT_URL", moto.endpoint())
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("BAILIWICK_CLUSTER_NAME", "real")
        .env("BAILIWICK_JOURNAL_BUCKET", BUCKET)
        .env("BAILIWICK_JOURNAL_PATH_STYLE", "true")
        .stdin(Stdio::null());
    command
}

/// A running operator; dropped, it is killed where it stands.
struct Operator(Child);

impl Operator {
    fn start(plane: &ControlPlane, moto: &Moto) -> Self {
        let log = std::fs::File::create(plane.folder().join("operator.log")).unwrap();
        let mut command = bailiwick(plane, moto);
        command
            .args(["run", "--namespace", "default", "--listen", "127.0.0.1:0"])
            .args([
                "--leader-elect",
                "false",
                "--log-filter",
                "info,bailiwick=debug",
            ])
            .env("BAILIWICK_JOURNAL_OBJECT_LOCK_DAYS", "1");
        Self(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    plane: ControlPlane,
    moto: Moto,
}

impl World {
    async fn start() -> Self {
        let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let plane = ControlPlane::start(&assets, None).await.unwrap();
        let moto = Moto::start(&assets).await.unwrap();
        moto.create_organization().unwrap();
        let credentials = Credentials::new("test", "test", None, None, "test");
        let base = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(moto.endpoint())
            .credentials_provider(credentials)
            .load()
            .await;
        let config = aws_sdk_s3::config::Builder::from(&base).force_path_style(true);
        let client = aws_sdk_s3::Client::from_conf(config.build());
        let made = client.create_bucket().bucket(BUCKET);
        made.object_lock_enabled_for_bucket(true)
            .send()
            .await
            .unwrap();
        let world = Self { plane, moto };
        for definition in bailiwick::api::definitions().unwrap() {
            world
                .apply(&serde_json::to_value(&definition).unwrap())
                .await;
        }
        let wait = [
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=30s",
        ];
        world.kubectl(&wait).await;
        world
    }

    async fn kubectl(&self, arguments: &[&str]) {
        let config = self.plane.admin_kubeconfig();
        let output = self.plane.kubectl(&config, arguments).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {arguments:?}: {said}");
    }

    async fn apply(&self, object: &Value) {
        let config = self.plane.admin_kubeconfig();
        let arguments = ["apply", "--server-side", "-f", "-"];
        let text = object.to_string();
        let output = self.plane.kubectl_with_input(&config, &arguments, &text);
        let output = output.await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{object}: {said}");
    }

    /// A team by this name, as `who` last changed it.
    async fn declare(&self, name: &str, display_name: &str, who: &str) {
        self.apply(&json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Team",
            "metadata": { "name": name, "annotations": { "bailiwick.dev/changed-by": who } },
            "spec": { "displayName": display_name },
        }))
        .await;
    }

    /// `operation generation who` of the journal's records of a team.
    fn told(&self, name: &str) -> Vec<String> {
        let mut command = bailiwick(&self.plane, &self.moto);
        command.args([
            "journal", "list", "--kind", "Team", "--name", name, "-o", "json",
        ]);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let records = document["records"].as_array().unwrap().iter();
        let line = |record: &Value| {
            let word = |field: &str| record[field].as_str().unwrap_or("unknown").to_owned();
            format!(
                "{} {} {} by {}",
                word("operation"),
                record["generation"],
                word("atFrom"),
                word("who")
            )
        };
        records.map(line).collect()
    }

    /// Waits until the journal tells this of a team, for 30 s.
    async fn until_told(&self, name: &str, wanted: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let told = self.told(name);
            if told == wanted {
                return;
            }
            if Instant::now() > deadline {
                let log =
                    std::fs::read_to_string(self.plane.folder().join("operator.log")).unwrap();
                panic!("{name}: {told:?}, not {wanted:?}\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_is_told_across_a_kill_and_the_journal_is_whole() {
    let world = World::start().await;
    let operator = Operator::start(&world.plane, &world.moto);
    world.declare("shop", "One", "jane").await;
    let created = "Created 1 Created by jane";
    world.until_told("shop", &[created]).await;
    world.declare("shop", "Two", "joe").await;
    let changed = "Changed 2 ManagedFields by joe";
    world.until_told("shop", &[created, changed]).await;

    // Killed; nobody watches three changes of one team and the only one of another.
    drop(operator);
    for (name, who) in [("Three", "jane"), ("Four", "joe"), ("Five", "ann")] {
        world.declare("shop", name, who).await;
    }
    world.declare("cart", "Cart", "ann").await;
    let operator = Operator::start(&world.plane, &world.moto);
    let gap = "Gap 5 ManagedFields by ann";
    world.until_told("shop", &[created, changed, gap]).await;
    world
        .until_told("cart", &["Created 1 Created by ann"])
        .await;

    // A deletion adds a generation of its own, which is none of the spec.
    world
        .kubectl(&["delete", "team", "shop", "--timeout=30s"])
        .await;
    let deleted = "Deleted 5 Deletion by unknown";
    world
        .until_told("shop", &[created, changed, gap, deleted])
        .await;
    drop(operator);

    let verify = bailiwick(&world.plane, &world.moto)
        .args(["journal", "verify"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&verify.stdout).into_owned();
    assert!(verify.status.success(), "{text}");
    assert!(text.starts_with("whole: 5 records of 2 objects"), "{text}");
}
