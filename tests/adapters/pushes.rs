//! Pushes into an immutable repository: ministack's ECR, which takes them, as crane makes them.

use std::path::Path;

use bailiwick::cloud::NewRepository;
use bailiwick::cloud::aws::connect_with;
use bailiwick::dev::loopback::ministack;
use bailiwick::dev::registries::ImageTools;
use bailiwick::model::{AccountId, Encryption, RepositoryName, TagMutability, Tags};

use super::{base, credentials, options};

#[tokio::test]
async fn a_tag_takes_the_same_image_again_and_never_another_one() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = ImageTools::find(repository).unwrap();
    let emulator = ministack(repository).await.unwrap();
    let endpoint = format!("http://{}", emulator.host());
    let base = base(&endpoint, credentials()).await;
    let cloud = connect_with(&base, &options()).await.unwrap();
    // The account whose repositories its registry serves.
    let account: AccountId = "000000000000".parse().unwrap();
    let role = "Access".parse().unwrap();
    let inside = cloud.sessions.enter(&account, &role).await.unwrap();
    let port = inside.repositories("eu-central-1".parse().unwrap());
    let name: RepositoryName = "payments/ledger".parse().unwrap();
    let made = port
        .create_repository(&NewRepository {
            name: name.clone(),
            mutability: TagMutability::Immutable,
            encryption: Encryption::Aes256,
            tags: Tags::default(),
        })
        .await
        .unwrap();
    assert_eq!(made.mutability, TagMutability::Immutable);

    let home = tempfile::tempdir().unwrap();
    let tag = format!("{}/{name}:1.0.0", emulator.host());
    let push = |content: &str| tools.push(home.path(), &tag, ("a", content), &[]);
    let digest = || tools.crane(home.path(), ["digest", "--insecure", &tag]);
    push("one").unwrap();
    let first = digest().unwrap();
    push("one").unwrap();
    assert_eq!(digest().unwrap(), first);
    // crane looks first and does not send what is there; whoever sends it is not refused either.
    let manifest = tools.crane(home.path(), ["manifest", "--insecure", &tag]);
    assert_eq!(put(emulator.host(), name.as_str(), &manifest.unwrap()), 201);
    let error = push("two").unwrap_err().to_string();
    assert!(error.contains("immutable"), "{error}");
    assert_eq!(digest().unwrap(), first);
    // How what was released is kept: a further tag for it, which never becomes another image's.
    let image = port
        .images(&name, std::slice::from_ref(&first))
        .await
        .unwrap();
    port.put_tag(&name, &image[0], "bailiwick-keep-1")
        .await
        .unwrap();
    let kept = format!("{}/{name}:bailiwick-keep-1", emulator.host());
    let kept = tools.crane(home.path(), ["digest", "--insecure", &kept]);
    assert_eq!(kept.unwrap(), first);
}

/// PUTs the manifest under the tag once more, and gives back the status.
fn put(host: &str, repository: &str, manifest: &str) -> u16 {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let head = format!(
        "PUT /v2/{repository}/manifests/1.0.0 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: \
         application/vnd.oci.image.manifest.v1+json\r\nContent-Length: {}\r\n\r\n{manifest}",
        manifest.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
