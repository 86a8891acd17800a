//! Reading images as the operator's options say.

use bailiwick::app;
use bailiwick::config::RunOptions;
use bailiwick::controllers::release::origins::TroubleKind;
use bailiwick::dev::registries::Kind;
use clap::Parser;

use super::stage::{Stage, archive};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    run: RunOptions,
}

fn options(more: &[&str]) -> RunOptions {
    let arguments = ["test", "--cluster-name", "test"];
    Arguments::parse_from(arguments.iter().chain(more)).run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companys_own_authority_is_trusted_where_its_file_is_named() {
    let stage = Stage::new(Kind::DistributionWithTls).await;
    let image = stage.image("team/shop:1.0");
    stage.push(&image, &[stage.write("a.tar", &archive(&[("a", b"1")]))]);
    let digest = stage.crane(&["digest", "--insecure", &image.to_string()]);
    let authority = stage.registry.authority().unwrap();
    let file = stage.write("ca.crt", authority.as_bytes());
    let internal = ["--registry-internal", stage.registry.host()];
    let with = [&internal[..], &["--registry-authorities", &file]].concat();
    let origins = app::registries(&options(&with), None).unwrap();
    let resolved = origins.resolve(&image).await.unwrap();
    assert_eq!(resolved.digest.as_str(), digest);
    let origins = app::registries(&options(&internal), None).unwrap();
    let trouble = origins.resolve(&image).await.unwrap_err();
    assert_eq!(trouble.kind, TroubleKind::Transient);
    assert!(trouble.message.contains("certificate"), "{trouble}");
    // What cannot be used is said at once, and not when somebody releases something.
    for (name, content) in [
        ("empty.crt", ""),
        (
            "broken.crt",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
    ] {
        let file = stage.write(name, content.as_bytes());
        let error = app::registries(&options(&["--registry-authorities", &file]), None).err();
        assert!(error.is_some(), "{name}");
    }
    let missing = stage.path("missing.crt");
    let missing = ["--registry-authorities", missing.to_str().unwrap()];
    let error = app::registries(&options(&missing), None).err().unwrap();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

/// What `oras` pushes with annotations says where it comes from, like any image.
#[tokio::test(flavor = "multi_thread")]
async fn what_oras_pushes_is_read_as_well() {
    use bailiwick::registry::Images;
    use bailiwick::registry::source::{REVISION, SOURCE, from_annotations};
    for kind in [Kind::Referrers, Kind::Distribution] {
        let stage = Stage::new(kind).await;
        let image = stage.image("team/shop:1.0");
        stage.write("hello.txt", b"hello");
        let says = |key: &str, value: &str| format!("{key}={value}");
        stage.oras(&[
            "push",
            "--plain-http",
            "--annotation",
            &says(SOURCE, super::stage::SHOP),
            "--annotation",
            &says(REVISION, super::stage::COMMIT),
            &image.to_string(),
            "hello.txt:text/plain",
        ]);
        let manifest = stage.images.resolve(&image).await.unwrap();
        let facts = from_annotations(&manifest.annotations).unwrap().unwrap();
        assert_eq!(facts.repository.to_string(), super::stage::SHOP);
        assert_eq!(facts.revision.as_deref(), Some(super::stage::COMMIT));
    }
}
