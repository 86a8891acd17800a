//! The real binary against a real control plane and a real AWS emulator: what a person would do, with kubectl.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "whole/accounts.rs"]
mod accounts;
#[path = "whole/administrator.rs"]
mod administrator;
#[path = "whole/endings.rs"]
mod endings;
#[path = "whole/people.rs"]
mod people;
#[path = "whole/pushes.rs"]
mod pushes;
#[path = "whole/repositories.rs"]
mod repositories;
#[path = "whole/unready.rs"]
mod unready;
#[path = "whole/world.rs"]
mod world;

use std::path::Path;

use administrator::start_operator;
use bailiwick::dev::loopback::ministack_of;
use world::World;

const CLASS: &str = r#"
apiVersion: bailiwick.dev/v1alpha1
kind: AccountClass
metadata: {name: test}
spec:
  organizationalUnitPath: /Workloads/Test
  emailTemplate: aws+{{team}}-{{account}}@example.com
  aliasTemplate: acme-{{team}}-{{account}}
  tags: {stage: test}
  alternateContacts:
    security: {name: Security, title: On call, email: security@example.com, phone: "+49 30 1234567"}
  regions: [eu-central-1, eu-west-1]
  passwordPolicy: {minimumLength: 16, requireNumbers: true}
  quarantine: {organizationalUnitPath: /Quarantine}
"#;

const TEAM: &str = r#"
apiVersion: bailiwick.dev/v1alpha1
kind: Team
metadata: {name: payments}
spec:
  displayName: Payments
  members: [{user: dev1@example.com}]
  groups: [payments-devs]
"#;

const ACCOUNT: &str = r#"
apiVersion: bailiwick.dev/v1alpha1
kind: TeamAccount
metadata: {name: test, namespace: team-payments}
spec: {className: test, purpose: test}
"#;

const READY: &str = ".status.conditions[?(@.type==\"Ready\")].status";
const REASON: &str = ".status.conditions[?(@.type==\"Ready\")].reason";

#[tokio::test(flavor = "multi_thread")]
async fn a_team_gets_its_account_and_keeps_it() {
    let mut world = World::start().await;
    // Unseen by any controller, an object is in progress for kstatus: its observedGeneration is not its generation.
    world.apply(CLASS).await;
    assert_eq!(
        world
            .field("accountclass", "test", ".status.observedGeneration")
            .await,
        "-1"
    );
    world.apply(TEAM).await;
    world.operator = Some(start_operator(&world, &[]));
    world.until("team", "payments", READY, "True").await;
    world.until("accountclass", "test", READY, "True").await;
    world.apply(ACCOUNT).await;
    let waited = [
        "wait",
        "-n",
        "team-payments",
        "--for=condition=Ready",
        "teamaccount/test",
        "--timeout=60s",
    ];
    world.kubectl(&waited).await.unwrap();
    let id = world
        .field("teamaccount", "test", ".status.accountId")
        .await;
    assert_eq!(id.len(), 12);
    assert_eq!(
        world
            .field("teamaccount", "test", ".status.organizationalUnit.path")
            .await,
        "/Workloads/Test"
    );
    assert_eq!(
        world.field("teamaccount", "test", ".status.alias").await,
        "acme-payments-test"
    );
    world
        .until("team", "payments", ".status.accounts[0].id", &id)
        .await;
    let described = world
        .kubectl(&["describe", "-n", "team-payments", "teamaccount", "test"])
        .await
        .unwrap();
    assert!(described.contains("was created"), "{described}");

    let (ecr, ()) = tokio::join!(
        ministack_of(Path::new(env!("CARGO_MANIFEST_DIR")), &id),
        accounts::exactly_one_account_and_a_quiet_one(&world, &id)
    );
    // For the next operator on: told where ECR is as the SDK is told, everything else stays where it is.
    world.ecr = Some(ecr.unwrap());
    accounts::drift_is_repaired(&world, &id).await;
    unready::describe_shows_why_it_is_not_ready(&world).await;
    people::who_joins_and_leaves_gains_and_loses(&world).await;
    endings::an_operator_that_is_told_to_end_ends(&mut world).await;
    repositories::an_application_gets_its_repository(&world, &id).await;
    endings::a_killed_operator_goes_on(&mut world, &id).await;
    accounts::a_team_that_owns_something_stays(&world).await;
    accounts::a_deleted_object_leaves_its_account(&world, &id).await;
}
