//! A reader of credentials, as an application is one: it reads what is in its Secret, and asks for a token with that.

use bailiwick::identity::{Credential, OAuthServer, TokenAnswer, TokenRequest, client_json};
use k8s_openapi::api::core::v1::Secret;

/// Reads the Secret, and must get a token with what is in it, for this scope. The client's id, and how it showed who it is.
pub async fn asked_once(
    secrets: &kube::Api<Secret>,
    name: &str,
    server: &dyn OAuthServer,
    scope: &str,
) -> (String, Credential) {
    let secret = secrets.get(name).await.unwrap();
    let content = secret.data.unwrap().remove("client.json").unwrap();
    let found = client_json::credential(std::str::from_utf8(&content.0).unwrap());
    let (client_id, credential) = found.expect("a client.json");
    let request = TokenRequest {
        client_id: client_id.clone(),
        credential: credential.clone(),
        scopes: Some(vec![scope.to_owned()]),
    };
    let answer = server.request_token(&request).await.unwrap();
    assert_eq!(answer, TokenAnswer::Accepted, "of client {client_id}");
    (client_id, credential)
}
