//! Values of tests: plain and quoted text, wildcards, ranges, comparisons, regular expressions.

use std::ops::Bound;

use super::{MAX_REGEXES, ParseError, Parser};
use crate::search::ast::{Regex, Scalar, Test};
use crate::search::wildcard::{MAX_PARTS, Part, Wildcard};

impl Parser {
    pub(super) fn comparison(&mut self) -> Result<Test, ParseError> {
        let above = self.peek() == Some('>');
        self.step(1);
        let equal = self.peek() == Some('=');
        if equal {
            self.step(1);
        }
        self.blank();
        let value = self.bound()?.ok_or_else(|| self.missing())?;
        let bound = if equal { Bound::Included(value) } else { Bound::Excluded(value) };
        Ok(if above {
            Test::Range { low: bound, high: Bound::Unbounded }
        } else {
            Test::Range { low: Bound::Unbounded, high: bound }
        })
    }

    pub(super) fn range(&mut self) -> Result<Test, ParseError> {
        let hint = "write [low TO high], { } exclude the bounds, * leaves one open";
        let low_included = self.peek() == Some('[');
        self.step(1);
        self.blank();
        let low = self.bound()?;
        self.blank();
        if !self.operator("TO", "") {
            return Err(self.wrong("TO expected in a range".to_owned(), hint));
        }
        let high = self.bound()?;
        self.blank();
        let high_included = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(self.wrong("range is not closed".to_owned(), hint)),
        };
        self.step(1);
        let bound = |value: Option<String>, included| match value {
            None => Bound::Unbounded,
            Some(value) if included => Bound::Included(value),
            Some(value) => Bound::Excluded(value),
        };
        Ok(Test::Range { low: bound(low, low_included), high: bound(high, high_included) })
    }

    /// One bound of a range; `None` for `*`.
    fn bound(&mut self) -> Result<Option<String>, ParseError> {
        let column = self.column();
        let scalar = if self.peek() == Some('"') { self.quoted()? } else { self.plain(true)? };
        if !scalar.quoted && scalar.parts.is_any() {
            return Ok(None);
        }
        scalar.literal().map(Some).ok_or_else(|| ParseError {
            column,
            what: "wildcard in a bound".to_owned(),
            hint: "use a plain value, or * alone for an open bound".into(),
        })
    }

    pub(super) fn quoted(&mut self) -> Result<Scalar, ParseError> {
        let open = self.column();
        self.step(1);
        let mut parts = Vec::new();
        loop {
            match (self.peek(), self.peek_at(1)) {
                (None, _) => {
                    return Err(ParseError {
                        column: open,
                        what: "quote is not closed".to_owned(),
                        hint: "add \" where the text ends".into(),
                    });
                }
                (Some('"'), _) => break,
                (Some('\\'), Some(c @ ('"' | '\\'))) => {
                    parts.push(Part::Char(c));
                    self.step(2);
                }
                (Some(c), _) => {
                    parts.push(Part::Char(c));
                    self.step(1);
                }
            }
        }
        self.step(1);
        Self::scalar(parts, true, open)
    }

    /// An unquoted value: ends at blanks, brackets and stages. Colons belong to it.
    pub(super) fn plain(&mut self, value: bool) -> Result<Scalar, ParseError> {
        self.unquoted(if value { &[] } else { &['<', '>'] })
    }

    /// An unquoted value of a list, which ends at commas too.
    pub(super) fn listed(&mut self) -> Result<Scalar, ParseError> {
        self.unquoted(&[','])
    }

    fn unquoted(&mut self, ends: &[char]) -> Result<Scalar, ParseError> {
        let column = self.column();
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            if c.is_whitespace() || "()[]{}\"|".contains(c) || ends.contains(&c) {
                break;
            }
            let (part, length) = match (c, self.peek_at(1)) {
                ('\\', Some(next)) if !next.is_alphanumeric() => (Part::Char(next), 2),
                ('*', _) => (Part::Many, 1),
                ('?', _) => (Part::One, 1),
                (c, _) => (Part::Char(c), 1),
            };
            parts.push(part);
            self.step(length);
        }
        if parts.is_empty() {
            let found = self.peek().map_or_else(|| "the end".to_owned(), |c| format!("{c:?}"));
            return Err(self.wrong(
                format!("a value was expected, found {found}"),
                "quote text with special characters: field:\"a (b)\"",
            ));
        }
        Self::scalar(parts, false, column)
    }

    /// `/.../` or `/.../i` when one stands here: from a slash to the next one that is not escaped,
    /// behind which the term ends. Anything else that begins with a slash is a path.
    pub(super) fn regex(&mut self) -> Result<Option<Regex>, ParseError> {
        let ['/', rest @ ..] = self.rest() else { return Ok(None) };
        let mut escaped = false;
        let close = rest.iter().position(|c| {
            let closes = *c == '/' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        let Some(length) = close.filter(|length| *length > 0) else { return Ok(None) };
        let behind = rest.get(length.saturating_add(1)..).unwrap_or(&[]);
        let insensitive = behind.first() == Some(&'i');
        let ends = behind.get(usize::from(insensitive));
        if ends.is_some_and(|c| !c.is_whitespace() && !matches!(c, ')' | ',' | '|')) {
            return Ok(None);
        }
        let source: String = rest.iter().take(length).collect();
        self.regexes = self.regexes.saturating_add(1);
        if self.regexes > MAX_REGEXES {
            let what = "too many regular expressions".to_owned();
            return Err(self.wrong(what, "at most 8 are allowed; join some with |"));
        }
        let column = self.column().saturating_add(1);
        self.step(length.saturating_add(if insensitive { 3 } else { 2 }));
        Ok(Some(Regex { source, insensitive, column }))
    }

    fn scalar(parts: Vec<Part>, quoted: bool, column: usize) -> Result<Scalar, ParseError> {
        let wild = parts.iter().any(|part| !matches!(part, Part::Char(_)));
        if wild && parts.len() > MAX_PARTS {
            return Err(ParseError {
                column,
                what: "wildcard pattern is too long".to_owned(),
                hint: "at most 255 characters are allowed in one".into(),
            });
        }
        Ok(Scalar { parts: Wildcard::from_scalar(parts), quoted })
    }
}
