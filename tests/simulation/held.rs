//! `mode: Plan` and `suspend`: everything is read and shown, and nothing is written outside.

use bailiwick::model::{ContactKind, TAG_QUARANTINED_AT, Tags, UnitPath};
use serde_json::{Value, json};

use crate::world::{HOUR, MINUTE, Run, World};

/// The two ways to hold an object, and the reason that each gives.
const HOLDS: [(&str, &str); 2] = [("Plan", "ChangesPlanned"), ("Suspend", "Suspended")];

fn hold(spec: &mut Value, how: &str) {
    if how == "Plan" {
        spec["mode"] = json!("Plan");
    } else {
        spec["suspend"] = json!(true);
    }
}

fn let_go(world: &World) {
    world.edit("acc0", |object| {
        object["spec"]["mode"] = json!("Apply");
        object["spec"]["suspend"] = json!(false);
    });
}

/// What `status.plan` lists: action, target, before, after.
fn planned(world: &World) -> Vec<(String, String, Option<String>, String)> {
    let object = world.object("acc0").unwrap();
    let list = object["status"]["plan"].as_array().cloned();
    let text = |change: &Value, field: &str| change[field].as_str().map(str::to_owned);
    let all = list.unwrap_or_default();
    all.iter()
        .map(|change| {
            let must = |field| text(change, field).unwrap_or_default();
            (
                must("action"),
                must("target"),
                text(change, "before"),
                must("after"),
            )
        })
        .collect()
}

fn actions(world: &World) -> Vec<String> {
    planned(world)
        .into_iter()
        .map(|(action, ..)| action)
        .collect()
}

/// Nothing is written to AWS for an hour, nor by the operator's next life.
async fn nothing_is_written(world: &World, run: &mut Run, writes: u64) {
    world.pass_time(run, HOUR).await;
    run.fate.die();
    world.pass_time(run, HOUR).await;
    assert_eq!(world.cloud.writes(), writes, "{:?}", world.cloud.calls());
}

#[tokio::test(start_paused = true)]
async fn a_creation_is_shown_and_not_made() {
    for (how, reason) in HOLDS {
        let world = World::with_one(false);
        let mut run = world.start();
        let mut spec = json!({});
        hold(&mut spec, how);
        world.account("acc0", spec);
        world.must_say(&mut run, reason).await;
        nothing_is_written(&world, &mut run, 0).await;
        let after = "aws+team0-acc0@example.com in /Workloads/Test".to_owned();
        let only = (
            "CreateAccount".to_owned(),
            "team0-acc0".to_owned(),
            None,
            after,
        );
        assert_eq!(planned(&world), [only]);
        assert!(
            world.cloud.unit_paths().is_empty(),
            "no unit is made either"
        );
        let_go(&world);
        world.must_be_ready(&mut run).await;
        world.check(1, how);
        assert!(planned(&world).is_empty());
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn drift_is_shown_and_not_repaired() {
    for (how, reason) in HOLDS {
        let world = World::with_one(true);
        let mut run = world.start();
        world.must_be_ready(&mut run).await;
        let id = world.cloud.accounts()[0].id.clone();
        world.edit("acc0", |object| hold(&mut object["spec"], how));
        world
            .must(&mut run, "Ready again", || world.is_ready("acc0"))
            .await;
        let writes = world.cloud.writes();
        world.cloud.move_behind(&id, &UnitPath::root());
        world.cloud.retag_behind(&id, "stage", Some("drifted"));
        world.cloud.rename_behind(&id, "drifted");
        world
            .cloud
            .set_contact_behind(&id, ContactKind::Security, None);
        world.cloud.set_alias_behind(&id, Some("drifted"));
        world.cloud.set_policy_behind(&id, None);
        world.edit("acc0", |object| {
            object["spec"]["email"] = json!("new@example.com");
            object["spec"]["regions"] = json!(["eu-central-1", "eu-south-1"]);
        });
        world.must_say(&mut run, reason).await;
        let all = || actions(&world).len() == 8;
        world.must(&mut run, "the sweep has come by", all).await;
        let expected = [
            "MoveAccount",
            "TagResource",
            "PutAccountName",
            "StartPrimaryEmailUpdate",
            "PutAlternateContact",
            "CreateAccountAlias",
            "UpdateAccountPasswordPolicy",
            "EnableRegion",
        ];
        assert_eq!(actions(&world), expected, "{how}");
        let (_, target, before, after) = planned(&world)[1].clone();
        let shown = (target.as_str(), before.as_deref(), after.as_str());
        assert_eq!(shown, (id.as_str(), Some("stage=drifted"), "stage=test"));
        let object = world.object("acc0").unwrap();
        assert_eq!(object["status"]["drift"], object["status"]["plan"]);
        nothing_is_written(&world, &mut run, writes).await;
        assert_eq!(actions(&world), expected, "{how}, an hour later");
        world.edit("acc0", |object| {
            object["spec"]["email"] = Value::Null;
        });
        let_go(&world);
        world.must_be_ready(&mut run).await;
        world.check(1, how);
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn an_adoption_is_shown_and_not_made() {
    for (how, reason) in HOLDS {
        let world = World::with_one(false);
        let since = "2025-10-01T00:00:00Z".to_owned();
        let tags = Tags::from([(TAG_QUARANTINED_AT.to_owned(), since)]);
        let id = world.cloud.add_member("hand@example.com", "By hand", tags);
        let before = world.cloud.account(&id).unwrap();
        let mut run = world.start();
        let mut spec = json!({"accountId": id.as_str(), "accountName": "ours"});
        hold(&mut spec, how);
        world.account("acc0", spec);
        world.must_say(&mut run, reason).await;
        nothing_is_written(&world, &mut run, 0).await;
        assert_eq!(world.cloud.account(&id).unwrap(), before);
        let expected = [
            "MoveAccount",
            "UntagResource",
            "TagResource",
            "PutAccountName",
            "PutAlternateContact",
            "CreateAccountAlias",
            "UpdateAccountPasswordPolicy",
        ];
        assert_eq!(actions(&world), expected, "{how}");
        let_go(&world);
        world.must_be_ready(&mut run).await;
        let member = world.cloud.account(&id).unwrap();
        assert_eq!(
            (member.path.as_str(), member.name.as_str()),
            ("/Workloads/Test", "ours")
        );
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_deletion_waits() {
    for policy in ["Retain", "Quarantine", "Close"] {
        let world = World::with_one(true);
        let mut run = world.start();
        world.must_be_ready(&mut run).await;
        let before = world.cloud.accounts();
        world.edit("acc0", |object| {
            object["spec"]["deletionPolicy"] = json!(policy);
            object["spec"]["suspend"] = json!(true);
        });
        world.annotate("acc0", "confirm-close", before[0].id.as_str());
        world.pass_time(&mut run, MINUTE).await;
        let writes = world.cloud.writes();
        world.delete("acc0");
        world.must_say(&mut run, "Suspended").await;
        nothing_is_written(&world, &mut run, writes).await;
        assert_eq!(world.cloud.accounts(), before, "{policy}");
        assert!(world.object("acc0").is_some(), "{policy}: the object waits");
        let_go(&world);
        world
            .must(&mut run, "the object is gone", || {
                world.object("acc0").is_none()
            })
            .await;
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn a_planned_deletion_leaves_everything_outside_as_it_is() {
    for policy in ["Retain", "Quarantine", "Close"] {
        let world = World::with_one(true);
        let mut run = world.start();
        world.must_be_ready(&mut run).await;
        let before = world.cloud.accounts();
        world.edit("acc0", |object| {
            object["spec"]["deletionPolicy"] = json!(policy);
            object["spec"]["mode"] = json!("Plan");
        });
        world.annotate("acc0", "confirm-close", before[0].id.as_str());
        world.pass_time(&mut run, MINUTE).await;
        let writes = world.cloud.writes();
        world.delete("acc0");
        world
            .must(&mut run, "the object is gone", || {
                world.object("acc0").is_none()
            })
            .await;
        nothing_is_written(&world, &mut run, writes).await;
        assert_eq!(world.cloud.accounts(), before, "{policy}");
        run.stop();
    }
}
