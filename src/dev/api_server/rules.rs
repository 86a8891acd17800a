//! What a write may change, and what makes it a change.

use serde_json::Value;

use super::{
    kinds::ResourceKind,
    status::{self, Answer},
    store::Scope,
};

/// Whether nothing keeps an object that is being deleted.
pub(super) fn is_finished(kind: &ResourceKind, object: &Value) -> bool {
    let held = |list: &Value| list.as_array().is_some_and(|held| !held.is_empty());
    let is_held = held(&object["metadata"]["finalizers"])
        || (kind.is_namespace() && held(&object["spec"]["finalizers"]));
    !object["metadata"]["deletionTimestamp"].is_null() && !is_held
}

pub(super) fn check_version(kind: &ResourceKind, old: &Value, new: &Value) -> Answer<()> {
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let sent = new["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    if sent.is_empty() {
        if kind.unconditional_update {
            return Ok(());
        }
        let why = "Invalid value: 0x0: must be specified for an update";
        return Err(status::invalid(kind, name, "metadata.resourceVersion", why));
    }
    if old["metadata"]["resourceVersion"] == sent {
        return Ok(());
    }
    let why = "the object has been modified; please apply your changes to the latest version and try again";
    Err(status::conflict(kind, name, why))
}

/// Puts back what this write may not change.
pub(super) fn confine(kind: &ResourceKind, scope: Scope, old: &Value, new: &mut Value) {
    if scope == Scope::Status && kind.custom {
        let status = new["status"].take();
        *new = old.clone();
        new["status"] = status;
    }
    for field in [
        "name",
        "namespace",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "managedFields",
    ] {
        new["metadata"][field] = old["metadata"][field].clone();
    }
    if new["metadata"]["uid"].is_null() {
        new["metadata"]["uid"] = old["metadata"]["uid"].clone();
    }
    if !old["metadata"]["deletionTimestamp"].is_null() {
        new["metadata"]["deletionTimestamp"] = old["metadata"]["deletionTimestamp"].clone();
    }
    let restored: &[&str] = match scope {
        Scope::Main if kind.is_namespace() => &["spec", "status"],
        Scope::Main if kind.status_subresource => &["status"],
        Scope::Status => &["spec"],
        Scope::Finalize => &["status"],
        Scope::Main | Scope::Whole => &[],
    };
    for field in restored {
        new[*field] = old[*field].clone();
    }
    if let Some(fields) = new.as_object_mut() {
        fields.retain(|key, value| !value.is_null() || !["spec", "status"].contains(&key.as_str()));
    }
}

pub(super) fn check_change(kind: &ResourceKind, old: &Value, new: &Value) -> Answer<()> {
    let (before, after) = (&old["metadata"], &new["metadata"]);
    let name = before["name"].as_str().unwrap_or_default();
    if before["uid"] != after["uid"] {
        return Err(status::invalid(
            kind,
            name,
            "metadata.uid",
            "Invalid value: field is immutable",
        ));
    }
    if kind.kind.ends_with("RoleBinding") && old["roleRef"] != new["roleRef"] {
        return Err(status::invalid(
            kind,
            name,
            "roleRef",
            "Invalid value: cannot change roleRef",
        ));
    }
    if before["deletionTimestamp"] != after["deletionTimestamp"] {
        let why = "Invalid value: field is immutable; may only be changed via deletion";
        return Err(status::invalid(
            kind,
            name,
            "metadata.deletionTimestamp",
            why,
        ));
    }
    let known = before["finalizers"].as_array();
    let mut added = after["finalizers"].as_array().into_iter().flatten();
    if !before["deletionTimestamp"].is_null()
        && added.any(|finalizer| known.is_none_or(|known| !known.contains(finalizer)))
    {
        let why = "Forbidden: no new finalizers can be added if the object is being deleted";
        return Err(status::invalid(kind, name, "metadata.finalizers", why));
    }
    Ok(())
}

pub(super) fn is_new_generation(kind: &ResourceKind, old: &Value, new: &Value) -> bool {
    let content = |object: &Value| {
        let mut fields = object.as_object().cloned().unwrap_or_default();
        fields.remove("metadata");
        if kind.status_subresource {
            fields.remove("status");
        }
        fields
    };
    content(old) != content(new)
}

pub(super) fn is_valid_name(kind: &ResourceKind, name: &str) -> bool {
    if kind.group == "rbac.authorization.k8s.io" {
        return !name.contains(['/', '%']) && name != "." && name != "..";
    }
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let (longest, dots) = if kind.is_namespace() {
        (63, false)
    } else {
        (253, true)
    };
    name.len() <= longest
        && (dots || !name.contains('.'))
        && name.split('.').all(|label| {
            label.starts_with(is_alphanumeric)
                && label.ends_with(is_alphanumeric)
                && label.chars().all(|c| is_alphanumeric(c) || c == '-')
        })
}
