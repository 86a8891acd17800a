//! An answer of a registry: read piece by piece, and no further than it may be long.

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::settings::Limits;
use crate::causes::chain;
use crate::outbound::retry_after;
use crate::registry::error::{ErrorKind, RegistryError};
use crate::registry::{LARGEST_DOCUMENT, Result};

/// How much of a refusal is read for its words.
const REFUSAL: u64 = 8 << 10;

/// The head of an answer, and a body that is not read yet.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) subject: String,
    pub(super) limits: Limits,
}

impl Answer {
    /// The length that the head announces.
    pub fn length(&self) -> Option<u64> {
        self.headers
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next piece of the body; `None` at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        let unavailable =
            |message: String| RegistryError::new(ErrorKind::Unavailable, &self.subject, message);
        loop {
            let frame = timeout(self.limits.pause, self.body.frame())
                .await
                .map_err(|_| {
                    let pause = self.limits.pause;
                    unavailable(format!("the registry sent nothing more for {pause:?}"))
                })?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => {
                    let why = chain(&error);
                    return Err(unavailable(format!(
                        "the registry broke off its answer: {why}"
                    )));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body, if it is no longer than a document may be.
    pub async fn document(self) -> Result<Bytes> {
        self.at_most(LARGEST_DOCUMENT).await
    }

    /// The whole body, if it is no longer than this.
    pub async fn at_most(mut self, limit: u64) -> Result<Bytes> {
        let (subject, limits) = (self.subject.clone(), self.limits);
        let too_large = || {
            let message = format!("the registry sends more than {limit} bytes, which is not read");
            RegistryError::new(ErrorKind::TooLarge, &subject, message)
        };
        if self.length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let read = async {
            let mut bytes = BytesMut::new();
            while let Some(piece) = self.piece().await? {
                if (bytes.len() + piece.len()) as u64 > limit {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes.freeze())
        };
        timeout(limits.document, read).await.unwrap_or_else(|_| {
            let message = format!(
                "the registry needs longer than {:?} for it",
                limits.document
            );
            Err(RegistryError::new(
                ErrorKind::Unavailable,
                &subject,
                message,
            ))
        })
    }

    /// Itself, if the status is one of success; else what the refusal means.
    pub async fn success(self) -> Result<Self> {
        let status = self.status;
        if status.is_success() {
            return Ok(self);
        }
        let kind = match status {
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Denied,
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled,
            StatusCode::REQUEST_TIMEOUT => ErrorKind::Unavailable,
            // Tomorrow it will not be implemented either.
            StatusCode::NOT_IMPLEMENTED => ErrorKind::Invalid,
            _ if status.is_server_error() => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        let (subject, wait) = (self.subject.clone(), retry_after(&self.headers));
        let words = self
            .at_most(REFUSAL)
            .await
            .ok()
            .and_then(|body| words(&body));
        let message = match words {
            Some(words) => format!("the registry answered {status}: {words}"),
            None => format!("the registry answered {status}"),
        };
        let mut error = RegistryError::new(kind, subject, message);
        error.retry_after = wait;
        Err(error)
    }
}

/// What a refusal says, in the form the distribution specification gives it.
fn words(body: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(body).ok()?;
    let first = document.get("errors")?.get(0)?;
    let text = |key: &str| {
        first
            .get(key)
            .and_then(|text| text.as_str())
            .unwrap_or_default()
    };
    let words = format!("{} {}", text("code"), text("message"));
    // Somebody else's text goes into a condition: one line, and not a long one.
    let words: String = words
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_refusal_are_kept_short() {
        let long = "x".repeat(500);
        let body = format!(r#"{{"errors":[{{"code":"DENIED","message":"no\n{long}"}}]}}"#);
        let words = words(body.as_bytes()).unwrap();
        assert!(words.starts_with("DENIED no") && words.len() <= 200 && !words.contains('\n'));
        assert_eq!(super::words(b"<html>"), None);
        assert_eq!(super::words(br#"{"errors":[]}"#), None);
    }
}
