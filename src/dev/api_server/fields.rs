//! Objects as sets of fields: the leaves of one, and how two become one, by the merge rules of a schema.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Steps from the root: `f:name` into an object, `k:{…}` to a list item by its keys, `v:…` to a member of a set.
pub(super) type Path = Vec<String>;

static NULL: Value = Value::Null;

/// Metadata that belongs to the server or identifies the object.
const UNOWNED_METADATA: [&str; 10] = [
    "name",
    "namespace",
    "generateName",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
];

pub(super) fn remove(object: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let Some(parent) = parents
        .iter()
        .try_fold(object, |at, step| descend(at, step))
    else {
        return;
    };
    match parent {
        Value::Object(fields) => {
            last.strip_prefix("f:").map(|name| fields.remove(name));
        }
        Value::Array(items) => items.retain(|item| !is_at(item, last)),
        _ => {}
    }
    // A container that is kept for its own sake and has lost all it held is null, as upstream leaves it.
    if is_hollow(parent) {
        *parent = Value::Null;
    }
}

pub(super) fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn descend<'a>(value: &'a mut Value, step: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(fields) => fields.get_mut(step.strip_prefix("f:")?),
        Value::Array(items) => items.iter_mut().find(|item| is_at(item, step)),
        _ => None,
    }
}

fn is_at(item: &Value, step: &str) -> bool {
    if let Some(keys) = step.strip_prefix("k:") {
        let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
        return keys.iter().all(|(key, value)| item[key.as_str()] == *value);
    }
    step.strip_prefix("v:") == Some(item.to_string().as_str())
}

pub(super) fn readable(path: &Path) -> String {
    path.iter()
        .map(|step| match step.split_once(':') {
            Some(("f", name)) => format!(".{name}"),
            Some((_, key)) => format!("[{key}]"),
            None => step.clone(),
        })
        .collect()
}

/// How a value of the schema is merged.
enum Shape {
    Fields,
    Items(Vec<String>),
    Members,
    Whole,
}

fn shape(schema: &Value, value: &Value) -> Shape {
    match value {
        Value::Object(_) if schema["x-kubernetes-map-type"] != "atomic" => Shape::Fields,
        Value::Array(_) => match schema["x-kubernetes-list-type"].as_str() {
            Some("map") => {
                let keys = schema["x-kubernetes-list-map-keys"].as_array();
                let keys = keys.into_iter().flatten().filter_map(Value::as_str);
                Shape::Items(keys.map(str::to_owned).collect())
            }
            Some("set") => Shape::Members,
            _ => Shape::Whole,
        },
        _ => Shape::Whole,
    }
}

fn field<'s>(schema: &'s Value, name: &str) -> &'s Value {
    let property = &schema["properties"][name];
    if property.is_null() {
        &schema["additionalProperties"]
    } else {
        property
    }
}

/// The step to an item of a keyed list or a set.
fn step(shape: &Shape, item: &Value) -> String {
    match shape {
        Shape::Items(keys) => {
            let keys = keys
                .iter()
                .map(|key| (key.clone(), item[key.as_str()].clone()));
            format!("k:{}", Value::Object(keys.collect()))
        }
        _ => format!("v:{item}"),
    }
}

/// Every leaf of `object` but those that no manager owns.
pub(super) fn leaves<'a>(schema: &Value, object: &'a Value) -> BTreeMap<Path, &'a Value> {
    let mut found = BTreeMap::new();
    walk(schema, object, &mut Vec::new(), &mut found);
    found
}

fn walk<'a>(
    schema: &Value,
    value: &'a Value,
    path: &mut Path,
    found: &mut BTreeMap<Path, &'a Value>,
) {
    let shape = shape(schema, value);
    match (&shape, value) {
        (Shape::Fields, Value::Object(fields)) if !fields.is_empty() => {
            for (name, value) in fields {
                if !is_unowned(path, name) {
                    path.push(format!("f:{name}"));
                    walk(field(schema, name), value, path, found);
                    path.pop();
                }
            }
        }
        (Shape::Items(_) | Shape::Members, Value::Array(items)) if !items.is_empty() => {
            for item in items {
                path.push(step(&shape, item));
                found.insert(path.clone(), &NULL);
                if let Shape::Items(_) = shape {
                    walk(&schema["items"], item, path, found);
                }
                path.pop();
            }
        }
        _ if path.is_empty() => {}
        _ => {
            found.insert(path.clone(), value);
        }
    }
}

fn is_unowned(path: &Path, name: &str) -> bool {
    match path.as_slice() {
        [] => ["apiVersion", "kind"].contains(&name),
        [parent] => parent == "f:metadata" && UNOWNED_METADATA.contains(&name),
        _ => false,
    }
}

pub(super) fn merge(schema: &Value, live: &Value, config: &Value) -> Value {
    let shape = shape(schema, config);
    match (&shape, live, config) {
        (Shape::Fields, Value::Object(live), Value::Object(config)) => {
            let mut merged = live.clone();
            for (name, value) in config {
                let before = live.get(name).unwrap_or(&NULL);
                merged.insert(name.clone(), merge(field(schema, name), before, value));
            }
            Value::Object(merged)
        }
        (Shape::Items(_) | Shape::Members, Value::Array(live), Value::Array(config)) => {
            merge_lists(schema, &shape, live, config)
        }
        _ => config.clone(),
    }
}

/// Keeps the order of what is applied; live items that it does not name stay where they were among those that it does.
fn merge_lists(schema: &Value, shape: &Shape, live: &[Value], config: &[Value]) -> Value {
    let at = |item: &Value| step(shape, item);
    let applied: Vec<String> = config.iter().map(at).collect();
    let present: Vec<String> = live.iter().map(at).collect();
    let mut shared = applied
        .iter()
        .filter(|step| present.contains(step))
        .peekable();
    let (mut merged, mut done) = (Vec::new(), BTreeSet::new());
    let (mut left, mut right) = (0, 0);
    while left < live.len() || right < config.len() {
        let (own, next) = (present.get(left), applied.get(right));
        if let Some(own) = own {
            if !applied.contains(own) {
                merged.push(live[left].clone());
                left += 1;
                continue;
            }
            let awaited = shared.peek().is_none_or(|step| *step == own);
            if next.is_some_and(|next| next != own) && !awaited {
                left += 1;
                continue;
            }
            left += usize::from(done.contains(own) || next == Some(own));
        }
        if let Some(next) = next {
            let before = present.iter().position(|step| step == next);
            let before = before.map_or(&NULL, |before| &live[before]);
            merged.push(merge(&schema["items"], before, &config[right]));
            done.insert(next);
            shared.next_if_eq(&next);
            right += 1;
        }
    }
    Value::Array(merged)
}
