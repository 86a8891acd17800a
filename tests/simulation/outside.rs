//! What others do to an account: reported, never answered by another account.

use std::time::Duration;

use bailiwick::cloud::simulated::{Flapping, Options};
use bailiwick::model::{AccountState, UnitPath};
use serde_json::json;

use crate::world::{HOUR, MINUTE, Run, World};

/// A world whose account is Ready; and its operator.
async fn ready(options: Options) -> (World, Run) {
    let world = World::new(options, 1);
    world.declare(1, 1);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    (world, run)
}

/// Nothing was created in its place, for hours and over a restart.
async fn nothing_new(world: &World, run: &mut Run) {
    world.pass_time(run, 2 * HOUR).await;
    run.fate.die();
    world.pass_time(run, 2 * HOUR).await;
    assert_eq!(
        world.cloud.requests().len(),
        1,
        "another account was asked for"
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_suspended_or_closing_is_reported_and_not_replaced() {
    let states = [
        AccountState::Suspended,
        AccountState::PendingClosure,
        AccountState::Closed,
    ];
    for state in states {
        let (world, mut run) = ready(Options::default()).await;
        let id = world.cloud.accounts()[0].id.clone();
        world.cloud.set_state_behind(&id, state.clone());
        let writes = world.cloud.writes();
        let message = world.must_say(&mut run, "AccountSuspended").await;
        assert!(message.contains(&state.to_string()), "{message}");
        let object = world.object("acc0").unwrap();
        assert_eq!(object["status"]["state"], state.to_string());
        assert_eq!(object["status"]["accountId"], id.as_str());
        nothing_new(&world, &mut run).await;
        assert_eq!(world.cloud.writes(), writes, "{state}");
        // AWS Support reinstates it.
        world.cloud.set_state_behind(&id, AccountState::Active);
        world.must_be_ready(&mut run).await;
        world.check(1, "reinstated");
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_that_nobody_knows_is_shown_and_disturbs_nothing() {
    let (world, mut run) = ready(Options::default()).await;
    let id = world.cloud.accounts()[0].id.clone();
    world
        .cloud
        .set_state_behind(&id, AccountState::from_aws("FROZEN"));
    let shown = || world.object("acc0").unwrap()["status"]["state"] == "FROZEN";
    world.must(&mut run, "the state is shown", shown).await;
    nothing_new(&world, &mut run).await;
    assert!(world.is_ready("acc0"), "{:?}", world.ready("acc0"));
    // What we may still do, we do.
    world.cloud.move_behind(&id, &UnitPath::root());
    let back = || world.cloud.account(&id).unwrap().path.as_str() == "/Workloads/Test";
    world.must(&mut run, "it is moved back", back).await;
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_left_the_organization_is_reported_and_not_replaced() {
    let (world, mut run) = ready(Options::default()).await;
    let id = world.cloud.accounts()[0].id.clone();
    world.cloud.leave_behind(&id);
    let message = world.must_say(&mut run, "NotAMember").await;
    assert!(message.contains(id.as_str()), "{message}");
    nothing_new(&world, &mut run).await;
    assert_eq!(world.cloud.account_count(), 0);
    assert_eq!(
        world.object("acc0").unwrap()["status"]["accountId"],
        id.as_str()
    );
    // Whoever lets it go is let go.
    world.delete("acc0");
    world
        .must(&mut run, "the object is gone", || {
            world.object("acc0").is_none()
        })
        .await;
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_state_flaps_is_closed_once() {
    let flapping = Flapping {
        period: Duration::from_secs(45),
        lasts: Duration::from_secs(900),
    };
    let options = Options {
        flapping: Some(flapping),
        ..Options::default()
    };
    let (world, mut run) = ready(options).await;
    let id = world.cloud.accounts()[0].id.clone();
    world.edit("acc0", |object| {
        object["spec"]["deletionPolicy"] = json!("Close")
    });
    world.annotate("acc0", "confirm-close", id.as_str());
    world.delete("acc0");
    world
        .must(&mut run, "the object is gone", || {
            world.object("acc0").is_none()
        })
        .await;
    world.pass_time(&mut run, HOUR).await;
    let closed = world.cloud.accounts();
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].state, AccountState::Closed);
    assert_eq!(world.cloud.requests().len(), 1);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_flaps_after_somebody_closed_it_is_reported_and_not_replaced() {
    let flapping = Flapping {
        period: 7 * MINUTE,
        lasts: HOUR,
    };
    let options = Options {
        flapping: Some(flapping),
        ..Options::default()
    };
    let (world, mut run) = ready(options).await;
    let id = world.cloud.accounts()[0].id.clone();
    world
        .cloud
        .set_state_behind(&id, AccountState::PendingClosure);
    world.pass_time(&mut run, HOUR).await;
    world.must_say(&mut run, "AccountSuspended").await;
    nothing_new(&world, &mut run).await;
    let (_, reason, _) = world.ready("acc0").unwrap();
    assert_eq!(reason, "AccountSuspended");
    run.stop();
}
