//! The logins by which releases read what is in the operator's own repositories: whose they are, how long they are kept, and
//! that nobody gets one for anything else.

use std::sync::Arc;
use std::time::Duration;

use bailiwick::app::logins::GivenOrOwn;
use bailiwick::cloud::simulated;
use bailiwick::controllers::Caches;
use bailiwick::controllers::image_repository::PlatformAccount;
use bailiwick::controllers::image_repository::logins::RegistryTokens;
use bailiwick::engine::clock::Clock;
use bailiwick::model::ImageName;
use bailiwick::registry::files::FileLogins;
use bailiwick::registry::oci::{Login, Logins};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::world::{Life, World};

const HOUR: Duration = Duration::from_secs(3600);

/// The time as the organization has it.
struct Time(Box<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock for Time {
    fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// What there is to log in with in this world, with the caches that the operator would have.
async fn tokens(world: &World) -> RegistryTokens {
    let (caches, watches) = Caches::new(&world.server.client());
    tokio::spawn(watches.repositories.keep());
    tokio::spawn(watches.accounts.keep());
    tokio::spawn(watches.classes.keep());
    caches.repositories.filled().await;
    caches.accounts.filled().await;
    caches.classes.filled().await;
    let time = simulated::tokio_clock("2026-01-01T00:00:00Z".parse().unwrap());
    let platform = PlatformAccount {
        account: world.platform.clone(),
        role: "OrganizationAccountAccessRole".parse().unwrap(),
        mutable_tags: false,
    };
    let clock = Arc::new(Time(Box::new(move || time())));
    let tokens = RegistryTokens::new(world.cloud.cloud().sessions, clock, Some(platform));
    tokens.know(&caches);
    tokens
}

fn name(registry: &str, path: &str) -> ImageName {
    format!("{registry}/{path}").parse().unwrap()
}

fn calls(world: &World) -> u64 {
    world.cloud.calls_of("ecr.GetAuthorizationToken").calls
}

#[tokio::test(start_paused = true)]
async fn a_token_is_for_what_the_operator_has_made_and_kept_till_it_ends() {
    let world = World::new();
    world.declare(json!({}));
    let operator = world.operator(&Life::new(None));
    world.until("ledger", "Ready").await;
    operator.abort();
    let tokens = tokens(&world).await;
    let (platform, region) = (&world.platform, "eu-central-1");
    let host = format!("{platform}.dkr.ecr.{region}.amazonaws.com");
    let ledger = name(&host, "payments/ledger");
    let token = tokens.token(&ledger).await.unwrap().unwrap();
    assert_eq!(token.user, "AWS");
    // Over either version of IP, and by whomever it is asked for.
    let either = name(
        &format!("{platform}.dkr-ecr.{region}.on.aws"),
        "payments/ledger",
    );
    assert_eq!(tokens.token(&either).await.unwrap(), Some(token.clone()));
    for (registry, path) in [
        (host.clone(), "payments/other"),
        (host.clone(), "ledger"),
        (format!("{host}.evil.example"), "payments/ledger"),
        (
            format!("{platform}.dkr.ecr.{region}.evil.example"),
            "payments/ledger",
        ),
        (
            format!("{platform}.dkr.ecr.eu-west-1.amazonaws.com"),
            "payments/ledger",
        ),
        (
            format!("999988887777.dkr.ecr.{region}.amazonaws.com"),
            "payments/ledger",
        ),
        ("registry.example.com".to_owned(), "payments/ledger"),
    ] {
        let given = tokens.token(&name(&registry, path)).await.unwrap();
        assert_eq!(given, None, "{registry}/{path}");
    }
    assert_eq!(calls(&world), 1);
    // For as long as it lives, less a while.
    tokio::time::sleep(11 * HOUR).await;
    assert_eq!(tokens.token(&ledger).await.unwrap(), Some(token.clone()));
    tokio::time::sleep(HOUR - Duration::from_secs(900)).await;
    let next = tokens.token(&ledger).await.unwrap().unwrap();
    assert_ne!(next, token);
    assert_eq!(calls(&world), 2);
    // And not when it was refused.
    tokens.forget(&ledger);
    tokens.token(&ledger).await.unwrap();
    assert_eq!(calls(&world), 3);
}

/// What the platform team has given by hand goes first, and what is refused says what to do.
#[tokio::test(start_paused = true)]
async fn a_login_given_by_hand_goes_first() {
    let world = World::new();
    world.declare(json!({}));
    let operator = world.operator(&Life::new(None));
    world.until("ledger", "Ready").await;
    operator.abort();
    let host = format!("{}.dkr.ecr.eu-central-1.amazonaws.com", world.platform);
    let file = tempfile::NamedTempFile::new().unwrap();
    let auths = json!({"auths": {&host: {"username": "by", "password": "hand"}}});
    std::fs::write(file.path(), auths.to_string()).unwrap();
    let own = Arc::new(tokens(&world).await);
    let given = FileLogins::new(file.path()).unwrap();
    let logins = GivenOrOwn {
        given: Some(given),
        own: Some(own.clone()),
    };
    let ledger = name(&host, "payments/ledger");
    let login = logins.login(&ledger).await.unwrap().unwrap();
    assert!(matches!(login, Login::Password { user, .. } if user == "by"));
    assert_eq!(calls(&world), 0);
    std::fs::write(file.path(), r#"{"auths": {}}"#).unwrap();
    let login = logins.login(&ledger).await.unwrap().unwrap();
    assert!(matches!(login, Login::Here { user, .. } if user == "AWS"));
    // The account shuts us out.
    own.forget(&ledger);
    world.cloud.set_access_role_behind(&world.platform, None);
    let error = logins.login(&ledger).await.unwrap_err();
    assert_eq!(
        error.kind,
        bailiwick::registry::ErrorKind::Denied,
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("allow ecr:GetAuthorizationToken"),
        "{error}"
    );
}
