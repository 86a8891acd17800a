//! Organizational units.

use async_trait::async_trait;

use super::accounts::check_tags;
use super::faults::Call;
use super::refusal::{invalid_input, refused, violated};
use super::world::{UnitRecord, World};
use super::{Gate, paging};
use crate::cloud::{CloudError, Company, Page, ParentId, Result, Unit, Units};
use crate::model::{Tags, UnitPath};

const DESCRIBE: &str = "organizations.DescribeOrganization";
const ROOTS: &str = "organizations.ListRoots";
const LIST: &str = "organizations.ListOrganizationalUnitsForParent";
const CREATE: &str = "organizations.CreateOrganizationalUnit";

/// "OU maximum nesting in a root" (Organizations User Guide, "Quotas").
const DEEPEST: usize = 5;

impl World {
    fn list_units(&mut self, parent: &ParentId, page: Option<&str>) -> Result<Page<Unit>> {
        let start = paging::start(LIST, page)?;
        if !self.is_parent(parent) {
            return Err(parent_not_found(LIST));
        }
        if self.faults.happens(self.options.empty_page_rate) {
            return Ok(paging::empty(start));
        }
        let after = match start {
            None => std::ops::Bound::Unbounded,
            Some(key) => std::ops::Bound::Excluded(ParentId(key.to_owned())),
        };
        let range = (after, std::ops::Bound::Unbounded);
        let ids = self
            .branches
            .get(parent)
            .into_iter()
            .flat_map(|ids| ids.range(range.clone()));
        let units = ids.filter_map(|id| self.units.get(id).map(|unit| (id, unit)));
        let shown = units.filter(|(_, unit)| unit.listed_from <= self.now);
        Ok(paging::fill(shown.map(|(id, unit)| {
            (
                id.0.clone(),
                Unit {
                    id: id.clone(),
                    name: unit.name.clone(),
                },
            )
        })))
    }

    pub(super) fn create_unit(
        &mut self,
        parent: &ParentId,
        name: &str,
        tags: &Tags,
    ) -> Result<Unit> {
        if !self.is_parent(parent) {
            return Err(parent_not_found(CREATE));
        }
        match name.chars().count() {
            0 => return Err(invalid_input(CREATE, "MIN_LENGTH_EXCEEDED")),
            1..=128 => {}
            _ => return Err(invalid_input(CREATE, "MAX_LENGTH_EXCEEDED")),
        }
        check_tags(CREATE, tags)?;
        if self.unit_named(parent, name).is_some() {
            let message = "An OU with the same name already exists.";
            return Err(refused(
                CREATE,
                "DuplicateOrganizationalUnitException",
                message,
            ));
        }
        if self.path_names(parent).len() >= DEEPEST {
            return Err(violated(CREATE, "OU_DEPTH_LIMIT_EXCEEDED"));
        }
        if self.units.len() >= self.options.unit_limit {
            return Err(violated(CREATE, "OU_NUMBER_LIMIT_EXCEEDED"));
        }
        let root = self.root.0.trim_start_matches("r-").to_owned();
        let id = ParentId(format!("ou-{root}-{}", self.word(8)));
        let unit = UnitRecord {
            name: name.to_owned(),
            parent: parent.clone(),
            tags: tags.clone(),
            listed_from: self.now + self.options.visibility_lag,
        };
        self.units.insert(id.clone(), unit);
        self.branches
            .entry(parent.clone())
            .or_default()
            .insert(id.clone());
        Ok(Unit {
            id,
            name: name.to_owned(),
        })
    }

    pub(super) fn unit_named(&self, parent: &ParentId, name: &str) -> Option<ParentId> {
        let ids = self.branches.get(parent)?;
        ids.iter()
            .find(|id| self.units.get(*id).is_some_and(|unit| unit.name == name))
            .cloned()
    }

    /// The names from the root down to `parent`; none for the root.
    fn path_names(&self, parent: &ParentId) -> Vec<&str> {
        let mut names = Vec::new();
        let mut at = parent;
        while let Some(unit) = self.units.get(at) {
            names.push(unit.name.as_str());
            at = &unit.parent;
        }
        names.reverse();
        names
    }

    pub(super) fn path_of(&self, parent: &ParentId) -> UnitPath {
        self.path_names(parent)
            .into_iter()
            .fold(UnitPath::root(), |path, name| path.child(name))
    }
}

fn parent_not_found(operation: &'static str) -> CloudError {
    let message = "We can't find a root or OU with the ParentId that you specified.";
    refused(operation, "ParentNotFoundException", message)
}

#[async_trait]
impl Units for Gate {
    async fn company(&self) -> Result<Company> {
        self.call(Call::read(DESCRIBE, ""), |world| {
            Ok(Company {
                id: world.organization.clone(),
                management: world.management.clone(),
            })
        })
        .await
    }

    async fn root(&self) -> Result<ParentId> {
        self.call(Call::read(ROOTS, ""), |world| Ok(world.root.clone()))
            .await
    }

    async fn units_in(&self, parent: &ParentId, page: Option<String>) -> Result<Page<Unit>> {
        let call = Call::read(LIST, parent);
        self.call(call, |world| world.list_units(parent, page.as_deref()))
            .await
    }

    async fn create_unit(&self, parent: &ParentId, name: &str, tags: &Tags) -> Result<Unit> {
        let call = Call::write(CREATE, format!("{parent}/{name}"));
        self.call(call, |world| world.create_unit(parent, name, tags))
            .await
    }
}
