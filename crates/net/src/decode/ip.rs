//! IPv4 with options, IPv6 with extension headers.

use std::net::IpAddr;

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::{DecodeOptions, DecoderEvent, Fragment, Inner, Ip, Packet, transport, tunnel};
use crate::cursor::Cursor;

/// IP of the version its first nibble says.
pub(super) fn any<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    match bytes.first().map(|b| b >> 4) {
        Some(4) => v4(p, bytes, o),
        Some(6) => v6(p, bytes, o),
        _ => p.note(DecoderEvent::IprawInvalidIpVersion),
    }
}

pub(super) fn v4<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    if bytes.len() < 20 {
        return p.note(DecoderEvent::Ipv4PktTooSmall);
    }
    let first = bytes.first().copied().unwrap_or(0);
    if first >> 4 != 4 {
        return p.note(DecoderEvent::Ipv4WrongIpVersion);
    }
    let Ok(header) = Ipv4HeaderSlice::from_slice(bytes) else {
        // Version and minimum length are known to be good: the header length is what is left.
        let event = if first & 15 < 5 {
            DecoderEvent::Ipv4HlenTooSmall
        } else {
            DecoderEvent::Ipv4TruncPkt
        };
        return p.note(event);
    };
    // Segmentation offload hands packets over before their length is written.
    let total = match usize::from(header.total_len()) {
        0 => bytes.len(),
        total => total,
    };
    let header_len = header.slice().len();
    if total < header_len {
        return p.note(DecoderEvent::Ipv4IplenSmallerThanHlen);
    }
    let Some(body) = bytes.get(header_len..total) else {
        return p.note(DecoderEvent::Ipv4TruncPkt);
    };
    p.ip = Ip::V4(header);
    p.src = IpAddr::V4(header.source_addr());
    p.dst = IpAddr::V4(header.destination_addr());
    p.proto = header.protocol().0;
    p.payload = body;
    if o.checksums && !p.reassembled && !header_checksum_ok(header.slice()) {
        p.checksum_ok = false;
    }
    options(p, header.options());
    if header.is_fragmenting_payload() {
        p.fragment = Some(Fragment {
            id: u32::from(header.identification()),
            offset: u32::from(header.fragments_offset().value()).saturating_mul(8),
            more: header.more_fragments(),
            next_header: p.proto,
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

/// RFC 791 section 3.1: options are a list of kind, length, data.
fn options(p: &mut Packet<'_>, bytes: &[u8]) {
    let mut seen = [0u64; 4];
    let mut c = Cursor::new(bytes);
    while let Some(kind) = c.u8() {
        match kind {
            0 => return,
            1 => continue,
            _ => {}
        }
        let Some(len) = c.u8() else { return p.note(DecoderEvent::Ipv4OptMalformed) };
        let Some(data) = usize::from(len).checked_sub(2).and_then(|n| c.take(n)) else {
            return p.note(DecoderEvent::Ipv4OptInvalidLen);
        };
        if !matches!(kind, 7 | 68 | 82 | 130 | 131 | 133 | 134 | 136 | 137 | 148) {
            p.note(DecoderEvent::Ipv4OptUnknown);
        }
        if let Some(word) = seen.get_mut(usize::from(kind >> 6)) {
            let bit = 1u64 << (kind & 63);
            if *word & bit != 0 {
                p.note(DecoderEvent::Ipv4OptDuplicate);
            }
            *word |= bit;
        }
        if matches!(kind, 7 | 131 | 137) && (data.is_empty() || data.len() % 4 != 1) {
            p.note(DecoderEvent::Ipv4OptInvalidLen);
        }
    }
}

pub(super) fn v6<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    if bytes.len() < 40 {
        return p.note(DecoderEvent::Ipv6PktTooSmall);
    }
    let Ok(header) = Ipv6HeaderSlice::from_slice(bytes) else {
        return p.note(DecoderEvent::Ipv6WrongIpVersion);
    };
    let after = bytes.get(40..).unwrap_or_default();
    let claimed = usize::from(header.payload_length());
    let Some(body) = after.get(..claimed) else {
        return p.note(DecoderEvent::Ipv6TruncPkt);
    };
    p.ip = Ip::V6(header);
    p.src = IpAddr::V6(header.source_addr());
    p.dst = IpAddr::V6(header.destination_addr());
    extensions(p, header.next_header().0, body, o);
}

/// RFC 8200 section 4: walks extension headers up to the transport layer or a fragment header.
fn extensions<'a>(p: &mut Packet<'a>, first: u8, body: &'a [u8], o: DecodeOptions) {
    let mut next = first;
    let mut c = Cursor::new(body);
    let (mut hop, mut destination, mut routing, mut auth) = (0u8, 0u8, 0u8, 0u8);
    let mut fragments = 0u8;
    // Every header is at least 8 bytes long, so the walk ends with the packet.
    loop {
        p.proto = next;
        p.payload = c.rest();
        match next {
            0 | 43 | 60 => {
                let (Some(after), Some(len)) = (c.u8(), c.u8()) else {
                    return p.note(DecoderEvent::Ipv6TruncExthdr);
                };
                let size = usize::from(len).saturating_mul(8).saturating_add(6);
                let Some(data) = c.take(size) else {
                    return p.note(DecoderEvent::Ipv6TruncExthdr);
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
                match fragment(p, &mut c) {
                    Some(after) => next = after,
                    None => return,
                }
            }
            51 => {
                let (Some(after), Some(len)) = (c.u8(), c.u8()) else {
                    return p.note(DecoderEvent::Ipv6TruncExthdr);
                };
                let size = usize::from(len).saturating_mul(4).saturating_add(6);
                let Some(data) = c.take(size) else {
                    return p.note(DecoderEvent::Ipv6TruncExthdr);
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
            _ => return upper(p, next, c.rest(), o),
        }
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
fn fragment<'a>(p: &mut Packet<'a>, c: &mut Cursor<'a>) -> Option<u8> {
    let (Some(next), Some(reserved), Some(place), Some(id)) = (c.u8(), c.u8(), c.u16(), c.u32())
    else {
        p.note(DecoderEvent::Ipv6TruncExthdr);
        return None;
    };
    if reserved != 0 {
        p.note(DecoderEvent::Ipv6FhNonZeroReservedField);
    }
    p.proto = next;
    p.payload = c.rest();
    let (offset, more) = (u32::from(place & 0xfff8), place & 1 == 1);
    if offset == 0 && !more {
        // RFC 6946: an atomic fragment is a whole packet.
        p.note(DecoderEvent::Ipv6ExthdrUselessFh);
        return Some(next);
    }
    p.fragment = Some(Fragment { id, offset, more, next_header: next });
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
        132 => transport::sctp(p, body),
        47 => tunnel::gre(p, body),
        4 | 41 => {
            if !is_v4 && body.len() < if proto == 4 { 20 } else { 40 } {
                p.note(if proto == 4 {
                    DecoderEvent::Ipv6Ipv4InIpv6TooSmall
                } else {
                    DecoderEvent::Ipv6Ipv6InIpv6TooSmall
                });
                return;
            }
            let version = if proto == 4 { 4 } else { 6 };
            if body.first().map(|b| b >> 4) == Some(version) {
                p.inner = Some(Inner::Ip(body));
            } else if !is_v4 {
                p.note(if proto == 4 {
                    DecoderEvent::Ipv6Ipv4InIpv6WrongVersion
                } else {
                    DecoderEvent::Ipv6Ipv6InIpv6WrongVersion
                });
            }
        }
        0 if is_v4 => {}
        50 => p.transport = super::Transport::Esp,
        _ if !is_v4 && !matches!(proto, 2 | 46 | 89 | 103 | 112 | 115 | 135 | 139 | 140) => {
            p.note(DecoderEvent::Ipv6UnknownNextHeader);
        }
        _ => {}
    }
}
