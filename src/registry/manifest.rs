//! Manifests and indexes, as OCI and Docker (version 2, schema 2) write them. Pure: bytes in, values out.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::attestation::BUNDLE_CONTENT;
use super::base::{BASE_DIGEST, BASE_NAME};
use super::error::{ErrorKind, RegistryError};
use super::source::{REVISION, SOURCE, TICKETS};
use crate::model::Digest;

/// The media types that we ask for and understand.
pub const MANIFEST_TYPES: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The annotations that are looked at somewhere.
const KNOWN: [&str; 8] = [
    SOURCE,
    REVISION,
    TICKETS,
    BASE_DIGEST,
    BASE_NAME,
    BUNDLE_CONTENT,
    REFERENCE_TYPE,
    REFERENCE_DIGEST,
];

/// How many parts of a manifest are kept at most; that there are more is seen by one more. No image that runs has more
/// layers than a few hundred, and no index more children than that.
pub(super) const MOST_PARTS: usize = 2_000;

/// Annotations, by key: those that are looked at. Of others a document may have hundreds of thousands.
pub type Annotations = BTreeMap<String, String>;

/// What the registry keeps under one digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of its bytes, checked.
    pub digest: Digest,
    /// How many bytes those are.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
    /// What kind of artifact it is, where it is not an image.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: Annotations,
    /// What it is attached to.
    pub subject: Option<Descriptor>,
    /// What it consists of.
    pub content: Content,
}

/// What a manifest consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One image, or an artifact that is stored like one.
    Image {
        /// Its configuration.
        config: Descriptor,
        /// Its layers, the lowest first.
        layers: Vec<Descriptor>,
    },
    /// Several manifests under one name, most often one per platform.
    Index(Vec<Descriptor>),
}

/// A reference from one document to another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of what is referred to.
    pub media_type: String,
    /// Its digest.
    #[serde(deserialize_with = "digest")]
    pub digest: Digest,
    /// Its size in bytes, as whoever wrote the reference says.
    pub size: u64,
    /// Annotations of the reference.
    #[serde(default, deserialize_with = "known")]
    pub annotations: Annotations,
    /// What kind of artifact it is. Registries fill it in differently: only a hint.
    pub artifact_type: Option<String>,
    /// Which machines it runs on, in an index.
    pub platform: Option<Platform>,
}

/// Which machines an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Platform {
    /// `linux`, …
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, …
    pub variant: Option<String>,
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// What BuildKit calls a manifest in an index that holds statements about another one beside it.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

impl Descriptor {
    /// Whether it is a BuildKit attestation manifest: it runs nowhere, and is about [`Self::attests`].
    pub fn is_attestation(&self) -> bool {
        self.annotations.get(REFERENCE_TYPE).map(String::as_str) == Some("attestation-manifest")
    }

    /// The image that an attestation manifest is about.
    pub fn attests(&self) -> Option<Digest> {
        let about = self.annotations.get(REFERENCE_DIGEST)?;
        self.is_attestation().then(|| about.parse().ok())?
    }
}

impl Manifest {
    /// The images in an index that run somewhere: without attestations and other artifacts. Empty for a single image.
    pub fn images(&self) -> impl Iterator<Item = &Descriptor> {
        self.children().iter().filter(|child| {
            // By nothing else: whoever runs an image goes by the platform alone, whatever annotations say beside it.
            let nowhere = |platform: &Platform| platform.os == "unknown";
            MANIFEST_TYPES.contains(&child.media_type.as_str())
                && !child.platform.as_ref().is_some_and(nowhere)
        })
    }

    /// Everything an index refers to; empty for a single image.
    pub fn children(&self) -> &[Descriptor] {
        match &self.content {
            Content::Index(children) => children,
            Content::Image { .. } => &[],
        }
    }

    /// The layers of a single image, the lowest first; none for an index.
    pub fn layers(&self) -> &[Descriptor] {
        match &self.content {
            Content::Image { layers, .. } => layers,
            Content::Index(_) => &[],
        }
    }

    /// Reads the bytes that were served as `media_type` and have this digest. `subject` names the image in errors.
    pub fn read(
        subject: &str,
        digest: Digest,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Self, RegistryError> {
        let invalid = |message: String| RegistryError::new(ErrorKind::Invalid, subject, message);
        let written: Written = serde_json::from_slice(bytes)
            .map_err(|error| invalid(format!("its manifest cannot be read: {error}")))?;
        if written.schema_version == 1 {
            return Err(invalid(
                "its manifest is of Docker's schema 1, which has no digest that stays; push the image again with a \
                 current tool"
                    .to_owned(),
            ));
        }
        if written.schema_version != 2 {
            return Err(invalid(format!(
                "its manifest has schemaVersion {}; only 2 is known",
                written.schema_version
            )));
        }
        // What the document says of itself is under its digest; what the registry says is not.
        let media_type = written.media_type.as_deref().unwrap_or(media_type);
        let content = match (
            media_type,
            written.config,
            written.layers,
            written.manifests,
        ) {
            (OCI_MANIFEST | DOCKER_MANIFEST, Some(config), Some(layers), None) => {
                Content::Image { config, layers }
            }
            (OCI_INDEX | DOCKER_LIST, None, None, Some(manifests)) => Content::Index(manifests),
            (OCI_MANIFEST | DOCKER_MANIFEST | OCI_INDEX | DOCKER_LIST, ..) => {
                return Err(invalid(format!(
                    "its manifest is said to be {media_type} and does not have the fields of one"
                )));
            }
            _ => {
                return Err(invalid(format!(
                    "{media_type:.80} is no manifest of an image"
                )));
            }
        };
        Ok(Self {
            digest,
            size: bytes.len() as u64,
            media_type: media_type.to_owned(),
            artifact_type: written.artifact_type,
            annotations: written.annotations,
            subject: written.subject,
            content,
        })
    }
}

/// A manifest or an index as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    schema_version: u64,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "parts")]
    layers: Option<Vec<Descriptor>>,
    #[serde(default, deserialize_with = "parts")]
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "known")]
    annotations: Annotations,
}

/// The configuration of an image, as far as it says where the image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageConfig {
    /// Its labels. Builders copy those of the base image, so what they say of a source may be said of that one.
    pub labels: Annotations,
    /// Who is said to have made it.
    pub author: Option<String>,
}

impl ImageConfig {
    /// Reads a configuration. `subject` names the image in errors.
    pub fn read(subject: &str, bytes: &[u8]) -> Result<Self, RegistryError> {
        #[derive(Deserialize)]
        struct Outer {
            author: Option<String>,
            config: Option<Inner>,
        }
        #[derive(Deserialize)]
        struct Inner {
            #[serde(rename = "Labels")]
            labels: Option<Annotations>,
        }
        let outer: Outer = serde_json::from_slice(bytes).map_err(|error| {
            let message = format!("its configuration cannot be read: {error}");
            RegistryError::new(ErrorKind::Invalid, subject, message)
        })?;
        Ok(Self {
            labels: outer
                .config
                .and_then(|config| config.labels)
                .unwrap_or_default(),
            author: outer.author.filter(|author| !author.is_empty()),
        })
    }
}

fn digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Keeps the first parts, and one more than there may be; `null` is none.
fn parts<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Descriptor>>, D::Error> {
    struct Keep;
    impl<'de> serde::de::Visitor<'de> for Keep {
        type Value = Option<Vec<Descriptor>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of descriptors")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(
            self,
            mut list: A,
        ) -> Result<Self::Value, A::Error> {
            let mut kept = Vec::new();
            while kept.len() <= MOST_PARTS {
                match list.next_element()? {
                    Some(part) => kept.push(part),
                    None => return Ok(Some(kept)),
                }
            }
            while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
            Ok(Some(kept))
        }
    }
    deserializer.deserialize_any(Keep)
}

/// Keeps the annotations that are known; `null` is none, as Go writes an empty map.
fn known<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Annotations, D::Error> {
    struct Keep;
    impl<'de> serde::de::Visitor<'de> for Keep {
        type Value = Annotations;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("annotations")
        }

        fn visit_unit<E>(self) -> Result<Annotations, E> {
            Ok(Annotations::new())
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Annotations, A::Error> {
            let mut kept = Annotations::new();
            while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                match KNOWN.contains(&key.as_ref()) {
                    true => drop(kept.insert(key.into_owned(), map.next_value()?)),
                    false => drop(map.next_value::<serde::de::IgnoredAny>()?),
                }
            }
            Ok(kept)
        }
    }
    deserializer.deserialize_any(Keep)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn digest_of(letter: &str) -> String {
        format!("sha256:{}", letter.repeat(64))
    }

    fn read(media_type: &str, document: &Value) -> Result<Manifest, RegistryError> {
        let digest = digest_of("a").parse().unwrap();
        Manifest::read(
            "r.example/a:1",
            digest,
            media_type,
            document.to_string().as_bytes(),
        )
    }

    fn descriptor(media_type: &str, letter: &str) -> Value {
        json!({"mediaType": media_type, "digest": digest_of(letter), "size": 7})
    }

    #[test]
    fn images_of_both_kinds_are_read() {
        for media_type in [OCI_MANIFEST, DOCKER_MANIFEST] {
            let document = json!({
                "schemaVersion": 2, "config": descriptor("application/x", "b"),
                "layers": [descriptor("application/y", "c")], "annotations": null,
            });
            let manifest = read(media_type, &document).unwrap();
            assert_eq!(manifest.layers().len(), 1);
            assert_eq!(manifest.media_type, media_type);
            assert_eq!(manifest.images().count(), 0);
        }
    }

    #[test]
    fn of_annotations_those_are_kept_that_are_looked_at() {
        let mut document = json!({
            "schemaVersion": 2, "config": descriptor("application/x", "b"), "layers": [],
            "annotations": {SOURCE: "https://git.example.com/a/b", "org.example.ü": "other"},
        });
        for number in 0..1000 {
            document["annotations"][format!("a{number}")] = json!("");
        }
        let manifest = read(OCI_MANIFEST, &document).unwrap();
        let kept: Vec<&String> = manifest.annotations.keys().collect();
        assert_eq!(kept, [SOURCE]);
        document["annotations"] = json!({SOURCE: 7});
        assert!(read(OCI_MANIFEST, &document).is_err());
    }

    #[test]
    fn an_index_has_images_and_what_is_about_them() {
        let mut amd = descriptor(OCI_MANIFEST, "b");
        amd["platform"] = json!({"os": "linux", "architecture": "amd64"});
        let mut arm = descriptor(OCI_MANIFEST, "c");
        arm["platform"] = json!({"os": "linux", "architecture": "arm", "variant": "v7"});
        let mut attestation = descriptor(OCI_MANIFEST, "d");
        attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
        attestation["annotations"] = json!({
            REFERENCE_TYPE: "attestation-manifest", REFERENCE_DIGEST: digest_of("b"),
        });
        let foreign = descriptor("application/vnd.example", "e");
        // Whoever runs it asks for its platform, and not for what it says that it is.
        let mut disguised = attestation.clone();
        disguised["platform"] = json!({"os": "linux", "architecture": "s390x"});
        let index =
            json!({"schemaVersion": 2, "manifests": [amd, arm, attestation, foreign, disguised]});
        for media_type in [OCI_INDEX, DOCKER_LIST] {
            let manifest = read(media_type, &index).unwrap();
            let platforms: Vec<String> = manifest
                .images()
                .map(|image| image.platform.as_ref().unwrap().to_string())
                .collect();
            assert_eq!(platforms, ["linux/amd64", "linux/arm/v7", "linux/s390x"]);
            let about: Vec<Digest> = manifest
                .children()
                .iter()
                .filter_map(Descriptor::attests)
                .collect();
            assert_eq!(about, vec![digest_of("b").parse().unwrap(); 2]);
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused_for_its_reason() {
        let image = json!({"schemaVersion": 2, "config": descriptor("x", "b"), "layers": []});
        for (media_type, document, reason) in [
            (OCI_MANIFEST, json!([]), "cannot be read"),
            (
                OCI_MANIFEST,
                json!({"schemaVersion": 1, "fsLayers": []}),
                "schema 1",
            ),
            (OCI_MANIFEST, json!({"schemaVersion": 3}), "only 2 is known"),
            (OCI_INDEX, image.clone(), "does not have the fields"),
            (
                OCI_MANIFEST,
                json!({"schemaVersion": 2, "manifests": []}),
                "does not have the fields",
            ),
            // One document that is an image to one reader and an index to another.
            (
                OCI_MANIFEST,
                json!({"schemaVersion": 2, "config": descriptor("x", "b"), "layers": [], "manifests": []}),
                "does not have the fields",
            ),
            ("text/html", image.clone(), "is no manifest"),
            (
                OCI_MANIFEST,
                json!({"schemaVersion": 2, "config": {"mediaType": "x", "digest": "sha256:1", "size": 1}, "layers": []}),
                "content digest",
            ),
            (
                OCI_MANIFEST,
                json!({"schemaVersion": 2, "config": {"mediaType": "x", "digest": digest_of("b"), "size": -1}}),
                "cannot be read",
            ),
        ] {
            let error = read(media_type, &document).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(error.message.contains(reason), "{document}: {error}");
        }
    }

    #[test]
    fn what_the_document_says_it_is_counts_more_than_what_the_registry_says() {
        let document = json!({
            "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": descriptor("x", "b"), "layers": [],
        });
        assert_eq!(
            read("application/json", &document).unwrap().media_type,
            DOCKER_MANIFEST
        );
    }

    #[test]
    fn labels_are_read_where_there_are_any() {
        for (text, labels) in [
            (r#"{}"#, 0),
            (r#"{"config":{}}"#, 0),
            (r#"{"config":{"Labels":null}}"#, 0),
            (r#"{"author":"","config":{"Labels":{"a":"b"}}}"#, 1),
        ] {
            let config = ImageConfig::read("a", text.as_bytes()).unwrap();
            assert_eq!(
                (config.labels.len(), config.author),
                (labels, None),
                "{text}"
            );
        }
        assert!(ImageConfig::read("a", b"<html>").is_err());
    }
}
