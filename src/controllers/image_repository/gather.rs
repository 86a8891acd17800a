//! Gather: what AWS has of the repository.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ImageRepositories, Place, reasons};
use crate::cloud::{ErrorKind, IMAGES_AT_ONCE, Image, Repositories, Repository};
use crate::engine::{Failure, Outcome};
use crate::model::RepositoryName;
use crate::plan::repository::{DesiredRepository, ObservedRepository, keep_tag};

/// What was seen, and the way there.
pub(super) struct Gathered {
    /// The repositories of the account in the region.
    pub(super) port: Arc<dyn Repositories>,
    /// The repository, if there is one.
    pub(super) repository: Option<Repository>,
    /// The same with all that belongs to it.
    pub(super) seen: Option<ObservedRepository>,
    /// The images that are to be kept and are not yet.
    pub(super) unkept: Vec<Image>,
}

impl Gathered {
    /// What a plan is about.
    pub(super) fn target(&self, place: &Place, desired: &DesiredRepository) -> String {
        match &self.repository {
            Some(repository) => repository.arn.clone(),
            None => format!("{}/{}/{}", place.account, place.region, desired.name),
        }
    }
}

impl ImageRepositories {
    /// The way into the account. `Err`: it is closed to us.
    pub(super) async fn enter(
        &self,
        place: &Place,
    ) -> Result<Result<Arc<dyn Repositories>, Outcome>, Failure> {
        match self.cloud.sessions.enter(&place.account, &place.role).await {
            Ok(inside) => Ok(Ok(inside.repositories(place.region))),
            Err(error) if error.kind == ErrorKind::Denied => {
                let message = format!(
                    "role {} of account {} does not let us in: it must exist there and trust the operator's role ({error})",
                    place.role, place.account
                );
                Ok(Err(Outcome::blocked(reasons::ACCESS_DENIED, message)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The repository with its tags, its policy, its rules of expiry, and which of the images that matter are there.
    pub(super) async fn gather(
        &self,
        place: &Place,
        desired: &DesiredRepository,
    ) -> Result<Result<Gathered, Outcome>, Failure> {
        let port = match self.enter(place).await? {
            Ok(port) => port,
            Err(outcome) => return Ok(Err(outcome)),
        };
        let mut found = Gathered {
            repository: port.repository(&desired.name).await?,
            port,
            seen: None,
            unkept: Vec::new(),
        };
        let Some(repository) = found.repository.clone() else {
            return Ok(Ok(found));
        };
        let port = &found.port;
        let tags = port.tags(&repository.arn).await?;
        let policy = port.policy(&desired.name).await?;
        let lifecycle = port.lifecycle(&desired.name).await?;
        let scanned = repository.scan_on_push || port.is_scanned(&desired.name).await?;
        let (kept, unkept) = images(port.as_ref(), &desired.name, desired).await?;
        found.seen = Some(ObservedRepository {
            mutability: repository.mutability,
            scan_on_push: scanned,
            encryption: repository.encryption,
            created: repository.created.map(|at| at.as_second()),
            tags,
            policy,
            lifecycle,
            kept,
        });
        found.unkept = unkept;
        Ok(Ok(found))
    }
}

/// Which of the images to be kept are there and kept, and those that are there and not kept. An image that is not there
/// (any more) cannot be kept; that is for its releases to say.
async fn images(
    port: &dyn Repositories,
    name: &RepositoryName,
    desired: &DesiredRepository,
) -> Result<(BTreeMap<String, bool>, Vec<Image>), Failure> {
    let digests: Vec<&String> = desired.keep.iter().collect();
    let (mut kept, mut unkept) = (BTreeMap::new(), Vec::new());
    for some in digests.chunks(IMAGES_AT_ONCE) {
        let tags: Vec<String> = some.iter().filter_map(|digest| keep_tag(digest)).collect();
        let at = port.tagged(name, &tags).await?;
        let is_kept = |digest: &str| {
            keep_tag(digest).is_some_and(|tag| at.get(&tag).is_some_and(|at| at == digest))
        };
        let (done, open): (Vec<&String>, Vec<&String>) =
            some.iter().copied().partition(|digest| is_kept(digest));
        kept.extend(done.into_iter().map(|digest| (digest.clone(), true)));
        if open.is_empty() {
            continue;
        }
        let open: Vec<String> = open.into_iter().cloned().collect();
        for image in port.images(name, &open).await? {
            kept.insert(image.digest.clone(), false);
            unkept.push(image);
        }
    }
    Ok((kept, unkept))
}
