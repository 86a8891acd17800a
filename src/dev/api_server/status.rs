//! The answers that are not objects: `metav1.Status` as the real server words it, so that a client's error
//! predicates work.

use kube::core::{
    Status,
    response::{StatusCause, StatusDetails, reason},
};
use serde_json::{Value, json};

use super::kinds::ResourceKind;

/// What an operation gives: something, or the refusal to send instead.
pub(super) type Answer<T> = Result<T, Box<Status>>;

fn failure(code: u16, reason: &str, message: impl AsRef<str>) -> Box<Status> {
    Status::failure(message.as_ref(), reason)
        .with_code(code)
        .boxed()
}

fn about(kind: &ResourceKind, name: &str, causes: Vec<StatusCause>) -> StatusDetails {
    StatusDetails {
        name: name.into(),
        group: kind.group.clone(),
        kind: kind.plural.clone(),
        uid: String::new(),
        causes,
        retry_after_seconds: 0,
    }
}

fn cause(reason: &str, field: &str, message: &str) -> StatusCause {
    StatusCause {
        reason: reason.into(),
        message: message.into(),
        field: field.into(),
    }
}

pub(super) fn bad_request(message: impl AsRef<str>) -> Box<Status> {
    failure(400, reason::BAD_REQUEST, message)
}

/// Of a resource that it does not serve the server says nothing but this, in plain text.
pub(super) fn unknown_resource() -> Box<Status> {
    failure(404, reason::UNKNOWN, "404 page not found")
}

pub(super) fn unknown_path() -> Box<Status> {
    failure(
        404,
        reason::NOT_FOUND,
        "the server could not find the requested resource",
    )
}

pub(super) fn method_not_allowed() -> Box<Status> {
    failure(
        405,
        reason::METHOD_NOT_ALLOWED,
        "the server does not allow this method on the requested resource",
    )
}

pub(super) fn unsupported_media_type(what: &str) -> Box<Status> {
    failure(
        415,
        reason::UNSUPPORTED_MEDIA_TYPE,
        format!("the body of the request was in an unknown format: {what}"),
    )
}

/// The answer to client errors that upstream has no better word for: it gives no reason.
pub(super) fn internal(message: impl AsRef<str>) -> Box<Status> {
    failure(500, reason::UNKNOWN, message)
}

pub(super) fn expired(message: impl AsRef<str>) -> Box<Status> {
    failure(410, reason::EXPIRED, message)
}

pub(super) fn too_large_version(asked: u64, current: u64) -> Box<Status> {
    failure(
        504,
        reason::TIMEOUT,
        format!("Too large resource version: {asked}, current: {current}"),
    )
}

pub(super) fn not_found(kind: &ResourceKind, name: &str) -> Box<Status> {
    let message = format!("{} \"{name}\" not found", kind.qualified());
    let status = failure(404, reason::NOT_FOUND, message);
    status.with_details(about(kind, name, vec![])).boxed()
}

pub(super) fn already_exists(kind: &ResourceKind, name: &str) -> Box<Status> {
    let message = format!("{} \"{name}\" already exists", kind.qualified());
    let status = failure(409, reason::ALREADY_EXISTS, message);
    status.with_details(about(kind, name, vec![])).boxed()
}

pub(super) fn conflict(kind: &ResourceKind, name: &str, why: &str) -> Box<Status> {
    let message = format!(
        "Operation cannot be fulfilled on {} \"{name}\": {why}",
        kind.qualified()
    );
    let status = failure(409, reason::CONFLICT, message);
    status.with_details(about(kind, name, vec![])).boxed()
}

/// Server-side apply met fields that others own: one cause for each.
pub(super) fn apply_conflict(fields: &[(String, String)]) -> Box<Status> {
    let causes = fields
        .iter()
        .map(|(manager, field)| {
            cause(
                "FieldManagerConflict",
                field,
                &format!("conflict with \"{manager}\""),
            )
        })
        .collect();
    let listed: Vec<String> = fields
        .iter()
        .map(|(manager, field)| format!("conflict with \"{manager}\": {field}"))
        .collect();
    let message = format!(
        "Apply failed with {} conflicts: {}",
        fields.len(),
        listed.join(", ")
    );
    let status = failure(409, reason::CONFLICT, message);
    status
        .with_details(StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes,
            retry_after_seconds: 0,
        })
        .boxed()
}

pub(super) fn invalid(kind: &ResourceKind, name: &str, field: &str, why: &str) -> Box<Status> {
    let message = format!("{} \"{name}\" is invalid: {field}: {why}", kind.kind);
    let status = failure(422, reason::INVALID, message);
    let mut details = about(kind, name, vec![cause("FieldValueInvalid", field, why)]);
    details.kind = kind.kind.clone();
    status.with_details(details).boxed()
}

/// A request that is well formed and cannot be carried out on this object, such as a JSON patch whose test fails.
pub(super) fn unprocessable(message: impl AsRef<str>) -> Box<Status> {
    failure(422, reason::INVALID, message)
}

pub(super) fn namespace_terminating(
    kind: &ResourceKind,
    name: &str,
    namespace: &str,
) -> Box<Status> {
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let message = format!("{} \"{name}\" is forbidden: {why}", kind.qualified());
    let status = failure(403, reason::FORBIDDEN, message);
    let causes = vec![cause("NamespaceTerminating", "metadata.namespace", &why)];
    status.with_details(about(kind, name, causes)).boxed()
}

/// The answer to a deletion that is complete.
pub(super) fn deleted(kind: &ResourceKind, name: &str, uid: &str) -> Value {
    let mut details = json!({"name": name, "kind": kind.plural, "uid": uid});
    if !kind.group.is_empty() {
        details["group"] = kind.group.as_str().into();
    }
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    })
}

/// `status` as it goes over the wire.
pub(super) fn body(status: &Status) -> Value {
    let mut body = serde_json::to_value(status).unwrap_or_default();
    body["kind"] = "Status".into();
    body["apiVersion"] = "v1".into();
    body["metadata"] = json!({});
    body
}
