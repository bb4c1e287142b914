//! NTP (RFC 5905): requests and answers of time servers.
//!
//! Each message is a transaction of its own; of its times nothing is kept.

use super::{AppParser, Record, TxList};
use crate::flow::Direction;

/// Bytes of a message without extensions.
const HEADER: usize = 48;

/// A message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Version.
    pub version: u8,
    /// 3 client, 4 server, 5 broadcast, ...
    pub mode: u8,
    /// Steps from a reference clock; 0 unknown.
    pub stratum: u8,
    /// The clock, or the server the time is from.
    pub reference_id: [u8; 4],
}

/// Reads a message of version 3 or 4; `None` when it cannot be one. Control messages (mode 6 and 7) are
/// other protocols.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Message> {
    let (first, stratum) = match bytes {
        [first, stratum, ..] if bytes.len() >= HEADER => (*first, *stratum),
        _ => return None,
    };
    let (version, mode) = (first >> 3 & 7, first & 7);
    let reference_id = *bytes.get(12..)?.first_chunk::<4>()?;
    let fits = matches!(version, 3 | 4) && matches!(mode, 1..=5) && stratum <= 16;
    fits.then_some(Message { version, mode, stratum, reference_id })
}

/// Whether a message is the answer of a server.
#[must_use]
pub fn is_answer(message: &Message) -> bool {
    message.mode == 4
}

/// Parser of one flow.
#[derive(Debug)]
pub struct Parser;

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let parsed = parse(bytes);
        let id = txs.push(Record::Ntp(Box::new(parsed.unwrap_or_default())));
        let Some(tx) = txs.get_mut(id) else { return };
        if parsed.is_none() {
            tx.event(dir, "malformed_data");
        }
        tx.reach(dir, 1);
        tx.close_silently(dir.reverse(), 1);
    }

    fn gap(&mut self, _dir: Direction, _missing: u64, _txs: &mut TxList) {}

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_modes_and_strata() {
        for (first, stratum, length, fits) in [
            (0x23, 0, 48, true),
            (0x1c, 2, 68, true),
            (0xe3, 16, 48, true),
            (0x23, 17, 48, false),
            (0x13, 2, 48, false),
            (0x26, 2, 48, false),
            (0x23, 2, 47, false),
        ] {
            let mut bytes = vec![first, stratum];
            bytes.resize(length, 7);
            assert_eq!(parse(&bytes).is_some(), fits, "{first:x} {stratum} {length}");
        }
    }

    #[test]
    fn what_follows_and_is_none_is_told() {
        let mut txs = TxList::default();
        let mut bytes = [0_u8; 48];
        bytes[0] = 0x24;
        Parser.data(Direction::ToClient, &bytes, &mut txs);
        Parser.data(Direction::ToClient, b"x", &mut txs);
        let events: Vec<usize> = txs.iter().map(|tx| tx.events.len()).collect();
        assert_eq!(events, [0, 1]);
    }
}
