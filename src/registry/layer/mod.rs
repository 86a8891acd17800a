//! Looking for one file in a layer while it streams by. Constant memory, bounded work, nothing on disk.

mod archive;
mod unpack;

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use archive::Find;

/// The largest file that is given back.
pub const LARGEST_FILE: u64 = 1 << 20;

/// What the search of a layer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searched {
    /// What was found.
    pub found: InLayer,
    /// How many unpacked bytes were read for it.
    pub read: u64,
}

/// What a layer says about one file in the root folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InLayer {
    /// It has it, with this content.
    File(Vec<u8>),
    /// It has something else of that name: a folder, a link, a device.
    NotAFile,
    /// It takes the file of the layers below away, and has none itself.
    Removed,
    /// It says nothing about it.
    Absent,
    /// The budget ended before the layer did.
    TooLarge,
    /// It cannot be read, and why.
    Unreadable(String),
}

/// Searches a packed layer.
pub fn search(mut packed: impl Read, file: &str, budget: u64) -> Searched {
    let mut unpacked = match unpack::unpack(&mut packed) {
        Ok(unpacked) => Metered::new(unpacked, budget),
        Err(error) => return Searched::unreadable(&error),
    };
    let result = archive::find(&mut unpacked, file);
    let (read, spent) = (unpacked.read, unpacked.is_spent);
    drop(unpacked);
    let found = match result {
        _ if spent => InLayer::TooLarge,
        Ok(Find::File(content)) => InLayer::File(content),
        Ok(Find::NotAFile) => InLayer::NotAFile,
        Ok(Find::TooLong(size)) => InLayer::Unreadable(format!(
            "{file} in it has {size} bytes; more than {LARGEST_FILE} are not read"
        )),
        // To the end, so that what is missing is missing under the layer's digest. It may be padding, but not endless.
        Ok(found @ (Find::Removed | Find::Absent)) => match drain(packed, budget) {
            Ok(()) if found == Find::Removed => InLayer::Removed,
            Ok(()) => InLayer::Absent,
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => InLayer::TooLarge,
            Err(error) => return Searched::unreadable(&error),
        },
        Err(error) => InLayer::Unreadable(format!("it cannot be unpacked: {error}")),
    };
    Searched { found, read }
}

impl Searched {
    fn unreadable(error: &io::Error) -> Self {
        Self {
            found: InLayer::Unreadable(format!("it cannot be unpacked: {error}")),
            read: 0,
        }
    }
}

/// Reads what is left, and fails beyond `budget` bytes.
fn drain(rest: impl Read, budget: u64) -> io::Result<()> {
    let mut rest = rest.take(budget.saturating_add(1));
    match io::copy(&mut rest, &mut io::sink())? > budget {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(()),
    }
}

/// A reader that counts, and ends with an error when the budget is spent.
struct Metered<R> {
    inner: R,
    read: u64,
    budget: u64,
    is_spent: bool,
}

impl<R> Metered<R> {
    fn new(inner: R, budget: u64) -> Self {
        Self {
            inner,
            read: 0,
            budget,
            is_spent: false,
        }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        if self.read > self.budget {
            self.is_spent = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(count)
    }
}

/// The pieces of a layer, as they come from the network, for whoever reads them on a thread of its own.
pub struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Pieces {
    /// Reads what is sent here until the sender is gone.
    pub fn new(receiver: mpsc::Receiver<Bytes>) -> Self {
        let piece = Bytes::new();
        Self { receiver, piece }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
