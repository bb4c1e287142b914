//! A typed query as a tantivy query over the fields of one partition.

use std::ops::Bound;
use std::sync::Arc;

use event::FieldType;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, EnableScoring, ExistsQuery, Explanation,
    FastFieldRangeQuery, InvertedIndexRangeQuery, Occur, PhraseQuery, Query, RegexPhraseQuery,
    Scorer, TermQuery, Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Score, SegmentReader, Term};

use super::collect::Deadline;
use super::terms;
use crate::search::plan::{FieldRef, Leaf, Node};
use crate::search::regex::Pattern;
use crate::search::value::Number;
use crate::search::wildcard::Wildcard;
use crate::store::index::schema::{DYNAMIC, Fields, date, has_column, map_bound, placed};

type Boxed = Box<dyn Query>;

/// Most words of one segment that the words of a phrase may stand for.
pub(in crate::store::index) const MAX_WORDS: u32 = 65_536;
/// How the library begins to say that there are more.
pub(in crate::store::index) const TOO_MANY_WORDS: &str = "Phrase query exceeded max expansions";

/// Translates a query.
#[must_use]
pub fn build(node: &Node, fields: &Fields) -> Boxed {
    Builder { fields, deadline: None }.node(node)
}

/// Translates a query whose searches of the dictionary end at a deadline.
#[must_use]
pub fn build_until(node: &Node, fields: &Fields, deadline: &Arc<Deadline>) -> Boxed {
    Builder { fields, deadline: Some(deadline) }.node(node)
}

fn any_of(mut parts: Vec<Boxed>) -> Boxed {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    Box::new(BooleanQuery::union(parts))
}

/// Restricts a query to event times of `low..=high`, microseconds.
#[must_use]
pub fn within(query: Boxed, fields: &Fields, low: i64, high: i64) -> Boxed {
    let bounds = dates(fields.time, low, high);
    Box::new(BooleanQuery::intersection(vec![query, bounds]))
}

fn dates(field: Field, low: i64, high: i64) -> Boxed {
    let term = |micros| Term::from_field_date(field, date(micros));
    Box::new(FastFieldRangeQuery::new(Bound::Included(term(low)), Bound::Included(term(high))))
}

fn term(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

struct Builder<'a> {
    fields: &'a Fields,
    deadline: Option<&'a Arc<Deadline>>,
}

impl Builder<'_> {
    fn node(&self, node: &Node) -> Boxed {
        match node {
            Node::All => Box::new(AllQuery),
            Node::Nothing => Box::new(EmptyQuery),
            Node::And(parts) => self.all_of(parts),
            Node::Or(parts) => any_of(parts.iter().map(|part| self.node(part)).collect()),
            Node::Not(_) => self.all_of(std::slice::from_ref(node)),
            Node::Leaf(leaf) => self.leaf(leaf),
        }
    }

    fn all_of(&self, parts: &[Node]) -> Boxed {
        let mut clauses: Vec<(Occur, Boxed)> = parts
            .iter()
            .map(|part| match part {
                Node::Not(inner) => (Occur::MustNot, self.node(inner)),
                other => (Occur::Must, self.node(other)),
            })
            .collect();
        if clauses.iter().all(|(occur, _)| *occur == Occur::MustNot) {
            clauses.push((Occur::Must, Box::new(AllQuery)));
        }
        Box::new(BooleanQuery::new(clauses))
    }

    fn like(&self, field: Field, prefix: &[u8], wild: &Wildcard) -> Boxed {
        let found = terms::like(field, prefix, wild, self.deadline);
        found.unwrap_or_else(|| Box::new(EmptyQuery))
    }

    fn matching(&self, field: Field, prefix: &[u8], pattern: &Pattern) -> Boxed {
        terms::matching(field, prefix, pattern, self.deadline)
    }

    /// The field's own place in the index for values of type `kind`, if it has one.
    fn own(&self, field: &FieldRef, kind: FieldType) -> Option<Field> {
        let fits = field.kind() == Some(kind) && placed(kind);
        fits.then(|| self.fields.known.get(&field.name).copied()).flatten()
    }

    fn dynamic(&self, field: &FieldRef) -> Term {
        Term::from_field_json_path(self.fields.dynamic, &field.name, true)
    }

    fn dynamic_text(&self, field: &FieldRef, text: &str) -> Term {
        let mut term = self.dynamic(field);
        term.append_type_and_str(text);
        term
    }

    fn dynamic_number(&self, field: &FieldRef, number: Number) -> Term {
        let mut term = self.dynamic(field);
        match number {
            Number::Int(int) => term.append_type_and_fast_value(int),
            Number::Big(big) => term.append_type_and_fast_value(big),
            Number::Float(float) => term.append_type_and_fast_value(float),
        }
        term
    }

    fn leaf(&self, leaf: &Leaf) -> Boxed {
        match leaf {
            Leaf::Exists(field) => self.exists(field),
            Leaf::Keyword(field, text) => term(match self.own(field, FieldType::Keyword) {
                Some(own) => Term::from_field_text(own, text),
                None => self.dynamic_text(field, text),
            }),
            Leaf::KeywordLike(field, wild) => match self.own(field, FieldType::Keyword) {
                Some(own) => self.like(own, &[], wild),
                None => {
                    let prefix = self.dynamic_text(field, "");
                    self.like(self.fields.dynamic, prefix.serialized_value_bytes(), wild)
                }
            },
            Leaf::KeywordRegex(field, pattern) => match self.own(field, FieldType::Keyword) {
                Some(own) => self.matching(own, &[], pattern),
                None => {
                    let prefix = self.dynamic_text(field, "");
                    self.matching(self.fields.dynamic, prefix.serialized_value_bytes(), pattern)
                }
            },
            Leaf::KeywordRange(field, low, high) => self.keyword_range(field, low, high),
            Leaf::Words(field, words) => self.words(field, words),
            Leaf::WordsBegun(field, words) => self.words_begun(field, words),
            Leaf::WordLike(field, wild) => match self.own(field, FieldType::Text) {
                Some(own) => self.like(own, &[], wild),
                None => Box::new(EmptyQuery),
            },
            Leaf::WordRegex(field, pattern) => match self.own(field, FieldType::Text) {
                Some(own) => self.matching(own, &[], pattern),
                None => Box::new(EmptyQuery),
            },
            Leaf::Number(field, number) => term(self.dynamic_number(field, *number)),
            Leaf::NumberRange(field, low, high) => self.number_range(field, *low, *high),
            Leaf::Ip(field, low, high) => match self.own(field, FieldType::Ip) {
                Some(own) if low == high => term(Term::from_field_ip_addr(own, *low)),
                Some(own) => Box::new(FastFieldRangeQuery::new(
                    Bound::Included(Term::from_field_ip_addr(own, *low)),
                    Bound::Included(Term::from_field_ip_addr(own, *high)),
                )),
                None => Box::new(EmptyQuery),
            },
            Leaf::Date(field, low, high) => match self.own(field, FieldType::Date) {
                Some(own) => dates(own, *low, *high),
                None => Box::new(EmptyQuery),
            },
            Leaf::Bool(field, truth) => {
                let mut wanted = self.dynamic(field);
                wanted.append_type_and_fast_value(*truth);
                term(wanted)
            }
            Leaf::Bare(text) => term(Term::from_field_text(self.fields.bare, text)),
            Leaf::BareLike(wild) => self.like(self.fields.bare, &[], wild),
            Leaf::BareRegex(pattern) => self.matching(self.fields.bare, &[], pattern),
        }
    }

    /// Values that do not fit the field's type lie in the dynamic field, so both are asked.
    fn exists(&self, field: &FieldRef) -> Boxed {
        if field.name == "timestamp" {
            return Box::new(AllQuery);
        }
        let mut any: Vec<Boxed> =
            vec![Box::new(ExistsQuery::new(format!("{DYNAMIC}.{}", field.name), false))];
        if field.kind().is_some_and(placed) && self.fields.known.contains_key(&field.name) {
            any.push(if has_column(&field.name) {
                Box::new(ExistsQuery::new(field.name.clone(), false))
            } else {
                term(Term::from_field_text(self.fields.present, &field.name))
            });
        }
        any_of(any)
    }

    fn keyword_range(&self, field: &FieldRef, low: &Bound<String>, high: &Bound<String>) -> Boxed {
        match self.own(field, FieldType::Keyword) {
            Some(own) => {
                let bound = |b: &Bound<String>| map_bound(b, |t| Term::from_field_text(own, t));
                if has_column(&field.name) {
                    Box::new(FastFieldRangeQuery::new(bound(low), bound(high)))
                } else {
                    Box::new(InvertedIndexRangeQuery::new(bound(low), bound(high)))
                }
            }
            None => {
                let bound = |b: &Bound<String>| map_bound(b, |t| self.dynamic_text(field, t));
                Box::new(FastFieldRangeQuery::new(bound(low), bound(high)))
            }
        }
    }

    fn words(&self, field: &FieldRef, words: &[String]) -> Boxed {
        let Some(own) = self.own(field, FieldType::Text) else { return Box::new(EmptyQuery) };
        match words {
            [] => Box::new(EmptyQuery),
            [word] => term(Term::from_field_text(own, word)),
            many => Box::new(Careful(Box::new(PhraseQuery::new(
                many.iter().map(|word| Term::from_field_text(own, word)).collect(),
            )))),
        }
    }

    fn words_begun(&self, field: &FieldRef, words: &[String]) -> Boxed {
        let own = self.own(field, FieldType::Text);
        let (Some(own), Some((begun, whole @ [_, ..]))) = (own, words.split_last()) else {
            return Box::new(EmptyQuery);
        };
        let mut parts: Vec<String> = whole.iter().map(|word| regex_syntax::escape(word)).collect();
        parts.push(format!("{}.*", regex_syntax::escape(begun)));
        let mut query = RegexPhraseQuery::new(own, parts);
        query.set_max_expansions(MAX_WORDS);
        Box::new(Careful(Box::new(query)))
    }

    fn number_range(&self, field: &FieldRef, low: Bound<Number>, high: Bound<Number>) -> Boxed {
        // The index wants both bounds of one type.
        let int = |bound: &Bound<Number>| {
            !matches!(inner(bound), Some(Number::Big(_) | Number::Float(_)))
        };
        let unify = |bound: &Bound<Number>| {
            map_bound(bound, |number| {
                if int(&low) && int(&high) { *number } else { Number::Float(number.as_f64()) }
            })
        };
        let bound =
            |bound: &Bound<Number>| map_bound(&unify(bound), |n| self.dynamic_number(field, *n));
        Box::new(FastFieldRangeQuery::new(bound(&low), bound(&high)))
    }
}

const fn inner(bound: &Bound<Number>) -> Option<&Number> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(number) | Bound::Excluded(number) => Some(number),
    }
}

/// A phrase that may be asked about documents before the one it stands at, which the library
/// does when it excludes a phrase (`NOT "a b"`) although its phrases assert that nobody does.
#[derive(Debug)]
struct Careful(Boxed);

impl Clone for Careful {
    fn clone(&self) -> Self {
        Self(self.0.box_clone())
    }
}

/// The terms of a phrase, when a query is one.
pub(in crate::store::index) fn phrase(query: &dyn Query) -> Option<Vec<Term>> {
    let inner = &*query.downcast_ref::<Careful>()?.0;
    inner.downcast_ref::<PhraseQuery>().map(PhraseQuery::phrase_terms)
}

struct CarefulWeight(Box<dyn Weight>);
struct CarefulScorer(Box<dyn Scorer>);

impl Query for Careful {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(CarefulWeight(self.0.weight(scoring)?)))
    }
}

impl Weight for CarefulWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(Box::new(CarefulScorer(self.0.scorer(reader, boost)?)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.0.explain(reader, doc)
    }
}

// The default `seek_danger` of a doc set only seeks forward.
impl DocSet for CarefulScorer {
    fn advance(&mut self) -> DocId {
        self.0.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.0.seek(target)
    }

    fn doc(&self) -> DocId {
        self.0.doc()
    }

    fn size_hint(&self) -> u32 {
        self.0.size_hint()
    }

    fn cost(&self) -> u64 {
        self.0.cost()
    }
}

impl Scorer for CarefulScorer {
    fn score(&mut self) -> Score {
        self.0.score()
    }
}
