//! TFTP (RFC 1350): which file is asked for. The file itself goes to other ports and is not read.

use super::{AppParser, Record, TxList};
use crate::flow::Direction;

/// Bytes of a name kept.
const MAX_NAME: usize = 512;

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Written to the server rather than read from it.
    pub write: bool,
    /// Name of the file.
    pub file: Vec<u8>,
    /// Mode in lower case: `netascii`, `octet`, `mail`.
    pub mode: Vec<u8>,
}

/// Reads a request; `None` for other messages.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Request> {
    let (write, rest) = match bytes {
        [0, kind @ (1 | 2), rest @ ..] => (*kind == 2, rest),
        _ => return None,
    };
    let mut words = rest.split(|b| *b == 0);
    let (file, mode) = (words.next()?, words.next()?);
    // The mode ends with a zero too.
    words.next()?;
    let mode = mode.to_ascii_lowercase();
    if file.is_empty() || !matches!(mode.as_slice(), b"netascii" | b"octet" | b"mail") {
        return None;
    }
    Some(Request { write, file: file.get(..MAX_NAME).unwrap_or(file).to_vec(), mode })
}

/// Parser of one flow.
#[derive(Debug)]
pub struct Parser;

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        // Data, acknowledgements and errors say nothing of their own.
        let Some(request) = parse(bytes) else { return };
        let id = txs.push(Record::Tftp(Box::new(request)));
        let Some(tx) = txs.get_mut(id) else { return };
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
    fn requests() {
        for (bytes, expected) in [
            (&b"\0\x01a.txt\0octet\0"[..], Some((false, &b"a.txt"[..]))),
            (b"\0\x02b\0NetASCII\0blksize\x00512\0", Some((true, b"b"))),
            (b"\0\x02b\0octet", None),
            (b"\0\x02b\0morse\0", None),
            (b"\0\x03\0\x01data", None),
            (b"\0\x01\0octet\0", None),
            (b"", None),
        ] {
            let read = parse(bytes);
            let read = read.as_ref().map(|r| (r.write, r.file.as_slice()));
            assert_eq!(read, expected, "{bytes:?}");
        }
    }
}
