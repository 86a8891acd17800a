//! From which source images were built, by whose word, and what is refused.

use std::path::Path;

use bailiwick::model::ImageRef;
use bailiwick::registry::source::{REVISION, SOURCE};
use serde_json::json;

use super::signed;
use super::stage::{COMMIT, SHOP, archive, scm_source};
use super::world::{World, attest};

pub async fn are_found_and_judged(world: &World, ours: &str, foreign: &str) {
    let dev = world.person("dev");
    let signed = signed::everywhere(world, ours).await;
    let all = pushed(world, ours, foreign).await.into_iter();
    let all = all.chain(on_base_images(world));
    let all = all.map(|(version, image)| (version.to_owned(), image));
    for (version, image) in all.chain(signed) {
        world.release(&dev, &version, &image).await;
    }
    verdicts(world).await;
    evidence(world).await;
    of_base_images(world, &dev).await;
    signed::are_judged(world).await;
    a_moved_tag(world, &dev).await;
}

/// Images of every kind, by the version that they are released under.
async fn pushed(world: &World, ours: &str, foreign: &str) -> [(&'static str, ImageRef); 8] {
    let stage = &world.stage;
    let clean = scm_source("acme/shop", "");
    let dirty = scm_source("acme/shop", " M src/main.rs");
    let annotated = world.push("annotated", &[("a", b"1")]);
    let says = [
        (SOURCE, SHOP),
        (REVISION, COMMIT),
        ("dev.bailiwick.tickets", "SHOP-7"),
    ];
    stage.annotate(&annotated, &says);
    let bare = world.push("bare", &[("a", b"2")]);
    let scm = world.push("scm", &[("scm-source.json", &clean)]);
    let modified = world.push("dirty", &[("scm-source.json", &dirty)]);
    // The base image alone has the file, and the image says that it is its base.
    let base = stage.image("acme/base:1");
    stage.push(
        &base,
        &[stage.write("base.tar", &archive(&[("scm-source.json", &clean)]))],
    );
    let inherited = stage.image("acme/shop:inherited");
    stage.append(
        &inherited,
        Some(&base),
        &[stage.write("on.tar", &archive(&[("b", b"3")]))],
    );
    // Signed by whom we trust; by somebody else; and by whom we trust about another repository. The first says of itself,
    // where everybody who pushes may, that it is of another one.
    let strange = scm_source("acme/strange", "");
    let signed = world.push("signed", &[("a", b"4"), ("scm-source.json", &strange)]);
    let says = [
        (SOURCE, "https://github.com/acme/strange"),
        (REVISION, "1234567"),
    ];
    stage.annotate(&signed, &says);
    attest(stage, &signed, ours, SHOP, true).await;
    let wrongly = world.push("wrongly", &[("a", b"5")]);
    attest(stage, &wrongly, foreign, SHOP, true).await;
    let other = world.push("other", &[("a", b"6")]);
    attest(stage, &other, ours, "https://github.com/acme/web", true).await;

    [
        ("annotated", annotated),
        ("bare", bare),
        ("scm", scm),
        ("dirty", modified),
        ("inherited", inherited),
        ("signed", signed),
        ("wrongly", wrongly),
        ("other", other),
    ]
}

/// Images on a base image that says of itself, in every way, from where it is: of the same repository.
fn on_base_images(world: &World) -> [(&'static str, ImageRef); 4] {
    let stage = &world.stage;
    let base = stage.image("acme/base:annotated");
    let file = scm_source("acme/shop", "");
    stage.push(
        &base,
        &[stage.write("below.tar", &archive(&[("scm-source.json", &file)]))],
    );
    let says = [
        (SOURCE, SHOP),
        (REVISION, "ba5eba5"),
        ("dev.bailiwick.tickets", "BASE-1"),
    ];
    stage.annotate(&base, &says);
    let layer = |content: &[u8]| stage.write("above.tar", &archive(&[("b", content)]));
    let [heir, own, later, silent] =
        ["heir", "own", "later", "silent"].map(|tag| stage.image(&format!("acme/shop:{tag}")));
    stage.append(&heir, Some(&base), &[layer(b"heir")]);
    let file = archive(&[("scm-source.json", &scm_source("acme/shop", ""))]);
    stage.append(&own, Some(&base), &[stage.write("own.tar", &file)]);
    // The base's repository, and a commit of its own.
    stage.append(&later, Some(&base), &[layer(b"later")]);
    stage.annotate(&later, &[(REVISION, COMMIT)]);
    // It does not name its base image, and has what that one says.
    let (layer, base) = (layer(b"silent"), base.to_string());
    let image = silent.to_string();
    stage.crane(&[
        "append",
        "--insecure",
        "-b",
        &base,
        "-f",
        &layer,
        "-t",
        &image,
    ]);
    [
        ("heir", heir),
        ("own", own),
        ("later", later),
        ("silent", silent),
    ]
}

/// What a base image says is not taken for what is built on it, and where nobody can tell, that is said.
async fn of_base_images(world: &World, dev: &Path) {
    let known = async |version: &str, wanted: &str| {
        let name = format!("shop-{version}");
        let said = world
            .until("payments", "release", &name, "SourceKnown", wanted)
            .await;
        let release = world.object("payments", "release", &name).await;
        (said, release["status"].clone())
    };
    let (said, status) = known("heir", "False SourceUnknown").await;
    for words in ["its base image says the same of", SOURCE, REVISION] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(status["tickets"], json!(null), "BASE-1 is the base's");
    let (_, status) = known("own", "True SourceKnown").await;
    let source = &status["source"];
    assert_eq!(
        (&source["evidence"], &source["doubt"]),
        (&json!("ScmSourceFile"), &json!(null))
    );
    let (_, status) = known("later", "True SourceKnown").await;
    let source = &status["source"];
    assert_eq!(
        (&source["evidence"], &source["doubt"]),
        (&json!("Annotation"), &json!(null))
    );
    assert_eq!(source["revision"], COMMIT);
    let (said, status) = known("silent", "True SourceKnown").await;
    assert!(said.contains("unless that is its base image's"), "{said}");
    let doubt = status["source"]["doubt"].as_str().unwrap();
    assert!(
        doubt.contains("no annotation org.opencontainers.image.base.digest"),
        "{doubt}"
    );
    let (_, said) = world.trace(dev, &["release/shop-silent", "-n", "team-payments"]);
    for words in ["? source", "it may be its base image's", "Nobody can tell"] {
        assert!(said.contains(words), "{said}");
    }
}

async fn verdicts(world: &World) {
    for (version, type_, wanted) in [
        ("annotated", "SourceKnown", "True SourceKnown"),
        ("annotated", "SourceMatches", "True"),
        ("annotated", "Clean", "Unknown"),
        ("bare", "Ready", "False SourceUnknown"),
        ("scm", "Clean", "True"),
        ("scm", "SourceMatches", "True"),
        ("dirty", "Ready", "False Dirty"),
        ("inherited", "Ready", "False SourceUnknown"),
        ("signed", "SourceKnown", "True SourceKnown"),
        ("wrongly", "Ready", "False SourceUnknown"),
        ("other", "Ready", "False SourceMismatch"),
    ] {
        world
            .until(
                "payments",
                "release",
                &format!("shop-{version}"),
                type_,
                wanted,
            )
            .await;
    }
}

/// What is shown of the source, and by whose word.
async fn evidence(world: &World) {
    for (version, evidence) in [
        ("annotated", "Annotation"),
        ("scm", "ScmSourceFile"),
        ("signed", "Attestation"),
    ] {
        let release = world
            .object("payments", "release", &format!("shop-{version}"))
            .await;
        let source = &release["status"]["source"];
        assert_eq!(source["evidence"], evidence, "{source}");
        assert_eq!(
            (&source["repository"], &source["revision"]),
            (&json!(SHOP), &json!(COMMIT))
        );
    }
    let release = world.object("payments", "release", "shop-annotated").await;
    let url = |id: &str| json!({"id": id, "url": format!("https://tickets.example.com/{id}")});
    assert_eq!(
        release["status"]["tickets"],
        json!([url("SHOP-7"), url("SHOP-8"), url("SHOP-9")])
    );
    let signed = world.object("payments", "release", "shop-signed").await;
    assert_eq!(signed["status"]["source"]["signedBy"], "ci");
    let wrongly = world
        .condition("payments", "release", "shop-wrongly", "Ready")
        .await;
    assert!(
        wrongly.contains("none of the trusted keys signed it"),
        "{wrongly}"
    );
}

/// The tag moves: the release stays what it was, and says so when it is asked.
async fn a_moved_tag(world: &World, dev: &Path) {
    let before = world.object("payments", "release", "shop-annotated").await;
    let moved = world.push("annotated", &[("a", b"moved")]);
    let ask = [
        "-n",
        "team-payments",
        "annotate",
        "release",
        "shop-annotated",
        "bailiwick.dev/reconcile-requested-at=now",
    ];
    world.may(dev, &ask, "").await;
    let said = world
        .until(
            "payments",
            "release",
            "shop-annotated",
            "TagMoved",
            "True TagMoved",
        )
        .await;
    let now = world.stage.digest(&moved).await;
    assert!(said.contains(now.as_str()), "{said}");
    let after = world.object("payments", "release", "shop-annotated").await;
    assert_eq!(
        after["status"]["image"]["digest"],
        before["status"]["image"]["digest"]
    );
    assert_ne!(after["status"]["image"]["digest"], now.as_str());
}
