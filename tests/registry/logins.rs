//! Saying who asks: to a real registry that wants a password, and to one of our own that wants tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bailiwick::dev::registries::Kind;
use bailiwick::model::{ImageName, Secret};
use bailiwick::registry::oci::{Limits, Login, Logins, Registries, Settings};
use bailiwick::registry::{ErrorKind, Images, RegistryError};
use serde_json::json;

use super::server::{MANIFEST, Reply, Server, manifest};
use super::stage::{Stage, archive, client_with};

fn password(user: &str, password: &str) -> Login {
    Login::Password {
        user: user.into(),
        password: Secret::new(password),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_wants_a_password_gets_the_one_that_is_its() {
    let stage = Stage::new(Kind::DistributionWithLogin).await;
    let host = stage.registry.host();
    stage.crane(&["auth", "login", host, "-u", "robot", "-p", "secret"]);
    let image = stage.image("team/shop:1.0");
    stage.push(&image, &[stage.write("a.tar", &archive(&[("a", b"1")]))]);
    for (logins, expected) in [
        (vec![(host, password("robot", "secret"))], None),
        (vec![(host, password("robot", "wrong"))], Some("401")),
        (
            vec![("other.example", password("robot", "secret"))],
            Some("none is configured"),
        ),
        (vec![], Some("none is configured")),
    ] {
        let images = client_with(&[host], Limits::default(), &logins);
        match (images.resolve(&image).await, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => {
                assert_eq!(error.kind, ErrorKind::Denied, "{error}");
                let text = format!("{error} {error:?}");
                assert!(
                    text.contains(words) && !text.contains("secret") && !text.contains("wrong"),
                    "{text}"
                );
            }
            (answer, _) => panic!("{expected:?}: {answer:?}"),
        }
    }
}

const TOKEN: &str = "s3cr3t-t0k3n";

/// A registry that takes tokens of a service beside it. `body` is what the service answers.
async fn with_tokens(realm: &'static str, body: serde_json::Value) -> Server {
    Server::start(move |request| {
        if request.path().starts_with("/token") {
            return Reply::ok("application/json", body.to_string());
        }
        match request.header("authorization") {
            Some(header) if header == format!("Bearer {TOKEN}") => {
                Reply::ok(MANIFEST, manifest(&[]).to_string())
            }
            _ => {
                let host = request.header("host").unwrap();
                let realm = realm.replace("HOST", host);
                let challenge = format!(
                    "WWW-Authenticate: Bearer realm=\"{realm}\",service=\"a b\",scope=\"repository:team/shop:pull,push,delete\"\r\n"
                );
                Reply::new("401 Unauthorized", &challenge, "")
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_token_is_fetched_once_for_pulling_this_image_only() {
    for (key, logins) in [("token", true), ("access_token", false)] {
        let server = with_tokens("http://HOST/token", json!({key: TOKEN, "expires_in": 300})).await;
        let image = server.image("team/shop:1");
        let logins = match logins {
            true => vec![(server.host.as_str(), password("robot", "secret"))],
            false => vec![],
        };
        let images = client_with(&[&server.host], Limits::default(), &logins);
        for _ in 0..3 {
            images.resolve(&image).await.unwrap();
        }
        let requests = server.requests();
        let paths: Vec<&str> = requests.iter().map(|request| request.path()).collect();
        let (resolve, token) = (
            "/v2/team/shop/manifests/1",
            "/token?service=a+b&scope=repository%3Ateam%2Fshop%3Apull",
        );
        assert_eq!(paths, [resolve, token, resolve, resolve, resolve]);
        // The password goes to the token service only.
        let sent: Vec<Option<&str>> = requests
            .iter()
            .map(|request| request.header("authorization"))
            .collect();
        let basic = (!logins.is_empty()).then_some("Basic cm9ib3Q6c2VjcmV0");
        let bearer = format!("Bearer {TOKEN}");
        let bearer = Some(bearer.as_str());
        assert_eq!(sent, [None, basic, bearer, bearer, bearer]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_not_used_longer_than_it_lives() {
    let server = with_tokens(
        "http://HOST/token",
        json!({"token": TOKEN, "expires_in": 100}),
    )
    .await;
    let images = client_with(&[&server.host], Limits::default(), &[]);
    let tokens = || {
        server
            .requests()
            .iter()
            .filter(|request| request.path().starts_with("/token"))
            .count()
    };
    images.resolve(&server.image("team/shop:1")).await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(80)).await;
    images.resolve(&server.image("team/shop:1")).await.unwrap();
    assert_eq!(tokens(), 1);
    tokio::time::advance(std::time::Duration::from_secs(20)).await;
    images.resolve(&server.image("team/shop:1")).await.unwrap();
    assert_eq!(tokens(), 2);
    // Another image has a token of its own.
    images.resolve(&server.image("team/other:1")).await.unwrap();
    assert_eq!(tokens(), 3);
}

#[tokio::test]
async fn a_realm_cannot_send_us_anywhere() {
    let token = json!({"token": TOKEN});
    for (realm, reason) in [
        ("http://169.254.169.254/token", "is not asked"),
        ("https://169.254.169.254/token", "is not asked"),
        ("http://auth.example.com/token", "plain HTTP"),
        ("https://localhost/token", "is not asked"),
        ("file:///etc/passwd", "is not asked"),
        ("token", "no URL"),
    ] {
        let server = with_tokens(realm, token.clone()).await;
        let logins = [(server.host.as_str(), password("robot", "secret"))];
        let images = client_with(&[&server.host], Limits::default(), &logins);
        let error = images
            .resolve(&server.image("team/shop:1"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(reason), "{realm}: {error}");
        assert_eq!(server.requests().len(), 1, "{realm}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_ends_it() {
    for (answer, kind, words) in [
        (json!({"token": "another"}), ErrorKind::Denied, "401"),
        (json!({"token": ""}), ErrorKind::Invalid, "gives no token"),
        (json!({}), ErrorKind::Invalid, "gives no token"),
        (
            json!({"token": {"secret": TOKEN}}),
            ErrorKind::Invalid,
            "what is no token",
        ),
        (
            json!({"token": format!("{TOKEN}\r\nX-Evil: yes")}),
            ErrorKind::Denied,
            "no header takes",
        ),
    ] {
        let server = with_tokens("http://HOST/token", answer.clone()).await;
        let images = client_with(&[&server.host], Limits::default(), &[]);
        let error = images
            .resolve(&server.image("team/shop:1"))
            .await
            .unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(words) && !text.contains(TOKEN), "{text}");
        assert!(server.requests().len() <= 3, "{answer}");
    }
}

#[tokio::test]
async fn a_fixed_token_is_sent_as_it_is() {
    let server = with_tokens("http://HOST/token", json!({})).await;
    let logins = [(server.host.as_str(), Login::Token(Secret::new(TOKEN)))];
    let images = client_with(&[&server.host], Limits::default(), &logins);
    images.resolve(&server.image("team/shop:1")).await.unwrap();
    assert!(
        server
            .requests()
            .iter()
            .all(|request| !request.path().starts_with("/token"))
    );
}

/// A login that is for the registry alone, as those of the operator's own repositories are.
struct Ours {
    name: ImageName,
    refused: AtomicUsize,
}

#[async_trait]
impl Logins for Ours {
    async fn login(&self, name: &ImageName) -> Result<Option<Login>, RegistryError> {
        let login = || Login::Here {
            user: "AWS".into(),
            password: Secret::new(TOKEN),
        };
        Ok((*name == self.name).then(login))
    }

    fn refused(&self, _: &ImageName) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }
}

fn ours(server: &Server) -> (Registries, Arc<Ours>) {
    let logins = Arc::new(Ours {
        name: server.image("team/shop:1").name().clone(),
        refused: AtomicUsize::new(0),
    });
    let settings = Settings {
        plain_http: [server.host.clone()].into(),
        ..Settings::default()
    };
    (Registries::new(settings, logins.clone()).unwrap(), logins)
}

#[tokio::test]
async fn a_login_for_one_registry_goes_nowhere_else() {
    // As ECR wants it: the login itself, for this image and no other.
    let server = Server::start(|request| match request.header("authorization") {
        Some("Basic QVdTOnMzY3IzdC10MGszbg==") => Reply::ok(MANIFEST, manifest(&[]).to_string()),
        _ => Reply::new(
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"https://1.dkr.ecr.eu-west-1.amazonaws.com/\"\r\n",
            "",
        ),
    })
    .await;
    let (images, _) = ours(&server);
    images.resolve(&server.image("team/shop:1")).await.unwrap();
    let error = images.resolve(&server.image("team/other:1")).await;
    assert_eq!(error.unwrap_err().kind, ErrorKind::Denied);
    // A service for tokens beside it does not get to see it, whoever names it.
    let server = with_tokens("http://HOST/token", json!({"token": TOKEN})).await;
    let (images, _) = ours(&server);
    let error = images
        .resolve(&server.image("team/shop:1"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is not sent to"), "{error}");
    let all = server.requests();
    assert!(
        all.iter()
            .all(|request| !request.path().starts_with("/token"))
    );
    assert!(
        all.iter()
            .all(|request| request.header("authorization").is_none())
    );
}

/// What was taken before and is not any more is asked for anew.
#[tokio::test]
async fn a_login_that_is_refused_later_is_told_so() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = asked.clone();
    let server = Server::start(move |request| {
        let number = counting.fetch_add(1, Ordering::SeqCst);
        // The first of them in the third request.
        match request.header("authorization").is_some() && number != 2 {
            true => Reply::ok(MANIFEST, manifest(&[]).to_string()),
            false => Reply::new("401 Unauthorized", "WWW-Authenticate: Basic\r\n", ""),
        }
    })
    .await;
    let (images, logins) = ours(&server);
    let image = server.image("team/shop:1");
    images.resolve(&image).await.unwrap();
    assert_eq!(logins.refused.load(Ordering::SeqCst), 0);
    images.resolve(&image).await.unwrap();
    assert_eq!(logins.refused.load(Ordering::SeqCst), 1);
}
