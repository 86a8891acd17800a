//! Credentials buckets, their files, and secrets: against moto, and against answers of our own for what goes wrong.

use std::sync::Arc;

use bailiwick::cloud::credentials::{
    BucketEncryption, BucketPlace, CredentialFiles, CredentialsBucket, CredentialsBucketState,
    DeliveryPlace, SecretStore,
};
use bailiwick::cloud::{Cloud, ErrorKind};
use bailiwick::model::{AccountId, RoleName, Secret, Tags};
use bailiwick::plan::bucket_policy;

use super::canned::{Answer, Canned, json_error, sts};
use super::emulator::{cloud, endpoint, make};
use super::{base, credentials, options};

fn role() -> RoleName {
    "Access".parse().unwrap()
}

fn place(name: &str) -> BucketPlace {
    BucketPlace {
        name: name.parse().unwrap(),
        region: "eu-central-1".parse().unwrap(),
    }
}

/// Whether what bears these tags is this owner's.
fn of(uid: &'static str) -> impl Fn(&Tags) -> bool + Sync {
    move |seen| *seen == tags(uid)
}

fn tags(uid: &str) -> Tags {
    Tags::from([("bailiwick.dev/uid".to_owned(), uid.to_owned())])
}

async fn bucket(cloud: &Cloud, id: &AccountId, name: &str) -> Arc<dyn CredentialsBucket> {
    let member = cloud.sessions.enter(id, &role()).await.unwrap();
    member.credentials_bucket(&place(name))
}

async fn files(cloud: &Cloud, id: &AccountId, name: &str) -> Arc<dyn CredentialFiles> {
    let sessions = &cloud.sessions;
    sessions
        .credential_files(id, &role(), &place(name))
        .await
        .unwrap()
}

async fn secrets(cloud: &Cloud, id: &AccountId) -> Arc<dyn SecretStore> {
    let region = "eu-central-1".parse().unwrap();
    let sessions = &cloud.sessions;
    sessions.secret_store(id, &role(), region).await.unwrap()
}

#[tokio::test]
async fn a_bucket_is_made_and_set_up() {
    let cloud = cloud().await;
    let id = make(&cloud, "mint-life").await;
    let port = bucket(&cloud, &id, "acme-mint-life").await;
    assert_eq!(port.state(&of("u1")).await.unwrap(), None);
    port.create(&tags("u1")).await.unwrap();
    // A call of ours whose answer was lost.
    port.create(&tags("u1")).await.unwrap();
    port.put_tags(&tags("u1")).await.unwrap();
    let bare = port.state(&of("u1")).await.unwrap().unwrap();
    assert_eq!((bare.tags, bare.policy), (tags("u1"), None));

    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::acme-mint-life/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;
    for key in [
        None,
        Some(format!("arn:aws:kms:eu-central-1:{id}:key/1234")),
    ] {
        let encryption = BucketEncryption {
            key,
            bucket_key: true,
        };
        port.make_private().await.unwrap();
        port.enforce_owner().await.unwrap();
        port.put_encryption(&encryption).await.unwrap();
        port.put_policy(policy).await.unwrap();
        let expected = CredentialsBucketState {
            tags: tags("u1"),
            private: true,
            owner_enforced: true,
            encryption: Some(encryption),
            policy: Some(policy.to_owned()),
        };
        assert_eq!(port.state(&of("u1")).await.unwrap(), Some(expected));
    }
    // What is another's is not looked at.
    let others = port.state(&of("u2")).await.unwrap().unwrap();
    assert_eq!((others.tags, others.policy), (tags("u1"), None));
    // Names are the whole world's.
    let other = make(&cloud, "mint-other").await;
    let other = bucket(&cloud, &other, "acme-mint-life").await;
    let taken = other.create(&tags("u2")).await.unwrap_err();
    assert_eq!(
        (taken.kind, taken.code.as_str()),
        (ErrorKind::AlreadyExists, "BucketAlreadyExists")
    );
}

#[tokio::test]
async fn files_are_written_listed_and_removed() {
    let cloud = cloud().await;
    let id = make(&cloud, "mint-files").await;
    let port = files(&cloud, &id, "acme-mint-files").await;
    let missing = port.may_put("api/client.json").await.unwrap_err();
    assert_eq!(
        (missing.kind, missing.code.as_str()),
        (ErrorKind::NotFound, "NoSuchBucket")
    );
    let made = bucket(&cloud, &id, "acme-mint-files").await;
    made.create(&tags("u1")).await.unwrap();

    port.may_put("api/client.json").await.unwrap();
    assert_eq!(port.list("api/").await.unwrap(), []);
    let first = port
        .put("api/client.json", &Secret::new("{\"a\":1}"))
        .await
        .unwrap();
    port.may_put("api/client.json").await.unwrap();
    let listed = port.list("api/").await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].key.as_str(), &listed[0].etag),
        ("api/client.json", &first)
    );
    let second = port
        .put("api/client.json", &Secret::new("{\"a\":2}"))
        .await
        .unwrap();
    assert_ne!(first, second);
    assert_eq!(port.list("api/").await.unwrap()[0].etag, second);
    for _ in 0..2 {
        port.delete("api/client.json").await.unwrap();
        assert_eq!(port.list("api/").await.unwrap(), []);
    }
}

/// The bucket's own policy does not stand in the way of who delivers; and the emulator does heed a policy that does.
#[tokio::test]
async fn files_are_delivered_into_a_bucket_with_its_policy() {
    let cloud = cloud().await;
    let id = make(&cloud, "mint-policy").await;
    let name = "acme-mint-policy";
    let made = bucket(&cloud, &id, name).await;
    made.create(&tags("u1")).await.unwrap();
    let policy = bucket_policy::policy("aws", &id, &place(name).name, &role());
    made.put_policy(&policy.to_json()).await.unwrap();
    let kept = made.policy().await.unwrap().unwrap();
    assert!(policy.says_the_same_as(&kept), "{kept}");

    let port = files(&cloud, &id, name).await;
    let (key, content) = ("api/client.json", Secret::new("{}"));
    port.may_put(key).await.unwrap();
    port.put(key, &content).await.unwrap();
    assert_eq!(port.list("api/").await.unwrap().len(), 1);
    port.delete(key).await.unwrap();

    let closed = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::{name}/*"}}]}}"#
    );
    made.put_policy(&closed).await.unwrap();
    let denied = port.put(key, &content).await.unwrap_err();
    assert_eq!(denied.kind, ErrorKind::Denied, "{denied}");
    let denied = port.may_put(key).await.unwrap_err();
    assert_eq!(denied.kind, ErrorKind::Denied, "{denied}");
}

#[tokio::test]
async fn all_pages_of_files_are_listed() {
    let cloud = cloud().await;
    let id = make(&cloud, "mint-pages").await;
    let made = bucket(&cloud, &id, "acme-mint-pages").await;
    made.create(&tags("u1")).await.unwrap();
    let port = files(&cloud, &id, "acme-mint-pages").await;
    let puts = (0..1010).map(|n| {
        let port = Arc::clone(&port);
        async move { port.put(&format!("api/{n}"), &Secret::new("{}")).await }
    });
    futures::future::try_join_all(puts).await.unwrap();
    assert_eq!(port.list("api/").await.unwrap().len(), 1010);
}

#[tokio::test]
async fn a_secret_is_kept_by_version() {
    let cloud = cloud().await;
    let id = make(&cloud, "mint-secrets").await;
    let port = secrets(&cloud, &id).await;
    let name = "api/oauth-client";
    assert_eq!(port.describe(name).await.unwrap(), None);
    let tokens = ["1", "2"].map(|n| format!("00000000-0000-0000-0000-000000000000-v{n}"));
    let one = Secret::new("{\"client_id\":\"1\"}");
    let made = port.create(name, &one, &tags("u1"), &tokens[0]).await;
    assert_eq!(made.unwrap(), tokens[0]);
    let found = port.describe(name).await.unwrap().unwrap();
    assert_eq!(found.tags, tags("u1"));
    assert_eq!(found.version.as_ref(), Some(&tokens[0]));
    assert!(
        !found.deleted && found.arn.contains(id.as_str()),
        "{found:?}"
    );

    let two = Secret::new("{\"client_id\":\"2\"}");
    for _ in 0..2 {
        assert_eq!(port.put(name, &two, &tokens[1]).await.unwrap(), tokens[1]);
    }
    let found = port.describe(name).await.unwrap().unwrap();
    assert_eq!(found.version.as_ref(), Some(&tokens[1]));
    let (other, third) = (tags("u2"), "00000000-0000-0000-0000-000000000000-v3");
    let again = port.create(name, &two, &other, third);
    let again = again.await.unwrap_err();
    assert_eq!(
        (again.kind, again.code.as_str()),
        (ErrorKind::AlreadyExists, "ResourceExistsException")
    );

    port.delete(name).await.unwrap();
    assert!(port.describe(name).await.unwrap().unwrap().deleted);
    // The emulator lets a secret be written that is to be deleted; AWS does not (InvalidRequestException, below).
    port.restore(name).await.unwrap();
    assert!(!port.describe(name).await.unwrap().unwrap().deleted);
    port.delete("nobody/has-this").await.unwrap();
}

/// What the environment's own credentials can do is not what a delivery can.
#[tokio::test]
async fn a_delivery_enters_with_less_rights_and_apart_from_the_baseline() {
    let canned = Canned::start(|request, _| {
        sts(request, "111122223333").unwrap_or_else(|| Answer::Says(403, s3("AccessDenied")))
    })
    .await;
    let cloud = canned.cloud(&options()).await;
    let id: AccountId = "111122223333".parse().unwrap();
    let region = "eu-central-1".parse().unwrap();
    cloud.sessions.enter(&id, &role()).await.unwrap();
    let port = files(&cloud, &id, "acme-mint").await;
    let place = DeliveryPlace::Files(place("acme-mint"));
    assert!(cloud.sessions.is_open_for(&id, &role(), &place));
    assert!(
        !cloud
            .sessions
            .is_open_for(&id, &role(), &DeliveryPlace::Secrets(region))
    );
    secrets(&cloud, &id).await;
    files(&cloud, &id, "acme-mint").await;

    let assumed = canned.requests("AssumeRole");
    let with_policy: Vec<bool> = assumed
        .iter()
        .map(|request| request.body.contains("&Policy="))
        .collect();
    assert_eq!(with_policy, [false, true, true]);
    assert!(assumed[1].body.contains("acme-mint") && !assumed[1].body.contains("secretsmanager"));
    assert!(
        !assumed
            .iter()
            .any(|request| request.body.contains("GetObject"))
    );

    // A refusal closes the session: the role may have been changed.
    let denied = port.may_put("api/client.json").await.unwrap_err();
    assert_eq!(denied.kind, ErrorKind::Denied, "{denied}");
    assert!(!cloud.sessions.is_open_for(&id, &role(), &place));
    assert!(cloud.sessions.entered(&id, &role()).is_some());
}

fn s3(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>said so</Message></Error>")
}

/// What S3 says once it has let us in, and what it says if it does not.
#[tokio::test]
async fn only_a_refusal_that_comes_after_the_authorization_means_that_we_may() {
    for (status, code, expected) in [
        (400, "BadDigest", None),
        (412, "PreconditionFailed", None),
        (403, "AccessDenied", Some(ErrorKind::Denied)),
        (404, "NoSuchBucket", Some(ErrorKind::NotFound)),
        (400, "KMS.DisabledException", Some(ErrorKind::Invalid)),
        (400, "KMS.NotFoundException", Some(ErrorKind::Invalid)),
        (503, "SlowDown", Some(ErrorKind::Throttled)),
        (500, "InternalError", Some(ErrorKind::Unavailable)),
    ] {
        let canned = Canned::start(move |request, _| {
            sts(request, "111122223333").unwrap_or_else(|| Answer::Says(status, s3(code)))
        })
        .await;
        let cloud = canned.cloud(&options()).await;
        let id = "111122223333".parse().unwrap();
        let answer = files(&cloud, &id, "acme-mint")
            .await
            .may_put("api/client.json")
            .await;
        assert_eq!(answer.err().map(|error| error.kind), expected, "{code}");
        let put = canned
            .all()
            .into_iter()
            .find(|request| request.line().starts_with("PUT "))
            .unwrap();
        assert_eq!(put.header("if-none-match"), Some("*"));
        assert_eq!(put.header("if-match"), None);
        assert_eq!(
            put.header("x-amz-expected-bucket-owner"),
            Some("111122223333")
        );
        assert!(put.is_signed_with("ASIASESSION"), "{put:?}");
    }
}

/// Something that plays S3, and takes whatever it is sent.
#[tokio::test]
async fn asking_whether_a_file_may_be_written_harms_no_file() {
    let canned = Canned::start(|request, _| {
        sts(request, "111122223333").unwrap_or_else(|| Answer::Says(200, String::new()))
    })
    .await;
    let cloud = canned.cloud(&options()).await;
    let id = "111122223333".parse().unwrap();
    let port = files(&cloud, &id, "acme-mint").await;
    port.may_put("api/client.json").await.unwrap();
    let all = canned.all();
    let lines = all.iter().map(|request| request.line());
    let paths: Vec<_> = lines
        .filter(|line| !line.starts_with("POST "))
        .map(|line| {
            let mut words = line.split([' ', '?']);
            (words.next().unwrap(), words.next().unwrap())
        })
        .collect();
    let beside = "/acme-mint/api/client.json.preflight";
    assert_eq!(paths, [("PUT", beside), ("DELETE", beside)]);
}

#[tokio::test]
async fn what_secrets_manager_refuses_has_its_class() {
    for (code, expected) in [
        ("AccessDeniedException", ErrorKind::Denied),
        ("ResourceExistsException", ErrorKind::AlreadyExists),
        ("InvalidRequestException", ErrorKind::Invalid),
        ("EncryptionFailure", ErrorKind::Invalid),
        ("LimitExceededException", ErrorKind::Quota),
        ("PreconditionNotMetException", ErrorKind::Conflict),
        ("ThrottlingException", ErrorKind::Throttled),
        ("InternalServiceError", ErrorKind::Unavailable),
    ] {
        let canned = Canned::start(move |request, _| {
            sts(request, "111122223333").unwrap_or_else(|| json_error(400, code, ""))
        })
        .await;
        let cloud = canned.cloud(&options()).await;
        let id = "111122223333".parse().unwrap();
        let port = secrets(&cloud, &id).await;
        let content = Secret::new("canary-5d1c");
        let error = port
            .put("api/oauth-client", &content, "token")
            .await
            .unwrap_err();
        assert_eq!(error.kind, expected, "{error}");
        assert_eq!(error.operation, "secretsmanager.PutSecretValue");
        assert!(
            !format!("{error:?} {error}").contains("canary"),
            "{error:?}"
        );
    }
}

/// The answer is lost, and the call made again: with the same token, so that it cannot become a second version.
#[tokio::test]
async fn a_lost_answer_does_not_make_a_second_version() {
    let canned = Canned::start(|request, _| {
        if let Some(answer) = sts(request, "111122223333") {
            return answer;
        }
        Answer::HangsUp
    })
    .await;
    let cloud = canned.cloud(&options()).await;
    let id = "111122223333".parse().unwrap();
    let port = secrets(&cloud, &id).await;
    let error = port
        .put("name", &Secret::new("{}"), "the-token")
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    let puts = canned.requests("PutSecretValue");
    assert_eq!(puts.len(), 2);
    assert!(
        puts.iter()
            .all(|put| put.body.contains("\"ClientRequestToken\":\"the-token\""))
    );
}

/// The emulator is reached by its address, and the calls go where the region says.
#[tokio::test]
async fn the_emulator_has_the_bucket_where_it_was_asked_for() {
    let cloud = cloud().await;
    let id = make(&cloud, "mint-region").await;
    let made = bucket(&cloud, &id, "acme-mint-region").await;
    made.create(&tags("u1")).await.unwrap();
    let base = base(endpoint().await, credentials()).await;
    let client = aws_sdk_s3::Client::new(&base);
    let answer = client
        .get_bucket_location()
        .bucket("acme-mint-region")
        .send();
    let location = answer.await.unwrap().location_constraint.unwrap();
    assert_eq!(location.as_str(), "eu-central-1");
}
