//! DHCP over IPv4 (RFC 2131, RFC 2132): who asks for an address, who gets which.
//!
//! Each message is a transaction of its own. Options are read as far as records show them.

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use super::{AppParser, Record, TxList};
use crate::cursor::Cursor;
use crate::flow::Direction;

/// Where options begin, and what they begin with (RFC 2131 section 3).
const OPTIONS_AT: usize = 236;
const MAGIC: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
/// Options read of a message.
const MAX_OPTIONS: usize = 256;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The server's answer rather than a client's request.
    pub reply: bool,
    /// Transaction identifier.
    pub id: u32,
    /// Address of the client's card.
    pub client_mac: [u8; 6],
    /// Address the client has already.
    pub client_ip: Ipv4Addr,
    /// Address the client is given.
    pub assigned_ip: Ipv4Addr,
    /// Server to be asked next.
    pub next_server_ip: Ipv4Addr,
    /// Relay between client and server.
    pub relay_ip: Ipv4Addr,
    /// Options in the order in which they came; those of the header fields last.
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Message {
    /// The first option with that code (RFC 2132).
    #[must_use]
    pub fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(known, _)| *known == code).map(|(_, value)| value.as_slice())
    }

    /// Kind of message (option 53), from 1 for a discovery; 0 without one.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.option(code::MESSAGE_TYPE).and_then(|value| value.first().copied()).unwrap_or(0)
    }
}

/// Codes of options (RFC 2132).
pub mod code {
    /// Subnet mask.
    pub const SUBNET_MASK: u8 = 1;
    /// Routers.
    pub const ROUTERS: u8 = 3;
    /// Name servers.
    pub const DNS_SERVERS: u8 = 6;
    /// Host name.
    pub const HOST_NAME: u8 = 12;
    /// Address the client would like.
    pub const REQUESTED_IP: u8 = 50;
    /// Seconds of the lease.
    pub const LEASE_TIME: u8 = 51;
    /// Header fields that hold options as well.
    pub const OVERLOAD: u8 = 52;
    /// Kind of message.
    pub const MESSAGE_TYPE: u8 = 53;
    /// Options the client asks for.
    pub const PARAMETERS: u8 = 55;
    /// Seconds until the lease is to be renewed.
    pub const RENEWAL_TIME: u8 = 58;
    /// Seconds until any server may be asked.
    pub const REBINDING_TIME: u8 = 59;
    /// Vendor of the client.
    pub const VENDOR_CLASS: u8 = 60;
    /// What the client calls itself.
    pub const CLIENT_ID: u8 = 61;
    /// Last option.
    pub const END: u8 = 255;
}

/// Whether a datagram is a message, and whether a reply.
#[must_use]
pub fn looks_like(bytes: &[u8]) -> Option<bool> {
    let magic = bytes.get(OPTIONS_AT..)?.first_chunk::<4>()?;
    match bytes {
        [op @ (1 | 2), 1, 6, ..] if *magic == MAGIC => Some(*op == 2),
        _ => None,
    }
}

/// Reads a message, with the events it is worth.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<(Message, Vec<&'static str>)> {
    let reply = looks_like(bytes)?;
    let mut c = Cursor::new(bytes);
    c.skip(4)?;
    let id = c.u32()?;
    c.skip(4)?;
    let mut address = || c.array::<4>().map(Ipv4Addr::from);
    let (client_ip, assigned_ip) = (address()?, address()?);
    let (next_server_ip, relay_ip) = (address()?, address()?);
    let client_mac = c.array()?;
    let mut message = Message {
        reply,
        id,
        client_mac,
        client_ip,
        assigned_ip,
        next_server_ip,
        relay_ip,
        options: Vec::new(),
    };
    // The rest of the hardware address, then names of server and boot file.
    c.skip(10)?;
    let (server, file) = (c.take(64)?, c.take(128)?);
    c.skip(4)?;
    let mut events = options(c.rest(), &mut message);
    let overload = message.option(code::OVERLOAD).and_then(|value| value.first().copied());
    let overload = overload.unwrap_or(0);
    for (bit, field) in [(1, file), (2, server)] {
        if overload & bit != 0 {
            events.extend(options(field, &mut message));
        }
    }
    Some((message, events))
}

/// Reads options to their end.
fn options(bytes: &[u8], message: &mut Message) -> Vec<&'static str> {
    let mut c = Cursor::new(bytes);
    while let Some(code) = c.u8() {
        match code {
            0 => continue,
            code::END => return Vec::new(),
            _ => {}
        }
        let Some(length) = c.u8() else { return vec!["truncated_options"] };
        let Some(value) = c.take(usize::from(length)) else { return vec!["truncated_options"] };
        if !has_fitting_length(code, value.len()) {
            return vec!["malformed_options"];
        }
        if message.options.len() >= MAX_OPTIONS {
            return vec!["malformed_options"];
        }
        message.options.push((code, value.to_vec()));
    }
    vec!["truncated_options"]
}

/// Numbers and addresses have the length that they have.
fn has_fitting_length(code: u8, length: usize) -> bool {
    match code {
        code::MESSAGE_TYPE | code::OVERLOAD => length == 1,
        code::SUBNET_MASK
        | code::REQUESTED_IP
        | code::LEASE_TIME
        | code::RENEWAL_TIME
        | code::REBINDING_TIME => length == 4,
        _ => length > 0,
    }
}

/// Name of a kind of message.
#[must_use]
pub fn kind_name(kind: u8) -> &'static str {
    match kind {
        1 => "discover",
        2 => "offer",
        3 => "request",
        4 => "decline",
        5 => "ack",
        6 => "nak",
        7 => "release",
        8 => "inform",
        _ => "unknown",
    }
}

/// Parser of one flow.
#[derive(Debug)]
pub struct Parser;

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let Some((message, events)) = parse(bytes) else { return };
        let id = txs.push(Record::Dhcp(Box::new(message)));
        let Some(tx) = txs.get_mut(id) else { return };
        for event in events {
            tx.event(dir, event);
        }
        tx.reach(dir, 1);
        tx.close_silently(dir.reverse(), 1);
    }

    fn gap(&mut self, _dir: Direction, _missing: u64, _txs: &mut TxList) {}

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}
