//! Streams sealed in pieces: AES-256-GCM as STREAM does it, for files that are written and read once, front to back.
//!
//! Each piece of [`PIECE`] bytes has its own tag; its nonce is its number and whether it is the last, so that pieces
//! cannot change places and a stream cannot end early unnoticed. (Hoang, Reyhanitabar, Rogaway, Vizár: Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, CRYPTO 2015.) Not here: heads of files and where
//! keys come from; a key must seal one stream only.

use std::io::{self, Read, Write};

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

/// Bytes of a piece before it is sealed.
pub const PIECE: usize = 1 << 15;
/// Bytes that sealing adds to a piece.
pub const TAG: usize = 16;
/// Bytes of a sealed piece that is not the last.
const SEALED: usize = PIECE + TAG;

/// What one stream is sealed with.
pub struct PieceKey {
    key: LessSafeKey,
    /// What every piece is bound to: the head of the file.
    bound: Vec<u8>,
}

impl std::fmt::Debug for PieceKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("PieceKey(..)")
    }
}

impl PieceKey {
    /// `key` seals this one stream and nothing else; every piece is bound to the bytes of `bound`.
    #[must_use]
    pub const fn new(key: LessSafeKey, bound: Vec<u8>) -> Self {
        Self { key, bound }
    }

    /// The plain bytes of a sealed piece, in place; `None` when it is not that piece.
    fn open<'a>(&self, number: u64, last: bool, piece: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.key.open_in_place(nonce(number, last), Aad::from(&self.bound), piece).ok()
    }
}

fn nonce(number: u64, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    let [.., a, b, c, d, e, f, g, h, end] = &mut bytes;
    [*a, *b, *c, *d, *e, *f, *g, *h] = number.to_be_bytes();
    *end = last.into();
    Nonce::assume_unique_for_key(bytes)
}

/// Seals what is written to it. Without [`PieceWriter::finish`] the end is missing, and readers see that.
#[derive(Debug)]
pub struct PieceWriter<W> {
    to: W,
    key: PieceKey,
    number: u64,
    /// What makes no whole piece yet.
    piece: Vec<u8>,
}

impl<W: Write> PieceWriter<W> {
    /// Begins a stream; the head of the file stands already in `to`.
    pub const fn new(to: W, key: PieceKey) -> Self {
        Self { to, key, number: 0, piece: Vec::new() }
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        let nonce = nonce(self.number, last);
        self.number = self.number.saturating_add(1);
        self.key
            .key
            .seal_in_place_append_tag(nonce, Aad::from(&self.key.bound), &mut self.piece)
            .map_err(|_| io::Error::other("cannot seal"))?;
        self.to.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    /// Writes what is left as the last piece and gives back where it went.
    ///
    /// # Errors
    /// When writing or the library fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(true)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for PieceWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A whole piece waits until it is known whether it is the last.
        if self.piece.len() == PIECE && !bytes.is_empty() {
            self.put(false)?;
        }
        let room = PIECE.saturating_sub(self.piece.len()).min(bytes.len());
        self.piece.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        // A piece cannot be written before it is whole: its end would become known as one.
        self.to.flush()
    }
}

/// What is wrong with a stream, as far as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It ends between two pieces, before its last one.
    Ends,
    /// More bytes stand behind its end.
    Longer,
    /// A piece was changed, moved or cut.
    Changed,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Ends => "its end is cut off",
            Self::Longer => "something was added behind its end",
            Self::Changed => "changed, moved or cut off there",
        })
    }
}

/// Why a stream was not opened to its end.
#[derive(Debug, thiserror::Error)]
pub enum PieceError {
    /// It is not what was sealed.
    #[error("damaged at piece {piece}: {wrong}; {whole} bytes before it are whole")]
    Damaged {
        /// Number of the piece, from 0.
        piece: u64,
        /// Plain bytes that stand before it; all of them were given out.
        whole: u64,
        /// What is wrong.
        wrong: Wrong,
    },
    /// It cannot be read.
    #[error("cannot read it")]
    Read(#[source] io::Error),
    /// What it holds was not taken.
    #[error("cannot write what it holds")]
    Write(#[source] io::Error),
}

/// Opens a stream and gives each piece to `to` after it proved genuine; the number of plain bytes.
///
/// Memory: two pieces. What was given before an error is genuine, and not all of it.
///
/// # Errors
/// [`PieceError`].
pub fn open(
    mut from: impl Read,
    key: &PieceKey,
    to: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64, PieceError> {
    let mut sealed = Vec::with_capacity(SEALED.saturating_add(1));
    let (mut number, mut total) = (0_u64, 0_u64);
    loop {
        // One byte more than a piece tells whether another follows.
        let room = SEALED.saturating_add(1).saturating_sub(sealed.len());
        let more = u64::try_from(room).unwrap_or(0);
        (&mut from).take(more).read_to_end(&mut sealed).map_err(PieceError::Read)?;
        let last = sealed.len() <= SEALED;
        let next = (!last).then(|| sealed.split_off(SEALED));
        let copy = sealed.clone();
        let Some(plain) = key.open(number, last, &mut sealed) else {
            return Err(damage(key, (number, last), copy, total, to));
        };
        to(plain).map_err(PieceError::Write)?;
        total = total.saturating_add(length(plain));
        number = number.saturating_add(1);
        match next {
            Some(next) => sealed = next,
            None => return Ok(total),
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// What is wrong with a piece that did not open as what stands in its place; a genuine one is given out.
fn damage(
    key: &PieceKey,
    (piece, last): (u64, bool),
    mut sealed: Vec<u8>,
    whole: u64,
    to: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> PieceError {
    let Some(plain) = key.open(piece, !last, &mut sealed) else {
        return PieceError::Damaged { piece, whole, wrong: Wrong::Changed };
    };
    if let Err(error) = to(plain) {
        return PieceError::Write(error);
    }
    let wrong = if last { Wrong::Ends } else { Wrong::Longer };
    let (piece, whole) = (piece.saturating_add(1), whole.saturating_add(length(plain)));
    PieceError::Damaged { piece, whole, wrong }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::{AES_256_GCM, UnboundKey};
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8, bound: &[u8]) -> PieceKey {
        let key = UnboundKey::new(&AES_256_GCM, &[byte; 32]).unwrap();
        PieceKey::new(LessSafeKey::new(key), bound.to_vec())
    }

    fn content(length: usize) -> Vec<u8> {
        (0..=250).cycle().take(length).collect()
    }

    fn sealed(parts: &[&[u8]]) -> Vec<u8> {
        let mut writer = PieceWriter::new(Vec::new(), key(7, b"head"));
        parts.iter().for_each(|part| writer.write_all(part).unwrap());
        writer.finish().unwrap()
    }

    /// What comes out, and how it ends.
    fn opened(bytes: &[u8], key: &PieceKey) -> (Vec<u8>, Result<u64, String>) {
        let mut out = Vec::new();
        let done = open(bytes, key, &mut |plain| {
            out.extend_from_slice(plain);
            Ok(())
        });
        (out, done.map_err(|error| error.to_string()))
    }

    #[test]
    fn what_was_written_comes_out() {
        let content = content(PIECE * 3 + 5);
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, PIECE * 2, content.len()] {
            let content = &content[..length];
            let (front, back) = content.split_at(length / 3);
            let bytes = sealed(&[front, b"", back]);
            let (out, done) = opened(&bytes, &key(7, b"head"));
            assert_eq!((out.as_slice(), done), (content, Ok(length as u64)), "{length}");
            assert_eq!(bytes.len(), length + TAG * length.div_ceil(PIECE).max(1));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let content = content(PIECE * 2 + 9);
        let whole = sealed(&[&content]);
        let check = |bytes: &[u8], key: &PieceKey, expected: &str, out: usize| {
            let (found, done) = opened(bytes, key);
            assert_eq!(done.unwrap_err(), expected);
            assert_eq!(found, content[..out]);
        };
        let good = key(7, b"head");
        let mut swapped = whole.clone();
        swapped[..2 * SEALED].rotate_left(SEALED);
        let mut flipped = whole.clone();
        flipped[SEALED + 3] ^= 1;
        let longer = [&sealed(&[&content[..PIECE]])[..], b"x"].concat();
        let damaged = |piece: u64, wrong: Wrong, whole: usize| {
            format!("damaged at piece {piece}: {wrong}; {whole} bytes before it are whole")
        };
        check(&swapped, &good, &damaged(0, Wrong::Changed, 0), 0);
        check(&flipped, &good, &damaged(1, Wrong::Changed, PIECE), PIECE);
        check(&longer, &good, &damaged(1, Wrong::Longer, PIECE), PIECE);
        check(&whole[..SEALED], &good, &damaged(1, Wrong::Ends, PIECE), PIECE);
        check(&whole[..SEALED * 2], &good, &damaged(2, Wrong::Ends, PIECE * 2), PIECE * 2);
        check(&whole[..SEALED + 8], &good, &damaged(1, Wrong::Changed, PIECE), PIECE);
        check(&[], &good, &damaged(0, Wrong::Changed, 0), 0);
        for other in [key(8, b"head"), key(7, b"hea")] {
            check(&whole, &other, &damaged(0, Wrong::Changed, 0), 0);
        }
    }

    #[test]
    fn a_reader_or_writer_that_fails_is_no_damage() {
        let whole = sealed(&[b"text"]);
        let refused = open(&whole[..], &key(7, b"head"), &mut |_| Err(io::Error::other("full")));
        assert!(matches!(refused, Err(PieceError::Write(_))));
        struct Bad;
        impl Read for Bad {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("bad sector"))
            }
        }
        let refused = open(Bad, &key(7, b"head"), &mut |_| Ok(()));
        assert!(matches!(refused, Err(PieceError::Read(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever one change does, only genuine bytes come out, and the change is seen.
        #[test]
        fn one_change_is_always_seen(
            length in 0..PIECE * 3,
            place in any::<prop::sample::Index>(),
            what in 0..3_u8,
            bit in 0..8_u32,
        ) {
            let content = content(length);
            let mut bytes = sealed(&[&content]);
            let place = place.index(bytes.len());
            match what {
                0 => bytes[place] ^= 1 << bit,
                1 => bytes.truncate(place),
                _ => bytes.insert(place, u8::MAX),
            }
            let (out, done) = opened(&bytes, &key(7, b"head"));
            prop_assert!(done.is_err());
            prop_assert!(content.starts_with(&out));
            prop_assert!(out.len() <= place);
        }
    }
}
