//! Content-Transfer-Encoding undone as bytes come (RFC 2045 section 6).

/// How the content of a part is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    /// 7bit, 8bit, binary and anything unknown.
    #[default]
    Plain,
    Base64,
    QuotedPrintable,
}

impl Encoding {
    /// By the value of the header field.
    pub(super) fn named(value: &[u8]) -> Self {
        let value = value.trim_ascii();
        if value.eq_ignore_ascii_case(b"base64") {
            Self::Base64
        } else if value.eq_ignore_ascii_case(b"quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Plain
        }
    }
}

/// Base64 under way: what is left of a group of four.
#[derive(Debug, Default)]
pub(super) struct Base64 {
    bits: u32,
    count: u8,
    /// Padding was seen; what follows begins anew.
    padded: bool,
}

impl Base64 {
    /// Decodes a piece into `out`. False when it has bytes that do not belong there.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        let mut clean = true;
        for byte in bytes {
            let value = match byte {
                b'A'..=b'Z' => byte.wrapping_sub(b'A'),
                b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
                b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
                b'+' => 62,
                b'/' => 63,
                b'=' => {
                    clean &= self.padded || self.count >= 2;
                    self.flush(out);
                    self.padded = true;
                    continue;
                }
                b'\r' | b'\n' | b' ' | b'\t' => continue,
                _ => {
                    clean = false;
                    continue;
                }
            };
            self.padded = false;
            self.bits = self.bits << 6 | u32::from(value);
            self.count = self.count.wrapping_add(1);
            if self.count == 4 {
                let [_, a, b, c] = self.bits.to_be_bytes();
                out.extend_from_slice(&[a, b, c]);
                self.bits = 0;
                self.count = 0;
            }
        }
        clean
    }

    /// The end: what is left of a group. False when that is no whole byte.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> bool {
        let (bits, count) = (std::mem::take(&mut self.bits), std::mem::take(&mut self.count));
        match count {
            3 => {
                let [_, _, a, b] = (bits >> 2).to_be_bytes();
                out.extend_from_slice(&[a, b]);
                true
            }
            2 => {
                let [_, _, _, a] = (bits >> 4).to_be_bytes();
                out.push(a);
                true
            }
            count => count == 0,
        }
    }
}

/// Decodes one line of quoted-printable without its end into `out`. The first of the results is false
/// when an escape is damaged (it is then left as it is), the second is true for a soft line break.
pub(super) fn quoted_printable(line: &[u8], out: &mut Vec<u8>) -> (bool, bool) {
    let (mut clean, mut rest) = (true, line);
    while let Some(at) = memchr::memchr(b'=', rest) {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        match escape {
            [_, high, low, tail @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
                out.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = tail;
            }
            // White space after the sign was added on the way (RFC 2045 section 6.7).
            [_, tail @ ..] if tail.iter().all(|b| matches!(b, b' ' | b'\t')) => {
                return (clean, true);
            }
            [sign, tail @ ..] => {
                clean = false;
                out.push(*sign);
                rest = tail;
            }
            [] => break,
        }
    }
    out.extend_from_slice(rest);
    (clean, false)
}

/// Value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let (mut decoder, mut out, mut clean) = (Base64::default(), Vec::new(), true);
        for piece in pieces {
            clean &= decoder.push(piece, &mut out);
        }
        clean &= decoder.flush(&mut out);
        (out, clean)
    }

    #[test]
    fn base64_of_any_length_in_any_pieces() {
        for (text, expected) in [
            (&b""[..], &b""[..]),
            (b"Zg==", b"f"),
            (b"Zm8=", b"fo"),
            (b"Zm9v", b"foo"),
            (b"Zm9v\r\nYmFy", b"foobar"),
            (b"Zm9vYg", b"foob"),
            (b"Zg==Zm9v", b"ffoo"),
            (b"/+8=", b"\xff\xef"),
        ] {
            assert_eq!(base64(&[text]), (expected.to_vec(), true), "{}", text.escape_ascii());
            let single: Vec<&[u8]> = text.chunks(1).collect();
            assert_eq!(base64(&single), (expected.to_vec(), true));
        }
    }

    #[test]
    fn damaged_base64_is_told_and_decoded_as_far_as_it_goes() {
        assert_eq!(base64(&[b"Zm!9v"]), (b"foo".to_vec(), false));
        assert_eq!(base64(&[b"Zm9vZ"]), (b"foo".to_vec(), false));
        assert_eq!(base64(&[b"=Zm9v"]), (b"foo".to_vec(), false));
    }

    #[test]
    fn quoted_printable_lines() {
        for (line, expected, clean, soft) in [
            (&b"plain"[..], &b"plain"[..], true, false),
            (b"a=3Db", b"a=b", true, false),
            (b"a=3db", b"a=b", true, false),
            (b"soft=", b"soft", true, true),
            (b"soft= \t", b"soft", true, true),
            (b"bad=ZZx", b"bad=ZZx", false, false),
            (b"=F", b"=F", false, false),
            (b"=00=FF", b"\x00\xff", true, false),
        ] {
            let mut out = Vec::new();
            let got = quoted_printable(line, &mut out);
            assert_eq!((out.as_slice(), got), (expected, (clean, soft)), "{}", line.escape_ascii());
        }
    }
}
