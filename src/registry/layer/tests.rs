use std::io::Write;

use proptest::prelude::*;

use super::*;

const FILE: &str = "scm-source.json";
const PLENTY: u64 = 1 << 30;

/// An archive with these entries: name, kind, content.
fn archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Absolute names and ".." are what the builder would refuse.
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn file(name: &str, content: &str) -> Vec<u8> {
    archive(&[(name, tar::EntryType::Regular, content.as_bytes())])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn found(layer: &[u8]) -> InLayer {
    search(layer, FILE, PLENTY).found
}

#[test]
fn the_file_is_found_however_the_layer_is_packed() {
    let long = "x".repeat(200_000);
    let layer = archive(&[
        ("usr/", tar::EntryType::Directory, b""),
        ("usr/big", tar::EntryType::Regular, long.as_bytes()),
        (
            "usr/scm-source.json",
            tar::EntryType::Regular,
            b"not this one",
        ),
        (FILE, tar::EntryType::Regular, b"{}"),
    ]);
    let (head, tail) = layer.split_at(70_001);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    for (packing, packed) in [
        ("none", layer.clone()),
        ("gzip", gzip(&layer)),
        ("gzip in two members", [gzip(head), gzip(tail)].concat()),
        ("zstd", zstd(&layer)),
        ("zstd in two frames", [zstd(head), zstd(tail)].concat()),
        (
            "zstd with frames to skip",
            [&skippable[..], &zstd(head), &skippable, &zstd(tail)].concat(),
        ),
    ] {
        assert_eq!(found(&packed), InLayer::File(b"{}".to_vec()), "{packing}");
    }
}

#[test]
fn what_other_programs_have_packed_is_unpacked() {
    // The file with `{}` and a line end, as GNU tar 1.34 and zstd 1.5.4 write it.
    let hex = "28b52ffd640027ed020032840e15b0376384c9f62350d8b6240544489274bc55428f0c408230d575a5ac816d\
        bb9c4164f0c3334dc213e1e5ff9f93feefd02d0442ada61b186a030c00dd05f0000000c2d000054361003100\
        6a4e9881f030d300e856ae2d26b0048747d2be";
    let digits: Vec<char> = hex.chars().collect();
    let packed: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect();
    assert_eq!(found(&packed), InLayer::File(b"{}\n".to_vec()));
}

#[test]
fn the_root_folder_has_several_spellings() {
    for name in [
        FILE,
        "./scm-source.json",
        "/scm-source.json",
        ".//./scm-source.json",
    ] {
        assert_eq!(
            found(&file(name, "{}")),
            InLayer::File(b"{}".to_vec()),
            "{name}"
        );
    }
    for name in [
        "a/scm-source.json",
        "scm-source.json.bak",
        "./a/./scm-source.json",
        "x",
    ] {
        assert_eq!(found(&file(name, "{}")), InLayer::Absent, "{name}");
    }
}

#[test]
fn whiteouts_take_away_what_is_below_and_not_what_is_beside() {
    use tar::EntryType::Regular;
    let removed = archive(&[(".wh.scm-source.json", Regular, b"")]);
    let opaque = archive(&[("./.wh..wh..opq", Regular, b""), ("a", Regular, b"b")]);
    let elsewhere = archive(&[
        ("a/.wh..wh..opq", Regular, b""),
        (".wh.other", Regular, b""),
    ]);
    let replaced = archive(&[
        (".wh.scm-source.json", Regular, b""),
        (FILE, Regular, b"new"),
    ]);
    assert_eq!(found(&removed), InLayer::Removed);
    assert_eq!(found(&opaque), InLayer::Removed);
    assert_eq!(found(&elsewhere), InLayer::Absent);
    assert_eq!(found(&replaced), InLayer::File(b"new".to_vec()));
}

#[test]
fn what_only_bears_the_name_is_no_file() {
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Link,
        tar::EntryType::Directory,
        tar::EntryType::Fifo,
    ] {
        assert_eq!(
            found(&archive(&[(FILE, kind, b"")])),
            InLayer::NotAFile,
            "{kind:?}"
        );
    }
}

/// An entry before the file's own whose header states this kind and size, with this much data behind it.
fn after(kind: tar::EntryType, size: u64, data: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_path("x").unwrap();
    header.set_size(size);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes.extend(file("y", "{}"));
    bytes
}

#[test]
fn long_names_and_extended_headers_are_understood() {
    let long = format!("./{FILE}\0");
    let named = after(
        tar::EntryType::GNULongName,
        long.len() as u64,
        long.as_bytes(),
    );
    assert_eq!(found(&named), InLayer::File(b"{}".to_vec()));
    let record = b"24 path=./scm-source.json\n";
    let record = [&record[2..], b""].concat();
    let record = [format!("{}", record.len() + 2).as_bytes(), &record].concat();
    let extended = after(tar::EntryType::XHeader, record.len() as u64, &record);
    assert_eq!(found(&extended), InLayer::File(b"{}".to_vec()));
    // A link's stated size is not followed by data.
    let link = after(tar::EntryType::Link, 4096, b"");
    assert_eq!(found(&link), InLayer::Absent);
}

#[test]
fn the_size_in_an_extended_header_counts() {
    // Two blocks of data where the plain header says none: in them an entry that a careless reader would take.
    let hidden = file(FILE, "hidden");
    let record = format!("13 size={}\n", 1024);
    assert_eq!(record.len(), 13);
    let mut layer = after(tar::EntryType::XHeader, 13, record.as_bytes());
    layer.truncate(1024);
    let mut header = tar::Header::new_gnu();
    header.set_path("big").unwrap();
    header.set_size(0);
    header.set_cksum();
    layer.extend_from_slice(header.as_bytes());
    layer.extend_from_slice(&hidden[..1024]);
    layer.extend(file(FILE, "real"));
    assert_eq!(found(&layer), InLayer::File(b"real".to_vec()));
}

#[test]
fn what_is_too_long_is_not_kept_in_memory() {
    for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
        let layer = after(kind, 8 << 30, b"");
        let InLayer::Unreadable(why) = found(&layer) else {
            panic!("{kind:?}");
        };
        assert!(why.contains("extended header of 8589934592 bytes"), "{why}");
    }
    let content = "x".repeat(LARGEST_FILE as usize + 1);
    let InLayer::Unreadable(why) = found(&file(FILE, &content)) else {
        panic!("a large file was read");
    };
    assert!(why.contains("1048577 bytes"), "{why}");
}

#[test]
fn what_is_broken_is_unreadable_and_says_so() {
    let whole = gzip(&file("a", &"text".repeat(10_000)));
    let mut damaged = zstd(&file("a", &"text".repeat(10_000)));
    damaged.truncate(20);
    for (what, layer) in [
        ("rubbish", b"this is not an archive at all".repeat(30)),
        ("xz", [b"\xfd7zXZ\0".to_vec(), vec![7; 600]].concat()),
        ("half of it", whole[..whole.len() / 2].to_vec()),
        ("half of a frame", damaged),
        (
            "a frame with an endless window",
            vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0, 0, 0, 0],
        ),
        ("half of a header", file("a", "")[..100].to_vec()),
        (
            "an endless entry",
            after(tar::EntryType::Regular, u64::MAX - 5, b""),
        ),
    ] {
        assert!(
            matches!(found(&layer), InLayer::Unreadable(_)),
            "{what}: {:?}",
            found(&layer)
        );
    }
    assert_eq!(found(b""), InLayer::Absent);
}

#[test]
fn the_budget_is_kept_to_the_byte_and_counts_what_is_unpacked() {
    let layer = archive(&[
        ("zeros", tar::EntryType::Regular, &vec![0; 1 << 20]),
        (FILE, tar::EntryType::Regular, b"{}"),
    ]);
    let packed = gzip(&layer);
    assert!(packed.len() < 10_000);
    let needed = search(&packed[..], FILE, PLENTY).read;
    assert_eq!(
        search(&packed[..], FILE, needed).found,
        InLayer::File(b"{}".to_vec())
    );
    assert_eq!(
        search(&packed[..], FILE, needed - 1).found,
        InLayer::TooLarge
    );
    assert_eq!(search(&packed[..], FILE, 0).found, InLayer::TooLarge);
    // Behind the archive's end it may be padded, but not for ever.
    let padded = std::io::repeat(0).take(PLENTY);
    let layer = file("a", "b");
    let endless = search(Read::chain(&layer[..], padded), FILE, 10_000);
    assert_eq!(endless.found, InLayer::TooLarge);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        start in prop::sample::select(vec![&[][..], &[0x1f, 0x8b, 8, 0][..], &[0x28, 0xb5, 0x2f, 0xfd][..]]),
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        at in 0usize..1500,
    ) {
        found(&[start, &bytes].concat());
        // And a good archive with a few bytes of it changed.
        let mut layer = archive(&[
            ("a", tar::EntryType::Regular, b"text"), (FILE, tar::EntryType::Regular, b"{}"),
        ]);
        for (offset, byte) in bytes.iter().take(4).enumerate() {
            layer[at + offset] = *byte;
        }
        found(&layer);
        found(&zstd(&layer)[..]);
        let mut packed = gzip(&layer);
        let middle = packed.len() / 2;
        packed[middle] ^= 1;
        found(&packed);
    }
}
