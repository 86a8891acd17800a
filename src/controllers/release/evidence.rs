//! Gather: the best evidence of an image's source counts: a signed provenance, then its annotations, then a
//! `scm-source.json` in it. Where an index has images for several platforms, all of them must say the same.

use super::annotated::doubt;
use super::gather::RegistryOrigins;
use super::origins::{Origin, Searched, Trouble};
use crate::api;
use crate::model::{Digest, ImageName, ImageRef};
use crate::registry::attestation::attestations;
use crate::registry::code_hosts::is_commit;
use crate::registry::find::{BUDGET_OF_ALL, Found, USUAL_BUDGET, find_file};
use crate::registry::source::{Evidence, FILE, SourceFacts, from_scm_source};
use crate::registry::{LARGEST_DOCUMENT, Manifest};

/// How many images of an index are looked into.
const PLATFORMS: usize = 20;

/// A source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Which.
    pub facts: SourceFacts,
    /// Where it is said.
    pub at: Option<Digest>,
    /// Who signed it.
    pub signed_by: Option<String>,
    /// Why it may be the base image's.
    pub doubt: Option<String>,
}

/// The same, if anything is said; or why that is of no use.
pub(super) type Claim = Result<Option<Named>, String>;

/// A kind of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Attested,
    Annotated,
    InTheImage,
}

impl RegistryOrigins {
    /// Where the image comes from, by the best evidence that there is.
    pub(super) async fn evidence(&self, image: &ImageRef) -> Result<Searched, Trouble> {
        let (name, whole) = (image.name(), self.images.resolve(image).await?);
        // One that is not looked at could be any image.
        let (singles, left_out) = match self.singles(name, &whole).await? {
            Ok(singles) => (singles, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let mut searched = Searched {
            tickets: self.tickets(name, &whole, &singles).await?,
            ..Searched::default()
        };
        let mut budget = BUDGET_OF_ALL;
        // What is said of the index as a whole is said of all its images.
        let steps = [Step::Attested, Step::Annotated, Step::InTheImage];
        for step in steps {
            let look = (step, name);
            let mut said = self.said(look, &whole, &mut searched, &mut budget).await?;
            if !singles.is_empty() && may_be_said_better(step, &said) {
                let mut of_each = Vec::new();
                for single in &singles {
                    let said = self.said(look, single, &mut searched, &mut budget).await?;
                    of_each.push(said);
                }
                said = of_both(said, agreed(of_each, &mut searched.remarks));
            }
            if let (Some(why), Ok(None)) = (&left_out, &said) {
                searched.remarks.push(why.clone());
                break;
            }
            match said {
                Ok(Some(claim)) => {
                    if !better(&mut searched, step, claim) {
                        break;
                    }
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

    /// The images of an index; none for a single image. `Err`: there is too much of them, and why that is too much.
    async fn singles(
        &self,
        name: &ImageName,
        whole: &Manifest,
    ) -> Result<Result<Vec<Manifest>, String>, Trouble> {
        let too_many = |what: String| {
            Ok(Err(format!(
                "{what}, which are not searched one by one: let a signed statement be about the whole, or push fewer"
            )))
        };
        if whole.images().count() > PLATFORMS {
            return too_many(format!("it has more than {PLATFORMS} images"));
        }
        let (mut singles, mut size) = (Vec::new(), 0);
        for child in whole.images() {
            let single = self.images.resolve(&name.at(child.digest.clone())).await?;
            size += single.size;
            if size > LARGEST_DOCUMENT {
                let most = LARGEST_DOCUMENT >> 20;
                return too_many(format!(
                    "it has images whose manifests are larger together than {most} MiB"
                ));
            }
            singles.push(single);
        }
        Ok(Ok(singles))
    }

    /// What one kind of evidence says of one manifest.
    async fn said(
        &self,
        (step, name): (Step, &ImageName),
        manifest: &Manifest,
        searched: &mut Searched,
        budget: &mut u64,
    ) -> Result<Claim, Trouble> {
        match step {
            Step::Attested => {
                let verdict =
                    attestations(&*self.images, name, &manifest.digest, &self.trust).await?;
                let skipped = verdict.skipped.into_iter();
                let remarks = skipped.map(|one| format!("{}: {}", one.carrier, one.reason));
                searched.remarks.extend(remarks);
                if verdict.refused.is_some() {
                    searched.refused = verdict.refused;
                }
                if verdict.contradicts {
                    let message = "those whose signatures are trusted name different sources";
                    return Ok(Err(message.to_owned()));
                }
                let source = verdict.source;
                Ok(Ok(source.map(|one| Named {
                    facts: one.facts,
                    at: Some(one.carrier),
                    signed_by: Some(one.key),
                    doubt: None,
                })))
            }
            Step::Annotated => self.annotated(name, manifest, &mut searched.remarks).await,
            Step::InTheImage if manifest.layers().is_empty() => Ok(Ok(None)),
            Step::InTheImage => {
                let most = USUAL_BUDGET.min(*budget);
                let (claim, read) = self.in_the_image(name, manifest, most).await?;
                *budget = budget.saturating_sub(read);
                Ok(claim)
            }
        }
    }

    /// What a file in the image says, and how many bytes were unpacked for that.
    async fn in_the_image(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        budget: u64,
    ) -> Result<(Claim, u64), Trouble> {
        let (found, read) = find_file(&*self.images, name, manifest, FILE, budget).await?;
        let claim = match found {
            Found::File {
                content,
                layer,
                base,
            } => match from_scm_source(&content) {
                Ok(facts) => Ok(Some(Named {
                    facts,
                    at: Some(layer),
                    signed_by: None,
                    doubt: doubt(base),
                })),
                Err(error) => Err(format!("its {FILE} in {layer}: {error}")),
            },
            Found::Nowhere { .. } => Ok(None),
            Found::TooLarge => Err(format!(
                "no {FILE} in the first {} MiB of the image, and no more of it was searched",
                read >> 20
            )),
            Found::Unreadable { layer, reason } => {
                Err(format!("its layer {layer} cannot be searched: {reason}"))
            }
        };
        Ok((claim, read))
    }
}

/// Whether another place may say it better: nothing is said here, or no commit, and nobody has signed for it.
fn may_be_said_better(step: Step, said: &Claim) -> bool {
    match said {
        Ok(Some(named)) => named.facts.revision.is_none() && step != Step::Attested,
        Ok(None) => true,
        Err(_) => false,
    }
}

/// What is said of an index: by itself, or, where that names no commit of it, by its images.
fn of_both(whole: Claim, each: Claim) -> Claim {
    match (whole, each) {
        (Ok(Some(whole)), Ok(Some(each)))
            if each.facts.repository == whole.facts.repository && each.facts.revision.is_some() =>
        {
            Ok(Some(each))
        }
        (Ok(Some(whole)), _) => Ok(Some(whole)),
        (_, each) => each,
    }
}

/// Takes what a step names for the image's source. Gives back whether a further step may still name it better: where
/// somebody who is not signed for says from which repository, and not from which commit.
fn better(searched: &mut Searched, step: Step, claim: Named) -> bool {
    let Some(before) = &searched.origin else {
        let is_open = claim.facts.revision.is_none() && step != Step::Attested;
        searched.origin = Some(origin(claim));
        return is_open;
    };
    if claim.facts.repository != before.repository {
        let remark = format!(
            "its {FILE} names another repository than its annotations, {}, and does not count",
            claim.facts.repository
        );
        searched.remarks.push(remark);
    } else if claim.facts.revision.is_some() {
        searched.origin = Some(origin(claim));
    }
    false
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
    for Named { facts, doubt, .. } in said {
        let of_all = &mut first.facts;
        if facts.repository != of_all.repository || facts.revision != of_all.revision {
            return Err("the images of the index do not name the same source".to_owned());
        }
        of_all.dirty = match (of_all.dirty, facts.dirty) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
        first.doubt = first.doubt.or(doubt);
    }
    Ok(Some(first))
}

fn origin(named: Named) -> Origin {
    // Taken apart in full, so that no fact is forgotten.
    let Named {
        facts,
        at,
        signed_by,
        doubt,
    } = named;
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
        evidence_digest: at,
        signed_by,
        doubt,
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
        Ok(Some(Named {
            facts: facts(name, dirty),
            at: None,
            signed_by: None,
            doubt: None,
        }))
    }

    #[test]
    fn the_images_of_an_index_say_the_same_or_nothing_is_known() {
        let mut remarks = Vec::new();
        let mut agreed = |of_each| agreed(of_each, &mut remarks);
        assert_eq!(agreed(vec![Ok(None), Ok(None)]), Ok(None));
        let (clean, unsaid) = (says("shop", Some(false)), says("shop", None));
        let mut dirty = |of_each| agreed(of_each).unwrap().unwrap().facts.dirty;
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

    #[test]
    fn a_doubt_about_one_image_is_one_about_the_index() {
        let clean = says("shop", Some(false));
        let doubtful = |doubt: &str| {
            let mut named = says("shop", None).unwrap().unwrap();
            named.doubt = Some(doubt.to_owned());
            Ok(Some(named))
        };
        for of_each in [
            vec![clean.clone(), doubtful("x")],
            vec![doubtful("x"), clean.clone()],
        ] {
            let doubt = agreed(of_each, &mut Vec::new()).unwrap().unwrap().doubt;
            assert_eq!(doubt.as_deref(), Some("x"));
        }
    }
}
