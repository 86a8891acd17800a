use serde_json::{Value, json};

use super::*;

fn digest() -> String {
    format!("sha256:{}", "1".repeat(64))
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn condition(type_: &str, status: &str, message: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": "Reason", "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

/// A release whose conditions are all True, but for those that are named.
fn release(name: &str, wrong: &[(&str, &str)]) -> Release {
    let conditions: Vec<Value> = [
        "Ready",
        "Resolved",
        "SourceKnown",
        "SourceMatches",
        "Clean",
        "Approved",
    ]
    .into_iter()
    .map(|type_| match wrong.iter().find(|(one, _)| *one == type_) {
        Some((_, status)) => condition(type_, status, &format!("{type_} is wrong")),
        None => condition(type_, "True", &format!("{type_} holds")),
    })
    .collect();
    read(json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Release",
        "metadata": {"name": name, "namespace": "team-a", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"application": "shop", "version": "1", "image": "registry.example.com/a/shop:1"},
        "status": {
            "requester": "dev",
            "image": {
                "repository": "registry.example.com/a/shop", "tag": "1", "digest": digest(), "mediaType": "m",
                "resolvedAt": "2026-01-01T00:00:00Z",
            },
            "source": {
                "repository": "https://git.example.com/a/shop", "revision": "abc", "evidence": "Attestation",
                "signedBy": "ci",
            },
            "tickets": [{"id": "SHOP-1", "url": "https://tickets.example.com/SHOP-1"}],
            "approvals": [{"name": "ok", "type": "CodeChange", "approver": "ann"}],
            "conditions": conditions,
        },
    }))
}

fn seen(releases: Vec<Release>) -> Seen {
    Seen {
        releases,
        applications: vec![read(json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Application",
            "metadata": {"name": "shop", "namespace": "team-a", "uid": "u"}, "spec": {},
            "status": {"team": "a", "conditions": [condition("Accepted", "True", "the name is team a's")]},
        }))],
        names: Some(vec![read(json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "ApplicationName", "metadata": {"name": "shop"},
            "spec": {"owner": {"team": "a", "namespace": "team-a", "uid": "u"}, "state": "Held"},
        }))]),
        teams: Some(vec![read(json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Team", "metadata": {"name": "a"},
            "spec": {"members": [{"user": "ann"}], "contact": {"email": "a@example.com"}},
        }))]),
    }
}

fn traced(subject: &str, seen: &Seen) -> Chain {
    chain(&subject.parse().unwrap(), seen).unwrap()
}

fn broken(chain: &Chain) -> Vec<&str> {
    let broken = chain.hops.iter().filter(|hop| hop.mark == Mark::Broken);
    broken.map(|hop| hop.hop).collect()
}

#[test]
fn a_whole_chain_goes_from_the_image_to_the_team_however_it_is_asked_for() {
    let seen = seen(vec![release("shop-1", &[])]);
    let by_digest = format!("registry.example.com/a/shop@{}", digest());
    for subject in [
        "registry.example.com/a/shop:1",
        &by_digest,
        "release/shop-1",
        "shop-1",
        "application/shop",
        "shop",
    ] {
        let chain = traced(subject, &seen);
        assert!(chain.whole, "{subject}: {chain:#?}");
        let hops: Vec<&str> = chain.hops.iter().map(|hop| hop.hop).collect();
        let wanted = [
            "image",
            "release",
            "source",
            "repository",
            "tree",
            "tickets",
            "approvals",
            "application",
            "team",
        ];
        assert_eq!(hops, wanted, "{subject}");
        for hop in &chain.hops {
            assert!(
                hop.mark == Mark::Holds && hop.evidence.is_some(),
                "{subject}: {hop:?}"
            );
        }
        let team = &chain.hops[8];
        assert_eq!(team.says, "a, a@example.com");
        assert!(
            chain.hops[2]
                .evidence
                .as_ref()
                .unwrap()
                .contains("signed by ci")
        );
    }
}

#[test]
fn a_broken_hop_says_who_can_mend_it_and_the_others_still_speak() {
    for (wrong, status, hop, whole) in [
        ("SourceKnown", "False", "source", false),
        ("SourceMatches", "False", "repository", false),
        ("SourceMatches", "Unknown", "repository", false),
        ("Clean", "False", "tree", false),
        ("Clean", "Unknown", "tree", true),
        ("Approved", "False", "approvals", false),
        ("Approved", "Unknown", "approvals", false),
    ] {
        let chain = traced("shop-1", &seen(vec![release("shop-1", &[(wrong, status)])]));
        assert_eq!(chain.whole, whole, "{wrong} {status}");
        assert_eq!(chain.hops.len(), 9, "{wrong}");
        assert_eq!(
            broken(&chain),
            if whole { vec![] } else { vec![hop] },
            "{wrong} {status}"
        );
        for hop in chain.hops.iter().filter(|hop| hop.mark == Mark::Broken) {
            assert!(
                hop.mend.is_some() && hop.says.contains("is wrong"),
                "{hop:?}"
            );
        }
    }
}

/// Whatever keeps a release from being Ready breaks its chain, also where all its other conditions hold.
#[test]
fn what_is_not_ready_is_no_whole_chain() {
    let of = |reason: &str, wrong: &[(&str, &str)]| {
        let mut one = release("shop-1", wrong);
        let conditions = &mut one.status.as_mut().unwrap().conditions;
        reason.clone_into(&mut conditions[0].reason);
        traced("shop-1", &seen(vec![one]))
    };
    for reason in [
        "ApplicationRetired",
        "MovingTag",
        "Duplicate",
        "SomethingElse",
    ] {
        let chain = of(reason, &[("Ready", "False")]);
        assert_eq!(broken(&chain), ["release"], "{reason}");
        assert_eq!(chain.hops[1].says, "Ready is wrong");
    }
    // Of several that keep it, none is left out.
    let all = [("Ready", "False"), ("Approved", "False")];
    for reason in ["ApplicationRetired", "MovingTag"] {
        assert_eq!(broken(&of(reason, &all)), ["release", "approvals"]);
    }
    assert_eq!(broken(&of("AwaitingApproval", &all)), ["approvals"]);
}

#[test]
fn a_source_that_may_be_the_base_images_is_not_shown_as_certain() {
    let mut one = release("shop-1", &[]);
    let source = one.status.as_mut().unwrap().source.as_mut().unwrap();
    source.evidence = crate::api::Evidence::Annotation;
    source.doubt = Some("it names none".to_owned());
    let chain = traced("shop-1", &seen(vec![one]));
    let hop = &chain.hops[2];
    assert_eq!((hop.hop, hop.mark), ("source", Mark::Unknown));
    let evidence = hop.evidence.as_deref().unwrap();
    assert!(
        evidence.contains("may be its base image's: it names none"),
        "{evidence}"
    );
    assert!(chain.whole);
}

/// The registry is not asked, and so nothing is said of what a tag names now but what the release has seen. That suffices
/// to stop whoever goes by the tag; the release itself stays what it is.
#[test]
fn a_tag_is_traced_to_the_digest_that_its_release_kept_unless_it_names_another() {
    const IMAGE: &str = "registry.example.com/a/shop:1";
    let kept = traced(IMAGE, &seen(vec![release("shop-1", &[])]));
    let evidence = kept.hops[0].evidence.as_deref().unwrap();
    assert!(
        evidence.contains("what the tag names now is not asked for here"),
        "{evidence}"
    );
    let mut moved = release("shop-1", &[]);
    let image = moved.status.as_mut().unwrap().image.as_mut().unwrap();
    image.moved_to = Some("sha256:2".to_owned());
    let seen = seen(vec![moved]);
    let by_tag = traced(IMAGE, &seen);
    assert_eq!(broken(&by_tag), ["image"]);
    let mend = by_tag.hops[0].mend.as_deref().unwrap();
    assert!(mend.contains(&digest()), "{mend}");
    let by_digest = format!("registry.example.com/a/shop@{}", digest());
    for subject in ["shop-1", "application/shop", &by_digest] {
        let chain = traced(subject, &seen);
        let evidence = chain.hops[0].evidence.as_deref().unwrap();
        assert!(chain.whole && evidence.contains("the tag names sha256:2 by now"));
    }
}

/// What is wrong with an application is said of it, and not of its team.
#[test]
fn an_application_that_is_not_accepted_has_a_team_and_says_who_mends_it() {
    for (reason, mend) in [
        ("InvalidSpec", "the team corrects"),
        ("NameTaken", "another name"),
        ("TeamNotFound", "the platform team"),
        ("Transferred", "the team that has it now"),
    ] {
        let mut seen = seen(vec![release("shop-1", &[])]);
        let status = seen.applications[0].status.as_mut().unwrap();
        status.team = None;
        status.conditions[0].status = "False".to_owned();
        status.conditions[0].reason = reason.to_owned();
        let chain = traced("shop-1", &seen);
        assert_eq!(broken(&chain), ["application"], "{reason}");
        let hop = chain.hops.iter().find(|hop| hop.hop == "application");
        let told = hop.unwrap().mend.as_deref().unwrap();
        assert!(told.contains(mend), "{told}");
        seen.teams = None;
        let team = traced("shop-1", &seen).hops.pop().unwrap();
        assert_eq!((team.hop, team.mark), ("team", Mark::Unknown));
    }
}

#[test]
fn what_is_around_a_release_can_be_broken_too() {
    let mut unclaimed = seen(vec![release("shop-1", &[])]);
    unclaimed.names = Some(Vec::new());
    assert_eq!(broken(&traced("shop-1", &unclaimed)), ["application"]);
    let mut orphaned = seen(vec![release("shop-1", &[])]);
    orphaned.teams = Some(Vec::new());
    assert_eq!(broken(&traced("shop-1", &orphaned)), ["team"]);
    let mut homeless = seen(vec![release("shop-1", &[])]);
    homeless.applications.clear();
    let chain = traced("shop-1", &homeless);
    assert_eq!(broken(&chain), ["application"]);
    let mark = |hop: &str| chain.hops.iter().find(|one| one.hop == hop).unwrap().mark;
    assert_eq!(
        (mark("approvals"), mark("team")),
        (Mark::Unknown, Mark::Holds)
    );
    // Whoever may not read claims and teams goes by what the application says.
    let mut limited = seen(vec![release("shop-1", &[])]);
    (limited.names, limited.teams) = (None, None);
    assert!(traced("shop-1", &limited).whole);
    let mut unresolved = release("shop-1", &[("Resolved", "False")]);
    unresolved.status.as_mut().unwrap().image = None;
    assert_eq!(
        broken(&traced("shop-1", &seen(vec![unresolved]))),
        ["image"]
    );
}

#[test]
fn an_image_that_nobody_released_is_a_broken_chain_and_a_name_that_is_not_there_none() {
    let seen = seen(vec![release("shop-1", &[])]);
    for image in [
        "registry.example.com/a/shop:2",
        "registry.example.com/a/web:1",
    ] {
        assert_eq!(broken(&traced(image, &seen)), ["image"], "{image}");
    }
    let missing = chain(&"web".parse().unwrap(), &seen)
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("there is no Release or Application web"),
        "{missing}"
    );
    for unclear in ["Shop_1", "release/", "docker:1/", "a/b:1"] {
        assert!(unclear.parse::<Subject>().is_err(), "{unclear}");
    }
}

#[test]
fn of_several_releases_the_ready_one_speaks_for_its_application() {
    let seen = seen(vec![
        release("shop-1", &[]),
        release("shop-2", &[("Ready", "False"), ("Approved", "False")]),
    ]);
    assert!(traced("application/shop", &seen).whole);
    assert!(!traced("release/shop-2", &seen).whole);
}

/// A release with these fields at those JSON pointers.
fn altered(release: Release, changes: &[(&str, Value)]) -> Release {
    let mut value = serde_json::to_value(release).unwrap();
    for (pointer, change) in changes {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        value.pointer_mut(parent).unwrap()[field] = change.clone();
    }
    read(value)
}

#[test]
fn nobody_answers_for_an_image_of_somebody_else() {
    let theirs = altered(
        release("a-first", &[]),
        &[("/metadata/namespace", json!("team-b"))],
    );
    let seen = seen(vec![release("shop-1", &[("Approved", "False")]), theirs]);
    for image in [
        "registry.example.com/a/shop:1".to_owned(),
        format!("registry.example.com/a/shop@{}", digest()),
    ] {
        let error = chain(&image.parse().unwrap(), &seen).unwrap_err();
        let said = error.to_string();
        for word in ["team-a/shop, team-b/shop", "--namespace", image.as_str()] {
            assert!(said.contains(word), "{said}");
        }
    }
}

#[test]
fn of_several_releases_of_a_tag_the_one_that_it_means_now_speaks() {
    let other = format!("sha256:{}", "2".repeat(64));
    let moved = altered(
        release("shop-1", &[]),
        &[("/status/image/movedTo", json!(other))],
    );
    let now = altered(
        release("shop-0", &[]),
        &[("/status/image/digest", json!(other))],
    );
    let by_tag = "registry.example.com/a/shop:1";
    let both = seen(vec![moved.clone(), now]);
    let chain = traced(by_tag, &both);
    assert!(chain.whole, "{chain:#?}");
    assert!(chain.hops[0].says.contains(&other), "{chain:#?}");
    assert_eq!(broken(&traced(by_tag, &seen(vec![moved]))), ["image"]);
}

#[test]
fn a_tag_that_nobody_has_asked_for_is_not_vouched_for() {
    let named = format!("registry.example.com/a/shop:1@{}", digest());
    let given = altered(release("shop-1", &[]), &[("/spec/image", json!(named))]);
    let seen = seen(vec![given]);
    let by_tag = &traced("registry.example.com/a/shop:1", &seen).hops[0];
    assert_eq!(by_tag.mark, Mark::Unknown, "{by_tag:?}");
    for subject in [&named, "release/shop-1"] {
        let hop = &traced(subject, &seen).hops[0];
        assert_eq!(hop.mark, Mark::Holds, "{subject}: {hop:?}");
    }
}
