//! Compressed log files (gzip, Zstandard, xz), read as the stream of what was compressed. Offsets are
//! offsets in that stream. Memory is bounded by the window of the format, whatever the file says.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::print::{HEAD, NEAR, Print};

/// Most memory of a decoder of xz, KiB.
const XZ_MEMORY: u32 = 64 * 1024;
/// Bytes read at a time while looking for a place.
const STEP: usize = 64 * 1024;

/// How a file is compressed, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// gzip, several members too.
    Gzip,
    /// Zstandard.
    Zstd,
    /// xz.
    Xz,
    /// A compression that is not read.
    Foreign,
}

impl Packing {
    /// By the ending of a name; `None` for a plain file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "gz" => Some(Self::Gzip),
            "zst" => Some(Self::Zstd),
            "xz" => Some(Self::Xz),
            "bz2" | "lz4" | "Z" | "zip" | "lzma" | "lzo" | "br" => Some(Self::Foreign),
            _ => None,
        }
    }
}

/// An open compressed file.
pub(super) struct Packed {
    reader: Box<dyn Read + Send>,
    at: u64,
    /// The first bytes, as far as they were read; at most 256.
    head: Vec<u8>,
    /// Bytes read already that come once more.
    back: Vec<u8>,
    /// What reading failed with behind the bytes that were given.
    failed: Option<io::Error>,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Packed").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Packed {
    /// Opens a file at the start of its stream.
    ///
    /// # Errors
    /// When it cannot be read, or its compression is not known here.
    pub(super) fn open(file: File, packing: Packing) -> io::Result<Self> {
        let file = BufReader::new(file);
        let reader: Box<dyn Read + Send> = match packing {
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Packing::Zstd => Box::new(zstd::Decoder::with_buffer(file)?),
            Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(file, true, XZ_MEMORY)),
            Packing::Foreign => return Err(io::Error::other("this compression is not read")),
        };
        Ok(Self { reader, at: 0, head: Vec::new(), back: Vec::new(), failed: None })
    }

    /// Reads what comes next; 0 at the end.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if !self.back.is_empty() {
            let count = self.back.len().min(bytes.len());
            let again = self.back.drain(..count);
            bytes.iter_mut().zip(again).for_each(|(to, from)| *to = from);
            self.at = self.at.saturating_add(u64::try_from(count).unwrap_or(0));
            return Ok(count);
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let got = self.reader.read(bytes)?;
        let known = bytes.get(..got).unwrap_or_default();
        let room = usize::try_from(HEAD).unwrap_or(0).saturating_sub(self.head.len());
        self.head.extend(known.iter().take(room));
        self.at = self.at.saturating_add(u64::try_from(got).unwrap_or(0));
        Ok(got)
    }

    /// Reads until a slice is full or the stream ends. What stands before damage is given first.
    pub(super) fn read_whole(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut have = 0;
        while have < room.len() {
            match self.read(room.get_mut(have..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(got) => have = have.saturating_add(got),
                Err(error) if have > 0 => {
                    self.failed = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(have)
    }

    /// The first bytes of the stream, at most 256, as far as it was read.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<bool> {
        let mut have = 0;
        while have < bytes.len() {
            match self.read(bytes.get_mut(have..).unwrap_or_default())? {
                0 => return Ok(false),
                got => have = have.saturating_add(got),
            }
        }
        Ok(true)
    }

    /// Goes on to an offset; false when the stream ends before.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<bool> {
        let mut bytes = vec![0; STEP];
        while self.at < offset {
            let left = usize::try_from(offset.saturating_sub(self.at)).unwrap_or(STEP).min(STEP);
            if !self.fill(bytes.get_mut(..left).unwrap_or_default())? {
                return Ok(false);
            }
        }
        Ok(self.at == offset)
    }

    /// Goes on to `offset` of a stream that begins with bytes of this CRC-32 and has the print on the
    /// way; false when it is another.
    pub(super) fn find(
        &mut self,
        (head, head_length): (u32, u64),
        print: Option<Print>,
        offset: u64,
    ) -> io::Result<bool> {
        let mut first = vec![0; usize::try_from(head_length.min(HEAD)).unwrap_or(0)];
        if !self.fill(&mut first)? || crc32fast::hash(&first) != head {
            return Ok(false);
        }
        let Some(print) = print else { return self.go_to(offset) };
        // The print may lie within the head.
        let length = usize::try_from(print.length).unwrap_or(NEAR).min(NEAR);
        let mut near = vec![0; length];
        let from = usize::try_from(print.at).unwrap_or(usize::MAX);
        match first.get(from..).and_then(|rest| rest.get(..length)) {
            Some(inside) => near.copy_from_slice(inside),
            None => {
                let already = first.get(from..).unwrap_or_default();
                let (known, rest) = near.split_at_mut(already.len().min(length));
                known.copy_from_slice(already.get(..known.len()).unwrap_or_default());
                if !self.skip_to(print.at.max(self.at))? || !self.fill(rest)? {
                    return Ok(false);
                }
            }
        }
        if crc32fast::hash(&near) != print.crc {
            return Ok(false);
        }
        self.go_to(offset)
    }

    /// Goes on to an offset, or back to one within the head; false when the stream ends before.
    fn go_to(&mut self, offset: u64) -> io::Result<bool> {
        if offset >= self.at {
            return self.skip_to(offset);
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let (true, Some(back)) = (self.at <= HEAD, self.head.get(from..)) else { return Ok(false) };
        self.back = back.to_vec();
        self.at = offset;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text() -> Vec<u8> {
        (0..5_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn open(bytes: &[u8], packing: Packing) -> Packed {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        Packed::open(file, packing).unwrap()
    }

    fn rest(packed: &mut Packed) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut bytes = [0; 1000];
        loop {
            match packed.read(&mut bytes)? {
                0 => return Ok(out),
                got => out.extend_from_slice(&bytes[..got]),
            }
        }
    }

    #[test]
    fn all_kinds_are_read() {
        let text = text();
        let (left, right) = text.split_at(1234);
        let mut xz =
            lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
        xz.write_all(&text).unwrap();
        for (bytes, packing) in [
            ([gzip(left), gzip(right)].concat(), Packing::Gzip),
            (zstd::bulk::compress(&text, 1).unwrap(), Packing::Zstd),
            (xz.finish().unwrap(), Packing::Xz),
        ] {
            let mut packed = open(&bytes, packing);
            assert!(packed.skip_to(5).unwrap());
            assert!(rest(&mut packed).unwrap() == text[5..], "{packing:?}");
            assert_eq!(packed.at, text.len() as u64);
            assert!(!packed.skip_to(u64::MAX).unwrap());
            // Cut short, it is an error and not the end.
            let mut cut = open(&bytes[..bytes.len() / 2], packing);
            assert!(rest(&mut cut).is_err(), "{packing:?}");
        }
        assert_eq!(Packing::of(Path::new("a.log.2.gz")), Some(Packing::Gzip));
        assert_eq!(Packing::of(Path::new("a.log.1")), None);
        let foreign = Packed::open(tempfile::tempfile().unwrap(), Packing::Foreign);
        assert_eq!(foreign.unwrap_err().to_string(), "this compression is not read");
    }

    #[test]
    fn a_place_is_found_by_its_content() {
        let text = text();
        let bytes = gzip(&text);
        let find = |head_length: usize, end: usize, offset: u64| {
            let head = crc32fast::hash(&text[..head_length]);
            let print = Print::ending(&text[..end], 0);
            let mut packed = open(&bytes, Packing::Gzip);
            let found = packed.find((head, head_length as u64), Some(print), offset).unwrap();
            found.then(|| rest(&mut packed).unwrap().len())
        };
        for (head, end) in [(256, 20_000), (20, 100), (256, 30), (256, 280), (100, 100), (7, 6)] {
            assert_eq!(find(head, end, 20_001), Some(text.len() - 20_001), "{head} {end}");
        }
        for (head, end, offset) in [(256, 0, 0), (256, 7, 8), (100, 60, 99)] {
            assert_eq!(
                find(head, end, offset),
                Some(text.len() - usize::try_from(offset).unwrap()),
                "{offset}"
            );
        }
        let offset = text.len() as u64;
        assert_eq!(find(256, 256, offset), Some(0));
        assert_eq!(find(256, 256, offset + 1), None);
        let mut packed = open(&bytes, Packing::Gzip);
        assert!(!packed.find((1, 256), None, 0).unwrap(), "another head");
        let wrong = Print { at: 300, length: 5, crc: 1 };
        let head = crc32fast::hash(&text[..256]);
        assert!(!open(&bytes, Packing::Gzip).find((head, 256), Some(wrong), 400).unwrap());
    }
}
