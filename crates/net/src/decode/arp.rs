//! ARP (RFC 826) of IPv4 over Ethernet; RARP has the same form.

use std::net::Ipv4Addr;

use super::{DecoderEvent, Packet, Transport};
use crate::cursor::Cursor;

/// An ARP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Hardware type; 1 is Ethernet.
    pub hardware: u16,
    /// EtherType of the addresses asked for.
    pub protocol: u16,
    /// Operation: 1 request, 2 reply, 3 and 4 of RARP, 8 and 9 of InARP.
    pub opcode: u16,
    /// Hardware address of the sender.
    pub src_mac: [u8; 6],
    /// Protocol address of the sender.
    pub src: Ipv4Addr,
    /// Hardware address of the target.
    pub dst_mac: [u8; 6],
    /// Protocol address of the target.
    pub dst: Ipv4Addr,
}

pub(super) fn message<'a>(p: &mut Packet<'a>, bytes: &'a [u8]) {
    p.payload = bytes;
    let Some(arp) = read(p, bytes) else { return };
    p.transport = Transport::Arp(arp);
}

fn read(p: &mut Packet<'_>, bytes: &[u8]) -> Option<Arp> {
    let mut c = Cursor::new(bytes);
    let (Some(hardware), Some(protocol), Some([hlen, plen]), Some(opcode)) =
        (c.u16(), c.u16(), c.array(), c.u16())
    else {
        p.invalid(DecoderEvent::ArpPktTooSmall);
        return None;
    };
    let wrong = if bytes.len() < 28 {
        DecoderEvent::ArpPktTooSmall
    } else if hardware != 1 {
        DecoderEvent::ArpUnsupportedHardware
    } else if protocol != 0x0800 {
        DecoderEvent::ArpUnsupportedProtocol
    } else if hlen != 6 {
        DecoderEvent::ArpInvalidHardwareSize
    } else if plen != 4 {
        DecoderEvent::ArpInvalidProtocolSize
    } else if !matches!(opcode, 1..=4 | 8 | 9) {
        DecoderEvent::ArpUnsupportedOpcode
    } else {
        return Some(Arp {
            hardware,
            protocol,
            opcode,
            src_mac: c.array()?,
            src: Ipv4Addr::from(c.array::<4>()?),
            dst_mac: c.array()?,
            dst: Ipv4Addr::from(c.array::<4>()?),
        });
    };
    p.invalid(wrong);
    None
}
