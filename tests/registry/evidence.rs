//! Which evidence of an image's source counts where there are several, and what is made of one that cannot be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bailiwick::api::Evidence;
use bailiwick::controllers::release::gather::RegistryOrigins;
use bailiwick::controllers::release::origins::{Origins, Searched, TroubleKind};
use bailiwick::model::ImageRef;
use bailiwick::registry::attestation::{Trust, TrustEntry};
use bailiwick::registry::sha256;
use bailiwick::registry::source::{REVISION, SOURCE};
use serde_json::{Value, json};

use super::server::{MANIFEST, Reply, Request, Server, descriptor, manifest};
use super::stage::{COMMIT, SHOP, archive, client, scm_source};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const WEB: &str = "https://github.com/acme/web";

/// An image with these annotations, and this file in it, if there is one.
fn image(annotations: Value, file: Option<&[u8]>) -> (String, Vec<u8>) {
    let layer = archive(&[("scm-source.json", file.unwrap_or(b"{}"))]);
    let layers = file.map(|_| descriptor(LAYER, &layer));
    let mut document = manifest(&layers.into_iter().collect::<Vec<_>>());
    document["annotations"] = annotations;
    (document.to_string(), layer)
}

/// What a registry with this image and nothing else says to a request.
fn serve((document, layer): &(String, Vec<u8>), request: &Request) -> Reply {
    let at = sha256(document.as_bytes()).unwrap();
    match request.path() {
        path if path.contains("/blobs/") => Reply::ok(LAYER, layer.clone()),
        path if path.ends_with(at.as_str()) && path.contains("/manifests/") => {
            Reply::ok(MANIFEST, document.clone())
        }
        _ => Reply::new("404 Not Found", "", ""),
    }
}

fn origins(server: &Server, trust: Trust) -> RegistryOrigins {
    RegistryOrigins {
        images: Arc::new(client(&[&server.host])),
        trust,
        code_hosts: None,
        own: None,
    }
}

fn at(server: &Server, image: &(String, Vec<u8>)) -> ImageRef {
    let digest = sha256(image.0.as_bytes()).unwrap();
    server.image("acme/shop:1").name().at(digest)
}

async fn searched(annotations: Value, file: Option<Vec<u8>>) -> Searched {
    let image = image(annotations, file.as_deref());
    let served = image.clone();
    let server = Server::start(move |request| serve(&served, request)).await;
    let origins = origins(&server, Trust::default());
    origins.search(&at(&server, &image)).await.unwrap()
}

#[tokio::test]
async fn annotations_go_before_a_file_and_a_file_before_half_an_annotation() {
    let file = |repository: &str| Some(scm_source(repository, ""));
    for (annotations, file, wanted, remark) in [
        // Both: the better one counts, and the other is not looked at.
        (
            json!({SOURCE: SHOP, REVISION: "abc"}),
            file("acme/web"),
            Some((Evidence::Annotation, SHOP, Some("abc"))),
            None,
        ),
        // Half of the better one, and the other says of the same repository which commit.
        (
            json!({SOURCE: SHOP}),
            file("acme/shop"),
            Some((Evidence::ScmSourceFile, SHOP, Some(COMMIT))),
            None,
        ),
        // Of another one it says nothing about this.
        (
            json!({SOURCE: WEB}),
            file("acme/shop"),
            Some((Evidence::Annotation, WEB, None)),
            Some("names another repository"),
        ),
        (
            json!({SOURCE: SHOP}),
            None,
            Some((Evidence::Annotation, SHOP, None)),
            None,
        ),
        (
            json!({}),
            file("acme/shop"),
            Some((Evidence::ScmSourceFile, SHOP, Some(COMMIT))),
            None,
        ),
        (json!({}), None, None, None),
    ] {
        let searched = searched(annotations.clone(), file).await;
        let found = searched.origin.as_ref().map(|origin| {
            let repository = origin.repository.to_string();
            (origin.evidence, repository, origin.revision.clone())
        });
        let wanted = wanted.map(|(evidence, repository, revision)| {
            (evidence, repository.to_owned(), revision.map(str::to_owned))
        });
        assert_eq!(found, wanted, "{annotations}");
        if let Some(remark) = remark {
            let said = searched.remarks.join("; ");
            assert!(said.contains(remark), "{said}");
        }
    }
}

fn somebody() -> Trust {
    let pem = rcgen::KeyPair::generate().unwrap().public_key_pem();
    let name = "ci".to_owned();
    Trust::new(&[TrustEntry::Key { name, pem }]).unwrap()
}

/// While it is not known whether somebody has signed, nobody else is believed instead; once it is known, they are.
#[tokio::test]
async fn no_worse_evidence_is_taken_while_the_best_cannot_be_read() {
    let image = image(json!({SOURCE: SHOP, REVISION: "abc"}), None);
    let (served, status) = (image.clone(), Arc::new(AtomicU16::new(0)));
    let answers = status.clone();
    let server = Server::start(move |request| {
        let beside = request.path().contains("/referrers/") || request.path().contains(".att");
        match (beside, answers.load(Ordering::SeqCst)) {
            (false, _) | (true, 404) => serve(&served, request),
            (true, 503) => Reply::new("503 Service Unavailable", "", ""),
            (true, 500) => Reply::new("500 Internal Server Error", "", ""),
            (true, 429) => Reply::new("429 Too Many Requests", "", ""),
            (true, 1) => match request.path().contains(".att") {
                true => Reply::new("403 Forbidden", "", ""),
                false => Reply::new("404 Not Found", "", ""),
            },
            (true, _) => Reply::new("403 Forbidden", "", ""),
        }
    })
    .await;
    let origins = origins(&server, somebody());
    let at = at(&server, &image);
    for (code, kind) in [
        (503, TroubleKind::Transient),
        (500, TroubleKind::Transient),
        (429, TroubleKind::Transient),
        (403, TroubleKind::Denied),
    ] {
        status.store(code, Ordering::SeqCst);
        let trouble = origins.search(&at).await.unwrap_err();
        assert_eq!(trouble.kind, kind, "{code}: {trouble}");
    }
    // One place may be read and the other not: what is found counts, unless something better was known.
    status.store(1, Ordering::SeqCst);
    let searched = origins.search(&at).await.unwrap();
    assert!(
        searched
            .refused
            .is_some_and(|refused| refused.contains("403"))
    );
    assert_eq!(searched.origin.unwrap().evidence, Evidence::Annotation);
    status.store(404, Ordering::SeqCst);
    let searched = origins.search(&at).await.unwrap();
    assert_eq!(searched.refused, None);
    assert_eq!(searched.origin.unwrap().evidence, Evidence::Annotation);
}
