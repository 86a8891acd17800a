//! App clients of a user pool: against a played Cognito, which has second secrets and loses answers, and against ministack,
//! whose endpoints are somebody else's work.

use std::path::Path;

use bailiwick::cloud::aws::{AwsOptions, connect_with};
use bailiwick::cloud::simulated::{PoolClientRecord, refused};
use bailiwick::dev::loopback::ministack;
use bailiwick::identity::{
    Capabilities, ErrorKind, Inquiry, Method, OAuthServer, Registration, Servers, TokenRequest,
};
use bailiwick::model::{Secret, UserPoolId};

use super::contract::{
    a_life_for_people, a_life_with_a_secret, accepts, knows_not, refuses, with_secret,
};
use super::pool::{Played, of_pool};
use super::{new_client, servers};

const CREATE: &str = "cognito-idp.CreateUserPoolClient";
const ADD: &str = "cognito-idp.AddUserPoolClientSecret";

fn request(registration: &Registration) -> TokenRequest {
    with_secret(registration, Method::SecretBasic, &["api.read"])
}

async fn registered(server: &dyn OAuthServer, handle: &str) -> Registration {
    let new = new_client(handle, Method::SecretBasic, &["api.read"]);
    server.register(&new).await.unwrap()
}

#[tokio::test]
async fn it_says_what_it_can_do() {
    let played = Played::start().await;
    let server = played.open();
    let described = server.describe(Inquiry::Trying).await.unwrap();
    let all = [Method::SecretBasic, Method::SecretPost, Method::Public];
    assert_eq!(described.methods, all);
    assert!(
        described
            .grant_types
            .contains(&"client_credentials".to_owned())
    );
    let token = format!("{}/oauth2/token", played.server.endpoint);
    assert_eq!(described.token_endpoint.as_str(), token);
    let able = Capabilities {
        secrets_in_place: true,
        older_secret_lives: None,
        updates: true,
        search: true,
    };
    assert_eq!(described.capabilities, able);

    played.change(|record| record.has_second_secrets = false);
    let described = server.describe(Inquiry::Trying).await.unwrap();
    assert!(!described.capabilities.secrets_in_place);

    played.change(|record| record.has_domain = false);
    let error = server.describe(Inquiry::Trying).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("no domain"), "{error}");
    // Nothing was written by any of it.
    assert!(played.record().clients.is_empty());
}

#[tokio::test]
async fn clients_live() {
    let played = Played::start().await;
    let server = played.open();
    for method in [Method::SecretBasic, Method::SecretPost] {
        a_life_with_a_secret(&*server, "own", method).await;
        a_life_for_people(&*server, "people", method).await;
    }
    a_life_for_people(&*server, "public", Method::Public).await;
    assert!(played.record().clients.is_empty());
}

#[tokio::test]
async fn two_secrets_overlap_and_either_can_be_the_one_that_stays() {
    let played = Played::start().await;
    let server = played.open();
    let first = registered(&*server, "api").await;
    let second = server.add_secret(&first).await.unwrap();
    assert_eq!(first.client_id, second.client_id);
    assert_ne!(first.secret, second.secret);
    for one in [&first, &second] {
        accepts(&*server, &request(one)).await;
    }
    // The newer one is given up.
    for _ in 0..2 {
        server.retire_secret(&first).await.unwrap();
        accepts(&*server, &request(&first)).await;
        knows_not(&*server, &request(&second)).await;
    }
    // The older one's time is over; and so again, for one that is known by its id.
    let (mut old, mut new) = (first.clone(), server.add_secret(&first).await.unwrap());
    for _ in 0..2 {
        accepts(&*server, &request(&old)).await;
        server.retire_secret(&new).await.unwrap();
        knows_not(&*server, &request(&old)).await;
        accepts(&*server, &request(&new)).await;
        old = new;
        new = server.add_secret(&old).await.unwrap();
    }
    // A secret that is gone stays for nobody, and ends no other.
    let error = server.retire_secret(&second).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    accepts(&*server, &request(&new)).await;
}

#[tokio::test]
async fn a_lost_answer_to_a_creation_is_found() {
    let played = Played::start().await;
    let server = played.open();
    // More than one page of other people's, one of the same name as people see it.
    played.change(|record| {
        for n in 0..130 {
            let name = format!("shop/api (bailiwick) {n}");
            let client = PoolClientRecord {
                name,
                ..PoolClientRecord::default()
            };
            record.clients.insert(format!("a{n}"), client);
        }
    });
    let new = new_client("api", Method::SecretBasic, &["api.read"]);
    played.lose(CREATE);
    let error = server.register(&new).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert_eq!(played.record().clients.len(), 131);

    let found = played.open().find(&new.handle, &new.uid).await.unwrap();
    assert_eq!(found.len(), 1);
    accepts(&*server, &request(&found[0])).await;
    for (handle, uid) in [
        ("api", "another"),
        ("ap", new.uid.as_str()),
        ("api2", &new.uid),
    ] {
        assert_eq!(server.find(handle, uid).await.unwrap(), [], "{handle}");
    }
    server.delete(&found[0]).await.unwrap();
    assert_eq!(server.find(&new.handle, &new.uid).await.unwrap(), []);
    assert_eq!(played.record().clients.len(), 130);
}

/// What was made a moment ago need not be in a list yet: whoever takes it for not made makes another one.
#[tokio::test]
async fn a_list_that_is_behind_makes_no_second_client() {
    let played = Played::start().await;
    let behind = |lists: u32| played.change(|record| record.lists_behind = lists);
    let new = |handle: &str| new_client(handle, Method::SecretBasic, &["api.read"]);
    let lost = async |server: &dyn OAuthServer, handle: &str| {
        played.lose(CREATE);
        server.register(&new(handle)).await.unwrap_err();
        behind(1);
    };
    let find = async |server: &dyn OAuthServer, handle: &str| {
        let uid = new(handle).uid;
        let found = server.find(handle, &uid).await;
        found.map(|found| found.len()).map_err(|error| {
            let wait = error.retry_after.expect("a time to come back");
            assert!(wait.as_secs() <= 10, "{wait:?}");
            error.kind
        })
    };
    let not_known = Err(ErrorKind::Unavailable);
    let server = played.open();
    lost(&*server, "api").await;
    assert_eq!(find(&*server, "api").await, not_known);
    assert_eq!(find(&*server, "web").await, Ok(0), "of it nothing was lost");
    assert_eq!(find(&*server, "api").await, Ok(1));
    // Whoever follows one that was killed knows nothing of what it did.
    lost(&*server, "batch").await;
    let follower = played.open_just_now(None);
    assert_eq!(find(&*follower, "batch").await, not_known);
    played.pass(9);
    assert_eq!(find(&*follower, "batch").await, Ok(1));
    assert_eq!(find(&*follower, "never").await, not_known);
    played.pass(2);
    assert_eq!(find(&*follower, "never").await, Ok(0));
    assert_eq!(played.record().clients.len(), 2);
}

#[tokio::test]
async fn a_lost_answer_to_a_second_secret_leaves_no_third() {
    let played = Played::start().await;
    let server = played.open();
    let first = registered(&*server, "api").await;
    let kept = |played: &Played| played.record().clients[&first.client_id].secrets.clone();
    played.lose(ADD);
    let error = server.add_secret(&first).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    let nobodys = kept(&played).pop().unwrap();
    let second = played.open().add_secret(&first).await.unwrap();
    let now = kept(&played);
    assert_eq!(now.len(), 2);
    assert!(!now.contains(&nobodys));
    for one in [&first, &second] {
        accepts(&*server, &request(one)).await;
    }
}

#[tokio::test]
async fn what_is_registered_changes_in_place() {
    let played = Played::start().await;
    let server = played.open();
    let made = registered(&*server, "api").await;
    let both = with_secret(&made, Method::SecretBasic, &["api.read", "api.write"]);
    refuses(&*server, &both).await;
    let mut new = new_client("api", Method::SecretBasic, &["api.read", "api.write"]);
    for _ in 0..2 {
        server.update(&made, &new.metadata).await.unwrap();
    }
    accepts(&*server, &both).await;

    // A scope that nobody has made there: who must do what is said, and nothing changes.
    new.metadata.scopes.push("sales-order.read".to_owned());
    for error in [
        server.update(&made, &new.metadata).await.unwrap_err(),
        server.register(&new).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(
            error.message.contains("no scope sales-order/read:"),
            "{error}"
        );
        assert!(error.message.contains("administrator"), "{error}");
    }
    accepts(&*server, &both).await;
    assert_eq!(played.record().clients.len(), 1);

    server.delete(&made).await.unwrap();
    new.metadata.scopes.pop();
    let error = server.update(&made, &new.metadata).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let played = Played::start().await;
    let server = played.open();
    let made = registered(&*server, "api").await;
    // Somebody has made it theirs.
    let id = made.client_id.clone();
    played.change(|record| record.clients.get_mut(&id).unwrap().name = "billing".to_owned());
    let metadata = new_client("api", Method::SecretBasic, &["api.write"]).metadata;
    let before = format!("{:?}", played.record());
    for error in [
        server.delete(&made).await.unwrap_err(),
        server.update(&made, &metadata).await.unwrap_err(),
        server.add_secret(&made).await.unwrap_err(),
        server.retire_secret(&made).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::AlreadyExists, "{error}");
        assert!(error.message.contains("not ours"), "{error}");
    }
    assert_eq!(format!("{:?}", played.record()), before);
}

#[tokio::test]
async fn a_client_is_not_gone_where_its_pool_is_not() {
    let played = Played::start().await;
    let made = registered(&*played.open(), "api").await;
    let account = played
        .sim
        .add_member("aws+x@example.com", "x", Default::default());
    let role: bailiwick::model::RoleName = "Access".parse().unwrap();
    played
        .sim
        .set_access_role_behind(&account, Some(role.clone()));
    let elsewhere = played.open_in(Some((account.clone(), role.clone())));
    for error in [
        elsewhere.delete(&made).await.unwrap_err(),
        elsewhere.describe(Inquiry::Trying).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(error.message.contains(account.as_str()), "{error}");
    }
    accepts(&*played.open(), &request(&made)).await;
    // Once it is there, it is.
    played.change(|record| record.account = Some(account.clone()));
    elsewhere.describe(Inquiry::Trying).await.unwrap();
    elsewhere.delete(&made).await.unwrap();
    // A role that does not let us in.
    let denied = played.open_in(Some((account, "Other".parse().unwrap())));
    let error = denied.describe(Inquiry::Trying).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
}

#[tokio::test]
async fn an_issuer_that_is_not_the_pools_is_refused() {
    let played = Played::start().await;
    let servers = servers().with_user_pools(played.sessions());
    for issuer in [
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-central-1_Played",
        "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Other",
        "https://cognito-idp.eu-central-1.amazonaws.com.evil.example/eu-central-1_Played",
        &format!("{}/eu-central-1_Played", played.server.endpoint),
    ] {
        let mut options = of_pool(&played.pool, None);
        options.issuer = issuer.parse().unwrap();
        let error = servers.open(options).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        for field in ["spec.issuer", "spec.cognito.userPoolId"] {
            assert!(error.message.contains(field), "{error}");
        }
    }
    let nowhere = super::servers().open(of_pool(&played.pool, None));
    assert_eq!(nowhere.err().unwrap().kind, ErrorKind::Refused);
}

#[tokio::test]
async fn what_aws_refuses_has_its_class() {
    let played = Played::start().await;
    let server = played.open();
    for (code, expected) in [
        ("TooManyRequestsException", ErrorKind::Throttled),
        ("LimitExceededException", ErrorKind::Refused),
        ("AccessDeniedException", ErrorKind::Denied),
        ("InvalidParameterException", ErrorKind::Refused),
        ("ConcurrentModificationException", ErrorKind::Unavailable),
        ("InternalServerException", ErrorKind::Unavailable),
    ] {
        played.sim.refuse_next(refused(CREATE, code, "said so"));
        let new = new_client("api", Method::SecretBasic, &["api.read"]);
        let error = server.register(&new).await.unwrap_err();
        assert_eq!(error.kind, expected, "{error}");
        assert!(error.message.contains(code), "{error}");
    }
}

/// A life where nothing is ours but the adapters: registration, tokens and metadata by an emulator.
#[tokio::test]
async fn clients_live_at_an_emulator() {
    let emulator = ministack(Path::new(env!("CARGO_MANIFEST_DIR")))
        .await
        .unwrap();
    let endpoint = format!("http://{}", emulator.host());
    let key = aws_credential_types::Credentials::new("AKIAOURS", "secret", None, None, "test");
    let base = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
        .region(aws_config::Region::new("eu-central-1"))
        .endpoint_url(&endpoint)
        .credentials_provider(key)
        .load()
        .await;
    let pool = pool_at(&base).await;
    let cloud = connect_with(&base, &AwsOptions::new("test")).await.unwrap();
    let servers = servers().with_user_pools(cloud.sessions.clone());
    let server = servers.open(of_pool(&pool, None)).unwrap();
    let described = server.describe(Inquiry::Trying).await.unwrap();
    // It has not the operations, and that is found out.
    assert!(!described.capabilities.secrets_in_place);
    for method in [Method::SecretBasic, Method::SecretPost] {
        a_life_with_a_secret(&*server, "own", method).await;
    }

    let new = new_client("api", Method::SecretBasic, &["api.read"]);
    let made = server.register(&new).await.unwrap();
    let found = server.find(&new.handle, &new.uid).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&made));
    let write = with_secret(&made, Method::SecretBasic, &["api.write"]);
    refuses(&*server, &write).await;
    let more = new_client("api", Method::SecretBasic, &["api.read", "api.write"]).metadata;
    server.update(&made, &more).await.unwrap();
    accepts(&*server, &write).await;
    // The way where there is one secret: another client beside, then the first one goes.
    let beside = registered(&*server, "api-2").await;
    accepts(&*server, &request(&beside)).await;
    accepts(&*server, &request(&made)).await;
    server.delete(&made).await.unwrap();
    knows_not(&*server, &request(&made)).await;
    accepts(&*server, &request(&beside)).await;
    let stolen = Registration {
        secret: Some(Secret::new("wrong")),
        ..beside.clone()
    };
    knows_not(&*server, &request(&stolen)).await;
}

/// What the administrator of a pool does.
async fn pool_at(base: &aws_config::SdkConfig) -> UserPoolId {
    use aws_sdk_cognitoidentityprovider::types::ResourceServerScopeType;
    let admin = aws_sdk_cognitoidentityprovider::Client::new(base);
    let made = admin.create_user_pool().pool_name("company").send();
    let id = made.await.unwrap().user_pool.unwrap().id.unwrap();
    let domain = admin.create_user_pool_domain().user_pool_id(&id);
    domain.domain("acme-identity").send().await.unwrap();
    let scope = |name: &str| {
        ResourceServerScopeType::builder()
            .scope_name(name)
            .scope_description(name)
            .build()
            .unwrap()
    };
    let server = admin.create_resource_server().user_pool_id(&id);
    server
        .identifier("api")
        .name("api")
        .scopes(scope("read"))
        .scopes(scope("write"))
        .send()
        .await
        .unwrap();
    id.parse().unwrap()
}
