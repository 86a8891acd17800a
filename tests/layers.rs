//! How much memory reading images takes at most: documents that are as large as may be, as many as are read at once; and the
//! search of a layer that is larger than the memory, 10 GB, made as they are sent. In a process of its own, so that what it
//! measures is its own.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "registry/large.rs"]
mod large;
// More than this file needs of it.
#[allow(dead_code)]
#[path = "registry/server.rs"]
mod server;

use std::sync::Arc;
use std::time::Instant;

use bailiwick::controllers::release::gather::RegistryOrigins;
use bailiwick::controllers::release::origins::Origins;
use bailiwick::registry::InLayer;
use bailiwick::registry::attestation::{Trust, TrustEntry};
use large::{PACKINGS, PIECE, PIECES, PLENTY, peak, search, serve};

/// What may come on top of what the process has anyway: the widest window of a Zstandard frame, and half as much again.
const MOST: u64 = 48 << 20;

/// How many searches are under way at once (`controllers/release/lookups.rs`).
const SEARCHES: usize = 12;
/// What each may hold of documents.
const MOST_OF_SEARCH: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_of_images_takes_little_memory() {
    // The largest memory that a process has had never becomes less: what takes less comes first.
    let before = peak();
    ten_gigabytes_are_searched().await;
    documents_that_are_as_large_as_may_be(before).await;
}

/// As many searches as there may be at once, each of an index whose every document, page and child is as large as may be.
async fn documents_that_are_as_large_as_may_be(before: u64) {
    let (server, image, images) = large::hoard().await;
    let pem = rcgen::KeyPair::generate().unwrap().public_key_pem();
    let name = "ci".to_owned();
    let origins = Arc::new(RegistryOrigins {
        images: Arc::new(images),
        trust: Trust::new(&[TrustEntry::Key { name, pem }]).unwrap(),
        code_hosts: None,
        own: None,
    });
    let started = Instant::now();
    let mut searches = tokio::task::JoinSet::new();
    for _ in 0..SEARCHES {
        let (origins, image) = (origins.clone(), image.clone());
        searches.spawn(async move { origins.search(&image).await.unwrap() });
    }
    let found = searches.join_all().await;
    assert!(found.iter().all(|searched| searched.origin.is_none()));
    let (grown, took) = (peak() - before, started.elapsed());
    println!(
        "documents: {SEARCHES} searches, {} requests in {took:?}, memory grew by {} MiB",
        server.requests().len(),
        grown >> 20
    );
    assert!(grown < SEARCHES as u64 * MOST_OF_SEARCH, "{grown} bytes");
}

async fn ten_gigabytes_are_searched() {
    for packing in &PACKINGS {
        // Slow without optimization, and no different for being longer.
        let pieces = match packing.name {
            "gzip" => PIECES / 8,
            _ => PIECES,
        };
        let unpacked = PIECE as u64 * pieces;
        let (_server, image, images) = serve(packing, pieces).await;
        let packing = packing.name;
        let (before, started) = (peak(), Instant::now());
        let searched = search(&images, &image, PLENTY).await;
        let (grown, took) = (peak() - before, started.elapsed());
        assert_eq!(searched.found, InLayer::File(b"{}".to_vec()), "{packing}");
        assert_eq!(searched.read, 512 + unpacked + 512 + 2, "{packing}");
        println!(
            "{packing}: {unpacked} bytes in {took:?}, memory grew by {} KiB",
            grown >> 10
        );
        assert!(grown < MOST, "{packing}: {grown} bytes");

        // And with a budget it ends when that is spent.
        let searched = search(&images, &image, 1 << 30).await;
        assert_eq!(searched.found, InLayer::TooLarge, "{packing}");
        assert!(
            (1 << 30..(1 << 30) + (1 << 20)).contains(&searched.read),
            "{packing}: {}",
            searched.read
        );
    }
}
