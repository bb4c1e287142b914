//! Values between separators, in quotes where they hold one; the file says what the columns are called.

use std::borrow::Cow;

use super::library::file::Columns;
use super::library::raw::{MAX_PAIRS, Pairs};
use super::work;

/// Columns of a text by name and whether some were left out; `None` when no list of names is for it.
pub(super) fn read<'a>(text: &'a str, columns: &Columns) -> Option<(Pairs<'a>, bool)> {
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
            names: [("2".to_owned(), list("a b")), ("*".to_owned(), list("x - z"))].into(),
        };
        let by_value = Columns {
            separator: String::new(),
            switch: Some(2),
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
            let found = read(text, columns).map_or_else(|| "none".to_owned(), show);
            assert_eq!(found, expected, "{text}");
        }
        assert!(read(&"1 ".repeat(10_000), &by_count).unwrap().1, "too many are cut and told");
    }
}
