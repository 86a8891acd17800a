//! Reviews of pull requests that the code host has merged or squashed.

use std::sync::Arc;

use bailiwick::api::Evidence;
use serde_json::{Value, json};

use super::counted::{SOON, release, reviewing, says, shop, verdict};
use super::host::{COMMIT, Host, TREE, review};

/// A commit that the code host made of a pull request is as good as reviewed if it holds what the last commit there held,
/// and nobody may approve what they wrote of it.
#[tokio::test]
async fn a_review_of_what_was_merged_counts_if_nothing_came_in_between() {
    const HEAD: &str = "fed0000fed0000fed0000fed0000fed0000f0000";
    let made = |sha: &str, tree: &str, author: Value| {
        json!({
            "sha": sha, "author": author, "committer": {"login": "dev"},
            "commit": {"message": "Try", "tree": {"sha": tree}},
        })
    };
    let (dev, eve) = (json!({"login": "dev"}), json!({"login": "eve"}));
    let by_eve = made("fed0001", "1111111", eve);
    let last = |tree: &str| made(HEAD, tree, dev.clone());
    let other = "it is of commit fed0000";
    for (case, into, commits, ann, eve) in [
        (
            "the same",
            COMMIT,
            vec![by_eve.clone(), last(TREE)],
            "ann@example.com",
            "the commit is eve's own work",
        ),
        (
            "the base had moved on",
            COMMIT,
            vec![last("1111111")],
            other,
            other,
        ),
        ("another merge", "fed0002", vec![last(TREE)], other, other),
        (
            "the last one is not listed",
            COMMIT,
            vec![made("fed0001", TREE, dev.clone())],
            other,
            other,
        ),
        (
            "nobody knows whose work it is",
            COMMIT,
            vec![made("fed0001", "1111111", json!(null)), last(TREE)],
            other,
            other,
        ),
        (
            "more than are listed",
            COMMIT,
            [vec![by_eve.clone(); 249], vec![last(TREE)]].concat(),
            other,
            other,
        ),
    ] {
        let (host, world) = (Host::start().await, shop(1, Evidence::Attestation));
        world
            .registries
            .ask_about_commits(host.origins(Some(reviewing())));
        host.merged(HEAD, into, commits);
        host.review(review(1, "ann", "APPROVED", HEAD));
        host.review(review(2, "eve", "APPROVED", HEAD));
        let operator = world.operator(&Arc::default());
        release(&world, "requester@example.com");
        world
            .until(case, SOON, |world| {
                verdict(world, "ann").starts_with(ann) && verdict(world, "eve").starts_with(eve)
            })
            .await;
        assert_eq!(
            says(&world, "Ready").starts_with("True"),
            ann.contains('@'),
            "{case}"
        );
        operator.abort();
    }
}

/// Nobody approves a change that they have written a part of, be it an earlier commit of it; and where nobody knows who has,
/// nobody does.
#[tokio::test]
async fn whoever_wrote_an_earlier_commit_does_not_approve_the_last_one() {
    let made = |sha: &str, author: Value, committer: Value| {
        json!({
            "sha": sha, "author": author, "committer": committer,
            "commit": {"message": "Try", "tree": {"sha": TREE}},
        })
    };
    let by = |login: &str| {
        made(
            "fed0001",
            json!({"login": login}),
            json!({"login": "web-flow"}),
        )
    };
    let last = made(COMMIT, json!({"login": "dev"}), json!({"login": "dev"}));
    let nobodys = made("fed0001", json!(null), json!({"login": "dev"}));
    let committed = made("fed0001", json!({"login": "dev"}), json!({"login": "eve"}));
    let (own, unknown) = ("the commit is eve's own work", "does not know whose work");
    for (case, commits, ann, eve) in [
        (
            "theirs",
            vec![by("eve"), last.clone()],
            "ann@example.com",
            own,
        ),
        (
            "committed",
            vec![committed, last.clone()],
            "ann@example.com",
            own,
        ),
        (
            "another's",
            vec![by("bob"), last.clone()],
            "ann@example.com",
            "eve@example.com",
        ),
        ("nobody's", vec![nobodys, last.clone()], unknown, unknown),
        (
            "more than are listed",
            vec![by("bob"); 250],
            unknown,
            unknown,
        ),
    ] {
        let (host, world) = (Host::start().await, shop(2, Evidence::Attestation));
        world
            .registries
            .ask_about_commits(host.origins(Some(reviewing())));
        host.merged(COMMIT, "fed0009", commits);
        host.review(review(1, "ann", "APPROVED", COMMIT));
        host.review(review(2, "eve", "APPROVED", COMMIT));
        let operator = world.operator(&Arc::default());
        release(&world, "requester@example.com");
        world
            .until(case, SOON, |world| {
                verdict(world, "ann").contains(ann) && verdict(world, "eve").contains(eve)
            })
            .await;
        let ready = says(&world, "Ready").starts_with("True");
        assert_eq!(ready, eve.contains('@'), "{case}");
        operator.abort();
    }
}
