//! Values between separators, in quotes where they hold one; the parser's file says what the columns are called, or
//! the log itself does: `#Fields:` of the W3C extended log file format (IIS, firewalls, proxies, Exchange).

use std::borrow::Cow;

use super::library::file::Columns;
use super::library::raw::{MAX_PAIRS, Pairs};
use super::work;

/// Longest name of a column of a log, bytes.
const MAX_NAME: usize = 128;

/// The columns that a log names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    names: Vec<String>,
    separator: u8,
}

impl Head {
    /// Reads the `#` lines of a file: the last `#Fields:` counts, others say nothing of columns. `None` without one.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let named = text.lines().filter_map(|line| line.strip_prefix(FIELDS)).next_back()?.trim();
        // Exchange writes commas between names and values, IIS blanks, some tabulators.
        let separator = ['\t', ','].into_iter().find(|mark| named.contains(*mark)).unwrap_or(' ');
        let names = named.split(separator).map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<_> = names.take(MAX_PAIRS).map(|name| cut(name).to_owned()).collect();
        let separator = u8::try_from(separator).unwrap_or(b' ');
        (!names.is_empty()).then_some(Self { names, separator })
    }
}

/// What begins the line of a head that names the columns; a further one in the middle of a file replaces it.
pub(crate) const FIELDS: &str = "#Fields:";

fn cut(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or_default()
}

/// Columns by the names that the log gives; `None` when there are not as many as it says, since names of other
/// columns would be worse than none.
fn by_head<'a>(text: &'a str, columns: &Columns, head: &Head) -> Option<(Pairs<'a>, bool)> {
    let separator = columns.separator.bytes().next().unwrap_or(head.separator);
    let (values, cut) = split(text, separator);
    if values.len() != head.names.len() && !cut {
        return None;
    }
    let named = head.names.iter().zip(values).filter(|(_, value)| !value.is_empty());
    Some((named.map(|(name, value)| (Cow::Owned(name.clone()), value)).collect(), cut))
}

/// Columns of a text by name and whether some were left out; `None` when no list of names is for it.
pub(super) fn read<'a>(
    text: &'a str,
    columns: &Columns,
    head: Option<&Head>,
) -> Option<(Pairs<'a>, bool)> {
    if let Some(head) = head.filter(|_| columns.head) {
        return by_head(text, columns, head);
    }
    let separator = columns.separator.bytes().next().unwrap_or(b',');
    let (values, cut) = split(text, separator);
    let count;
    let chosen = match columns.switch {
        Some(number) => &**values.get(number.checked_sub(1)?)?,
        None => {
            count = values.len().to_string();
            &count
        }
    };
    let names = columns.names.get(chosen).or_else(|| columns.names.get("*"))?;
    if values.len() < 2 {
        return None;
    }
    let named = names.iter().zip(values);
    let pairs = named.filter(|(name, value)| !name.is_empty() && !value.is_empty());
    Some((pairs.map(|(name, value)| (Cow::Owned(name.clone()), value)).collect(), cut))
}

/// Values of a line, and whether some were left out. A quote inside quotes is doubled.
fn split(text: &str, separator: u8) -> (Vec<Cow<'_, str>>, bool) {
    let mut values = Vec::with_capacity(32);
    let mut rest = text;
    loop {
        if values.len() >= MAX_PAIRS {
            return (values, true);
        }
        let (value, after) = match rest.strip_prefix('"') {
            Some(inner) => quoted(inner),
            None => plain(rest, separator),
        };
        values.push(value);
        let end = memchr::memchr(separator, after.as_bytes());
        match end.and_then(|end| after.get(end.saturating_add(1)..)) {
            Some(next) => rest = next,
            None => return (values, false),
        }
    }
}

fn plain(text: &str, separator: u8) -> (Cow<'_, str>, &str) {
    let end = memchr::memchr(separator, text.as_bytes()).unwrap_or(text.len());
    work::spend(end);
    let (value, after) = text.split_at_checked(end).unwrap_or((text, ""));
    (Cow::Borrowed(value), after)
}

/// A text up to its closing quote, or all of it when there is none.
fn quoted(text: &str) -> (Cow<'_, str>, &str) {
    let mut out: Option<String> = None;
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('"') {
        work::spend(head.len());
        match tail.strip_prefix('"') {
            Some(more) => {
                let out = out.get_or_insert_default();
                out.push_str(head);
                out.push('"');
                rest = more;
            }
            None => {
                return match out {
                    None => (Cow::Borrowed(head), tail),
                    Some(out) => (Cow::Owned(out + head), tail),
                };
            }
        }
    }
    (out.map_or(Cow::Borrowed(text), |out| Cow::Owned(out + rest)), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_by_count_and_by_value() {
        let list = |names: &str| names.split(' ').map(|name| name.replace('-', "")).collect();
        let by_count = Columns {
            separator: " ".to_owned(),
            switch: None,
            head: false,
            names: [("2".to_owned(), list("a b")), ("*".to_owned(), list("x - z"))].into(),
        };
        let by_value = Columns {
            separator: String::new(),
            switch: Some(2),
            head: false,
            names: [("T".to_owned(), list("- type c"))].into(),
        };
        for (text, columns, expected) in [
            ("1 2", &by_count, "a=1 b=2"),
            ("1 2 3", &by_count, "x=1 z=3"),
            ("1", &by_count, "none"),
            ("0,T,\"a \"\"b\"\", c\",4", &by_value, "type=T c=a \"b\", c"),
            ("0,T,\"open, c", &by_value, "type=T c=open, c"),
            ("0,U,1", &by_value, "none"),
            ("", &by_value, "none"),
        ] {
            let show = |(pairs, cut): (Pairs<'_>, bool)| {
                assert!(!cut);
                let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
                pairs.join(" ")
            };
            let found = read(text, columns, None).map_or_else(|| "none".to_owned(), show);
            assert_eq!(found, expected, "{text}");
        }
        assert!(
            read(&"1 ".repeat(10_000), &by_count, None).unwrap().1,
            "too many are cut and told"
        );
    }

    #[test]
    fn columns_as_the_log_names_them() {
        let columns = Columns { head: true, ..Columns::default() };
        for (head, text, expected) in [
            ("#Software: x\n#Fields: a b cs(c)", "1 2 3", "a=1 b=2 cs(c)=3"),
            ("#Fields: a,b", "1,\"2, 3\"", "a=1 b=2, 3"),
            ("#Fields:\ta\tb", "1 x\t2", "a=1 x b=2"),
            ("#Fields: a b\n#Date: x\n#Fields: b a\n", "1 2", "b=1 a=2"),
            ("#Fields: a b", "1 2 3", "none"),
            ("#Fields: a b", "1", "none"),
            ("#Fields:", "1", "no head"),
            ("#Version: 1.0", "1", "no head"),
        ] {
            let head = Head::read(head);
            let found = head.map_or_else(
                || "no head".to_owned(),
                |head| {
                    let found = read(text, &columns, Some(&head));
                    found.map_or_else(
                        || "none".to_owned(),
                        |(pairs, _)| {
                            let pairs: Vec<_> =
                                pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
                            pairs.join(" ")
                        },
                    )
                },
            );
            assert_eq!(found, expected, "{text}");
        }
        let many = Head::read(&format!("#Fields: {}", "x ".repeat(100_000))).unwrap();
        assert_eq!(many.names.len(), MAX_PAIRS);
        let long = Head::read(&format!("#Fields: {}", "\u{e9}".repeat(1000))).unwrap();
        assert_eq!(long.names[0].len(), MAX_NAME);
    }
}
