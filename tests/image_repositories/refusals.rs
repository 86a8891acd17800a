//! What is not done, and what people are told instead.

use std::time::Duration;

use bailiwick::cloud::simulated::refused;
use bailiwick::model::Tags;
use serde_json::{Value, json};

use super::world::{Life, World};

/// Declares it, and returns what is said when Ready has this reason. Nothing is written outside.
async fn refusal(world: &World, spec: Value, reason: &str) -> String {
    world.declare(spec);
    let life = Life::new(None);
    let operator = world.operator(&life);
    let message = world.until("ledger", reason).await;
    assert_eq!(world.cloud.calls_to("ecr."), 0, "{:?}", world.cloud.calls());
    operator.abort();
    message
}

#[tokio::test(start_paused = true)]
async fn without_an_account_nothing_is_guessed() {
    let mut world = World::new();
    world.arguments.clear();
    let message = refusal(&world, json!({}), "NoPlatformAccount").await;
    assert!(message.contains("--platform-account"), "{message}");
    assert_eq!(world.condition("ledger", "Accepted").unwrap().0, "False");

    let mut world = World::new();
    let management = world.cloud.management_account();
    world.arguments = vec![format!("--platform-account={management}")];
    let message = refusal(&world, json!({}), "NoPlatformAccount").await;
    assert!(message.contains("manages the organization"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn fields_that_do_not_fit_are_named() {
    for (spec, reason, words) in [
        (
            json!({"repositoryName": "search/ledger"}),
            "InvalidSpec",
            ["spec.repositoryName", "payments/"],
        ),
        (
            json!({"repositoryName": "paymentsledger"}),
            "InvalidSpec",
            ["spec.repositoryName", "payments/"],
        ),
        (
            json!({"mutableTags": ["*-SNAPSHOT"]}),
            "MutableTagsRefused",
            ["spec.mutableTags", "--platform-mutable-image-tags"],
        ),
        (
            json!({"account": "nowhere"}),
            "AccountNotFound",
            ["spec.account", "\"nowhere\""],
        ),
        (
            json!({"application": "other"}),
            "ApplicationNotFound",
            ["spec.application", "\"other\""],
        ),
    ] {
        let world = World::new();
        let message = refusal(&world, spec, reason).await;
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tags_are_moved_in_the_platforms_account_only_where_the_operator_allows_it() {
    let mut world = World::new();
    world
        .arguments
        .push("--platform-mutable-image-tags=true".to_owned());
    let message = refusal(&world, json!({"mutableTags": ["*"]}), "InvalidSpec").await;
    assert!(message.contains("bailiwick-keep-"), "{message}");
    world
        .patch("ledger", json!({"mutableTags": ["*-SNAPSHOT"]}))
        .await;
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "Ready").await;
    let mutability = world.only().shown.mutability.to_string();
    assert_eq!(mutability, "IMMUTABLE_WITH_EXCLUSION: *-SNAPSHOT");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_region_outside_of_the_account_and_a_class_without_movable_tags_are_refused() {
    let world = World::new();
    world.put("AccountClass", "", "live", json!({
        "organizationalUnitPath": "/Live", "emailTemplate": "aws+{{team}}-{{account}}@example.com",
        "regions": ["eu-central-1"],
    }));
    world.put(
        "TeamAccount",
        "team-payments",
        "live",
        json!({"className": "live"}),
    );
    let spec = |more: Value| {
        let mut spec =
            json!({"application": "ledger", "region": "eu-central-1", "account": "live"});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        spec
    };
    world.put(
        "ImageRepository",
        "team-payments",
        "region",
        spec(json!({"region": "eu-west-1"})),
    );
    world.put(
        "ImageRepository",
        "team-payments",
        "tags",
        spec(json!({"mutableTags": ["dev-*"]})),
    );
    let life = Life::new(None);
    let operator = world.operator(&life);
    let message = world.until("region", "InvalidSpec").await;
    assert!(message.contains("spec.region: eu-west-1"), "{message}");
    let message = world.until("tags", "MutableTagsRefused").await;
    assert!(message.contains("AccountClass live"), "{message}");
    // The class changes its mind, and nobody has to say so twice.
    world.put("AccountClass", "", "live", json!({
        "organizationalUnitPath": "/Live", "emailTemplate": "aws+{{team}}-{{account}}@example.com",
        "regions": ["eu-central-1", "eu-west-1"], "mutableImageTags": true,
    }));
    world.until("region", "Ready").await;
    world.until("tags", "Ready").await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn of_two_objects_for_one_repository_the_older_has_it() {
    let world = World::new();
    world.declare_as("ledger", json!({}));
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.declare_as("again", json!({"repositoryName": "payments/ledger"}));
    world.declare_as("elsewhere", json!({"region": "eu-west-1"}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.until("ledger", "Ready").await;
    world.until("elsewhere", "Ready").await;
    let message = world.until("again", "NameTaken").await;
    assert!(message.contains("team-payments/ledger"), "{message}");
    let owned = world.cloud.repositories(&world.platform);
    assert_eq!(owned.len(), 2);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn of_two_objects_of_the_same_age_one_has_it_for_good() {
    let world = World::new();
    for name in ["one", "two", "three"] {
        world.declare_as(name, json!({"repositoryName": "payments/ledger"}));
    }
    let life = Life::new(None);
    let operator = world.operator(&life);
    // After a restart, too.
    for operator in [operator, world.operator(&Life::new(None))] {
        tokio::time::sleep(Duration::from_secs(1300)).await;
        operator.abort();
        let ready = ["one", "two", "three"].map(|name| world.condition(name, "Ready").unwrap());
        let have = ready.iter().filter(|(_, reason, _)| reason == "Ready");
        assert_eq!(have.count(), 1, "{ready:#?}");
        assert_eq!(world.cloud.repositories(&world.platform).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_object_manages_is_never_touched() {
    let world = World::new();
    let tags = Tags::from([
        (
            "bailiwick.dev/owner".to_owned(),
            "ImageRepository/team-x/y".to_owned(),
        ),
        ("bailiwick.dev/uid".to_owned(), "somebody".to_owned()),
        ("bailiwick.dev/cluster".to_owned(), "other".to_owned()),
    ]);
    let name = "payments/ledger".parse().unwrap();
    world.cloud.add_repository(
        &world.platform,
        "eu-central-1".parse().unwrap(),
        &name,
        tags,
    );
    let before = world.only();
    world.declare(json!({"adopt": true}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    let message = world.until("ledger", "OwnedByOther").await;
    assert!(
        message.contains("ImageRepository/team-x/y of cluster other"),
        "{message}"
    );
    world
        .server
        .delete("imagerepositories", "team-payments", "ledger");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.object("ledger").is_none());
    assert_eq!(world.only(), before);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn what_aws_refuses_says_which_field_is_to_blame() {
    let world = World::new();
    let key = "arn:aws:kms:eu-central-1:111122223333:key/1234";
    world.cloud.refuse_all(refused(
        "ecr.CreateRepository",
        "KmsException",
        "no such key",
    ));
    world.declare(json!({"kmsKeyArn": key, "pushRoles": ["arn:aws:iam::999988887777:role/ci"]}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    let message = world.until("ledger", "KeyRefused").await;
    assert!(message.contains("spec.kmsKeyArn"), "{message}");
    world.cloud.relent("ecr.CreateRepository");
    let invalid = refused(
        "ecr.SetRepositoryPolicy",
        "InvalidParameterException",
        "Principal not found",
    );
    world.cloud.refuse_all(invalid);
    let message = world.until("ledger", "PolicyRefused").await;
    assert!(message.contains("spec.pushRoles"), "{message}");
    world.cloud.relent("ecr.SetRepositoryPolicy");
    world.until("ledger", "Ready").await;
    // Another key cannot be had any more.
    world
        .patch("ledger", json!({"kmsKeyArn": format!("{key}5")}))
        .await;
    let message = world.until("ledger", "EncryptionDiffers").await;
    assert!(message.contains(key), "{message}");
    world.patch("ledger", json!({"kmsKeyArn": null})).await;
    world.until("ledger", "Ready").await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_does_not_let_us_in_is_said_and_looked_at_again() {
    let world = World::new();
    world.cloud.set_access_role_behind(&world.platform, None);
    world.declare(json!({}));
    let life = Life::new(None);
    let operator = world.operator(&life);
    let message = world.until("ledger", "AccessDenied").await;
    assert!(
        message.contains("OrganizationAccountAccessRole"),
        "{message}"
    );
    let role = "OrganizationAccountAccessRole".parse().ok();
    world.cloud.set_access_role_behind(&world.platform, role);
    world.until("ledger", "Ready").await;
    operator.abort();
}

/// Who declares an application has not its name yet: another team's application of that name may be the older one.
#[tokio::test(start_paused = true)]
async fn no_repository_is_made_for_an_application_that_has_not_its_name() {
    let world = World::new();
    world.put("Application", "team-search", "ledger", json!({}));
    let other = world.server.get("applications", "team-search", "ledger");
    let taken = json!({"state": "Held", "owner": {
        "team": "search", "namespace": "team-search", "uid": other.unwrap()["metadata"]["uid"],
    }});
    world.put("ApplicationName", "", "ledger", taken.clone());
    let message = refusal(&world, json!({}), "ApplicationNotAccepted").await;
    for words in [
        "spec.application: Application ledger is not accepted",
        "team search",
    ] {
        assert!(message.contains(words), "{message}");
    }

    // The other team gives it up, and the platform team frees the name.
    let life = Life::new(None);
    let operator = world.operator(&life);
    world.server.delete("applications", "team-search", "ledger");
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.server.delete("applicationnames", "", "ledger");
    world.until("ledger", "Ready").await;
    let before = world.only();

    // What there is goes on being kept, whatever becomes of the name.
    world.put("ApplicationName", "", "ledger", taken);
    tokio::time::sleep(Duration::from_secs(60)).await;
    world
        .patch(
            "ledger",
            json!({"pushRoles": ["arn:aws:iam::999988887777:role/ci"]}),
        )
        .await;
    world.until("ledger", "Ready").await;
    assert_ne!(world.only(), before);
    operator.abort();
}
