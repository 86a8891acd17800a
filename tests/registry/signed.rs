//! Attestations that cosign has signed, in both of its formats, beside what others attach.

use bailiwick::dev::registries::Kind;
use bailiwick::model::{Digest, ImageRef};
use bailiwick::registry::Images;
use bailiwick::registry::attestation::{Trust, TrustEntry, Verdict, attestations};
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

async fn verdict(stage: &Stage, image: &ImageRef, trust: &Trust) -> Verdict {
    attestations(&stage.images, image.name(), digest(image), trust)
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
            let seen = verdict(&stage, &image, &trust).await;
            let source = seen.source.clone();
            let source =
                source.unwrap_or_else(|| panic!("{kind:?} {new_format}: {}", reasons(&seen)));
            assert_eq!(source.key, "ours");
            assert_eq!(source.facts.repository.to_string(), SHOP);
            assert_eq!(source.facts.revision.as_deref(), Some(COMMIT));
            // By which it can be found again, and kept.
            let carrier = image.name().at(source.carrier.clone());
            let manifest = stage.images.resolve(&carrier).await.unwrap();
            assert_eq!(manifest.digest, source.carrier, "{kind:?} {new_format}");
            assert_eq!(seen.skipped, [], "{kind:?} {new_format}");
            let seen = verdict(&stage, &image, &others).await;
            assert_eq!(seen.source, None, "{kind:?} {new_format}");
            assert_eq!(reasons(&seen), "none of the trusted keys signed it");
            // Where nobody is trusted nothing is read.
            assert_eq!(
                verdict(&stage, &image, &Trust::default()).await,
                Verdict::default()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_foreign_is_skipped_and_reported() {
    for kind in [Kind::Referrers, Kind::Distribution] {
        let stage = Stage::new(kind).await;
        let (ours, trust) = key(&stage, "ours");
        let (other, _) = key(&stage, "others");
        let image = pushed(&stage, "shop").await;
        assert_eq!(
            verdict(&stage, &image, &trust).await,
            Verdict::default(),
            "{kind:?}"
        );
        // A signature of the image, which says nothing about its source; a stranger's statement; ours about something
        // else than the source; and ours.
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
        let parts = stage.write("parts.json", br#"{"bomFormat": "CycloneDX"}"#);
        stage.cosign(&[
            "attest",
            "--yes",
            "--key",
            &ours,
            "--type",
            "cyclonedx",
            "--predicate",
            &parts,
            "--use-signing-config=false",
            "--tlog-upload=false",
            "--allow-insecure-registry",
            "--allow-http-registry",
            &image.to_string(),
        ]);
        attest(&stage, &image, &ours, SHOP, true);
        let seen = verdict(&stage, &image, &trust).await;
        let reasons = reasons(&seen);
        let source = seen
            .source
            .clone()
            .unwrap_or_else(|| panic!("{kind:?}: {reasons}"));
        assert_eq!(source.facts.repository.to_string(), SHOP, "{kind:?}");
        assert!(reasons.contains("none of the trusted keys"), "{reasons}");
        assert!(
            reasons.contains("it is no provenance but https://cyclonedx.org/bom"),
            "{reasons}"
        );
        assert_eq!(seen.skipped.len(), 3, "{reasons}");
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
    let seen = verdict(&stage, &victim, &trust).await;
    assert_eq!((seen.source.clone(), seen.skipped.len()), (None, 2));
    let reasons = reasons(&seen);
    assert!(reasons.contains("says itself that it is not"), "{reasons}");
    assert!(
        reasons.contains("signed by ours, and it is about another digest"),
        "{reasons}"
    );
    // The image itself is read as before.
    assert!(stage.images.resolve(&victim).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_can_be_attached_and_changes_nothing() {
    let stage = Stage::new(Kind::Referrers).await;
    let (ours, trust) = key(&stage, "ours");
    let image = pushed(&stage, "shop").await;
    // What others attach, an empty bundle among it, and more of it than is read.
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let envelope = "application/vnd.dsse.envelope.v1+json";
    for (at, (kind, content)) in [
        ("application/vnd.example.report+json", "{}"),
        (bundle, "{}"),
        (bundle, "rubbish"),
        (envelope, "[]"),
    ]
    .into_iter()
    .enumerate()
    {
        let tag = stage.image(&format!("team/shop:attached-{at}"));
        stage.push_as_it_is(&tag, kind, content.as_bytes(), Some(&image));
    }
    let seen = verdict(&stage, &image, &trust).await;
    assert_eq!(
        (seen.source.clone(), seen.skipped.len()),
        (None, 4),
        "{}",
        reasons(&seen)
    );
    let all = reasons(&seen);
    for reason in [
        "it is no attestation but application/vnd.example.report+json",
        "it is no Sigstore bundle",
        "it is no signed envelope",
    ] {
        assert!(all.contains(reason), "{all}");
    }
    for at in 4..60 {
        let tag = stage.image(&format!("team/shop:attached-{at}"));
        let content = format!("[{at}]");
        stage.push_as_it_is(
            &tag,
            "application/vnd.example.report+json",
            content.as_bytes(),
            Some(&image),
        );
    }
    attest(&stage, &image, &ours, SHOP, true);
    let seen = verdict(&stage, &image, &trust).await;
    let source = seen
        .source
        .clone()
        .unwrap_or_else(|| panic!("{}", reasons(&seen)));
    assert_eq!(source.facts.repository.to_string(), SHOP);
    assert!(
        reasons(&seen).contains("more than 50 things are attached"),
        "{}",
        reasons(&seen)
    );
}
