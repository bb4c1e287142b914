//! IPv4 with options, IPv6 with extension headers.

use std::net::IpAddr;

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::{
    DecodeOptions, DecoderEvent, Fragment, Inner, Ip, Packet, Source, options, transport, tunnel,
};
use crate::cursor::Cursor;

/// IP of the version its first nibble says.
pub(super) fn any<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    match bytes.first().map(|b| b >> 4) {
        Some(4) => v4(p, bytes, o),
        Some(6) => v6(p, bytes, o),
        _ => p.invalid(DecoderEvent::IprawInvalidIpVersion),
    }
}

pub(super) fn v4<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    if bytes.len() < 20 {
        return p.invalid(DecoderEvent::Ipv4PktTooSmall);
    }
    let first = bytes.first().copied().unwrap_or(0);
    if first >> 4 != 4 {
        return p.invalid(DecoderEvent::Ipv4WrongIpVersion);
    }
    let Ok(header) = Ipv4HeaderSlice::from_slice(bytes) else {
        // Version and minimum length are known to be good: the header length is what is left.
        let event = if first & 15 < 5 {
            DecoderEvent::Ipv4HlenTooSmall
        } else {
            DecoderEvent::Ipv4TruncPkt
        };
        return p.invalid(event);
    };
    let total = match usize::from(header.total_len()) {
        0 if o.offloaded => bytes.len(),
        total => total,
    };
    let header_len = header.slice().len();
    if total < header_len {
        return p.invalid(DecoderEvent::Ipv4IplenSmallerThanHlen);
    }
    let Some(body) = bytes.get(header_len..total) else {
        return p.invalid(DecoderEvent::Ipv4TruncPkt);
    };
    p.ip = Ip::V4(header);
    p.src = IpAddr::V4(header.source_addr());
    p.dst = IpAddr::V4(header.destination_addr());
    p.proto = header.protocol().0;
    p.payload = body;
    p.ip_header = header.slice();
    p.ip_payload = body;
    if o.checksums && !p.reassembled && !header_checksum_ok(header.slice()) {
        p.checksum_ok = false;
    }
    if !header.options().is_empty() {
        options::walk(p, header.options());
    }
    if header.is_fragmenting_payload() {
        p.fragment = Some(Fragment {
            id: u32::from(header.identification()),
            offset: u32::from(header.fragments_offset().value()).saturating_mul(8),
            more: header.more_fragments(),
            next_header: p.proto,
            next_at: 0,
        });
        return;
    }
    upper(p, p.proto, body, o);
}

fn header_checksum_ok(header: &[u8]) -> bool {
    let sum: u32 = header
        .chunks_exact(2)
        .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
        .fold(0u32, |sum, pair| sum.saturating_add(u32::from(u16::from_be_bytes(pair))));
    let folded = (sum & 0xffff).saturating_add(sum >> 16);
    (folded & 0xffff).saturating_add(folded >> 16) == 0xffff
}

pub(super) fn v6<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    if bytes.len() < 40 {
        return p.invalid(DecoderEvent::Ipv6PktTooSmall);
    }
    let Ok(header) = Ipv6HeaderSlice::from_slice(bytes) else {
        return p.invalid(DecoderEvent::Ipv6WrongIpVersion);
    };
    let after = bytes.get(40..).unwrap_or_default();
    let claimed = usize::from(header.payload_length());
    let Some(body) = after.get(..claimed) else {
        return p.invalid(DecoderEvent::Ipv6TruncPkt);
    };
    p.ip = Ip::V6(header);
    p.src = IpAddr::V6(header.source_addr());
    p.dst = IpAddr::V6(header.destination_addr());
    p.ip_header = header.slice();
    let whole = bytes.get(..claimed.saturating_add(40)).unwrap_or(body);
    extensions(p, header.next_header().0, whole, o);
}

/// RFC 8200 section 4: walks extension headers up to the transport layer or a fragment header.
fn extensions<'a>(p: &mut Packet<'a>, first: u8, whole: &'a [u8], o: DecodeOptions) {
    let mut next = first;
    let mut c = Cursor::new(whole);
    c.skip(40);
    let (mut hop, mut destination, mut routing, mut auth) = (0u8, 0u8, 0u8, 0u8);
    let mut fragments = 0u8;
    // Where the byte is that names the header we are at.
    let mut named_at = 6usize;
    // Every header is at least 8 bytes long, so the walk ends with the packet.
    loop {
        p.proto = next;
        p.payload = c.rest();
        let here = c.position();
        match next {
            0 | 43 | 60 => {
                let (Some(after), Some(len)) = (c.u8(), c.u8()) else {
                    return p.invalid(DecoderEvent::Ipv6TruncExthdr);
                };
                let size = usize::from(len).saturating_mul(8).saturating_add(6);
                let Some(data) = c.take(size) else {
                    return p.invalid(DecoderEvent::Ipv6TruncExthdr);
                };
                match next {
                    0 => twice(p, &mut hop, 1, DecoderEvent::Ipv6ExthdrDuplHh),
                    43 => {
                        twice(p, &mut routing, 1, DecoderEvent::Ipv6ExthdrDuplRh);
                        if data.first() == Some(&0) {
                            p.note(DecoderEvent::Ipv6RhType0);
                        }
                    }
                    // Once before a routing header and once before the upper layer.
                    _ => twice(p, &mut destination, 2, DecoderEvent::Ipv6ExthdrDuplDh),
                }
                if next != 43 {
                    padding(p, data, next == 0);
                }
                next = after;
            }
            44 => {
                twice(p, &mut fragments, 1, DecoderEvent::Ipv6ExthdrDuplFh);
                match fragment(p, &mut c, named_at) {
                    // Too short for any header, whichever it is.
                    Some(_) if c.remaining() < 2 => {
                        return p.invalid(DecoderEvent::Ipv6TruncExthdr);
                    }
                    Some(after) => next = after,
                    None => {
                        p.ip_header = whole.get(..here).unwrap_or(p.ip_header);
                        return;
                    }
                }
            }
            51 => {
                let (Some(after), Some(len)) = (c.u8(), c.u8()) else {
                    return p.invalid(DecoderEvent::Ipv6TruncExthdr);
                };
                let size = usize::from(len).saturating_mul(4).saturating_add(6);
                let Some(data) = c.take(size) else {
                    return p.invalid(DecoderEvent::Ipv6TruncExthdr);
                };
                twice(p, &mut auth, 1, DecoderEvent::Ipv6ExthdrDuplAh);
                if !data.starts_with(&[0, 0]) {
                    p.note(DecoderEvent::Ipv6ExthdrAhResNotNull);
                }
                next = after;
            }
            59 => {
                if !c.is_empty() {
                    p.note(DecoderEvent::Ipv6DataAfterNoneHeader);
                }
                return;
            }
            // Mobility, host identity, shim: headers of their own that lead on to nothing we read.
            135 | 139 | 140 => return,
            _ => {
                p.ip_header = whole.get(..here).unwrap_or(p.ip_header);
                p.ip_payload = c.rest();
                return upper(p, next, c.rest(), o);
            }
        }
        named_at = here;
    }
}

fn twice(p: &mut Packet<'_>, count: &mut u8, allowed: u8, event: DecoderEvent) {
    *count = count.saturating_add(1);
    if *count > allowed {
        p.note(event);
    }
}

/// Options of hop-by-hop and destination headers.
fn padding(p: &mut Packet<'_>, data: &[u8], hop_by_hop: bool) {
    let mut c = Cursor::new(data);
    let mut only_padding = true;
    while let Some(kind) = c.u8() {
        if kind == 0 {
            continue;
        }
        let Some(value) = c.vec8() else { return p.note(DecoderEvent::Ipv6ExthdrInvalidOptlen) };
        match kind {
            1 if value.is_empty() => p.note(DecoderEvent::Ipv6ZeroLenPadn),
            1 => {}
            0x05 | 0xc2 | 0xc9 => only_padding = false,
            _ => {
                only_padding = false;
                p.note(if hop_by_hop {
                    DecoderEvent::Ipv6HopoptsUnknownOpt
                } else {
                    DecoderEvent::Ipv6DstoptsUnknownOpt
                });
            }
        }
    }
    if only_padding {
        p.note(if hop_by_hop {
            DecoderEvent::Ipv6HopoptsOnlyPadding
        } else {
            DecoderEvent::Ipv6DstoptsOnlyPadding
        });
    }
}

/// A fragment header; what follows it when it is that of a whole packet.
fn fragment<'a>(p: &mut Packet<'a>, c: &mut Cursor<'a>, named_at: usize) -> Option<u8> {
    let (Some(next), Some(reserved), Some(place), Some(id)) = (c.u8(), c.u8(), c.u16(), c.u32())
    else {
        p.invalid(DecoderEvent::Ipv6TruncExthdr);
        return None;
    };
    if reserved != 0 {
        p.note(DecoderEvent::Ipv6FhNonZeroReservedField);
    }
    p.proto = next;
    p.payload = c.rest();
    let (offset, more) = (u32::from(place & 0xfff8), place & 1 == 1);
    if more && !c.remaining().is_multiple_of(8) {
        p.note(DecoderEvent::Ipv6FragInvalidLength);
    }
    if u32::try_from(c.remaining()).is_ok_and(|n| offset.saturating_add(n) > 65_535) {
        p.note(DecoderEvent::Ipv6FragPktTooLarge);
    }
    if offset == 0 && !more {
        // RFC 6946: an atomic fragment is a whole packet.
        p.note(DecoderEvent::Ipv6ExthdrUselessFh);
        return Some(next);
    }
    let next_at = u16::try_from(named_at).unwrap_or(6);
    p.fragment = Some(Fragment { id, offset, more, next_header: next, next_at });
    None
}

/// What an IP header says comes next.
fn upper<'a>(p: &mut Packet<'a>, proto: u8, body: &'a [u8], o: DecodeOptions) {
    p.proto = proto;
    let is_v4 = matches!(p.ip, Ip::V4(_));
    match proto {
        1 if is_v4 => super::icmp::v4(p, body, o),
        1 => p.note(DecoderEvent::Ipv6Icmpv4),
        58 if is_v4 => p.note(DecoderEvent::Ipv4Icmpv6),
        58 => super::icmp::v6(p, body, o),
        6 => transport::tcp(p, body, o),
        17 => transport::udp(p, body, o),
        132 => super::sctp::packet(p, body),
        2 if is_v4 => super::igmp::message(p, body),
        47 => tunnel::gre(p, body),
        4 | 41 => within(p, proto, body),
        50 => p.transport = super::Transport::Esp,
        51 if is_v4 => {}
        _ if is_v4 => p.note(DecoderEvent::Ipv4UnknownProtocol),
        _ => p.note(DecoderEvent::Ipv6UnknownNextHeader),
    }
}

/// IP within IP (RFC 2003, RFC 2473, RFC 4213).
fn within<'a>(p: &mut Packet<'a>, proto: u8, body: &'a [u8]) {
    let (version, least) = if proto == 4 { (4, 20) } else { (6, 40) };
    let is_v4 = matches!(p.ip, Ip::V4(_));
    if !is_v4 && body.len() < least {
        return p.invalid(if version == 4 {
            DecoderEvent::Ipv6Ipv4InIpv6TooSmall
        } else {
            DecoderEvent::Ipv6Ipv6InIpv6TooSmall
        });
    }
    if body.first().map(|b| b >> 4) == Some(version) {
        p.enclose(Inner::Ip(body), if is_v4 { Source::Ipv4 } else { Source::Ipv6 });
    } else if !is_v4 {
        p.invalid(if version == 4 {
            DecoderEvent::Ipv6Ipv4InIpv6WrongVersion
        } else {
            DecoderEvent::Ipv6Ipv6InIpv6WrongVersion
        });
    }
}
