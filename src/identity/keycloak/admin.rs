//! Requests to the admin API, and the token for them.

use std::time::Duration;

use http::{Method as HttpMethod, StatusCode};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;
use zeroize::Zeroizing;

use super::super::http::{Ask, Payload, Reply, secret};
use super::super::real::Issuer;
use super::super::{ErrorKind, IdentityError, KeycloakLogin, Result, token};
use crate::model::Secret;

/// So long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(10);

/// The admin API of one realm.
pub(super) struct Admin {
    pub(super) issuer: Issuer,
    /// `…/admin/realms/<realm>`.
    realm: Url,
    /// Where a user's token is got.
    master: Url,
    login: KeycloakLogin,
    token: Mutex<Option<(Secret, Timestamp)>>,
}

/// A request that is not complete yet: the URL is its own.
pub(super) struct Request {
    operation: &'static str,
    method: HttpMethod,
    url: Url,
    body: Option<Zeroizing<Vec<u8>>>,
    hidden: Vec<Secret>,
}

impl Request {
    /// The same with this in it.
    pub(super) fn with(mut self, payload: Payload) -> Self {
        if let Payload::Json(body) = payload {
            self.body = Some(body);
        }
        self
    }

    /// The same, and this is not to be repeated.
    pub(super) fn hiding(mut self, secret: Option<&Secret>) -> Self {
        self.hidden.extend(secret.cloned());
        self
    }
}

#[derive(Deserialize)]
struct Token {
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<Secret>,
    #[serde(default)]
    expires_in: i64,
}

impl Admin {
    pub(super) fn new(
        issuer: Issuer,
        admin_url: Option<Url>,
        login: KeycloakLogin,
    ) -> Result<Self> {
        let (prefix, realm) = split(&issuer.issuer)?;
        let base = match admin_url {
            Some(url) => url,
            None => {
                let mut url = issuer.issuer.clone();
                url.set_path(&prefix);
                url
            }
        };
        issuer.http.may_go(&base, "open", "the admin API")?;
        let below = |path: &[&str]| extend(&base, path);
        Ok(Self {
            realm: below(&["admin", "realms", &realm]),
            master: below(&["realms", "master", "protocol", "openid-connect", "token"]),
            issuer,
            login,
            token: Mutex::default(),
        })
    }

    /// A request below the realm.
    pub(super) fn ask(
        &self,
        operation: &'static str,
        method: HttpMethod,
        path: &[&str],
    ) -> Request {
        Request {
            operation,
            method,
            url: extend(&self.realm, path),
            body: None,
            hidden: Vec::new(),
        }
    }

    /// Reads something.
    pub(super) async fn get(
        &self,
        operation: &'static str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Reply> {
        let mut request = self.ask(operation, HttpMethod::GET, path);
        if !query.is_empty() {
            request.url.query_pairs_mut().extend_pairs(query);
        }
        self.send(request).await
    }

    /// Sends it with a token. One that is not taken any more (Keycloak was started anew) is replaced once: nothing was done.
    pub(super) async fn send(&self, request: Request) -> Result<Reply> {
        let token = self.token(request.operation, None).await?;
        let reply = self.once(&request, &token).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        let token = self.token(request.operation, Some(&token)).await?;
        self.once(&request, &token).await
    }

    async fn once(&self, request: &Request, token: &Secret) -> Result<Reply> {
        let mut ask = Ask::new(request.operation, request.method.clone(), &request.url);
        ask = ask.bearer(Some(token));
        ask.hidden.extend(request.hidden.iter().cloned());
        if let Some(body) = &request.body {
            ask = ask.with(Payload::Json(body.clone()));
        }
        self.issuer.http.send(ask).await
    }

    /// A token, but not `spent`. Whoever needs one waits for the one who is getting it.
    async fn token(&self, operation: &'static str, spent: Option<&Secret>) -> Result<Secret> {
        let mut kept = self.token.lock().await;
        let now = (self.issuer.clock)();
        if let Some((token, until)) = kept.as_ref()
            && now < *until
            && spent != Some(token)
        {
            return Ok(token.clone());
        }
        *kept = None;
        let Token {
            access_token,
            expires_in,
        } = self.log_in(operation).await?;
        let token = access_token.ok_or_else(|| {
            let message = "Keycloak answered 200 without an access_token";
            IdentityError::new(ErrorKind::Invalid, operation, message)
        })?;
        let lives = Duration::from_secs(u64::try_from(expires_in).unwrap_or_default());
        let until = now.checked_add(lives.saturating_sub(MARGIN));
        *kept = Some((token.clone(), until.unwrap_or(now)));
        Ok(token)
    }

    async fn log_in(&self, operation: &'static str) -> Result<Token> {
        let metadata;
        let (ask, who) = match &self.login {
            KeycloakLogin::ServiceAccount {
                client_id,
                client_secret,
            } => {
                metadata = self.issuer.metadata().await?;
                let mut ask = Ask::new(operation, HttpMethod::POST, &metadata.token_endpoint);
                ask.authorization = Some(token::basic(client_id, client_secret));
                let form = Payload::form(&[("grant_type", "client_credentials")]);
                (ask.with(form).hiding(Some(client_secret)), client_id)
            }
            KeycloakLogin::User { username, password } => {
                let form = Payload::form(&[
                    ("grant_type", "password"),
                    ("client_id", "admin-cli"),
                    ("username", username),
                    ("password", password.reveal()),
                ]);
                let ask = Ask::new(operation, HttpMethod::POST, &self.master);
                (ask.with(form).hiding(Some(password)), username)
            }
        };
        let reply = self.issuer.http.send(ask).await?;
        if reply.status.is_success() {
            return reply.json();
        }
        let refusal = reply.refusal();
        if refusal.kind.is_transient() {
            return Err(refusal);
        }
        let message = format!(
            "Keycloak does not let {who} in: {}; check the Secret that the provider names",
            refusal.message
        );
        Err(IdentityError::new(ErrorKind::Denied, operation, message))
    }
}

/// What is before `/realms/` in the issuer's path, and the realm.
fn split(issuer: &Url) -> Result<(String, String)> {
    let path = issuer.path().trim_end_matches('/');
    let realm = path
        .rsplit_once("/realms/")
        .filter(|(_, realm)| !realm.is_empty() && !realm.contains('/'));
    let Some((prefix, realm)) = realm else {
        let message = "the issuer is none of Keycloak's: its path must end in /realms/<realm>";
        return Err(IdentityError::new(ErrorKind::Invalid, "open", message));
    };
    // Extending encodes again what is encoded in the issuer's path.
    let encoded = form(realm);
    Ok((prefix.to_owned(), encoded))
}

/// A segment of a path without its percent-encoding.
fn form(segment: &str) -> String {
    let plus = segment.replace('+', "%2B");
    let pair = format!("x={plus}");
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn extend(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_realm_is_the_end_of_the_issuer() {
        for (issuer, prefix, realm) in [
            ("https://id.example.com/realms/shop", "", "shop"),
            (
                "https://id.example.com/auth/realms/my%20shop/",
                "/auth",
                "my shop",
            ),
            ("https://id.example.com/auth/realms/a+b", "/auth", "a+b"),
        ] {
            let (found, name) = split(&issuer.parse().unwrap()).unwrap();
            assert_eq!((found.as_str(), name.as_str()), (prefix, realm));
        }
        for issuer in [
            "https://id.example.com",
            "https://id.example.com/realms/a/b",
        ] {
            assert!(split(&issuer.parse().unwrap()).is_err(), "{issuer}");
        }
    }

    #[test]
    fn paths_are_encoded() {
        let base = "https://id.example.com/auth/".parse().unwrap();
        let url = extend(&base, &["admin", "realms", "my shop", "a/../b"]);
        assert_eq!(
            url.as_str(),
            "https://id.example.com/auth/admin/realms/my%20shop/a%2F..%2Fb"
        );
    }
}
