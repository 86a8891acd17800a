//! JSON patches and merge patches; server-side apply is in [`super::ownership`].

use json_patch::{AddOperation, Patch, PatchOperation};
use serde_json::Value;

use super::status::{Answer, bad_request, unprocessable};

/// RFC 7396.
pub(super) fn merge(current: &Value, patch: &Value) -> Answer<Value> {
    if !patch.is_object() {
        return Err(bad_request("Invalid JSON Patch"));
    }
    let mut patched = current.clone();
    json_patch::merge(&mut patched, patch);
    Ok(patched)
}

/// RFC 6902 as the real server reads it: to `test`, what is absent equals null; to `replace`, it may be absent.
pub(super) fn json(current: &Value, patch: &Value) -> Answer<Value> {
    if !patch.is_array() {
        return Err(bad_request(
            "error decoding patch: not a list of operations",
        ));
    }
    let operations: Patch = serde_json::from_value(patch.clone())
        .map_err(|error| unprocessable(format!("error decoding patch: {error}")))?;
    let mut patched = current.clone();
    for operation in operations.0 {
        let is_absent = |path: &str| patched.pointer(path).is_none();
        let operation = match operation {
            PatchOperation::Test(test) if test.value.is_null() && is_absent(test.path.as_str()) => {
                continue;
            }
            PatchOperation::Replace(replace) if is_absent(replace.path.as_str()) => {
                PatchOperation::Add(AddOperation {
                    path: replace.path,
                    value: replace.value,
                })
            }
            other => other,
        };
        json_patch::patch(&mut patched, &[operation])
            .map_err(|error| unprocessable(error.to_string()))?;
    }
    Ok(patched)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_test_for_null_accepts_what_is_absent() {
        let object = json!({"metadata": {"name": "a"}});
        let patch = json!([
            {"op": "test", "path": "/metadata/finalizers", "value": null},
            {"op": "add", "path": "/metadata/finalizers", "value": ["x"]},
        ]);
        let patched = json(&object, &patch).unwrap();
        assert_eq!(patched["metadata"]["finalizers"], json!(["x"]));
        assert_eq!(json(&patched, &patch).unwrap_err().code, 422);
    }

    #[test]
    fn refusals_say_whose_fault_it_is() {
        let object = json!({"a": 1});
        assert_eq!(json(&object, &json!({})).unwrap_err().code, 400);
        assert_eq!(
            json(&object, &json!([{"op": "leap"}])).unwrap_err().code,
            422
        );
        let removal = json!([{"op": "remove", "path": "/b"}]);
        assert_eq!(json(&object, &removal).unwrap_err().code, 422);
        assert_eq!(merge(&object, &json!([1])).unwrap_err().code, 400);
        assert_eq!(
            merge(&object, &json!({"a": null, "b": 2})).unwrap(),
            json!({"b": 2})
        );
    }
}
