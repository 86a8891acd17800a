//! What was signed about an image, and whether somebody we trust signed it.
//!
//! The statements lie beside the image in two ways, both of cosign: attached to the digest as Sigstore bundles (OCI
//! referrers), and under the tag `sha256-<digest>.att` as bare envelopes. Anybody who may push may put more there, so
//! what is foreign, unsigned, or signed by somebody else is skipped and reported; it never makes the image worse than it
//! is without.

mod dsse;
mod identity;
mod trust;

use std::time::Duration;

use serde::Deserialize;
use sigstore_verify::types::Bundle;
use tokio::time::timeout;

use super::error::{ErrorKind, RegistryError};
use super::manifest::{Content, Descriptor, Manifest};
use super::source::{SourceFacts, from_statement};
use super::{Images, Referrers, Result};
use crate::model::{Digest, ImageName};
use dsse::Envelope;
pub use trust::{Identity, Trust, TrustEntry, TrustError};

/// How many attachments of one image are read, and how many statements in one of them.
const MOST: usize = 50;
/// The largest statement that is opened, in bytes: what it takes in memory while it is read is many times that.
const LARGEST: usize = 1 << 20;
/// How long reading them may take altogether.
const LONGEST: Duration = Duration::from_secs(120);
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const NO_STATEMENT: &str =
    "it is a signature without a statement, which says nothing about the source";
/// The annotation by which cosign says that an attachment is a bundle.
pub(super) const BUNDLE_CONTENT: &str = "dev.sigstore.bundle.content";

/// What is to be believed of everything attached to an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Where the image comes from, by a statement that we believe.
    pub source: Option<Attested>,
    /// Everything else, with the reason.
    pub skipped: Vec<Skipped>,
    /// Statements that we would believe name different sources: none is believed.
    pub contradicts: bool,
    /// What the registry did not let us read, which may be a statement that we would believe.
    pub refused: Option<String>,
}

/// A source that somebody we trust has signed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The source.
    pub facts: SourceFacts,
    /// The name of the trusted key or identity.
    pub key: String,
    /// Where the statement is kept: the digest of the manifest.
    pub carrier: Digest,
}

/// Something that does not count, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is kept: the digest of the manifest.
    pub carrier: Digest,
    /// Why it does not count.
    pub reason: String,
}

/// One attachment: a source that is believed, or why it does not count.
type Judged = std::result::Result<Attested, Skipped>;

/// Reads and judges what is attached to the image with this digest. Where nobody is trusted nothing is read.
pub async fn attestations(
    images: &dyn Images,
    name: &ImageName,
    image: &Digest,
    trust: &Trust,
) -> Result<Verdict> {
    if trust.is_empty() {
        return Ok(Verdict::default());
    }
    let reader = Reader {
        images,
        name,
        image,
        trust,
    };
    let read = async {
        let Found { judged, refused } = reader.read().await?;
        Ok(Verdict {
            refused,
            ..verdict(judged)
        })
    };
    timeout(LONGEST, read).await.unwrap_or_else(|_| {
        let message = format!("what is attached to it cannot be read within {LONGEST:?}");
        Err(RegistryError::new(
            ErrorKind::Unavailable,
            name.at(image.clone()),
            message,
        ))
    })
}

/// What is to be believed of all of them. Pure.
fn verdict(judged: Vec<Judged>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut believed: Vec<Attested> = Vec::new();
    for one in judged {
        match one {
            Ok(attested) => believed.push(attested),
            Err(skipped) => verdict.skipped.push(skipped),
        }
    }
    let facts = believed.first().map(|first| first.facts.clone());
    if believed
        .iter()
        .all(|one| Some(&one.facts) == facts.as_ref())
    {
        verdict.source = believed.into_iter().next();
    } else {
        // Which of them is right is not for us to guess.
        verdict.contradicts = true;
        verdict.skipped.extend(believed.into_iter().map(|attested| Skipped {
            reason: format!(
                "signed by {} and about this image, but another trusted statement names another source than {}",
                attested.key, attested.facts.repository
            ),
            carrier: attested.carrier,
        }));
    }
    verdict
}

/// What a layer holds, opened but not believed.
enum Opened {
    /// Signed with a key.
    ByKey(Envelope),
    /// Signed by an identity, with a certificate.
    ByIdentity(Box<Bundle>),
}

impl Opened {
    /// The statement, and the name of whom we trust that signed it.
    fn believed<'a>(
        &'a self,
        trust: &'a Trust,
        image: &Digest,
    ) -> std::result::Result<(&'a str, &'a [u8]), String> {
        match self {
            Self::ByKey(envelope) => Ok((trust.signer(envelope)?, &envelope.payload)),
            Self::ByIdentity(bundle) => {
                let (kind, payload) = identity::payload(bundle).ok_or(NO_STATEMENT)?;
                dsse::is_statement(kind)?;
                Ok((trust.identity(bundle, image)?, payload))
            }
        }
    }
}

/// Judges one attachment, or the reason why it cannot be opened. Pure.
fn judge(
    opened: std::result::Result<Opened, String>,
    carrier: &Digest,
    trust: &Trust,
    image: &Digest,
) -> Judged {
    let attested = opened.and_then(|opened| {
        let (key, payload) = opened.believed(trust, image)?;
        let facts = from_statement(payload, image)
            .map_err(|error| format!("signed by {key}, and {error}"))?;
        Ok(Attested {
            facts,
            key: key.to_owned(),
            carrier: carrier.clone(),
        })
    });
    attested.map_err(|reason| skipped(carrier, reason))
}

fn skipped(carrier: &Digest, reason: impl Into<String>) -> Skipped {
    Skipped {
        carrier: carrier.clone(),
        reason: reason.into(),
    }
}

/// What was read, judged already; and what the registry did not let us read.
#[derive(Default)]
struct Found {
    judged: Vec<Judged>,
    refused: Option<String>,
}

impl Found {
    fn skip(&mut self, carrier: &Digest, reason: impl Into<String>) {
        self.judged.push(Err(skipped(carrier, reason)));
    }

    /// The reason of an error that stays; one that may pass is passed on, since what cannot be read now may be ours.
    fn lasting(&mut self, error: RegistryError) -> Result<String> {
        if error.kind.is_transient() {
            return Err(error);
        }
        if error.kind == ErrorKind::Denied {
            self.refused.get_or_insert_with(|| error.to_string());
        }
        Ok(error.to_string())
    }
}

/// Reads attachments one by one. Each is judged before the next is read, so that no more than one is in memory.
struct Reader<'a> {
    images: &'a dyn Images,
    name: &'a ImageName,
    image: &'a Digest,
    trust: &'a Trust,
}

impl Reader<'_> {
    async fn read(&self) -> Result<Found> {
        let mut found = Found::default();
        let Referrers {
            found: mut attached,
            is_whole,
        } = self.images.referrers(self.name, self.image).await?;
        if !is_whole {
            let reason = "the list of what is attached is longer than is read, and what is not listed before is not known";
            found.skip(self.image, reason);
        }
        // Registries fill these hints in differently, so they decide nothing but the order: what others attached must
        // not push ours beyond the limit.
        attached.sort_by_key(|descriptor| !looks_like_a_bundle(descriptor));
        for descriptor in &attached {
            let carrier = &descriptor.digest;
            if found.judged.len() >= MOST {
                let reason =
                    format!("more than {MOST} things are attached, and the rest is not read");
                found.skip(carrier, reason);
                break;
            }
            match self.images.resolve(&self.name.at(carrier.clone())).await {
                Ok(manifest) => self.referrer(&manifest, &mut found).await?,
                Err(error) => {
                    let reason = found.lasting(error)?;
                    found.skip(carrier, reason);
                }
            }
        }
        self.beside_by_tag(&mut found).await?;
        Ok(found)
    }

    /// The place that cosign had before registries knew referrers.
    async fn beside_by_tag(&self, found: &mut Found) -> Result<()> {
        let tag = format!(
            "{}-{}.att",
            self.image.algorithm().as_str(),
            self.image.hex()
        );
        let tag = self.name.tagged(&tag).map_err(|error| {
            RegistryError::new(ErrorKind::Invalid, self.name, error.to_string())
        })?;
        match self.images.resolve(&tag).await {
            Ok(manifest) => self.layers(&manifest, found).await,
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            Err(error) => {
                let reason = found.lasting(error)?;
                found.skip(self.image, reason);
                Ok(())
            }
        }
    }

    async fn referrer(&self, manifest: &Manifest, found: &mut Found) -> Result<()> {
        let subject = manifest.subject.as_ref().map(|subject| &subject.digest);
        if subject != Some(self.image) {
            let reason = "it is listed as attached to the image, and says itself that it is not";
            found.skip(&manifest.digest, reason);
            return Ok(());
        }
        self.layers(manifest, found).await
    }

    /// The envelopes among the layers of a manifest.
    async fn layers(&self, manifest: &Manifest, found: &mut Found) -> Result<()> {
        let mut any = false;
        for layer in manifest.layers().iter().take(MOST) {
            let read: Open = match layer.media_type.as_str() {
                ENVELOPE => |bytes| Envelope::read(bytes).map(Opened::ByKey),
                kind if kind.starts_with(BUNDLE) => from_bundle,
                _ => continue,
            };
            any = true;
            let opened = match self.images.blob(self.name, layer).await {
                Ok(bytes) if bytes.len() > LARGEST => {
                    Err(format!("it is larger than {} KiB", LARGEST >> 10))
                }
                Ok(bytes) => read(&bytes),
                Err(error) => Err(found.lasting(error)?),
            };
            let judged = judge(opened, &manifest.digest, self.trust, self.image);
            found.judged.push(judged);
        }
        if !any {
            let reason = format!("it is no attestation but {:.80}", kind_of(manifest));
            found.skip(&manifest.digest, reason);
        }
        Ok(())
    }
}

/// Opens what a layer holds.
type Open = fn(&[u8]) -> std::result::Result<Opened, String>;

fn looks_like_a_bundle(descriptor: &Descriptor) -> bool {
    descriptor.annotations.contains_key(BUNDLE_CONTENT)
        || descriptor
            .artifact_type
            .as_deref()
            .is_some_and(|kind| kind.starts_with(BUNDLE))
}

fn kind_of(manifest: &Manifest) -> &str {
    match (&manifest.artifact_type, &manifest.content) {
        (Some(kind), _) => kind,
        (None, Content::Image { config, .. }) => &config.media_type,
        (None, Content::Index(_)) => "an index",
    }
}

/// Opens a Sigstore bundle.
fn from_bundle(bytes: &[u8]) -> std::result::Result<Opened, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        verification_material: Material,
        dsse_envelope: Option<Box<serde_json::value::RawValue>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Material {
        public_key: Option<serde::de::IgnoredAny>,
    }
    let none = |why: &dyn std::fmt::Display| format!("it is no Sigstore bundle: {why}");
    let written: Written = serde_json::from_slice(bytes).map_err(|error| none(&error))?;
    if written.verification_material.public_key.is_none() {
        return identity::read(bytes)
            .map(|bundle| Opened::ByIdentity(Box::new(bundle)))
            .map_err(|error| none(&error));
    }
    let envelope = written.dsse_envelope.ok_or(NO_STATEMENT)?;
    Envelope::read(envelope.get().as_bytes()).map(Opened::ByKey)
}

#[cfg(test)]
mod tests;
