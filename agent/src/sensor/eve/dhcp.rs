//! `dhcp` objects.

use std::net::Ipv4Addr;

use net::app::dhcp::{Message, code, kind_name};
use serde_json::json;

use super::fields::Fields;
use super::text;

/// Whether a message is recorded where only addresses that were given are wanted.
pub(crate) fn gives_an_address(message: &Message) -> bool {
    message.reply && kind_name(message.kind()) == "ack"
}

/// The `dhcp` object of a message.
pub(crate) fn message<F: Fields>(out: &mut F, message: &Message, extended: bool) {
    let reply = message.reply;
    out.text("type", if reply { "reply" } else { "request" });
    out.number("id", message.id.into());
    out.text("client_mac", &mac(&message.client_mac));
    out.text("assigned_ip", &message.assigned_ip.to_string());
    if extended {
        out.text("client_ip", &message.client_ip.to_string());
        if reply {
            out.text("relay_ip", &message.relay_ip.to_string());
            out.text("next_server_ip", &message.next_server_ip.to_string());
        }
    }
    if message.option(code::MESSAGE_TYPE).is_some() {
        out.text("dhcp_type", kind_name(message.kind()));
    }
    if let Some(name) = message.option(code::HOST_NAME) {
        out.bytes("hostname", name);
    }
    if extended {
        options(out, message);
    }
}

fn options<F: Fields>(out: &mut F, message: &Message) {
    match message.option(code::CLIENT_ID) {
        // The address of an Ethernet card, or a name.
        Some([1, card @ ..]) if card.len() == 6 => out.text("client_id", &mac(card)),
        Some([0, name @ ..]) => out.bytes("client_id", name),
        Some(id) => out.text("client_id", &mac(id)),
        None => {}
    }
    for (code, name) in [
        (code::LEASE_TIME, "lease_time"),
        (code::RENEWAL_TIME, "renewal_time"),
        (code::REBINDING_TIME, "rebinding_time"),
    ] {
        if let Some(seconds) = message.option(code).and_then(number) {
            out.number(name, seconds.into());
        }
    }
    for (code, name) in [(code::REQUESTED_IP, "requested_ip"), (code::SUBNET_MASK, "subnet_mask")] {
        if let Some(address) = message.option(code).and_then(|value| addresses(value).next()) {
            out.text(name, &address.to_string());
        }
    }
    for (code, name) in [(code::ROUTERS, "routers"), (code::DNS_SERVERS, "dns_servers")] {
        if let Some(value) = message.option(code) {
            let list: Vec<String> = addresses(value).map(|address| address.to_string()).collect();
            out.value(name, list.into());
        }
    }
    if let Some(vendor) = message.option(code::VENDOR_CLASS) {
        out.value("vendor_class_identifier", text(vendor));
    }
    if let Some(wanted) = message.option(code::PARAMETERS) {
        let names: Vec<&str> = wanted.iter().filter_map(|code| parameter(*code)).collect();
        out.value("params", json!(names));
    }
}

fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// A number of four bytes.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

fn addresses(value: &[u8]) -> impl Iterator<Item = Ipv4Addr> {
    value.chunks_exact(4).filter_map(|part| part.first_chunk::<4>().map(|a| Ipv4Addr::from(*a)))
}

/// Options that clients commonly ask for, by name.
fn parameter(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "subnet_mask",
        3 => "router",
        6 => "dns_server",
        12 => "hostname",
        15 => "domain",
        35 => "arp_timeout",
        42 => "ntp_server",
        66 => "tftp_server_name",
        150 => "tftp_server_ip",
        _ => return None,
    })
}
