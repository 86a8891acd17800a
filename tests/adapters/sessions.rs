//! The way into member accounts, request by request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bailiwick::cloud::ErrorKind;
use bailiwick::model::{AccountId, RoleName};

use super::canned::{Answer, Canned, sts, xml_error};
use super::options;

const MEMBER: &str = "111122223333";

fn member() -> (AccountId, RoleName) {
    (MEMBER.parse().unwrap(), "Access".parse().unwrap())
}

fn alias() -> Answer {
    let body = "<ListAccountAliasesResponse><ListAccountAliasesResult><IsTruncated>false</IsTruncated>\
         <AccountAliases><member>acme</member></AccountAliases></ListAccountAliasesResult>\
         </ListAccountAliasesResponse>";
    Answer::Says(200, body.to_owned())
}

#[tokio::test]
async fn one_session_serves_until_it_expires() {
    let aws = Canned::start(|request, _| sts(request, MEMBER).unwrap_or_else(alias)).await;
    let mut options = options();
    options.external_id = Some("shared-secret".to_owned());
    let cloud = aws.cloud(&options).await;
    let (id, role) = member();
    for _ in 0..3 {
        let inside = cloud.sessions.enter(&id, &role).await.unwrap();
        assert_eq!(inside.alias().await.unwrap().as_deref(), Some("acme"));
    }
    let assumed = aws.requests("AssumeRole");
    assert_eq!(assumed.len(), 1);
    // The partition is that of our own ARN.
    for field in [
        "RoleArn=arn%3Aaws-cn%3Aiam%3A%3A111122223333%3Arole%2FAccess",
        "RoleSessionName=bailiwick-test",
        "DurationSeconds=3600",
        "ExternalId=shared-secret",
    ] {
        assert!(
            assumed[0].body.contains(field),
            "{field} is not in {}",
            assumed[0].body
        );
    }
    // Ours once, and that of the session once.
    assert_eq!(aws.requests("GetCallerIdentity").len(), 2);
    let inside = aws.requests("ListAccountAliases");
    assert_eq!(inside.len(), 3);
    assert!(inside.iter().all(|request| {
        request.is_signed_with("ASIASESSION") && request.is_signed_for("us-east-1")
    }));
}

#[tokio::test]
async fn another_account_than_the_one_meant_is_not_entered() {
    let aws = Canned::start(|request, _| sts(request, "999988887777").unwrap_or_else(alias)).await;
    let cloud = aws.cloud(&options()).await;
    let (id, role) = member();
    let error = cloud.sessions.enter(&id, &role).await.err().unwrap();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Denied, "WrongAccount"),
        "{error}"
    );
    assert!(cloud.sessions.entered(&id, &role).is_none());
}

#[tokio::test]
async fn who_is_not_let_in_asks_again_the_next_time() {
    let closed = Arc::new(AtomicBool::new(true));
    let door = Arc::clone(&closed);
    let aws = Canned::start(move |request, _| {
        if request.operation() == "AssumeRole" && door.load(Ordering::SeqCst) {
            return xml_error(403, "AccessDenied");
        }
        sts(request, MEMBER).unwrap_or_else(alias)
    })
    .await;
    let cloud = aws.cloud(&options()).await;
    let (id, role) = member();
    let error = cloud.sessions.enter(&id, &role).await.err().unwrap();
    assert_eq!(
        (error.kind, error.operation),
        (ErrorKind::Denied, "sts.AssumeRole"),
        "{error}"
    );
    assert!(error.message.contains("trust"), "{error}");
    closed.store(false, Ordering::SeqCst);
    cloud.sessions.enter(&id, &role).await.unwrap();
    assert_eq!(aws.requests("AssumeRole").len(), 2);
}

#[tokio::test]
async fn a_session_that_may_not_do_its_work_is_closed() {
    let aws = Canned::start(|request, _| {
        sts(request, MEMBER).unwrap_or_else(|| xml_error(403, "AccessDenied"))
    })
    .await;
    let cloud = aws.cloud(&options()).await;
    let (id, role) = member();
    let inside = cloud.sessions.enter(&id, &role).await.unwrap();
    assert!(cloud.sessions.entered(&id, &role).is_some());
    assert_eq!(inside.alias().await.unwrap_err().kind, ErrorKind::Denied);
    assert!(cloud.sessions.entered(&id, &role).is_none());
}

#[tokio::test]
async fn the_errors_of_iam_are_understood() {
    for (status, code, kind) in [
        (409, "EntityAlreadyExists", ErrorKind::AlreadyExists),
        (409, "ConcurrentModification", ErrorKind::Conflict),
        (409, "LimitExceeded", ErrorKind::Quota),
        (400, "Throttling", ErrorKind::Throttled),
        (500, "ServiceFailure", ErrorKind::Unavailable),
    ] {
        let aws = Canned::start(move |request, _| {
            sts(request, MEMBER).unwrap_or_else(|| xml_error(status, code))
        })
        .await;
        let cloud = aws.cloud(&options()).await;
        let (id, role) = member();
        let inside = cloud.sessions.enter(&id, &role).await.unwrap();
        let error = inside
            .set_alias(&"acme".parse().unwrap())
            .await
            .unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{error}");
        // An alias is not asked for twice: the second answer would say that it is taken.
        assert_eq!(aws.requests("CreateAccountAlias").len(), 1);
    }
}

#[tokio::test]
async fn the_session_used_longest_ago_is_closed_for_a_new_one() {
    let aws = Canned::start(|request, _| sts(request, MEMBER).unwrap_or_else(alias)).await;
    let mut options = options();
    options.sessions = 1;
    let cloud = aws.cloud(&options).await;
    let (id, role) = member();
    let other = "Other".parse().unwrap();
    cloud.sessions.enter(&id, &role).await.unwrap();
    cloud.sessions.enter(&id, &other).await.unwrap();
    assert!(cloud.sessions.entered(&id, &role).is_none());
    assert!(cloud.sessions.entered(&id, &other).is_some());
}

/// The SDK repeats what broke, and keeps account of how much it does so. That is kept for each account by itself: one whose
/// calls all fail uses up what it may repeat, and no other's.
#[tokio::test]
async fn an_account_whose_calls_fail_takes_no_repetition_from_another() {
    const OTHER: &str = "444455556666";
    let failed_once = AtomicBool::new(false);
    let aws = Canned::start(move |request, _| {
        let others = request.is_signed_with("ASIAOTHER") || request.body.contains(OTHER);
        match sts(request, if others { OTHER } else { MEMBER }) {
            Some(Answer::Says(status, body)) if others => {
                Answer::Says(status, body.replace("ASIASESSION", "ASIAOTHER"))
            }
            Some(answer) => answer,
            None if others && failed_once.swap(true, Ordering::SeqCst) => alias(),
            None => xml_error(500, "ServiceFailure"),
        }
    })
    .await;
    let cloud = aws.cloud(&options()).await;
    let ((id, role), other) = (member(), OTHER.parse().unwrap());
    let failing = cloud.sessions.enter(&id, &role).await.unwrap();
    let mut calls = 0;
    while aws.requests("ListAccountAliases").len() == 2 * calls {
        assert!(calls < 2000, "it repeats for ever");
        let some = (0..50).map(|_| failing.alias());
        let answers = futures::future::join_all(some).await;
        assert!(answers.iter().all(Result::is_err));
        calls += answers.len();
    }
    let sound = cloud.sessions.enter(&other, &role).await.unwrap();
    let answer = sound.alias().await;
    assert_eq!(answer.expect("repeated").as_deref(), Some("acme"));
}
