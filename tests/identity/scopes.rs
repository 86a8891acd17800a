//! Scopes at Keycloak: whose they are, and what a person is asked.

use std::collections::BTreeMap;

use bailiwick::identity::{ErrorKind, Method, NewClient};
use serde_json::{Value, json};

use super::contract::{accepts, with_secret};
use super::keycloak::{PLAIN, administer, endpoint, realm};
use super::new_client;
use super::server::exchange;

const OF: &str = "bailiwick.dev/resource-type";
const BACK: &str = "https://shop.example.com/back";

async fn scope(name: &str) -> Value {
    let path = format!("/admin/realms/{PLAIN}/client-scopes");
    let all = administer(endpoint().await, "GET", &path, None).await;
    let mut all = all.as_array().unwrap().iter();
    all.find(|scope| scope["name"] == name).unwrap().clone()
}

/// What the realm has from elsewhere is nobody's because they were the first to declare a resource type of its name.
#[tokio::test]
async fn a_scope_that_is_not_ours_is_given_to_nobody() {
    let (server, endpoint) = (realm(PLAIN).await, endpoint().await);
    let path = format!("/admin/realms/{PLAIN}/client-scopes");
    for name in ["billing.admin", "billing.view"] {
        let theirs =
            json!({"name": name, "protocol": "openid-connect", "attributes": {"theirs": "kept"}});
        administer(endpoint, "POST", &path, Some(&theirs)).await;
    }
    // This one a new client could ask for without anybody's doing.
    let view = scope("billing.view").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let offered = format!("/admin/realms/{PLAIN}/default-optional-client-scopes/{view}");
    administer(endpoint, "PUT", &offered, None).await;
    let mine = server
        .register(&new_client("mine", Method::SecretBasic, &["mine.read"]))
        .await;
    let mine = mine.unwrap();
    assert_eq!(scope("mine.read").await["attributes"][OF], "mine");
    for name in ["billing.admin", "billing.view"] {
        let before = scope(name).await;
        let new = new_client(&format!("thief-{name}"), Method::SecretBasic, &[name]);
        let both = new_client("mine", Method::SecretBasic, &["mine.read", name]);
        for error in [
            server.register(&new).await.unwrap_err(),
            server.update(&mine, &both.metadata).await.unwrap_err(),
        ] {
            assert_eq!(error.kind, ErrorKind::Refused, "{error}");
            for word in [name, OF, "administrator"] {
                assert!(error.message.contains(word), "{error}");
            }
        }
        assert_eq!(scope(name).await, before);
        // Nor is anything kept for its sake that is to go.
        let other = new_client("mine", Method::SecretBasic, &[name]);
        server.update(&mine, &other.metadata).await.unwrap_err();
        let has = administer(
            endpoint,
            "GET",
            &format!("/admin/realms/{PLAIN}/clients?clientId=mine"),
            None,
        )
        .await;
        assert_eq!(has[0]["optionalClientScopes"], json!([]), "{name}");

        // An administrator hands it over.
        for (of, is_given) in [("other", false), ("billing", true)] {
            let mut scope = before.clone();
            scope["attributes"][OF] = json!(of);
            let one = format!("{path}/{}", scope["id"].as_str().unwrap());
            administer(endpoint, "PUT", &one, Some(&scope)).await;
            assert_eq!(server.register(&new).await.is_ok(), is_given, "{of}");
        }
        let made = server.register(&new).await.unwrap();
        accepts(&*server, &with_secret(&made, Method::SecretBasic, &[name])).await;
        assert_eq!(scope(name).await["attributes"]["theirs"], "kept");
        server.delete(&made).await.unwrap();
    }
    administer(endpoint, "DELETE", &offered, None).await;
}

/// Somebody's browser.
#[derive(Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Where it ends up, and what is seen there.
    async fn go(&mut self, endpoint: &str, url: &str, form: Option<&str>) -> (String, String) {
        let (mut url, mut form) = (url.to_owned(), form);
        loop {
            let Some(path) = url.strip_prefix(endpoint) else {
                return (url, String::new());
            };
            let cookies: Vec<String> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let headers = format!("Cookie: {}\r\n", cookies.join("; "));
            let method = if form.is_some() { "POST" } else { "GET" };
            let kind = "application/x-www-form-urlencoded";
            let (status, head, body) = exchange(
                endpoint,
                method,
                path,
                kind,
                &headers,
                form.unwrap_or_default(),
            )
            .await;
            let mut next = None;
            for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
                match name.to_ascii_lowercase().as_str() {
                    "location" => next = Some(value.to_owned()),
                    "set-cookie" => {
                        let cookie = value.split(';').next().unwrap();
                        let (name, value) = cookie.split_once('=').unwrap();
                        self.cookies.insert(name.to_owned(), value.to_owned());
                    }
                    _ => {}
                }
            }
            match next {
                Some(next) => (url, form) = (next, None),
                None => {
                    assert_eq!(status, 200, "{url}: {body}");
                    return (url, body);
                }
            }
        }
    }
}

/// Where somebody ends up who signs in for that client, and what they see there.
async fn signed_in(client: &str, scope: &str) -> (String, String) {
    let endpoint = endpoint().await;
    let mut browser = Browser::default();
    let url = format!(
        "{endpoint}/realms/{PLAIN}/protocol/openid-connect/auth?client_id={client}&response_type=code&scope=openid+{scope}\
         &redirect_uri=https%3A%2F%2Fshop.example.com%2Fback"
    );
    let (_, page) = browser.go(endpoint, &url, None).await;
    let (_, form) = page.split_once("action=\"").unwrap();
    let action = form.split('"').next().unwrap().replace("&amp;", "&");
    let person = "username=pat&password=pats-own&credentialId=";
    browser.go(endpoint, &action, Some(person)).await
}

fn for_people(handle: &str, scope: &str, text: Option<&str>) -> NewClient {
    let mut new = new_client(handle, Method::SecretBasic, &[scope]);
    new.metadata
        .grant_types
        .push("authorization_code".to_owned());
    new.metadata.redirect_uris = vec![BACK.to_owned()];
    let text = text.map(|text| (scope.to_owned(), text.to_owned()));
    new.metadata.consent = text.into_iter().collect();
    new
}

/// Nobody's token is got for what is theirs unless they have read what it is and agreed to it.
#[tokio::test]
async fn a_person_is_asked_in_the_words_of_the_owner() {
    let server = realm(PLAIN).await;
    let pat = json!({
        "username": "pat", "enabled": true, "email": "pat@example.com", "emailVerified": true, "firstName": "Pat",
        "lastName": "Doe", "credentials": [{"type": "password", "value": "pats-own", "temporary": false}],
    });
    let users = format!("/admin/realms/{PLAIN}/users");
    administer(endpoint().await, "POST", &users, Some(&pat)).await;

    let unasked = for_people("unasked", "letters.count", None);
    server.register(&unasked).await.unwrap();
    let (back, _) = signed_in("unasked", "letters.count").await;
    assert!(back.starts_with(BACK) && back.contains("code="), "{back}");

    let mut asked = for_people(
        "asked",
        "letters.mine",
        Some("Read the letters that you wrote."),
    );
    let made = server.register(&asked).await.unwrap();
    // It is a scope that others have already, and a client that nobody was asked for until now.
    let also = for_people("unasked", "letters.count", Some("Count your letters."));
    let known = server.find("unasked", &also.uid).await.unwrap().remove(0);
    server.update(&known, &also.metadata).await.unwrap();
    for (client, name, text) in [
        ("asked", "letters.mine", "Read the letters that you wrote."),
        ("unasked", "letters.count", "Count your letters."),
    ] {
        let (at, page) = signed_in(client, name).await;
        assert!(!at.starts_with(BACK), "{at}");
        assert!(page.contains(text), "{page}");
    }
    // Who works on its own behalf, too, is not kept from that.
    accepts(
        &*server,
        &with_secret(&made, Method::SecretBasic, &["letters.mine"]),
    )
    .await;

    asked.metadata.consent.insert(
        "letters.mine".to_owned(),
        "Read all your letters.".to_owned(),
    );
    server.update(&made, &asked.metadata).await.unwrap();
    let (_, page) = signed_in("asked", "letters.mine").await;
    assert!(page.contains("Read all your letters."), "{page}");
}
