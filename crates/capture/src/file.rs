//! Capture files: pcap and pcapng, streaming, also gzip or zstd compressed.
//!
//! A file is outside input: lengths are checked before they are believed, a damaged or cut file
//! gives what was readable and then one error with the position.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

#[cfg(test)]
mod format_tests;
mod pcapng;
mod window;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::{Burst, Frame, MAX_BURST};
use pcapng::Section;
use window::Window;

/// A record longer than this is taken for damage: twice what any link type carries.
const MAX_RECORD: u32 = 1 << 20;
/// A pcapng block longer than this is taken for damage.
const MAX_BLOCK: u32 = 16 << 20;

/// Bytes that decompression is given at once. Files that are not compressed are read past it.
const BUFFER: usize = 64 << 10;

/// What is wrong with a capture file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened.
    #[error("cannot open {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is neither pcap nor pcapng.
    #[error("{path} is not a capture file (it begins with {magic:02x?})")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        magic: [u8; 4],
    },
    /// It ends within a record.
    #[error("truncated at byte {position}: {what}")]
    Truncated {
        /// Offset in the (decompressed) file of the record that is cut.
        position: u64,
        /// What is cut.
        what: &'static str,
    },
    /// A length or number cannot be right.
    #[error("corrupt at byte {position}: {what}")]
    Corrupt {
        /// Offset in the (decompressed) file of the record that is wrong.
        position: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Reading or decompressing failed.
    #[error("cannot read on after byte {position}")]
    Read {
        /// Offset in the (decompressed) file.
        position: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Order of the bytes in a file's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// Four numbers in a row.
    fn words(self, bytes: [u8; 16]) -> [u32; 4] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        let words = [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]];
        match self {
            Self::Little => words.map(u32::from_le_bytes),
            Self::Big => words.map(u32::from_be_bytes),
        }
    }
}

/// Microseconds since the epoch.
fn moment(seconds: u32, fraction: u32, nanoseconds: bool) -> i64 {
    let fraction = if nanoseconds { fraction.wrapping_div(1000) } else { fraction };
    i64::from(seconds).saturating_mul(1_000_000).saturating_add(i64::from(fraction))
}

/// Numbers of one record, in the file's byte order.
#[derive(Clone, Copy, Debug)]
struct Fields<'a> {
    rest: &'a [u8],
    order: Order,
}

impl<'a> Fields<'a> {
    fn u16(&mut self) -> Option<u16> {
        let (head, rest) = self.rest.split_first_chunk::<2>()?;
        self.rest = rest;
        Some(self.order.u16(*head))
    }

    fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(self.order.u32(*head))
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(head)
    }
}

enum Format {
    Pcap { order: Order, nanoseconds: bool, link: u16, extra: usize },
    Pcapng(Section),
}

/// Where a frame lies: in the window, or first in the record that was read last.
#[derive(Clone, Copy, Debug)]
struct Found {
    ts: i64,
    interface: u32,
    wire_len: u32,
    link: u16,
    start: usize,
    len: usize,
}

/// A capture file being read.
pub struct FileReader {
    window: Window,
    format: Format,
    position: u64,
    /// Where the record being read begins.
    begin: u64,
    done: bool,
}

impl std::fmt::Debug for FileReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileReader").field("position", &self.position).finish_non_exhaustive()
    }
}

impl FileReader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be opened or does not begin like a capture file.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let open = |source| FileError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(open)?;
        Self::detect(Box::new(BufReader::with_capacity(BUFFER, file)), path)
    }

    /// Reads from any source, which may be compressed; `path` is for messages.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be read or does not begin like a capture file.
    pub fn detect(mut raw: Box<dyn BufRead + Send>, path: &Path) -> Result<Self, FileError> {
        let open = |source| FileError::Open { path: path.to_owned(), source };
        let magic: Vec<u8> = raw.fill_buf().map_err(open)?.iter().take(4).copied().collect();
        let input: Box<dyn Read + Send> = match magic.as_slice() {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(raw)),
            [0x28, 0xb5, 0x2f, 0xfd] => {
                let decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(open)?;
                Box::new(decoder)
            }
            _ => raw,
        };
        Self::new(input, path)
    }

    /// Reads from any source; `path` is for messages.
    ///
    /// # Errors
    /// [`FileError`] when it does not begin like a capture file.
    pub fn new(input: Box<dyn Read + Send>, path: &Path) -> Result<Self, FileError> {
        let format = Format::Pcapng(Section::default());
        let window = Window::new(input);
        let mut reader = Self { window, format, position: 0, begin: 0, done: false };
        if !reader.fill(4, "file header")? {
            return Err(FileError::Truncated { position: 0, what: "file header" });
        }
        let magic: [u8; 4] = reader.window.taken().try_into().unwrap_or_default();
        let (order, nanoseconds, extra) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, false, 0),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, false, 0),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, true, 0),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, true, 0),
            // A patched libpcap of the nineties: 8 more bytes in every record header.
            [0x34, 0xcd, 0xb2, 0xa1] => (Order::Little, false, 8),
            [0xa1, 0xb2, 0xcd, 0x34] => (Order::Big, false, 8),
            [0x0a, 0x0d, 0x0d, 0x0a] => {
                reader.section_header()?;
                return Ok(reader);
            }
            _ => return Err(FileError::Format { path: path.to_owned(), magic }),
        };
        if !reader.fill(20, "file header")? {
            return Err(FileError::Truncated { position: 0, what: "file header" });
        }
        let mut fields = Fields { rest: reader.window.taken(), order };
        fields.take(16);
        // The upper bits tell about frame check sequences.
        let link = u16::try_from(fields.u32().unwrap_or(0) & 0xffff).unwrap_or(0);
        reader.format = Format::Pcap { order, nanoseconds, link, extra };
        Ok(reader)
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// [`FileError`] once, when the file is cut or damaged; then the end.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FileError> {
        let found = self.find()?;
        Ok(found.map(|found| self.frame(found)))
    }

    /// The next frames, as many as were read already, at least one and `most` or [`MAX_BURST`] at most; none at the
    /// end. Of pcapng one at a time.
    ///
    /// # Errors
    /// [`FileError`] once, when the file is cut or damaged; then the end.
    pub fn next_burst(&mut self, most: usize) -> Result<Burst<'_>, FileError> {
        let most = most.min(MAX_BURST);
        let mut found = smallvec::SmallVec::<[Found; MAX_BURST]>::new();
        if most > 0 {
            found.extend(self.find()?);
        }
        while (1..most).contains(&found.len()) {
            let Some(next) = self.whole_record() else { break };
            found.push(next);
        }
        Ok(found.into_iter().map(|found| self.frame(found)).collect())
    }

    #[inline]
    fn find(&mut self) -> Result<Option<Found>, FileError> {
        if self.done {
            return Ok(None);
        }
        match self.whole_record() {
            Some(found) => Ok(Some(found)),
            None => self.record(),
        }
    }

    #[inline]
    fn frame(&self, found: Found) -> Frame<'_> {
        Frame {
            ts: found.ts,
            interface: found.interface,
            bytes: self.window.piece(found.start, found.len),
            wire_len: found.wire_len,
            link: found.link,
            checksums_pending: false,
        }
    }

    /// Where the next frame is, however it is stored.
    #[inline(never)]
    fn record(&mut self) -> Result<Option<Found>, FileError> {
        let found = match self.format {
            Format::Pcap { .. } => self.pcap_record(),
            Format::Pcapng(_) => self.pcapng_frame(),
        };
        self.done = !matches!(found, Ok(Some(_)));
        let begin = self.window.begin();
        let in_window = |found: Found| Found { start: begin.saturating_add(found.start), ..found };
        Ok(found?.map(in_window))
    }

    fn pcap_record(&mut self) -> Result<Option<Found>, FileError> {
        let Format::Pcap { order, nanoseconds, link, extra } = self.format else {
            return Ok(None);
        };
        let position = self.position;
        self.begin = position;
        if !self.fill(usize::saturating_add(16, extra), "record header")? {
            return Ok(None);
        }
        let mut fields = Fields { rest: self.window.taken(), order };
        let (Some(seconds), Some(fraction), Some(length), Some(wire_len)) =
            (fields.u32(), fields.u32(), fields.u32(), fields.u32())
        else {
            return Err(FileError::Truncated { position, what: "record header" });
        };
        if length > MAX_RECORD {
            return Err(FileError::Corrupt { position, what: "record length" });
        }
        let len = usize::try_from(length).unwrap_or(usize::MAX);
        if !self.fill(len, "packet")? && len > 0 {
            return Err(FileError::Truncated { position, what: "packet" });
        }
        let ts = moment(seconds, fraction, nanoseconds);
        Ok(Some(Found { ts, interface: 0, wire_len, link, start: 0, len }))
    }

    /// A record as most are: of the usual form, and all of it read already.
    #[inline]
    fn whole_record(&mut self) -> Option<Found> {
        let Format::Pcap { order, nanoseconds, link, extra: 0 } = self.format else { return None };
        let (header, rest) = self.window.rest().split_first_chunk::<16>()?;
        let [seconds, fraction, length, wire_len] = order.words(*header);
        let len = usize::try_from(length).ok()?;
        if length > MAX_RECORD || len > rest.len() {
            return None;
        }
        self.window.pass(16, len);
        self.position = self.position.saturating_add(16).saturating_add(u64::from(length));
        let ts = moment(seconds, fraction, nanoseconds);
        Some(Found { ts, interface: 0, wire_len, link, start: self.window.begin(), len })
    }

    /// The rest of a section header block whose type was read.
    fn section_header(&mut self) -> Result<(), FileError> {
        let position = self.position.saturating_sub(4);
        let cut = FileError::Truncated { position, what: "section header" };
        if !self.fill(8, "section header")? {
            return Err(cut);
        }
        let (length, magic) = match self.window.taken() {
            [a, b, c, d, magic @ ..] => ([*a, *b, *c, *d], magic),
            _ => return Err(cut),
        };
        let order = match magic {
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            _ => return Err(FileError::Corrupt { position, what: "byte order" }),
        };
        self.format = Format::Pcapng(Section::new(order));
        self.block_body(order.u32(length), 12, position)
    }

    /// Reads a block's body after `read` bytes of it, trailing length included.
    fn block_body(&mut self, length: u32, read: u32, position: u64) -> Result<(), FileError> {
        let wrong = FileError::Corrupt { position, what: "block length" };
        let rest = length
            .checked_sub(read)
            .filter(|rest| *rest >= 4 && length <= MAX_BLOCK && length.is_multiple_of(4));
        let Some(rest) = rest else { return Err(wrong) };
        if !self.fill(usize::try_from(rest).unwrap_or(usize::MAX), "block")? {
            return Err(FileError::Truncated { position, what: "block" });
        }
        // The length stands at both ends: where the two differ, one of them is damage.
        match (&self.format, self.window.taken().last_chunk::<4>()) {
            (Format::Pcapng(section), Some(again)) if section.order().u32(*again) == length => {
                Ok(())
            }
            _ => Err(wrong),
        }
    }

    fn pcapng_frame(&mut self) -> Result<Option<Found>, FileError> {
        loop {
            let position = self.position;
            self.begin = position;
            if !self.fill(4, "block header")? {
                return Ok(None);
            }
            let kind: [u8; 4] = self.window.taken().try_into().unwrap_or_default();
            if kind == [0x0a, 0x0d, 0x0d, 0x0a] {
                self.section_header()?;
                continue;
            }
            let Format::Pcapng(section) = &self.format else { return Ok(None) };
            let order = section.order();
            if !self.fill(4, "block header")? {
                return Err(FileError::Truncated { position, what: "block header" });
            }
            let length: [u8; 4] = self.window.taken().try_into().unwrap_or_default();
            self.block_body(order.u32(length), 8, position)?;
            let Format::Pcapng(section) = &mut self.format else { return Ok(None) };
            // The length at the block's end is no part of what it says.
            let body =
                self.window.taken().split_last_chunk::<4>().map_or(&[][..], |(body, _)| body);
            match section.block(order.u32(kind), body) {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(what) => return Err(FileError::Corrupt { position, what }),
            }
        }
    }

    /// Makes the next `n` bytes the record; false at the end of the file.
    fn fill(&mut self, n: usize, what: &'static str) -> Result<bool, FileError> {
        let have = self.window.take(n).map_err(|error| self.unread(error))?;
        self.position = self.position.saturating_add(u64::try_from(have).unwrap_or(0));
        if have == n {
            return Ok(true);
        }
        if have == 0 { Ok(false) } else { Err(FileError::Truncated { position: self.begin, what }) }
    }

    #[cold]
    fn unread(&self, source: io::Error) -> FileError {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            // Only decompression says so: the file is cut, even between two records.
            return FileError::Truncated { position: self.begin, what: "compressed data" };
        }
        FileError::Read { position: self.position, source }
    }
}
