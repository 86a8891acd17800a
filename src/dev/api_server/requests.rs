//! What each verb but watch does.

use std::sync::Arc;

use serde_json::Value;

use super::{
    ApiServer, Verb,
    cascade::Deletion,
    kinds::ResourceKind,
    ownership::{self, Manager, Managers},
    patch,
    reads::{get, list},
    service::Asked,
    status::{self, Answer},
    store::{Author, Key, Scope, Store},
};

/// What is answered.
pub(super) enum Reply {
    Object(u16, Arc<Value>),
    Plain(Value),
}

pub(super) fn carry_out(server: &ApiServer, asked: &Asked) -> Answer<Reply> {
    match asked.call.verb {
        Verb::Get => get(server, asked),
        Verb::List | Verb::Watch => list(server, asked),
        Verb::Create => create(&mut server.store(), asked),
        Verb::Update => update(&mut server.store(), asked),
        Verb::Patch => patch(&mut server.store(), asked),
        Verb::Delete => delete(&mut server.store(), asked),
    }
}

fn create(store: &mut Store, asked: &Asked) -> Answer<Reply> {
    let kind = store.tables[asked.table].kind.clone();
    let object = asked.object(&kind)?;
    if kind.namespaced && asked.call.namespace.is_none() {
        return Err(status::method_not_allowed());
    }
    if object["metadata"]["resourceVersion"]
        .as_str()
        .is_some_and(|version| !version.is_empty())
    {
        return Err(status::internal(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let author = Author::Writer(asked.manager(false));
    let created = store.create(
        asked.table,
        asked.key(),
        Scope::Main,
        object,
        author,
        asked.is_set("dryRun"),
    )?;
    Ok(Reply::Object(201, created))
}

fn update(store: &mut Store, asked: &Asked) -> Answer<Reply> {
    let kind = store.tables[asked.table].kind.clone();
    let (key, scope) = (asked.key(), asked.scope());
    let object = asked.object(&kind)?;
    let author = Author::Writer(asked.manager(false));
    let old = store
        .find(asked.table, &key)
        .map(|stored| stored.value.clone());
    let sent = &object["metadata"]["uid"];
    match old {
        Err(_) if kind.create_on_update && scope == Scope::Main => {
            let created = store.create(
                asked.table,
                key,
                scope,
                object,
                author,
                asked.is_set("dryRun"),
            )?;
            Ok(Reply::Object(201, created))
        }
        Err(refusal) => Err(refusal),
        Ok(old) if !sent.is_null() && *sent != old["metadata"]["uid"] => Err(status::conflict(
            &kind,
            &key.1,
            "Precondition failed: UID in precondition differs",
        )),
        Ok(_) => {
            let written = store.replace(
                asked.table,
                &key,
                scope,
                object,
                author,
                asked.is_set("dryRun"),
            )?;
            Ok(Reply::Object(200, written))
        }
    }
}

fn patch(store: &mut Store, asked: &Asked) -> Answer<Reply> {
    let (key, body) = (asked.key(), &asked.call.body);
    let media_type = asked.content_type.split(';').next().unwrap_or_default();
    if media_type == "application/apply-patch+yaml" {
        return apply(store, asked);
    }
    let current = store
        .find(asked.table, &key)
        .map(|stored| stored.value.clone());
    let patched = match media_type {
        "application/merge-patch+json" => patch::merge(&*current?, body)?,
        "application/json-patch+json" => patch::json(&*current?, body)?,
        other => return Err(status::unsupported_media_type(other)),
    };
    if patched["metadata"]["name"] != *key.1 {
        return Err(status::bad_request(
            "the name of the object does not match the name on the URL",
        ));
    }
    let (scope, author) = (asked.scope(), Author::Writer(asked.manager(false)));
    let written = store.replace(
        asked.table,
        &key,
        scope,
        patched,
        author,
        asked.is_set("dryRun"),
    )?;
    Ok(Reply::Object(200, written))
}

/// Server-side apply: creates what is not there.
fn apply(store: &mut Store, asked: &Asked) -> Answer<Reply> {
    let (key, scope, dry_run) = (asked.key(), asked.scope(), asked.is_set("dryRun"));
    let kind = store.tables[asked.table].kind.clone();
    if asked.query("fieldManager").is_empty() {
        let why = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value";
        return Err(status::unprocessable(why));
    }
    let mut config = asked.object(&kind)?;
    if config["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|fields| !fields.is_empty())
    {
        return Err(status::bad_request("metadata.managedFields must be nil"));
    }
    check_fields(&kind, &config)?;
    let sent = config["metadata"].clone();
    strip(&kind, scope, &mut config);
    let manager = asked.manager(true);
    let Ok(live) = store.find(asked.table, &key).cloned() else {
        if scope != Scope::Main {
            return Err(status::not_found(&kind, &key.1));
        }
        if !sent["uid"].is_null() {
            return Err(status::conflict(
                &kind,
                &key.1,
                "no existing object was found",
            ));
        }
        let author = Author::Known(Managers::from([(
            manager,
            ownership::fields(&kind.schema, &config),
        )]));
        let created = store.create(asked.table, key, scope, config, author, dry_run)?;
        return Ok(Reply::Object(201, created));
    };
    let force = asked.is_set("force");
    let applied = ownership::apply(
        &kind.schema,
        &live.value,
        &config,
        &live.managers,
        manager,
        force,
    );
    let (mut object, managers) = applied.map_err(|conflicts| status::apply_conflict(&conflicts))?;
    for field in ["uid", "resourceVersion"] {
        if !sent[field].is_null() {
            object["metadata"][field] = sent[field].clone();
        }
    }
    let author = Author::Known(managers);
    let written = store.replace(asked.table, &key, scope, object, author, dry_run)?;
    Ok(Reply::Object(200, written))
}

/// Server-side apply is strict where other writes drop what the schema does not know.
fn check_fields(kind: &ResourceKind, config: &Value) -> Answer<()> {
    let dropped = kind.complete(&mut config.clone());
    match dropped.first() {
        None => Ok(()),
        Some(field) => {
            let why = format!(
                "failed to create typed patch object: {field}: field not declared in schema"
            );
            Err(status::internal(why))
        }
    }
}

/// Takes out of an applied configuration what it cannot own.
fn strip(kind: &ResourceKind, scope: Scope, config: &mut Value) {
    let Some(fields) = config.as_object_mut() else {
        return;
    };
    fields.retain(|key, _| match scope {
        Scope::Status => key == "status" || (!kind.custom && key != "spec"),
        _ => !(key == "status" && kind.status_subresource),
    });
    fields.retain(|key, _| !["apiVersion", "kind"].contains(&key.as_str()));
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        let owned = ["labels", "annotations", "ownerReferences", "finalizers"];
        metadata.retain(|key, _| owned.contains(&key.as_str()));
    }
}

fn delete(store: &mut Store, asked: &Asked) -> Answer<Reply> {
    let (key, options) = (asked.key(), &asked.call.body);
    let kind = store.tables[asked.table].kind.clone();
    let object = store.find(asked.table, &key)?.value.clone();
    let metadata = &object["metadata"];
    for field in ["uid", "resourceVersion"] {
        let wanted = &options["preconditions"][field];
        if !wanted.is_null() && *wanted != metadata[field] {
            return Err(status::conflict(
                &kind,
                &key.1,
                &format!("the {field} in the precondition differs"),
            ));
        }
    }
    let uid = metadata["uid"].as_str().unwrap_or_default();
    let done = || Reply::Plain(status::deleted(&kind, &key.1, uid));
    if asked.is_set("dryRun") || options["dryRun"][0] == "All" {
        return Ok(done());
    }
    if options["propagationPolicy"] == "Orphan" || asked.query("propagationPolicy") == "Orphan" {
        store.orphan(uid);
    }
    let deletion = store.begin_deletion(asked.table, &key);
    store.settle();
    Ok(match deletion {
        Some(Deletion::Pending(object)) => Reply::Object(200, object),
        Some(Deletion::Done(object)) if kind.is_namespace() => Reply::Object(200, object),
        _ => done(),
    })
}

impl Asked {
    pub(super) fn key(&self) -> Key {
        let call = &self.call;
        (
            call.namespace.clone().unwrap_or_default(),
            call.name.clone().unwrap_or_default(),
        )
    }

    fn scope(&self) -> Scope {
        match self.call.subresource.as_deref() {
            Some("status") => Scope::Status,
            Some(_) => Scope::Finalize,
            None => Scope::Main,
        }
    }

    fn manager(&self, applies: bool) -> Manager {
        let agent = self.user_agent.split('/').next().unwrap_or_default();
        let name = self.query("fieldManager");
        Manager {
            name: if name.is_empty() { agent } else { name }.to_owned(),
            applies,
            subresource: self.call.subresource.clone().unwrap_or_default(),
        }
    }

    /// The object in the body, which must be what the path says.
    fn object(&self, kind: &ResourceKind) -> Answer<Value> {
        let (body, call) = (&self.call.body, &self.call);
        if !body.is_object() {
            return Err(status::bad_request("the body is not an object"));
        }
        let optional = !kind.custom && self.content_type.starts_with("application/json");
        for (field, wanted) in [
            ("apiVersion", kind.api_version()),
            ("kind", kind.kind.clone()),
        ] {
            let sent = body[field].as_str().unwrap_or_default();
            if sent == wanted || (optional && sent.is_empty()) {
                continue;
            }
            let why =
                format!("the {field} in the data ({sent}) does not match the expected {wanted}");
            let is_other_kind = kind.custom && field == "kind" && !sent.is_empty();
            return Err(if is_other_kind {
                status::invalid(kind, "", "kind", &why)
            } else {
                status::bad_request(why)
            });
        }
        let places = [("name", &call.name), ("namespace", &call.namespace)];
        for (field, wanted) in places {
            let sent = body["metadata"][field].as_str().unwrap_or_default();
            if !sent.is_empty() && wanted.as_deref().is_some_and(|wanted| wanted != sent) {
                return Err(status::bad_request(format!(
                    "the {field} of the object does not match the URL"
                )));
            }
        }
        Ok(body.clone())
    }
}
