//! A realm of Keycloak that is played, as far as registering goes: what was asked of it is known to the last request, and it
//! fails when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bailiwick::identity::{ErrorKind, Inquiry, Method, OAuthServer, RegistrationOptions, Servers};
use serde_json::{Value, json};

use super::keycloak::login;
use super::server::{Reply, Request, Server};
use super::{impatient, new_client, options};

const TOKENS: &str = "/realms/r/protocol/openid-connect/token";
const ADMIN: &str = "/admin/realms/r/";

#[derive(Default)]
struct State {
    clients: Vec<Value>,
    /// The scopes of the realm, and what the clients may ask for of them.
    scopes: BTreeMap<String, Value>,
    optional: BTreeSet<String>,
    /// How a request begins that is answered with 503, once.
    fails: Option<&'static str>,
    /// The steps of the client authentication flow; `None`: it is not shown.
    flow: Option<Value>,
}

struct Realm {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Realm {
    async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let world = Arc::clone(&state);
        let answer = move |request: &Request, own: &str| world.lock().unwrap().answer(request, own);
        let server = Server::start(answer).await;
        Self { server, state }
    }

    fn open(&self) -> Arc<dyn OAuthServer> {
        let registration = RegistrationOptions::Keycloak {
            admin_url: None,
            login: login(),
            identity_provider: Some("cluster".to_owned()),
        };
        let issuer = format!("{}/realms/r", self.server.endpoint);
        impatient().open(options(&issuer, registration)).unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// What was asked of the admin API but to be shown something.
    fn writes(&self) -> Vec<String> {
        let lines = self.server.lines().into_iter();
        lines
            .filter(|line| !line.starts_with("GET ") && !line.ends_with("/token"))
            .collect()
    }
}

impl State {
    fn answer(&mut self, request: &Request, own: &str) -> Reply {
        let line = request.line();
        if self.fails.is_some_and(|fails| line.starts_with(fails)) {
            self.fails = None;
            return Reply::json(503, json!({"error": "unknown_error"}));
        }
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path.ends_with("/token") {
            return Reply::json(200, json!({"access_token": "t", "expires_in": 300}));
        }
        if path.ends_with("/.well-known/openid-configuration") {
            return Reply::json(
                200,
                json!({"issuer": format!("{own}/realms/r"), "token_endpoint": format!("{own}{TOKENS}")}),
            );
        }
        if format!("{path}/") == ADMIN {
            // Who may not see the realm is told its name alone.
            let mut realm = json!({"realm": "r"});
            if self.flow.is_some() {
                realm["clientAuthenticationFlow"] = json!("clients");
            }
            return Reply::json(200, realm);
        }
        let Some(below) = path.strip_prefix(ADMIN) else {
            return Reply::json(404, json!({}));
        };
        let parts: Vec<&str> = below.split('/').collect();
        self.admin(method, &parts, query, &request.body, own)
    }

    fn admin(&mut self, method: &str, path: &[&str], query: &str, body: &str, own: &str) -> Reply {
        match (method, path) {
            ("GET", ["client-policies", "profiles"]) => Reply::json(
                200,
                json!({"profiles": [{"executors": [{"executor": "secret-rotation"}]}]}),
            ),
            ("GET", ["client-policies", "policies"]) => Reply::json(200, json!({"policies": []})),
            ("GET", ["identity-provider", "instances", "cluster"]) => Reply::json(
                200,
                json!({"enabled": true, "providerId": "kubernetes", "config": {}}),
            ),
            ("GET", ["authentication", "client-authenticator-providers"]) => {
                Reply::json(200, json!([{"id": "federated-jwt"}]))
            }
            ("GET", ["authentication", "flows", "clients", "executions"]) => match &self.flow {
                Some(flow) => Reply::json(200, flow),
                None => Reply::json(403, json!({})),
            },
            ("GET", ["client-scopes"]) => {
                Reply::json(200, Value::from_iter(self.scopes.values().cloned()))
            }
            ("POST", ["client-scopes"]) => {
                let mut scope: Value = serde_json::from_str(body).unwrap();
                let name = scope["name"].as_str().unwrap().to_owned();
                scope["id"] = json!(name);
                let reply = made(own, "client-scopes", &name);
                self.scopes.insert(name, scope);
                reply
            }
            ("PUT", ["client-scopes", name]) => {
                let scope = serde_json::from_str(body).unwrap();
                self.scopes.insert((*name).to_owned(), scope);
                Reply::json(204, "")
            }
            ("GET", ["clients"]) => {
                let wanted = query.split('&').find_map(|it| it.strip_prefix("clientId="));
                let searched = query.contains("search=true");
                let found = self.clients.iter().filter(|client| {
                    let id = client["clientId"].as_str().unwrap();
                    wanted.is_some_and(|wanted| match searched {
                        true => id.starts_with(wanted),
                        false => id == wanted,
                    })
                });
                Reply::json(200, Value::from_iter(found.cloned()))
            }
            ("POST", ["clients"]) => {
                let mut client: Value = serde_json::from_str(body).unwrap();
                let id = client["clientId"].as_str().unwrap().to_owned();
                client["id"] = json!(id);
                if client["secret"].is_null() {
                    client["secret"] = json!("made");
                }
                self.clients.push(client);
                made(own, "clients", &id)
            }
            (_, ["clients", id, rest @ ..]) => self.client(method, id, rest, body),
            _ => Reply::json(404, json!({})),
        }
    }

    fn client(&mut self, method: &str, id: &str, rest: &[&str], body: &str) -> Reply {
        let Some(at) = self.clients.iter().position(|client| client["id"] == id) else {
            return Reply::json(404, json!({}));
        };
        match (method, rest) {
            ("PUT", []) => self.clients[at] = serde_json::from_str(body).unwrap(),
            ("DELETE", []) => drop(self.clients.remove(at)),
            ("GET", []) => return Reply::json(200, self.clients[at].clone()),
            ("GET", ["client-secret"]) => {
                return Reply::json(200, json!({"value": self.clients[at]["secret"]}));
            }
            ("POST", ["client-secret"]) => {
                self.clients[at]["rotated"] = self.clients[at]["secret"].take();
                self.clients[at]["secret"] = json!("made anew");
                return Reply::json(200, json!({"value": "made anew"}));
            }
            ("GET", ["client-secret", "rotated"]) => {
                return Reply::json(200, json!({"value": self.clients[at]["rotated"]}));
            }
            ("GET", ["optional-client-scopes"]) => {
                let list = self.optional.iter();
                let list = list.map(|name| json!({"name": name, "id": name}));
                return Reply::json(200, Value::from_iter(list));
            }
            ("GET", ["default-client-scopes"]) => return Reply::json(200, json!([])),
            ("PUT", ["optional-client-scopes", scope]) => {
                self.optional.insert((*scope).to_owned());
            }
            _ => return Reply::json(405, json!({})),
        }
        Reply::json(204, "")
    }
}

fn made(own: &str, what: &str, id: &str) -> Reply {
    let headers = format!("Location: {own}{ADMIN}{what}/{id}\r\n");
    Reply::Says(201, headers, String::new())
}

/// Whoever is suspended writes nothing, and believes what was found out before.
#[tokio::test]
async fn a_server_that_is_only_read_is_not_written_to() {
    let realm = Realm::start().await;
    let server = realm.open();
    for secrets_in_place in [true, false] {
        let how = Inquiry::Reading { secrets_in_place };
        let found = server.describe(how).await.unwrap();
        assert_eq!(found.capabilities.secrets_in_place, secrets_in_place);
    }
    assert_eq!(realm.writes(), Vec::<String>::new());
    let found = server.describe(Inquiry::Trying).await.unwrap();
    assert!(found.capabilities.secrets_in_place);
    let verbs: Vec<_> = realm
        .writes()
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(verbs, ["POST", "POST", "DELETE"], "{:?}", realm.writes());
    // What was found out is known from then on.
    let how = Inquiry::Reading {
        secrets_in_place: false,
    };
    let found = server.describe(how).await.unwrap();
    assert!(found.capabilities.secrets_in_place);
    assert_eq!(realm.writes().len(), 3);
}

/// Two providers may lead to one realm, and two clusters' operators.
#[tokio::test]
async fn a_trial_of_another_is_not_broken_off_and_one_that_was_left_is_cleared() {
    let realm = Realm::start().await;
    let now = k8s_openapi::jiff::Timestamp::now().as_second();
    let probe = |id: &str, mark: &str| json!({"id": id, "clientId": format!("bailiwick-probe-{id}"), "attributes": {"bailiwick.dev/probe": mark}});
    let left = (now - 3600).to_string();
    realm.change(|state| {
        state.clients = vec![
            probe("theirs", &now.to_string()),
            probe("left", &left),
            probe("older", "true"),
            json!({"id": "no", "clientId": "bailiwick-probe-no", "attributes": {}}),
        ];
    });
    realm.open().describe(Inquiry::Trying).await.unwrap();
    let left: Vec<_> = realm.state.lock().unwrap().clients.clone();
    let left: Vec<_> = left.iter().map(|client| client["id"].clone()).collect();
    assert_eq!(left, ["theirs", "no"]);
}

#[tokio::test]
async fn workloads_are_offered_nothing_that_the_realm_does_not_try() {
    let realm = Realm::start().await;
    let server = realm.open();
    let step = |id: &str, requirement: &str| json!({"providerId": id, "requirement": requirement});
    let other = step("client-secret", "ALTERNATIVE");
    for (flow, offered) in [
        (None, true),
        (Some(json!([other])), false),
        (
            Some(json!([other, step("federated-jwt", "DISABLED")])),
            false,
        ),
        (
            Some(json!([step("federated-jwt", "ALTERNATIVE"), other])),
            true,
        ),
    ] {
        realm.change(|state| state.flow.clone_from(&flow));
        let how = Inquiry::Reading {
            secrets_in_place: false,
        };
        let found = server.describe(how).await.unwrap().methods;
        let has = found.contains(&Method::WorkloadIdentity);
        assert_eq!(has, offered, "{flow:?}");
    }
}

/// A client is given its scopes by calls of their own, any of which may fail: the next pass has it whole.
#[tokio::test]
async fn a_registration_that_was_broken_off_is_completed() {
    for fails in [
        "GET /admin/realms/r/clients/h/optional-client-scopes",
        "GET /admin/realms/r/clients/h/default-client-scopes",
        "GET /admin/realms/r/client-scopes",
        "POST /admin/realms/r/client-scopes",
        "PUT /admin/realms/r/clients/h/optional-client-scopes/",
        "GET /admin/realms/r/clients/h/client-secret",
    ] {
        let realm = Realm::start().await;
        let server = realm.open();
        let mut new = new_client("h", Method::SecretBasic, &["api.read", "api.write"]);
        "h".clone_into(&mut new.handle);
        realm.change(|state| state.fails = Some(fails));
        let error = server.register(&new).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{fails}: {error}");
        // As the operator does it: what is found is brought to what it should be.
        let found = server.find(&new.handle, &new.uid).await.unwrap();
        assert_eq!(found.len(), 1, "{fails}");
        server.update(&found[0], &new.metadata).await.unwrap();
        let has = |realm: &Realm| realm.state.lock().unwrap().optional.clone();
        let wanted = BTreeSet::from(["api.read".to_owned(), "api.write".to_owned()]);
        assert_eq!(has(&realm), wanted, "{fails}");
        assert_eq!(found[0].secret.as_ref(), Some(&new.secret), "{fails}");
        let clients = realm.state.lock().unwrap().clients.len();
        assert_eq!(clients, 1, "{fails}");
    }
}
