//! Reading a tar archive for one file in its root folder.
//!
//! The headers are taken apart by the crate `tar`; the walk is our own, because that crate keeps long names and extended
//! headers whole in memory, however long they say they are.

use std::io::{self, Read};

use tar::{EntryType, Header, PaxExtensions};

use super::LARGEST_FILE;

const BLOCK: u64 = 512;
/// The longest name, and the longest extended header, that is kept.
const LONGEST_HEADER: u64 = 1 << 20;
/// What a file is called that takes another one away, and what takes away everything.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What the archive says about the file.
#[derive(Debug, PartialEq, Eq)]
pub enum Find {
    /// Its content.
    File(Vec<u8>),
    /// Something else of that name.
    NotAFile,
    /// It is longer than we read: this many bytes.
    TooLong(u64),
    /// Taken away from the layers below.
    Removed,
    /// Nothing.
    Absent,
}

/// What stands before an entry and is about it.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Looks for `file` in the root folder. Ends at the first entry of that name; one that takes it away from the layers
/// below does not end the search, since it says nothing about this layer.
pub fn find(mut archive: impl Read, file: &str) -> io::Result<Find> {
    let file = file.as_bytes();
    let whiteout = [WHITEOUT, file].concat();
    let mut outcome = Find::Absent;
    let mut extended = Extended::default();
    while let Some(header) = next_header(&mut archive)? {
        let kind = header.entry_type();
        if let Some(more) = extension(&mut archive, &header, kind)? {
            extended.name = more.name.or(extended.name);
            extended.size = more.size.or(extended.size);
            continue;
        }
        if kind == EntryType::GNUSparse {
            skip_sparse_map(&mut archive, &header)?;
        }
        let Extended { name, size } = std::mem::take(&mut extended);
        // Entries without data may state a size; readers of the field are agreed to ignore it.
        let size = match has_data(kind) {
            true => size.map_or_else(|| header.entry_size(), Ok)?,
            false => 0,
        };
        let name = name.unwrap_or_else(|| header.path_bytes().into_owned());
        let name = in_root(&name);
        if name == file {
            return match kind {
                EntryType::Regular | EntryType::Continuous => content(archive, size),
                _ => Ok(Find::NotAFile),
            };
        }
        if name == whiteout || name == OPAQUE {
            outcome = Find::Removed;
        }
        skip(&mut archive, padded(size)?)?;
    }
    Ok(outcome)
}

fn content(archive: impl Read, size: u64) -> io::Result<Find> {
    if size > LARGEST_FILE {
        return Ok(Find::TooLong(size));
    }
    let mut content = Vec::new();
    archive.take(size).read_to_end(&mut content)?;
    match content.len() as u64 == size {
        true => Ok(Find::File(content)),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The name without what only says that it is in the root folder.
fn in_root(name: &[u8]) -> &[u8] {
    let mut name = name;
    while let Some(rest) = name.strip_prefix(b"./").or(name.strip_prefix(b"/")) {
        name = rest;
    }
    name
}

fn has_data(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

/// The next header; `None` at the archive's end, which is a block of zeros or the end of the stream.
fn next_header(archive: &mut impl Read) -> io::Result<Option<Header>> {
    let mut header = Header::new_old();
    let mut filled = 0;
    let block = header.as_mut_bytes();
    while filled < block.len() {
        match archive.read(&mut block[filled..])? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    if block.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    // The checksum counts its own field as blanks.
    let sum: u32 = block[..148]
        .iter()
        .chain(&block[156..])
        .map(|byte| u32::from(*byte))
        .sum();
    if header.cksum().ok() != Some(sum + 8 * u32::from(b' ')) {
        let message = "it is no tar archive, plain or packed by gzip or zstd";
        return Err(io::Error::other(message));
    }
    Ok(Some(header))
}

/// What an entry says about the one after it; `None`: it is one of its own.
fn extension(
    archive: &mut impl Read,
    header: &Header,
    kind: EntryType,
) -> io::Result<Option<Extended>> {
    let size = header.entry_size();
    match kind {
        EntryType::GNULongName => {
            let mut name = read_whole(archive, size?)?;
            while name.last() == Some(&0) {
                name.pop();
            }
            let name = Some(name);
            Ok(Some(Extended { name, size: None }))
        }
        EntryType::XHeader => {
            let records = read_whole(archive, size?)?;
            let mut extended = Extended::default();
            for record in PaxExtensions::new(&records) {
                let record = record?;
                match record.key_bytes() {
                    b"path" => extended.name = Some(record.value_bytes().to_vec()),
                    b"size" => {
                        let text = std::str::from_utf8(record.value_bytes()).unwrap_or_default();
                        extended.size = Some(text.parse().map_err(io::Error::other)?);
                    }
                    _ => {}
                }
            }
            Ok(Some(extended))
        }
        EntryType::GNULongLink | EntryType::XGlobalHeader => {
            skip(archive, padded(size?)?)?;
            Ok(Some(Extended::default()))
        }
        _ => Ok(None),
    }
}

fn read_whole(archive: &mut impl Read, size: u64) -> io::Result<Vec<u8>> {
    if size > LONGEST_HEADER {
        let message =
            format!("an extended header of {size} bytes; more than {LONGEST_HEADER} are not read");
        return Err(io::Error::other(message));
    }
    let mut bytes = Vec::new();
    archive.by_ref().take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    skip(archive, padded(size)? - size)?;
    Ok(bytes)
}

/// GNU tar's map of a sparse file goes on in blocks behind the header.
fn skip_sparse_map(archive: &mut impl Read, header: &Header) -> io::Result<()> {
    let mut more = header.as_gnu().is_some_and(|gnu| gnu.is_extended());
    while more {
        let mut block = [0; BLOCK as usize];
        archive.read_exact(&mut block)?;
        // After 21 pairs of numbers of 24 bytes stands whether another block follows.
        more = block[504] == 1;
    }
    Ok(())
}

fn padded(size: u64) -> io::Result<u64> {
    size.checked_next_multiple_of(BLOCK)
        .ok_or_else(|| io::Error::other("an entry of impossible size"))
}

fn skip(archive: &mut impl Read, count: u64) -> io::Result<()> {
    match io::copy(&mut archive.by_ref().take(count), &mut io::sink())? {
        read if read == count => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
