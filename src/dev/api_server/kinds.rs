//! The kinds that the server serves, and what it fills in or drops for each of them.

use std::sync::LazyLock;

use k8s_openapi::{
    ByteString, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use serde_json::{Map, Value, json};

/// One kind of object, as a client addresses it and as the server treats it.
#[derive(Clone, Debug)]
pub struct ResourceKind {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group.
    pub version: String,
    /// Kind, in UpperCamelCase.
    pub kind: String,
    /// The name in the path.
    pub plural: String,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Whether `status` is written through `/status` only.
    pub status_subresource: bool,
    /// A custom resource: it has a generation, defaults, and loses fields that the schema does not know.
    pub custom: bool,
    /// OpenAPI v3 schema: list and map types for server-side apply; defaults and pruning for custom resources.
    pub schema: Value,
    /// Whether a PUT may leave out `resourceVersion` and overwrite whatever is there.
    pub unconditional_update: bool,
    /// Whether a PUT to a name that does not exist creates it.
    pub create_on_update: bool,
    /// Paths that a field selector may name besides the object's name and namespace.
    pub selectable_fields: Vec<String>,
}

/// What every object's metadata looks like to server-side apply.
static METADATA: LazyLock<Value> = LazyLock::new(|| {
    json!({"properties": {
        "ownerReferences": {
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
            "items": {"x-kubernetes-map-type": "atomic"},
        },
        "finalizers": {"x-kubernetes-list-type": "set"},
    }})
});

/// The few places where the built-in kinds differ from "maps merge, lists are replaced".
static BUILTIN: LazyLock<Value> = LazyLock::new(|| {
    json!({"properties": {
        "metadata": *METADATA,
        "status": {"properties": {"conditions": {
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        }}},
        "roleRef": {"x-kubernetes-map-type": "atomic"},
        "regarding": {"x-kubernetes-map-type": "atomic"},
        "related": {"x-kubernetes-map-type": "atomic"},
    }})
});

impl ResourceKind {
    /// A namespaced kind of the API server's own, without a status; the other fields can be set by hand.
    pub fn builtin(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: plural.into(),
            namespaced: true,
            status_subresource: false,
            custom: false,
            schema: BUILTIN.clone(),
            unconditional_update: true,
            create_on_update: false,
            selectable_fields: Vec::new(),
        }
    }

    /// The storage version of a custom resource; nothing if the definition has no such version.
    pub fn from_crd(crd: &CustomResourceDefinition) -> Option<Self> {
        let spec = &crd.spec;
        let version = spec.versions.iter().find(|version| version.storage)?;
        let mut schema = version
            .schema
            .as_ref()
            .and_then(|validation| serde_json::to_value(&validation.open_api_v3_schema).ok())
            .unwrap_or_else(|| json!({"x-kubernetes-preserve-unknown-fields": true}));
        schema["properties"]["metadata"] = METADATA.clone();
        let selectable = version.selectable_fields.iter().flatten();
        Some(Self {
            group: spec.group.clone(),
            version: version.name.clone(),
            kind: spec.names.kind.clone(),
            plural: spec.names.plural.clone(),
            namespaced: spec.scope == "Namespaced",
            status_subresource: version
                .subresources
                .as_ref()
                .is_some_and(|s| s.status.is_some()),
            custom: true,
            schema,
            unconditional_update: false,
            create_on_update: false,
            selectable_fields: selectable
                .map(|field| field.json_path.trim_start_matches('.').to_owned())
                .collect(),
        })
    }

    pub(super) fn builtins() -> Vec<Self> {
        let rbac = |kind: &str, plural: &str, namespaced| Self {
            namespaced,
            create_on_update: true,
            ..Self::builtin("rbac.authorization.k8s.io", "v1", kind, plural)
        };
        vec![
            Self {
                namespaced: false,
                status_subresource: true,
                selectable_fields: vec!["status.phase".into()],
                ..Self::builtin("", "v1", "Namespace", "namespaces")
            },
            Self {
                selectable_fields: vec!["type".into()],
                ..Self::builtin("", "v1", "Secret", "secrets")
            },
            Self::builtin("", "v1", "ConfigMap", "configmaps"),
            Self::builtin("", "v1", "ServiceAccount", "serviceaccounts"),
            Self {
                create_on_update: true,
                selectable_fields: ["kind", "namespace", "name", "uid"]
                    .map(|field| format!("regarding.{field}"))
                    .into_iter()
                    .chain(["reason".into(), "type".into()])
                    .collect(),
                ..Self::builtin("events.k8s.io", "v1", "Event", "events")
            },
            Self {
                unconditional_update: false,
                create_on_update: true,
                ..Self::builtin("coordination.k8s.io", "v1", "Lease", "leases")
            },
            rbac("Role", "roles", true),
            rbac("RoleBinding", "rolebindings", true),
            rbac("ClusterRole", "clusterroles", false),
            rbac("ClusterRoleBinding", "clusterrolebindings", false),
            Self {
                namespaced: false,
                status_subresource: true,
                unconditional_update: false,
                ..Self::builtin(
                    "apiextensions.k8s.io",
                    "v1",
                    "CustomResourceDefinition",
                    "customresourcedefinitions",
                )
            },
        ]
    }

    /// `group/version`, as in an object's `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `plural.group`, as in messages.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    pub(super) fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.kind == "Namespace"
    }

    /// Brings `object` into the form that is stored: unknown fields dropped, defaults filled in. Returns what was dropped.
    pub(super) fn complete(&self, object: &mut Value) -> Vec<String> {
        object["apiVersion"] = self.api_version().into();
        object["kind"] = self.kind.as_str().into();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.retain(|_, value| !is_empty(value));
        }
        let mut dropped = Vec::new();
        if self.custom {
            conform(&self.schema, object, "", &mut dropped);
        } else {
            self.complete_builtin(object);
        }
        dropped
    }

    fn complete_builtin(&self, object: &mut Value) {
        let name = object["metadata"]["name"].clone();
        if let Some(fields) = object.as_object_mut() {
            fields.retain(|key, value| {
                ["metadata", "spec", "status", "rules"].contains(&key.as_str()) || !is_empty(value)
            });
        }
        match self.kind.as_str() {
            "Namespace" => object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name,
            "Secret" => {
                if let Some(Value::Object(plain)) =
                    object.as_object_mut().and_then(|o| o.remove("stringData"))
                {
                    for (key, value) in plain {
                        let bytes = ByteString(value.as_str().unwrap_or_default().into());
                        object["data"][key] = json!(bytes);
                    }
                }
                default_to(object, "type", "Opaque");
            }
            "Event" => {
                object["deprecatedSource"] = json!({});
                object["deprecatedFirstTimestamp"] = Value::Null;
                object["deprecatedLastTimestamp"] = Value::Null;
            }
            "RoleBinding" | "ClusterRoleBinding" => {
                default_to(&mut object["roleRef"], "apiGroup", &self.group);
                for subject in object["subjects"].as_array_mut().into_iter().flatten() {
                    if ["User", "Group"]
                        .iter()
                        .any(|kind| subject["kind"] == **kind)
                    {
                        default_to(subject, "apiGroup", &self.group);
                    }
                }
                if object["subjects"].is_null() {
                    object
                        .as_object_mut()
                        .map(|fields| fields.remove("subjects"));
                }
            }
            _ => {}
        }
    }
}

fn default_to(object: &mut Value, key: &str, value: &str) {
    if object[key].as_str().is_none_or(str::is_empty) {
        object[key] = value.into();
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Prunes and defaults `value` by a structural schema, as apiextensions-apiserver does.
fn conform(schema: &Value, value: &mut Value, path: &str, dropped: &mut Vec<String>) {
    match value {
        Value::Object(fields) => conform_fields(schema, fields, path, dropped),
        Value::Array(items) => {
            for item in items {
                conform(&schema["items"], item, &format!("{path}[]"), dropped);
            }
        }
        _ => {}
    }
}

fn conform_fields(
    schema: &Value,
    fields: &mut Map<String, Value>,
    path: &str,
    dropped: &mut Vec<String>,
) {
    let nothing = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&nothing);
    let others = &schema["additionalProperties"];
    let keeps_all = schema["x-kubernetes-preserve-unknown-fields"] == true
        || others.is_object()
        || *others == true;
    let root = path.is_empty();
    fields.retain(|key, _| {
        let known = keeps_all
            || properties.contains_key(key)
            || (root && ["apiVersion", "kind"].contains(&key.as_str()));
        if !known {
            dropped.push(format!("{path}.{key}"));
        }
        known
    });
    for (key, property) in properties {
        let Some(default) = property.get("default") else {
            continue;
        };
        let fill = match fields.get(key) {
            None => true,
            Some(found) => found.is_null() && property["nullable"] != true,
        };
        if fill {
            fields.insert(key.clone(), default.clone());
        }
    }
    for (key, value) in fields {
        if root && key == "metadata" {
            continue;
        }
        // What is kept without being described is kept whole.
        let described = properties
            .get(key)
            .or_else(|| others.is_object().then_some(others));
        if let Some(schema) = described {
            conform(schema, value, &format!("{path}.{key}"), dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_resources_are_pruned_and_defaulted() {
        let mut kind = ResourceKind::builtin("example.com", "v1", "Thing", "things");
        kind.custom = true;
        kind.schema = json!({"properties": {
            "metadata": {}, "status": {"default": {"observedGeneration": -1}, "properties": {"observedGeneration": {}}},
            "spec": {"properties": {
                "mode": {"default": "Apply"}, "note": {"nullable": true, "default": "n"},
                "open": {"x-kubernetes-preserve-unknown-fields": true},
                "byName": {"additionalProperties": {"properties": {"size": {"default": 1}}}},
                "list": {"items": {"properties": {"on": {"default": true}}}},
            }},
        }});
        let mut object = json!({
            "metadata": {"name": "a", "labels": {}, "finalizers": []},
            "spec": {"mode": null, "note": null, "stray": 1, "open": {"x": {"y": 1}}, "byName": {"a": {}}, "list": [{"off": 1}]},
        });
        let dropped = kind.complete(&mut object);
        assert_eq!(dropped, [".spec.stray", ".spec.list[].off"]);
        assert_eq!(
            object,
            json!({
                "apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"},
                "spec": {"mode": "Apply", "note": null, "open": {"x": {"y": 1}}, "byName": {"a": {"size": 1}}, "list": [{"on": true}]},
                "status": {"observedGeneration": -1},
            })
        );
    }

    #[test]
    fn secrets_hold_bytes() {
        let kind = ResourceKind::builtin("", "v1", "Secret", "secrets");
        let mut object = json!({"metadata": {"name": "a"}, "stringData": {"k": "v"}});
        kind.complete(&mut object);
        assert_eq!(object["data"], json!({"k": "dg=="}));
        assert_eq!(object["type"], "Opaque");
        assert!(object.get("stringData").is_none());
    }
}
