//! How the bytes of a file are text: byte order marks, names of encodings, where lines end.
//!
//! Lines are cut in the bytes as they are, and decoded one by one: an offset is an offset in the file.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes at the head that are needed to know a byte order mark.
pub(super) const MARK: usize = 3;

/// How a line feed is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unit {
    /// One byte.
    #[default]
    Byte,
    /// Two bytes, the lower first.
    Little,
    /// Two bytes, the higher first.
    Big,
}

/// The encoding of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    encoding: &'static Encoding,
}

/// An encoding by its name; `None` when there is none of that name.
pub(super) fn named(name: &str) -> Option<&'static Encoding> {
    let known = Encoding::for_label(name.as_bytes());
    // The web reads Latin-1 as Windows-1252, which is what those who say so mean.
    known.or_else(|| match name.to_ascii_lowercase().as_str() {
        "utf16" | "utf16le" => Some(UTF_16LE),
        "utf16be" => Some(UTF_16BE),
        _ => None,
    })
}

impl Text {
    /// What a file is in, by its first bytes and what is configured; `None` when more bytes are needed.
    pub(super) fn of(head: &[u8], configured: Option<&'static Encoding>) -> Option<Self> {
        let mark = Encoding::for_bom(head).map(|(encoding, _)| encoding);
        let open = head.len() < MARK && matches!(head, [] | [0xff | 0xfe | 0xef, ..]);
        match mark.or(configured) {
            Some(encoding) => Some(Self { encoding }),
            None if open => None,
            None => Some(Self { encoding: UTF_8 }),
        }
    }

    /// How its lines end.
    pub(super) fn unit(self) -> Unit {
        if self.encoding == UTF_16LE {
            Unit::Little
        } else if self.encoding == UTF_16BE {
            Unit::Big
        } else {
            Unit::Byte
        }
    }

    /// Most bytes of UTF-8 that a byte of it may become.
    pub(super) fn growth(self) -> usize {
        if self.encoding == UTF_8 { 1 } else { 3 }
    }

    /// The bytes as UTF-8, without a byte order mark when they are the `first` of a file. What is in UTF-8
    /// already is given back as it is, valid or not.
    pub(super) fn decode(self, bytes: &[u8], first: bool) -> Cow<'_, [u8]> {
        if self.encoding == UTF_8 {
            let mark = if first { bytes.strip_prefix(b"\xef\xbb\xbf") } else { None };
            return Cow::Borrowed(mark.unwrap_or(bytes));
        }
        let text = if first {
            self.encoding.decode_with_bom_removal(bytes).0
        } else {
            self.encoding.decode_without_bom_handling(bytes).0
        };
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], configured: Option<&str>, expected: Option<(&str, Unit)>) {
        let configured = configured.map(|name| named(name).unwrap());
        let found = Text::of(head, configured);
        let found = found.map(|text| (text.encoding.name(), text.unit()));
        assert_eq!(found, expected, "{head:?}");
    }

    #[test]
    fn marks_and_names() {
        check(b"", None, None);
        check(b"\xff", None, None);
        check(b"a", None, Some(("UTF-8", Unit::Byte)));
        check(b"\xef\xbb\xbf", None, Some(("UTF-8", Unit::Byte)));
        check(b"\xff\xfea\0", None, Some(("UTF-16LE", Unit::Little)));
        check(b"\xfe\xff\0a", Some("utf-8"), Some(("UTF-16BE", Unit::Big)));
        check(b"a\0", Some("utf-16le"), Some(("UTF-16LE", Unit::Little)));
        check(b"\xe4", Some("latin1"), Some(("windows-1252", Unit::Byte)));
        check(b"", Some("shift_jis"), Some(("Shift_JIS", Unit::Byte)));
        assert!(named("klingon").is_none());
    }

    #[test]
    fn lines_are_decoded() {
        let decode = |name: &str, bytes: &[u8], first| {
            let text = Text { encoding: named(name).unwrap() };
            String::from_utf8(text.decode(bytes, first).into_owned()).unwrap()
        };
        assert_eq!(decode("latin1", b"Z\xfcrich", false), "Z\u{fc}rich");
        assert_eq!(decode("utf-16le", b"\xff\xfea\0\xe4\0", true), "a\u{e4}");
        assert_eq!(decode("utf-16be", b"\xd8\x3d\xde\x00", false), "\u{1f600}");
        assert_eq!(decode("utf-16be", b"\xd8", false), "\u{fffd}");
        assert_eq!(decode("utf-8", b"\xef\xbb\xbfx", true), "x");
        assert_eq!(decode("shift_jis", b"\x93\xfa\x96\x7b", false), "\u{65e5}\u{672c}");
    }
}
