//! HTTP to one authorization server: no redirects, bounded in time and size, and no word of what is secret in an error.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT,
};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::timeout;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::{ErrorKind, IdentityError, Result};
use crate::causes::chain;
use crate::model::Secret;
use crate::outbound::{AGENT, HttpClient, Unusable, client, retry_after};

/// The largest answer that is read: metadata, a client, a list of a realm's scopes.
const LARGEST: usize = 1 << 20;
/// How much of a server's own words is kept.
const WORDS: usize = 200;

/// How long servers are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the request to the end of the answer, connecting included.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(20),
        }
    }
}

/// The client for one server.
pub(super) struct Http {
    client: HttpClient<Full<Bytes>>,
    limits: Limits,
    /// Whether the issuer is on this machine and reached by plain HTTP; then its endpoints may be, too.
    plain: bool,
}

/// What a request carries.
pub(super) enum Payload {
    /// Nothing.
    Nothing,
    /// A document.
    Json(Zeroizing<Vec<u8>>),
    /// A form.
    Form(Zeroizing<Vec<u8>>),
}

impl Payload {
    /// A document as JSON.
    pub(super) fn json(document: &Value) -> Self {
        Self::Json(Zeroizing::new(document.to_string().into_bytes()))
    }

    /// A form (WHATWG URL, `application/x-www-form-urlencoded`).
    pub(super) fn form(fields: &[(&str, &str)]) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        Self::Form(Zeroizing::new(form.finish().into_bytes()))
    }
}

/// One request.
pub(super) struct Ask<'a> {
    /// What it is for, for errors and metrics.
    pub(super) operation: &'static str,
    /// The method.
    pub(super) method: Method,
    /// Where.
    pub(super) url: &'a Url,
    /// Who asks: a whole header, `Bearer …` for example.
    pub(super) authorization: Option<Secret>,
    /// What it carries.
    pub(super) payload: Payload,
    /// What must not be repeated to us: a server that quotes it in an error does not bring it into our logs.
    pub(super) hidden: Vec<Secret>,
}

impl<'a> Ask<'a> {
    /// A request that carries nothing.
    pub(super) fn new(operation: &'static str, method: Method, url: &'a Url) -> Self {
        Self {
            operation,
            method,
            url,
            authorization: None,
            payload: Payload::Nothing,
            hidden: Vec::new(),
        }
    }

    /// The same with a token.
    pub(super) fn bearer(mut self, token: Option<&Secret>) -> Self {
        if let Some(token) = token {
            self.authorization = Some(Secret::new(format!("Bearer {}", token.reveal())));
            self.hidden.push(token.clone());
        }
        self
    }

    /// The same with this in it.
    pub(super) fn with(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// The same, and this is not to be repeated.
    pub(super) fn hiding(mut self, secret: Option<&Secret>) -> Self {
        self.hidden.extend(secret.cloned());
        self
    }
}

/// An answer, read to its end.
pub(super) struct Reply {
    /// What was asked.
    pub(super) operation: &'static str,
    /// Its status.
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
    hidden: Vec<Secret>,
}

impl Http {
    /// A client for the server of this issuer. Fails if the issuer is neither HTTPS nor on this machine.
    pub(super) fn new(issuer: &Url, authorities: &str, limits: Limits) -> Result<Self> {
        let plain = issuer.scheme() == "http" && is_loopback(issuer);
        let client = client(authorities).map_err(|error| {
            let why = match error {
                Unusable::Authority(why) => {
                    format!("a certificate authority that the provider names cannot be used: {why}")
                }
                Unusable::Tls(why) => format!("TLS does not work here: {why}"),
            };
            IdentityError::new(ErrorKind::Invalid, "open", why)
        })?;
        let http = Self {
            client,
            limits,
            plain,
        };
        http.may_go(issuer, "open", "the issuer")?;
        Ok(http)
    }

    /// Whether anything is sent there. `what` is what the URL is of.
    pub(super) fn may_go(&self, url: &Url, operation: &'static str, what: &str) -> Result<()> {
        let named = url.host_str().is_some_and(|host| !host.is_empty());
        let clean = url.username().is_empty() && url.password().is_none();
        let allowed = match url.scheme() {
            "https" => true,
            "http" => self.plain && is_loopback(url),
            _ => false,
        };
        if allowed && named && clean {
            return Ok(());
        }
        let message = format!(
            "{what} is at {}, where nothing is sent: it must be https (plain http only on this machine itself, for an \
             issuer that is reached so, too), without a user or password in it",
            url.origin().ascii_serialization()
        );
        Err(IdentityError::new(ErrorKind::Invalid, operation, message))
    }

    /// Sends it once, and reads the answer. Whatever status that has is no error here.
    pub(super) async fn send(&self, ask: Ask<'_>) -> Result<Reply> {
        let operation = ask.operation;
        self.may_go(ask.url, operation, "what was to be asked")?;
        let host = ask.url.origin().ascii_serialization();
        let request = request(&ask)?;
        let mut hidden = ask.hidden;
        if let Some((_, credential)) = ask
            .authorization
            .as_ref()
            .and_then(|all| all.reveal().split_once(' '))
        {
            hidden.push(Secret::new(credential));
        }
        let unavailable = |why: String| IdentityError::new(ErrorKind::Unavailable, operation, why);
        let exchange = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| {
                unavailable(format!("{host} cannot be reached: {}", chain(&error)))
            })?;
            let (head, body) = response.into_parts();
            let body = read(body, operation, &head.headers, &host).await?;
            Ok(Reply {
                operation,
                status: head.status,
                headers: head.headers,
                body,
                hidden,
            })
        };
        let limit = self.limits.answer;
        timeout(limit, exchange).await.unwrap_or_else(|_| {
            Err(unavailable(format!(
                "{host} did not answer within {limit:?}"
            )))
        })
    }
}

fn request(ask: &Ask<'_>) -> Result<Request<Full<Bytes>>> {
    let invalid = |_| {
        let message = "what was to be sent cannot be sent as a header: is there a line break in a credential?";
        IdentityError::new(ErrorKind::Invalid, ask.operation, message)
    };
    let mut request = Request::builder()
        .method(ask.method.clone())
        .uri(ask.url.as_str())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, AGENT);
    if let Some(authorization) = &ask.authorization {
        let mut value =
            HeaderValue::from_str(authorization.reveal()).map_err(|error| invalid(error.into()))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let (kind, body) = match &ask.payload {
        Payload::Nothing => (None, Bytes::new()),
        // What is sent is overwritten when it is sent.
        Payload::Json(body) => (Some("application/json"), Bytes::from_owner(body.clone())),
        Payload::Form(body) => (
            Some("application/x-www-form-urlencoded"),
            Bytes::from_owner(body.clone()),
        ),
    };
    if let Some(kind) = kind {
        request = request.header(CONTENT_TYPE, kind);
    }
    request.body(Full::new(body)).map_err(invalid)
}

async fn read(
    mut body: Incoming,
    operation: &'static str,
    headers: &HeaderMap,
    host: &str,
) -> Result<Zeroizing<Vec<u8>>> {
    let too_large = || {
        let message = format!("{host} sends more than {LARGEST} bytes, which is not read");
        IdentityError::new(ErrorKind::Invalid, operation, message)
    };
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    let length: Option<usize> = length.and_then(|length| length.parse().ok());
    if length.is_some_and(|length| length > LARGEST) {
        return Err(too_large());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.unwrap_or_default()));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let message = format!("{host} broke off its answer: {}", chain(&error));
            IdentityError::new(ErrorKind::Unavailable, operation, message)
        })?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > LARGEST {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

impl Reply {
    /// Its body as JSON. What is wrong with it is said without quoting it.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => "JSON without what must be in it",
                _ => "no JSON",
            };
            let message = format!("the server answered {} with {what}", self.status);
            IdentityError::new(ErrorKind::Invalid, self.operation, message)
        })
    }

    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The server's error code (RFC 6749 section 5.2; RFC 7591 section 3.2.2), if it gives one.
    pub(super) fn code(&self) -> Option<String> {
        let document: Value = serde_json::from_slice(&self.body).ok()?;
        document.get("error")?.as_str().map(str::to_owned)
    }

    /// What the server says, for people: its code and description, shortened, and nothing of what we sent.
    pub(super) fn words(&self) -> Option<String> {
        let document: Value = serde_json::from_slice(&self.body).ok()?;
        // Keycloak's admin API calls it errorMessage.
        let parts = ["error", "error_description", "errorMessage"]
            .iter()
            .filter_map(|key| document.get(*key)?.as_str());
        let mut words = parts.collect::<Vec<_>>().join(": ");
        for secret in self.hidden.iter().map(Secret::reveal) {
            // As it is, and as a form has it.
            let encoded: Zeroizing<String> =
                Zeroizing::new(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
            for form in [secret, encoded.as_str()] {
                if !form.is_empty() {
                    words = words.replace(form, "…");
                }
            }
        }
        let words: String = words
            .chars()
            .filter(|c| !c.is_control())
            .take(WORDS)
            .collect();
        (!words.is_empty()).then_some(words)
    }

    /// Itself, if the status is one of success; else what the refusal means.
    pub(super) fn success(self) -> Result<Self> {
        match self.status.is_success() {
            true => Ok(self),
            false => Err(self.refusal()),
        }
    }

    /// What a status that is none of success means.
    pub(super) fn refusal(&self) -> IdentityError {
        let status = self.status;
        let kind = match status {
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Denied,
            StatusCode::CONFLICT => ErrorKind::AlreadyExists,
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled,
            StatusCode::REQUEST_TIMEOUT => ErrorKind::Unavailable,
            // Tomorrow it will not be implemented either.
            StatusCode::NOT_IMPLEMENTED => ErrorKind::Refused,
            _ if status.is_server_error() => ErrorKind::Unavailable,
            _ if status.is_client_error() => ErrorKind::Refused,
            _ => ErrorKind::Invalid,
        };
        let more = match self.words() {
            _ if status.is_redirection() => ", and redirects are not followed".to_owned(),
            Some(words) => format!(": {words}"),
            None => String::new(),
        };
        let message = format!("the server answered {status}{more}");
        let mut error = IdentityError::new(kind, self.operation, message);
        if kind.is_transient() {
            error.retry_after = retry_after(&self.headers);
        }
        error
    }
}

/// For members that are secret: they are never in a text that nobody overwrites.
pub(super) fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Secret>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
}

/// Whether the URL is of this machine itself.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(issuer: &str) -> Result<Http> {
        Http::new(&issuer.parse().unwrap(), "", Limits::default())
    }

    #[test]
    fn requests_go_only_where_they_may() {
        for (issuer, url, allowed) in [
            (
                "https://id.example.com",
                "https://id.example.com/token",
                true,
            ),
            (
                "https://id.example.com",
                "https://other.example.com/token",
                true,
            ),
            (
                "https://id.example.com",
                "http://id.example.com/token",
                false,
            ),
            ("https://id.example.com", "http://127.0.0.1/token", false),
            (
                "https://id.example.com",
                "https://me:pw@id.example.com/",
                false,
            ),
            ("http://127.0.0.1:3300", "http://127.0.0.1:3300/token", true),
            ("http://localhost:3300", "http://[::1]:9/token", true),
            (
                "http://127.0.0.1:3300",
                "http://id.example.com/token",
                false,
            ),
            ("http://127.0.0.1:3300", "file:///etc/passwd", false),
        ] {
            let http = http(issuer).unwrap();
            let url: Url = url.parse().unwrap();
            assert_eq!(http.may_go(&url, "token", "it").is_ok(), allowed, "{url}");
        }
        for issuer in [
            "http://id.example.com",
            "http://169.254.169.254/",
            "ftp://localhost/",
        ] {
            assert_eq!(
                http(issuer).err().unwrap().kind,
                ErrorKind::Invalid,
                "{issuer}"
            );
        }
    }

    #[test]
    fn authorities_that_are_none_are_refused() {
        let issuer = "https://id.example.com".parse().unwrap();
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = Http::new(&issuer, pem, Limits::default()).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    }
}
