//! Header fields to meaning.

use crate::{
    AppProto,
    check::{
        Checker,
        address::{self, AddressSet},
        rule::{Action, Protocol, Scope, Transport},
    },
    error::{RuleError, shown},
};

pub(super) fn action(text: &[u8]) -> Result<Action, RuleError> {
    match text.to_ascii_lowercase().as_slice() {
        b"alert" => Ok(Action::Alert),
        b"pass" => Ok(Action::Pass),
        b"drop" => Ok(Action::Drop),
        b"reject" | b"rejectsrc" => Ok(Action::Reject),
        b"config" => Ok(Action::Config),
        b"rejectdst" | b"rejectboth" | b"accept" => {
            Err(RuleError::unsupported(&String::from_utf8_lossy(text), "this action"))
        }
        _ => Err(RuleError::header(format!("unknown action \"{}\"", shown(text)))),
    }
}

pub(super) fn protocol(text: &[u8], checker: &Checker<'_>) -> Result<Protocol, RuleError> {
    let name = String::from_utf8_lossy(text).to_ascii_lowercase();
    let plain = |transport, version, scope| Protocol { transport, version, app: None, scope };
    Ok(match name.as_str() {
        "pkthdr" => plain(Transport::PacketHeader, 0, Scope::PacketOnly),
        "ip" => plain(Transport::Any, 0, Scope::Auto),
        "ip4" | "ipv4" => plain(Transport::Any, 4, Scope::Auto),
        "ip6" | "ipv6" => plain(Transport::Any, 6, Scope::Auto),
        "tcp" => plain(Transport::Tcp, 0, Scope::Auto),
        "tcp-pkt" => plain(Transport::Tcp, 0, Scope::PacketOnly),
        "tcp-stream" => plain(Transport::Tcp, 0, Scope::StreamOnly),
        "udp" => plain(Transport::Udp, 0, Scope::Auto),
        "icmp" => plain(Transport::Icmp, 0, Scope::Auto),
        "icmpv4" => plain(Transport::Icmpv4Only, 4, Scope::Auto),
        "icmpv6" => plain(Transport::Icmpv6Only, 6, Scope::Auto),
        "sctp" => plain(Transport::Sctp, 0, Scope::Auto),
        "igmp" => plain(Transport::Igmp, 4, Scope::PacketOnly),
        "ether" => plain(Transport::Ether, 0, Scope::PacketOnly),
        "arp" => plain(Transport::Arp, 0, Scope::PacketOnly),
        other => {
            let app = AppProto::from_name(other)
                .filter(|app| !matches!(app, AppProto::Unknown | AppProto::Failed))
                .ok_or_else(|| {
                    RuleError::header(format!("unknown protocol \"{}\"", shown(text)))
                })?;
            if checker.support.detected.intersection(app.covers()).is_empty() {
                return Err(RuleError::unsupported(other, "this protocol is not detected"));
            }
            Protocol { transport: Transport::Any, version: 0, app: Some(app), scope: Scope::Auto }
        }
    })
}

/// Number of an address list in the pool.
pub(super) fn addresses(text: &[u8], checker: &mut Checker<'_>) -> Result<u32, RuleError> {
    let text = ascii(text)?;
    if let Some(number) = checker.pool.address_text.get(text) {
        return Ok(*number);
    }
    let set = AddressSet::read(text, checker.variables)?;
    let number = checker.pool.addresses.number(set);
    checker.pool.address_text.insert(text.to_owned(), number);
    Ok(number)
}

/// Number of a port list in the pool.
pub(super) fn ports(text: &[u8], checker: &mut Checker<'_>) -> Result<u32, RuleError> {
    let text = ascii(text)?;
    if let Some(number) = checker.pool.port_text.get(text) {
        return Ok(*number);
    }
    let set = address::read_ports(text, checker.variables)?;
    let number = checker.pool.ports.number(set);
    checker.pool.port_text.insert(text.to_owned(), number);
    Ok(number)
}

fn ascii(text: &[u8]) -> Result<&str, RuleError> {
    str::from_utf8(text)
        .ok()
        .filter(|text| text.is_ascii())
        .ok_or_else(|| RuleError::header("address or port is not ASCII"))
}
