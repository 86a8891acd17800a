//! Organizational units: found, or created when they are missing.

use super::Organization;
use super::pages::patiently;
use crate::cloud::{ErrorKind, ParentId, Result};
use crate::model::{Tags, UnitPath};

impl Organization {
    /// The root of the organization.
    ///
    /// # Errors
    /// AWS's, if it has to be asked.
    pub async fn root(&self) -> Result<ParentId> {
        if let Some(root) = self.view().root.clone() {
            return Ok(root);
        }
        patiently(|| self.cloud.units.root()).await
    }

    /// The id of a unit; units that are missing on the path are created, by one caller at a time.
    ///
    /// # Errors
    /// AWS's.
    pub async fn ensure_unit(&self, path: &UnitPath, tags: &Tags) -> Result<ParentId> {
        if let Some(id) = self.unit(path) {
            return Ok(id);
        }
        let _one_at_a_time = self.creating_units.lock().await;
        let (mut parent, mut here) = (self.root().await?, UnitPath::root());
        for name in path.names() {
            here = here.child(name);
            parent = match self.unit(&here) {
                Some(id) => id,
                None => self.find_or_create_unit(&parent, &here, name, tags).await?,
            };
        }
        Ok(parent)
    }

    async fn find_or_create_unit(
        &self,
        parent: &ParentId,
        path: &UnitPath,
        name: &str,
        tags: &Tags,
    ) -> Result<ParentId> {
        let mut page = None;
        let found = loop {
            let answer = self.cloud.units.units_in(parent, page).await?;
            if let Some(unit) = answer.items.into_iter().find(|unit| unit.name == name) {
                break Some(unit.id);
            }
            page = answer.next;
            if page.is_none() {
                break None;
            }
        };
        let id = match found {
            Some(id) => id,
            None => match self.cloud.units.create_unit(parent, name, tags).await {
                Ok(unit) => unit.id,
                // Made a moment ago, by an earlier life of ours or by somebody, and not listed yet: soon it is.
                Err(mut error) if error.kind == ErrorKind::AlreadyExists => {
                    error.kind = ErrorKind::Conflict;
                    return Err(error);
                }
                Err(error) => return Err(error),
            },
        };
        let mut view = self.view();
        view.lately.unit(path, &id, self.clock.now());
        view.units.insert(path.clone(), id.clone());
        view.paths.insert(id.clone(), path.clone());
        Ok(id)
    }
}
