//! Which rules an event matches.
//!
//! Values are lowered once, fields looked up once, every predicate answered at most once per event.
//! All that changes stands in a [`Scratch`], one for each thread; the rules are only read.

use std::sync::Arc;

use crate::{
    expression::{ANY_FIELD, FieldId, PredicateId},
    load::RuleSet,
    logsource::Source,
    record::{Record, Scalar},
    route::{Route, Routes},
    test::{Test, push_lower},
};

/// Position of a rule in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleIndex(pub u32);

#[derive(Debug, Default)]
struct Slot {
    preference: u16,
    entries: Vec<u32>,
}

/// What the evaluation of one event needs and the next one reuses. Belongs to one thread; made for a
/// rule set on its first use and again when the set changes.
#[derive(Debug, Default)]
pub struct Scratch {
    owner: Option<Arc<()>>,
    routes: Routes,
    slots: Vec<Slot>,
    touched: Vec<FieldId>,
    lowered: String,
    /// Where the lowered text of each entry stands.
    spans: Vec<(usize, usize)>,
    /// 0 not asked, 1 no, 2 yes.
    answers: Vec<u8>,
    asked: Vec<PredicateId>,
    marked: Vec<u64>,
    candidates: Vec<u32>,
    matched: Vec<RuleIndex>,
}

impl Scratch {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rules were looked at for the last event.
    #[must_use]
    pub const fn candidates(&self) -> usize {
        self.candidates.len()
    }

    fn fit(&mut self, rules: &RuleSet) {
        if self.owner.as_ref().is_some_and(|owner| Arc::ptr_eq(owner, &rules.identity)) {
            return;
        }
        *self = Self {
            owner: Some(Arc::clone(&rules.identity)),
            slots: (0..rules.fields.len()).map(|_| Slot::default()).collect(),
            answers: vec![0; rules.predicates.len()],
            marked: vec![0; rules.rules.len().div_ceil(64)],
            ..Self::default()
        };
    }

    fn clear(&mut self) {
        for field in self.touched.drain(..) {
            if let Some(slot) = self.slots.get_mut(field as usize) {
                slot.entries.clear();
            }
        }
        for predicate in self.asked.drain(..) {
            if let Some(answer) = self.answers.get_mut(predicate as usize) {
                *answer = 0;
            }
        }
        for rule in self.candidates.drain(..) {
            if let Some(word) = self.marked.get_mut(rule as usize / 64) {
                *word = 0;
            }
        }
        self.lowered.clear();
        self.spans.clear();
        self.matched.clear();
    }

    /// Notes an entry under a field; names of lower preference lose.
    fn note(&mut self, field: FieldId, preference: u16, entry: u32) {
        let Some(slot) = self.slots.get_mut(field as usize) else { return };
        if slot.entries.is_empty() {
            self.touched.push(field);
            slot.preference = preference;
        } else if preference < slot.preference {
            slot.entries.clear();
            slot.preference = preference;
        } else if preference > slot.preference {
            return;
        }
        slot.entries.push(entry);
    }

    fn text(&self, entry: u32) -> &str {
        let (start, end) = self.spans.get(entry as usize).copied().unwrap_or_default();
        self.lowered.get(start..end).unwrap_or_default()
    }
}

impl RuleSet {
    /// Rules of the event's log sources that it matches, in the order of loading.
    pub fn evaluate<'s>(&self, record: &Record<'_>, scratch: &'s mut Scratch) -> &'s [RuleIndex] {
        scratch.fit(self);
        let route = scratch.routes.of(self, record);
        self.run(record, &route, scratch);
        &scratch.matched
    }

    /// Rules of the given log sources that the event matches, for callers that know better.
    pub fn evaluate_as<'s>(
        &self,
        record: &Record<'_>,
        sources: Vec<Source>,
        scratch: &'s mut Scratch,
    ) -> &'s [RuleIndex] {
        scratch.fit(self);
        let route = scratch.routes.of_sources(self, sources);
        self.run(record, &route, scratch);
        &scratch.matched
    }

    /// All rules that the event matches, whatever their log source.
    pub fn evaluate_all<'s>(
        &self,
        record: &Record<'_>,
        scratch: &'s mut Scratch,
    ) -> &'s [RuleIndex] {
        scratch.fit(self);
        let route = scratch.routes.whole(self);
        self.run(record, &route, scratch);
        &scratch.matched
    }

    fn run(&self, record: &Record<'_>, route: &Route, scratch: &mut Scratch) {
        scratch.clear();
        self.prepare(record, route.keywords, scratch);
        self.find_candidates(record, route, scratch);
        scratch.candidates.sort_unstable();
        for at in 0..scratch.candidates.len() {
            let Some(&rule) = scratch.candidates.get(at) else { break };
            let Some(compiled) = self.rules.get(rule as usize) else { continue };
            if compiled.expression.value(&mut |predicate| self.ask(predicate, record, scratch)) {
                scratch.matched.push(RuleIndex(rule));
            }
        }
    }

    /// Looks up the names of all entries and lowers the texts that are asked for.
    fn prepare(&self, record: &Record<'_>, keywords: bool, scratch: &mut Scratch) {
        for (number, entry) in record.entries().iter().enumerate() {
            let number = crate::compile::number(number);
            let mut known = self.note(&entry.name, 0, number, scratch);
            if record.is_windows() && entry.name.contains(' ') {
                known |= self.note(&entry.name.replace(' ', ""), 100, number, scratch);
            }
            let start = scratch.lowered.len();
            if known || keywords {
                match &entry.value {
                    Scalar::Text(text) => push_lower(&mut scratch.lowered, text),
                    other => {
                        if let Some(text) = other.text() {
                            push_lower(&mut scratch.lowered, &text);
                        }
                    }
                }
            }
            scratch.spans.push((start, scratch.lowered.len()));
        }
    }

    fn note(&self, name: &str, less: u16, entry: u32, scratch: &mut Scratch) -> bool {
        let Some(fields) = self.names.get(name) else { return false };
        for &(field, preference) in fields {
            scratch.note(field, preference.saturating_add(less), entry);
        }
        true
    }

    fn find_candidates(&self, record: &Record<'_>, route: &Route, scratch: &mut Scratch) {
        let Scratch { candidates, marked, touched, slots, lowered, spans, .. } = scratch;
        let mut found = |rule: u32| {
            let Some(word) = marked.get_mut(rule as usize / 64) else { return };
            let mask = 1_u64 << (rule % 64);
            if *word & mask == 0 {
                *word |= mask;
                candidates.push(rule);
            }
        };
        route.always.iter().for_each(|&rule| found(rule));
        let text = |entry: usize| {
            let (start, end) = spans.get(entry).copied().unwrap_or_default();
            lowered.get(start..end).unwrap_or_default()
        };
        for &field in touched.iter() {
            let Some(slot) = slots.get(field as usize) else { continue };
            for index in route.of(self, field) {
                index.presence(&mut found);
                for &entry in &slot.entries {
                    if let Some(known) = record.entries().get(entry as usize) {
                        index.value(&known.value, text(entry as usize), &mut found);
                    }
                }
            }
        }
        for index in route.any(self) {
            index.presence(&mut found);
            for (number, entry) in record.entries().iter().enumerate() {
                index.value(&entry.value, text(number), &mut found);
            }
        }
    }

    fn ask(&self, predicate: PredicateId, record: &Record<'_>, scratch: &mut Scratch) -> bool {
        match scratch.answers.get(predicate as usize) {
            Some(0) | None => {}
            Some(answer) => return *answer == 2,
        }
        let answer = self.answer(predicate, record, scratch);
        if let Some(slot) = scratch.answers.get_mut(predicate as usize) {
            *slot = 1 + u8::from(answer);
            scratch.asked.push(predicate);
        }
        answer
    }

    fn answer(&self, id: PredicateId, record: &Record<'_>, scratch: &Scratch) -> bool {
        let Some(predicate) = self.predicates.get(id as usize) else { return false };
        let entries = record.entries();
        if predicate.field == ANY_FIELD {
            return entries.iter().enumerate().any(|(number, entry)| {
                predicate.test.holds(&entry.value, scratch.text(crate::compile::number(number)))
            });
        }
        let slot =
            |field: FieldId| scratch.slots.get(field as usize).map_or(&[][..], |s| &s.entries);
        let values = slot(predicate.field);
        let value = |entry: &u32| entries.get(*entry as usize).map(|entry| &entry.value);
        match &predicate.test {
            Test::Exists(wanted) => values.is_empty() != *wanted,
            Test::Null => values.iter().filter_map(value).all(|value| *value == Scalar::Null),
            Test::Field { how, cased, .. } => {
                let others = predicate.other.map_or(&[][..], slot);
                let is_value = |entry: &&u32| value(entry).is_some_and(Scalar::is_value);
                values.iter().filter(is_value).any(|left| {
                    others.iter().filter(is_value).any(|right| {
                        if *cased {
                            let text = |entry| value(entry).and_then(Scalar::text);
                            text(left).zip(text(right)).is_some_and(|(l, r)| how.holds(&l, &r))
                        } else {
                            how.holds(scratch.text(*left), scratch.text(*right))
                        }
                    })
                })
            }
            test => values
                .iter()
                .any(|entry| value(entry).is_some_and(|v| test.holds(v, scratch.text(*entry)))),
        }
    }

    /// For explanations: the value of the field that makes a predicate true, if it is one value.
    pub(crate) fn proof<'r>(
        &self,
        id: PredicateId,
        record: &'r Record<'_>,
        scratch: &Scratch,
    ) -> Option<(&'r str, &'r Scalar<'r>)> {
        let predicate = self.predicates.get(id as usize)?;
        let holds = |number: u32, entry: &crate::Entry<'_>| match predicate.test {
            Test::Field { .. } | Test::Exists(true) => true,
            ref test => test.holds(&entry.value, scratch.text(number)),
        };
        let entries = record.entries();
        let mut numbers: Box<dyn Iterator<Item = u32> + '_> = if predicate.field == ANY_FIELD {
            Box::new(0..crate::compile::number(entries.len()))
        } else {
            Box::new(scratch.slots.get(predicate.field as usize)?.entries.iter().copied())
        };
        let entry = numbers
            .find_map(|number| entries.get(number as usize).filter(|entry| holds(number, entry)))?;
        Some((&entry.name, &entry.value))
    }

    /// Whether a predicate is true of the event evaluated last.
    pub(crate) fn is_true(&self, id: PredicateId, record: &Record<'_>, s: &mut Scratch) -> bool {
        self.ask(id, record, s)
    }

    /// Every rule looked at without the index: what the index must agree with.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn evaluate_naively(&self, record: &Record<'_>) -> Vec<RuleIndex> {
        let mut scratch = Scratch::new();
        scratch.fit(self);
        self.prepare(record, true, &mut scratch);
        (0..crate::compile::number(self.rules.len()))
            .filter(|&rule| {
                let rule = self.rules.get(rule as usize);
                rule.is_some_and(|rule| {
                    rule.expression.value(&mut |predicate| self.answer(predicate, record, &scratch))
                })
            })
            .map(RuleIndex)
            .collect()
    }
}
