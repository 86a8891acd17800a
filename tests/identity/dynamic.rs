//! Against npm's `oidc-provider`: RFC 7591 and RFC 7592.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use bailiwick::dev::oauth::{INITIAL_ACCESS_TOKEN, OAuthAssets, OidcProvider};
use bailiwick::identity::{Capabilities, ErrorKind, Inquiry, Method};
use bailiwick::model::Secret;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::contract::{
    a_life_for_people, a_life_with_a_key, a_life_with_a_secret, a_life_without_scopes, accepts,
    with_secret,
};
use super::server::ask;
use super::world::World;
use super::{dynamic_options, new_client, open};

/// One for all tests; it ends with this process.
static SERVER: OnceCell<OidcProvider> = OnceCell::const_new();

pub async fn issuer() -> &'static str {
    let server = SERVER.get_or_init(async || {
        let assets = OAuthAssets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        OidcProvider::start(&assets, &["api.read", "api.write", "ledger.read"])
            .await
            .unwrap()
    });
    server.await.issuer()
}

/// Where the clients of an object are managed, and by which tokens: all that there ever were.
#[derive(Default)]
pub struct Managed(Mutex<BTreeSet<(String, String)>>);

impl Managed {
    /// The clients of this object that are there, as the server says, with their secrets. It lists none: so it is asked for
    /// each that the operator kept at any of the moments at which this was called.
    pub async fn live(&self, world: &World, uid: &str) -> BTreeSet<(String, String)> {
        let vault = format!("bailiwick-oauth-{uid}");
        let get = [
            "get",
            "secret",
            &vault,
            "-n",
            "default",
            "-o",
            "json",
            "--ignore-not-found",
        ];
        let found = world.kubectl(&get).await.unwrap();
        let found: Value = serde_json::from_str(&found).unwrap_or_default();
        for entry in found["data"]
            .as_object()
            .into_iter()
            .flat_map(|it| it.values())
        {
            let bytes = BASE64_STANDARD.decode(entry.as_str().unwrap()).unwrap();
            let entry: Value = serde_json::from_slice(&bytes).unwrap();
            let text = |member: &str| entry[member].as_str().unwrap().to_owned();
            let managed = (text("managementUri"), text("managementToken"));
            self.0.lock().unwrap().insert(managed);
        }
        let (mut live, endpoint) = (BTreeSet::new(), issuer().await);
        let all = self.0.lock().unwrap().clone();
        for (uri, token) in all {
            let (path, bearer) = (
                uri.strip_prefix(endpoint).unwrap(),
                format!("Authorization: Bearer {token}\r\n"),
            );
            let (status, body) = ask(endpoint, "GET", path, "text/plain", &bearer, "").await;
            if status == 200 {
                let client: Value = serde_json::from_str(&body).unwrap();
                let text = |member: &str| client[member].as_str().unwrap().to_owned();
                live.insert((text("client_id"), text("client_secret")));
            } else {
                assert_eq!(status, 401, "{body}");
            }
        }
        live
    }
}

#[tokio::test]
async fn it_says_what_it_can_do() {
    let issuer = issuer().await;
    let server = open(dynamic_options(issuer, Some(INITIAL_ACCESS_TOKEN)));
    let found = server.describe(Inquiry::Trying).await.unwrap();
    assert_eq!(found.token_endpoint.as_str(), format!("{issuer}/token"));
    assert_eq!(found.methods, Method::ALL);
    assert!(
        found
            .grant_types
            .iter()
            .any(|grant| grant == "client_credentials")
    );
    let capabilities = Capabilities {
        secrets_in_place: false,
        older_secret_lives: None,
        updates: false,
        search: false,
    };
    assert_eq!(found.capabilities, capabilities);
}

#[tokio::test]
async fn clients_live() {
    let server = open(dynamic_options(issuer().await, Some(INITIAL_ACCESS_TOKEN)));
    a_life_with_a_secret(&*server, "basic", Method::SecretBasic).await;
    a_life_with_a_secret(&*server, "post", Method::SecretPost).await;
    a_life_with_a_key(&*server, "key").await;
    a_life_without_scopes(&*server, "none").await;
    a_life_for_people(&*server, "people", Method::SecretBasic).await;
    a_life_for_people(&*server, "browser", Method::Public).await;
}

#[tokio::test]
async fn a_client_beside_another_leaves_it_alone() {
    let server = open(dynamic_options(issuer().await, Some(INITIAL_ACCESS_TOKEN)));
    let new = new_client("beside", Method::SecretBasic, &["api.read"]);
    let (one, two) = (
        server.register(&new).await.unwrap(),
        server.register(&new).await.unwrap(),
    );
    assert_ne!(one.client_id, two.client_id);
    assert_eq!((one.secret_expires, two.secret_expires), (None, None));
    assert!(server.find(&new.handle, &new.uid).await.unwrap().is_empty());
    server.delete(&one).await.unwrap();
    accepts(
        &*server,
        &with_secret(&two, Method::SecretBasic, &["api.read"]),
    )
    .await;
    server.delete(&two).await.unwrap();
}

#[tokio::test]
async fn who_may_not_register_is_told_so() {
    let new = new_client("denied", Method::SecretBasic, &[]);
    for token in [None, Some("a-wrong-token-that-is-not-repeated")] {
        let server = open(dynamic_options(issuer().await, token));
        let error = server.register(&new).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
        assert!(
            !format!("{error} {error:?}").contains("a-wrong-token"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_the_server_has_not_is_refused_with_its_words() {
    let server = open(dynamic_options(issuer().await, Some(INITIAL_ACCESS_TOKEN)));
    let mut grants = new_client("grants", Method::SecretBasic, &[]);
    grants.metadata.grant_types = vec!["urn:ietf:params:oauth:grant-type:device_code".to_owned()];
    let mut uris = new_client("uris", Method::SecretBasic, &[]);
    uris.metadata.grant_types = vec!["authorization_code".to_owned()];
    uris.metadata.redirect_uris = vec!["no uri".to_owned()];
    for (new, said) in [
        (grants, "grant_types"),
        (uris, "redirect_uris"),
        (
            new_client("scopes", Method::SecretBasic, &["api.admin"]),
            "scope",
        ),
    ] {
        let error = server.register(&new).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(error.message.contains(said), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_before_anything_is_sent() {
    let server = open(dynamic_options(issuer().await, Some(INITIAL_ACCESS_TOKEN)));
    let new = new_client("unmanaged", Method::SecretBasic, &[]);
    let made = server.register(&new).await.unwrap();
    for error in [
        server.update(&made, &new.metadata).await.unwrap_err(),
        server.add_secret(&made).await.unwrap_err(),
        server.retire_secret(&made).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    }
    let mut unmanaged = made.clone();
    unmanaged.management = None;
    assert_eq!(
        server.delete(&unmanaged).await.unwrap_err().kind,
        ErrorKind::Invalid
    );
    // The token of another client is none of ours.
    let mut foreign = made.clone();
    foreign.management.as_mut().unwrap().token = Secret::new("another");
    assert_eq!(
        server.delete(&foreign).await.unwrap_err().kind,
        ErrorKind::Denied
    );
    let mut elsewhere = made.clone();
    elsewhere.management.as_mut().unwrap().uri = "http://127.0.0.1:1/reg/x".parse().unwrap();
    let error = server.delete(&elsewhere).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    accepts(&*server, &with_secret(&made, Method::SecretBasic, &[])).await;
    server.delete(&made).await.unwrap();
}
