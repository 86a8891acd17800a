//! What was signed about an image, and whether somebody we trust signed it.
//!
//! The statements lie beside the image in two ways, both of cosign: attached to the digest as Sigstore bundles (OCI
//! referrers), and under the tag `sha256-<digest>.att` as bare envelopes. Anybody who may push may put more there, so
//! what is foreign, unsigned, or signed by somebody else is skipped and reported; it never makes the image worse than it
//! is without.

mod dsse;
mod trust;

use serde::Deserialize;

use super::error::{ErrorKind, RegistryError};
use super::manifest::{Content, Descriptor, Manifest};
use super::source::{SourceFacts, from_statement};
use super::{Images, Result};
use crate::model::{Digest, ImageName};
pub use dsse::Envelope;
pub use trust::{Trust, TrustEntry, TrustError};

/// How many attachments of one image are read.
const MOST: usize = 100;
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// The annotation by which cosign says that an attachment is a bundle.
const BUNDLE_CONTENT: &str = "dev.sigstore.bundle.content";

/// Something attached to an image: an envelope, or why it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What it was read from: a manifest, or a layer of one.
    pub carrier: Digest,
    /// The envelope; or a reason, for people, why there is none.
    pub envelope: std::result::Result<Envelope, String>,
}

/// What is to be believed of everything attached to an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Where the image comes from, by a statement that we believe.
    pub source: Option<Attested>,
    /// Everything else, with the reason.
    pub skipped: Vec<Skipped>,
}

/// A source that somebody we trust has signed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The source.
    pub facts: SourceFacts,
    /// The name of the trusted key.
    pub key: String,
    /// Where the statement is kept.
    pub carrier: Digest,
}

/// Something that does not count, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is kept.
    pub carrier: Digest,
    /// Why it does not count.
    pub reason: String,
}

/// Judges what is attached to the image with this digest. Pure.
pub fn judge(candidates: &[Candidate], trust: &Trust, image: &Digest) -> Verdict {
    let mut verdict = Verdict::default();
    let mut believed: Vec<Attested> = Vec::new();
    for candidate in candidates {
        match attested(candidate, trust, image) {
            Ok(attested) => believed.push(attested),
            Err(reason) => verdict.skipped.push(Skipped {
                carrier: candidate.carrier.clone(),
                reason,
            }),
        }
    }
    let agree = |other: &Attested| {
        believed
            .first()
            .is_some_and(|first| first.facts == other.facts)
    };
    if believed.iter().all(agree) {
        verdict.source = believed.into_iter().next();
    } else {
        // Which of them is right is not for us to guess.
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

fn attested(
    candidate: &Candidate,
    trust: &Trust,
    image: &Digest,
) -> std::result::Result<Attested, String> {
    let envelope = candidate.envelope.as_ref().map_err(Clone::clone)?;
    let key = trust.signer(envelope)?;
    let facts = from_statement(&envelope.payload, image)
        .map_err(|error| format!("signed by {key}, and {error}"))?;
    Ok(Attested {
        facts,
        key: key.to_owned(),
        carrier: candidate.carrier.clone(),
    })
}

/// Reads what is attached to the image with this digest.
pub async fn candidates(
    images: &dyn Images,
    name: &ImageName,
    image: &Digest,
) -> Result<Vec<Candidate>> {
    let mut attached = images.referrers(name, image).await?;
    // Registries fill these hints in differently, so they decide nothing but the order: what others attached must not
    // push ours beyond the limit.
    attached.sort_by_key(|descriptor| !looks_like_a_bundle(descriptor));
    let mut found = Vec::new();
    for (at, descriptor) in attached.iter().enumerate() {
        let carrier = &descriptor.digest;
        if at >= MOST {
            found.push(none(
                carrier,
                format!("more than {MOST} things are attached; it was not read"),
            ));
            continue;
        }
        match images.resolve(&name.at(carrier.clone())).await {
            Ok(manifest) => found.extend(in_referrer(images, name, image, &manifest).await?),
            Err(error) => found.push(none(carrier, lasting(error)?)),
        }
    }
    let tag = format!("{}-{}.att", image.algorithm().as_str(), image.hex());
    let tag = name
        .tagged(&tag)
        .map_err(|error| RegistryError::new(ErrorKind::Invalid, name, error.to_string()))?;
    match images.resolve(&tag).await {
        Ok(manifest) => found.extend(in_layers(images, name, &manifest).await?),
        Err(error) if error.kind == ErrorKind::NotFound => {}
        Err(error) => {
            let reason = lasting(error)?;
            found.push(none(image, reason));
        }
    }
    Ok(found)
}

fn looks_like_a_bundle(descriptor: &Descriptor) -> bool {
    descriptor.annotations.contains_key(BUNDLE_CONTENT)
        || descriptor
            .artifact_type
            .as_deref()
            .is_some_and(|kind| kind.starts_with(BUNDLE))
}

/// The reason of an error that stays; one that may pass is passed on, since what cannot be read now may be ours.
fn lasting(error: RegistryError) -> Result<String> {
    match error.kind.is_transient() {
        true => Err(error),
        false => Ok(error.to_string()),
    }
}

fn none(carrier: &Digest, reason: impl Into<String>) -> Candidate {
    Candidate {
        carrier: carrier.clone(),
        envelope: Err(reason.into()),
    }
}

async fn in_referrer(
    images: &dyn Images,
    name: &ImageName,
    image: &Digest,
    manifest: &Manifest,
) -> Result<Vec<Candidate>> {
    let subject = manifest.subject.as_ref().map(|subject| &subject.digest);
    if subject != Some(image) {
        let reason = "it is listed as attached to the image, and says itself that it is not";
        return Ok(vec![none(&manifest.digest, reason)]);
    }
    in_layers(images, name, manifest).await
}

/// The envelopes among the layers of a manifest.
async fn in_layers(
    images: &dyn Images,
    name: &ImageName,
    manifest: &Manifest,
) -> Result<Vec<Candidate>> {
    let mut found = Vec::new();
    for layer in manifest.layers().iter().take(MOST) {
        let read: fn(&[u8]) -> std::result::Result<Envelope, String> =
            match layer.media_type.as_str() {
                ENVELOPE => Envelope::read,
                kind if kind.starts_with(BUNDLE) => from_bundle,
                _ => continue,
            };
        let envelope = match images.blob(name, layer).await {
            Ok(bytes) => read(&bytes),
            Err(error) => Err(lasting(error)?),
        };
        found.push(Candidate {
            carrier: layer.digest.clone(),
            envelope,
        });
    }
    if found.is_empty() {
        let kind = kind_of(manifest);
        found.push(none(
            &manifest.digest,
            format!("it is no attestation but {kind:.80}"),
        ));
    }
    Ok(found)
}

fn kind_of(manifest: &Manifest) -> &str {
    match (&manifest.artifact_type, &manifest.content) {
        (Some(kind), _) => kind,
        (None, Content::Image { config, .. }) => &config.media_type,
        (None, Content::Index(_)) => "an index",
    }
}

/// The envelope in a Sigstore bundle that was signed by a key.
fn from_bundle(bytes: &[u8]) -> std::result::Result<Envelope, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Bundle {
        verification_material: Material,
        dsse_envelope: Option<Box<serde_json::value::RawValue>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Material {
        public_key: Option<serde::de::IgnoredAny>,
    }
    let bundle: Bundle = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is no Sigstore bundle: {error}"))?;
    if bundle.verification_material.public_key.is_none() {
        return Err(
            "it is signed by an identity, with a certificate, and only keys are trusted here"
                .into(),
        );
    }
    let envelope = bundle
        .dsse_envelope
        .ok_or("it is a signature without a statement, which says nothing about the source")?;
    Envelope::read(envelope.get().as_bytes())
}

#[cfg(test)]
mod tests;
