//! Against a server that is slow, lies, or is somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bailiwick::identity::{
    Credential, ErrorKind, Inquiry, KeycloakLogin, Method, OAuthServer, RealServers,
    RegistrationOptions, Servers, TokenAnswer, TokenRequest, keys,
};
use bailiwick::model::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::contract::own;
use super::server::{Reply, Request, Server};
use super::{dynamic_options, impatient, new_client, open, options};

const OAUTH: &str = "GET /.well-known/oauth-authorization-server";
const OPENID: &str = "GET /.well-known/openid-configuration";

fn metadata(own: &str) -> Value {
    json!({
        "issuer": own, "token_endpoint": format!("{own}/token"), "registration_endpoint": format!("{own}/reg"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
    })
}

/// A client, registered as it was asked for.
fn registered(own: &str) -> Value {
    json!({
        "client_id": "c1", "client_secret": "s1", "client_secret_expires_at": 0, "redirect_uris": [],
        "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic", "scope": "a",
        "registration_client_uri": format!("{own}/reg/c1"), "registration_access_token": "t1",
    })
}

/// A server whose metadata is right, and which answers everything else so.
async fn answering(answer: impl Fn(&Request, &str) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request, own| match request.line() == OAUTH {
        true => Reply::json(200, metadata(own)),
        false => answer(request, own),
    })
    .await
}

fn at(server: &Server) -> Arc<dyn OAuthServer> {
    impatient()
        .open(dynamic_options(&server.endpoint, Some("initial")))
        .unwrap()
}

fn asked() -> TokenRequest {
    own(
        "c1",
        Credential::Secret(Method::SecretBasic, Secret::new("s1")),
        &["a"],
    )
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    for reply in [Reply::Silent, Reply::Trickles, Reply::HangsUp] {
        let answer = reply.clone();
        let server = answering(move |_, _| answer.clone()).await;
        let port = at(&server);
        let new = new_client("slow", Method::SecretBasic, &["a"]);
        let started = Instant::now();
        let error = port.register(&new).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{reply:?}: {error}");
        let error = port.request_token(&asked()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{reply:?}: {error}");
        assert!(started.elapsed() < Duration::from_secs(8), "{reply:?}");
        // Nothing is repeated: the caller knows what is durable.
        assert_eq!(
            server.lines(),
            [OAUTH, "POST /reg", "POST /token"],
            "{reply:?}"
        );
    }
    let nowhere = impatient()
        .open(dynamic_options("http://127.0.0.1:1", None))
        .unwrap();
    assert_eq!(
        nowhere.describe(Inquiry::Trying).await.unwrap_err().kind,
        ErrorKind::Unavailable
    );
}

#[tokio::test]
async fn a_server_says_when_to_come_back() {
    let date =
        "Date: Wed, 25 Nov 2026 18:00:00 GMT\r\nRetry-After: Wed, 25 Nov 2026 18:00:30 GMT\r\n";
    for (status, headers, kind, seconds) in [
        (429, "Retry-After: 7\r\n", ErrorKind::Throttled, Some(7)),
        (429, date, ErrorKind::Throttled, Some(30)),
        (429, "", ErrorKind::Throttled, None),
        (503, "Retry-After: 7\r\n", ErrorKind::Unavailable, Some(7)),
        (500, "", ErrorKind::Unavailable, None),
        (502, "", ErrorKind::Unavailable, None),
    ] {
        let body = json!({"error": "slow_down", "error_description": "later"}).to_string();
        let answer = Reply::Says(status, headers.to_owned(), body);
        let server = answering(move |_, _| answer.clone()).await;
        let port = at(&server);
        let new = new_client("busy", Method::SecretBasic, &["a"]);
        for error in [
            port.register(&new).await.unwrap_err(),
            port.request_token(&asked()).await.unwrap_err(),
        ] {
            let found = (error.kind, error.retry_after.map(|wait| wait.as_secs()));
            assert_eq!(found, (kind, seconds), "{status}: {error}");
            assert!(error.message.contains("later"), "{error}");
        }
    }
}

#[tokio::test]
async fn metadata_is_looked_for_in_both_places() {
    for first in [
        Reply::json(404, "nothing"),
        Reply::json(403, json!({})),
        Reply::Says(
            200,
            "Content-Type: text/html\r\n".to_owned(),
            "<html>".to_owned(),
        ),
    ] {
        let server = Server::start(move |request, own| match request.line() == OPENID {
            true => Reply::json(200, metadata(own)),
            false => first.clone(),
        })
        .await;
        let found = at(&server).describe(Inquiry::Trying).await.unwrap();
        assert_eq!(found.methods, [Method::PrivateKeyJwt, Method::SecretBasic]);
        assert_eq!(found.grant_types, ["authorization_code", "implicit"]);
        assert_eq!(server.lines(), [OAUTH, OPENID]);
    }
    // A server that cannot answer has not said that it has no metadata there.
    let server = Server::start(|_, _| Reply::json(500, "broken")).await;
    assert_eq!(
        at(&server)
            .describe(Inquiry::Trying)
            .await
            .unwrap_err()
            .kind,
        ErrorKind::Unavailable
    );
    assert_eq!(server.lines(), [OAUTH]);
}

#[tokio::test]
async fn metadata_that_is_not_the_servers_own_is_not_believed() {
    type Change = fn(&mut Value, &str);
    let changes: [(&str, Change); 7] = [
        ("another issuer", |document, _| {
            document["issuer"] = json!("https://id.example.com")
        }),
        ("another issuer", |document, own| {
            document["issuer"] = json!(format!("{own}/other"))
        }),
        ("no token_endpoint", |document, _| {
            document["token_endpoint"] = Value::Null
        }),
        ("token_endpoint is at", |document, _| {
            document["token_endpoint"] = json!("http://id.example.com/t")
        }),
        ("token_endpoint that is no URL", |document, _| {
            document["token_endpoint"] = json!("token")
        }),
        ("registration_endpoint is at", |document, _| {
            document["registration_endpoint"] = json!("file:///r")
        }),
        ("no registration_endpoint", |document, _| {
            document["registration_endpoint"] = Value::Null
        }),
    ];
    for (said, change) in changes {
        let server = Server::start(move |_, own| {
            let mut document = metadata(own);
            change(&mut document, own);
            Reply::json(200, document)
        })
        .await;
        let error = at(&server).describe(Inquiry::Trying).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        assert!(error.message.contains(said), "{error}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = Server::start(|_, own| Reply::json(200, registered(own))).await;
    let target = format!("Location: {}/x\r\n", other.endpoint);
    for status in [301, 302, 307, 308] {
        let target = target.clone();
        let server =
            answering(move |_, _| Reply::Says(status, target.clone(), String::new())).await;
        let port = at(&server);
        let new = new_client("sent-away", Method::SecretBasic, &["a"]);
        for error in [
            port.register(&new).await.unwrap_err(),
            port.request_token(&asked()).await.unwrap_err(),
        ] {
            assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
            assert!(
                error.message.contains("redirects are not followed"),
                "{error}"
            );
        }
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn an_answer_has_a_bound() {
    let long = Reply::json(200, format!("[{}]", " ".repeat(2 << 20)));
    for reply in [Reply::Endless, long] {
        let server = answering(move |_, _| reply.clone()).await;
        let new = new_client("huge", Method::SecretBasic, &["a"]);
        let error = at(&server).register(&new).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        assert!(error.message.contains("more than 1048576 bytes"), "{error}");
    }
}

#[tokio::test]
async fn rubbish_is_said_to_be_rubbish_and_not_quoted() {
    for body in [
        "<html>secret-s1</html>",
        r#"{"client_secret":"secret-s1"}"#,
        "[]",
        "",
    ] {
        let server = answering(move |_, _| Reply::json(201, body)).await;
        let port = at(&server);
        let new = new_client("rubbish", Method::SecretBasic, &["a"]);
        for error in [
            port.register(&new).await.unwrap_err(),
            port.request_token(&asked()).await.unwrap_err(),
        ] {
            assert_eq!(error.kind, ErrorKind::Invalid, "{body}: {error}");
            assert!(!format!("{error:?}").contains("secret-s1"), "{error}");
        }
    }
}

#[tokio::test]
async fn what_a_server_quotes_of_ours_is_not_repeated() {
    let server = answering(|request, _| {
        let quoted = format!(
            "bad: {} and {}",
            request.header("authorization").unwrap_or("-"),
            request.body
        );
        Reply::json(
            400,
            json!({"error": "invalid_request", "error_description": quoted}),
        )
    })
    .await;
    let port = impatient()
        .open(dynamic_options(
            &server.endpoint,
            Some("initial-token-7f3a"),
        ))
        .unwrap();
    let new = new_client("quoted", Method::SecretBasic, &["a"]);
    let error = port.register(&new).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(!format!("{error:?}").contains("7f3a"), "{error:?}");

    for method in [Method::SecretBasic, Method::SecretPost] {
        let credential = Credential::Secret(method, Secret::new("client-secret-+7f3a"));
        let answer = port
            .request_token(&own("c1", credential, &[]))
            .await
            .unwrap();
        assert!(!format!("{answer:?}").contains("7f3a"), "{answer:?}");
        let header = base64::engine::general_purpose::STANDARD.encode("c1:client-secret-%2B7f3a");
        assert!(!format!("{answer:?}").contains(&header), "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_that_is_not_as_asked_for_goes_again() {
    for (member, value) in [
        ("token_endpoint_auth_method", json!("client_secret_post")),
        ("grant_types", json!(["client_credentials", "password"])),
        ("scope", json!("b")),
        ("client_secret", Value::Null),
    ] {
        for gone in [204, 500] {
            let value = value.clone();
            let server = answering(move |request, own| {
                let mut document = registered(own);
                document[member] = value.clone();
                match request.line().as_str() {
                    "DELETE /reg/c1" => Reply::json(gone, ""),
                    _ => Reply::json(201, document),
                }
            })
            .await;
            let new = new_client("otherwise", Method::SecretBasic, &["a"]);
            let error = at(&server).register(&new).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{error}");
            let said = if gone == 204 {
                "it was removed again"
            } else {
                "could not be removed again"
            };
            assert!(error.message.contains(said), "{error}");
            assert_eq!(server.lines(), [OAUTH, "POST /reg", "DELETE /reg/c1"]);
            let last = server.requests().pop().unwrap();
            assert_eq!(last.header("authorization"), Some("Bearer t1"));
        }
    }
}

#[tokio::test]
async fn a_client_is_managed_only_where_it_was_registered() {
    let other = Server::start(|_, _| Reply::json(204, "")).await;
    let elsewhere = format!("{}/reg/c1", other.endpoint);
    let server = answering(move |_, own| {
        let mut document = registered(own);
        document["registration_client_uri"] = json!(elsewhere);
        Reply::json(201, document)
    })
    .await;
    let new = new_client("elsewhere", Method::SecretBasic, &["a"]);
    let error = at(&server).register(&new).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.message.contains("registration_client_uri"), "{error}");
    assert!(!format!("{error:?}").contains("t1"), "{error}");
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn an_end_of_a_secret_is_read() {
    for (member, expected) in [
        (json!(0), None),
        (json!(1_800_000_000), Some(1_800_000_000)),
    ] {
        let server = answering(move |_, own| {
            let mut document = registered(own);
            document["client_secret_expires_at"] = member.clone();
            Reply::json(201, document)
        })
        .await;
        let new = new_client("ending", Method::SecretBasic, &["a"]);
        let made = at(&server).register(&new).await.unwrap();
        assert_eq!(made.secret_expires.map(Timestamp::as_second), expected);
        let request = server.requests().pop().unwrap();
        assert_eq!(request.header("authorization"), Some("Bearer initial"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        let sent: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(
            (&sent["redirect_uris"], &sent["response_types"]),
            (&json!([]), &json!([]))
        );
        assert!(
            !request.body.contains("chosen-secret"),
            "ours is not the server's to know"
        );
    }
}

#[tokio::test]
async fn answers_to_a_token_request_mean_what_the_standard_says() {
    let error = |code: &str| json!({"error": code}).to_string();
    let (unknown, refused, accepted) = ("unknown", "refused", "accepted");
    for (status, body, with_code, expected) in [
        (
            200,
            r#"{"access_token":"t"}"#.to_owned(),
            false,
            Ok(accepted),
        ),
        (
            200,
            r#"{"access_token":"t","scope":"b a"}"#.to_owned(),
            false,
            Ok(accepted),
        ),
        (
            200,
            r#"{"access_token":"t","scope":"b"}"#.to_owned(),
            false,
            Ok(refused),
        ),
        (401, error("invalid_client"), false, Ok(unknown)),
        (400, error("invalid_client"), true, Ok(unknown)),
        (401, error("unauthorized_client"), false, Ok(unknown)),
        (400, error("unauthorized_client"), false, Ok(refused)),
        (400, error("invalid_scope"), false, Ok(refused)),
        (400, error("invalid_grant"), true, Ok(accepted)),
        (400, error("invalid_grant"), false, Ok(refused)),
        (400, error("invalid_request"), true, Ok(refused)),
        (
            400,
            error("temporarily_unavailable"),
            false,
            Err(ErrorKind::Unavailable),
        ),
        (403, "<html>".to_owned(), false, Err(ErrorKind::Denied)),
        (400, "<html>".to_owned(), false, Err(ErrorKind::Refused)),
        (200, "{}".to_owned(), false, Err(ErrorKind::Invalid)),
    ] {
        let said = body.clone();
        let server = answering(move |_, _| Reply::json(status, &said)).await;
        let mut request = asked();
        if with_code {
            request.scopes = None;
        }
        let answer = at(&server)
            .request_token(&request)
            .await
            .map(|answer| match answer {
                TokenAnswer::Accepted => accepted,
                TokenAnswer::Refused(_) => refused,
                TokenAnswer::UnknownClient(_) => unknown,
            });
        assert_eq!(
            answer.map_err(|error| error.kind),
            expected,
            "{status} {body}"
        );
    }
}

#[tokio::test]
async fn an_assertion_is_for_the_issuer_and_for_a_minute() {
    let server = answering(|_, _| Reply::json(200, json!({"access_token": "t"}))).await;
    let now = Timestamp::from_second(1_795_640_000).unwrap();
    let port = RealServers::new(Arc::new(move || now))
        .open(dynamic_options(&server.endpoint, None))
        .unwrap();
    let (key, public) = keys::make();
    for _ in 0..2 {
        let request = own("c 1", Credential::Key(key.clone()), &["a", "b"]);
        assert_eq!(
            port.request_token(&request).await.unwrap(),
            TokenAnswer::Accepted
        );
    }
    let mut ids = Vec::new();
    for request in &server.requests()[1..] {
        assert_eq!(
            request.header("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        assert_eq!(request.header("authorization"), None);
        let form: std::collections::BTreeMap<_, _> =
            url::form_urlencoded::parse(request.body.as_bytes())
                .into_owned()
                .collect();
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(form["scope"], "a b");
        assert_eq!(
            form["client_assertion_type"],
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        let parts: Vec<&str> = form["client_assertion"].split('.').collect();
        let part = |at: usize| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap()
        };
        assert_eq!(
            part(0),
            json!({"alg": "ES256", "typ": "JWT", "kid": public.id})
        );
        let mut claims = part(1);
        ids.push(claims["jti"].take());
        let expected = json!({"iss": "c 1", "sub": "c 1", "aud": server.endpoint, "jti": null,
            "iat": 1_795_640_000, "exp": 1_795_640_060});
        assert_eq!(claims, expected);
    }
    assert_ne!(ids[0], ids[1]);
}

/// Keycloak's admin API, as far as a search goes; tokens live for a minute, and `taken` says which are taken.
async fn keycloak(taken: impl Fn(&str) -> bool + Send + Sync + 'static) -> Server {
    let made = AtomicI64::new(0);
    Server::start(move |request, _| match request.line().as_str() {
        "POST /realms/master/protocol/openid-connect/token" => {
            let token = format!("t{}", made.fetch_add(1, Ordering::SeqCst));
            Reply::json(200, json!({"access_token": token, "expires_in": 60}))
        }
        _ if taken(request.header("authorization").unwrap()) => Reply::json(200, json!([])),
        _ => Reply::json(401, json!({"error": "HTTP 401 Unauthorized"})),
    })
    .await
}

fn tokens(server: &Server) -> usize {
    server
        .lines()
        .iter()
        .filter(|line| line.starts_with("POST"))
        .count()
}

#[tokio::test]
async fn a_token_of_the_admin_api_is_kept_until_shortly_before_its_end() {
    let seconds = Arc::new(AtomicI64::new(1_795_640_000));
    let clock = Arc::clone(&seconds);
    let servers = RealServers::new(Arc::new(move || {
        Timestamp::from_second(clock.load(Ordering::SeqCst)).unwrap()
    }));
    let login = KeycloakLogin::User {
        username: "admin".to_owned(),
        password: Secret::new("pw"),
    };
    let registration = RegistrationOptions::Keycloak {
        admin_url: None,
        login,
        identity_provider: None,
    };
    let server = keycloak(|_| true).await;
    let issuer = format!("{}/realms/r", server.endpoint);
    let port = servers
        .open(options(&issuer, registration.clone()))
        .unwrap();
    for (later, expected) in [(0, 1), (49, 1), (2, 2), (48, 2), (3600, 3)] {
        seconds.fetch_add(later, Ordering::SeqCst);
        assert!(port.find("h", "u").await.unwrap().is_empty());
        assert_eq!(tokens(&server), expected);
    }

    // Keycloak was started anew: the first token is not taken any more.
    let server = keycloak(|authorization| authorization != "Bearer t0").await;
    let issuer = format!("{}/realms/r", server.endpoint);
    let port = servers
        .open(options(&issuer, registration.clone()))
        .unwrap();
    assert!(port.find("h", "u").await.unwrap().is_empty());
    assert_eq!(tokens(&server), 2);

    let server = keycloak(|_| false).await;
    let issuer = format!("{}/realms/r", server.endpoint);
    let port = servers.open(options(&issuer, registration)).unwrap();
    assert_eq!(
        port.find("h", "u").await.unwrap_err().kind,
        ErrorKind::Denied
    );
    assert_eq!(tokens(&server), 2, "and that is not tried for ever");
}

#[tokio::test]
async fn an_issuer_that_is_none_of_keycloaks_is_said_to_be() {
    let registration = RegistrationOptions::Keycloak {
        admin_url: None,
        login: KeycloakLogin::User {
            username: "a".to_owned(),
            password: Secret::new("b"),
        },
        identity_provider: None,
    };
    let error = impatient()
        .open(options("https://id.example.com/shop", registration))
        .err()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    let plain = dynamic_options("http://id.example.com", None);
    assert_eq!(
        impatient().open(plain).err().unwrap().kind,
        ErrorKind::Invalid
    );
    drop(open(dynamic_options("https://id.example.com", None)));
}
