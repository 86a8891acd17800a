//! Registries, tools, and images to push.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick::dev::registries::{ImageTools, Kind, Registry, Tokens};
use bailiwick::model::ImageRef;
use bailiwick::registry::oci::{Limits, Login, Registries, Settings};
use bailiwick::registry::{Images, sha256};
use serde_json::json;
use tempfile::TempDir;

/// A client for these registries, by plain HTTP and with these logins.
pub fn client_with(hosts: &[&str], limits: Limits, logins: &[(&str, Login)]) -> Registries {
    let settings = Settings {
        plain_http: hosts.iter().map(|host| (*host).to_owned()).collect(),
        limits,
        ..Settings::default()
    };
    let logins: BTreeMap<String, Login> = logins
        .iter()
        .map(|(host, login)| ((*host).to_owned(), login.clone()))
        .collect();
    Registries::new(settings, Arc::new(logins)).unwrap()
}

/// A client for these registries, by plain HTTP.
pub fn client(hosts: &[&str]) -> Registries {
    client_with(hosts, Limits::default(), &[])
}

/// A registry, the tools to fill it, and a folder for what they need.
pub struct Stage {
    pub tools: ImageTools,
    pub registry: Registry,
    pub folder: TempDir,
    pub images: Registries,
}

impl Stage {
    pub async fn new(kind: Kind) -> Self {
        let tools = ImageTools::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let registry = Registry::start(&tools, kind).await.unwrap();
        Self::with(tools, registry)
    }

    pub async fn with_tokens(service: &Tokens) -> Self {
        let tools = ImageTools::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let registry = Registry::start_with_tokens(&tools, service).await.unwrap();
        Self::with(tools, registry)
    }

    fn with(tools: ImageTools, registry: Registry) -> Self {
        let images = client(&[registry.host()]);
        Self {
            tools,
            registry,
            folder: TempDir::new().unwrap(),
            images,
        }
    }

    pub fn image(&self, path_and_tag: &str) -> ImageRef {
        format!("{}/{path_and_tag}", self.registry.host())
            .parse()
            .unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn crane(&self, arguments: &[&str]) -> String {
        self.tools.crane(self.folder.path(), arguments).unwrap()
    }

    pub fn oras(&self, arguments: &[&str]) -> String {
        self.tools.oras(self.folder.path(), arguments).unwrap()
    }

    pub fn cosign(&self, arguments: &[&str]) -> String {
        self.tools.cosign(self.folder.path(), arguments).unwrap()
    }

    /// Writes a file into the folder and gives back its path.
    pub fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Pushes an image whose layers are these files, the lowest first, on an empty base.
    pub fn push(&self, image: &ImageRef, layers: &[String]) {
        self.append(image, None, layers);
    }

    /// Pushes an image that is `base` with these layers on it.
    pub fn append(&self, image: &ImageRef, base: Option<&ImageRef>, layers: &[String]) {
        let (image, base) = (image.to_string(), base.map(ToString::to_string));
        let mut arguments = vec!["append", "--insecure", "--new_tag", &image];
        match &base {
            Some(base) => arguments.extend(["--base", base, "--set-base-image-annotations"]),
            None => arguments.push("--oci-empty-base"),
        }
        for layer in layers {
            arguments.extend(["--new_layer", layer]);
        }
        self.crane(&arguments);
    }

    /// Pushes a manifest with one layer of this media type, attached to `subject` if there is one. `crane push` takes an
    /// OCI layout, and packs nothing.
    pub fn push_as_it_is(
        &self,
        image: &ImageRef,
        media_type: &str,
        layer: &[u8],
        subject: Option<&ImageRef>,
    ) {
        let layout = self.path("layout");
        let blobs = layout.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        let keep = |bytes: &[u8], media_type: &str| {
            let digest = sha256(bytes).unwrap();
            std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
            json!({"mediaType": media_type, "digest": digest.as_str(), "size": bytes.len()})
        };
        let config =
            br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": kind,
            "config": keep(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [keep(layer, media_type)],
        });
        if let Some(subject) = subject {
            let text = self.crane(&["manifest", "--insecure", &subject.to_string()]);
            manifest["artifactType"] = json!(media_type);
            manifest["subject"] = json!({
                "mediaType": kind, "digest": subject.digest().unwrap().as_str(), "size": text.len(),
            });
        }
        let manifest = keep(manifest.to_string().as_bytes(), kind);
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
        std::fs::write(
            layout.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        self.crane(&[
            "push",
            "--insecure",
            layout.to_str().unwrap(),
            &image.to_string(),
        ]);
    }

    /// Pushes the same image again with these annotations.
    pub fn annotate(&self, image: &ImageRef, annotations: &[(&str, &str)]) {
        let (image, mut arguments) = (
            image.to_string(),
            vec!["mutate".to_owned(), "--insecure".to_owned()],
        );
        for (key, value) in annotations {
            arguments.push("--annotation".to_owned());
            arguments.push(format!("{key}={value}"));
        }
        arguments.extend(["--tag".to_owned(), image.clone(), image]);
        self.tools.crane(self.folder.path(), arguments).unwrap();
    }

    pub async fn digest(&self, image: &ImageRef) -> bailiwick::model::Digest {
        self.images.resolve(image).await.unwrap().digest
    }
}

/// A tar archive with these files.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

pub const SHOP: &str = "https://github.com/acme/shop";
pub const COMMIT: &str = "5c1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b";

/// A `scm-source.json`.
pub fn scm_source(repository: &str, status: &str) -> Vec<u8> {
    let url = format!("git:git@github.com:{repository}.git");
    json!({"url": url, "revision": COMMIT, "author": "jane", "status": status})
        .to_string()
        .into_bytes()
}
