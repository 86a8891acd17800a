//! Getting and listing.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    ApiServer,
    kinds::ResourceKind,
    requests::Reply,
    selector::Selector,
    service::{Asked, partial},
    status::{self, Answer},
    store::{Key, Store},
};

/// The newest revision that caches have seen.
pub(super) fn cached_revision(server: &ApiServer, store: &Store, table: usize) -> u64 {
    let lag = server.lag();
    let unseen = store.tables[table]
        .history
        .iter()
        .rev()
        .take_while(|change| change.at.elapsed() < lag);
    unseen
        .last()
        .map_or(store.revision, |change| change.revision - 1)
}

pub(super) fn get(server: &ApiServer, asked: &Asked) -> Answer<Reply> {
    let (store, key) = (server.store(), asked.key());
    let revision = version(asked.query("resourceVersion"))?;
    if revision.is_some_and(|revision| revision > store.revision) {
        return Err(status::too_large_version(
            revision.unwrap_or(0),
            store.revision,
        ));
    }
    if revision == Some(0) && !server.lag().is_zero() {
        let table = &store.tables[asked.table];
        let objects = table.as_of(cached_revision(server, &store, asked.table))?;
        let object = objects
            .get(&key)
            .ok_or_else(|| status::not_found(&table.kind, &key.1))?;
        return Ok(Reply::Object(200, Arc::clone(object)));
    }
    Ok(Reply::Object(
        200,
        store.find(asked.table, &key)?.value.clone(),
    ))
}

/// A number, or nothing if the parameter is absent.
pub(super) fn version(text: &str) -> Answer<Option<u64>> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse();
    number
        .map(Some)
        .map_err(|_| status::bad_request(format!("invalid resource version: {text}")))
}

pub(super) fn list(server: &ApiServer, asked: &Asked) -> Answer<Reply> {
    let store = server.store();
    let table = &store.tables[asked.table];
    let selector = Selector::parse(
        &table.kind,
        asked.query("labelSelector"),
        asked.query("fieldSelector"),
    )?;
    let wanted = version(asked.query("resourceVersion"))?;
    let limit = asked
        .query("limit")
        .parse()
        .ok()
        .filter(|limit| *limit > 0)
        .unwrap_or(usize::MAX);
    let (mut revision, mut after) = (store.revision, None);
    match (asked.query("continue"), wanted) {
        ("", Some(0)) => revision = cached_revision(server, &store, asked.table),
        ("", Some(wanted)) if wanted > store.revision => {
            return Err(status::too_large_version(wanted, store.revision));
        }
        ("", Some(wanted)) if asked.query("resourceVersionMatch") == "Exact" => revision = wanted,
        ("", _) => {}
        (token, _) => (revision, after) = read_token(token)?,
    }
    let namespace = asked.call.namespace.as_deref();
    let objects = table.as_of(revision)?;
    let mut matching = objects.into_iter().filter(|(key, object)| {
        after.as_ref().is_none_or(|after| *key > after)
            && namespace.is_none_or(|namespace| key.0 == namespace)
            && selector.matches(object)
    });
    let page: Vec<_> = matching.by_ref().take(limit).collect();
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if table.kind.custom && !asked.is_partial {
        metadata["continue"] = "".into();
    }
    let rest = matching.count();
    if rest > 0
        && let Some((last, _)) = page.last()
    {
        metadata["continue"] = write_token(revision, last).into();
        if selector.is_everything() {
            metadata["remainingItemCount"] = rest.into();
        }
    }
    let items = page
        .iter()
        .map(|(_, object)| item(&table.kind, object, asked.is_partial))
        .collect();
    let (kind, version) = if asked.is_partial {
        (
            "PartialObjectMetadataList".to_owned(),
            "meta.k8s.io/v1".to_owned(),
        )
    } else {
        (format!("{}List", table.kind.kind), table.kind.api_version())
    };
    let items = Value::Array(items);
    Ok(Reply::Plain(
        json!({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items}),
    ))
}

/// Items of built-in kinds do not repeat what they are.
fn item(kind: &ResourceKind, object: &Value, is_partial: bool) -> Value {
    if is_partial {
        return partial(object);
    }
    let mut item = object.clone();
    if !kind.custom
        && let Some(fields) = item.as_object_mut()
    {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    item
}

fn write_token(revision: u64, (namespace, name): &Key) -> String {
    format!("{revision}/{namespace}/{name}")
}

fn read_token(token: &str) -> Answer<(u64, Option<Key>)> {
    let mut parts = token.splitn(3, '/');
    let revision = parts.next().and_then(|revision| revision.parse().ok());
    match (revision, parts.next(), parts.next()) {
        (Some(revision), Some(namespace), Some(name)) => {
            Ok((revision, Some((namespace.to_owned(), name.to_owned()))))
        }
        _ => Err(status::bad_request("continue key is not valid")),
    }
}
