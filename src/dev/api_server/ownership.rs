//! Who owns which field, and server-side apply.
//!
//! The rules are those of structured-merge-diff: a manager owns the leaves it wrote; an apply that changes a
//! leaf of another manager is a conflict unless forced; a leaf that the manager applied before, omits now, and
//! nobody else owns is removed. Fields are kept as sets of paths; `metadata.managedFields` is not shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use serde_json::Value;

use super::fields::{Path, is_hollow, leaves, merge, readable, remove};

/// The leaves that one manager owns.
pub(super) type Fields = BTreeSet<Path>;
/// The owners of an object's fields.
pub(super) type Managers = BTreeMap<Manager, Fields>;

/// Who wrote: upstream tells apart the same name by operation and subresource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    pub name: String,
    pub applies: bool,
    pub subresource: String,
}

/// The fields that `config` sets.
pub(super) fn fields(schema: &Value, config: &Value) -> Fields {
    leaves(schema, config).into_keys().collect()
}

/// The owners after `manager` has turned `before` into `after` by a create, update or patch.
pub(super) fn record(
    schema: &Value,
    before: &Value,
    after: &Value,
    managers: &Managers,
    manager: Manager,
) -> Managers {
    let (changed, removed) = compare(schema, before, after);
    let mut managers = managers.clone();
    disown(&mut managers, &manager, &changed, &removed);
    let own = managers.entry(manager).or_default();
    own.retain(|path| !removed.contains(path));
    own.extend(changed);
    managers.retain(|_, fields| !fields.is_empty());
    managers
}

/// `config` applied to `live`: the merged object and its owners, or who else owns fields that it would change.
pub(super) fn apply(
    schema: &Value,
    live: &Value,
    config: &Value,
    managers: &Managers,
    manager: Manager,
    force: bool,
) -> Result<(Value, Managers), Vec<(String, String)>> {
    let set = fields(schema, config);
    let mut merged = merge(schema, live, config);
    if let Some(last) = managers.get(&manager) {
        let others = managers.iter().filter(|(other, _)| **other != manager);
        let kept = others.map(|(_, fields)| fields).chain([&set]).flatten();
        prune(&mut merged, last, &kept.flat_map(ancestry).collect());
    }
    let (changed, removed) = compare(schema, live, &merged);
    let conflicts: Vec<_> = managers
        .iter()
        .filter(|(other, _)| **other != manager)
        .flat_map(|(other, fields)| {
            let shared = fields.intersection(&changed);
            shared.map(|path| (other.name.clone(), readable(path)))
        })
        .collect();
    if !force && !conflicts.is_empty() {
        return Err(conflicts);
    }
    let mut managers = managers.clone();
    disown(&mut managers, &manager, &changed, &removed);
    managers.insert(manager, set);
    managers.retain(|_, fields| !fields.is_empty());
    Ok((merged, managers))
}

fn disown(managers: &mut Managers, by: &Manager, changed: &Fields, removed: &Fields) {
    for (_, fields) in managers.iter_mut().filter(|(manager, _)| *manager != by) {
        fields.retain(|path| !changed.contains(path) && !removed.contains(path));
    }
}

/// The leaves that differ or are new in `after`, and those that it lacks.
fn compare(schema: &Value, before: &Value, after: &Value) -> (Fields, Fields) {
    let (old, new) = (leaves(schema, before), leaves(schema, after));
    let changed = new
        .iter()
        .filter(|(path, value)| {
            old.get(*path) != Some(value) && !(is_hollow(value) && is_inside(&old, path))
        })
        .map(|(path, _)| path.clone())
        .collect();
    let removed = old
        .keys()
        .filter(|path| !new.contains_key(*path) && !is_inside(&new, path))
        .cloned()
        .collect();
    (changed, removed)
}

/// Whether there are leaves below `path`.
fn is_inside(leaves: &BTreeMap<Path, &Value>, path: &Path) -> bool {
    let mut from = leaves.range::<Path, _>((Bound::Excluded(path), Bound::Unbounded));
    from.next().is_some_and(|(next, _)| next.starts_with(path))
}

/// What was applied last time and is in nobody's hands now goes, containers with all they hold.
fn prune(object: &mut Value, last: &Fields, kept: &Fields) {
    let gone: Fields = last
        .iter()
        .flat_map(ancestry)
        .filter(|path| !kept.contains(path) && *path != ["f:metadata"])
        .collect();
    for path in &gone {
        remove(object, path);
    }
}

fn ancestry(path: &Path) -> impl Iterator<Item = Path> {
    (1..=path.len()).map(|length| path[..length].to_vec())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"properties": {
            "metadata": {"properties": {"finalizers": {"x-kubernetes-list-type": "set"}}},
            "status": {"properties": {"conditions": {
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            }}},
            "ref": {"x-kubernetes-map-type": "atomic"},
        }})
    }

    fn manager(name: &str, applies: bool) -> Manager {
        Manager {
            name: name.into(),
            applies,
            subresource: String::new(),
        }
    }

    fn applied(live: &Value, managers: &Managers, by: &str, config: Value) -> (Value, Managers) {
        apply(&schema(), live, &config, managers, manager(by, true), true).unwrap()
    }

    #[test]
    fn what_is_no_longer_applied_goes_unless_somebody_else_owns_it() {
        let first =
            json!({"spec": {"a": 1, "b": {"c": 2, "d": 3}}, "metadata": {"labels": {"x": "1"}}});
        let (live, managers) = applied(
            &json!({"metadata": {"name": "n"}}),
            &Managers::new(),
            "one",
            first,
        );
        let (live, managers) = applied(&live, &managers, "two", json!({"spec": {"b": {"c": 2}}}));
        let (live, managers) = applied(&live, &managers, "one", json!({"spec": {"a": 1}}));
        assert_eq!(
            live,
            json!({"metadata": {"name": "n"}, "spec": {"a": 1, "b": {"c": 2}}})
        );
        let (live, managers) = applied(&live, &managers, "two", json!({}));
        assert_eq!(live, json!({"metadata": {"name": "n"}, "spec": {"a": 1}}));
        assert_eq!(managers.len(), 1);
    }

    #[test]
    fn a_field_that_another_manager_changed_is_a_conflict() {
        let (live, managers) = applied(
            &json!({}),
            &Managers::new(),
            "one",
            json!({"spec": {"a": 1, "b": 1}}),
        );
        let edited = json!({"spec": {"a": 2, "b": 1}});
        let managers = record(&schema(), &live, &edited, &managers, manager("edit", false));
        let config = json!({"spec": {"a": 3, "b": 1}});
        let refused = apply(
            &schema(),
            &edited,
            &config,
            &managers,
            manager("one", true),
            false,
        );
        assert_eq!(
            refused.unwrap_err(),
            [("edit".to_owned(), ".spec.a".to_owned())]
        );
        let (merged, managers) = apply(
            &schema(),
            &edited,
            &config,
            &managers,
            manager("one", true),
            true,
        )
        .unwrap();
        assert_eq!(merged, config);
        assert_eq!(managers.keys().collect::<Vec<_>>(), [&manager("one", true)]);
    }

    #[test]
    fn the_same_value_is_shared_and_no_conflict() {
        let (live, managers) = applied(
            &json!({}),
            &Managers::new(),
            "one",
            json!({"spec": {"a": 1}}),
        );
        let config = json!({"spec": {"a": 1}});
        let (_, managers) = apply(
            &schema(),
            &live,
            &config,
            &managers,
            manager("two", true),
            false,
        )
        .unwrap();
        assert_eq!(managers.len(), 2);
    }

    #[test]
    fn lists_merge_by_key_sets_by_value_and_atomics_are_replaced() {
        let live = json!({
            "metadata": {"finalizers": ["a"]}, "ref": {"kind": "Role", "name": "x"},
            "status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Created", "status": "True"}]},
        });
        let config = json!({
            "metadata": {"finalizers": ["b"]}, "ref": {"name": "y"},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Done"}]},
        });
        let before = json!({"status": {"conditions": [live["status"]["conditions"][0]]}});
        let others = record(
            &schema(),
            &before,
            &live,
            &Managers::new(),
            manager("other", false),
        );
        let (merged, managers) = applied(&live, &others, "one", config);
        assert_eq!(
            merged,
            json!({
                "metadata": {"finalizers": ["a", "b"]}, "ref": {"name": "y"},
                "status": {"conditions": [
                    {"type": "Ready", "status": "True", "reason": "Done"}, {"type": "Created", "status": "True"},
                ]},
            })
        );
        let (merged, _) = applied(&merged, &managers, "one", json!({"ref": {"name": "y"}}));
        assert_eq!(
            merged["status"]["conditions"],
            json!([{"type": "Created", "status": "True"}])
        );
        assert_eq!(merged["metadata"]["finalizers"], json!(["a"]));
    }

    #[test]
    fn the_order_is_that_of_the_applied_list() {
        let list = |names: &[&str]| json!({"metadata": {"finalizers": names}});
        for (live, config, merged) in [
            (&["a", "b"][..], &["b", "a"][..], &["b", "a"][..]),
            (&["a", "x", "b"], &["b", "a"], &["x", "b", "a"]),
            (&["x"], &["a", "b"], &["x", "a", "b"]),
            (&["a", "b", "c"], &["c"], &["a", "b", "c"]),
            (&["a", "x"], &["a", "b"], &["a", "x", "b"]),
        ] {
            let (found, _) = applied(&list(live), &Managers::new(), "one", list(config));
            assert_eq!(found, list(merged), "{live:?} {config:?}");
        }
    }
}
