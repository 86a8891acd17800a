//! What people change while something is under way: it counts until a call is made that nobody can take back, and nothing
//! that is ours is forgotten over it.

use std::time::Duration;

use bailiwick::cloud::simulated::Options;
use bailiwick::model::{AccountId, AccountState, TAG_OWNER, Tags};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::fate::{Aim, Fault};
use crate::kills::{Life, table};
use crate::world::{HOUR, MINUTE, Run, World};

const EMAIL: &str = "aws+team0-acc0@example.com";
const CLOSE: &str = "organizations.CloseAccount";

#[tokio::test(start_paused = true)]
async fn an_account_that_is_named_while_one_is_created_orphans_none_and_leaks_no_slot() {
    let faults = Fault::AT_WRITES.map(Some);
    for fault in [None].into_iter().chain(faults) {
        let mut world = World::with_one(false);
        world.flags = vec!["--creation-slots", "1"];
        let by_hand = world
            .cloud
            .add_member("hand@example.com", "By hand", Tags::new());
        let mut run = world.start();
        world.must_be_ready(&mut run).await;
        if let Some(fault) = fault {
            run.fate.aim(Aim {
                start: "organizations.CreateAccount",
                has: "",
                fault,
                times: 1,
            });
        }
        world.account("acc0", json!({}));
        let status = || world.object("acc0").unwrap()["status"].clone();
        let begun = || status()["creation"].is_object();
        world.must(&mut run, "the intent", begun).await;
        world.edit("acc0", |object| {
            object["spec"]["accountId"] = json!(by_hand.as_str());
        });
        world.pass_time(&mut run, HOUR).await;
        let (_, reason, message) = world.ready("acc0").unwrap();
        let ours = world.cloud.account_by_email(EMAIL);
        match &ours {
            Some(ours) => {
                assert_eq!(status()["accountId"], ours.id.as_str(), "{fault:?}");
                assert_eq!(reason, "InvalidSpec", "{fault:?}: {message}");
                for id in [&ours.id, &by_hand] {
                    assert!(message.contains(id.as_str()), "{fault:?}: {message}");
                }
                assert!(world.cloud.tags(&by_hand).is_empty(), "{fault:?}");
            }
            // It was never asked for.
            None => {
                assert_eq!(status()["accountId"], by_hand.as_str(), "{fault:?}");
                assert_eq!(reason, "Ready", "{fault:?}: {message}");
                assert!(status()["creation"].is_null(), "{fault:?}");
            }
        }
        assert_eq!(ours.is_none(), fault == Some(Fault::KillBefore));
        world.check_once("named meanwhile");
        // The only slot is free.
        world.account("acc1", json!({}));
        world
            .must(&mut run, "another is made", || world.is_ready("acc1"))
            .await;
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_another_account_has_holds_no_slot() {
    let mut world = World::with_one(false);
    world.flags = vec!["--creation-slots", "1"];
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    run.fate.aim(Aim {
        start: "organizations.CreateAccount",
        has: "",
        fault: Fault::KillBefore,
        times: 1,
    });
    world.account("acc0", json!({}));
    let fate = run.fate.clone();
    world
        .must(&mut run, "the blow", || fate.struck().is_some())
        .await;
    let by_hand = world.cloud.add_member(EMAIL, "By hand", Tags::new());
    world.must_say(&mut run, "EmailTakenByMember").await;
    world.account("acc1", json!({}));
    world
        .must(&mut run, "another is made", || world.is_ready("acc1"))
        .await;
    // What the message says is done.
    world.edit("acc0", |object| {
        object["spec"]["accountId"] = json!(by_hand.as_str());
    });
    world
        .must(&mut run, "it is adopted", || world.is_ready("acc0"))
        .await;
    assert_eq!(world.member("acc0").unwrap().id, by_hand);
    run.stop();
}

/// So many accounts in quarantine, confirmed to be closed; and when the first of them may be.
async fn in_quarantine(count: usize) -> (World, Run, Vec<AccountId>, Instant) {
    let options = Options {
        closures_in_flight: 100,
        ..Options::default()
    };
    let world = World::new(options, 1);
    world.declare(1, count);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let names: Vec<_> = (0..count).map(|n| format!("acc{n}")).collect();
    let ids: Vec<_> = names
        .iter()
        .map(|name| world.member(name).unwrap().id)
        .collect();
    for (name, id) in names.iter().zip(&ids) {
        world.edit(name, |object| {
            object["spec"]["deletionPolicy"] = json!("Close");
            object["metadata"]["annotations"] = json!({"bailiwick.dev/confirm-close": id.as_str()});
        });
    }
    world.pass_time(&mut run, MINUTE).await;
    let deleted = Instant::now();
    for name in &names {
        world.delete(name);
    }
    let waits = |name: &String| {
        let ready = world.ready(name);
        ready.is_some_and(|(_, reason, _)| reason == "AwaitingClosure")
    };
    world
        .must(&mut run, "all are in quarantine", || {
            names.iter().all(waits)
        })
        .await;
    (world, run, ids, deleted + 2 * HOUR)
}

/// What somebody does who wants to keep the account after all.
const WITHDRAWALS: [fn(&mut Value); 2] = [
    |object| object["metadata"]["annotations"] = json!({}),
    |object| object["spec"]["deletionPolicy"] = json!("Retain"),
];

#[tokio::test(start_paused = true)]
async fn a_closing_that_is_withdrawn_while_the_cache_lags_does_not_take_place() {
    for withdraw in WITHDRAWALS {
        let (world, mut run, ids, due) = in_quarantine(1).await;
        sleep_until(due - 2 * MINUTE).await;
        world.server.set_watch_lag(Duration::from_secs(90));
        sleep_until(due - MINUTE).await;
        world.edit("acc0", withdraw);
        world.pass_time(&mut run, HOUR).await;
        assert!(world.journal.times_of(CLOSE).is_empty(), "it was closed");
        let state = world.cloud.account(&ids[0]).unwrap().state;
        assert_eq!(state, AccountState::Active);
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn a_closing_that_is_withdrawn_while_others_are_closed_does_not_take_place() {
    for withdraw in WITHDRAWALS {
        let (world, mut run, ids, _) = in_quarantine(5).await;
        let first = || world.journal.times_of(CLOSE).len() == 1;
        world.must(&mut run, "the first is closed", first).await;
        let active =
            |id: &AccountId| world.cloud.account(id).unwrap().state == AccountState::Active;
        for n in (0..5).filter(|n| active(&ids[*n])) {
            let (_, reason, message) = world.ready(&format!("acc{n}")).unwrap();
            assert_eq!(reason, "AwaitingClosure", "{message}");
            world.edit(&format!("acc{n}"), withdraw);
        }
        world.pass_time(&mut run, HOUR).await;
        assert_eq!(world.journal.times_of(CLOSE).len(), 1);
        assert_eq!(ids.iter().filter(|id| active(id)).count(), 4);
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn closings_that_wait_for_their_turn_hold_up_nobody() {
    const COUNT: usize = 30;
    let (world, mut run, ids, due) = in_quarantine(COUNT).await;
    sleep_until(due - MINUTE).await;
    let before = world.journal.all().len();
    let first = || !world.journal.times_of(CLOSE).is_empty();
    world.must(&mut run, "the first is closed", first).await;
    world.account("fresh", json!({}));
    let begun = || world.object("fresh").unwrap()["status"]["creation"].is_object();
    let soon = world.until(&mut run, MINUTE / 6, begun).await;
    assert!(soon, "an account waits until others are closed");
    let told = (0..COUNT).filter_map(|n| world.ready(&format!("acc{n}")));
    for (_, reason, message) in told {
        assert_eq!(reason, "AwaitingClosure", "{message}");
    }
    let fresh = || world.is_ready("fresh");
    assert!(world.until(&mut run, 3 * MINUTE, fresh).await);
    let gone = || (0..COUNT).all(|n| world.object(&format!("acc{n}")).is_none());
    world.must(&mut run, "all are closed", gone).await;
    let closed = world.journal.times_of(CLOSE);
    assert_eq!(closed.len(), COUNT);
    let took = closed[COUNT - 1] - closed[0];
    assert!(took < 11 * MINUTE, "the turns are used: {took:?}");
    // Each pass of one that leaves reads its tags. Once when it is due, once in its turn.
    let all = world.journal.all();
    let looks = all[before..].iter().filter(|entry| {
        let leaving = |id: &AccountId| entry.what.ends_with(id.as_str());
        entry.what.starts_with("organizations.ListTagsForResource") && ids.iter().any(leaving)
    });
    let looks = looks.count();
    assert!(looks <= 3 * COUNT, "{looks} looks");
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_shall_be_kept_after_all_is_kept_while_the_cache_lags() {
    let world = World::with_one(true);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let edit = |policy: &str| {
        let mut team = world.server.get("teams", "", "team0").unwrap();
        team["spec"]["deletionPolicy"] = json!(policy);
        assert!(world.server.put(&team).is_some());
    };
    edit("Delete");
    world.pass_time(&mut run, MINUTE).await;
    world.server.delete("teams", "", "team0");
    world.pass_time(&mut run, MINUTE).await;
    // It still owns an account, and is looked at again ten minutes later.
    let looked = *world.journal.times_of("List teamaccounts/").last().unwrap();
    world.server.set_watch_lag(Duration::from_secs(90));
    sleep_until(looked + 9 * MINUTE + MINUTE / 2).await;
    edit("Retain");
    world.delete("acc0");
    world.edit("acc0", |object| {
        object["metadata"]["finalizers"] = json!([])
    });
    assert!(world.object("acc0").is_none());
    let gone = || world.server.get("teams", "", "team0").is_none();
    world.must(&mut run, "the team is gone", gone).await;
    let kept = world.server.get("namespaces", "", "team-team0").unwrap();
    assert!(kept["metadata"]["deletionTimestamp"].is_null(), "{kept}");
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_newborn_account_that_aws_does_not_show_yet_is_let_go_as_the_policy_says() {
    for policy in ["Retain", "Quarantine", "Close"] {
        let options = Options {
            visibility_lag: MINUTE,
            ..Options::default()
        };
        let world = World::new(options, 1);
        world.declare(1, 0);
        let mut run = world.start();
        world.must_be_ready(&mut run).await;
        run.fate.aim(Aim {
            start: "Patch teamaccounts/",
            has: " accountId",
            fault: Fault::KillAfter,
            times: 1,
        });
        let fate = run.fate.clone();
        world.account("acc0", json!({"deletionPolicy": policy}));
        world
            .must(&mut run, "the account is made", || fate.struck().is_some())
            .await;
        world.delete("acc0");
        world.must_say(&mut run, "Activating").await;
        if policy == "Close" {
            world.must_say(&mut run, "AwaitingConfirmation").await;
        } else {
            let gone = || world.object("acc0").is_none();
            world.must(&mut run, "the object is gone", gone).await;
        }
        let members = world.cloud.accounts();
        assert_eq!(members.len(), 1, "{policy}");
        let (path, is_owned) = match policy {
            "Retain" => ("/", false),
            _ => ("/Quarantine", true),
        };
        assert_eq!(members[0].path.as_str(), path, "{policy}");
        assert_eq!(
            members[0].tags.contains_key(TAG_OWNER),
            is_owned,
            "{policy}"
        );
        run.stop();
    }
}

fn with_lag() -> World {
    let options = Options {
        visibility_lag: MINUTE / 2,
        ..Options::default()
    };
    let world = World::new(options, 1);
    world.declare(1, 0);
    world
}

#[tokio::test(start_paused = true)]
async fn deleted_while_it_is_created() {
    let life = Life {
        name: "deleted while it is created",
        world: with_lag,
        begin: |world, run| Box::pin(async move { world.must_be_ready(run).await }),
        live: |world, run, _| {
            Box::pin(async move {
                // Its reads are those of the other lives.
                run.fate.rest(true);
                world.account("acc0", json!({"deletionPolicy": "Quarantine"}));
                let begun = || world.object("acc0").unwrap()["status"]["creation"].is_object();
                world.must(run, "the intent", begun).await;
                world.delete("acc0");
                let gone = || world.object("acc0").is_none();
                world.must(run, "the object is gone", gone).await;
            })
        },
        end: |world, run, context| {
            Box::pin(async move {
                world.rest(run, HOUR / 2).await;
                let members = world.cloud.accounts();
                // What was asked for is found and put where it belongs; what was not is not asked for any more.
                assert_eq!(members.len(), world.cloud.requests().len(), "{context}");
                for member in members {
                    assert_eq!(member.path.as_str(), "/Quarantine", "{context}");
                    assert!(member.tags.contains_key(TAG_OWNER), "{context}");
                }
            })
        },
    };
    let expected = [
        "organizations.CreateAccount",
        "organizations.MoveAccount",
        "Patch teamaccounts/acc0 status",
    ];
    table(life, &expected).await;
}

/// The events about objects of that kind: where, whom about, the reason, what they say.
fn told(world: &World, kind: &str) -> Vec<[String; 4]> {
    let mut events = world.server.objects("events");
    events.retain(|event| event["regarding"]["kind"] == kind);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = |event: &Value| {
        let about = &event["regarding"]["name"];
        [
            &event["metadata"]["namespace"],
            about,
            &event["reason"],
            &event["note"],
        ]
        .map(text)
    };
    events.iter().map(told).collect()
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_an_account_whose_namespace_goes_is_told_where_it_can_be_read() {
    let policies = [
        ("Retain", "AccountRetained"),
        ("Quarantine", "Quarantined"),
        ("Close", "Closed"),
    ];
    let parents = [("Team", "team0"), ("Namespace", "team-team0")];
    for ((policy, reason), (kind, name)) in policies
        .into_iter()
        .zip([parents[0]; 3])
        .chain([(policies[0], parents[1])])
    {
        let world = World::with_one(true);
        let mut run = world.start();
        world.must_be_ready(&mut run).await;
        let id = world.member("acc0").unwrap().id;
        world.edit("acc0", |object| {
            object["spec"]["deletionPolicy"] = json!(policy);
            object["metadata"]["annotations"] = json!({"bailiwick.dev/confirm-close": id.as_str()});
        });
        if kind == "Namespace" {
            // Nobody's any more.
            let mut namespace = world.server.get("namespaces", "", "team-team0").unwrap();
            namespace["metadata"]["labels"] = json!({});
            assert!(world.server.put(&namespace).is_some());
        }
        world.pass_time(&mut run, 15 * MINUTE).await;
        assert!(told(&world, kind).iter().all(|told| told[2] != reason));
        world.server.delete("namespaces", "", "team-team0");
        let gone = || world.object("acc0").is_none();
        world.must(&mut run, "the object is gone", gone).await;
        world.pass_time(&mut run, MINUTE).await;
        let told = told(&world, kind);
        let last: Vec<_> = told.iter().filter(|told| told[2] == reason).collect();
        assert_eq!(last.len(), 1, "{policy}: {told:#?}");
        let [place, about, _, note] = last[0];
        assert_eq!(
            (place.as_str(), about.as_str()),
            ("default", name),
            "{policy}"
        );
        let words = ["TeamAccount team-team0/acc0: ", id.as_str()];
        assert!(
            words.iter().all(|word| note.contains(word)),
            "{policy}: {note}"
        );
        run.stop();
    }
}
