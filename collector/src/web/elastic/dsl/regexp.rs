//! Regular expressions as Lucene writes them, into those of our own language.
//!
//! Both fit whole values. What only Lucene has (`~`, `&`, `<1-9>`, `@`, `#`, `"`) is refused unless it is
//! escaped, so that nothing is read as something else. Source: Elasticsearch reference, Regular
//! expression syntax.

use std::fmt::Write as _;

use super::super::Wrong;
use super::super::read::Keys;
use super::Reader;
use crate::search::Node;
use crate::search::ast::{Regex, Test};

/// Most expressions of one query, as in the query language.
const MAX_REGEXES: usize = crate::search::parse::MAX_REGEXES;

/// `regexp` of one field.
pub(super) fn regexp(
    reader: &mut Reader,
    field: &str,
    (text, mut keys): (&str, Keys),
) -> Result<Node, Wrong> {
    let insensitive = keys.flag("case_insensitive")?.unwrap_or(false);
    keys.only_text("flags", &["ALL", "NONE", "all", "none"])?;
    keys.number("max_determinized_states")?;
    keys.text("rewrite")?;
    let at = keys.at().to_owned();
    keys.finish()?;
    reader.regexes = reader.regexes.saturating_add(1);
    if reader.regexes > MAX_REGEXES {
        let words = format!("the query has more than {MAX_REGEXES} regular expressions");
        return Err(Wrong::argument(words));
    }
    let source = translated(text).map_err(|wrong| wrong.at(&at))?;
    reader.test(field, Test::Regex(Regex { source, insensitive, column: 1 }))
}

/// The same expression in our syntax.
fn translated(text: &str) -> Result<String, Wrong> {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let mut class = false;
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match c {
            '\\' => match chars.next() {
                // Classes of characters are the same; other letters stand for themselves.
                Some(c @ ('d' | 'D' | 'w' | 'W' | 's' | 'S')) => out.extend(['\\', c]),
                Some(c) => literal(c, &mut out),
                None => return Err(Wrong::parsing("the expression ends with a backslash")),
            },
            '&' | '-' | '~' if class && next == Some(c) => {
                return Err(Wrong::parsing(format!("[{c}{c}] in a class is not supported")));
            }
            '[' if class => literal(c, &mut out),
            '[' => {
                class = true;
                out.push(c);
                if next == Some('^') {
                    out.extend(chars.next());
                }
            }
            ']' if class => {
                class = false;
                out.push(c);
            }
            '~' | '&' | '<' | '>' | '@' | '#' | '"' if !class => {
                let words = format!("[{c}] is not supported; escape it to mean the character");
                return Err(Wrong::parsing(words));
            }
            '(' if next == Some('?') => return Err(Wrong::parsing("[(?] is not supported")),
            // Anchors are characters there.
            '^' | '$' => literal(c, &mut out),
            c => out.push(c),
        }
    }
    Ok(out)
}

fn literal(c: char, out: &mut String) {
    // Writing to a string does not fail.
    let _written = write!(out, "\\x{{{:x}}}", u32::from(c));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_lucene_in_our_syntax() {
        for (text, expected) in [
            ("web[0-9]+.*", "web[0-9]+.*"),
            ("a|(b{2,3})?", "a|(b{2,3})?"),
            ("^a$", "\\x{5e}a\\x{24}"),
            ("[^a^]", "[^a\\x{5e}]"),
            ("[a[b]", "[a\\x{5b}b]"),
            ("a\\.b\\@\\<\\d\\b", "a\\x{2e}b\\x{40}\\x{3c}\\d\\x{62}"),
            ("[@#]", "[@#]"),
        ] {
            assert_eq!(translated(text).unwrap(), expected, "{text}");
        }
        for text in ["a\\", "~a", "a&b", "<1-9>", "@", "#", "\"a\"", "(?i)a", "[a&&b]", "[a--b]"] {
            assert!(translated(text).is_err(), "{text}");
        }
    }
}
