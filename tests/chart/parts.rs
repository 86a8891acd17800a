//! Parts of policies and schemas that hold by themselves: where another one comes first as a rule, it is taken away.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::approvals::{CREATE, People, annotations, application, release, stamped};
use super::guards::{OPERATOR, may, may_not};
use super::{World, text};

/// Changes the application that has no stamps; the patch follows.
const CHANGE: [&str; 7] = [
    "-n",
    "team-a",
    "patch",
    "application",
    "old",
    "--type=merge",
    "-p",
];

const BINDING: &str = "mutatingadmissionpolicybinding";
const APPLY: [&str; 3] = ["apply", "-f", "-"];

/// With `Application` shop and `Release` shop-1 of member-a.
pub(super) async fn hold_by_themselves(world: &World, people: &People) {
    a_release_stays_what_it_is(world, people).await;
    names_are_ids(world, people).await;
    a_repository_stays_where_it_is(world, people).await;
    stamps_are_guarded_where_nothing_writes_them(world, people).await;
}

/// A merge patch of an object of team a.
async fn refused(
    world: &World,
    config: &Path,
    (kind, name): (&str, &str),
    spec: Value,
    word: &str,
) {
    let patch = json!({ "spec": spec }).to_string();
    let change = [
        "-n",
        "team-a",
        "patch",
        kind,
        name,
        "--type=merge",
        "-p",
        &patch,
    ];
    may_not(world, config, &change, "", &[word]).await;
}

async fn a_release_stays_what_it_is(world: &World, people: &People) {
    let word = "the spec of a Release cannot be changed";
    for spec in [
        json!({"version": "2"}),
        json!({"image": "registry.example.com/a/shop:2"}),
        json!({"application": "web"}),
        json!({"notes": "new"}),
    ] {
        refused(world, &people.member, ("release", "shop-1"), spec, word).await;
    }
}

async fn names_are_ids(world: &World, people: &People) {
    let as_operator = [&CREATE[..], &[OPERATOR]].concat();
    let long = "a".repeat(41);
    for name in ["1st", "shop.web", long.as_str()] {
        let words = ["metadata.name: an application id consists of"];
        let named = application("{}").replace("name: shop,", &format!("name: {name},"));
        may_not(world, &people.member, &CREATE, &named, &words).await;
        let claim = format!(
            "{{apiVersion: bailiwick.dev/v1alpha1, kind: ApplicationName, metadata: {{name: {name}}}, spec: {{owner: \
             {{team: a, namespace: team-a, uid: '1'}}}}}}"
        );
        may_not(world, &people.admin, &as_operator, &claim, &words).await;
    }
}

async fn a_repository_stays_where_it_is(world: &World, people: &People) {
    let repository = |name: &str, spec: &str| {
        format!(
            "{{apiVersion: bailiwick.dev/v1alpha1, kind: ImageRepository, metadata: {{name: {name}, namespace: team-a}}, \
             spec: {{application: shop, region: eu-central-1{spec}}}}}"
        )
    };
    may(world, &people.member, &CREATE, &repository("bare", "")).await;
    let full = repository("full", ", account: test, repositoryName: a/shop");
    may(world, &people.member, &CREATE, &full).await;
    for (name, field, value) in [
        ("bare", "application", json!("web")),
        ("bare", "account", json!("test")),
        ("bare", "repositoryName", json!("a/shop")),
        ("full", "account", json!("live")),
        ("full", "account", Value::Null),
        ("full", "repositoryName", json!("a/web")),
        ("full", "repositoryName", Value::Null),
    ] {
        let (word, mut spec) = (format!("spec.{field} cannot be changed"), json!({}));
        spec[field] = value;
        let object = ("imagerepository", name);
        refused(world, &people.member, object, spec, &word).await;
    }
    let delete = ["-n", "team-a", "delete", "imagerepository", "bare", "full"];
    may(world, &people.member, &delete, "").await;
}

/// On a cluster that has no `MutatingAdmissionPolicy` nothing overwrites what is forged: it is refused.
async fn stamps_are_guarded_where_nothing_writes_them(world: &World, people: &People) {
    let get = ["get", BINDING, "bailiwick-authors", "-o", "json"];
    let found = world.kubectl(&people.admin, &get, "").await;
    let mut binding: Value = serde_json::from_slice(&found.stdout).unwrap();
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
    ] {
        binding["metadata"].as_object_mut().unwrap().remove(field);
    }
    let delete = ["delete", BINDING, "bailiwick-authors"];
    may(world, &people.admin, &delete, "").await;
    unstamped(world, people).await;

    let stamp = |stamp: &str, who: &str| format!("{{bailiwick.dev/{stamp}: {who}}}");
    for (name, verb) in [("created-by", "made"), ("changed-by", "changed")] {
        let said = format!("bailiwick.dev/{name} says who {verb}");
        let words = [said.as_str(), "you are member-a"];
        let forged = release("shop-forged", &stamp(name, "ann"));
        may_not(world, &people.member, &CREATE, &forged, &words).await;
        let dry = [&CREATE[..], &["--dry-run=server"]].concat();
        let own = release("shop-own", &stamp(name, "member-a"));
        may(world, &people.member, &dry, &own).await;
    }
    let old = application("{}").replace("name: shop,", "name: old,");
    may(world, &people.member, &CREATE, &old).await;
    assert_eq!(
        annotations(world, "application", "old").await,
        json!([null, null])
    );
    let forge = |who: &str| {
        let stamp = json!({ "bailiwick.dev/changed-by": who });
        json!({"metadata": {"annotations": stamp}, "spec": {"tier": "Tier3"}}).to_string()
    };
    let words = [
        "bailiwick.dev/changed-by says who changed",
        "you are member-a",
    ];
    let forged = forge("ann");
    may_not(
        world,
        &people.member,
        &[&CHANGE[..], &[&forged]].concat(),
        "",
        &words,
    )
    .await;
    let own = forge("member-a");
    let own = [&CHANGE[..], &[&own]].concat();
    may(world, &people.member, &own, "").await;
    // Whoever changes it next does not say that it was them, and is told how.
    let next = json!({"spec": {"tier": "Tier1"}}).to_string();
    let words = ["you are", "take it off with the change"];
    may_not(
        world,
        &people.admin,
        &[&CHANGE[..], &[&next]].concat(),
        "",
        &words,
    )
    .await;
    let taken_off = json!({"spec": {"tier": "Tier1"}, "metadata": {"annotations": {"bailiwick.dev/changed-by": null}}});
    let taken_off = taken_off.to_string();
    may(
        world,
        &people.admin,
        &[&CHANGE[..], &[&taken_off]].concat(),
        "",
    )
    .await;

    may(world, &people.admin, &CREATE, &binding.to_string()).await;
    stamped(world, people).await;
    changes_are_stamped_whatever_is_left_out(world, people).await;
}

/// Of an object without stamps nobody knows who made it, and of its next change who has made that.
async fn changes_are_stamped_whatever_is_left_out(world: &World, people: &People) {
    let change = [&CHANGE[..], &[r#"{"spec":{"tier":"Tier2"}}"#]].concat();
    may(world, &people.ann, &change, "").await;
    assert_eq!(
        annotations(world, "application", "old").await,
        json!([null, "ann"])
    );
    let delete = ["-n", "team-a", "delete", "application", "old"];
    may(world, &people.member, &delete, "").await;
    // Who replaces an object with another spec and without stamps, has changed it.
    let replaced = application("{tier: Tier2}");
    let replace = ["-n", "team-a", "replace", "-f", "-"];
    for (config, who) in [(&people.member, "member-a"), (&people.ann, "ann")] {
        let other = replaced.replace("Tier2", if who == "ann" { "Tier3" } else { "Tier2" });
        may(world, config, &replace, &other).await;
        assert_eq!(
            annotations(world, "application", "shop").await,
            json!(["member-a", who])
        );
    }
}

/// Waits until stamps are not written any more.
async fn unstamped(world: &World, people: &People) {
    let deadline = Instant::now() + Duration::from_secs(15);
    let dry = [&APPLY[..], &["--dry-run=server", "-o", "json"]].concat();
    loop {
        let output = world
            .kubectl(&people.member, &dry, &release("probe", "{}"))
            .await;
        let said = text(&output);
        if output.status.success() && !said.contains("bailiwick.dev/created-by") {
            return;
        }
        assert!(Instant::now() < deadline, "still stamped: {said}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
