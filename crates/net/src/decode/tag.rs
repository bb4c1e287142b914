//! Tags and headers between Ethernet and the network layer beside VLAN: VN-Tag and E-Tag (IEEE
//! 802.1BR), Cisco FabricPath, service chains (NSH, RFC 8300), provider backbones (IEEE 802.1ah).
//!
//! Each leads on within the same packet; [`super::link`] counts how many there are.

use super::{DecodeOptions, DecoderEvent, Packet, ip, link};
use crate::cursor::Cursor;

/// A tag of `size` bytes before the next EtherType.
fn tag(bytes: &[u8], size: usize) -> Option<(u16, &[u8])> {
    let mut c = Cursor::new(bytes);
    c.skip(size)?;
    let kind = c.u16()?;
    Some((kind, c.rest()))
}

pub(super) fn vntag<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let Some((kind, rest)) = tag(bytes, 4) else {
        return p.invalid(DecoderEvent::VntagHeaderTooSmall);
    };
    if !link::ether_payload(p, kind, rest, o) {
        p.note(DecoderEvent::VntagUnknownType);
    }
}

pub(super) fn etag<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let Some((kind, rest)) = tag(bytes, 6) else {
        return p.invalid(DecoderEvent::EtagHeaderTooSmall);
    };
    if !link::ether_payload(p, kind, rest, o) {
        p.note(DecoderEvent::EtagUnknownType);
    }
}

/// Two bytes of forwarding tag, then a whole Ethernet frame.
pub(super) fn fabric_path<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    match bytes.get(2..) {
        Some(rest) if rest.len() >= 14 => link::ethernet(p, rest, o),
        _ => p.invalid(DecoderEvent::DcePktTooSmall),
    }
}

/// IEEE 802.1ah: 4 bytes of service tag, then a whole Ethernet frame.
pub(super) fn provider_backbone<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    match tag(bytes, 16) {
        Some((kind, rest)) => {
            link::ether_payload(p, kind, rest, o);
        }
        None => p.invalid(DecoderEvent::Ieee8021ahHeaderTooSmall),
    }
}

/// RFC 8300 section 2.2: base and service path header, then context by its type.
pub(super) fn nsh<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let mut c = Cursor::new(bytes);
    let (Some(base), Some(kind), Some(next), Some(_)) = (c.u16(), c.u8(), c.u8(), c.u32()) else {
        return p.invalid(DecoderEvent::NshHeaderTooSmall);
    };
    if base >> 14 != 0 {
        return p.invalid(DecoderEvent::NshUnsupportedVersion);
    }
    let length = usize::from(base & 0x3f).saturating_mul(4);
    let Some(rest) = bytes.get(length..).filter(|_| length >= 8) else {
        return p.invalid(DecoderEvent::NshBadHeaderLength);
    };
    match kind & 15 {
        0 => return p.invalid(DecoderEvent::NshReservedType),
        // A context of four words.
        1 if length != 24 => return p.invalid(DecoderEvent::NshBadHeaderLength),
        1 | 2 => {}
        _ => return p.invalid(DecoderEvent::NshUnsupportedType),
    }
    p.payload = rest;
    match next {
        1 => ip::v4(p, rest, o),
        2 => ip::v6(p, rest, o),
        3 => link::ethernet(p, rest, o),
        _ => p.note(DecoderEvent::NshUnknownPayload),
    }
}
