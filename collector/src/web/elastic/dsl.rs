//! The Query DSL: queries as JSON into our typed queries.
//!
//! Supported are `match_all`, `match_none`, `bool`, `constant_score`, `dis_max`, `ids`, `exists`, `term`,
//! `terms`, `range`, `prefix`, `wildcard`, `regexp`, `match`, `match_phrase`, `match_phrase_prefix`,
//! `multi_match`, `query_string` and `simple_query_string`; every other query, key and type is refused
//! by name. A value means what it means in our own language: both go through [`crate::search::plan`].
//! Nothing is scored, so `boost` is read and left. Source: Elasticsearch reference, Query DSL.

use std::ops::Bound;

use event::{FieldType, Timestamp};
use serde_json::Value;

use super::Wrong;
use super::read::{Keys, kind, scalar, texts};
use crate::search::ast::{Expr, Scalar, Test};
use crate::search::plan::{FieldRef, plan};
use crate::search::wildcard::{MAX_PARTS, Part, Wildcard};
use crate::search::words::words;
use crate::search::{Node, value};

mod regexp;
mod strings;
pub(super) mod times;

/// Deepest nesting of queries.
const MAX_DEPTH: usize = 32;
/// Most tests of one query, each value of `terms` counted.
const MAX_LEAVES: usize = 10_000;

/// Reads a query.
///
/// # Errors
/// [`Wrong`] that names the place.
pub(super) fn query(json: Value, now: Timestamp) -> Result<Node, Wrong> {
    Reader { now, leaves: 0, depth: 0, regexes: 0 }.query(json)
}

/// Reads query text as `query_string` does; with `every`, terms side by side must all hold.
///
/// # Errors
/// [`Wrong`] with the column.
pub(super) fn text(query: &str, every: bool, now: Timestamp) -> Result<Node, Wrong> {
    strings::plain(query, (&[], every), now)
}

/// The name of a field as we have it: `.keyword` is the whole value, which all our fields have.
pub(super) fn field(name: &str) -> String {
    match name {
        "_index" => "elastic.index".to_owned(),
        "_id" => "event.id".to_owned(),
        _ => match name.strip_suffix(".keyword") {
            Some(own) if value::field(name).is_none() && !own.is_empty() => own.to_owned(),
            _ => name.to_owned(),
        },
    }
}

fn literal(text: &str) -> Scalar {
    Scalar { parts: Wildcard::text(text), quoted: true }
}

struct Reader {
    now: Timestamp,
    leaves: usize,
    depth: usize,
    regexes: usize,
}

impl Reader {
    fn query(&mut self, json: Value) -> Result<Node, Wrong> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(Wrong::argument(format!("queries are nested deeper than {MAX_DEPTH}")));
        }
        let (name, body) = Keys::of("query", json)?.only()?;
        let node = self.named(&name, body);
        self.depth = self.depth.saturating_sub(1);
        node
    }

    fn named(&mut self, name: &str, body: Value) -> Result<Node, Wrong> {
        match name {
            "match_all" => nothing_else(name, body, Node::All),
            "match_none" => nothing_else(name, body, Node::Nothing),
            "bool" => self.bool(body),
            "constant_score" => {
                let mut keys = Keys::of(name, body)?;
                let filter = keys.take("filter");
                let filter = keys.must("filter", filter)?;
                keys.weight()?;
                keys.finish()?;
                self.query(filter)
            }
            "dis_max" => {
                let mut keys = Keys::of(name, body)?;
                let queries = keys.take("queries");
                let queries = keys.must("queries", queries)?;
                keys.weight()?;
                keys.float("tie_breaker")?;
                keys.finish()?;
                Ok(Node::Or(self.list(queries)?))
            }
            "ids" => {
                let mut keys = Keys::of(name, body)?;
                let values = keys.take("values");
                let values = keys.must("values", values)?;
                keys.weight()?;
                keys.finish()?;
                let values = texts("ids.values", values, false)?;
                self.any(values.iter().map(|id| ("event.id", id.as_str())))
            }
            "exists" => {
                let mut keys = Keys::of(name, body)?;
                let name = keys.text("field")?;
                let name = keys.must("field", name)?;
                keys.weight()?;
                keys.finish()?;
                self.test(&name, Test::Exists)
            }
            "terms" => self.terms(body),
            "multi_match" => strings::multi_match(self, body),
            "query_string" | "simple_query_string" => strings::query_string(self, name, body),
            "term"
            | "regexp"
            | "range"
            | "prefix"
            | "wildcard"
            | "match"
            | "match_phrase"
            | "match_phrase_prefix" => self.on_field(name, body),
            "fuzzy" | "nested" | "has_child" | "has_parent" | "parent_id" | "function_score"
            | "script" | "script_score" | "more_like_this" | "boosting" => {
                Err(Wrong::argument(format!("[{name}] queries are not supported")))
            }
            other => {
                let other: String = other.chars().take(64).collect();
                Err(Wrong::parsing(format!("unknown query [{other}]")))
            }
        }
    }

    /// Counts a test.
    fn leaf(&mut self) -> Result<(), Wrong> {
        self.leaves = self.leaves.saturating_add(1);
        if self.leaves > MAX_LEAVES {
            return Err(Wrong::argument(format!("the query has more than {MAX_LEAVES} tests")));
        }
        Ok(())
    }

    fn test(&mut self, name: &str, test: Test) -> Result<Node, Wrong> {
        self.leaf()?;
        let expr = Expr::Field { name: field(name), test, column: 1 };
        plan(&expr, self.now).map_err(|error| {
            Wrong::parsing(format!("{}: {}; {}", error.field, error.what, error.hint))
        })
    }

    fn bare(&mut self, term: Scalar) -> Result<Node, Wrong> {
        self.leaf()?;
        plan(&Expr::Bare { term, column: 1 }, self.now)
            .map_err(|error| Wrong::parsing(error.to_string()))
    }

    fn any<'a>(&mut self, tests: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Node, Wrong> {
        let all = tests.map(|(name, text)| self.test(name, Test::Is(literal(text))));
        Ok(Node::Or(all.collect::<Result<_, _>>()?))
    }

    /// One query or a list of them.
    fn list(&mut self, json: Value) -> Result<Vec<Node>, Wrong> {
        match json {
            Value::Array(list) => list.into_iter().map(|one| self.query(one)).collect(),
            one => Ok(vec![self.query(one)?]),
        }
    }

    fn bool(&mut self, body: Value) -> Result<Node, Wrong> {
        let mut keys = Keys::of("bool", body)?;
        let mut all = Vec::new();
        for key in ["must", "filter"] {
            if let Some(json) = keys.take(key) {
                all.extend(self.list(json)?);
            }
        }
        if let Some(json) = keys.take("must_not") {
            all.extend(self.list(json)?.into_iter().map(|node| Node::Not(Box::new(node))));
        }
        let should = keys.take("should").map(|json| self.list(json)).transpose()?;
        let least = keys.scalar("minimum_should_match")?;
        keys.weight()?;
        keys.only_flag("adjust_pure_negative", true)?;
        keys.finish()?;
        let should = should.unwrap_or_default();
        let default = usize::from(all.iter().all(|node| matches!(node, Node::Not(_))));
        let least = match least {
            None => default.min(should.len()),
            Some(text) => least_of(&text, should.len())?,
        };
        match least {
            // What only raises scores changes nothing here.
            0 => {}
            1 => all.push(Node::Or(should)),
            number if number == should.len() => all.extend(should),
            number if number > should.len() => all.push(Node::Nothing),
            _ => {
                let words = "supports [minimum_should_match] only as 0, 1 or all";
                return Err(Wrong::argument(format!("[bool] {words}")));
            }
        }
        Ok(match all.len() {
            0 => Node::All,
            1 => all.remove(0),
            _ => Node::And(all),
        })
    }

    fn terms(&mut self, body: Value) -> Result<Node, Wrong> {
        let mut keys = Keys::of("terms", body)?;
        keys.weight()?;
        let (name, list) = keys.only()?;
        let Value::Array(list) = list else {
            let words = format!("[terms.{name}] must be a list, not {}", kind(&list));
            return Err(Wrong::parsing(words));
        };
        let mut any = Vec::with_capacity(list.len().min(MAX_LEAVES));
        for one in list {
            let text = scalar(&one).ok_or_else(|| {
                Wrong::parsing(format!("[terms.{name}] must hold texts, numbers or truths"))
            })?;
            any.push(self.test(&name, Test::Is(literal(&text)))?);
        }
        Ok(if any.is_empty() { Node::Nothing } else { Node::Or(any) })
    }

    /// Queries of the form `{"term": {"field": value}}` or `{"term": {"field": {"value": value}}}`.
    fn on_field(&mut self, name: &str, body: Value) -> Result<Node, Wrong> {
        let (field, given) = Keys::of(name, body)?.only()?;
        let at = format!("{name}.{field}");
        let own = match name {
            "match" | "match_phrase" | "match_phrase_prefix" => "query",
            _ => "value",
        };
        let mut keys = match given {
            Value::Object(_) => Keys::of(&at, given)?,
            value if name != "range" => {
                Keys::of(&at, Value::Object([(own.to_owned(), value)].into_iter().collect()))?
            }
            value => Keys::of(&at, value)?,
        };
        keys.weight()?;
        if name == "range" {
            return self.range(&field, keys);
        }
        let text = match keys.scalar(own)? {
            // An older name of the same.
            None if matches!(name, "wildcard" | "prefix") => keys.scalar(name)?,
            text => text,
        };
        let text = keys.must(own, text)?;
        match name {
            "term" => {
                keys.only_flag("case_insensitive", false)?;
                keys.finish()?;
                self.test(&field, Test::Is(literal(&text)))
            }
            "prefix" | "wildcard" => self.like(name, &field, (&text, keys)),
            "regexp" => regexp::regexp(self, &field, (&text, keys)),
            "match" => strings::matches(self, &field, (&text, keys)),
            _ => strings::phrase(self, name, &field, (&text, keys)),
        }
    }

    fn like(
        &mut self,
        name: &str,
        field_: &str,
        (text, mut keys): (&str, Keys),
    ) -> Result<Node, Wrong> {
        let kind = FieldRef::new(&field(field_)).kind();
        let folds = kind == Some(FieldType::Text);
        if !folds {
            keys.only_flag("case_insensitive", false)?;
        }
        keys.flag("case_insensitive")?;
        keys.text("rewrite")?;
        let at = keys.at().to_owned();
        keys.finish()?;
        let parts = if name == "prefix" {
            text.chars().map(Part::Char).chain([Part::Many]).collect()
        } else {
            wild(text)
        };
        let parts = Wildcard::new(parts).ok_or_else(|| {
            Wrong::argument(format!("[{at}] has more than {MAX_PARTS} characters"))
        })?;
        let test =
            if parts.is_any() { Test::Exists } else { Test::Is(Scalar { parts, quoted: false }) };
        self.test(field_, test)
    }

    fn range(&mut self, name: &str, mut keys: Keys) -> Result<Node, Wrong> {
        let date = FieldRef::new(&field(name)).kind() == Some(FieldType::Date);
        let format = times::Times::read(&mut keys)?;
        keys.only_text("relation", &["INTERSECTS", "WITHIN"])?;
        keys.only_flag("include_lower", true)?;
        keys.only_flag("include_upper", true)?;
        let (mut low, mut high) = (Bound::Unbounded, Bound::Unbounded);
        // `from` and `to` are older names of the inclusive bounds, which Grafana sends for annotations.
        for (key, upper, excluded) in [
            ("gte", false, false),
            ("from", false, false),
            ("gt", false, true),
            ("lte", true, false),
            ("to", true, false),
            ("lt", true, true),
        ] {
            let Some(value) = keys.take(key) else { continue };
            let text = if date {
                // The end of a rounded time belongs to what is up to it, and ends what is above.
                format.point(keys.at(), &value, (upper != excluded, self.now))?
            } else {
                let wrong = || Wrong::parsing(format!("[{}.{key}] must be a scalar", keys.at()));
                scalar(&value).ok_or_else(wrong)?
            };
            let bound = if excluded { Bound::Excluded(text) } else { Bound::Included(text) };
            let slot = if upper { &mut high } else { &mut low };
            if !matches!(slot, Bound::Unbounded) {
                return Err(Wrong::parsing(format!("[{}] has two bounds on one side", keys.at())));
            }
            *slot = bound;
        }
        keys.finish()?;
        self.test(name, Test::Range { low, high })
    }
}

fn nothing_else(name: &str, body: Value, node: Node) -> Result<Node, Wrong> {
    let mut keys = Keys::of(name, body)?;
    keys.weight()?;
    keys.finish()?;
    Ok(node)
}

/// How many of a number must hold: `2`, `-1` (all but one), `50%`.
fn least_of(text: &str, number: usize) -> Result<usize, Wrong> {
    let wrong = || Wrong::parsing(format!("[minimum_should_match] cannot be [{text}]"));
    let (text, percent) = text.strip_suffix('%').map_or((text, false), |text| (text, true));
    let given: i64 = text.trim().parse().map_err(|_| wrong())?;
    let number = i64::try_from(number).map_err(|_| wrong())?;
    let given = if percent { number.saturating_mul(given) / 100 } else { given };
    let least = if given < 0 { number.saturating_add(given) } else { given };
    usize::try_from(least.max(0)).map_err(|_| wrong())
}

/// `*`, `?` and a backslash before either.
fn wild(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '*' => Part::Many,
            '?' => Part::One,
            '\\' => Part::Char(chars.next().unwrap_or('\\')),
            c => Part::Char(c),
        });
    }
    parts
}

/// The words a text is searched by.
fn word_list(text: &str) -> Vec<String> {
    words(text).collect()
}
