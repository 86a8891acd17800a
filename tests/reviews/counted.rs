//! Which reviews count, over real connections.

use std::sync::Arc;
use std::time::Duration;

use bailiwick::api::Evidence;
use bailiwick::controllers::release::origins::Searched;
use bailiwick::registry::code_hosts::Reviewing;
use serde_json::{Value, json};

use super::host::{COMMIT, Host, Mood, review};
use super::world::{World, built_from, digest};

pub const SOURCE: &str = "https://github.com/acme/shop";
pub const SOON: Duration = Duration::from_secs(40);

pub fn from_commit(evidence: Evidence) -> Searched {
    let mut searched = built_from(SOURCE);
    let origin = searched.origin.as_mut().unwrap();
    origin.revision = Some(COMMIT.to_owned());
    origin.evidence = evidence;
    searched
}

/// A team whose application demands that so many people have approved the change, and an image of it.
pub fn shop(people: u32, evidence: Evidence) -> World {
    let world = World::new();
    world.team("aa");
    let spec = json!({
        "repositories": [SOURCE], "requiredApprovals": {"types": ["CodeChange"], "people": people},
        "ticketSystem": {"pattern": "SHOP-[0-9]+", "urlTemplate": "https://tickets.example.com/{{ticket}}"},
    });
    world.application("aa", "shop", &spec);
    let image = "registry.example.com/a/shop:1";
    world
        .registries
        .push(image, &digest('1'), from_commit(evidence));
    world
}

pub fn release(world: &World, by: &str) {
    let image = "registry.example.com/a/shop:1";
    let spec = json!({"application": "shop", "version": "1", "image": image});
    world.release("aa", "shop-1", by, &spec);
}

pub fn says(world: &World, type_: &str) -> String {
    world.condition("releases", "aa", "shop-1", type_)
}

pub fn status(world: &World) -> Value {
    let release = world.server.get("releases", "team-aa", "shop-1");
    release.unwrap_or_default()["status"].clone()
}

pub fn look_again(world: &World, when: &str) {
    world.edit("releases", "aa", "shop-1", |object| {
        object["metadata"]["annotations"]["bailiwick.dev/reconcile-requested-at"] = json!(when);
    });
}

/// Logins are users of the company; one has another name.
pub fn reviewing() -> Reviewing {
    Reviewing {
        users: [("octocat".to_owned(), "requester@example.com".to_owned())].into(),
        user: Some("{{login}}@example.com".to_owned()),
        unsigned: false,
    }
}

/// What is said of this login's reviews: who approves, or why it does not count.
pub fn verdict(world: &World, login: &str) -> String {
    let status = status(world);
    let mut reviews = status["reviews"].as_array().cloned().unwrap_or_default();
    reviews.retain(|one| one["login"] == login);
    assert!(reviews.len() <= 1, "{reviews:?}");
    let found = reviews.pop().unwrap_or_default();
    let words = found["approver"].as_str().or(found["refused"].as_str());
    words.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn reviews_of_that_commit_count_and_no_others() {
    let (host, world) = (Host::start().await, shop(2, Evidence::Attestation));
    world
        .registries
        .ask_about_commits(host.origins(Some(reviewing())));
    let other = "ffff000ffff000ffff000ffff000ffff000f0000";
    // Over several pages, and what matters is on the last one.
    for (at, (login, state, commit)) in [
        ("Ann", "APPROVED", COMMIT),
        ("bob", "APPROVED", COMMIT),
        ("cid", "APPROVED", other),
        ("dev", "APPROVED", COMMIT),
        ("opener", "APPROVED", COMMIT),
        ("octocat", "APPROVED", COMMIT),
        ("eve", "DISMISSED", COMMIT),
        ("fay", "COMMENTED", COMMIT),
        ("ann", "COMMENTED", COMMIT),
        ("bob", "CHANGES_REQUESTED", other),
    ]
    .into_iter()
    .enumerate()
    {
        host.review(review(at as u32 + 1, login, state, commit));
    }
    let (mut robot, mut stranger, mut untyped) = (
        review(20, "robot[bot]", "APPROVED", COMMIT),
        review(21, "stranger", "APPROVED", COMMIT),
        review(22, "untyped", "APPROVED", COMMIT),
    );
    robot["user"]["type"] = json!("Bot");
    untyped["user"]["type"].take();
    stranger["author_association"] = json!("NONE");
    host.review(robot);
    host.review(stranger);
    host.review(untyped);
    let operator = world.operator(&Arc::default());
    release(&world, "requester@example.com");
    world
        .until("one has approved", SOON, |world| {
            says(world, "Approved").contains("an approval by one more person")
        })
        .await;
    for (login, wanted) in [
        ("Ann", "ann@example.com"),
        ("bob", "it asks for changes, or was dismissed"),
        ("cid", "it is of commit ffff000"),
        ("dev", "the commit is dev's own work"),
        ("opener", "the commit is opener's own work"),
        // Approved in their eyes, and the release is theirs.
        ("octocat", "requester@example.com"),
        ("eve", "it asks for changes, or was dismissed"),
        ("fay", ""),
        ("robot[bot]", "robot[bot] is not a person"),
        ("untyped", "untyped is not a person"),
        (
            "stranger",
            "stranger is not of those who work on the repository",
        ),
    ] {
        let found = verdict(&world, login);
        assert!(
            found.starts_with(wanted) && (found.is_empty() == wanted.is_empty()),
            "{login}: {found}"
        );
    }
    assert!(!says(&world, "Ready").starts_with("True"));
    // Half an answer is none, and nothing that is known is lost by it.
    host.becomes(Mood::LosesPages);
    host.review(review(30, "bob", "APPROVED", COMMIT));
    host.review(review(31, "ann", "DISMISSED", COMMIT));
    look_again(&world, "1");
    world
        .until("owed", SOON, |world| {
            says(world, "CodeHostUnanswered").contains("500")
        })
        .await;
    assert_eq!(verdict(&world, "Ann"), "ann@example.com");
    assert!(says(&world, "Ready").starts_with("False CodeHostUnanswered"));
    assert!(says(&world, "Reconciling").starts_with("True"));
    // By itself: ann has taken it back, bob has not.
    host.becomes(Mood::Answers);
    world
        .until("bob", SOON, |world| {
            verdict(world, "bob") == "bob@example.com"
        })
        .await;
    assert_eq!(
        verdict(&world, "ann"),
        "it asks for changes, or was dismissed"
    );
    assert_eq!(says(&world, "CodeHostUnanswered"), "");
    host.review(review(40, "cid", "APPROVED", COMMIT));
    look_again(&world, "2");
    world
        .until("ready", SOON, |world| {
            says(world, "Ready").starts_with("True")
        })
        .await;
    let approvals = status(&world)["approvals"].clone();
    let of = |login: &str, at: u32| {
        json!({
            "name": format!("https://github.com/acme/shop/pull/7#pullrequestreview-{at}"), "type": "CodeChange",
            "approver": format!("{login}@example.com"), "evidence": "Review",
        })
    };
    assert_eq!(approvals, json!([of("bob", 30), of("cid", 40)]));
    assert_eq!(status(&world)["tickets"][0]["id"], "SHOP-8");
    // Settled: nobody is asked any more.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let asked = host.requests().len();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(host.requests().len(), asked);
    operator.abort();
}

/// Whoever reviews here and approves there is one person; and a commit of nobody's is approved by nobody.
#[tokio::test]
async fn one_person_is_one_wherever_they_approve() {
    let (host, world) = (Host::start().await, shop(2, Evidence::Attestation));
    world
        .registries
        .ask_about_commits(host.origins(Some(reviewing())));
    host.author(json!(null));
    host.review(review(1, "ann", "APPROVED", COMMIT));
    let operator = world.operator(&Arc::default());
    release(&world, "requester@example.com");
    world
        .until("nobody's", SOON, |world| {
            verdict(world, "ann").contains("does not know whose work")
        })
        .await;
    host.author(json!({"login": "dev"}));
    // Whoever committed it may have changed it.
    for (when, committer) in [("0", json!(null)), ("1", json!({}))] {
        let asked = host.requests().len();
        host.committer(committer);
        look_again(&world, when);
        world
            .until("asked again", SOON, |world| {
                host.requests().len() > asked + 2
                    && verdict(world, "ann").contains("does not know whose work")
                    && says(world, "CodeHostUnanswered").is_empty()
            })
            .await;
    }
    host.committer(json!({"login": "web-flow"}));
    look_again(&world, "2");
    world
        .until("ann's review", SOON, |world| {
            says(world, "Approved").contains("an approval by one more person")
        })
        .await;
    world.approval("aa", "ann", "ann@example.com", "shop-1", &digest('1'));
    world
        .until("ann's approval", SOON, |world| {
            world
                .condition("approvals", "aa", "ann", "Ready")
                .starts_with("True")
        })
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(says(&world, "Approved").contains("an approval by one more person"));
    world.approval("aa", "bob", "bob@example.com", "shop-1", &digest('1'));
    world
        .until("bob's approval", SOON, |world| {
            says(world, "Ready").starts_with("True")
        })
        .await;
    operator.abort();
}

/// Reviews count only where it is configured so, and only of a commit that somebody trusted has signed for.
#[tokio::test]
async fn it_is_closed_unless_somebody_opens_it() {
    let unsigned = Reviewing {
        unsigned: true,
        ..reviewing()
    };
    for (evidence, reviewing, counts) in [
        (Evidence::Attestation, None, false),
        (Evidence::Annotation, Some(reviewing()), false),
        (Evidence::Annotation, Some(unsigned), true),
    ] {
        let (host, world) = (Host::start().await, shop(1, evidence));
        world
            .registries
            .ask_about_commits(host.origins(reviewing.clone()));
        host.review(review(1, "ann", "APPROVED", COMMIT));
        let operator = world.operator(&Arc::default());
        release(&world, "requester@example.com");
        world
            .until("tickets", SOON, |world| {
                status(world)["tickets"][0]["id"] == "SHOP-8"
            })
            .await;
        let wanted = match counts {
            true => "True Approved",
            false => "False AwaitingApproval",
        };
        world
            .until(wanted, SOON, |world| {
                says(world, "Approved").starts_with(wanted)
            })
            .await;
        let asked = host.requests();
        let reviews = asked.iter().any(|path| path.contains("pulls"));
        assert_eq!(reviews, counts, "{evidence:?} {reviewing:?}: {asked:?}");
        operator.abort();
    }
}

/// Every way not to answer is owed, keeps nobody else waiting, and ends by itself.
#[tokio::test]
async fn whatever_keeps_it_from_answering_passes() {
    let moods = [
        (Mood::Broken, "502"),
        (Mood::Limits, "429"),
        (Mood::Denies, "403"),
        (Mood::Silent, "did not answer"),
        (Mood::Rubbish, "as GitHub's API does"),
    ];
    let lives = moods.map(|(mood, words)| async move {
        let (host, world) = (Host::start().await, shop(1, Evidence::Attestation));
        host.becomes(mood);
        world
            .registries
            .ask_about_commits(host.origins(Some(reviewing())));
        host.review(review(1, "ann", "APPROVED", COMMIT));
        let operator = world.operator(&Arc::default());
        release(&world, "requester@example.com");
        world
            .until(words, SOON, |world| {
                says(world, "CodeHostUnanswered").contains(words)
            })
            .await;
        assert!(says(&world, "Ready").starts_with("False CodeHostUnanswered"));
        // What can be known without it is.
        assert!(says(&world, "SourceMatches").starts_with("True"));
        host.becomes(Mood::Answers);
        world
            .until("ready", SOON, |world| {
                says(world, "Ready").starts_with("True")
            })
            .await;
        assert_eq!(says(&world, "CodeHostUnanswered"), "");
        assert_eq!(status(&world)["tickets"][0]["id"], "SHOP-8");
        operator.abort();
    });
    futures::future::join_all(lives).await;
}

/// The operator reads what a team may not: of a repository that the application does not declare nothing is asked, and what
/// fits a pattern that fits everything is not shown.
#[tokio::test]
async fn nobody_reads_commits_of_others_by_a_pattern() {
    let host = Host::start().await;
    let world = shop(0, Evidence::Annotation);
    world.registries.ask_about_commits(host.origins(None));
    let ticket_system = |pattern: &str| json!({"pattern": pattern, "urlTemplate": "https://tickets.example.com/{{ticket}}"});
    world.edit("applications", "aa", "shop", |object| {
        object["spec"]["repositories"] = json!(["https://github.com/acme/another"]);
        object["spec"]["requiredApprovals"] = Value::Null;
        object["spec"]["ticketSystem"] = ticket_system(".+");
    });
    release(&world, "dev");
    let operator = world.operator(&Arc::default());
    world
        .until("judged", SOON, |world| {
            says(world, "SourceMatches").starts_with("False")
        })
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(host.requests(), Vec::<String>::new());
    assert_eq!(status(&world)["tickets"], Value::Null);
    // Its own now; the whole line is no ticket.
    world.edit("applications", "aa", "shop", |object| {
        object["spec"]["repositories"] = json!([SOURCE]);
    });
    look_again(&world, "1");
    world
        .until("asked", SOON, |_| !host.requests().is_empty())
        .await;
    world
        .until("answered", SOON, |world| {
            status(world)["lastHandledReconcileAt"] == "1"
        })
        .await;
    let tickets = status(&world)["tickets"].clone();
    let ids: Vec<&Value> = tickets
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["id"])
        .collect();
    assert_eq!(ids, ["SHOP-8"], "and not the line above it");
    operator.abort();
}
