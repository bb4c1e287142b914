//! Transforms of a buffer before it is searched and inspected.

use std::io::Read as _;

use md5::Digest as _;

use crate::{
    check::{
        pool::bytes_of,
        rule::{Base64Mode, Transform},
    },
    scan::regex::LazyRegex,
};

/// What transforms need of the rule set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'r> {
    pub(super) pool: &'r [u8],
    pub(super) regexes: &'r [LazyRegex],
}

/// Applies all in order; `a` holds the result, `b` is room.
pub(super) fn apply(
    parts: Parts<'_>,
    transforms: &[Transform],
    bytes: &[u8],
    a: &mut Vec<u8>,
    b: &mut Vec<u8>,
) {
    a.clear();
    a.extend_from_slice(bytes);
    for transform in transforms {
        std::mem::swap(a, b);
        a.clear();
        one(parts, *transform, b, a);
    }
}

fn one(parts: Parts<'_>, transform: Transform, from: &[u8], to: &mut Vec<u8>) {
    match transform {
        Transform::DotPrefix => {
            to.push(b'.');
            to.extend_from_slice(from);
        }
        Transform::Lowercase => to.extend(from.iter().map(u8::to_ascii_lowercase)),
        Transform::Uppercase => to.extend(from.iter().map(u8::to_ascii_uppercase)),
        Transform::StripWhitespace => to.extend(from.iter().filter(|b| !is_space(**b))),
        Transform::CompressWhitespace => compress(from, to),
        Transform::StripPseudoHeaders => {
            for line in
                from.split_inclusive(|b| *b == b'\n').filter(|line| line.first() != Some(&b':'))
            {
                to.extend_from_slice(line);
            }
        }
        Transform::HeaderLowercase => header_lowercase(from, to),
        Transform::UrlDecode => url_decode(from, to),
        Transform::Md5 => to.extend_from_slice(&md5::Md5::digest(from)),
        Transform::Sha1 => to.extend_from_slice(&sha1::Sha1::digest(from)),
        Transform::Sha256 => to.extend_from_slice(&sha2::Sha256::digest(from)),
        Transform::Xor(key) => {
            let key = bytes_of(parts.pool, key);
            to.extend(from.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
        Transform::XorExtract { offset, bytes, from: at } => {
            let (at, bytes) = (usize::from(at), usize::from(bytes));
            let key = from.get(at..at + bytes).filter(|key| !key.is_empty());
            match (key, from.get(usize::from(offset)..)) {
                (Some(key), Some(rest)) => {
                    to.extend(rest.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
                }
                // No key there: nothing to undo.
                _ => to.extend_from_slice(from),
            }
        }
        Transform::FromBase64 { bytes, offset, mode } => {
            from_base64((bytes, offset, mode), from, to);
        }
        Transform::Gunzip(most) => inflate(flate2::read::GzDecoder::new(from), most, from, to),
        Transform::Inflate(most) => inflate(flate2::read::ZlibDecoder::new(from), most, from, to),
        Transform::Subslice { offset, bytes, truncate } => {
            to.extend_from_slice(slice(from, offset, bytes, truncate));
        }
        Transform::Capture(regex) => {
            let group = parts.regexes.get(regex as usize).and_then(|regex| regex.group(from));
            to.extend_from_slice(group.unwrap_or(from));
        }
    }
}

fn header_lowercase(from: &[u8], to: &mut Vec<u8>) {
    let mut name = true;
    for byte in from {
        match byte {
            b':' => name = false,
            b'\n' => name = true,
            _ => {}
        }
        to.push(if name { byte.to_ascii_lowercase() } else { *byte });
    }
}

/// Undoes base64; what cannot be decoded as asked stays as it is.
fn from_base64(how: (Option<u16>, u16, Base64Mode), from: &[u8], to: &mut Vec<u8>) {
    let (bytes, offset, mode) = how;
    let part = from.get(usize::from(offset)..).and_then(|rest| match bytes {
        Some(bytes) => rest.get(..usize::from(bytes)),
        None => Some(rest),
    });
    let decoded = part.is_some_and(|part| super::numbers::decode_base64(part, mode, to));
    if !decoded || to.is_empty() {
        to.clear();
        to.extend_from_slice(from);
    }
}

/// Undoes a compression up to `most` bytes; what is not compressed so stays as it is.
fn inflate(decoder: impl std::io::Read, most: u32, from: &[u8], to: &mut Vec<u8>) {
    // What came out before an error counts.
    let result = decoder.take(u64::from(most)).read_to_end(to);
    if to.is_empty() && (result.is_err() || !from.is_empty()) {
        to.extend_from_slice(from);
    }
}

/// `bytes` from `offset` (negative: from the end). What reaches outside is empty, or cut with `truncate`.
fn slice(from: &[u8], offset: i32, bytes: Option<i32>, truncate: bool) -> &[u8] {
    let len = i64::try_from(from.len()).unwrap_or(i64::MAX);
    let mut start = i64::from(offset);
    if start < 0 {
        start += len;
    }
    if start < 0 && truncate {
        start = 0;
    }
    let mut end = match bytes.map(i64::from) {
        None => len,
        Some(bytes) if bytes < 0 => len + bytes,
        Some(bytes) => start.saturating_add(bytes),
    };
    if end > len && truncate {
        end = len;
    }
    usize::try_from(start)
        .ok()
        .zip(usize::try_from(end).ok())
        .and_then(|(start, end)| from.get(start..end))
        .unwrap_or_default()
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Runs of whitespace become their first byte.
fn compress(from: &[u8], to: &mut Vec<u8>) {
    let mut before = false;
    for byte in from {
        let space = is_space(*byte);
        if !(space && before) {
            to.push(*byte);
        }
        before = space;
    }
}

fn url_decode(from: &[u8], to: &mut Vec<u8>) {
    let hex = |byte: Option<&u8>| {
        byte.and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok())
    };
    let mut at = 0;
    while let Some(byte) = from.get(at) {
        match (byte, hex(from.get(at + 1)), hex(from.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                to.push(high << 4 | low);
                at += 3;
                continue;
            }
            (b'+', ..) => to.push(b' '),
            _ => to.push(*byte),
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::rule::Pattern;

    const PARTS: Parts<'static> = Parts { pool: b".\x0a\x0d.", regexes: &[] };

    #[test]
    fn transforms() {
        let cases: &[(&[Transform], &[u8], &[u8])] = &[
            (&[Transform::DotPrefix], b"a.b", b".a.b"),
            (&[Transform::Lowercase, Transform::DotPrefix], b"A", b".a"),
            (&[Transform::Uppercase], b"aB1", b"AB1"),
            (&[Transform::StripWhitespace], b" a\tb\r\n", b"ab"),
            (&[Transform::CompressWhitespace], b"a  b \t c", b"a b c"),
            (&[Transform::StripPseudoHeaders], b":path: /\r\nhost: x\r\n", b"host: x\r\n"),
            (&[Transform::HeaderLowercase], b"Host: Abc\r\nX-Y: Z", b"host: Abc\r\nx-y: Z"),
            (&[Transform::UrlDecode], b"a%20b+c%zz%4", b"a b c%zz%4"),
            (&[Transform::Xor(Pattern { start: 1, len: 2 })], b"\x0a\x0d\x0b", b"\x00\x00\x01"),
            (
                &[Transform::Md5],
                b"",
                b"\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e",
            ),
        ];
        let (mut out, mut room) = (b"left over".to_vec(), b"too".to_vec());
        for (transforms, from, expected) in cases {
            apply(PARTS, transforms, from, &mut out, &mut room);
            assert_eq!(&out, expected, "{transforms:?}");
        }
        apply(PARTS, &[Transform::Sha1], b"x", &mut out, &mut room);
        assert_eq!(out.len(), 20);
        apply(PARTS, &[Transform::Sha256], b"x", &mut out, &mut room);
        assert_eq!(out.len(), 32);
    }

    fn cut(offset: i32, bytes: Option<i32>, truncate: bool) -> Transform {
        Transform::Subslice { offset, bytes, truncate }
    }

    fn keyed(offset: u16, bytes: u8, from: u16) -> Transform {
        Transform::XorExtract { offset, bytes, from }
    }

    fn base64(bytes: Option<u16>, offset: u16, mode: Base64Mode) -> Transform {
        Transform::FromBase64 { bytes, offset, mode }
    }

    #[test]
    fn parts_and_encodings() {
        use Base64Mode::{Rfc2045, Rfc4648, Strict};
        let cases: &[(Transform, &[u8], &[u8])] = &[
            (cut(2, None, false), b"abc", b"c"),
            (cut(3, None, false), b"abc", b""),
            (cut(4, None, false), b"abc", b""),
            (cut(4, None, true), b"abc", b""),
            (cut(-2, None, false), b"abc", b"bc"),
            (cut(-4, None, false), b"abc", b""),
            (cut(-4, None, true), b"abc", b"abc"),
            (cut(-3, Some(2), false), b"abc", b"ab"),
            (cut(1, Some(9), false), b"abc", b""),
            (cut(1, Some(9), true), b"abc", b"bc"),
            (cut(-9, Some(2), true), b"abc", b"ab"),
            (cut(1, Some(-1), false), b"abcd", b"bc"),
            (cut(1, Some(-3), false), b"abcd", b""),
            (cut(1, Some(-9), false), b"abcd", b""),
            (keyed(1, 1, 0), b"\x01\x60\x63", b"ab"),
            (keyed(2, 2, 0), b"\x00\x01\x61\x63\x63", b"abc"),
            (keyed(0, 1, 9), b"abc", b"abc"),
            (base64(None, 0, Rfc4648), b"aGk=", b"hi"),
            (base64(None, 1, Rfc4648), b"?aGk=", b"hi"),
            (base64(Some(4), 1, Rfc4648), b"?aGkxaGkx", b"hi1"),
            (base64(Some(9), 1, Rfc4648), b"?aGkxaGkx", b"?aGkxaGkx"),
            (base64(None, 9, Rfc4648), b"aGk=", b"aGk="),
            (base64(None, 0, Rfc4648), b"aGkx*aGkx", b"hi1"),
            (base64(None, 0, Rfc2045), b"aGkx*aGkx", b"hi1hi1"),
            (base64(None, 0, Strict), b"aGkx*aGkx", b"aGkx*aGkx"),
            (base64(None, 0, Strict), b"aGkx", b"hi1"),
            (Transform::Gunzip(9), b"plain", b"plain"),
            (Transform::Inflate(9), b"", b""),
        ];
        let (mut out, mut room) = (Vec::new(), Vec::new());
        for (transform, from, expected) in cases {
            apply(PARTS, &[*transform], from, &mut out, &mut room);
            assert_eq!(&out, expected, "{transform:?} {from:?}");
        }
    }

    #[test]
    fn what_is_inflated_is_bounded() {
        use std::io::Write as _;
        let level = flate2::Compression::best();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), level);
        gz.write_all(&[b'a'; 100_000]).unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
        zlib.write_all(b"abcdef").unwrap();
        let (gz, zlib) = (gz.finish().unwrap(), zlib.finish().unwrap());
        let (mut out, mut room) = (Vec::new(), Vec::new());
        apply(PARTS, &[Transform::Gunzip(77)], &gz, &mut out, &mut room);
        assert_eq!(out, [b'a'; 77]);
        apply(PARTS, &[Transform::Inflate(1024)], &zlib, &mut out, &mut room);
        assert_eq!(out, b"abcdef");
        apply(PARTS, &[Transform::Inflate(1024)], &zlib[..zlib.len() - 6], &mut out, &mut room);
        assert!(!out.is_empty(), "a cut stream gives what it has");
    }
}
