//! Numbers and comparisons in option values: `5`, `0x10`, `<5`, `!5`, `3<>9`, `3-9`, `&0x10`.

use crate::check::rule::Cmp;

/// Decimal or `0x` hex.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok().filter(|_| !text.starts_with('+')),
    }
}

/// A signed decimal.
pub(super) fn signed(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    text.parse().ok()
}

/// Makes a comparison of its right-hand side.
type Make = fn(u64) -> Cmp;

/// A comparison with values up to `max`.
pub(super) fn compare(text: &str, max: u64) -> Option<Cmp> {
    let text = text.trim();
    let one = |text: &str| parse(text).filter(|value| *value <= max);
    for separator in ["<>", "-"] {
        if let Some((low, high)) = text.split_once(separator) {
            let (low, high) = (one(low)?, one(high)?);
            return (low < high && high - low > 1).then_some(Cmp::Between(low, high));
        }
    }
    let prefixes: [(&str, Make); 9] = [
        ("<=", Cmp::Le),
        (">=", Cmp::Ge),
        ("!=", Cmp::Ne),
        ("<", Cmp::Lt),
        (">", Cmp::Gt),
        ("!&", |mask| Cmp::Mask { mask, equal: false }),
        ("&", |mask| Cmp::Mask { mask, equal: true }),
        ("!", Cmp::Ne),
        ("=", Cmp::Eq),
    ];
    for (prefix, make) in prefixes {
        if let Some(rest) = text.strip_prefix(prefix) {
            return Some(make(one(rest)?));
        }
    }
    Some(Cmp::Eq(one(text)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons() {
        let cases: &[(&str, Option<Cmp>)] = &[
            ("5", Some(Cmp::Eq(5))),
            (" > 5", Some(Cmp::Gt(5))),
            ("<=0x10", Some(Cmp::Le(16))),
            ("!5", Some(Cmp::Ne(5))),
            ("3<>9", Some(Cmp::Between(3, 9))),
            ("3 - 9", Some(Cmp::Between(3, 9))),
            ("9<>3", None),
            ("3<>4", None),
            ("", None),
            ("-1", None),
            ("300", None),
            ("x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(compare(text, 255), *expected, "{text}");
        }
        assert!(Cmp::Between(3, 9).holds(4) && !Cmp::Between(3, 9).holds(9));
        assert!(
            Cmp::Mask { mask: 4, equal: true }.holds(6)
                && !Cmp::Mask { mask: 1, equal: true }.holds(6)
        );
    }
}
