//! Who has a ServiceAccount's identity has no credentials, and nobody has another namespace's.

use super::World;

fn client(more: &str) -> String {
    format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: OAuthClient, metadata: {{name: workload, namespace: team-a}}, spec: {{\
         application: api, provider: company, {more}}}}}"
    )
}

pub async fn are_named_whole_and_alone(world: &World) {
    for (spec, words) in [
        (
            "authMethod: workload_identity",
            &["spec.authMethod", "needs spec.serviceAccount"],
        ),
        (
            "authMethod: private_key_jwt, serviceAccount: api",
            &[
                "spec.serviceAccount",
                "for authMethod workload_identity alone",
            ],
        ),
        (
            "serviceAccount: default",
            &["spec.serviceAccount", "every pod that names no other"],
        ),
        (
            "serviceAccount: team-b/api",
            &["spec.serviceAccount", "should match"],
        ),
        (
            "serviceAccount: api, delivery: [{name: one, secret: {name: one}}, {name: two, s3: {account: test}}]",
            &["spec.delivery", "remove s3 and secretsManager"],
        ),
    ] {
        world.refused(&client(spec), words).await;
    }
    for spec in [
        "serviceAccount: api",
        "serviceAccount: api, authMethod: workload_identity, delivery: [{name: one, secret: {name: one}}]",
        "authMethod: private_key_jwt, delivery: [{name: two, s3: {account: test}}]",
    ] {
        world.accepted(&client(spec)).await;
    }
}
