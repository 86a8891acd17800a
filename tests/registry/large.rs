//! Images whose one layer is larger than the memory: made as they are sent.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use aws_lc_rs::digest;
use bailiwick::model::{Digest, DigestAlgorithm, ImageRef};
use bailiwick::registry::oci::{Registries, Settings};
use bailiwick::registry::{Descriptor, Images, Manifest, Searched};

use super::server::{MANIFEST, Reply, Server, manifest};

pub const FILE: &str = "scm-source.json";
pub const PIECE: usize = 1 << 20;
/// 10 GiB of them.
pub const PIECES: u64 = 10 * 1024;
/// More than any layer has.
pub const PLENTY: u64 = 1 << 40;

/// A way to pack a layer.
pub struct Packing {
    pub name: &'static str,
    pack: fn(Part, &[u8]) -> Vec<u8>,
}

/// All of them.
pub const PACKINGS: [Packing; 4] = [
    Packing {
        name: "plain",
        pack: |_, bytes| bytes.to_vec(),
    },
    Packing {
        name: "gzip",
        pack: |_, bytes| gzip(bytes),
    },
    Packing {
        name: "zstd",
        pack: |_, bytes| zstd(bytes),
    },
    Packing {
        name: "wide zstd",
        pack: zstd_with_the_widest_window,
    },
];

/// The largest memory that this process has had, in bytes.
pub fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        << 10
}

/// The header of an entry of this size.
fn header(name: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// The file that is looked for, and the end of the archive.
fn end() -> Vec<u8> {
    let mut end = header(FILE, 2);
    end.extend_from_slice(b"{}");
    end.resize(3 * 512 + 512, 0);
    end
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Which part of a layer is packed.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    First,
    Middle,
    Last,
}

/// One frame with the largest window that is accepted, block by block; blocks of zeros take four bytes.
fn zstd_with_the_widest_window(part: Part, bytes: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 128 << 10;
    let (raw, repeated) = (0, 1);
    let header = |kind: usize, size: usize| {
        let word = size << 3 | kind << 1 | usize::from(part == Part::Last);
        word.to_le_bytes()[..3].to_vec()
    };
    match part {
        Part::Middle => [header(repeated, BLOCK), vec![0]]
            .concat()
            .repeat(bytes.len() / BLOCK),
        // 2^(10 + 15) bytes.
        Part::First => {
            let frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 15 << 3];
            [frame, header(raw, bytes.len()), bytes.to_vec()].concat()
        }
        Part::Last => [header(raw, bytes.len()), bytes.to_vec()].concat(),
    }
}

/// Serves an image whose one layer unpacks to so many pieces of zeros and the file behind them.
pub async fn serve(packing: &Packing, pieces: u64) -> (Server, ImageRef, Registries) {
    let pack = packing.pack;
    let start = pack(Part::First, &header("zeros", PIECE as u64 * pieces));
    let (piece, end) = (
        pack(Part::Middle, &vec![0; PIECE]),
        pack(Part::Last, &end()),
    );
    let size = start.len() as u64 + piece.len() as u64 * pieces + end.len() as u64;
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&start);
    (0..pieces).for_each(|_| hash.update(&piece));
    hash.update(&end);
    let hash = Digest::from_hash(DigestAlgorithm::Sha256, hash.finish().as_ref()).unwrap();
    let server = Server::start(move |request| {
        if !request.path().contains("/manifests/") {
            return Reply::repeated(start.clone(), piece.clone(), pieces, end.clone());
        }
        let layer = serde_json::json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar", "size": size, "digest": hash.as_str(),
        });
        Reply::ok(MANIFEST, manifest(&[layer]).to_string())
    })
    .await;
    let settings = Settings {
        plain_http: [server.host.clone()].into(),
        ..Settings::default()
    };
    let images = Registries::new(settings, Arc::new(BTreeMap::new())).unwrap();
    let image = server.image("a:1");
    (server, image, images)
}

/// Searches it for the file, over so many unpacked bytes at most.
pub async fn search(images: &Registries, image: &ImageRef, budget: u64) -> Searched {
    let manifest: Manifest = images.resolve(image).await.unwrap();
    let layer: Descriptor = manifest.layers()[0].clone();
    images
        .search_layer(image.name(), &layer, FILE, budget)
        .await
        .unwrap()
}

/// Fills a document up to this size with an annotation that is kept.
fn fill(mut document: serde_json::Value, size: usize) -> String {
    let left = size - document.to_string().len() - 200;
    document["annotations"] =
        serde_json::json!({bailiwick::registry::source::TICKETS: "x".repeat(left)});
    document.to_string()
}

/// Serves an index of one image that takes as much of everything as it can: every document almost 4 MiB long, the list of
/// what is attached ten pages of them.
pub async fn hoard() -> (Server, ImageRef, Registries) {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const SIZE: usize = (4 << 20) - 1000;
    let digest = |text: &str| bailiwick::registry::sha256(text.as_bytes()).unwrap();
    // As many parts as there may be, and none of them an image.
    let part = super::server::descriptor("application/vnd.example.a-type-that-is-long", b"x");
    let index = |first: Option<serde_json::Value>| {
        let parts = std::iter::repeat_n(part.clone(), 1_990);
        let children: Vec<_> = first.into_iter().chain(parts).collect();
        fill(
            serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}),
            SIZE,
        )
    };
    let single = fill(manifest(&[]), SIZE);
    let whole = index(Some(serde_json::json!({
        "mediaType": MANIFEST, "digest": digest(&single).as_str(), "size": single.len(),
    })));
    let list = index(None);
    let at = digest(&whole);
    let by_digest = [
        (digest(&single), single, MANIFEST),
        (digest(&whole), whole, INDEX),
    ];
    let server = Server::start(move |request| {
        let path = request.path().split('?').next().unwrap();
        if path.contains("/referrers/") {
            let next = format!("Content-Type: {INDEX}\r\nLink: <{path}?more>; rel=\"next\"\r\n");
            return Reply::new("200 OK", &next, list.clone());
        }
        let found = by_digest
            .iter()
            .find(|(digest, ..)| path.ends_with(digest.as_str()));
        match found {
            Some((_, text, kind)) => Reply::ok(kind, text.clone()),
            None => Reply::new("404 Not Found", "", ""),
        }
    })
    .await;
    let settings = Settings {
        plain_http: [server.host.clone()].into(),
        ..Settings::default()
    };
    let images = Registries::new(settings, Arc::new(BTreeMap::new())).unwrap();
    let image = server.image("a:1").name().at(at);
    (server, image, images)
}
