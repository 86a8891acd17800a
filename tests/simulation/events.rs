//! What an account's life is told in events: each transition once, each repair, and nothing while nothing happens.

use std::collections::BTreeMap;
use std::time::Duration;

use bailiwick::cloud::RegionState;
use bailiwick::cloud::simulated::Options;
use bailiwick::model::{AccountId, ContactKind, TAG_QUARANTINED_AT, UnitPath};
use serde_json::{Value, json};

use crate::world::{HOUR, MINUTE, World};

/// An event: whom it is about, its reason, what it says.
type Told = (String, String, String);

/// All events about objects of a kind, in the order in which they were made, a repeated one as often as it was.
fn told(world: &World, kind: &str) -> Vec<Told> {
    let mut events = world.server.objects("events");
    events.retain(|event| event["regarding"]["kind"] == kind);
    let made = |event: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["eventTime"]), text(&event["metadata"]["name"]))
    };
    events.sort_by_key(made);
    let mut all = Vec::new();
    for event in events {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let place = [
            &event["regarding"]["namespace"],
            &event["regarding"]["name"],
        ]
        .map(text);
        let one = (
            place.join("/"),
            text(&event["reason"]),
            text(&event["note"]),
        );
        let times = event["series"]["count"].as_u64().unwrap_or(1);
        all.extend((0..times).map(|_| one.clone()));
    }
    all
}

fn reasons(told: &[Told]) -> Vec<&str> {
    told.iter().map(|(_, reason, _)| reason.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_account_is_told_of_four_times_until_it_is_ready() {
    let world = World::with_one(false);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    world.account("acc0", json!({}));
    world.must_be_ready(&mut run).await;
    world.pass_time(&mut run, MINUTE).await;
    // What its Ready condition went through, and the one thing that was made outside.
    let life = ["Creating", "Activating", "Created", "Ready"];
    let first = told(&world, "TeamAccount");
    assert_eq!(reasons(&first), life, "{first:#?}");
    world.pass_time(&mut run, HOUR).await;
    let later = told(&world, "TeamAccount");
    assert_eq!(later, first, "a settled hour is told of");
    // A restart is no transition either.
    run.fate.die();
    world.pass_time(&mut run, HOUR).await;
    assert_eq!(told(&world, "TeamAccount"), first, "a restart is told of");
    for kind in ["Team", "AccountClass"] {
        assert_eq!(reasons(&told(&world, kind)), ["Ready"], "{kind}");
    }
    run.stop();
}

#[tokio::test(start_paused = true)]
async fn in_a_queue_each_account_is_told_of_six_times_at_most_and_nothing_is_told_twice() {
    let world = World::new(Options::default(), 5);
    world.declare(4, 5);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let mut of_each: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (account, reason, _) in told(&world, "TeamAccount") {
        of_each.entry(account).or_default().push(reason);
    }
    assert_eq!(of_each.len(), 20);
    // Declared together with its team, whose namespace has to be made first.
    let whole = [
        "ReadingOrganization",
        "TeamNotFound",
        "Queued",
        "Creating",
        "Activating",
        "Created",
        "Ready",
    ];
    for (account, told) in &of_each {
        // Each a part of the whole, in its order: no reason comes twice.
        let mut rest = whole.iter();
        let in_order = told.iter().all(|one| rest.any(|next| next == one));
        assert!(in_order && told.len() <= 6, "{account}: {told:?}");
        assert!(told.ends_with(&["Created".to_owned(), "Ready".to_owned()]));
    }
    run.stop();
}

/// Somebody changes the account behind our back.
type Drift = fn(&World, &AccountId);

#[tokio::test(start_paused = true)]
async fn every_kind_of_drift_is_repaired_and_told() {
    let all: [(&str, &str, Drift); 9] = [
        ("MoveAccount", "/Workloads/Test", |world, id| {
            let elsewhere = "/Elsewhere".parse::<UnitPath>().unwrap();
            world.cloud.move_behind(id, &elsewhere);
        }),
        ("TagResource", "stage=test", |world, id| {
            world.cloud.retag_behind(id, "stage", Some("live"));
        }),
        ("UntagResource", TAG_QUARANTINED_AT, |world, id| {
            let since = Some("2020-01-01T00:00:00Z");
            world.cloud.retag_behind(id, TAG_QUARANTINED_AT, since);
        }),
        ("PutAccountName", "team0-acc0", |world, id| {
            world.cloud.rename_behind(id, "somebody's");
        }),
        ("PutAlternateContact", "s@example.com", |world, id| {
            world
                .cloud
                .set_contact_behind(id, ContactKind::Security, None);
        }),
        ("CreateAccountAlias", "acme-team0-acc0", |world, id| {
            world.cloud.set_alias_behind(id, Some("somebodys"));
        }),
        ("UpdateAccountPasswordPolicy", "16", |world, id| {
            world.cloud.set_policy_behind(id, None);
        }),
        ("EnableRegion", "eu-south-1", |world, id| {
            let region = "eu-south-1".parse().unwrap();
            let state = RegionState::Disabled;
            world.cloud.set_region_behind(id, region, state);
        }),
        (
            "StartPrimaryEmailUpdate",
            "root@example.com",
            |world, id| {
                world.cloud.set_email_behind(id, "somebody@example.com");
            },
        ),
    ];
    let world = World::with_one(false);
    let spec = json!({"regions": ["eu-central-1", "eu-south-1"], "email": "root@example.com"});
    world.account("acc0", spec);
    let mut run = world.start();
    world.must_be_ready(&mut run).await;
    let id = world.member("acc0").unwrap().id;
    let repairs = || {
        let mut told = told(&world, "TeamAccount");
        told.retain(|(_, reason, _)| reason == "DriftRepaired");
        told
    };
    let as_declared = world.member("acc0").unwrap();
    for (number, (action, wanted, drift)) in all.into_iter().enumerate() {
        assert_eq!(repairs().len(), number, "before {action}: {:#?}", repairs());
        drift(&world, &id);
        // Found by a sweep, or by the next look into the account.
        let found = || repairs().len() > number;
        world.must(&mut run, action, found).await;
        let (_, _, note) = repairs().remove(number);
        assert!(note.contains(&format!("{action} → ")), "{action}: {note}");
        assert!(note.contains(wanted), "{action}: {note}");
        assert!(note.contains(id.as_str()), "{action}: {note}");
        if action == "StartPrimaryEmailUpdate" {
            // That takes a person.
            world.must_say(&mut run, "EmailConfirmationPending").await;
            let code = world.cloud.email_code(&id).unwrap();
            world.annotate("acc0", "email-confirmation-code", &code);
        }
        world.must_be_ready(&mut run).await;
        assert_eq!(world.member("acc0").unwrap(), as_declared, "{action}");
        world.pass_time(&mut run, 2 * MINUTE).await;
    }
    // And once repaired it is left in peace, also at the next look.
    world
        .pass_time(&mut run, Duration::from_secs(7 * 3600))
        .await;
    assert_eq!(repairs().len(), 9, "{:#?}", repairs());
    run.stop();
}
