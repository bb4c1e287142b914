//! What rules see of SNMP.

use net::app::snmp::Message;
use signature::{Buffer, Number, View};

use super::{TxView, non_empty};

impl<'a> TxView<'a> {
    pub(super) fn snmp(&'a self, message: &'a Message, buffer: Buffer, at: u32) -> View<'a> {
        if at > 0 {
            return View::Absent;
        }
        let bytes = match buffer {
            Buffer::SnmpCommunity => message.community.as_deref(),
            Buffer::SnmpUsm => message.usm.as_deref(),
            Buffer::SnmpTrapOid => message.trap_oid.as_deref().map(str::as_bytes),
            Buffer::SnmpTrapAddress => message.trap.map(|(_, [a, b, c, d])| {
                self.address.get_or_init(|| format!("{a}.{b}.{c}.{d}")).as_bytes()
            }),
            _ => None,
        };
        bytes.map_or(View::Absent, non_empty)
    }
}

pub(super) fn number(message: &Message, number: Number) -> Option<u64> {
    match number {
        Number::SnmpVersion => Some(message.version.into()).filter(|version| *version > 0),
        Number::SnmpPduType => message.pdu.map(u64::from),
        _ => None,
    }
}
