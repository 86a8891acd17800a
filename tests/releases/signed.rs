//! What is signed, in both of the signer's formats and in registries with and without a list of what is attached, beside
//! what others attach and what was changed after it was signed.

use bailiwick::model::ImageRef;
use bailiwick::registry::Images;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::stage::{COMMIT, SHOP, Stage};
use super::world::{World, attest, push};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Whether it is a bundle, and in which registry, by the version that it is released under.
const SIGNED: [(&str, bool, bool); 4] = [
    ("bundle-listed", true, true),
    ("bundle-plain", true, false),
    ("older-listed", false, true),
    ("older-plain", false, false),
];
const TAMPERED: [(&str, bool); 2] = [("tampered-listed", true), ("tampered-plain", false)];

/// Pushes all of them.
pub async fn everywhere(world: &World, ours: &str) -> Vec<(String, ImageRef)> {
    let mut all = Vec::new();
    let stage = |listed: bool| if listed { &world.stage } else { &world.plain };
    for (version, bundle, listed) in SIGNED {
        let stage = stage(listed);
        let image = push(stage, version, &[("a", version.as_bytes())]);
        // Somebody attaches something else before.
        stage.write("report.json", b"{}");
        let kind = "application/vnd.example.report+json";
        let at = image.name().at(stage.digest(&image).await).to_string();
        stage.oras(&[
            "attach",
            "--plain-http",
            "--artifact-type",
            kind,
            &at,
            "report.json",
        ]);
        attest(stage, &image, ours, SHOP, bundle).await;
        all.push((version.to_owned(), image));
    }
    for (version, listed) in TAMPERED {
        let stage = stage(listed);
        let image = push(stage, version, &[("a", version.as_bytes())]);
        let of_another = format!("bundle-{}", if listed { "listed" } else { "plain" });
        let of_another = stage.image(&format!("acme/shop:{of_another}"));
        forge(stage, &of_another, &image).await;
        all.push((version.to_owned(), image));
    }
    all
}

/// Attaches to `image` what was signed about `another`, with the one digest for the other.
async fn forge(stage: &Stage, another: &ImageRef, image: &ImageRef) {
    let (from, to) = (stage.digest(another).await, stage.digest(image).await);
    let attached = stage.images.referrers(another.name(), &from).await.unwrap();
    let mut bundles = Vec::new();
    for one in attached.found {
        let carrier = another.name().at(one.digest.clone());
        let manifest = stage.images.resolve(&carrier).await.unwrap();
        for layer in manifest
            .layers()
            .iter()
            .filter(|layer| layer.media_type == BUNDLE)
        {
            bundles.push(stage.images.blob(another.name(), layer).await.unwrap());
        }
    }
    assert_eq!(bundles.len(), 1, "of what is attached, one is signed");
    let mut bundle: Value = serde_json::from_slice(&bundles[0]).unwrap();
    let payload = &mut bundle["dsseEnvelope"]["payload"];
    let statement = STANDARD.decode(payload.as_str().unwrap()).unwrap();
    let statement = String::from_utf8(statement).unwrap();
    assert!(statement.contains(from.hex()), "{statement}");
    *payload = json!(STANDARD.encode(statement.replace(from.hex(), to.hex())));
    let file = stage.write("bundle.json", bundle.to_string().as_bytes());
    let file = file.rsplit('/').next().unwrap();
    let at = image.name().at(to).to_string();
    stage.oras(&[
        "attach",
        "--plain-http",
        "--artifact-type",
        BUNDLE,
        "--annotation",
        "dev.sigstore.bundle.content=dsse-envelope",
        &at,
        &format!("{file}:{BUNDLE}"),
    ]);
}

/// What becomes of them as releases.
pub async fn are_judged(world: &World) {
    for (version, bundle, listed) in SIGNED {
        let name = format!("shop-{version}");
        world
            .until("payments", "release", &name, "SourceMatches", "True")
            .await;
        let status = &world.object("payments", "release", &name).await["status"];
        let source = &status["source"];
        let wanted = json!(["Attestation", "ci", SHOP, COMMIT]);
        let found = ["evidence", "signedBy", "repository", "revision"].map(|field| &source[field]);
        assert_eq!(json!(found), wanted, "{version}");
        // What is not signed is a remark, where it is found: the older format is looked for by its own tag.
        let remarks = status["remarks"].to_string();
        let foreign =
            remarks.contains("it is no attestation but application/vnd.example.report+json");
        assert!(foreign, "{version} ({bundle}, {listed}): {remarks}");
    }
    for (version, _) in TAMPERED {
        let name = format!("shop-{version}");
        let said = world
            .until("payments", "release", &name, "Ready", "False SourceUnknown")
            .await;
        assert!(
            said.contains("none of the trusted keys signed it"),
            "{said}"
        );
    }
}
