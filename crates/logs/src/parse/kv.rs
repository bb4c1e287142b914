//! Text of `key=value` pairs, as firewalls and many programs write it.
//!
//! A value ends where the next pair may begin, or at its closing quote. Words that are no pair are passed over;
//! those before the first pair are given as `@before`.

use std::borrow::Cow;

use super::library::raw::{MAX_PAIRS, Pairs};
use super::work;

/// Longest key, bytes.
const MAX_KEY: usize = 128;

/// Pairs of a text and whether some were left out; `None` when there is none.
pub(super) fn read<'a>(text: &'a str, between: &str, equals: &str) -> Option<(Pairs<'a>, bool)> {
    let mut pairs = Pairs::new();
    let mut rest = text;
    let mut quotes = Quotes::default();
    while let Some((head, tail)) = rest.split_once(equals) {
        work::spend(head.len());
        let start = head.rfind(|c: char| !is_key(c)).map_or(0, |at| {
            at.saturating_add(
                head.get(at..).and_then(|c| c.chars().next()).map_or(1, char::len_utf8),
            )
        });
        let key = head.get(start..).unwrap_or_default();
        if key.is_empty() || key.len() > MAX_KEY {
            rest = tail;
            continue;
        }
        if pairs.is_empty() {
            let before = head.get(..start).unwrap_or_default().trim_matches([' ', ':']);
            pairs.push((Cow::Borrowed("@before"), Cow::Borrowed(before)));
        }
        if pairs.len() > MAX_PAIRS {
            return Some((pairs, true));
        }
        let (value, after) = quotes.value(tail, between);
        pairs.push((Cow::Borrowed(key), value));
        rest = after;
    }
    (pairs.len() > 1).then_some((pairs, false))
}

fn is_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | '(' | ')')
}

/// Which closing quotes are known not to come any more: each is looked for in vain once, not at every pair.
#[derive(Default)]
struct Quotes {
    double_gone: bool,
    single_gone: bool,
}

impl Quotes {
    /// A value at the head of `text`, and what follows it.
    fn value<'a>(&mut self, text: &'a str, between: &str) -> (Cow<'a, str>, &'a str) {
        let (quote, gone) = match text.as_bytes().first() {
            Some(b'"') => (b'"', &mut self.double_gone),
            Some(b'\'') => (b'\'', &mut self.single_gone),
            _ => return word(text, between),
        };
        let inner = text.get(1..).unwrap_or_default();
        match if *gone { None } else { closing(inner, quote) } {
            Some((end, escaped)) => {
                let value = inner.get(..end).unwrap_or_default();
                let after = inner.get(end.saturating_add(1)..).unwrap_or_default();
                let value = if escaped { unescaped(value) } else { Cow::Borrowed(value) };
                (value, after.strip_prefix(between).unwrap_or(after))
            }
            None => {
                *gone = true;
                word(text, between)
            }
        }
    }
}

fn word<'a>(text: &'a str, between: &str) -> (Cow<'a, str>, &'a str) {
    let (value, after) = text.split_once(between).unwrap_or((text, ""));
    work::spend(value.len());
    (Cow::Borrowed(value.trim_end_matches([',', ';'])), after)
}

/// Place of the closing quote, and whether there are escapes before it.
fn closing(text: &str, quote: u8) -> Option<(usize, bool)> {
    let bytes = text.as_bytes();
    let (mut at, mut escaped) = (0_usize, false);
    loop {
        let next = memchr::memchr2(quote, b'\\', bytes.get(at..)?);
        work::spend(next.unwrap_or(bytes.len()));
        at = at.checked_add(next?)?;
        if bytes.get(at) == Some(&quote) {
            return Some((at, escaped));
        }
        escaped = true;
        at = at.checked_add(2)?;
    }
}

/// `\"` and `\\` undone; a backslash before anything else is one (paths of Windows).
fn unescaped(text: &str) -> Cow<'_, str> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('\\') {
        out.push_str(head);
        rest = match tail.as_bytes().first() {
            Some(b'"' | b'\\' | b'\'') => {
                out.push_str(tail.get(..1).unwrap_or_default());
                tail.get(1..).unwrap_or_default()
            }
            _ => {
                out.push('\\');
                tail
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, between: &str) -> String {
        let Some((pairs, cut)) = read(text, between, "=") else { return "none".to_owned() };
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{}{}", pairs.join("|"), if cut { " cut" } else { "" })
    }

    #[test]
    fn pairs_as_programs_write_them() {
        for (text, between, expected) in [
            ("a=1 b=2", " ", "@before=|a=1|b=2"),
            ("[UFW BLOCK] IN=eth0 OUT= SYN URGP=0", " ", "@before=[UFW BLOCK]|IN=eth0|OUT=|URGP=0"),
            (r#"msg="a \"b\" c" path="C:\x" n=1"#, " ", r#"@before=|msg=a "b" c|path=C:\x|n=1"#),
            (
                "from=<a@b.example>, size=12, nrcpt=1 (queue active)",
                ", ",
                "@before=|from=<a@b.example>|size=12|nrcpt=1 (queue active)",
            ),
            ("a='x y' b=\"open c=3", " ", "@before=|a=x y|b=\"open|c=3"),
            ("x = 1, =2 k=", " ", "@before=2|k="),
            ("no pairs", " ", "none"),
            ("\u{e9}k=\u{e9}", " ", "@before=\u{e9}|k=\u{e9}"),
        ] {
            assert_eq!(show(text, between), expected, "{text}");
        }
        let many = show(&"k=v ".repeat(10_000), " ");
        assert!(many.ends_with(" cut") && many.len() < 10_000, "{}", many.len());
    }
}
