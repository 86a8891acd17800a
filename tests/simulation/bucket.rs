//! The credentials bucket of an account: whose it is, what is mended, and which account its policy names.

use std::time::Duration;

use bailiwick::cloud::simulated::Options;
use serde_json::json;

use super::lives::declared_with_bucket;
use super::world::World;

const HOUR: Duration = Duration::from_secs(3600);

/// What somebody changes about the bucket is mended; what is in it, and what others have put at it, stays.
#[tokio::test(start_paused = true)]
async fn a_credentials_bucket_is_mended_and_keeps_its_name() {
    let world = declared_with_bucket();
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let (name, made) = world.cloud.credentials_buckets().pop_first().unwrap();
    world
        .cloud
        .change_file(&name, "api/client.json", Some("{}"));
    world.cloud.change_credentials_bucket(&name, |bucket| {
        bucket.state.private = false;
        bucket.state.encryption = None;
        bucket.state.policy = None;
        bucket.state.tags.insert("cost".to_owned(), "1".to_owned());
    });
    // The class would call new ones otherwise; this one has readers.
    let mut class = world.server.get("accountclasses", "", "test").unwrap();
    class["spec"]["credentialsBucket"] = json!({"nameTemplate": "other-{{account.id}}"});
    world.server.put(&class).unwrap();
    world.pass_time(&mut run, HOUR).await;
    let mut buckets = world.cloud.credentials_buckets();
    let (kept, now) = buckets.pop_first().unwrap();
    assert_eq!((&kept, buckets.len()), (&name, 0));
    assert_eq!(now.state.policy, made.state.policy);
    assert!(now.state.private && now.state.encryption == made.state.encryption);
    assert_eq!(now.state.tags.get("cost").map(String::as_str), Some("1"));
    assert_eq!(now.files.len(), 1);
    run.stop();
}

/// A name that is somebody else's, in this account or in another, is not taken over, and nothing is done to that bucket.
#[tokio::test(start_paused = true)]
async fn a_bucket_of_somebody_else_is_not_taken_over() {
    for in_this_account in [true, false] {
        let world = World::with_one(true);
        let mut run = world.start();
        world.must_be_ready(&mut run).await;
        let id = world.cloud.accounts()[0].id.clone();
        let name = format!("acme-{id}-eu-central-1");
        world.cloud.change_credentials_bucket(&name, |bucket| {
            bucket.account = in_this_account.then(|| id.clone());
        });
        let mut class = world.server.get("accountclasses", "", "test").unwrap();
        class["spec"]["credentialsBucket"] =
            json!({"nameTemplate": "acme-{{account.id}}-{{region}}"});
        world.server.put(&class).unwrap();
        let message = world.must_say(&mut run, "BucketTaken").await;
        assert!(
            message.contains(&name) && message.contains("not taken over"),
            "{message}"
        );
        let left = world.cloud.credentials_bucket(&name).unwrap().state;
        assert_eq!((left.tags.len(), left.policy), (0, None));
        run.stop();
    }
}

/// An account that is there in the very pass that asks for it, so that what it shall be was first read without an id.
#[tokio::test(start_paused = true)]
async fn what_names_the_account_names_no_other_however_soon_it_is_there() {
    let options = Options {
        creation: Duration::ZERO,
        creation_jitter: Duration::ZERO,
        activation: Duration::ZERO,
        visibility_lag: Duration::ZERO,
        request_lag: Duration::ZERO,
        ..Options::default()
    };
    let world = World::new(options, 1);
    world.declare(1, 1);
    let mut class = world.server.get("accountclasses", "", "test").unwrap();
    class["spec"]["credentialsBucket"] = json!({"nameTemplate": "acme-{{account.id}}-creds"});
    class["spec"]["aliasTemplate"] = json!("acme-{{account.id}}");
    world.server.put(&class).unwrap();
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let account = world.cloud.accounts().remove(0);
    assert_eq!(account.alias, Some(format!("acme-{}", account.id)));
    let (name, bucket) = world.cloud.credentials_buckets().pop_first().unwrap();
    assert_eq!(name, format!("acme-{}-creds", account.id));
    let policy = bucket.state.policy.unwrap();
    let role = format!("arn:aws:iam::{}:role/", account.id);
    assert!(policy.contains(&role), "{policy}");
    assert_eq!(
        policy.matches(&role).count(),
        policy.matches("arn:aws:iam::").count()
    );
    run.stop();
}

/// Let go and adopted again under its name, an account has its bucket as before; under another name it is refused, in words.
#[tokio::test(start_paused = true)]
async fn an_account_that_was_let_go_comes_back_with_its_bucket() {
    let world = declared_with_bucket();
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let id = world.cloud.accounts()[0].id.clone();
    let (name, _) = world.cloud.credentials_buckets().pop_first().unwrap();
    world.delete("acc0");
    world.pass_time(&mut run, HOUR).await;
    assert!(world.object("acc0").is_none());
    world.account("acc0", json!({"accountId": id.as_str()}));
    world.must_be_ready(&mut run).await;
    let object = world.object("acc0").unwrap();
    assert_eq!(object["status"]["credentialsBucket"]["bucket"], name);
    let tags = world.cloud.credentials_bucket(&name).unwrap().state.tags;
    assert_eq!(
        object["metadata"]["uid"],
        tags["bailiwick.dev/uid"].as_str()
    );
    assert_eq!(world.cloud.credentials_buckets().len(), 1);
    run.stop();
}
