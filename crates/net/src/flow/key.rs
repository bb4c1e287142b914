//! The symmetric flow key: both directions of a conversation have the same one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cursor::Cursor;
use crate::decode::{Icmp, Ip, Packet, Transport};

/// Addresses in byte order, ports with them, protocol, VLAN tags.
#[derive(Clone, Copy)]
pub struct FlowKey {
    low: [u8; 16],
    high: [u8; 16],
    rest: Rest,
}

/// Bytes beside the addresses, in the order of the machine: ports of both ends, protocol, kind, VLAN tags
/// from the innermost out. Together, so that comparison and hash read them in two words. Kind is the version
/// of IP in the lowest bit and the depth in tunnels above it.
type Rest = [u8; 12];

const IS_V6: u8 = 1;

impl std::fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlowKey")
            .field("low", &self.low())
            .field("high", &self.high())
            .field("proto", &self.proto())
            .field("vlan", &self.vlan())
            .finish_non_exhaustive()
    }
}

impl PartialEq for FlowKey {
    fn eq(&self, other: &Self) -> bool {
        self.words() == other.words()
    }
}

impl Eq for FlowKey {}

impl std::hash::Hash for FlowKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let (low, high, rest, vlan) = self.words();
        if self.is_v6() {
            state.write_u128(low);
            state.write_u128(high);
            state.write_u64(rest);
        } else {
            // Only the first four bytes of each address are used.
            let ends = (low & 0xffff_ffff) | ((high & 0xffff_ffff) << 32);
            state.write_u128(ends | (u128::from(rest) << 64));
        }
        state.write_u32(vlan);
    }
}

impl FlowKey {
    /// The key of two endpoints, and whether `src` became the low end.
    #[must_use]
    pub fn new(src: (IpAddr, u16), dst: (IpAddr, u16), proto: u8, vlan: &[u16]) -> (Self, bool) {
        let (a, b) = ((bits(src.0), src.1), (bits(dst.0), dst.1));
        let source_is_low = a <= b;
        let (low, high) = if source_is_low { (a, b) } else { (b, a) };
        let [a, b] = low.1.to_ne_bytes();
        let [c, d] = high.1.to_ne_bytes();
        let [[e, f], [g, h], [i, j]] = match vlan {
            [] => [[0; 2]; 3],
            _ => [2, 1, 0].map(|n| vlan.get(n).copied().unwrap_or(0).to_ne_bytes()),
        };
        let kind = u8::from(src.0.is_ipv6());
        let rest = [a, b, c, d, proto, kind, e, f, g, h, i, j];
        (Self { low: low.0.to_be_bytes(), high: high.0.to_be_bytes(), rest }, source_is_low)
    }

    /// All of it in a few wide words: field by field, comparison and hash cost more than what they find.
    fn words(&self) -> (u128, u128, u64, u32) {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.rest;
        (
            u128::from_le_bytes(self.low),
            u128::from_le_bytes(self.high),
            u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            u32::from_ne_bytes(rest),
        )
    }

    fn kind(&self) -> u8 {
        let [_, _, _, _, _, kind, ..] = self.rest;
        kind
    }

    /// The key without what is not to keep flows apart.
    #[must_use]
    pub fn tracking(mut self, depth: Option<u8>, vlan: bool) -> Self {
        // Depths are few: MAX_TUNNEL_DEPTH.
        let [_, _, _, _, _, kind, tags @ ..] = &mut self.rest;
        *kind = (*kind & IS_V6) | (depth.unwrap_or(0) << 1);
        if !vlan {
            *tags = [0; 6];
        }
        self
    }

    /// The key of a packet; `None` for packets that belong to no flow.
    #[must_use]
    pub fn of(p: &Packet<'_>) -> Option<(Self, bool)> {
        let (src_port, dst_port) = match &p.transport {
            Transport::None | Transport::Igmp(_) | Transport::Arp(_) => return None,
            Transport::Icmp(icmp) => icmp_ports(icmp, matches!(p.ip, Ip::V6(_))),
            Transport::Esp => (0, 0),
            _ => p.ports(),
        };
        Some(Self::new((p.src, src_port), (p.dst, dst_port), p.proto, p.vlan.ids()))
    }

    /// The key of an Ethernet frame with TCP or UDP over IPv4 that is like most: no tags, no options, no
    /// fragment. Without decoding, for a look ahead.
    #[must_use]
    pub(crate) fn of_plain(frame: &[u8]) -> Option<Self> {
        let head = frame.first_chunk::<38>()?;
        let [.., a, b, c, d, e, f, g, h, i, j, k, l] = *head;
        let plain = head[12..15] == [0x08, 0x00, 0x45]
            && matches!(head[23], 6 | 17)
            && (head[20] & 0x3f, head[21]) == (0, 0);
        let end = |address: [u8; 4], port: [u8; 2]| (address.into(), u16::from_be_bytes(port));
        plain.then(|| {
            Self::new(end([a, b, c, d], [i, j]), end([e, f, g, h], [k, l]), head[23], &[]).0
        })
    }

    /// The key of the flow an ICMP error message is about.
    #[must_use]
    pub fn quoted(p: &Packet<'_>, quoted: &[u8]) -> Option<Self> {
        let (proto, src, dst) = quoted_ends(quoted)?;
        Some(Self::new(src, dst, proto, p.vlan.ids()).0)
    }

    /// IP protocol number.
    #[must_use]
    pub fn proto(&self) -> u8 {
        let [_, _, _, _, proto, ..] = self.rest;
        proto
    }

    /// Lower endpoint.
    #[must_use]
    pub fn low(&self) -> (IpAddr, u16) {
        (self.address(self.low), self.ports().0)
    }

    /// Higher endpoint.
    #[must_use]
    pub fn high(&self) -> (IpAddr, u16) {
        (self.address(self.high), self.ports().1)
    }

    /// Ports of lower and higher endpoint.
    pub(super) fn ports(&self) -> (u16, u16) {
        let [a, b, c, d, ..] = self.rest;
        (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]))
    }

    /// True for ICMP messages of a type that nothing answers.
    #[must_use]
    pub(super) fn is_one_way(&self, icmp_type: u16) -> bool {
        let is_icmp = if self.is_v6() { self.proto() == 58 } else { self.proto() == 1 };
        is_icmp && u8::try_from(icmp_type).is_ok_and(|kind| answer_to(self.is_v6(), kind).is_none())
    }

    fn is_v6(&self) -> bool {
        self.kind() & IS_V6 != 0
    }

    /// VLAN tags, 0 for none.
    #[must_use]
    pub fn vlan(&self) -> [u16; 3] {
        let [_, _, _, _, _, _, a, b, c, d, e, f] = self.rest;
        [[e, f], [c, d], [a, b]].map(u16::from_ne_bytes)
    }

    fn address(&self, octets: [u8; 16]) -> IpAddr {
        if self.is_v6() {
            return IpAddr::V6(Ipv6Addr::from(octets));
        }
        let [a, b, c, d, ..] = octets;
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    }
}

/// Address and port.
type End = (IpAddr, u16);

/// Protocol and ends of the TCP or UDP packet that an ICMP error quotes. Only the beginning of it need
/// be there (RFC 792: eight bytes after the header), so that it is not decoded as a packet.
fn quoted_ends(quoted: &[u8]) -> Option<(u8, End, End)> {
    let mut cursor = Cursor::new(quoted);
    let first = cursor.u8()?;
    let (proto, src, dst) = match first >> 4 {
        4 => {
            cursor.skip(8)?;
            let proto = cursor.u8()?;
            cursor.skip(2)?;
            let src = IpAddr::from(cursor.array::<4>()?);
            let dst = IpAddr::from(cursor.array::<4>()?);
            let options = usize::from(first & 15).checked_sub(5)?.checked_mul(4)?;
            cursor.skip(options)?;
            (proto, src, dst)
        }
        6 => {
            cursor.skip(5)?;
            let proto = cursor.u8()?;
            cursor.skip(1)?;
            (proto, cursor.array::<16>()?.into(), cursor.array::<16>()?.into())
        }
        _ => return None,
    };
    if !matches!(proto, 6 | 17) {
        return None;
    }
    Some((proto, (src, cursor.u16()?), (dst, cursor.u16()?)))
}

/// The address in its order: of IPv4 the first four of sixteen bytes.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V6(v6) => v6.to_bits(),
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
    }
}

/// Type and the type that answers it, or type and code for one-way messages: the two "ports" of the
/// Community ID specification.
fn icmp_ports(icmp: &Icmp<'_>, is_v6: bool) -> (u16, u16) {
    (u16::from(icmp.kind), u16::from(answer_to(is_v6, icmp.kind).unwrap_or(icmp.code)))
}

/// The type of message that answers one of this type.
fn answer_to(is_v6: bool, kind: u8) -> Option<u8> {
    Some(match (is_v6, kind) {
        (false, 0) => 8,
        (false, 8) => 0,
        (false, 9) => 10,
        (false, 10) => 9,
        (false, 13) => 14,
        (false, 14) => 13,
        (false, 15) => 16,
        (false, 16) => 15,
        (false, 17) => 18,
        (false, 18) => 17,
        (true, 128) => 129,
        (true, 129) => 128,
        (true, 130) => 131,
        (true, 131) => 130,
        (true, 133) => 134,
        (true, 134) => 133,
        (true, 135) => 136,
        (true, 136) => 135,
        (true, 139) => 140,
        (true, 140) => 139,
        (true, 144) => 145,
        (true, 145) => 144,
        _ => return None,
    })
}
