//! The client scopes of a realm, and which of them a client may ask for.
//!
//! Whoever declares a `ResourceType` speaks for the scopes that bailiwick makes in the realm for it, and for no others: what the realm
//! had before is not theirs because they were the first to declare its name. A scope of ours says in an attribute whose it is,
//! and so does one that an administrator hands over.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method as HttpMethod, StatusCode};
use serde_json::{Value, json};

use super::super::http::{Payload, Reply};
use super::super::{ClientMetadata, ErrorKind, IdentityError, Result};
use super::representation::{merge, text};
use super::{Keycloak, created, gone};

/// The attribute that says which `ResourceType` speaks for a scope.
const OF: &str = "bailiwick.dev/resource-type";

impl Keycloak {
    /// Gives the client these scopes to ask for, and no others. The scopes that the realm gives every client stay.
    pub(super) async fn sync_scopes(
        &self,
        operation: &'static str,
        uuid: &str,
        metadata: &ClientMetadata,
    ) -> Result<()> {
        let optional = ["clients", uuid, "optional-client-scopes"];
        let has = named(self.admin.get(operation, &optional, &[]).await?)?;
        let default = ["clients", uuid, "default-client-scopes"];
        let always = named(self.admin.get(operation, &default, &[]).await?)?;
        // `openid` is of the protocol itself.
        let wanted: BTreeSet<&String> = metadata
            .scopes
            .iter()
            .filter(|scope| *scope != "openid" && !always.contains_key(*scope))
            .collect();
        // What is taken away waits for nothing that is given.
        for (_, scope) in has.iter().filter(|(name, _)| !wanted.contains(name)) {
            let path = [&optional[..], &[text(operation, &scope["id"])?]].concat();
            let delete = self.admin.ask(operation, HttpMethod::DELETE, &path);
            gone(self.admin.send(delete).await?)?;
        }
        let known = match wanted.is_empty() {
            true => BTreeMap::new(),
            false => self.scopes(operation).await?,
        };
        for scope in wanted {
            let consent = metadata.consent.get(scope);
            let id = match known.get(scope) {
                Some(found) => self.bring_scope(operation, scope, found, consent).await?,
                None => self.create_scope(operation, scope, consent).await?,
            };
            if !has.contains_key(scope) {
                let path = [&optional[..], &[&id]].concat();
                let put = self.admin.ask(operation, HttpMethod::PUT, &path);
                self.admin.send(put).await?.success()?;
            }
        }
        Ok(())
    }

    /// All of the realm, with their attributes.
    async fn scopes(&self, operation: &'static str) -> Result<BTreeMap<String, Value>> {
        named(self.admin.get(operation, &["client-scopes"], &[]).await?)
    }

    /// A scope is declared by a `ResourceType`, and nobody else would enter it in the realm. It is never removed: others may
    /// use it by then.
    async fn create_scope(
        &self,
        operation: &'static str,
        name: &str,
        consent: Option<&String>,
    ) -> Result<String> {
        let mut scope = json!({
            "name": name,
            "description": "Declared by a ResourceType of bailiwick",
            "protocol": "openid-connect",
            "attributes": {"include.in.token.scope": "true", OF: of(name)},
        });
        merge(&mut scope, shown(consent));
        let post = self
            .admin
            .ask(operation, HttpMethod::POST, &["client-scopes"]);
        let reply = self.admin.send(post.with(Payload::json(&scope))).await?;
        if reply.status == StatusCode::CONFLICT {
            // Another client that wants the same scope was faster. Which id it has now, only the list says.
            let known = self.scopes(operation).await?;
            let found = known.get(name).ok_or_else(|| {
                let message = format!("the scope {name} is there and is not listed");
                IdentityError::new(ErrorKind::Unavailable, operation, message)
            })?;
            return self.bring_scope(operation, name, found, consent).await;
        }
        created(&reply.success()?)
    }

    /// One that is there, if the resource type speaks for it: then persons read what its owner wrote. Its id.
    async fn bring_scope(
        &self,
        operation: &'static str,
        name: &str,
        found: &Value,
        consent: Option<&String>,
    ) -> Result<String> {
        let of = of(name);
        if found["attributes"][OF] != of {
            let message = format!(
                "the realm has a scope {name} that bailiwick has not made, and nobody may have it for a ResourceType of that \
                 name alone: an administrator of the realm who knows that it is what ResourceType {of} declares gives it the \
                 attribute {OF} with the value {of}; else the ResourceType needs another name"
            );
            return Err(IdentityError::new(ErrorKind::Refused, operation, message));
        }
        let id = text(operation, &found["id"])?;
        let mut brought = found.clone();
        merge(&mut brought, shown(consent));
        if consent.is_some() && brought != *found {
            let path = ["client-scopes", id];
            let put = self.admin.ask(operation, HttpMethod::PUT, &path);
            let put = put.with(Payload::json(&brought));
            self.admin.send(put).await?.success()?;
        }
        Ok(id.to_owned())
    }
}

/// The resource type that a scope is of.
fn of(scope: &str) -> &str {
    scope.rsplit_once('.').map_or(scope, |(of, _)| of)
}

/// What a person is shown who is asked for consent.
fn shown(consent: Option<&String>) -> Value {
    let mut attributes = json!({"display.on.consent.screen": "true"});
    if let Some(text) = consent {
        attributes["consent.screen.text"] = Value::from(text.as_str());
    }
    json!({ "attributes": attributes })
}

/// What a list of Keycloak's has, by their names.
fn named(reply: Reply) -> Result<BTreeMap<String, Value>> {
    let list: Vec<Value> = reply.success()?.json()?;
    let pair = |entry: Value| Some((entry["name"].as_str()?.to_owned(), entry));
    Ok(list.into_iter().filter_map(pair).collect())
}
