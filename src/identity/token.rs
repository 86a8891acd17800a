//! Asking for a token: with a credential, for what a client may have, and with nothing kept of what comes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Method as HttpMethod, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::discovery::Metadata;
use super::http::{Ask, Http, Payload, Reply, secret};
use super::users::PASSWORD_GRANT;
use super::{
    Clock, Credential, ErrorKind, IdentityError, Method, Result, ServiceUser, SigningKey,
    TokenAnswer, TokenRequest, keys,
};
use crate::model::Secret;

const OPERATION: &str = "token";
/// How long an assertion of ours can be used. As short as the clocks of two machines allow.
const ASSERTION_SECONDS: i64 = 60;
/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Where nobody is: the code that we show was never given to anybody.
pub(super) const NOWHERE: &str = "https://bailiwick.invalid/";

/// The part of a successful answer that says what the token is good for.
#[derive(Deserialize)]
struct Granted {
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<Secret>,
    #[serde(default)]
    scope: Option<String>,
}

/// Asks for a token: with the grant type `password` if there is a user, else as the request says. A code that does not exist
/// is shown as one that was sent to `redirect_uri`.
pub(super) async fn request(
    http: &Http,
    metadata: &Metadata,
    clock: &Clock,
    request: &TokenRequest,
    user: Option<&ServiceUser>,
    redirect_uri: &str,
) -> Result<TokenAnswer> {
    let nonsense = code()?;
    let scope = request.scopes.as_ref().map(|scopes| scopes.join(" "));
    let scope = scope.as_deref();
    let narrow = scope
        .filter(|scope| !scope.is_empty())
        .map(|scope| ("scope", scope));
    let mut fields: Vec<(&str, &str)> = match (user, scope) {
        (Some(user), _) => vec![
            ("grant_type", PASSWORD_GRANT),
            ("username", &user.username),
            ("password", user.password.reveal()),
        ],
        (None, Some(_)) => vec![("grant_type", "client_credentials")],
        (None, None) => vec![
            ("grant_type", "authorization_code"),
            ("code", &nonsense),
            ("redirect_uri", redirect_uri),
            // Servers that demand PKCE complain of its absence before they look at the code.
            (
                "code_verifier",
                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM",
            ),
        ],
    };
    fields.extend(narrow);
    let id = request.client_id.as_str();
    let mut ask = Ask::new(OPERATION, HttpMethod::POST, &metadata.token_endpoint)
        .hiding(user.map(|user| &user.password));
    let assertion;
    match &request.credential {
        Credential::Secret(Method::SecretPost, secret) => {
            fields.extend([("client_id", id), ("client_secret", secret.reveal())]);
            ask = ask.hiding(Some(secret));
        }
        Credential::Secret(_, secret) => {
            ask.authorization = Some(basic(id, secret));
            ask = ask.hiding(Some(secret));
        }
        Credential::Key(key) => {
            assertion = sign(id, &metadata.issuer, clock, key)?;
            fields.extend([
                ("client_id", id),
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", assertion.reveal()),
            ]);
            ask = ask.hiding(Some(&assertion));
        }
        // The subject of what was signed is not the client's id, and no two may contradict each other.
        Credential::Assertion(assertion) => {
            fields.extend([
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", assertion.reveal()),
            ]);
            ask = ask.hiding(Some(assertion));
        }
        Credential::Public => fields.push(("client_id", id)),
    }
    let reply = http.send(ask.with(Payload::form(&fields))).await?;
    match user {
        None => answer(&reply, request.scopes.as_deref()),
        Some(_) => answer_to_user(&reply, request.scopes.as_deref().unwrap_or_default()),
    }
}

/// What the server's answer to a user means: one that it does not take is as good as none, like a client.
fn answer_to_user(reply: &Reply, scopes: &[String]) -> Result<TokenAnswer> {
    match (reply.code().as_deref(), reply.words()) {
        (Some("invalid_grant"), Some(words)) => Ok(TokenAnswer::UnknownClient(words)),
        _ => answer(reply, Some(scopes)),
    }
}

/// RFC 6749 section 2.3.1: both are encoded as in a form before they are put together.
pub(super) fn basic(id: &str, secret: &Secret) -> Secret {
    let encode = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
    let (id, secret) = (encode(id), encode(secret.reveal()));
    let pair = Zeroizing::new(format!("{}:{}", id.as_str(), secret.as_str()));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

/// RFC 7523 section 3. It is addressed to the issuer, and not to the token endpoint: an endpoint can be named by another
/// server's metadata, too, and then that one could use what was signed for it here.
fn sign(id: &str, issuer: &str, clock: &Clock, key: &SigningKey) -> Result<Secret> {
    let now = clock().as_second();
    let head = json!({"alg": "ES256", "typ": "JWT", "kid": key.id}).to_string();
    let claims = json!({
        "iss": id, "sub": id, "aud": issuer, "jti": nonce()?, "iat": now, "exp": now + ASSERTION_SECONDS,
    })
    .to_string();
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(head),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = keys::sign(key, message.as_bytes()).ok_or_else(|| {
        let message = format!(
            "key {} cannot be used: it is no P-256 key in PKCS #8",
            key.id
        );
        IdentityError::new(ErrorKind::Invalid, OPERATION, message)
    })?;
    Ok(Secret::new(format!("{message}.{signature}")))
}

fn nonce() -> Result<String> {
    keys::nonce().ok_or_else(|| {
        let message = "the system gives no randomness";
        IdentityError::new(ErrorKind::Unavailable, OPERATION, message)
    })
}

/// A code that nobody was given, in the form that Cognito's have: others' have none.
fn code() -> Result<String> {
    let bytes = URL_SAFE_NO_PAD.decode(nonce()?).unwrap_or_default();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    Ok(parts.join("-"))
}

/// What the server's answer means. `scopes`: what was asked for with `client_credentials`.
fn answer(reply: &Reply, scopes: Option<&[String]>) -> Result<TokenAnswer> {
    if reply.status.is_success() {
        return granted(reply.json()?, scopes.unwrap_or_default());
    }
    let (Some(code), Some(words)) = (reply.code(), reply.words()) else {
        return Err(reply.refusal());
    };
    if reply.refusal().kind.is_transient() {
        return Err(reply.refusal());
    }
    Ok(match code.as_str() {
        "temporarily_unavailable" | "server_error" => {
            let message = format!("the server answered {}: {words}", reply.status);
            return Err(IdentityError::new(
                ErrorKind::Unavailable,
                OPERATION,
                message,
            ));
        }
        "invalid_client" => TokenAnswer::UnknownClient(words),
        // Keycloak, of a wrong secret; but also, of a client that it knows, "Client not enabled to …". With any other
        // status it is what RFC 6749 means by it: the client is known.
        "unauthorized_client"
            if reply.status == StatusCode::UNAUTHORIZED && !words.contains("not enabled") =>
        {
            TokenAnswer::UnknownClient(words)
        }
        // The code is what it complains of, so the client is all right.
        "invalid_grant" if scopes.is_none() => TokenAnswer::Accepted,
        _ => TokenAnswer::Refused(words),
    })
}

fn granted(granted: Granted, scopes: &[String]) -> Result<TokenAnswer> {
    if granted.access_token.is_none() {
        let message = "the server answered 200 without an access_token";
        return Err(IdentityError::new(ErrorKind::Invalid, OPERATION, message));
    }
    // RFC 6749 section 5.1: a server that grants something else than was asked for says so.
    let given = granted.scope.as_deref();
    let missing: Vec<&str> = match given {
        None => Vec::new(),
        Some(given) => scopes
            .iter()
            .map(String::as_str)
            .filter(|scope| !given.split(' ').any(|given| given == *scope))
            .collect(),
    };
    Ok(match missing.is_empty() {
        true => TokenAnswer::Accepted,
        false => TokenAnswer::Refused(format!(
            "the server gives a token, but without the scope {}",
            missing.join(" ")
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_secrets_are_encoded_before_they_are_joined() {
        let header = basic("a:b c", &Secret::new("p+%/ü"));
        let encoded = header.reveal().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!(pair, "a%3Ab+c:p%2B%25%2F%C3%BC");
    }

    #[test]
    fn a_code_has_the_form_of_a_uuid_and_never_comes_twice() {
        let (one, other) = (code().unwrap(), code().unwrap());
        assert_ne!(one, other);
        let lengths: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{one}");
        assert!(one.chars().all(|c| c == '-' || c.is_ascii_hexdigit()));
    }

    #[test]
    fn a_token_without_what_was_asked_for_is_a_refusal() {
        let token = |scope: Option<&str>| Granted {
            access_token: Some(Secret::new("t")),
            scope: scope.map(str::to_owned),
        };
        let asked = ["a".to_owned(), "b".to_owned()];
        for (given, accepted) in [
            (None, true),
            (Some("b a openid"), true),
            (Some("a"), false),
            (Some("ab"), false),
        ] {
            let answer = granted(token(given), &asked).unwrap();
            assert_eq!(answer == TokenAnswer::Accepted, accepted, "{given:?}");
        }
        let nothing = Granted {
            access_token: None,
            scope: None,
        };
        assert_eq!(granted(nothing, &[]).unwrap_err().kind, ErrorKind::Invalid);
    }
}
