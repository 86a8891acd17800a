//! HTTP to registries: where requests may go, how long they may take, and how much is read.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Empty;
use tokio::time::{Instant, timeout};
use url::{Host, Url};

use super::answer::Answer;
use super::settings::{Limits, Settings};
use crate::causes::chain;
use crate::outbound::{AGENT, HttpClient, Unusable, client, retry_after};
use crate::registry::Result;
use crate::registry::error::{ErrorKind, RegistryError};

const REDIRECTS: usize = 5;
/// The HTTP client for all registries.
pub struct Transport {
    http: HttpClient<Empty<Bytes>>,
    settings: Settings,
    patience: Patience,
}

/// Which servers have asked for patience, and until when: by host and port, whatever is asked of them.
#[derive(Default)]
struct Patience(Mutex<HashMap<(String, u16), Instant>>);

impl Patience {
    /// How much longer this server wants to be left alone.
    fn left(&self, url: &Url) -> Option<std::time::Duration> {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        until.retain(|_, until| *until > now);
        until.get(&server(url)).map(|until| *until - now)
    }

    /// Keeps what an answer says of it; an hour at most.
    fn heed(&self, url: &Url, status: StatusCode, headers: &HeaderMap) {
        let patience = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        let wait =
            retry_after(headers).filter(|wait| patience.contains(&status) && !wait.is_zero());
        if let Some(wait) = wait {
            let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            until.insert(server(url), Instant::now() + wait);
        }
    }
}

fn server(url: &Url) -> (String, u16) {
    let host = url.host_str().unwrap_or_default().to_owned();
    (host, url.port_or_known_default().unwrap_or_default())
}

/// One request.
pub struct Ask<'a> {
    /// GET or HEAD.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// Which media types are understood.
    pub accept: &'a str,
    /// Who asks. Sent to the host of the URL, and to none that it redirects to.
    pub authorization: Option<HeaderValue>,
    /// What it is about, for errors.
    pub subject: &'a str,
    /// How long it may take.
    pub limits: Limits,
}

impl Transport {
    /// A client that trusts the authorities this machine trusts, and those of the settings.
    pub fn new(settings: Settings) -> Result<Self> {
        let http = client(&settings.authorities).map_err(|error| {
            let (what, why) = match error {
                Unusable::Authority(why) => ("the certificate authorities for registries", why),
                Unusable::Tls(why) => ("TLS", why),
            };
            RegistryError::new(ErrorKind::Invalid, what, why)
        })?;
        Ok(Self {
            http,
            settings,
            patience: Patience::default(),
        })
    }

    /// The settings that it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The start of a registry's API.
    pub fn base(&self, registry: &str) -> Result<Url> {
        let host = match registry {
            // What references call docker.io has its API elsewhere.
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        };
        let scheme = match self.settings.plain_http.contains(registry) {
            true => "http",
            false => "https",
        };
        Url::parse(&format!("{scheme}://{host}/v2/"))
            .map_err(|error| RegistryError::new(ErrorKind::Invalid, registry, error.to_string()))
    }

    /// Asks, and follows redirects. Whatever status the end of them has is the answer.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Answer> {
        let mut url = ask.url.clone();
        for _ in 0..=REDIRECTS {
            self.may_go(&url, ask.subject)?;
            let answer = self.once(&ask, &url).await?;
            let location = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok());
            let (true, Some(location)) = (answer.status.is_redirection(), location) else {
                return Ok(answer);
            };
            url = url.join(location).map_err(|error| {
                let message = format!("the registry redirects to what is no URL: {error}");
                RegistryError::new(ErrorKind::Invalid, ask.subject, message)
            })?;
        }
        let message = format!("the registry redirected more than {REDIRECTS} times");
        Err(RegistryError::new(ErrorKind::Invalid, ask.subject, message))
    }

    async fn once(&self, ask: &Ask<'_>, url: &Url) -> Result<Answer> {
        let invalid =
            |message: String| RegistryError::new(ErrorKind::Invalid, ask.subject, message);
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(url.as_str())
            .header(ACCEPT, ask.accept)
            .header(USER_AGENT, AGENT);
        // Same scheme, host and port: elsewhere our login is nobody's business.
        if let Some(authorization) = &ask.authorization
            && url.origin() == ask.url.origin()
        {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| invalid(format!("{error}")))?;
        let host = url.host_str().unwrap_or_default();
        if let Some(left) = self.patience.left(url) {
            // Without the time, which would make another message of every attempt.
            let message =
                format!("{host} has asked for patience, and is not asked before that is over");
            let mut error = RegistryError::new(ErrorKind::Throttled, ask.subject, message);
            error.retry_after = Some(left);
            return Err(error);
        }
        let unavailable = |why: String| {
            RegistryError::new(ErrorKind::Unavailable, ask.subject, format!("{host} {why}"))
        };
        let response = timeout(ask.limits.answer, self.http.request(request))
            .await
            .map_err(|_| unavailable(format!("did not answer within {:?}", ask.limits.answer)))?
            .map_err(|error| unavailable(format!("cannot be reached: {}", chain(&error))))?;
        let (head, body) = response.into_parts();
        self.patience.heed(url, head.status, &head.headers);
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            subject: ask.subject.to_owned(),
            limits: ask.limits,
        })
    }

    /// Whether requests may go to this URL; see [`Settings`].
    pub fn may_go(&self, url: &Url, subject: &str) -> Result<()> {
        let listed = |list: &std::collections::BTreeSet<String>| {
            let host = url.host_str().unwrap_or_default();
            let port = url.port_or_known_default().unwrap_or_default();
            list.contains(&format!("{host}:{port}"))
                || (url.port().is_none() && list.contains(host))
        };
        let problem = match url.scheme() {
            "http" if listed(&self.settings.plain_http) => return Ok(()),
            "http" => "plain HTTP, and it is not in the list of registries that are reached so",
            "https" => match url.host() {
                Some(Host::Domain(name)) if name.trim_end_matches('.').contains('.') => {
                    return Ok(());
                }
                _ if listed(&self.settings.internal) => return Ok(()),
                _ => {
                    "an address, or a name without a domain, and it is not in the list of internal registries"
                }
            },
            _ => "neither HTTPS nor HTTP",
        };
        let message = format!(
            "{} is not asked: it is {problem}",
            url.origin().ascii_serialization()
        );
        Err(RegistryError::new(ErrorKind::Denied, subject, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport() -> Transport {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Transport::new(Settings {
            plain_http: list(&["127.0.0.1:5000", "plain.example"]),
            internal: list(&["registry", "10.0.0.7:8443"]),
            ..Settings::default()
        })
        .unwrap()
    }

    #[test]
    fn requests_go_only_where_they_may() {
        let transport = transport();
        for (url, allowed) in [
            ("https://registry.example.com/v2/", true),
            ("https://registry.example.com:8443/v2/", true),
            ("http://registry.example.com/v2/", false),
            ("http://127.0.0.1:5000/v2/", true),
            ("http://127.0.0.1:5001/v2/", false),
            ("http://127.0.0.1/latest/meta-data", false),
            ("http://plain.example/v2/", true),
            ("http://plain.example:80/v2/", true),
            ("http://plain.example:81/v2/", false),
            ("https://127.0.0.1:5000/v2/", false),
            ("https://169.254.169.254/latest/meta-data", false),
            ("https://[::1]/", false),
            ("https://localhost/", false),
            ("https://localhost./", false),
            ("https://kubernetes/", false),
            ("https://registry/v2/", true),
            ("https://10.0.0.7:8443/v2/", true),
            ("https://10.0.0.7/v2/", false),
            // Other ways of writing 127.0.0.1.
            ("https://2130706433/", false),
            ("https://0x7f.1/", false),
            ("file:///etc/passwd", false),
            ("ftp://registry.example.com/", false),
        ] {
            let url: Url = url.parse().unwrap();
            assert_eq!(transport.may_go(&url, "a").is_ok(), allowed, "{url}");
        }
    }

    #[test]
    fn the_api_of_docker_hub_is_elsewhere() {
        let transport = transport();
        for (registry, base) in [
            ("docker.io", "https://registry-1.docker.io/v2/"),
            ("r.example:5000", "https://r.example:5000/v2/"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/v2/"),
        ] {
            assert_eq!(transport.base(registry).unwrap().as_str(), base);
        }
    }
}
