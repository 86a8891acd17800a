//! What AWS refuses, and why: each reason is retried, waits for a person, or is the spec's own error.

use bailiwick::cloud::ErrorKind::{Conflict, Denied, Invalid, Quota, Throttled};
use bailiwick::cloud::aws::constraint_kind;
use bailiwick::cloud::simulated::{
    CONSTRAINT_VIOLATIONS, CREATION_FAILURES, Options, SlotRefusal, invalid_input, refused,
    violated,
};
use bailiwick::model::{TAG_UID, Tags};
use bailiwick::plan::creation::{self, Verdict};
use serde_json::json;

use crate::fate::{Aim, Fault};
use crate::world::{HOUR, MINUTE, World};

const CREATE: &str = "organizations.CreateAccount";
const EMAIL: &str = "aws+team0-acc0@example.com";

/// What a reason asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// Nothing: it is tried again.
    Time,
    /// Somebody outside.
    Person,
    /// Another spec.
    Spec,
    /// A look at whose the address is.
    Address,
}

fn failure_asks(reason: &str) -> Asks {
    match reason {
        "CONCURRENT_ACCOUNT_MODIFICATION" | "INTERNAL_FAILURE" | "PENDING_BUSINESS_VALIDATION" => {
            Asks::Time
        }
        "INVALID_EMAIL" => Asks::Spec,
        "EMAIL_ALREADY_EXISTS" => Asks::Address,
        _ => Asks::Person,
    }
}

fn constraint_asks(reason: &str) -> Asks {
    match reason {
        "ACCOUNT_CREATION_NOT_COMPLETE"
        | "ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED"
        | "CLOSE_ACCOUNT_QUOTA_EXCEEDED"
        | "CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED"
        | "HANDSHAKE_RATE_LIMIT_EXCEEDED"
        | "TRANSFER_RESPONSIBILITY_SOURCE_DELETION_IN_PROGRESS"
        | "TRANSFER_RESPONSIBILITY_TARGET_DELETION_IN_PROGRESS"
        | "WAIT_PERIOD_ACTIVE" => Asks::Time,
        "CANNOT_CLOSE_MANAGEMENT_ACCOUNT"
        | "MAX_TAG_LIMIT_EXCEEDED"
        | "OU_DEPTH_LIMIT_EXCEEDED"
        | "TAG_POLICY_VIOLATION" => Asks::Spec,
        _ => Asks::Person,
    }
}

/// What the edge makes of a reason, and what a controller: the one must not say to wait where the other says to ask
/// somebody; and nobody is sent to look up what is known.
#[test]
fn every_constraint_is_one_thing_to_the_edge_and_to_the_plan() {
    let unknown = creation::constraint("NEVER_SEEN");
    for reason in CONSTRAINT_VIOLATIONS {
        let (kind, verdict) = (constraint_kind(reason), creation::constraint(reason));
        assert_ne!(verdict, unknown, "{reason} is not known");
        let fits = match verdict {
            Verdict::Retry => matches!(kind, Conflict | Throttled | Quota),
            Verdict::Person(_) => matches!(kind, Denied | Invalid | Quota),
            Verdict::Spec(_) => kind == Invalid,
            Verdict::EmailTaken => false,
        };
        assert!(fits, "{reason}: {kind:?}, and {verdict:?}");
        if let Verdict::Person(what) = verdict {
            let who = ["the platform team", "the owner of", "whoever reads"];
            let named = who.iter().any(|who| what.contains(who));
            assert!(named && what.contains("must"), "{reason}: {what}");
        }
    }
}

/// A person says that the cause is mended, as the message tells them to.
fn ask_again(world: &World) {
    world.annotate("acc0", "reconcile-requested-at", "now");
}

/// What a refused creation shows, and that it is not tried again by itself; then the cause is mended.
async fn is_judged(world: World, reason: &str, asks: Asks, mend: impl FnOnce(&World)) {
    let mut run = world.start();
    let (says, stalled) = match asks {
        Asks::Time => (None, false),
        Asks::Person => (Some("CreationFailed"), true),
        Asks::Spec => (Some("InvalidSpec"), true),
        Asks::Address => (Some("EmailTaken"), true),
    };
    world.pass_time(&mut run, MINUTE).await;
    let (_, said, message) = world.ready("acc0").expect("a condition");
    match says {
        Some(says) => {
            assert_eq!(said, says, "{reason}: {message}");
            let names = asks == Asks::Address || message.contains(reason);
            assert!(names, "{reason} is not in {message:?}");
        }
        None => assert!(
            ["CreationFailed", "Queued"].contains(&said.as_str()),
            "{reason}: {said}"
        ),
    }
    let is_stalled = world.condition("acc0", "Stalled").is_some();
    assert_eq!(is_stalled, stalled, "{reason}: {said}: {message}");
    let asked = world.cloud.calls_of(CREATE).calls;
    world.pass_time(&mut run, HOUR).await;
    let again = world.cloud.calls_of(CREATE).calls - asked;
    if asks == Asks::Time {
        assert!(
            (2..300).contains(&again),
            "{reason}: tried {again} times more"
        );
    } else {
        assert_eq!(again, 0, "{reason}: tried again by itself");
        let (_, later, _) = world.ready("acc0").unwrap();
        assert_eq!(
            Some(later.as_str()),
            says,
            "{reason}: says something else later"
        );
    }
    mend(&world);
    match asks {
        Asks::Time => {}
        Asks::Person => ask_again(&world),
        Asks::Spec | Asks::Address => world.edit("acc0", |object| {
            object["spec"]["email"] = json!("aws+other@example.com");
        }),
    }
    world.must_be_ready(&mut run).await;
    world.check(1, reason);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn every_failure_of_a_creation_is_judged() {
    for reason in CREATION_FAILURES {
        let world = World::with_one(true);
        world.cloud.fail_creation_of(EMAIL, reason);
        let mend = |world: &World| world.cloud.allow_creation_of(EMAIL);
        is_judged(world, reason, failure_asks(reason), mend).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_constraint_that_a_creation_can_meet_is_judged() {
    for reason in CONSTRAINT_VIOLATIONS {
        let world = World::with_one(true);
        world.cloud.refuse_all(violated(CREATE, reason));
        let mend = |world: &World| world.cloud.relent(CREATE);
        is_judged(world, reason, constraint_asks(reason), mend).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_input_that_aws_refuses_is_the_specs_error() {
    let world = World::with_one(true);
    world
        .cloud
        .refuse_all(invalid_input(CREATE, "INVALID_PATTERN"));
    let mend = |world: &World| world.cloud.relent(CREATE);
    is_judged(world, "INVALID_PATTERN", Asks::Spec, mend).await;
}

#[tokio::test(start_paused = true)]
async fn rights_that_lack_are_tried_again_when_somebody_may_have_given_them() {
    let world = World::with_one(true);
    let denied = refused(
        CREATE,
        "AccessDeniedException",
        "You don't have permissions.",
    );
    world.cloud.refuse_all(denied);
    let mut run = world.start();
    let message = world.must_say(&mut run, "AwsAccessDenied").await;
    assert!(message.contains("CreateAccount"), "{message}");
    world.cloud.relent(CREATE);
    let ready = world
        .until(&mut run, HOUR / 3, || world.unready().is_empty())
        .await;
    assert!(ready, "{:?}", world.ready("acc0"));
    world.check(1, "denied");
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn slots_that_others_hold_are_waited_for_whatever_aws_calls_it() {
    for slot_refusal in [SlotRefusal::TooManyRequests, SlotRefusal::CreationRateLimit] {
        let options = Options {
            creations_in_flight: 2,
            slot_refusal,
            ..Options::default()
        };
        let world = World::new(options, 2);
        world.declare(3, 3);
        let mut run = world.start();
        world.must_be_ready(&mut run).await;
        world.check(9, &format!("{slot_refusal:?}"));
        let calls = world.cloud.calls_of(CREATE);
        assert!(calls.calls <= 40, "{slot_refusal:?}: {calls:?}");
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_of_a_member_is_offered_for_adoption_and_nothing_is_changed() {
    let world = World::with_one(false);
    let id = world.cloud.add_member(EMAIL, "By hand", Tags::new());
    let before = world.cloud.account(&id).unwrap();
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let writes = world.cloud.writes();
    world.account("acc0", json!({}));
    let message = world.must_say(&mut run, "EmailTakenByMember").await;
    assert!(
        message.contains(id.as_str()) && message.contains("spec.accountId"),
        "{message}"
    );
    world.pass_time(&mut run, HOUR).await;
    assert_eq!(world.cloud.account(&id).unwrap(), before);
    assert_eq!(world.cloud.writes(), writes, "nothing may be written");
    world.edit("acc0", |object| {
        object["spec"]["accountId"] = json!(id.as_str())
    });
    world.must_be_ready(&mut run).await;
    world.check(1, "adopted");
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_address_that_a_member_took_meanwhile_is_offered_for_adoption() {
    let world = World::with_one(true);
    world.cloud.fail_creation_of(EMAIL, "EMAIL_ALREADY_EXISTS");
    let mut run = world.start();
    world
        .must(&mut run, "a request", || !world.cloud.requests().is_empty())
        .await;
    let id = world.cloud.add_member(EMAIL, "By hand", Tags::new());
    let before = world.cloud.account(&id).unwrap();
    world.must_say(&mut run, "EmailTakenByMember").await;
    world.pass_time(&mut run, HOUR).await;
    assert_eq!(world.cloud.account(&id).unwrap(), before);
    assert_eq!(world.cloud.requests().len(), 1);
    world.edit("acc0", |object| {
        object["spec"]["accountId"] = json!(id.as_str())
    });
    world.must_be_ready(&mut run).await;
    world.check(1, "adopted");
    let name = world.member("acc0").unwrap().name;
    assert_eq!(name, "By hand", "the creation that failed names nothing");
    run.stop();
}

/// What a deletion left with its tags is nobody's to adopt until they are taken off, and so says whoever finds it.
#[tokio::test(start_paused = true)]
async fn an_address_of_another_objects_account_is_not_offered_for_adoption() {
    let world = World::with_one(false);
    world.account("acc0", json!({"deletionPolicy": "Quarantine"}));
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let id = world.member("acc0").unwrap().id;
    world.delete("acc0");
    let gone = || world.object("acc0").is_none();
    world.must(&mut run, "the object is gone", gone).await;
    let before = world.cloud.account(&id).unwrap();
    world.account("acc0", json!({}));
    let message = world.must_say(&mut run, "OwnedByOther").await;
    for word in [
        EMAIL,
        id.as_str(),
        "TeamAccount/team-team0/acc0",
        &before.tags[TAG_UID],
        "spec.email",
        "remove the account's bailiwick.dev/ tags",
    ] {
        assert!(message.contains(word), "{word}: {message}");
    }
    assert_eq!(world.cloud.account(&id).unwrap(), before);
    for key in before.tags.keys() {
        world.cloud.retag_behind(&id, key, None);
    }
    world.edit("acc0", |object| {
        object["spec"]["accountId"] = json!(id.as_str())
    });
    // At once: that the tags are gone no sweep has told.
    let ready = || world.is_ready("acc0");
    assert!(
        world.until(&mut run, 2 * MINUTE, ready).await,
        "{:?}",
        world.ready("acc0")
    );
    world.check(1, "adopted");
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_address_of_a_stranger_is_the_specs_error_and_another_one_helps() {
    let world = World::with_one(true);
    world.cloud.add_stranger(EMAIL);
    let mut run = world.start();
    let message = world.must_say(&mut run, "EmailTaken").await;
    assert!(
        message.contains(EMAIL) && message.contains("spec.email"),
        "{message}"
    );
    world.pass_time(&mut run, HOUR).await;
    assert_eq!(world.cloud.requests().len(), 1, "AWS knows already");
    world.edit("acc0", |object| {
        object["spec"]["email"] = json!("aws+other@example.com")
    });
    world.must_be_ready(&mut run).await;
    world.check(1, "another address");
    run.stop();
}

/// Creations whose class has become another meanwhile: AWS goes on with them, and who looks on must not lose them.
async fn begun_and_not_valid_any_more(fault: Option<Fault>) {
    let world = World::with_one(false);
    world.cloud.configure(|options| options.creation = HOUR / 2);
    let names: Vec<String> = (0..5).map(|n| format!("acc{n}")).collect();
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    if let Some(fault) = fault {
        let (start, has) = (CREATE, "");
        run.fate.aim(Aim {
            start,
            has,
            fault,
            times: 1,
        });
    }
    for name in &names {
        world.account(name, json!({}));
    }
    let begun = || world.cloud.requests().len() == names.len();
    world.must(&mut run, "all slots are taken", begun).await;
    let mut class = world.server.get("accountclasses", "", "test").unwrap();
    class["spec"]["regions"] = json!(["us-east-1"]);
    world.server.put(&class).unwrap();
    let ids = || names.iter().filter(|name| world.member(name).is_some());
    let all = || ids().count() == names.len();
    let came = world.until(&mut run, HOUR, all).await;
    assert!(came, "{fault:?}: {} ids are recorded", ids().count());
    for name in &names {
        let says = || {
            world.ready(name).is_some_and(|(_, reason, message)| {
                reason == "InvalidSpec" && message.contains("spec.regions")
            })
        };
        world.must(&mut run, "InvalidSpec", says).await;
        let (created, ..) = world.condition(name, "Created").unwrap();
        assert_eq!(created, "True", "{name}");
    }
    // Whoever can be made is: no slot is held by those that cannot.
    world.account("other", json!({"regions": ["us-east-1"]}));
    let made = || world.is_ready("other");
    assert!(world.until(&mut run, 2 * HOUR, made).await, "{fault:?}");
    class = world.server.get("accountclasses", "", "test").unwrap();
    class["spec"]["regions"] = json!(["us-east-1", "eu-central-1"]);
    world.server.put(&class).unwrap();
    world.must_be_ready(&mut run).await;
    world.check(names.len() + 1, &format!("{fault:?}"));
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_creation_whose_class_is_not_valid_any_more_is_followed_to_its_end() {
    for fault in [None, Some(Fault::KillAfter)] {
        begun_and_not_valid_any_more(fault).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_of_no_valid_class_lets_go_of_what_aws_was_creating() {
    let world = World::with_one(true);
    world.cloud.configure(|options| options.creation = HOUR / 2);
    let mut run = world.start();
    let begun = || !world.cloud.requests().is_empty();
    world.must(&mut run, "a request", begun).await;
    let mut class = world.server.get("accountclasses", "", "test").unwrap();
    class["spec"]["regions"] = json!(["us-east-1"]);
    world.server.put(&class).unwrap();
    world.delete("acc0");
    world.pass_time(&mut run, 10 * MINUTE).await;
    assert!(world.object("acc0").is_some(), "AWS is still at it");
    let gone = || world.object("acc0").is_none();
    assert!(world.until(&mut run, HOUR, gone).await, "it stays for ever");
    let account = world.cloud.account_by_email(EMAIL).expect("it is kept");
    assert!(
        !account.tags.contains_key(TAG_UID),
        "nobody's any more: {account:?}"
    );
    run.stop();
}
