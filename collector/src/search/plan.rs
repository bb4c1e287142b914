//! The meaning of a query: every term typed by the field dictionary, independent of any store.
//!
//! A leaf tests one field (or bare terms) against values of the form [`super::value`] gives a
//! document. A store executes the tree; [`super::matches`] applies it to one document.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::ops::Bound;

use event::{Field, FieldType, Timestamp};

use super::ast::{Expr, Regex, Scalar, Test};
use super::regex::Pattern;
use super::timespan;
use super::value::{self, Number, keyword, mapped, searchable_name};
use super::wildcard::{Part, Wildcard};
use super::words::{whole, words};

/// A typed query.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Every document.
    All,
    /// No document.
    Nothing,
    /// All of these.
    And(Vec<Self>),
    /// Any of these.
    Or(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// One test.
    Leaf(Leaf),
}

/// A field a test looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRef {
    /// Canonical name.
    pub name: String,
    /// The dictionary's entry; `None` for other names.
    pub known: Option<&'static Field>,
}

impl FieldRef {
    /// Resolves a name or alias.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let known = value::field(name);
        Self { name: known.map_or(name, |field| field.name).to_owned(), known }
    }

    /// Its type, if the dictionary knows it.
    #[must_use]
    pub fn kind(&self) -> Option<FieldType> {
        self.known.map(|field| field.kind)
    }
}

/// One test. Several values of a field: it is enough that one passes.
#[derive(Clone, Debug, PartialEq)]
pub enum Leaf {
    /// The field has a value.
    Exists(FieldRef),
    /// A keyword equals this.
    Keyword(FieldRef, String),
    /// A keyword fits this pattern.
    KeywordLike(FieldRef, Wildcard),
    /// A keyword fits this regular expression.
    KeywordRegex(FieldRef, Pattern),
    /// A keyword lies between these, by bytes.
    KeywordRange(FieldRef, Bound<String>, Bound<String>),
    /// A text has these words one after the other.
    Words(FieldRef, Vec<String>),
    /// A text has these words one after the other, of the last only its beginning; two words at least.
    WordsBegun(FieldRef, Vec<String>),
    /// A text has a word fitting this pattern.
    WordLike(FieldRef, Wildcard),
    /// A text has a word fitting this regular expression, which disregards case.
    WordRegex(FieldRef, Pattern),
    /// A number equals this.
    Number(FieldRef, Number),
    /// A number lies between these.
    NumberRange(FieldRef, Bound<Number>, Bound<Number>),
    /// An address lies between these, inclusive.
    Ip(FieldRef, Ipv6Addr, Ipv6Addr),
    /// A time lies between these microseconds, inclusive.
    Date(FieldRef, i64, i64),
    /// A truth value equals this.
    Bool(FieldRef, bool),
    /// Any field holds this lowercase word or whole value.
    Bare(String),
    /// Any field holds a word or whole value fitting this lowercase pattern.
    BareLike(Wildcard),
    /// Any field holds a word or whole value fitting this regular expression, which disregards case.
    BareRegex(Pattern),
}

/// A query that cannot mean anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {field}: {what}; {hint}")]
pub struct PlanError {
    /// Where the term begins, in characters from 1.
    pub column: usize,
    /// Field as stored.
    pub field: String,
    /// What is wrong.
    pub what: String,
    /// How it could be written.
    pub hint: Cow<'static, str>,
}

/// Types a query.
///
/// # Errors
/// [`PlanError`] when a value does not fit the type of its field.
pub fn plan(expr: &Expr, now: Timestamp) -> Result<Node, PlanError> {
    let all = |parts: &[Expr]| {
        parts.iter().map(|part| plan(part, now)).collect::<Result<Vec<Node>, PlanError>>()
    };
    Ok(match expr {
        Expr::All => Node::All,
        Expr::And(parts) => Node::And(all(parts)?),
        Expr::Or(parts) => Node::Or(all(parts)?),
        Expr::Not(part) => Node::Not(Box::new(plan(part, now)?)),
        Expr::Bare { term, .. } => bare(term),
        Expr::BareRegex { pattern, .. } => {
            Node::Leaf(Leaf::BareRegex(regex(pattern, "any field", true)?))
        }
        Expr::Field { name, test, column } => {
            if value::field(name).is_none() && !searchable_name(name) {
                return Err(PlanError {
                    column: *column,
                    field: name.clone(),
                    what: "not a field name".to_owned(),
                    hint: "names are dotted words such as src_ip or dns.rrname".into(),
                });
            }
            Planner { field: FieldRef::new(name), column: *column, now }.test(test)?
        }
    })
}

/// Parses and types a query.
///
/// # Errors
/// [`super::SearchError::Parse`] and [`super::SearchError::Plan`].
pub fn compile(text: &str, now: Timestamp) -> Result<Node, super::SearchError> {
    Ok(plan(&super::parse(text)?, now)?)
}

/// Compiles a regular expression; errors point into it.
fn regex(written: &Regex, field: &str, lower: bool) -> Result<Pattern, PlanError> {
    Pattern::new(&written.source, written.insensitive || lower).map_err(|error| PlanError {
        column: written.column.saturating_add(error.offset),
        field: field.to_owned(),
        what: error.what,
        hint: error.hint.into(),
    })
}

/// The test that a field lies from `low` to below `high`.
///
/// # Errors
/// [`PlanError`] when a bound does not fit the type of the field, or it has no order.
pub fn range(
    field: &str,
    low: Option<&str>,
    high: Option<&str>,
    now: Timestamp,
) -> Result<Node, PlanError> {
    let low = low.map_or(Bound::Unbounded, |low| Bound::Included(low.to_owned()));
    let high = high.map_or(Bound::Unbounded, |high| Bound::Excluded(high.to_owned()));
    let test = Test::Range { low, high };
    plan(&Expr::Field { name: field.to_owned(), test, column: 1 }, now)
}

fn bare(term: &Scalar) -> Node {
    let Some(text) = term.literal() else {
        return Node::Leaf(Leaf::BareLike(term.parts.lowercase()));
    };
    if let Some(node) = bare_address(&text) {
        return node;
    }
    let found: Vec<String> = words(&text).collect();
    let mut any = Vec::new();
    if let Some(whole) = whole(&text) {
        any.push(Node::Leaf(Leaf::Bare(whole)));
    }
    if found.len() > 1 {
        let texts = event::FIELDS.iter().filter(|field| field.kind == FieldType::Text);
        any.extend(
            texts.map(|field| Node::Leaf(Leaf::Words(FieldRef::new(field.name), found.clone()))),
        );
    } else if let [word] = found.as_slice() {
        // A single word in punctuation is found as that word.
        any.push(Node::Leaf(Leaf::Bare(word.clone())));
        any.dedup();
    }
    match any.len() {
        0 => Node::Nothing,
        1 => any.remove(0),
        _ => Node::Or(any),
    }
}

/// An address finds the address in its usual form; a network finds addresses within it.
fn bare_address(text: &str) -> Option<Node> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Some(Node::Leaf(Leaf::Bare(address.to_canonical().to_string())));
    }
    let (low, high) = network(text)?;
    let fields = event::FIELDS.iter().filter(|field| field.kind == FieldType::Ip);
    Some(Node::Or(
        fields.map(|field| Node::Leaf(Leaf::Ip(FieldRef::new(field.name), low, high))).collect(),
    ))
}

/// First and last address of a network in CIDR notation.
fn network(text: &str) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let net: ipnet::IpNet = text.parse().ok()?;
    Some((mapped(net.network()), mapped(net.broadcast())))
}

/// `10.1.*` as the addresses from 10.1.0.0 to 10.1.255.255.
fn octets(pattern: &Wildcard) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let (Part::Many, head) = pattern.parts().split_last()? else { return None };
    let text: String = head
        .iter()
        .map(|part| match part {
            Part::Char(c) => Some(*c),
            Part::One | Part::Many => None,
        })
        .collect::<Option<_>>()?;
    let count = text.strip_suffix('.')?.split('.').count();
    let fill = |with: &str| {
        let rest = vec![with; 4_usize.checked_sub(count)?].join(".");
        format!("{text}{rest}").parse().ok().map(mapped)
    };
    (count < 4).then_some(())?;
    Some((fill("0")?, fill("255")?))
}

struct Planner {
    field: FieldRef,
    column: usize,
    now: Timestamp,
}

impl Planner {
    fn wrong(&self, what: String, hint: &'static str) -> PlanError {
        PlanError { column: self.column, field: self.field.name.clone(), what, hint: hint.into() }
    }

    fn leaf(&self, make: impl FnOnce(FieldRef) -> Leaf) -> Node {
        Node::Leaf(make(self.field.clone()))
    }

    fn test(&self, test: &Test) -> Result<Node, PlanError> {
        match test {
            Test::Exists => Ok(self.leaf(Leaf::Exists)),
            Test::Is(scalar) => match scalar.literal() {
                Some(text) => self.equals(&text),
                None => self.like(&scalar.parts),
            },
            Test::Regex(written) => self.regex(written),
            Test::Range { low, high } => self.range(low, high),
        }
    }

    fn keyword(&self, text: &str) -> Node {
        self.leaf(|field| Leaf::Keyword(field, keyword(text).to_owned()))
    }

    fn equals(&self, text: &str) -> Result<Node, PlanError> {
        Ok(match self.field.kind() {
            Some(FieldType::Keyword) => self.keyword(text),
            Some(FieldType::Text) => {
                let found: Vec<String> = words(text).collect();
                if found.is_empty() {
                    return Err(self.wrong(
                        format!("{text:?} has no words"),
                        "text is searched by words of letters, digits and _",
                    ));
                }
                self.leaf(|field| Leaf::Words(field, found))
            }
            Some(FieldType::Number) => match Number::parse(text) {
                Some(number) => self.leaf(|field| Leaf::Number(field, number)),
                None => self.keyword(text),
            },
            Some(FieldType::Ip) => self.address(text)?,
            Some(FieldType::Date) => {
                let (low, high) = self.time(text)?;
                self.leaf(|field| Leaf::Date(field, low, high))
            }
            Some(FieldType::Bool) => match text {
                "true" | "false" => self.leaf(|field| Leaf::Bool(field, text == "true")),
                _ => return Err(self.wrong(format!("{text:?}"), "write true or false")),
            },
            None => self.unknown(text),
        })
    }

    /// A field outside the dictionary may hold the value as text, number or truth.
    fn unknown(&self, text: &str) -> Node {
        let mut any = vec![self.keyword(text)];
        if let Some(number) = Number::parse(text) {
            any.push(self.leaf(|field| Leaf::Number(field, number)));
        }
        if let Ok(truth) = text.parse() {
            any.push(self.leaf(|field| Leaf::Bool(field, truth)));
        }
        if any.len() == 1 { any.remove(0) } else { Node::Or(any) }
    }

    fn address(&self, text: &str) -> Result<Node, PlanError> {
        let bounds = text
            .parse()
            .map(|address| (mapped(address), mapped(address)))
            .ok()
            .or_else(|| network(text));
        match bounds {
            Some((low, high)) => Ok(self.leaf(|field| Leaf::Ip(field, low, high))),
            None => Err(self.not_an_address(text)),
        }
    }

    fn not_an_address(&self, text: &str) -> PlanError {
        self.wrong(
            format!("{text:?} is no address"),
            "write 10.0.0.1, 10.0.0.0/8, 10.0.*, fe80::/10 or [10.0.0.1 TO 10.0.0.9]",
        )
    }

    fn time(&self, text: &str) -> Result<(i64, i64), PlanError> {
        timespan::span(text, self.now)
            .map(|(low, high)| (value::clamp(low), value::clamp(high)))
            .map_err(|error| {
                self.wrong(error.to_string(), "quote times with blanks: timestamp:\"...\"")
            })
    }

    fn like(&self, pattern: &Wildcard) -> Result<Node, PlanError> {
        match self.field.kind() {
            Some(FieldType::Keyword) | None => {
                Ok(self.leaf(|field| Leaf::KeywordLike(field, pattern.clone())))
            }
            Some(FieldType::Text) => {
                Ok(self.leaf(|field| Leaf::WordLike(field, pattern.lowercase())))
            }
            Some(FieldType::Ip) => match octets(pattern) {
                Some((low, high)) => Ok(self.leaf(|field| Leaf::Ip(field, low, high))),
                None => Err(self.not_an_address(&pattern.to_string())),
            },
            Some(FieldType::Number | FieldType::Date | FieldType::Bool) => Err(self.wrong(
                "takes no wildcards".to_owned(),
                "use a range such as [1 TO 9] or >5, or * alone for any value",
            )),
        }
    }

    fn regex(&self, written: &Regex) -> Result<Node, PlanError> {
        let pattern = |lower| regex(written, &self.field.name, lower);
        match self.field.kind() {
            Some(FieldType::Keyword) | None => {
                let pattern = pattern(false)?;
                Ok(self.leaf(|field| Leaf::KeywordRegex(field, pattern)))
            }
            Some(FieldType::Text) => {
                let pattern = pattern(true)?;
                Ok(self.leaf(|field| Leaf::WordRegex(field, pattern)))
            }
            Some(FieldType::Ip) => Err(self.not_an_address(&format!("/{}/", written.source))),
            Some(FieldType::Number | FieldType::Date | FieldType::Bool) => Err(self.wrong(
                "takes no regular expression".to_owned(),
                "use a range such as [1 TO 9] or >5, or * alone for any value",
            )),
        }
    }

    fn range(&self, low: &Bound<String>, high: &Bound<String>) -> Result<Node, PlanError> {
        if matches!((low, high), (Bound::Unbounded, Bound::Unbounded)) {
            return Ok(self.leaf(Leaf::Exists));
        }
        match self.field.kind() {
            Some(FieldType::Keyword) => Ok(self.keyword_range(low, high)),
            Some(FieldType::Number) => match numbers(low, high) {
                Some((low, high)) => Ok(self.leaf(|field| Leaf::NumberRange(field, low, high))),
                None => {
                    Err(self.wrong("bounds must be numbers".to_owned(), "write [1 TO 9] or >5"))
                }
            },
            None => Ok(match numbers(low, high) {
                Some((low, high)) => self.leaf(|field| Leaf::NumberRange(field, low, high)),
                None => self.keyword_range(low, high),
            }),
            Some(FieldType::Ip) => self.ip_range(low, high),
            Some(FieldType::Date) => self.date_range(low, high),
            Some(FieldType::Text | FieldType::Bool) => {
                Err(self.wrong("has no order".to_owned(), "search it by value"))
            }
        }
    }

    fn keyword_range(&self, low: &Bound<String>, high: &Bound<String>) -> Node {
        let cut = |bound: &Bound<String>| bound.as_ref().map(|text| keyword(text).to_owned());
        self.leaf(|field| Leaf::KeywordRange(field, cut(low), cut(high)))
    }

    fn ip_range(&self, low: &Bound<String>, high: &Bound<String>) -> Result<Node, PlanError> {
        let read = |text: &String| {
            text.parse().map(mapped).map(u128::from).map_err(|_| self.not_an_address(text))
        };
        let low = match low {
            Bound::Unbounded => Some(0),
            Bound::Included(text) => Some(read(text)?),
            Bound::Excluded(text) => read(text)?.checked_add(1),
        };
        let high = match high {
            Bound::Unbounded => Some(u128::MAX),
            Bound::Included(text) => Some(read(text)?),
            Bound::Excluded(text) => read(text)?.checked_sub(1),
        };
        Ok(match (low, high) {
            (Some(low), Some(high)) if low <= high => {
                self.leaf(|field| Leaf::Ip(field, low.into(), high.into()))
            }
            _ => Node::Nothing,
        })
    }

    fn date_range(&self, low: &Bound<String>, high: &Bound<String>) -> Result<Node, PlanError> {
        let low = match low {
            Bound::Unbounded => i64::MIN,
            Bound::Included(text) => self.time(text)?.0,
            Bound::Excluded(text) => self.time(text)?.1.saturating_add(1),
        };
        let high = match high {
            Bound::Unbounded => i64::MAX,
            Bound::Included(text) => self.time(text)?.1,
            Bound::Excluded(text) => self.time(text)?.0.saturating_sub(1),
        };
        if low > high {
            return Ok(Node::Nothing);
        }
        Ok(self.leaf(|field| Leaf::Date(field, value::clamp(low), value::clamp(high))))
    }
}

type Bounds<T> = (Bound<T>, Bound<T>);

fn numbers(low: &Bound<String>, high: &Bound<String>) -> Option<Bounds<Number>> {
    let read = |bound: &Bound<String>| match bound {
        Bound::Unbounded => Some(Bound::Unbounded),
        Bound::Included(text) => Number::parse(text).map(Bound::Included),
        Bound::Excluded(text) => Number::parse(text).map(Bound::Excluded),
    };
    Some((read(low)?, read(high)?))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
