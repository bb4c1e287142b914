//! BER (X.690) as SNMP and Kerberos use it: definite lengths.
//!
//! A tag is its first octet. Neither protocol has numbers that need the long form (X.690 section 8.1.2.4);
//! one that would fit the short form is taken as that.

use crate::cursor::Cursor;

/// Octets of a tag number in the long form.
const MAX_TAG_OCTETS: usize = 4;

/// Reads one element: its tag and its content.
pub(super) fn element<'a>(c: &mut Cursor<'a>) -> Option<(u8, &'a [u8])> {
    let mut ahead = *c;
    let mut tag = ahead.u8()?;
    if tag & 0x1f == 0x1f {
        tag = match long_tag(&mut ahead)? {
            number @ 0..=30 => tag & 0xe0 | number,
            _ => tag,
        };
    }
    let length = match ahead.u8()? {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(ahead.u8()?),
        0x82 => usize::from(ahead.u16()?),
        0x83 => usize::try_from(ahead.u24()?).ok()?,
        0x84 => usize::try_from(ahead.u32()?).ok()?,
        _ => return None,
    };
    let content = ahead.take(length)?;
    *c = ahead;
    Some((tag, content))
}

/// Octets of a tag number in the long form: seven bits each, the last one with the high bit clear. The number
/// when it is below 128, else 255.
fn long_tag(c: &mut Cursor<'_>) -> Option<u8> {
    // A number does not begin with zeros; 28 bits are more than any protocol uses.
    let first = c.u8().filter(|first| *first != 0x80)?;
    let mut octet = first;
    for _ in 1..MAX_TAG_OCTETS {
        if octet & 0x80 == 0 {
            break;
        }
        octet = c.u8()?;
    }
    let number = if first & 0x80 == 0 { first } else { u8::MAX };
    (octet & 0x80 == 0).then_some(number)
}

/// The content of the next element, which must have this tag.
pub(super) fn tagged<'a>(c: &mut Cursor<'a>, tag: u8) -> Option<&'a [u8]> {
    let mut ahead = *c;
    let (found, content) = element(&mut ahead)?;
    if found != tag {
        return None;
    }
    *c = ahead;
    Some(content)
}

/// An integer of up to eight bytes.
pub(super) fn integer(content: &[u8]) -> Option<i64> {
    let negative = content.first()? & 0x80 != 0;
    if content.len() > 8 {
        return None;
    }
    let start = if negative { -1 } else { 0 };
    Some(content.iter().fold(start, |value: i64, byte| value << 8 | i64::from(*byte)))
}

/// An object identifier as text.
pub(super) fn oid(content: &[u8]) -> Option<String> {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc = 0_u64;
    for byte in content.iter().take(128) {
        arc = arc.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            if arcs.is_empty() {
                let first = arc.checked_div(40)?.min(2);
                arcs.push(first);
                arc = arc.saturating_sub(first.saturating_mul(40));
            }
            arcs.push(arc);
            arc = 0;
        }
    }
    let texts: Vec<String> = arcs.iter().map(u64::to_string).collect();
    (!texts.is_empty()).then(|| texts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_within_bounds() {
        let mut c =
            Cursor::new(&[2, 1, 5, 4, 0x81, 2, b'a', b'b', 4, 0x84, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(element(&mut c), Some((2, &[5][..])));
        assert_eq!(tagged(&mut c, 2), None);
        assert_eq!(tagged(&mut c, 4), Some(&b"ab"[..]));
        assert_eq!(element(&mut c), None, "longer than what is there");
        assert_eq!(element(&mut Cursor::new(&[4, 0x80, 0, 0])), None, "of no stated length");
    }

    #[test]
    fn long_tags_are_read_over() {
        type Case = (&'static [u8], Option<(u8, &'static [u8])>);
        let cases: &[Case] = &[
            (&[0x1f, 31, 1, 7], Some((0x1f, &[7]))),
            (&[0x7f, 0x81, 0, 2, 7, 8, 9], Some((0x7f, &[7, 8]))),
            (&[0xbf, 0x81, 0x82, 0x83, 4, 0], Some((0xbf, &[]))),
            (&[0xbf, 0x81, 0x82, 0x83, 0x84, 4, 0], None),
            (&[0x1f, 0x80, 1, 0], None),
            (&[0x1f, 0x81], None),
            (&[0x1f], None),
            (&[0x1f, 31], None),
            (&[0x1e, 1, 7], Some((0x1e, &[7]))),
        ];
        for (bytes, expected) in cases {
            assert_eq!(element(&mut Cursor::new(bytes)), *expected, "{bytes:x?}");
        }
        let mut c = Cursor::new(&[0xbf, 31, 1, 5, 2, 1, 6]);
        assert_eq!(tagged(&mut c, 2), None);
        element(&mut c);
        assert_eq!(tagged(&mut c, 2), Some(&[6][..]), "what follows is in its place");
    }

    #[test]
    fn values() {
        assert_eq!(integer(&[0xff]), Some(-1));
        assert_eq!(integer(&[1, 0]), Some(256));
        assert_eq!(integer(&[0; 9]), None);
        assert_eq!(oid(&[0x2b, 6, 1, 4, 1, 0x82, 0x37]).as_deref(), Some("1.3.6.1.4.1.311"));
        assert_eq!(oid(&[0xff; 128]), None);
        assert_eq!(oid(&[]), None);
    }
}
