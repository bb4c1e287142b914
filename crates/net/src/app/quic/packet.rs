//! Headers of packets: which packets a datagram has.

use super::{VERSION_1, VERSION_2};
use crate::cursor::Cursor;

/// Bytes of the shortest packet from its number on: what protects the header is as long (RFC 9001 section
/// 5.4.2).
const LEAST: usize = 20;
/// Longest connection identifier (RFC 9000 section 17.2).
const MAX_ID: usize = 20;

/// Kind of a packet with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
}

/// A packet with a long header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) kind: Kind,
    pub(super) version: u32,
    /// Connection identifier of the receiver.
    pub(super) destination: &'a [u8],
    /// The packet from its first byte to the end of its payload.
    pub(super) whole: &'a [u8],
    /// Where the packet number is.
    pub(super) number_at: usize,
}

/// Whether initial keys of a version are known: 1, 2, drafts from 23.
pub(super) fn is_known(version: u32) -> bool {
    matches!(version, VERSION_1 | VERSION_2 | 0xff00_0017..=0xff00_0022)
}

/// Google's versions whose packets are read: Q039 to Q046.
pub(super) fn is_google(version: u32) -> bool {
    matches!(version, 0x5130_3339 | 0x5130_3430..=0x5130_3439) && version <= 0x5130_3436
}

/// Whether a datagram begins with a packet of a known version that says so.
#[must_use]
pub fn looks_like(bytes: &[u8]) -> bool {
    match long(bytes) {
        Some((version, _)) if is_google(version) => true,
        Some(_) => next(&mut &*bytes).is_some_and(|packet| {
            let length = packet.whole.len().saturating_sub(packet.number_at);
            packet.kind == Kind::Retry || length >= LEAST
        }),
        None => super::google::public_version(bytes).is_some_and(is_google),
    }
}

/// The version of a long header, and what follows it.
pub(super) fn long(bytes: &[u8]) -> Option<(u32, Cursor<'_>)> {
    let mut c = Cursor::new(bytes);
    if c.u8()? & 0xc0 != 0xc0 {
        return None;
    }
    Some((c.u32()?, c))
}

/// An integer of variable length (RFC 9000 section 16).
pub(super) fn varint(c: &mut Cursor<'_>) -> Option<u64> {
    let first = c.u8()?;
    let mut value = u64::from(first & 0x3f);
    for _ in 1..1_u8.checked_shl(u32::from(first >> 6))? {
        value = value << 8 | u64::from(c.u8()?);
    }
    Some(value)
}

/// The next packet of a datagram; `None` at the end, and before what has no long header.
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Option<Packet<'a>> {
    let bytes = *rest;
    let (version, mut c) = long(bytes)?;
    if !is_known(version) {
        return None;
    }
    let destination = c.vec8().filter(|id| id.len() <= MAX_ID)?;
    c.vec8().filter(|id| id.len() <= MAX_ID)?;
    let kind = kind(version, *bytes.first()?);
    if kind == Kind::Retry {
        *rest = &[];
        return Some(Packet { kind, version, destination, whole: bytes, number_at: bytes.len() });
    }
    if kind == Kind::Initial {
        let token = varint(&mut c)?;
        c.skip(usize::try_from(token).ok()?)?;
    }
    let length = usize::try_from(varint(&mut c)?).ok()?;
    let number_at = c.position();
    c.skip(length)?;
    let (whole, later) = bytes.split_at_checked(c.position())?;
    *rest = later;
    Some(Packet { kind, version, destination, whole, number_at })
}

/// RFC 9000 section 17.2, RFC 9369 section 3.2.
fn kind(version: u32, first: u8) -> Kind {
    let bits = first >> 4 & 3;
    let bits = if version == VERSION_2 { bits.wrapping_sub(1) & 3 } else { bits };
    match bits {
        0 => Kind::Initial,
        1 => Kind::ZeroRtt,
        2 => Kind::Handshake,
        _ => Kind::Retry,
    }
}
