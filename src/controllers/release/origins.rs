//! What a release asks about its image. A port: the registry's adapter is in `gather.rs`; tests bring their own.

use async_trait::async_trait;

use crate::api::Evidence;
use crate::engine::{Failure, FailureKind};
use crate::model::{Digest, ImageRef, SourceRepository};

/// What a reference means now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The digest of the manifest or index.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The platforms of an index.
    pub platforms: Vec<String>,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The source repository.
    pub repository: SourceRepository,
    /// The commit.
    pub revision: Option<String>,
    /// Whether the tree was modified; `None`: the evidence does not say.
    pub dirty: Option<bool>,
    /// Who built it.
    pub author: Option<String>,
    /// How that is known.
    pub evidence: Evidence,
    /// Where the evidence was found.
    pub evidence_digest: Option<Digest>,
    /// Who signed it.
    pub signed_by: Option<String>,
}

/// What the search for an image's origin came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Searched {
    /// The best evidence.
    pub origin: Option<Origin>,
    /// The tickets that the image itself names.
    pub tickets: Vec<String>,
    /// The message of the commit, where it could be read.
    pub commit_message: Option<String>,
    /// What was found and does not count, or could not be looked at, and why; for people.
    pub remarks: Vec<String>,
}

/// Why a registry did not answer a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// What kind of trouble it is.
    pub kind: TroubleKind,
    /// What is wrong, where, and what to do.
    pub message: String,
}

/// What a trouble asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// The same question may be answered later.
    Transient,
    /// There is no such image.
    NotFound,
    /// We may not read it.
    Denied,
    /// What the registry says cannot be used.
    Invalid,
}

impl Trouble {
    /// A trouble of `kind`.
    pub fn new(kind: TroubleKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        use super::reasons;
        let (kind, label) = match trouble.kind {
            TroubleKind::Transient => (FailureKind::Transient, reasons::REGISTRY_UNAVAILABLE),
            TroubleKind::NotFound => (FailureKind::Terminal, reasons::IMAGE_NOT_FOUND),
            TroubleKind::Denied => (FailureKind::Terminal, reasons::REGISTRY_ACCESS_DENIED),
            TroubleKind::Invalid => (FailureKind::Terminal, reasons::IMAGE_INVALID),
        };
        Self::new(kind, label, trouble.message)
    }
}

/// What is asked of registries.
#[async_trait]
pub trait Origins: Send + Sync {
    /// What the reference means now.
    async fn resolve(&self, image: &ImageRef) -> Result<Resolved, Trouble>;

    /// The digest that the reference's tag has now.
    async fn current(&self, image: &ImageRef) -> Result<Digest, Trouble>;

    /// Where the image comes from, which is given by its digest.
    async fn search(&self, image: &ImageRef) -> Result<Searched, Trouble>;
}

/// Where no registry is configured: nothing can be resolved.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRegistry;

#[async_trait]
impl Origins for NoRegistry {
    async fn resolve(&self, image: &ImageRef) -> Result<Resolved, Trouble> {
        Err(none(image))
    }

    async fn current(&self, image: &ImageRef) -> Result<Digest, Trouble> {
        Err(none(image))
    }

    async fn search(&self, image: &ImageRef) -> Result<Searched, Trouble> {
        Err(none(image))
    }
}

fn none(image: &ImageRef) -> Trouble {
    Trouble::new(
        TroubleKind::Denied,
        format!("{image}: this operator reads no registries"),
    )
}
