//! Encapsulations whose inside is a packet of its own: GRE (RFC 2784, 2890, 2637), ERSPAN
//! (draft-foschiano-erspan), VXLAN (RFC 7348), GENEVE (RFC 8926), Teredo (RFC 4380).

use super::{DecoderEvent, Inner, Packet, Source, ppp};
use crate::cursor::Cursor;

const VXLAN_PORT: u16 = 4789;
const GENEVE_PORT: u16 = 6081;
const TEREDO_PORT: u16 = 3544;

pub(super) fn gre<'a>(p: &mut Packet<'a>, bytes: &'a [u8]) {
    let mut c = Cursor::new(bytes);
    let (Some(flags), Some(protocol)) = (c.u16(), c.u16()) else {
        return p.invalid(DecoderEvent::GrePktTooSmall);
    };
    let (checksum, routing, key) = (flags & 0x8000 != 0, flags & 0x4000 != 0, flags & 0x2000 != 0);
    let (sequence, source_route) = (flags & 0x1000 != 0, flags & 0x0800 != 0);
    let (recursion, acknowledgement) = (flags & 0x0700 != 0, flags & 0x0080 != 0);
    match flags & 7 {
        0 => {
            if recursion {
                return p.invalid(DecoderEvent::GreVersion0Recur);
            }
            if flags & 0x00f8 != 0 {
                return p.invalid(DecoderEvent::GreVersion0Flags);
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
                return p.invalid(*event);
            }
        }
        _ => return p.invalid(DecoderEvent::GreWrongVersion),
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
        return p.invalid(too_big);
    }
    if routing && flags & 7 == 0 && skip_source_routes(&mut c).is_none() {
        return p.invalid(DecoderEvent::GreVersion0MalformedSreHdr);
    }
    let rest = c.rest();
    p.payload = rest;
    p.inner_source = Source::Gre;
    p.inner = match protocol {
        0x0800 | 0x86dd => Some(Inner::Ip(rest)),
        0x6558 => Some(Inner::Ethernet(rest)),
        0x0806 | 0x8100 | 0x88a8 | 0x8847 | 0x8848 => Some(Inner::EtherType(protocol, rest)),
        0x880b => in_ppp(rest),
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

fn in_ppp(bytes: &[u8]) -> Option<Inner<'_>> {
    let mut c = Cursor::new(bytes);
    if bytes.starts_with(&[0xff, 0x03]) {
        c.skip(2)?;
    }
    matches!(ppp::number(&mut c)?, 0x21 | 0x57).then(|| Inner::Ip(c.rest()))
}

fn erspan<'a>(p: &mut Packet<'a>, bytes: &'a [u8], header: usize) -> Option<Inner<'a>> {
    let mut c = Cursor::new(bytes);
    let Some(first) = c.u16() else {
        p.invalid(DecoderEvent::ErspanHeaderTooSmall);
        return None;
    };
    if !matches!(first >> 12, 1 | 2) {
        p.invalid(DecoderEvent::ErspanUnsupportedVersion);
        return None;
    }
    let Some(rest) = bytes.get(header..) else {
        p.invalid(DecoderEvent::ErspanHeaderTooSmall);
        return None;
    };
    if first & 0x0fff != 0 && !p.vlan.push(first) {
        p.invalid(DecoderEvent::ErspanTooManyVlanLayers);
    }
    // Type III may carry 8 bytes more, announced by the last bit of its header.
    let more = header == 12 && bytes.get(11).is_some_and(|b| b & 1 == 1);
    rest.get(if more { 8 } else { 0 }..).map(Inner::Ethernet)
}

/// Tunnels known by their registered UDP port.
pub(super) fn over_udp<'a>(p: &mut Packet<'a>, src: u16, dst: u16, payload: &'a [u8]) {
    match (src, dst) {
        (_, VXLAN_PORT) => vxlan(p, payload),
        (_, GENEVE_PORT) => geneve(p, payload),
        (_, TEREDO_PORT) | (TEREDO_PORT, _) => {
            if let Some(inside) = teredo(payload) {
                p.enclose(Inner::Ip(inside), Source::Teredo);
            }
        }
        _ => {}
    }
}

/// RFC 4380 section 5.1.1: indications of authentication and origin may precede an IPv6 packet.
fn teredo(bytes: &[u8]) -> Option<&[u8]> {
    let mut c = Cursor::new(bytes);
    if c.rest().starts_with(&[0, 1]) {
        c.skip(2)?;
        let (id, value) = (c.u8()?, c.u8()?);
        // Identifier, value, nonce and confirmation.
        c.skip(usize::from(id).saturating_add(usize::from(value)).saturating_add(9))?;
    }
    if c.rest().starts_with(&[0, 0]) {
        c.skip(8)?;
    }
    let packet = c.rest();
    let length = u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]);
    // Anything may use that port: only what fits exactly is taken for an IPv6 packet.
    let fits = packet.len() == usize::from(length).saturating_add(40);
    (fits && packet.first()? >> 4 == 6).then_some(packet)
}

/// Whether an Ethernet frame has something in it that we read.
fn is_readable(frame: &[u8]) -> bool {
    let kind = frame.get(12..14).and_then(|kind| <[u8; 2]>::try_from(kind).ok());
    matches!(
        kind.map(u16::from_be_bytes),
        Some(
            0x0800
                | 0x0806
                | 0x86dd
                | 0x8100
                | 0x88a8
                | 0x9100
                | 0x88e7
                | 0x8847
                | 0x8848
                | 0x8863
                | 0x8864
                | 0x894f
        )
    )
}

fn vxlan<'a>(p: &mut Packet<'a>, bytes: &'a [u8]) {
    let mut c = Cursor::new(bytes);
    let (Some(flags), Some([r1, r2, r3]), Some(vni), Some(last)) =
        (c.u8(), c.array::<3>(), c.u24(), c.u8())
    else {
        return;
    };
    if flags & 0x08 == 0 || [r1, r2, r3, last] != [0; 4] || c.remaining() < 14 {
        return;
    }
    if !is_readable(c.rest()) {
        p.note(DecoderEvent::VxlanUnknownPayloadType);
        return;
    }
    p.enclose(Inner::Ethernet(c.rest()), Source::Vxlan);
    p.inner_vni = Some(vni);
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
    p.inner_source = Source::Geneve;
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
