//! Which rules an event can match at all.
//!
//! For every rule a set of witnesses is chosen: predicates of which at least one is true whenever the
//! rule matches. A witness is found by its literal (one search for each field, over witness literals only),
//! by its exact value (hash maps), or by the mere presence of its field. Rules without a witness are always
//! looked at. Rules of one log source are a class with searches of its own, so that an event is searched for
//! what can concern it; the class of all rules is made when somebody asks for it. The index leaves out
//! only what cannot match; it never decides.

mod grams;
mod rarity;
mod witness;

use std::sync::OnceLock;

use hashbrown::HashMap;

use crate::{
    compile::number,
    expression::{ANY_FIELD, Expression, FieldId, Predicate},
    load::RuleSet,
    record::Scalar,
};
use grams::Grams;
pub(crate) use witness::required;
use witness::{Clue, Priced, bits, prices, witnesses};

/// Index of one field.
#[derive(Debug, Default)]
pub(crate) struct FieldIndex {
    parts: Grams,
    whole: HashMap<Box<str>, Box<[u32]>>,
    numbers: HashMap<u64, Box<[u32]>>,
    present: Box<[u32]>,
}

/// Searches for the rules of one log source, or for all.
#[derive(Debug, Default)]
pub(crate) struct Class {
    /// The fields that have a witness, by number.
    fields: Vec<(FieldId, FieldIndex)>,
    any: Option<FieldIndex>,
    /// Whether one of the rules asks for keywords, in any value.
    pub(crate) keywords: bool,
    /// Rules that are always looked at.
    pub(crate) always: Box<[u32]>,
}

/// Index of all rules.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// In the order of the set's log sources.
    classes: Vec<Class>,
    whole: OnceLock<Class>,
}

impl Index {
    /// For the rules of each log source.
    pub(crate) fn build(sources: &[Vec<(u32, &Expression)>], predicates: &[Predicate]) -> Self {
        let all = sources.iter().flatten().map(|(_, expression)| *expression);
        let priced = prices(all, predicates);
        let classes = sources.iter().map(|rules| Class::new(rules, predicates, &priced)).collect();
        Self { classes, whole: OnceLock::new() }
    }

    /// The rules of a log source.
    pub(crate) fn class(&self, source: usize) -> Option<&Class> {
        self.classes.get(source)
    }

    /// All rules of the set, whatever their log source.
    pub(crate) fn whole(&self, set: &RuleSet) -> &Class {
        self.whole.get_or_init(|| {
            let all = set.rules.iter().map(|rule| &rule.expression);
            let priced = prices(all, &set.predicates);
            let rules = set.rules.iter().enumerate();
            let rules: Vec<(u32, &Expression)> =
                rules.map(|(at, rule)| (number(at), &rule.expression)).collect();
            Class::new(&rules, &set.predicates, &priced)
        })
    }

    /// Bytes held by the searches.
    pub(crate) fn memory(&self) -> usize {
        self.classes.iter().chain(self.whole.get()).map(Class::memory).sum()
    }
}

impl Class {
    fn new(rules: &[(u32, &Expression)], predicates: &[Predicate], priced: &[Priced]) -> Self {
        let mut class = Self::default();
        let mut always = Vec::new();
        let mut clues: HashMap<FieldId, HashMap<Clue, Vec<u32>>> = HashMap::new();
        for &(rule, expression) in rules {
            class.keywords |= asks_for_keywords(expression, predicates);
            let Some((_, witnesses)) = witnesses(expression, priced) else {
                always.push(rule);
                continue;
            };
            for id in witnesses {
                let predicate = predicates.get(id as usize);
                let clue = priced.get(id as usize).and_then(Option::as_ref);
                let Some((predicate, (clue, _))) = predicate.zip(clue) else { continue };
                let known = clues.entry(predicate.field).or_default();
                let rules = known.entry(clue.clone()).or_default();
                if rules.last() != Some(&rule) {
                    rules.push(rule);
                }
            }
        }
        class.any = clues.remove(&ANY_FIELD).map(FieldIndex::new);
        class.fields =
            clues.into_iter().map(|(field, clues)| (field, FieldIndex::new(clues))).collect();
        class.fields.sort_unstable_by_key(|(field, _)| *field);
        class.always = always.into_boxed_slice();
        class
    }

    /// The searches of a field.
    pub(crate) fn field(&self, field: FieldId) -> Option<&FieldIndex> {
        let at = self.fields.binary_search_by_key(&field, |(known, _)| *known).ok()?;
        self.fields.get(at).map(|(_, index)| index)
    }

    /// The fields that have searches.
    pub(crate) fn fields(&self) -> impl Iterator<Item = FieldId> + '_ {
        self.fields.iter().map(|(field, _)| *field)
    }

    /// The searches of keywords.
    pub(crate) const fn any(&self) -> Option<&FieldIndex> {
        self.any.as_ref()
    }

    fn memory(&self) -> usize {
        self.fields.iter().map(|(_, index)| index).chain(&self.any).map(FieldIndex::memory).sum()
    }
}

impl FieldIndex {
    fn new(clues: HashMap<Clue, Vec<u32>>) -> Self {
        let mut index = Self::default();
        let mut sorted: Vec<(Clue, Vec<u32>)> = clues.into_iter().collect();
        sorted.sort_unstable();
        let mut literals = Vec::new();
        for (clue, rules) in sorted {
            match clue {
                Clue::Part(literal, anchor) => literals.push((literal, anchor, rules)),
                Clue::Whole(value) => {
                    index.whole.insert(value.into_boxed_str(), rules.into_boxed_slice());
                }
                Clue::Number(number) => {
                    index.numbers.insert(number, rules.into_boxed_slice());
                }
                Clue::Present => index.present = rules.into_boxed_slice(),
            }
        }
        index.parts = Grams::new(literals);
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
        if !self.whole.is_empty()
            && let Some(rules) = self.whole.get(lowered)
        {
            rules.iter().for_each(|&rule| found(rule));
        }
        if !self.numbers.is_empty()
            && let Some(number) = value.number()
            && let Some(rules) = self.numbers.get(&bits(number))
        {
            rules.iter().for_each(|&rule| found(rule));
        }
        if !self.parts.is_empty() {
            self.parts.scan(lowered.as_bytes(), found);
        }
    }

    fn memory(&self) -> usize {
        let rules = |rules: &[u32]| size_of::<Box<[u32]>>() + size_of_val(rules);
        let whole =
            self.whole.iter().map(|(text, all)| size_of::<Box<str>>() + text.len() + rules(all));
        let numbers = self.numbers.values().map(|all| size_of::<u64>() + rules(all));
        self.parts.memory() + whole.chain(numbers).sum::<usize>() + rules(&self.present)
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
