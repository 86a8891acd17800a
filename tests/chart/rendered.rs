//! What the chart comes out as, without a cluster: for every way it can be set.

use std::path::Path;
use std::process::Output;

use bailiwick::dev::Assets;
use bailiwick::engine::metrics::catalogue;
use serde_json::Value;

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
platformAccount: {id: "012345678901", role: Registry, mutableImageTags: true}
platformGroup: platform
robots: {users: [gitops, "it's one"], groups: [bots]}
operatorUsers: [outside]
registries: {plainHttp: ["a.example.com:5000", b.example.com], internal: [c], authoritiesConfigMap: cas, credentialsSecret: logins, trustConfigMap: keys, codeHostsSecret: hosts}
networkPolicy: {enabled: true, egressPorts: [5000]}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {release: alerts}, queueLength: 7}
otel: {endpoint: "http://collector.observability:4318"}
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
        "release: prometheus",
        "kind: PrometheusRule",
        "release: alerts",
        r#"state="waiting"}) > 7"#,
        r#"value: "http://collector.observability:4318""#,
        "{port: 4318, protocol: TCP}",
        "registry.example.com/bailiwick:1",
        "eks.amazonaws.com/role-arn",
        "AWS_ENDPOINT_URL",
        "--concurrency=4",
        "value: \"012345678901\"",
        "BAILIWICK_PLATFORM_ACCOUNT_ROLE",
        "disk: fast",
        r#"value: "a.example.com:5000,b.example.com""#,
        "value: /etc/bailiwick/registries/.dockerconfigjson",
        r#"{name: registries, secret: {secretName: "logins"}}"#,
        r#"{name: trust, configMap: {name: "keys"}}"#,
        "{port: 5000, protocol: TCP}",
        r#"{name: code-hosts, secret: {secretName: "hosts"}}"#,
        r#"value: "gitops\nit's one""#,
        r#"variables.me in ["gitops","it's one"]"#,
        r#"group in ["bots"]"#,
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
    // Cluster-wide, in the operator's own namespace, and to write Secrets.
    assert_eq!(
        everything.matches(r#"kind: User, name: "outside""#).count(),
        3
    );
    assert_eq!(
        everything.matches("helm.sh/resource-policy: keep").count(),
        bailiwick::api::definitions().unwrap().len()
    );

    let off = "crds.install=false,admission.enabled=false,networkPolicy.enabled=false";
    let least = rendered(&["--set", off]);
    for kind in [
        "CustomResourceDefinition",
        "AdmissionPolicy",
        "NetworkPolicy",
        "ServiceMonitor",
        "PrometheusRule",
        "OTEL_",
        "4318",
        "PodDisruptionBudget",
        "kind: User",
        "kind: Group",
        "BAILIWICK_PLATFORM",
        "JOURNAL",
    ] {
        assert!(!least.contains(kind), "{kind}");
    }
}

/// An older cluster gets no policy that it does not know, and the others.
#[test]
fn stamps_are_written_where_the_cluster_can() {
    let api = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";
    let counted = |manifests: &str| {
        [
            "\nkind: MutatingAdmissionPolicy\n",
            "\nkind: ValidatingAdmissionPolicy\n",
        ]
        .map(|kind| manifests.matches(kind).count())
    };
    assert_eq!(counted(&rendered(&["--api-versions", api])), [3, 12]);
    assert_eq!(counted(&rendered(&[])), [0, 12]);
    // What is held for the journal is held only where there is one.
    let journaled = ["--api-versions", api, "--set", "journal.bucket=acme-audit"];
    assert_eq!(counted(&rendered(&journaled)), [4, 12]);
    assert_eq!(counted(&rendered(&journaled[2..])), [0, 12]);
    for (enabled, said) in [("true", "\"true\""), ("false", "\"false\"")] {
        let manifests = rendered(&["--set", &format!("admission.enabled={enabled}")]);
        let guarded = format!("name: BAILIWICK_AUTHORS_GUARDED\n              value: {said}\n");
        assert!(manifests.contains(&guarded), "{enabled}");
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
        &[
            "template",
            "--set",
            "clusterName=c",
            "--set-string",
            "platformAccount.id=12345",
        ],
        "platformAccount",
    );
    // Nobody forgets to say who is a robot: nobody is, only if that is said.
    for missing in ["robots=null", "robots.users=null", "robots.groups=null"] {
        refused(
            &["template", "--set", &format!("clusterName=c,{missing}")],
            "robots",
        );
    }
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

#[test]
fn alerts_ask_for_metrics_that_there_are() {
    let manifests = rendered(&["--set", "prometheusRule.enabled=true", "-n", "here"]);
    let rules: Value = manifests
        .split("\n---\n")
        .filter(|manifest| manifest.contains("kind: PrometheusRule"))
        .map(|manifest| serde_saphyr::from_str(manifest).unwrap())
        .next()
        .unwrap();
    let rules = rules["spec"]["groups"][0]["rules"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(rules.len(), 5);
    for rule in rules {
        let query = rule["expr"].as_str().unwrap();
        let mut asked = 0;
        for part in query.split("bailiwick_").skip(1) {
            let end = |it: char| !it.is_ascii_lowercase() && it != '_';
            let (name, rest) = part.split_at(part.find(end).unwrap());
            let name = format!("bailiwick_{name}");
            let mut series = catalogue::ALL.iter().flat_map(catalogue::Metric::series);
            assert!(series.any(|known| known == name), "{name} in {query}");
            assert!(rest.starts_with(r#"{namespace="here""#), "{query}");
            asked += 1;
        }
        assert!(asked > 0, "{query}");
        for text in [
            &rule["annotations"]["summary"],
            &rule["annotations"]["description"],
        ] {
            assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{rule}");
        }
    }
}

/// The paths of the options in the values, or in their schema.
fn options(value: &Value, path: &str, schema: bool, found: &mut Vec<String>) {
    let children = match schema {
        true => &value["properties"],
        false => value,
    };
    match children.as_object().filter(|children| !children.is_empty()) {
        Some(children) => {
            for (name, child) in children {
                options(child, &format!("{path}.{name}"), schema, found);
            }
        }
        None => found.push(path.to_owned()),
    }
}

#[test]
fn every_option_is_in_the_schema_and_the_other_way_round() {
    let read = |name: &str| std::fs::read_to_string(chart().join(name)).unwrap();
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let (mut given, mut allowed) = (Vec::new(), Vec::new());
    options(&values, "", false, &mut given);
    options(&schema, "", true, &mut allowed);
    // What Helm itself adds, and what is Kubernetes' own below these.
    allowed.retain(|path| path != ".global");
    given.retain(|path| !path.starts_with(".resources."));
    given.push(".resources".to_owned());
    given.sort();
    allowed.sort();
    assert_eq!(given, allowed);
}
