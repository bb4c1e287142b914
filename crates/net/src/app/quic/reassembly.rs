//! The stream of handshake bytes that CRYPTO frames carry in pieces (RFC 9000 section 19.6).

use super::packet::varint;
use crate::cursor::Cursor;

/// Bytes of handshake kept of one direction, holes included.
const MAX_STREAM: u64 = 64 << 10;
/// Pieces kept that do not join.
const MAX_PIECES: usize = 64;

/// Handshake bytes of one direction.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// From the beginning, without holes.
    bytes: Vec<u8>,
    /// Beyond the first hole, by place.
    pieces: Vec<(u64, Vec<u8>)>,
}

/// What a payload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frames {
    Good,
    /// A frame that cannot be read, or must not be there.
    Wrong,
    /// More handshake than anybody has.
    TooLong,
}

impl Stream {
    /// Takes in the frames of an Initial packet (RFC 9000 section 12.4).
    pub(super) fn frames(&mut self, payload: &[u8]) -> Frames {
        let mut c = Cursor::new(payload);
        while !c.is_empty() {
            match self.frame(&mut c) {
                Some(Frames::Good) => {}
                Some(wrong) => return wrong,
                None => return Frames::Wrong,
            }
        }
        Frames::Good
    }

    fn frame(&mut self, c: &mut Cursor<'_>) -> Option<Frames> {
        match varint(c)? {
            // Padding, ping.
            0 | 1 => {}
            kind @ (2 | 3) => acknowledgement(c, kind == 3)?,
            6 => {
                let offset = varint(c)?;
                let length = usize::try_from(varint(c)?).ok()?;
                return Some(self.add(offset, c.take(length)?));
            }
            kind @ (0x1c | 0x1d) => {
                varint(c)?;
                if kind == 0x1c {
                    varint(c)?;
                }
                let reason = usize::try_from(varint(c)?).ok()?;
                c.skip(reason)?;
            }
            _ => return Some(Frames::Wrong),
        }
        Some(Frames::Good)
    }

    fn add(&mut self, offset: u64, bytes: &[u8]) -> Frames {
        let end = offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if end > MAX_STREAM || self.pieces.len() >= MAX_PIECES {
            return Frames::TooLong;
        }
        self.pieces.push((offset, bytes.to_vec()));
        self.pieces.sort_by_key(|(offset, _)| *offset);
        let pieces = std::mem::take(&mut self.pieces);
        for (offset, bytes) in pieces {
            let have = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
            match usize::try_from(have.saturating_sub(offset)) {
                Ok(known) if offset <= have => {
                    self.bytes.extend_from_slice(bytes.get(known..).unwrap_or_default());
                }
                _ => self.pieces.push((offset, bytes)),
            }
        }
        Frames::Good
    }

    /// The first handshake message when it is whole: its type and body.
    pub(super) fn message(&self) -> Option<(u8, &[u8])> {
        let mut c = Cursor::new(&self.bytes);
        Some((c.u8()?, c.vec24()?))
    }
}

fn acknowledgement(c: &mut Cursor<'_>, with_marks: bool) -> Option<()> {
    // Largest, delay.
    varint(c)?;
    varint(c)?;
    let ranges = varint(c)?;
    varint(c)?;
    for _ in 0..ranges {
        varint(c)?;
        varint(c)?;
    }
    for _ in 0..if with_marks { 3 } else { 0 } {
        varint(c)?;
    }
    Some(())
}
