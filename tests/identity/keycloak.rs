//! Against Keycloak: one realm without a policy for secrets, and one with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bailiwick::dev::oauth::{ADMINISTRATOR, Keycloak, OAuthAssets};
use bailiwick::dev::{Assets, ControlPlane};
use bailiwick::identity::{
    Capabilities, ClientMetadata, Credential, ErrorKind, Inquiry, KeycloakLogin, Method,
    OAuthServer, RegistrationOptions, ServiceUser, SigningKey, keys,
};
use bailiwick::model::Secret;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::contract::{
    a_life_for_people, a_life_with_a_key, a_life_with_a_secret, a_life_without_scopes, accepts,
    knows_not, own, refuses, signing_client, with_secret,
};
use super::server::ask;
use super::{new_client, open, options};

/// The realm in which a client has one secret.
pub const PLAIN: &str = "plain";
/// The realm whose policy lets a client have two for a while.
pub const ROTATING: &str = "rotating realm";

/// One for all tests; it ends with this process.
static SERVER: OnceCell<(ControlPlane, Keycloak)> = OnceCell::const_new();

pub async fn endpoint() -> &'static str {
    started().await.1.endpoint()
}

/// The cluster whose tokens it can be made to take, and itself.
pub async fn started() -> &'static (ControlPlane, Keycloak) {
    let server = SERVER.get_or_init(async || {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let assets = OAuthAssets::find(repository).unwrap();
        let cluster = Assets::find(repository).unwrap();
        let cluster = ControlPlane::start(&cluster, None).await.unwrap();
        let authority = cluster.authority();
        let server = Keycloak::start_trusting(&assets, Some(&authority))
            .await
            .unwrap();
        let endpoint = server.endpoint();
        for realm in [PLAIN, ROTATING] {
            let new = json!({"realm": realm, "enabled": true});
            administer(endpoint, "POST", "/admin/realms", Some(&new)).await;
        }
        overlap(endpoint, ROTATING, true).await;
        (cluster, server)
    });
    server.await
}

/// Sets the policies by which secrets overlap in a realm, as its administrator would.
async fn overlap(endpoint: &str, realm: &str, enabled: bool) {
    let realm = realm.replace(' ', "%20");
    let periods = json!({"expiration-period": 86400, "rotated-expiration-period": 3600, "remaining-rotation-period": 3600});
    let executor = json!({"executor": "secret-rotation", "configuration": periods});
    let profiles = json!({"profiles": [{"name": "overlap", "executors": [executor]}]});
    let condition =
        json!({"condition": "client-access-type", "configuration": {"type": ["confidential"]}});
    let policies = json!({"policies": [
        {"name": "overlap", "enabled": enabled, "conditions": [condition], "profiles": ["overlap"]}]});
    for (what, document) in [("profiles", profiles), ("policies", policies)] {
        let path = format!("/admin/realms/{realm}/client-policies/{what}");
        administer(endpoint, "PUT", &path, Some(&document)).await;
    }
}

/// What an administrator does by hand.
pub async fn administer(
    endpoint: &str,
    method: &str,
    path: &str,
    document: Option<&Value>,
) -> Value {
    let (status, answer) = attempt(endpoint, method, path, document).await;
    assert!(
        (200..300).contains(&status),
        "{method} {path}: {status} {answer}"
    );
    serde_json::from_str(&answer).unwrap_or_default()
}

/// What an administrator tries by hand: status and body of the answer.
pub async fn attempt(
    endpoint: &str,
    method: &str,
    path: &str,
    document: Option<&Value>,
) -> (u16, String) {
    let (user, password) = ADMINISTRATOR;
    let form =
        format!("grant_type=password&client_id=admin-cli&username={user}&password={password}");
    let path_of_tokens = "/realms/master/protocol/openid-connect/token";
    let kind = "application/x-www-form-urlencoded";
    let (status, token) = ask(endpoint, "POST", path_of_tokens, kind, "", &form).await;
    assert_eq!(status, 200, "{token}");
    let token: Value = serde_json::from_str(&token).unwrap();
    let authorization = format!(
        "Authorization: Bearer {}\r\n",
        token["access_token"].as_str().unwrap()
    );
    let body = document.map(Value::to_string).unwrap_or_default();
    let kind = "application/json";
    ask(endpoint, method, path, kind, &authorization, &body).await
}

pub fn login() -> KeycloakLogin {
    KeycloakLogin::User {
        username: ADMINISTRATOR.0.to_owned(),
        password: Secret::new(ADMINISTRATOR.1),
    }
}

async fn realm_as(realm: &str, login: KeycloakLogin) -> Arc<dyn OAuthServer> {
    let issuer = format!("{}/realms/{}", endpoint().await, realm.replace(' ', "%20"));
    let registration = RegistrationOptions::Keycloak {
        admin_url: None,
        login,
        identity_provider: None,
    };
    open(options(&issuer, registration))
}

pub async fn realm(realm: &str) -> Arc<dyn OAuthServer> {
    realm_as(realm, login()).await
}

async fn client_of(realm: &str, id: &str) -> Value {
    let realm = realm.replace(' ', "%20");
    let path = format!("/admin/realms/{realm}/clients?clientId={id}");
    let mut client = administer(endpoint().await, "GET", &path, None).await[0].clone();
    // Sets, in whatever order.
    for list in ["defaultClientScopes", "optionalClientScopes"] {
        if let Some(list) = client[list].as_array_mut() {
            list.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
        }
    }
    client
}

#[tokio::test]
async fn whether_secrets_overlap_is_found_out() {
    for (name, older_secret_lives) in [(PLAIN, None), (ROTATING, Some(Duration::from_secs(3600)))] {
        let server = realm(name).await;
        for _ in 0..2 {
            let found = server.describe(Inquiry::Trying).await.unwrap();
            let capabilities = Capabilities {
                secrets_in_place: older_secret_lives.is_some(),
                older_secret_lives,
                updates: true,
                search: true,
            };
            assert_eq!(found.capabilities, capabilities, "{name}");
            assert_eq!(found.methods, Method::ALL);
        }
        let path = format!(
            "/admin/realms/{}/clients?clientId=bailiwick-probe-&search=true",
            name.replace(' ', "%20")
        );
        assert_eq!(
            administer(endpoint().await, "GET", &path, None).await,
            json!([])
        );
    }
}

/// The same answer is not believed for ever.
#[tokio::test]
async fn a_policy_that_changes_is_noticed() {
    let new = json!({"realm": "changing", "enabled": true});
    administer(endpoint().await, "POST", "/admin/realms", Some(&new)).await;
    let server = realm("changing").await;
    for enabled in [false, true, false] {
        overlap(endpoint().await, "changing", enabled).await;
        let found = server.describe(Inquiry::Trying).await.unwrap();
        assert_eq!(found.capabilities.secrets_in_place, enabled);
    }
}

/// A policy that is newer than a client ends the client's secret all the same, from its next change on.
#[tokio::test]
async fn an_end_that_a_later_policy_sets_is_seen() {
    let new = json!({"realm": "later", "enabled": true});
    administer(endpoint().await, "POST", "/admin/realms", Some(&new)).await;
    let server = realm("later").await;
    let client = new_client("older", Method::SecretBasic, &["api.read"]);
    let made = server.register(&client).await.unwrap();
    assert_eq!(server.secret_ends(&made).await.unwrap(), None);
    overlap(endpoint().await, "later", true).await;
    let before = Timestamp::now();
    server.update(&made, &client.metadata).await.unwrap();
    let ends = server.secret_ends(&made).await.unwrap();
    let lives = ends.expect("the policy ends it").duration_since(before);
    assert!((86_300..=86_500).contains(&lives.as_secs()), "{lives:?}");
    accepts(
        &*server,
        &with_secret(&made, Method::SecretBasic, &["api.read"]),
    )
    .await;
}

#[tokio::test]
async fn clients_live() {
    for name in [PLAIN, ROTATING] {
        let server = realm(name).await;
        // So that there is a scope which the client has not.
        let other = new_client("other", Method::SecretBasic, &["api.write"]);
        server.register(&other).await.unwrap();
        a_life_with_a_secret(&*server, "basic", Method::SecretBasic).await;
        a_life_with_a_secret(&*server, "post", Method::SecretPost).await;
        a_life_with_a_key(&*server, "key").await;
        a_life_without_scopes(&*server, "none").await;
        a_life_for_people(&*server, "people", Method::SecretBasic).await;
        a_life_for_people(&*server, "browser", Method::Public).await;
    }
}

/// Whoever is second finds the scope that the first has made meanwhile.
#[tokio::test]
async fn clients_that_want_the_same_new_scope_at_once() {
    let server = realm(PLAIN).await;
    let clients = (0..8).map(|number| {
        let handle = format!("at-once-{number}");
        let server = server.clone();
        async move {
            let new = new_client(&handle, Method::SecretBasic, &["at-once.read"]);
            let made = server.register(&new).await.unwrap();
            let request = with_secret(&made, Method::SecretBasic, &["at-once.read"]);
            accepts(&*server, &request).await;
        }
    });
    futures::future::join_all(clients).await;
}

#[tokio::test]
async fn registering_again_gives_the_same_client() {
    let server = realm(PLAIN).await;
    let new = new_client("again", Method::SecretBasic, &["api.read"]);
    let made = server.register(&new).await.unwrap();
    assert_eq!(made.client_id, "again");
    assert_eq!(made.secret, Some(new.secret.clone()));
    assert_eq!(server.register(&new).await.unwrap(), made);
    assert_eq!(
        server.find("again", &new.uid).await.unwrap(),
        std::slice::from_ref(&made)
    );
    assert!(server.find("again", "another").await.unwrap().is_empty());
    assert!(server.find("aga", &new.uid).await.unwrap().is_empty());

    // The wish has changed, and an answer was lost.
    let mut other = new.clone();
    other.secret = Secret::new("another secret, with + and % and ü");
    other.metadata.scopes = vec!["api.write".to_owned()];
    let changed = server.register(&other).await.unwrap();
    accepts(
        &*server,
        &with_secret(&changed, Method::SecretBasic, &["api.write"]),
    )
    .await;
    refuses(
        &*server,
        &with_secret(&changed, Method::SecretBasic, &["api.read"]),
    )
    .await;
    knows_not(&*server, &with_secret(&made, Method::SecretBasic, &[])).await;

    let mut thief = new.clone();
    thief.uid = "another".to_owned();
    let error = server.register(&thief).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AlreadyExists, "{error}");
    accepts(
        &*server,
        &with_secret(&changed, Method::SecretBasic, &["api.write"]),
    )
    .await;
}

#[tokio::test]
async fn what_others_made_is_not_touched() {
    let server = realm(PLAIN).await;
    let theirs = json!({"clientId": "theirs", "secret": "s", "serviceAccountsEnabled": true});
    let path = format!("/admin/realms/{PLAIN}/clients");
    administer(endpoint().await, "POST", &path, Some(&theirs)).await;
    let before = client_of(PLAIN, "theirs").await;
    let new = new_client("theirs", Method::SecretBasic, &[]);
    assert_eq!(
        server.register(&new).await.unwrap_err().kind,
        ErrorKind::AlreadyExists
    );
    let mut made = server
        .register(&new_client("ours", Method::SecretBasic, &[]))
        .await
        .unwrap();
    made.client_id = "theirs".to_owned();
    for error in [
        server.update(&made, &new.metadata).await.unwrap_err(),
        server.add_secret(&made).await.unwrap_err(),
        server.retire_secret(&made).await.unwrap_err(),
        server.delete(&made).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::AlreadyExists, "{error}");
    }
    assert_eq!(client_of(PLAIN, "theirs").await, before);
}

#[tokio::test]
async fn an_update_changes_what_is_ours_alone() {
    let server = realm(PLAIN).await;
    let new = new_client("updated", Method::SecretBasic, &["api.read"]);
    let made = server.register(&new).await.unwrap();
    let mut client = client_of(PLAIN, "updated").await;
    client["attributes"]["theirs"] = json!("kept");
    client["description"] = json!("theirs");
    let path = format!(
        "/admin/realms/{PLAIN}/clients/{}",
        client["id"].as_str().unwrap()
    );
    administer(endpoint().await, "PUT", &path, Some(&client)).await;

    let metadata = ClientMetadata {
        name: "renamed".to_owned(),
        scopes: vec!["api.write".to_owned()],
        ..new.metadata.clone()
    };
    for _ in 0..2 {
        server.update(&made, &metadata).await.unwrap();
    }
    accepts(
        &*server,
        &with_secret(&made, Method::SecretBasic, &["api.write"]),
    )
    .await;
    refuses(
        &*server,
        &with_secret(&made, Method::SecretBasic, &["api.read"]),
    )
    .await;
    let client = client_of(PLAIN, "updated").await;
    assert_eq!(client["name"], "renamed");
    assert_eq!(client["description"], "theirs");
    assert_eq!(client["attributes"]["theirs"], "kept");
    server.delete(&made).await.unwrap();
    assert_eq!(
        server.update(&made, &metadata).await.unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn keys_overlap() {
    let server = realm(PLAIN).await;
    let (new, old) = signing_client("overlapping");
    let made = server.register(&new).await.unwrap();
    let with = |key: &SigningKey| own(&made.client_id, Credential::Key(key.clone()), &["api.read"]);
    let (next, public) = keys::make();
    let mut metadata = new.metadata.clone();
    metadata.keys.push(public.clone());
    server.update(&made, &metadata).await.unwrap();
    for key in [&old, &next] {
        accepts(&*server, &with(key)).await;
    }
    metadata.keys = vec![public];
    server.update(&made, &metadata).await.unwrap();
    accepts(&*server, &with(&next)).await;
    knows_not(&*server, &with(&old)).await;
}

#[tokio::test]
async fn secrets_overlap_where_the_realm_lets_them() {
    let server = realm(ROTATING).await;
    let new = new_client("two-secrets", Method::SecretBasic, &["api.read"]);
    let old = server.register(&new).await.unwrap();
    assert!(old.secret_expires.is_some(), "the policy ends it");
    let try_with = |made: &_| with_secret(made, Method::SecretBasic, &["api.read"]);
    let next = server.add_secret(&old).await.unwrap();
    assert_ne!(old.secret, next.secret);
    assert_eq!(
        server.add_secret(&old).await.unwrap(),
        next,
        "again, after a lost answer"
    );
    for made in [&old, &next] {
        accepts(&*server, &try_with(made)).await;
    }
    for _ in 0..2 {
        server.retire_secret(&next).await.unwrap();
        accepts(&*server, &try_with(&next)).await;
        knows_not(&*server, &try_with(&old)).await;
    }
    assert_eq!(
        server.retire_secret(&old).await.unwrap_err().kind,
        ErrorKind::NotFound
    );
    accepts(&*server, &try_with(&next)).await;

    // A new one that was not wanted after all goes, and the one before it stays.
    let unwanted = server.add_secret(&next).await.unwrap();
    server.retire_secret(&next).await.unwrap();
    accepts(&*server, &try_with(&next)).await;
    knows_not(&*server, &try_with(&unwanted)).await;
    // And so once more: what was put back is a secret as any other.
    let third = server.add_secret(&next).await.unwrap();
    for made in [&next, &third] {
        accepts(&*server, &try_with(made)).await;
    }
}

#[tokio::test]
async fn where_secrets_cannot_overlap_none_is_lost() {
    let server = realm(PLAIN).await;
    let new = new_client("one-secret", Method::SecretBasic, &["api.read"]);
    let made = server.register(&new).await.unwrap();
    assert_eq!(made.secret_expires, None);
    let error = server.add_secret(&made).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    accepts(
        &*server,
        &with_secret(&made, Method::SecretBasic, &["api.read"]),
    )
    .await;
}

#[tokio::test]
async fn a_service_account_of_the_realm_is_enough() {
    let new = json!({"realm": "served", "enabled": true});
    let endpoint = endpoint().await;
    administer(endpoint, "POST", "/admin/realms", Some(&new)).await;
    let account = json!({"clientId": "bailiwick operator", "secret": "its+secret%", "serviceAccountsEnabled": true});
    administer(
        endpoint,
        "POST",
        "/admin/realms/served/clients",
        Some(&account),
    )
    .await;
    let us = |secret: &str| KeycloakLogin::ServiceAccount {
        client_id: "bailiwick operator".to_owned(),
        client_secret: Secret::new(secret),
    };
    let server = realm_as("served", us("its+secret%")).await;
    let error = server.describe(Inquiry::Trying).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "it may nothing yet: {error}");

    let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
    let ours = client_of("served", "bailiwick%20operator").await;
    let path = format!(
        "/admin/realms/served/clients/{}/service-account-user",
        id(&ours)
    );
    let user = administer(endpoint, "GET", &path, None).await;
    let manager = client_of("served", "realm-management").await;
    let give = async |role: &str| {
        let manager = id(&manager);
        let path = format!("/admin/realms/served/clients/{manager}/roles/{role}");
        let role = administer(endpoint, "GET", &path, None).await;
        let user = id(&user);
        let path = format!("/admin/realms/served/users/{user}/role-mappings/clients/{manager}");
        administer(endpoint, "POST", &path, Some(&json!([role]))).await;
    };
    give("manage-clients").await;

    let server = realm_as("served", us("its+secret%")).await;
    assert!(
        !server
            .describe(Inquiry::Trying)
            .await
            .unwrap()
            .capabilities
            .secrets_in_place
    );
    a_life_with_a_secret(&*server, "served", Method::SecretBasic).await;

    // Users are another right.
    let one = ServiceUser {
        username: "served-uid-1".to_owned(),
        uid: "uid".to_owned(),
        password: Secret::new("a password"),
    };
    let error = server.make_user(&one).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    give("manage-users").await;
    let server = realm_as("served", us("its+secret%")).await;
    server.make_user(&one).await.unwrap();
    server.remove_user(&one.username, &one.uid).await.unwrap();

    let stranger = realm_as("served", us("a-wrong-secret-not-repeated")).await;
    let error = stranger.describe(Inquiry::Trying).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert!(!format!("{error:?}").contains("a-wrong-secret"), "{error}");
}

#[tokio::test]
async fn another_realm_is_not_there() {
    let server = realm("absent").await;
    let error = server.describe(Inquiry::Trying).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}
