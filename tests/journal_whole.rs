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

/// The user as whom the operator works.
const OPERATOR: &str = "outside";

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
            // The stamps here are the test's own.
            .arg("--authors-guarded=true")
            .args([
                "--leader-elect",
                "false",
                "--log-filter",
                "info,bailiwick=debug",
            ])
            .env("KUBECONFIG", plane.kubeconfig(OPERATOR, &[]).unwrap())
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
    /// The cluster has the chart's rights, with a journal; there is no bucket yet.
    async fn start() -> Self {
        let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let plane = ControlPlane::start(&assets, None).await.unwrap();
        let moto = Moto::start(&assets).await.unwrap();
        moto.create_organization().unwrap();
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
        let settings = format!(
            "clusterName=real,replicaCount=0,crds.install=false,admission.enabled=false,operatorUsers={{{OPERATOR}}},\
             journal.bucket={BUCKET}"
        );
        let rendered = Command::new(assets.program("helm"))
            .args([
                "template",
                "bailiwick",
                "charts/bailiwick",
                "-n",
                "default",
                "--kube-version",
                "1.36",
            ])
            .args(["--set", &settings])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("HOME", world.plane.folder())
            .output()
            .unwrap();
        assert!(
            rendered.status.success(),
            "{}",
            String::from_utf8_lossy(&rendered.stderr)
        );
        world
            .apply_text(&String::from_utf8(rendered.stdout).unwrap())
            .await;
        world
    }

    async fn create_bucket(&self) {
        let credentials = Credentials::new("test", "test", None, None, "test");
        let base = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(self.moto.endpoint())
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
    }

    /// The names of what waits in the outbox.
    async fn outbox(&self) -> Vec<String> {
        let config = self.plane.admin_kubeconfig();
        let arguments = [
            "get",
            "configmaps",
            "-l",
            "bailiwick.dev/journal=outbox",
            "-o",
            "name",
        ];
        let output = self.plane.kubectl(&config, &arguments).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    async fn until_outbox(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(45);
        loop {
            let outbox = self.outbox().await;
            if outbox.len() == count {
                return;
            }
            if Instant::now() > deadline {
                panic!("{outbox:?}, not {count}\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.plane.folder().join("operator.log")).unwrap()
    }

    async fn kubectl(&self, arguments: &[&str]) {
        let config = self.plane.admin_kubeconfig();
        let output = self.plane.kubectl(&config, arguments).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {arguments:?}: {said}");
    }

    async fn apply(&self, object: &Value) {
        self.apply_text(&object.to_string()).await;
    }

    async fn apply_text(&self, text: &str) {
        let config = self.plane.admin_kubeconfig();
        let arguments = ["apply", "--server-side", "-f", "-"];
        let output = self.plane.kubectl_with_input(&config, &arguments, text);
        let output = output.await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}: {said}");
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
                panic!("{name}: {told:?}, not {wanted:?}\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_is_told_across_a_kill_and_the_journal_is_whole() {
    let world = World::start().await;
    world.create_bucket().await;
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

    // A name that is mistyped finds nothing, which is not whole.
    for wrong in [
        ["--cluster-name", "nope"],
        ["--prefix", "wrong"],
        ["--namespace", "nonsuch"],
        ["--kind", "release"],
    ] {
        let verify = bailiwick(&world.plane, &world.moto)
            .args(["journal", "verify", "--output", "json"])
            .args(wrong)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&verify.stderr).into_owned();
        assert_eq!(verify.status.code(), Some(2), "{wrong:?}: {said}");
        assert!(
            said.contains("nothing was found in bucket acme-audit"),
            "{said}"
        );
        let verdict: Value = serde_json::from_slice(&verify.stdout).unwrap();
        assert_eq!(
            (&verdict["whole"], &verdict["chains"]),
            (&json!(false), &json!(0))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_before_there_is_a_bucket_is_told_when_there_is_one() {
    let world = World::start().await;
    // Whatever is there when the operator begins may have been journaled long ago: nobody can tell without the bucket.
    world.declare("cart", "Cart", "ann").await;
    let operator = Operator::start(&world.plane, &world.moto);
    world
        .kubectl(&[
            "wait",
            "--for=condition=Ready",
            "team/cart",
            "--timeout=60s",
        ])
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(world.outbox().await.is_empty());
    world.declare("shop", "One", "jane").await;
    world.declare("shop", "Two", "joe").await;
    world.until_outbox(2).await;
    world
        .kubectl(&["delete", "team", "shop", "--timeout=30s"])
        .await;
    world.until_outbox(3).await;
    let verify = bailiwick(&world.plane, &world.moto)
        .args(["journal", "verify"])
        .output()
        .unwrap();
    assert_eq!(verify.status.code(), Some(2), "it cannot be read");

    drop(operator);
    world.create_bucket().await;
    let operator = Operator::start(&world.plane, &world.moto);
    let told = [
        "Created 1 Created by jane",
        "Changed 2 ManagedFields by joe",
        "Deleted 2 Deletion by unknown",
    ];
    world.until_told("shop", &told).await;
    world
        .until_told("cart", &["Created 1 Created by ann"])
        .await;
    world.until_outbox(0).await;
    drop(operator);
}
