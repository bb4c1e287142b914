//! WebSocket frames (RFC 6455) after an upgrade from HTTP, with per-message compression (RFC 7692).
//!
//! Each frame is a transaction on its own side. The last frame of a fragmented message has the payload
//! of the whole message. Payloads are unmasked, inflated and kept up to [`MAX_PAYLOAD`].

use flate2::{Decompress, FlushDecompress, Status};

use super::{AppParser, Record, TxList};
use crate::cursor::Cursor;
use crate::flow::{Direction, PerDirection};

/// Bytes kept of a frame's payload, and of a message.
pub const MAX_PAYLOAD: usize = 64 << 10;

/// A frame.
#[derive(Debug, Default)]
pub struct Frame {
    /// Last frame of its message.
    pub fin: bool,
    /// Its message is compressed (RSV1, RFC 7692 section 6).
    pub compressed: bool,
    /// Operation code (RFC 6455 section 5.2).
    pub opcode: u8,
    /// The masking key, when there is one.
    pub mask: Option<u32>,
    /// Payload without mask, of the whole message in its last frame.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The first byte's flags: FIN 0x80, RSV1 0x40.
    #[must_use]
    pub fn flags(&self) -> u8 {
        let fin = if self.fin { 0x80 } else { 0 };
        fin | if self.compressed { 0x40 } else { 0 }
    }
}

/// A frame whose payload is being read.
#[derive(Debug)]
struct Open {
    frame: Frame,
    left: u64,
    /// Bytes of payload so far, for the mask.
    at: usize,
}

#[derive(Debug, Default)]
struct Side {
    head: Vec<u8>,
    open: Option<Open>,
    /// A fragmented message so far, and whether it is compressed.
    message: Vec<u8>,
    compressed: bool,
    inflater: Option<Box<Decompress>>,
    lost: bool,
}

/// Parser of one connection.
#[derive(Debug, Default)]
pub struct Parser {
    sides: PerDirection<Side>,
    deflate: bool,
    /// Each message is compressed alone, by direction.
    alone: PerDirection<bool>,
}

impl Parser {
    /// With the value of `Sec-WebSocket-Extensions` the server answered.
    #[must_use]
    pub fn new(extensions: &[u8]) -> Self {
        let has = |word: &[u8]| memchr::memmem::find(extensions, word).is_some();
        Self {
            deflate: has(b"permessage-deflate"),
            alone: PerDirection {
                to_server: has(b"client_no_context_takeover"),
                to_client: has(b"server_no_context_takeover"),
            },
            ..Self::default()
        }
    }

    /// Reads from the front of `rest`; true while there is more to do with it.
    fn step(&mut self, dir: Direction, rest: &mut &[u8], txs: &mut TxList) -> bool {
        let side = self.sides.get_mut(dir);
        let Some(open) = &mut side.open else {
            let Some((first, tail)) = rest.split_first() else { return false };
            side.head.push(*first);
            *rest = tail;
            // A header has at most 14 bytes.
            if let Some(open) = header(&side.head) {
                side.head.clear();
                let empty = open.left == 0;
                side.open = Some(open);
                if empty {
                    self.close(dir, txs);
                }
            }
            return !rest.is_empty();
        };
        let n = usize::try_from(open.left).unwrap_or(usize::MAX).min(rest.len());
        let (bytes, tail) = rest.split_at_checked(n).unwrap_or((rest, &[]));
        *rest = tail;
        let room = MAX_PAYLOAD.saturating_sub(open.frame.payload.len());
        let key = open.frame.mask.unwrap_or(0).to_be_bytes();
        for (n, byte) in bytes.iter().take(room).enumerate() {
            let key = key.get(open.at.wrapping_add(n) & 3).copied().unwrap_or(0);
            open.frame.payload.push(byte ^ key);
        }
        open.at = open.at.wrapping_add(n);
        open.left = open.left.saturating_sub(u64::try_from(n).unwrap_or(u64::MAX));
        if open.left == 0 {
            self.close(dir, txs);
        }
        !rest.is_empty()
    }

    /// All of a frame was seen.
    fn close(&mut self, dir: Direction, txs: &mut TxList) {
        let alone = *self.alone.get(dir);
        let side = self.sides.get_mut(dir);
        let Some(Open { mut frame, .. }) = side.open.take() else { return };
        let control = frame.opcode & 8 != 0;
        let mut wrong = None;
        if !control {
            if frame.opcode != 0 {
                side.compressed = frame.compressed;
                side.message.clear();
            }
            if !frame.fin || frame.opcode == 0 {
                let room = MAX_PAYLOAD.saturating_sub(side.message.len());
                let kept = frame.payload.get(..room).unwrap_or(&frame.payload);
                side.message.extend_from_slice(kept);
            }
            if frame.fin && frame.opcode == 0 {
                frame.payload = std::mem::take(&mut side.message);
            }
            if frame.fin && side.compressed && self.deflate {
                let inflater =
                    side.inflater.get_or_insert_with(|| Box::new(Decompress::new(false)));
                match inflate(inflater, &frame.payload) {
                    Some(plain) => frame.payload = plain,
                    None => wrong = Some("failed_decompression"),
                }
                if alone {
                    side.inflater = None;
                }
            }
        }
        let id = txs.push(Record::Websocket(Box::new(frame)));
        let Some(tx) = txs.get_mut(id) else { return };
        if let Some(name) = wrong {
            tx.event(dir, name);
        }
        tx.reach(dir, 1);
        tx.close_silently(dir.reverse(), 1);
    }
}

/// The header of a frame, when all of it is there.
fn header(bytes: &[u8]) -> Option<Open> {
    let mut c = Cursor::new(bytes);
    let (first, second) = (c.u8()?, c.u8()?);
    let left = match second & 0x7f {
        126 => u64::from(c.u16()?),
        127 => u64::from(c.u32()?) << 32 | u64::from(c.u32()?),
        short => u64::from(short),
    };
    let mask = if second & 0x80 != 0 { Some(c.u32()?) } else { None };
    let frame = Frame {
        fin: first & 0x80 != 0,
        compressed: first & 0x40 != 0,
        opcode: first & 15,
        mask,
        payload: Vec::new(),
    };
    Some(Open { frame, left, at: 0 })
}

/// A compressed message (RFC 7692 section 7.2.2), at most [`MAX_PAYLOAD`] bytes of it.
fn inflate(inflater: &mut Decompress, coded: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(MAX_PAYLOAD);
    for part in [coded, &[0, 0, 0xff, 0xff]] {
        match inflater.decompress_vec(part, &mut out, FlushDecompress::Sync) {
            Ok(Status::Ok | Status::BufError | Status::StreamEnd) => {}
            Err(_) => return None,
        }
    }
    out.shrink_to_fit();
    Some(out)
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        if self.sides.get(dir).lost {
            return;
        }
        let mut rest = bytes;
        // Each step takes at least one byte.
        while self.step(dir, &mut rest, txs) {}
    }

    fn gap(&mut self, dir: Direction, missing: u64, _txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        match &mut side.open {
            Some(open) if open.left > missing => {
                open.left = open.left.saturating_sub(missing);
                open.at = open.at.wrapping_add(usize::try_from(missing).unwrap_or(0));
            }
            _ => side.lost = true,
        }
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pieces: &[&[u8]], extensions: &[u8]) -> Vec<(u8, Option<u32>, Vec<u8>)> {
        let mut parser = Parser::new(extensions);
        let mut txs = TxList::default();
        for piece in pieces {
            parser.data(Direction::ToServer, piece, &mut txs);
        }
        txs.iter()
            .map(|tx| match &tx.record {
                Record::Websocket(frame) => {
                    (frame.opcode | frame.flags(), frame.mask, frame.payload.clone())
                }
                _ => unreachable!("only frames"),
            })
            .collect()
    }

    /// Hello masked, a fragmented message with a ping between its parts, an empty close.
    const STREAM: &[u8] =
        b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x01\x03Hel\x89\x01p\x80\x02lo\x88\x00";

    #[test]
    fn frames_of_the_rfc_in_any_pieces() {
        // RFC 6455 section 5.7.
        let expected = vec![
            (0x81, Some(0x37fa_213d), b"Hello".to_vec()),
            (0x01, None, b"Hel".to_vec()),
            (0x89, None, b"p".to_vec()),
            (0x80, None, b"Hello".to_vec()),
            (0x88, None, b"".to_vec()),
        ];
        for cut in 0..STREAM.len() {
            let (head, tail) = STREAM.split_at(cut);
            assert_eq!(run(&[head, tail], b""), expected, "{cut}");
        }
    }

    #[test]
    fn compressed_messages_share_their_window() {
        // RFC 7692 section 7.2.3.2: the second Hello refers to the first.
        let stream = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00".as_slice();
        let plain = |list: Vec<(u8, Option<u32>, Vec<u8>)>| -> Vec<Vec<u8>> {
            list.into_iter().map(|(_, _, payload)| payload).collect()
        };
        assert_eq!(plain(run(&[stream], b"permessage-deflate")), [b"Hello", b"Hello"]);
        assert_ne!(plain(run(&[stream], b"")), [b"Hello", b"Hello"]);
    }

    #[test]
    fn long_payloads_and_bombs_are_bounded() {
        let mut long = b"\x82\x7f\0\0\0\0\0\x02\0\0".to_vec();
        long.extend(vec![b'x'; 0x2_0000]);
        long.extend(b"\x89\x00");
        let frames = run(&[&long], b"");
        assert_eq!(frames.len(), 2, "the next frame is found");
        assert_eq!(frames[0].2.len(), MAX_PAYLOAD);
        let mut coder = flate2::Compress::new(flate2::Compression::best(), false);
        let mut coded = Vec::with_capacity(60_000);
        coder.compress_vec(&vec![0; 4 << 20], &mut coded, flate2::FlushCompress::Sync).unwrap();
        let length = u16::try_from(coded.len()).unwrap().to_be_bytes();
        let bomb = [&[0xc2, 126, length[0], length[1]], coded.as_slice()].concat();
        assert!(run(&[&bomb], b"permessage-deflate")[0].2.len() <= MAX_PAYLOAD);
    }
}
