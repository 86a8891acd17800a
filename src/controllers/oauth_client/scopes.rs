//! Which scopes a client may hold: those that exist, and of the class `Application` only those that the owner of the
//! resource type has granted to the application.

use std::collections::BTreeSet;

use crate::api::{ResourceType, ScopeClass};
use crate::engine::conditions;

use super::reasons;

/// What becomes of the scopes that a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Those that it is registered with.
    pub(super) granted: Vec<String>,
    /// Why it is not registered with the others, or would not be now.
    pub(super) refused: Vec<(&'static str, String)>,
}

/// Judges each. `held`: with which it is registered now; what it has is taken away only by a resource type that is there and
/// says so, for absence is no order.
pub(super) fn judge(
    asked: &[String],
    held: &BTreeSet<String>,
    (application, has_its_name): (&str, bool),
    resource_type: impl Fn(&str) -> Option<ResourceType>,
) -> Judged {
    let mut judged = Judged::default();
    for scope in asked {
        let (type_name, name) = scope.rsplit_once('.').unwrap_or((scope, ""));
        let found = resource_type(type_name);
        match refusal(
            scope,
            type_name,
            name,
            found.as_ref(),
            (application, has_its_name),
        ) {
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
    judged
}

/// Why not, and whether one who has it loses it.
fn refusal(
    scope: &str,
    type_name: &str,
    name: &str,
    found: Option<&ResourceType>,
    (application, has_its_name): (&str, bool),
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
    if declared.class == ScopeClass::ResourceOwner {
        return None;
    }
    if !declared
        .granted_to
        .iter()
        .any(|granted| granted == application)
    {
        let message = format!(
            "{scope}: ResourceType {type_name} does not grant it to application {application}: its owner, application {} in \
             namespace {}, adds {application} to grantedTo of the scope",
            found.spec.application, found.spec.namespace
        );
        return Some((true, reasons::SCOPE_NOT_GRANTED, message));
    }
    if !has_its_name {
        let message = format!(
            "{scope}: it is granted to application {application}, whose name is not this namespace's"
        );
        return Some((false, reasons::SCOPE_NOT_GRANTED, message));
    }
    None
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
    fn granted(found: Option<ResourceType>, held: &[&str], has_its_name: bool) -> (String, usize) {
        let asked = ["sales-order.read", "sales-order.mine"].map(str::to_owned);
        let held = held.iter().map(|scope| (*scope).to_owned()).collect();
        let judged = judge(&asked, &held, ("api", has_its_name), |name| {
            found.clone().filter(|_| name == "sales-order")
        });
        (judged.granted.join(" "), judged.refused.len())
    }

    #[test]
    fn a_scope_is_held_by_those_whom_its_owner_grants_it() {
        let both = "sales-order.mine sales-order.read";
        let (read, mine) = ("sales-order.read", "sales-order.mine");
        let yes = orders(true, &["api"]);
        assert_eq!(granted(Some(yes.clone()), &[], true), (both.into(), 0));
        assert_eq!(granted(Some(yes), &[], false), (mine.into(), 1));
        let no = orders(true, &["other"]);
        assert_eq!(granted(Some(no.clone()), &[], true), (mine.into(), 1));
        // A grant that is taken back is taken away, a resource type that is gone or in trouble takes nothing.
        assert_eq!(granted(Some(no), &[read], true), (mine.into(), 1));
        assert_eq!(granted(None, &[read], true), (read.into(), 2));
        assert_eq!(granted(None, &[], true), (String::new(), 2));
        let trouble = orders(false, &[]);
        assert_eq!(granted(Some(trouble), &[read], true), (read.into(), 2));
    }
}
