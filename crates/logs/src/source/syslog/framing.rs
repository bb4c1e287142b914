//! Messages out of a TCP stream (RFC 6587): octet counting and line ends, decided per message.
//!
//! A message that begins with a digit other than 0 and reads `LENGTH SP <` is counted (section
//! 3.4.1); anything else ends at a line feed or NUL (section 3.4.2).

use std::collections::VecDeque;

/// Longest message kept, bytes; the rest is cut and counted. As much as finds room in a field.
pub(super) const MAX_MESSAGE: usize = crate::parse::MAX_FIELD;
/// Most digits of a length.
const MAX_DIGITS: usize = 8;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// Bytes that were cut off.
    pub(super) cut: u64,
}

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub(super) struct Framer {
    buffer: VecDeque<u8>,
    /// Bytes of the current message still to be dropped, when its length is known.
    drop: usize,
    /// Whether the rest of the current line is to be dropped.
    drop_line: bool,
}

enum Frame {
    /// `header` bytes to skip, then `length` bytes of message.
    Counted {
        header: usize,
        length: usize,
    },
    Line,
    /// More bytes are needed to tell.
    Unknown,
}

impl Framer {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        let dropped = self.drop.min(rest.len());
        self.drop = self.drop.saturating_sub(dropped);
        rest = rest.get(dropped..).unwrap_or_default();
        if self.drop_line {
            let Some(end) = rest.iter().position(|byte| is_end(*byte)) else { return };
            rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
            self.drop_line = false;
        }
        self.buffer.extend(rest);
    }

    /// The next message. At the end of the stream what is left is a message too.
    pub(super) fn next(&mut self, ended: bool) -> Option<Message> {
        while self.buffer.front().is_some_and(|byte| is_end(*byte)) {
            self.buffer.pop_front();
        }
        match self.kind() {
            Frame::Counted { header, length } => self.counted(header, length, ended),
            Frame::Line => self.line(ended),
            Frame::Unknown if ended => self.line(true),
            Frame::Unknown => None,
        }
    }

    fn kind(&self) -> Frame {
        let mut length = 0_usize;
        for (at, byte) in self.buffer.iter().enumerate() {
            match byte {
                b'1'..=b'9' if at < MAX_DIGITS => {}
                b'0' if at > 0 && at < MAX_DIGITS => {}
                b' ' if at > 0 => {
                    let header = at.saturating_add(1);
                    return match self.buffer.get(header) {
                        Some(b'<') => Frame::Counted { header, length },
                        Some(_) => Frame::Line,
                        None => Frame::Unknown,
                    };
                }
                _ => return Frame::Line,
            }
            length = length.saturating_mul(10).saturating_add(usize::from(byte.wrapping_sub(b'0')));
        }
        Frame::Unknown
    }

    fn counted(&mut self, header: usize, length: usize, ended: bool) -> Option<Message> {
        let have = self.buffer.len().saturating_sub(header);
        let kept = length.min(MAX_MESSAGE);
        if have < kept && !ended {
            return None;
        }
        self.buffer.drain(..header);
        let bytes: Vec<u8> = self.buffer.drain(..kept.min(have)).collect();
        let cut = length.saturating_sub(kept);
        let here = cut.min(self.buffer.len());
        self.buffer.drain(..here);
        self.drop = cut.saturating_sub(here);
        Some(Message { bytes, cut: u64::try_from(cut).unwrap_or(u64::MAX) })
    }

    fn line(&mut self, ended: bool) -> Option<Message> {
        let end = self.buffer.iter().position(|byte| is_end(*byte));
        let length = match end {
            Some(end) => end,
            None if ended || self.buffer.len() > MAX_MESSAGE => self.buffer.len(),
            None => return None,
        };
        if length == 0 {
            return None;
        }
        let mut bytes: Vec<u8> = self.buffer.drain(..length).collect();
        self.drop_line = end.is_none() && !ended;
        let cut = bytes.len().saturating_sub(MAX_MESSAGE);
        bytes.truncate(MAX_MESSAGE);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        Some(Message { bytes, cut: u64::try_from(cut).unwrap_or(u64::MAX) })
    }
}

const fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::default();
        let mut out = Vec::new();
        for piece in pieces {
            framer.feed(piece);
            out.extend(std::iter::from_fn(|| framer.next(false)));
        }
        out.extend(std::iter::from_fn(|| framer.next(true)));
        out.into_iter().map(|m| String::from_utf8_lossy(&m.bytes).into_owned()).collect()
    }

    #[test]
    fn framings() {
        assert_eq!(all(&[b"<1>a\n<1>b\r\n\0<1>c"]), ["<1>a", "<1>b", "<1>c"]);
        assert_eq!(all(&[b"5 <1>a\n4 <1>b"]), ["<1>a\n", "<1>b"]);
        assert_eq!(all(&[b"4 <1>a4 <1>b<1>c\n4 <1>d"]), ["<1>a", "<1>b", "<1>c", "<1>d"]);
        assert_eq!(all(&[b"12 drummers drumming\n"]), ["12 drummers drumming"]);
        assert_eq!(all(&[b"99 <1>short"]), ["<1>short"]);
    }

    #[test]
    fn huge_announcements_and_endless_lines_are_bounded() {
        let mut framer = Framer::default();
        framer.feed(b"99999999 <1>");
        for _ in 0..100 {
            framer.feed(&[b'x'; 65_536]);
            if let Some(message) = framer.next(false) {
                assert_eq!(message.bytes.len(), MAX_MESSAGE);
                assert_eq!(message.cut, 99_999_999 - MAX_MESSAGE as u64);
            }
            assert!(framer.buffer.len() <= MAX_MESSAGE + 65_536);
        }
        let mut framer = Framer::default();
        let mut messages = 0;
        for _ in 0..200 {
            framer.feed(&[b'x'; 65_536]);
            messages += usize::from(framer.next(false).is_some());
            assert!(framer.buffer.len() <= MAX_MESSAGE + 65_536);
        }
        assert_eq!(messages, 1);
        framer.feed(b"\nnext\n");
        assert_eq!(framer.next(false).unwrap().bytes, b"next");
    }

    proptest! {
        #[test]
        fn framing_does_not_depend_on_segments(
            bytes in "[0-9 <>a\n]{0,80}", cut in 0_usize..80,
        ) {
            let bytes = bytes.as_bytes();
            let cut = cut.min(bytes.len());
            prop_assert_eq!(all(&[bytes]), all(&[&bytes[..cut], &bytes[cut..]]));
        }
    }
}
