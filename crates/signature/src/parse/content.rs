//! The string language of `content`: quotes, backslash escapes and `|hex|`.

/// Longest pattern accepted.
const MAX_CONTENT: usize = 65_535;

/// Removes quotes and a leading `!`: (negated, text between the quotes).
pub(crate) fn unquote(value: &[u8]) -> Result<(bool, &[u8]), &'static str> {
    let (negated, rest) = match value.split_first() {
        Some((b'!', rest)) => (true, rest.trim_ascii_start()),
        _ => (false, value),
    };
    match rest {
        [b'"', inner @ .., b'"'] => Ok((negated, inner)),
        [b'"', ..] | [.., b'"'] => Err("unbalanced quotes"),
        _ => Ok((negated, rest)),
    }
}

/// Decodes escapes and hex of a pattern (without quotes): the bytes to look for.
pub(crate) fn decode(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(text.len());
    let mut hex = false;
    let mut high: Option<u8> = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == b'|' {
            if high.is_some() {
                return Err("odd number of hex digits");
            }
            hex = !hex;
        } else if hex {
            match (char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok()), high) {
                (Some(digit), None) => high = Some(digit),
                (Some(digit), Some(first)) => {
                    out.push(first.wrapping_shl(4) | digit);
                    high = None;
                }
                (None, _) if matches!(byte, b' ' | b',') => {}
                (None, _) => return Err("not a hex digit between \"|\""),
            }
        } else if byte == b'\\' {
            match bytes.next() {
                Some(next @ (b'\\' | b';' | b':' | b'"')) => out.push(next),
                // Everything else is refused by the language, so that typing errors surface.
                _ => return Err("a backslash may only stand before \\ ; : \""),
            }
        } else if byte == b'"' {
            return Err("unescaped quote");
        } else {
            out.push(byte);
        }
    }
    if hex {
        return Err("hex part without closing \"|\"");
    }
    if out.is_empty() {
        return Err("empty pattern");
    }
    if out.len() > MAX_CONTENT {
        return Err("pattern longer than 65535 bytes");
    }
    Ok(out)
}
