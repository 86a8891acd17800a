//! What every server must do that the port promises, whichever adapter is behind it.

use bailiwick::identity::{
    Credential, ErrorKind, Method, NewClient, OAuthServer, Registration, SigningKey, TokenAnswer,
    TokenRequest, keys,
};
use bailiwick::model::Secret;

use super::new_client;

/// A request on the client's own behalf.
pub fn own(client: &str, credential: Credential, scopes: &[&str]) -> TokenRequest {
    TokenRequest {
        client_id: client.to_owned(),
        credential,
        scopes: Some(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
    }
}

/// The same with the registration's secret.
pub fn with_secret(registration: &Registration, method: Method, scopes: &[&str]) -> TokenRequest {
    let secret = registration.secret.clone().unwrap();
    own(
        &registration.client_id,
        Credential::Secret(method, secret),
        scopes,
    )
}

pub async fn accepts(server: &dyn OAuthServer, request: &TokenRequest) {
    let answer = server.request_token(request).await.unwrap();
    assert_eq!(answer, TokenAnswer::Accepted, "{}", request.client_id);
}

pub async fn knows_not(server: &dyn OAuthServer, request: &TokenRequest) {
    let answer = server.request_token(request).await.unwrap();
    let unknown = matches!(answer, TokenAnswer::UnknownClient(_));
    assert!(unknown, "{}: {answer:?}", request.client_id);
}

pub async fn refuses(server: &dyn OAuthServer, request: &TokenRequest) {
    let answer = server.request_token(request).await.unwrap();
    let refused = matches!(answer, TokenAnswer::Refused(_));
    assert!(refused, "{}: {answer:?}", request.client_id);
}

/// From registration to removal, by a secret sent in this way.
pub async fn a_life_with_a_secret(server: &dyn OAuthServer, handle: &str, method: Method) {
    let new = new_client(handle, method, &["api.read"]);
    let made = server.register(&new).await.unwrap();
    let request = with_secret(&made, method, &["api.read"]);
    accepts(server, &request).await;
    accepts(server, &with_secret(&made, method, &[])).await;
    refuses(server, &with_secret(&made, method, &["api.write"])).await;
    let wrong = Credential::Secret(method, Secret::new("wrong"));
    knows_not(server, &own(&made.client_id, wrong, &["api.read"])).await;
    let mut nobody = request.clone();
    nobody.client_id = "nobody".to_owned();
    knows_not(server, &nobody).await;

    server.delete(&made).await.unwrap();
    knows_not(server, &request).await;
    // With RFC 7592 the server may say no more than that the token is not taken.
    match server.delete(&made).await {
        Ok(()) => {}
        Err(error) => assert_eq!(
            (error.kind, made.management.is_some()),
            (ErrorKind::Denied, true),
            "{error}"
        ),
    }
}

/// Who may hold nothing gets nothing by asking for it.
pub async fn a_life_without_scopes(server: &dyn OAuthServer, handle: &str) {
    let method = Method::SecretBasic;
    let made = server
        .register(&new_client(handle, method, &[]))
        .await
        .unwrap();
    accepts(server, &with_secret(&made, method, &[])).await;
    refuses(server, &with_secret(&made, method, &["api.read"])).await;
    refuses(
        server,
        &with_secret(&made, method, &["api.read", "api.write"]),
    )
    .await;
    server.delete(&made).await.unwrap();
}

/// A client that signs, with a new key; the key is given, too.
pub fn signing_client(handle: &str) -> (NewClient, SigningKey) {
    let mut new = new_client(handle, Method::PrivateKeyJwt, &["api.read"]);
    let (key, public) = keys::make();
    new.metadata.keys = vec![public];
    (new, key)
}

/// A client that signs gets tokens, and nobody else does in its name.
pub async fn a_life_with_a_key(server: &dyn OAuthServer, handle: &str) {
    let (new, key) = signing_client(handle);
    let made = server.register(&new).await.unwrap();
    let with = |key: &SigningKey| own(&made.client_id, Credential::Key(key.clone()), &["api.read"]);
    accepts(server, &with(&key)).await;
    // Each assertion is another one, so that a server which takes none twice takes this.
    accepts(server, &with(&key)).await;
    let (other, _) = keys::make();
    knows_not(server, &with(&other)).await;
    let stolen = SigningKey {
        id: key.id.clone(),
        pem: other.pem.clone(),
    };
    knows_not(server, &with(&stolen)).await;
    server.delete(&made).await.unwrap();
    knows_not(server, &with(&key)).await;
}

/// A client that acts for people is tried with a code that does not exist.
pub async fn a_life_for_people(server: &dyn OAuthServer, handle: &str, method: Method) {
    let mut new = new_client(handle, method, &[]);
    new.metadata.grant_types = vec!["authorization_code".to_owned(), "refresh_token".to_owned()];
    new.metadata.redirect_uris = vec!["https://shop.example.com/back".to_owned()];
    let made = server.register(&new).await.unwrap();
    assert_eq!(made.secret.is_some(), method.has_secret());
    let try_with = |client: &str, credential: Credential| TokenRequest {
        client_id: client.to_owned(),
        credential,
        scopes: None,
    };
    let right = match &made.secret {
        Some(secret) => Credential::Secret(method, secret.clone()),
        None => Credential::Public,
    };
    accepts(server, &try_with(&made.client_id, right.clone())).await;
    knows_not(server, &try_with("nobody", right.clone())).await;
    if method.has_secret() {
        let wrong = Credential::Secret(method, Secret::new("wrong"));
        knows_not(server, &try_with(&made.client_id, wrong)).await;
        // It has not the grant type.
        let own = with_secret(&made, method, &[]);
        refuses(server, &own).await;
    }
    server.delete(&made).await.unwrap();
    knows_not(server, &try_with(&made.client_id, right)).await;
}
