//! Which scopes a client may hold: those that exist, and only with a grant by the owner of the resource type what an
//! application uses without a person: every scope of the class `Application`, and each of the class `ResourceOwner` if the
//! client gets tokens on its own behalf, for then nobody is asked for consent.

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::reasons;
use crate::api::{GrantType, NameState, OAuthClient, ResourceType, ScopeClass};
use crate::controllers::Caches;
use crate::engine::conditions;

/// Whose client it is, and how it gets tokens.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// Its application.
    pub application: &'a str,
    /// Whose the name of that is.
    pub name: Name,
    /// Whether it gets tokens without a person (RFC 6749 section 4.4).
    pub alone: bool,
}

impl<'a> Holder<'a> {
    /// As which a client asks.
    pub fn of(client: &'a OAuthClient, caches: &Caches) -> Self {
        let name = caches.names.get(None, &client.spec.application);
        let name = match name.filter(|name| name.spec.state == NameState::Held) {
            None => Name::Unknown,
            Some(name) if Some(&name.spec.owner.namespace) == client.namespace().as_ref() => {
                Name::Ours
            }
            Some(_) => Name::Others,
        };
        Self {
            application: &client.spec.application,
            name,
            alone: client
                .spec
                .grant_types
                .contains(&GrantType::ClientCredentials),
        }
    }
}

/// Whether one that holds the scope loses it: a resource type that is there says so.
pub fn is_withdrawn(scope: &str, holder: Holder<'_>, found: Option<&ResourceType>) -> bool {
    let (type_name, name) = scope.rsplit_once('.').unwrap_or((scope, ""));
    refusal(scope, type_name, name, found, holder).is_some_and(|(taken_away, ..)| taken_away)
}

/// Whose the application's name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// This namespace's.
    Ours,
    /// Nobody's, or nobody knows.
    Unknown,
    /// Another namespace's.
    Others,
}

/// What becomes of the scopes that a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Those that it is registered with.
    pub(super) granted: Vec<String>,
    /// Why it is not registered with the others, or would not be now.
    pub(super) refused: Vec<(&'static str, String)>,
    /// Whether it holds one that was taken back, be it asked for or not.
    pub(super) withdrawn: bool,
}

/// Judges each. `held`: with which it is registered now; what it has is taken away only by a resource type that is there and
/// says so, for absence is no order.
pub(super) fn judge(
    asked: &[String],
    held: &BTreeSet<String>,
    holder: Holder<'_>,
    resource_type: impl Fn(&str) -> Option<ResourceType>,
) -> Judged {
    let mut judged = Judged::default();
    for scope in asked {
        let (type_name, name) = scope.rsplit_once('.').unwrap_or((scope, ""));
        let found = resource_type(type_name);
        match refusal(scope, type_name, name, found.as_ref(), holder) {
            None => judged.granted.push(scope.clone()),
            Some((taken_away, reason, message)) => {
                if !taken_away && held.contains(scope) {
                    judged.granted.push(scope.clone());
                }
                judged.refused.push((reason, message));
            }
        }
    }
    judged.granted.sort();
    judged.withdrawn = held.iter().any(|scope| {
        let found = resource_type(scope.rsplit_once('.').map_or(scope.as_str(), |it| it.0));
        is_withdrawn(scope, holder, found.as_ref())
    });
    judged
}

/// Why not, and whether one who has it loses it.
fn refusal(
    scope: &str,
    type_name: &str,
    name: &str,
    found: Option<&ResourceType>,
    holder: Holder<'_>,
) -> Option<(bool, &'static str, String)> {
    let Some(found) = found else {
        let message = format!("{scope}: there is no ResourceType {type_name:?}");
        return Some((false, reasons::SCOPE_NOT_FOUND, message));
    };
    let status = found.status.clone().unwrap_or_default();
    if !conditions::is_true(&status.conditions, "Accepted") {
        let message = format!(
            "{scope}: ResourceType {type_name} is not accepted: its own conditions say why"
        );
        return Some((false, reasons::SCOPE_NOT_FOUND, message));
    }
    let Some(declared) = found.spec.scopes.iter().find(|one| one.name == name) else {
        let message = format!("{scope}: ResourceType {type_name} has no scope {name:?}");
        return Some((false, reasons::SCOPE_NOT_FOUND, message));
    };
    let is_a_persons = declared.class == ScopeClass::ResourceOwner;
    if is_a_persons && !holder.alone {
        return None;
    }
    let application = holder.application;
    if !declared
        .granted_to
        .iter()
        .any(|granted| granted == application)
    {
        let mut message = format!(
            "{scope}: ResourceType {type_name} does not grant it to application {application}: its owner, application {} in \
             namespace {}, adds {application} to grantedTo of the scope",
            found.spec.application, found.spec.namespace
        );
        if is_a_persons {
            message.push_str(
                "; or ask for it with an OAuthClient whose spec.grantTypes are without client_credentials, so that persons \
                 consent to it",
            );
        }
        return Some((true, reasons::SCOPE_NOT_GRANTED, message));
    }
    // Who has lost the name has lost what was granted to it; that nobody is known to have it takes nothing.
    let is_lost = match holder.name {
        Name::Ours => return None,
        Name::Unknown => false,
        Name::Others => true,
    };
    let message = format!(
        "{scope}: it is granted to application {application}, whose name is not this namespace's"
    );
    Some((is_lost, reasons::SCOPE_NOT_GRANTED, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn orders(accepted: bool, granted: &[&str]) -> ResourceType {
        let accepted = if accepted { "True" } else { "False" };
        serde_json::from_value(json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "ResourceType", "metadata": {"name": "sales-order"},
            "spec": {"application": "shop", "namespace": "team-shop", "scopes": [
                {"name": "read", "summary": "Reads orders.", "class": "Application", "grantedTo": granted},
                {"name": "mine", "summary": "Reads one's own orders.", "class": "ResourceOwner"},
            ]},
            "status": {"conditions": [{
                "type": "Accepted", "status": accepted, "reason": "R", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        }))
        .unwrap()
    }

    /// What of these two scopes is granted, and how many are refused.
    fn granted(
        found: Option<ResourceType>,
        held: &[&str],
        (name, alone): (Name, bool),
    ) -> (String, usize) {
        let asked = ["sales-order.read", "sales-order.mine"].map(str::to_owned);
        let held = held.iter().map(|scope| (*scope).to_owned()).collect();
        let holder = Holder {
            application: "api",
            name,
            alone,
        };
        let judged = judge(&asked, &held, holder, |name| {
            found.clone().filter(|_| name == "sales-order")
        });
        (judged.granted.join(" "), judged.refused.len())
    }

    #[test]
    fn a_scope_is_held_by_those_whom_its_owner_grants_it() {
        let both = "sales-order.mine sales-order.read";
        let (read, mine) = ("sales-order.read", "sales-order.mine");
        let ours = (Name::Ours, false);
        let unknown = (Name::Unknown, false);
        let others = (Name::Others, false);
        let yes = orders(true, &["api"]);
        assert_eq!(granted(Some(yes.clone()), &[], ours), (both.into(), 0));
        // Whose name it is not gets nothing; what it has it loses to whoever has the name.
        assert_eq!(granted(Some(yes.clone()), &[], unknown), (mine.into(), 1));
        assert_eq!(
            granted(Some(yes.clone()), &[read], unknown),
            (both.into(), 1)
        );
        assert_eq!(granted(Some(yes), &[read], others), (mine.into(), 1));
        let no = orders(true, &["other"]);
        assert_eq!(granted(Some(no.clone()), &[], ours), (mine.into(), 1));
        // A grant that is taken back is taken away, a resource type that is gone or in trouble takes nothing.
        assert_eq!(granted(Some(no), &[read], ours), (mine.into(), 1));
        assert_eq!(granted(None, &[read], ours), (read.into(), 2));
        assert_eq!(granted(None, &[], ours), (String::new(), 2));
        let trouble = orders(false, &[]);
        assert_eq!(granted(Some(trouble), &[read], ours), (read.into(), 2));
    }

    /// With `client_credentials` no person is asked.
    #[test]
    fn what_is_a_persons_is_not_held_without_one() {
        let alone = (Name::Ours, true);
        let mut orders = orders(true, &["api"]);
        let mine = "sales-order.mine";
        assert_eq!(
            granted(Some(orders.clone()), &[mine], alone),
            ("sales-order.read".to_owned(), 1)
        );
        orders.spec.scopes[1].granted_to = vec!["api".to_owned()];
        assert_eq!(
            granted(Some(orders), &[], alone),
            ("sales-order.mine sales-order.read".to_owned(), 0)
        );
    }
}
