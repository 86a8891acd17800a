//! Against Keycloak and a cluster, both real: an application gets tokens with what the cluster signs for its pods, and has no
//! credentials.

use std::sync::Arc;

use bailiwick::identity::{
    Credential, Inquiry, Method, NewClient, OAuthServer, RegistrationOptions, TokenAnswer,
};
use bailiwick::model::Secret;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::contract::{accepts, knows_not, own};
use super::keycloak::{administer, login, started};
use super::{new_client, open, options};

const SHOP: &str = "team-shop";
const OTHERS: &str = "team-others";

/// A realm of its own, whose administrator has done nothing yet.
async fn realm(name: &str) -> String {
    let endpoint = started().await.1.endpoint();
    let new = json!({"realm": name, "enabled": true});
    administer(endpoint, "POST", "/admin/realms", Some(&new)).await;
    format!("{endpoint}/realms/{name}")
}

fn at(issuer: &str, identity_provider: Option<&str>) -> Arc<dyn OAuthServer> {
    let registration = RegistrationOptions::Keycloak {
        admin_url: None,
        login: login(),
        identity_provider: identity_provider.map(str::to_owned),
    };
    open(options(issuer, registration))
}

/// What the realm's administrator writes: this provider vouches for clients, or not.
async fn identity_provider(method: &str, issuer: &str, alias: &str, document: Value) {
    let (cluster, server) = started().await;
    let realm = issuer.rsplit('/').next().unwrap();
    let own = match method {
        "PUT" => format!("/{alias}"),
        _ => String::new(),
    };
    let path = format!("/admin/realms/{realm}/identity-provider/instances{own}");
    let mut whole = json!({"alias": alias, "providerId": "kubernetes", "enabled": true,
        "config": {"issuer": cluster.address()}});
    for (member, value) in document.as_object().unwrap() {
        whole[member] = value.clone();
    }
    administer(server.endpoint(), method, &path, Some(&whole)).await;
}

async fn methods(server: &Arc<dyn OAuthServer>) -> Vec<Method> {
    server.describe(Inquiry::Trying).await.unwrap().methods
}

#[tokio::test]
async fn what_the_platform_team_names_must_be_there_and_vouch_for_clients() {
    let issuer = realm("vouching").await;
    assert_eq!(methods(&at(&issuer, None)).await, Method::ALL);
    let server = at(&issuer, Some("cluster"));
    assert_eq!(methods(&server).await, Method::ALL, "nothing of that name");
    identity_provider("POST", &issuer, "cluster", json!({"enabled": false})).await;
    assert_eq!(methods(&server).await, Method::ALL, "disabled");
    identity_provider("PUT", &issuer, "cluster", json!({})).await;
    assert_eq!(methods(&server).await[0], Method::WorkloadIdentity);
    assert_eq!(methods(&at(&issuer, None)).await, Method::ALL, "not opened");
    let people = json!({"providerId": "oidc", "config": {"issuer": "https://people.example.com",
        "authorizationUrl": "https://people.example.com/a", "tokenUrl": "https://people.example.com/t",
        "clientId": "c", "clientSecret": "s"}});
    identity_provider("POST", &issuer, "people", people).await;
    assert_eq!(
        methods(&at(&issuer, Some("people"))).await,
        Method::ALL,
        "one that people come from vouches for no client"
    );
    // As in a realm that is older than this way to authenticate.
    let (_, keycloak) = started().await;
    let endpoint = keycloak.endpoint();
    let flow = "/admin/realms/vouching/authentication/flows/clients/executions";
    let steps = administer(endpoint, "GET", flow, None).await;
    let steps = steps.as_array().unwrap();
    let own = steps.iter().find(|it| it["providerId"] == "federated-jwt");
    let mut own = own.expect("a realm that is made today has it").clone();
    own["requirement"] = json!("DISABLED");
    administer(endpoint, "PUT", flow, Some(&own)).await;
    assert_eq!(methods(&server).await, Method::ALL, "no client is let in");
}

/// The cluster, with whom the tests are about, and its keys open to whoever asks.
async fn cluster() -> Client {
    let client = started().await.0.admin().await.unwrap();
    let parameters = PostParams::default();
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "keys-for-everybody"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
            "name": "system:service-account-issuer-discovery"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated"}],
    }))
    .unwrap();
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    bindings.create(&parameters, &binding).await.unwrap();
    let named = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for (namespace, accounts) in [(SHOP, &["api", "worker"][..]), (OTHERS, &["api"])] {
        let new = Namespace {
            metadata: named(namespace),
            ..Namespace::default()
        };
        namespaces.create(&parameters, &new).await.unwrap();
        let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
        for account in accounts {
            let new = ServiceAccount {
                metadata: named(account),
                ..ServiceAccount::default()
            };
            api.create(&parameters, &new).await.unwrap();
        }
    }
    client
}

/// What a pod of that ServiceAccount finds in its projected volume.
async fn token(cluster: &Client, (namespace, account): (&str, &str), audience: &str) -> Credential {
    let api: Api<ServiceAccount> = Api::namespaced(cluster.clone(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: vec![audience.to_owned()],
            expiration_seconds: Some(3600),
            bound_object_ref: None,
        },
        ..TokenRequest::default()
    };
    let parameters = PostParams::default();
    let answer = api
        .create_token_request(account, &parameters, &request)
        .await
        .unwrap();
    Credential::Assertion(Secret::new(answer.status.unwrap().token))
}

fn subject(namespace: &str, account: &str) -> String {
    format!("system:serviceaccount:{namespace}:{account}")
}

fn workload(handle: &str, account: &str) -> NewClient {
    let mut new = new_client(handle, Method::WorkloadIdentity, &["api.read"]);
    new.metadata.subject = Some(subject(SHOP, account));
    new
}

#[tokio::test]
async fn a_pod_gets_tokens_with_the_identity_that_the_cluster_gives_it() {
    let issuer = realm("workloads").await;
    identity_provider("POST", &issuer, "cluster", json!({})).await;
    let cluster = cluster().await;
    let server = at(&issuer, Some("cluster"));
    let server = server.as_ref();
    assert!(
        at(&issuer, None)
            .register(&workload("closed", "api"))
            .await
            .is_err()
    );
    let new = workload("workload", "api");
    let made = server.register(&new).await.unwrap();
    assert_eq!(made.secret, None);
    assert_eq!(
        server.register(&new).await.unwrap(),
        made,
        "made again after a lost answer"
    );
    assert_eq!(
        server.find("workload", &new.uid).await.unwrap(),
        std::slice::from_ref(&made)
    );
    let confirmed = async |account: &str| {
        server
            .confirm(&made, &subject(SHOP, account))
            .await
            .unwrap()
    };
    assert_eq!(confirmed("api").await, TokenAnswer::Accepted);

    let of = async |whose, audience: &str| {
        let credential = token(&cluster, whose, audience).await;
        own(&made.client_id, credential, &["api.read"])
    };
    let pod = of((SHOP, "api"), &issuer).await;
    // The same one for an hour: the kubelet writes a new one when it is nearly over.
    for _ in 0..3 {
        accepts(server, &pod).await;
    }
    for (whose, audience, why) in [
        (
            (SHOP, "worker"),
            issuer.as_str(),
            "another application of the team",
        ),
        (
            (OTHERS, "api"),
            &issuer,
            "the same name in another team's namespace",
        ),
        (
            (SHOP, "api"),
            "https://elsewhere.example.com",
            "for somebody else",
        ),
        (
            (SHOP, "api"),
            started().await.0.address(),
            "for the cluster itself",
        ),
    ] {
        println!("refused: {why}");
        knows_not(server, &of(whose, audience).await).await;
    }
    let forged = own(&made.client_id, forged(&pod.credential), &["api.read"]);
    knows_not(server, &forged).await;
    let secret = Credential::Secret(Method::SecretPost, new.secret.clone());
    knows_not(server, &own(&made.client_id, secret, &["api.read"])).await;

    // Given to another one: at once, and to nobody else.
    server
        .update(&made, &workload("workload", "worker").metadata)
        .await
        .unwrap();
    assert!(matches!(confirmed("api").await, TokenAnswer::Refused(_)));
    assert_eq!(confirmed("worker").await, TokenAnswer::Accepted);
    knows_not(server, &pod).await;
    accepts(server, &of((SHOP, "worker"), &issuer).await).await;
    // Another client beside it for the one before, as when the declaration changes.
    let beside = server.register(&workload("beside", "api")).await.unwrap();
    accepts(
        server,
        &own(&beside.client_id, pod.credential.clone(), &["api.read"]),
    )
    .await;
    accepts(server, &of((SHOP, "worker"), &issuer).await).await;

    for registration in [&made, &beside] {
        server.delete(registration).await.unwrap();
        let subject = subject(SHOP, "api");
        let gone = server.confirm(registration, &subject).await.unwrap();
        assert!(matches!(gone, TokenAnswer::UnknownClient(_)), "{gone:?}");
    }
    knows_not(server, &pod).await;
}

/// The same claims under another signature.
fn forged(credential: &Credential) -> Credential {
    let Credential::Assertion(token) = credential else {
        panic!("no token of the cluster")
    };
    let (signed, signature) = token.reveal().rsplit_once('.').unwrap();
    let signature: String = signature.chars().rev().collect();
    Credential::Assertion(Secret::new(format!("{signed}.{signature}")))
}
