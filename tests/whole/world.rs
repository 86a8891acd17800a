//! A cluster, an AWS and the operator between them, all of them real processes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bailiwick::dev::Assets;
use bailiwick::dev::loopback::Loopback;
use bailiwick::dev::moto::Moto;
use bailiwick::dev::plane::ControlPlane;

/// The operator's process.
pub struct Operator(pub Child);

impl Operator {
    /// The binary and what every operator here is told, but for who it is to the API server and to AWS.
    pub fn command(world: &World) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        command
            .args(["run", "--cluster-name=test", "--namespace=default"])
            .arg("--sweep-interval=2s")
            .env("AWS_ENDPOINT_URL", world.moto.endpoint())
            .env("AWS_REGION", "eu-central-1");
        if let Some(ecr) = &world.ecr {
            command
                .arg(format!("--registry-plain-http={}", ecr.host()))
                .env("AWS_ENDPOINT_URL_ECR", format!("http://{}", ecr.host()));
        }
        command
    }

    /// Starts it; all that it says goes into this file.
    pub fn spawn(mut command: Command, log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
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

pub struct World {
    pub plane: ControlPlane,
    pub moto: Moto,
    /// Where ECR is, if not in moto, which has no registry that takes pushes.
    pub ecr: Option<Loopback>,
    pub operator: Option<Operator>,
}

impl World {
    pub async fn start() -> Self {
        let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let plane = ControlPlane::start(&assets, None).await.unwrap();
        let moto = Moto::start(&assets).await.unwrap();
        moto.create_organization().unwrap();
        let world = Self {
            plane,
            moto,
            ecr: None,
            operator: None,
        };
        for definition in bailiwick::api::definitions().unwrap() {
            world
                .apply(&serde_json::to_string(&definition).unwrap())
                .await;
        }
        // The role that the chart would bring.
        world
            .apply(
                "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: bailiwick-team-member}, \
                 rules: [{apiGroups: [bailiwick.dev], resources: [teamaccounts], verbs: [get]}]}",
            )
            .await;
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

    /// What the operator says.
    pub fn log(&self) -> PathBuf {
        self.plane.folder().join("operator.log")
    }

    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
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

    pub async fn try_apply(&self, manifest: &str) -> Result<String, String> {
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

    pub async fn apply(&self, manifest: &str) {
        self.try_apply(manifest).await.unwrap();
    }

    pub async fn field(&self, kind: &str, name: &str, path: &str) -> String {
        let output = format!("-o=jsonpath={{{path}}}");
        self.kubectl(&["get", kind, "-n", "team-payments", name, &output])
            .await
            .unwrap_or_default()
    }

    /// Waits until a field has the value, for 60 s.
    pub async fn until(&self, kind: &str, name: &str, path: &str, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let value = self.field(kind, name, path).await;
            if value == wanted {
                return;
            }
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(self.log()).unwrap();
                let object = self
                    .kubectl(&["get", kind, "-n", "team-payments", name, "-o", "yaml"])
                    .await;
                panic!("{kind}/{name} {path} is {value:?}, not {wanted:?}\n{object:?}\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}
