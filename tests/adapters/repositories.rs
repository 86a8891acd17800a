//! Repositories of images: against moto, which has no registry behind them, and against answers of our own.

use std::sync::Arc;

use bailiwick::cloud::{
    Cloud, ErrorKind, Image, ImageCount, NewRepository, Repositories, Repository,
};
use bailiwick::model::{AccountId, Encryption, RepositoryName, TagMutability, Tags};
use serde_json::{Value, json};

use super::canned::{Answer, Canned, json_error, sts};
use super::emulator::{cloud, make};
use super::options;

const REGION: &str = "eu-central-1";

async fn inside(cloud: &Cloud, id: &AccountId, region: &str) -> Arc<dyn Repositories> {
    let role = "Access".parse().unwrap();
    let inside = cloud.sessions.enter(id, &role).await.unwrap();
    inside.repositories(region.parse().unwrap())
}

fn name() -> RepositoryName {
    "payments/ledger".parse().unwrap()
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn new_repository() -> NewRepository {
    NewRepository {
        name: name(),
        mutability: TagMutability::Immutable,
        encryption: Encryption::Aes256,
        tags: tags(&[("bailiwick.dev/uid", "u1")]),
    }
}

fn image(n: u8) -> Image {
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config":
        {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:0", "size": n}, "layers": []});
    Image {
        digest: format!("sha256:{}", format!("{n:02x}").repeat(32)),
        manifest: manifest.to_string(),
        media_type: Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
    }
}

#[tokio::test]
async fn the_organization_has_an_id_and_an_account_that_manages_it() {
    let company = cloud().await.units.company().await.unwrap();
    assert!(company.id.as_str().starts_with("o-"), "{company:?}");
    assert_eq!(company.management.as_str(), "123456789012");
}

#[tokio::test]
async fn a_repository_is_created_described_and_deleted() {
    let cloud = cloud().await;
    let id = make(&cloud, "ecr-life").await;
    let port = inside(&cloud, &id, REGION).await;
    assert_eq!(port.repository(&name()).await.unwrap(), None);
    let made = port.create_repository(&new_repository()).await.unwrap();
    let expected = Repository {
        arn: format!("arn:aws:ecr:{REGION}:{id}:repository/payments/ledger"),
        uri: format!("{id}.dkr.ecr.{REGION}.amazonaws.com/payments/ledger"),
        created: made.created,
        mutability: TagMutability::Immutable,
        scan_on_push: true,
        encryption: Encryption::Aes256,
    };
    assert!(made.created.is_some());
    assert_eq!(made, expected);
    assert_eq!(port.repository(&name()).await.unwrap(), Some(expected));
    let again = port.create_repository(&new_repository()).await.unwrap_err();
    assert_eq!(
        (again.kind, again.code.as_str()),
        (ErrorKind::AlreadyExists, "RepositoryAlreadyExistsException")
    );
    // Another region, and another account, are other places.
    let elsewhere = inside(&cloud, &id, "eu-west-1").await;
    assert_eq!(elsewhere.repository(&name()).await.unwrap(), None);
    let other = make(&cloud, "ecr-other").await;
    let other = inside(&cloud, &other, REGION).await;
    assert_eq!(other.repository(&name()).await.unwrap(), None);

    port.put_tag(&name(), &image(1), "1.0").await.unwrap();
    let full = port.delete_repository(&name()).await.unwrap_err();
    assert_eq!(full.code, "RepositoryNotEmptyException", "{full}");
    assert!(!full.kind.is_transient());
    let second: RepositoryName = "payments/second".parse().unwrap();
    let new = NewRepository {
        name: second.clone(),
        ..new_repository()
    };
    port.create_repository(&new).await.unwrap();
    port.delete_repository(&second).await.unwrap();
    assert_eq!(port.repository(&second).await.unwrap(), None);
}

/// For the account that was entered, until AWS says; and never shown.
#[tokio::test]
async fn a_registry_gives_a_token_that_ends() {
    let cloud = cloud().await;
    let id = make(&cloud, "ecr-token").await;
    let token = inside(&cloud, &id, REGION).await.token().await.unwrap();
    assert_eq!(token.user, "AWS");
    // The emulator's password names the account that it is for.
    assert_eq!(token.password.reveal(), format!("{id}-auth-token"));
    // The emulator's ends on the same day whenever it was given.
    assert_eq!(token.expires.unwrap().to_string(), "2015-01-01T00:00:00Z");
    assert!(!format!("{token:?}").contains("auth-token"), "{token:?}");
}

#[tokio::test]
async fn what_belongs_to_a_repository_can_be_read_and_changed() {
    let cloud = cloud().await;
    let id = make(&cloud, "ecr-settings").await;
    let port = inside(&cloud, &id, REGION).await;
    let key = format!("arn:aws:kms:{REGION}:{id}:key/1234abcd");
    let patterns = ["*-SNAPSHOT", "dev-*"].map(str::to_owned);
    let made = port
        .create_repository(&NewRepository {
            mutability: TagMutability::except(patterns.into()),
            encryption: Encryption::Kms(key.clone()),
            ..new_repository()
        })
        .await
        .unwrap();
    assert_eq!(
        made.mutability.to_string(),
        "IMMUTABLE_WITH_EXCLUSION: *-SNAPSHOT, dev-*"
    );
    assert_eq!(made.encryption, Encryption::Kms(key));
    port.set_mutability(&name(), &TagMutability::Immutable)
        .await
        .unwrap();
    port.scan_on_push(&name()).await.unwrap();
    let found = port.repository(&name()).await.unwrap().unwrap();
    assert_eq!(found.mutability, TagMutability::Immutable);
    assert!(found.scan_on_push);
    // For the emulator this is about the rules of the account alone, and there are none.
    assert!(!port.is_scanned(&name()).await.unwrap());
    // Somebody makes them mutable.
    let mutable = TagMutability::Other("MUTABLE".to_owned());
    port.set_mutability(&name(), &mutable).await.unwrap();
    let found = port.repository(&name()).await.unwrap().unwrap();
    assert_eq!(found.mutability, mutable);

    assert_eq!(port.policy(&name()).await.unwrap(), None);
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Sid": "Pull", "Effect": "Allow", "Principal": "*",
        "Action": ["ecr:BatchGetImage"], "Condition": {"StringEquals": {"aws:PrincipalOrgID": ["o-aa111bb222"]}}}]});
    port.set_policy(&name(), &policy.to_string()).await.unwrap();
    let back = port.policy(&name()).await.unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&back).unwrap(), policy);
    let rubbish = port.set_policy(&name(), "{}").await.unwrap_err();
    assert_eq!(rubbish.kind, ErrorKind::Invalid, "{rubbish}");

    assert_eq!(port.lifecycle(&name()).await.unwrap(), None);
    let rule = bailiwick::plan::repository::lifecycle(7);
    port.put_lifecycle(&name(), &rule).await.unwrap();
    assert_eq!(port.lifecycle(&name()).await.unwrap(), Some(rule));
    port.delete_lifecycle(&name()).await.unwrap();
    assert_eq!(port.lifecycle(&name()).await.unwrap(), None);
    // There is none to delete any more, which is what was wanted.
    port.delete_lifecycle(&name()).await.unwrap();

    assert_eq!(
        port.tags(&made.arn).await.unwrap(),
        tags(&[("bailiwick.dev/uid", "u1")])
    );
    port.tag(&made.arn, &tags(&[("team", "payments")]))
        .await
        .unwrap();
    port.untag(&made.arn, &["bailiwick.dev/uid".to_owned()])
        .await
        .unwrap();
    assert_eq!(
        port.tags(&made.arn).await.unwrap(),
        tags(&[("team", "payments")])
    );
}

#[tokio::test]
async fn an_image_gets_a_further_tag_and_no_tag_is_moved() {
    let cloud = cloud().await;
    let id = make(&cloud, "ecr-images").await;
    let port = inside(&cloud, &id, REGION).await;
    port.create_repository(&new_repository()).await.unwrap();
    let count = async || port.count_images(&name()).await.unwrap();
    assert_eq!(
        count().await,
        ImageCount {
            seen: 0,
            more: false
        }
    );
    let (one, two) = (image(1), image(2));
    port.put_tag(&name(), &one, "1.0").await.unwrap();
    port.put_tag(&name(), &two, "2.0").await.unwrap();

    let digests = [one.digest.clone(), image(3).digest];
    let found = port.images(&name(), &digests).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0].digest, &found[0].manifest),
        (&one.digest, &one.manifest)
    );
    port.put_tag(&name(), &found[0], "keep").await.unwrap();
    assert_eq!(
        count().await,
        ImageCount {
            seen: 2,
            more: false
        }
    );
    let asked = ["keep", "nowhere"].map(str::to_owned);
    let tagged = port.tagged(&name(), &asked).await.unwrap();
    assert_eq!(tagged, [("keep".to_owned(), one.digest.clone())].into());

    // Again, which is what a lost answer leads to; and at another image. The emulator has one word for both.
    for image in [&one, &two] {
        let taken = port.put_tag(&name(), image, "keep").await.unwrap_err();
        assert_eq!(taken.kind, ErrorKind::AlreadyExists, "{taken}");
    }
    let tagged = port.tagged(&name(), &["keep".to_owned()]).await.unwrap();
    assert_eq!(tagged["keep"], one.digest);
    assert_eq!(port.images(&name(), &[]).await.unwrap(), []);
}

/// An ECR that answers every call so.
async fn always(answer: Answer) -> (Canned, Arc<dyn Repositories>) {
    let member = "111122223333";
    let aws =
        Canned::start(move |request, _| sts(request, member).unwrap_or_else(|| answer.clone()))
            .await;
    let cloud = aws.cloud(&options()).await;
    let port = inside(&cloud, &member.parse().unwrap(), "ap-northeast-1").await;
    (aws, port)
}

#[tokio::test]
async fn the_session_works_in_the_region_that_is_meant() {
    let (aws, port) = always(Answer::Says(200, r#"{"repositories":[]}"#.to_owned())).await;
    assert_eq!(port.repository(&name()).await.unwrap(), None);
    let requests = aws.requests("DescribeRepositories");
    assert_eq!(requests.len(), 1);
    assert!(requests[0].is_signed_for("ap-northeast-1"));
    assert!(requests[0].is_signed_with("ASIASESSION"));
}

#[tokio::test]
async fn what_is_missing_is_told_apart_from_what_is_refused() {
    let (_, port) = always(json_error(400, "RepositoryNotFoundException", "")).await;
    assert_eq!(port.repository(&name()).await.unwrap(), None);
    // A policy of nothing is no missing policy.
    assert_eq!(
        port.policy(&name()).await.unwrap_err().kind,
        ErrorKind::NotFound
    );
    assert_eq!(
        port.lifecycle(&name()).await.unwrap_err().kind,
        ErrorKind::NotFound
    );
    assert_eq!(
        port.delete_lifecycle(&name()).await.unwrap_err().kind,
        ErrorKind::NotFound
    );
    for (status, code, kind) in [
        (
            400,
            "ImageTagAlreadyExistsException",
            ErrorKind::AlreadyExists,
        ),
        (400, "ImageAlreadyExistsException", ErrorKind::AlreadyExists),
        (400, "LayersNotFoundException", ErrorKind::NotFound),
        (
            400,
            "ReferencedImagesNotFoundException",
            ErrorKind::NotFound,
        ),
        (400, "InvalidParameterException", ErrorKind::Invalid),
        (400, "ImageDigestDoesNotMatchException", ErrorKind::Invalid),
        (400, "KmsException", ErrorKind::Invalid),
        (400, "LimitExceededException", ErrorKind::Quota),
        (400, "AccessDeniedException", ErrorKind::Denied),
        (400, "ThrottlingException", ErrorKind::Throttled),
        (500, "ServerException", ErrorKind::Unavailable),
    ] {
        let (_, port) = always(json_error(status, code, "")).await;
        let error = port.put_tag(&name(), &image(1), "1.0").await.unwrap_err();
        assert_eq!(
            (error.kind, error.operation),
            (kind, "ecr.PutImage"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn whoever_has_images_scanned_they_are_scanned() {
    for (configuration, scanned) in [
        (r#""scanOnPush":false,"scanFrequency":"MANUAL""#, false),
        (r#""scanOnPush":true,"scanFrequency":"SCAN_ON_PUSH""#, true),
        (
            r#""scanOnPush":false,"scanFrequency":"CONTINUOUS_SCAN""#,
            true,
        ),
    ] {
        let body = format!(r#"{{"scanningConfigurations":[{{{configuration}}}]}}"#);
        let (_, port) = always(Answer::Says(200, body)).await;
        assert_eq!(
            port.is_scanned(&name()).await.unwrap(),
            scanned,
            "{configuration}"
        );
    }
}

#[tokio::test]
async fn a_throttled_call_is_left_to_the_budget() {
    let (aws, port) = always(json_error(400, "ThrottlingException", "")).await;
    let error = port.create_repository(&new_repository()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled);
    assert_eq!(aws.requests("CreateRepository").len(), 1);
}

#[tokio::test]
async fn a_session_that_may_not_use_ecr_is_closed() {
    let aws = Canned::start(|request, _| {
        sts(request, "111122223333").unwrap_or_else(|| json_error(400, "AccessDeniedException", ""))
    })
    .await;
    let cloud = aws.cloud(&options()).await;
    let (id, role) = ("111122223333".parse().unwrap(), "Access".parse().unwrap());
    let port = inside(&cloud, &id, REGION).await;
    assert!(cloud.sessions.entered(&id, &role).is_some());
    let error = port.repository(&name()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert!(cloud.sessions.entered(&id, &role).is_none());
}

#[tokio::test]
async fn what_is_asked_of_images_names_every_kind_of_manifest() {
    let (aws, port) = always(Answer::Says(
        200,
        r#"{"images":[],"failures":[]}"#.to_owned(),
    ))
    .await;
    port.tagged(&name(), &["keep".to_owned()]).await.unwrap();
    let body: Value = serde_json::from_str(&aws.requests("BatchGetImage")[0].body).unwrap();
    assert_eq!(body["imageIds"], json!([{"imageTag": "keep"}]));
    let types = body["acceptedMediaTypes"].to_string();
    for kind in [
        "image.manifest",
        "image.index",
        "manifest.v2",
        "manifest.list.v2",
    ] {
        assert!(types.contains(kind), "{kind}: {types}");
    }
    let (aws, port) = always(Answer::Says(
        200,
        r#"{"imageIds":[],"nextToken":"more"}"#.to_owned(),
    ))
    .await;
    assert!(port.count_images(&name()).await.unwrap().more);
    assert_eq!(aws.requests("ListImages").len(), 1);
}
