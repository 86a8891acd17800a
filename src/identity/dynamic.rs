//! Clients by RFC 7591 (registration) and RFC 7592 (management), of any server that has them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use http::{Method as HttpMethod, StatusCode};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::http::{Ask, Payload, Reply, secret};
use super::real::Issuer;
use super::{
    Capabilities, ClientMetadata, Description, ErrorKind, IdentityError, Inquiry, Management,
    Method, NewClient, OAuthServer, Registration, Result, TokenAnswer, TokenRequest, jwks,
};
use crate::model::Secret;

/// By which a client asks who a person is.
const OPENID: &str = "openid";
/// What OpenID Connect Core has (sections 5.4 and 11): about a person who consents, and never a resource type's. Servers
/// add them by themselves.
const OF_OPENID: [&str; 6] = [
    OPENID,
    "profile",
    "email",
    "address",
    "phone",
    "offline_access",
];

/// A server with dynamic registration.
pub(super) struct DynamicRegistration {
    issuer: Issuer,
    initial_access_token: Option<Secret>,
}

/// RFC 7591 section 3.2.1 and RFC 7592 section 3: what the server has registered, which is what counts.
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    #[serde(default, deserialize_with = "secret")]
    client_secret: Option<Secret>,
    client_secret_expires_at: Option<i64>,
    registration_client_uri: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    registration_access_token: Option<Secret>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    redirect_uris: Option<Vec<String>>,
    scope: Option<String>,
    jwks: Option<Value>,
}

impl DynamicRegistration {
    pub(super) fn new(issuer: Issuer, initial_access_token: Option<Secret>) -> Self {
        Self {
            issuer,
            initial_access_token,
        }
    }

    async fn endpoint(&self, operation: &'static str) -> Result<Url> {
        let metadata = self.issuer.metadata().await?;
        endpoint(metadata.registration_endpoint.as_ref(), operation).cloned()
    }

    async fn remove(&self, operation: &'static str, management: &Management) -> Result<()> {
        let ask = Ask::new(operation, HttpMethod::DELETE, &management.uri)
            .bearer(Some(&management.token));
        let reply = self.issuer.http.send(ask).await?;
        match reply.status {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
            _ => Err(reply.refusal()),
        }
    }

    /// The client is registered and not as it was asked for. It goes again, and the error says what is the matter.
    async fn undo(&self, problem: String, management: Option<&Management>) -> IdentityError {
        const OPERATION: &str = "register";
        let removed = match management {
            Some(management) => self
                .remove(OPERATION, management)
                .await
                .map_err(|error| error.message),
            None => Err("the server gives nothing to manage it by".to_owned()),
        };
        let message = match removed {
            Ok(()) => format!("{problem}; it was removed again"),
            Err(why) => format!(
                "{problem}; it could not be removed again ({why}): an administrator of the server must do that"
            ),
        };
        IdentityError::new(ErrorKind::Refused, OPERATION, message)
    }
}

#[async_trait]
impl OAuthServer for DynamicRegistration {
    async fn describe(&self, _: Inquiry) -> Result<Description> {
        let metadata = self.issuer.discover().await?;
        endpoint(metadata.registration_endpoint.as_ref(), "describe")?;
        Ok(Description {
            token_endpoint: metadata.token_endpoint.clone(),
            methods: metadata.methods.clone(),
            grant_types: metadata.grant_types.clone(),
            capabilities: Capabilities {
                secrets_in_place: false,
                older_secret_lives: None,
                updates: false,
                search: false,
            },
        })
    }

    async fn register(&self, new: &NewClient) -> Result<Registration> {
        const OPERATION: &str = "register";
        let server = self.issuer.metadata().await?;
        let endpoint = endpoint(server.registration_endpoint.as_ref(), OPERATION)?.clone();
        let asked = named(&new.metadata, &server.scopes)?;
        // The server makes the secret; ours is not shown to it.
        let ask = Ask::new(OPERATION, HttpMethod::POST, &endpoint)
            .bearer(self.initial_access_token.as_ref())
            .with(Payload::json(&wanted(&asked)));
        let reply = self.issuer.http.send(ask).await?.success()?;
        let registered: Registered = reply.json()?;
        let management = match management(&reply, &endpoint, &registered) {
            Ok(management) => management,
            Err(problem) => return Err(self.undo(problem, None).await),
        };
        if let Some(problem) = difference(&asked, &registered) {
            return Err(self.undo(problem, management.as_ref()).await);
        }
        Ok(Registration {
            client_id: registered.client_id,
            secret: registered.client_secret,
            secret_id: None,
            secret_expires: expiry(registered.client_secret_expires_at),
            management,
        })
    }

    async fn find(&self, _handle: &str, _uid: &str) -> Result<Vec<Registration>> {
        // Clients that RFC 7591 registered can be read by their own tokens alone.
        Ok(Vec::new())
    }

    async fn update(&self, _: &Registration, _: &ClientMetadata) -> Result<()> {
        Err(lacks("update"))
    }

    async fn add_secret(&self, _: &Registration) -> Result<Registration> {
        Err(lacks("add_secret"))
    }

    async fn retire_secret(&self, _: &Registration) -> Result<()> {
        Err(lacks("retire_secret"))
    }

    async fn delete(&self, registration: &Registration) -> Result<()> {
        const OPERATION: &str = "delete";
        let Some(management) = &registration.management else {
            let message = format!(
                "the server gave nothing to manage client {} by (RFC 7592): an administrator of the server must remove it",
                registration.client_id
            );
            return Err(IdentityError::new(ErrorKind::Invalid, OPERATION, message));
        };
        // What was kept may have been written by hand since.
        let endpoint = self.endpoint(OPERATION).await?;
        on_origin(&management.uri, &endpoint)
            .map_err(|problem| IdentityError::new(ErrorKind::Invalid, OPERATION, problem))?;
        self.remove(OPERATION, management).await
    }

    async fn request_token(&self, request: &TokenRequest) -> Result<TokenAnswer> {
        self.issuer.request_token(request).await
    }
}

fn endpoint<'a>(endpoint: Option<&'a Url>, operation: &'static str) -> Result<&'a Url> {
    endpoint.ok_or_else(|| {
        let message = "the metadata names no registration_endpoint: the server has no dynamic registration (RFC 7591)";
        IdentityError::new(ErrorKind::Invalid, operation, message)
    })
}

fn lacks(operation: &'static str) -> IdentityError {
    let message = "not with dynamic registration: every change replaces the token by which the next one is made, and a \
        lost answer would leave a client that nobody can change; register another client beside it";
    IdentityError::new(ErrorKind::Refused, operation, message)
}

/// A client that may ask for nothing must be registered so: one that is registered without a scope gets whatever the server
/// likes (RFC 7591 section 2), every scope there is with some. `openid` alone opens nothing that is a resource type's.
fn named(metadata: &ClientMetadata, supported: &[String]) -> Result<ClientMetadata> {
    let mut named = metadata.clone();
    if !named.scopes.is_empty() {
        return Ok(named);
    }
    if !supported.iter().any(|scope| scope == OPENID) {
        let message = "spec.scopes is empty, and this server would choose the client's scopes itself, for it has no scope \
            openid to register it with: name at least one scope";
        return Err(IdentityError::new(ErrorKind::Refused, "register", message));
    }
    named.scopes.push(OPENID.to_owned());
    Ok(named)
}

/// What is asked for. What is empty is said to be empty: what is left out is the server's choice, and many choose
/// `authorization_code`.
fn wanted(metadata: &ClientMetadata) -> Value {
    let ClientMetadata {
        name,
        grant_types,
        redirect_uris,
        scopes,
        method,
        keys,
        // RFC 7591 has no words for it: whether and how persons are asked is the server's.
        consent: _,
        // Of a method that this kind of server is never said to have.
        subject: _,
    } = metadata;
    let has_code = grant_types
        .iter()
        .any(|grant| grant == "authorization_code");
    let response_types: &[&str] = if has_code { &["code"] } else { &[] };
    let mut wanted = json!({
        "client_name": name,
        "grant_types": grant_types,
        "redirect_uris": redirect_uris,
        "response_types": response_types,
        "token_endpoint_auth_method": method.name(),
    });
    if !scopes.is_empty() {
        wanted["scope"] = Value::from(scopes.join(" "));
    }
    if *method == Method::PrivateKeyJwt {
        wanted["jwks"] = jwks(keys);
        wanted["token_endpoint_auth_signing_alg"] = Value::from("ES256");
    }
    wanted
}

/// What the server has registered otherwise than it was asked to, in words.
fn difference(wanted: &ClientMetadata, found: &Registered) -> Option<String> {
    fn set(list: &[String]) -> BTreeSet<&str> {
        list.iter().map(String::as_str).collect()
    }
    fn join(list: &BTreeSet<&str>) -> String {
        list.iter().copied().collect::<Vec<_>>().join(" ")
    }
    // What these are if the server leaves them out is in RFC 7591 section 2.
    let method = found
        .token_endpoint_auth_method
        .as_deref()
        .unwrap_or(Method::SecretBasic.name());
    if method != wanted.method.name() {
        let asked = wanted.method.name();
        return Some(format!(
            "the server registered the client with {method:.40} instead of {asked}"
        ));
    }
    let code = ["authorization_code".to_owned()];
    let (asked, grants) = (
        set(&wanted.grant_types),
        set(found.grant_types.as_deref().unwrap_or(&code)),
    );
    if asked != grants {
        let (asked, grants) = (join(&asked), join(&grants));
        return Some(format!(
            "the server registered the client with the grant types {grants:.200} instead of {asked}"
        ));
    }
    let uris = set(found.redirect_uris.as_deref().unwrap_or_default());
    if set(&wanted.redirect_uris) != uris {
        return Some(
            "the server registered the client with other redirect URIs than it was asked to"
                .to_owned(),
        );
    }
    let given = found.scope.as_deref().unwrap_or_default();
    let given: BTreeSet<&str> = given.split_whitespace().collect();
    let missing: BTreeSet<&str> = set(&wanted.scopes).difference(&given).copied().collect();
    if !missing.is_empty() {
        return Some(format!(
            "the server registered the client without the scope {}",
            join(&missing)
        ));
    }
    // None that somebody else would have to grant.
    let asked = set(&wanted.scopes);
    let is_more = |scope: &&str| !asked.contains(scope) && !OF_OPENID.contains(scope);
    let more: BTreeSet<&str> = given.into_iter().filter(is_more).collect();
    if !more.is_empty() {
        let more = join(&more);
        return Some(format!(
            "the server registered the client with the scope {more:.200}, which it was not asked to"
        ));
    }
    credential_problem(wanted, found)
}

fn credential_problem(wanted: &ClientMetadata, found: &Registered) -> Option<String> {
    if wanted.method.has_secret() && found.client_secret.is_none() {
        return Some("the server registered the client, and gave it no secret".to_owned());
    }
    if wanted.method != Method::PrivateKeyJwt {
        return None;
    }
    let keys = found
        .jwks
        .as_ref()
        .and_then(|set| set.get("keys")?.as_array());
    let has = |x: &str| keys.is_some_and(|keys| keys.iter().any(|key| key["x"] == *x));
    let missing = wanted.keys.iter().find(|key| !has(&key.x))?;
    Some(format!(
        "the server registered the client without the key {}",
        missing.id
    ))
}

/// By what the client is managed. A server that says how must say where, and that on its own origin: anything else would
/// get the token that removes the client.
fn management(
    reply: &Reply,
    endpoint: &Url,
    found: &Registered,
) -> std::result::Result<Option<Management>, String> {
    let (uri, token) = match (
        &found.registration_client_uri,
        &found.registration_access_token,
    ) {
        (Some(uri), Some(token)) => (uri, token),
        (None, None) => return Ok(None),
        _ => {
            return Err(format!(
                "the server answered {} with only one of registration_client_uri and registration_access_token",
                reply.status
            ));
        }
    };
    let uri: Url = uri
        .parse()
        .map_err(|_| "the server names a registration_client_uri that is no URL".to_owned())?;
    on_origin(&uri, endpoint)?;
    Ok(Some(Management {
        uri,
        token: token.clone(),
    }))
}

fn on_origin(uri: &Url, endpoint: &Url) -> std::result::Result<(), String> {
    if uri.origin() == endpoint.origin() {
        return Ok(());
    }
    Err(format!(
        "registration_client_uri is at {}, and the registration endpoint at {}: a client is managed only where it was \
         registered",
        uri.origin().ascii_serialization(),
        endpoint.origin().ascii_serialization()
    ))
}

/// RFC 7591 section 3.2.1: 0 is never.
fn expiry(seconds: Option<i64>) -> Option<Timestamp> {
    let seconds = seconds.filter(|seconds| *seconds > 0)?;
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> ClientMetadata {
        ClientMetadata {
            consent: Default::default(),
            name: "shop/api".to_owned(),
            grant_types: vec!["client_credentials".to_owned()],
            redirect_uris: Vec::new(),
            scopes: vec!["a".to_owned(), "b".to_owned()],
            method: Method::SecretBasic,
            keys: Vec::new(),
            subject: None,
        }
    }

    fn registered(change: impl Fn(&mut Value)) -> Registered {
        let mut document = json!({
            "client_id": "c", "client_secret": "s", "client_secret_expires_at": 0, "redirect_uris": [],
            "grant_types": ["client_credentials"], "scope": "b a openid", "token_endpoint_auth_method": "client_secret_basic",
        });
        change(&mut document);
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_client_without_people_says_that_it_has_no_redirections() {
        let wanted = wanted(&metadata());
        assert_eq!(wanted["redirect_uris"], json!([]));
        assert_eq!(wanted["response_types"], json!([]));
        assert_eq!(wanted["scope"], "a b");
    }

    #[test]
    fn what_is_registered_otherwise_is_found() {
        assert_eq!(difference(&metadata(), &registered(|_| {})), None);
        for (key, value, said) in [
            (
                "token_endpoint_auth_method",
                json!("none"),
                "none instead of client_secret_basic",
            ),
            (
                "grant_types",
                json!(["client_credentials", "password"]),
                "client_credentials password",
            ),
            ("grant_types", Value::Null, "authorization_code instead of"),
            (
                "redirect_uris",
                json!(["https://other.example"]),
                "redirect URIs",
            ),
            ("scope", json!("a b c"), "with the scope c, which"),
            ("scope", json!("a bc"), "without the scope b"),
            ("scope", Value::Null, "without the scope a b"),
            ("client_secret", Value::Null, "no secret"),
        ] {
            let found = registered(|document| document[key] = value.clone());
            let problem = difference(&metadata(), &found).unwrap();
            assert!(problem.contains(said), "{problem}");
        }
    }

    #[test]
    fn a_client_without_scopes_is_not_left_to_the_server() {
        let none = ClientMetadata {
            scopes: Vec::new(),
            ..metadata()
        };
        let supported = ["openid".to_owned(), "api.read".to_owned()];
        let asked = named(&none, &supported).unwrap();
        assert_eq!(wanted(&asked)["scope"], "openid");
        let error = named(&none, &supported[1..]).unwrap_err();
        assert!(error.message.contains("spec.scopes"), "{error}");
        assert_eq!(named(&metadata(), &[]).unwrap(), metadata());
        let said = |scope: Value| {
            difference(
                &asked,
                &registered(|document| document["scope"] = scope.clone()),
            )
        };
        assert_eq!(said(json!("openid")), None);
        assert!(said(Value::Null).unwrap().contains("without"));
        assert!(said(json!("openid api.read")).unwrap().contains("api.read"));
    }

    #[test]
    fn a_key_must_have_arrived() {
        let (_, key) = super::super::keys::make();
        let wanted = ClientMetadata {
            method: Method::PrivateKeyJwt,
            keys: vec![key.clone()],
            ..metadata()
        };
        let with = |keys: Value| {
            registered(|document| {
                document["token_endpoint_auth_method"] = json!("private_key_jwt");
                document["jwks"] = keys.clone();
            })
        };
        let kept = with(jwks(std::slice::from_ref(&key)));
        assert_eq!(difference(&wanted, &kept), None);
        for lost in [Value::Null, json!({"keys": []})] {
            assert!(difference(&wanted, &with(lost)).unwrap().contains(&key.id));
        }
    }

    #[test]
    fn a_secret_without_end_has_none() {
        assert_eq!(expiry(Some(0)), None);
        assert_eq!(expiry(None), None);
        assert_eq!(
            expiry(Some(1_800_000_000)).unwrap().as_second(),
            1_800_000_000
        );
    }
}
