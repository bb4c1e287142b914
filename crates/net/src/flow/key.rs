//! The symmetric flow key: both directions of a conversation have the same one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cursor::Cursor;
use crate::decode::{Icmp, Ip, Packet, Transport};

/// Addresses in byte order, ports with them, protocol, VLAN tags: in a few wide words, since field by field
/// comparison and hash cost more than what they find.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FlowKey {
    /// Lower address as a number; one of IPv4 in the highest 32 bits.
    low: u128,
    /// Higher address.
    high: u128,
    /// From the lowest bits on: port of the lower and of the higher end, protocol, [kind](IS_V6), innermost
    /// VLAN tag of three.
    rest: u64,
    /// The other VLAN tags, the outer one in the lower half.
    vlan: u32,
}

/// Kind is the version of IP in the lowest bit and the depth in tunnels above it.
const IS_V6: u64 = 1 << KIND;
const KIND: u32 = 40;

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

impl std::hash::Hash for FlowKey {
    #[inline]
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        if self.is_v6() {
            state.write_u128(self.low);
            state.write_u128(self.high);
            state.write_u64(self.rest);
        } else {
            // Only the highest bits of each address are used.
            let ends = (self.low >> 96) | (self.high >> 96) << 32;
            state.write_u128(ends | u128::from(self.rest) << 64);
        }
        state.write_u32(self.vlan);
    }
}

/// A key as it is kept with its flow: without room between its parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    low: [u8; 16],
    high: [u8; 16],
    rest: [u8; 8],
    vlan: [u8; 4],
}

impl Packed {
    #[inline]
    pub(super) fn new(key: &FlowKey) -> Self {
        Self {
            low: key.low.to_le_bytes(),
            high: key.high.to_le_bytes(),
            rest: key.rest.to_le_bytes(),
            vlan: key.vlan.to_le_bytes(),
        }
    }

    #[inline]
    pub(super) fn key(&self) -> FlowKey {
        FlowKey {
            low: u128::from_le_bytes(self.low),
            high: u128::from_le_bytes(self.high),
            rest: u64::from_le_bytes(self.rest),
            vlan: u32::from_le_bytes(self.vlan),
        }
    }
}

impl FlowKey {
    /// The key of two endpoints, and whether `src` became the low end.
    #[must_use]
    #[inline]
    pub fn new(src: (IpAddr, u16), dst: (IpAddr, u16), proto: u8, vlan: &[u16]) -> (Self, bool) {
        let (a, b) = ((bits(src.0), src.1), (bits(dst.0), dst.1));
        let source_is_low = a <= b;
        let (low, high) = if source_is_low { (a, b) } else { (b, a) };
        let tag = |n: usize| vlan.get(n).copied().unwrap_or(0);
        let mut rest = u64::from(low.1) | u64::from(high.1) << 16 | u64::from(proto) << 32;
        if src.0.is_ipv6() {
            rest |= IS_V6;
        }
        let mut tags = 0;
        if !vlan.is_empty() {
            rest |= u64::from(tag(2)) << 48;
            tags = u32::from(tag(0)) | u32::from(tag(1)) << 16;
        }
        (Self { low: low.0, high: high.0, rest, vlan: tags }, source_is_low)
    }

    /// The key without what is not to keep flows apart.
    #[must_use]
    #[inline]
    pub fn tracking(mut self, depth: Option<u8>, vlan: bool) -> Self {
        // Depths are few: MAX_TUNNEL_DEPTH.
        self.rest |= u64::from(depth.unwrap_or(0) & 0x7f) << KIND.saturating_add(1);
        if !vlan {
            self.rest &= 0xffff_ffff_ffff;
            self.vlan = 0;
        }
        self
    }

    /// The key of a packet; `None` for packets that belong to no flow.
    #[must_use]
    #[inline]
    pub fn of(p: &Packet<'_>) -> Option<(Self, bool)> {
        let (src_port, dst_port) = match &p.transport {
            Transport::None | Transport::Igmp(_) | Transport::Arp(_) => return None,
            Transport::Icmp(icmp) => icmp_ports(icmp, matches!(p.ip, Ip::V6(_))),
            Transport::Esp => (0, 0),
            _ => p.ports(),
        };
        Some(Self::new((p.src, src_port), (p.dst, dst_port), p.proto, p.vlan.ids()))
    }

    /// The key of the flow an ICMP error message is about.
    #[must_use]
    pub fn quoted(p: &Packet<'_>, quoted: &[u8]) -> Option<Self> {
        let (proto, src, dst) = quoted_ends(quoted)?;
        Some(Self::new(src, dst, proto, p.vlan.ids()).0)
    }

    /// IP protocol number.
    #[must_use]
    #[inline]
    pub fn proto(&self) -> u8 {
        let [_, _, _, _, proto, ..] = self.rest.to_le_bytes();
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
    #[inline]
    pub(super) fn ports(&self) -> (u16, u16) {
        let [a, b, c, d, ..] = self.rest.to_le_bytes();
        (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
    }

    /// True for ICMP messages of a type that nothing answers.
    #[must_use]
    pub(super) fn is_one_way(&self, icmp_type: u16) -> bool {
        let is_icmp = if self.is_v6() { self.proto() == 58 } else { self.proto() == 1 };
        is_icmp && u8::try_from(icmp_type).is_ok_and(|kind| answer_to(self.is_v6(), kind).is_none())
    }

    #[inline]
    fn is_v6(&self) -> bool {
        self.rest & IS_V6 != 0
    }

    /// VLAN tags, 0 for none.
    #[must_use]
    pub fn vlan(&self) -> [u16; 3] {
        let [.., e, f] = self.rest.to_le_bytes();
        let [a, b, c, d] = self.vlan.to_le_bytes();
        [[a, b], [c, d], [e, f]].map(u16::from_le_bytes)
    }

    fn address(&self, number: u128) -> IpAddr {
        if self.is_v6() {
            return IpAddr::V6(Ipv6Addr::from_bits(number));
        }
        IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number >> 96).unwrap_or(0)))
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

/// An address as a number; one of IPv4 in the highest 32 bits.
#[inline]
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
