//! Releases by the adapter that the operator has, from a registry that says what it is told to: the controllers, in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bailiwick::controllers::release::gather::RegistryOrigins;
use bailiwick::registry::attestation::Trust;
use bailiwick::registry::oci::{Login, Registries, Settings};
use bailiwick::registry::source::{REVISION, SOURCE};
use serde_json::{Value, json};

use super::server::{MANIFEST, Reply, Server, descriptor, manifest};
use super::world::World;

const SHOP: &str = "https://git.example.com/a/shop";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const SOON: Duration = Duration::from_secs(30);

/// A manifest that names this repository.
fn annotated(repository: &str) -> Value {
    let mut document = manifest(&[]);
    document["annotations"] = json!({SOURCE: repository, REVISION: "0123abc"});
    document
}

/// A release of the image `a/shop:<tag>` of this registry, and an operator that asks it.
fn release(server: &Server, tag: &str) -> (World, tokio::task::JoinHandle<()>) {
    let world = World::new();
    world.team("aa");
    world.application("aa", "shop", &json!({"repositories": [SHOP]}));
    let settings = Settings {
        plain_http: [server.host.clone()].into(),
        ..Settings::default()
    };
    let nobody = std::collections::BTreeMap::<String, Login>::new();
    let origins = RegistryOrigins {
        images: Arc::new(Registries::new(settings, Arc::new(nobody)).unwrap()),
        trust: Trust::default(),
        code_hosts: None,
        own: None,
    };
    let operator = world.operator_asking(&Arc::default(), &[], Arc::new(origins));
    let image = server.image(&format!("a/shop:{tag}")).to_string();
    let spec = json!({"application": "shop", "version": "1", "image": image});
    world.release("aa", "shop-1", "robot", &spec);
    (world, operator)
}

async fn until(world: &World, wanted: &str) -> String {
    let says = || world.condition("releases", "aa", "shop-1", "Ready");
    let end = Instant::now() + SOON;
    while !says().starts_with(wanted) {
        assert!(Instant::now() < end, "not {wanted}: {}", says());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    says()
}

/// A registry that refuses the first question like this, and answers all others.
async fn waited_for(status: &'static str, patience: u64) {
    let asked = AtomicUsize::new(0);
    let headers = match patience {
        0 => String::new(),
        seconds => format!("Retry-After: {seconds}\r\n"),
    };
    let server = Server::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(status, &headers, ""),
        _ => Reply::ok(MANIFEST, annotated(SHOP).to_string()),
    })
    .await;
    let began = Instant::now();
    let (world, operator) = release(&server, "1");
    let said = until(&world, "False RegistryUnavailable").await;
    assert!(
        said.contains(&status[..3]) || said.contains("patience"),
        "{said}"
    );
    until(&world, "True").await;
    // Not asked before that is over, by however many passes.
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(patience), "{status}: {took:?}");
    operator.abort();
}

#[tokio::test]
async fn a_registry_that_is_broken_or_wants_patience_is_waited_for() {
    tokio::join!(
        waited_for("500 Internal Server Error", 0),
        waited_for("429 Too Many Requests", 0),
        waited_for("429 Too Many Requests", 3),
        waited_for("503 Service Unavailable", 3),
    );
}

/// An index with these children, all of which are there.
async fn index(children: Vec<(Value, Value)>) -> Server {
    let list: Vec<Value> = children
        .iter()
        .map(|(document, more)| {
            let mut child = descriptor(MANIFEST, document.to_string().as_bytes());
            for (field, value) in more.as_object().unwrap() {
                child[field] = value.clone();
            }
            child
        })
        .collect();
    let whole = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": list}).to_string();
    Server::start(move |request| {
        let of_path = |(document, _): &&(Value, Value)| {
            let text = document.to_string();
            let digest = bailiwick::registry::sha256(text.as_bytes()).unwrap();
            request.path().ends_with(digest.as_str())
        };
        match children.iter().find(of_path) {
            Some((document, _)) => Reply::ok(MANIFEST, document.to_string()),
            None => Reply::ok(INDEX, whole.clone()),
        }
    })
    .await
}

fn on(architecture: &str) -> Value {
    json!({"platform": {"os": "linux", "architecture": architecture}})
}

#[tokio::test]
async fn an_index_is_of_the_source_that_all_its_images_name() {
    let server = index(vec![
        (annotated(SHOP), on("amd64")),
        (annotated(SHOP), on("arm64")),
    ])
    .await;
    let (world, operator) = release(&server, "1");
    until(&world, "True").await;
    operator.abort();
}

/// One that calls itself an attestation, and runs all the same.
#[tokio::test]
async fn a_disguised_image_in_an_index_is_looked_at_like_any_other() {
    let mut disguise = on("arm64");
    disguise["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": format!("sha256:{}", "1".repeat(64)),
    });
    for (hidden, words) in [
        (
            annotated("https://git.example.com/evil/shop"),
            "do not name the same source",
        ),
        (manifest(&[]), "not all images of the index name a source"),
    ] {
        let server = index(vec![
            (annotated(SHOP), on("amd64")),
            (hidden, disguise.clone()),
        ])
        .await;
        let (world, operator) = release(&server, "1");
        let said = until(&world, "False SourceUnknown").await;
        assert!(said.contains(words), "{said}");
        operator.abort();
    }
}

#[tokio::test]
async fn an_index_of_too_many_images_names_no_source() {
    let child = |at: usize| {
        let mut document = annotated(SHOP);
        document["annotations"]["n"] = json!(at);
        (document, on(&format!("m{at}")))
    };
    let server = index((0..21).map(child).collect()).await;
    let (world, operator) = release(&server, "1");
    let said = until(&world, "False SourceUnknown").await;
    assert!(said.contains("more than 20 images"), "{said}");
    operator.abort();
    // Nor one whose images' manifests are larger together than one may be.
    let child = |at: usize| {
        let (mut document, more) = child(at);
        document["annotations"]["much"] = json!("x".repeat(1 << 20));
        (document, more)
    };
    let server = index((0..5).map(child).collect()).await;
    let (world, operator) = release(&server, "1");
    let said = until(&world, "False SourceUnknown").await;
    assert!(said.contains("larger together than 4 MiB"), "{said}");
    operator.abort();
}
