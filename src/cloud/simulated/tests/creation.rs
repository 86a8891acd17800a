use super::super::{CONSTRAINT_VIOLATIONS, CREATION_FAILURES, SlotRefusal};
use super::*;
use crate::cloud::RequestId;
use crate::model::AccountState;

#[tokio::test(start_paused = true)]
async fn a_creation_takes_its_time_and_the_account_its_own() {
    let (sim, cloud) = organization(punctual());
    let request = cloud
        .accounts
        .create_account(&new_account("pay"))
        .await
        .unwrap();
    assert!(request.id.0.starts_with("car-"));
    assert_eq!(request.state, RequestState::InProgress);
    assert_eq!(sim.account_count(), 0);

    pass(59).await;
    assert_eq!(state_of(&cloud, &request).await, RequestState::InProgress);
    pass(1).await;
    let done = cloud.accounts.create_request(&request.id).await.unwrap();
    let RequestState::Succeeded(id) = done.state else {
        panic!("{done:?}")
    };
    let took = done
        .completed
        .unwrap()
        .duration_since(done.requested.unwrap());
    assert_eq!(took.as_secs(), 60);

    let account = cloud.accounts.account(&id).await.unwrap();
    assert_eq!(account.state, AccountState::PendingActivation);
    assert_eq!(account.joined, done.completed);
    assert_eq!(cloud.accounts.parent_of(&id).await.unwrap(), sim.root_id());
    assert_eq!(
        cloud.accounts.tags(&id).await.unwrap(),
        tags(&[("bailiwick.dev/uid", "pay")])
    );
    let role = "Access".parse().unwrap();
    assert!(matches!(cloud.sessions.enter(&id, &role).await, Err(e) if e.code == "AccessDenied"));

    pass(20).await;
    assert_eq!(
        cloud.accounts.account(&id).await.unwrap().state,
        AccountState::Active
    );
    assert!(cloud.sessions.enter(&id, &role).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_duration_varies_within_the_jitter() {
    let (sim, cloud) = organization(Options {
        creations_in_flight: 40,
        ..Options::default()
    });
    for n in 0..40 {
        cloud
            .accounts
            .create_account(&new_account(&format!("a{n}")))
            .await
            .unwrap();
    }
    pass(44).await;
    assert_eq!(sim.in_flight(), 40);
    pass(16).await;
    assert!((5..35).contains(&sim.in_flight()), "{}", sim.in_flight());
    pass(15).await;
    assert_eq!(sim.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn at_most_five_are_in_flight() {
    let (sim, cloud) = organization(punctual());
    for n in 0..5 {
        cloud
            .accounts
            .create_account(&new_account(&format!("a{n}")))
            .await
            .unwrap();
    }
    let refused = cloud
        .accounts
        .create_account(&new_account("a5"))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.kind, refused.code.as_str()),
        (ErrorKind::Throttled, "TooManyRequestsException")
    );
    sim.configure(|options| options.slot_refusal = SlotRefusal::CreationRateLimit);
    let refused = cloud.accounts.create_account(&new_account("a5")).await;
    assert_eq!(reason(refused), "ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED");

    pass(60).await;
    cloud
        .accounts
        .create_account(&new_account("a5"))
        .await
        .unwrap();
    pass(30).await;
    assert_eq!(sim.most_in_flight(), 5);
    assert_eq!(sim.busy_slot_time(), Duration::from_secs(5 * 60 + 30));
    let counted = sim.calls_of("organizations.CreateAccount");
    assert_eq!((counted.calls, counted.throttled), (8, 1));
}

#[tokio::test(start_paused = true)]
async fn a_taken_address_fails_in_the_end_whoever_has_it() {
    let (sim, cloud) = organization(punctual());
    sim.add_stranger("Theirs@example.com");
    sim.add_member("ours@example.com", "ours", Tags::new());
    for name in ["theirs", "ours", "OURS"] {
        let request = cloud
            .accounts
            .create_account(&new_account(name))
            .await
            .unwrap();
        pass(10).await;
        let expected = RequestState::Failed("EMAIL_ALREADY_EXISTS".into());
        assert_eq!(state_of(&cloud, &request).await, expected, "{name}");
    }
    assert_eq!(sim.account_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_request_twice_makes_one_account() {
    let (sim, cloud) = organization(punctual());
    let first = cloud
        .accounts
        .create_account(&new_account("twin"))
        .await
        .unwrap();
    let second = cloud
        .accounts
        .create_account(&new_account("twin"))
        .await
        .unwrap();
    pass(60).await;
    assert!(matches!(
        state_of(&cloud, &first).await,
        RequestState::Succeeded(_)
    ));
    let expected = RequestState::Failed("CONCURRENT_ACCOUNT_MODIFICATION".into());
    assert_eq!(state_of(&cloud, &second).await, expected);
    assert!(sim.duplicates().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_failure_can_be_had_and_frees_the_address() {
    let (sim, cloud) = organization(punctual());
    for reason in CREATION_FAILURES {
        sim.fail_next_creation(reason);
        let request = cloud
            .accounts
            .create_account(&new_account("pay"))
            .await
            .unwrap();
        pass(10).await;
        let expected = RequestState::Failed((*reason).to_owned());
        assert_eq!(state_of(&cloud, &request).await, expected);
    }
    sim.fail_creation_of("PAY@example.com", "INVALID_EMAIL");
    let request = cloud
        .accounts
        .create_account(&new_account("pay"))
        .await
        .unwrap();
    pass(10).await;
    let expected = RequestState::Failed("INVALID_EMAIL".into());
    assert_eq!(state_of(&cloud, &request).await, expected);
    sim.allow_creation_of("pay@example.com");
    created(&cloud, "pay").await;
}

#[tokio::test(start_paused = true)]
async fn every_constraint_violation_can_be_had() {
    let (sim, cloud) = organization(punctual());
    for expected in CONSTRAINT_VIOLATIONS {
        sim.violate_next("organizations.CreateAccount", expected);
        let refused = cloud
            .accounts
            .create_account(&new_account("pay"))
            .await
            .unwrap_err();
        assert_eq!(refused.code, "ConstraintViolationException");
        assert_eq!(refused.reason.as_deref(), Some(*expected));
    }
    assert!(sim.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_account_limit_counts_creations_in_flight() {
    let (_sim, cloud) = organization(Options {
        account_limit: 3,
        ..punctual()
    });
    created(&cloud, "one").await;
    cloud
        .accounts
        .create_account(&new_account("two"))
        .await
        .unwrap();
    let refused = cloud
        .accounts
        .create_account(&new_account("three"))
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Quota);
    assert_eq!(
        refused.reason.as_deref(),
        Some("ACCOUNT_NUMBER_LIMIT_EXCEEDED")
    );
}

#[tokio::test(start_paused = true)]
async fn bad_tags_fail_the_whole_request() {
    let (sim, cloud) = organization(punctual());
    let mut new = new_account("pay");
    new.tags.insert("aws:mine".into(), "x".into());
    let refused = cloud.accounts.create_account(&new).await;
    assert_eq!(reason(refused), "INVALID_SYSTEM_TAGS_PARAMETER");
    new.tags = (0..51).map(|n| (format!("k{n}"), String::new())).collect();
    assert_eq!(
        reason(cloud.accounts.create_account(&new).await),
        "MAX_TAG_LIMIT_EXCEEDED"
    );
    assert!(sim.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_are_remembered_and_listed_newest_first() {
    let (sim, cloud) = organization(Options {
        creations_in_flight: 100,
        ..punctual()
    });
    for n in 0..45 {
        cloud
            .accounts
            .create_account(&new_account(&format!("a{n:02}")))
            .await
            .unwrap();
        pass(2).await;
    }
    let accounts = &cloud.accounts;
    let list = |only| all(move |page| accounts.create_requests(only, page));
    // Two seconds apart, a minute each: the first thirteen or so are done.
    let (requests, pages) = list(false).await;
    assert_eq!((requests.len(), pages), (45, 3));
    assert_eq!(requests[0].account_name, "a44");
    assert_eq!(requests[44].account_name, "a00");
    let (open, pages) = list(true).await;
    assert_eq!(open.len(), sim.in_flight());
    assert_eq!(pages, 2);
    assert!(
        open.iter()
            .all(|request| request.state == RequestState::InProgress)
    );

    sim.configure(|options| options.oldest_requests_first = true);
    let (requests, _) = list(false).await;
    assert_eq!(requests[0].account_name, "a00");
    assert_eq!(requests.len(), 45);
    let (open, _) = list(true).await;
    assert_eq!(open.len(), sim.in_flight());
    assert_eq!(open.last().unwrap().account_name, "a44");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_request_is_not_found() {
    let (_sim, cloud) = organization(punctual());
    let answer = cloud
        .accounts
        .create_request(&RequestId("car-none".into()))
        .await;
    assert_eq!(kind(answer), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_creation_without_duration_ends_at_once() {
    let zero = Duration::ZERO;
    let (sim, cloud) = organization(Options {
        creation: zero,
        activation: zero,
        ..punctual()
    });
    let request = cloud
        .accounts
        .create_account(&new_account("pay"))
        .await
        .unwrap();
    assert_eq!(request.state, RequestState::InProgress);
    assert!(matches!(
        state_of(&cloud, &request).await,
        RequestState::Succeeded(_)
    ));
    assert_eq!(
        sim.account_by_email("pay@example.com").unwrap().state,
        AccountState::Active
    );
}
