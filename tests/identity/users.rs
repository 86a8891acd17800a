//! Users that work for an application, at Keycloak.

use bailiwick::identity::{
    Credential, ErrorKind, Inquiry, Method, OAuthServer, ServiceUser, TokenAnswer, TokenRequest,
};
use bailiwick::model::Secret;
use serde_json::{Value, json};

use super::contract::{accepts, own, with_secret};
use super::keycloak::{PLAIN, ROTATING, administer, endpoint, realm};
use super::{dynamic_options, new_client, open};

/// An object's uid, of its own for each test.
const UID: &str = "8d9f6a3c-0000-4000-8000-00000000000";

fn user(application: &str, version: u32) -> ServiceUser {
    let uid = format!("{UID}{}", application.len() % 10);
    ServiceUser {
        username: format!("{application}-{uid}-{version}"),
        uid,
        password: Secret::new(format!("chosen %+&=ü password of {application} {version}")),
    }
}

async fn answer(
    server: &dyn OAuthServer,
    request: &TokenRequest,
    user: &ServiceUser,
) -> TokenAnswer {
    server.request_token_as(request, user).await.unwrap()
}

fn is_unknown(answer: &TokenAnswer) -> bool {
    matches!(answer, TokenAnswer::UnknownClient(_))
}

/// Two clients and two users, as during an overlap: each client takes each user, so that a reader may have one file of each.
#[tokio::test]
async fn users_live_and_go_with_either_client() {
    for name in [PLAIN, ROTATING] {
        let server = realm(name).await;
        let description = server.describe(Inquiry::Trying).await.unwrap();
        assert!(
            description
                .grant_types
                .iter()
                .any(|grant| grant == "password")
        );
        let mut requests = Vec::new();
        for handle in ["with-users-1", "with-users-2"] {
            let mut new = new_client(handle, Method::SecretBasic, &["api.read"]);
            new.metadata.grant_types.push("password".to_owned());
            let made = server.register(&new).await.unwrap();
            requests.push(with_secret(&made, Method::SecretBasic, &["api.read"]));
        }
        let users = [user("with-users", 1), user("with-users", 2)];
        for one in &users {
            // And once more, after a lost answer.
            for _ in 0..2 {
                server.make_user(one).await.unwrap();
            }
        }
        for request in &requests {
            accepts(&*server, request).await;
            for one in &users {
                let given = answer(&*server, request, one).await;
                assert_eq!(given, TokenAnswer::Accepted, "{name}: {}", one.username);
            }
        }
        let request = &requests[0];
        let mut wrong = users[0].clone();
        wrong.password = Secret::new("wrong");
        assert!(is_unknown(&answer(&*server, request, &wrong).await));
        let credential = Credential::Secret(Method::SecretBasic, Secret::new("wrong"));
        let stranger = own(&request.client_id, credential, &["api.read"]);
        assert!(is_unknown(&answer(&*server, &stranger, &users[0]).await));

        for _ in 0..2 {
            server
                .remove_user(&users[0].username, &users[0].uid)
                .await
                .unwrap();
        }
        assert!(is_unknown(&answer(&*server, request, &users[0]).await));
        let given = answer(&*server, request, &users[1]).await;
        assert_eq!(given, TokenAnswer::Accepted, "{name}: the other stays");
    }
}

/// A client that was not given the grant type is refused it, whatever the user.
#[tokio::test]
async fn only_clients_that_were_given_it_may_ask_for_users() {
    let server = realm(PLAIN).await;
    let new = new_client("without-users", Method::SecretBasic, &["api.read"]);
    let made = server.register(&new).await.unwrap();
    let one = user("without-users", 1);
    server.make_user(&one).await.unwrap();
    let request = with_secret(&made, Method::SecretBasic, &["api.read"]);
    let given = answer(&*server, &request, &one).await;
    assert!(matches!(given, TokenAnswer::Refused(_)), "{given:?}");
}

#[tokio::test]
async fn users_of_others_are_not_touched() {
    let server = realm(PLAIN).await;
    let theirs = user("theirs", 1);
    let representation =
        json!({"username": theirs.username, "enabled": true, "lastName": "Doe", "firstName": "Jo"});
    let path = format!("/admin/realms/{PLAIN}/users");
    administer(endpoint().await, "POST", &path, Some(&representation)).await;
    for error in [
        server.make_user(&theirs).await.unwrap_err(),
        server
            .remove_user(&theirs.username, &theirs.uid)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::AlreadyExists, "{error}");
        assert!(!format!("{error:?}").contains("chosen"), "{error}");
    }
    let found = format!("{path}?username={}&exact=true", theirs.username);
    let found: Value = administer(endpoint().await, "GET", &found, None).await;
    assert_eq!(found[0]["firstName"], "Jo", "{found}");
}

/// A realm that says what a password is made of takes ours, or says that it does not; nobody repeats it.
#[tokio::test]
async fn a_policy_of_passwords_is_heard() {
    let new = json!({"realm": "strict", "enabled": true, "passwordPolicy":
        "length(40) and digits(1) and upperCase(1) and lowerCase(1) and specialChars(1) and passwordHistory(3)"});
    administer(endpoint().await, "POST", "/admin/realms", Some(&new)).await;
    let server = realm("strict").await;
    let mut one = user("strict", 1);
    let error = server.make_user(&one).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(!format!("{error:?}").contains("chosen"), "{error}");
    // As they are made: 43 characters of chance, and one of each class.
    one.password = Secret::new(format!("{}.aA1", "x".repeat(43)));
    for _ in 0..2 {
        server.make_user(&one).await.unwrap();
    }
}

/// RFC 7591 knows no users.
#[tokio::test]
async fn other_kinds_of_servers_have_none() {
    let server = open(dynamic_options("https://as.example.com/", None));
    let one = user("api", 1);
    for error in [
        server.make_user(&one).await.unwrap_err(),
        server
            .remove_user(&one.username, &one.uid)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    }
}
