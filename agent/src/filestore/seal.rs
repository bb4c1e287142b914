//! Files sealed while they are written: AES-256-GCM in pieces, as age and STREAM do it.
//!
//! Magic, 32 random bytes, then pieces of [`PIECE`] bytes, each with its tag. The key of a file is derived from the
//! agent's secret and the random bytes; the nonce is the number of the piece and whether it is the last, so that
//! pieces cannot change places and a file cannot end early unnoticed. (Hoang, Reyhanitabar, Rogaway, Vizár: Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, CRYPTO 2015.)

use std::fs::File;
use std::io::{self, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::keys::{self, Derived};

const MAGIC: [u8; 8] = *b"PKTFIL\0\x01";
const PURPOSE: &[u8] = b"pikett files in transit 1";
/// Bytes of a piece before it is sealed.
const PIECE: usize = 1 << 15;
const TAG: usize = 16;
const SALT: usize = 32;

/// The key from which those of files are derived; cannot be printed.
#[derive(Clone, Debug)]
pub(crate) struct FileKey(Derived);

impl FileKey {
    /// Derives the key from the agent's secret on disk; `None` when the library refuses.
    pub(crate) fn derive(secret: &[u8; 32]) -> Option<Self> {
        keys::derive(secret, &[], PURPOSE).map(Self)
    }

    fn of_file(&self, salt: &[u8; SALT]) -> io::Result<LessSafeKey> {
        let key = keys::derive(self.0.expose(), salt, PURPOSE);
        let key = key.and_then(|key| UnboundKey::new(&AES_256_GCM, key.expose()).ok());
        key.map(LessSafeKey::new).ok_or_else(|| io::Error::other("cannot derive the key of a file"))
    }
}

fn nonce(number: u64, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    let [.., a, b, c, d, e, f, g, h, end] = &mut bytes;
    [*a, *b, *c, *d, *e, *f, *g, *h] = number.to_be_bytes();
    *end = last.into();
    Nonce::assume_unique_for_key(bytes)
}

/// A file being written.
pub(crate) struct SealedFile {
    file: File,
    key: LessSafeKey,
    number: u64,
    /// What makes no whole piece yet.
    piece: Vec<u8>,
}

impl std::fmt::Debug for SealedFile {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SealedFile").field("number", &self.number).finish_non_exhaustive()
    }
}

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
        Ok(Self { file, key, number: 0, piece: Vec::new() })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the disk or the library refuses.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // A whole piece waits until it is known whether it is the last.
            if self.piece.len() == PIECE {
                self.put(false)?;
            }
            let room = PIECE.saturating_sub(self.piece.len()).min(bytes.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.piece.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes what is left. Without it the file cannot be opened.
    ///
    /// # Errors
    /// When the disk or the library refuses.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.put(true)
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        let nonce = nonce(self.number, last);
        self.number = self.number.saturating_add(1);
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(MAGIC), &mut self.piece)
            .map_err(|_| io::Error::other("cannot seal"))?;
        self.file.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

/// Writes what a sealed file holds to `to`: the number of bytes. What was written before an error is genuine, and
/// not all of it.
///
/// # Errors
/// When it is not sealed with this key, damaged or cut off; when reading or writing fails.
pub(crate) fn open(mut file: impl Read, key: &FileKey, mut to: impl Write) -> io::Result<u64> {
    let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut head = [0; MAGIC.len() + SALT];
    file.read_exact(&mut head)?;
    let salt = head.strip_prefix(&MAGIC).and_then(|salt| salt.first_chunk());
    let key = key.of_file(salt.ok_or_else(|| damaged("no sealed file of this agent"))?)?;
    let mut sealed = Vec::with_capacity(PIECE + TAG + 1);
    let (mut number, mut total) = (0_u64, 0_u64);
    loop {
        // One byte more than a piece tells whether another follows.
        let room = (PIECE + TAG + 1).saturating_sub(sealed.len());
        (&mut file).take(u64::try_from(room).unwrap_or(0)).read_to_end(&mut sealed)?;
        let last = sealed.len() <= PIECE + TAG;
        let next = (!last).then(|| sealed.split_off(PIECE + TAG));
        let plain = key
            .open_in_place(nonce(number, last), Aad::from(MAGIC), &mut sealed)
            .map_err(|_| damaged("damaged, cut off or sealed for another agent"))?;
        to.write_all(plain)?;
        total = total.saturating_add(u64::try_from(plain.len()).unwrap_or(0));
        number = number.saturating_add(1);
        match next {
            Some(next) => sealed = next,
            None => return Ok(total),
        }
    }
}

#[cfg(test)]
mod tests {
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
