//! Messages of one flow: a datagram each, or with their length before them (RFC 4120 section 7.2.2).

use super::message::{self, kind};
use super::{Message, is_weak};
use crate::app::{AppParser, Record, TxList};
use crate::flow::{Direction, PerDirection};

/// Bytes of a message over TCP; a longer one is not followed.
pub const MAX_RECORD: usize = 100_000;

/// Parser of one flow.
#[derive(Debug, Default)]
pub struct Parser {
    over_tcp: bool,
    sides: PerDirection<Side>,
    /// Type of the last request without an answer.
    asked: Option<u8>,
}

#[derive(Debug, Default)]
struct Side {
    /// Length and message, not complete yet.
    partial: Vec<u8>,
    /// Bytes to come of a message that has a hole.
    skip: usize,
    lost: bool,
}

impl Side {
    /// Bytes that the message at hand still lacks, when its length is known.
    fn missing(&self) -> Option<usize> {
        let length = u32::from_be_bytes(*self.partial.first_chunk()?);
        usize::try_from(length).ok()?.checked_add(4)?.checked_sub(self.partial.len())
    }
}

impl Parser {
    /// For datagrams or for a stream.
    #[must_use]
    pub fn new(over_tcp: bool) -> Self {
        Self { over_tcp, ..Self::default() }
    }

    /// One whole message.
    fn message(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let parsed = match message::kind_of(bytes) {
            Some(kind::AS_REQ..=kind::TGS_REP | kind::ERROR) => message::parse(bytes),
            other => {
                // Between client and service, which is not for us, or nothing at all.
                match other {
                    Some(kind::AP_REQ) => self.asked = other,
                    Some(kind::AP_REP) => self.asked = None,
                    Some(_) => {}
                    None => push(dir, None, txs),
                }
                return;
            }
        };
        let parsed = parsed.map(|mut message| {
            let asked = self.asked.take();
            match message.kind {
                kind::AS_REQ | kind::TGS_REQ => self.asked = Some(message.kind),
                kind::ERROR => message.failed_request = asked,
                _ => {}
            }
            message
        });
        push(dir, parsed, txs);
    }
}

/// A transaction of a message; one that could not be read is an event.
fn push(dir: Direction, message: Option<Message>, txs: &mut TxList) {
    let malformed = message.is_none();
    let message = message.unwrap_or_default();
    let weak = message.encryption.is_some_and(is_weak);
    let id = txs.push(Record::Krb5(Box::new(message)));
    let Some(tx) = txs.get_mut(id) else { return };
    if malformed {
        tx.event(dir, "malformed_data");
    }
    if weak {
        tx.event(dir, "weak_encryption");
    }
    tx.reach(dir, 1);
    // Each message stands for itself.
    tx.close_silently(dir.reverse(), 1);
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        if !self.over_tcp {
            return self.message(dir, bytes, txs);
        }
        let side = self.sides.get_mut(dir);
        if side.lost {
            return;
        }
        let skipped = side.skip.min(bytes.len());
        side.skip = side.skip.saturating_sub(skipped);
        let mut partial = std::mem::take(&mut side.partial);
        partial.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
        let mut rest = partial.as_slice();
        while let Some((length, tail)) = rest.split_first_chunk() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            if length > MAX_RECORD {
                self.sides.get_mut(dir).lost = true;
                return push(dir, None, txs);
            }
            let Some((message, tail)) = tail.split_at_checked(length) else { break };
            if !message.is_empty() {
                self.message(dir, message, txs);
            }
            rest = tail;
        }
        let done = partial.len().saturating_sub(rest.len());
        partial.drain(..done);
        self.sides.get_mut(dir).partial = partial;
    }

    fn gap(&mut self, dir: Direction, missing: u64, _txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        let to_come = if side.skip > 0 { Some(side.skip) } else { side.missing() };
        let left = usize::try_from(missing)
            .ok()
            .and_then(|missing| to_come.and_then(|to_come| to_come.checked_sub(missing)));
        side.partial = Vec::new();
        match left {
            // The message is lost, the one behind it is not.
            Some(left) => side.skip = left,
            None => side.lost = true,
        }
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}
