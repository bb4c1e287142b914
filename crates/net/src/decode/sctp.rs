//! SCTP (RFC 9260): the common header and its chunks.

use super::{DecoderEvent, Packet, Transport};
use crate::cursor::Cursor;

/// Types of this many chunks are kept; the others are counted.
const KEPT: usize = 16;

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const ABORT: u8 = 6;
const SHUTDOWN_COMPLETE: u8 = 14;

/// An SCTP packet.
#[derive(Clone, Copy, Debug)]
pub struct Sctp<'a> {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Verification tag.
    pub vtag: u32,
    /// Number of chunks.
    pub chunks: u32,
    /// Common header and the header of the first chunk.
    pub header: &'a [u8],
    /// User data of the first DATA chunk.
    pub data: Option<&'a [u8]>,
    kinds: [u8; KEPT],
    /// Bit for each type below 32 that is there.
    present: u32,
}

impl Sctp<'_> {
    /// Types of the first sixteen chunks.
    #[must_use]
    pub fn kinds(&self) -> &[u8] {
        let kept = usize::try_from(self.chunks).unwrap_or(KEPT).min(KEPT);
        self.kinds.get(..kept).unwrap_or_default()
    }

    /// True when a chunk of that type is there.
    #[must_use]
    pub fn has(&self, kind: u8) -> bool {
        kind < 32 && self.present >> kind & 1 == 1
    }

    fn add(&mut self, kind: u8) {
        if let Some(slot) = usize::try_from(self.chunks).ok().and_then(|n| self.kinds.get_mut(n)) {
            *slot = kind;
        }
        if kind < 32 {
            self.present |= 1 << kind;
        }
        self.chunks = self.chunks.saturating_add(1);
    }
}

/// Name of a chunk type as records and `sctp.chunk_type` write it.
#[must_use]
pub fn chunk_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "data",
        1 => "init",
        2 => "init_ack",
        3 => "sack",
        4 => "heartbeat",
        5 => "heartbeat_ack",
        6 => "abort",
        7 => "shutdown",
        8 => "shutdown_ack",
        9 => "error",
        10 => "cookie_echo",
        11 => "cookie_ack",
        12 => "ecne",
        13 => "cwr",
        14 => "shutdown_complete",
        15 => "auth",
        64 => "i_data",
        128 => "asconf_ack",
        130 => "re_config",
        132 => "pad",
        192 => "forward_tsn",
        193 => "asconf",
        194 => "i_forward_tsn",
        _ => return None,
    })
}

pub(super) fn packet<'a>(p: &mut Packet<'a>, bytes: &'a [u8]) {
    let mut c = Cursor::new(bytes);
    let (Some(src_port), Some(dst_port), Some(vtag), Some(_)) =
        (c.u16(), c.u16(), c.u32(), c.u32())
    else {
        return p.invalid(DecoderEvent::SctpPktTooSmall);
    };
    let header = bytes.get(..16).unwrap_or(bytes);
    p.payload = c.rest();
    let (chunks, kinds, present, data) = (0, [0; KEPT], 0, None);
    let mut sctp = Sctp { src_port, dst_port, vtag, chunks, header, data, kinds, present };
    walk(p, &mut sctp, c);
    p.transport = Transport::Sctp(sctp);
}

/// RFC 9260 section 3.2: type, flags, length, value, padded to four bytes.
fn walk<'a>(p: &mut Packet<'a>, sctp: &mut Sctp<'a>, mut c: Cursor<'a>) {
    while !c.is_empty() {
        let left = c.rest();
        let (Some(kind), Some(_), Some(length)) = (c.u8(), c.u8(), c.u16()) else {
            return p.note(DecoderEvent::SctpChunkTooSmall);
        };
        let Some(body) = usize::from(length).checked_sub(4).and_then(|n| c.take(n)) else {
            return p.note(DecoderEvent::SctpChunkLenInvalid);
        };
        sctp.add(kind);
        // The user data follows TSN, stream, sequence number and payload protocol.
        if kind == DATA && sctp.data.is_none() {
            sctp.data = body.get(12..);
        }
        let padding = usize::from(length).wrapping_neg() & 3;
        if c.remaining() <= padding || left.is_empty() {
            break;
        }
        c.skip(padding);
    }
    check(p, sctp);
}

fn check(p: &mut Packet<'_>, sctp: &Sctp<'_>) {
    if usize::try_from(sctp.chunks).is_ok_and(|count| count > KEPT) {
        p.note(DecoderEvent::SctpTooManyChunks);
    }
    // RFC 9260 section 6.10: these stand alone.
    if sctp.chunks > 1 && [INIT, INIT_ACK, SHUTDOWN_COMPLETE].iter().any(|kind| sctp.has(*kind)) {
        p.note(DecoderEvent::SctpInitChunkNotAlone);
    }
    // RFC 9260 section 8.5.1.
    if sctp.has(INIT) && sctp.vtag != 0 {
        p.note(DecoderEvent::SctpInitWithNonZeroVtag);
    }
    if sctp.has(DATA) && sctp.vtag == 0 && !sctp.has(ABORT) {
        p.note(DecoderEvent::SctpDataWithZeroVtag);
    }
}
