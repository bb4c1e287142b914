//! Link layers: Ethernet, raw IP, BSD null/loopback, Linux cooked captures, PPP; VLAN tags, MPLS,
//! PPPoE and ARP above them.
//!
//! Ends at the network layer, which [`super::ip`] takes over.

use etherparse::{Ethernet2HeaderSlice, LinuxSllHeaderSlice, SingleVlanHeaderSlice};

use super::{DecodeOptions, DecoderEvent, Inner, Packet, ip};
use crate::cursor::Cursor;

/// Link type numbers of capture files (the `LINKTYPE_` registry of pcap).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// BSD loopback with the address family in host order (0).
    Null,
    /// Ethernet (1).
    Ethernet,
    /// PPP, RFC 1662 framing optional (9).
    Ppp,
    /// Cisco HDLC: address, control, EtherType (104).
    Hdlc,
    /// Begins with an IP header (101, and 12, 14, 228, 229).
    Raw,
    /// OpenBSD loopback, address family in network order (108).
    Loop,
    /// Linux cooked capture (113).
    Sll,
    /// Linux cooked capture version 2 (276).
    Sll2,
    /// Anything else, by its number: such packets are counted, not decoded.
    Other(u16),
}

impl LinkType {
    /// From the number in a capture file.
    #[must_use]
    pub fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            9 | 50 => Self::Ppp,
            12 | 14 | 101 | 228 | 229 => Self::Raw,
            104 => Self::Hdlc,
            108 => Self::Loop,
            113 => Self::Sll,
            276 => Self::Sll2,
            other => Self::Other(other),
        }
    }
}

pub(super) fn frame<'a>(p: &mut Packet<'a>, link: LinkType, bytes: &'a [u8], o: DecodeOptions) {
    match link {
        LinkType::Ethernet => ethernet(p, bytes, o),
        LinkType::Raw => ip::any(p, bytes, o),
        LinkType::Null | LinkType::Loop => null(p, bytes, o),
        LinkType::Sll => sll(p, bytes, o),
        LinkType::Sll2 => sll2(p, bytes, o),
        LinkType::Ppp => ppp(p, bytes, o),
        LinkType::Hdlc => match bytes {
            [_, _, a, b, rest @ ..] => ether_payload(p, u16::from_be_bytes([*a, *b]), rest, o),
            _ => p.note(DecoderEvent::ChdlcPktTooSmall),
        },
        LinkType::Other(_) => p.payload = bytes,
    }
}

pub(super) fn ethernet<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let Ok(header) = Ethernet2HeaderSlice::from_slice(bytes) else {
        p.note(DecoderEvent::EthernetPktTooSmall);
        return;
    };
    p.mac = Some((header.source(), header.destination()));
    let rest = bytes.get(14..).unwrap_or_default();
    ether_payload(p, header.ether_type().0, rest, o);
}

pub(super) fn ether_payload<'a>(p: &mut Packet<'a>, kind: u16, bytes: &'a [u8], o: DecodeOptions) {
    p.ether_type = kind;
    match kind {
        0x0800 => ip::v4(p, bytes, o),
        0x86dd => ip::v6(p, bytes, o),
        0x8100 | 0x88a8 | 0x9100 => vlan(p, bytes, o),
        0x88e7 => provider_backbone(p, bytes),
        0x8847 | 0x8848 => mpls(p, bytes, o),
        0x8864 => pppoe(p, bytes, o),
        0x0806 => arp(p, bytes),
        0x6558 => {
            p.inner = Some(Inner::Ethernet(bytes));
            p.payload = bytes;
        }
        // Lengths of IEEE 802.3 and protocols we do not look into.
        _ => p.payload = bytes,
    }
}

fn vlan<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let Ok(tag) = SingleVlanHeaderSlice::from_slice(bytes) else {
        p.note(DecoderEvent::VlanHeaderTooSmall);
        return;
    };
    if !p.vlan.push(tag.vlan_identifier().value()) {
        p.note(DecoderEvent::VlanTooManyLayers);
        return;
    }
    ether_payload(p, tag.ether_type().0, bytes.get(4..).unwrap_or_default(), o);
}

/// IEEE 802.1ah: 4 bytes of service tag, then a whole Ethernet frame, which is a packet of its own:
/// so its depth is counted, and a frame made of such tags alone does not lead ever deeper.
fn provider_backbone<'a>(p: &mut Packet<'a>, bytes: &'a [u8]) {
    p.payload = bytes;
    match bytes.get(4..) {
        Some(rest) if rest.len() >= 14 => p.inner = Some(Inner::Ethernet(rest)),
        _ => p.note(DecoderEvent::Ieee8021ahHeaderTooSmall),
    }
}

fn null<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let mut c = Cursor::new(bytes);
    let Some(family) = c.array::<4>() else {
        p.note(DecoderEvent::LtnullPktTooSmall);
        return;
    };
    // Written in the order of the machine that captured; families fit in one byte.
    let family = match family {
        [f, 0, 0, 0] | [0, 0, 0, f] => f,
        _ => 0,
    };
    match family {
        2 => ip::v4(p, c.rest(), o),
        10 | 24 | 28 | 30 => ip::v6(p, c.rest(), o),
        _ => p.note(DecoderEvent::LtnullUnsupportedType),
    }
}

fn sll<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    if bytes.len() < 16 {
        p.note(DecoderEvent::SllPktTooSmall);
        return;
    }
    // The slice type refuses hardware types whose protocol field is no EtherType; those have no
    // IP inside, but devices of other hardware types (802.11, netlink) may, so fall back on bytes.
    let kind = match LinuxSllHeaderSlice::from_slice(bytes) {
        Ok(header) => header.protocol_type().into(),
        Err(_) => Cursor::new(bytes.get(14..).unwrap_or_default()).u16().unwrap_or(0),
    };
    ether_payload(p, kind, bytes.get(16..).unwrap_or_default(), o);
}

fn sll2<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let mut c = Cursor::new(bytes);
    match (c.u16(), c.skip(18)) {
        (Some(kind), Some(())) => ether_payload(p, kind, c.rest(), o),
        _ => p.note(DecoderEvent::SllPktTooSmall),
    }
}

/// RFC 3032: labels of 4 bytes until the bottom of the stack.
fn mpls<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let mut c = Cursor::new(bytes);
    let mut last;
    let mut first = true;
    loop {
        let Some(entry) = c.u32() else {
            p.note(DecoderEvent::MplsHeaderTooSmall);
            return;
        };
        last = entry >> 12;
        if entry & 0x100 != 0 {
            break;
        }
        if first && last == 1 {
            p.note(DecoderEvent::MplsBadLabelRouterAlert);
        }
        first = false;
    }
    match last {
        0 => return ip::v4(p, c.rest(), o),
        1 => p.note(DecoderEvent::MplsBadLabelRouterAlert),
        2 => return ip::v6(p, c.rest(), o),
        3 => p.note(DecoderEvent::MplsBadLabelImplicitNull),
        5..=15 => p.note(DecoderEvent::MplsBadLabelReserved),
        _ => {}
    }
    // The label does not say what is inside: the first nibble is the customary guess (RFC 4928).
    match c.rest().first().map(|b| b >> 4) {
        Some(4) => ip::v4(p, c.rest(), o),
        Some(6) => ip::v6(p, c.rest(), o),
        Some(0) if c.remaining() >= 18 => {
            // A pseudowire control word precedes an Ethernet frame (RFC 4385).
            p.inner = c.rest().get(4..).map(Inner::Ethernet);
        }
        Some(_) => p.note(DecoderEvent::MplsUnknownPayloadType),
        None => p.note(DecoderEvent::MplsPktTooSmall),
    }
}

/// RFC 2516 section 4, session stage.
fn pppoe<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let mut c = Cursor::new(bytes);
    let (Some(_), Some(code), Some(_), Some(_)) = (c.u8(), c.u8(), c.u16(), c.u16()) else {
        p.note(DecoderEvent::PppoePktTooSmall);
        return;
    };
    if code != 0 {
        p.note(DecoderEvent::PppoeWrongCode);
        return;
    }
    ppp_protocol(p, c, o);
}

fn ppp<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let mut c = Cursor::new(bytes);
    if bytes.starts_with(&[0xff, 0x03]) {
        c.skip(2);
    }
    ppp_protocol(p, c, o);
}

fn ppp_protocol<'a>(p: &mut Packet<'a>, mut c: Cursor<'a>, o: DecodeOptions) {
    let Some(first) = c.u8() else {
        p.note(DecoderEvent::PppPktTooSmall);
        return;
    };
    // An odd first byte is a protocol number compressed to one byte (RFC 1661 section 6.5).
    let protocol = if first & 1 == 1 {
        u16::from(first)
    } else {
        match c.u8() {
            Some(second) => u16::from_be_bytes([first, second]),
            None => return p.note(DecoderEvent::PppPktTooSmall),
        }
    };
    match protocol {
        0x0021 if c.remaining() < 20 => p.note(DecoderEvent::PppIp4PktTooSmall),
        0x0021 => ip::v4(p, c.rest(), o),
        0x0057 if c.remaining() < 40 => p.note(DecoderEvent::PppIp6PktTooSmall),
        0x0057 => ip::v6(p, c.rest(), o),
        // Control protocols (LCP, IPCP, PAP, CHAP, ...) and compressed headers.
        0x002d | 0x002f | 0x8000..=0xffff => p.note(DecoderEvent::PppUnsupProto),
        _ => p.note(DecoderEvent::PppWrongType),
    }
}

/// RFC 826, Ethernet and IPv4 only.
fn arp<'a>(p: &mut Packet<'a>, bytes: &'a [u8]) {
    p.payload = bytes;
    let mut c = Cursor::new(bytes);
    let (Some(hardware), Some(protocol), Some(hlen), Some(plen), Some(opcode)) =
        (c.u16(), c.u16(), c.u8(), c.u8(), c.u16())
    else {
        p.note(DecoderEvent::ArpPktTooSmall);
        return;
    };
    if bytes.len() < 28 {
        p.note(DecoderEvent::ArpPktTooSmall);
    }
    if hardware != 1 {
        p.note(DecoderEvent::ArpUnsupportedHardware);
    } else if protocol != 0x0800 {
        p.note(DecoderEvent::ArpUnsupportedProtocol);
    } else if hlen != 6 {
        p.note(DecoderEvent::ArpInvalidHardwareSize);
    } else if plen != 4 {
        p.note(DecoderEvent::ArpInvalidProtocolSize);
    } else if !matches!(opcode, 1..=4 | 8 | 9) {
        p.note(DecoderEvent::ArpUnsupportedOpcode);
    }
}
