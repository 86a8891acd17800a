//! What nobody watched is held until it is told, what cannot be read is not made up, and nobody takes all the room.

use std::time::Duration;

use bailiwick::cloud::simulated::Options;
use bailiwick::cloud::{CloudError, ErrorKind};
use bailiwick::journal::record::{Operation, Record};
use serde_json::json;

use super::strike::Strike;
use super::world::{World, minutes};

fn of<'a>(records: &'a [Record], kind: &str, name: &str) -> Vec<&'a Record> {
    let of_it = |record: &&Record| record.kind == kind && record.name == name;
    records.iter().filter(of_it).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_made_and_deleted_while_no_operator_runs_is_told() {
    let world = World::new(Options::default());
    for (kind, name) in [
        ("Release", "one-1"),
        ("Approval", "ann"),
        ("Application", "one"),
    ] {
        world.declare(kind, name, 1);
        world.delete(kind, name);
    }
    minutes(5).await;
    let plurals = ["releases", "approvals", "applications"];
    for plural in plurals {
        assert_eq!(world.server.objects(plural).len(), 1, "{plural} are held");
    }
    let operator = world.operator(Strike::none(), &[]);
    assert!(world.catch_up(Duration::from_secs(120)).await);
    assert_eq!(world.check("after").await, (0, 0));
    let records = world.records().await;
    for (kind, name) in [("Release", "one-1"), ("Approval", "ann")] {
        let chain = of(&records, kind, name);
        let told: Vec<Operation> = chain.iter().map(|record| record.operation).collect();
        assert_eq!(told, [Operation::Created, Operation::Deleted], "{kind}");
        assert_eq!(chain[0].who.as_deref(), Some("oidc:user-1"), "{kind}");
        assert_eq!(chain[1].before, chain[0].after, "{kind}");
    }
    for plural in plurals {
        assert!(
            world.server.objects(plural).is_empty(),
            "{plural} are let go"
        );
    }
    operator.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_all_that_is_in_it_once_that_is_told() {
    let world = World::new(Options::default());
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "team-shop" } });
    world.server.put(&namespace).unwrap();
    world.declare("Release", "one-1", 1);
    world.declare("Approval", "ann", 1);
    assert!(world.server.delete("namespaces", "", "team-shop"));
    minutes(5).await;
    assert!(
        world.server.get("namespaces", "", "team-shop").is_some(),
        "it is held"
    );
    // The bucket is away, too: the outbox will do.
    world.cloud.set_bucket_away(true);
    let operator = world.operator(Strike::none(), &[]);
    minutes(5).await;
    assert!(
        world.server.get("namespaces", "", "team-shop").is_none(),
        "it is let go"
    );
    world.cloud.set_bucket_away(false);
    minutes(5).await;
    let records = world.records().await;
    for (kind, name) in [("Release", "one-1"), ("Approval", "ann")] {
        assert_eq!(of(&records, kind, name).len(), 2, "{records:#?}");
    }
    assert!(world.verdict().await.whole);
    operator.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_what_was_held_for_one_is_let_go() {
    let world = World::new(Options::default());
    world.declare("Release", "one-1", 1);
    let operator = world.operator_without_journal();
    minutes(1).await;
    world.delete("Release", "one-1");
    minutes(1).await;
    assert!(world.server.objects("releases").is_empty());
    operator.end().await;
}

/// A record in an archive: its hash is in the index, what it said is not.
#[tokio::test(start_paused = true)]
async fn what_a_record_said_that_cannot_be_read_is_unknown() {
    let world = World::new(Options::default());
    let operator = world.operator(Strike::none(), &[]);
    world.declare("Application", "one", 1);
    world.declare("Application", "two", 1);
    minutes(1).await;
    let message = "the object is in an archive and cannot be read";
    let archived = CloudError::new(
        ErrorKind::Invalid,
        "s3.GetObject",
        "InvalidObjectState",
        message,
    );
    world.cloud.refuse_all(archived);
    world.declare("Application", "one", 2);
    minutes(1).await;
    world.cloud.relent("s3.GetObject");
    world.declare("Application", "one", 3);
    assert!(world.catch_up(Duration::from_secs(60)).await);
    let records = world.records().await;
    let chain = of(&records, "Application", "one");
    assert_eq!((chain[1].before_unknown, &chain[1].before), (true, &None));
    let note = chain[1].note.as_deref().unwrap_or_default();
    assert!(note.contains("what was before is not known"), "{note}");
    assert_eq!(chain[1].after.as_ref().unwrap()["description"], "2");
    assert_eq!(
        (chain[2].before_unknown, &chain[2].before),
        (false, &chain[1].after)
    );
    // Whoever restores the archive finds the journal whole.
    assert!(world.verdict().await.whole);
    assert_eq!(world.check("after").await, (0, 0));
    operator.end().await;
}

/// Twenty applications in the journal, whose index is lost; and the uid of the first.
async fn without_an_index() -> (World, String) {
    let world = World::new(Options::default());
    let operator = world.operator(Strike::none(), &[]);
    for number in 0..20 {
        world.declare("Application", &format!("app{number}"), 1);
    }
    minutes(1).await;
    operator.end().await;
    for (key, _) in world.cloud.objects("journal/sim/heads/") {
        world.cloud.change_object_behind(&key, None);
    }
    let app0 = world.server.get("applications", "team-shop", "app0");
    let uid = app0.unwrap()["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    (world, uid)
}

fn archived() -> CloudError {
    let message = "the object is in an archive and cannot be read";
    CloudError::new(
        ErrorKind::Invalid,
        "s3.GetObject",
        "InvalidObjectState",
        message,
    )
}

/// The chain of one object is in an archive and the index is lost: the others' records are written all the same.
#[tokio::test(start_paused = true)]
async fn an_object_whose_chain_cannot_be_read_holds_up_no_other() {
    let (world, app0) = without_an_index().await;
    let strike = Strike::refusing(move |call| {
        (call.starts_with("s3.GetObject") && call.contains(&app0)).then(archived)
    });
    let operator = world.operator(strike.clone(), &[]);
    minutes(1).await;
    world.declare("Application", "app0", 2);
    for number in 0..20 {
        world.declare("Release", &format!("one-{number}"), number);
    }
    minutes(5).await;
    let written = world.cloud.objects("journal/sim/Release/").len();
    let waiting = world.outbox();
    strike.relent();
    assert!(world.catch_up(Duration::from_secs(1200)).await);
    assert_eq!(world.check("after").await, (0, 0));
    assert_eq!(written, 20, "nothing of theirs is in an archive");
    assert!(waiting > 0, "what is told of app0 waits");
    operator.end().await;
}

/// What waits because its chain cannot be read stays in its order, also where the bucket takes nothing of the others meanwhile.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_for_a_while_is_written_in_its_order() {
    let (world, _) = without_an_index().await;
    // Of those that were there nothing can be read, and nothing is taken of new ones.
    let known: Vec<String> = world
        .server
        .objects("applications")
        .iter()
        .map(|object| object["metadata"]["uid"].as_str().unwrap().to_owned())
        .collect();
    let strike = Strike::refusing(move |call| {
        let is_known = known.iter().any(|uid| call.contains(uid));
        let full = ("s3.PutObject", "SlowDown", "not now");
        match call.split_once(' ') {
            Some(("s3.GetObject", _)) if is_known => Some(archived()),
            Some(("s3.PutObject", _)) if !is_known => Some(CloudError::new(
                ErrorKind::Unavailable,
                full.0,
                full.1,
                full.2,
            )),
            _ => None,
        }
    });
    let operator = world.operator(strike.clone(), &[]);
    minutes(1).await;
    // All at once, so that what fails stands between two changes of one object.
    for (first, spec) in [("app", 2), ("new", 1), ("app", 3)] {
        for number in 0..20 {
            world.declare("Application", &format!("{first}{number}"), spec);
        }
    }
    minutes(5).await;
    strike.relent();
    assert!(world.catch_up(Duration::from_secs(1200)).await);
    assert_eq!(world.check("after").await, (0, 0));
    let records = world.records().await;
    for number in 0..20 {
        let chain = of(&records, "Application", &format!("app{number}"));
        let told: Vec<_> = chain
            .iter()
            .map(|record| (record.operation, record.generation))
            .collect();
        let changed = |generation| (Operation::Changed, Some(generation));
        let wanted = [(Operation::Created, Some(1)), changed(2), changed(3)];
        assert_eq!(told, wanted, "app{number}");
    }
    operator.end().await;
}

#[tokio::test(start_paused = true)]
async fn no_namespace_takes_all_the_room() {
    let world = World::new(Options::default());
    let operator = world.operator(Strike::none(), &["--journal-outbox", "10"]);
    world.declare("Team", "calm", 1);
    for number in 0..30 {
        world.declare("Application", &format!("app{number}"), number);
    }
    minutes(5).await;
    world.cloud.set_bucket_away(true);
    minutes(1).await;
    for number in 0..30 {
        world.declare("Application", &format!("app{number}"), 100 + number);
    }
    minutes(2).await;
    assert_eq!(world.outbox(), 8, "of the ten places");
    world.delete("Application", "app29");
    world.delete("Team", "calm");
    minutes(2).await;
    assert!(
        world.server.get("teams", "", "calm").is_none(),
        "others go on"
    );
    assert!(
        world
            .server
            .get("applications", "team-shop", "app29")
            .is_some(),
        "it waits its turn"
    );
    world.cloud.set_bucket_away(false);
    assert!(world.catch_up(Duration::from_secs(300)).await);
    assert_eq!(world.check("after").await, (0, 0));
    operator.end().await;
}

/// Whoever takes objects away by force while the bucket is away and the outbox is full does not fill the memory: of most
/// it is remembered that they are gone, and their last specs are said not to be known.
#[tokio::test(start_paused = true)]
async fn of_what_vanishes_only_so_much_is_remembered() {
    const OBJECTS: u64 = 300;
    let world = World::new(Options::default());
    let operator = world.operator(Strike::none(), &["--journal-outbox", "0"]);
    for number in 0..OBJECTS {
        world.declare("Application", &format!("app{number}"), 1);
    }
    minutes(5).await;
    world.cloud.set_bucket_away(true);
    minutes(1).await;
    for number in 0..OBJECTS {
        world.declare("Application", &format!("app{number}"), 2);
        world.wipe_out(&format!("app{number}"));
    }
    minutes(2).await;
    world.cloud.set_bucket_away(false);
    minutes(5).await;
    let records = world.records().await;
    let gone = |record: &&Record| record.operation == Operation::Deleted;
    let gone: Vec<&Record> = records.iter().filter(gone).collect();
    assert_eq!(gone.len() as u64, OBJECTS, "all are known to be gone");
    let is_bare = |record: &&&Record| {
        let note = record.note.as_deref().unwrap_or_default();
        note.contains("its last changes are not known")
    };
    let bare = gone.iter().filter(is_bare).count();
    // Eight queues with room for sixteen each.
    assert_eq!(bare as u64, OBJECTS - 8 * 16);
    assert!(world.verdict().await.whole);
    operator.end().await;
}
