//! Frame headers and what the small frames say (RFC 9113 section 6).

use crate::cursor::Cursor;

/// Settings kept of one frame.
const MAX_SETTINGS: usize = 64;

/// Flag bits (RFC 9113 section 6).
pub(super) mod flags {
    pub(in super::super) const END_STREAM: u8 = 0x1;
    pub(in super::super) const ACK: u8 = 0x1;
    pub(in super::super) const END_HEADERS: u8 = 0x4;
    pub(in super::super) const PADDED: u8 = 0x8;
    pub(in super::super) const PRIORITY: u8 = 0x20;
}

/// Numbers of frame types.
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const PRIORITY: u8 = 2;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const PUSH_PROMISE: u8 = 5;
    pub(in super::super) const PING: u8 = 6;
    pub(in super::super) const GOAWAY: u8 = 7;
    pub(in super::super) const WINDOW_UPDATE: u8 = 8;
    pub(in super::super) const CONTINUATION: u8 = 9;
}

/// The nine bytes before each frame (RFC 9113 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// The reserved bit is set.
    pub(super) reserved: bool,
}

impl Head {
    pub(super) fn read(c: &mut Cursor<'_>) -> Option<Self> {
        let mut ahead = *c;
        let (length, kind, flags) = (ahead.u24()?, ahead.u8()?, ahead.u8()?);
        let stream = ahead.u32()?;
        *c = ahead;
        let reserved = stream >> 31 != 0;
        Some(Self { length, kind, flags, stream: stream & 0x7fff_ffff, reserved })
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SETTINGS: identifier and value of each.
    Settings(Vec<(u16, u32)>),
    /// GOAWAY or RST_STREAM: the error code.
    Error(u32),
    /// WINDOW_UPDATE: bytes.
    Window(u32),
    /// PRIORITY, or HEADERS with priority: the weight as sent (0 to 255).
    Priority(u8),
    /// Anything else.
    Other,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Number of its type (RFC 9113 section 6).
    pub number: u8,
    /// What it says.
    pub kind: Kind,
}

/// Reads the content of a frame that is neither DATA nor carries headers; `None` when it is not as
/// long as its type wants it.
pub(super) fn read(head: Head, body: &[u8]) -> Option<Kind> {
    let mut c = Cursor::new(body);
    Some(match head.kind {
        kind::PRIORITY => {
            let weight = (c.u32()?, c.u8()?).1;
            exactly(body, 5)?;
            Kind::Priority(weight)
        }
        kind::RST_STREAM => {
            exactly(body, 4)?;
            Kind::Error(c.u32()?)
        }
        kind::SETTINGS => {
            if !body.len().is_multiple_of(6) || head.has(flags::ACK) && !body.is_empty() {
                return None;
            }
            let pair = || Some((c.u16()?, c.u32()?));
            Kind::Settings(std::iter::from_fn(pair).take(MAX_SETTINGS).collect())
        }
        kind::PING => {
            exactly(body, 8)?;
            Kind::Other
        }
        kind::GOAWAY => Kind::Error((c.u32()?, c.u32()?).1),
        kind::WINDOW_UPDATE => {
            exactly(body, 4)?;
            Kind::Window(c.u32()? & 0x7fff_ffff)
        }
        _ => Kind::Other,
    })
}

fn exactly(body: &[u8], length: usize) -> Option<()> {
    (body.len() == length).then_some(())
}

/// The content without its padding (RFC 9113 section 6.1); `None` when there is more padding than
/// content.
pub(super) fn unpadded(head: Head, body: &[u8]) -> Option<&[u8]> {
    if !head.has(flags::PADDED) {
        return Some(body);
    }
    let (pad, rest) = body.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*pad))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: u8, flags: u8) -> Head {
        Head { length: 0, kind, flags, stream: 1, reserved: false }
    }

    #[test]
    fn small_frames() {
        let cases: &[(u8, &[u8], Option<Kind>)] = &[
            (kind::PRIORITY, &[0, 0, 0, 3, 200], Some(Kind::Priority(200))),
            (kind::PRIORITY, &[0, 0, 0, 3], None),
            (kind::RST_STREAM, &[0, 0, 0, 8], Some(Kind::Error(8))),
            (kind::SETTINGS, &[0, 4, 0, 0, 1, 0], Some(Kind::Settings(vec![(4, 256)]))),
            (kind::SETTINGS, &[0, 4, 0, 0, 1], None),
            (kind::WINDOW_UPDATE, &[0x80, 0, 1, 0], Some(Kind::Window(256))),
            (kind::GOAWAY, &[0, 0, 0, 1, 0, 0, 0, 2, b'x'], Some(Kind::Error(2))),
            (kind::PING, &[0; 7], None),
            (99, &[1, 2], Some(Kind::Other)),
        ];
        for (number, body, expected) in cases {
            assert_eq!(read(head(*number, 0), body), *expected, "{number} {body:?}");
        }
        assert_eq!(read(head(kind::SETTINGS, flags::ACK), &[0, 4, 0, 0, 1, 0]), None);
    }

    #[test]
    fn padding_is_taken_off() {
        type Case<'a> = (u8, &'a [u8], Option<&'a [u8]>);
        let cases: &[Case<'_>] = &[
            (0, b"\x02ab", Some(b"\x02ab")),
            (flags::PADDED, b"\x02abcd", Some(b"ab")),
            (flags::PADDED, b"\x05abcd", None),
            (flags::PADDED, b"", None),
        ];
        for (bits, body, expected) in cases {
            assert_eq!(unpadded(head(kind::DATA, *bits), body), *expected);
        }
    }
}
