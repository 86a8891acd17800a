//! Registries that are slow, refuse, or lie.

use std::time::{Duration, Instant};

use bailiwick::model::ImageRef;
use bailiwick::registry::find::{Found, USUAL_BUDGET, find_file};
use bailiwick::registry::oci::{Limits, Registries};
use bailiwick::registry::source::FILE;
use bailiwick::registry::{ErrorKind, Images, InLayer, RegistryError, sha256};
use serde_json::json;

use super::server::{MANIFEST, Reply, Request, Server, descriptor, manifest};
use super::stage::{archive, client, client_with, gzip, scm_source};

/// Short, so that the tests are.
const IMPATIENT: Limits = Limits {
    answer: Duration::from_millis(300),
    pause: Duration::from_millis(300),
    document: Duration::from_secs(1),
    grace: Duration::from_secs(1),
    search: Duration::from_secs(5),
};

fn impatient(server: &Server) -> Registries {
    client_with(&[&server.host], IMPATIENT, &[])
}

async fn refusal(reply: Reply) -> RegistryError {
    let server = Server::start(move |_| reply.clone()).await;
    let started = Instant::now();
    let error = impatient(&server)
        .resolve(&server.image("a:1"))
        .await
        .unwrap_err();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert!(
        error.to_string().contains(&format!("{}/a:1", server.host)),
        "{error}"
    );
    error
}

#[tokio::test]
async fn every_refusal_has_its_class() {
    let errors = r#"{"errors":[{"code":"DENIED","message":"not you"}]}"#;
    let wait = "Retry-After: 17\r\n";
    for (status, headers, body, kind, wait, words) in [
        ("404 Not Found", "", "", ErrorKind::NotFound, None, "404"),
        (
            "403 Forbidden",
            "",
            errors,
            ErrorKind::Denied,
            None,
            "DENIED not you",
        ),
        ("401 Unauthorized", "", "", ErrorKind::Denied, None, "401"),
        (
            "429 Too Many Requests",
            wait,
            "",
            ErrorKind::Throttled,
            Some(17),
            "429",
        ),
        (
            "429 Too Many Requests",
            "",
            "",
            ErrorKind::Throttled,
            None,
            "429",
        ),
        (
            "500 Internal Server Error",
            "",
            "<html>",
            ErrorKind::Unavailable,
            None,
            "500",
        ),
        (
            "503 Service Unavailable",
            wait,
            "",
            ErrorKind::Unavailable,
            Some(17),
            "503",
        ),
        (
            "408 Request Timeout",
            "",
            "",
            ErrorKind::Unavailable,
            None,
            "408",
        ),
        ("400 Bad Request", "", "", ErrorKind::Invalid, None, "400"),
        ("304 Not Modified", "", "", ErrorKind::Invalid, None, "304"),
    ] {
        let error = refusal(Reply::new(status, headers, body)).await;
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(error.retry_after, wait.map(Duration::from_secs), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn whoever_is_slow_is_given_up() {
    for (reply, words) in [
        (Reply::silence(), "did not answer within"),
        (Reply::stalls(1000, "{"), "nothing more for"),
        (
            Reply::of_length("200 OK", "Content-Length: 1000\r\n", "{"),
            "broke off",
        ),
    ] {
        let error = refusal(reply).await;
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    // A port where nobody is.
    let server = Server::start(|_| Reply::silence()).await;
    let (image, images) = (server.image("a:1"), impatient(&server));
    drop(server);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = images.resolve(&image).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_slow_registry_does_not_hold_up_another() {
    let slow = Server::start(|_| Reply::silence()).await;
    let quick = Server::start(|_| Reply::ok(MANIFEST, manifest(&[]).to_string())).await;
    let patient = Limits::default();
    let images = client_with(&[&slow.host, &quick.host], patient, &[]);
    let (waiting, image) = (slow.image("a:1"), quick.image("a:1"));
    tokio::select! {
        biased;
        answer = images.resolve(&waiting) => panic!("{answer:?}"),
        answer = async {
            for _ in 0..20 {
                images.resolve(&image).await?;
            }
            Ok::<_, RegistryError>(())
        } => answer.unwrap(),
    }
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    let endless = Reply::repeated(Vec::new(), vec![b' '; 1 << 16], 1 << 20, Vec::new());
    let announced = Reply::of_length("200 OK", "Content-Length: 68719476736\r\n", "{");
    let unannounced = Reply::of_length("200 OK", "", vec![b' '; 5 << 20]);
    for reply in [endless, announced, unannounced] {
        let error = refusal(reply).await;
        assert_eq!(error.kind, ErrorKind::TooLarge, "{error}");
    }
    let parts = vec![descriptor("x", b"x"); 3000];
    let error = refusal(Reply::ok(MANIFEST, manifest(&parts).to_string())).await;
    assert_eq!(error.kind, ErrorKind::TooLarge, "{error}");
}

#[tokio::test]
async fn what_contradicts_its_digest_is_refused() {
    let text = manifest(&[]).to_string();
    let digest = sha256(text.as_bytes()).unwrap();
    let wrong = format!(
        "Docker-Content-Digest: sha256:{}\r\nContent-Type: {MANIFEST}\r\n",
        "0".repeat(64)
    );
    let error = refusal(Reply::new("200 OK", &wrong, text.clone())).await;
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains(digest.as_str()), "{error}");
    // By digest: one byte more.
    let server = Server::start(move |_| Reply::ok(MANIFEST, format!("{text} "))).await;
    let image = server.image("a:1").name().at(digest);
    let error = client(&[&server.host]).resolve(&image).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    for (kind, body) in [
        ("text/html", "<html>".to_owned()),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            r#"{"schemaVersion":1}"#.to_owned(),
        ),
        ("application/json", r#"{"schemaVersion":2}"#.to_owned()),
    ] {
        let error = refusal(Reply::ok(kind, body)).await;
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    }
}

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
    find_file(images, image.name(), &manifest, FILE, USUAL_BUDGET).await
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
async fn registries_that_do_not_know_referrers_say_so_in_many_ways() {
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor(MANIFEST, b"x")],
    });
    for (status, kind, expected) in [
        ("404 Not Found", "text/plain", Ok(1)),
        ("400 Bad Request", "text/plain", Ok(1)),
        ("405 Method Not Allowed", "text/plain", Ok(1)),
        ("501 Not Implemented", "text/plain", Ok(1)),
        ("200 OK", "text/html", Ok(1)),
        ("403 Forbidden", "text/plain", Err(ErrorKind::Denied)),
        (
            "500 Internal Server Error",
            "text/plain",
            Err(ErrorKind::Unavailable),
        ),
    ] {
        let index = index.clone();
        let server = Server::start(
            move |request| match request.path().contains("/referrers/") {
                true => Reply::new(status, &format!("Content-Type: {kind}\r\n"), "<html>"),
                false => Reply::ok("application/vnd.oci.image.index.v1+json", index.to_string()),
            },
        )
        .await;
        let name = server.image("a:1").name().clone();
        let found = client(&[&server.host])
            .referrers(&name, &sha256(b"y").unwrap())
            .await;
        assert_eq!(
            found.map(|found| found.len()).map_err(|error| error.kind),
            expected,
            "{status}"
        );
    }
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
    let login = bailiwick::registry::oci::Login::Password {
        user: "robot".into(),
        password: bailiwick::registry::oci::Secret::new("secret"),
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
async fn redirects_end() {
    let server = Server::start(|request| {
        let next = format!("Location: {}x\r\n", request.path());
        Reply::new("302 Found", &next, "")
    })
    .await;
    let error = client(&[&server.host])
        .resolve(&server.image("a:1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn a_registry_that_names_no_digest_is_asked_for_the_manifest() {
    let text = manifest(&[]).to_string();
    let digest = sha256(text.as_bytes()).unwrap();
    let server =
        Server::start(move |_| Reply::ok(&format!("{MANIFEST}; charset=utf-8"), text.clone()))
            .await;
    let images = client(&[&server.host]);
    assert_eq!(images.current(&server.image("a:1")).await.unwrap(), digest);
    let methods: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.method().to_owned())
        .collect();
    assert_eq!(methods, ["HEAD", "GET"]);
}

#[tokio::test]
async fn lists_go_on_over_pages_and_end() {
    let page = |at: usize| {
        let child = descriptor("application/vnd.example", &[at as u8]);
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [child]})
            .to_string()
    };
    let server = Server::start(move |request| {
        let at: usize = request
            .path()
            .split_once("page=")
            .map_or(0, |(_, at)| at.parse().unwrap());
        let (path, next) = (request.path().split('?').next().unwrap(), at + 1);
        let link = match at {
            // The third names another server, where our login is nobody's business.
            2 => "Link: <http://other.example/next>; rel=\"next\"\r\n".to_owned(),
            _ => format!("Link: <{path}?page={next}>; rel=\"next\"\r\n"),
        };
        Reply::new("200 OK", &link, page(at))
    })
    .await;
    let name = server.image("a:1").name().clone();
    let digest = sha256(b"x").unwrap();
    let found = client(&[&server.host])
        .referrers(&name, &digest)
        .await
        .unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(server.requests().len(), 3);
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
