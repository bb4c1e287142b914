//! SNMP 1, 2c and 3 (RFC 1157, RFC 3416, RFC 3412) over UDP.
//!
//! Each message is a transaction of its own. Of its variables only the names are kept.

#[cfg(test)]
mod tests;

use super::{AppParser, Record, TxList, ber};
use crate::cursor::Cursor;
use crate::flow::Direction;

/// Variables read of a message.
const MAX_VARIABLES: usize = 256;
/// Tag of a sequence.
const SEQUENCE: u8 = 0x30;
/// `snmpTrapOID.0`: names the trap of versions 2 and 3.
const TRAP_OID: &str = "1.3.6.1.6.3.1.1.4.1.0";

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// 1, 2 or 3.
    pub version: u8,
    /// Community; versions 1 and 2.
    pub community: Option<Vec<u8>>,
    /// User of the security model; version 3.
    pub usm: Option<Vec<u8>>,
    /// Kind of PDU, from 0; `None` when it is encrypted.
    pub pdu: Option<u8>,
    /// Error status; 0 is none.
    pub error: Option<i64>,
    /// What was trapped.
    pub trap_oid: Option<String>,
    /// Kind of trap and where it came from; version 1.
    pub trap: Option<(i64, [u8; 4])>,
    /// Names of variables.
    pub variables: Vec<String>,
}

/// Reads a message; `None` when it is none or malformed.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Message> {
    let mut c = Cursor::new(ber::tagged(&mut Cursor::new(bytes), SEQUENCE)?);
    let version = ber::integer(ber::tagged(&mut c, 2)?)?;
    let version = match version {
        0 => 1,
        1 => 2,
        3 => 3,
        _ => return None,
    };
    let mut message = Message { version, ..Message::default() };
    if message.version < 3 {
        message.community = Some(ber::tagged(&mut c, 4)?.to_vec());
        pdu(&mut c, &mut message)?;
        return Some(message);
    }
    // Header data, security parameters, then the PDU in its scope.
    let mut header = Cursor::new(ber::tagged(&mut c, SEQUENCE)?);
    for _ in 0..3 {
        ber::element(&mut header)?;
    }
    let model = ber::integer(ber::tagged(&mut header, 2)?)?;
    let parameters = ber::tagged(&mut c, 4)?;
    if model == 3 {
        let mut usm = Cursor::new(ber::tagged(&mut Cursor::new(parameters), SEQUENCE)?);
        // Engine, boots, time.
        for _ in 0..3 {
            ber::element(&mut usm)?;
        }
        message.usm = Some(ber::tagged(&mut usm, 4)?.to_vec());
    }
    match ber::element(&mut c)? {
        (SEQUENCE, scoped) => {
            let mut c = Cursor::new(scoped);
            ber::tagged(&mut c, 4)?;
            ber::tagged(&mut c, 4)?;
            pdu(&mut c, &mut message)?;
        }
        (4, _) => {}
        _ => return None,
    }
    Some(message)
}

fn pdu(c: &mut Cursor<'_>, message: &mut Message) -> Option<()> {
    let (tag, content) = ber::element(c)?;
    let kind = tag.checked_sub(0xa0).filter(|kind| *kind <= 8)?;
    message.pdu = Some(kind);
    let mut c = Cursor::new(content);
    if kind == 4 {
        message.trap_oid = ber::oid(ber::tagged(&mut c, 6)?);
        let address = *ber::tagged(&mut c, 0x40)?.first_chunk()?;
        message.trap = Some((ber::integer(ber::tagged(&mut c, 2)?)?, address));
        ber::element(&mut c)?;
        ber::element(&mut c)?;
    } else {
        ber::element(&mut c)?;
        let status = ber::integer(ber::tagged(&mut c, 2)?)?;
        // A bulk request has a count there.
        message.error = (kind != 5).then_some(status);
        ber::element(&mut c)?;
    }
    let mut list = Cursor::new(ber::tagged(&mut c, SEQUENCE)?);
    // Old agents send variables that are not quite right: those before them stand.
    while let Some(variable) = ber::tagged(&mut list, SEQUENCE) {
        let mut variable = Cursor::new(variable);
        let name = ber::tagged(&mut variable, 6).and_then(ber::oid);
        let Some(name) = name.filter(|_| message.variables.len() < MAX_VARIABLES) else { break };
        if name == TRAP_OID && matches!(kind, 6 | 7) {
            message.trap_oid = ber::tagged(&mut variable, 6).and_then(ber::oid);
        }
        message.variables.push(name);
    }
    Some(())
}

/// Name of a kind of PDU.
#[must_use]
pub fn pdu_name(pdu: Option<u8>) -> &'static str {
    const NAMES: [&str; 9] = [
        "get_request",
        "get_next_request",
        "response",
        "set_request",
        "trap_v1",
        "get_bulk_request",
        "inform_request",
        "trap_v2",
        "report",
    ];
    pdu.map_or("encrypted", |pdu| NAMES.get(usize::from(pdu)).copied().unwrap_or("unknown"))
}

/// Parser of one flow.
#[derive(Debug)]
pub struct Parser;

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let parsed = parse(bytes);
        let malformed = parsed.is_none();
        let id = txs.push(Record::Snmp(Box::new(parsed.unwrap_or_default())));
        let Some(tx) = txs.get_mut(id) else { return };
        if malformed {
            tx.event(dir, "malformed_data");
        }
        tx.reach(dir, 1);
        // Each message stands for itself.
        tx.close_silently(dir.reverse(), 1);
    }

    fn gap(&mut self, _dir: Direction, _missing: u64, _txs: &mut TxList) {}

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}
