//! Who may write a resource type, and that none goes, nor a scope of it, while somebody holds it.

use bailiwick::api::ResourceType;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::World;
use super::guards::{may, may_not};

fn sales_order(namespace: &str, scopes: &str) -> String {
    format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: ResourceType, metadata: {{name: sales-order}}, spec: {{application: api, \
         namespace: {namespace}, scopes: {scopes}}}}}"
    )
}

const BOTH: &str = "[{name: read, summary: Reads., class: Application}, {name: write, summary: Writes., class: Application}]";
const WRITE: &str = "[{name: write, summary: Writes., class: Application}]";

pub async fn are_their_applications_owners(world: &World) {
    let kubeconfig = |user, groups: &[&str]| world.plane.kubeconfig(user, groups).unwrap();
    let (ours, theirs) = (kubeconfig("member-a", &[]), kubeconfig("member-b", &[]));
    let platform = kubeconfig("someone", &["platform"]);
    let apply = ["apply", "-f", "-"];
    let words = [
        "application api in namespace team-a",
        "may change the application",
    ];
    let (both, write) = (sales_order("team-a", BOTH), sales_order("team-a", WRITE));
    may_not(world, &theirs, &apply, &both, &words).await;
    may_not(world, &platform, &apply, &both, &words).await;
    may(world, &ours, &apply, &both).await;
    // Neither taken from its owner, nor given to somebody who does not want it.
    let moved = sales_order("team-b", BOTH);
    may_not(world, &theirs, &apply, &moved, &words).await;
    may_not(
        world,
        &ours,
        &apply,
        &moved,
        &["may change the application"],
    )
    .await;
    let delete = ["delete", "resourcetype", "sales-order"];
    may_not(world, &theirs, &delete, "", &words).await;

    // The operator writes its finalizer, and nothing that its owner declares.
    let patch =
        r#"{"spec":{"scopes":[{"name":"read","summary":"Reads all.","class":"Application"}]}}"#;
    let change = [
        "patch",
        "resourcetype",
        "sales-order",
        "--type=merge",
        "-p",
        patch,
    ];
    let admin = world.plane.admin_kubeconfig();
    let as_operator = [&change[..], &[super::guards::OPERATOR]].concat();
    may_not(world, &admin, &as_operator, "", &words).await;

    // kubectl would read the status first, which the operator has no right to and does not do.
    let client = world.plane.client("outside", &[]).await.unwrap();
    let api: Api<ResourceType> = Api::all(client);
    let status = async |status: serde_json::Value| {
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status("sales-order", &PatchParams::default(), &patch)
            .await
            .unwrap();
    };
    status(json!({"held": [{"name": "read", "clients": ["team-b/web"]}]})).await;
    let held = ["somebody holds", "read is held by team-b/web", "grantedTo"];
    may_not(world, &ours, &delete, "", &held).await;
    let stays = ["spec.scopes", "somebody holds", "status.held says who"];
    may_not(world, &ours, &apply, &write, &stays).await;
    status(json!({"held": []})).await;
    may(world, &ours, &apply, &write).await;

    // Whoever has the application now takes the resource type over when the operator has seen it, as that application's and
    // to nowhere else.
    let there = sales_order("team-b", WRITE);
    may_not(world, &theirs, &apply, &there, &["status.nameHeldIn"]).await;
    status(json!({"nameHeldIn": "team-c"})).await;
    may_not(world, &theirs, &apply, &there, &["status.nameHeldIn"]).await;
    status(json!({"nameHeldIn": "team-b"})).await;
    may_not(world, &theirs, &apply, &both, &words).await;
    let another = there.replace("application: api", "application: other");
    may_not(world, &theirs, &apply, &another, &words).await;
    may_not(
        world,
        &ours,
        &apply,
        &there,
        &["may change the application"],
    )
    .await;
    may(world, &theirs, &apply, &there).await;
    let back = sales_order("team-a", WRITE);
    may_not(world, &ours, &apply, &back, &["namespace team-b"]).await;
    may(world, &admin, &apply, &back).await;
    may(world, &ours, &delete, "").await;
}
