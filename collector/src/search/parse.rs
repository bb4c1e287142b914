//! Query text to [`Expr`]: a recursive-descent parser with hard limits.
//!
//! `word`, `"a phrase"`, `field:value`, `field:(a OR b)`, `field:*`, `wild*card?`,
//! `field:[a TO b}`, `field:>5`, `field >= 5`, `AND OR NOT` (also `&& || ! -`), parentheses.
//! Terms side by side are joined by AND; AND binds tighter than OR. A backslash takes the next
//! special character literally. Everything refused is refused with its column and a hint.

use std::ops::Bound;

use super::ast::{Expr, Scalar, Test};
use super::wildcard::{MAX_PARTS, Part, Wildcard};

/// Longest query, bytes.
pub const MAX_QUERY: usize = 16_384;
/// Deepest nesting of parentheses and negations.
pub const MAX_DEPTH: usize = 32;
/// Most terms.
pub const MAX_TERMS: usize = 512;

/// Text that is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {what}; {hint}")]
pub struct ParseError {
    /// Where, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// How it could be written.
    pub hint: &'static str,
}

/// Parses a query.
///
/// # Errors
/// [`ParseError`] for wrong syntax and exceeded limits.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    if text.len() > MAX_QUERY {
        return Err(ParseError {
            column: 1,
            what: format!("query of {} bytes", text.len()),
            hint: "at most 16384 bytes are allowed",
        });
    }
    let mut parser = Parser { chars: text.chars().collect(), at: 0, depth: 0, terms: 0 };
    parser.blank();
    if parser.peek().is_none() {
        return Ok(Expr::All);
    }
    let expr = parser.any_of(&mut Parser::term)?;
    match parser.peek() {
        None => Ok(expr),
        Some(c) => Err(parser.wrong(format!("unexpected {c:?}"), "remove it or escape it with \\")),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    terms: usize,
}

type Leaf<'a> = &'a mut dyn FnMut(&mut Parser) -> Result<Expr, ParseError>;

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at.saturating_add(ahead)).copied()
    }

    const fn step(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    const fn column(&self) -> usize {
        self.at.saturating_add(1)
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.step(1);
        }
    }

    fn wrong(&self, what: String, hint: &'static str) -> ParseError {
        ParseError { column: self.column(), what, hint }
    }

    /// Takes an operator written as `word` (upper case) or `symbol`.
    fn operator(&mut self, word: &str, symbol: &str) -> bool {
        for (text, is_word) in [(word, true), (symbol, false)] {
            let length = text.chars().count();
            let here = text.chars().enumerate().all(|(n, c)| self.peek_at(n) == Some(c));
            let ends = !is_word
                || self
                    .peek_at(length)
                    .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"'));
            if length > 0 && here && ends {
                self.step(length);
                self.blank();
                return true;
            }
        }
        false
    }

    fn any_of(&mut self, leaf: Leaf<'_>) -> Result<Expr, ParseError> {
        let mut parts = vec![self.all_of(leaf)?];
        while self.operator("OR", "||") {
            parts.push(self.all_of(leaf)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
    }

    fn all_of(&mut self, leaf: Leaf<'_>) -> Result<Expr, ParseError> {
        let mut parts = vec![self.unary(leaf)?];
        loop {
            let explicit = self.operator("AND", "&&");
            let here = self.at;
            let or_follows = self.operator("OR", "||");
            self.at = here;
            match self.peek() {
                Some(c) if explicit || (c != ')' && !or_follows) => parts.push(self.unary(leaf)?),
                None if explicit => return Err(self.missing()),
                _ => break,
            }
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
    }

    fn missing(&self) -> ParseError {
        self.wrong(
            "a term is missing".to_owned(),
            "write a word or field:value here, or quote AND, OR and NOT as words",
        )
    }

    fn deeper(&mut self) -> Result<(), ParseError> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(self.wrong("nested too deep".to_owned(), "at most 32 levels are allowed"));
        }
        Ok(())
    }

    fn unary(&mut self, leaf: Leaf<'_>) -> Result<Expr, ParseError> {
        self.deeper()?;
        let symbol_not = matches!(self.peek(), Some('-' | '!'))
            && self.peek_at(1).is_some_and(|c| !c.is_whitespace());
        let negated = if symbol_not {
            self.step(1);
            true
        } else {
            self.operator("NOT", "")
        };
        let expr = if negated {
            Expr::Not(Box::new(self.unary(leaf)?))
        } else if self.peek() == Some('(') {
            self.group(leaf)?
        } else {
            leaf(self)?
        };
        self.depth = self.depth.saturating_sub(1);
        self.blank();
        Ok(expr)
    }

    fn group(&mut self, leaf: Leaf<'_>) -> Result<Expr, ParseError> {
        let open = self.column();
        self.step(1);
        self.blank();
        if self.peek() == Some(')') {
            return Err(self.wrong("empty parentheses".to_owned(), "put a term into them"));
        }
        let expr = self.any_of(leaf)?;
        if self.peek() != Some(')') {
            return Err(ParseError {
                column: open,
                what: "parenthesis is not closed".to_owned(),
                hint: "add ) where the group ends",
            });
        }
        self.step(1);
        self.blank();
        Ok(expr)
    }

    fn count(&mut self) -> Result<(), ParseError> {
        self.terms = self.terms.saturating_add(1);
        if self.terms > MAX_TERMS {
            return Err(self.wrong("too many terms".to_owned(), "at most 512 are allowed"));
        }
        Ok(())
    }

    /// `field:...`, `field > ...` or a bare term.
    fn term(&mut self) -> Result<Expr, ParseError> {
        self.count()?;
        let column = self.column();
        let here = self.at;
        if self.peek().is_none() || self.operator("AND", "&&") || self.operator("OR", "||") {
            self.at = here;
            return Err(self.missing());
        }
        if self.peek() == Some('"') {
            return Ok(Expr::Bare { term: self.quoted()?, column });
        }
        if let Some(name) = self.field_name() {
            self.blank();
            return self.tests(&name, column);
        }
        let term = self.plain(false)?;
        Ok(if term.parts.is_any() { Expr::All } else { Expr::Bare { term, column } })
    }

    /// Takes `name:` or the `name` before a comparison; nothing when a bare term stands here.
    fn field_name(&mut self) -> Option<String> {
        let rest = self.chars.get(self.at..)?;
        let stop = |c: &char| c.is_whitespace() || "()\"[]{}<>=*?\\:".contains(*c);
        let length = rest.iter().position(stop).unwrap_or(rest.len());
        let name: String = rest.get(..length)?.iter().collect();
        if name.is_empty() {
            return None;
        }
        let mut next = length;
        while rest.get(next).is_some_and(|c| c.is_whitespace()) {
            next = next.saturating_add(1);
        }
        match rest.get(next) {
            Some(':') if next == length => {
                let word: String =
                    rest.iter().take_while(|c| !c.is_whitespace() && **c != ')').collect();
                let slashes =
                    rest.get(next.saturating_add(1)..).is_some_and(|r| r.starts_with(&['/', '/']));
                if slashes || is_address(&word) {
                    return None;
                }
                self.step(next.saturating_add(1));
                Some(name)
            }
            Some('<' | '>') => {
                self.step(next);
                Some(name)
            }
            _ => None,
        }
    }

    /// What stands behind a field's name: one test, or a group of them.
    fn tests(&mut self, name: &str, column: usize) -> Result<Expr, ParseError> {
        if self.peek() == Some('(') {
            self.deeper()?;
            let mut leaf = |parser: &mut Self| {
                parser.count()?;
                parser.test(name, column)
            };
            let expr = self.group(&mut leaf)?;
            self.depth = self.depth.saturating_sub(1);
            return Ok(expr);
        }
        self.test(name, column)
    }

    fn test(&mut self, name: &str, column: usize) -> Result<Expr, ParseError> {
        let test = match self.peek() {
            None | Some(')') => {
                return Err(self.wrong(
                    format!("{name} has no value"),
                    "write field:value, field:* or field:\"some text\"",
                ));
            }
            Some('"') => Test::Is(self.quoted()?),
            Some('[' | '{') => self.range()?,
            Some('<' | '>') => self.comparison()?,
            Some(_) => {
                let scalar = self.plain(true)?;
                if scalar.parts.is_any() { Test::Exists } else { Test::Is(scalar) }
            }
        };
        Ok(Expr::Field { name: name.to_owned(), test, column })
    }

    fn comparison(&mut self) -> Result<Test, ParseError> {
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

    fn range(&mut self) -> Result<Test, ParseError> {
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
            hint: "use a plain value, or * alone for an open bound",
        })
    }

    fn quoted(&mut self) -> Result<Scalar, ParseError> {
        let open = self.column();
        self.step(1);
        let mut parts = Vec::new();
        loop {
            match (self.peek(), self.peek_at(1)) {
                (None, _) => {
                    return Err(ParseError {
                        column: open,
                        what: "quote is not closed".to_owned(),
                        hint: "add \" where the text ends",
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

    /// An unquoted value: ends at blanks and brackets. Colons belong to it.
    fn plain(&mut self, value: bool) -> Result<Scalar, ParseError> {
        let column = self.column();
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            if c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | '"') {
                break;
            }
            if !value && matches!(c, '<' | '>') {
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

    fn scalar(parts: Vec<Part>, quoted: bool, column: usize) -> Result<Scalar, ParseError> {
        let wild = parts.iter().any(|part| !matches!(part, Part::Char(_)));
        if wild && parts.len() > MAX_PARTS {
            return Err(ParseError {
                column,
                what: "wildcard pattern is too long".to_owned(),
                hint: "at most 255 characters are allowed in one",
            });
        }
        Ok(Scalar { parts: Wildcard::from_scalar(parts), quoted })
    }
}

/// Whether a word is an IPv6 address or network, which contain colons.
fn is_address(word: &str) -> bool {
    let address = word.split_once('/').map_or(word, |(address, _)| address);
    address.parse::<std::net::Ipv6Addr>().is_ok()
}

#[cfg(feature = "fuzzing")]
/// Fuzz entry: parsing any text ends with a query or an error.
pub fn fuzz_query(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        drop(parse(text));
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
