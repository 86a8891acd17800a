#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::model::TAG_UID;

fn digest(n: u8) -> String {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
}

fn desired() -> DesiredRepository {
    DesiredRepository {
        name: "payments/ledger".parse().unwrap(),
        owner: Owner {
            reference: "ImageRepository/team-payments/ledger".into(),
            uid: "u1".into(),
            cluster: "c".into(),
        },
        mutability: TagMutability::Immutable,
        kms_key: None,
        policy: access(
            &"o-aa111bb222".parse().unwrap(),
            &BTreeSet::from(["111122223333".parse().unwrap()]),
            &BTreeSet::new(),
        ),
        expire_untagged_after_days: None,
        keep: BTreeSet::new(),
        adopt: false,
    }
}

fn settled(desired: &DesiredRepository) -> ObservedRepository {
    ObservedRepository {
        mutability: desired.mutability.clone(),
        scan_on_push: true,
        encryption: desired.encryption(),
        created: Some(100),
        tags: desired.owner.tags(),
        policy: Some(desired.policy.to_json()),
        lifecycle: desired.expire_untagged_after_days.map(lifecycle),
        kept: desired
            .keep
            .iter()
            .map(|digest| (digest.clone(), true))
            .collect(),
    }
}

fn actions(plan: &[Planned]) -> Vec<&'static str> {
    plan.iter().map(Planned::action).collect()
}

#[test]
fn what_is_not_there_is_created_with_its_policy() {
    let mut wanted = desired();
    let plan = changes(&wanted, None, None).unwrap();
    assert_eq!(actions(&plan), ["CreateRepository", "SetRepositoryPolicy"]);
    let after = plan[0].after.as_deref().unwrap();
    assert!(after.contains("IMMUTABLE; scan on push; AES256"), "{after}");
    wanted.expire_untagged_after_days = Some(30);
    // Also where an earlier one of ours is gone.
    let plan = changes(&wanted, None, Some(100)).unwrap();
    assert_eq!(
        actions(&plan),
        [
            "CreateRepository",
            "SetRepositoryPolicy",
            "PutLifecyclePolicy"
        ]
    );
}

#[test]
fn a_repository_in_order_needs_nothing_and_foreign_tags_stay() {
    let mut wanted = desired();
    wanted.expire_untagged_after_days = Some(7);
    wanted.keep = BTreeSet::from([digest(1)]);
    let mut seen = settled(&wanted);
    seen.tags.insert("somebody".into(), "else".into());
    // AWS writes it in its own way.
    seen.lifecycle = Some(
        lifecycle(7)
            .replace(',', " , ")
            .replace("images without a tag", "x"),
    );
    assert_eq!(changes(&wanted, Some(&seen), Some(100)), Ok(vec![]));
}

#[test]
fn each_difference_is_one_change_and_what_keeps_comes_before_what_expires() {
    let mut wanted = desired();
    wanted.expire_untagged_after_days = Some(7);
    wanted.keep = BTreeSet::from([digest(1), digest(2), digest(3)]);
    let mut seen = settled(&wanted);
    seen.tags.remove("bailiwick.dev/owner");
    seen.mutability = TagMutability::Other("MUTABLE".into());
    seen.scan_on_push = false;
    seen.policy = None;
    seen.lifecycle = Some(lifecycle(8));
    // The third is not in the repository at all.
    seen.kept = BTreeMap::from([(digest(1), true), (digest(2), false)]);
    let plan = changes(&wanted, Some(&seen), None).unwrap();
    assert_eq!(
        actions(&plan),
        [
            "TagResource",
            "PutImageTagMutability",
            "PutImageScanningConfiguration",
            "SetRepositoryPolicy",
            "PutImage",
            "PutLifecyclePolicy",
        ]
    );
    assert_eq!(plan[1].before.as_deref(), Some("MUTABLE"));
    assert_eq!(plan[1].after.as_deref(), Some("IMMUTABLE"));
    assert_eq!(plan[4].change, Change::Keep(BTreeSet::from([digest(2)])));
    assert_eq!(plan[5].before, Some(lifecycle(8)));
}

#[test]
fn rules_of_others_about_expiry_go_before_all_but_the_claim() {
    let mut wanted = desired();
    wanted.adopt = true;
    let mut seen = settled(&wanted);
    seen.tags.clear();
    seen.lifecycle = Some(lifecycle(1));
    seen.scan_on_push = false;
    let plan = changes(&wanted, Some(&seen), None).unwrap();
    assert_eq!(
        actions(&plan),
        [
            "TagResource",
            "DeleteLifecyclePolicy",
            "PutImageScanningConfiguration"
        ]
    );
}

#[test]
fn nothing_is_taken_over_unasked_and_nothing_of_others_ever() {
    let wanted = desired();
    let adopting = DesiredRepository {
        adopt: true,
        ..desired()
    };
    let mut seen = settled(&wanted);
    seen.tags = Tags::from([("team".into(), "payments".into())]);
    // (adopt, created when we last saw ours) → whether it is taken over
    for (wanted, known, taken) in [
        (&wanted, None, false),
        (&wanted, Some(99), false),
        // Only its tags were taken off: it is the one that we had.
        (&wanted, Some(100), true),
        (&adopting, None, true),
    ] {
        let plan = changes(wanted, Some(&seen), known);
        assert_eq!(plan.is_ok(), taken, "{known:?}: {plan:?}");
        if taken {
            assert_eq!(actions(&plan.unwrap()), ["TagResource"]);
        } else {
            assert_eq!(plan, Err(Obstacle::Unclaimed));
        }
    }
    // A repository whose time of creation AWS does not tell is none that we know.
    seen.created = None;
    assert_eq!(
        changes(&wanted, Some(&seen), None),
        Err(Obstacle::Unclaimed)
    );

    seen.tags = wanted.owner.tags();
    seen.tags.insert(TAG_UID.into(), "u2".into());
    seen.created = Some(100);
    for wanted in [&wanted, &adopting] {
        let plan = changes(wanted, Some(&seen), Some(100));
        assert!(matches!(plan, Err(Obstacle::Others(owner)) if owner.uid == "u2"));
    }
}

#[test]
fn another_encryption_cannot_be_had() {
    let mut wanted = desired();
    let mut seen = settled(&wanted);
    seen.encryption = Encryption::Kms("arn:aws:kms:eu-central-1:1:key/a".into());
    // Nothing was asked for: whatever it has.
    assert_eq!(changes(&wanted, Some(&seen), None), Ok(vec![]));
    wanted.kms_key = Some("arn:aws:kms:eu-central-1:1:key/b".into());
    assert_eq!(
        changes(&wanted, Some(&seen), None),
        Err(Obstacle::Encryption(seen.encryption.clone()))
    );
    wanted.kms_key = Some("arn:aws:kms:eu-central-1:1:key/a".into());
    assert_eq!(changes(&wanted, Some(&seen), None), Ok(vec![]));
}

#[test]
fn patterns_that_could_move_what_keeps_an_image_are_known() {
    for good in [
        "*-SNAPSHOT",
        "latest",
        "dev-*",
        "*latest",
        "b*-SNAPSHOT",
        "bailiwick-k*z",
        "keep-*",
    ] {
        assert!(!may_match_keep_tag(good), "{good}");
    }
    for bad in [
        "*",
        "b*",
        "bailiwick-keep-*",
        "bailiwick-keep-ab*",
        "*-*",
        "bailiwick-*-*0",
        "bailiwick-keep-00",
    ] {
        assert!(may_match_keep_tag(bad), "{bad}");
    }
}

#[test]
fn only_whole_digests_have_a_tag() {
    let tag = keep_tag(&digest(7)).unwrap();
    assert_eq!(tag, format!("bailiwick-keep-{}", "07".repeat(32)));
    assert!(tag.len() <= 128, "AWS takes no longer ones");
    for bad in ["", "sha256:07", "sha512:07", &digest(7).to_uppercase()] {
        assert_eq!(keep_tag(bad), None, "{bad}");
    }
}

#[test]
fn the_company_pulls_and_the_team_pushes() {
    let organization = "o-aa111bb222".parse().unwrap();
    let (none, nobody) = (BTreeSet::new(), BTreeSet::new());
    let sids = |document: PolicyDocument| -> Vec<&str> {
        let statements = document.statements.iter();
        statements.map(|statement| statement.sid).collect()
    };
    assert_eq!(
        sids(access(&organization, &none, &nobody)),
        ["PullByTheCompany"]
    );
    let role = BTreeSet::from(["arn:aws:iam::999988887777:role/ci".to_owned()]);
    let team = BTreeSet::from([
        "111122223333".parse().unwrap(),
        "444455556666".parse().unwrap(),
    ]);
    let document = access(&organization, &team, &role);
    // Nobody from outside, whatever is named.
    for statement in &document.statements {
        assert!(
            statement
                .conditions
                .iter()
                .any(|condition| condition.key == "aws:PrincipalOrgID")
        );
    }
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&serde_json::from_str::<Value>(&document.to_json()).unwrap())
            .unwrap()
    );
    assert_eq!(
        sids(document),
        ["PullByTheCompany", "PushByTheTeam", "PushByRoles"]
    );
}

#[test]
fn every_demand_is_in_the_revision() {
    let base = desired();
    let mut revisions = BTreeSet::from([base.revision()]);
    let mut vary = |change: fn(&mut DesiredRepository)| {
        let mut other = desired();
        change(&mut other);
        assert!(revisions.insert(other.revision()), "{other:?}");
    };
    vary(|d| d.name = "payments/other".parse().unwrap());
    vary(|d| d.owner.uid = "u2".into());
    vary(|d| d.mutability = TagMutability::except(BTreeSet::from(["*-SNAPSHOT".into()])));
    vary(|d| d.kms_key = Some("arn".into()));
    vary(|d| d.policy.statements.clear());
    vary(|d| d.expire_untagged_after_days = Some(1));
    vary(|d| d.keep = BTreeSet::from([digest(1)]));
    vary(|d| d.adopt = true);
    assert_eq!(base.revision(), desired().revision());
}
