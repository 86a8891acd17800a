//! `ResourceType`: whether its owner may speak for it, and who holds its scopes.

pub mod reasons;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use kube::ResourceExt;

use super::Caches;
use crate::api::{HeldScope, NameState, OAuthClient, ResourceType};
use crate::engine::conditions::Truth;
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};

/// How many clients a sentence names.
const NAMED: usize = 20;

/// The controller of `ResourceType`.
pub struct ResourceTypes {
    /// The caches.
    pub caches: Caches,
}

#[async_trait]
impl Reconcile for ResourceTypes {
    type Kind = ResourceType;
    const KIND: &'static str = "ResourceType";
    const REASONS: &'static [Reason] = reasons::ALL;

    async fn pass(
        &self,
        object: &ResourceType,
        record: &mut Record<ResourceType>,
    ) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        let (held, applications) = self.held(&object.name_any());
        record.status.held = held;
        let applications: Vec<String> = applications.into_iter().collect();
        record.status.held_by = (!applications.is_empty()).then(|| applications.join(", "));
        if object.metadata.deletion_timestamp.is_some() {
            return Ok(leave(record));
        }
        let spec = &object.spec;
        let name = self.caches.names.get(None, &spec.application);
        let name = name.filter(|name| {
            name.spec.state == NameState::Held && name.spec.owner.namespace == spec.namespace
        });
        let Some(name) = name else {
            let message = format!(
                "the name of application {} is not held by namespace {}: declare the application there first, or correct \
                 spec.application and spec.namespace",
                spec.application, spec.namespace
            );
            record.status.team = None;
            record.set("Accepted", Truth::False, reasons::NOT_OWNED, &message);
            return Ok(Outcome::blocked(reasons::NOT_OWNED, message));
        };
        let team = name.spec.owner.team;
        let message = format!("application {} is team {team}'s", spec.application);
        record.status.team = Some(team);
        record.set("Accepted", Truth::True, reasons::ACCEPTED, &message);
        Ok(Outcome::Settled { resync: None })
    }
}

impl ResourceTypes {
    /// Who is registered with which of its scopes, and the applications of those.
    fn held(&self, resource_type: &str) -> (Vec<HeldScope>, BTreeSet<String>) {
        let look = |client: &OAuthClient| {
            let scopes: Vec<String> = scopes_of(client, resource_type).collect();
            let who = || {
                format!(
                    "{}/{}",
                    client.namespace().unwrap_or_default(),
                    client.name_any()
                )
            };
            (!scopes.is_empty()).then(|| (scopes, who(), client.spec.application.clone()))
        };
        let mut by_scope: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut applications = BTreeSet::new();
        for (scopes, who, application) in self.caches.clients.each(look) {
            applications.insert(application);
            for scope in scopes {
                by_scope.entry(scope).or_default().insert(who.clone());
            }
        }
        let held = by_scope.into_iter().map(|(name, clients)| HeldScope {
            name,
            clients: clients.into_iter().collect(),
        });
        (held.collect(), applications)
    }
}

/// The names of the scopes of that resource type with which a client is registered.
pub fn scopes_of<'a>(
    client: &'a OAuthClient,
    resource_type: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let scopes = client.status.iter().flat_map(|status| &status.scopes);
    scopes.filter_map(move |scope| {
        let (of, name) = scope.rsplit_once('.')?;
        (of == resource_type).then(|| name.to_owned())
    })
}

/// It goes when nobody holds a scope of it any more.
fn leave(record: &mut Record<ResourceType>) -> Outcome {
    let held = &record.status.held;
    if held.is_empty() {
        let message = "nobody holds a scope of it any more";
        record.set("Unheld", Truth::True, reasons::NOT_HELD, message);
        return Outcome::Released;
    }
    let told: Vec<String> = held
        .iter()
        .map(|scope| {
            let some: Vec<&str> = scope
                .clients
                .iter()
                .take(NAMED)
                .map(String::as_str)
                .collect();
            let more = scope.clients.len() - some.len();
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!("{} by {}{more}", scope.name, some.join(", "))
        })
        .collect();
    let message = format!(
        "it goes when nobody holds a scope of it any more: {}. They remove it from spec.scopes",
        told.join("; ")
    );
    record.set("Unheld", Truth::False, reasons::STILL_HELD, &message);
    Outcome::blocked(reasons::STILL_HELD, message)
}
