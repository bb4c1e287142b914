//! SIP (RFC 3261) over UDP and TCP: requests and responses, each a transaction of its own.
//!
//! Headers are kept as sent, up to [`MAX_HEAD`] bytes of them; of bodies only the length matters here.

#[cfg(test)]
mod tests;

use super::{AppParser, Record, TxList};
use crate::flow::{Direction, PerDirection};

/// Bytes of first line and headers.
pub const MAX_HEAD: usize = 64 << 10;
/// Headers kept of a message.
const MAX_HEADERS: usize = 256;

/// Headers that have a short name (RFC 3261 section 7.3.3).
const COMPACT: [(&str, &str); 10] = [
    ("i", "call-id"),
    ("m", "contact"),
    ("e", "content-encoding"),
    ("l", "content-length"),
    ("c", "content-type"),
    ("f", "from"),
    ("s", "subject"),
    ("k", "supported"),
    ("t", "to"),
    ("v", "via"),
];

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Sent by a client or a server, as the first line says.
    pub response: bool,
    /// The first line, without its line end.
    pub line: Vec<u8>,
    /// Method or status code.
    pub verb: Vec<u8>,
    /// URI or reason.
    pub object: Vec<u8>,
    /// `SIP/2.0`.
    pub protocol: Vec<u8>,
    /// Names in lower case and unabridged, and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Message {
    /// Values of a header by its long name in lower case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| &value[..])
    }
}

/// Reads first line and headers; the first blank line ends them.
fn read(head: &[u8]) -> Option<Message> {
    let mut lines =
        head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = lines.next()?;
    let mut parts = line.splitn(3, |b| *b == b' ');
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
    let response = first.starts_with(b"SIP/");
    let (protocol, verb, object) =
        if response { (first, second, third) } else { (third, first, second) };
    if !protocol.starts_with(b"SIP/") || verb.is_empty() {
        return None;
    }
    let mut message = Message {
        response,
        line: line.to_vec(),
        verb: verb.to_vec(),
        object: object.to_vec(),
        protocol: protocol.to_vec(),
        headers: Vec::new(),
    };
    for line in lines.take_while(|line| !line.is_empty()) {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            // A folded line (RFC 3261 section 7.3.1).
            if let Some((_, value)) = message.headers.last_mut() {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
        } else if message.headers.len() < MAX_HEADERS {
            let colon = line.iter().position(|b| *b == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
            let long = COMPACT.iter().find(|(short, _)| *short == name);
            let name = long.map_or(name, |(_, long)| (*long).to_owned());
            message.headers.push((name, value.get(1..)?.trim_ascii().to_vec()));
        }
    }
    Some(message)
}

/// Parser of one flow.
#[derive(Debug, Default)]
pub struct Parser {
    over_tcp: bool,
    sides: PerDirection<Side>,
}

#[derive(Debug, Default)]
struct Side {
    /// First line and headers that are not complete.
    partial: Vec<u8>,
    /// Bytes of body still to come.
    body: usize,
    lost: bool,
}

impl Parser {
    /// For datagrams, or for messages with their length in a header (TCP).
    #[must_use]
    pub fn new(over_tcp: bool) -> Self {
        Self { over_tcp, ..Self::default() }
    }

    /// A whole head; the bytes of body that follow it.
    fn message(dir: Direction, head: &[u8], txs: &mut TxList) -> Option<usize> {
        let message = read(head)?;
        let length = message.values("content-length").next();
        let length = length.and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok());
        let id = txs.push(Record::Sip(Box::new(message)));
        if let Some(tx) = txs.get_mut(id) {
            // Either side of a call may send either; rules see it where it went.
            tx.reach(dir, 1);
            tx.close_silently(dir.reverse(), 1);
        }
        Some(length.unwrap_or(0))
    }
}

/// Where the headers end: behind the blank line.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let crlf = memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at.saturating_add(4));
    let lf = memchr::memmem::find(bytes, b"\n\n").map(|at| at.saturating_add(2));
    match (crlf, lf) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        if !self.over_tcp {
            let head = bytes.get(..MAX_HEAD).unwrap_or(bytes);
            Self::message(dir, head, txs);
            return;
        }
        let side = self.sides.get_mut(dir);
        if side.lost {
            return;
        }
        side.partial.extend_from_slice(bytes);
        let mut rest = side.partial.as_slice();
        loop {
            let skipped = side.body.min(rest.len());
            side.body = side.body.saturating_sub(skipped);
            rest = rest.get(skipped..).unwrap_or_default();
            // Blank lines between messages keep the connection alive (RFC 5626 section 3.5.1).
            let blank = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            rest = rest.get(blank..).unwrap_or_default();
            let Some(end) = head_end(rest) else { break };
            let (head, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            let Some(body) = Self::message(dir, head, txs) else {
                side.lost = true;
                break;
            };
            side.body = body;
            rest = tail;
        }
        side.lost |= rest.len() > MAX_HEAD;
        let done = side.partial.len().saturating_sub(rest.len());
        if side.lost {
            side.partial = Vec::new();
        } else {
            side.partial.drain(..done);
        }
    }

    fn gap(&mut self, dir: Direction, missing: u64, _txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        match usize::try_from(missing) {
            Ok(missing) if missing <= side.body && side.partial.is_empty() => {
                side.body = side.body.saturating_sub(missing);
            }
            _ => side.lost = true,
        }
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}
