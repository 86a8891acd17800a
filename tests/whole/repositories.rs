//! An application's repository, in an ECR that takes pushes.

use crate::world::World;
use crate::{READY, REASON, pushes};

const APPLICATION: &str = r#"
apiVersion: bailiwick.dev/v1alpha1
kind: Application
metadata: {name: ledger, namespace: team-payments}
spec: {displayName: Ledger, repositories: ["https://github.com/acme/ledger"]}
"#;

const REPOSITORY: &str = r#"
apiVersion: bailiwick.dev/v1alpha1
kind: ImageRepository
metadata: {name: ledger, namespace: team-payments}
spec: {application: ledger, account: test, region: eu-west-1, pushRoles: ["arn:aws:iam::123456789012:role/ci"]}
"#;

pub async fn an_application_gets_its_repository(world: &World, id: &str) {
    // What the schema alone refuses.
    for (field, words) in [
        ("region: nowhere", "spec.region"),
        ("mutableTags: [\"a*b*c*\"]", "spec.mutableTags"),
        (
            "kmsKeyArn: \"arn:aws:kms:eu-west-1:123456789012:alias/x\"",
            "spec.kmsKeyArn",
        ),
        ("repositoryName: Payments/ledger", "spec.repositoryName"),
        ("pushRoles: [ci]", "spec.pushRoles"),
    ] {
        let manifest = format!(
            "{{apiVersion: bailiwick.dev/v1alpha1, kind: ImageRepository, metadata: {{name: bad, namespace: \
             team-payments}}, spec: {{application: ledger, account: test, {}{field}}}}}",
            if words == "spec.region" {
                ""
            } else {
                "region: eu-west-1, "
            }
        );
        let refused = world.try_apply(&manifest).await.unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
    let (kind, name) = ("imagerepository", "ledger");
    world.apply(REPOSITORY).await;
    world.until(kind, name, REASON, "ApplicationNotFound").await;
    world.apply(APPLICATION).await;
    world.until(kind, name, READY, "True").await;
    let uri = format!("{id}.dkr.ecr.eu-west-1.amazonaws.com/payments/ledger");
    assert_eq!(world.field(kind, name, ".status.uri").await, uri);
    let table = world
        .kubectl(&["get", "ir", "-n", "team-payments"])
        .await
        .unwrap();
    assert!(table.contains(&uri) && table.contains("ledger"), "{table}");
    pushes::a_tag_is_given_once(world).await;

    let moved = REPOSITORY.replace("region: eu-west-1", "region: eu-central-1");
    let refused = world.try_apply(&moved).await.unwrap_err();
    assert!(refused.contains("cannot be changed"), "{refused}");

    let deleted = [
        "delete",
        "imagerepository/ledger",
        "application/ledger",
        "-n",
        "team-payments",
        "--timeout=60s",
    ];
    world.kubectl(&deleted).await.unwrap();
    let events = ["get", "events", "-n", "team-payments"];
    let events = world.kubectl(&events).await.unwrap();
    assert!(events.contains("RepositoryRetained"), "{events}");
    // What another object finds there is nobody's, and is not taken unasked.
    world.apply(APPLICATION).await;
    world.apply(REPOSITORY).await;
    world.until(kind, name, REASON, "RepositoryExists").await;
    let adopting = REPOSITORY.replace("{application", "{adopt: true, application");
    world.apply(&adopting).await;
    world.until(kind, name, READY, "True").await;
    world.kubectl(&deleted).await.unwrap();
}
