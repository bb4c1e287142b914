//! Fingerprints of places in a file: what tells a file from another that took its inode, and finds it
//! again under another name or compressed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

/// Bytes at the head of a file that tell it from another.
pub(super) const HEAD: u64 = 256;
/// Bytes before a place that tell it from the same place of another file.
pub(super) const NEAR: usize = 64;

/// The CRC-32 of some bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// Offset of the first of them.
    pub at: u64,
    /// How many they are; at most 64.
    pub length: u32,
    /// Their CRC-32.
    pub crc: u32,
}

impl Print {
    /// Of the last bytes of `bytes`, which begin at `start`.
    pub(super) fn ending(bytes: &[u8], start: u64) -> Self {
        let skipped = bytes.len().saturating_sub(NEAR);
        let near = bytes.get(skipped..).unwrap_or_default();
        Self {
            at: start.saturating_add(u64::try_from(skipped).unwrap_or(0)),
            length: u32::try_from(near.len()).unwrap_or(0),
            crc: crc32fast::hash(near),
        }
    }

    /// Whether a file has just these bytes there.
    pub(super) fn is_in(&self, file: &File) -> io::Result<bool> {
        let mut bytes = [0; NEAR];
        let length = usize::try_from(self.length).unwrap_or(NEAR).min(NEAR);
        let near = bytes.get_mut(..length).unwrap_or_default();
        Ok(filled(file, near, self.at)? && crc32fast::hash(near) == self.crc)
    }
}

/// Fills a buffer from an offset; false when the file ends before.
pub(super) fn filled(file: &File, bytes: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// CRC-32 of the first `length` bytes, of which there are at most 256; `None` when there are fewer.
pub(super) fn head_of(file: &File, length: u64) -> io::Result<Option<u32>> {
    let mut bytes = [0; 256];
    let length = usize::try_from(length.min(HEAD)).unwrap_or(0);
    let head = bytes.get_mut(..length).unwrap_or_default();
    Ok(filled(file, head, 0)?.then(|| crc32fast::hash(head)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &[b'a'; 100]).unwrap();
        io::Write::write_all(&mut file, b"b").unwrap();
        let print = Print::ending(&[b'a'; 90], 10);
        assert_eq!((print.at, print.length), (36, 64));
        assert!(print.is_in(&file).unwrap());
        assert!(!Print { at: 37, ..print }.is_in(&file).unwrap(), "other bytes");
        assert!(!Print { at: 90, ..print }.is_in(&file).unwrap(), "behind the end");
        assert!(Print::ending(b"", 5).is_in(&file).unwrap(), "nothing is everywhere");
        assert_eq!(head_of(&file, 100).unwrap(), Some(crc32fast::hash(&[b'a'; 100])));
        assert_eq!(head_of(&file, 102).unwrap(), None);
    }
}
