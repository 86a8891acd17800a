//! A file in an image: in the last layer that carries it, above the base image.
//!
//! The base image's file is not the image's. Where it is known which layers are the base image's ([`super::base`]), only
//! those above are searched. Where it is not, every layer is, and the result says that it may be the base image's: whoever
//! decides then has to compare what the file says.

use super::base::{Base, below};
use super::error::{ErrorKind, RegistryError};
use super::layer::InLayer;
use super::manifest::{Content, Manifest};
use super::{Images, Result};
use crate::model::{Digest, ImageName};

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
    let base = below(images, name, manifest).await?.base;
    let layers_below = match &base {
        Base::Known { layers, .. } => *layers,
        Base::Unknown(_) => 0,
    };
    let mut read = 0;
    for layer in manifest.layers()[layers_below..].iter().rev() {
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
