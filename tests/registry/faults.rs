//! Registries that are slow, refuse, or lie.

use std::time::{Duration, Instant};

use bailiwick::registry::oci::{Limits, Registries};
use bailiwick::registry::{ErrorKind, Images, RegistryError, sha256};
use serde_json::json;

use super::server::{MANIFEST, Reply, Server, descriptor, manifest};
use super::stage::{client, client_with};

/// Short, so that the tests are.
const IMPATIENT: Limits = Limits {
    answer: Duration::from_millis(300),
    pause: Duration::from_millis(300),
    document: Duration::from_secs(1),
    grace: Duration::from_secs(1),
    search: Duration::from_secs(5),
};

/// A client that soon gives up.
pub fn impatient(server: &Server) -> Registries {
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
            found
                .map(|referrers| referrers.found.len())
                .map_err(|error| error.kind),
            expected,
            "{status}"
        );
    }
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
    let referrers = client(&[&server.host])
        .referrers(&name, &digest)
        .await
        .unwrap();
    // And what the other has is not known.
    assert_eq!((referrers.found.len(), referrers.is_whole), (3, false));
    assert_eq!(server.requests().len(), 3);
}

/// However many pages there are, and whoever has filled them: no more is read of them than of one document.
#[tokio::test]
async fn of_a_list_no_more_is_read_than_of_one_document() {
    let child = descriptor("application/vnd.example", b"x");
    let mut page = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [child],
    });
    page["annotations"] = json!({"much": "x".repeat(1 << 20)});
    let server = Server::start(move |request| {
        let path = request.path().split('?').next().unwrap();
        let link = format!("Link: <{path}?more>; rel=\"next\"\r\n");
        Reply::new("200 OK", &link, page.to_string())
    })
    .await;
    let name = server.image("a:1").name().clone();
    let digest = sha256(b"x").unwrap();
    let images = client(&[&server.host]);
    let referrers = images.referrers(&name, &digest).await.unwrap();
    assert_eq!((referrers.found.len(), referrers.is_whole), (3, false));
    assert_eq!(server.requests().len(), 4);
}

/// What a registry asks for is kept to, by whomever it is asked then; another one is none of it.
#[tokio::test(start_paused = true)]
async fn a_registry_that_asks_for_patience_is_left_alone_so_long() {
    let busy = Server::start(|request| match request.path().contains("quiet") {
        true => Reply::ok(MANIFEST, manifest(&[]).to_string()),
        false => Reply::new("429 Too Many Requests", "Retry-After: 17\r\n", ""),
    })
    .await;
    let other = Server::start(|_| Reply::ok(MANIFEST, manifest(&[]).to_string())).await;
    let images = client(&[&busy.host, &other.host]);
    images.resolve(&busy.image("busy:1")).await.unwrap_err();
    let error = images.resolve(&busy.image("quiet:1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled, "{error}");
    assert!(error.to_string().contains("asked for patience"), "{error}");
    assert_eq!(busy.requests().len(), 1);
    images.resolve(&other.image("a:1")).await.unwrap();
    tokio::time::advance(Duration::from_secs(18)).await;
    images.resolve(&busy.image("quiet:1")).await.unwrap();
    assert_eq!(busy.requests().len(), 2);
}
