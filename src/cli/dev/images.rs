//! The steps of `bailiwick dev up` that are about images: they are pushed to the registry on this machine, released by the
//! examples, approved by a person, and traced.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::print;
use super::Failure;
use super::oauth::EXAMPLE_ISSUER;
use super::steps::Whole;
use crate::dev;

/// The registry that the examples name. On this machine another one answers for it.
const EXAMPLE_REGISTRY: &str = "registry.example.com";
/// The annotation of an example that shows how a refusal looks: done when it is refused.
pub(super) const SHOWS_A_REFUSAL: &str = "example.bailiwick.dev/shows-a-refusal";
/// Who approves, and what.
const APPROVER: &str = "dev1@example.com";
const NAMESPACE: &str = "team-payments";
const RELEASE: &str = "api-1.0.0";
/// What a release may take to be resolved.
const DEADLINE: Duration = Duration::from_secs(60);

/// An image of the examples: its reference without the registry, the file in it, and its annotations.
struct Example {
    reference: &'static str,
    file: (&'static str, &'static str),
    annotations: &'static [(&'static str, &'static str)],
}

/// Two that say by annotations where they come from, and two that say it in a file, the first of a modified tree.
const IMAGES: [Example; 4] = [
    Example {
        reference: "payments/api:1.0.0",
        file: ("hello.txt", "hello"),
        annotations: &[
            (
                "org.opencontainers.image.source",
                "https://git.example.com/payments/api",
            ),
            (
                "org.opencontainers.image.revision",
                "8d3f1c0a9b7e6d5c4b3a29180716253443526170",
            ),
            ("dev.bailiwick.tickets", "PAY-42"),
        ],
    },
    Example {
        reference: "payments/api:1.1.0",
        file: ("hello.txt", "hello again"),
        annotations: &[
            (
                "org.opencontainers.image.source",
                "https://git.example.com/payments/api",
            ),
            (
                "org.opencontainers.image.revision",
                "2c9e1d0b7a6f5e4d3c2b1a09f8e7d6c5b4a39281",
            ),
            ("dev.bailiwick.tickets", "PAY-57"),
        ],
    },
    Example {
        reference: "search/index:0.9.0",
        file: (
            "scm-source.json",
            r#"{"url": "git:git@git.example.com:search/index.git", "revision": "5c1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b (locally modified)", "author": "dev2", "status": " M src/main.rs"}"#,
        ),
        annotations: &[],
    },
    Example {
        reference: "search/index:1.0.0",
        file: (
            "scm-source.json",
            r#"{"url": "git:git@git.example.com:search/index.git", "revision": "7b2e4f6a8c0d1e3f5a7b9c1d3e5f708192a3b4c5", "author": "dev2", "status": ""}"#,
        ),
        annotations: &[],
    },
];

impl Whole {
    /// Pushes what the examples release.
    pub(super) async fn push_images(&self) -> Result<(), Failure> {
        let folder = self.folder.join("examples");
        fs::create_dir_all(&folder).map_err(|source| dev::Error::io("create", &folder, source))?;
        for example in &IMAGES {
            let reference = format!("{}/{}", self.trial.registry(), example.reference);
            self.tools
                .push(&folder, &reference, example.file, example.annotations)?;
            print::line(format_args!("    {reference}"))?;
        }
        Ok(())
    }

    /// The examples, with the servers on this machine in place of those that they name.
    pub(super) fn examples_here(&self) -> Result<PathBuf, Failure> {
        let (from, to) = (
            self.repository.join("examples"),
            self.folder.join("examples/manifests"),
        );
        fs::create_dir_all(&to).map_err(|source| dev::Error::io("create", &to, source))?;
        let files = fs::read_dir(&from).map_err(|source| dev::Error::io("read", &from, source))?;
        for file in files
            .flatten()
            .filter(|file| file.path().extension().is_some_and(|end| end == "yaml"))
        {
            let (path, copy) = (file.path(), to.join(file.file_name()));
            let text = fs::read_to_string(&path)
                .map_err(|source| dev::Error::io("read", &path, source))?;
            let mut text = text.replace(EXAMPLE_REGISTRY, self.trial.registry());
            if text.contains(EXAMPLE_ISSUER) {
                let Some(issuer) = self.trial.issuer() else {
                    continue;
                };
                text = text.replace(EXAMPLE_ISSUER, issuer);
            }
            fs::write(&copy, text).map_err(|source| dev::Error::io("write", &copy, source))?;
        }
        Ok(to)
    }

    /// Approves a release as a member of the team would, who is not the one who requested it.
    pub(super) async fn approve(&self) -> Result<(), Failure> {
        let digest = self.digest_of_the_release().await?;
        let approval = json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Approval",
            "metadata": { "name": "api-1.0.0-dev1", "namespace": NAMESPACE },
            "spec": {
                "release": RELEASE, "digest": digest, "type": "CodeChange", "approver": APPROVER,
                "comment": "looked at and tried out",
            },
        });
        let file = self.folder.join("examples/approval.json");
        fs::write(&file, approval.to_string())
            .map_err(|source| dev::Error::io("write", &file, source))?;
        let (who, file) = (format!("--as={APPROVER}"), file.display().to_string());
        let apply = ["apply", "--server-side", "--filename", &file, &who];
        // A right that was given a moment ago, and what a policy reads, may not be known everywhere yet.
        self.until_admitted(&apply).await?;
        print::line(format_args!("    {APPROVER} approves {digest}"))?;
        Ok(())
    }

    async fn digest_of_the_release(&self) -> Result<String, Failure> {
        let start = Instant::now();
        loop {
            let get = [
                "get",
                "release",
                RELEASE,
                "--namespace",
                NAMESPACE,
                "--output=json",
            ];
            let release: Value =
                serde_json::from_str(&self.kubectl(&get).await?).unwrap_or_default();
            if let Some(digest) = release["status"]["image"]["digest"].as_str() {
                return Ok(digest.to_owned());
            }
            if start.elapsed() > DEADLINE {
                return Err(Failure::NotReady {
                    seconds: DEADLINE.as_secs(),
                    objects: format!("  Release {NAMESPACE}/{RELEASE}: {:#}", release["status"]),
                    log: self.folder.join("operator.log"),
                });
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Shows two chains: one is whole, and one is broken where it should be.
    pub(super) async fn trace(&self) -> Result<(), Failure> {
        let this = Path::new("/proc/self/exe");
        let this = fs::read_link(this).map_err(|source| dev::Error::io("find", this, source))?;
        for subject in ["application/api", "release/index-0.9.0"] {
            let output = tokio::process::Command::new(&this)
                .args(["trace", subject])
                .env("KUBECONFIG", self.trial.kubeconfig())
                .output()
                .await
                .map_err(|source| dev::Error::io("run", &this, source))?;
            print::text(format_args!(
                "\n$ bailiwick trace {subject}\n{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ))?;
        }
        Ok(())
    }
}
