//! What somebody changed is found, put right, or told truly: a status says of an account only what was looked at.

use bailiwick::cloud::simulated::{refused, violated};
use bailiwick::model::{AccountId, Tags, UnitPath};
use serde_json::{Value, json};

use crate::fate::{Aim, Fault};
use crate::world::{HOUR, MINUTE, Run, World};

const MOVE: &str = "organizations.MoveAccount";

fn elsewhere() -> UnitPath {
    "/Workloads/New".parse().unwrap()
}

/// A world whose account is Ready, its operator, and the account's id.
async fn ready() -> (World, Run, AccountId) {
    let world = World::with_one(true);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    in_order(&world);
    let id = world.member("acc0").unwrap().id;
    (world, run, id)
}

/// What the conditions say of an account in which nothing is amiss.
#[track_caller]
fn in_order(world: &World) {
    let says = |type_| world.condition("acc0", type_).unwrap();
    let (placed, reason, message) = says("Placed");
    assert_eq!((placed.as_str(), reason.as_str()), ("True", "Placed"));
    assert!(message.contains("/Workloads/Test"), "{message}");
    let (in_sync, reason, _) = says("InSync");
    assert_eq!((in_sync.as_str(), reason.as_str()), ("True", "InSync"));
    let status = &world.object("acc0").unwrap()["status"];
    assert!(status["drift"].is_null(), "{status}");
    assert_eq!(status["organizationalUnit"]["path"], "/Workloads/Test");
}

fn is_placed(world: &World, id: &AccountId) -> bool {
    world.cloud.account(id).unwrap().path.as_str() == "/Workloads/Test"
}

/// The actions in `status.drift`.
fn drift(world: &World) -> Vec<String> {
    let status = &world.object("acc0").unwrap()["status"];
    let list = status["drift"].as_array().cloned().unwrap_or_default();
    let action = |change: &Value| change["action"].as_str().unwrap().to_owned();
    list.iter().map(action).collect()
}

fn repairs(world: &World) -> usize {
    let events = world.server.objects("events");
    let told = |event: &&Value| event["reason"] == "DriftRepaired";
    events.iter().filter(told).count()
}

#[tokio::test(start_paused = true)]
async fn an_account_in_a_unit_that_no_sweep_has_seen_is_moved_back() {
    let (world, mut run, id) = ready().await;
    world.cloud.move_behind(&id, &elsewhere());
    // Asked for at once: no sweep has come by that would know the new unit.
    world.annotate("acc0", "reconcile-requested-at", "1");
    let back = || is_placed(&world, &id);
    assert!(world.until(&mut run, HOUR, back).await, "it stays there");
    world.must_be_ready(&mut run).await;
    in_order(&world);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_member_in_a_unit_that_no_sweep_has_seen_is_adopted_and_moved() {
    let world = World::with_one(false);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let id = world
        .cloud
        .add_member("hand@example.com", "By hand", Tags::new());
    world.cloud.move_behind(&id, &elsewhere());
    world.account("acc0", json!({"accountId": id.as_str()}));
    world.must_be_ready(&mut run).await;
    assert!(is_placed(&world, &id), "Ready, and not where it belongs");
    in_order(&world);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn drift_that_aws_keeps_from_being_repaired_is_told_until_it_is() {
    let denied = refused(MOVE, "AccessDeniedException", "a policy denies it");
    // Both ways to say no: a right that is lacking, and a rule of the organization.
    for (refusal, says) in [
        (denied, "AwsAccessDenied"),
        (
            violated(MOVE, "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE"),
            "AwsRefused",
        ),
    ] {
        let (world, mut run, id) = ready().await;
        world.cloud.refuse_all(refusal);
        world.cloud.move_behind(&id, &elsewhere());
        world.cloud.rename_behind(&id, "somebody's");
        world.must_say(&mut run, says).await;
        assert_eq!(world.member("acc0").unwrap().name, "team0-acc0");
        for type_ in ["Placed", "InSync"] {
            let (status, reason, message) = world.condition("acc0", type_).unwrap();
            let said = (status.as_str(), reason.as_str());
            assert_eq!(said, ("False", "Drifted"), "{type_}: {message}");
            assert!(
                message.contains("MoveAccount → /Workloads/Test"),
                "{message}"
            );
        }
        assert_eq!(drift(&world), ["MoveAccount"]);
        // What could be put right was, and is told; the rest is when it is done.
        assert_eq!(repairs(&world), 1);
        world.pass_time(&mut run, HOUR).await;
        assert_eq!(
            (drift(&world), repairs(&world)),
            (vec![MOVE[14..].to_owned()], 1)
        );
        world.cloud.relent(MOVE);
        world.must_be_ready(&mut run).await;
        assert!(is_placed(&world, &id));
        in_order(&world);
        assert_eq!(repairs(&world), 2);
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_gone_or_shut_is_not_said_to_be_in_order() {
    let (world, mut run, id) = ready().await;
    let state = bailiwick::model::AccountState::Suspended;
    world.cloud.set_state_behind(&id, state);
    world.must_say(&mut run, "AccountSuspended").await;
    let (in_sync, reason, _) = world.condition("acc0", "InSync").unwrap();
    assert_eq!(
        (in_sync.as_str(), reason.as_str()),
        ("False", "AccountSuspended")
    );
    world.cloud.leave_behind(&id);
    world.must_say(&mut run, "NotAMember").await;
    for type_ in ["Created", "Placed", "InSync"] {
        let (status, reason, _) = world.condition("acc0", type_).unwrap();
        assert_eq!((status.as_str(), reason.as_str()), ("False", "NotAMember"));
    }
    run.stop();
    let (world, mut run, id) = ready().await;
    world.cloud.set_access_role_behind(&id, None);
    world.pass_time(&mut run, 2 * HOUR).await;
    world.annotate("acc0", "reconcile-requested-at", "1");
    world.must_say(&mut run, "AccessDenied").await;
    let (in_sync, reason, _) = world.condition("acc0", "InSync").unwrap();
    assert_eq!(
        (in_sync.as_str(), reason.as_str()),
        ("False", "AccessDenied")
    );
    world.pass_time(&mut run, MINUTE).await;
    run.stop();
}

fn tagged(world: &World, tags: Value) {
    let mut class = world.server.get("accountclasses", "", "test").unwrap();
    class["spec"]["tags"] = tags;
    assert!(world.server.put(&class).is_some());
}

async fn keys(world: &World, run: &mut Run) -> Vec<String> {
    world.must_be_ready(run).await;
    world.pass_time(run, MINUTE).await;
    world.must_be_ready(run).await;
    let tags = world.member("acc0").unwrap().tags;
    let keys = tags.into_keys();
    keys.filter(|key| !key.starts_with("bailiwick.dev/"))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_dropped_goes_and_one_that_is_not_ours_stays() {
    let (world, mut run, id) = ready().await;
    world.cloud.retag_behind(&id, "somebodys", Some("1"));
    tagged(&world, json!({"stage": "test", "more": "1"}));
    assert_eq!(keys(&world, &mut run).await, ["more", "somebodys", "stage"]);
    // One that the account was born with, and one that came later.
    tagged(&world, json!({}));
    assert_eq!(keys(&world, &mut run).await, ["somebodys"]);
    let left = &world.object("acc0").unwrap()["status"]["tagKeys"];
    assert!(left.is_null(), "{left}");
    // Once it is gone, it is nobody's: who sets it by hand keeps it.
    world.cloud.retag_behind(&id, "more", Some("2"));
    world.annotate("acc0", "reconcile-requested-at", "1");
    world.pass_time(&mut run, HOUR).await;
    assert_eq!(keys(&world, &mut run).await, ["more", "somebodys"]);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn what_an_adopted_account_bears_already_is_not_ours_to_remove() {
    let world = World::with_one(false);
    let tags = [("stage", "test"), ("more", "0")];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let id = world
        .cloud
        .add_member("hand@example.com", "By hand", Tags::from(tags));
    tagged(&world, json!({"stage": "test", "more": "1"}));
    world.account("acc0", json!({"accountId": id.as_str()}));
    let mut run = world.start();
    assert_eq!(keys(&world, &mut run).await, ["more", "stage"]);
    tagged(&world, json!({}));
    // What we have changed is ours; what was as declared is not.
    assert_eq!(keys(&world, &mut run).await, ["stage"]);
    run.stop();
}

/// Whenever it is killed, it knows which tags are its own.
#[tokio::test(start_paused = true)]
async fn a_tag_whose_setting_was_cut_off_is_known_to_be_ours() {
    for fault in Fault::AT_WRITES {
        let (world, mut run, _) = ready().await;
        run.fate.aim(Aim {
            start: "organizations.TagResource",
            has: "",
            fault,
            times: 1,
        });
        let fate = run.fate.clone();
        tagged(&world, json!({"stage": "test", "more": "1"}));
        let struck = || fate.struck().is_some();
        world.must(&mut run, "the blow", struck).await;
        tagged(&world, json!({"stage": "test"}));
        assert_eq!(keys(&world, &mut run).await, ["stage"], "{fault:?}");
        run.stop();
    }
}
