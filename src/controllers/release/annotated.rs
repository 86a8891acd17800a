//! Gather: what an image's annotations say, without what it has from its base image.

use super::evidence::{Claim, Named};
use super::gather::RegistryOrigins;
use super::origins::Trouble;
use crate::model::ImageName;
use crate::registry::Manifest;
use crate::registry::base::{Base, below};
use crate::registry::source::{REVISION, SOURCE, TICKETS, from_annotations};

impl RegistryOrigins {
    /// What the annotations say that are not the base image's.
    pub(super) async fn annotated(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        remarks: &mut Vec<String>,
    ) -> Result<Claim, Trouble> {
        let said = &manifest.annotations;
        if !said.contains_key(SOURCE) {
            return Ok(Ok(None));
        }
        let below = below(&*self.images, name, manifest).await?;
        let own = below.own(said);
        let inherited = |key: &&str| said.contains_key(*key) && !own.contains_key(*key);
        let inherited = Vec::from_iter([SOURCE, REVISION].into_iter().filter(inherited));
        if !inherited.is_empty() {
            let remark = format!(
                "its base image says the same of {}, so that it is not the image's own word, and does not count",
                inherited.join(" and ")
            );
            remarks.push(remark);
        }
        Ok(match from_annotations(&own) {
            None => Ok(None),
            Some(Ok(facts)) => Ok(Some(Named {
                facts,
                at: Some(manifest.digest.clone()),
                signed_by: None,
                doubt: doubt(below.base),
            })),
            Some(Err(error)) => Err(error.to_string()),
        })
    }

    /// The tickets that the image names itself.
    pub(super) async fn tickets(
        &self,
        name: &ImageName,
        whole: &Manifest,
        singles: &[Manifest],
    ) -> Result<Vec<String>, Trouble> {
        let mut manifests = std::iter::once(whole).chain(singles);
        let Some(named) = manifests.find(|one| one.annotations.contains_key(TICKETS)) else {
            return Ok(Vec::new());
        };
        let own = below(&*self.images, name, named).await?;
        let own = own.own(&named.annotations);
        let ids = own.get(TICKETS).map(String::as_str).unwrap_or_default();
        let ids = ids.split([',', ' ', ';']).filter(|id| !id.is_empty());
        Ok(ids.map(str::to_owned).collect())
    }
}

/// Why what an image says may be said of its base image instead.
pub(super) fn doubt(base: Base) -> Option<String> {
    match base {
        Base::Known { .. } => None,
        Base::Unknown(why) => Some(why),
    }
}
