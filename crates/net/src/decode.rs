//! Bytes of one frame to a [`Packet`]: layers as borrowed slices, what is wrong as [`Anomalies`].
//!
//! Decoding never fails: a packet that ends early has fewer layers and an anomaly. It does not keep
//! state; fragments are joined by [`crate::defrag`]. A packet inside a tunnel is a packet of its
//! own: the outer one carries the undecoded [`Inner`] bytes and [`Packet::decode_inner`] goes one
//! level down, so that the caller decides how deep to follow.

mod arp;
mod event;
mod icmp;
mod igmp;
mod ip;
mod link;
mod options;
mod ppp;
mod sctp;
mod tag;
mod transport;
mod tunnel;

#[cfg(test)]
mod cut_tests;
#[cfg(test)]
mod event_tests;
#[cfg(test)]
mod tests;

pub use arp::Arp;
pub use event::{Anomalies, DecoderEvent};
pub use igmp::Igmp;
pub use link::LinkType;
pub use sctp::{Sctp, chunk_name};
pub use transport::{Icmp, Tcp, Transport, tcp_flags};

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use crate::defrag::Whole;
use crate::engine::Meta;

/// At most this many encapsulated packets are followed inside one frame.
pub const MAX_TUNNEL_DEPTH: u8 = 4;
/// At most this many tags and link headers are followed within one packet.
pub const MAX_LAYERS: u8 = 16;

/// What the decoder may do beyond reading headers.
#[derive(Clone, Copy, Debug)]
pub struct DecodeOptions {
    /// Verify IPv4, TCP, UDP and ICMP checksums; a wrong one clears [`Packet::checksum_ok`].
    pub checksums: bool,
    /// An IPv4 length of 0 stands for the rest of the frame: segmentation offload hands packets over before
    /// their length is written. Such a packet is damaged otherwise.
    pub offloaded: bool,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { checksums: true, offloaded: true }
    }
}

/// The network layer of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Ip<'a> {
    /// No IP header was found.
    None,
    /// An IPv4 header with its options.
    V4(Ipv4HeaderSlice<'a>),
    /// An IPv6 header; extension headers have been walked over.
    V6(Ipv6HeaderSlice<'a>),
}

/// The place of an IP fragment in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// IPv4 identification or that of the IPv6 fragment header.
    pub id: u32,
    /// Offset of the payload in bytes.
    pub offset: u32,
    /// More fragments follow.
    pub more: bool,
    /// Protocol of the fragmented part.
    pub next_header: u8,
    /// Place, counted from the IP header, of the byte that leads to the fragment header (IPv6).
    pub next_at: u16,
}

/// An encapsulated packet that has not been decoded.
#[derive(Clone, Copy, Debug)]
pub enum Inner<'a> {
    /// Begins with an Ethernet header.
    Ethernet(&'a [u8]),
    /// Begins with an IPv4 or IPv6 header.
    Ip(&'a [u8]),
    /// Payload of the given EtherType.
    EtherType(u16, &'a [u8]),
}

/// Where a packet was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// A frame of its own.
    #[default]
    Wire,
    /// Put together from fragments.
    Defrag,
    /// Inside IPv4.
    Ipv4,
    /// Inside IPv6.
    Ipv6,
    /// Inside GRE, ERSPAN included.
    Gre,
    /// Inside UDP as Teredo has it.
    Teredo,
    /// Inside VXLAN.
    Vxlan,
    /// Inside GENEVE.
    Geneve,
    /// An Ethernet frame behind a pseudowire or bridge header.
    Ethernet,
}

/// What is kept of the packet around another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Source address and port, the port 0 where there are none.
    pub src: (IpAddr, u16),
    /// Destination address and port.
    pub dst: (IpAddr, u16),
    /// IP protocol number of the packet around.
    pub proto: u8,
    /// Levels of encapsulation around that packet.
    pub depth: u8,
}

/// VLAN identifiers from the outside in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vlans {
    ids: [u16; 3],
    count: u8,
}

impl Vlans {
    /// Adds an inner tag; false when there is no room for it.
    pub fn push(&mut self, id: u16) -> bool {
        let Some(slot) = self.ids.get_mut(usize::from(self.count)) else { return false };
        *slot = id & 0x0fff;
        self.count = self.count.saturating_add(1);
        true
    }

    /// The identifiers that are present.
    #[must_use]
    pub fn ids(&self) -> &[u16] {
        self.ids.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// One packet: what was found at each layer, borrowed from the frame.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// Where and when the frame was seen.
    pub meta: Meta,
    /// All bytes of this packet from its first layer.
    pub bytes: &'a [u8],
    /// Source and destination MAC address.
    pub mac: Option<([u8; 6], [u8; 6])>,
    /// The innermost Ethernet header.
    pub link_header: &'a [u8],
    /// The last EtherType seen, 0 when the link has none.
    pub ether_type: u16,
    /// VLAN tags.
    pub vlan: Vlans,
    /// Network layer.
    pub ip: Ip<'a>,
    /// The IP header with its options or extension headers.
    pub ip_header: &'a [u8],
    /// What follows the IP header: transport header and payload.
    pub ip_payload: &'a [u8],
    /// Source address, unspecified without an IP layer.
    pub src: IpAddr,
    /// Destination address, unspecified without an IP layer.
    pub dst: IpAddr,
    /// IP protocol number of the transport layer (after IPv6 extension headers).
    pub proto: u8,
    /// The packet around this one; `None` outside of tunnels.
    pub outer: Option<Outer>,
    /// Set when this packet is a fragment: its payload is a piece, there is no transport layer.
    pub fragment: Option<Fragment>,
    /// Transport layer.
    pub transport: Transport<'a>,
    /// What follows the last decoded header.
    pub payload: &'a [u8],
    /// Where the packet was found.
    pub source: Source,
    /// Network identifier of the VXLAN this packet was found in.
    pub vni: Option<u32>,
    /// An encapsulated packet, see [`Packet::inner_source`] for how.
    pub inner: Option<Inner<'a>>,
    /// What encapsulates [`Packet::inner`].
    pub inner_source: Source,
    /// Network identifier of a VXLAN header in this packet.
    pub inner_vni: Option<u32>,
    /// False when checksums are verified and one was wrong.
    pub checksum_ok: bool,
    /// True when put together from fragments.
    pub reassembled: bool,
    /// Levels of encapsulation around this packet.
    pub depth: u8,
    /// A header could not be read: nothing of the packet is used beyond its anomalies.
    pub invalid: bool,
    /// Tags and link headers so far.
    layers: u8,
    /// What is wrong with it.
    pub anomalies: Anomalies,
}

impl<'a> Packet<'a> {
    fn empty(meta: Meta, bytes: &'a [u8]) -> Self {
        Self {
            meta,
            bytes,
            mac: None,
            link_header: &[],
            ether_type: 0,
            vlan: Vlans::default(),
            ip: Ip::None,
            ip_header: &[],
            ip_payload: &[],
            src: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            proto: 0,
            outer: None,
            fragment: None,
            transport: Transport::None,
            payload: &[],
            source: Source::Wire,
            vni: None,
            inner: None,
            inner_source: Source::Wire,
            inner_vni: None,
            checksum_ok: true,
            reassembled: false,
            depth: 0,
            invalid: false,
            layers: 0,
            anomalies: Anomalies::default(),
        }
    }

    /// Decodes a frame of the link type given in `meta`.
    #[must_use]
    pub fn decode(meta: Meta, bytes: &'a [u8], options: DecodeOptions) -> Self {
        let mut packet = Self::empty(meta, bytes);
        link::frame(&mut packet, meta.link, bytes, options);
        packet
    }

    /// Decodes the packet inside this one; VLAN tags are inherited.
    #[must_use]
    pub fn decode_inner(&self, inner: Inner<'a>, options: DecodeOptions) -> Self {
        let mut packet = Self::empty(self.meta, &[]);
        packet.depth = self.depth.saturating_add(1);
        packet.vlan = self.vlan;
        packet.mac = self.mac;
        packet.source = self.inner_source;
        packet.vni = self.inner_vni;
        let (src_port, dst_port) = self.ports();
        packet.outer = Some(Outer {
            src: (self.src, src_port),
            dst: (self.dst, dst_port),
            proto: self.proto,
            depth: self.depth,
        });
        match inner {
            Inner::Ethernet(bytes) => {
                packet.bytes = bytes;
                link::ethernet(&mut packet, bytes, options);
            }
            Inner::Ip(bytes) => {
                packet.bytes = bytes;
                ip::any(&mut packet, bytes, options);
            }
            Inner::EtherType(ether_type, bytes) => {
                packet.bytes = bytes;
                link::ether_payload(&mut packet, ether_type, bytes, options);
            }
        }
        packet
    }

    /// Decodes a datagram that [`crate::defrag`] put together from this packet's pieces.
    #[must_use]
    pub fn decode_reassembled<'b>(&self, whole: &'b Whole, options: DecodeOptions) -> Packet<'b> {
        let (link, datagram) = whole.bytes.split_at_checked(whole.ip_at).unwrap_or_default();
        let mut packet = Packet::empty(self.meta, &whole.bytes);
        packet.depth = self.depth;
        packet.vlan = self.vlan;
        packet.mac = self.mac;
        packet.reassembled = true;
        if self.link_header.len() <= link.len() && !self.link_header.is_empty() {
            packet.link_header = link.get(..self.link_header.len()).unwrap_or_default();
        }
        packet.ether_type = self.ether_type;
        packet.outer = self.outer;
        packet.vni = self.vni;
        packet.source = Source::Defrag;
        // Checksums of the joined header are ours, those inside are still checked.
        ip::any(&mut packet, datagram, options);
        packet
    }

    /// The TCP header, when there is one.
    #[must_use]
    pub fn tcp(&self) -> Option<&Tcp<'a>> {
        match &self.transport {
            Transport::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    /// The ICMP header of either version, when there is one.
    #[must_use]
    pub fn icmp(&self) -> Option<&Icmp<'a>> {
        match &self.transport {
            Transport::Icmp(icmp) => Some(icmp),
            _ => None,
        }
    }

    /// Source and destination port; for ICMP and others both are 0.
    #[must_use]
    pub fn ports(&self) -> (u16, u16) {
        match &self.transport {
            Transport::Tcp(tcp) => (tcp.src_port, tcp.dst_port),
            Transport::Udp { src_port, dst_port, .. } => (*src_port, *dst_port),
            Transport::Sctp(sctp) => (sctp.src_port, sctp.dst_port),
            _ => (0, 0),
        }
    }

    /// Time to live or hop limit.
    #[must_use]
    pub fn ttl(&self) -> Option<u8> {
        match &self.ip {
            Ip::None => None,
            Ip::V4(header) => Some(header.ttl()),
            Ip::V6(header) => Some(header.hop_limit()),
        }
    }

    /// IP version: 4, 6, or 0 without IP.
    #[must_use]
    pub fn ip_version(&self) -> u8 {
        match self.ip {
            Ip::None => 0,
            Ip::V4(_) => 4,
            Ip::V6(_) => 6,
        }
    }

    pub(crate) fn note(&mut self, event: DecoderEvent) {
        self.anomalies.add(event);
    }

    /// Something that makes the packet unusable.
    fn invalid(&mut self, event: DecoderEvent) {
        self.anomalies.add(event);
        self.invalid = true;
    }

    /// There is a packet within this one.
    fn enclose(&mut self, inner: Inner<'a>, source: Source) {
        self.inner = Some(inner);
        self.inner_source = source;
    }
}
