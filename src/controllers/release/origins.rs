//! What a release asks about its image. A port: the registry's adapter is in `gather.rs`; tests bring their own.

use async_trait::async_trait;

use crate::api::Evidence;
use crate::controllers::Caches;
use crate::engine::{Failure, FailureKind};
use crate::model::{Digest, ImageRef, SourceRepository};
use crate::plan::approval::reviews::{Review, Reviewed};

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
    /// Why it may be the base image's; never where somebody signed it.
    pub doubt: Option<String>,
}

/// What the search for an image's origin came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Searched {
    /// The best evidence.
    pub origin: Option<Origin>,
    /// The tickets that the image itself names.
    pub tickets: Vec<String>,
    /// What was found and does not count, or could not be looked at, and why; for people.
    pub remarks: Vec<String>,
    /// What the registry refused to show, though it may be better evidence than what was found: what was known of that
    /// stays known.
    pub refused: Option<String>,
}

/// A commit that its code host is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRef {
    /// The repository.
    pub repository: SourceRepository,
    /// The commit.
    pub revision: String,
    /// Whether its reviews are wanted, too.
    pub with_reviews: bool,
}

impl std::fmt::Display for CommitRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "commit {} of {}", self.revision, self.repository)
    }
}

/// What a code host says of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its message.
    pub message: String,
    /// Whose work it is, and its reviews, if they were asked for.
    pub reviews: Option<(Reviewed, Vec<Review>)>,
}

/// When the reviews on a code host count as approvals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewsCount {
    /// Never: it is asked for the messages of commits only.
    Never,
    /// If somebody trusted has signed from which commit the image was built.
    IfSigned,
    /// Whatever says from which commit the image was built.
    Always,
}

/// Why a registry or a code host did not answer a question.
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

/// What is asked of registries, and of code hosts.
#[async_trait]
pub trait Origins: Send + Sync {
    /// Is told before anything is asked what objects there are: some of the images are in repositories of theirs.
    fn know(&self, _caches: &Caches) {}

    /// What the reference means now.
    async fn resolve(&self, image: &ImageRef) -> Result<Resolved, Trouble>;

    /// The digest that the reference's tag has now.
    async fn current(&self, image: &ImageRef) -> Result<Digest, Trouble>;

    /// Where the image comes from, which is given by its digest.
    async fn search(&self, image: &ImageRef) -> Result<Searched, Trouble>;

    /// When reviews count that are made where this commit is. `None`: nothing is asked there about it.
    fn code_host(&self, _repository: &SourceRepository, _revision: &str) -> Option<ReviewsCount> {
        None
    }

    /// What its code host says of a commit.
    async fn commit(&self, commit: &CommitRef) -> Result<Said, Trouble> {
        Err(Trouble::new(
            TroubleKind::Denied,
            format!("{commit}: this operator asks no code hosts"),
        ))
    }
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
