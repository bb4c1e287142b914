//! Transforms of a buffer before it is searched and inspected.

use md5::Digest as _;

use crate::check::rule::Transform;

/// Applies all in order; `a` holds the result, `b` is room.
pub(super) fn apply(transforms: &[Transform], bytes: &[u8], a: &mut Vec<u8>, b: &mut Vec<u8>) {
    a.clear();
    a.extend_from_slice(bytes);
    for transform in transforms {
        std::mem::swap(a, b);
        a.clear();
        one(*transform, b, a);
    }
}

fn one(transform: Transform, from: &[u8], to: &mut Vec<u8>) {
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
        Transform::HeaderLowercase => {
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
        Transform::UrlDecode => url_decode(from, to),
        Transform::Md5 => to.extend_from_slice(&md5::Md5::digest(from)),
        Transform::Sha1 => to.extend_from_slice(&sha1::Sha1::digest(from)),
        Transform::Sha256 => to.extend_from_slice(&sha2::Sha256::digest(from)),
        Transform::Xor(key, len) => {
            let key = key.to_be_bytes();
            let key = key.get(8 - usize::from(len.clamp(1, 8))..).unwrap_or_default();
            to.extend(from.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
    }
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
            (&[Transform::Xor(0x0a0d, 2)], b"\x0a\x0d\x0b", b"\x00\x00\x01"),
            (
                &[Transform::Md5],
                b"",
                b"\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e",
            ),
        ];
        let (mut out, mut room) = (b"left over".to_vec(), b"too".to_vec());
        for (transforms, from, expected) in cases {
            apply(transforms, from, &mut out, &mut room);
            assert_eq!(&out, expected, "{transforms:?}");
        }
        apply(&[Transform::Sha1], b"x", &mut out, &mut room);
        assert_eq!(out.len(), 20);
        apply(&[Transform::Sha256], b"x", &mut out, &mut room);
        assert_eq!(out.len(), 32);
    }
}
