//! A typed query as a tantivy query over the fields of one partition.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use event::FieldType;
use tantivy::query::{
    AllQuery, AutomatonWeight, BooleanQuery, EmptyQuery, EnableScoring, ExistsQuery, Explanation,
    FastFieldRangeQuery, InvertedIndexRangeQuery, Occur, PhraseQuery, Query, Scorer, TermQuery,
    Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Score, SegmentReader, Term};
use tantivy_fst::Automaton;

use super::schema::{DYNAMIC, Fields, date, has_column, map_bound, placed};
use crate::search::plan::{FieldRef, Leaf, Node};
use crate::search::value::Number;
use crate::search::wildcard::{MAX_PARTS, Part, Wildcard};

type Boxed = Box<dyn Query>;

/// Translates a query.
#[must_use]
pub fn build(node: &Node, fields: &Fields) -> Boxed {
    match node {
        Node::All => Box::new(AllQuery),
        Node::Nothing => Box::new(EmptyQuery),
        Node::And(parts) => all_of(parts, fields),
        Node::Or(parts) => any_of(parts.iter().map(|part| build(part, fields)).collect()),
        Node::Not(_) => all_of(std::slice::from_ref(node), fields),
        Node::Leaf(leaf) => Builder { fields }.leaf(leaf),
    }
}

fn all_of(parts: &[Node], fields: &Fields) -> Boxed {
    let mut clauses: Vec<(Occur, Boxed)> = parts
        .iter()
        .map(|part| match part {
            Node::Not(inner) => (Occur::MustNot, build(inner, fields)),
            other => (Occur::Must, build(other, fields)),
        })
        .collect();
    if clauses.iter().all(|(occur, _)| *occur == Occur::MustNot) {
        clauses.push((Occur::Must, Box::new(AllQuery)));
    }
    Box::new(BooleanQuery::new(clauses))
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
}

impl Builder<'_> {
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
                Some(own) => like(own, &[], wild),
                None => {
                    let prefix = self.dynamic_text(field, "");
                    like(self.fields.dynamic, prefix.serialized_value_bytes(), wild)
                }
            },
            Leaf::KeywordRange(field, low, high) => self.keyword_range(field, low, high),
            Leaf::Words(field, words) => self.words(field, words),
            Leaf::WordLike(field, wild) => match self.own(field, FieldType::Text) {
                Some(own) => like(own, &[], wild),
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
            Leaf::BareLike(wild) => like(self.fields.bare, &[], wild),
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
            many => Box::new(Careful(PhraseQuery::new(
                many.iter().map(|word| Term::from_field_text(own, word)).collect(),
            ))),
        }
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

fn like(field: Field, prefix: &[u8], wild: &Wildcard) -> Boxed {
    Glob::new(prefix, wild).map_or_else(
        || Box::new(EmptyQuery) as Boxed,
        |glob| Box::new(GlobQuery { field, glob: Arc::new(glob) }),
    )
}

/// Terms of a field fitting a pattern.
#[derive(Clone, Debug)]
struct GlobQuery {
    field: Field,
    glob: Arc<Glob>,
}

impl Query for GlobQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let glob = Arc::clone(&self.glob);
        Ok(if glob.prefix.is_empty() {
            Box::new(AutomatonWeight::<Glob>::new(self.field, glob))
        } else {
            let prefix = glob.prefix.clone();
            Box::new(AutomatonWeight::<Glob>::new_for_json_path(self.field, glob, &prefix))
        })
    }
}

/// A phrase that may be asked about documents before the one it stands at, which the library
/// does when it excludes a phrase (`NOT "a b"`) although its phrases assert that nobody does.
#[derive(Clone, Debug)]
struct Careful(PhraseQuery);

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

/// Words of a state set: enough for [`MAX_PARTS`] parts, each two steps, and the end.
const WORDS: usize = (MAX_PARTS * 4 + 2).div_ceil(64);
type States = [u64; WORDS];

/// One step over the bytes of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Byte(u8),
    /// First byte of any character.
    Lead,
    /// Continuation bytes, any number.
    Rest,
    /// Any bytes.
    Many,
}

/// A pattern as an automaton over bytes: the set of steps it can stand before.
struct Glob {
    prefix: Vec<u8>,
    steps: Vec<Step>,
}

impl fmt::Debug for Glob {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Glob({} steps)", self.steps.len())
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Prefix(usize),
    Body(States),
    Dead,
}

impl Glob {
    fn new(prefix: &[u8], wild: &Wildcard) -> Option<Self> {
        let mut steps = Vec::new();
        for part in wild.parts() {
            match part {
                Part::Char(c) => {
                    let mut buffer = [0; 4];
                    steps.extend(c.encode_utf8(&mut buffer).bytes().map(Step::Byte));
                }
                Part::One => steps.extend([Step::Lead, Step::Rest]),
                Part::Many => steps.push(Step::Many),
            }
        }
        (steps.len() < WORDS * 64).then(|| Self { prefix: prefix.to_vec(), steps })
    }

    /// Adds a step and those reachable without a byte.
    fn enter(&self, states: &mut States, mut at: usize) {
        loop {
            if let Some(word) = states.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
            match self.steps.get(at) {
                Some(Step::Rest | Step::Many) => at += 1,
                _ => return,
            }
        }
    }

    fn begin(&self) -> State {
        let mut states = [0; WORDS];
        self.enter(&mut states, 0);
        State::Body(states)
    }

    fn has(states: &States, at: usize) -> bool {
        states.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn advance(&self, states: &States, byte: u8) -> State {
        let mut next = [0; WORDS];
        let continuation = byte & 0xc0 == 0x80;
        for (at, step) in self.steps.iter().enumerate().filter(|(at, _)| Self::has(states, *at)) {
            match step {
                Step::Byte(wanted) if *wanted == byte => self.enter(&mut next, at + 1),
                Step::Lead if !continuation => self.enter(&mut next, at + 1),
                Step::Rest if continuation => self.enter(&mut next, at),
                Step::Many => self.enter(&mut next, at),
                Step::Byte(_) | Step::Lead | Step::Rest => {}
            }
        }
        if next == [0; WORDS] { State::Dead } else { State::Body(next) }
    }
}

impl Automaton for Glob {
    type State = State;

    fn start(&self) -> State {
        if self.prefix.is_empty() { self.begin() } else { State::Prefix(0) }
    }

    fn is_match(&self, state: &State) -> bool {
        matches!(state, State::Body(states) if Self::has(states, self.steps.len()))
    }

    fn can_match(&self, state: &State) -> bool {
        !matches!(state, State::Dead)
    }

    fn will_always_match(&self, state: &State) -> bool {
        let last = self.steps.len().wrapping_sub(1);
        self.steps.last() == Some(&Step::Many)
            && matches!(state, State::Body(states) if Self::has(states, last))
    }

    fn accept(&self, state: &State, byte: u8) -> State {
        match state {
            State::Prefix(at) if self.prefix.get(*at) == Some(&byte) => {
                let next = at + 1;
                if next == self.prefix.len() { self.begin() } else { State::Prefix(next) }
            }
            State::Prefix(_) | State::Dead => State::Dead,
            State::Body(states) => self.advance(states, byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::wildcard::pattern;
    use proptest::prelude::*;

    fn run(glob: &Glob, text: &[u8]) -> bool {
        let end = text.iter().fold(glob.start(), |state, byte| glob.accept(&state, *byte));
        glob.is_match(&end)
    }

    proptest! {
        #[test]
        fn the_automaton_agrees_with_plain_matching(glob in "[abé*?]{0,8}", text in "[abé€]{0,8}") {
            let wild = pattern(&glob);
            let expected = wild.matches(&text);
            prop_assert_eq!(run(&Glob::new(&[], &wild).unwrap(), text.as_bytes()), expected);
            let with_prefix = Glob::new(b"p\0s", &wild).unwrap();
            prop_assert_eq!(run(&with_prefix, &[b"p\0s", text.as_bytes()].concat()), expected);
            prop_assert!(!run(&with_prefix, &[b"q\0s", text.as_bytes()].concat()));
        }
    }
}
