//! A file in an image: in the last layer that carries it, above the base image.
//!
//! The base image's file is not the image's. Where the image says what it is built on (annotation
//! `org.opencontainers.image.base.digest`, with `…base.name` for where that is), and the layers of that base really are its
//! lowest ones, only the layers above are searched. Where it says nothing, or what is not so, every layer is, and the
//! result says that it may be the base image's: whoever decides then has to compare what the file says.

use super::error::{ErrorKind, RegistryError};
use super::layer::InLayer;
use super::manifest::{Content, Manifest};
use super::{Images, Result};
use crate::model::{Digest, ImageName, ImageRef};

/// The annotation that names the base image's digest.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// The annotation that names the base image.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// How many of a base image's platforms are compared with the image.
const PLATFORMS: usize = 20;

/// How much of an image is unpacked in search of a file, unless somebody configures otherwise.
pub const USUAL_BUDGET: u64 = 4 << 30;
/// How much of all the images of an index together.
pub const BUDGET_OF_ALL: u64 = 4 * USUAL_BUDGET;

/// What the search of an image came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The file.
    File {
        /// Its content.
        content: Vec<u8>,
        /// The layer that carries it.
        layer: Digest,
        /// Whether it can be the base image's.
        base: Base,
    },
    /// No layer that was searched carries it.
    Nowhere {
        /// What is known of the base image, whose layers are not searched.
        base: Base,
    },
    /// The image is too large to be searched: there are more bytes than may be unpacked.
    TooLarge,
    /// A layer that may carry it cannot be read.
    Unreadable {
        /// Which.
        layer: Digest,
        /// Why not.
        reason: String,
    },
}

/// What is known of the image that an image is built on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// It is this one, and its layers are the image's lowest.
    Known {
        /// The digest of its manifest.
        digest: Digest,
        /// How many of the image's layers are its.
        layers: usize,
    },
    /// Nothing for certain, and why.
    Unknown(String),
}

/// Looks for `file` in the root folder of the image, from the last layer downwards, and unpacks `budget` bytes at most.
/// Gives back how many it were, too.
pub async fn find_file(
    images: &dyn Images,
    name: &ImageName,
    manifest: &Manifest,
    file: &str,
    budget: u64,
) -> Result<(Found, u64)> {
    if matches!(manifest.content, Content::Index(_)) {
        let message = "it is an index of several images; look into one of them";
        let subject = name.at(manifest.digest.clone());
        return Err(RegistryError::new(ErrorKind::Invalid, subject, message));
    }
    let base = base(images, name, manifest).await?;
    let below = match &base {
        Base::Known { layers, .. } => *layers,
        Base::Unknown(_) => 0,
    };
    let mut read = 0;
    for layer in manifest.layers()[below..].iter().rev() {
        let searched = images
            .search_layer(name, layer, file, budget - read)
            .await?;
        read += searched.read;
        let digest = layer.digest.clone();
        match searched.found {
            InLayer::Absent => {}
            InLayer::Removed | InLayer::NotAFile => break,
            InLayer::File(content) => {
                let layer = digest;
                let found = Found::File {
                    content,
                    layer,
                    base,
                };
                return Ok((found, read));
            }
            InLayer::TooLarge => return Ok((Found::TooLarge, read)),
            InLayer::Unreadable(reason) => {
                let layer = digest;
                return Ok((Found::Unreadable { layer, reason }, read));
            }
        }
    }
    Ok((Found::Nowhere { base }, read))
}

/// What the image says it is built on, if that is so.
pub async fn base(images: &dyn Images, name: &ImageName, manifest: &Manifest) -> Result<Base> {
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
    let children: Vec<Digest> = found.images().map(|child| child.digest.clone()).collect();
    if let Some(layers) = lowest(&found, manifest) {
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
            Err(error) => return Err(error),
        };
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
