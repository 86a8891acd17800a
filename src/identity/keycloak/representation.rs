//! A client as Keycloak writes it. Pure.

use serde_json::{Map, Value, json};

use super::super::users::PASSWORD_GRANT;
use super::super::{ClientMetadata, ErrorKind, IdentityError, Method, Result, jwks};
use super::workload;

/// The attribute that says whose a client is.
pub(super) const UID: &str = "bailiwick.dev/uid";

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The members of a client that we decide. The others are the realm's administrators'.
pub(super) fn wanted(
    operation: &'static str,
    metadata: &ClientMetadata,
    identity_provider: Option<&str>,
) -> Result<Value> {
    let ClientMetadata {
        name,
        grant_types,
        redirect_uris,
        // Kept apart: assigned one by one.
        scopes: _,
        consent,
        method,
        keys,
        subject,
    } = metadata;
    let known = [
        "authorization_code",
        "client_credentials",
        "refresh_token",
        DEVICE,
        EXCHANGE,
        PASSWORD_GRANT,
    ];
    if let Some(other) = grant_types
        .iter()
        .find(|grant| !known.contains(&grant.as_str()))
    {
        let message = format!("the grant type {other} cannot be given to a client of Keycloak");
        return Err(IdentityError::new(ErrorKind::Refused, operation, message));
    }
    let has = |grant: &str| grant_types.iter().any(|has| has == grant);
    let flag = |value: bool| if value { "true" } else { "false" };
    let signs = *method == Method::PrivateKeyJwt;
    let mut attributes = json!({
        "oauth2.device.authorization.grant.enabled": flag(has(DEVICE)),
        "standard.token.exchange.enabled": flag(has(EXCHANGE)),
        "use.refresh.tokens": flag(has("refresh_token")),
        "use.jwks.url": "false",
        "use.jwks.string": flag(signs),
    });
    if signs {
        attributes["jwks.string"] = Value::from(jwks(keys).to_string());
        attributes["token.endpoint.auth.signing.alg"] = Value::from("ES256");
    }
    let authenticator = match method {
        Method::WorkloadIdentity => {
            let named = identity_provider.zip(subject.as_deref());
            attributes = workload::attributes(operation, attributes, named)?;
            workload::AUTHENTICATOR
        }
        Method::PrivateKeyJwt => "client-jwt",
        Method::SecretBasic | Method::SecretPost | Method::Public => "client-secret",
    };
    let mut client = json!({
        "name": name,
        "enabled": true,
        "publicClient": *method == Method::Public,
        "bearerOnly": false,
        "clientAuthenticatorType": authenticator,
        "standardFlowEnabled": has("authorization_code"),
        "implicitFlowEnabled": false,
        "directAccessGrantsEnabled": has(PASSWORD_GRANT),
        "serviceAccountsEnabled": has("client_credentials"),
        // Else every role of every person would be in every token.
        "fullScopeAllowed": false,
        "redirectUris": redirect_uris,
        "attributes": attributes,
    });
    // Where nobody need be asked for our sake, an administrator may still want it.
    if !consent.is_empty() {
        client["consentRequired"] = Value::from(true);
    }
    Ok(client)
}

/// Puts the changes in, member by member; what they do not name stays.
pub(super) fn merge(target: &mut Value, changes: Value) {
    match changes {
        Value::Object(changes) => {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            for (key, value) in changes {
                merge(&mut target[key], value);
            }
        }
        other => *target = other,
    }
}

/// A member that must be a text.
pub(super) fn text<'a>(operation: &'static str, value: &'a Value) -> Result<&'a str> {
    value.as_str().ok_or_else(|| {
        let message = "Keycloak answered without what it always answers with";
        IdentityError::new(ErrorKind::Invalid, operation, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(method: Method, grants: &[&str]) -> ClientMetadata {
        let (_, key) = super::super::super::keys::make();
        ClientMetadata {
            consent: Default::default(),
            name: "shop/api".to_owned(),
            grant_types: grants.iter().map(|grant| (*grant).to_owned()).collect(),
            redirect_uris: Vec::new(),
            scopes: Vec::new(),
            method,
            keys: vec![key],
            subject: Some("system:serviceaccount:team-shop:api".to_owned()),
        }
    }

    #[test]
    fn a_client_may_only_what_it_was_given() {
        let client = wanted(
            "register",
            &metadata(Method::SecretBasic, &["client_credentials"]),
            None,
        )
        .unwrap();
        for (member, value) in [
            ("serviceAccountsEnabled", true),
            ("standardFlowEnabled", false),
            ("implicitFlowEnabled", false),
            ("directAccessGrantsEnabled", false),
            ("fullScopeAllowed", false),
            ("publicClient", false),
        ] {
            assert_eq!(client[member], value, "{member}");
        }
        assert_eq!(
            client["attributes"]["standard.token.exchange.enabled"],
            "false"
        );
        let error = wanted(
            "register",
            &metadata(Method::SecretBasic, &["implicit"]),
            None,
        )
        .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
    }

    /// And what an administrator says of a client that needs nobody's consent stays.
    #[test]
    fn persons_are_asked_for_what_is_theirs() {
        let mut people = metadata(Method::SecretBasic, &["authorization_code"]);
        let client = wanted("register", &people, None).unwrap();
        assert_eq!(client["consentRequired"], Value::Null);
        let text = ("sales-order.mine".to_owned(), "See your orders.".to_owned());
        people.consent = [text].into();
        let client = wanted("register", &people, None).unwrap();
        assert_eq!(client["consentRequired"], true);
    }

    #[test]
    fn keys_are_there_for_who_signs() {
        let metadata = metadata(Method::PrivateKeyJwt, &["client_credentials"]);
        let client = wanted("register", &metadata, Some("cluster")).unwrap();
        assert_eq!(client["clientAuthenticatorType"], "client-jwt");
        let keys = client["attributes"]["jwks.string"].as_str().unwrap();
        assert!(keys.contains(&metadata.keys[0].x));
        assert_eq!(client["attributes"]["jwt.credential.sub"], Value::Null);
    }

    #[test]
    fn whose_tokens_are_taken_is_said_whole_or_not_at_all() {
        let metadata = metadata(Method::WorkloadIdentity, &["client_credentials"]);
        let client = wanted("register", &metadata, Some("cluster")).unwrap();
        assert_eq!(client["clientAuthenticatorType"], "federated-jwt");
        assert_eq!(client["publicClient"], false);
        for (attribute, value) in [
            ("jwt.credential.issuer", "cluster"),
            ("jwt.credential.sub", "system:serviceaccount:team-shop:api"),
            ("use.jwks.string", "false"),
        ] {
            assert_eq!(client["attributes"][attribute], value, "{attribute}");
        }
        assert_eq!(client["attributes"]["jwks.string"], Value::Null);
        let nobody = ClientMetadata {
            subject: None,
            ..metadata.clone()
        };
        for (metadata, provider) in [(&metadata, None), (&nobody, Some("cluster"))] {
            let error = wanted("register", metadata, provider).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused);
        }
    }

    #[test]
    fn what_is_not_ours_stays() {
        let mut client = json!({"id": "1", "webOrigins": ["+"], "name": "old", "redirectUris": ["a", "b"],
            "attributes": {"theirs": "1", "use.jwks.string": "false"}});
        merge(
            &mut client,
            json!({"name": "new", "redirectUris": ["c"], "attributes": {"use.jwks.string": "true"}}),
        );
        assert_eq!(
            client,
            json!({"id": "1", "webOrigins": ["+"], "name": "new", "redirectUris": ["c"],
                "attributes": {"theirs": "1", "use.jwks.string": "true"}})
        );
    }
}
