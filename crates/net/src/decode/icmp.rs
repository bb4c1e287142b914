//! ICMP (RFC 792) and ICMPv6 (RFC 4443).

use super::{DecodeOptions, DecoderEvent, Icmp, Ip, Packet, Transport};
use crate::cursor::Cursor;

pub(super) fn v4<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let Some(mut icmp) = header(bytes) else { return p.invalid(DecoderEvent::Icmpv4PktTooSmall) };
    if o.checksums
        && etherparse::Icmpv4Slice::from_slice(bytes).is_ok()
        && ones_sum(0, bytes) != 0xffff
    {
        p.checksum_ok = false;
    }
    p.payload = bytes.get(8..).unwrap_or_default();
    let codes = match icmp.kind {
        0 | 4 | 8 | 10 | 13..=18 => 0,
        3 => 15,
        5 => 3,
        9 => 16,
        11 => 1,
        12 => 2,
        _ => {
            p.note(DecoderEvent::Icmpv4UnknownType);
            255
        }
    };
    if icmp.code > codes {
        p.note(DecoderEvent::Icmpv4UnknownCode);
    }
    if matches!(icmp.kind, 3 | 4 | 5 | 11 | 12) {
        icmp.id = None;
        icmp.seq = None;
        // What follows an unknown code is not known to be a packet.
        if icmp.code <= codes && bytes.len() > 8 {
            quoted_v4(p, &mut icmp);
        }
    } else if matches!(icmp.kind, 13 | 14) {
        p.payload = bytes.get(20..).unwrap_or_default();
    }
    p.transport = Transport::Icmp(icmp);
}

fn quoted_v4<'a>(p: &mut Packet<'a>, icmp: &mut Icmp<'a>) {
    let quoted = icmp.bytes.get(8..).unwrap_or_default();
    if quoted.len() < 20 {
        return p.note(DecoderEvent::Icmpv4Ipv4TruncPkt);
    }
    if quoted.first().map(|b| b >> 4) != Some(4) {
        return p.note(DecoderEvent::Icmpv4Ipv4UnknownVer);
    }
    icmp.quoted = Some(quoted);
}

pub(super) fn v6<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let Some(mut icmp) = header(bytes) else { return p.invalid(DecoderEvent::Icmpv6PktTooSmall) };
    if o.checksums
        && let Ip::V6(ip) = &p.ip
    {
        let length = u32::try_from(bytes.len()).unwrap_or(0);
        let pseudo = ones_sum(0, &ip.source());
        let pseudo = ones_sum(pseudo, &ip.destination());
        let pseudo = ones_sum(pseudo, &length.to_be_bytes());
        let pseudo = ones_sum(pseudo, &[0, 0, 0, 58]);
        if ones_sum(pseudo, bytes) != 0xffff {
            p.checksum_ok = false;
        }
    }
    p.payload = bytes.get(8..).unwrap_or_default();
    match icmp.kind {
        1..=4 => {
            let limit = match icmp.kind {
                1 => 7,
                3 => 1,
                4 => 10,
                _ => 0,
            };
            if icmp.code > limit {
                p.note(DecoderEvent::Icmpv6UnknownCode);
            }
            icmp.id = None;
            icmp.seq = None;
            let quoted = icmp.bytes.get(8..).unwrap_or_default();
            if quoted.len() < 40 {
                p.note(DecoderEvent::Icmpv6Ipv6TruncPkt);
            } else if quoted.first().map(|b| b >> 4) == Some(6) {
                icmp.quoted = Some(quoted);
            } else {
                p.note(DecoderEvent::Icmpv6Ipv6UnknownVersion);
            }
        }
        128 | 129 => {
            if icmp.code != 0 {
                p.note(DecoderEvent::Icmpv6UnknownCode);
            }
        }
        130..=132 => {
            if icmp.code != 0 {
                p.note(DecoderEvent::Icmpv6UnknownCode);
            }
            if p.ttl() != Some(1) {
                p.note(DecoderEvent::Icmpv6MldMessageWithInvalidHl);
            }
        }
        133..=153 | 155 | 157..=161 => {}
        100 | 101 | 200 | 201 => p.note(DecoderEvent::Icmpv6ExperimentationType),
        5..=99 | 102..=126 | 156 | 162..=199 | 202..=254 => {
            p.note(DecoderEvent::Icmpv6UnassignedType);
        }
        _ => p.note(DecoderEvent::Icmpv6UnknownType),
    }
    p.transport = Transport::Icmp(icmp);
}

fn header(bytes: &[u8]) -> Option<Icmp<'_>> {
    let mut c = Cursor::new(bytes);
    let (kind, code) = (c.u8()?, c.u8()?);
    c.skip(2)?;
    let (id, seq) = (c.u16()?, c.u16()?);
    Some(Icmp { kind, code, id: Some(id), seq: Some(seq), quoted: None, bytes })
}

/// Ones' complement sum (RFC 1071), carrying over from `start`.
fn ones_sum(start: u16, bytes: &[u8]) -> u16 {
    let mut pairs = bytes.chunks_exact(2);
    let mut sum = u64::from(start);
    for pair in pairs.by_ref() {
        if let Ok(pair) = <[u8; 2]>::try_from(pair) {
            sum = sum.saturating_add(u64::from(u16::from_be_bytes(pair)));
        }
    }
    if let [last] = pairs.remainder() {
        sum = sum.saturating_add(u64::from(*last) << 8);
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff).saturating_add(sum >> 16);
    }
    u16::try_from(sum).unwrap_or(0)
}
