//! Query text to [`Expr`]: a recursive-descent parser with hard limits.
//!
//! `word`, `"a phrase"`, `field:value`, `field:(a OR b)`, `field IN (a, b)`, `field:*`, `wild*card?`,
//! `/regex/`, `field:/regex/i`, `field:[a TO b}`, `field:>5`, `field >= 5`, `AND OR NOT` (also
//! `&& || ! -`), parentheses. Terms side by side are joined by AND; AND binds tighter than OR. A
//! backslash takes the next special character literally. `|` begins a stage ([`super::pipe`]).
//! Everything refused is refused with its column and a hint. Here is the structure; `term` has the
//! terms and `value` what a field is compared with.

use std::borrow::Cow;

use super::ast::Expr;

mod foreign;
pub(super) mod stages;
mod term;
mod value;

/// Longest query, bytes.
pub const MAX_QUERY: usize = 16_384;
/// Deepest nesting of parentheses and negations.
pub const MAX_DEPTH: usize = 32;
/// Most terms.
pub const MAX_TERMS: usize = 512;
/// Most regular expressions.
pub const MAX_REGEXES: usize = 8;

/// Text that is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {what}; {hint}")]
pub struct ParseError {
    /// Where, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// How it could be written.
    pub hint: Cow<'static, str>,
}

/// Parses a query without stages.
///
/// # Errors
/// [`ParseError`] for wrong syntax and exceeded limits.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text)?;
    let expr = parser.query()?;
    match parser.peek() {
        None => Ok(expr),
        Some('|') => {
            Err(parser.wrong("no stages are taken here".to_owned(), "leave out what follows |"))
        }
        Some(c) => Err(parser.unexpected(c)),
    }
}

/// Parses a query of Lucene's language, of which ours has all but weights and likeness: `_exists_:field` is
/// taken, and with `any` one of the terms side by side is enough; those behind `-` or `NOT` must not hold all
/// the same. Source: Lucene, classic query parser.
///
/// # Errors
/// [`ParseError`] for wrong syntax and exceeded limits.
pub fn parse_lucene(text: &str, any: bool) -> Result<Expr, ParseError> {
    let mut parser = Parser { lucene: true, any, ..Parser::new(text)? };
    let expr = parser.query()?;
    match parser.peek() {
        None => Ok(expr),
        Some(c) => Err(parser.unexpected(c)),
    }
}

/// Parses a query and the stages behind it.
///
/// # Errors
/// [`ParseError`] for wrong syntax and exceeded limits.
pub fn parse_piped(text: &str) -> Result<super::ast::Piped, ParseError> {
    let mut parser = Parser::new(text)?;
    let query = parser.query()?;
    let query_ends = parser.at;
    let stages = parser.stages()?;
    match parser.peek() {
        None => Ok(super::ast::Piped { query, query_ends, stages }),
        Some(c) => Err(parser.unexpected(c)),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    terms: usize,
    regexes: usize,
    /// Reads what Lucene has of its own.
    lucene: bool,
    /// Of terms side by side one is enough.
    any: bool,
}

type Leaf<'a> = &'a mut dyn FnMut(&mut Parser) -> Result<Expr, ParseError>;

impl Parser {
    fn new(text: &str) -> Result<Self, ParseError> {
        if text.len() > MAX_QUERY {
            return Err(ParseError {
                column: 1,
                what: format!("query of {} bytes", text.len()),
                hint: "at most 16384 bytes are allowed".into(),
            });
        }
        let chars = text.chars().collect();
        Ok(Self { chars, at: 0, depth: 0, terms: 0, regexes: 0, lucene: false, any: false })
    }

    /// The query up to the first stage; nothing at all finds everything.
    fn query(&mut self) -> Result<Expr, ParseError> {
        self.blank();
        match (self.peek(), self.peek_at(1)) {
            (None, _) => Ok(Expr::All),
            (Some('|'), next) if next != Some('|') => Ok(Expr::All),
            _ => self.any_of(&mut Self::term),
        }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at.saturating_add(ahead)).copied()
    }

    fn rest(&self) -> &[char] {
        self.chars.get(self.at..).unwrap_or(&[])
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

    fn wrong(&self, what: String, hint: impl Into<Cow<'static, str>>) -> ParseError {
        ParseError { column: self.column(), what, hint: hint.into() }
    }

    fn unexpected(&self, c: char) -> ParseError {
        self.wrong(format!("unexpected {c:?}"), "remove it or escape it with \\")
    }

    /// Takes an operator written as `word` (upper case) or `symbol`.
    fn operator(&mut self, word: &str, symbol: &str) -> bool {
        for (text, is_word) in [(word, true), (symbol, false)] {
            let length = text.chars().count();
            let here = text.chars().enumerate().all(|(n, c)| self.peek_at(n) == Some(c));
            let ends = !is_word
                || self
                    .peek_at(length)
                    .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '|'));
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
        let mut never = Vec::new();
        loop {
            if self.operator("OR", "||") {
                parts.push(self.all_of(leaf)?);
            } else if self.any && self.peek().is_some_and(|c| !matches!(c, ')' | '|')) {
                match self.all_of(leaf)? {
                    not @ Expr::Not(_) => never.push(not),
                    part => parts.push(part),
                }
            } else {
                break;
            }
        }
        if !never.is_empty() && parts.iter().all(|part| matches!(part, Expr::Not(_))) {
            never.append(&mut parts);
        }
        let any = match parts.len() {
            0 => None,
            1 => Some(parts.remove(0)),
            _ => Some(Expr::Or(parts)),
        };
        Ok(match (any, never.is_empty()) {
            (Some(any), true) => any,
            (any, _) => Expr::And(any.into_iter().chain(never).collect()),
        })
    }

    fn all_of(&mut self, leaf: Leaf<'_>) -> Result<Expr, ParseError> {
        let mut parts = vec![self.unary(leaf)?];
        loop {
            let explicit = self.operator("AND", "&&");
            let here = self.at;
            let or_follows = self.operator("OR", "||");
            self.at = here;
            match self.peek() {
                Some(c) if explicit || (!self.any && !matches!(c, ')' | '|') && !or_follows) => {
                    parts.push(self.unary(leaf)?);
                }
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
        let negated = if self.foreign_operator().is_some() {
            false
        } else if symbol_not {
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
                hint: "add ) where the group ends".into(),
            });
        }
        self.step(1);
        self.blank();
        Ok(expr)
    }
}

#[cfg(any(test, feature = "fuzzing"))]
/// Fuzz entry: any text ends with a query whose stages take an event, or an error that points into it;
/// every place of it has suggestions.
///
/// # Panics
/// When an error points elsewhere.
pub fn fuzz_query(data: &[u8]) {
    use super::pipe::run::{Row, Run};
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(parse(text));
    let length = text.chars().count();
    for any in [false, true] {
        if let Err(error) = parse_lucene(text, any) {
            assert!((1..=length.saturating_add(1)).contains(&error.column), "{error}");
        }
    }
    match super::pipe::compile(text, event::Timestamp::EPOCH) {
        Ok(pipeline) => {
            let mut run = Run::new(&pipeline, 0, 60, 100);
            for value in ["10.0.0.1", "5", "true"] {
                let list = serde_json::json!([value, value, 1.5]);
                let names =
                    ["src_ip", "own", "message"].map(|name| (name.to_owned(), list.clone()));
                let document = names.into_iter().collect();
                let cursor = super::Cursor { time: 0, tie: 0 };
                let hit = super::Hit { id: String::new(), cursor, document };
                run.push(Row::Event(Box::new(hit)));
            }
            drop(run.finish());
        }
        Err(super::SearchError::Parse(error)) => {
            assert!((1..=length.saturating_add(1)).contains(&error.column), "{error}");
        }
        Err(_) => {}
    }
    let place = length.min(data.first().map_or(0, |byte| usize::from(*byte)));
    drop(super::complete::complete(text, place, &[], &|_, _, _| Vec::new()));
}

#[cfg(test)]
mod tests;
