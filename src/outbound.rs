//! HTTP to servers of others: the one client, and what their answers' heads say. What is asked, and what may be, is the
//! business of whoever uses it.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use hyper::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The largest piece in which an answer comes, and the largest head.
const PIECE: usize = 64 << 10;
/// The longest time that a server can make us wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What requests say of who sends them.
pub const AGENT: &str = concat!("bailiwick/", env!("CARGO_PKG_VERSION"));

/// A client that sends bodies of the type `B`. It follows no redirects.
pub type HttpClient<B> = Client<HttpsConnector<HttpConnector>, B>;

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// A certificate authority cannot be read.
    Authority(String),
    /// The TLS library does not work.
    Tls(String),
}

/// A client that trusts the authorities this machine trusts, and those given (PEM).
pub fn client<B>(authorities: &str) -> Result<HttpClient<B>, Unusable>
where
    B: Body + Send,
    B::Data: Send,
{
    let mut roots = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "cannot read a trusted certificate authority of this machine");
    }
    roots.add_parsable_certificates(native.certs);
    for authority in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
        let added = authority.map_err(|error| error.to_string());
        added
            .and_then(|authority| roots.add(authority).map_err(|error| error.to_string()))
            .map_err(Unusable::Authority)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Unusable::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(Duration::from_secs(10)));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(4)
        .http1_max_buf_size(PIECE)
        .build(connector))
}

/// When the server wants to be asked again: seconds, or a time by its own clock (RFC 9110, section 10.2.3).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(text).ok()?;
            let now = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
            until.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_time_to_wait_is_read_in_both_forms_and_has_a_bound() {
        let date = "Wed, 25 Nov 2026 18:00:00 GMT";
        for (value, seconds) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("99999999", Some(3600)),
            ("Wed, 25 Nov 2026 18:00:30 GMT", Some(30)),
            ("Wed, 25 Nov 2026 17:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            headers.insert(DATE, HeaderValue::from_static(date));
            assert_eq!(
                retry_after(&headers),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
