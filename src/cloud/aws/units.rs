//! Organizational units by AWS Organizations.

use async_trait::async_trait;
use aws_sdk_organizations::Client;
use aws_sdk_organizations::types;

use super::super::{Company, Page, ParentId, Result, Unit, Units};
use super::accounts::{PAGE_SIZE, once, tags_to_aws};
use super::error::classify;
use super::odd_answer;
use crate::model::Tags;

/// [`Units`] by AWS Organizations.
pub(super) struct OrganizationUnits {
    client: Client,
}

impl OrganizationUnits {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Units for OrganizationUnits {
    async fn company(&self) -> Result<Company> {
        const OPERATION: &str = "organizations.DescribeOrganization";
        let answer = self.client.describe_organization().send().await;
        let answer = answer.map_err(|error| classify(OPERATION, error))?;
        let company = answer.organization();
        let parsed = company.and_then(|company| {
            Some(Company {
                id: company.id()?.parse().ok()?,
                management: company.master_account_id()?.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| odd_answer(OPERATION, "organization"))
    }

    async fn root(&self) -> Result<ParentId> {
        const OPERATION: &str = "organizations.ListRoots";
        let answer = self.client.list_roots().send().await;
        let answer = answer.map_err(|error| classify(OPERATION, error))?;
        // An organization has exactly one.
        let root = answer.roots().first().and_then(|root| root.id());
        Ok(ParentId(
            root.ok_or_else(|| odd_answer(OPERATION, "root"))?
                .to_owned(),
        ))
    }

    async fn units_in(&self, parent: &ParentId, page: Option<String>) -> Result<Page<Unit>> {
        const OPERATION: &str = "organizations.ListOrganizationalUnitsForParent";
        let answer = self
            .client
            .list_organizational_units_for_parent()
            .parent_id(&parent.0)
            .max_results(PAGE_SIZE)
            .set_next_token(page)
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        let items = answer
            .organizational_units()
            .iter()
            .map(|unit| unit_from_aws(OPERATION, unit));
        Ok(Page {
            items: items.collect::<Result<_>>()?,
            next: answer.next_token,
        })
    }

    async fn create_unit(&self, parent: &ParentId, name: &str, tags: &Tags) -> Result<Unit> {
        const OPERATION: &str = "organizations.CreateOrganizationalUnit";
        // After a lost reply a second call would say that the name is taken, by whomever.
        let answer = self
            .client
            .create_organizational_unit()
            .parent_id(&parent.0)
            .name(name)
            .set_tags(Some(tags_to_aws(OPERATION, tags)?))
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        let unit = answer.organizational_unit();
        unit_from_aws(
            OPERATION,
            unit.ok_or_else(|| odd_answer(OPERATION, "unit"))?,
        )
    }
}

fn unit_from_aws(operation: &'static str, unit: &types::OrganizationalUnit) -> Result<Unit> {
    let id = unit.id().ok_or_else(|| odd_answer(operation, "unit id"))?;
    Ok(Unit {
        id: ParentId(id.to_owned()),
        name: unit.name().unwrap_or_default().to_owned(),
    })
}
