//! Who may say what about a release, on the real API server: stamps, approvals, and the names of applications.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bailiwick::api::{Application, ApplicationName, Release};
use bailiwick::model::SourceRepository;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::guards::{OPERATOR, may, may_not};
use super::parts;
use super::{World, text};

const ROBOT: &str = "--as=system:serviceaccount:team-a:robot";
/// Ann and Bob are members of team a besides the one that the chart's test has, and so is a robot.
const MEMBERS: &str = r#"{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: more, namespace: team-a},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: bailiwick-team-member}, subjects: [
  {kind: User, name: ann, apiGroup: rbac.authorization.k8s.io}, {kind: User, name: bob, apiGroup: rbac.authorization.k8s.io},
  {kind: User, name: gitops, apiGroup: rbac.authorization.k8s.io}, {kind: Group, name: bots, apiGroup: rbac.authorization.k8s.io},
  {kind: ServiceAccount, name: robot, namespace: team-a}]}"#;
const IMAGE: &str = "registry.example.com/a/shop:1";

fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

pub(super) fn application(spec: &str) -> String {
    format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: Application, metadata: {{name: shop, namespace: team-a}}, spec: {spec}}}"
    )
}

pub(super) fn release(name: &str, annotations: &str) -> String {
    format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: Release, metadata: {{name: {name}, namespace: team-a, annotations: \
         {annotations}}}, spec: {{application: shop, version: '1', image: '{IMAGE}'}}}}"
    )
}

fn approval(name: &str, approver: &str, release: &str, digest: &str) -> String {
    format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: Approval, metadata: {{name: {name}, namespace: team-a}}, spec: \
         {{release: {release}, digest: '{digest}', type: CodeChange, approver: {approver}}}}}"
    )
}

pub(super) struct People {
    pub member: PathBuf,
    pub ann: PathBuf,
    bob: PathBuf,
    platform: PathBuf,
    pub admin: PathBuf,
}

pub(super) const CREATE: [&str; 3] = ["create", "-f", "-"];

pub async fn approvals_are_the_word_of_different_people(world: &World) {
    world.accepted(MEMBERS).await;
    let config = |user, groups: &[&str]| world.plane.kubeconfig(user, groups).unwrap();
    let people = People {
        member: config("member-a", &[]),
        ann: config("ann", &[]),
        bob: config("bob", &[]),
        platform: config("someone", &["platform"]),
        admin: world.plane.admin_kubeconfig(),
    };
    stamps_are_written_and_cannot_be_forged(world, &people).await;
    parts::hold_by_themselves(world, &people).await;
    repositories_are_urls(world, &people).await;
    nobody_approves_their_own_or_for_others(world, &people).await;
    a_name_in_use_is_not_released(world, &people).await;
}

/// Waits until stamps are written: a new policy takes a second or two.
pub(super) async fn stamped(world: &World, people: &People) {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let dry = [&CREATE[..], &["--dry-run=server", "-o", "json"]].concat();
        let output = world
            .kubectl(&people.member, &dry, &release("probe", "{}"))
            .await;
        if text(&output).contains("bailiwick.dev/created-by") {
            return;
        }
        assert!(Instant::now() < deadline, "no stamp: {}", text(&output));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

pub(super) async fn annotations(world: &World, kind: &str, name: &str) -> Value {
    let admin = world.plane.admin_kubeconfig();
    let arguments = ["-n", "team-a", "get", kind, name, "-o", "json"];
    let output = world.kubectl(&admin, &arguments, "").await;
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let stamps = &object["metadata"]["annotations"];
    json!([
        stamps["bailiwick.dev/created-by"],
        stamps["bailiwick.dev/changed-by"]
    ])
}

async fn stamps_are_written_and_cannot_be_forged(world: &World, people: &People) {
    stamped(world, people).await;
    let manifest = application("{repositories: ['https://git.example.com/a/shop']}");
    may(world, &people.member, &CREATE, &manifest).await;
    // Written by hand, it is overwritten by the truth.
    let forged = release(
        "shop-1",
        "{bailiwick.dev/created-by: ann, bailiwick.dev/changed-by: ann}",
    );
    may(world, &people.member, &CREATE, &forged).await;
    let mine = json!(["member-a", "member-a"]);
    assert_eq!(annotations(world, "release", "shop-1").await, mine);

    // Changed afterwards by anybody, the operator and the administrator included, it is refused.
    let operator = ["-n", "team-a", "annotate", "application", "shop", OPERATOR];
    let hand = ["-n", "team-a", "annotate", "application", "shop"];
    for stamp in ["created-by", "changed-by"] {
        let value = format!("bailiwick.dev/{stamp}=ann");
        let words = [stamp, "written by the API server", "cannot set"];
        for (config, arguments) in [
            (&people.member, &hand[..]),
            (&people.admin, &hand[..]),
            (&people.admin, &operator[..]),
        ] {
            let forge = [arguments, &[&value, "--overwrite"]].concat();
            may_not(world, config, &forge, "", &words).await;
        }
        // Left out, it is put back.
        let remove = format!("bailiwick.dev/{stamp}-");
        may(world, &people.member, &[&hand[..], &[&remove]].concat(), "").await;
    }
    assert_eq!(annotations(world, "application", "shop").await, mine);
    may(
        world,
        &people.ann,
        &["-n", "team-a", "replace", "-f", "-"],
        &manifest,
    )
    .await;
    assert_eq!(annotations(world, "application", "shop").await, mine);

    // Another one changes the spec: the change is theirs, the object's making is not, whatever they write.
    let patch = r#"{"metadata":{"annotations":{"bailiwick.dev/created-by":"bob","bailiwick.dev/changed-by":"bob"}},
        "spec":{"tier":"Tier1"}}"#;
    let change = [
        "-n",
        "team-a",
        "patch",
        "application",
        "shop",
        "--type=merge",
        "-p",
        patch,
    ];
    may(world, &people.ann, &change, "").await;
    let theirs = json!(["member-a", "ann"]);
    assert_eq!(annotations(world, "application", "shop").await, theirs);
}

/// Source repositories that people may declare.
const GOOD: &[&str] = &[
    "https://git.example.com/a/b",
    "https://git.example.com/a/b.git",
    "https://git.example.com/a/b/",
    "http://git.example.com:8443/a/b",
    "https://git.example.com./a/b",
    "https://git.example.com/group/sub/b",
    "https://git.example.com/scm/a/b.git",
    "https://github.com/a/b/tree/main",
    "ssh://git@git.example.com:2222/a/b",
    "ssh://git.example.com/a/b",
    "git+ssh://git@git.example.com/a/b",
    "git://git.example.com/a/b",
    "git@git.example.com:a/b.git",
    "git@git.example.com:/a/b",
    "git@github.com:123/456.git",
    "https://dev.azure.com/acme/web/_git/shop",
    "https://dev.azure.com/acme/_git/shop",
    "git@ssh.dev.azure.com:v3/acme/web/shop",
    "https://git.example.com/~me/b",
];
/// And those that they may not.
const BAD: &[&str] = &[
    "shop",
    "https://git.example.com",
    "https://git.example.com/a",
    "ftp://git.example.com/a/b",
    "https://user:secret@git.example.com/a/b",
    "https://token@git.example.com/a/b",
    "ssh://git:secret@git.example.com/a/b",
    "https://localhost/a/b",
    "git@localhost:a/b",
    "https://git.example.com/a/..",
    "https://git.example.com/../a/b",
    "https://git.example.com/a/.git",
    "git@git.example.com:../b",
    "git@git.example.com:2222/a/b",
    "https://git.example.com:70000/a/b",
    "https://git.example.com:x/a/b",
    "https://git.example.com/a/b?c",
    "https://git.example.com/a/b%2f",
    "https://git_host.example.com/a/b",
    "https://dev.azure.com/acme/web",
];

/// What admission says of a URL is what the operator says of it.
async fn repositories_are_urls(world: &World, people: &People) {
    let read = SourceRepository::declared;
    let listed = |all: &[&str]| {
        let quoted: Vec<String> = all.iter().map(|url| format!("'{url}'")).collect();
        application(&format!("{{repositories: [{}]}}", quoted.join(", ")))
    };
    for bad in BAD {
        let error = read(bad).expect_err(bad).to_string();
        assert!(
            !error.contains("secret") && !error.contains("token@"),
            "{error}"
        );
    }
    let all: Vec<String> = (0..BAD.len())
        .map(|at| format!("spec.repositories[{at}]"))
        .collect();
    let words: Vec<&str> = all
        .iter()
        .map(String::as_str)
        .chain(["https://host/owner/name"])
        .collect();
    let apply = ["apply", "-f", "-"];
    may_not(world, &people.member, &apply, &listed(BAD), &words).await;
    for good in GOOD {
        assert!(read(good).is_ok(), "{:?}", read(good));
    }
    let dry = ["apply", "-f", "-", "--dry-run=server"];
    may(world, &people.member, &dry, &listed(GOOD)).await;
}

async fn nobody_approves_their_own_or_for_others(world: &World, people: &People) {
    let (right, wrong) = (digest("1"), digest("2"));
    let by = |who: &str, digest: &str| approval("given", who, "shop-1", digest);
    let words = ["Release shop-1 has no digest yet", "status.image.digest"];
    may_not(world, &people.ann, &CREATE, &by("ann", &right), &words).await;

    // Nobody but the operator says what the digest is.
    let image = json!({ "status": { "image": {
        "repository": "registry.example.com/a/shop", "digest": right, "mediaType": "m", "resolvedAt": "2026-01-01T00:00:00Z",
    }}});
    let write = async |user, groups: &[&str]| {
        let client = world.plane.client(user, groups).await.unwrap();
        let api: Api<Release> = Api::namespaced(client, "team-a");
        api.patch_status("shop-1", &PatchParams::default(), &Patch::Merge(&image))
            .await
    };
    let refusal = write("member-a", &[]).await.unwrap_err().to_string();
    assert!(refusal.contains("releases/status"), "{refusal}");
    write("outside", &[]).await.unwrap();

    let own = [
        "you, member-a, requested Release shop-1 yourself",
        "another person must approve it",
    ];
    may_not(
        world,
        &people.member,
        &CREATE,
        &by("member-a", &right),
        &own,
    )
    .await;
    let digests = [
        "spec.digest: Release shop-1 is",
        right.as_str(),
        "approve it by its own digest",
    ];
    may_not(world, &people.ann, &CREATE, &by("ann", &wrong), &digests).await;
    let name = ["spec.approver: you are ann", "not in that of bob"];
    may_not(world, &people.ann, &CREATE, &by("bob", &right), &name).await;
    let robot = [&CREATE[..], &[ROBOT]].concat();
    let user = "system:serviceaccount:team-a:robot";
    let person = [user, "is not a person", "never approve them"];
    may_not(world, &people.admin, &robot, &by(user, &right), &person).await;
    may_not(world, &people.admin, &robot, &by("ann", &right), &person).await;
    // An administrator of the certificate's group is no exception either.
    let master = [
        &CREATE[..],
        &["--as=system:admin", "--as-group=system:masters"],
    ]
    .concat();
    let person = ["system:admin", "is not a person"];
    may_not(
        world,
        &people.admin,
        &master,
        &by("system:admin", &right),
        &person,
    )
    .await;

    // Nor is a service account whatever it is called.
    let named = [
        &CREATE[..],
        &["--as=ann", "--as-group=system:serviceaccounts"],
    ]
    .concat();
    let person = ["ann is not a person", "never approve them"];
    may_not(world, &people.admin, &named, &by("ann", &right), &person).await;

    // Robots that the cluster authenticates like people, by their name and by their group.
    let robots = [("gitops", &[][..]), ("builder", &["bots"])];
    for (who, groups) in robots {
        let config = world.plane.kubeconfig(who, groups).unwrap();
        let words = [who, "is a robot", "never approve them"];
        may_not(world, &config, &CREATE, &by(who, &right), &words).await;
        let dry = [&CREATE[..], &["--dry-run=server"]].concat();
        may(world, &config, &dry, &release("shop-robot", "{}")).await;
    }

    // A robot makes releases; both others approve it.
    may(world, &people.admin, &robot, &release("shop-robot", "{}")).await;
    let made = annotations(world, "release", "shop-robot").await;
    assert_eq!(made[0], user);
    for (config, who) in [(&people.ann, "ann"), (&people.bob, "bob")] {
        may(
            world,
            config,
            &CREATE,
            &approval(who, who, "shop-1", &right),
        )
        .await;
        assert_eq!(annotations(world, "approval", who).await, json!([who, who]));
    }
    // Nobody changes what was said.
    let comment = r#"{"spec":{"comment":"changed my mind"}}"#;
    let change = [
        "-n",
        "team-a",
        "patch",
        "approval",
        "ann",
        "--type=merge",
        "-p",
        comment,
    ];
    let words = ["the spec of an Approval cannot be changed"];
    may_not(world, &people.ann, &change, "", &words).await;
    // Of a release that does not exist there is nothing to compare: the operator judges it.
    let early = [&CREATE[..], &["--dry-run=server"]].concat();
    may(
        world,
        &people.ann,
        &early,
        &approval("early", "ann", "later", &right),
    )
    .await;
}

async fn a_name_in_use_is_not_released(world: &World, people: &People) {
    let name = "{apiVersion: bailiwick.dev/v1alpha1, kind: ApplicationName, metadata: {name: shop}, spec: {owner: \
                {team: payments, namespace: team-a, uid: '1'}}}";
    for config in [&people.member, &people.platform] {
        may_not(world, config, &CREATE, name, &["forbidden"]).await;
    }
    let as_operator = [&CREATE[..], &[OPERATOR]].concat();
    may(world, &people.admin, &as_operator, name).await;
    let delete = ["delete", "applicationname", "shop"];
    let words = [
        "the name shop is in use by team payments",
        "Application team-a/shop",
    ];
    may_not(world, &people.platform, &delete, "", &words).await;
    may_not(world, &people.admin, &delete, "", &words).await;
    may_not(world, &people.member, &delete, "", &["forbidden"]).await;
    only_approvals_are_lowered(world, people).await;
    // Held by whomever, the platform team frees it: its application goes first.
    let application = ["-n", "team-a", "delete", "application", "shop"];
    may(world, &people.platform, &application, "").await;
    let client = world.plane.client("outside", &[]).await.unwrap();
    let names: Api<ApplicationName> = Api::all(client);
    let mut found = names.get("shop").await.unwrap();
    found.spec.state = bailiwick::api::NameState::Tombstone;
    names
        .replace("shop", &Default::default(), &found)
        .await
        .unwrap();
    may(world, &people.platform, &delete, "").await;
    leave_nothing(world, &people.admin).await;
}

/// What approvals the releases under a name need is the platform team's to lower, and nobody else's; whose it is, is not.
async fn only_approvals_are_lowered(world: &World, people: &People) {
    let patch = ["patch", "applicationname", "shop", "--type=merge", "-p"];
    let with = |spec: &str| {
        [&patch[..], &[spec]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let run = async |config: &Path, spec: &str, words: Option<&[&str]>| {
        let arguments = with(spec);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match words {
            Some(words) => may_not(world, config, &arguments, "", words).await,
            None => may(world, config, &arguments, "").await,
        }
    };
    let lowered = r#"{"spec":{"requiredApprovals":{"types":["Test"],"people":1}}}"#;
    run(&people.platform, lowered, None).await;
    run(&people.member, lowered, Some(&["forbidden"])).await;
    for other in [
        r#"{"spec":{"owner":{"team":"thieves"}}}"#,
        r#"{"spec":{"state":"Tombstone"}}"#,
        r#"{"spec":{"retiredAt":"2026-01-01T00:00:00Z"}}"#,
    ] {
        let words = ["whose the name shop is", "only spec.requiredApprovals"];
        run(&people.platform, other, Some(&words)).await;
    }
}

async fn leave_nothing(world: &World, admin: &Path) {
    let everything = [
        "-n",
        "team-a",
        "delete",
        "approvals,releases,applications",
        "--all",
    ];
    may(world, admin, &everything, "").await;
    let left: Api<Application> = Api::all(world.plane.admin().await.unwrap());
    assert!(
        left.list(&Default::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}
