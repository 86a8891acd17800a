//! The compressions that OCI allows for layers, told apart by how they begin: what the media type says is sometimes
//! wrong, the first bytes never are.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The largest window of a Zstandard frame: what a search can take in memory. RFC 8878 asks for 8 MiB at least.
const LARGEST_WINDOW: u64 = 32 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// What begins a frame that holds no data; the first byte's low half is free.
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// A reader with the bytes that were looked at before it.
type Packed<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

/// The layer's archive, whatever it is packed with.
pub fn unpack<'a, R: Read + 'a>(mut packed: R) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    packed.by_ref().take(4).read_to_end(&mut start)?;
    let gzip = start.starts_with(&GZIP);
    let zstd =
        start == ZSTD || (start.len() == 4 && start[1..] == ZSTD_SKIPPABLE && start[0] >> 4 == 5);
    let packed = BufReader::new(Cursor::new(start).chain(packed));
    Ok(match (gzip, zstd) {
        (true, _) => Box::new(MultiGzDecoder::new(packed)),
        (_, true) => Box::new(Frames {
            packed,
            frame: None,
        }),
        _ => Box::new(packed),
    })
}

/// Zstandard frames one after the other, as some builders write them.
struct Frames<R: Read> {
    packed: Packed<R>,
    frame: Option<FrameDecoder>,
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            let Some(decoder) = &mut self.frame else {
                match self.open()? {
                    Some(decoder) => self.frame = Some(decoder),
                    None => return Ok(0),
                }
                continue;
            };
            while decoder.can_collect() == 0 && !decoder.is_finished() {
                decoder
                    .decode_blocks(&mut self.packed, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            match decoder.read(buffer)? {
                0 => self.frame = None,
                count => return Ok(count),
            }
        }
        Ok(0)
    }
}

impl<R: Read> Frames<R> {
    /// Opens the next frame that holds data; `None` at the end of the stream.
    fn open(&mut self) -> io::Result<Option<FrameDecoder>> {
        while !self.packed.fill_buf()?.is_empty() {
            let mut decoder = FrameDecoder::new();
            decoder.set_max_window_size(LARGEST_WINDOW);
            match decoder.init(&mut self.packed) {
                Ok(()) => return Ok(Some(decoder)),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => self.skip(u64::from(length))?,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(None)
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        match io::copy(&mut self.packed.by_ref().take(length), &mut io::sink())? {
            read if read == length => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
