//! Records and handshake messages.

use super::super::{AppParser, Record, TxList};
use super::{Certificate, Tls, certificate, hello, progress};
use crate::cursor::Cursor;
use crate::flow::{Direction, PerDirection};

/// Bytes of handshake kept while a message is incomplete.
const MAX_HANDSHAKE: usize = 256 << 10;
/// Certificates kept per side.
const MAX_CERTIFICATES: usize = 16;
/// A record is at most this long (RFC 8446 section 5.2), with room for bad implementations.
const MAX_RECORD: u16 = 0x4800;

#[derive(Debug, Default)]
struct Side {
    /// A record that is not complete.
    record: Vec<u8>,
    /// Handshake bytes that are not a whole message.
    handshake: Vec<u8>,
    /// What follows is encrypted, or no TLS.
    over: bool,
    /// A change of cipher was announced.
    changed_cipher: bool,
}

/// Parser of one flow.
#[derive(Debug, Default)]
pub struct Parser {
    sides: PerDirection<Side>,
    tx: Option<u64>,
}

impl Parser {
    fn with_tls(&mut self, txs: &mut TxList, f: impl FnOnce(&mut Tls)) -> Option<u64> {
        let id = match self.tx {
            Some(id) => id,
            None => {
                let id = txs.push(Record::Tls(Box::default()));
                self.tx = Some(id);
                id
            }
        };
        if let Some(tx) = txs.get_mut(id)
            && let Record::Tls(tls) = &mut tx.record
        {
            f(tls);
        }
        Some(id)
    }

    fn reach(&mut self, dir: Direction, step: u8, txs: &mut TxList) {
        if let Some(tx) = self.tx.and_then(|id| txs.get_mut(id)) {
            tx.reach(dir, step);
        }
    }

    fn event(&mut self, dir: Direction, name: &'static str, txs: &mut TxList) {
        let id = self.with_tls(txs, |_| {});
        if let Some(tx) = id.and_then(|id| txs.get_mut(id)) {
            tx.event(dir, name);
        }
    }

    /// One record: its content type, version and payload.
    fn record(&mut self, dir: Direction, kind: u8, version: u16, body: &[u8], txs: &mut TxList) {
        self.with_tls(txs, |tls| tls.record_version = version);
        match kind {
            22 if !self.sides.get(dir).changed_cipher => self.handshake(dir, body, txs),
            // Encrypted handshake: Finished.
            22 => self.over(dir, txs),
            20 => self.change_cipher(dir, txs),
            23 => {
                self.over(dir, txs);
                if self.sides.get(dir.reverse()).changed_cipher {
                    self.over(dir.reverse(), txs);
                }
            }
            21 | 24 => {}
            _ => {
                self.event(dir, "invalid_record_type", txs);
                self.sides.get_mut(dir).over = true;
            }
        }
    }

    fn change_cipher(&mut self, dir: Direction, txs: &mut TxList) {
        self.sides.get_mut(dir).changed_cipher = true;
        let mut established = false;
        self.with_tls(txs, |tls| {
            if dir == Direction::ToClient
                && tls.certificates.is_empty()
                && tls.version() < 0x0304
                && tls.server.is_some()
            {
                tls.resumed = true;
            }
            // In TLS 1.3 it is decoration (RFC 8446 appendix D.4).
            established = tls.server.is_some();
        });
        if established && dir == Direction::ToClient {
            self.over(dir, txs);
        }
    }

    fn over(&mut self, dir: Direction, txs: &mut TxList) {
        self.sides.get_mut(dir).over = true;
        self.sides.get_mut(dir).handshake = Vec::new();
        self.with_tls(txs, |tls| tls.encrypted = true);
        self.reach(dir, progress::DONE, txs);
    }

    fn handshake(&mut self, dir: Direction, body: &[u8], txs: &mut TxList) {
        let mut buffer = std::mem::take(&mut self.sides.get_mut(dir).handshake);
        if buffer.len().saturating_add(body.len()) > MAX_HANDSHAKE {
            self.event(dir, "handshake_too_long", txs);
            self.sides.get_mut(dir).over = true;
            return;
        }
        buffer.extend_from_slice(body);
        let mut c = Cursor::new(&buffer);
        loop {
            let before = c;
            let (Some(kind), Some(message)) = (c.u8(), c.vec24()) else {
                c = before;
                break;
            };
            self.message(dir, kind, message, txs);
            if self.sides.get(dir).over {
                return;
            }
        }
        let done = c.position();
        buffer.drain(..done);
        self.sides.get_mut(dir).handshake = buffer;
    }

    fn message(&mut self, dir: Direction, kind: u8, message: &[u8], txs: &mut TxList) {
        match kind {
            1 => match hello::client(message) {
                Some(client) => {
                    self.with_tls(txs, |tls| {
                        if tls.client.is_none() {
                            tls.client = Some(client);
                        }
                    });
                    self.reach(dir, progress::HELLO, txs);
                }
                None => self.fail(dir, txs),
            },
            2 => match hello::server(message) {
                Some(server) => {
                    self.with_tls(txs, |tls| tls.server = Some(server));
                    self.reach(dir, progress::HELLO, txs);
                }
                None => self.fail(dir, txs),
            },
            11 => self.certificates(dir, message, txs),
            13 => {
                self.with_tls(txs, |tls| tls.client_certificate_wanted = true);
            }
            14 => {
                self.with_tls(txs, |tls| tls.told |= !tls.client_certificate_wanted);
                self.reach(dir, progress::CERTIFICATE, txs);
            }
            _ => {}
        }
    }

    fn certificates(&mut self, dir: Direction, message: &[u8], txs: &mut TxList) {
        let mut outer = Cursor::new(message);
        let mut list = Cursor::new(outer.vec24().unwrap_or_default());
        let mut chain = Vec::new();
        while let Some(der) = list.vec24() {
            if chain.len() >= MAX_CERTIFICATES {
                self.event(dir, "too_many_certificates", txs);
                break;
            }
            chain.push(der.to_vec());
        }
        let mut wrong = None;
        let first = chain.first().map(|der| {
            certificate::read(der).unwrap_or_else(|event| {
                wrong = Some(event);
                let fingerprint = certificate::fingerprint(der);
                Certificate { fingerprint, ..Certificate::default() }
            })
        });
        if let Some(event) = wrong {
            self.event(dir, event, txs);
        }
        self.with_tls(txs, |tls| match dir {
            Direction::ToClient => {
                tls.certificates = chain;
                tls.certificate = first;
            }
            Direction::ToServer => {
                tls.client_certificates = chain;
                tls.client_certificate = first;
                tls.told = true;
            }
        });
        self.reach(dir, progress::CERTIFICATE, txs);
        if wrong.is_some() {
            self.fail(dir, txs);
        }
    }

    /// A handshake message that cannot be read: nothing after it can be.
    fn fail(&mut self, dir: Direction, txs: &mut TxList) {
        self.event(dir, "invalid_handshake_message", txs);
        for side in [&mut self.sides.to_server, &mut self.sides.to_client] {
            *side = Side { over: true, ..Side::default() };
        }
        if let Some(tx) = self.tx.and_then(|id| txs.get_mut(id)) {
            tx.reach(dir, progress::FINISHED);
            tx.close_silently(dir.reverse(), progress::FINISHED);
        }
    }

    /// SSL 2 client hello (RFC 5246 appendix E.2): no record layer as later versions have it.
    fn old_hello(&mut self, dir: Direction, txs: &mut TxList) {
        self.with_tls(txs, |tls| tls.record_version = 2);
        self.sides.get_mut(dir).over = true;
        self.reach(dir, progress::HELLO, txs);
    }
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        if self.sides.get(dir).over {
            return;
        }
        let mut buffer = std::mem::take(&mut self.sides.get_mut(dir).record);
        buffer.extend_from_slice(bytes);
        let mut c = Cursor::new(&buffer);
        if matches!(c.rest(), [0x80..=0x8f, _, 1, ..]) {
            return self.old_hello(dir, txs);
        }
        while !self.sides.get(dir).over {
            let before = c;
            let (Some(kind), Some(version), Some(length)) = (c.u8(), c.u16(), c.u16()) else {
                c = before;
                break;
            };
            if !(20..=24).contains(&kind) || version >> 8 != 3 && version >> 8 != 0x7f {
                self.event(dir, "invalid_record_version", txs);
                self.sides.get_mut(dir).over = true;
                break;
            }
            if length > MAX_RECORD {
                self.event(dir, "invalid_record_length", txs);
                self.sides.get_mut(dir).over = true;
                break;
            }
            let Some(body) = c.take(usize::from(length)) else {
                c = before;
                break;
            };
            self.record(dir, kind, version, body, txs);
        }
        let done = c.position();
        if !self.sides.get(dir).over {
            buffer.drain(..done);
            self.sides.get_mut(dir).record = buffer;
        }
    }

    fn gap(&mut self, dir: Direction, _missing: u64, _txs: &mut TxList) {
        // Records have no marks to find the next one by.
        let side = self.sides.get_mut(dir);
        side.over = true;
        side.record = Vec::new();
        side.handshake = Vec::new();
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}
