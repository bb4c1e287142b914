//! `asn1`: oversized or overflowing BER elements.

use crate::check::rule::Asn1;

/// Most elements looked at.
const MAX_ELEMENTS: u32 = 256;

/// Whether an element from the given position on is one the rule looks for.
pub(super) fn matches(asn1: &Asn1, data: &[u8], cursor: usize) -> bool {
    let base = match (asn1.relative, asn1.absolute) {
        (Some(relative), _) => {
            i64::try_from(cursor).unwrap_or(i64::MAX).saturating_add(i64::from(relative))
        }
        (None, Some(absolute)) => i64::from(absolute),
        (None, None) => 0,
    };
    let Some(mut rest) = usize::try_from(base).ok().and_then(|base| data.get(base..)) else {
        return false;
    };
    for _ in 0..MAX_ELEMENTS {
        let Some((tag, constructed, length, content)) = element(rest) else { return false };
        if asn1.oversize.is_some_and(|limit| length > u64::from(limit)) {
            return true;
        }
        if !constructed {
            let first = content.first().copied().unwrap_or(0);
            if asn1.bitstring_overflow
                && tag == 3
                && length > 0
                && u64::from(first) > (length - 1) * 8
            {
                return true;
            }
            if asn1.double_overflow && tag == 9 && first & 0xc0 == 0 && length > 256 {
                return true;
            }
        }
        // Into a constructed element, over a primitive one.
        rest = if constructed {
            content
        } else {
            usize::try_from(length)
                .ok()
                .and_then(|length| content.get(length..))
                .unwrap_or_default()
        };
    }
    false
}

/// Tag number, constructed, length, and everything behind the header.
fn element(data: &[u8]) -> Option<(u32, bool, u64, &[u8])> {
    let (first, mut rest) = data.split_first()?;
    let constructed = first & 0x20 != 0;
    let mut tag = u32::from(first & 0x1f);
    if tag == 0x1f {
        tag = 0;
        loop {
            let (byte, after) = rest.split_first()?;
            rest = after;
            tag = tag.checked_mul(128)?.checked_add(u32::from(byte & 0x7f))?;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    let (byte, after) = rest.split_first()?;
    if byte & 0x80 == 0 {
        return Some((tag, constructed, u64::from(*byte), after));
    }
    let count = usize::from(byte & 0x7f);
    let length = after.get(..count).filter(|bytes| bytes.len() <= 8)?;
    let length = length.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    Some((tag, constructed, length, after.get(count..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        let none = Asn1 {
            bitstring_overflow: false,
            double_overflow: false,
            oversize: None,
            absolute: None,
            relative: None,
        };
        let oversize = Asn1 { oversize: Some(10), ..none };
        assert!(!matches(&oversize, b"\x04\x02ab", 0));
        assert!(matches(&oversize, b"\x30\x04\x04\x0bab", 0), "inside a constructed element");
        assert!(matches(&oversize, b"\x04\x02ab\x04\x0b", 0), "behind a primitive one");
        assert!(matches(&Asn1 { relative: Some(-1), ..oversize }, b"x\x04\x0b", 2));
        assert!(!matches(&Asn1 { relative: Some(-9), ..oversize }, b"x\x04\x0b", 2));
        let mut real = b"\x09\x82\x01\x2c\x00".to_vec();
        real.resize(310, 0);
        assert!(matches(&Asn1 { double_overflow: true, ..none }, &real, 0));
        assert!(matches(&Asn1 { bitstring_overflow: true, ..none }, b"\x03\x02\x09\x00", 0));
        assert!(!matches(&Asn1 { bitstring_overflow: true, ..none }, b"\x03\x02\x07\x00", 0));
        for hostile in
            [&b"\x1f\xff\xff\xff\xff\xff\xff\x01"[..], b"\x04\x89\x01", b"\x04", b"", b"\x04\xff"]
        {
            assert!(!matches(&oversize, hostile, 0));
        }
    }
}
