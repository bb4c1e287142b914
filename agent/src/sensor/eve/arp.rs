//! `arp` objects.

use net::decode::Arp;
use serde_json::{Value, json};

/// An ARP message.
pub(crate) fn message(arp: &Arp) -> Value {
    let opcode = match arp.opcode {
        1 => "request",
        2 => "reply",
        3 => "request_reverse",
        4 => "reply_reverse",
        8 => "inverse_request",
        9 => "inverse_reply",
        _ => "unknown",
    };
    json!({
        "hw_type": "ethernet",
        "proto_type": "ipv4",
        "opcode": opcode,
        "src_mac": mac(arp.src_mac),
        "src_ip": arp.src.to_string(),
        "dest_mac": mac(arp.dst_mac),
        "dest_ip": arp.dst.to_string(),
    })
}

fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}
