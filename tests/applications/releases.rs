//! From create to Ready: what a release needs, what it costs, and what a slow registry holds up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bailiwick::controllers::release::origins::Searched;
use bailiwick::dev::api_server::Verb;
use serde_json::{Value, json};

use super::world::{Fate, Fault, HOUR, World, built_from, digest};

const MINUTE: Duration = Duration::from_secs(60);
const SOURCE: &str = "https://git.example.com/a/shop";

fn image(tag: &str) -> String {
    format!("registry.example.com/a/shop:{tag}")
}

fn spec(version: &str) -> Value {
    json!({"application": "shop", "version": version, "image": image(version)})
}

/// Team a with its application, and an image of version 1.
fn shop(application: &Value) -> World {
    let world = World::new();
    world.team("aa");
    let mut whole = json!({"repositories": [SOURCE]});
    for (key, value) in application.as_object().unwrap() {
        whole[key] = value.clone();
    }
    world.application("aa", "shop", &whole);
    world
        .registries
        .push(&image("1"), &digest('1'), built_from(SOURCE));
    world
}

/// Waits until the application has its name.
async fn accepted(world: &World) {
    world
        .until("accepted", MINUTE, |world| {
            world
                .condition("applications", "aa", "shop", "Ready")
                .starts_with("True")
        })
        .await;
}

fn says(world: &World, release: &str, type_: &str) -> String {
    world.condition("releases", "aa", release, type_)
}

fn is_ready(world: &World, release: &str) -> bool {
    says(world, release, "Ready").starts_with("True")
}

fn resolved(world: &World, release: &str) -> Value {
    world.server.get("releases", "team-aa", release).unwrap()["status"]["image"]["digest"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_release_is_ready_by_two_writes_and_its_application_knows_it_by_one() {
    let world = shop(&json!({}));
    let operator = world.operator(&Arc::default());
    accepted(&world).await;
    world.server.reset_counters();
    world.release("aa", "shop-1", "robot", &spec("1"));
    world
        .until("ready", MINUTE, |world| is_ready(world, "shop-1"))
        .await;
    world
        .until("known", MINUTE, |world| {
            let shop = world.server.get("applications", "team-aa", "shop").unwrap();
            shop["status"]["latestReadyVersion"] == "1" && shop["status"]["releaseCount"] == 1
        })
        .await;
    let writes = |plural, part| world.server.requests(Verb::Patch, plural, part);
    assert_eq!(
        writes("releases", "status"),
        2,
        "the digest first, then the rest"
    );
    assert_eq!(writes("releases", ""), 0, "no finalizer");
    assert_eq!(writes("applications", "status"), 1);
    // Now it is settled: nothing is written, and no registry asked.
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.server.reset_counters();
    let asked = world.registries.asked.load(Ordering::SeqCst);
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(
        world.server.writes(),
        0,
        "{:?}",
        world.server.all_requests()
    );
    assert_eq!(world.registries.asked.load(Ordering::SeqCst), asked);
    operator.abort();
}

/// Two hundred at once, of a registry that is asked four at a time: they wait for seconds, and nobody writes that they do.
#[tokio::test(start_paused = true)]
async fn many_that_come_at_once_cost_no_more_writes_each() {
    const MANY: u64 = 200;
    let world = shop(&json!({}));
    world
        .registries
        .slow_down("registry.example.com", Duration::from_millis(20));
    let operator = world.operator(&Arc::default());
    accepted(&world).await;
    world.server.reset_counters();
    for at in 0..MANY {
        let (version, image) = (format!("1.{at}"), image(&format!("1.{at}")));
        world
            .registries
            .push(&image, &digest('a'), built_from(SOURCE));
        let spec = json!({"application": "shop", "version": version, "image": image});
        world.release("aa", &format!("shop-1.{at}"), "robot", &spec);
    }
    world
        .until("all of them", 2 * MINUTE, |world| {
            (0..MANY).all(|at| is_ready(world, &format!("shop-1.{at}")))
        })
        .await;
    let statuses = world.server.requests(Verb::Patch, "releases", "status");
    assert_eq!(statuses, 2 * MANY, "the digests first, then the rest");
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn the_first_digest_stays_whenever_the_operator_dies_and_the_tag_moves() {
    let life = async |strike: Option<(u64, Fault)>| {
        let world = shop(&json!({}));
        let calm = world.operator(&Arc::default());
        accepted(&world).await;
        calm.abort();
        world.release("aa", "shop-1", "robot", &spec("1"));
        let fate = Arc::new(Fate {
            strike,
            ..Fate::default()
        });
        let first = world.operator(&fate);
        let ready = world
            .until_or_dead(&fate, HOUR, |world| is_ready(world, "shop-1"))
            .await;
        first.abort();
        let known = resolved(&world, "shop-1");
        world
            .registries
            .push(&image("1"), &digest('2'), built_from(SOURCE));
        if !ready {
            assert!(fate.is_dead(), "{strike:?}: never ready");
            let second = world.operator(&Arc::default());
            world
                .until("ready", HOUR, |world| is_ready(world, "shop-1"))
                .await;
            second.abort();
        }
        let wanted = if known.is_null() {
            json!(digest('2').as_str())
        } else {
            known
        };
        assert_eq!(resolved(&world, "shop-1"), wanted, "{strike:?}");
        fate.writes.load(Ordering::SeqCst)
    };
    let writes = life(None).await;
    assert!(writes >= 2, "only {writes}");
    for fault in [Fault::KillBefore, Fault::KillAfter, Fault::LoseAnswer] {
        for at in 1..=writes {
            life(Some((at, fault))).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_moved_tag_is_said_and_changes_nothing() {
    let world = shop(&json!({}));
    let operator = world.operator(&Arc::default());
    world.release("aa", "shop-1", "robot", &spec("1"));
    world
        .until("ready", MINUTE, |world| is_ready(world, "shop-1"))
        .await;
    world
        .registries
        .push(&image("1"), &digest('2'), built_from(SOURCE));
    world.edit("releases", "aa", "shop-1", |object| {
        object["metadata"]["annotations"]["bailiwick.dev/reconcile-requested-at"] = json!("now");
    });
    world
        .until("said", MINUTE, |world| {
            let said = says(world, "shop-1", "TagMoved");
            said.starts_with("True TagMoved") && said.contains(digest('2').as_str())
        })
        .await;
    assert!(is_ready(&world, "shop-1"));
    assert_eq!(resolved(&world, "shop-1"), json!(digest('1').as_str()));
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_said_by_every_condition() {
    let world = shop(&json!({}));
    let mut dirty = built_from(SOURCE);
    dirty.origin.as_mut().unwrap().dirty = Some(true);
    let mut unsaid = built_from(SOURCE);
    unsaid.origin.as_mut().unwrap().dirty = None;
    for (tag, letter, searched) in [
        ("dirty", '2', dirty),
        ("unsaid", '3', unsaid),
        ("bare", '4', Searched::default()),
        ("other", '5', built_from("https://git.example.com/a/web")),
    ] {
        world
            .registries
            .push(&image(tag), &digest(letter), searched);
    }
    let operator = world.operator(&Arc::default());
    for tag in ["1", "dirty", "unsaid", "bare", "other", "absent"] {
        world.release("aa", &format!("shop-{tag}"), "robot", &spec(tag));
    }
    let mut twice = spec("1");
    twice["image"] = json!(image("unsaid"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.release("aa", "shop-again", "robot", &twice);
    let elsewhere = json!({"application": "other", "version": "1", "image": image("1")});
    world.release("aa", "other-1", "robot", &elsewhere);
    for (release, type_, wanted) in [
        ("shop-1", "Ready", "True Ready"),
        ("shop-1", "Clean", "True Clean"),
        ("shop-dirty", "Ready", "False Dirty"),
        ("shop-dirty", "SourceMatches", "True SourceMatches"),
        ("shop-unsaid", "Ready", "True Ready"),
        ("shop-unsaid", "Clean", "Unknown CleanUnknown"),
        ("shop-bare", "Ready", "False SourceUnknown"),
        ("shop-bare", "SourceKnown", "False SourceUnknown"),
        ("shop-other", "Ready", "False SourceMismatch"),
        ("shop-other", "SourceKnown", "True SourceKnown"),
        ("shop-absent", "Ready", "False ImageNotFound"),
        ("shop-absent", "Resolved", "False ImageNotFound"),
        ("shop-again", "Ready", "False Duplicate"),
        ("other-1", "Ready", "False ApplicationNotFound"),
    ] {
        world
            .until(&format!("{release} {type_} {wanted}"), MINUTE, |world| {
                says(world, release, type_).starts_with(wanted)
            })
            .await;
    }
    // The older one goes: the version is free for the one that waits.
    assert!(world.server.delete("releases", "team-aa", "shop-1"));
    world
        .until("its turn", MINUTE, |world| is_ready(world, "shop-again"))
        .await;
    // The repository is entered: the release of it is Ready without being touched.
    world.edit("applications", "aa", "shop", |object| {
        object["spec"]["repositories"] = json!([SOURCE, "git@Git.example.com:a/web.git"]);
    });
    world
        .until("matches", MINUTE, |world| is_ready(world, "shop-other"))
        .await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn tags_that_move_are_never_ready_where_the_team_has_production() {
    let world = shop(&json!({}));
    for tag in ["latest", "2-SNAPSHOT"] {
        world
            .registries
            .push(&image(tag), &digest('2'), built_from(SOURCE));
    }
    let pinned = format!("{}@{}", image("latest"), digest('2'));
    world
        .registries
        .push(&pinned, &digest('2'), built_from(SOURCE));
    let operator = world.operator(&Arc::default());
    for (name, version, image) in [
        ("latest", "l", image("latest")),
        ("snapshot", "s", image("2-SNAPSHOT")),
        ("pinned", "p", pinned),
    ] {
        let spec = json!({"application": "shop", "version": version, "image": image});
        world.release("aa", name, "robot", &spec);
        world
            .until(name, MINUTE, |world| is_ready(world, name))
            .await;
    }
    let class = |production: bool| {
        json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "AccountClass", "metadata": {"name": "live"},
            "spec": {
                "organizationalUnitPath": "/Live", "emailTemplate": "aws+{{team}}-{{account}}@example.com",
                "production": production, "regions": [],
            },
        })
    };
    world.server.put(&class(false));
    world.server.put(&json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": "TeamAccount",
        "metadata": {"name": "live", "namespace": "team-aa"}, "spec": {"className": "live"},
    }));
    tokio::time::sleep(MINUTE).await;
    assert!(is_ready(&world, "latest"));
    world.server.put(&class(true));
    for name in ["latest", "snapshot"] {
        world
            .until(name, MINUTE, |world| {
                says(world, name, "Ready").starts_with("False MovingTag")
            })
            .await;
    }
    assert!(
        is_ready(&world, "pinned"),
        "{}",
        says(&world, "pinned", "Ready")
    );
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn different_people_approve_and_never_the_requester() {
    let needs = json!({"requiredApprovals": {"types": ["CodeChange"], "people": 2}});
    let world = shop(&needs);
    let operator = world.operator(&Arc::default());
    world.release("aa", "shop-1", "dev", &spec("1"));
    world
        .until("awaited", MINUTE, |world| {
            says(world, "shop-1", "Ready").starts_with("False AwaitingApproval")
        })
        .await;
    world.approval("aa", "own", "dev", "shop-1", &digest('1'));
    world.approval("aa", "ann", "ann", "shop-1", &digest('1'));
    world.approval("aa", "old", "bob", "shop-1", &digest('2'));
    world.approval("aa", "lost", "bob", "shop-2", &digest('1'));
    world.approval(
        "aa",
        "robot",
        "system:serviceaccount:ci:robot",
        "shop-1",
        &digest('1'),
    );
    for (name, wanted) in [
        ("own", "False OwnRelease"),
        ("ann", "True Ready"),
        ("old", "False DigestMismatch"),
        ("lost", "False ReleaseNotFound"),
        ("robot", "False NotAPerson"),
    ] {
        world
            .until(name, MINUTE, |world| {
                world
                    .condition("approvals", "aa", name, "Ready")
                    .starts_with(wanted)
            })
            .await;
    }
    // Of a type that nobody demands it is in order, and says that it adds to nothing.
    world.server.put(&json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Approval",
        "metadata": {
            "name": "deploy", "namespace": "team-aa", "annotations": {"bailiwick.dev/created-by": "cat"},
        },
        "spec": {"release": "shop-1", "digest": digest('1').as_str(), "type": "Deploy", "approver": "cat"},
    }));
    let remark = |world: &World| world.condition("approvals", "aa", "deploy", "NotDemanded");
    world
        .until("remarked", MINUTE, |world| {
            let ready = world.condition("approvals", "aa", "deploy", "Ready");
            ready.starts_with("True") && remark(world).contains("it demands CodeChange")
        })
        .await;
    world
        .until("one more", MINUTE, |world| {
            says(world, "shop-1", "Approved").contains("an approval by one more person")
        })
        .await;
    world.approval("aa", "bob", "bob", "shop-1", &digest('1'));
    world
        .until("approved", MINUTE, |world| is_ready(world, "shop-1"))
        .await;
    // Taken back: it is not approved any more.
    assert!(world.server.delete("approvals", "team-aa", "ann"));
    world
        .until("taken back", MINUTE, |world| {
            says(world, "shop-1", "Ready").starts_with("False AwaitingApproval")
        })
        .await;
    // Once it is demanded it counts, and goes on doing so: the name keeps the demand.
    for types in [json!(["CodeChange", "Deploy"]), json!(["CodeChange"])] {
        world.edit("applications", "aa", "shop", |object| {
            object["spec"]["requiredApprovals"]["types"] = types.clone();
        });
        world
            .until("demanded", MINUTE, |world| {
                remark(world).is_empty() && is_ready(world, "shop-1")
            })
            .await;
    }
    tokio::time::sleep(MINUTE).await;
    assert!(remark(&world).is_empty() && is_ready(&world, "shop-1"));
    operator.abort();
}

/// Where nobody guards the stamps, nobody can tell who requested what: nothing counts as approved.
#[tokio::test(start_paused = true)]
async fn stamps_that_nobody_guards_are_not_believed() {
    let needs = json!({"requiredApprovals": {"types": ["CodeChange"], "people": 1}});
    let world = shop(&needs);
    let operator = world.operator_with(&Arc::default(), &[]);
    world.release("aa", "shop-1", "dev", &spec("1"));
    world
        .until("resolved", MINUTE, |world| {
            !resolved(world, "shop-1").is_null()
        })
        .await;
    world.approval("aa", "ann", "ann", "shop-1", &digest('1'));
    world
        .until("not believed", MINUTE, |world| {
            says(world, "shop-1", "Approved").starts_with("Unknown RequesterUnknown")
                && says(world, "shop-1", "Ready").starts_with("False RequesterUnknown")
                && world
                    .condition("approvals", "aa", "ann", "Ready")
                    .starts_with("False AuthorUnknown")
        })
        .await;
    operator.abort();
}

/// Fifty releases of a registry that takes ten minutes for every answer: the one of another registry does not wait.
#[tokio::test(start_paused = true)]
async fn a_slow_registry_holds_up_only_those_who_asked_it() {
    let world = shop(&json!({}));
    world
        .registries
        .slow_down("slow.example.com", Duration::from_secs(600));
    let operator = world.operator(&Arc::default());
    for at in 0..50 {
        let image = format!("slow.example.com/a/shop:{at}");
        world
            .registries
            .push(&image, &digest('3'), built_from(SOURCE));
        let spec = json!({"application": "shop", "version": format!("s{at}"), "image": image});
        world.release("aa", &format!("slow-{at}"), "robot", &spec);
    }
    tokio::time::sleep(MINUTE).await;
    let start = tokio::time::Instant::now();
    world.release("aa", "shop-1", "robot", &spec("1"));
    world
        .until("the quick one", MINUTE, |world| is_ready(world, "shop-1"))
        .await;
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    // Nor is it for ever: the slow ones get there, a few at a time.
    world
        .until("the slow ones", 12 * HOUR, |world| {
            (0..50).all(|at| is_ready(world, &format!("slow-{at}")))
        })
        .await;
    operator.abort();
}

/// A team whose releases wait for two slow registries keeps no other team from a quick one that it asks too.
#[tokio::test(start_paused = true)]
async fn a_team_that_waits_holds_up_only_itself() {
    let world = shop(&json!({}));
    world.team("bb");
    world.application("bb", "web", &json!({"repositories": [SOURCE]}));
    let operator = world.operator(&Arc::default());
    for registry in ["slow-1.example.com", "slow-2.example.com"] {
        world
            .registries
            .slow_down(registry, Duration::from_secs(600));
    }
    // More than may be under way of one namespace; then more than may be of one registry.
    let slow = (0..40).map(|at| format!("slow-{}.example.com/a/shop:{at}", 1 + at % 2));
    let quick = (40..50).map(|at| format!("registry.example.com/a/shop:{at}"));
    for (at, image) in slow.chain(quick).enumerate() {
        world
            .registries
            .push(&image, &digest('3'), built_from(SOURCE));
        let spec = json!({"application": "shop", "version": format!("v{at}"), "image": image});
        world.release("aa", &format!("shop-{at}"), "robot", &spec);
    }
    tokio::time::sleep(MINUTE).await;
    let start = tokio::time::Instant::now();
    let spec = json!({"application": "web", "version": "1", "image": image("1")});
    world.release("bb", "web-1", "robot", &spec);
    world
        .until("the other team's", MINUTE, |world| {
            world
                .condition("releases", "bb", "web-1", "Ready")
                .starts_with("True")
        })
        .await;
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    world
        .until("all", 8 * HOUR, |world| {
            (0..50).all(|at| is_ready(world, &format!("shop-{at}")))
        })
        .await;
    operator.abort();
}

/// A thousand releases of a registry that does not answer: the one of another registry is Ready as if they were not there.
#[tokio::test(start_paused = true)]
async fn a_thousand_that_wait_block_no_good_one() {
    let world = shop(&json!({}));
    world.registries.slow_down("slow.example.com", 24 * HOUR);
    let operator = world.operator(&Arc::default());
    for at in 0..1000 {
        let image = format!("slow.example.com/a/shop:{at}");
        let spec = json!({"application": "shop", "version": format!("s{at}"), "image": image});
        world.release("aa", &format!("slow-{at}"), "robot", &spec);
    }
    tokio::time::sleep(MINUTE).await;
    let start = tokio::time::Instant::now();
    world.release("aa", "shop-1", "robot", &spec("1"));
    world
        .until("the good one", MINUTE, |world| is_ready(world, "shop-1"))
        .await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(says(&world, "slow-999", "Ready").starts_with("False AskingRegistry"));
    operator.abort();
}
