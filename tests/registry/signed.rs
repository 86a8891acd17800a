//! Attestations that cosign has signed, in both of its formats, beside what others attach.

use bailiwick::dev::registries::Kind;
use bailiwick::model::{Digest, ImageRef};
use bailiwick::registry::Images;
use bailiwick::registry::attestation::{Candidate, Trust, TrustEntry, Verdict, candidates, judge};
use serde_json::json;

use super::stage::{COMMIT, SHOP, Stage, archive};

/// A key pair of cosign's, and what trusts it.
fn key(stage: &Stage, name: &str) -> (String, Trust) {
    let prefix = stage.path(name).to_str().unwrap().to_owned();
    stage.cosign(&["generate-key-pair", "--output-key-prefix", &prefix]);
    let pem = std::fs::read_to_string(format!("{prefix}.pub")).unwrap();
    let entry = TrustEntry::Key {
        name: name.to_owned(),
        pem,
    };
    (format!("{prefix}.key"), Trust::new(&[entry]).unwrap())
}

/// Attests that this digest was built from `repository`.
fn attest(stage: &Stage, image: &ImageRef, key: &str, repository: &str, new_format: bool) {
    let predicate = json!({
        "buildDefinition": {
            "buildType": "https://example.com/build/v1",
            "externalParameters": {"source": repository},
            "resolvedDependencies": [{"uri": format!("git+{repository}"), "digest": {"gitCommit": COMMIT}}],
        },
        "runDetails": {"builder": {"id": "https://example.com/builder"}},
    });
    let predicate = stage.write("predicate.json", predicate.to_string().as_bytes());
    let format = format!("--new-bundle-format={new_format}");
    stage.cosign(&[
        "attest",
        "--yes",
        "--key",
        key,
        "--type",
        "slsaprovenance1",
        "--predicate",
        &predicate,
        "--use-signing-config=false",
        "--tlog-upload=false",
        "--allow-insecure-registry",
        "--allow-http-registry",
        &format,
        &image.to_string(),
    ]);
}

async fn attached(stage: &Stage, image: &ImageRef) -> Vec<Candidate> {
    candidates(&stage.images, image.name(), image.digest().unwrap())
        .await
        .unwrap()
}

/// A pushed image, by its digest.
async fn pushed(stage: &Stage, tag: &str) -> ImageRef {
    let image = stage.image(&format!("team/shop:{tag}"));
    stage.push(
        &image,
        &[stage.write("a.tar", &archive(&[("a", tag.as_bytes())]))],
    );
    image.name().at(stage.digest(&image).await)
}

fn reasons(verdict: &Verdict) -> String {
    let reasons: Vec<&str> = verdict
        .skipped
        .iter()
        .map(|skipped| skipped.reason.as_str())
        .collect();
    reasons.join("\n")
}

fn digest(image: &ImageRef) -> &Digest {
    image.digest().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_formats_of_cosign_are_believed_with_the_right_key_only() {
    for kind in [Kind::Referrers, Kind::Distribution] {
        let stage = Stage::new(kind).await;
        let (ours, trust) = key(&stage, "ours");
        let (_, others) = key(&stage, "others");
        for new_format in [true, false] {
            let image = pushed(&stage, &format!("signed-{new_format}")).await;
            attest(&stage, &image, &ours, SHOP, new_format);
            let attached = attached(&stage, &image).await;
            assert_eq!(attached.len(), 1, "{kind:?} {new_format}: {attached:?}");
            let verdict = judge(&attached, &trust, digest(&image));
            let source = verdict
                .source
                .clone()
                .unwrap_or_else(|| panic!("{kind:?} {new_format}: {}", reasons(&verdict)));
            assert_eq!(source.key, "ours");
            assert_eq!(source.facts.repository.to_string(), SHOP);
            assert_eq!(source.facts.revision.as_deref(), Some(COMMIT));
            let verdict = judge(&attached, &others, digest(&image));
            assert_eq!(verdict.source, None, "{kind:?} {new_format}");
            assert!(
                reasons(&verdict).contains("none of the trusted keys"),
                "{}",
                reasons(&verdict)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_foreign_or_about_something_else_is_skipped_and_reported() {
    for kind in [Kind::Referrers, Kind::Distribution] {
        let stage = Stage::new(kind).await;
        let (ours, trust) = key(&stage, "ours");
        let (other, _) = key(&stage, "others");
        let image = pushed(&stage, "shop").await;
        assert_eq!(attached(&stage, &image).await, [], "{kind:?}");
        // A signature of the image, which says nothing about its source; a stranger's statement; and ours.
        stage.cosign(&[
            "sign",
            "--yes",
            "--key",
            &ours,
            "--use-signing-config=false",
            "--tlog-upload=false",
            "--allow-insecure-registry",
            "--allow-http-registry",
            &image.to_string(),
        ]);
        attest(&stage, &image, &other, "https://github.com/evil/shop", true);
        attest(&stage, &image, &ours, SHOP, true);
        let attached = attached(&stage, &image).await;
        let verdict = judge(&attached, &trust, digest(&image));
        let source = verdict
            .source
            .clone()
            .unwrap_or_else(|| panic!("{kind:?}: {}", reasons(&verdict)));
        assert_eq!(source.facts.repository.to_string(), SHOP, "{kind:?}");
        assert!(
            reasons(&verdict).contains("none of the trusted keys"),
            "{}",
            reasons(&verdict)
        );
        assert_eq!(verdict.skipped.len(), attached.len() - 1);

        // The same statement beside another image says nothing about that one.
        let another = pushed(&stage, "another").await;
        let verdict = judge(&attached, &trust, digest(&another));
        assert_eq!(verdict.source, None, "{kind:?}");
        assert!(
            reasons(&verdict).contains("about another digest"),
            "{}",
            reasons(&verdict)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attestation_copied_from_another_image_is_not_believed() {
    let stage = Stage::new(Kind::Distribution).await;
    let (ours, trust) = key(&stage, "ours");
    let (image, victim) = (
        pushed(&stage, "image").await,
        pushed(&stage, "victim").await,
    );
    attest(&stage, &image, &ours, SHOP, true);
    attest(&stage, &image, &ours, SHOP, false);
    // Whoever may push may put them under the tags of another digest.
    for ending in ["", ".att"] {
        let tag =
            |image: &ImageRef| format!("{}:sha256-{}{ending}", image.name(), digest(image).hex());
        stage.crane(&["copy", "--insecure", &tag(&image), &tag(&victim)]);
    }
    let attached = attached(&stage, &victim).await;
    assert_eq!(attached.len(), 2, "{attached:?}");
    let verdict = judge(&attached, &trust, digest(&victim));
    assert_eq!(verdict.source, None);
    let reasons = reasons(&verdict);
    assert!(
        reasons.contains("says itself that it is not") && reasons.contains("another digest"),
        "{reasons}"
    );
    // The image itself is read as before.
    assert!(stage.images.resolve(&victim).await.is_ok());
}
