//! Tests of link, network and transport headers: VLAN tags, tunnels, IGMP, SCTP, checksums.
//!
//! Checksums are computed only when a rule asks for one.

use std::net::IpAddr;

use crate::{
    PacketView,
    check::rule::{Checksum, Cmp, Layers, Test},
};

/// Whether a test of this module holds; other tests never do.
pub(super) fn holds(test: &Test, packet: &PacketView<'_>) -> bool {
    let number = |cmp: Cmp, value: Option<u32>| value.is_some_and(|v| cmp.holds(u64::from(v)));
    match test {
        Test::VlanId { cmp, layer } => vlan_id(*cmp, *layer, packet.vlan),
        Test::VlanLayers(cmp) => cmp.holds(packet.vlan.len() as u64),
        Test::Vni(cmp) => number(*cmp, packet.vni),
        Test::IgmpType(cmp) => number(*cmp, packet.igmp.map(u32::from)),
        Test::SctpVtag(cmp) => number(*cmp, packet.sctp.map(|sctp| sctp.vtag)),
        Test::SctpChunks(cmp) => number(*cmp, packet.sctp.map(|sctp| sctp.chunks)),
        Test::SctpChunkType(cmp) => packet
            .sctp
            .is_some_and(|sctp| sctp.kinds.iter().any(|kind| cmp.holds(u64::from(*kind)))),
        Test::NetworkVersion(version) => packet.ip.version == *version,
        Test::Checksum { kind, valid } => checksum_ok(*kind, packet) == Some(*valid),
        _ => false,
    }
}

fn vlan_id(cmp: Cmp, layer: Layers, ids: &[u16]) -> bool {
    let holds = |id: &u16| cmp.holds(u64::from(*id));
    match layer {
        Layers::Any => ids.iter().any(holds),
        Layers::All => !ids.is_empty() && ids.iter().all(holds),
        Layers::FromOutside(n) => ids.get(usize::from(n)).is_some_and(holds),
        Layers::FromInside(n) => ids.iter().rev().nth(usize::from(n)).is_some_and(holds),
    }
}

/// Whether a checksum is right; `None` for a packet that has none of that kind.
fn checksum_ok(kind: Checksum, packet: &PacketView<'_>) -> Option<bool> {
    let fragment = packet.ip.fragment_offset != 0 || packet.ip.fragment_bits & 1 != 0;
    match kind {
        Checksum::Ipv4 => (packet.ip.version == 4).then(|| sum(0, packet.ip_header) == 0xffff),
        Checksum::Upper { version, proto } => {
            let has = packet.ip.version == version && packet.ip_proto == proto && !fragment;
            if !has || packet.transport_header.is_empty() {
                return None;
            }
            // Zero says that a UDP sender over IPv4 did not compute one (RFC 768).
            if proto == 17 && version == 4 && packet.ip_payload.get(6..8) == Some(&[0, 0]) {
                return None;
            }
            Some(sum(pseudo_header(packet, proto), segment(packet, proto)) == 0xffff)
        }
    }
}

/// The bytes a transport checksum covers: UDP says itself how many.
fn segment<'a>(packet: &PacketView<'a>, proto: u8) -> &'a [u8] {
    let bytes = packet.ip_payload;
    let length = match bytes {
        [_, _, _, _, a, b, ..] if proto == 17 => usize::from(u16::from_be_bytes([*a, *b])),
        _ => bytes.len(),
    };
    bytes.get(..length).unwrap_or(bytes)
}

/// RFC 9293 section 3.1, RFC 8200 section 8.1; ICMPv4 and IGMP have none.
fn pseudo_header(packet: &PacketView<'_>, proto: u8) -> u64 {
    if matches!(proto, 1 | 2) {
        return 0;
    }
    let length = segment(packet, proto).len() as u64;
    let ends = match (packet.src, packet.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => add(add(0, &src.octets()), &dst.octets()),
        (IpAddr::V6(src), IpAddr::V6(dst)) => add(add(0, &src.octets()), &dst.octets()),
        _ => 0,
    };
    ends + length + u64::from(proto)
}

fn add(start: u64, bytes: &[u8]) -> u64 {
    let mut pairs = bytes.chunks_exact(2);
    let whole = pairs.by_ref().fold(start, |sum, pair| match pair {
        [a, b] => sum + u64::from(u16::from_be_bytes([*a, *b])),
        _ => sum,
    });
    whole + pairs.remainder().first().map_or(0, |last| u64::from(*last) << 8)
}

/// Ones' complement sum (RFC 1071).
fn sum(start: u64, bytes: &[u8]) -> u64 {
    let mut total = add(start, bytes);
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IpFields;

    #[test]
    fn tags_are_counted_from_both_ends() {
        let ids = [200, 300, 400];
        for (cmp, layer, expected) in [
            (Cmp::Eq(200), Layers::FromOutside(0), true),
            (Cmp::Eq(200), Layers::FromInside(0), false),
            (Cmp::Eq(400), Layers::FromInside(0), true),
            (Cmp::Eq(200), Layers::FromInside(2), true),
            (Cmp::Eq(300), Layers::Any, true),
            (Cmp::Gt(200), Layers::All, false),
            (Cmp::Ne(500), Layers::All, true),
        ] {
            assert_eq!(vlan_id(cmp, layer, &ids), expected, "{cmp:?} {layer:?}");
        }
        assert!(!vlan_id(Cmp::Ne(1), Layers::All, &[]), "without tags there is nothing to compare");
        assert!(!vlan_id(Cmp::Ne(1), Layers::FromOutside(1), &[2]));
    }

    #[test]
    fn checksums_are_those_of_the_bytes() {
        // RFC 1071's own arithmetic: an echo request made by hand.
        let mut echo = [8, 0, 0, 0, 0, 1, 0, 2, b'a', b'b', b'c'];
        let value = u16::try_from(0xffff - sum(0, &echo)).unwrap().to_be_bytes();
        echo[2..4].copy_from_slice(&value);
        let view = |bytes: &'static [u8]| PacketView {
            ip: IpFields { version: 4, ..IpFields::default() },
            ip_proto: 1,
            transport_header: &bytes[..8],
            ip_payload: bytes,
            ..PacketView::default()
        };
        let kind = Checksum::Upper { version: 4, proto: 1 };
        let good: &'static [u8] = Box::leak(Box::new(echo));
        assert_eq!(checksum_ok(kind, &view(good)), Some(true));
        echo[9] ^= 1;
        assert_eq!(checksum_ok(kind, &view(Box::leak(Box::new(echo)))), Some(false));
        let other = Checksum::Upper { version: 4, proto: 6 };
        assert_eq!(checksum_ok(other, &view(good)), None, "it is no TCP packet");
    }
}
