//! Which predicates must be looked for so that no match of a rule is missed, and at what cost.
//!
//! A witness of a rule is a set of predicates of which at least one is true whenever the rule matches. Of
//! several the cheapest is taken. Knows the tests, not how they are searched.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::{grams::Anchor, rarity};
use crate::{
    expression::{ANY_FIELD, Expression, Predicate, PredicateId},
    pattern::{Pattern, Piece},
    test::{Test, lower},
};

/// How a witness is found in the values of its field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Clue {
    /// The lowered value contains it, there.
    Part(String, Anchor),
    /// The lowered value is it.
    Whole(String),
    /// The value is this number (its bits).
    Number(u64),
    /// The field is present.
    Present,
}

/// A predicate's clue, and how often it is expected where it proves nothing, in a million events.
pub(super) type Priced = Option<(Clue, u64)>;

/// Prices each predicate. What many rules ask for is likely to be usual where they apply, as the name of a
/// provider is.
pub(super) fn prices<'r>(
    expressions: impl Iterator<Item = &'r Expression>,
    predicates: &[Predicate],
) -> Vec<Priced> {
    let mut uses = vec![0; predicates.len()];
    for expression in expressions {
        count(expression, &mut uses);
    }
    predicates.iter().zip(uses).map(|(predicate, uses)| price(predicate, uses)).collect()
}

fn count(expression: &Expression, uses: &mut [u64]) {
    match expression {
        Expression::Is(id) => {
            if let Some(uses) = uses.get_mut(*id as usize) {
                *uses += 1;
            }
        }
        Expression::All(parts) | Expression::Any(parts) | Expression::AtLeast(_, parts) => {
            parts.iter().for_each(|part| count(part, uses));
        }
        Expression::Not(part) => count(part, uses),
    }
}

fn price(predicate: &Predicate, uses: u64) -> Priced {
    let clue = clue(&predicate.test)?;
    let others = uses.saturating_sub(1);
    let cost = match &clue {
        // A literal costs the comparisons of its window, too.
        Clue::Part(text, _) => {
            let window = rarity::rarest(text.as_bytes()).map_or(2_000_000, |(.., count)| count);
            1 + rarity::frequency(text) + window / 8 + others * 500
        }
        Clue::Whole(text) => 1 + rarity::frequency(text) / 8 + others * 10_000,
        Clue::Number(_) => 300_000,
        Clue::Present => 1_000_000,
    };
    // A keyword is looked for in every value.
    Some((clue, if predicate.field == ANY_FIELD { cost.saturating_mul(20) } else { cost }))
}

/// Witnesses of an expression with the lowest cost, if it has any.
pub(super) fn witnesses(
    expression: &Expression,
    priced: &[Priced],
) -> Option<(u64, Vec<PredicateId>)> {
    match expression {
        Expression::Is(id) => {
            let (_, cost) = priced.get(*id as usize)?.as_ref()?;
            Some((*cost, vec![*id]))
        }
        Expression::All(parts) => {
            parts.iter().filter_map(|part| witnesses(part, priced)).min_by_key(|(cost, _)| *cost)
        }
        Expression::Any(parts) if !parts.is_empty() => {
            parts.iter().try_fold((0, Vec::new()), |(sum, mut all): (u64, Vec<_>), part| {
                let (cost, some) = witnesses(part, priced)?;
                all.extend(some);
                Some((sum.saturating_add(cost), all))
            })
        }
        Expression::AtLeast(wanted, parts) if *wanted > 0 => {
            // So many of n parts: one of any n - wanted + 1 of them.
            let mut each: Vec<_> =
                parts.iter().filter_map(|part| witnesses(part, priced)).collect();
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
        Test::Text { pattern, .. } => Some(part(lower(pattern.literal()), anchor(pattern))),
        Test::Number(number) => Some(Clue::Number(bits(*number))),
        Test::Regex { regex, flags } => {
            let literal = if flags.ignore_case { String::new() } else { required(regex.as_str()) };
            Some(part(literal, Anchor::Anywhere))
        }
        Test::Exists(true) | Test::Cidr(_) | Test::Compare(..) | Test::Time(..) => {
            Some(Clue::Present)
        }
        Test::Field { .. } => Some(Clue::Present),
        Test::Null | Test::Exists(false) => None,
    }
}

fn part(literal: String, anchor: Anchor) -> Clue {
    if literal.is_empty() { Clue::Present } else { Clue::Part(literal, anchor) }
}

/// Where the literal of a pattern stands. That of several pieces may be any of them.
fn anchor(pattern: &Pattern) -> Anchor {
    match pattern {
        Pattern::Prefix(_) => Anchor::Start,
        Pattern::Suffix(_) => Anchor::End,
        Pattern::Pieces(pieces) => match &**pieces {
            [Piece::Literal(_), rest @ ..] if !rest.iter().any(is_literal) => Anchor::Start,
            [rest @ .., Piece::Literal(_)] if !rest.iter().any(is_literal) => Anchor::End,
            _ => Anchor::Anywhere,
        },
        Pattern::Any | Pattern::Exact(_) | Pattern::Contains(_) => Anchor::Anywhere,
    }
}

const fn is_literal(piece: &Piece) -> bool {
    matches!(piece, Piece::Literal(_))
}

/// Equal numbers have equal bits, also the two zeros.
pub(super) fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

/// The longest text, in lower case, that every match of an expression contains.
pub(crate) fn required(expression: &str) -> String {
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
