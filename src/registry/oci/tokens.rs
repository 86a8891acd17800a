//! Saying who asks: the login itself, or a token that it is exchanged for (RFC 6750; the distribution project's token
//! authentication).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::challenge::Challenge;
use super::settings::{Login, Logins};
use super::transport::{Ask, Transport};
use crate::model::ImageName;
use crate::registry::Result;
use crate::registry::error::{ErrorKind, RegistryError};

/// How long a token lives where the answer does not say (the token specification's own default).
const LIFETIME: Duration = Duration::from_secs(60);
/// Used no longer than this, whatever was promised.
const LONGEST: Duration = Duration::from_secs(3600);
/// How many are kept. Beyond that the cache starts anew: it saves requests, nothing depends on it.
const KEPT: usize = 10_000;

/// What was last accepted where.
#[derive(Default)]
pub struct Tokens {
    kept: Mutex<HashMap<ImageName, (HeaderValue, Instant)>>,
}

impl Tokens {
    /// What to send along, as far as it is known already.
    pub fn known(&self, name: &ImageName) -> Option<HeaderValue> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (header, until) = kept.get(name)?;
        (*until > Instant::now()).then(|| header.clone())
    }

    /// Meets the challenge of a registry.
    pub async fn meet(
        &self,
        transport: &Transport,
        logins: &dyn Logins,
        name: &ImageName,
        challenge: Challenge,
    ) -> Result<HeaderValue> {
        let login = logins.login(name).await?;
        let (header, lifetime) = match (challenge, &login) {
            (_, Some(Login::Token(token))) => (bearer(token.reveal(), name)?, LONGEST),
            (Challenge::Basic, Some(Login::Password { .. } | Login::Here { .. })) => {
                (basic(&login, name)?, LONGEST)
            }
            (Challenge::Bearer { .. }, Some(Login::Here { .. })) => {
                let message = format!(
                    "{} wants a token of a service beside it, which the login for it is not sent to",
                    name.registry()
                );
                return Err(RegistryError::new(ErrorKind::Denied, name, message));
            }
            (Challenge::Basic, None) => {
                let message = format!("{} wants a login, and none is configured", name.registry());
                return Err(RegistryError::new(ErrorKind::Denied, name, message));
            }
            (Challenge::Bearer { realm, service }, _) => {
                let authorization = login.is_some().then(|| basic(&login, name)).transpose()?;
                fetch(transport, name, &realm, service.as_deref(), authorization).await?
            }
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        // Not used up to the last moment: it must still be good when the request arrives.
        let until = Instant::now() + lifetime.min(LONGEST) * 9 / 10;
        kept.insert(name.clone(), (header.clone(), until));
        Ok(header)
    }

    /// Forgets what was not accepted.
    pub fn forget(&self, name: &ImageName) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(name);
    }
}

/// Gets a token that lets its bearer pull this image, and no more.
async fn fetch(
    transport: &Transport,
    name: &ImageName,
    realm: &str,
    service: Option<&str>,
    authorization: Option<HeaderValue>,
) -> Result<(HeaderValue, Duration)> {
    let subject = name.to_string();
    let invalid = |message: String| RegistryError::new(ErrorKind::Invalid, &subject, message);
    let mut url: Url = realm.parse().map_err(|error| {
        invalid(format!(
            "the registry wants a token from what is no URL: {error}"
        ))
    })?;
    // The realm is the registry's word: it may not send us to plain HTTP, nor into our own network.
    transport.may_go(&url, &subject)?;
    if let Some(service) = service {
        url.query_pairs_mut().append_pair("service", service);
    }
    let scope = format!("repository:{}:pull", name.path());
    url.query_pairs_mut().append_pair("scope", &scope);
    let ask = Ask {
        method: Method::GET,
        url,
        accept: "application/json",
        authorization,
        subject: &subject,
        limits: transport.settings().limits(name.registry()),
    };
    let body = transport
        .ask(ask)
        .await?
        .success()
        .await?
        .document()
        .await?;

    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
        expires_in: Option<u64>,
    }
    // The answer holds a secret: neither it nor what the parser quotes of it goes into the error.
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
        invalid("the registry's token service answers with what is no token".into())
    })?;
    let token = answer
        .token
        .or(answer.access_token)
        .filter(|token| !token.is_empty());
    let token =
        token.ok_or_else(|| invalid("the registry's token service gives no token".into()))?;
    let lifetime = answer.expires_in.map_or(LIFETIME, Duration::from_secs);
    Ok((bearer(&token, name)?, lifetime))
}

fn bearer(token: &str, name: &ImageName) -> Result<HeaderValue> {
    secret_header(&format!("Bearer {token}"), name)
}

fn basic(login: &Option<Login>, name: &ImageName) -> Result<HeaderValue> {
    match login {
        Some(Login::Password { user, password } | Login::Here { user, password }) => {
            let pair = STANDARD.encode(format!("{user}:{}", password.reveal()));
            secret_header(&format!("Basic {pair}"), name)
        }
        Some(Login::Token(token)) => bearer(token.reveal(), name),
        None => Err(RegistryError::new(
            ErrorKind::Denied,
            name,
            "no login is configured",
        )),
    }
}

fn secret_header(text: &str, name: &ImageName) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let message = format!(
            "the login for {} has characters that no header takes",
            name.registry()
        );
        RegistryError::new(ErrorKind::Denied, name, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}
