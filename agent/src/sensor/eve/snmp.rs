//! `snmp` objects.

use net::app::snmp::{Message, pdu_name};
use serde_json::json;

use super::fields::Fields;

/// The `snmp` object of a message.
pub(crate) fn message<F: Fields>(out: &mut F, message: &Message) {
    out.number("version", message.version.into());
    if let Some(community) = &message.community {
        out.bytes("community", community);
    }
    if let Some(usm) = &message.usm {
        out.bytes("usm", usm);
    }
    out.text("pdu_type", pdu_name(message.pdu));
    if let Some(error) = message.error.filter(|error| *error != 0) {
        out.text("error", &error_name(error));
    }
    if let Some((kind, [a, b, c, d])) = message.trap {
        out.text("trap_type", &trap_name(kind));
        out.text("trap_address", &format!("{a}.{b}.{c}.{d}"));
    }
    if let Some(oid) = &message.trap_oid {
        out.text("trap_oid", oid);
    }
    if !message.variables.is_empty() {
        out.value("vars", json!(message.variables));
    }
}

/// RFC 3416 section 3.
fn error_name(error: i64) -> String {
    const NAMES: [&str; 6] = ["NoError", "TooBig", "NoSuchName", "BadValue", "ReadOnly", "GenErr"];
    let known = usize::try_from(error).ok().and_then(|at| NAMES.get(at));
    known.map_or_else(|| error.to_string(), |name| (*name).to_owned())
}

/// RFC 1157 section 4.1.6.
fn trap_name(kind: i64) -> String {
    const NAMES: [&str; 7] = [
        "coldStart",
        "warmStart",
        "linkDown",
        "linkUp",
        "authenticationFailure",
        "egpNeighborLoss",
        "enterpriseSpecific",
    ];
    let known = usize::try_from(kind).ok().and_then(|at| NAMES.get(at));
    known.map_or_else(|| kind.to_string(), |name| (*name).to_owned())
}
