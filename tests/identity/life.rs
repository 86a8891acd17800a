//! The whole life of credentials: the real binary registers, delivers, rotates, retires, revokes and removes them on a real
//! control plane, at Keycloak, in a realm where a client has one secret and in one where it has two for a while, and by RFC
//! 7591 and 7592. What is there is what the servers themselves and kubectl say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bailiwick::dev::oauth::{ADMINISTRATOR, INITIAL_ACCESS_TOKEN};
use bailiwick::identity::{Credential, OAuthServer, TokenRequest};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::administrator::start_operator;
use super::contract::knows_not;
use super::dynamic::{self, Managed};
use super::keycloak::{PLAIN, ROTATING, administer, attempt, endpoint, realm};
use super::reader::asked_once;
use super::scan::clean;
use super::world::World;
use super::{dynamic_options, open};

const NAMESPACE: &str = "team-payments";
const READY: &str = ".status.conditions[?(@.type==\"Ready\")].status";
const SCOPE: &str = "ledger.read";

/// A realm, or none for dynamic registration; what our objects of it are called, and how secrets are replaced there.
#[derive(Clone, Copy)]
struct Case {
    realm: Option<&'static str>,
    name: &'static str,
    rotation: &'static str,
    /// With a user for each version, for the grant type `password`.
    user: bool,
}

const CASES: [Case; 3] = [
    Case {
        realm: Some(PLAIN),
        name: "plain",
        rotation: "Beside",
        user: false,
    },
    Case {
        realm: Some(ROTATING),
        name: "rotating",
        rotation: "InPlace",
        user: true,
    },
    Case {
        realm: None,
        name: "dynamic",
        rotation: "Beside",
        user: false,
    },
];

/// What the platform team declares, and the team's namespace comes of it.
fn platform() -> String {
    let (user, password) = ADMINISTRATOR;
    format!(
        r#"
{{apiVersion: v1, kind: Secret, metadata: {{name: keycloak, namespace: default}}, stringData: {{
  username: {user}, password: {password}}}}}
---
{{apiVersion: v1, kind: Secret, metadata: {{name: login, namespace: default}}, stringData: {{
  token: {INITIAL_ACCESS_TOKEN}}}}}
---
{{apiVersion: bailiwick.dev/v1alpha1, kind: Team, metadata: {{name: payments}}, spec: {{members: [{{user: dev}}]}}}}
"#
    )
}

/// What the team declares.
const TEAM: &str = r#"
{apiVersion: bailiwick.dev/v1alpha1, kind: Application, metadata: {name: ledger, namespace: team-payments}, spec: {}}
---
{apiVersion: bailiwick.dev/v1alpha1, kind: ResourceType, metadata: {name: ledger}, spec: {
  application: ledger, namespace: team-payments, scopes: [
  {name: read, summary: Read the ledger., class: Application, grantedTo: [ledger]}]}}
"#;

impl Case {
    /// Its issuer, and how it is reached.
    async fn provider(self) -> (String, String) {
        let Some(realm) = self.realm else {
            let how = "dynamicRegistration: {initialAccessToken: {name: login, key: token}}";
            return (dynamic::issuer().await.to_owned(), how.to_owned());
        };
        let open = if self.user {
            ", passwordGrant: Allowed"
        } else {
            ""
        };
        let realm = realm.replace(' ', "%20");
        let issuer = format!("{}/realms/{realm}", endpoint().await);
        let how = format!("keycloak: {{credentialsSecret: keycloak{open}}}");
        (issuer, how)
    }

    async fn declared(self) -> String {
        let (name, (issuer, how)) = (self.name, self.provider().await);
        let grant = if self.user { ", password" } else { "" };
        format!(
            r#"
{{apiVersion: bailiwick.dev/v1alpha1, kind: OAuthProvider, metadata: {{name: {name}}}, spec: {{
  issuer: "{issuer}", {how}}}}}
---
{{apiVersion: bailiwick.dev/v1alpha1, kind: OAuthClient, metadata: {{name: {name}, namespace: team-payments}}, spec: {{
  application: ledger, provider: {name}, grantTypes: [client_credentials{grant}], scopes: [{SCOPE}], authMethod: client_secret_basic,
  rotation: {{period: 30d, overlap: 1m}}, deletionPolicy: Delete,
  delivery: [{{name: cluster, secret: {{name: {name}}}}}]}}}}
"#
        )
    }

    /// As the applications reach it.
    async fn server(self) -> Arc<dyn OAuthServer> {
        match self.realm {
            Some(name) => realm(name).await,
            None => open(dynamic_options(dynamic::issuer().await, None)),
        }
    }

    /// All secrets that are valid at the server for this object, by its clients there, as the server says.
    async fn live(self, life: &Life<'_>) -> BTreeSet<(String, String)> {
        let (endpoint, uid) = (endpoint().await, life.uid.as_str());
        let Some(realm) = self.realm else {
            return life.managed.live(life.world, uid).await;
        };
        let realm = realm.replace(' ', "%20");
        let path = format!("/admin/realms/{realm}/clients?clientId=ledger-{uid}&search=true");
        let clients = administer(endpoint, "GET", &path, None).await;
        let mut live = BTreeSet::new();
        for client in clients.as_array().unwrap() {
            assert_eq!(client["attributes"]["bailiwick.dev/uid"], uid, "{client}");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let of = format!(
                "/admin/realms/{realm}/clients/{}/client-secret",
                text(&client["id"])
            );
            let secret = administer(endpoint, "GET", &of, None).await;
            live.insert((text(&client["clientId"]), text(&secret["value"])));
            let (status, rotated) = attempt(endpoint, "GET", &format!("{of}/rotated"), None).await;
            if status == 200 {
                let rotated: Value = serde_json::from_str(&rotated).unwrap();
                live.insert((text(&client["clientId"]), text(&rotated["value"])));
            }
        }
        live
    }
}

impl Case {
    /// The users of this object, as Keycloak says, must be of these versions, if it has any.
    async fn users_are_of(self, uid: &str, versions: &[i64]) {
        let Some(realm) = self.realm else {
            return;
        };
        let realm = realm.replace(' ', "%20");
        let path = format!("/admin/realms/{realm}/users?lastName={uid}&exact=true");
        let found = administer(endpoint().await, "GET", &path, None).await;
        let names = found.as_array().unwrap().iter();
        let names: BTreeSet<&str> = names
            .map(|user| user["username"].as_str().unwrap())
            .collect();
        let versions = versions.iter().filter(|_| self.user);
        let wanted: Vec<String> = versions.map(|one| format!("ledger-{uid}-{one}")).collect();
        let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
        assert_eq!(names, wanted, "{}", self.name);
    }
}

/// An object, and where its clients are managed.
struct Life<'w> {
    world: &'w World,
    uid: String,
    managed: Managed,
}

/// What asked for a token, in the order in which it was found in the Secret: the client's id and its secret.
#[derive(Default)]
struct Found {
    clients: Mutex<Vec<(String, String)>>,
    /// The users' names and passwords.
    users: Mutex<BTreeSet<(String, String)>>,
}

impl Found {
    fn count(&self) -> usize {
        self.clients.lock().unwrap().len()
    }

    /// What was found last.
    fn last(&self) -> (String, String) {
        self.clients.lock().unwrap().last().unwrap().clone()
    }
}

/// Asks for tokens with what is in the Secret, without end; each must be given.
async fn reading(world: &World, case: Case, server: &dyn OAuthServer, found: &Found) {
    let client = bailiwick::dev::plane::client(&world.plane.admin_kubeconfig())
        .await
        .unwrap();
    let secrets = kube::Api::namespaced(client, NAMESPACE);
    loop {
        let (id, credential, user) = asked_once(&secrets, case.name, server, SCOPE).await;
        assert_eq!(user.is_some(), case.user, "{}", case.name);
        found.users.lock().unwrap().extend(user);
        let client = (id, revealed(&credential));
        found.clients.lock().unwrap().push(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

fn revealed(credential: &Credential) -> String {
    match credential {
        Credential::Secret(_, secret) => secret.reveal().to_owned(),
        other => panic!("no secret: {other:?}"),
    }
}

async fn annotate(world: &World, case: Case, what: &str) {
    let annotation = format!("bailiwick.dev/{what}-requested-at={}", Timestamp::now());
    let arguments = ["annotate", "oc", case.name, "-n", NAMESPACE, "--overwrite"];
    let arguments = [&arguments[..], &[&annotation]].concat();
    world.kubectl(&arguments).await.unwrap();
}

/// The numbers of the versions that live.
const VERSIONS: &str = ".status.versions[*].number";

/// Renewed while somebody reads: both versions live, and then, as soon as the overlap is over, the new one alone.
async fn renewed(life: &Life<'_>, case: Case, server: &dyn OAuthServer, found: &Found) {
    let (world, uid) = (life.world, life.uid.as_str());
    let old = found.last();
    annotate(world, case, "renew").await;
    world.until("oc", case.name, ".status.version", "2").await;
    while found.last() == old {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let new = found.last();
    assert_eq!(
        new.0 == old.0,
        case.rotation == "InPlace",
        "{}: {} after {}",
        case.name,
        new.0,
        old.0
    );
    let live = BTreeSet::from([old.clone(), new.clone()]);
    assert_eq!(case.live(life).await, live, "{}: both", case.name);

    case.users_are_of(uid, &[1, 2]).await;

    // An overlap is a minute at least. Its end is what the status says, and nothing else: so it is there that it is moved.
    let of = |state: &str| format!(".status.versions[?(@.state==\"{state}\")].number");
    assert_eq!(world.field("oc", case.name, &of("Current")).await, "2");
    let states = world
        .field("oc", case.name, ".status.versions[*].state")
        .await;
    let place = states
        .split(' ')
        .position(|state| state == "Previous")
        .unwrap();
    let over = json!([{"op": "replace", "path": format!("/status/versions/{place}/retiresAt"), "value": "2026-01-01T00:00:00Z"}]);
    let patch = format!("--patch={over}");
    let arguments = ["patch", "oc", case.name, "-n", NAMESPACE, "--type=json"];
    let arguments = [&arguments[..], &["--subresource=status", &patch]].concat();
    world.kubectl(&arguments).await.unwrap();
    annotate(world, case, "reconcile").await;
    world.until("oc", case.name, VERSIONS, "2").await;
    world.until("oc", case.name, READY, "True").await;
    assert_eq!(
        case.live(life).await,
        BTreeSet::from([new]),
        "{}",
        case.name
    );
    case.users_are_of(uid, &[2]).await;
    knows_not(server, &request(&old)).await;
    // Those who read go on for a while after it.
    let asked = found.count();
    while found.count() < asked + 10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn request((id, secret): &(String, String)) -> TokenRequest {
    use bailiwick::identity::Method;
    use bailiwick::model::Secret;
    TokenRequest {
        client_id: id.clone(),
        credential: Credential::Secret(Method::SecretBasic, Secret::new(secret.as_str())),
        scopes: Some(vec![SCOPE.to_owned()]),
    }
}

/// From the first version to nothing; all secrets that there were.
async fn lived(world: &World, case: Case) -> Vec<(String, String)> {
    let name = case.name;
    world.until("oauthprovider", name, READY, "True").await;
    assert_eq!(
        world
            .field("oauthprovider", name, ".status.secretRotation")
            .await,
        case.rotation
    );
    world.until("oc", name, READY, "True").await;
    assert_eq!(world.field("oc", name, ".status.version").await, "1");
    let uid = world.field("oc", name, ".metadata.uid").await;
    let (server, found) = (case.server().await, Found::default());
    let life = Life {
        world,
        uid: uid.clone(),
        managed: Managed::default(),
    };
    let renewing = async {
        while found.count() == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let first = BTreeSet::from([found.last()]);
        assert_eq!(case.live(&life).await, first, "{name}: one");
        renewed(&life, case, &*server, &found).await;
    };
    tokio::select! {
        () = reading(world, case, &*server, &found) => unreachable!(),
        () = renewing => {}
    }
    let asked = found.count();
    println!("{name}: {asked} tokens asked for meanwhile, none refused");
    assert!(asked > 20, "{name}: {asked}");

    // An incident. Whoever reads has nothing until the next version is there, so nobody does.
    let second = found.last();
    annotate(world, case, "revoke").await;
    world.until("oc", name, VERSIONS, "3").await;
    world.until("oc", name, ".status.version", "3").await;
    world.until("oc", name, READY, "True").await;
    knows_not(&*server, &request(&second)).await;
    tokio::select! {
        () = reading(world, case, &*server, &found) => unreachable!(),
        () = async {
            while found.last() == second {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        } => {}
    }
    let third = found.last();
    assert_eq!(
        case.live(&life).await,
        BTreeSet::from([third.clone()]),
        "{name}"
    );

    case.users_are_of(&uid, &[3]).await;

    let delete = ["delete", "oc", name, "-n", NAMESPACE, "--timeout=30s"];
    world.kubectl(&delete).await.unwrap();
    assert_eq!(
        case.live(&life).await,
        BTreeSet::new(),
        "{name}: nothing stays"
    );
    case.users_are_of(&uid, &[]).await;
    knows_not(&*server, &request(&third)).await;
    for (what, namespace) in [
        (name.to_owned(), NAMESPACE),
        (format!("bailiwick-oauth-{uid}"), "default"),
    ] {
        let said = world
            .kubectl(&["get", "secret", &what, "-n", namespace])
            .await
            .unwrap_err();
        assert!(said.contains("NotFound"), "{what}: {said}");
    }
    let clients = found.clients.into_inner().unwrap();
    let users = found.users.into_inner().unwrap();
    let both = clients.into_iter().chain(users);
    both.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_live_their_whole_life_at_every_kind_of_server() {
    // Keycloak takes longest, and needs nobody meanwhile.
    let (_, mut world) = tokio::join!(endpoint(), World::start());
    let begun = Instant::now();
    world.operator = Some(start_operator(&world, &["--credential-removal-grace=1s"]));
    world.apply(&platform()).await;
    world.until("team", "payments", READY, "True").await;
    world.apply(TEAM).await;
    for case in CASES {
        world.apply(&case.declared().await).await;
    }
    let [plain, rotating, dynamic] = CASES.map(|case| lived(&world, case));
    let (plain, rotating, dynamic) = tokio::join!(plain, rotating, dynamic);
    println!("the lives took {:?}", begun.elapsed());

    let all = plain.into_iter().chain(rotating).chain(dynamic);
    let secrets: BTreeSet<_> = all.map(|(_, secret)| secret).collect();
    assert_eq!(
        secrets.len(),
        12,
        "three versions at each server, one with users"
    );
    let named = |(number, secret)| (format!("secret {number}"), secret);
    let secrets: BTreeMap<_, _> = secrets.into_iter().enumerate().map(named).collect();
    let log = std::fs::read_to_string(world.log()).unwrap();
    clean("the operator's log", &log, &secrets);
    let kinds = "bailiwick,events.events.k8s.io,configmaps";
    let all = ["get", kinds, "-A", "-o", "yaml", "--show-managed-fields"];
    let objects = world.kubectl(&all).await.unwrap();
    for word in ["Rotated", "Revoked", "Retired"] {
        assert!(objects.contains(word), "nothing of {word} was written");
    }
    clean("an object", &objects, &secrets);
}
