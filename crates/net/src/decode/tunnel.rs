//! Encapsulations whose inside is a packet of its own: GRE (RFC 2784, 2890, 2637), ERSPAN
//! (draft-foschiano-erspan), VXLAN (RFC 7348), GENEVE (RFC 8926).

use super::{DecoderEvent, Inner, Packet};
use crate::cursor::Cursor;

const VXLAN_PORT: u16 = 4789;
const GENEVE_PORT: u16 = 6081;

pub(super) fn gre<'a>(p: &mut Packet<'a>, bytes: &'a [u8]) {
    let mut c = Cursor::new(bytes);
    let (Some(flags), Some(protocol)) = (c.u16(), c.u16()) else {
        return p.note(DecoderEvent::GrePktTooSmall);
    };
    let (checksum, routing, key) = (flags & 0x8000 != 0, flags & 0x4000 != 0, flags & 0x2000 != 0);
    let (sequence, source_route) = (flags & 0x1000 != 0, flags & 0x0800 != 0);
    let (recursion, acknowledgement) = (flags & 0x0700 != 0, flags & 0x0080 != 0);
    match flags & 7 {
        0 => {
            if recursion {
                return p.note(DecoderEvent::GreVersion0Recur);
            }
            if flags & 0x00f8 != 0 {
                return p.note(DecoderEvent::GreVersion0Flags);
            }
        }
        1 => {
            let wrong = [
                (checksum, DecoderEvent::GreVersion1Chksum),
                (routing, DecoderEvent::GreVersion1Route),
                (source_route, DecoderEvent::GreVersion1Ssr),
                (recursion, DecoderEvent::GreVersion1Recur),
                (flags & 0x0078 != 0, DecoderEvent::GreVersion1Flags),
                (protocol != 0x880b, DecoderEvent::GreVersion1WrongProtocol),
                (!key, DecoderEvent::GreVersion1NoKey),
            ];
            if let Some((_, event)) = wrong.iter().find(|(is_wrong, _)| *is_wrong) {
                return p.note(*event);
            }
        }
        _ => return p.note(DecoderEvent::GreWrongVersion),
    }
    let mut optional = 0usize;
    for present in [checksum || routing, key, sequence, acknowledgement && flags & 7 == 1] {
        optional = optional.saturating_add(if present { 4 } else { 0 });
    }
    let too_big = if flags & 7 == 0 {
        DecoderEvent::GreVersion0HdrTooBig
    } else {
        DecoderEvent::GreVersion1HdrTooBig
    };
    if c.skip(optional).is_none() {
        return p.note(too_big);
    }
    if routing && flags & 7 == 0 && skip_source_routes(&mut c).is_none() {
        return p.note(DecoderEvent::GreVersion0MalformedSreHdr);
    }
    let rest = c.rest();
    p.payload = rest;
    p.inner = match protocol {
        0x0800 | 0x86dd => Some(Inner::Ip(rest)),
        0x6558 => Some(Inner::Ethernet(rest)),
        0x8100 | 0x88a8 | 0x8847 | 0x8848 => Some(Inner::EtherType(protocol, rest)),
        0x880b => ppp(rest),
        // Without a sequence number it is ERSPAN type I: no header at all.
        0x88be if !sequence => Some(Inner::Ethernet(rest)),
        0x88be => erspan(p, rest, 8),
        0x22eb => erspan(p, rest, 12),
        _ => None,
    };
}

/// RFC 1701: address family, offset, length, until an entry of length zero.
fn skip_source_routes(c: &mut Cursor<'_>) -> Option<()> {
    loop {
        let family = c.u16()?;
        c.skip(1)?;
        let length = c.u8()?;
        if family == 0 && length == 0 {
            return Some(());
        }
        c.skip(usize::from(length))?;
    }
}

fn ppp(bytes: &[u8]) -> Option<Inner<'_>> {
    let mut c = Cursor::new(bytes);
    if bytes.starts_with(&[0xff, 0x03]) {
        c.skip(2)?;
    }
    let first = c.u8()?;
    let protocol =
        if first & 1 == 1 { u16::from(first) } else { u16::from_be_bytes([first, c.u8()?]) };
    match protocol {
        0x21 | 0x57 => Some(Inner::Ip(c.rest())),
        _ => None,
    }
}

fn erspan<'a>(p: &mut Packet<'a>, bytes: &'a [u8], header: usize) -> Option<Inner<'a>> {
    let mut c = Cursor::new(bytes);
    let Some(first) = c.u16() else {
        p.note(DecoderEvent::ErspanHeaderTooSmall);
        return None;
    };
    if !matches!(first >> 12, 1 | 2) {
        p.note(DecoderEvent::ErspanUnsupportedVersion);
        return None;
    }
    let Some(rest) = bytes.get(header..) else {
        p.note(DecoderEvent::ErspanHeaderTooSmall);
        return None;
    };
    if first & 0x0fff != 0 && !p.vlan.push(first) {
        p.note(DecoderEvent::ErspanTooManyVlanLayers);
    }
    // Type III may carry 8 bytes more, announced by the last bit of its header.
    let more = header == 12 && bytes.get(11).is_some_and(|b| b & 1 == 1);
    rest.get(if more { 8 } else { 0 }..).map(Inner::Ethernet)
}

/// Tunnels known by their registered UDP port.
pub(super) fn over_udp<'a>(p: &mut Packet<'a>, _src: u16, dst: u16, payload: &'a [u8]) {
    match dst {
        VXLAN_PORT => vxlan(p, payload),
        GENEVE_PORT => geneve(p, payload),
        _ => {}
    }
}

fn vxlan<'a>(p: &mut Packet<'a>, bytes: &'a [u8]) {
    let mut c = Cursor::new(bytes);
    let (Some(flags), Some([r1, r2, r3]), Some(_vni), Some(last)) =
        (c.u8(), c.array::<3>(), c.u24(), c.u8())
    else {
        return;
    };
    if flags & 0x08 == 0 || [r1, r2, r3, last] != [0; 4] || c.remaining() < 14 {
        return;
    }
    p.inner = Some(Inner::Ethernet(c.rest()));
}

fn geneve<'a>(p: &mut Packet<'a>, bytes: &'a [u8]) {
    let mut c = Cursor::new(bytes);
    let (Some(first), Some(second), Some(protocol), Some(_), Some(reserved)) =
        (c.u8(), c.u8(), c.u16(), c.u24(), c.u8())
    else {
        return;
    };
    if first >> 6 != 0 || second & 0x3f != 0 || reserved != 0 {
        return;
    }
    let options = usize::from(first & 0x3f).saturating_mul(4);
    if c.skip(options).is_none() {
        return;
    }
    p.inner = match protocol {
        0x6558 => Some(Inner::Ethernet(c.rest())),
        0x0800 | 0x86dd => Some(Inner::Ip(c.rest())),
        0x8847 | 0x8100 => Some(Inner::EtherType(protocol, c.rest())),
        _ => {
            p.note(DecoderEvent::GeneveUnknownPayloadType);
            None
        }
    };
}
