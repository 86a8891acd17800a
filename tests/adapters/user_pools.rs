//! User pools: against moto, and against answers of our own for what no emulator has or checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::ResourceServerScopeType;
use bailiwick::cloud::user_pools::{
    NewPoolClient, OAuthFlow, PoolClientSettings, PoolState, UserPool,
};
use bailiwick::cloud::{Cloud, CloudError, ErrorKind};
use bailiwick::model::{AccountId, RoleName, UserPoolId};
use serde_json::{Value, json};

use super::canned::{Answer, Canned, Request, json_error, sts};
use super::emulator::{cloud, endpoint, make};
use super::{base, credentials, options};

const MEMBER: &str = "111122223333";

fn role() -> RoleName {
    "Access".parse().unwrap()
}

fn settings(flow: OAuthFlow, scopes: &[&str], callbacks: &[&str]) -> PoolClientSettings {
    let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    PoolClientSettings {
        flows: vec![flow],
        scopes: texts(scopes),
        callbacks: texts(callbacks),
    }
}

fn own(name: &str) -> NewPoolClient {
    NewPoolClient {
        name: name.to_owned(),
        with_secret: true,
        settings: settings(OAuthFlow::ClientCredentials, &["api/read"], &[]),
    }
}

/// Makes a pool as its administrator would, in the account of these credentials.
async fn make_pool(base: &SdkConfig) -> UserPoolId {
    let admin = Client::new(base);
    let made = admin.create_user_pool().pool_name("company").send();
    let id = made.await.unwrap().user_pool.unwrap().id.unwrap();
    let scope = |name: &str| {
        let scope = ResourceServerScopeType::builder().scope_name(name);
        scope.scope_description(name).build().unwrap()
    };
    for (server, scopes) in [
        ("api", &["read", "write"][..]),
        ("https://x.example", &["a"]),
    ] {
        let mut call = admin.create_resource_server().user_pool_id(&id);
        for name in scopes {
            call = call.scopes(scope(name));
        }
        call.identifier(server).name("x").send().await.unwrap();
    }
    id.parse().unwrap()
}

/// What a person has who is in that account.
async fn inside(id: &AccountId) -> SdkConfig {
    let ours = base(endpoint().await, credentials()).await;
    let assumed = aws_sdk_sts::Client::new(&ours)
        .assume_role()
        .role_arn(format!("arn:aws:iam::{id}:role/Access"))
        .role_session_name("person")
        .send()
        .await
        .unwrap();
    let given = assumed.credentials.unwrap();
    let key = Credentials::new(
        given.access_key_id,
        given.secret_access_key,
        Some(given.session_token),
        None,
        "test",
    );
    base(endpoint().await, SharedCredentialsProvider::new(key)).await
}

#[tokio::test]
async fn a_pools_clients_are_made_listed_changed_and_removed() {
    let cloud = cloud().await;
    let id = make(&cloud, "pool-life").await;
    let member = inside(&id).await;
    let pool = make_pool(&member).await;
    let entry = (id, role());
    let port = cloud.sessions.user_pool(Some(&entry), &pool).await.unwrap();
    assert_eq!(port.state().await.unwrap(), PoolState { has_domain: false });
    let domain = Client::new(&member)
        .create_user_pool_domain()
        .user_pool_id(pool.as_str())
        .domain("acme-pool-life");
    domain.send().await.unwrap();
    assert_eq!(port.state().await.unwrap(), PoolState { has_domain: true });
    let scopes: Vec<_> = port.scopes().await.unwrap().into_iter().collect();
    assert_eq!(scopes, ["api/read", "api/write", "https://x.example/a"]);
    // The emulator has not the operations: whoever asks finds that out.
    assert!(!port.has_second_secrets().await.unwrap());

    let made = port
        .create_client(&own("bailiwick.dev api-1"))
        .await
        .unwrap();
    assert_eq!(made.name, "bailiwick.dev api-1");
    assert!(made.secret.is_some());
    assert_eq!(port.client(&made.id).await.unwrap(), made);
    let public = NewPoolClient {
        name: "bailiwick.dev web-1".to_owned(),
        with_secret: false,
        settings: settings(OAuthFlow::Code, &["openid"], &["https://web.example/back"]),
    };
    let public = port.create_client(&public).await.unwrap();
    assert_eq!(public.secret, None);

    let more = settings(
        OAuthFlow::ClientCredentials,
        &["api/read", "api/write"],
        &[],
    );
    port.change_client(&made.id, &more).await.unwrap();
    assert_eq!(port.client(&made.id).await.unwrap(), made);
    let seen = Client::new(&member)
        .describe_user_pool_client()
        .user_pool_id(pool.as_str())
        .client_id(&made.id);
    let seen = seen.send().await.unwrap().user_pool_client.unwrap();
    assert_eq!(seen.allowed_o_auth_scopes(), ["api/read", "api/write"]);

    port.delete_client(&made.id).await.unwrap();
    for error in [
        port.client(&made.id).await.unwrap_err(),
        port.delete_client(&made.id).await.unwrap_err(),
        port.change_client(&made.id, &more).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    }
    // Neither is the pool in our own account.
    let ours = cloud.sessions.user_pool(None, &pool).await.unwrap();
    let error = ours.state().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn all_pages_of_clients_are_listed() {
    let cloud = cloud().await;
    let pool = make_pool(&base(endpoint().await, credentials()).await).await;
    let port = cloud.sessions.user_pool(None, &pool).await.unwrap();
    for n in 0..61 {
        let new = own(&format!("bailiwick.dev api-{n}"));
        port.create_client(&new).await.unwrap();
    }
    let first = port.clients(None).await.unwrap();
    assert_eq!(first.items.len(), 60);
    let second = port.clients(first.next).await.unwrap();
    assert_eq!((second.items.len(), second.next), (1, None));
    let mut names: Vec<_> = first.items.into_iter().chain(second.items).collect();
    names.sort_by(|one, other| one.id.cmp(&other.id));
    names.dedup_by(|one, other| one.id == other.id);
    assert_eq!(names.len(), 61);
    let url = cloud.sessions.user_pool_url(&pool);
    assert_eq!(url, format!("{}/{pool}", endpoint().await));
}

/// A Cognito that says this to each of its operations.
async fn cognito(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Canned, Cloud) {
    let canned =
        Canned::start(move |request, _| sts(request, MEMBER).unwrap_or_else(|| answer(request)))
            .await;
    let cloud = canned.cloud(&options()).await;
    (canned, cloud)
}

fn pool() -> UserPoolId {
    "eu-west-1_AbCdEfGhI".parse().unwrap()
}

async fn port(cloud: &Cloud) -> Arc<dyn UserPool> {
    let entry = (MEMBER.parse().unwrap(), role());
    let port = cloud.sessions.user_pool(Some(&entry), &pool()).await;
    port.unwrap()
}

fn says(body: &Value) -> Answer {
    Answer::Says(200, body.to_string())
}

fn sent(canned: &Canned, operation: &str) -> Value {
    let requests = canned.requests(operation);
    assert_eq!(requests.len(), 1, "{operation}");
    assert!(requests[0].is_signed_for("eu-west-1"));
    assert!(requests[0].is_signed_with("ASIASESSION"));
    serde_json::from_str(&requests[0].body).unwrap()
}

/// AWS sets to its default what an update leaves out; the emulators do not.
#[tokio::test]
async fn an_update_leaves_as_it_was_what_is_not_ours() {
    let client = json!({
        "UserPoolId": "eu-west-1_AbCdEfGhI", "ClientId": "c1", "ClientName": "bailiwick.dev api-1",
        "ClientSecret": "canary-7a3f", "CreationDate": 1, "LastModifiedDate": 2,
        "RefreshTokenValidity": 7, "AccessTokenValidity": 10, "IdTokenValidity": 11,
        "TokenValidityUnits": {"AccessToken": "minutes", "IdToken": "minutes", "RefreshToken": "days"},
        "ReadAttributes": ["email"], "WriteAttributes": ["name"],
        "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"],
        "SupportedIdentityProviders": ["COGNITO", "Corp"],
        "CallbackURLs": ["https://old.example"], "LogoutURLs": ["https://out.example"],
        "DefaultRedirectURI": "https://old.example",
        "AllowedOAuthFlows": ["code"], "AllowedOAuthScopes": ["openid"], "AllowedOAuthFlowsUserPoolClient": true,
        "AnalyticsConfiguration": {"ApplicationId": "a", "UserDataShared": true},
        "PreventUserExistenceErrors": "LEGACY", "EnableTokenRevocation": false,
        "EnablePropagateAdditionalUserContextData": true, "AuthSessionValidity": 5,
        "RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 10},
    });
    let shown = json!({"UserPoolClient": client});
    let (canned, cloud) = cognito(move |_| says(&shown)).await;
    let new = settings(
        OAuthFlow::Code,
        &["openid", "api/read"],
        &["https://new.example"],
    );
    port(&cloud).await.change_client("c1", &new).await.unwrap();

    let mut expected = client;
    let all = expected.as_object_mut().unwrap();
    for gone in [
        "ClientSecret",
        "CreationDate",
        "LastModifiedDate",
        "DefaultRedirectURI",
    ] {
        all.remove(gone);
    }
    all.insert(
        "AllowedOAuthScopes".to_owned(),
        json!(["openid", "api/read"]),
    );
    all.insert("CallbackURLs".to_owned(), json!(["https://new.example"]));
    assert_eq!(sent(&canned, "UpdateUserPoolClient"), expected);
}

#[tokio::test]
async fn a_new_client_may_no_more_than_it_was_made_for() {
    let made =
        json!({"UserPoolClient": {"ClientId": "c1", "ClientName": "n", "ClientSecret": "s"}});
    let (canned, cloud) = cognito(move |_| says(&made)).await;
    let port = port(&cloud).await;
    port.create_client(&own("bailiwick.dev api-1"))
        .await
        .unwrap();
    let expected = json!({
        "UserPoolId": "eu-west-1_AbCdEfGhI", "ClientName": "bailiwick.dev api-1", "GenerateSecret": true,
        "AllowedOAuthFlows": ["client_credentials"], "AllowedOAuthScopes": ["api/read"], "CallbackURLs": [],
        "AllowedOAuthFlowsUserPoolClient": true, "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"],
        "PreventUserExistenceErrors": "ENABLED", "EnableTokenRevocation": true,
    });
    assert_eq!(sent(&canned, "CreateUserPoolClient"), expected);
    // The session is one for this pool alone.
    let assumed = canned.requests("AssumeRole");
    assert_eq!(assumed.len(), 1);
    assert!(assumed[0].body.contains("userpool%2Feu-west-1_AbCdEfGhI"));
}

#[tokio::test]
async fn a_client_has_two_secrets() {
    let (canned, cloud) = cognito(|request| match request.operation() {
        "ListUserPoolClientSecrets" => says(&json!({"ClientSecrets": [
            {"ClientSecretId": "c1--1", "ClientSecretCreateDate": 1},
            {"ClientSecretId": "c1--2", "ClientSecretCreateDate": 2}]})),
        "AddUserPoolClientSecret" => says(&json!({"ClientSecretDescriptor":
            {"ClientSecretId": "c1--3", "ClientSecretValue": "canary-7a3f", "ClientSecretCreateDate": 3}})),
        _ => says(&json!({})),
    })
    .await;
    let port = port(&cloud).await;
    assert!(port.has_second_secrets().await.unwrap());
    let listed = port.secrets("c1").await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|it| (it.id.as_str(), it.created.unwrap().as_second()))
        .collect();
    assert_eq!(listed, [("c1--1", 1), ("c1--2", 2)]);
    let made = port.add_secret("c1").await.unwrap();
    assert_eq!(
        (made.id.as_str(), made.value.reveal()),
        ("c1--3", "canary-7a3f")
    );
    assert!(!format!("{made:?}").contains("canary"));
    // What it is we leave to AWS, so that nothing of it is sent.
    let asked = json!({"UserPoolId": "eu-west-1_AbCdEfGhI", "ClientId": "c1"});
    assert_eq!(sent(&canned, "AddUserPoolClientSecret"), asked);
    port.delete_secret("c1", "c1--1").await.unwrap();
    let ended = sent(&canned, "DeleteUserPoolClientSecret");
    assert_eq!(ended["ClientSecretId"], "c1--1");
}

#[tokio::test]
async fn whether_there_are_second_secrets_is_what_the_endpoint_says() {
    for (status, code, expected) in [
        (400, "ResourceNotFoundException", Ok(true)),
        (400, "InvalidParameterException", Ok(true)),
        (400, "UnknownOperationException", Ok(false)),
        (400, "InvalidAction", Ok(false)),
        (400, "AccessDeniedException", Err(ErrorKind::Denied)),
        (400, "TooManyRequestsException", Err(ErrorKind::Throttled)),
        (500, "InternalErrorException", Err(ErrorKind::Unavailable)),
    ] {
        let (_canned, cloud) = cognito(move |_| json_error(status, code, "")).await;
        let said = port(&cloud).await.has_second_secrets().await;
        assert_eq!(said.map_err(|error| error.kind), expected, "{code}");
    }
    // A page of HTML, as something gives that plays AWS and lacks it; or a gateway that is out of order.
    for (status, expected) in [
        (404, Ok(false)),
        (500, Err(ErrorKind::Unavailable)),
        (503, Err(ErrorKind::Unavailable)),
    ] {
        let page = move || Answer::Says(status, "<html>".to_owned());
        let (_canned, cloud) = cognito(move |_| page()).await;
        let said = port(&cloud).await.has_second_secrets().await;
        assert_eq!(said.map_err(|error| error.kind), expected, "{status}");
    }
    // The emulator knows other operations. A gateway that was ill for a moment knows this one, too, when it is well again.
    for (ill, expected) in [(usize::MAX, Ok(false)), (2, Ok(true)), (1, Ok(true))] {
        let asked = AtomicUsize::new(0);
        let (canned, cloud) = cognito(move |request| match request.operation() {
            "DescribeUserPool" => says(&json!({"UserPool": {"Domain": "acme"}})),
            _ if asked.fetch_add(1, Ordering::SeqCst) < ill => {
                Answer::Says(500, "<html>".to_owned())
            }
            _ => json_error(400, "ResourceNotFoundException", ""),
        })
        .await;
        let said = port(&cloud).await.has_second_secrets().await;
        assert_eq!(said.map_err(|error| error.kind), expected, "{ill}");
        let looks = canned.requests("DescribeUserPool").len();
        assert_eq!(
            looks,
            usize::from(ill > 1),
            "{ill}: a call is made twice at once"
        );
    }
}

/// What makes something is sent once, whatever becomes of the answer.
#[tokio::test]
async fn what_is_not_idempotent_is_not_sent_again() {
    let (canned, cloud) = cognito(|_| Answer::HangsUp).await;
    let port = port(&cloud).await;
    let create: CloudError = port.create_client(&own("n")).await.unwrap_err();
    let add: CloudError = port.add_secret("c1").await.unwrap_err();
    assert!(create.kind.may_have_happened() && add.kind.may_have_happened());
    for operation in ["CreateUserPoolClient", "AddUserPoolClientSecret"] {
        assert_eq!(canned.requests(operation).len(), 1, "{operation}");
    }
    port.client("c1").await.unwrap_err();
    assert_eq!(canned.requests("DescribeUserPoolClient").len(), 2);
}

#[tokio::test]
async fn what_cognito_refuses_has_its_class() {
    for (code, expected) in [
        ("AccessDeniedException", ErrorKind::Denied),
        ("NotAuthorizedException", ErrorKind::Denied),
        ("ForbiddenException", ErrorKind::Denied),
        ("ResourceNotFoundException", ErrorKind::NotFound),
        ("TooManyRequestsException", ErrorKind::Throttled),
        ("LimitExceededException", ErrorKind::Quota),
        ("ScopeDoesNotExistException", ErrorKind::Invalid),
        ("InvalidOAuthFlowException", ErrorKind::Invalid),
        ("InvalidParameterException", ErrorKind::Invalid),
        ("ConcurrentModificationException", ErrorKind::Conflict),
        ("InternalErrorException", ErrorKind::Unavailable),
    ] {
        let (_canned, cloud) = cognito(move |_| json_error(400, code, "")).await;
        let error = port(&cloud)
            .await
            .create_client(&own("n"))
            .await
            .unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (expected, code));
        assert_eq!(error.operation, "cognito-idp.CreateUserPoolClient");
        let open = cloud.sessions.is_open_for(
            &MEMBER.parse().unwrap(),
            &role(),
            &bailiwick::cloud::credentials::DeliveryPlace::UserPool(pool()),
        );
        // Who is denied enters anew: the role may have been changed.
        assert_eq!(open, expected != ErrorKind::Denied, "{code}");
    }
}
