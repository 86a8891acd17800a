//! What was found once is not forgotten: by a retry that must wait, a restart, a sweep that somebody else asked for, or
//! a refusal among several changes.

use std::time::Duration;

use bailiwick::cloud::NewAccount;
use bailiwick::cloud::simulated::{Options, refused, violated};
use bailiwick::model::{Tags, UnitPath};
use serde_json::json;

use crate::fate::{Aim, Fault};
use crate::world::{HOUR, MINUTE, Run, World};

const EMAIL: &str = "aws+team0-acc0@example.com";

async fn ready_with_one() -> (World, Run) {
    let world = World::with_one(true);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    (world, run)
}

/// The process is gone, and with it all that only it knew; another one has had time to say what it thinks.
async fn restarted(world: &World, run: Run) -> Run {
    run.stop();
    let mut next = world.start();
    world.pass_time(&mut next, 3 * MINUTE).await;
    next
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_must_wait_for_a_slot_does_not_fall_back_to_the_old_failure() {
    let world = World::new(Options::default(), 1);
    let names: Vec<String> = (0..9).map(|n| format!("acc{n}")).collect();
    let email = |name: &String| format!("aws+team0-{name}@example.com");
    for name in &names {
        world
            .cloud
            .fail_creation_of(&email(name), "ACCOUNT_LIMIT_EXCEEDED");
    }
    world.declare(1, names.len());
    let mut run = world.start();
    let all_failed = || {
        let failed = |name: &String| {
            world
                .ready(name)
                .is_some_and(|(_, reason, _)| reason == "CreationFailed")
        };
        names.iter().all(failed)
    };
    world.must(&mut run, "all have failed", all_failed).await;
    for name in &names {
        world.cloud.allow_creation_of(&email(name));
        world.annotate(name, "reconcile-requested-at", "mended");
    }
    // There are nine of them and five slots.
    world.must_be_ready(&mut run).await;
    world.check(names.len(), "asked once more");
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_namesake_that_fails_ends_nothing_of_ours() {
    let options = Options {
        creations_in_flight: 100,
        creation_failure: 5 * MINUTE,
        ..Options::default()
    };
    let world = World::new(options, 1);
    world.declare(1, 1);
    world.cloud.configure(|options| options.creation = HOUR);
    let mut run = world.start();
    run.fate.aim(Aim {
        start: "organizations.CreateAccount",
        has: "",
        fault: Fault::KillAfter,
        times: 1,
    });
    let fate = run.fate.clone();
    world
        .must(&mut run, "the blow", || fate.struck().is_some())
        .await;
    // Newer than ours, of the same name, and bound to fail.
    world
        .cloud
        .fail_creation_of("other@example.com", "INVALID_EMAIL");
    let theirs = NewAccount {
        email: "other@example.com".parse().unwrap(),
        name: "team0-acc0".parse().unwrap(),
        access_role: "Theirs".parse().unwrap(),
        tags: Tags::new(),
    };
    let accounts = world.cloud.cloud().accounts;
    accounts.create_account(&theirs).await.unwrap();
    world.must_be_ready(&mut run).await;
    let requests = world.cloud.requests();
    let ours = requests.iter().filter(|request| request.email == EMAIL);
    assert_eq!(ours.count(), 1, "asked for twice");
    world.check(1, "namesake");
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_lets_nobody_in_is_not_ready_after_a_restart() {
    let (world, mut run) = ready_with_one().await;
    let id = world.member("acc0").unwrap().id;
    // Old enough that it is not merely young.
    world.pass_time(&mut run, HOUR).await;
    world.cloud.set_access_role_behind(&id, None);
    // A session that is open already lasts an hour.
    world.pass_time(&mut run, 2 * HOUR).await;
    world.annotate("acc0", "reconcile-requested-at", "1");
    world.must_say(&mut run, "AccessDenied").await;
    let mut run = restarted(&world, run).await;
    let (_, reason, message) = world.ready("acc0").unwrap();
    assert_eq!(reason, "AccessDenied", "{message}");
    let role = "OrganizationAccountAccessRole".parse().unwrap();
    world.cloud.set_access_role_behind(&id, Some(role));
    // Nobody says so: it is looked at again by itself.
    world.must_be_ready(&mut run).await;
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn what_a_look_has_found_and_may_not_change_is_still_told_after_a_restart() {
    let (world, mut run) = ready_with_one().await;
    let id = world.member("acc0").unwrap().id;
    world.edit("acc0", |object| object["spec"]["mode"] = json!("Plan"));
    world.must_be_ready(&mut run).await;
    world
        .cloud
        .set_alias_behind(&id, Some("somebody-elses-word"));
    world.annotate("acc0", "reconcile-requested-at", "1");
    world.must_say(&mut run, "ChangesPlanned").await;
    let run = restarted(&world, run).await;
    let (_, reason, _) = world.ready("acc0").unwrap();
    assert_eq!(reason, "ChangesPlanned");
    let object = world.object("acc0").unwrap();
    assert_eq!(
        object["status"]["plan"][0]["action"], "CreateAccountAlias",
        "{}",
        object["status"]
    );
    run.stop();
}

/// Nobody asks for it, and the status says in one write that the account is not in order: who comes next goes by that.
#[tokio::test(start_paused = true)]
async fn a_repair_that_was_cut_off_is_made_by_whoever_comes_next() {
    let (world, mut run) = ready_with_one().await;
    let id = world.member("acc0").unwrap().id;
    assert!(world.member("acc0").unwrap().password_policy.is_some());
    world.cloud.set_policy_behind(&id, None);
    let fate = run.fate.clone();
    // The first thing that the look writes when it has found it, and before it changes anything.
    fate.aim(Aim {
        start: "Patch teamaccounts/acc0 status",
        has: " revision",
        fault: Fault::KillAfter,
        times: 1,
    });
    let found = || fate.struck().is_some();
    let came = world.until(&mut run, 48 * HOUR, found).await;
    assert!(came, "the look has found it");
    assert!(world.member("acc0").unwrap().password_policy.is_none());
    let object = world.object("acc0").unwrap();
    assert!(object["status"]["revision"].is_null(), "{object}");
    let mended = || world.member("acc0").unwrap().password_policy.is_some();
    let soon = world.until(&mut run, 10 * MINUTE, mended).await;
    assert!(soon, "{:#}", world.object("acc0").unwrap()["status"]);
    world.must_be_ready(&mut run).await;
    let told = |event: &serde_json::Value| event["reason"] == "DriftRepaired";
    let events = world.server.objects("events");
    let told = events.iter().filter(|event| told(event)).count();
    assert_eq!(told, 1, "{events:?}");
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn one_right_that_is_lacking_keeps_no_other_change_from_being_made() {
    one_that_fails_keeps_no_other("AccessDeniedException", "AwsAccessDenied").await;
}

#[tokio::test(start_paused = true)]
async fn one_call_that_never_comes_through_keeps_no_other_change_from_being_made() {
    one_that_fails_keeps_no_other("InternalServerException", "AwsUnavailable").await;
}

async fn one_that_fails_keeps_no_other(code: &str, expected: &str) {
    let world = World::with_one(true);
    let failure = refused(
        "account.PutAlternateContact",
        code,
        "trusted access for Account Management is off",
    );
    world.cloud.refuse_all(failure);
    let mut run = world.start();
    let message = world.must_say(&mut run, expected).await;
    assert!(message.contains("PutAlternateContact"), "{message}");
    // What was never as declared has not drifted.
    let (in_sync, reason, _) = world.condition("acc0", "InSync").unwrap();
    assert_eq!((in_sync.as_str(), reason.as_str()), ("False", expected));
    let (placed, ..) = world.condition("acc0", "Placed").unwrap();
    assert_eq!(placed, "True");
    let drift = world.object("acc0").unwrap()["status"]["drift"].clone();
    assert_eq!(drift[0]["action"], "PutAlternateContact", "{drift}");
    // A newborn account can be entered a little later.
    let others = || {
        let member = world.member("acc0").unwrap();
        member.alias.as_deref() == Some("acme-team0-acc0") && member.password_policy.is_some()
    };
    world.must(&mut run, "the other changes", others).await;
    world.cloud.relent("account.PutAlternateContact");
    world.must_be_ready(&mut run).await;
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn drift_that_somebody_elses_search_has_seen_is_repaired_at_once_and_told() {
    let (world, mut run) = ready_with_one().await;
    let id = world.member("acc0").unwrap().id;
    world.cloud.add_stranger("aws+team0-acc1@example.com");
    world
        .cloud
        .move_behind(&id, &"/Elsewhere".parse::<UnitPath>().unwrap());
    // Its address is taken, so it looks whose it is: with a sweep.
    world.account("acc1", json!({}));
    let taken = || {
        world
            .ready("acc1")
            .is_some_and(|(_, reason, _)| reason == "EmailTaken")
    };
    world.must(&mut run, "EmailTaken", taken).await;
    world.pass_time(&mut run, MINUTE).await;
    assert_eq!(
        world.member("acc0").unwrap().path.as_str(),
        "/Workloads/Test"
    );
    let told = |event: &serde_json::Value| {
        event["reason"] == "DriftRepaired" && event["regarding"]["name"] == "acc0"
    };
    let events = world.server.objects("events");
    assert_eq!(
        events.iter().filter(|event| told(event)).count(),
        1,
        "{events:?}"
    );
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_the_queue_is_told_where_it_stands() {
    let world = World::new(Options::default(), 1);
    world.declare(2, 6);
    let mut run = world.start();
    world.pass_time(&mut run, Duration::from_secs(20)).await;
    let all = world.server.objects("teamaccounts");
    let waiting: Vec<_> = all
        .iter()
        .filter(|object| !object["status"]["queue"].is_null())
        .collect();
    assert!(waiting.len() >= 7, "{} wait", waiting.len());
    for object in waiting {
        let queue = &object["status"]["queue"];
        let place = queue["position"].as_i64().unwrap();
        assert!(!queue["estimatedStart"].is_null(), "{queue}");
        let ready = object["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .find(|condition| condition["type"] == "Ready")
            .unwrap();
        assert_eq!(ready["reason"], "Queued");
        let sentence = format!("about {place} come first");
        assert!(
            ready["message"].as_str().unwrap().contains(&sentence),
            "{ready}"
        );
    }
    world.must_be_ready(&mut run).await;
    let left = world.server.objects("teamaccounts");
    assert!(
        left.iter()
            .all(|object| object["status"]["queue"].is_null())
    );
    run.stop();
}

/// Three are closed at a time: the fourth waits some minutes, and not for an hour.
#[tokio::test(start_paused = true)]
async fn who_waits_for_other_closings_waits_minutes() {
    let (world, mut run) = ready_with_one().await;
    let id = world.member("acc0").unwrap().id;
    world.edit("acc0", |object| {
        object["spec"]["deletionPolicy"] = json!("Close");
    });
    world.annotate("acc0", "confirm-close", id.as_str());
    world.must_be_ready(&mut run).await;
    let refused = violated(
        "organizations.CloseAccount",
        "CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED",
    );
    world.cloud.refuse_next(refused);
    world.delete("acc0");
    let limited = || {
        world.ready("acc0").is_some_and(|(_, reason, message)| {
            reason == "AwaitingClosure" && message.contains("every 5 minutes")
        })
    };
    world.must(&mut run, "the limit is told", limited).await;
    let gone = || world.object("acc0").is_none();
    assert!(world.until(&mut run, 6 * MINUTE, gone).await, "by now");
    assert!(world.cloud.account(&id).unwrap().state.is_leaving());
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn aws_s_own_limit_on_closing_is_waited_for() {
    let (world, mut run) = ready_with_one().await;
    let id = world.member("acc0").unwrap().id;
    world
        .cloud
        .configure(|options| options.close_quota = Some(0));
    world.edit("acc0", |object| {
        object["spec"]["deletionPolicy"] = json!("Close");
    });
    world.annotate("acc0", "confirm-close", id.as_str());
    world.must_be_ready(&mut run).await;
    world.delete("acc0");
    let limited = || {
        world.ready("acc0").is_some_and(|(_, reason, message)| {
            reason == "AwaitingClosure" && message.contains("CLOSE_ACCOUNT_QUOTA_EXCEEDED")
        })
    };
    world.must(&mut run, "the limit is told", limited).await;
    let reconciling = world.condition("acc0", "Reconciling");
    assert!(
        reconciling.is_some(),
        "waiting is nothing that stands still"
    );
    world
        .cloud
        .configure(|options| options.close_quota = Some(1));
    world
        .must(&mut run, "it is gone", || world.object("acc0").is_none())
        .await;
    assert!(world.cloud.account(&id).unwrap().state.is_leaving());
    run.stop();
}
