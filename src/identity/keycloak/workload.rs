//! Clients that authenticate by the tokens which the cluster gives to pods. An identity provider of the realm stands for the
//! cluster, and is its administrators' to set up; a client names it, and whose tokens are taken.

use http::StatusCode;
use serde_json::Value;

use super::super::{ErrorKind, IdentityError, Result, TokenAnswer};
use super::Keycloak;

/// The way to authenticate, as Keycloak calls it.
pub(super) const AUTHENTICATOR: &str = "federated-jwt";
const ISSUER: &str = "jwt.credential.issuer";
const SUBJECT: &str = "jwt.credential.sub";

impl Keycloak {
    /// Whether the realm has what is needed: an identity provider that may vouch for clients, and a server that asks it. That
    /// we may not read it counts as no; that we may not read how the realm's clients authenticate does not, since that takes
    /// a right which is needed for nothing else.
    pub(super) async fn takes_assertions(&self, operation: &'static str) -> Result<bool> {
        let Some(alias) = &self.identity_provider else {
            return Ok(false);
        };
        let path = ["identity-provider", "instances", alias.as_str()];
        let Some(provider) = self.read(operation, &path).await? else {
            return Ok(false);
        };
        let path = ["authentication", "client-authenticator-providers"];
        let Some(ways) = self.read(operation, &path).await? else {
            return Ok(false);
        };
        let asks = ways
            .as_array()
            .is_some_and(|ways| ways.iter().any(|way| way["id"] == AUTHENTICATOR));
        Ok(asks && vouches(&provider) && self.lets_clients_try(operation).await?)
    }

    /// Whether the way is in the realm's client authentication flow; a realm that is older than the way may lack it.
    async fn lets_clients_try(&self, operation: &'static str) -> Result<bool> {
        let realm = self.read(operation, &[]).await?.unwrap_or_default();
        let Some(flow) = realm["clientAuthenticationFlow"].as_str() else {
            return Ok(true);
        };
        let path = ["authentication", "flows", flow, "executions"];
        let steps = self.read(operation, &path).await?;
        Ok(steps.is_none_or(|steps| is_tried(&steps)))
    }

    async fn read(&self, operation: &'static str, path: &[&str]) -> Result<Option<Value>> {
        let reply = self.admin.get(operation, path, &[]).await?;
        match reply.status {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => {
                tracing::info!(
                    path = path.join("/"),
                    status = reply.status.as_u16(),
                    "the realm does not have this or does not show it"
                );
                Ok(None)
            }
            _ => reply.success()?.json().map(Some),
        }
    }
}

/// Whether an identity provider may say who a client is. One for people may not unless it is said.
fn vouches(provider: &Value) -> bool {
    let config = &provider["config"];
    let kind = provider["providerId"].as_str().unwrap_or_default();
    let may =
        kind == "kubernetes" || (kind == "oidc" && config["supportsClientAssertions"] == "true");
    provider["enabled"] == true && may
}

/// Whether one of these steps lets a client in by what somebody else has signed for it.
fn is_tried(steps: &Value) -> bool {
    let on = |step: &Value| {
        let requirement = step["requirement"].as_str();
        step["providerId"] == AUTHENTICATOR && requirement.is_some_and(|it| it != "DISABLED")
    };
    steps.as_array().is_some_and(|steps| steps.iter().any(on))
}

/// The attributes of a client, with whose tokens it takes.
pub(super) fn attributes(
    operation: &'static str,
    mut attributes: Value,
    named: Option<(&str, &str)>,
) -> Result<Value> {
    let (alias, subject) = named.ok_or_else(|| {
        let message =
            "the provider says nothing of workload identity, or nobody whose tokens are taken";
        IdentityError::new(ErrorKind::Refused, operation, message)
    })?;
    attributes[ISSUER] = Value::from(alias);
    attributes[SUBJECT] = Value::from(subject);
    Ok(attributes)
}

/// What a client is worth to who shows tokens of this subject.
pub(super) fn judge(
    id: &str,
    client: Option<&Value>,
    alias: Option<&str>,
    subject: &str,
) -> TokenAnswer {
    let Some(client) = client else {
        return TokenAnswer::UnknownClient(format!("the realm has no client {id}"));
    };
    let attributes = &client["attributes"];
    let differs = [
        ("it is disabled", client["enabled"] == true),
        ("it is public", client["publicClient"] != true),
        (
            "it authenticates in another way",
            client["clientAuthenticatorType"] == AUTHENTICATOR,
        ),
        (
            "it takes the tokens of another identity provider",
            attributes[ISSUER].as_str() == alias,
        ),
        (
            "it takes the tokens of another subject",
            attributes[SUBJECT] == subject,
        ),
    ];
    let found = differs.iter().find(|(_, as_wanted)| !as_wanted);
    found.map_or(TokenAnswer::Accepted, |(what, _)| {
        TokenAnswer::Refused(format!("client {id}: {what}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_who_is_said_to_vouches_for_clients() {
        let provider = |kind: &str, enabled: bool, says: &str| json!({"providerId": kind, "enabled": enabled, "config": {"supportsClientAssertions": says}});
        for (kind, enabled, says, vouched) in [
            ("kubernetes", true, "", true),
            ("kubernetes", false, "", false),
            ("oidc", true, "true", true),
            ("oidc", true, "false", false),
            ("github", true, "true", false),
        ] {
            let provider = provider(kind, enabled, says);
            assert_eq!(vouches(&provider), vouched, "{provider}");
        }
        assert!(!vouches(&json!({"providerId": "oidc", "enabled": true})));
    }

    #[test]
    fn a_client_that_somebody_has_changed_is_told_from_one_that_is_gone() {
        let client = json!({"enabled": true, "publicClient": false, "clientAuthenticatorType": AUTHENTICATOR,
            "attributes": {ISSUER: "cluster", SUBJECT: "s"}});
        let judge = |client: &Value| judge("c", Some(client), Some("cluster"), "s");
        assert_eq!(judge(&client), TokenAnswer::Accepted);
        for (pointer, value) in [
            ("/enabled", json!(false)),
            ("/publicClient", json!(true)),
            ("/clientAuthenticatorType", json!("client-secret")),
            ("/attributes/jwt.credential.issuer", json!("other")),
            ("/attributes/jwt.credential.sub", json!("other")),
        ] {
            let mut changed = client.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(
                matches!(judge(&changed), TokenAnswer::Refused(_)),
                "{pointer}"
            );
        }
        let gone = super::judge("c", None, Some("cluster"), "s");
        assert!(matches!(gone, TokenAnswer::UnknownClient(_)));
    }
}
