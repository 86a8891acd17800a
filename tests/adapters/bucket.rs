//! The bucket: against moto's S3, and against answers of our own for what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::types::ObjectLockMode;
use bailiwick::cloud::ErrorKind;
use bailiwick::cloud::aws::{BucketOptions, Lock, bucket_with};
use bailiwick::cloud::storage::Bucket;
use k8s_openapi::jiff::Timestamp;

use super::canned::{Answer, Canned};
use super::{base, credentials, emulator};

pub fn options(name: &str) -> BucketOptions {
    BucketOptions {
        name: name.to_owned(),
        region: Some("us-east-1".to_owned()),
        path_style: true,
        lock: None,
    }
}

fn time() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

async fn client(endpoint: &str) -> aws_sdk_s3::Client {
    let base = base(endpoint, credentials()).await;
    let config = aws_sdk_s3::config::Builder::from(&base)
        .force_path_style(true)
        .region(aws_config::Region::new("us-east-1"));
    aws_sdk_s3::Client::from_conf(config.build())
}

/// A new bucket in the emulator.
pub async fn made(options: &BucketOptions) -> Arc<dyn Bucket> {
    let endpoint = emulator::endpoint().await;
    let call = client(endpoint).await.create_bucket().bucket(&options.name);
    call.object_lock_enabled_for_bucket(options.lock.is_some())
        .send()
        .await
        .unwrap();
    bucket_with(&base(endpoint, credentials()).await, options)
}

#[tokio::test]
async fn a_key_is_written_once_and_read_as_it_was_written() {
    let bucket = made(&options("once")).await;
    assert_eq!(bucket.get("a/b.json").await.unwrap(), None);
    bucket
        .put_new("a/b.json", b"{\"one\":1}", time())
        .await
        .unwrap();
    let again = bucket
        .put_new("a/b.json", b"{\"two\":2}", time())
        .await
        .unwrap_err();
    assert_eq!(
        (again.kind, again.code.as_str()),
        (ErrorKind::AlreadyExists, "PreconditionFailed")
    );
    assert_eq!(
        bucket.get("a/b.json").await.unwrap().unwrap(),
        b"{\"one\":1}"
    );
    bucket.put("a/b.json", b"{\"three\":3}").await.unwrap();
    assert_eq!(
        bucket.get("a/b.json").await.unwrap().unwrap(),
        b"{\"three\":3}"
    );
}

#[tokio::test]
async fn of_many_writers_of_one_key_one_wins() {
    let bucket = made(&options("race")).await;
    let writers = (0..8).map(|number| {
        let bucket = bucket.clone();
        async move {
            bucket
                .put_new("key", number.to_string().as_bytes(), time())
                .await
        }
    });
    let ends = futures::future::join_all(writers).await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1, "{ends:?}");
}

#[tokio::test]
async fn keys_are_listed_in_their_order_over_pages() {
    let bucket = made(&options("list")).await;
    let keys: Vec<String> = (0..1005)
        .map(|number| format!("c/Kind/uid/{number:010}.json"))
        .collect();
    for chunk in keys.chunks(50) {
        let puts = chunk.iter().map(|key| bucket.put(key, b"{}"));
        futures::future::try_join_all(puts).await.unwrap();
    }
    bucket.put("d/other.json", b"{}").await.unwrap();
    let first = bucket.list("c/", None).await.unwrap();
    assert_eq!(first.items.len(), 1000);
    assert!(first.items[0].modified.is_some());
    let second = bucket.list("c/", first.next).await.unwrap();
    assert_eq!(second.next, None);
    let listed = first
        .items
        .iter()
        .chain(&second.items)
        .map(|object| object.key.clone());
    assert_eq!(listed.collect::<Vec<_>>(), keys);
    assert!(bucket.list("e/", None).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn what_is_written_once_is_locked_where_that_is_asked_for() {
    for (name, compliance, mode) in [
        ("governed", false, ObjectLockMode::Governance),
        ("complied", true, ObjectLockMode::Compliance),
    ] {
        let lasts = Duration::from_secs(30 * 24 * 3600);
        let lock = Some(Lock { lasts, compliance });
        let bucket = made(&BucketOptions {
            lock,
            ..options(name)
        })
        .await;
        bucket.put_new("locked", b"{}", time()).await.unwrap();
        bucket.put("index", b"{}").await.unwrap();
        let client = client(emulator::endpoint().await).await;
        let of = async |key: &str| {
            let call = client.head_object().bucket(name).key(key);
            let answer = call.send().await.unwrap();
            let until = answer.object_lock_retain_until_date();
            (
                answer.object_lock_mode().cloned(),
                until.map(|until| until.secs()),
            )
        };
        let until = (time() + lasts).as_second();
        assert_eq!(of("locked").await, (Some(mode), Some(until)));
        assert_eq!(of("index").await, (None, None));
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_says_what_to_do() {
    let base = base(emulator::endpoint().await, credentials()).await;
    let bucket = bucket_with(&base, &options("nowhere"));
    for error in [
        bucket.get("a").await.unwrap_err(),
        bucket.put_new("a", b"{}", time()).await.unwrap_err(),
        bucket.list("a", None).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.code, "NoSuchBucket", "{error}");
        assert!(error.message.contains("create the bucket"), "{error}");
    }
}

fn s3_error(status: u16, code: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>said so</Message></Error>"
    );
    Answer::Says(status, body)
}

#[tokio::test]
async fn a_conditional_write_says_so_and_carries_a_checksum() {
    let canned = Canned::start(|_, _| Answer::Says(200, String::new())).await;
    let bucket = bucket_with(&base(&canned.endpoint, credentials()).await, &options("b"));
    bucket.put_new("k", b"{}", time()).await.unwrap();
    bucket.put("k", b"{}").await.unwrap();
    let requests = canned.all();
    assert!(
        requests[0].line().starts_with("PUT /b/k"),
        "{}",
        requests[0].line()
    );
    assert_eq!(requests[0].header("if-none-match"), Some("*"));
    // SHA-256 of `{}`.
    let checksum = Some("RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=");
    assert_eq!(requests[0].header("x-amz-checksum-sha256"), checksum);
    assert_eq!(requests[1].header("if-none-match"), None);
    assert!(requests[0].is_signed_for("us-east-1"));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (status, code, kind, advice) in [
        (412, "PreconditionFailed", ErrorKind::AlreadyExists, ""),
        (409, "ConditionalRequestConflict", ErrorKind::Conflict, ""),
        (403, "AccessDenied", ErrorKind::Denied, "s3:PutObject"),
        (400, "InvalidRequest", ErrorKind::Invalid, ""),
        (
            301,
            "PermanentRedirect",
            ErrorKind::Unknown,
            "another region",
        ),
        (503, "SlowDown", ErrorKind::Throttled, ""),
        (500, "InternalError", ErrorKind::Unavailable, ""),
    ] {
        let canned = Canned::start(move |_, _| s3_error(status, code)).await;
        let bucket = bucket_with(&base(&canned.endpoint, credentials()).await, &options("b"));
        let error = bucket.put_new("k", b"{}", time()).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{error}");
        assert!(error.message.contains(advice), "{error}");
    }
}

/// The first answer is lost, the repetition is told that the key is taken: by our own write.
#[tokio::test]
async fn a_repeated_write_after_a_lost_answer_finds_its_own() {
    let canned = Canned::start(|_, number| match number {
        1 => Answer::HangsUp,
        _ => s3_error(412, "PreconditionFailed"),
    })
    .await;
    let bucket = bucket_with(&base(&canned.endpoint, credentials()).await, &options("b"));
    let error = bucket.put_new("k", b"{}", time()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AlreadyExists);
    assert_eq!(canned.all().len(), 2);
}
