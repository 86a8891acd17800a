//! The real binary against a real control plane and a real AWS emulator: what a person would do, with kubectl.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bailiwick::dev::Assets;
use bailiwick::dev::moto::{self, Moto};
use bailiwick::dev::plane::ControlPlane;

const CLASS: &str = r#"
apiVersion: bailiwick.dev/v1alpha1
kind: AccountClass
metadata: {name: test}
spec:
  organizationalUnitPath: /Workloads/Test
  emailTemplate: aws+{{team}}-{{account}}@example.com
  aliasTemplate: acme-{{team}}-{{account}}
  tags: {stage: test}
  alternateContacts:
    security: {name: Security, title: On call, email: security@example.com, phone: "+49 30 1234567"}
  regions: [eu-central-1, eu-west-1]
  passwordPolicy: {minimumLength: 16, requireNumbers: true}
  quarantine: {organizationalUnitPath: /Quarantine}
"#;

const TEAM: &str = r#"
apiVersion: bailiwick.dev/v1alpha1
kind: Team
metadata: {name: payments}
spec:
  displayName: Payments
  members: [{user: dev1@example.com}]
  groups: [payments-devs]
"#;

const ACCOUNT: &str = r#"
apiVersion: bailiwick.dev/v1alpha1
kind: TeamAccount
metadata: {name: test, namespace: team-payments}
spec: {className: test, purpose: test}
"#;

struct Operator(Child);

impl Operator {
    fn start(plane: &ControlPlane, moto: &Moto) -> Self {
        let log = std::fs::File::create(plane.folder().join("operator.log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .args([
                "run",
                "--cluster-name",
                "test",
                "--namespace",
                "default",
                "--listen",
                "127.0.0.1:0",
            ])
            .args([
                "--sweep-interval",
                "2s",
                "--log-filter",
                "info,bailiwick=trace,kube=debug",
            ])
            .env("KUBECONFIG", plane.admin_kubeconfig())
            .env("AWS_ENDPOINT_URL", moto.endpoint())
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
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
    operator: Option<Operator>,
}

impl World {
    async fn start() -> Self {
        let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let plane = ControlPlane::start(&assets, None).await.unwrap();
        let moto = Moto::start(&assets).await.unwrap();
        moto.create_organization().unwrap();
        let world = Self {
            plane,
            moto,
            operator: None,
        };
        for definition in bailiwick::api::definitions().unwrap() {
            world
                .apply(&serde_json::to_string(&definition).unwrap())
                .await;
        }
        world
            .kubectl(&[
                "wait",
                "--for=condition=Established",
                "crd",
                "--all",
                "--timeout=30s",
            ])
            .await
            .unwrap();
        world
    }

    async fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self
            .plane
            .kubectl(&self.plane.admin_kubeconfig(), arguments)
            .await
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    async fn try_apply(&self, manifest: &str) -> Result<String, String> {
        let arguments = ["apply", "--server-side", "-f", "-"];
        let config = self.plane.admin_kubeconfig();
        let output = self
            .plane
            .kubectl_with_input(&config, &arguments, manifest)
            .await
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    async fn apply(&self, manifest: &str) {
        self.try_apply(manifest).await.unwrap();
    }

    async fn field(&self, kind: &str, name: &str, path: &str) -> String {
        let output = format!("-o=jsonpath={{{path}}}");
        self.kubectl(&["get", kind, "-n", "team-payments", name, &output])
            .await
            .unwrap_or_default()
    }

    /// Waits until a field has the value, for 60 s.
    async fn until(&self, kind: &str, name: &str, path: &str, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let value = self.field(kind, name, path).await;
            if value == wanted {
                return;
            }
            if Instant::now() > deadline {
                let log =
                    std::fs::read_to_string(self.plane.folder().join("operator.log")).unwrap();
                let object = self
                    .kubectl(&["get", kind, "-n", "team-payments", name, "-o", "yaml"])
                    .await;
                panic!("{kind}/{name} {path} is {value:?}, not {wanted:?}\n{object:?}\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

const READY: &str = ".status.conditions[?(@.type==\"Ready\")].status";
const REASON: &str = ".status.conditions[?(@.type==\"Ready\")].reason";

#[tokio::test(flavor = "multi_thread")]
async fn a_team_gets_its_account_and_keeps_it() {
    let mut world = World::start().await;
    // Unseen by any controller, an object is in progress for kstatus: its observedGeneration is not its generation.
    world.apply(CLASS).await;
    assert_eq!(
        world
            .field("accountclass", "test", ".status.observedGeneration")
            .await,
        "-1"
    );
    world.apply(TEAM).await;
    world.operator = Some(Operator::start(&world.plane, &world.moto));
    world.until("team", "payments", READY, "True").await;
    world.until("accountclass", "test", READY, "True").await;
    world.apply(ACCOUNT).await;
    let waited = [
        "wait",
        "-n",
        "team-payments",
        "--for=condition=Ready",
        "teamaccount/test",
        "--timeout=60s",
    ];
    if world.kubectl(&waited).await.is_err() {
        world.until("teamaccount", "test", READY, "True").await;
    }
    let id = world
        .field("teamaccount", "test", ".status.accountId")
        .await;
    assert_eq!(id.len(), 12);
    assert_eq!(
        world
            .field("teamaccount", "test", ".status.organizationalUnit.path")
            .await,
        "/Workloads/Test"
    );
    assert_eq!(
        world.field("teamaccount", "test", ".status.alias").await,
        "acme-payments-test"
    );
    world
        .until("team", "payments", ".status.accounts[0].id", &id)
        .await;
    let described = world
        .kubectl(&["describe", "-n", "team-payments", "teamaccount", "test"])
        .await
        .unwrap();
    assert!(described.contains("was created"), "{described}");

    exactly_one_account_and_a_quiet_one(&world, &id).await;
    drift_is_repaired(&world, &id).await;
    who_joins_and_leaves_gains_and_loses(&world).await;
    an_operator_that_is_told_to_end_ends(&mut world).await;
    a_killed_operator_goes_on(&mut world, &id).await;
    a_team_that_owns_something_stays(&world).await;
    a_deleted_object_leaves_its_account(&world, &id).await;
}

async fn exactly_one_account_and_a_quiet_one(world: &World, id: &str) {
    let accounts = moto::accounts(world.moto.endpoint()).unwrap();
    let ours: Vec<_> = accounts
        .iter()
        .filter(|account| account["Name"] == "payments-test")
        .collect();
    assert_eq!(ours.len(), 1, "{accounts:?}");
    assert_eq!(ours[0]["Id"], id);
    // Settled, it costs no write: several sweeps leave its resource version alone.
    let version = world
        .field("teamaccount", "test", ".metadata.resourceVersion")
        .await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        world
            .field("teamaccount", "test", ".metadata.resourceVersion")
            .await,
        version
    );
}

async fn drift_is_repaired(world: &World, id: &str) {
    let endpoint = world.moto.endpoint();
    let ask = |operation: &str, input: serde_json::Value| {
        moto::organizations(endpoint, operation, &input).unwrap()
    };
    let root = ask("ListRoots", serde_json::json!({}))["Roots"][0]["Id"]
        .as_str()
        .unwrap()
        .to_owned();
    let unit = world
        .field("teamaccount", "test", ".status.organizationalUnit.id")
        .await;
    let moved =
        serde_json::json!({"AccountId": id, "SourceParentId": unit, "DestinationParentId": root});
    ask("MoveAccount", moved);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let parent = ask("ListParents", serde_json::json!({"ChildId": id}));
        if parent["Parents"][0]["Id"] == unit.as_str() {
            break;
        }
        assert!(Instant::now() < deadline, "the account was not moved back");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Members and groups that change in the `Team` change who may do what, at the API server.
async fn who_joins_and_leaves_gains_and_loses(world: &World) {
    // The role that the chart would bring.
    world
        .apply(
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: bailiwick-team-member}, rules: \
             [{apiGroups: [bailiwick.dev], resources: [teamaccounts], verbs: [get]}]}",
        )
        .await;
    let may = async |user: &str, groups: &[&str]| {
        let config = world.plane.kubeconfig(user, groups).unwrap();
        let arguments = ["auth", "can-i", "get", "ta/test", "-n", "team-payments"];
        let output = world.plane.kubectl(&config, &arguments).await.unwrap();
        String::from_utf8_lossy(&output.stdout).trim() == "yes"
    };
    assert!(may("dev1@example.com", &[]).await);
    assert!(may("somebody", &["payments-devs"]).await);
    assert!(!may("dev2@example.com", &[]).await);
    world
        .apply(
            &TEAM
                .replace("dev1@", "dev2@")
                .replace("payments-devs", "payments-new"),
        )
        .await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !may("dev2@example.com", &[]).await {
        assert!(Instant::now() < deadline, "the new member has no rights");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(may("somebody", &["payments-new"]).await);
    assert!(!may("dev1@example.com", &[]).await, "who left has rights");
    assert!(!may("somebody", &["payments-devs"]).await);
}

/// Told to end, the operator ends soon and gives its lease up, so that the next one need not wait for it to run out.
async fn an_operator_that_is_told_to_end_ends(world: &mut World) {
    let mut operator = world.operator.take().unwrap();
    let told = Instant::now();
    let pid = operator.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let ended = loop {
        if let Some(ended) = operator.0.try_wait().unwrap() {
            break ended;
        }
        assert!(
            told.elapsed() < Duration::from_secs(10),
            "it does not end: {:?}",
            told.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(ended.success(), "{ended}");
    let holder = [
        "get",
        "lease",
        "bailiwick",
        "-n",
        "default",
        "-o=jsonpath={.spec.holderIdentity}",
    ];
    assert_eq!(world.kubectl(&holder).await.unwrap(), "");
    world.operator = Some(Operator::start(&world.plane, &world.moto));
    let begun = Instant::now();
    while world.kubectl(&holder).await.unwrap().is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "nobody takes the lease"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn a_killed_operator_goes_on(world: &mut World, id: &str) {
    world.operator = None;
    world.operator = Some(Operator::start(&world.plane, &world.moto));
    // Not given up, the lease of the killed one must run out first; then an edit is seen.
    world
        .apply(&ACCOUNT.replace("purpose: test", "purpose: live"))
        .await;
    world
        .until("teamaccount", "test", ".status.observedGeneration", "2")
        .await;
    world.until("teamaccount", "test", READY, "True").await;
    assert_eq!(
        world
            .field("teamaccount", "test", ".status.accountId")
            .await,
        id
    );
}

async fn a_team_that_owns_something_stays(world: &World) {
    world
        .kubectl(&["delete", "team", "payments", "--wait=false"])
        .await
        .unwrap();
    world.until("team", "payments", REASON, "StillOwns").await;
    let message = world
        .field(
            "team",
            "payments",
            ".status.conditions[?(@.type==\"Ready\")].message",
        )
        .await;
    assert!(message.contains("test"), "{message}");
}

async fn a_deleted_object_leaves_its_account(world: &World, id: &str) {
    world
        .kubectl(&[
            "delete",
            "teamaccount",
            "-n",
            "team-payments",
            "test",
            "--timeout=60s",
        ])
        .await
        .unwrap();
    let accounts = moto::accounts(world.moto.endpoint()).unwrap();
    assert!(
        accounts.iter().any(|account| account["Id"] == id),
        "the account is kept"
    );
    let tags = moto::organizations(
        world.moto.endpoint(),
        "ListTagsForResource",
        &serde_json::json!({"ResourceId": id}),
    )
    .unwrap();
    assert!(
        !tags.to_string().contains("bailiwick.dev"),
        "no longer ours: {tags}"
    );
    assert!(
        tags.to_string().contains("stage"),
        "its other tags stay: {tags}"
    );
    let events = world
        .kubectl(&["get", "events", "-n", "team-payments"])
        .await
        .unwrap();
    assert!(
        events.contains("AccountRetained") && events.contains(id),
        "{events}"
    );
    world
        .kubectl(&["wait", "--for=delete", "team/payments", "--timeout=60s"])
        .await
        .unwrap();
    let namespace = world.kubectl(&["get", "namespace", "team-payments"]).await;
    assert!(namespace.is_ok(), "the team's namespace is kept");
}
