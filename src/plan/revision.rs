//! Hashes that stay the same from one release to the next.

/// FNV-1a, 64 bits (the public-domain hash by Fowler, Noll and Vo): short, and equal on every machine and in every
/// release, which the standard library's hasher does not promise. Not for security.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A revision of something that can be written down: the same text gives the same revision.
pub fn revision(text: &str) -> String {
    format!("{:016x}", fnv1a(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(super::fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(super::fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(super::revision("foobar"), "85944171f73967e8");
    }
}
