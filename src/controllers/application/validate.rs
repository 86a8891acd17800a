//! Validate: what the schema cannot say of an application.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::ResourceExt;

use crate::api::Application;
use crate::controllers::release::validate::TicketSystem;
use crate::model::{ApplicationId, SourceRepository};
use crate::plan::naming;

/// What an application's spec says, once it is parsed.
pub struct Valid {
    /// The source repositories, in the form in which they are compared, each once.
    pub repositories: Vec<String>,
    /// How long it keeps its rights after it was set inactive.
    pub retirement_period: Duration,
}

/// Parses a spec.
///
/// # Errors
/// Names the field, and what is wrong with it.
pub fn application(object: &Application) -> Result<Valid, String> {
    object
        .name_any()
        .parse::<ApplicationId>()
        .map_err(|error| format!("metadata.name: {error}"))?;
    let spec = &object.spec;
    let repositories: Result<BTreeSet<String>, String> = spec
        .repositories
        .iter()
        .map(|text| {
            SourceRepository::declared(text)
                .map(|repository| repository.to_string())
                .map_err(|error| format!("spec.repositories: {error}"))
        })
        .collect();
    let retirement_period = naming::duration(&spec.retirement_period).ok_or_else(|| {
        format!(
            "spec.retirementPeriod: {:?} is not a time like 7d or 24h",
            spec.retirement_period
        )
    })?;
    if let Some(system) = &spec.ticket_system {
        TicketSystem::parse(system)?;
    }
    Ok(Valid {
        repositories: repositories?.into_iter().collect(),
        retirement_period,
    })
}
