//! Two teams race for a name, people approve, and the chain is traced.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::stage::SHOP;
use super::world::{CREATE, PATIENCE, World, application, text};

/// Both ask at the same moment; one has it, the other is told whose it is.
pub async fn two_teams_race_for_a_name(world: &World) -> &'static str {
    let spec = format!(
        "{{repositories: ['{SHOP}'], requiredApprovals: {{types: [CodeChange], people: 2}}, ticketSystem: {{pattern: \
         'SHOP-[0-9]+', urlTemplate: 'https://tickets.example.com/{{{{ticket}}}}'}}}}"
    );
    let (of_payments, of_search) = (application("payments", &spec), application("search", &spec));
    let (dev, eve) = (world.person("dev"), world.person("eve"));
    tokio::join!(
        world.may(&dev, &CREATE, &of_payments),
        world.may(&eve, &CREATE, &of_search)
    );
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = [
            world
                .condition("payments", "application", "shop", "Accepted")
                .await,
            world
                .condition("search", "application", "shop", "Accepted")
                .await,
        ];
        match [
            said[0].split(':').next().unwrap(),
            said[1].split(':').next().unwrap(),
        ] {
            ["True Accepted", "False NameTaken"] => {
                assert!(said[1].contains("team payments's"), "{said:?}");
                return "payments";
            }
            ["False NameTaken", "True Accepted"] => {
                assert!(said[0].contains("team search's"), "{said:?}");
                return "search";
            }
            _ => assert!(Instant::now() < deadline, "undecided: {said:?}"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

pub async fn approve_and_the_chain_is_whole(world: &World) {
    let (dev, ann, bob) = (
        world.person("dev"),
        world.person("ann"),
        world.person("bob"),
    );
    let release = world.object("payments", "release", "shop-annotated").await;
    let digest = release["status"]["image"]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let approval = |who: &str| {
        format!(
            "{{apiVersion: bailiwick.dev/v1alpha1, kind: Approval, metadata: {{name: {who}, namespace: team-payments}}, \
             spec: {{release: shop-annotated, digest: '{digest}', type: CodeChange, approver: {who}}}}}"
        )
    };
    let subject = ["release/shop-annotated", "-n", "team-payments"];
    let (code, said) = world.trace(&dev, &subject);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("✗ approvals") && said.contains("other than dev"),
        "{said}"
    );

    let own = world.kubectl(&dev, &CREATE, &approval("dev")).await;
    assert!(
        text(&own).contains("you, dev, requested Release shop-annotated yourself"),
        "{}",
        text(&own)
    );
    world.may(&ann, &CREATE, &approval("ann")).await;
    let said = world
        .until("payments", "approval", "ann", "Ready", "True")
        .await;
    assert!(said.starts_with("True"), "{said}");
    world
        .until(
            "payments",
            "release",
            "shop-annotated",
            "Approved",
            "False AwaitingApproval",
        )
        .await;
    world.may(&bob, &CREATE, &approval("bob")).await;
    world
        .until("payments", "release", "shop-annotated", "Ready", "True")
        .await;

    the_chain_is_shown(world, &digest).await;
}

/// A member sees the whole chain, an administrator also whose name it is, a stranger nothing.
async fn the_chain_is_shown(world: &World, digest: &str) {
    let dev = world.person("dev");
    let subject = ["release/shop-annotated", "-n", "team-payments"];
    let (code, said) = world.trace(&dev, &subject);
    assert_eq!(code, Some(0), "{said}");
    let tickets = "SHOP-7 (https://tickets.example.com/SHOP-7)";
    assert!(
        said.contains("The chain is whole.") && said.contains(tickets),
        "{said}"
    );
    let admin = world.plane.admin_kubeconfig();
    let by_digest = format!("{}/acme/shop@{digest}", world.stage.registry.host());
    let (code, said) = world.trace(&admin, &[&by_digest, "-o", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let chain: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(chain["whole"], true);
    assert!(
        chain["hops"][7]["evidence"]
            .as_str()
            .unwrap()
            .contains("ApplicationName"),
        "{said}"
    );
    for (subject, wanted) in [
        ("shop-dirty", Some(1)),
        ("nothing", Some(2)),
        ("Not a name", Some(2)),
    ] {
        let (code, said) = world.trace(&admin, &[subject]);
        assert_eq!(code, wanted, "{subject}: {said}");
    }
    let (code, said) = world.trace(&world.person("stranger"), &subject);
    assert_eq!(code, Some(2), "{said}");
    let application = world.object("payments", "application", "shop").await;
    assert_eq!(application["status"]["latestReadyVersion"], "annotated");
    tables_answer(world).await;
}

/// What a person sees without asking for more.
async fn tables_answer(world: &World) {
    let dev = world.person("dev");
    let rows = async |kind: &str| {
        let shown = world
            .kubectl(&dev, &["-n", "team-payments", "get", kind], "")
            .await;
        let shown = text(&shown);
        let rows: Vec<Vec<String>> = shown
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect();
        rows
    };
    let releases = rows("releases").await;
    let columns = "NAME APPLICATION VERSION SOURCE APPROVED READY REASON";
    assert_eq!(releases[0].join(" "), columns);
    for row in [
        "shop-annotated shop annotated Annotation True True Ready",
        "shop-dirty shop dirty ScmSourceFile False False Dirty",
    ] {
        assert!(
            releases.iter().any(|one| one.join(" ") == row),
            "{row}: {releases:?}"
        );
    }
    let applications = rows("applications").await;
    let columns = "NAME TEAM ACTIVE RELEASE CREDENTIALS READY REASON AGE";
    assert_eq!(applications[0].join(" "), columns);
    // Without credentials that column is empty.
    let row = applications[1].join(" ");
    assert!(
        row.starts_with("shop payments true annotated True Ready "),
        "{row}"
    );
}
