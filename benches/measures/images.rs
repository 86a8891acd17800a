//! A registry on this machine, with images to be resolved.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use bailiwick::dev::registries::{ImageTools, Kind, Registry};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Problem;

/// What all images are built from.
pub const SOURCE: &str = "https://git.example.com/a/shop";
/// The commit of it.
const COMMIT: &str = "5c1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b";

/// How many manifests are pushed at once.
const AT_ONCE: usize = 8;

/// How the source of an image is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// By annotations of its manifest.
    Annotated,
    /// By a file in its layer alone.
    InTheLayer,
}

/// The distribution project's registry; it ends with this value.
pub struct Shelf {
    tools: ImageTools,
    registry: Registry,
    folder: TempDir,
}

impl Shelf {
    /// Starts an empty one.
    pub async fn start() -> Result<Self, Problem> {
        let tools = ImageTools::find(Path::new(env!("CARGO_MANIFEST_DIR")))?;
        Ok(Self {
            registry: Registry::start(&tools, Kind::Distribution).await?,
            folder: TempDir::new()?,
            tools,
        })
    }

    /// `127.0.0.1:<port>`, as it stands in references.
    pub fn host(&self) -> &str {
        self.registry.host()
    }

    /// Pushes images under the tags `0`, `1` and so on, each with a digest of its own, and gives back their name.
    pub fn push(&self, path: &str, evidence: Evidence, count: usize) -> Result<String, Problem> {
        let name = format!("{}/{path}", self.host());
        let (first, home) = (format!("{name}:first"), self.folder.path());
        match evidence {
            Evidence::Annotated => {
                let said = [
                    ("org.opencontainers.image.source", SOURCE),
                    ("org.opencontainers.image.revision", COMMIT),
                ];
                self.tools.push(home, &first, ("app", "code"), &said)?;
            }
            Evidence::InTheLayer => {
                let said =
                    json!({"url": SOURCE, "revision": COMMIT, "author": "dev", "status": ""});
                let file = ("scm-source.json", &*said.to_string());
                self.tools.push(home, &first, file, &[])?;
            }
        }
        let manifest = self.tools.crane(home, ["manifest", "--insecure", &first])?;
        let manifest: Value = serde_json::from_str(&manifest)?;
        // The registry waits for its disk at each of them.
        std::thread::scope(|scope| {
            let tagging = |from: usize| {
                let mut manifest = manifest.clone();
                move || {
                    for number in (from..count).step_by(AT_ONCE) {
                        manifest["annotations"]["dev.bailiwick.number"] = number.to_string().into();
                        self.put(&format!("/v2/{path}/manifests/{number}"), &manifest)?;
                    }
                    Ok::<_, Problem>(())
                }
            };
            let threads: Vec<_> = (0..AT_ONCE)
                .map(|from| scope.spawn(tagging(from)))
                .collect();
            for thread in threads {
                thread
                    .join()
                    .map_err(|_| "a thread that pushed has panicked")??;
            }
            Ok::<_, Problem>(())
        })?;
        Ok(name)
    }

    /// A tool would be a process for each tag.
    fn put(&self, path: &str, manifest: &Value) -> Result<(), Problem> {
        let kind = manifest["mediaType"]
            .as_str()
            .ok_or("a manifest without a type")?;
        let (host, body) = (self.host(), manifest.to_string());
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split(' ').nth(1) {
            Some("201") => Ok(()),
            _ => Err(format!("the registry does not take a manifest: {answer:.200}").into()),
        }
    }
}
