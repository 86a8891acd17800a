//! Users for the grant type `password`: only where they may be had, and with their clients from the first day to the last.

use bailiwick::identity::simulated::Profile;
use serde_json::{Value, json};

use super::world::{HOUR, Life, MINUTE, Readers, World, user_of};

const ONE: &str = "secret team-shop/one";
const TWO: &str = "s3://two/api";

fn grants(grants: &[&str]) -> Value {
    json!({"grantTypes": grants, "authMethod": "client_secret_basic"})
}

fn uid(world: &World) -> String {
    let object = world.object("api").unwrap();
    object["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// The names of the users in all places.
fn delivered(world: &World) -> Vec<String> {
    let users = world.places.users();
    users.values().map(|content| user_of(content).0).collect()
}

/// A client with a user, in two places.
async fn settled(profile: Profile) -> (World, tokio::task::JoinHandle<()>) {
    let world = World::new(profile);
    world.open_password_grant(true);
    world.declare("api", &["one", "s3:two"], grants(&["password"]));
    let operator = world.operator(&Life::new(None));
    world
        .until(HOUR, "version 1", |world| world.settled("api", 1))
        .await;
    (world, operator)
}

#[tokio::test(start_paused = true)]
async fn nobody_has_one_who_may_not() {
    for (profile, says) in [
        (Profile::Keycloak, "spec.keycloak.passwordGrant"),
        (Profile::Dynamic, "is not Keycloak"),
        (Profile::Cognito, "is not Keycloak"),
    ] {
        let world = World::new(profile);
        let fields = grants(&["client_credentials", "password"]);
        world.declare("api", &["one"], fields);
        let operator = world.operator(&Life::new(None));
        let message = world.until_ready_says("api", "PasswordGrantClosed").await;
        assert!(message.contains(says), "{profile:?}: {message}");
        tokio::time::sleep(HOUR).await;
        assert_eq!(world.oauth[0].calls("register"), 0, "{profile:?}");
        assert_eq!(world.oauth[0].calls("make_user"), 0, "{profile:?}");
        if profile == Profile::Keycloak {
            world.open_password_grant(true);
            world
                .until(HOUR, "opened", |world| world.settled("api", 1))
                .await;
            assert_eq!(world.oauth[0].users(&uid(&world)).len(), 1);
        }
        operator.abort();
    }
}

/// What was opened once and is closed again takes nothing from anybody, and everybody can see who still has it.
#[tokio::test(start_paused = true)]
async fn who_has_one_keeps_it_when_it_is_closed() {
    let (world, operator) = settled(Profile::Keycloak).await;
    let readers = Readers::start(&world);
    world.open_password_grant(false);
    world.until_ready_says("api", "PasswordGrantClosed").await;
    world.ask("api", "renew", "one").await;
    let renewed = |world: &World| {
        let object = world.object("api").unwrap();
        let alone = object["status"]["versions"].as_array().unwrap().len() == 1;
        object["status"]["version"] == 2 && alone
    };
    world.until(HOUR, "renewed", renewed).await;
    let user = format!("api-{}-2", uid(&world));
    assert_eq!(
        world.oauth[0].users(&uid(&world)),
        std::slice::from_ref(&user)
    );
    assert_eq!(delivered(&world), [user.clone(), user]);
    let (ready, reason, _) = world.condition("api", "Ready").unwrap();
    assert_eq!(
        (ready.as_str(), reason.as_str()),
        ("False", "PasswordGrantClosed")
    );
    readers.end("closed");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn one_comes_with_another_version_and_goes_with_another() {
    for profile in [Profile::Keycloak, Profile::KeycloakRotating] {
        let world = World::new(profile);
        world.open_password_grant(true);
        world.declare("api", &["one", "s3:two"], grants(&["client_credentials"]));
        let operator = world.operator(&Life::new(None));
        world
            .until(HOUR, "version 1", |world| world.settled("api", 1))
            .await;
        assert!(world.places.users().is_empty());
        let both = json!({"spec": {"grantTypes": ["client_credentials", "password"]}});
        world.patch("api", both).await;
        world
            .until(HOUR, "with a user", |world| world.settled("api", 2))
            .await;
        let user = format!("api-{}-2", uid(&world));
        assert_eq!(
            delivered(&world),
            [user.clone(), user.clone()],
            "{profile:?}"
        );
        assert_eq!(world.oauth[0].users(&uid(&world)), [user], "{profile:?}");
        let one = json!({"spec": {"grantTypes": ["client_credentials"]}});
        world.patch("api", one).await;
        world
            .until(HOUR, "without", |world| world.settled("api", 3))
            .await;
        assert!(world.places.users().is_empty(), "{profile:?}");
        assert!(world.oauth[0].users(&uid(&world)).is_empty(), "{profile:?}");
        operator.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_somebody_has_removed_is_made_anew_with_its_client() {
    let (world, operator) = settled(Profile::KeycloakRotating).await;
    let user = world.oauth[0].users(&uid(&world)).remove(0);
    world.oauth[0].forget_user(&user);
    tokio::time::sleep(6 * HOUR + MINUTE).await;
    world
        .until(HOUR, "version 2", |world| world.settled("api", 2))
        .await;
    assert_eq!(world.events("api", "ClientLost").len(), 1);
    let anew = format!("api-{}-2", uid(&world));
    assert_eq!(world.oauth[0].users(&uid(&world)), [anew]);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn revoking_and_leaving_take_it_along() {
    for profile in [Profile::Keycloak, Profile::KeycloakRotating] {
        let (world, operator) = settled(profile).await;
        let uid = uid(&world);
        world.ask("api", "renew", "one").await;
        let two = |world: &World| world.object("api").unwrap()["status"]["version"] == 2;
        world.until(HOUR, "version 2", two).await;
        assert_eq!(
            world.oauth[0].users(&uid).len(),
            2,
            "{profile:?}: the overlap"
        );
        let before = [ONE, TWO].map(|place| user_of(&world.places.user(place).unwrap()).0);
        world.ask("api", "revoke", "incident").await;
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        let left = world.oauth[0].users(&uid);
        assert!(before.iter().all(|user| !left.contains(user)), "{left:?}");
        world
            .until(HOUR, "version 3", |world| world.settled("api", 3))
            .await;
        assert_eq!(world.oauth[0].users(&uid), [format!("api-{uid}-3")]);
        let delete = json!({"spec": {"deletionPolicy": "Delete"}});
        world.patch("api", delete).await;
        world.delete("api").await;
        world
            .until(3 * HOUR, "gone", |world| world.object("api").is_none())
            .await;
        assert!(world.oauth[0].users(&uid).is_empty(), "{profile:?}");
        assert!(world.oauth[0].live("api").is_empty(), "{profile:?}");
        assert!(world.places.users().is_empty(), "{profile:?}");
        operator.abort();
    }
}
