//! Layers that come slowly, not at all, from elsewhere, or are not what was said.

use std::time::{Duration, Instant};

use bailiwick::model::ImageRef;
use bailiwick::model::Secret;
use bailiwick::registry::find::{Found, USUAL_BUDGET, find_file};
use bailiwick::registry::oci::{Limits, Login, Registries};
use bailiwick::registry::source::FILE;
use bailiwick::registry::{ErrorKind, Images, InLayer, RegistryError};
use serde_json::json;

use super::faults::impatient;
use super::server::{MANIFEST, Reply, Request, Server, descriptor, manifest};
use super::stage::{archive, client, client_with, gzip, scm_source};

/// A registry with one image of one layer, which is served as the function says.
async fn with_layer(
    layer: serde_json::Value,
    serve: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Server, ImageRef) {
    let server = Server::start(move |request| match request.path() {
        path if path.starts_with("/v2/a/manifests/") => {
            Reply::ok(MANIFEST, manifest(std::slice::from_ref(&layer)).to_string())
        }
        _ => serve(request),
    })
    .await;
    let image = server.image("a:1");
    (server, image)
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

async fn search(images: &Registries, image: &ImageRef) -> Result<Found, RegistryError> {
    let manifest = images.resolve(image).await.unwrap();
    let found = find_file(images, image.name(), &manifest, FILE, USUAL_BUDGET).await;
    found.map(|(found, _)| found)
}

#[tokio::test]
async fn a_layer_whose_size_is_a_lie_is_refused() {
    let packed = gzip(&archive(&[("a", &[1; 100_000]), ("b", &[2; 100_000])]));
    let told = descriptor(LAYER, &packed);
    let longer = [packed.clone(), vec![0; 10_000]].concat();
    for (what, reply, kind) in [
        (
            "announced longer",
            Reply::ok(LAYER, longer.clone()),
            ErrorKind::Invalid,
        ),
        (
            "longer",
            Reply::of_length("200 OK", "", longer),
            ErrorKind::Invalid,
        ),
        (
            "shorter",
            Reply::of_length("200 OK", "", packed[..packed.len() - 9].to_vec()),
            ErrorKind::Invalid,
        ),
        (
            "other bytes",
            Reply::ok(LAYER, vec![0; packed.len()]),
            ErrorKind::Invalid,
        ),
        (
            "stalled",
            Reply::stalls(packed.len(), packed[..packed.len() / 2].to_vec()),
            ErrorKind::Unavailable,
        ),
    ] {
        let (server, image) = with_layer(told.clone(), move |_| reply.clone()).await;
        let error = search(&impatient(&server), &image).await.unwrap_err();
        assert_eq!(error.kind, kind, "{what}: {error}");
        assert!(error.to_string().contains("the layer"), "{what}: {error}");
    }
}

#[tokio::test]
async fn a_layer_is_read_no_further_than_the_file() {
    let source = scm_source("acme/shop", "");
    let start = archive(&[(FILE, &source)]);
    // The rest of it never comes, and is not waited for.
    let mut told = descriptor(LAYER, &start);
    told["size"] = json!(1_u64 << 40);
    let (server, image) = with_layer(told, move |_| Reply::stalls(1 << 40, start.clone())).await;
    let started = Instant::now();
    let found = search(&client(&[&server.host]), &image).await.unwrap();
    assert!(matches!(found, Found::File { content, .. } if content == source));
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn layers_that_trickle_are_given_up_in_time_and_free_their_place() {
    let layer = archive(&[("a", &[0; 4096])]);
    let (server, image) = with_layer(descriptor(LAYER, &layer), {
        let layer = layer.clone();
        move |_| Reply::stalls(layer.len(), layer[..600].to_vec())
    })
    .await;
    let images = impatient(&server);
    let name = image.name();
    let descriptor = images.resolve(&image).await.unwrap().layers()[0].clone();
    // More at once than there are places.
    let searches = (0..6).map(|_| images.search_layer(name, &descriptor, FILE, USUAL_BUDGET));
    let started = Instant::now();
    for result in futures::future::join_all(searches).await {
        assert_eq!(result.unwrap_err().kind, ErrorKind::Unavailable);
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn the_layers_of_a_slow_registry_leave_places_to_others() {
    let layer = archive(&[(FILE, b"{}")]);
    let stalling = |_: &Request| Reply::stalls(1 << 20, vec![0; 100]);
    let (slow, stuck) = with_layer(descriptor(LAYER, &[0; 1 << 20]), stalling).await;
    let body = layer.clone();
    let (quick, image) = with_layer(descriptor(LAYER, &layer), move |_| {
        Reply::ok(LAYER, body.clone())
    })
    .await;
    let images = client(&[&slow.host, &quick.host]);
    let waiting = futures::future::join_all((0..10).map(|_| search(&images, &stuck)));
    tokio::select! {
        biased;
        answers = waiting => panic!("{answers:?}"),
        found = async {
            // Once the slow ones hold all the places that they get.
            while slow.requests().iter().filter(|request| request.path().contains("/blobs/")).count() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            search(&images, &image).await
        } => assert!(matches!(found.unwrap(), Found::File { .. })),
    }
    let blobs = slow
        .requests()
        .iter()
        .filter(|request| request.path().contains("/blobs/"))
        .count();
    assert_eq!(blobs, 2, "not more of one registry at once");
}

#[tokio::test]
async fn a_layer_that_trickles_is_given_up_long_before_its_time() {
    let (server, image) = with_layer(descriptor(LAYER, &[7; 1 << 20]), |_| {
        Reply::trickles(1 << 20, Duration::from_millis(100))
    })
    .await;
    let started = Instant::now();
    let error = search(&impatient(&server), &image).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("bytes a second"), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn blobs_elsewhere_are_fetched_without_our_login() {
    let packed = gzip(&archive(&[(FILE, b"{}")]));
    let body = packed.clone();
    let store = Server::start(move |_| Reply::ok(LAYER, body.clone())).await;
    let target = format!("http://{}/blob?signed=yes", store.host);
    let (server, image) = with_layer(descriptor(LAYER, &packed), move |request| {
        match request.header("authorization") {
            Some(_) => Reply::new(
                "307 Temporary Redirect",
                &format!("Location: {target}\r\n"),
                "",
            ),
            None => Reply::new(
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=\"r\"\r\n",
                "",
            ),
        }
    })
    .await;
    let login = Login::Password {
        user: "robot".into(),
        password: Secret::new("secret"),
    };
    let logins = [(server.host.as_str(), login.clone())];
    let images = client_with(&[&server.host, &store.host], Limits::default(), &logins);
    let found = search(&images, &image).await.unwrap();
    assert!(matches!(found, Found::File { .. }), "{found:?}");
    let seen = store.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].path(), seen[0].header("authorization")),
        ("/blob?signed=yes", None)
    );
    // To a store that is not in the list of plain HTTP it does not go.
    let images = client_with(&[&server.host], Limits::default(), &logins);
    let error = search(&images, &image).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert_eq!(store.requests().len(), 1);
}

#[tokio::test]
async fn a_search_says_what_it_has_read() {
    let layer = archive(&[("a", &[0; 4096])]);
    let body = layer.clone();
    let (server, image) = with_layer(descriptor(LAYER, &layer), move |_| {
        Reply::ok(LAYER, body.clone())
    })
    .await;
    let images = client(&[&server.host]);
    let descriptor = images.resolve(&image).await.unwrap().layers()[0].clone();
    let searched = images
        .search_layer(image.name(), &descriptor, FILE, 1 << 20)
        .await
        .unwrap();
    assert_eq!(
        (searched.found, searched.read),
        (InLayer::Absent, 512 + 4096 + 512)
    );
    let searched = images
        .search_layer(image.name(), &descriptor, FILE, 100)
        .await
        .unwrap();
    assert_eq!(searched.found, InLayer::TooLarge);
}
