//! How much memory the search of a layer takes that is larger than the memory: 10 GB, made as they are sent. In a process of
//! its own, so that what it measures is its own.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "registry/large.rs"]
mod large;
// More than this file needs of it.
#[allow(dead_code)]
#[path = "registry/server.rs"]
mod server;

use std::time::Instant;

use bailiwick::registry::InLayer;
use large::{PACKINGS, PIECE, PIECES, PLENTY, peak, search, serve};

/// What may come on top of what the process has anyway: the widest window of a Zstandard frame, and half as much again.
const MOST: u64 = 48 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn ten_gigabytes_are_searched_in_little_memory() {
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
