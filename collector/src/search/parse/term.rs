//! Terms: bare words, and fields with what they must be.

use super::{MAX_TERMS, ParseError, Parser};
use crate::search::ast::{Expr, Test};

/// What stands behind a field's name.
enum Behind {
    /// A test, behind a colon or as a comparison.
    Test,
    /// `IN (...)`.
    List,
    /// `NOT IN (...)`.
    NotList,
}

impl Parser {
    pub(super) fn count(&mut self) -> Result<(), ParseError> {
        self.terms = self.terms.saturating_add(1);
        if self.terms > MAX_TERMS {
            return Err(self.wrong("too many terms".to_owned(), "at most 512 are allowed"));
        }
        Ok(())
    }

    /// `field:...`, `field > ...`, `field IN (...)` or a bare term.
    pub(super) fn term(&mut self) -> Result<Expr, ParseError> {
        self.count()?;
        let column = self.column();
        let here = self.at;
        let ends = self.peek().is_none_or(|c| c == '|');
        if ends || self.operator("AND", "&&") || self.operator("OR", "||") {
            self.at = here;
            return Err(self.missing());
        }
        if let Some(name) = self.lucene_exists() {
            return Ok(Expr::Field { name, test: Test::Exists, column });
        }
        self.refuse_foreign()?;
        if self.peek() == Some('"') {
            return Ok(Expr::Bare { term: self.quoted()?, column });
        }
        if let Some(pattern) = self.regex()? {
            return Ok(Expr::BareRegex { pattern, column });
        }
        if let Some((name, behind)) = self.field_name() {
            self.blank();
            return match behind {
                Behind::Test => self.tests(&name, column),
                Behind::List => self.list(&name, column),
                Behind::NotList => Ok(Expr::Not(Box::new(self.list(&name, column)?))),
            };
        }
        if let ['*', ':', '*', rest @ ..] = self.rest()
            && rest.first().is_none_or(|c| c.is_whitespace() || matches!(c, ')' | '|'))
        {
            self.step(3);
            return Ok(Expr::All);
        }
        let term = self.plain(false)?;
        Ok(if term.parts.is_any() { Expr::All } else { Expr::Bare { term, column } })
    }

    /// Takes `name:`, or the `name` before a comparison, or `name IN`; nothing when a bare term
    /// stands here.
    fn field_name(&mut self) -> Option<(String, Behind)> {
        let rest = self.rest();
        let stop = |c: &char| c.is_whitespace() || "()\"[]{}<>=*?\\:|".contains(*c);
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
                Some((name, Behind::Test))
            }
            Some('<' | '>') => {
                self.step(next);
                Some((name, Behind::Test))
            }
            Some('I' | 'N') if next > length => {
                let here = self.at;
                self.step(next);
                let negated = self.operator("NOT", "");
                if self.operator("IN", "") && self.peek() == Some('(') {
                    return Some((name, if negated { Behind::NotList } else { Behind::List }));
                }
                self.at = here;
                None
            }
            _ => None,
        }
    }

    /// `(a, "b c", d*)`: any of these.
    fn list(&mut self, name: &str, column: usize) -> Result<Expr, ParseError> {
        let open = self.column();
        self.step(1);
        let mut any = Vec::new();
        loop {
            self.blank();
            match self.peek() {
                Some(')') if any.is_empty() => {
                    return Err(self.wrong("empty list".to_owned(), "write field IN (a, b)"));
                }
                Some(')') => break,
                Some(',') if !any.is_empty() => self.step(1),
                Some('|') | None => {
                    let hint = "add ) where the list ends".into();
                    return Err(ParseError {
                        column: open,
                        what: "list is not closed".into(),
                        hint,
                    });
                }
                Some(_) => {
                    self.count()?;
                    let test = match (self.peek(), self.regex()?) {
                        (_, Some(pattern)) => Test::Regex(pattern),
                        (Some('"'), None) => Test::Is(self.quoted()?),
                        _ => Test::Is(self.listed()?),
                    };
                    any.push(Expr::Field { name: name.to_owned(), test, column });
                }
            }
        }
        self.step(1);
        Ok(if any.len() == 1 { any.remove(0) } else { Expr::Or(any) })
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
            None | Some(')' | '|') => {
                return Err(self.wrong(
                    format!("{name} has no value"),
                    "write field:value, field:* or field:\"some text\"",
                ));
            }
            Some('"') => Test::Is(self.quoted()?),
            Some('[' | '{') => self.range()?,
            Some('<' | '>') => self.comparison()?,
            Some(_) => match self.regex()? {
                Some(pattern) => Test::Regex(pattern),
                None => {
                    let scalar = self.plain(true)?;
                    if scalar.parts.is_any() { Test::Exists } else { Test::Is(scalar) }
                }
            },
        };
        Ok(Expr::Field { name: name.to_owned(), test, column })
    }
}

/// Whether a word is an IPv6 address or network, which contain colons.
fn is_address(word: &str) -> bool {
    let address = word.split_once('/').map_or(word, |(address, _)| address);
    address.parse::<std::net::Ipv6Addr>().is_ok()
}
