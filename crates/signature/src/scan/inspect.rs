//! Inspection of one buffer: items in order, with backtracking over relative contents.
//!
//! The cursor is the end of the last match. When an item that hangs on the one before fails, the one before is
//! looked for again further on; the choices wait on an explicit stack and all work is bounded by a budget.

use crate::{
    check::{
        dataset::Dataset,
        pool::bytes_of,
        rule::{Content, Item, Num},
    },
    scan::{
        find::find,
        numbers,
        queue::{MAX_NOTES, Note},
        regex::{LazyRegex, Search},
        tables::Tables,
    },
};

/// Most items looked at for one buffer of one rule.
pub(crate) const BUDGET: u32 = 3_000;

/// The bytes under inspection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Data<'a> {
    pub(crate) bytes: &'a [u8],
    /// Position of the first byte within the whole.
    pub(crate) offset: u64,
    /// Nothing follows.
    pub(crate) last: bool,
    /// Numbers of DCERPC are little endian here.
    pub(crate) little: bool,
    /// Name of the buffer.
    pub(crate) buffer: crate::Buffer,
}

/// Where to go on when a follower fails.
#[derive(Debug, Clone, Copy)]
struct Choice {
    item: usize,
    from: usize,
    cursor: usize,
}

/// Reused room and counters of inspections.
#[derive(Debug, Default)]
pub(crate) struct InspectScratch {
    choices: Vec<Choice>,
    pub(crate) values: [u64; crate::check::MAX_VALUES],
    decoded: Vec<u8>,
    /// What was found beside the match itself, for the alert.
    pub(crate) notes: Vec<Note>,
    /// Inspections cut short by the budget.
    pub(crate) budget_hits: u64,
    /// Expressions cut short by their limits.
    pub(crate) regex_limits: u64,
}

/// One inspection.
pub(crate) struct Inspection<'r, 's> {
    pub(crate) pool: &'r [u8],
    pub(crate) regexes: &'r [LazyRegex],
    pub(crate) datasets: &'r [Dataset],
    pub(crate) tables: &'r Tables,
    pub(crate) scratch: &'s mut InspectScratch,
    pub(crate) budget: u32,
}

/// What one item came to.
enum Step {
    /// Matched; the cursor goes on. `retry`: where a further match of the same item would begin.
    Next { cursor: usize, retry: Option<usize> },
    /// No match: earlier choices may help.
    Fail,
    /// No match, and no earlier choice can change that.
    Abort,
}

const STAY: fn(usize) -> Step = |cursor| Step::Next { cursor, retry: None };

impl Inspection<'_, '_> {
    /// Whether all items match.
    pub(crate) fn run(&mut self, items: &[Item], data: Data<'_>) -> bool {
        let base = self.scratch.choices.len();
        let found = self.run_from(items, data, base);
        self.scratch.choices.truncate(base);
        found
    }

    fn run_from(&mut self, items: &[Item], data: Data<'_>, base: usize) -> bool {
        let (mut at, mut cursor, mut resume) = (0, 0, None);
        while let Some(item) = items.get(at) {
            let Some(left) = self.budget.checked_sub(1) else {
                self.scratch.budget_hits += 1;
                return false;
            };
            self.budget = left;
            match self.step(item, data, cursor, resume.take()) {
                Step::Next { cursor: next, retry } => {
                    if let Some(from) = retry
                        && items.get(at + 1).is_some_and(Item::is_relative)
                    {
                        self.scratch.choices.push(Choice { item: at, from, cursor });
                    }
                    cursor = next;
                    at += 1;
                }
                Step::Fail if self.scratch.choices.len() > base => {
                    let Some(choice) = self.scratch.choices.pop() else { return false };
                    (at, cursor, resume) = (choice.item, choice.cursor, Some(choice.from));
                }
                Step::Fail | Step::Abort => return false,
            }
        }
        true
    }

    fn step(&mut self, item: &Item, data: Data<'_>, cursor: usize, resume: Option<usize>) -> Step {
        let holds = |ok: bool| if ok { STAY(cursor) } else { Step::Fail };
        match item {
            Item::Content(content) => self.content(content, data, cursor, resume),
            Item::Pcre { regex, relative, negated } => {
                let start = if *relative { cursor } else { 0 };
                self.pcre((*regex, *negated), data, (start, cursor), resume)
            }
            Item::IsDataAt { at, relative, negated } => {
                let at = self.number(*at);
                let len = signed(data.bytes.len());
                let present =
                    if *relative { signed(cursor).saturating_add(at) <= len } else { at < len };
                holds(present != *negated)
            }
            Item::Size(cmp) => {
                let size = data.offset + data.bytes.len() as u64;
                // A growing buffer already beyond a lower bound stays beyond it.
                let decided = data.last
                    || matches!(
                        cmp,
                        crate::check::rule::Cmp::Gt(_) | crate::check::rule::Cmp::Ge(_)
                    );
                if decided && cmp.holds(size) { STAY(cursor) } else { Step::Abort }
            }
            Item::ByteTest(test) => holds(numbers::byte_test(
                test,
                numbers::Place::of(data, cursor),
                &self.scratch.values,
            )),
            Item::ByteJump(jump) => {
                match numbers::byte_jump(
                    jump,
                    numbers::Place::of(data, cursor),
                    &self.scratch.values,
                ) {
                    Some(next) => STAY(next),
                    None => Step::Fail,
                }
            }
            Item::ByteExtract(extract) => {
                match numbers::byte_extract(
                    extract,
                    numbers::Place::of(data, cursor),
                    &mut self.scratch.values,
                ) {
                    Some(next) => STAY(next),
                    None => Step::Fail,
                }
            }
            Item::ByteMath(math) => {
                match numbers::byte_math(
                    math,
                    numbers::Place::of(data, cursor),
                    &mut self.scratch.values,
                ) {
                    Some(next) => STAY(next),
                    None => Step::Fail,
                }
            }
            Item::Base64(base64) => holds(self.base64(base64, data, cursor)),
            Item::Dataset(test) => {
                let (found, note) =
                    super::datasets::holds(self.datasets, self.tables, test, data.bytes);
                self.note(note);
                holds(found)
            }
            Item::Entropy(entropy) => {
                let (found, bits) = super::datasets::entropy(entropy, data.bytes);
                self.note(
                    found.then_some(Note::Entropy { buffer: data.buffer, bits: bits.to_bits() }),
                );
                holds(found)
            }
            Item::Asn1(asn1) => holds(super::asn1::matches(asn1, data.bytes, cursor)),
        }
    }

    fn note(&mut self, note: Option<Note>) {
        if let Some(note) = note.filter(|note| !self.scratch.notes.contains(note))
            && self.scratch.notes.len() < MAX_NOTES
        {
            self.scratch.notes.push(note);
        }
    }

    fn number(&self, number: Num) -> i64 {
        match number {
            Num::Const(value) => i64::from(value),
            Num::Var(var) => numbers::value(&self.scratch.values, var),
        }
    }

    /// The window (from, to) a content is looked for in; `None` when it is empty.
    fn window(&self, content: &Content, data: Data<'_>, cursor: usize) -> Option<(usize, usize)> {
        let len = signed(data.bytes.len());
        let value = |number: Option<Num>| number.map(|number| self.number(number));
        let (mut from, mut to);
        if content.is_relative() {
            let cursor = signed(cursor);
            let distance = value(content.distance).unwrap_or(0);
            from = cursor.saturating_add(distance).max(0);
            to = len;
            if let Some(within) = value(content.within) {
                to = to.min(cursor.saturating_add(distance).saturating_add(within));
            }
            if let Some(depth) = value(content.depth) {
                to = to.min(cursor.saturating_add(depth));
            }
            if let Some(offset) = value(content.offset) {
                from = from.max(offset);
            }
        } else {
            let shift = i64::try_from(data.offset).unwrap_or(i64::MAX);
            let offset = value(content.offset).unwrap_or(0);
            let depth = if content.starts {
                Some(i64::from(content.pattern.len))
            } else {
                value(content.depth)
            };
            from = offset.saturating_sub(shift).max(0);
            to = depth
                .map_or(len, |depth| offset.saturating_add(depth).saturating_sub(shift).min(len));
        }
        let from = usize::try_from(from).ok()?;
        let to = usize::try_from(to).ok()?;
        (from <= to && to > 0).then_some((from, to))
    }

    fn content(
        &self,
        content: &Content,
        data: Data<'_>,
        cursor: usize,
        resume: Option<usize>,
    ) -> Step {
        let pattern = bytes_of(self.pool, content.pattern);
        let found = self.window(content, data, cursor).and_then(|(from, to)| {
            let from = resume.map_or(from, |resume| from.max(resume));
            find(pattern, content, data.bytes, (from, to))
        });
        let missing = || if content.is_relative() { Step::Fail } else { Step::Abort };
        match (found, content.negated) {
            (Some(start), false) => {
                Step::Next { cursor: start + pattern.len(), retry: Some(start + 1) }
            }
            (None, true) => STAY(cursor),
            (Some(_), true) | (None, false) => missing(),
        }
    }

    fn pcre(
        &mut self,
        what: (u32, bool),
        data: Data<'_>,
        place: (usize, usize),
        resume: Option<usize>,
    ) -> Step {
        let ((regex, negated), (start, cursor)) = (what, place);
        let (Some(regex), Some(subject)) =
            (self.regexes.get(regex as usize), data.bytes.get(start..))
        else {
            return Step::Fail;
        };
        let from = resume.map_or(0, |resume| resume.saturating_sub(start));
        match regex.find(subject, from) {
            Search::Found { .. } if negated => Step::Fail,
            Search::Found { start: at, end } => {
                Step::Next { cursor: start + end, retry: Some(start + at + 1) }
            }
            Search::Missing if negated => STAY(cursor),
            Search::Missing => Step::Fail,
            Search::Limit => {
                self.scratch.regex_limits += 1;
                Step::Fail
            }
        }
    }

    fn base64(
        &mut self,
        base64: &crate::check::rule::Base64,
        data: Data<'_>,
        cursor: usize,
    ) -> bool {
        let start = if base64.relative { cursor } else { 0 }.saturating_add(base64.offset as usize);
        let Some(rest) = data.bytes.get(start..) else { return false };
        let limit = base64.bytes.map_or(rest.len(), |bytes| rest.len().min(bytes as usize));
        let mut decoded = std::mem::take(&mut self.scratch.decoded);
        decoded.clear();
        numbers::base64(rest.get(..limit).unwrap_or_default(), &mut decoded);
        let inner = Data { bytes: &decoded, offset: 0, last: true, ..data };
        let found = !decoded.is_empty() && self.run(&base64.items, inner);
        self.scratch.decoded = decoded;
        found
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
