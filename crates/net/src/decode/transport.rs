//! TCP, UDP and what a packet keeps of transport layers.

use etherparse::{TcpHeaderSlice, UdpHeaderSlice};

use super::{Arp, DecodeOptions, DecoderEvent, Igmp, Ip, Packet, Sctp, tunnel};
use crate::cursor::Cursor;

/// Bits of the TCP flags byte.
pub mod tcp_flags {
    /// No more data from sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number is valid.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is valid.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

/// Transport layer of a packet.
#[derive(Clone, Debug)]
pub enum Transport<'a> {
    /// None, or one that is not decoded.
    None,
    /// TCP.
    Tcp(Tcp<'a>),
    /// UDP.
    Udp {
        /// Source port.
        src_port: u16,
        /// Destination port.
        dst_port: u16,
        /// Header bytes.
        header: &'a [u8],
    },
    /// SCTP.
    Sctp(Sctp<'a>),
    /// IGMP.
    Igmp(Igmp<'a>),
    /// ARP, which has no IP below it.
    Arp(Arp),
    /// ICMP of either version.
    Icmp(Icmp<'a>),
    /// Encrypted payload; the security parameters index is its first four bytes.
    Esp,
}

/// A TCP header.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number; means something only with the ACK flag.
    pub ack: u32,
    /// Flags byte, see [`tcp_flags`].
    pub flags: u8,
    /// Window as sent, unscaled.
    pub window: u16,
    /// Raw options.
    pub options: &'a [u8],
    /// Header bytes with options.
    pub header: &'a [u8],
}

impl Tcp<'_> {
    /// True when all of `flags` are set.
    #[must_use]
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The value of the first option of a kind (RFC 9293 section 3.1).
    #[must_use]
    pub fn option(&self, wanted: u8) -> Option<&[u8]> {
        let mut c = Cursor::new(self.options);
        loop {
            match c.u8()? {
                0 => return None,
                1 => {}
                kind => {
                    let len = usize::from(c.u8()?).checked_sub(2)?;
                    let value = c.take(len)?;
                    if kind == wanted {
                        return Some(value);
                    }
                }
            }
        }
    }
}

/// An ICMPv4 or ICMPv6 header.
#[derive(Clone, Copy, Debug)]
pub struct Icmp<'a> {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier of echo and similar messages.
    pub id: Option<u16>,
    /// Sequence number of echo and similar messages.
    pub seq: Option<u16>,
    /// The datagram an error message quotes.
    pub quoted: Option<&'a [u8]>,
    /// The whole message.
    pub bytes: &'a [u8],
}

pub(super) fn tcp<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    if bytes.len() < 20 {
        return p.invalid(DecoderEvent::TcpPktTooSmall);
    }
    let Ok(header) = TcpHeaderSlice::from_slice(bytes) else {
        let offset = bytes.get(12).map_or(0, |b| b >> 4);
        return p.invalid(if offset < 5 {
            DecoderEvent::TcpHlenTooSmall
        } else {
            DecoderEvent::TcpInvalidOptlen
        });
    };
    let slice = header.slice();
    if o.checksums && !tcp_checksum_ok(p, &header, bytes) {
        p.checksum_ok = false;
    }
    let tcp = Tcp {
        src_port: header.source_port(),
        dst_port: header.destination_port(),
        seq: header.sequence_number(),
        ack: header.acknowledgment_number(),
        flags: slice.get(13).copied().unwrap_or(0),
        window: header.window_size(),
        options: slice.get(20..).unwrap_or_default(),
        header: slice,
    };
    p.transport = Transport::Tcp(tcp);
    p.payload = bytes.get(slice.len()..).unwrap_or_default();
    tcp_options(p, tcp.options);
}

fn tcp_checksum_ok(p: &Packet<'_>, header: &TcpHeaderSlice<'_>, bytes: &[u8]) -> bool {
    let payload = bytes.get(header.slice().len()..).unwrap_or_default();
    let sum = match &p.ip {
        Ip::V4(ip) => header.calc_checksum_ipv4_raw(ip.source(), ip.destination(), payload),
        Ip::V6(ip) => header.calc_checksum_ipv6_raw(ip.source(), ip.destination(), payload),
        Ip::None => return true,
    };
    sum == Ok(header.checksum())
}

fn tcp_options(p: &mut Packet<'_>, options: &[u8]) {
    let mut c = Cursor::new(options);
    let mut seen = 0u32;
    while let Some(kind) = c.u8() {
        match kind {
            0 => return,
            1 => continue,
            _ => {}
        }
        let Some(len) = c.u8() else { return };
        if usize::from(len).checked_sub(2).and_then(|n| c.take(n)).is_none() {
            return p.note(DecoderEvent::TcpOptInvalidLen);
        }
        let fits = match kind {
            2 => len == 4,
            3 => len == 3,
            4 => len == 2,
            8 => len == 10,
            // Selective acknowledgements are pairs of numbers, and there may be none of them.
            5 => len % 8 == 2 && len <= 34,
            // MD5 (RFC 2385), authentication (RFC 5925), fast open (RFC 7413).
            19 => len == 18,
            29 => len >= 4,
            34 => len == 2 || ((6..=18).contains(&len) && len % 2 == 0),
            _ => true,
        };
        if !fits {
            p.note(DecoderEvent::TcpOptInvalidLen);
            continue;
        }
        if matches!(kind, 2..=5 | 8 | 19 | 29) {
            let bit = 1u32 << (kind & 31);
            if seen & bit != 0 {
                p.note(DecoderEvent::TcpOptDuplicate);
            }
            seen |= bit;
        }
    }
}

pub(super) fn udp<'a>(p: &mut Packet<'a>, bytes: &'a [u8], o: DecodeOptions) {
    let Ok(header) = UdpHeaderSlice::from_slice(bytes) else {
        return p.invalid(DecoderEvent::UdpPktTooSmall);
    };
    let claimed = usize::from(header.length());
    if claimed < 8 {
        return p.invalid(DecoderEvent::UdpLenInvalid);
    }
    if bytes.len() < claimed {
        return p.invalid(DecoderEvent::UdpPktTooSmall);
    }
    // Longer than it says: what it says is used.
    let payload = bytes.get(8..claimed).unwrap_or_default();
    if o.checksums && header.checksum() != 0 && !udp_checksum_ok(p, &header, payload) {
        p.checksum_ok = false;
    }
    let (src_port, dst_port) = (header.source_port(), header.destination_port());
    p.transport = Transport::Udp { src_port, dst_port, header: header.slice() };
    p.payload = payload;
    tunnel::over_udp(p, src_port, dst_port, payload);
}

fn udp_checksum_ok(p: &Packet<'_>, header: &UdpHeaderSlice<'_>, payload: &[u8]) -> bool {
    let whole = header.to_header();
    let sum = match &p.ip {
        Ip::V4(ip) => whole.calc_checksum_ipv4_raw(ip.source(), ip.destination(), payload),
        Ip::V6(ip) => whole.calc_checksum_ipv6_raw(ip.source(), ip.destination(), payload),
        Ip::None => return true,
    };
    sum == Ok(header.checksum())
}
