//! The harness itself: a real control plane starts, does what clusters do, and leaves nothing behind.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bailiwick::dev::registries::ImageTools;
use bailiwick::dev::trial::Trial;
use bailiwick::dev::{Assets, ControlPlane, Moto, moto};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

fn assets() -> Assets {
    Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn runs(pid: &u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_control_plane_does_what_clusters_do_and_leaves_nothing_behind() {
    let plane = ControlPlane::start(&assets(), None).await.unwrap();
    let admin = plane.admin().await.unwrap();

    let version = admin.apiserver_version().await.unwrap();
    assert!(
        version.git_version.starts_with("v1.36."),
        "{}",
        version.git_version
    );

    // A namespace with something in it goes away: the controller manager works.
    let namespaces: Api<Namespace> = Api::all(admin.clone());
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some("short-lived".into());
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(admin.clone(), "short-lived");
    let mut map = ConfigMap::default();
    map.metadata.name = Some("something".into());
    maps.create(&PostParams::default(), &map).await.unwrap();
    namespaces
        .delete("short-lived", &DeleteParams::default())
        .await
        .unwrap();
    let start = Instant::now();
    while namespaces.get_opt("short-lived").await.unwrap().is_some() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the namespace is still there"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    users_are_who_their_certificate_says(&plane).await;
    kubectl_speaks_for_them(&plane).await;

    let (pids, folder) = (plane.pids(), plane.folder().to_path_buf());
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(runs) && folder.exists());
    drop(plane);
    assert!(!pids.iter().any(runs), "processes are left");
    assert!(!folder.exists(), "{} is left", folder.display());
}

async fn users_are_who_their_certificate_says(plane: &ControlPlane) {
    let namespaces: Api<Namespace> = Api::all(plane.client("jane@example.org", &[]).await.unwrap());
    let error = namespaces.list(&ListParams::default()).await.unwrap_err();
    let kube::Error::Api(status) = error else {
        panic!("{error}")
    };
    assert_eq!(status.code, 403);
    assert!(
        status
            .message
            .contains(r#"User "jane@example.org" cannot list"#),
        "{}",
        status.message
    );

    let namespaces: Api<Namespace> = Api::all(plane.anonymous().await.unwrap());
    let error = namespaces.list(&ListParams::default()).await.unwrap_err();
    assert!(error.to_string().contains("system:anonymous"), "{error}");

    let groups = ["team-a", "system:masters"];
    let namespaces: Api<Namespace> = Api::all(plane.client("root", &groups).await.unwrap());
    let names: Vec<String> = namespaces
        .list(&ListParams::default())
        .await
        .unwrap()
        .iter()
        .map(|it| it.name_any())
        .collect();
    assert!(names.contains(&"kube-system".to_owned()), "{names:?}");

    let error = plane
        .kubeconfig("everywhere", &["a", "b", "c"])
        .unwrap_err();
    assert!(error.to_string().contains("two at most"), "{error}");
}

async fn kubectl_speaks_for_them(plane: &ControlPlane) {
    let jane = plane.kubeconfig("jane@example.org", &["team-a"]).unwrap();
    let whoami = plane
        .kubectl(&jane, &["auth", "whoami", "-o", "yaml"])
        .await
        .unwrap();
    let whoami = String::from_utf8(whoami.stdout).unwrap();
    assert!(
        whoami.contains("username: jane@example.org") && whoami.contains("- team-a"),
        "{whoami}"
    );

    let manifest = r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "by-hand"}}"#;
    let refused = plane
        .kubectl_with_input(&jane, &["apply", "-f", "-"], manifest)
        .await
        .unwrap();
    assert!(!refused.status.success());
    let created = plane
        .kubectl_with_input(&plane.admin_kubeconfig(), &["apply", "-f", "-"], manifest)
        .await
        .unwrap();
    assert!(
        created.status.success(),
        "{}",
        String::from_utf8_lossy(&created.stderr)
    );
}

#[tokio::test]
async fn the_aws_emulator_has_an_organization_once_somebody_creates_it() {
    let moto = Moto::start(&assets()).await.unwrap();
    let describe = || moto::organizations(moto.endpoint(), "DescribeOrganization", &json!({}));
    let error = describe().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("AWSOrganizationsNotInUseException"),
        "{error}"
    );
    moto.create_organization().unwrap();
    moto.create_organization().unwrap();
    assert!(describe().is_ok());
    assert_eq!(moto::accounts(moto.endpoint()).unwrap().len(), 1);
    let calls = moto.calls().unwrap();
    assert_eq!(calls["organizations:CreateOrganization"], 2, "{calls:?}");
    assert_eq!(calls["organizations:DescribeOrganization"], 2, "{calls:?}");
    assert_eq!(calls["organizations:ListAccounts"], 1, "{calls:?}");

    let pids = moto.pids();
    drop(moto);
    assert!(!pids.iter().any(runs), "the emulator is left");
}

#[tokio::test]
async fn a_trial_is_found_again_and_ends_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "not bailiwick's").unwrap();
    assert!(Trial::load(folder.path()).unwrap().is_none());
    let tools = ImageTools::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    drop(
        Trial::start(&assets(), &tools, folder.path())
            .await
            .unwrap(),
    );

    let trial = Trial::load(folder.path()).unwrap().unwrap();
    assert!(trial.is_whole() && !trial.operator_runs());
    moto::create_organization(trial.emulator()).unwrap();
    let admin = bailiwick::dev::plane::client(&trial.kubeconfig())
        .await
        .unwrap();
    admin.apiserver_version().await.unwrap();

    let pids: Vec<u32> = trial.servers().iter().map(|server| server.pid).collect();
    assert_eq!(pids.len(), 5);
    trial.servers()[0].end(Duration::ZERO);
    assert!(!trial.is_whole(), "one of them has ended");
    trial.end().unwrap();
    assert!(!pids.iter().any(runs), "processes are left");
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(left, ["mine"]);
}

/// Not a test of its own: what the next test kills.
#[tokio::test]
#[ignore = "started by servers_end_with_a_process_that_is_killed"]
async fn a_control_plane_that_waits_to_be_killed() {
    let plane = ControlPlane::start(&assets(), None).await.unwrap();
    let note = PathBuf::from(std::env::var("BAILIWICK_TEST_NOTE").unwrap());
    let lines: Vec<String> = plane.pids().iter().map(u32::to_string).collect();
    let text = format!("{}\n{}", plane.folder().display(), lines.join("\n"));
    fs::write(note.with_extension("new"), text).unwrap();
    fs::rename(note.with_extension("new"), &note).unwrap();
    std::thread::sleep(Duration::from_secs(120));
}

#[test]
fn servers_end_with_a_process_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("note");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "a_control_plane_that_waits_to_be_killed",
        ])
        .env("BAILIWICK_TEST_NOTE", &note)
        .spawn()
        .unwrap();
    let until = |what: &str, done: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(120), "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    until("no control plane was started", &|| note.exists());
    let text = fs::read_to_string(&note).unwrap();
    let (plane, pids) = text.split_once('\n').unwrap();
    let pids: Vec<u32> = pids.lines().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().all(runs));

    child.kill().unwrap();
    child.wait().unwrap();
    until("processes are left", &|| !pids.iter().any(runs));
    until("the folder is left", &|| !Path::new(plane).exists());
}
