//! Files sealed while they are written: magic, 32 random bytes, then pieces ([`service::pieces`]).
//!
//! The key of a file is derived from the agent's secret and the random bytes.

use std::fs::File;
use std::io::{self, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use service::pieces::{self, PieceError, PieceKey, PieceWriter};

use crate::keys::{self, Derived};

const MAGIC: [u8; 8] = *b"PKTFIL\0\x01";
const PURPOSE: &[u8] = b"pikett files in transit 1";
const SALT: usize = 32;

/// The key from which those of files are derived; cannot be printed.
#[derive(Clone, Debug)]
pub(crate) struct FileKey(Derived);

impl FileKey {
    /// Derives the key from the agent's secret on disk; `None` when the library refuses.
    pub(crate) fn derive(secret: &[u8; 32]) -> Option<Self> {
        keys::derive(secret, &[], PURPOSE).map(Self)
    }

    fn of_file(&self, salt: &[u8; SALT]) -> io::Result<PieceKey> {
        let key = keys::derive(self.0.expose(), salt, PURPOSE);
        let key = key.and_then(|key| UnboundKey::new(&AES_256_GCM, key.expose()).ok());
        let key = key.ok_or_else(|| io::Error::other("cannot derive the key of a file"))?;
        Ok(PieceKey::new(LessSafeKey::new(key), MAGIC.to_vec()))
    }
}

/// A file being written.
#[derive(Debug)]
pub(crate) struct SealedFile(PieceWriter<File>);

impl SealedFile {
    /// Begins in a file that is empty.
    ///
    /// # Errors
    /// When the disk or the library refuses.
    pub(crate) fn begin(mut file: File, key: &FileKey) -> io::Result<Self> {
        let mut salt = [0; SALT];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| io::Error::other("no random bytes"))?;
        let key = key.of_file(&salt)?;
        file.write_all(&[&MAGIC[..], &salt].concat())?;
        Ok(Self(PieceWriter::new(file, key)))
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the disk or the library refuses.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Writes what is left. Without it the file cannot be opened.
    ///
    /// # Errors
    /// When the disk or the library refuses.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.0.finish().map(drop)
    }
}

/// Writes what a sealed file holds to `to`: the number of bytes. What was written before an error is genuine, and
/// not all of it.
///
/// # Errors
/// When it is not sealed with this key, damaged or cut off; when reading or writing fails.
pub(crate) fn open(mut file: impl Read, key: &FileKey, mut to: impl Write) -> io::Result<u64> {
    let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut head = [0; MAGIC.len() + SALT];
    file.read_exact(&mut head)?;
    let salt = head.strip_prefix(&MAGIC).and_then(|salt| salt.first_chunk());
    let key =
        key.of_file(salt.ok_or_else(|| damaged("no sealed file of this agent".to_owned()))?)?;
    pieces::open(file, &key, &mut |plain| to.write_all(plain)).map_err(|error| match error {
        PieceError::Read(error) | PieceError::Write(error) => error,
        error @ PieceError::Damaged { .. } => {
            damaged(format!("{error}; or it was sealed for another agent"))
        }
    })
}

#[cfg(test)]
mod tests {
    use service::pieces::{PIECE, TAG};

    use super::*;

    fn key() -> FileKey {
        FileKey::derive(&[7; 32]).unwrap()
    }

    fn sealed(pieces: &[&[u8]]) -> Vec<u8> {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut file = SealedFile::begin(path.reopen().unwrap(), &key()).unwrap();
        pieces.iter().for_each(|piece| file.write_all(piece).unwrap());
        file.finish().unwrap();
        std::fs::read(path.path()).unwrap()
    }

    fn opened(bytes: &[u8], key: &FileKey) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let total = open(bytes, key, &mut out)?;
        assert_eq!(total, out.len() as u64);
        Ok(out)
    }

    #[test]
    fn what_was_written_comes_out() {
        let content: Vec<u8> = (0..=250).cycle().take(PIECE * 3 + 5).collect();
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, PIECE * 2, content.len()] {
            let content = &content[..length];
            let (front, back) = content.split_at(length / 3);
            let bytes = sealed(&[front, b"", back]);
            assert_eq!(opened(&bytes, &key()).unwrap(), content, "{length}");
            let pieces = length.div_ceil(PIECE).max(1);
            assert_eq!(bytes.len(), MAGIC.len() + SALT + length + TAG * pieces);
            assert!(length < 100 || !bytes.windows(50).any(|part| content.starts_with(part)));
        }
        assert_ne!(sealed(&[b"same"]), sealed(&[b"same"]));
    }

    #[test]
    fn nothing_opens_that_was_changed_cut_or_put_together() {
        let whole = sealed(&[&vec![1; PIECE * 2 + 9]]);
        let head = MAGIC.len() + SALT;
        let piece = PIECE + TAG;
        let mut swapped = whole.clone();
        swapped[head..head + 2 * piece].rotate_left(piece);
        let mut longer = whole.clone();
        longer.push(0);
        let (mut flipped, mut other) = (whole.clone(), whole.clone());
        flipped[head + 5] ^= 1;
        other[MAGIC.len()] ^= 1;
        let cut = [0, 5, head, head + piece, head + 2 * piece, whole.len() - 1];
        let cut = cut.into_iter().map(|at| whole[..at].to_vec());
        for bytes in [swapped, longer, flipped, other].into_iter().chain(cut) {
            assert!(opened(&bytes, &key()).is_err(), "{}", bytes.len());
        }
        assert!(opened(&whole, &FileKey::derive(&[8; 32]).unwrap()).is_err());
        assert!(opened(&whole, &key()).is_ok());
    }
}
