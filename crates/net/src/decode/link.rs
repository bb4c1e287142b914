//! Link layers: Ethernet, raw IP, BSD null/loopback, Linux cooked captures, Cisco HDLC; VLAN tags
//! and MPLS above them.
//!
//! Ends at the network layer, which [`super::ip`] takes over; other tags are in [`super::tag`].

use etherparse::{Ethernet2HeaderSlice, LinuxSllHeaderSlice, SingleVlanHeaderSlice};

use super::{DecodeOptions, DecoderEvent, Inner, MAX_LAYERS, Packet, Source, arp, ip, ppp, tag};
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
    /// Begins with an IP header (101, and 12, 14, 229).
    Raw,
    /// Begins with an IPv4 header (228).
    Ipv4,
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
    /// The number and the name that records use.
    #[must_use]
    pub fn number(self) -> (u16, Option<&'static str>) {
        match self {
            Self::Null => (0, Some("NULL")),
            Self::Ethernet => (1, Some("EN10MB")),
            Self::Ppp => (9, Some("PPP")),
            Self::Raw => (101, Some("RAW")),
            Self::Hdlc => (104, Some("C_HDLC")),
            Self::Loop => (108, Some("LOOP")),
            Self::Sll => (113, Some("LINUX_SLL")),
            Self::Ipv4 => (228, Some("IPv4")),
            Self::Sll2 => (276, Some("LINUX_SLL2")),
            Self::Other(other) => (other, None),
        }
    }

    /// From the number in a capture file.
    #[must_use]
    pub fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            9 | 50 => Self::Ppp,
            228 => Self::Ipv4,
            12 | 14 | 101 | 229 => Self::Raw,
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
        LinkType::Raw | LinkType::Ipv4 => ip::any(p, bytes, o),
        LinkType::Null | LinkType::Loop => null(p, bytes, o),
        LinkType::Sll => sll(p, bytes, o),
        LinkType::Sll2 => sll2(p, bytes, o),
        LinkType::Ppp => ppp::frame(p, bytes, o),
        LinkType::Hdlc => match bytes {
            [_, _, a, b, rest @ ..] => {
                ether_payload(p, u16::from_be_bytes([*a, *b]), rest, o);
            }
            _ => p.invalid(DecoderEvent::ChdlcPktTooSmall),
        },
        LinkType::Other(_) => p.payload = bytes,
    }
}

pub(super) fn ethernet<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let Ok(header) = Ethernet2HeaderSlice::from_slice(bytes) else {
        return p.invalid(DecoderEvent::EthernetPktTooSmall);
    };
    p.mac = Some((header.source(), header.destination()));
    p.link_header = header.slice();
    let rest = bytes.get(14..).unwrap_or_default();
    let kind = header.ether_type().0;
    // Below that it is the length of an IEEE 802.3 frame.
    if !ether_payload(p, kind, rest, o) && kind >= 0x0600 {
        p.note(DecoderEvent::EthernetUnknownEthertype);
    }
}

/// What follows an EtherType; false when we do not know it.
pub(super) fn ether_payload<'a>(
    p: &mut Packet<'a>,
    kind: u16,
    bytes: &'a [u8],
    o: DecodeOptions,
) -> bool {
    p.ether_type = kind;
    p.layers = p.layers.saturating_add(1);
    if p.layers > MAX_LAYERS {
        p.invalid(DecoderEvent::TooManyLayers);
        return true;
    }
    match kind {
        0x0800 => ip::v4(p, bytes, o),
        0x86dd => ip::v6(p, bytes, o),
        0x8100 | 0x88a8 | 0x9100 => vlan(p, bytes, o),
        0x88e7 => tag::provider_backbone(p, bytes, o),
        0x8847 | 0x8848 => mpls(p, bytes, o),
        0x8864 => ppp::session(p, bytes, o),
        0x8863 => ppp::discovery(p, bytes),
        0x0806 => arp::message(p, bytes),
        0x8903 => tag::fabric_path(p, bytes, o),
        0x8926 => tag::vntag(p, bytes, o),
        0x893f => tag::etag(p, bytes, o),
        0x894f => tag::nsh(p, bytes, o),
        0x6558 => {
            p.enclose(Inner::Ethernet(bytes), Source::Ethernet);
            p.payload = bytes;
        }
        // Lengths of IEEE 802.3 and protocols we do not look into.
        _ => {
            p.payload = bytes;
            return false;
        }
    }
    true
}

fn vlan<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let Ok(tag) = SingleVlanHeaderSlice::from_slice(bytes) else {
        return p.invalid(DecoderEvent::VlanHeaderTooSmall);
    };
    if !p.vlan.push(tag.vlan_identifier().value()) {
        return p.invalid(DecoderEvent::VlanTooManyLayers);
    }
    let kind = tag.ether_type().0;
    if !ether_payload(p, kind, bytes.get(4..).unwrap_or_default(), o) && kind >= 0x0600 {
        p.invalid(DecoderEvent::VlanUnknownType);
    }
}

fn null<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let mut c = Cursor::new(bytes);
    let Some(family) = c.array::<4>() else {
        return p.invalid(DecoderEvent::LtnullPktTooSmall);
    };
    // Written in the order of the machine that captured; families fit in one byte.
    let family = match family {
        [f, 0, 0, 0] | [0, 0, 0, f] => f,
        _ => 0,
    };
    match family {
        2 => ip::v4(p, c.rest(), o),
        10 | 24 | 28 | 30 => ip::v6(p, c.rest(), o),
        _ => p.invalid(DecoderEvent::LtnullUnsupportedType),
    }
}

fn sll<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    if bytes.len() < 16 {
        return p.invalid(DecoderEvent::SllPktTooSmall);
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
        (Some(kind), Some(())) => {
            ether_payload(p, kind, c.rest(), o);
        }
        _ => p.invalid(DecoderEvent::Sll2PktTooSmall),
    }
}

/// RFC 3032: labels of 4 bytes until the bottom of the stack.
fn mpls<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let mut c = Cursor::new(bytes);
    let mut last;
    let mut first = true;
    loop {
        let Some(entry) = c.u32() else {
            return p.invalid(DecoderEvent::MplsHeaderTooSmall);
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
            let frame = c.rest().get(4..).unwrap_or_default();
            p.enclose(Inner::Ethernet(frame), Source::Ethernet);
        }
        Some(_) => p.invalid(DecoderEvent::MplsUnknownPayloadType),
        None => p.invalid(DecoderEvent::MplsPktTooSmall),
    }
}
