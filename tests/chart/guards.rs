//! What depends on who asks: the label that gives a namespace to a team, the operator's finalizer; and that a class which
//! has gone holds up nobody who leaves.

use std::path::Path;
use std::time::{Duration, Instant};

use bailiwick::api::{Team, TeamAccount};
use bailiwick::controllers::team::readers;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::{World, account, text};

/// The operator, as the chart's service account.
pub const OPERATOR: &str = "--as=system:serviceaccount:bailiwick-system:bailiwick";
const FINALIZED: &str = r#"{"metadata":{"finalizers":["bailiwick.dev/finalizer"]}}"#;
const BARE: &str = r#"{"metadata":{"finalizers":null}}"#;
/// People who may edit namespaces, one of whom is of the platform team besides.
const LABELLERS: &str = r#"
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: labeller}, rules: [
  {apiGroups: [""], resources: [namespaces], verbs: [get, create, update, patch]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: labeller},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: labeller}, subjects: [
  {kind: User, name: labeller, apiGroup: rbac.authorization.k8s.io},
  {kind: Group, name: platform, apiGroup: rbac.authorization.k8s.io}]}
"#;

fn namespace(name: &str, team: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {{bailiwick.dev/team: {team}}}}}}}"
    )
}

pub async fn may(world: &World, config: &Path, arguments: &[&str], input: &str) {
    let output = world.kubectl(config, arguments, input).await;
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
}

/// Tries until refused with all of these words; a policy, or what it reads, takes a second or two to be known.
pub async fn may_not(
    world: &World,
    config: &Path,
    arguments: &[&str],
    input: &str,
    words: &[&str],
) {
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut dry = arguments.to_vec();
    dry.push("--dry-run=server");
    loop {
        let output = world.kubectl(config, &dry, input).await;
        let said = text(&output);
        if !output.status.success() && words.iter().all(|word| said.contains(word)) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{arguments:?} not refused with {words:?}: {said}"
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// The expressions fit the types that they are applied to, as far as the cluster can tell.
pub async fn policies_are_sound(world: &World) {
    let config = world.plane.admin_kubeconfig();
    let path = "jsonpath={range .items[*]}{.metadata.name} {.metadata.generation}={.status.observedGeneration} \
                {.status.typeChecking.expressionWarnings}{\"\\n\"}{end}";
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let arguments = ["get", "validatingadmissionpolicies", "-o", path];
        let said = text(&world.kubectl(&config, &arguments, "").await);
        assert!(!said.contains("warning"), "{said}");
        if said.lines().filter(|line| line.contains(" 1=1 ")).count() == 11 {
            return;
        }
        assert!(Instant::now() < deadline, "not checked: {said}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

pub async fn the_team_label_is_the_platforms(world: &World) {
    let admin = world.plane.admin_kubeconfig();
    world.accepted(LABELLERS).await;
    let labeller = world.plane.kubeconfig("labeller", &[]).unwrap();
    let platform = world.plane.kubeconfig("someone", &["platform"]).unwrap();
    let words = [
        "metadata.labels",
        "bailiwick.dev/team",
        "only who may edit teams",
    ];

    let hijack = ["label", "namespace", "team-b", "bailiwick.dev/team=a"];
    may_not(world, &labeller, &hijack, "", &words).await;
    let create = ["create", "-f", "-"];
    may_not(world, &labeller, &create, &namespace("team-c", "a"), &words).await;
    may(
        world,
        &labeller,
        &["label", "namespace", "team-b", "stage=test"],
        "",
    )
    .await;

    let as_operator = ["create", "-f", "-", OPERATOR];
    may(world, &admin, &as_operator, &namespace("team-c", "c")).await;
    let release = ["label", "namespace", "team-c", "bailiwick.dev/team-"];
    may_not(world, &labeller, &release, "", &words).await;
    may(
        world,
        &labeller,
        &["label", "namespace", "team-c", "stage=test"],
        "",
    )
    .await;
    let give = ["label", "namespace", "team-b", "bailiwick.dev/team=b"];
    may(world, &platform, &give, "").await;
}

pub async fn the_finalizer_is_the_operators(world: &World) {
    let admin = world.plane.admin_kubeconfig();
    let outside = world.plane.kubeconfig("outside", &[]).unwrap();
    let platform = world.plane.kubeconfig("someone", &["platform"]).unwrap();
    world.accepted(&account("held", "{className: test}")).await;
    let patch = [
        "-n",
        "team-a",
        "patch",
        "teamaccount",
        "held",
        "--type=merge",
        "-p",
    ];
    let with = |body| [&patch[..], &[body]].concat();
    let words = [
        "metadata.finalizers",
        "bailiwick.dev/finalizer",
        "operator alone",
    ];

    may_not(world, &platform, &with(FINALIZED), "", &words).await;
    may(world, &outside, &with(FINALIZED), "").await;
    may_not(world, &platform, &with(BARE), "", &words).await;
    may(world, &platform, &with(r#"{"spec":{"suspend":true}}"#), "").await;
    status_is_the_operators(world).await;

    // The class goes first, then the account: it can be deleted, and by the operator alone let go.
    let list = [
        "-n",
        "bailiwick-system",
        "patch",
        "configmap",
        "bailiwick-account-classes",
    ];
    let unlist = [
        &list[..],
        &["--type=merge", "-p", r#"{"data":{"test":null}}"#],
    ]
    .concat();
    may(world, &admin, &unlist, "").await;
    world
        .refused(
            &account("late", "{className: test}"),
            &[
                "spec.className",
                r#"no AccountClass "test""#,
                "there are none",
            ],
        )
        .await;
    let delete = [
        "-n",
        "team-a",
        "delete",
        "teamaccount",
        "held",
        "--wait=false",
    ];
    may(world, &platform, &delete, "").await;
    may_not(world, &platform, &with(BARE), "", &words).await;
    let let_go = [&with(BARE)[..], &[OPERATOR]].concat();
    may(world, &admin, &let_go, "").await;
    let get = ["-n", "team-a", "get", "teamaccount", "held"];
    let gone = text(&world.kubectl(&admin, &get, "").await);
    assert!(gone.contains("NotFound"), "{gone}");

    let list = [
        "-n",
        "bailiwick-system",
        "delete",
        "configmap",
        "bailiwick-account-classes",
    ];
    may(world, &admin, &list, "").await;
    world
        .refused(
            &account("late", "{className: test}"),
            &["bailiwick-account-class", "denied"],
        )
        .await;
}

/// Asked without kubectl, which reads the status by itself before it patches it: a right that the operator does not need.
async fn status_is_the_operators(world: &World) {
    let state = Patch::Merge(json!({ "status": { "state": "ACTIVE" } }));
    let write = async |user, groups: &[&str]| {
        let client = world.plane.client(user, groups).await.unwrap();
        let api: Api<TeamAccount> = Api::namespaced(client, "team-a");
        api.patch_status("held", &PatchParams::default(), &state)
            .await
    };
    let refusal = write("someone", &["platform"]).await.unwrap_err();
    let refusal = refusal.to_string();
    assert!(refusal.contains("cannot patch resource"), "{refusal}");
    assert!(refusal.contains("teamaccounts/status"), "{refusal}");
    let written = write("outside", &[]).await.unwrap();
    let state = written.status.and_then(|status| status.state);
    assert_eq!(state.as_deref(), Some("ACTIVE"));
}

/// The operator gives people the members' role and no other, and itself that of writing credentials.
pub async fn only_the_members_role_is_given(world: &World) {
    let admin = world.plane.admin_kubeconfig();
    let make = ["create", "-f", "-", OPERATOR];
    may(world, &admin, &make, &namespace("bound", "bound")).await;
    let (somebody, itself) = (
        "--user=somebody",
        "--serviceaccount=bailiwick-system:bailiwick",
    );
    for (role, subject, right, allowed) in [
        ("bailiwick-team-member", somebody, true, true),
        ("bailiwick-credentials-writer", itself, true, true),
        ("bailiwick-credentials-writer", somebody, true, false),
        // Of the same name elsewhere, and another one beside it.
        (
            "bailiwick-credentials-writer",
            "--serviceaccount=default:bailiwick",
            true,
            false,
        ),
        (
            "bailiwick-credentials-writer",
            "--serviceaccount=bailiwick-system:default",
            true,
            false,
        ),
        ("bailiwick-platform", somebody, false, false),
        ("cluster-admin", somebody, false, false),
        // It has all the rights of this one, so that RBAC alone would let it give them away.
        ("bailiwick-operator", somebody, false, false),
    ] {
        let role_path = format!("clusterroles.rbac.authorization.k8s.io/{role}");
        let asked = ["auth", "can-i", "bind", &role_path, OPERATOR];
        assert_eq!(
            world.kubectl(&admin, &asked, "").await.status.success(),
            right,
            "{role}"
        );
        let binding = format!("--clusterrole={role}");
        let create = [
            "-n",
            "bound",
            "create",
            "rolebinding",
            "given",
            &binding,
            subject,
            OPERATOR,
        ];
        if allowed {
            may(
                world,
                &admin,
                &[&create[..], &["--dry-run=server"]].concat(),
                "",
            )
            .await;
        } else {
            may_not(world, &admin, &create, "", &["forbidden"]).await;
        }
    }
}

/// What the operator makes for each team lets its members read that team and the classes, and nobody else; and the
/// operator can make nothing else of the kind.
pub async fn members_read_their_team_and_the_classes(world: &World) {
    let admin = world.plane.admin_kubeconfig();
    let outside = world.plane.client("outside", &[]).await.unwrap();
    let roles: Api<ClusterRole> = Api::all(outside.clone());
    let bindings: Api<ClusterRoleBinding> = Api::all(outside);
    let params = PatchParams::apply("bailiwick").force();
    for name in ["a", "b"] {
        let manifest = format!(
            "{{apiVersion: bailiwick.dev/v1alpha1, kind: Team, metadata: {{name: team-{name}}}, spec: {{members: \
             [{{user: member-{name}}}]}}}}"
        );
        world.accepted(&manifest).await;
        let get = ["get", "team", &format!("team-{name}"), "-o", "json"];
        let found = world.kubectl(&admin, &get, "").await;
        let team: Team = serde_json::from_slice(&found.stdout).unwrap();
        let (role, binding) = (readers::role(&team), readers::binding(&team));
        let name = role.name_any();
        let made = roles.patch(&name, &params, &Patch::Apply(&role)).await;
        made.expect("the operator may make the role");
        let bound = bindings
            .patch(&name, &params, &Patch::Apply(&binding))
            .await;
        bound.expect("the operator may bind it");
    }
    let kubeconfig = |user| world.plane.kubeconfig(user, &[]).unwrap();
    let (of_a, of_b, nobody) = (
        kubeconfig("member-a"),
        kubeconfig("member-b"),
        kubeconfig("nobody"),
    );
    let reads = async |config: &Path, arguments: &[&str]| {
        let output = world.kubectl(config, arguments, "").await;
        output.status.success() || !text(&output).contains("orbidden")
    };
    // One letter for each of them: a member of a, a member of b, a stranger.
    for (arguments, allowed) in [
        (&["get", "team", "team-a"][..], "y--"),
        (&["get", "team", "team-b"], "-y-"),
        (
            &["wait", "team/team-a", "--for=create", "--timeout=5s"],
            "y--",
        ),
        (&["get", "teams"], "---"),
        (&["get", "accountclasses"], "yy-"),
        (&["get", "accountclass", "test"], "yy-"),
        (&["label", "team", "team-a", "mine=1"], "---"),
        (&["label", "accountclass", "test", "mine=1"], "---"),
        (&["delete", "team", "team-a"], "---"),
    ] {
        for (config, allowed) in [&of_a, &of_b, &nobody].into_iter().zip(allowed.chars()) {
            let may = reads(config, arguments).await;
            assert_eq!(may, allowed == 'y', "{} {arguments:?}", config.display());
        }
    }
    the_operator_makes_no_other_role(world, &roles).await;
}

async fn the_operator_makes_no_other_role(world: &World, roles: &Api<ClusterRole>) {
    let params = PatchParams::apply("bailiwick").force();
    let write = async |name: &str, group: &str, resource: &str, verb: &str| {
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [{"apiGroups": [group], "resources": [resource], "verbs": ["get", verb]}],
        });
        let written = roles.patch(name, &params, &Patch::Apply(&role)).await;
        written.unwrap_err().to_string()
    };
    // By name, whatever it may do; and whatever its name, what is more than to read.
    let refusal = write("bailiwick-team-member", "bailiwick.dev", "teams", "list").await;
    assert!(refusal.contains("begins with bailiwick:team:"), "{refusal}");
    let refusal = write("bailiwick:team:more", "", "secrets", "get").await;
    assert!(refusal.contains("and nothing else"), "{refusal}");
    let refusal = write(
        "bailiwick:team:more",
        "bailiwick.dev",
        "teamaccounts",
        "patch",
    )
    .await;
    assert!(refusal.contains("and nothing else"), "{refusal}");
    // What it may bind in the namespaces of teams it may not bind everywhere.
    let bindings: Api<ClusterRoleBinding> = Api::all(roles.clone().into_client());
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "bailiwick:team:more"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bailiwick-credentials-writer"},
        "subjects": [{"kind": "ServiceAccount", "name": "bailiwick", "namespace": "bailiwick"}],
    });
    let binding = Patch::Apply(&binding);
    let bound = bindings.patch("bailiwick:team:more", &params, &binding);
    let refusal = bound.await.unwrap_err().to_string();
    assert!(refusal.contains("roleRef.name"), "{refusal}");
    let elsewhere: Api<RoleBinding> = Api::namespaced(roles.clone().into_client(), "default");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "bailiwick-credentials-writer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bailiwick-credentials-writer"},
        "subjects": [{"kind": "ServiceAccount", "name": "bailiwick", "namespace": "bailiwick"}],
    });
    let binding = Patch::Apply(&binding);
    let bound = elsewhere.patch("bailiwick-credentials-writer", &params, &binding);
    let refusal = bound.await.unwrap_err().to_string();
    assert!(refusal.contains("in the namespaces of teams"), "{refusal}");
    let get = ["get", "clusterrole", "bailiwick-team-member", "-o", "yaml"];
    let admin = world.plane.admin_kubeconfig();
    let left = text(&world.kubectl(&admin, &get, "").await);
    assert!(left.contains("imagerepositories"), "{left}");
}
