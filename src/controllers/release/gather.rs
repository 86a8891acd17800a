//! Gather: what registries say of an image, by the port for reading images, and code hosts of its commit. How the best
//! evidence of its source is found is in `evidence.rs`.

use std::sync::Arc;

use async_trait::async_trait;

use super::origins::{
    CommitRef, Origins, Resolved, ReviewsCount, Said, Searched, Trouble, TroubleKind,
};
use crate::controllers::Caches;
use crate::controllers::image_repository::logins::RegistryTokens;
use crate::model::{Digest, ImageRef, SourceRepository};
use crate::plan::approval::reviews::{Person, Review, Reviewed, Word};
use crate::registry::attestation::Trust;
use crate::registry::code_hosts::{
    Changes, CodeHosts, Commit, HostReview, Reviewing, State, is_commit,
};
use crate::registry::{ErrorKind, Images, RegistryError};

/// The annotation by which an image names its tickets, divided by commas or spaces.
pub use crate::registry::source::TICKETS;

/// Origins out of registries.
pub struct RegistryOrigins {
    /// The registries.
    pub images: Arc<dyn Images>,
    /// Whose signatures count.
    pub trust: Trust,
    /// Who is asked about commits.
    pub code_hosts: Option<CodeHosts>,
    /// The logins at the repositories that the operator has made, if it has any.
    pub own: Option<Arc<RegistryTokens>>,
}

#[async_trait]
impl Origins for RegistryOrigins {
    fn know(&self, caches: &Caches) {
        if let Some(own) = &self.own {
            own.know(caches);
        }
    }

    async fn resolve(&self, image: &ImageRef) -> Result<Resolved, Trouble> {
        let manifest = self.images.resolve(image).await?;
        let platforms = manifest.images().filter_map(|one| one.platform.as_ref());
        Ok(Resolved {
            platforms: platforms.map(ToString::to_string).collect(),
            digest: manifest.digest,
            media_type: manifest.media_type,
        })
    }

    async fn current(&self, image: &ImageRef) -> Result<Digest, Trouble> {
        Ok(self.images.current(image).await?)
    }

    async fn search(&self, image: &ImageRef) -> Result<Searched, Trouble> {
        self.evidence(image).await
    }

    fn code_host(&self, repository: &SourceRepository, revision: &str) -> Option<ReviewsCount> {
        let host = self.code_hosts.as_ref()?.of(repository)?;
        is_commit(revision).then_some(match &host.reviews {
            None => ReviewsCount::Never,
            Some(reviewing) if reviewing.unsigned => ReviewsCount::Always,
            Some(_) => ReviewsCount::IfSigned,
        })
    }

    async fn commit(&self, asked: &CommitRef) -> Result<Said, Trouble> {
        let hosts = self.code_hosts.as_ref();
        let Some((hosts, host)) =
            hosts.and_then(|hosts| Some((hosts, hosts.of(&asked.repository)?)))
        else {
            let message = format!("{asked}: its code host is none of those that are asked");
            return Err(Trouble::new(TroubleKind::Denied, message));
        };
        let commit = hosts
            .commit(host, &asked.repository, &asked.revision)
            .await?;
        let mut reviews = None;
        if let Some(reviewing) = host.reviews.as_ref().filter(|_| asked.with_reviews) {
            let changes = hosts.changes(host, &asked.repository, &commit).await?;
            reviews = Some(reviewed(&commit, changes, reviewing));
        }
        Ok(Said {
            message: commit.message,
            reviews,
        })
    }
}

/// Reviews, with the names that people have in the cluster.
fn reviewed(commit: &Commit, changes: Changes, reviewing: &Reviewing) -> (Reviewed, Vec<Review>) {
    let person = |login: &String| Person {
        login: login.clone(),
        user: reviewing.user(login).0,
    };
    // Both, or nobody can say whose work it is.
    let makers = commit.author.as_ref().zip(commit.committer.as_ref());
    let makers = makers.filter(|_| !changes.unknown_makers);
    let reviewed = Reviewed {
        revision: commit.id.clone(),
        same: changes.same,
        authors: makers.map(|(author, committer)| {
            let makers = [author, committer].into_iter();
            makers.chain(&changes.proposers).map(person).collect()
        }),
    };
    let review = |review: HostReview| {
        let (user, by_name) = reviewing.user(&review.login);
        Review {
            url: review.url,
            by: Person {
                login: review.login,
                user,
            },
            is_person: review.is_person,
            is_insider: review.is_insider || by_name,
            word: match review.state {
                State::Approved => Word::Approved,
                State::ChangesRequested => Word::ChangesRequested,
                State::Dismissed => Word::Dismissed,
            },
            commit: review.commit,
            at: review.at,
        }
    };
    (reviewed, changes.reviews.into_iter().map(review).collect())
}

impl From<RegistryError> for Trouble {
    fn from(error: RegistryError) -> Self {
        let kind = match error.kind {
            ErrorKind::Throttled | ErrorKind::Unavailable => TroubleKind::Transient,
            ErrorKind::NotFound => TroubleKind::NotFound,
            ErrorKind::Denied => TroubleKind::Denied,
            ErrorKind::Invalid | ErrorKind::TooLarge => TroubleKind::Invalid,
        };
        Self::new(kind, error.to_string())
    }
}
