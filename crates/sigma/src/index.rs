//! Which rules an event can match at all.
//!
//! For every rule a set of witnesses is chosen: predicates of which at least one is true whenever the
//! rule matches. A witness is found by its literal (one automaton for each field, over witness literals
//! only), by its exact value (hash maps), or by the mere presence of its field. Rules without a witness
//! are always looked at. The index leaves out only what cannot match; it never decides.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use hashbrown::HashMap;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::{
    expression::{ANY_FIELD, Expression, FieldId, Predicate, PredicateId},
    pattern::Pattern,
    record::Scalar,
    test::{Test, lower},
};

/// How a witness is found in the values of its field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Clue {
    /// The lowered value contains it.
    Part(String),
    /// The lowered value is it.
    Whole(String),
    /// The value is this number (its bits).
    Number(u64),
    /// The field is present.
    Present,
}

/// Index of one field.
#[derive(Debug, Default)]
pub(crate) struct FieldIndex {
    parts: Option<AhoCorasick>,
    /// Rules of each literal of `parts`.
    part_rules: Vec<Box<[u32]>>,
    whole: HashMap<Box<str>, Box<[u32]>>,
    numbers: HashMap<u64, Box<[u32]>>,
    present: Box<[u32]>,
}

/// Index of all rules.
#[derive(Debug, Default)]
pub(crate) struct Index {
    fields: Vec<FieldIndex>,
    any: FieldIndex,
    /// Rules that ask for keywords, in any value.
    pub(crate) by_keyword: Vec<u32>,
    /// Rules that are always looked at.
    pub(crate) always: Vec<u32>,
}

/// Text that is in so many values that it distinguishes nothing.
const COMMON: &[&str] = &[
    "powershell",
    "c:\\windows\\",
    "\\windows\\",
    "system32",
    "syswow64",
    "program files",
    "\\users\\",
    "appdata",
    "software\\microsoft",
    "currentversion",
    "microsoft",
    "windows",
    "\\cmd.exe",
    "http",
    ".exe",
    ".dll",
    "hklm\\",
    "hkcu\\",
    "\\temp\\",
    "c:\\",
];

impl Index {
    pub(crate) fn build(rules: &[&Expression], predicates: &[Predicate], fields: usize) -> Self {
        let mut index = Self::default();
        let mut clues: HashMap<FieldId, HashMap<Clue, Vec<u32>>> = HashMap::new();
        for (rule, expression) in rules.iter().enumerate() {
            let rule = crate::compile::number(rule);
            if asks_for_keywords(expression, predicates) {
                index.by_keyword.push(rule);
            }
            let Some((_, witnesses)) = witnesses(expression, predicates) else {
                index.always.push(rule);
                continue;
            };
            for witness in witnesses {
                let Some(predicate) = predicates.get(witness as usize) else { continue };
                if let Some(clue) = clue(&predicate.test) {
                    let rules = clues.entry(predicate.field).or_default().entry(clue).or_default();
                    if rules.last() != Some(&rule) {
                        rules.push(rule);
                    }
                }
            }
        }
        index.any = FieldIndex::build(clues.remove(&ANY_FIELD).unwrap_or_default());
        index.fields = (0..crate::compile::number(fields))
            .map(|field| FieldIndex::build(clues.remove(&field).unwrap_or_default()))
            .collect();
        index
    }

    pub(crate) fn field(&self, field: FieldId) -> Option<&FieldIndex> {
        if field == ANY_FIELD { Some(&self.any) } else { self.fields.get(field as usize) }
    }

    /// Bytes held by the automata.
    pub(crate) fn memory(&self) -> usize {
        let one = |field: &FieldIndex| field.parts.as_ref().map_or(0, AhoCorasick::memory_usage);
        self.fields.iter().map(one).sum::<usize>() + one(&self.any)
    }
}

impl FieldIndex {
    fn build(clues: HashMap<Clue, Vec<u32>>) -> Self {
        let mut index = Self::default();
        let mut sorted: Vec<(Clue, Vec<u32>)> = clues.into_iter().collect();
        sorted.sort_unstable();
        let mut literals = Vec::new();
        for (clue, rules) in sorted {
            let rules = rules.into_boxed_slice();
            match clue {
                Clue::Part(literal) => {
                    literals.push(literal);
                    index.part_rules.push(rules);
                }
                Clue::Whole(value) => {
                    index.whole.insert(value.into_boxed_str(), rules);
                }
                Clue::Number(number) => {
                    index.numbers.insert(number, rules);
                }
                Clue::Present => index.present = rules,
            }
        }
        if !literals.is_empty() {
            // A deterministic automaton was no faster over whole events, and twice as large.
            index.parts = AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .match_kind(MatchKind::Standard)
                .build(&literals)
                .ok();
        }
        index
    }

    /// Calls `found` with the rules whose witness the presence of this field is.
    pub(crate) fn presence(&self, found: &mut impl FnMut(u32)) {
        self.present.iter().for_each(|&rule| found(rule));
    }

    /// Calls `found` with the rules that have a witness in this value.
    pub(crate) fn value(&self, value: &Scalar<'_>, lowered: &str, found: &mut impl FnMut(u32)) {
        if !value.is_value() {
            return;
        }
        if let Some(rules) = self.whole.get(lowered) {
            rules.iter().for_each(|&rule| found(rule));
        }
        if !self.numbers.is_empty()
            && let Some(number) = value.number()
            && let Some(rules) = self.numbers.get(&bits(number))
        {
            rules.iter().for_each(|&rule| found(rule));
        }
        if let Some(parts) = &self.parts {
            for hit in parts.find_overlapping_iter(lowered) {
                let rules = self.part_rules.get(hit.pattern().as_usize());
                rules.into_iter().flatten().for_each(|&rule| found(rule));
            }
        }
    }
}

fn asks_for_keywords(expression: &Expression, predicates: &[Predicate]) -> bool {
    match expression {
        Expression::Is(id) => {
            predicates.get(*id as usize).is_some_and(|predicate| predicate.field == ANY_FIELD)
        }
        Expression::All(parts) | Expression::Any(parts) | Expression::AtLeast(_, parts) => {
            parts.iter().any(|part| asks_for_keywords(part, predicates))
        }
        Expression::Not(part) => asks_for_keywords(part, predicates),
    }
}

/// Equal numbers have equal bits, also the two zeros.
fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

/// Witnesses of an expression with the cheapest cost, if it has any.
fn witnesses(expression: &Expression, predicates: &[Predicate]) -> Option<(u64, Vec<PredicateId>)> {
    match expression {
        Expression::Is(id) => {
            let clue = clue(&predicates.get(*id as usize)?.test)?;
            Some((cost(&clue), vec![*id]))
        }
        Expression::All(parts) => parts
            .iter()
            .filter_map(|part| witnesses(part, predicates))
            .min_by_key(|(cost, _)| *cost),
        Expression::Any(parts) if !parts.is_empty() => {
            parts.iter().try_fold((0, Vec::new()), |(sum, mut all): (u64, Vec<_>), part| {
                let (cost, some) = witnesses(part, predicates)?;
                all.extend(some);
                Some((sum.saturating_add(cost), all))
            })
        }
        Expression::AtLeast(wanted, parts) if *wanted > 0 => {
            // So many of n parts: one of any n - wanted + 1 of them.
            let mut each: Vec<_> =
                parts.iter().filter_map(|part| witnesses(part, predicates)).collect();
            let lacking = parts.len().checked_sub(usize::try_from(*wanted).ok()?)?;
            each.sort_by_key(|(cost, _)| *cost);
            let needed = each.get(..=lacking)?;
            let sum = needed.iter().fold(0_u64, |sum, (cost, _)| sum.saturating_add(*cost));
            Some((sum, needed.iter().flat_map(|(_, some)| some.clone()).collect()))
        }
        Expression::Any(_) | Expression::AtLeast(..) | Expression::Not(_) => None,
    }
}

fn clue(test: &Test) -> Option<Clue> {
    match test {
        Test::Text { pattern: Pattern::Exact(text), .. } => Some(Clue::Whole(lower(text))),
        Test::Text { pattern, .. } => Some(part(lower(pattern.literal()))),
        Test::Number(number) => Some(Clue::Number(bits(*number))),
        Test::Regex { regex, flags } => {
            let literal = if flags.ignore_case { String::new() } else { required(regex.as_str()) };
            Some(part(literal))
        }
        Test::Exists(true) | Test::Cidr(_) | Test::Compare(..) | Test::Time(..) => {
            Some(Clue::Present)
        }
        Test::Field { .. } => Some(Clue::Present),
        Test::Null | Test::Exists(false) => None,
    }
}

fn part(literal: String) -> Clue {
    if literal.is_empty() { Clue::Present } else { Clue::Part(literal) }
}

/// How often a clue is expected to be found where it proves nothing; only the order matters.
fn cost(clue: &Clue) -> u64 {
    let rarity = |text: &str| {
        let mut length = text.chars().count();
        for common in COMMON {
            if text.contains(common) {
                length = length.saturating_sub(common.len()).max(1);
            }
        }
        4096_u64 >> length.min(12)
    };
    match clue {
        Clue::Part(text) => rarity(text),
        Clue::Whole(text) => rarity(text).min(1024),
        Clue::Number(_) => 512,
        Clue::Present => 16_384,
    }
}

/// The longest text, in lower case, that every match of an expression contains.
fn required(expression: &str) -> String {
    regex_syntax::parse(expression).map(|hir| longest(&hir)).unwrap_or_default()
}

fn longest(hir: &Hir) -> String {
    let (mut best, mut run) = (String::new(), String::new());
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    for part in parts {
        if let Some(text) = fixed(part) {
            run.push_str(&text);
            continue;
        }
        let inner = match part.kind() {
            HirKind::Capture(capture) => longest(&capture.sub),
            HirKind::Repetition(repeat) if repeat.min > 0 => longest(&repeat.sub),
            _ => String::new(),
        };
        for text in [std::mem::take(&mut run), inner] {
            if text.len() > best.len() {
                best = text;
            }
        }
    }
    if run.len() > best.len() { run } else { best }
}

/// The text of a part that is always the same but for its case.
fn fixed(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Empty => Some(String::new()),
        HirKind::Literal(literal) => Some(lower(std::str::from_utf8(&literal.0).ok()?)),
        HirKind::Class(Class::Unicode(class)) => {
            let mut texts = class.ranges().iter().flat_map(|range| {
                (range.start()..=range.end()).take(8).map(|char| lower(&char.to_string()))
            });
            let first = texts.next()?;
            let few = class.ranges().iter().all(|range| range.len() <= 4);
            (few && texts.all(|text| text == first)).then_some(first)
        }
        HirKind::Concat(parts) => parts.iter().map(fixed).collect(),
        HirKind::Capture(capture) => fixed(&capture.sub),
        HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => {
            None
        }
    }
}
