//! Images that crane has pushed into registries with and without the referrers API.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailiwick::dev::registries::Kind;
use bailiwick::model::{Digest, ImageRef};
use bailiwick::registry::base::Base;
use bailiwick::registry::find::{Found, USUAL_BUDGET, find_file};
use bailiwick::registry::oci::{Registries, Settings};
use bailiwick::registry::source::{FILE, REVISION, SOURCE, from_annotations, from_scm_source};
use bailiwick::registry::{Content, ErrorKind, Images, Manifest, sha256};

use super::stage::{COMMIT, SHOP, Stage, archive, client, gzip, scm_source, zstd};

const BOTH: [Kind; 2] = [Kind::Distribution, Kind::Referrers];

async fn find(stage: &Stage, image: &ImageRef) -> (Manifest, Found) {
    let manifest = stage.images.resolve(image).await.unwrap();
    let found = find_file(&stage.images, image.name(), &manifest, FILE, USUAL_BUDGET)
        .await
        .unwrap()
        .0;
    (manifest, found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_resolved_to_the_digest_that_crane_sees() {
    for kind in BOTH {
        let stage = Stage::new(kind).await;
        let image = stage.image("team/shop:1.0");
        stage.push(&image, &[stage.write("a.tar", &archive(&[("a", b"1")]))]);
        let digest: Digest = stage
            .crane(&["digest", "--insecure", &image.to_string()])
            .parse()
            .unwrap();
        assert_eq!(stage.digest(&image).await, digest);
        assert_eq!(stage.images.current(&image).await.unwrap(), digest);
        // By its digest alone it is the same manifest, and it is the hash of what crane prints.
        let at = image.name().at(digest.clone());
        assert_eq!(stage.digest(&at).await, digest);
        let printed = stage.crane(&["manifest", "--insecure", &at.to_string()]);
        assert_eq!(sha256(printed.as_bytes()).unwrap(), digest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tag_is_seen_and_the_old_digest_stays_what_it_was() {
    for kind in BOTH {
        let stage = Stage::new(kind).await;
        let image = stage.image("team/shop:1.0");
        stage.push(&image, &[stage.write("a.tar", &archive(&[("a", b"1")]))]);
        let before = stage.images.resolve(&image).await.unwrap();
        stage.push(&image, &[stage.write("b.tar", &archive(&[("a", b"2")]))]);
        assert_ne!(stage.images.current(&image).await.unwrap(), before.digest);
        let by_digest: ImageRef = format!("{image}@{}", before.digest).parse().unwrap();
        assert_eq!(stage.images.resolve(&by_digest).await.unwrap(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found() {
    for kind in BOTH {
        let stage = Stage::new(kind).await;
        let image = stage.image("team/shop:1.0");
        stage.push(&image, &[stage.write("a.tar", &archive(&[("a", b"1")]))]);
        let absent: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        for missing in [
            stage.image("team/shop:2.0"),
            stage.image("team/other:1.0"),
            image.name().at(absent.clone()),
        ] {
            let error = stage.images.resolve(&missing).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains(&missing.to_string()), "{error}");
        }
        let error = stage
            .images
            .current(&stage.image("team/shop:2.0"))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(
            stage
                .images
                .referrers(image.name(), &absent)
                .await
                .unwrap()
                .found,
            []
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_and_labels_are_read() {
    for kind in BOTH {
        let stage = Stage::new(kind).await;
        let image = stage.image("team/shop:1.0");
        stage.push(&image, &[stage.write("a.tar", &archive(&[("a", b"1")]))]);
        stage.annotate(&image, &[(SOURCE, SHOP), (REVISION, COMMIT)]);
        let label = ["mutate", "--insecure", "--label", "team=shop", "--tag"];
        let text = image.to_string();
        stage.crane(&[&label[..], &[&text, &text]].concat());
        let manifest = stage.images.resolve(&image).await.unwrap();
        let facts = from_annotations(&manifest.annotations).unwrap().unwrap();
        assert_eq!(facts.repository.to_string(), SHOP);
        assert_eq!(facts.revision.as_deref(), Some(COMMIT));
        let config = stage.images.config(image.name(), &manifest).await.unwrap();
        assert_eq!(config.labels["team"], "shop");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_has_its_images() {
    for kind in BOTH {
        let stage = Stage::new(kind).await;
        let index = stage.image("team/shop:1.0");
        let mut digests = Vec::new();
        for platform in ["linux/amd64", "linux/arm64"] {
            let image = stage.image(&format!("team/shop:{}", platform.replace('/', "-")));
            let content = archive(&[("a", platform.as_bytes())]);
            stage.push(&image, &[stage.write("a.tar", &content)]);
            let text = image.to_string();
            stage.crane(&[
                "mutate",
                "--insecure",
                "--set-platform",
                platform,
                "--tag",
                &text,
                &text,
            ]);
            digests.push((platform, stage.digest(&image).await));
        }
        let children: Vec<String> = digests
            .iter()
            .map(|(_, digest)| index.name().at(digest.clone()).to_string())
            .collect();
        stage.crane(&[
            "index",
            "append",
            "--insecure",
            "-m",
            &children[0],
            "-m",
            &children[1],
            "-t",
            &index.to_string(),
        ]);
        let manifest = stage.images.resolve(&index).await.unwrap();
        assert!(matches!(manifest.content, Content::Index(_)));
        let images: Vec<(String, Digest)> = manifest
            .images()
            .map(|image| {
                (
                    image.platform.as_ref().unwrap().to_string(),
                    image.digest.clone(),
                )
            })
            .collect();
        let expected: Vec<(String, Digest)> = digests
            .into_iter()
            .map(|(platform, digest)| (platform.to_owned(), digest))
            .collect();
        assert_eq!(images, expected);
        let refused = find_file(&stage.images, index.name(), &manifest, FILE, USUAL_BUDGET).await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scm_source_is_found_in_layers_packed_every_way() {
    let stage = Stage::new(Kind::Distribution).await;
    let layer = archive(&[
        ("usr/bin/shop", &[7; 100_000]),
        (FILE, &scm_source("acme/shop", "")),
    ]);
    for (kind, packed) in [
        ("tar", layer.clone()),
        ("tar+gzip", gzip(&layer)),
        ("tar+zstd", zstd(&layer)),
    ] {
        let image = stage.image(&format!("team/shop:{}", kind.replace('+', "-")));
        let kind_of_layer = format!("application/vnd.oci.image.layer.v1.{kind}");
        stage.push_as_it_is(&image, &kind_of_layer, &packed, None);
        let (manifest, found) = find(&stage, &image).await;
        let Found::File {
            content,
            layer,
            base: Base::Unknown(_),
        } = found
        else {
            panic!("{kind}: {found:?}");
        };
        assert_eq!(layer, manifest.layers()[0].digest, "{kind}");
        let facts = from_scm_source(&content).unwrap();
        assert_eq!(
            (facts.repository.to_string().as_str(), facts.dirty),
            (SHOP, Some(false)),
            "{kind}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_layer_that_carries_the_file_counts() {
    let stage = Stage::new(Kind::Referrers).await;
    let layer = |name: &str, files: &[(&str, &[u8])]| stage.write(name, &archive(files));
    let (old, new) = (
        scm_source("acme/old", ""),
        scm_source("acme/shop", " M src/main.rs"),
    );
    let lower = layer("lower.tar", &[(FILE, &old)]);
    let upper = layer("upper.tar", &[("./scm-source.json", &new)]);
    let other = layer(
        "other.tar",
        &[("srv/scm-source.json", &old), ("README", b"")],
    );
    let removed = layer("removed.tar", &[(".wh.scm-source.json", b"")]);
    let emptied = layer("emptied.tar", &[(".wh..wh..opq", b"")]);
    for (tag, layers, expected) in [
        (
            "both",
            vec![&lower, &upper, &other],
            Some((1, "https://github.com/acme/shop", Some(true))),
        ),
        (
            "reversed",
            vec![&upper, &lower],
            Some((1, "https://github.com/acme/old", Some(false))),
        ),
        (
            "below",
            vec![&lower, &other],
            Some((0, "https://github.com/acme/old", Some(false))),
        ),
        ("removed", vec![&lower, &removed, &other], None),
        ("emptied", vec![&lower, &emptied], None),
        (
            "again",
            vec![&lower, &removed, &upper],
            Some((2, "https://github.com/acme/shop", Some(true))),
        ),
        ("none", vec![&other], None),
    ] {
        let image = stage.image(&format!("team/shop:{tag}"));
        let layers: Vec<String> = layers.into_iter().cloned().collect();
        stage.push(&image, &layers);
        let (manifest, found) = find(&stage, &image).await;
        let seen = match &found {
            Found::File { content, layer, .. } => {
                let facts = from_scm_source(content).unwrap();
                let at = manifest
                    .layers()
                    .iter()
                    .position(|own| own.digest == *layer)
                    .unwrap();
                Some((at, facts.repository.to_string(), facts.dirty))
            }
            Found::Nowhere { .. } => None,
            other => panic!("{tag}: {other:?}"),
        };
        let expected = expected.map(|(at, repository, dirty)| (at, repository.to_owned(), dirty));
        assert_eq!(seen, expected, "{tag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_of_a_base_image_is_not_taken() {
    for kind in BOTH {
        let stage = Stage::new(kind).await;
        let base = stage.image("platform/base:1");
        let source = scm_source("platform/base", "");
        stage.push(
            &base,
            &[
                stage.write("root.tar", &archive(&[("etc/os-release", b"x")])),
                stage.write("source.tar", &archive(&[(FILE, &source)])),
            ],
        );
        let base_digest = stage.digest(&base).await;
        let layer = stage.write("app.tar", &archive(&[("srv/app", b"x")]));
        let own = stage.write("own.tar", &archive(&[(FILE, &scm_source("acme/shop", ""))]));

        // Only the base image has it.
        let without = stage.image("team/shop:without");
        stage.append(&without, Some(&base), std::slice::from_ref(&layer));
        let (manifest, found) = find(&stage, &without).await;
        assert_eq!(manifest.layers().len(), 3);
        let known = Base::Known {
            digest: base_digest,
            layers: 2,
        };
        assert_eq!(
            found,
            Found::Nowhere {
                base: known.clone()
            }
        );

        // Both have it.
        let with = stage.image("team/shop:with");
        stage.append(&with, Some(&base), &[own, layer.clone()]);
        let (manifest, found) = find(&stage, &with).await;
        let Found::File {
            content,
            layer: carrier,
            base: on,
        } = found
        else {
            panic!("{found:?}");
        };
        assert_eq!((carrier, on), (manifest.layers()[2].digest.clone(), known));
        assert_eq!(
            from_scm_source(&content).unwrap().repository.to_string(),
            SHOP
        );

        // An image that says nothing of its base: the file may be either's, and the result says so.
        let silent = stage.image("team/shop:silent");
        let (text, base) = (silent.to_string(), base.to_string());
        stage.crane(&[
            "append",
            "--insecure",
            "-b",
            &base,
            "-f",
            &layer,
            "-t",
            &text,
        ]);
        let (_, found) = find(&stage, &silent).await;
        let Found::File {
            content,
            base: Base::Unknown(why),
            ..
        } = found
        else {
            panic!("{found:?}");
        };
        assert_eq!(content, source);
        assert!(why.contains("no annotation"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_image_that_is_not_below_is_not_believed() {
    let stage = Stage::new(Kind::Referrers).await;
    let (base, image) = (stage.image("platform/base:1"), stage.image("team/shop:1.0"));
    stage.push(&base, &[stage.write("base.tar", &archive(&[("a", b"1")]))]);
    stage.push(
        &image,
        &[stage.write("own.tar", &archive(&[(FILE, &scm_source("acme/shop", ""))]))],
    );
    let digest = stage.digest(&base).await;
    let missing = format!("sha256:{}", "0".repeat(64));
    let elsewhere = format!("{}/platform/base", stage.registry.host());
    for (digest, name, reason) in [
        (digest.as_str(), elsewhere.as_str(), "are not its lowest"),
        (&missing, &elsewhere, "cannot be read"),
        ("latest", &elsewhere, "content digest"),
        (digest.as_str(), "base", "with its registry"),
        // Where the reader may not go, it does not go.
        (digest.as_str(), "169.254.169.254/base", "is not asked"),
    ] {
        stage.annotate(
            &image,
            &[
                ("org.opencontainers.image.base.digest", digest),
                ("org.opencontainers.image.base.name", name),
            ],
        );
        let (_, found) = find(&stage, &image).await;
        let Found::File {
            base: Base::Unknown(why),
            ..
        } = found
        else {
            panic!("{found:?}");
        };
        assert!(why.contains(reason), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_spoken_with_servers_whose_authority_is_trusted() {
    let stage = Stage::new(Kind::DistributionWithTls).await;
    let image = stage.image("team/shop:1.0");
    stage.push(&image, &[stage.write("a.tar", &archive(&[("a", b"1")]))]);
    let images = |internal: bool, authorities: &str| {
        let settings = Settings {
            internal: internal
                .then(|| stage.registry.host().to_owned())
                .into_iter()
                .collect(),
            authorities: authorities.to_owned(),
            ..Settings::default()
        };
        Registries::new(settings, Arc::new(BTreeMap::new())).unwrap()
    };
    let authority = stage.registry.authority().unwrap();
    let digest = stage.crane(&["digest", "--insecure", &image.to_string()]);
    let resolved = images(true, authority).resolve(&image).await.unwrap();
    assert_eq!(resolved.digest.as_str(), digest);
    for (images, kind, words) in [
        (images(true, ""), ErrorKind::Unavailable, "certificate"),
        (
            images(false, authority),
            ErrorKind::Denied,
            "list of internal registries",
        ),
    ] {
        let error = images.resolve(&image).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let rubbish = Settings {
        authorities: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
        ..Settings::default()
    };
    assert!(Registries::new(rubbish, Arc::new(BTreeMap::new())).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_closed_unless_it_is_opened() {
    let stage = Stage::new(Kind::Referrers).await;
    let image = stage.image("team/shop:1.0");
    stage.push(&image, &[stage.write("a.tar", &archive(&[("a", b"1")]))]);
    let error = client(&[]).resolve(&image).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert!(
        error.to_string().contains("list of internal registries"),
        "{error}"
    );
}
