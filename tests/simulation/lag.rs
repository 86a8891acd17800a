//! AWS's reads that do not show for a while what we have written: nothing is done twice for that, or told as somebody's deed.

use std::time::Duration;

use bailiwick::cloud::simulated::Options;
use serde_json::json;

use crate::fate::{Aim, Fault};
use crate::world::{HOUR, MINUTE, Run, World};

const MOVE: &str = "organizations.MoveAccount";
const RENAME: &str = "account.PutAccountName";

/// What must not be told where nobody has done anything.
const LIES: [&str; 4] = ["DriftRepaired", "Drifted", "NotAMember", "AwsAlreadyExists"];

/// A world whose reads are behind, in which somebody looks often.
fn behind(visibility_lag: Duration, rename_lag: Duration) -> World {
    let options = Options {
        visibility_lag,
        rename_lag,
        ..Options::default()
    };
    let mut world = World::new(options, 1);
    world.flags = vec!["--sweep-interval", "5s"];
    world
}

#[track_caller]
fn no_lies(world: &World) {
    let events = world.server.objects("events");
    for event in &events {
        let lies = LIES.iter().any(|reason| event["reason"] == *reason);
        assert!(!lies, "{event:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_name_that_is_shown_four_hours_later_is_given_once() {
    let mut world = behind(Duration::ZERO, 4 * HOUR);
    world.flags = vec!["--sweep-interval", "10m"];
    world.look = MINUTE;
    world.declare(1, 1);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    for name in ["renamed", "renamed again"] {
        world.edit("acc0", |object| object["spec"]["accountName"] = json!(name));
        world.must_be_ready(&mut run).await;
        // Who asks for a look is told no more by AWS than a sweep.
        world.annotate("acc0", "reconcile-requested-at", name);
        world.pass_time(&mut run, HOUR).await;
        let status = &world.object("acc0").unwrap()["status"];
        assert_eq!(status["accountName"], name);
    }
    world.pass_time(&mut run, 5 * HOUR).await;
    assert_eq!(world.cloud.calls_of(RENAME).calls, 2);
    assert_eq!(world.member("acc0").unwrap().name, "renamed again");
    no_lies(&world);
    // What is shown by then is believed, also where it is the old name: somebody has given it back.
    let id = world.member("acc0").unwrap().id;
    world
        .cloud
        .configure(|options| options.rename_lag = Duration::ZERO);
    world.cloud.rename_behind(&id, "renamed");
    world.pass_time(&mut run, HOUR).await;
    assert_eq!(world.member("acc0").unwrap().name, "renamed again");
    assert_eq!(world.cloud.calls_of(RENAME).calls, 3);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_newborn_that_no_read_shows_is_ready_all_the_same() {
    let world = behind(2 * MINUTE, Duration::ZERO);
    world.declare(1, 1);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    world.pass_time(&mut run, 5 * MINUTE).await;
    // What its creation has told is known; no sweep without it takes that away.
    let asked = world.cloud.calls_of("organizations.DescribeAccount");
    assert_eq!(asked.calls, 0);
    assert_eq!(world.cloud.calls_of(MOVE).calls, 1);
    world.check(1, "shown late");
    no_lies(&world);
    run.stop();
}

/// A world whose account is Ready and has to go to another unit, which is there already or is not, while reads are behind.
async fn to_be_moved(is_there: bool) -> (World, Run) {
    let world = behind(Duration::ZERO, Duration::ZERO);
    world.declare(1, 1);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    world.pass_time(&mut run, MINUTE).await;
    if is_there {
        world.cloud.ensure_unit(&"/Workloads/New".parse().unwrap());
    }
    world.cloud.forget_calls();
    world
        .cloud
        .configure(|options| options.visibility_lag = MINUTE);
    let mut class = world.server.get("accountclasses", "", "test").unwrap();
    class["spec"]["organizationalUnitPath"] = json!("/Workloads/New");
    world.server.put(&class).unwrap();
    (world, run)
}

#[track_caller]
fn is_moved_and_nothing_else_said(world: &World) {
    assert_eq!(
        world.member("acc0").unwrap().path.as_str(),
        "/Workloads/New"
    );
    let (placed, _, message) = world.condition("acc0", "Placed").unwrap();
    assert_eq!(placed, "True", "{message}");
    no_lies(world);
}

#[tokio::test(start_paused = true)]
async fn a_move_that_is_shown_late_is_made_once() {
    let (world, mut run) = to_be_moved(false).await;
    let moved = || world.cloud.calls_of(MOVE).calls > 0;
    world.must(&mut run, "the move", moved).await;
    for look in 0..20 {
        let look = look.to_string();
        world.annotate("acc0", "reconcile-requested-at", &look);
        world.pass_time(&mut run, Duration::from_secs(9)).await;
        assert!(world.is_ready("acc0"), "{:?}", world.ready("acc0"));
        let handled = &world.object("acc0").unwrap()["status"]["lastHandledReconcileAt"];
        assert_eq!(*handled, look);
        is_moved_and_nothing_else_said(&world);
    }
    assert_eq!(world.cloud.calls_of(MOVE).calls, 1);
    let made = world
        .cloud
        .calls_of("organizations.CreateOrganizationalUnit");
    assert_eq!(made.calls, 1);
    run.stop();
}

/// Who begins anew has forgotten what was written, and is told the old by AWS.
#[tokio::test(start_paused = true)]
async fn a_restart_before_a_move_is_shown_stalls_nothing() {
    for is_there in [true, false] {
        let (world, mut run) = to_be_moved(is_there).await;
        let fate = run.fate.clone();
        fate.aim(killing_after(MOVE));
        let struck = || fate.struck().is_some();
        world.must(&mut run, "the blow", struck).await;
        // A unit that is not shown keeps everybody waiting; who is in one that is, is found there by its own move.
        let pause = if is_there { MINUTE / 2 } else { 3 * MINUTE };
        world.pass_time(&mut run, pause).await;
        assert!(world.is_ready("acc0"), "{:?}", world.ready("acc0"));
        is_moved_and_nothing_else_said(&world);
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_before_a_newborn_is_shown_stalls_nothing() {
    let world = behind(2 * MINUTE, Duration::ZERO);
    world.declare(1, 1);
    let mut run = world.start();
    run.fate.aim(Aim {
        has: "accountId",
        ..killing_after("Patch")
    });
    world.must_be_ready(&mut run).await;
    assert!(run.struck.is_some());
    world.check(1, "shown late");
    no_lies(&world);
    run.stop();
}

/// A creation that no list shows is asked for again; that fails while the first is under way, and when it has the address.
#[tokio::test(start_paused = true)]
async fn an_account_that_a_second_creation_meets_is_ours_and_keeps_its_name() {
    let quick = Duration::from_secs(10);
    for (creation, visibility_lag) in [(MINUTE, Duration::ZERO), (quick, 2 * MINUTE)] {
        let world = behind(visibility_lag, Duration::ZERO);
        world.cloud.configure(|options| {
            options.request_lag = HOUR;
            options.creation = creation;
            options.creation_jitter = Duration::ZERO;
        });
        world.declare(1, 1);
        let mut run = world.start();
        run.fate.aim(killing_after("organizations.CreateAccount"));
        world.must_be_ready(&mut run).await;
        let asked = world.cloud.calls_of("organizations.CreateAccount");
        assert_eq!(asked.calls, 2);
        world.check(1, "asked for twice");
        let status = &world.object("acc0").unwrap()["status"];
        assert!(status["creation"]["failure"].is_null(), "{status}");
        let id = world.member("acc0").unwrap().id;
        world.cloud.rename_behind(&id, "somebody's");
        world.pass_time(&mut run, MINUTE).await;
        assert_eq!(world.member("acc0").unwrap().name, "team0-acc0");
        run.stop();
    }
}

fn killing_after(start: &'static str) -> Aim {
    Aim {
        start,
        has: "",
        fault: Fault::KillAfter,
        times: 1,
    }
}
