//! Applications and releases as people meet them: a real API server with the chart's policies and rights, a real registry
//! with images that crane pushed and cosign signed, and what `bailiwick trace` says of them.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "registry/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "registry/stage.rs"]
mod stage;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick::app::{self, Parts};
use bailiwick::cloud::simulated::{self, Options, SimulatedCloud};
use bailiwick::config::RunOptions;
use bailiwick::controllers::release::gather::RegistryOrigins;
use bailiwick::dev::Assets;
use bailiwick::dev::plane::ControlPlane;
use bailiwick::dev::registries::Kind;
use bailiwick::engine::clock::SystemClock;
use bailiwick::engine::metrics::Metrics;
use bailiwick::model::ImageRef;
use bailiwick::registry::attestation::{Trust, TrustEntry};
use bailiwick::registry::code_hosts::{CodeHost, CodeHosts};
use bailiwick::registry::oci::{Secret, Settings};
use bailiwick::server::Readiness;
use clap::Parser;
use serde_json::{Value, json};
use server::{Reply, Server};
use stage::{COMMIT, SHOP, Stage, archive, scm_source};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(90);
const CREATE: [&str; 3] = ["create", "-f", "-"];

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    run: RunOptions,
}

struct World {
    plane: ControlPlane,
    stage: Stage,
    code_host: Server,
}

/// The message of the commit that all images are built from.
fn github(request: &server::Request) -> Reply {
    let known = request.header("authorization") == Some("Bearer t0ken");
    let commit = format!("/repos/acme/shop/commits/{COMMIT}");
    if !known || request.path() != commit {
        return Reply::new("404 Not Found", "", "{}");
    }
    let message = "Sell shoes\n\nSHOP-8, and SHOP-9 by the way; shop-1 and SHOP- are none";
    let body = json!({"sha": COMMIT, "commit": {"message": message}}).to_string();
    Reply::ok("application/json", body)
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

impl World {
    async fn start() -> Self {
        let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let world = Self {
            plane: ControlPlane::start(&assets, None).await.unwrap(),
            stage: Stage::new(Kind::Referrers).await,
            code_host: Server::start(github).await,
        };
        let home = tempfile::tempdir().unwrap();
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/bailiwick");
        let installed = Command::new(assets.program("helm"))
            .args([
                "install",
                "bailiwick",
                chart.to_str().unwrap(),
                "-n",
                "bailiwick-system",
            ])
            .args([
                "--create-namespace",
                "--set",
                "clusterName=test,replicaCount=0,operatorUsers={outside}",
            ])
            .env("KUBECONFIG", world.plane.admin_kubeconfig())
            .env("HOME", home.path())
            .output()
            .unwrap();
        assert!(installed.status.success(), "{}", text(&installed));
        world
    }

    /// The operator, with the rights of the chart and no others, and the registry that people push to.
    async fn operate(&self, trust: Trust) -> tokio::task::JoinHandle<()> {
        let options = Arguments::parse_from([
            "test",
            "--cluster-name",
            "test",
            "--namespace",
            "bailiwick-system",
            "--leader-elect",
            "false",
            "--authors-guarded",
            "true",
        ]);
        let clock = simulated::tokio_clock(k8s_openapi::jiff::Timestamp::now());
        let images = stage::client(&[self.stage.registry.host()]);
        let parts = Parts {
            client: self.plane.client("outside", &[]).await.unwrap(),
            cloud: SimulatedCloud::new(Options::default(), 1, clock).cloud(),
            origins: Arc::new(RegistryOrigins {
                images: Arc::new(images),
                trust,
                code_hosts: Some(self.code_hosts()),
            }),
            clock: Arc::new(SystemClock),
            metrics: Metrics::default(),
            readiness: Readiness::default(),
        };
        tokio::spawn(async move {
            let _ = app::lead(&options.run, parts, &CancellationToken::new()).await;
        })
    }

    /// GitHub, as far as it is asked, by its token, for the message of one commit.
    fn code_hosts(&self) -> CodeHosts {
        let host = CodeHost {
            host: "github.com".to_owned(),
            api: format!("http://{}", self.code_host.host).parse().unwrap(),
            token: Some(Secret::new("t0ken")),
        };
        let settings = Settings {
            plain_http: [self.code_host.host.clone()].into(),
            ..Settings::default()
        };
        CodeHosts::new(vec![host], settings).unwrap()
    }

    fn person(&self, name: &str) -> PathBuf {
        self.plane.kubeconfig(name, &[]).unwrap()
    }

    async fn kubectl(&self, config: &Path, arguments: &[&str], input: &str) -> Output {
        let output = self
            .plane
            .kubectl_with_input(config, arguments, input)
            .await;
        output.unwrap()
    }

    /// Does it until it succeeds: a policy, a right or a kind takes a moment to be known.
    async fn may(&self, config: &Path, arguments: &[&str], input: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.kubectl(config, arguments, input).await;
            if output.status.success() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{arguments:?}: {}",
                text(&output)
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn object(&self, team: &str, kind: &str, name: &str) -> Value {
        let namespace = format!("team-{team}");
        let arguments = ["-n", &namespace, "get", kind, name, "-o", "json"];
        let output = self
            .kubectl(&self.plane.admin_kubeconfig(), &arguments, "")
            .await;
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// `True Ready: …`
    async fn condition(&self, team: &str, kind: &str, name: &str, type_: &str) -> String {
        let object = self.object(team, kind, name).await;
        let conditions = object["status"]["conditions"].as_array().cloned();
        let mut conditions = conditions.into_iter().flatten();
        let found = conditions
            .find(|one| one["type"] == type_)
            .unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }

    async fn until(&self, team: &str, kind: &str, name: &str, type_: &str, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.condition(team, kind, name, type_).await;
            if said.starts_with(wanted) {
                return said;
            }
            let whole = self.object(team, kind, name).await;
            assert!(
                Instant::now() < deadline,
                "{name}: {type_} is {said}, not {wanted}\n{whole:#}"
            );
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Pushes an image of which nothing is known but its content.
    fn push(&self, tag: &str, files: &[(&str, &[u8])]) -> ImageRef {
        let image = self.stage.image(&format!("acme/shop:{tag}"));
        let layer = self.stage.write(&format!("{tag}.tar"), &archive(files));
        self.stage.push(&image, &[layer]);
        image
    }

    async fn release(&self, config: &Path, version: &str, image: &ImageRef) {
        let manifest = format!(
            "{{apiVersion: bailiwick.dev/v1alpha1, kind: Release, metadata: {{name: shop-{version}, namespace: \
             team-payments}}, spec: {{application: shop, version: '{version}', image: '{image}'}}}}"
        );
        self.may(config, &CREATE, &manifest).await;
    }

    fn trace(&self, config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .arg("trace")
            .args(arguments)
            .env("KUBECONFIG", config)
            .output()
            .unwrap();
        (output.status.code(), text(&output))
    }
}

fn team(name: &str, members: &[&str]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|user| format!("{{user: {user}}}"))
        .collect();
    format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: Team, metadata: {{name: {name}}}, spec: {{members: [{}]}}}}",
        members.join(", ")
    )
}

fn application(team: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: Application, metadata: {{name: shop, namespace: team-{team}}}, spec: \
         {spec}}}"
    )
}

/// A key of cosign's, and the trust in it.
fn key(stage: &Stage, name: &str) -> (String, TrustEntry) {
    let prefix = stage.path(name).to_str().unwrap().to_owned();
    stage.cosign(&["generate-key-pair", "--output-key-prefix", &prefix]);
    let pem = std::fs::read_to_string(format!("{prefix}.pub")).unwrap();
    let entry = TrustEntry::Key {
        name: name.to_owned(),
        pem,
    };
    (format!("{prefix}.key"), entry)
}

async fn attest(stage: &Stage, image: &ImageRef, key: &str, repository: &str) {
    let predicate = json!({
        "buildDefinition": {
            "buildType": "https://example.com/build/v1",
            "externalParameters": {"source": repository},
            "resolvedDependencies": [{"uri": format!("git+{repository}"), "digest": {"gitCommit": COMMIT}}],
        },
        "runDetails": {"builder": {"id": "https://example.com/builder"}},
    });
    let predicate = stage.write("predicate.json", predicate.to_string().as_bytes());
    let at = image.name().at(stage.digest(image).await).to_string();
    stage.cosign(&[
        "attest",
        "--yes",
        "--key",
        key,
        "--type",
        "slsaprovenance1",
        "--predicate",
        &predicate,
        "--use-signing-config=false",
        "--tlog-upload=false",
        "--allow-insecure-registry",
        "--allow-http-registry",
        "--new-bundle-format=true",
        &at,
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_pushed_image_to_a_chain_that_is_whole() {
    let world = World::start().await;
    let (ours, trusted) = key(&world.stage, "ci");
    let (foreign, _) = key(&world.stage, "foreign");
    let operator = world.operate(Trust::new(&[trusted]).unwrap()).await;
    let admin = world.plane.admin_kubeconfig();
    world
        .may(&admin, &CREATE, &team("payments", &["ann", "bob", "dev"]))
        .await;
    world.may(&admin, &CREATE, &team("search", &["eve"])).await;

    let winner = two_teams_race_for_a_name(&world).await;
    if winner == "search" {
        // The rest is about payments.
        let give = [
            "-n",
            "team-search",
            "patch",
            "application",
            "shop",
            "--type=merge",
            "-p",
            r#"{"spec":{"transferTo":"payments"}}"#,
        ];
        world.may(&world.person("eve"), &give, "").await;
        world
            .until(
                "search",
                "application",
                "shop",
                "Accepted",
                "False Transferred",
            )
            .await;
    }
    world
        .until("payments", "application", "shop", "Ready", "True")
        .await;
    sources_are_found_and_judged(&world, &ours, &foreign).await;
    people_approve_and_the_chain_is_whole(&world).await;
    operator.abort();
}

/// Both ask at the same moment; one has it, the other is told whose it is.
async fn two_teams_race_for_a_name(world: &World) -> &'static str {
    let spec = format!(
        "{{repositories: ['{SHOP}'], requiredApprovals: {{types: [CodeChange], people: 2}}, ticketSystem: {{pattern: \
         'SHOP-[0-9]+', urlTemplate: 'https://tickets.example.com/{{{{ticket}}}}'}}}}"
    );
    let (of_payments, of_search) = (application("payments", &spec), application("search", &spec));
    let (dev, eve) = (world.person("dev"), world.person("eve"));
    tokio::join!(
        world.may(&dev, &CREATE, &of_payments),
        world.may(&eve, &CREATE, &of_search)
    );
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = [
            world
                .condition("payments", "application", "shop", "Accepted")
                .await,
            world
                .condition("search", "application", "shop", "Accepted")
                .await,
        ];
        match [
            said[0].split(':').next().unwrap(),
            said[1].split(':').next().unwrap(),
        ] {
            ["True Accepted", "False NameTaken"] => {
                assert!(said[1].contains("team payments's"), "{said:?}");
                return "payments";
            }
            ["False NameTaken", "True Accepted"] => {
                assert!(said[0].contains("team search's"), "{said:?}");
                return "search";
            }
            _ => assert!(Instant::now() < deadline, "undecided: {said:?}"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn sources_are_found_and_judged(world: &World, ours: &str, foreign: &str) {
    use bailiwick::registry::source::{REVISION, SOURCE};
    let (dev, stage) = (world.person("dev"), &world.stage);
    let clean = scm_source("acme/shop", "");
    let dirty = scm_source("acme/shop", " M src/main.rs");
    let annotated = world.push("annotated", &[("a", b"1")]);
    let says = [
        (SOURCE, SHOP),
        (REVISION, COMMIT),
        ("dev.bailiwick.tickets", "SHOP-7"),
    ];
    stage.annotate(&annotated, &says);
    let bare = world.push("bare", &[("a", b"2")]);
    let scm = world.push("scm", &[("scm-source.json", &clean)]);
    let modified = world.push("dirty", &[("scm-source.json", &dirty)]);
    // The base image alone has the file, and the image says that it is its base.
    let base = stage.image("acme/base:1");
    stage.push(
        &base,
        &[stage.write("base.tar", &archive(&[("scm-source.json", &clean)]))],
    );
    let inherited = stage.image("acme/shop:inherited");
    stage.append(
        &inherited,
        Some(&base),
        &[stage.write("on.tar", &archive(&[("b", b"3")]))],
    );
    // Signed by whom we trust; by somebody else; and by whom we trust about another repository.
    let signed = world.push("signed", &[("a", b"4")]);
    attest(stage, &signed, ours, SHOP).await;
    let wrongly = world.push("wrongly", &[("a", b"5")]);
    attest(stage, &wrongly, foreign, SHOP).await;
    let other = world.push("other", &[("a", b"6")]);
    attest(stage, &other, ours, "https://github.com/acme/web").await;

    for (version, image) in [
        ("annotated", &annotated),
        ("bare", &bare),
        ("scm", &scm),
        ("dirty", &modified),
        ("inherited", &inherited),
        ("signed", &signed),
        ("wrongly", &wrongly),
        ("other", &other),
    ] {
        world.release(&dev, version, image).await;
    }
    for (version, type_, wanted) in [
        ("annotated", "SourceKnown", "True SourceKnown"),
        ("annotated", "SourceMatches", "True"),
        ("annotated", "Clean", "Unknown"),
        ("bare", "Ready", "False SourceUnknown"),
        ("scm", "Clean", "True"),
        ("scm", "SourceMatches", "True"),
        ("dirty", "Ready", "False Dirty"),
        ("inherited", "Ready", "False SourceUnknown"),
        ("signed", "SourceKnown", "True SourceKnown"),
        ("wrongly", "Ready", "False SourceUnknown"),
        ("other", "Ready", "False SourceMismatch"),
    ] {
        world
            .until(
                "payments",
                "release",
                &format!("shop-{version}"),
                type_,
                wanted,
            )
            .await;
    }
    for (version, evidence) in [
        ("annotated", "Annotation"),
        ("scm", "ScmSourceFile"),
        ("signed", "Attestation"),
    ] {
        let release = world
            .object("payments", "release", &format!("shop-{version}"))
            .await;
        let source = &release["status"]["source"];
        assert_eq!(source["evidence"], evidence, "{source}");
        assert_eq!(
            (&source["repository"], &source["revision"]),
            (&json!(SHOP), &json!(COMMIT))
        );
    }
    let release = world.object("payments", "release", "shop-annotated").await;
    let url = |id: &str| json!({"id": id, "url": format!("https://tickets.example.com/{id}")});
    assert_eq!(
        release["status"]["tickets"],
        json!([url("SHOP-7"), url("SHOP-8"), url("SHOP-9")])
    );
    let signed = world.object("payments", "release", "shop-signed").await;
    assert_eq!(signed["status"]["source"]["signedBy"], "ci");
    let wrongly = world
        .condition("payments", "release", "shop-wrongly", "Ready")
        .await;
    assert!(
        wrongly.contains("none of the trusted keys signed it"),
        "{wrongly}"
    );

    // The tag moves: the release stays what it was, and says so when it is asked.
    let before = world.object("payments", "release", "shop-annotated").await;
    let moved = world.push("annotated", &[("a", b"moved")]);
    let ask = [
        "-n",
        "team-payments",
        "annotate",
        "release",
        "shop-annotated",
        "bailiwick.dev/reconcile-requested-at=now",
    ];
    world.may(&dev, &ask, "").await;
    let said = world
        .until(
            "payments",
            "release",
            "shop-annotated",
            "TagMoved",
            "True TagMoved",
        )
        .await;
    let now = stage.digest(&moved).await;
    assert!(said.contains(now.as_str()), "{said}");
    let after = world.object("payments", "release", "shop-annotated").await;
    assert_eq!(
        after["status"]["image"]["digest"],
        before["status"]["image"]["digest"]
    );
    assert_ne!(after["status"]["image"]["digest"], now.as_str());
}

async fn people_approve_and_the_chain_is_whole(world: &World) {
    let (dev, ann, bob) = (
        world.person("dev"),
        world.person("ann"),
        world.person("bob"),
    );
    let release = world.object("payments", "release", "shop-annotated").await;
    let digest = release["status"]["image"]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let approval = |who: &str| {
        format!(
            "{{apiVersion: bailiwick.dev/v1alpha1, kind: Approval, metadata: {{name: {who}, namespace: team-payments}}, \
             spec: {{release: shop-annotated, digest: '{digest}', type: CodeChange, approver: {who}}}}}"
        )
    };
    let subject = ["release/shop-annotated", "-n", "team-payments"];
    let (code, said) = world.trace(&dev, &subject);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("✗ approvals") && said.contains("other than dev"),
        "{said}"
    );

    let own = world.kubectl(&dev, &CREATE, &approval("dev")).await;
    assert!(
        text(&own).contains("you, dev, requested Release shop-annotated yourself"),
        "{}",
        text(&own)
    );
    world.may(&ann, &CREATE, &approval("ann")).await;
    let said = world
        .until("payments", "approval", "ann", "Ready", "True")
        .await;
    assert!(said.starts_with("True"), "{said}");
    world
        .until(
            "payments",
            "release",
            "shop-annotated",
            "Approved",
            "False AwaitingApproval",
        )
        .await;
    world.may(&bob, &CREATE, &approval("bob")).await;
    world
        .until("payments", "release", "shop-annotated", "Ready", "True")
        .await;

    // A member sees the whole chain, an administrator also whose name it is, a stranger nothing.
    let (code, said) = world.trace(&dev, &subject);
    assert_eq!(code, Some(0), "{said}");
    let tickets = "SHOP-7 (https://tickets.example.com/SHOP-7)";
    assert!(
        said.contains("The chain is whole.") && said.contains(tickets),
        "{said}"
    );
    let admin = world.plane.admin_kubeconfig();
    let by_digest = format!("{}/acme/shop@{digest}", world.stage.registry.host());
    let (code, said) = world.trace(&admin, &[&by_digest, "-o", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let chain: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(chain["whole"], true);
    assert!(
        chain["hops"][7]["evidence"]
            .as_str()
            .unwrap()
            .contains("ApplicationName"),
        "{said}"
    );
    for (subject, wanted) in [
        ("shop-dirty", Some(1)),
        ("nothing", Some(2)),
        ("Not a name", Some(2)),
    ] {
        let (code, said) = world.trace(&admin, &[subject]);
        assert_eq!(code, wanted, "{subject}: {said}");
    }
    let (code, said) = world.trace(&world.person("stranger"), &subject);
    assert_eq!(code, Some(2), "{said}");
    let application = world.object("payments", "application", "shop").await;
    assert_eq!(application["status"]["latestReadyVersion"], "annotated");
}
