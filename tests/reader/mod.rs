//! A reader of credentials, as an application is one: it reads what is in its Secret, and asks for a token with that.

use bailiwick::identity::{
    Credential, OAuthServer, ServiceUser, TokenAnswer, TokenRequest, client_json,
};
use bailiwick::model;
use k8s_openapi::api::core::v1::Secret;

/// What was read: the client's id, how it shows who it is, and name and password where there is a `user.json`.
pub type Read = (String, Credential, Option<(String, String)>);

/// Reads the Secret, and must get a token with what is in it, for this scope; with its user, too, where it has one.
pub async fn asked_once(
    secrets: &kube::Api<Secret>,
    name: &str,
    server: &dyn OAuthServer,
    scope: &str,
) -> Read {
    let secret = secrets.get(name).await.unwrap();
    let data = secret.data.unwrap();
    let file = |name: &str| Some(std::str::from_utf8(&data.get(name)?.0).unwrap());
    let request = asked_with(file("client.json").unwrap(), server, scope).await;
    let user = file("user.json").map(|content| {
        let content: serde_json::Value = serde_json::from_str(content).unwrap();
        let text = |field: &str| content[field].as_str().unwrap().to_owned();
        (text("application_username"), text("application_password"))
    });
    if let Some((username, password)) = &user {
        let user = ServiceUser {
            username: username.clone(),
            uid: String::new(),
            password: model::Secret::new(password.as_str()),
        };
        let answer = server.request_token_as(&request, &user).await.unwrap();
        assert_eq!(answer, TokenAnswer::Accepted, "of user {username}");
    }
    (request.client_id, request.credential, user)
}

/// Must get a token with what is in this `client.json`.
pub async fn asked_with(content: &str, server: &dyn OAuthServer, scope: &str) -> TokenRequest {
    let found = client_json::credential(content);
    let (client_id, credential) = found.expect("a client.json");
    let request = TokenRequest {
        client_id,
        credential,
        scopes: Some(vec![scope.to_owned()]),
    };
    let answer = server.request_token(&request).await.unwrap();
    assert_eq!(answer, TokenAnswer::Accepted, "of {}", request.client_id);
    request
}
