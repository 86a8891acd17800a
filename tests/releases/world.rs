//! A real API server with the chart on it, a real registry, a code host that knows one commit, and the operator between.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick::app::{self, Parts};
use bailiwick::cloud::simulated::{self, Options, SimulatedCloud};
use bailiwick::config::RunOptions;
use bailiwick::controllers::oauth_client::outside::Outside;
use bailiwick::controllers::release::gather::RegistryOrigins;
use bailiwick::dev::Assets;
use bailiwick::dev::plane::ControlPlane;
use bailiwick::dev::registries::Kind;
use bailiwick::engine::clock::SystemClock;
use bailiwick::engine::metrics::Metrics;
use bailiwick::model::ImageRef;
use bailiwick::model::Secret;
use bailiwick::registry::attestation::{Trust, TrustEntry};
use bailiwick::registry::code_hosts::{CodeHost, CodeHosts};
use bailiwick::registry::oci::Settings;
use bailiwick::server::Readiness;
use clap::Parser;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::server::{self, Reply, Server};
use super::stage::{self, COMMIT, Stage, archive};

pub const PATIENCE: Duration = Duration::from_secs(90);
pub const CREATE: [&str; 3] = ["create", "-f", "-"];

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    run: RunOptions,
}

pub struct World {
    pub plane: ControlPlane,
    /// A registry that lists what is attached to an image, and one that does not.
    pub stage: Stage,
    pub plain: Stage,
    code_host: Server,
}

/// The message of the commit that all images are built from.
pub fn github(request: &server::Request) -> Reply {
    let known = request.header("authorization") == Some("Bearer t0ken");
    let commit = format!("/repos/acme/shop/commits/{COMMIT}");
    if !known || request.path() != commit {
        return Reply::new("404 Not Found", "", "{}");
    }
    let message = "Sell shoes\n\nSHOP-8, and SHOP-9 by the way; shop-1 and SHOP- are none";
    let body = json!({"sha": COMMIT, "commit": {"message": message}}).to_string();
    Reply::ok("application/json", body)
}

pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

impl World {
    pub async fn start() -> Self {
        let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let world = Self {
            plane: ControlPlane::start(&assets, None).await.unwrap(),
            stage: Stage::new(Kind::Referrers).await,
            plain: Stage::new(Kind::Distribution).await,
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
    pub async fn operate(&self, trust: Trust) -> tokio::task::JoinHandle<()> {
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
        let hosts = [&self.stage, &self.plain].map(|stage| stage.registry.host());
        let images = stage::client(&hosts);
        let parts = Parts {
            client: self.plane.client("outside", &[]).await.unwrap(),
            cloud: SimulatedCloud::new(Options::default(), 1, clock).cloud(),
            origins: Arc::new(RegistryOrigins {
                images: Arc::new(images),
                trust,
                code_hosts: Some(self.code_hosts()),
                own: None,
            }),
            outside: Outside::default(),
            journal: None,
            clock: Arc::new(SystemClock),
            metrics: Metrics::default(),
            readiness: Readiness::default(),
        };
        tokio::spawn(async move {
            let _ = app::lead(&options.run, parts, &CancellationToken::new()).await;
        })
    }

    /// GitHub, as far as it is asked, by its token, for the message of one commit.
    pub fn code_hosts(&self) -> CodeHosts {
        let host = CodeHost {
            host: "github.com".to_owned(),
            api: format!("http://{}", self.code_host.host).parse().unwrap(),
            token: Some(Secret::new("t0ken")),
            reviews: None,
        };
        let settings = Settings {
            plain_http: [self.code_host.host.clone()].into(),
            ..Settings::default()
        };
        CodeHosts::new(vec![host], settings).unwrap()
    }

    pub fn person(&self, name: &str) -> PathBuf {
        self.plane.kubeconfig(name, &[]).unwrap()
    }

    pub async fn kubectl(&self, config: &Path, arguments: &[&str], input: &str) -> Output {
        let output = self
            .plane
            .kubectl_with_input(config, arguments, input)
            .await;
        output.unwrap()
    }

    /// Does it until it succeeds: a policy, a right or a kind takes a moment to be known.
    pub async fn may(&self, config: &Path, arguments: &[&str], input: &str) {
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

    pub async fn object(&self, team: &str, kind: &str, name: &str) -> Value {
        let namespace = format!("team-{team}");
        let arguments = ["-n", &namespace, "get", kind, name, "-o", "json"];
        let output = self
            .kubectl(&self.plane.admin_kubeconfig(), &arguments, "")
            .await;
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// `True Ready: …`
    pub async fn condition(&self, team: &str, kind: &str, name: &str, type_: &str) -> String {
        let object = self.object(team, kind, name).await;
        let conditions = object["status"]["conditions"].as_array().cloned();
        let mut conditions = conditions.into_iter().flatten();
        let found = conditions
            .find(|one| one["type"] == type_)
            .unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }

    pub async fn until(
        &self,
        team: &str,
        kind: &str,
        name: &str,
        type_: &str,
        wanted: &str,
    ) -> String {
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
    pub fn push(&self, tag: &str, files: &[(&str, &[u8])]) -> ImageRef {
        push(&self.stage, tag, files)
    }

    pub async fn release(&self, config: &Path, version: &str, image: &ImageRef) {
        let manifest = format!(
            "{{apiVersion: bailiwick.dev/v1alpha1, kind: Release, metadata: {{name: shop-{version}, namespace: \
             team-payments}}, spec: {{application: shop, version: '{version}', image: '{image}'}}}}"
        );
        self.may(config, &CREATE, &manifest).await;
    }

    pub fn trace(&self, config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .arg("trace")
            .args(arguments)
            .env("KUBECONFIG", config)
            .output()
            .unwrap();
        (output.status.code(), text(&output))
    }
}

/// Pushes an image of which nothing is known but its content.
pub fn push(stage: &Stage, tag: &str, files: &[(&str, &[u8])]) -> ImageRef {
    let image = stage.image(&format!("acme/shop:{tag}"));
    let layer = stage.write(&format!("{tag}.tar"), &archive(files));
    stage.push(&image, &[layer]);
    image
}

pub fn team(name: &str, members: &[&str]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|user| format!("{{user: {user}}}"))
        .collect();
    format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: Team, metadata: {{name: {name}}}, spec: {{members: [{}]}}}}",
        members.join(", ")
    )
}

pub fn application(team: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: Application, metadata: {{name: shop, namespace: team-{team}}}, spec: \
         {spec}}}"
    )
}

/// A key of cosign's, and the trust in it.
pub fn key(stage: &Stage, name: &str) -> (String, TrustEntry) {
    let prefix = stage.path(name).to_str().unwrap().to_owned();
    stage.cosign(&["generate-key-pair", "--output-key-prefix", &prefix]);
    let pem = std::fs::read_to_string(format!("{prefix}.pub")).unwrap();
    let entry = TrustEntry::Key {
        name: name.to_owned(),
        pem,
    };
    (format!("{prefix}.key"), entry)
}

/// Attests from where the image is, as a bundle of Sigstore's or in the older format.
pub async fn attest(stage: &Stage, image: &ImageRef, key: &str, repository: &str, bundle: bool) {
    let format = format!("--new-bundle-format={bundle}");
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
        &format,
        &at,
    ]);
}
