//! ArcSight's Common Event Format and IBM's Log Event Extended Format: a header of bars, then pairs.
//!
//! `CEF:0|vendor|product|version|id|name|severity|key=value ...` with `\|`, `\\` escaped in the header and `\=`,
//! `\\`, `\n`, `\r` in values, which may hold blanks. `LEEF:1.0|vendor|product|version|id|` with tabulators between
//! pairs; version 2 names its delimiter in one more field. Header fields are given as `@vendor` and so on.

use std::borrow::Cow;

use super::library::raw::{MAX_PAIRS, Pairs};
use super::work;

/// Names of the header of CEF.
const HEADER: [&str; 6] = ["@vendor", "@product", "@version", "@id", "@name", "@severity"];

/// Pairs of a CEF text and whether some were left out; `None` when it is none.
pub(super) fn read(text: &str) -> Option<(Pairs<'_>, bool)> {
    let mut rest = text.strip_prefix("CEF:")?;
    let (version, tail) = field(rest)?;
    version.trim().parse::<u8>().ok()?;
    rest = tail;
    let mut pairs = Pairs::with_capacity(32);
    for name in HEADER {
        let (value, tail) = field(rest).or_else(|| {
            // A header without pairs may leave the last bar out.
            (name == "@severity").then_some((rest, ""))
        })?;
        pairs.push((Cow::Borrowed(name), unescape(value)));
        rest = tail;
    }
    let cut = extension(rest, &mut pairs);
    Some((pairs, cut))
}

/// Up to the next bar that is not escaped, and what follows.
fn field(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0_usize;
    loop {
        let next = memchr::memchr2(b'|', b'\\', bytes.get(at..)?);
        work::spend(next.unwrap_or(bytes.len()));
        at = at.checked_add(next?)?;
        if bytes.get(at) == Some(&b'|') {
            return Some((text.get(..at)?, text.get(at.checked_add(1)?..)?));
        }
        at = at.checked_add(2)?;
    }
}

/// Values reach to the blank before the next key; true when there were too many.
fn extension<'a>(text: &'a str, pairs: &mut Pairs<'a>) -> bool {
    let bytes = text.as_bytes();
    // Key and the start of its value, of the pair that is not ended yet.
    let mut open: Option<(&'a str, usize)> = None;
    let mut word = 0_usize;
    let mut at = 0_usize;
    while let Some(byte) = bytes.get(at) {
        let next = at.saturating_add(1);
        work::spend(1);
        match byte {
            b'\\' => at = next,
            b' ' => word = next,
            b'=' => {
                let key = text.get(word..at).filter(|key| is_key(key));
                if let Some(key) = key {
                    if let Some((name, start)) = open {
                        if pairs.len() >= MAX_PAIRS {
                            return true;
                        }
                        let value = text.get(start..word).unwrap_or_default().trim_end();
                        pairs.push((Cow::Borrowed(name), unescape(value)));
                    }
                    open = Some((key, next));
                }
            }
            _ => {}
        }
        at = at.saturating_add(1);
    }
    if let Some((name, start)) = open {
        let value = text.get(start..).unwrap_or_default().trim_end();
        pairs.push((Cow::Borrowed(name), unescape(value)));
    }
    false
}

fn is_key(text: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(plain)
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match if c == '\\' { chars.next() } else { Some(c) } {
            Some('n') if c == '\\' => out.push('\n'),
            Some('r') if c == '\\' => out.push('\r'),
            Some(plain @ ('\\' | '|' | '=')) => out.push(plain),
            Some(other) => {
                if c == '\\' {
                    out.push('\\');
                }
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}

/// Pairs of a LEEF text and whether some were left out; `None` when it is none.
pub(super) fn read_leef(text: &str) -> Option<(Pairs<'_>, bool)> {
    let rest = text.strip_prefix("LEEF:")?;
    let (version, mut rest) = rest.split_once('|')?;
    let mut pairs = Pairs::with_capacity(32);
    for name in ["@vendor", "@product", "@version", "@id"] {
        let (value, tail) = rest.split_once('|')?;
        pairs.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        rest = tail;
    }
    let mut delimiter = '\t';
    if version.starts_with('2') {
        let (written, tail) = rest.split_once('|')?;
        if let Some(named) = leef_delimiter(written) {
            delimiter = named;
        }
        rest = tail;
    }
    for part in rest.split(delimiter) {
        work::spend(part.len());
        let Some((key, value)) = part.split_once('=') else { continue };
        if pairs.len() >= MAX_PAIRS {
            return Some((pairs, true));
        }
        if is_key(key.trim()) {
            pairs.push((Cow::Borrowed(key.trim()), Cow::Borrowed(value.trim_end())));
        }
    }
    Some((pairs, false))
}

/// One character, or its code as `x09` or `0x09`.
fn leef_delimiter(text: &str) -> Option<char> {
    let code = text.strip_prefix("0x").or_else(|| text.strip_prefix('x'));
    if let Some(code) = code.filter(|code| !code.is_empty()) {
        return u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
    }
    text.chars().next().filter(|only| only.len_utf8() == text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(found: Option<(Pairs<'_>, bool)>) -> String {
        let Some((pairs, cut)) = found else { return "none".to_owned() };
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{}{}", pairs.join("^"), if cut { " cut" } else { "" })
    }

    #[test]
    fn cef() {
        for (text, expected) in [
            (
                r"CEF:0|Acme|IDS \| x|1.0|100|Worm stopped|10|src=10.0.0.1 msg=two words\=x act=blocked \\ now dst=2.1.2.2",
                r"@vendor=Acme^@product=IDS | x^@version=1.0^@id=100^@name=Worm stopped^@severity=10^src=10.0.0.1^msg=two words=x^act=blocked \ now^dst=2.1.2.2",
            ),
            (
                r"CEF:0|a|b|c|d|e|Low|path=C:\temp msg=a\nb",
                "@vendor=a^@product=b^@version=c^@id=d^@name=e^@severity=Low^path=C:\\temp^msg=a\nb",
            ),
            ("CEF:0|a|b|c|d|e|5", "@vendor=a^@product=b^@version=c^@id=d^@name=e^@severity=5"),
            ("CEF:0|a|b|c", "none"),
            ("CEF:x|a|b|c|d|e|5|", "none"),
            ("CEF:0", "none"),
        ] {
            assert_eq!(show(read(text)), expected, "{text}");
        }
    }

    #[test]
    fn leef() {
        for (text, expected) in [
            (
                "LEEF:1.0|A|B|1|id|src=1.1.1.1\tmsg=a b=c\t\tx",
                "@vendor=A^@product=B^@version=1^@id=id^src=1.1.1.1^msg=a b=c",
            ),
            ("LEEF:2.0|A|B|1|id|^|a=1^b=2", "@vendor=A^@product=B^@version=1^@id=id^a=1^b=2"),
            ("LEEF:2.0|A|B|1|id|0x7c|a=1|b=2", "@vendor=A^@product=B^@version=1^@id=id^a=1^b=2"),
            ("LEEF:2.0|A|B|1|id", "none"),
            ("LEEF:", "none"),
        ] {
            assert_eq!(show(read_leef(text)), expected, "{text}");
        }
    }

    #[test]
    fn too_many_pairs_are_cut_and_told() {
        let cef = format!("CEF:0|a|b|c|d|e|5|{}", "k=v ".repeat(2_000));
        assert!(show(read(&cef)).ends_with(" cut"));
        let leef = format!("LEEF:1.0|a|b|c|d|{}", "k=v\t".repeat(2_000));
        assert!(show(read_leef(&leef)).ends_with(" cut"));
    }
}
