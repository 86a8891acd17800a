//! A team's life: whose a namespace is, what its members may, and what goes with it.

use bailiwick::cloud::simulated::Options;
use serde_json::{Value, json};

use crate::kills::{Life, table};
use crate::world::{HOUR, MINUTE, Run, World};

const LABEL: &str = "bailiwick.dev/team";
const BINDING: &str = "bailiwick-team-members";

fn team(world: &World, name: &str) -> Option<Value> {
    world.server.get("teams", "", name)
}

fn declare(world: &World, name: &str, spec: Value) {
    let object = json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Team", "metadata": {"name": name}, "spec": spec,
    });
    assert!(world.server.put(&object).is_some());
}

fn edit(world: &World, name: &str, change: impl FnOnce(&mut Value)) {
    let mut object = team(world, name).expect("the team is there");
    change(&mut object["spec"]);
    assert!(world.server.put(&object).is_some());
}

/// A condition of a team: status, reason, message.
fn condition(world: &World, name: &str, type_: &str) -> (String, String, String) {
    let team = team(world, name).unwrap_or_default();
    let all = team["status"]["conditions"].as_array();
    let found = all.and_then(|all| all.iter().find(|one| one["type"] == type_));
    let text = |field: &str| {
        let text = found.and_then(|found| found[field].as_str());
        text.unwrap_or_default().to_owned()
    };
    (text("status"), text("reason"), text("message"))
}

async fn must_say(world: &World, run: &mut Run, name: &str, reason: &str) -> String {
    let says = || condition(world, name, "Ready").1 == reason;
    world.must(run, reason, says).await;
    condition(world, name, "Ready").2
}

async fn must_go(world: &World, run: &mut Run, name: &str) {
    let gone = || team(world, name).is_none();
    world.must(run, "the team is gone", gone).await;
}

fn namespace(world: &World, name: &str) -> Option<Value> {
    world.server.get("namespaces", "", name)
}

fn put_namespace(world: &World, name: &str, owner: Option<&str>) {
    let labels = owner.map_or(json!({}), |owner| json!({LABEL: owner}));
    world.server.put(&json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels},
    }));
}

/// Who has rights in the first team's namespace.
fn members(world: &World) -> Option<Vec<String>> {
    let binding = world.server.get("rolebindings", "team-team0", BINDING)?;
    let subjects = binding["subjects"].as_array().cloned().unwrap_or_default();
    let name = |subject: &Value| subject["name"].as_str().map(str::to_owned);
    Some(subjects.iter().filter_map(name).collect())
}

async fn ready(world: &World, run: &mut Run) {
    world.must_be_ready(run).await;
    world.pass_time(run, MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_anothers_is_not_taken() {
    let world = World::with_one(true);
    let mut run = world.start();
    ready(&world, &mut run).await;
    declare(&world, "aaa", json!({"namespace": "team-team0"}));
    let message = must_say(&world, &mut run, "aaa", "NamespaceTaken").await;
    assert!(message.contains("team-team0"), "{message}");
    assert_eq!(condition(&world, "aaa", "Accepted").0, "False");
    let before = members(&world);
    world.pass_time(&mut run, HOUR).await;
    let taken = team(&world, "aaa").unwrap();
    assert!(taken["status"]["accounts"].is_null(), "{taken}");
    assert_eq!(members(&world), before);
    assert_eq!(condition(&world, "team0", "Ready").0, "True");
    assert!(world.is_ready("acc0"));
    // It goes at once, and nothing of the other team's with it.
    for policy in ["Retain", "Delete"] {
        declare(
            &world,
            "aaa",
            json!({"namespace": "team-team0", "deletionPolicy": policy}),
        );
        must_say(&world, &mut run, "aaa", "NamespaceTaken").await;
        world.server.delete("teams", "", "aaa");
        world.pass_time(&mut run, MINUTE).await;
        assert!(team(&world, "aaa").is_none(), "{policy}");
        assert_eq!(members(&world), before, "{policy}");
        let kept = namespace(&world, "team-team0").unwrap();
        assert!(kept["metadata"]["deletionTimestamp"].is_null(), "{policy}");
    }
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn an_account_is_of_the_team_that_has_the_namespace() {
    for first in ["team0", "aaa", "zzz"] {
        let world = World::new(Options::default(), 1);
        world.declare(0, 0);
        for name in ["zzz", "aaa", "team0"] {
            declare(&world, name, json!({"namespace": "shared"}));
        }
        put_namespace(&world, "shared", Some(first));
        let account = json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "TeamAccount",
            "metadata": {"name": "acc0", "namespace": "shared"},
            "spec": {"className": "test"},
        });
        assert!(world.server.put(&account).is_some());
        let mut run = world.start();
        let made = || world.cloud.account_count() == 1;
        world.must(&mut run, "the account is made", made).await;
        world.pass_time(&mut run, HOUR).await;
        let email = world.cloud.accounts()[0].email.clone();
        assert_eq!(email, format!("aws+{first}-acc0@example.com"));
        run.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn no_account_is_made_where_no_team_has_the_namespace() {
    let world = World::with_one(true);
    put_namespace(&world, "team-team0", Some("nobody"));
    let mut run = world.start();
    let message = world.must_say(&mut run, "TeamNotFound").await;
    assert!(message.contains("team-team0"), "{message}");
    must_say(&world, &mut run, "team0", "NamespaceTaken").await;
    world.pass_time(&mut run, HOUR).await;
    assert!(world.cloud.requests().is_empty());
    put_namespace(&world, "team-team0", Some("team0"));
    let soon = world
        .until(&mut run, 8 * MINUTE, || world.is_ready("acc0"))
        .await;
    assert!(soon, "the account is woken by its team, not by chance");
    world.check(1, "a late namespace");
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_goes_is_waited_for_and_made_anew() {
    let world = World::with_one(false);
    let mut run = world.start();
    ready(&world, &mut run).await;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "held", "namespace": "team-team0", "finalizers": ["example.com/held"]},
        "spec": {},
    });
    let held = world.server.put(&lease).unwrap();
    world.server.delete("namespaces", "", "team-team0");
    must_say(&world, &mut run, "team0", "NamespaceTerminating").await;
    let mut held = world
        .server
        .get("leases", "team-team0", "held")
        .unwrap_or(held);
    held["metadata"]["finalizers"] = json!([]);
    world.server.put(&held);
    ready(&world, &mut run).await;
    let made = namespace(&world, "team-team0").unwrap();
    assert!(made["metadata"]["deletionTimestamp"].is_null());
    assert_eq!(members(&world), Some(vec!["dev".to_owned()]));
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_team_that_owns_accounts_stays() {
    let world = World::with_one(true);
    let mut run = world.start();
    ready(&world, &mut run).await;
    world.server.delete("teams", "", "team0");
    let message = must_say(&world, &mut run, "team0", "StillOwns").await;
    assert!(message.contains("acc0"), "{message}");
    assert!(members(&world).is_some());
    world.delete("acc0");
    must_go(&world, &mut run, "team0").await;
    assert_eq!(members(&world), None);
    assert!(namespace(&world, "team-team0").is_some());
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn a_suspended_team_is_written_for_no_more_and_waits_with_its_deletion() {
    for policy in ["Retain", "Delete"] {
        let world = World::with_one(false);
        let mut run = world.start();
        ready(&world, &mut run).await;
        edit(&world, "team0", |spec| {
            spec["suspend"] = json!(true);
            spec["deletionPolicy"] = json!(policy);
        });
        // In order: there is nothing to hold.
        ready(&world, &mut run).await;
        edit(&world, "team0", |spec| {
            spec["members"] = json!([{"user": "ops"}])
        });
        let message = must_say(&world, &mut run, "team0", "Suspended").await;
        assert!(message.contains("rights"), "{message}");
        world.pass_time(&mut run, HOUR).await;
        assert_eq!(members(&world), Some(vec!["dev".to_owned()]));
        world.server.delete("teams", "", "team0");
        let waits = || condition(&world, "team0", "Ready").2.contains("deletion");
        world.must(&mut run, "the deletion waits", waits).await;
        world.pass_time(&mut run, HOUR).await;
        assert_eq!(members(&world), Some(vec!["dev".to_owned()]), "{policy}");
        let kept = namespace(&world, "team-team0").unwrap();
        assert!(kept["metadata"]["deletionTimestamp"].is_null(), "{policy}");
        edit(&world, "team0", |spec| spec["suspend"] = json!(false));
        must_go(&world, &mut run, "team0").await;
        assert_eq!(members(&world), None, "{policy}");
        assert_eq!(
            namespace(&world, "team-team0").is_some(),
            policy == "Retain"
        );
        run.stop();
    }
    let world = World::with_one(false);
    edit(&world, "team0", |spec| spec["suspend"] = json!(true));
    let mut run = world.start();
    must_say(&world, &mut run, "team0", "Suspended").await;
    world.pass_time(&mut run, HOUR).await;
    assert!(namespace(&world, "team-team0").is_none(), "nothing is made");
    run.stop();
}

/// A binding to a role that is not there gives nothing: the team says so, and is told when there is one.
#[tokio::test(start_paused = true)]
async fn members_without_a_role_have_no_rights_and_their_team_says_so() {
    let world = World::with_one(true);
    let role = world
        .server
        .get("clusterroles", "", "bailiwick-team-member");
    let remove = || {
        world
            .server
            .delete("clusterroles", "", "bailiwick-team-member")
    };
    assert!(remove());
    let mut run = world.start();
    let message = must_say(&world, &mut run, "team0", "RoleMissing").await;
    assert!(
        message.contains("bailiwick-team-member") && message.contains("chart"),
        "{message}"
    );
    // It has its namespace all the same, and its accounts are made.
    let account = || world.is_ready("acc0");
    world.must(&mut run, "its account is Ready", account).await;
    for _ in 0..2 {
        world.server.put(role.as_ref().unwrap());
        world.pass_time(&mut run, MINUTE).await;
        assert_eq!(condition(&world, "team0", "Ready").0, "True");
        assert!(remove());
        world.pass_time(&mut run, MINUTE).await;
        assert_eq!(condition(&world, "team0", "Ready").1, "RoleMissing");
    }
    run.stop();
}

fn declared() -> World {
    World::with_one(false)
}

const STATUS: &str = "Patch teams/team0 status";
const FINALIZER: &str = "Patch teams/team0 ";
const MEMBERS: &str = "Patch rolebindings/bailiwick-team-members";
const WRITER: &str = "Patch rolebindings/bailiwick-credentials-writer";
const READERS: &str = "Patch clusterrolebindings/bailiwick:team:team0";

#[tokio::test(start_paused = true)]
async fn a_team_is_declared() {
    let life = Life {
        name: "a team is declared",
        world: declared,
        begin: |_, _| Box::pin(async {}),
        live: |world, run, _| Box::pin(ready(world, run)),
        end: |world, _, context| {
            Box::pin(async move {
                let made = namespace(world, "team-team0").expect(context);
                assert_eq!(made["metadata"]["labels"][LABEL], "team0", "{context}");
                assert_eq!(members(world), Some(vec!["dev".to_owned()]), "{context}");
                let name = "bailiwick-credentials-writer";
                let writer = world.server.get("rolebindings", "team-team0", name);
                let writer = writer.expect(context);
                assert_eq!(writer["roleRef"]["name"], name, "{context}");
                let operator = json!([{"kind": "ServiceAccount", "name": "bailiwick", "namespace": "default"}]);
                assert_eq!(writer["subjects"], operator, "{context}");
            })
        },
    };
    let made = "Create namespaces/team-team0";
    table(life, &[made, MEMBERS, WRITER, FINALIZER, STATUS]).await;
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_team_change() {
    let life = Life {
        name: "the members of a team change",
        world: declared,
        begin: |world, run| Box::pin(ready(world, run)),
        live: |world, run, _| {
            Box::pin(async move {
                edit(world, "team0", |spec| {
                    spec["members"] = json!([{"user": "ops"}])
                });
                ready(world, run).await;
            })
        },
        end: |world, _, context| {
            Box::pin(async move {
                assert_eq!(members(world), Some(vec!["ops".to_owned()]), "{context}");
            })
        },
    };
    table(life, &[MEMBERS, READERS, STATUS]).await;
}

async fn deleted(world: &World, run: &mut Run) {
    world.server.delete("teams", "", "team0");
    must_go(world, run, "team0").await;
}

#[tokio::test(start_paused = true)]
async fn a_team_is_deleted_and_its_namespace_kept() {
    let life = Life {
        name: "a team is deleted and its namespace kept",
        world: declared,
        begin: |world, run| Box::pin(ready(world, run)),
        live: |world, run, _| Box::pin(deleted(world, run)),
        end: |world, _, context| {
            Box::pin(async move {
                let kept = namespace(world, "team-team0").expect(context);
                assert_eq!(kept["metadata"]["labels"][LABEL], "team0", "{context}");
                assert_eq!(members(world), None, "{context}");
            })
        },
    };
    let taken = "Delete rolebindings/bailiwick-team-members";
    let own = "Delete rolebindings/bailiwick-credentials-writer";
    table(life, &[taken, own, FINALIZER, STATUS]).await;
}

#[tokio::test(start_paused = true)]
async fn a_team_is_deleted_with_its_namespace() {
    let life = Life {
        name: "a team is deleted with its namespace",
        world: || {
            let world = declared();
            edit(&world, "team0", |spec| {
                spec["deletionPolicy"] = json!("Delete")
            });
            world
        },
        begin: |world, run| Box::pin(ready(world, run)),
        live: |world, run, _| Box::pin(deleted(world, run)),
        end: |world, run, context| {
            Box::pin(async move {
                world.pass_time(run, HOUR).await;
                assert!(namespace(world, "team-team0").is_none(), "{context}");
            })
        },
    };
    let taken = "Delete namespaces/team-team0";
    table(life, &[taken, FINALIZER, STATUS]).await;
}

/// Who may read the team.
fn readers(world: &World) -> Option<Vec<String>> {
    let name = "bailiwick:team:team0";
    let role = world.server.get("clusterroles", "", name)?;
    assert_eq!(role["rules"][0]["resourceNames"], json!(["team0"]));
    let binding = world.server.get("clusterrolebindings", "", name)?;
    assert_eq!(binding["roleRef"]["name"], name);
    let subjects = binding["subjects"].as_array().cloned().unwrap_or_default();
    let name = |subject: &Value| subject["name"].as_str().map(str::to_owned);
    Some(subjects.iter().filter_map(name).collect())
}

/// A binding's role cannot be changed, and the operator may delete none: one that binds another role is told.
#[tokio::test(start_paused = true)]
async fn a_binding_to_another_role_is_told() {
    let world = declared();
    let mut run = world.start();
    ready(&world, &mut run).await;
    let name = "bailiwick:team:team0";
    let look_again = |when: &str| {
        let mut object = team(&world, "team0").unwrap();
        object["metadata"]["annotations"]["bailiwick.dev/reconcile-requested-at"] = json!(when);
        assert!(world.server.put(&object).is_some());
    };
    let role =
        || world.server.get("clusterrolebindings", "", name).unwrap()["roleRef"]["name"].clone();
    let leads_elsewhere = || {
        let mut binding = world.server.get("clusterrolebindings", "", name).unwrap();
        world.server.delete("clusterrolebindings", "", name);
        binding["roleRef"]["name"] = json!("view");
        binding["metadata"]["resourceVersion"].take();
        binding["metadata"]["uid"].take();
        assert!(world.server.put(&binding).is_some());
    };
    leads_elsewhere();
    look_again("1");
    let message = must_say(&world, &mut run, "team0", "BindingTaken").await;
    assert!(message.contains("ClusterRole view"), "{message}");
    world.pass_time(&mut run, HOUR).await;
    assert_eq!(role(), "view");
    // As the message says.
    world.server.delete("clusterrolebindings", "", name);
    let made = || world.server.get("clusterrolebindings", "", name).is_some();
    world.must(&mut run, "its own", made).await;
    assert_eq!(readers(&world), Some(vec!["dev".to_owned()]));
    ready(&world, &mut run).await;
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn members_may_read_their_team_for_as_long_as_they_are_and_it_is() {
    let world = declared();
    let mut run = world.start();
    ready(&world, &mut run).await;
    assert_eq!(readers(&world), Some(vec!["dev".to_owned()]));
    edit(&world, "team0", |spec| {
        spec["members"] = json!([{"user": "ops"}])
    });
    ready(&world, &mut run).await;
    assert_eq!(readers(&world), Some(vec!["ops".to_owned()]));
    // What somebody changes or removes is put right.
    let name = "bailiwick:team:team0";
    let mut role = world.server.get("clusterroles", "", name).unwrap();
    role["rules"] = json!([]);
    world.server.put(&role);
    world.server.delete("clusterrolebindings", "", name);
    ready(&world, &mut run).await;
    assert_eq!(readers(&world), Some(vec!["ops".to_owned()]));
    // With the team they go.
    deleted(&world, &mut run).await;
    world.pass_time(&mut run, HOUR).await;
    assert_eq!(readers(&world), None);
    assert!(world.server.get("clusterroles", "", name).is_none());
    run.stop();
}
