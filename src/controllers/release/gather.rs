//! Gather: what registries say of an image, by the port for reading images. The best evidence of its source counts: a
//! signed provenance, then its annotations, then a `scm-source.json` in it. Where an index has images for several
//! platforms, all of them must say the same.

use std::sync::Arc;

use async_trait::async_trait;

use super::origins::{
    CommitRef, Origin, Origins, Resolved, ReviewsCount, Said, Searched, Trouble, TroubleKind,
};
use crate::api;
use crate::model::{Digest, ImageName, ImageRef, SourceRepository};
use crate::plan::approval::reviews::{Person, Review, Reviewed, Word};
use crate::registry::attestation::{Trust, attestations};
use crate::registry::code_hosts::{
    Changes, CodeHosts, Commit, HostReview, Reviewing, State, is_commit,
};
use crate::registry::find::{Base, Found, USUAL_BUDGET, find_file};
use crate::registry::source::{Evidence, FILE, SourceFacts, from_annotations, from_scm_source};
use crate::registry::{ErrorKind, Images, Manifest, RegistryError};

/// The annotation by which an image names its tickets, divided by commas or spaces.
pub use crate::registry::source::TICKETS;
/// How many images of an index are looked into.
const PLATFORMS: usize = 20;

/// Origins out of registries.
pub struct RegistryOrigins {
    /// The registries.
    pub images: Arc<dyn Images>,
    /// Whose signatures count.
    pub trust: Trust,
    /// Who is asked about commits.
    pub code_hosts: Option<CodeHosts>,
}

/// A source, and where it is said; or why there is none.
type Claim = Result<Option<(SourceFacts, Option<Digest>, Option<String>)>, String>;

#[async_trait]
impl Origins for RegistryOrigins {
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
        let (name, whole) = (image.name(), self.images.resolve(image).await?);
        // One that is not looked at could be any image.
        let too_many = whole.images().count() > PLATFORMS;
        let singles = match too_many {
            true => Vec::new(),
            false => self.singles(name, &whole).await?,
        };
        let mut searched = Searched {
            tickets: tickets(&whole, &singles),
            ..Searched::default()
        };
        // What is said of the index as a whole is said of all its images.
        let steps = [Step::Attested, Step::Annotated, Step::InTheImage];
        for step in steps {
            let mut said = self.said(step, name, &whole, &mut searched.remarks).await?;
            if matches!(said, Ok(None)) && !singles.is_empty() {
                let mut of_each = Vec::new();
                for single in &singles {
                    of_each.push(self.said(step, name, single, &mut searched.remarks).await?);
                }
                said = agreed(of_each, &mut searched.remarks);
            }
            if too_many && matches!(said, Ok(None)) {
                let remark = format!(
                    "it has more than {PLATFORMS} images, which are not searched one by one: let a signed statement be \
                     about the whole, or push fewer"
                );
                searched.remarks.push(remark);
                break;
            }
            match said {
                Ok(Some((facts, digest, signed_by))) => {
                    searched.origin = Some(origin(facts, digest, signed_by));
                    break;
                }
                Ok(None) => {}
                Err(remark) => {
                    searched.remarks.push(remark);
                    // Where those whom we trust contradict each other, nobody else is believed instead.
                    if step == Step::Attested {
                        break;
                    }
                }
            }
        }
        if let (Some(hosts), Some(origin)) = (&self.code_hosts, &searched.origin)
            && let Some(revision) = &origin.revision
            && hosts.of(&origin.repository).is_some()
            && !is_commit(revision)
        {
            let remark = format!(
                "its tickets are not known: {revision:.80} is no commit's id, so the code host is not asked"
            );
            searched.remarks.push(remark);
        }
        searched.remarks.dedup();
        Ok(searched)
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

/// A kind of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Attested,
    Annotated,
    InTheImage,
}

impl RegistryOrigins {
    /// The images of an index; none for a single image.
    async fn singles(&self, name: &ImageName, whole: &Manifest) -> Result<Vec<Manifest>, Trouble> {
        let mut singles = Vec::new();
        for child in whole.images() {
            singles.push(self.images.resolve(&name.at(child.digest.clone())).await?);
        }
        Ok(singles)
    }

    /// What one kind of evidence says of one manifest.
    async fn said(
        &self,
        step: Step,
        name: &ImageName,
        manifest: &Manifest,
        remarks: &mut Vec<String>,
    ) -> Result<Claim, Trouble> {
        match step {
            Step::Attested => {
                let verdict =
                    attestations(&*self.images, name, &manifest.digest, &self.trust).await?;
                let skipped = verdict.skipped.into_iter();
                remarks.extend(skipped.map(|one| format!("{}: {}", one.carrier, one.reason)));
                if verdict.contradicts {
                    let message = "those whose signatures are trusted name different sources";
                    return Ok(Err(message.to_owned()));
                }
                let source = verdict.source;
                Ok(Ok(
                    source.map(|one| (one.facts, Some(one.carrier), Some(one.key)))
                ))
            }
            Step::Annotated => Ok(match from_annotations(&manifest.annotations) {
                None => Ok(None),
                Some(Ok(facts)) => Ok(Some((facts, Some(manifest.digest.clone()), None))),
                Some(Err(error)) => Err(error.to_string()),
            }),
            Step::InTheImage if manifest.layers().is_empty() => Ok(Ok(None)),
            Step::InTheImage => self.in_the_image(name, manifest, remarks).await,
        }
    }

    async fn in_the_image(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        remarks: &mut Vec<String>,
    ) -> Result<Claim, Trouble> {
        let found = find_file(&*self.images, name, manifest, FILE, USUAL_BUDGET).await?;
        Ok(match found {
            Found::File {
                content,
                layer,
                base,
            } => {
                if let Base::Unknown(why) = base {
                    let remark = format!("its {FILE} may be that of its base image: {why}");
                    remarks.push(remark);
                }
                match from_scm_source(&content) {
                    Ok(facts) => Ok(Some((facts, Some(layer), None))),
                    Err(error) => Err(format!("its {FILE} in {layer}: {error}")),
                }
            }
            Found::Nowhere { .. } => Ok(None),
            Found::TooLarge { read } => Err(format!(
                "no {FILE} in the first {} MiB of the image, and no more of it was searched",
                read >> 20
            )),
            Found::Unreadable { layer, reason } => {
                Err(format!("its layer {layer} cannot be searched: {reason}"))
            }
        })
    }
}

/// What all images of an index say, if all say the same. One that was built from a modified tree makes all so.
fn agreed(of_each: Vec<Claim>, remarks: &mut Vec<String>) -> Claim {
    let mut all = Vec::new();
    for said in of_each {
        all.push(said?);
    }
    if all.iter().all(Option::is_none) {
        return Ok(None);
    }
    if all.iter().any(Option::is_none) {
        remarks.push("not all images of the index name a source".to_owned());
        return Ok(None);
    }
    let mut said = all.into_iter().flatten().collect::<Vec<_>>().into_iter();
    let Some(mut first) = said.next() else {
        return Ok(None);
    };
    for (facts, ..) in said {
        if facts.repository != first.0.repository || facts.revision != first.0.revision {
            return Err("the images of the index do not name the same source".to_owned());
        }
        first.0.dirty = match (first.0.dirty, facts.dirty) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
    }
    Ok(Some(first))
}

fn tickets(whole: &Manifest, singles: &[Manifest]) -> Vec<String> {
    let mut manifests = std::iter::once(whole).chain(singles);
    let text = manifests.find_map(|one| one.annotations.get(TICKETS));
    let ids = text.map(String::as_str).unwrap_or_default();
    ids.split([',', ' ', ';'])
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect()
}

fn origin(facts: SourceFacts, digest: Option<Digest>, signed_by: Option<String>) -> Origin {
    // Taken apart in full, so that no fact is forgotten.
    let SourceFacts {
        repository,
        revision,
        dirty,
        author,
        evidence,
    } = facts;
    Origin {
        repository,
        revision,
        dirty,
        author,
        evidence: match evidence {
            Evidence::Attestation => api::Evidence::Attestation,
            Evidence::Annotation => api::Evidence::Annotation,
            Evidence::ScmSourceFile => api::Evidence::ScmSourceFile,
        },
        evidence_digest: digest,
        signed_by,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str, dirty: Option<bool>) -> SourceFacts {
        SourceFacts {
            repository: format!("https://git.example.com/a/{name}").parse().unwrap(),
            revision: Some("abc".to_owned()),
            dirty,
            author: None,
            evidence: Evidence::Annotation,
        }
    }

    fn says(name: &str, dirty: Option<bool>) -> Claim {
        Ok(Some((facts(name, dirty), None, None)))
    }

    #[test]
    fn the_images_of_an_index_say_the_same_or_nothing_is_known() {
        let mut remarks = Vec::new();
        let mut agreed = |of_each| agreed(of_each, &mut remarks);
        assert_eq!(agreed(vec![Ok(None), Ok(None)]), Ok(None));
        let (clean, unsaid) = (says("shop", Some(false)), says("shop", None));
        let mut dirty = |of_each| agreed(of_each).unwrap().unwrap().0.dirty;
        assert_eq!(dirty(vec![clean.clone(), clean.clone()]), Some(false));
        assert_eq!(dirty(vec![clean.clone(), unsaid.clone()]), None);
        let modified = says("shop", Some(true));
        assert_eq!(dirty(vec![unsaid, modified, clean.clone()]), Some(true));
        for (of_each, words) in [
            (vec![clean.clone(), says("web", None)], "the same source"),
            (vec![clean, Err("rubbish".to_owned())], "rubbish"),
        ] {
            let error = agreed(of_each).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        for of_each in [
            vec![says("shop", None), Ok(None)],
            vec![Ok(None), says("shop", None)],
        ] {
            assert_eq!(agreed(of_each), Ok(None));
        }
        assert_eq!(remarks.len(), 2, "{remarks:?}");
    }
}
