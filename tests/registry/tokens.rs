//! The distribution project's registry with its token authentication, and a token service of our own that signs what it
//! is asked for: whether our requests mean what a real registry takes them for.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use bailiwick::dev::registries::{SERVICE, Tokens};
use bailiwick::model::Secret;
use bailiwick::registry::oci::{Limits, Login};
use bailiwick::registry::{ErrorKind, Images};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::server::{Reply, Request, Server};
use super::stage::{Stage, archive, client_with};

const ISSUER: &str = "tokens.dev";

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token (JWT) that lets its bearer do `actions` in `repository`.
fn token(pair: &EcdsaKeyPair, repository: &str, actions: &[&str]) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let head = json!({"alg": "ES256", "typ": "JWT", "kid": "ours"});
    let claims = json!({
        "iss": ISSUER, "sub": "robot", "aud": [SERVICE], "exp": now + 300, "nbf": now - 10, "iat": now, "jti": "1",
        "access": [{"type": "repository", "name": repository, "actions": actions}],
    });
    let signed = format!("{}.{}", encode(&head), encode(&claims));
    let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

/// Grants what is asked for, but to strangers pulling from `public/` only.
fn grant(pair: &EcdsaKeyPair, request: &Request) -> Reply {
    let query = request
        .path()
        .split_once('?')
        .map_or("", |(_, query)| query);
    let asked: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let parameter = |name: &str| {
        asked
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(parameter("service"), Some(SERVICE));
    let scope: Vec<&str> = parameter("scope").unwrap_or("::").split(':').collect();
    let (repository, actions): (_, Vec<&str>) = (scope[1], scope[2].split(',').collect());
    // robot:secret
    let granted = match request.header("authorization") {
        Some("Basic cm9ib3Q6c2VjcmV0") => actions,
        Some(_) => return Reply::new("401 Unauthorized", "", ""),
        None if repository.starts_with("public/") => vec!["pull"],
        None => vec![],
    };
    let body = json!({"token": token(pair, repository, &granted), "expires_in": 300});
    Reply::ok("application/json", body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_registry_takes_the_tokens_that_we_fetch() {
    let pair = Arc::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
    let point = pair.public_key().as_ref();
    let keys = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "kid": "ours", "use": "sig", "alg": "ES256",
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
    }]});
    let signer = pair.clone();
    let service = Server::start(move |request| grant(&signer, request)).await;
    // By its name: crane asks no realm that is an address of a private network.
    let realm = service.host.replace("127.0.0.1", "localhost");
    let stage = Stage::with_tokens(&Tokens {
        realm: format!("http://{realm}/token"),
        issuer: ISSUER.to_owned(),
        keys: keys.to_string(),
    })
    .await;
    let host = stage.registry.host();
    stage.crane(&["auth", "login", host, "-u", "robot", "-p", "secret"]);
    let (private, public) = (stage.image("team/shop:1"), stage.image("public/base:1"));
    for image in [&private, &public] {
        stage.push(image, &[stage.write("a.tar", &archive(&[("a", b"1")]))]);
    }
    let login = |password: &str| Login::Password {
        user: "robot".into(),
        password: Secret::new(password),
    };
    for (image, logins, expected) in [
        (&private, vec![(host, login("secret"))], Ok(())),
        (&public, vec![], Ok(())),
        (&private, vec![], Err(ErrorKind::Denied)),
        (
            &private,
            vec![(host, login("wrong"))],
            Err(ErrorKind::Denied),
        ),
    ] {
        let before = service.requests().len();
        let images = client_with(&[host, &realm], Limits::default(), &logins);
        for _ in 0..3 {
            let answer = images
                .resolve(image)
                .await
                .map(drop)
                .map_err(|error| error.kind);
            assert_eq!(answer, expected, "{image} {logins:?}");
        }
        if expected.is_ok() {
            assert_eq!(
                service.requests().len() - before,
                1,
                "one token for all three"
            );
        }
    }
}
