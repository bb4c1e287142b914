//! Numbers in the traffic: `byte_test`, `byte_jump`, `byte_extract`, `byte_math`, base64.

use super::inspect::Data;
use crate::check::rule::{
    Base64Mode, ByteExtract, ByteJump, ByteMath, ByteTest, Encoding, Field, JumpFrom, MathOp, Num,
    Operand, TestOp,
};

/// Longest run of digits read as a number.
const MAX_DIGITS: usize = 23;

/// A value read before, as a signed number.
pub(super) fn value(values: &[u64], var: u8) -> i64 {
    values.get(usize::from(var)).map_or(0, |value| i64::try_from(*value).unwrap_or(i64::MAX))
}

fn number(number: Num, values: &[u64]) -> i64 {
    match number {
        Num::Const(constant) => i64::from(constant),
        Num::Var(var) => value(values, var),
    }
}

fn operand(operand: Operand, values: &[u64]) -> u64 {
    match operand {
        Operand::Const(constant) => constant,
        Operand::Var(var) => values.get(usize::from(var)).copied().unwrap_or(0),
    }
}

/// Where numbers are read: the bytes, the cursor, and the byte order of DCERPC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'d> {
    data: &'d [u8],
    cursor: usize,
    little: bool,
}

impl<'d> Place<'d> {
    pub(super) const fn of(data: Data<'d>, cursor: usize) -> Self {
        Self { data: data.bytes, cursor, little: data.little }
    }
}

/// A number that was read.
struct Read {
    value: u64,
    /// Where it began and how many bytes it took.
    start: usize,
    len: usize,
}

fn read(field: &Field, place: Place<'_>, values: &[u64]) -> Option<Read> {
    let read = unmasked(field, place, values)?;
    Some(Read { value: masked(read.value, field.bitmask), ..read })
}

fn unmasked(field: &Field, place: Place<'_>, values: &[u64]) -> Option<Read> {
    let Place { data, cursor, little } = place;
    let encoding = match field.encoding {
        Encoding::Dcerpc if little => Encoding::Little,
        Encoding::Dcerpc => Encoding::Big,
        other => other,
    };
    let base = if field.relative { i64::try_from(cursor).ok()? } else { 0 };
    let start = usize::try_from(base.checked_add(number(field.offset, values))?).ok()?;
    let count = usize::try_from(number(field.bytes, values)).ok()?;
    let rest = data.get(start..)?;
    let (value, len) = match encoding {
        Encoding::Text(base) => {
            let window =
                if count == 0 { rest.get(..rest.len().min(MAX_DIGITS)) } else { rest.get(..count) };
            digits(window?, u32::from(base))?
        }
        Encoding::Big if count <= 8 => {
            (rest.get(..count)?.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), count)
        }
        Encoding::Little if count <= 8 => (
            rest.get(..count)?.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)),
            count,
        ),
        _ => return None,
    };
    Some(Read { value, start, len })
}

/// The bits of the mask, moved down to the lowest one; no mask leaves all.
const fn masked(value: u64, mask: u32) -> u64 {
    match mask {
        0 => value,
        mask => (value & mask as u64) >> mask.trailing_zeros(),
    }
}

/// Reads as `strtoull` does: blanks, sign, prefix of the base, digits; (value, bytes taken).
fn digits(text: &[u8], base: u32) -> Option<(u64, usize)> {
    let blanks = text.iter().take_while(|b| b.is_ascii_whitespace()).count();
    let mut at = blanks;
    let negative = match text.get(at) {
        Some(b'-') => {
            at += 1;
            true
        }
        Some(b'+') => {
            at += 1;
            false
        }
        _ => false,
    };
    let prefixed = base == 16
        && matches!(text.get(at..at + 2), Some([b'0', b'x' | b'X']))
        && text.get(at + 2).is_some_and(u8::is_ascii_hexdigit);
    if prefixed {
        at += 2;
    }
    let first = at;
    let mut value = 0_u64;
    while let Some(digit) = text.get(at).and_then(|byte| char::from(*byte).to_digit(base)) {
        value = value.saturating_mul(u64::from(base)).saturating_add(u64::from(digit));
        at += 1;
    }
    (at > first).then(|| (if negative { value.wrapping_neg() } else { value }, at))
}

/// Whether a `byte_test` holds.
pub(super) fn byte_test(test: &ByteTest, place: Place<'_>, values: &[u64]) -> bool {
    let Some(read) = read(&test.field, place, values) else { return false };
    let want = operand(test.value, values);
    let holds = match test.op {
        TestOp::Lt => read.value < want,
        TestOp::Gt => read.value > want,
        TestOp::Eq => read.value == want,
        TestOp::Le => read.value <= want,
        TestOp::Ge => read.value >= want,
        TestOp::And => read.value & want != 0,
        TestOp::Or => read.value ^ want != 0,
    };
    holds != test.negated
}

/// The cursor after a `byte_jump`; `None` when it lands outside of the data.
pub(super) fn byte_jump(jump: &ByteJump, place: Place<'_>, values: &[u64]) -> Option<usize> {
    let read = read(&jump.field, place, values)?;
    let mut by = read.value.checked_mul(u64::from(jump.multiplier))?;
    if jump.align {
        by = by.checked_next_multiple_of(4)?;
    }
    let by = i64::try_from(by).ok()?.checked_add(i64::from(jump.post_offset))?;
    let from = match jump.from {
        JumpFrom::Here => read.start + read.len,
        JumpFrom::Beginning => 0,
        JumpFrom::End => place.data.len(),
    };
    let target = usize::try_from(i64::try_from(from).ok()?.checked_add(by)?).ok()?;
    (target < place.data.len()).then_some(target)
}

/// Keeps a number; the cursor goes behind it.
pub(super) fn byte_extract(
    extract: &ByteExtract,
    place: Place<'_>,
    values: &mut [u64],
) -> Option<usize> {
    let read = read(&extract.field, place, values)?;
    let mut value = read.value.wrapping_mul(u64::from(extract.multiplier));
    if extract.align > 0 {
        value = value.checked_next_multiple_of(u64::from(extract.align))?;
    }
    *values.get_mut(usize::from(extract.var))? = value;
    Some(read.start + read.len)
}

/// Keeps a computed number; the cursor goes behind what was read. The mask is of the result.
pub(super) fn byte_math(math: &ByteMath, place: Place<'_>, values: &mut [u64]) -> Option<usize> {
    let read = unmasked(&math.field, place, values)?;
    let right = operand(math.value, values);
    let value = match math.op {
        MathOp::Add => read.value.wrapping_add(right),
        MathOp::Sub => read.value.wrapping_sub(right),
        MathOp::Mul => read.value.wrapping_mul(right),
        MathOp::Div => read.value.checked_div(right)?,
        MathOp::Shl => {
            u32::try_from(right).ok().and_then(|by| read.value.checked_shl(by)).unwrap_or(0)
        }
        MathOp::Shr => {
            u32::try_from(right).ok().and_then(|by| read.value.checked_shr(by)).unwrap_or(0)
        }
    };
    *values.get_mut(usize::from(math.var))? = masked(value, math.field.bitmask);
    Some(read.start + read.len)
}

/// Decodes as far as the text is base64; line ends and blanks are skipped.
pub(super) fn base64(text: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in text {
        let six = match (six(*byte), byte) {
            (Some(six), _) => six,
            (None, b'\r' | b'\n' | b' ' | b'\t') => continue,
            (None, _) => break,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).unwrap_or_default());
            bits &= (1 << count) - 1;
        }
    }
}

/// Decodes base64 as a mode says; `false` when a strict text is wrong.
pub(crate) fn decode_base64(text: &[u8], mode: Base64Mode, out: &mut Vec<u8>) -> bool {
    match mode {
        Base64Mode::Rfc4648 => {
            let end = text.iter().position(|byte| six(*byte).is_none()).unwrap_or(text.len());
            base64(text.get(..end).unwrap_or_default(), out);
            true
        }
        Base64Mode::Rfc2045 => {
            let end = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
            let part = text.get(..end).unwrap_or_default();
            let letters: Vec<u8> =
                part.iter().copied().filter(|byte| six(*byte).is_some()).collect();
            base64(&letters, out);
            true
        }
        Base64Mode::Strict => {
            let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
            let letters = text.get(..text.len() - padding).unwrap_or_default();
            let whole =
                text.len().is_multiple_of(4) && letters.iter().all(|byte| six(*byte).is_some());
            if whole {
                base64(letters, out);
            }
            whole
        }
    }
}

/// Value of one letter of base64.
const fn six(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_as_strtoull() {
        type Case = (&'static [u8], u32, Option<(u64, usize)>);
        let cases: &[Case] = &[
            (b"12ab", 10, Some((12, 2))),
            (b" +7", 10, Some((7, 3))),
            (b"0x1f", 16, Some((31, 4))),
            (b"0x", 16, Some((0, 1))),
            (b"17", 8, Some((15, 2))),
            (b"-1", 10, Some((u64::MAX, 2))),
            (b"x", 10, None),
            (b"", 10, None),
            (b"99999999999999999999999", 10, Some((u64::MAX, 23))),
        ];
        for (text, base, expected) in cases {
            assert_eq!(digits(text, *base), *expected, "{text:?}");
        }
    }

    #[test]
    fn base64_stops_where_the_text_stops() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"aGk=", b"hi"),
            (b"aG\r\nk=", b"hi"),
            (b"aGk*aGk=", b"hi"),
            (b"a", b""),
            (b"====", b""),
            (b"aGkx", b"hi1"),
        ];
        for (text, expected) in cases {
            let mut out = Vec::new();
            base64(text, &mut out);
            assert_eq!(&out, expected, "{text:?}");
        }
    }
}
