//! The chart as a cluster has it that runs the operator: several replicas, and a journal.

use std::path::Path;
use std::time::{Duration, Instant};

use bailiwick::api::Release;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::guards::{may, may_not};
use super::{World, text};

const SYSTEM: &str = "bailiwick-system";
const RELEASE: &str = "{apiVersion: bailiwick.dev/v1alpha1, kind: Release, metadata: {name: held, namespace: leaving}, \
    spec: {application: shop, version: '1', image: 'registry.example.com/a/shop:1'}}";
const APPROVAL: &str = "{apiVersion: bailiwick.dev/v1alpha1, kind: Approval, metadata: {name: held, namespace: leaving}, \
    spec: {release: held, type: Test, approver: none, digest: 'sha256:DIGEST'}}";

/// What an upgrade of the chart sets.
pub const SETTINGS: &str =
    "replicaCount=2,journal.bucket=acme-audit,networkPolicy.egressPorts={5000}";

async fn get(world: &World, namespace: &str, kind: &str, name: &str) -> Option<Value> {
    let admin = world.plane.admin_kubeconfig();
    let arguments = ["-n", namespace, "get", kind, name, "-o", "json"];
    let output = world.kubectl(&admin, &arguments, "").await;
    serde_json::from_slice(&output.stdout).ok()
}

/// A pod as the Deployment makes it is accepted by the strictest of Kubernetes' standards, and is what the others select.
pub async fn everything_selects_the_pods_of_the_deployment(world: &World) {
    let admin = world.plane.admin_kubeconfig();
    let strict = [
        "label",
        "namespace",
        SYSTEM,
        "pod-security.kubernetes.io/enforce=restricted",
    ];
    may(world, &admin, &strict, "").await;
    let deployment = get(world, SYSTEM, "deployment", "bailiwick").await.unwrap();
    assert_eq!(deployment["spec"]["replicas"], 2);
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("as-deployed");
    pod["metadata"]["namespace"] = json!(SYSTEM);
    let other = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other", "namespace": SYSTEM, "labels": {
            "app.kubernetes.io/name": "other", "app.kubernetes.io/instance": "bailiwick",
        }},
        "spec": pod["spec"],
    });
    for pod in [&pod, &other] {
        may(world, &admin, &["create", "-f", "-"], &pod.to_string()).await;
    }
    for (kind, path) in [
        ("deployment", "/spec/selector/matchLabels"),
        ("service", "/spec/selector"),
        ("poddisruptionbudget", "/spec/selector/matchLabels"),
        ("networkpolicy", "/spec/podSelector/matchLabels"),
    ] {
        let object = get(world, SYSTEM, kind, "bailiwick").await;
        let object = object.unwrap_or_else(|| panic!("the cluster has no {kind}"));
        let labels = object.pointer(path).and_then(Value::as_object).unwrap();
        let labels = labels
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()));
        let selector = labels.collect::<Vec<_>>().join(",");
        let arguments = ["-n", SYSTEM, "get", "pods", "-l", &selector, "-o", "name"];
        let selected = text(&world.kubectl(&admin, &arguments, "").await);
        assert_eq!(selected.trim(), "pod/as-deployed", "{kind} {selector}");
    }
    let budget = get(world, SYSTEM, "poddisruptionbudget", "bailiwick")
        .await
        .unwrap();
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    let network = get(world, SYSTEM, "networkpolicy", "bailiwick")
        .await
        .unwrap();
    let port = |rule: &Value| {
        rule["ports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|port| port["port"].clone())
            .collect::<Vec<_>>()
    };
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let listens = container["ports"][0]["containerPort"].clone();
    assert_eq!(port(&network["spec"]["ingress"][0]), [listens]);
    assert!(port(&network["spec"]["egress"][0]).contains(&json!(5000)));
    let pods = ["-n", SYSTEM, "delete", "pods", "--all", "--now"];
    may(world, &admin, &pods, "").await;
}

/// What is made where there is a journal is held from the first moment, by whomever it is deleted, and whatever goes with
/// it: nobody but the operator lets it go.
pub async fn what_is_made_is_held_for_the_journal(world: &World) {
    let admin = world.plane.admin_kubeconfig();
    may(world, &admin, &["create", "namespace", "leaving"], "").await;
    until_held(world, &admin).await;
    may(world, &admin, &["create", "-f", "-"], RELEASE).await;
    let held = get(world, "leaving", "release", "held").await.unwrap();
    assert_eq!(
        held["metadata"]["finalizers"],
        json!(["bailiwick.dev/finalizer"])
    );
    let bare = r#"{"metadata":{"finalizers":null}}"#;
    let patch = [
        "-n",
        "leaving",
        "patch",
        "release",
        "held",
        "--type=merge",
        "-p",
        bare,
    ];
    let words = ["metadata.finalizers", "operator alone", "the journal"];
    let bound = [
        "-n",
        "leaving",
        "create",
        "rolebinding",
        "members",
        "--clusterrole=bailiwick-team-member",
        "--user=member-a",
    ];
    may(world, &admin, &bound, "").await;
    let member = world.plane.kubeconfig("member-a", &[]).unwrap();
    may_not(world, &member, &patch, "", &words).await;
    // Applied again, by either way, it keeps what the declaration does not mention.
    for arguments in [
        &["apply", "-f", "-"][..],
        &["apply", "--server-side", "-f", "-", "--force-conflicts"],
    ] {
        may(world, &admin, arguments, RELEASE).await;
        let held = get(world, "leaving", "release", "held").await.unwrap();
        assert_eq!(
            held["metadata"]["finalizers"].as_array().map(Vec::len),
            Some(1),
            "{arguments:?}"
        );
    }
    may(
        world,
        &admin,
        &["delete", "namespace", "leaving", "--wait=false"],
        "",
    )
    .await;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let release = get(world, "leaving", "release", "held")
            .await
            .expect("the release is held");
        if !release["metadata"]["deletionTimestamp"].is_null() {
            break;
        }
        assert!(Instant::now() < deadline, "{release:#}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(
        get(world, "", "namespace", "leaving").await.is_some(),
        "and so is its namespace"
    );
    // As the operator does it: kubectl would read the object before, for which the operator has no need.
    let outside = world.plane.client("outside", &[]).await.unwrap();
    let releases: Api<Release> = Api::namespaced(outside, "leaving");
    let bare: Value = serde_json::from_str(bare).unwrap();
    let (params, bare) = (PatchParams::default(), Patch::Merge(&bare));
    releases.patch("held", &params, &bare).await.unwrap();
    let gone = ["wait", "--for=delete", "namespace/leaving", "--timeout=30s"];
    may(world, &admin, &gone, "").await;
}

/// A new policy takes a second or two.
async fn until_held(world: &World, admin: &Path) {
    let approval = APPROVAL.replace("DIGEST", &"1".repeat(64));
    let arguments = [
        "create",
        "-f",
        "-",
        "--dry-run=server",
        "-o",
        "json",
        "--as=none",
        "--as-group=system:masters",
    ];
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let said = text(&world.kubectl(admin, &arguments, &approval).await);
        if said.contains("bailiwick.dev/finalizer") {
            return;
        }
        assert!(Instant::now() < deadline, "{said}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
