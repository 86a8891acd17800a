//! What becomes of answers that are none, and of those that say no.

use std::time::{Duration, Instant};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use bailiwick::cloud::aws::connect_with;
use bailiwick::cloud::{CloudError, ErrorKind};
use bailiwick::model::Tags;

use super::canned::{Answer, Canned, json_error, sts};
use super::{base, credentials, new_account, options};

async fn always(answer: Answer) -> Canned {
    Canned::start(move |request, _| sts(request, "").unwrap_or_else(|| answer.clone())).await
}

/// What ListRoots makes of this answer, and how often it asked.
async fn root(answer: Answer) -> (CloudError, usize) {
    let aws = always(answer).await;
    let error = aws.cloud(&options()).await.units.root().await.unwrap_err();
    assert_eq!(error.operation, "organizations.ListRoots");
    (error, aws.requests("ListRoots").len())
}

#[tokio::test]
async fn refusals_are_told_apart_and_not_repeated() {
    for (status, code, more, kind, reason) in [
        (
            400,
            "TooManyRequestsException",
            r#","Type":"RATE""#,
            ErrorKind::Throttled,
            None,
        ),
        (400, "ThrottlingException", "", ErrorKind::Throttled, None),
        (
            400,
            "ConcurrentModificationException",
            "",
            ErrorKind::Conflict,
            None,
        ),
        (
            400,
            "FinalizingOrganizationException",
            "",
            ErrorKind::Conflict,
            None,
        ),
        (
            400,
            "AWSOrganizationsNotInUseException",
            "",
            ErrorKind::Denied,
            None,
        ),
        (400, "AccessDeniedException", "", ErrorKind::Denied, None),
        (400, "ExpiredTokenException", "", ErrorKind::Denied, None),
        (
            400,
            "InvalidInputException",
            r#","Reason":"INVALID_PATTERN""#,
            ErrorKind::Invalid,
            Some("INVALID_PATTERN"),
        ),
        (400, "NeverSeenException", "", ErrorKind::Unknown, None),
    ] {
        let (error, asked) = root(json_error(status, code, more)).await;
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{error}");
        assert_eq!(error.reason.as_deref(), reason, "{error}");
        assert!(error.message.starts_with("said so"), "{error}");
        assert_eq!(asked, 1, "{error}");
    }
}

#[tokio::test]
async fn denials_say_what_to_configure() {
    for (code, words) in [
        ("ExpiredTokenException", "AWS_PROFILE"),
        ("AWSOrganizationsNotInUseException", "management account"),
        ("AccessDeniedException", "operator's role"),
    ] {
        let (error, _) = root(json_error(400, code, "")).await;
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test]
async fn what_may_pass_is_asked_once_more() {
    let page = "<!doctype html><title>500 Internal Server Error</title>".to_owned();
    for (answer, code) in [
        (Answer::Says(500, page.clone()), "HTTP 500"),
        (Answer::Says(503, String::new()), "HTTP 503"),
        (json_error(500, "ServiceException", ""), "ServiceException"),
        (Answer::HangsUp, "NoAnswer"),
    ] {
        let (error, asked) = root(answer).await;
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Unavailable, code),
            "{error}"
        );
        assert!(!error.message.contains('<'), "{error}");
        assert_eq!(asked, 2, "{error}");
    }
}

#[tokio::test]
async fn a_read_survives_one_lost_reply() {
    let aws = Canned::start(|request, number| match sts(request, "") {
        Some(answer) => answer,
        None if number == 2 => Answer::HangsUp,
        None => Answer::Says(200, r#"{"Roots":[{"Id":"r-1"}]}"#.to_owned()),
    })
    .await;
    assert_eq!(
        aws.cloud(&options()).await.units.root().await.unwrap().0,
        "r-1"
    );
}

#[tokio::test]
async fn rubbish_may_have_been_a_success() {
    for body in ["<html>", "{\"Roots\":", "{}", r#"{"Roots":[]}"#, ""] {
        let (error, _) = root(Answer::Says(200, body.to_owned())).await;
        assert!(error.kind.may_have_happened(), "{body}: {error}");
    }
}

/// The reply may be what was lost: then the call must not be made again before it was looked up.
#[tokio::test]
async fn what_cannot_be_repeated_is_not() {
    let page = Answer::Says(500, "<html>".to_owned());
    for answer in [
        Answer::HangsUp,
        page,
        json_error(500, "ServiceException", ""),
    ] {
        let aws = always(answer).await;
        let cloud = aws.cloud(&options()).await;
        let (accounts, id) = (&cloud.accounts, "111122223333".parse().unwrap());
        let (root, unit) = ("r-1".to_owned(), "ou-1".to_owned());
        let (root, unit) = (
            bailiwick::cloud::ParentId(root),
            bailiwick::cloud::ParentId(unit),
        );
        for (operation, error) in [
            (
                "CreateAccount",
                accounts
                    .create_account(&new_account("once"))
                    .await
                    .unwrap_err(),
            ),
            (
                "MoveAccount",
                accounts.move_account(&id, &root, &unit).await.unwrap_err(),
            ),
            (
                "CloseAccount",
                accounts
                    .close_account(&id, Default::default())
                    .await
                    .unwrap_err(),
            ),
            (
                "CreateOrganizationalUnit",
                cloud
                    .units
                    .create_unit(&root, "once", &Tags::new())
                    .await
                    .unwrap_err(),
            ),
        ] {
            assert!(error.kind.may_have_happened(), "{error}");
            assert_eq!(aws.requests(operation).len(), 1, "{error}");
        }
    }
}

#[tokio::test]
async fn a_limit_comes_with_its_reason() {
    for (reason, kind) in [
        ("ACCOUNT_NUMBER_LIMIT_EXCEEDED", ErrorKind::Quota),
        ("TAG_POLICY_VIOLATION", ErrorKind::Invalid),
        ("A_NEW_ONE", ErrorKind::Quota),
    ] {
        let more = format!(r#","Reason":"{reason}""#);
        let aws = always(json_error(400, "ConstraintViolationException", &more)).await;
        let cloud = aws.cloud(&options()).await;
        let error = cloud
            .accounts
            .create_account(&new_account("limit"))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind, error.reason.as_deref()),
            (kind, Some(reason)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_account_that_is_there_already_is_no_failure_to_move() {
    let aws = always(json_error(400, "DuplicateAccountException", "")).await;
    let cloud = aws.cloud(&options()).await;
    let (from, to) = ("r-1".to_owned(), "ou-1".to_owned());
    let (from, to) = (
        bailiwick::cloud::ParentId(from),
        bailiwick::cloud::ParentId(to),
    );
    let id = "111122223333".parse().unwrap();
    let error = cloud
        .accounts
        .move_account(&id, &from, &to)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::AlreadyExists, "{error}");
}

#[tokio::test]
async fn silence_ends_after_ten_seconds() {
    let aws = always(Answer::IsSilent).await;
    let cloud = aws.cloud(&options()).await;
    let start = Instant::now();
    let error = cloud
        .accounts
        .create_account(&new_account("silence"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Unavailable, "Timeout"),
        "{error}"
    );
    assert!(
        (9..20).contains(&start.elapsed().as_secs()),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(aws.requests("CreateAccount").len(), 1);
}

#[tokio::test]
async fn global_services_are_signed_for_the_home_of_their_partition() {
    for (region, told, home) in [
        ("eu-central-1", None, "us-east-1"),
        ("cn-north-1", None, "cn-northwest-1"),
        ("us-gov-east-1", None, "us-gov-west-1"),
        ("eu-central-1", Some("elsewhere-1"), "elsewhere-1"),
    ] {
        let aws = always(Answer::Says(200, r#"{"Roots":[{"Id":"r-1"}]}"#.to_owned())).await;
        let mut options = options();
        options.home_region = told.map(str::to_owned);
        let base = base(&aws.endpoint, credentials()).await.into_builder();
        let base = base.region(aws_config::Region::new(region)).build();
        let cloud = connect_with(&base, &options).await.unwrap();
        cloud.units.root().await.unwrap();
        assert!(aws.requests("ListRoots")[0].is_signed_for(home), "{region}");
        let who = &aws.requests("GetCallerIdentity")[0];
        assert!(who.is_signed_for(region), "{region}");
    }
}

/// What the default chain says where nothing is configured.
#[derive(Debug)]
struct Nothing(fn() -> CredentialsError);

impl ProvideCredentials for Nothing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(self.0()))
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let slow: fn() -> CredentialsError =
        || CredentialsError::provider_timed_out(Duration::from_secs(1));
    for (what, kind, code) in [
        (
            CredentialsError::not_loaded_no_source as fn() -> _,
            ErrorKind::Denied,
            "NoCredentials",
        ),
        (slow, ErrorKind::Unavailable, "CredentialsUnavailable"),
    ] {
        let aws = always(Answer::HangsUp).await;
        let base = base(&aws.endpoint, SharedCredentialsProvider::new(Nothing(what))).await;
        let error = connect_with(&base, &options()).await.err().unwrap();
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{error}");
        assert!(error.message.contains("AWS_PROFILE"), "{error}");
        assert!(aws.requests("GetCallerIdentity").is_empty());
    }
}
