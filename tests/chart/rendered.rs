//! What the chart comes out as, without a cluster: for every way it can be set.

use std::path::Path;
use std::process::Output;

use bailiwick::dev::Assets;

use super::{chart, helm, text};

/// Every option that is off or empty by default.
const EVERYTHING: &str = r#"
replicaCount: 2
clusterName: c
image: {repository: registry.example.com/bailiwick, tag: "1", pullPolicy: Always}
imagePullSecrets: [{name: pull}]
serviceAccount: {annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::123456789012:role/bailiwick"}}
aws: {region: eu-central-1}
journal: {bucket: acme-audit, region: eu-west-1, objectLock: {days: 400, mode: compliance}}
env: [{name: AWS_ENDPOINT_URL, value: "http://aws.example.com:5000"}]
args: ["--concurrency=4"]
platformGroup: platform
operatorUsers: [outside]
networkPolicy: {enabled: true}
serviceMonitor: {enabled: true}
podAnnotations: {note: "yes"}
nodeSelector: {disk: fast}
tolerations: [{operator: Exists}]
affinity: {podAntiAffinity: {}}
"#;

fn run(arguments: &[&str]) -> Output {
    let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let chart = chart();
    let mut all = vec![arguments[0], chart.to_str().unwrap()];
    all.extend(&arguments[1..]);
    // No cluster is asked: there is none under this name.
    helm(&assets, Path::new("/nonexistent"), &all)
}

fn rendered(arguments: &[&str]) -> String {
    let mut all = vec![
        "template",
        "--kube-version",
        "1.36",
        "--set",
        "clusterName=c",
    ];
    all.extend(arguments);
    let output = run(&all);
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(arguments: &[&str], words: &str) {
    let output = run(arguments);
    let said = text(&output);
    assert!(!output.status.success() && said.contains(words), "{said}");
}

#[test]
fn the_chart_passes_lint() {
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("values.yaml");
    std::fs::write(&values, EVERYTHING).unwrap();
    for settings in [["--set", "clusterName=c"], ["-f", values.to_str().unwrap()]] {
        let output = run(&[
            "lint",
            "--strict",
            "--kube-version",
            "1.36",
            settings[0],
            settings[1],
        ]);
        assert!(output.status.success(), "{}", text(&output));
    }
}

#[test]
fn only_several_replicas_have_a_disruption_budget() {
    for replicas in [0, 1, 2] {
        let manifests = rendered(&["--set", &format!("replicaCount={replicas}")]);
        assert!(manifests.contains(&format!("  replicas: {replicas}\n")));
        assert_eq!(
            manifests.contains("PodDisruptionBudget"),
            replicas > 1,
            "{replicas}"
        );
    }
}

#[test]
fn what_is_set_arrives_and_what_is_off_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("values.yaml");
    std::fs::write(&values, EVERYTHING).unwrap();
    let everything = rendered(&["-f", values.to_str().unwrap()]);
    for words in [
        "kind: NetworkPolicy",
        "kind: ServiceMonitor",
        "registry.example.com/bailiwick:1",
        "eks.amazonaws.com/role-arn",
        "AWS_ENDPOINT_URL",
        "--concurrency=4",
        "disk: fast",
        r#"BAILIWICK_JOURNAL_BUCKET, value: "acme-audit""#,
        r#"BAILIWICK_JOURNAL_PREFIX, value: "journal""#,
        r#"BAILIWICK_JOURNAL_REGION, value: "eu-west-1""#,
        r#"BAILIWICK_JOURNAL_PATH_STYLE, value: "false""#,
        r#"BAILIWICK_JOURNAL_OUTBOX, value: "2000""#,
        r#"BAILIWICK_JOURNAL_OBJECT_LOCK_DAYS, value: "400""#,
        r#"BAILIWICK_JOURNAL_OBJECT_LOCK_MODE, value: "compliance""#,
        "runAsNonRoot: true",
        "readOnlyRootFilesystem: true",
        "drop: [ALL]",
        "seccompProfile: {type: RuntimeDefault}",
    ] {
        assert!(everything.contains(words), "{words}");
    }
    // Cluster-wide, and in the operator's own namespace.
    assert_eq!(
        everything.matches(r#"kind: User, name: "outside""#).count(),
        2
    );
    assert_eq!(
        everything.matches("helm.sh/resource-policy: keep").count(),
        3
    );

    let off = "crds.install=false,admission.enabled=false,networkPolicy.enabled=false";
    let least = rendered(&["--set", off]);
    for kind in [
        "CustomResourceDefinition",
        "ValidatingAdmissionPolicy",
        "NetworkPolicy",
        "ServiceMonitor",
        "PodDisruptionBudget",
        "kind: User",
        "kind: Group",
        "JOURNAL",
    ] {
        assert!(!least.contains(kind), "{kind}");
    }
}

#[test]
fn wrong_values_and_old_clusters_are_refused() {
    refused(&["template"], "clusterName is required");
    refused(
        &["template", "--set", "clusterName=c,replicas=3"],
        "replicas",
    );
    refused(
        &["template", "--set", "clusterName=c,replicaCount=-1"],
        "replicaCount",
    );
    refused(
        &[
            "template",
            "--set",
            "clusterName=c",
            "--kube-version",
            "1.32",
        ],
        "incompatible with Kubernetes",
    );
}
