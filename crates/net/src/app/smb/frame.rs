//! Session messages out of a stream (RFC 1002 section 4.3), and what SMB messages begin with.

use crate::cursor::Cursor;

/// Bytes of the header of a session message.
pub(super) const HEADER: usize = 4;

/// SMB 1.
pub(super) const ONE: [u8; 4] = *b"\xffSMB";
/// SMB 2 and 3.
pub(super) const TWO: [u8; 4] = *b"\xfeSMB";
/// Encrypted SMB 3.
pub(super) const SEALED: [u8; 4] = *b"\xfdSMB";
/// Compressed SMB 3.
pub(super) const PACKED: [u8; 4] = *b"\xfcSMB";

/// Whether an SMB message was sent by a server; `None` when it is none, or cannot be told.
pub(super) fn is_response(message: &[u8]) -> Option<bool> {
    let magic: [u8; 4] = message.get(..4)?.try_into().ok()?;
    match magic {
        ONE => Some(message.get(9).copied().unwrap_or(0) & 0x80 != 0),
        TWO => Some(message.get(16).copied().unwrap_or(0) & 1 != 0),
        SEALED | PACKED => Some(false),
        _ => None,
    }
}

/// Kind and length of a session message.
pub(super) fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let mut c = Cursor::new(bytes);
    let (kind, length) = (c.u8()?, c.u24()?);
    Some((kind, usize::try_from(length).ok()?))
}

/// Kinds of session messages that exist: message, request, answers, keep-alive.
pub(super) fn is_known(kind: u8) -> bool {
    matches!(kind, 0 | 0x81..=0x85)
}

/// Where the next SMB message begins, the header of its session message included.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    let body = bytes.get(HEADER..)?;
    memchr::memmem::find_iter(body, b"SMB").find_map(|at| {
        let begin = at.checked_sub(1)?;
        let marked = matches!(body.get(begin), Some(0xfc..=0xff));
        (marked && bytes.get(begin) == Some(&0)).then_some(begin)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_behind_garbage() {
        assert_eq!(find(b"\0\0\0\x04\xffSMBr"), Some(0));
        assert_eq!(find(b"xSMB yy\0\0\0\x40\xfeSMB"), Some(7));
        assert_eq!(find(b"no SMB at all, \xff or"), None);
        assert_eq!(find(b"\xffSMB"), None, "without its session header");
    }

    #[test]
    fn a_response_is_known_by_its_flags() {
        let mut one = [0; 32];
        one[..4].copy_from_slice(&ONE);
        assert_eq!(is_response(&one), Some(false));
        one[9] = 0x80;
        assert_eq!(is_response(&one), Some(true));
        let mut two = [0; 64];
        two[..4].copy_from_slice(&TWO);
        two[16] = 1;
        assert_eq!(is_response(&two), Some(true));
        assert_eq!(is_response(b"\xfeSM"), None);
    }
}
