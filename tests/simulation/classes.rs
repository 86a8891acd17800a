//! A class's life: the list that the admission policies read, and who is of a class.

use bailiwick::cloud::simulated::Options;
use serde_json::{Value, json};

use crate::fate::{Aim, Fault};
use crate::kills::{Life, table};
use crate::world::{HOUR, MINUTE, Run, World};

const LIST: &str = "bailiwick-account-classes";

/// What the list says of the class.
fn listed(world: &World, class: &str) -> Option<String> {
    let list = world.server.get("configmaps", "default", LIST)?;
    list["data"][class].as_str().map(str::to_owned)
}

fn class(world: &World) -> Option<Value> {
    world.server.get("accountclasses", "", "test")
}

fn edit_class(world: &World, change: impl FnOnce(&mut Value)) {
    let mut object = class(world).expect("the class is there");
    change(&mut object);
    assert!(world.server.put(&object).is_some());
}

fn widen(world: &World) {
    edit_class(world, |class| {
        class["spec"]["regions"] = json!(["us-east-1"])
    });
}

fn declared() -> World {
    let world = World::new(Options::default(), 1);
    world.declare(0, 0);
    world
}

async fn ready(world: &World, run: &mut Run) {
    world.must_be_ready(run).await;
    world.pass_time(run, MINUTE).await;
}

/// What the class says in its Ready condition.
fn says(world: &World) -> (String, String) {
    let class = class(world).unwrap_or_default();
    let all = class["status"]["conditions"].as_array();
    let ready = all.and_then(|all| all.iter().find(|one| one["type"] == "Ready"));
    let text = |field: &str| ready.and_then(|ready| ready[field].as_str());
    (
        text("reason").unwrap_or_default().to_owned(),
        text("message").unwrap_or_default().to_owned(),
    )
}

#[tokio::test(start_paused = true)]
async fn an_edit_whose_entry_was_refused_once_is_entered_all_the_same() {
    for fault in [Fault::LoseAnswer, Fault::KillBefore] {
        let world = declared();
        let mut run = world.start();
        ready(&world, &mut run).await;
        run.fate.aim(Aim {
            start: "Patch configmaps/",
            has: "",
            fault,
            times: 1,
        });
        // Its regions as before: what is lost must be entered again, not only what is not known to be there.
        widen(&world);
        let fate = run.fate.clone();
        world
            .must(&mut run, "the blow", || fate.struck().is_some())
            .await;
        world.server.put(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": LIST, "namespace": "default"},
            "data": {"test": "eu-central-1,eu-south-1"},
        }));
        ready(&world, &mut run).await;
        assert_eq!(listed(&world, "test").as_deref(), Some("us-east-1"));
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_somebody_deletes_or_edits_is_put_right() {
    let world = declared();
    let mut run = world.start();
    ready(&world, &mut run).await;
    let right = Some("eu-central-1,eu-south-1".to_owned());
    assert_eq!(listed(&world, "test"), right);
    let edit = |data: Value| {
        let list = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": LIST, "namespace": "default"}, "data": data,
        });
        assert!(world.server.put(&list).is_some());
    };
    for restarted in [false, true] {
        for what in ["gone", "emptied", "edited"] {
            // With or without an operator that looks on.
            if restarted {
                run.stop();
                world.pass_time(&mut run, MINUTE).await;
            }
            match what {
                "gone" => assert!(world.server.delete("configmaps", "default", LIST)),
                "emptied" => edit(json!({})),
                _ => edit(json!({"test": "us-east-1", "nobodys": "us-east-1"})),
            }
            if restarted {
                run = world.start();
            }
            world.pass_time(&mut run, MINUTE).await;
            assert_eq!(listed(&world, "test"), right, "{what}, {restarted}");
            assert_eq!(listed(&world, "nobodys"), None, "{what}, {restarted}");
        }
    }
    world.server.reset_counters();
    world.pass_time(&mut run, HOUR).await;
    let asked = world.server.all_requests();
    assert_eq!(
        (world.server.writes(), world.server.gets()),
        (0, 0),
        "{asked:?}"
    );
    run.stop();
}

/// An empty list says that there are no classes; a missing one says nothing to whoever declares an account.
#[tokio::test(start_paused = true)]
async fn there_is_a_list_before_there_is_a_class_and_after_the_last() {
    let world = World::new(Options::default(), 1);
    let list = || world.server.get("configmaps", "default", LIST);
    let mut run = world.start();
    world.must(&mut run, "a list", || list().is_some()).await;
    assert!(world.server.delete("configmaps", "default", LIST));
    world
        .must(&mut run, "a list again", || list().is_some())
        .await;
    world.declare(0, 0);
    ready(&world, &mut run).await;
    world.server.delete("accountclasses", "", "test");
    let gone = || class(&world).is_none();
    world.must(&mut run, "the class is gone", gone).await;
    assert_eq!(list().unwrap()["data"]["test"], Value::Null);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_class_that_is_in_use_stays_and_stays_listed() {
    let world = World::with_one(true);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    world.server.delete("accountclasses", "", "test");
    world
        .must(&mut run, "InUse", || says(&world).0 == "InUse")
        .await;
    let (_, message) = says(&world);
    assert!(message.contains("team-team0/acc0"), "{message}");
    assert!(listed(&world, "test").is_some());
    world.delete("acc0");
    world
        .must(&mut run, "the class is gone", || class(&world).is_none())
        .await;
    assert_eq!(listed(&world, "test"), None);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_no_cache_knows_yet_keeps_its_class() {
    let world = World::with_one(false);
    let mut run = world.start();
    ready(&world, &mut run).await;
    world.server.set_watch_lag(MINUTE);
    world.server.delete("accountclasses", "", "test");
    world.pass_time(&mut run, MINUTE / 2).await;
    // After the deletion began; the operator hears of both, the older first.
    world.account("acc0", json!({}));
    world.pass_time(&mut run, MINUTE * 3).await;
    assert_eq!(says(&world).0, "InUse");
    assert!(listed(&world, "test").is_some());
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_declared_while_its_class_is_taken_off_the_list_keeps_it() {
    let world = World::with_one(false);
    let mut run = world.start();
    ready(&world, &mut run).await;
    // Admitted just before the class is off the list, and after the operator has looked who is of the class.
    let server = world.server.clone();
    run.fate.meanwhile("Patch configmaps/", move || {
        let put = server.put(&json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "TeamAccount",
            "metadata": {"name": "acc0", "namespace": "team-team0"},
            "spec": {"className": "test", "regions": ["eu-central-1"]},
        }));
        assert!(put.is_some());
    });
    world.server.delete("accountclasses", "", "test");
    world
        .must(&mut run, "InUse", || says(&world).0 == "InUse")
        .await;
    assert!(listed(&world, "test").is_some(), "it is on the list again");
    world
        .must(&mut run, "Ready", || world.is_ready("acc0"))
        .await;
    world.delete("acc0");
    world
        .must(&mut run, "the class is gone", || class(&world).is_none())
        .await;
    assert_eq!(listed(&world, "test"), None);
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_account_of_no_class_says_so_and_is_made_when_there_is_one() {
    let world = World::with_one(true);
    let class = class(&world).unwrap();
    world.server.delete("accountclasses", "", "test");
    let mut run = world.start();
    let message = world.must_say(&mut run, "ClassNotFound").await;
    assert!(message.contains("\"test\""), "{message}");
    world.pass_time(&mut run, HOUR).await;
    assert_eq!(world.cloud.account_count(), 0);
    assert!(world.server.put(&class).is_some());
    world.must_be_ready(&mut run).await;
    world.check(1, "a late class");
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_decoded_stops_nothing_else() {
    let world = World::with_one(true);
    let object = |kind: &str, metadata: Value, spec: Value| {
        let object = json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec,
        });
        assert!(world.server.put(&object).is_some(), "{object}");
    };
    // An event needs the namespace that it is in.
    world.server.put(&json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "team-team0", "labels": {"bailiwick.dev/team": "team0"}},
    }));
    object(
        "AccountClass",
        json!({"name": "odd"}),
        json!({"regions": 5}),
    );
    object("Team", json!({"name": "odd"}), json!({"members": 5}));
    let metadata = json!({"name": "odd", "namespace": "team-team0"});
    object("TeamAccount", metadata, json!({"className": 5}));
    let mut run = world.start();
    let all_but_odd = || {
        let unready = world.unready();
        unready
            .iter()
            .all(|object| object["metadata"]["name"] == "odd")
    };
    world
        .must(&mut run, "all others are Ready", all_but_odd)
        .await;
    assert!(world.is_ready("acc0"));
    world.pass_time(&mut run, HOUR).await;
    // Each is told so itself, once, with what is wrong.
    for (kind, wrong) in [
        ("AccountClass", "Expected a sequence"),
        ("Team", "Expected a sequence"),
        ("TeamAccount", "Expected a string"),
    ] {
        let events = world.server.objects("events");
        let of_it = |event: &&Value| {
            event["regarding"]["kind"] == kind && event["regarding"]["name"] == "odd"
        };
        let told: Vec<_> = events.iter().filter(of_it).collect();
        assert_eq!(told.len(), 1, "{kind}: {told:?}");
        assert_eq!(told[0]["reason"], "Undecodable", "{kind}");
        assert_eq!(told[0]["type"], "Warning", "{kind}");
        assert!(told[0]["regarding"]["uid"].is_string(), "{kind}");
        let note = told[0]["note"].as_str().unwrap();
        assert!(note.contains(wrong), "{kind}: {note}");
    }
    // Its team counts it, although nobody can read it.
    world.server.delete("teams", "", "team0");
    world.delete("acc0");
    world.pass_time(&mut run, HOUR).await;
    let team = world.server.get("teams", "", "team0").expect("it stays");
    let conditions = team["status"]["conditions"].to_string();
    assert!(conditions.contains("StillOwns"), "{conditions}");
    assert!(conditions.contains("odd"), "{conditions}");
    run.stop();
}

const STATUS: &str = "Patch accountclasses/test status";
const FINALIZER: &str = "Patch accountclasses/test ";
const ENTRY: &str = "Patch configmaps/bailiwick-account-classes";

#[tokio::test(start_paused = true)]
async fn a_class_is_declared() {
    let life = Life {
        name: "a class is declared",
        world: declared,
        begin: |_, _| Box::pin(async {}),
        live: |world, run, _| Box::pin(ready(world, run)),
        end: |world, _, context| {
            Box::pin(async move {
                let right = Some("eu-central-1,eu-south-1");
                assert_eq!(listed(world, "test").as_deref(), right, "{context}");
            })
        },
    };
    let made = "Create configmaps/bailiwick-account-classes";
    table(life, &[ENTRY, made, FINALIZER, STATUS]).await;
}

#[tokio::test(start_paused = true)]
async fn a_class_is_edited() {
    let life = Life {
        name: "a class is edited",
        world: declared,
        begin: |world, run| Box::pin(ready(world, run)),
        live: |world, run, _| {
            Box::pin(async move {
                widen(world);
                ready(world, run).await;
            })
        },
        end: |world, _, context| {
            Box::pin(async move {
                let entry = listed(world, "test");
                assert_eq!(entry.as_deref(), Some("us-east-1"), "{context}");
            })
        },
    };
    table(life, &[ENTRY, STATUS]).await;
}

#[tokio::test(start_paused = true)]
async fn a_class_is_deleted() {
    let life = Life {
        name: "a class is deleted",
        world: declared,
        begin: |world, run| Box::pin(ready(world, run)),
        live: |world, run, _| {
            Box::pin(async move {
                world.server.delete("accountclasses", "", "test");
                let gone = || class(world).is_none();
                world.must(run, "the class is gone", gone).await;
            })
        },
        end: |world, _, context| {
            Box::pin(async move {
                assert_eq!(listed(world, "test"), None, "{context}");
            })
        },
    };
    table(life, &[ENTRY, FINALIZER, STATUS]).await;
}
