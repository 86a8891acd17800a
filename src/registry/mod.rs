//! Reading images: which digest a tag has, what a manifest says, who signed what about it, and where its source is.
//!
//! [`Images`] is the port; [`oci`] is its adapter for the OCI distribution API. On the port stand [`find`] (a file in the
//! layers), [`base`] (what is the base image's), [`source`] (where an image comes from) and [`attestation`] (what was signed about it).
//!
//! Registries are somebody else's machines, and images anybody's work: everything that is read has a bound in bytes and
//! in time, and what contradicts its digest is refused.

pub mod attestation;
pub mod base;
pub mod code_hosts;
pub mod error;
pub mod files;
pub mod find;
mod hash;
pub mod layer;
pub mod manifest;
pub mod oci;
pub mod source;

use async_trait::async_trait;
use bytes::Bytes;

use crate::model::{Digest, ImageName, ImageRef};
pub use error::{ErrorKind, RegistryError};
pub use hash::sha256;
pub use layer::{InLayer, Searched};
pub use manifest::{Annotations, Content, Descriptor, ImageConfig, Manifest, Platform};

/// What a registry answers.
pub type Result<T> = std::result::Result<T, RegistryError>;

/// The largest document (manifest, index, configuration, attestation) that is read.
pub const LARGEST_DOCUMENT: u64 = 4 << 20;

/// What is attached to an image, as its registry lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Referrers {
    /// What was listed.
    pub found: Vec<Descriptor>,
    /// Whether the list was read to its end.
    pub is_whole: bool,
}

/// Registries, as far as we read them.
#[async_trait]
pub trait Images: Send + Sync {
    /// The manifest or index of this image: by its digest if it has one, else what its tag means now. Its bytes have
    /// the digest that is given back.
    async fn resolve(&self, image: &ImageRef) -> Result<Manifest>;

    /// The digest that this image's tag has now, without reading what it is about where the registry allows that.
    async fn current(&self, image: &ImageRef) -> Result<Digest>;

    /// A small blob, checked against its digest. `TooLarge` beyond [`LARGEST_DOCUMENT`].
    async fn blob(&self, name: &ImageName, blob: &Descriptor) -> Result<Bytes>;

    /// What is attached to this digest: everything whose subject it is, from whomever. Of the list at most
    /// [`LARGEST_DOCUMENT`] is read, however many pages it has.
    async fn referrers(&self, name: &ImageName, subject: &Digest) -> Result<Referrers>;

    /// Looks for a file in the root folder of one layer, reading no further than needed, and at most `budget` bytes of
    /// what the layer unpacks to.
    async fn search_layer(
        &self,
        name: &ImageName,
        layer: &Descriptor,
        file: &str,
        budget: u64,
    ) -> Result<Searched>;

    /// The configuration of a single image; an empty one for an index, which has none.
    async fn config(&self, name: &ImageName, manifest: &Manifest) -> Result<ImageConfig> {
        match &manifest.content {
            Content::Index(_) => Ok(ImageConfig::default()),
            Content::Image { config, .. } => {
                let bytes = self.blob(name, config).await?;
                ImageConfig::read(&name.at(manifest.digest.clone()).to_string(), &bytes)
            }
        }
    }
}
