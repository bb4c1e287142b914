//! Whether one document in memory matches a query: for live tail, and as the reference the
//! store's answers are tested against.

use std::ops::Bound;

use event::{Document, Timestamp};

use super::plan::{FieldRef, Leaf, Node, compile};
use super::value::{self, Value};
use super::wildcard::Wildcard;
use super::words::words;
use super::{SearchError, timespan};

/// A query ready to be applied to documents one by one.
#[derive(Clone, Debug)]
pub struct Matcher {
    node: Node,
    from: i64,
    to: i64,
}

/// The values of one document, gathered once.
struct Gathered<'a> {
    values: Vec<(String, Value<'a>)>,
    bare: Vec<String>,
}

impl Matcher {
    /// Compiles a query; relative times are resolved now.
    ///
    /// # Errors
    /// As [`super::parse()`] and [`super::plan()`].
    pub fn new(query: &str, now: Timestamp) -> Result<Self, SearchError> {
        Ok(Self { node: compile(query, now)?, from: i64::MIN, to: i64::MAX })
    }

    /// The same, only for events from `from` (inclusive) to `to` (exclusive).
    ///
    /// # Errors
    /// [`SearchError::Time`].
    pub fn within(
        mut self,
        from: Option<&str>,
        to: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, SearchError> {
        let read = |which, text: &str| {
            timespan::point(text, now).map_err(|source| SearchError::Time { which, source })
        };
        self.from = from.map_or(Ok(i64::MIN), |text| read("from", text))?;
        self.to = to.map_or(Ok(i64::MAX), |text| read("to", text))?;
        Ok(self)
    }

    /// Whether the document matches.
    #[must_use]
    pub fn matches(&self, document: &Document) -> bool {
        let mut gathered = Gathered { values: Vec::new(), bare: Vec::new() };
        let wants_bare = wants_bare(&self.node);
        value::visit(document, &mut |name, _, value| {
            if wants_bare {
                value::bare_terms(name, &value, &mut |term| gathered.bare.push(term.to_owned()));
            }
            gathered.values.push((name.to_owned(), value));
        });
        let time = gathered.of("timestamp").find_map(|value| match value {
            Value::Date(micros) => Some(*micros),
            _ => None,
        });
        let in_time = match time {
            Some(micros) => micros >= self.from && micros < self.to,
            None => self.from == i64::MIN && self.to == i64::MAX,
        };
        in_time && gathered.node(&self.node)
    }
}

fn wants_bare(node: &Node) -> bool {
    match node {
        Node::All | Node::Nothing => false,
        Node::And(parts) | Node::Or(parts) => parts.iter().any(wants_bare),
        Node::Not(part) => wants_bare(part),
        Node::Leaf(leaf) => matches!(leaf, Leaf::Bare(_) | Leaf::BareLike(_) | Leaf::BareRegex(_)),
    }
}

impl<'a> Gathered<'a> {
    fn of<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b Value<'a>> {
        self.values.iter().filter(move |(key, _)| key == name).map(|(_, value)| value)
    }

    fn any(&self, field: &FieldRef, test: impl FnMut(&Value<'a>) -> bool) -> bool {
        self.of(&field.name).any(test)
    }

    fn node(&self, node: &Node) -> bool {
        match node {
            Node::All => true,
            Node::Nothing => false,
            Node::And(parts) => parts.iter().all(|part| self.node(part)),
            Node::Or(parts) => parts.iter().any(|part| self.node(part)),
            Node::Not(part) => !self.node(part),
            Node::Leaf(leaf) => self.leaf(leaf),
        }
    }

    fn leaf(&self, leaf: &Leaf) -> bool {
        match leaf {
            Leaf::Exists(field) => self.any(field, |_| true),
            Leaf::Keyword(field, text) => {
                self.any(field, |value| matches!(value, Value::Keyword(have) if have == text))
            }
            Leaf::KeywordLike(field, wild) => {
                self.any(field, |value| matches!(value, Value::Keyword(have) if wild.matches(have)))
            }
            Leaf::KeywordRegex(field, pattern) => self.any(field, |value| {
                matches!(value, Value::Keyword(have) if pattern.matches(have))
            }),
            Leaf::KeywordRange(field, low, high) => self.any(field, |value| {
                matches!(value, Value::Keyword(have) if within(low, high, &have.clone().into_owned()))
            }),
            Leaf::Words(field, phrase) => {
                self.any(field, |value| matches!(value, Value::Text(text) if has_phrase(text, phrase)))
            }
            Leaf::WordsBegun(field, phrase) => {
                self.any(field, |value| matches!(value, Value::Text(text) if has_begun(text, phrase)))
            }
            Leaf::WordLike(field, wild) => {
                self.any(field, |value| matches!(value, Value::Text(text) if has_like(text, wild)))
            }
            Leaf::WordRegex(field, pattern) => self.any(field, |value| {
                matches!(value, Value::Text(text) if words(text).any(|word| pattern.matches(&word)))
            }),
            Leaf::Number(field, number) => {
                self.any(field, |value| matches!(value, Value::Number(have) if have == number))
            }
            Leaf::NumberRange(field, low, high) => self.any(field, |value| {
                matches!(value, Value::Number(have) if within(low, high, have))
            }),
            Leaf::Ip(field, low, high) => {
                self.any(field, |value| matches!(value, Value::Ip(ip) if (low..=high).contains(&ip)))
            }
            Leaf::Date(field, low, high) => self.any(field, |value| {
                matches!(value, Value::Date(micros) if (low..=high).contains(&micros))
            }),
            Leaf::Bool(field, truth) => {
                self.any(field, |value| matches!(value, Value::Bool(have) if have == truth))
            }
            Leaf::Bare(term) => self.bare.iter().any(|have| have == term),
            Leaf::BareLike(wild) => self.bare.iter().any(|have| wild.matches(have)),
            Leaf::BareRegex(pattern) => self.bare.iter().any(|have| pattern.matches(have)),
        }
    }
}

fn within<T: PartialOrd>(low: &Bound<T>, high: &Bound<T>, value: &T) -> bool {
    let above = match low {
        Bound::Unbounded => true,
        Bound::Included(low) => value >= low,
        Bound::Excluded(low) => value > low,
    };
    let below = match high {
        Bound::Unbounded => true,
        Bound::Included(high) => value <= high,
        Bound::Excluded(high) => value < high,
    };
    above && below
}

fn has_phrase(text: &str, phrase: &[String]) -> bool {
    let found: Vec<String> = words(text).collect();
    !phrase.is_empty() && found.windows(phrase.len()).any(|window| window == phrase)
}

fn has_begun(text: &str, phrase: &[String]) -> bool {
    let Some((begun, whole)) = phrase.split_last() else { return false };
    let found: Vec<String> = words(text).collect();
    let fits = |window: &[String]| {
        let last = window.last();
        window.starts_with(whole) && last.is_some_and(|last| last.starts_with(begun.as_str()))
    };
    found.windows(phrase.len()).any(fits)
}

fn has_like(text: &str, wild: &Wildcard) -> bool {
    words(text).any(|word| wild.matches(&word))
}

#[cfg(test)]
#[path = "matches_tests.rs"]
mod tests;
