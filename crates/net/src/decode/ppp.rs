//! PPP (RFC 1661) and PPP over Ethernet (RFC 2516): protocol numbers, discovery tags.
//!
//! Hands IP over to [`super::ip`]; control protocols are named, not read.

use super::{DecodeOptions, DecoderEvent, Packet, ip};
use crate::cursor::Cursor;

/// RFC 2516 section 4: the header both stages share.
fn header(bytes: &[u8]) -> Option<(u8, u16, Cursor<'_>)> {
    let mut c = Cursor::new(bytes);
    c.skip(1)?;
    let code = c.u8()?;
    c.skip(2)?;
    let length = c.u16()?;
    Some((code, length, c))
}

/// Session stage: a PPP frame.
pub(super) fn session<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let Some((code, _, c)) = header(bytes) else {
        return p.invalid(DecoderEvent::PppoePktTooSmall);
    };
    if code != 0 {
        return p.invalid(DecoderEvent::PppoeWrongCode);
    }
    protocol(p, c, o);
    // Control protocols are what a session begins with.
    p.anomalies.remove(DecoderEvent::PppUnsupProto);
}

/// Discovery stage (RFC 2516 section 5): a list of tags.
pub(super) fn discovery<'a>(p: &mut Packet<'a>, bytes: &'a [u8]) {
    p.payload = bytes;
    let Some((code, length, c)) = header(bytes) else {
        return p.invalid(DecoderEvent::PppoePktTooSmall);
    };
    // PADI, PADO, PADR, PADS, PADT.
    if !matches!(code, 0x09 | 0x07 | 0x19 | 0x65 | 0xa7) {
        return p.invalid(DecoderEvent::PppoeWrongCode);
    }
    let Some(tags) = c.rest().get(..usize::from(length)) else {
        return p.invalid(DecoderEvent::PppoeMalformedTags);
    };
    let mut c = Cursor::new(tags);
    while c.remaining() >= 4 {
        if c.skip(2).and_then(|()| c.vec16()).is_none() {
            return p.note(DecoderEvent::PppoeMalformedTags);
        }
    }
}

/// A PPP frame with or without its framing (RFC 1662 section 3.1).
pub(super) fn frame<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let mut c = Cursor::new(bytes);
    if bytes.starts_with(&[0xff, 0x03]) {
        c.skip(2);
    }
    protocol(p, c, o);
}

/// The protocol field, which may be one byte long (RFC 1661 section 6.5).
pub(super) fn number(c: &mut Cursor<'_>) -> Option<u16> {
    let first = c.u8()?;
    // An odd first byte is a number compressed to one byte.
    if first & 1 == 1 { Some(u16::from(first)) } else { Some(u16::from_be_bytes([first, c.u8()?])) }
}

fn protocol<'a>(p: &mut Packet<'a>, mut c: Cursor<'a>, o: DecodeOptions) {
    let Some(protocol) = number(&mut c) else {
        return p.invalid(DecoderEvent::PppPktTooSmall);
    };
    p.payload = c.rest();
    match protocol {
        0x0021 if c.remaining() < 20 => p.invalid(DecoderEvent::PppIp4PktTooSmall),
        0x0021 => ip::v4(p, c.rest(), o),
        0x0057 if c.remaining() < 40 => p.invalid(DecoderEvent::PppIp6PktTooSmall),
        0x0057 => ip::v6(p, c.rest(), o),
        // Van Jacobson's uncompressed TCP/IP: an IP packet with another protocol number.
        0x002f if c.remaining() < 20 => p.invalid(DecoderEvent::PppVjuPktTooSmall),
        0x002f if c.rest().first().is_some_and(|b| b >> 4 == 4) => ip::v4(p, c.rest(), o),
        0x002f => {}
        _ if is_known(protocol) => p.note(DecoderEvent::PppUnsupProto),
        _ => p.invalid(DecoderEvent::PppWrongType),
    }
}

/// Numbers that have been assigned (IANA "PPP numbers") and carry no IP, or not as it is; those from
/// 0x8000 on are control protocols.
fn is_known(protocol: u16) -> bool {
    let network = matches!(protocol, 0x0023..=0x002d | 0x0031..=0x0035) && protocol % 2 == 1;
    network || matches!(protocol, 0x0201 | 0x0231 | 0x0233 | 0x0281 | 0x0283 | 0x8000..)
}
