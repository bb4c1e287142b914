//! From bytes to messages, and from messages to transactions.

use super::super::{AppParser, Record, Switch, TxList};
use super::{Body, Ldap, Message, message, operation};
use crate::cursor::Cursor;
use crate::flow::{Direction, PerDirection};

/// Bytes of one message.
const MAX_MESSAGE: usize = 1 << 20;
/// Responses kept of one request; more are counted.
const MAX_RESPONSES: usize = 256;
/// Requests that wait for their responses.
const MAX_WAITING: usize = 256;
/// StartTLS (RFC 4511 section 4.14).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

#[derive(Debug, Default)]
struct Side {
    waiting: Vec<u8>,
    over: bool,
}

/// Parser of one flow.
#[derive(Debug, Default)]
pub struct Parser {
    datagrams: bool,
    sides: PerDirection<Side>,
    /// Identifiers of requests that are not answered, with their transactions.
    open: Vec<(i64, u64)>,
    /// StartTLS was asked for, under that identifier.
    tls_asked: Option<i64>,
    upgraded: bool,
    switch: Option<Switch>,
}

impl Parser {
    /// For datagrams, each of them whole messages, or for a stream.
    #[must_use]
    pub fn new(datagrams: bool) -> Self {
        Self { datagrams, ..Self::default() }
    }

    fn wrong(&mut self, dir: Direction, txs: &mut TxList) {
        let id = txs.push(Record::Ldap(Box::default()));
        if let Some(tx) = txs.get_mut(id) {
            tx.event(dir, "invalid_data");
            tx.reach(dir, 1);
            tx.close_silently(dir.reverse(), 1);
        }
        if !self.datagrams {
            self.sides.get_mut(dir).over = true;
            self.sides.get_mut(dir).waiting = Vec::new();
        }
    }

    fn message(&mut self, dir: Direction, message: Message, txs: &mut TxList) {
        if message.is_response() {
            self.response(message, txs);
        } else if dir == Direction::ToServer {
            self.request(message, txs);
        } else {
            self.wrong(dir, txs);
        }
    }

    fn request(&mut self, message: Message, txs: &mut TxList) {
        let (id, kind) = (message.id, message.operation);
        if matches!(&message.body, Body::Extended(name) if name == START_TLS) {
            self.tls_asked = Some(id);
        }
        if let Body::Abandon(abandoned) = message.body {
            self.close(abandoned, txs);
        }
        let ldap = Ldap { request: Some(message), ..Ldap::default() };
        let tx_id = txs.push(Record::Ldap(Box::new(ldap)));
        let Some(tx) = txs.get_mut(tx_id) else { return };
        tx.reach(Direction::ToServer, 1);
        if matches!(kind, operation::UNBIND | operation::ABANDON) {
            // Nobody answers them.
            tx.close_silently(Direction::ToClient, 1);
            return;
        }
        if self.open.len() >= MAX_WAITING {
            let (oldest, _) = self.open.remove(0);
            self.close(oldest, txs);
        }
        self.open.push((id, tx_id));
    }

    /// A request gets no more responses.
    fn close(&mut self, id: i64, txs: &mut TxList) {
        let at = self.open.iter().position(|(known, _)| *known == id);
        let tx = at.map(|at| self.open.remove(at).1);
        if let Some(tx) = tx.and_then(|tx| txs.get_mut(tx)) {
            tx.reach(Direction::ToClient, 1);
        }
    }

    fn response(&mut self, message: Message, txs: &mut TxList) {
        let id = message.id;
        let ends = !matches!(
            message.operation,
            operation::ENTRY | operation::REFERENCE | operation::INTERMEDIATE
        );
        let success = message.outcome().is_some_and(|outcome| outcome.code == 0);
        let known = self.open.iter().find(|(known, _)| *known == id).map(|(_, tx)| *tx);
        let tx_id = known.filter(|tx| txs.get(*tx).is_some()).unwrap_or_else(|| {
            let tx_id = txs.push(Record::Ldap(Box::default()));
            if let Some(tx) = txs.get_mut(tx_id) {
                tx.close_silently(Direction::ToServer, 1);
                // Notices have no request (RFC 4511 section 4.4).
                if id != 0 {
                    tx.event(Direction::ToClient, "request_not_found");
                }
            }
            tx_id
        });
        let Some(tx) = txs.get_mut(tx_id) else { return };
        if let Record::Ldap(ldap) = &mut tx.record {
            if ldap.responses.len() < MAX_RESPONSES {
                ldap.responses.push(message);
            } else {
                ldap.responses_beyond = ldap.responses_beyond.saturating_add(1);
            }
        }
        tx.touch(Direction::ToClient);
        if ends || known.is_none() {
            tx.reach(Direction::ToClient, 1);
            self.open.retain(|(known, _)| *known != id);
        }
        if ends && success && self.tls_asked == Some(id) {
            self.upgraded = true;
        }
    }

    /// Takes whole messages from the front of what waits.
    fn messages(&mut self, dir: Direction, txs: &mut TxList) {
        let waiting = std::mem::take(&mut self.sides.get_mut(dir).waiting);
        let mut c = Cursor::new(&waiting);
        while !c.is_empty() && !self.sides.get(dir).over && !self.upgraded {
            let Some(length) = length(c) else {
                if c.rest().first() != Some(&0x30) || c.remaining() > 6 || self.datagrams {
                    return self.wrong(dir, txs);
                }
                break;
            };
            if length > MAX_MESSAGE {
                return self.wrong(dir, txs);
            }
            let Some(bytes) = c.take(length) else {
                if self.datagrams {
                    return self.wrong(dir, txs);
                }
                break;
            };
            match message::parse(bytes) {
                Some(message) => self.message(dir, message, txs),
                None => self.wrong(dir, txs),
            }
        }
        let rest = c.rest().to_vec();
        if self.upgraded {
            let mut switch = Switch::default();
            *switch.rest.get_mut(dir) = rest;
            self.switch = Some(switch);
        } else if !self.sides.get(dir).over {
            self.sides.get_mut(dir).waiting = rest;
        }
    }
}

/// Bytes of the message that begins here, once its header is there.
fn length(c: Cursor<'_>) -> Option<usize> {
    let mut ahead = c;
    if ahead.u8()? != 0x30 {
        return None;
    }
    let length = match ahead.u8()? {
        short @ 0..=0x7f => u32::from(short),
        0x81 => ahead.u8()?.into(),
        0x82 => ahead.u16()?.into(),
        0x83 => ahead.u24()?,
        0x84 => ahead.u32()?,
        _ => return None,
    };
    let header = ahead.position().checked_sub(c.position())?;
    usize::try_from(length).ok()?.checked_add(header)
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        if side.over {
            return;
        }
        side.waiting.extend_from_slice(bytes);
        self.messages(dir, txs);
        if self.datagrams {
            self.sides.get_mut(dir).waiting.clear();
        }
    }

    fn gap(&mut self, dir: Direction, _missing: u64, _txs: &mut TxList) {
        // Messages have no marks to find the next one by.
        *self.sides.get_mut(dir) = Side { over: true, ..Side::default() };
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}

    fn switch(&mut self) -> Option<Switch> {
        self.switch.take()
    }
}
