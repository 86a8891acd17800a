//! What somebody reads who mistakes a value's type, and which account an object may name, on the real API server.

use bailiwick::api::TeamAccount;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{World, account, text};

/// The API server's own words, with the field: not those of the policy that stamps what is made.
pub async fn in_a_values_type_name_the_field(world: &World) {
    let of = |kind: &str, spec: &str| {
        format!(
            "{{apiVersion: bailiwick.dev/v1alpha1, kind: {kind}, metadata: {{name: typed, namespace: team-a}}, spec: {spec}}}"
        )
    };
    let digest = "1".repeat(64);
    let release =
        format!("{{application: shop, version: 1.0, image: 'r.example.com/shop@sha256:{digest}'}}");
    let mistakes = [
        (
            "Release",
            release.as_str(),
            "spec.version",
            "must be of type string",
        ),
        (
            "TeamAccount",
            "{className: test, accountId: 123456789012}",
            "spec.accountId",
            "must be of type string",
        ),
        (
            "TeamAccount",
            "{className: test, suspend: 'yes'}",
            "spec.suspend",
            "must be of type boolean",
        ),
        (
            "Team",
            "{namespace: team-a, members: [dev1@example.com]}",
            "spec.members[0]",
            "must be of type object",
        ),
    ];
    let admin = world.plane.admin_kubeconfig();
    for (kind, spec, field, words) in mistakes {
        let manifest = match kind {
            "Team" => of(kind, spec).replace(", namespace: team-a}, spec", "}, spec"),
            _ => of(kind, spec),
        };
        let create = ["create", "--dry-run=server", "-f", "-"];
        let output = world.kubectl(&admin, &create, &manifest).await;
        let said = text(&output);
        assert!(!output.status.success(), "{manifest}: {said}");
        assert!(said.contains(field) && said.contains(words), "{said}");
        assert!(!said.contains("policy"), "{said}");
    }
}

/// No account is exchanged for another; once there is one, the field is not needed any more.
pub async fn in_an_accounts_id_have_a_way_out(world: &World) {
    let (own, other) = ("123456789012", "210987654321");
    let with = |id: &str| {
        account(
            "adopted",
            &format!("{{className: test, accountId: '{id}'}}"),
        )
    };
    let bare = account("adopted", "{className: test}");
    world.accepted(&with(own)).await;
    // Without an account yet, another one would be created.
    world
        .refused(&bare, &["spec.accountId", "before the account is adopted"])
        .await;
    let outside = world.plane.client("outside", &[]).await.unwrap();
    let api: Api<TeamAccount> = Api::namespaced(outside, "team-a");
    let status = Patch::Merge(json!({"status": {"accountId": own}}));
    api.patch_status("adopted", &PatchParams::default(), &status)
        .await
        .unwrap();
    let words = ["spec.accountId cannot be changed", "remove the field"];
    world.refused(&with(other), &words).await;
    world.accepted(&bare).await;
    world.refused(&with(other), &words).await;
    world.accepted(&with(own)).await;
    world.accepted(&bare).await;
    // While AWS is asked to create one, none is named; when that came to nothing, one is.
    let creation = json!({"email": "a@example.com", "accountName": "a", "marker": "a", "startedAt": "2026-01-01T00:00:00Z"});
    let status = json!({"status": {"accountId": null, "creation": creation}});
    let told = |status| {
        let (api, status) = (&api, Patch::Merge(status));
        async move {
            api.patch_status("adopted", &PatchParams::default(), &status)
                .await
        }
    };
    told(status).await.unwrap();
    let words = ["spec.accountId cannot be set while", "delete this object"];
    world.refused(&with(other), &words).await;
    let failed = json!({"status": {"creation": {"failure": "EMAIL_ALREADY_EXISTS"}}});
    told(failed).await.unwrap();
    world.accepted(&with(other)).await;
}
