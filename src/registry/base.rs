//! The base image: which of an image's layers are its, and which of its annotations.
//!
//! What a base image says of its source is not said of the images that are built on it. Builders take over its layers and,
//! many of them, its annotations. Where an image says what it is built on (annotation `org.opencontainers.image.base.digest`,
//! with `…base.name` for where that is), both are told apart from the image's own. Where it says nothing, or what is not so,
//! they are not, and whoever decides then is told so.

use std::collections::BTreeSet;

use super::error::ErrorKind;
use super::manifest::{Annotations, Content, Manifest};
use super::source::{REVISION, SOURCE, TICKETS};
use super::{Images, Result};
use crate::model::{Digest, ImageName, ImageRef};

/// The annotation that names the base image's digest.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// The annotation that names the base image.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// How many of a base image's platforms are compared with the image.
const PLATFORMS: usize = 20;

/// What is known of the image that an image is built on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// It is this one, and its layers are the image's lowest; for an index: it can be read.
    Known {
        /// The digest of its manifest.
        digest: Digest,
        /// How many of the image's layers are its.
        layers: usize,
    },
    /// Nothing for certain, and why.
    Unknown(String),
}

/// What is below an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Below {
    /// The base image.
    pub base: Base,
    /// Which of the image's annotations about its source it has from what it names as its base, as far as that could be
    /// read: also if the layers of that are not below.
    pub inherited: BTreeSet<&'static str>,
}

impl Below {
    /// The image's own annotations.
    pub fn own(&self, said: &Annotations) -> Annotations {
        let own = said.iter();
        let own = own.filter(|(key, _)| !self.inherited.contains(key.as_str()));
        own.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// What the image says it is built on, if that is so.
pub async fn below(images: &dyn Images, name: &ImageName, manifest: &Manifest) -> Result<Below> {
    let mut inherited = BTreeSet::new();
    let base = base(images, name, manifest, &mut inherited).await?;
    Ok(Below { base, inherited })
}

async fn base(
    images: &dyn Images,
    name: &ImageName,
    manifest: &Manifest,
    inherited: &mut BTreeSet<&'static str>,
) -> Result<Base> {
    let unknown = |why: String| Ok(Base::Unknown(why));
    let Some(digest) = manifest.annotations.get(BASE_DIGEST) else {
        return unknown(format!("the image has no annotation {BASE_DIGEST}"));
    };
    let digest: Digest = match digest.parse() {
        Ok(digest) => digest,
        Err(error) => return unknown(format!("the annotation {BASE_DIGEST}: {error}")),
    };
    // Without a name it can only be in the same place.
    let base_name = match manifest.annotations.get(BASE_NAME) {
        None => name.clone(),
        Some(text) => match named(text) {
            Ok(base_name) => base_name,
            Err(error) => return unknown(format!("the annotation {BASE_NAME}: {error}")),
        },
    };
    let found = match images.resolve(&base_name.at(digest.clone())).await {
        Ok(found) => found,
        // Only our own registry is waited for: a base that lies elsewhere may lie nowhere, and for ever.
        Err(error) if error.kind.is_transient() && base_name.registry() == name.registry() => {
            return Err(error);
        }
        Err(error) => return unknown(format!("its base image cannot be read: {error}")),
    };
    inherited.extend(alike(&manifest.annotations, &found.annotations));
    let children: Vec<Digest> = found.images().map(|child| child.digest.clone()).collect();
    let layers = match &manifest.content {
        Content::Index(_) => Some(0),
        Content::Image { .. } => lowest(&found, manifest),
    };
    if let Some(layers) = layers {
        return Ok(Base::Known {
            digest: found.digest,
            layers,
        });
    }
    // One after the other, so that no more than one is in memory.
    drop(found);
    for child in children.into_iter().take(PLATFORMS) {
        let candidate = match images.resolve(&base_name.at(child)).await {
            Ok(candidate) => candidate,
            // A copy of an index need not have all its images.
            Err(error) if error.kind == ErrorKind::NotFound => continue,
            Err(error) if base_name.registry() != name.registry() => {
                return unknown(format!("its base image cannot be read: {error}"));
            }
            Err(error) => return Err(error),
        };
        inherited.extend(alike(&manifest.annotations, &candidate.annotations));
        if let Some(layers) = lowest(&candidate, manifest) {
            return Ok(Base::Known {
                digest: candidate.digest,
                layers,
            });
        }
    }
    unknown(format!(
        "the layers of {base_name}@{digest}, which it says is its base image, are not its lowest"
    ))
}

/// How many layers the base has, if it has some and they are the image's lowest.
fn lowest(base: &Manifest, image: &Manifest) -> Option<usize> {
    let (below, own) = (base.layers(), image.layers());
    let is_lowest = below.len() <= own.len()
        && below
            .iter()
            .zip(own)
            .all(|(below, own)| below.digest == own.digest);
    (is_lowest && !below.is_empty()).then_some(below.len())
}

/// A base image's name is written with a tag, without, or with a digest.
fn named(text: &str) -> std::result::Result<ImageName, crate::model::InvalidValue> {
    match text.parse::<ImageRef>() {
        Ok(image) => Ok(image.name().clone()),
        Err(error) => text.parse().map_err(|_| error),
    }
}

/// What an image says just as its base image does. A commit belongs to a repository, so that the same repository with
/// another commit is the image's own word.
fn alike(said: &Annotations, base: &Annotations) -> Vec<&'static str> {
    let same = |key: &&'static str| said.get(*key) == base.get(*key);
    let mut alike = Vec::from_iter([REVISION, TICKETS].into_iter().filter(same));
    if same(&REVISION) && same(&SOURCE) {
        alike.push(SOURCE);
    }
    alike
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_base_image_says_is_not_the_images_own_word() {
        let (a, b) = (
            Some("https://git.example.com/a"),
            Some("https://git.example.com/b"),
        );
        let (one, two) = (Some("1"), Some("2"));
        for (said, base, wanted) in [
            // Nothing is inherited.
            ((a, one), (None, None), (a, one)),
            ((a, one), (b, two), (a, one)),
            // All is.
            ((a, one), (a, one), (None, None)),
            ((a, None), (a, None), (None, None)),
            // One repository for both, and a commit of its own.
            ((a, two), (a, one), (a, two)),
            ((a, two), (a, None), (a, two)),
            // A repository of its own, and the commit of another one.
            ((b, one), (a, one), (b, None)),
            ((b, None), (a, None), (b, None)),
        ] {
            let annotations = |(source, revision): (Option<&str>, Option<&str>)| {
                let pairs = [(SOURCE, source), (REVISION, revision)].into_iter();
                let some =
                    pairs.filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())));
                some.collect::<Annotations>()
            };
            let below = Below {
                base: Base::Unknown("its layers are not below".to_owned()),
                inherited: alike(&annotations(said), &annotations(base))
                    .into_iter()
                    .collect(),
            };
            let found = below.own(&annotations(said));
            assert_eq!(found, annotations(wanted), "{said:?} on {base:?}");
        }
    }
}
