//! `ResourceType`: whether its owner may speak for it, and who holds its scopes.

pub mod reasons;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::Caches;
use super::oauth_client::scopes::{self, Holder};
use super::oauth_client::vault::Vault;
use crate::api::{
    HeldScope, NameState, OAuthClient, ResourceType, ResourceTypeSpec, RetainedHolder,
};
use crate::engine::conditions::{self, Truth};
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::few::{and_more, few};

/// How many clients of a scope the status names.
const NAMED: usize = 20;
/// How soon it is looked again whether what is held still is, where nobody tells.
const AGAIN: Duration = Duration::from_secs(600);
/// How many of those that were retained are looked for in a pass; the next ones after that time.
const LOOKED_FOR: usize = 20;
/// The condition that is there while somebody holds more than is granted.
const WITHIN_GRANTS: &str = "WithinGrants";
/// How many applications stand in a column of `kubectl get`.
const IN_LINE: usize = 3;

/// The controller of `ResourceType`.
pub struct ResourceTypes {
    /// The caches.
    pub caches: Caches,
    /// What is kept of clients: whose is gone from it is gone.
    pub vault: Vault,
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
        self.forget_what_is_gone(record).await?;
        let retained = record.status.retained.clone();
        let (held, applications) = self.held(&object.name_any(), &retained);
        record.status.held = held;
        record.status.held_by = line(&applications);
        if object.metadata.deletion_timestamp.is_some() {
            return Ok(match (leave(record), retained.is_empty()) {
                // That a Secret is removed nobody tells.
                (Outcome::Blocked { reason, message }, false) => {
                    Outcome::waiting(reason, message, AGAIN)
                }
                (outcome, _) => outcome,
            });
        }
        let spec = &object.spec;
        let name = self.caches.names.get(None, &spec.application);
        let name = name.filter(|name| name.spec.state == NameState::Held);
        let (name, elsewhere) = match name {
            Some(name) if name.spec.owner.namespace == spec.namespace => (Some(name), None),
            other => (None, other.map(|name| name.spec.owner.namespace)),
        };
        record.status.name_held_in.clone_from(&elsewhere);
        let Some(name) = name else {
            let message = not_owned(spec, elsewhere.as_deref());
            record.status.team = None;
            record.set("Accepted", Truth::False, reasons::NOT_OWNED, &message);
            return Ok(Outcome::blocked(reasons::NOT_OWNED, message));
        };
        let team = name.spec.owner.team;
        let message = format!("application {} is team {team}'s", spec.application);
        record.status.team = Some(team);
        record.set("Accepted", Truth::True, reasons::ACCEPTED, &message);
        if let Some(outcome) = self.beyond_grants(object, record) {
            return Ok(outcome);
        }
        Ok(Outcome::Settled {
            resync: (!retained.is_empty()).then_some(AGAIN),
        })
    }
}

impl ResourceTypes {
    /// Who is registered with which of its scopes, and the applications of those.
    fn held(
        &self,
        resource_type: &str,
        retained: &[RetainedHolder],
    ) -> (Vec<HeldScope>, BTreeSet<String>) {
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
        for gone in retained {
            applications.insert(gone.application.clone());
            for scope in &gone.scopes {
                let clients = by_scope.entry(scope.clone()).or_default();
                clients.insert(gone.client.clone());
            }
        }
        let held = by_scope.into_iter();
        let held = held.map(|(name, clients)| holders(name, clients));
        (held.collect(), applications)
    }

    /// What was retained is there until somebody has removed what the operator kept of it.
    async fn forget_what_is_gone(&self, record: &mut Record<ResourceType>) -> Result<(), Failure> {
        let looked_for = turn(record.status.retained.len(), record.now);
        let mut gone = BTreeSet::new();
        for one in &record.status.retained[looked_for] {
            if !self.vault.stands(&one.uid).await? {
                gone.insert(one.uid.clone());
            }
        }
        let retained = &mut record.status.retained;
        retained.retain(|one| !gone.contains(&one.uid));
        Ok(())
    }

    /// Who holds what was taken back, which goes by itself, but not where whoever holds it lets nothing be written; and what is
    /// held and not declared any more, which nothing takes away, for absence is no order.
    fn beyond_grants(
        &self,
        object: &ResourceType,
        record: &mut Record<ResourceType>,
    ) -> Option<Outcome> {
        let judged = ResourceType {
            status: Some(record.status.clone()),
            ..object.clone()
        };
        let type_name = object.name_any();
        let mut told = self.caches.clients.each(|client: &OAuthClient| {
            let mut held = scopes_of(client, &type_name).peekable();
            // Of most there is nothing to look up.
            held.peek()?;
            let holder = Holder::of(client, &self.caches);
            let beyond: Vec<String> = held
                .filter(|name| {
                    let scope = format!("{type_name}.{name}");
                    scopes::is_withdrawn(&scope, &holder, Some(&judged))
                })
                .collect();
            let namespace = client.namespace().unwrap_or_default();
            (!beyond.is_empty())
                .then(|| format!("{namespace}/{} {}", client.name_any(), beyond.join(" and ")))
        });
        told.sort();
        let is_gone = |held: &&HeldScope| {
            let mut scopes = object.spec.scopes.iter();
            !scopes.any(|scope| scope.name == held.name)
        };
        let gone: Vec<String> = record
            .status
            .held
            .iter()
            .filter(is_gone)
            .map(whose)
            .collect();
        let mut messages = Vec::new();
        if !told.is_empty() {
            messages.push(format!(
                "held and not granted any more: {}. It is taken away by itself, and what was given out before is valid for an hour at most \
                 after that (two, if a still older version holds it), but for a client that is suspended, in mode Plan, about to go, \
                 or to whose places nothing can be delivered, which its own conditions say, and whose owner must be asked",
                few(&told, NAMED)
            ));
        }
        if !gone.is_empty() {
            messages.push(format!(
                "held and not in spec.scopes any more: {}. Nothing takes it away: declare it again without grantedTo, and remove \
                 it when nobody holds it any more",
                few(&gone, NAMED)
            ));
        }
        if messages.is_empty() {
            conditions::remove(&mut record.status.conditions, WITHIN_GRANTS);
            return None;
        }
        let message = messages.join(". ");
        let reason = reasons::HELD_WITHOUT_GRANT;
        record.set(WITHIN_GRANTS, Truth::False, reason, &message);
        Some(Outcome::waiting(reason, message, AGAIN))
    }
}

/// That the application is not in the namespace that the spec names; `elsewhere`: where it is.
fn not_owned(spec: &ResourceTypeSpec, elsewhere: Option<&str>) -> String {
    let (application, namespace) = (&spec.application, &spec.namespace);
    let base =
        format!("the name of application {application} is not held by namespace {namespace}");
    match elsewhere {
        Some(other) => format!(
            "{base} but by {other}: if it was transferred, whoever may change the application there sets spec.namespace to \
             {other}; else correct spec.application and spec.namespace"
        ),
        None => format!(
            "{base}: declare the application there first, or correct spec.application and spec.namespace"
        ),
    }
}

/// Which of so many are looked for at this time, so that each has its turn.
fn turn(count: usize, now: Timestamp) -> std::ops::Range<usize> {
    let turns = count.div_ceil(LOOKED_FOR).max(1);
    let passed = now.as_second().unsigned_abs() / AGAIN.as_secs();
    let start = usize::try_from(passed).unwrap_or_default() % turns * LOOKED_FOR;
    start..count.min(start + LOOKED_FOR)
}

/// The applications in a line, or the first of them.
fn line(applications: &BTreeSet<String>) -> Option<String> {
    (!applications.is_empty()).then(|| few(applications, IN_LINE))
}

/// Who holds a scope, bounded: an object has room for so much, and nobody reads thousands of names.
fn holders(name: String, clients: BTreeSet<String>) -> HeldScope {
    let more = clients.len().saturating_sub(NAMED);
    HeldScope {
        name,
        clients: clients.into_iter().take(NAMED).collect(),
        more: (more > 0).then(|| i64::try_from(more).unwrap_or(i64::MAX)),
    }
}

/// Who holds a scope, in words.
fn whose(scope: &HeldScope) -> String {
    let more = usize::try_from(scope.more.unwrap_or_default()).unwrap_or_default();
    let clients = scope.clients.join(", ");
    format!("{} by {clients}{}", scope.name, and_more(more))
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
    let told: Vec<String> = held.iter().map(whose).collect();
    let retained = record.status.retained.iter();
    let retained: Vec<String> = retained
        .map(|one| {
            let (ids, vault) = (one.client_ids.join(" and "), Vault::named(&one.uid));
            format!("{} ({ids}, Secret {vault})", one.client)
        })
        .collect();
    let kept = match retained.as_slice() {
        [] => String::new(),
        some => format!(
            ". Of these the OAuthClient is gone and its client was kept: have it removed at the server, then its Secret in the \
             operator's namespace: {}",
            few(some, IN_LINE)
        ),
    };
    let message = format!(
        "it goes when nobody holds a scope of it any more: {}. They remove it from spec.scopes{}",
        told.join("; "),
        kept
    );
    record.set("Unheld", Truth::False, reasons::STILL_HELD, &message);
    Outcome::blocked(reasons::STILL_HELD, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> BTreeSet<String> {
        (0..count).map(|number| format!("n{number:04}")).collect()
    }

    #[test]
    fn however_many_hold_a_scope_the_status_names_a_few_and_counts_the_rest() {
        assert_eq!(line(&names(0)), None);
        assert_eq!(line(&names(3)).unwrap(), "n0000, n0001, n0002");
        assert_eq!(
            line(&names(5000)).unwrap(),
            "n0000, n0001, n0002 and 4997 more"
        );
        let few = holders("read".into(), names(NAMED));
        assert_eq!((few.clients.len(), few.more), (NAMED, None));
        let many = holders("read".into(), names(5000));
        assert_eq!((many.clients.len(), many.more), (NAMED, Some(4980)));
        assert_eq!(many.clients[0], "n0000");
    }

    #[test]
    fn each_that_was_retained_has_its_turn_to_be_looked_for() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(turn(0, at(0)), 0..0);
        assert_eq!(turn(7, at(99_999)), 0..7);
        let turns: Vec<_> = [0, 599, 600, 1200, 1800]
            .map(|second| turn(45, at(second)))
            .into();
        assert_eq!(turns, [0..20, 0..20, 20..40, 40..45, 0..20]);
    }
}
