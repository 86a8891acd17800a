//! The chart, rendered and applied to a real API server: what it refuses, and who may do what.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "chart/approvals.rs"]
mod approvals;
#[path = "chart/guards.rs"]
mod guards;
#[path = "chart/image.rs"]
mod image;
#[path = "chart/mistakes.rs"]
mod mistakes;
#[path = "chart/parts.rs"]
mod parts;
#[path = "chart/rendered.rs"]
mod rendered;
#[path = "chart/resource_types.rs"]
mod resource_types;
#[path = "chart/upgraded.rs"]
mod upgraded;
#[path = "chart/workloads.rs"]
mod workloads;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use bailiwick::controllers::account_class::ClassList;
use bailiwick::dev::Assets;
use bailiwick::dev::plane::ControlPlane;
use bailiwick::engine::leader::Leadership;
use futures::StreamExt;

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/bailiwick")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn helm(assets: &Assets, config: &Path, arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    Command::new(assets.program("helm"))
        .args(arguments)
        .env("KUBECONFIG", config)
        .env("HOME", home.path())
        .output()
        .unwrap()
}

struct World {
    plane: ControlPlane,
}

impl World {
    async fn kubectl(&self, config: &Path, arguments: &[&str], input: &str) -> Output {
        self.plane
            .kubectl_with_input(config, arguments, input)
            .await
            .unwrap()
    }

    async fn apply(&self, manifest: &str) -> Output {
        self.kubectl(
            &self.plane.admin_kubeconfig(),
            &["apply", "-f", "-"],
            manifest,
        )
        .await
    }

    /// Applies a manifest that must be refused with all of these words.
    async fn refused(&self, manifest: &str, words: &[&str]) {
        // A new policy takes a second or two to be enforced; a dry run writes nothing meanwhile.
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let arguments = ["apply", "--dry-run=server", "-f", "-"];
            let output = self
                .kubectl(&self.plane.admin_kubeconfig(), &arguments, manifest)
                .await;
            let said = text(&output);
            if !output.status.success() && words.iter().all(|word| said.contains(word)) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "not refused with {words:?}: {said}"
            );
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    async fn accepted(&self, manifest: &str) {
        // A kind that was installed a moment ago is not served at once.
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let output = self.apply(manifest).await;
            let said = text(&output);
            if output.status.success() {
                return;
            }
            let early = said.contains("ServiceUnavailable") && Instant::now() < deadline;
            assert!(early, "{said}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

const CLASS: &str = r#"{apiVersion: bailiwick.dev/v1alpha1, kind: AccountClass, metadata: {name: test}, spec: {
  organizationalUnitPath: /Test, emailTemplate: "aws+{{team}}-{{account}}@example.com", regions: [eu-central-1]}}"#;

fn account(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: TeamAccount, metadata: {{name: {name}, namespace: team-a}}, \
         spec: {spec}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_installs_refuses_and_separates() {
    let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let world = World {
        plane: ControlPlane::start(&assets, None).await.unwrap(),
    };
    let config = world.plane.admin_kubeconfig();
    let chart = chart();
    let chart = chart.to_str().unwrap();
    let install = [
        "upgrade",
        "--install",
        "bailiwick",
        chart,
        "-n",
        "bailiwick-system",
        "--create-namespace",
        "--set",
        "clusterName=test,replicaCount=0,platformGroup=platform,operatorUsers={outside},robots.users={gitops},\
         robots.groups={bots}",
    ];
    let installed = helm(&assets, &config, &install);
    assert!(installed.status.success(), "{}", text(&installed));
    for team in ["a", "b"] {
        world
            .accepted(&format!(
                "{{apiVersion: v1, kind: Namespace, metadata: {{name: team-{team}}}}}"
            ))
            .await;
        world
            .accepted(&format!(
                "{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: bailiwick-team-members, \
                 namespace: team-{team}}}, roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: \
                 bailiwick-team-member}}, subjects: [{{kind: User, name: member-{team}, apiGroup: \
                 rbac.authorization.k8s.io}}]}}"
            ))
            .await;
    }
    before_the_first_class(&world).await;
    world.accepted(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: bailiwick-account-classes, namespace: bailiwick-system}, \
         data: {test: 'eu-central-1', live: 'eu-central-1'}}",
    )
    .await;
    world.accepted(CLASS).await;
    bad_manifests_are_refused(&world).await;
    mistakes::in_an_accounts_id_have_a_way_out(&world).await;
    rights_are_separate(&world).await;
    guards::policies_are_sound(&world).await;
    guards::only_the_members_role_is_given(&world).await;
    guards::only_what_is_the_teams_is_taken_away(&world).await;
    guards::members_read_their_team_and_the_classes(&world).await;
    guards::the_team_label_is_the_platforms(&world).await;
    guards::the_finalizer_is_the_operators(&world).await;
    resource_types::are_their_applications_owners(&world).await;
    workloads::are_named_whole_and_alone(&world).await;
    approvals::approvals_are_the_word_of_different_people(&world).await;
    mistakes::in_a_values_type_name_the_field(&world).await;
    let upgrade = [
        &install[..],
        &["--reuse-values", "--set", upgraded::SETTINGS],
    ]
    .concat();
    let upgrade = helm(&assets, &config, &upgrade);
    assert!(upgrade.status.success(), "{}", text(&upgrade));
    upgraded::everything_selects_the_pods_of_the_deployment(&world).await;
    upgraded::what_is_made_is_held_for_the_journal(&world).await;
    let gone = helm(
        &assets,
        &config,
        &["uninstall", "bailiwick", "-n", "bailiwick-system"],
    );
    assert!(gone.status.success(), "{}", text(&gone));
    let kept = world
        .kubectl(&config, &["get", "accountclass", "test"], "")
        .await;
    assert!(
        kept.status.success(),
        "definitions and objects outlive the chart: {}",
        text(&kept)
    );
}

/// The operator makes the list, with its own rights, before there is any class: whoever declares an account is told so.
async fn before_the_first_class(world: &World) {
    let operator = world.plane.client("outside", &[]).await.unwrap();
    let always = Leadership::always();
    let (_list, kept) = ClassList::watched(&operator, "bailiwick-system", always);
    let keeping = tokio::spawn(kept.for_each(|()| futures::future::ready(())));
    let words = ["spec.className", "\"test\"", "there are none"];
    world
        .refused(&account("early", "{className: test}"), &words)
        .await;
    keeping.abort();
}

async fn bad_manifests_are_refused(world: &World) {
    let team = |name: &str| {
        format!(
            "{{apiVersion: bailiwick.dev/v1alpha1, kind: Team, metadata: {{name: {name}}}, spec: {{}}}}"
        )
    };
    world.refused(&team("team-"), &["metadata.name"]).await;
    world
        .refused(&team("1st"), &["metadata.name", "team id"])
        .await;
    world
        .refused(
            &CLASS.replace("eu-central-1", "eu-west-9"),
            &["spec.regions[0]", "eu-west-9"],
        )
        .await;
    world
        .refused(
            &account("extra", "{className: none}"),
            &["spec.className", "none", "there are: ", "test"],
        )
        .await;
    world
        .refused(
            &account("extra", "{className: test, regions: [eu-west-1]}"),
            &["spec.regions", "eu-west-1", "eu-central-1"],
        )
        .await;
    world
        .refused(
            &account("extra", "{className: test, accountId: '12345'}"),
            &["spec.accountId", "twelve digits"],
        )
        .await;
    world
        .refused(
            &account("extra", "{className: test, email: nobody}"),
            &["spec.email"],
        )
        .await;
    world
        .refused(
            &account("extra", "{className: test, deletionPolicy: Burn}"),
            &["spec.deletionPolicy", "Burn"],
        )
        .await;
    world
        .accepted(&account(
            "extra",
            "{className: test, accountId: '123456789012'}",
        ))
        .await;
    world
        .refused(
            &account("extra", "{className: test, accountId: '210987654321'}"),
            &["spec.accountId", "cannot be changed"],
        )
        .await;
    world
        .refused(
            &account("extra", "{className: live, accountId: '123456789012'}"),
            &["spec.className", "cannot be changed"],
        )
        .await;
    world.accepted(&team("fixed")).await;
    let moved = "{apiVersion: bailiwick.dev/v1alpha1, kind: Team, metadata: {name: fixed}, spec: {namespace: elsewhere}}";
    world
        .refused(moved, &["spec.namespace", "cannot be changed"])
        .await;
    let unplaced = "{apiVersion: bailiwick.dev/v1alpha1, kind: Release, metadata: {name: fixed-1, namespace: default}, spec: \
                    {application: fixed, version: '1', image: nginx}}";
    let words = [
        "spec.image",
        "with its registry is needed",
        "no registry is assumed",
    ];
    world.refused(unplaced, &words).await;
}

/// Who may do what in the namespace of team a.
async fn rights_are_separate(world: &World) {
    let kubeconfig = |user, groups: &[&str]| world.plane.kubeconfig(user, groups).unwrap();
    let people = [
        ("member of a", Some(kubeconfig("member-a", &[]))),
        ("member of b", Some(kubeconfig("member-b", &[]))),
        ("platform", Some(kubeconfig("someone", &["platform"]))),
        ("stranger", Some(kubeconfig("nobody", &[]))),
        ("anonymous", None),
        ("operator", Some(kubeconfig("outside", &[]))),
    ];
    // One letter for each of them, in this order.
    let table = [
        ("get", "teamaccounts.bailiwick.dev", "y-y--y"),
        ("list", "events", "y-y---"),
        ("create", "teamaccounts.bailiwick.dev", "--y---"),
        ("update", "teamaccounts.bailiwick.dev", "--y---"),
        ("patch", "teamaccounts.bailiwick.dev", "--y--y"),
        ("delete", "teamaccounts.bailiwick.dev", "--y---"),
        ("patch", "teamaccounts.bailiwick.dev/status", "-----y"),
        ("list", "imagerepositories.bailiwick.dev", "y-y--y"),
        ("create", "imagerepositories.bailiwick.dev", "y-y---"),
        ("update", "imagerepositories.bailiwick.dev", "y-y---"),
        ("patch", "imagerepositories.bailiwick.dev", "y-y--y"),
        ("delete", "imagerepositories.bailiwick.dev", "y-y---"),
        ("patch", "imagerepositories.bailiwick.dev/status", "-----y"),
        ("create", "oauthclients.bailiwick.dev", "y-----"),
        ("get", "oauthclients.bailiwick.dev", "y-y--y"),
        ("patch", "oauthclients.bailiwick.dev", "y----y"),
        ("patch", "oauthclients.bailiwick.dev/status", "-----y"),
        ("list", "oauthproviders.bailiwick.dev", "--y--y"),
        ("create", "oauthproviders.bailiwick.dev", "--y---"),
        ("patch", "oauthproviders.bailiwick.dev", "--y--y"),
        ("patch", "oauthproviders.bailiwick.dev/status", "-----y"),
        // A policy decides by the application that owns it.
        ("create", "resourcetypes.bailiwick.dev", "yyyy-y"),
        ("delete", "resourcetypes.bailiwick.dev", "yyyy-y"),
        ("patch", "resourcetypes.bailiwick.dev/status", "-----y"),
        ("get", "accountclasses.bailiwick.dev", "--y--y"),
        ("update", "accountclasses.bailiwick.dev", "--y---"),
        ("patch", "accountclasses.bailiwick.dev/status", "-----y"),
        ("get", "teams.bailiwick.dev", "--y--y"),
        ("update", "teams.bailiwick.dev", "--y---"),
        ("patch", "teams.bailiwick.dev/status", "-----y"),
        ("create", "applications.bailiwick.dev", "y-----"),
        ("deletecollection", "releases.bailiwick.dev", "y-----"),
        ("patch", "releases.bailiwick.dev/status", "-----y"),
        ("patch", "releases.bailiwick.dev", "y----y"),
        ("patch", "approvals.bailiwick.dev", "y----y"),
        ("create", "approvals.bailiwick.dev", "y-----"),
        ("get", "approvals.bailiwick.dev", "y-y---"),
        ("patch", "applications.bailiwick.dev", "y----y"),
        ("patch", "applications.bailiwick.dev/status", "-----y"),
        ("create", "applicationnames.bailiwick.dev", "-----y"),
        ("delete", "applicationnames.bailiwick.dev", "--y---"),
        // A policy lets the platform team change nothing but the approvals that releases need.
        ("patch", "applicationnames.bailiwick.dev", "--y--y"),
        ("delete", "applications.bailiwick.dev", "y-y---"),
        ("get", "applicationnames.bailiwick.dev", "--y--y"),
        ("create", "rolebindings.rbac.authorization.k8s.io", "-----y"),
        ("create", "roles.rbac.authorization.k8s.io", "------"),
        ("patch", "clusterroles.rbac.authorization.k8s.io", "-----y"),
        ("delete", "clusterroles.rbac.authorization.k8s.io", "------"),
        (
            "patch",
            "clusterrolebindings.rbac.authorization.k8s.io",
            "-----y",
        ),
        (
            "delete",
            "clusterrolebindings.rbac.authorization.k8s.io",
            "------",
        ),
        ("delete", "namespaces", "-----y"),
        ("patch", "namespaces", "------"),
        ("get", "configmaps", "------"),
        ("get", "secrets", "-----y"),
        ("patch", "secrets", "-----y"),
        ("list", "secrets", "------"),
        ("watch", "secrets", "------"),
    ];
    for (verb, what, allowed) in table {
        for ((who, config), allowed) in people.iter().zip(allowed.chars()) {
            let (said, answer) = match config {
                Some(config) => can_i(world, config, verb, what).await,
                None => can_anonymous(world, verb, what).await,
            };
            assert_eq!(answer, Some(allowed == 'y'), "{who} {verb} {what}: {said}");
        }
    }
}

/// What a person is told about themselves. `None`: nothing, which is not a no.
async fn can_i(world: &World, config: &Path, verb: &str, what: &str) -> (String, Option<bool>) {
    let (resource, part) = what.split_once('/').unwrap_or((what, ""));
    let subresource = format!("--subresource={part}");
    let arguments = [
        "auth",
        "can-i",
        verb,
        resource,
        &subresource,
        "-n",
        "team-a",
    ];
    let said = text(&world.kubectl(config, &arguments, "").await);
    let mut words = said.lines().map(|line| line.split(' ').next());
    let answer = words.find_map(|word| match word {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        _ => None,
    });
    (said, answer)
}

/// Who is not known may not even ask about themselves: the administrator asks for them.
async fn can_anonymous(world: &World, verb: &str, what: &str) -> (String, Option<bool>) {
    let (resource, part) = what.split_once('/').unwrap_or((what, ""));
    let (name, group) = resource.split_once('.').unwrap_or((resource, ""));
    let review = format!(
        "{{apiVersion: authorization.k8s.io/v1, kind: SubjectAccessReview, spec: {{user: 'system:anonymous', groups: \
         ['system:unauthenticated'], resourceAttributes: {{namespace: team-a, verb: {verb}, group: '{group}', \
         resource: {name}, subresource: '{part}'}}}}}}"
    );
    let config = world.plane.admin_kubeconfig();
    let arguments = ["create", "-f", "-", "-o", "jsonpath={.status.allowed}"];
    let said = text(&world.kubectl(&config, &arguments, &review).await);
    let answer = said.trim().parse().ok();
    (said, answer)
}
