//! Groups of rows: `stats`, `timechart`, `top` and `rare`, within bounds of number and memory.

use std::collections::BTreeMap;

use event::FieldType;

use super::cell::Cell;
use super::check::Shape;
use super::measure::Gathered;
use super::run::{LeftOut, MAX_MEMORY, Row, Sink, Source, more};
use super::{Function, MAX_GROUPS, MAX_ROWS, Measure, Name};
use crate::search::plan::FieldRef;

/// Most groups that one row belongs to when its fields have several values.
const MAX_PRODUCT: usize = 1_000;

/// How groups become rows at the end.
pub(super) enum Ending {
    /// As they are; without groups still one row when nothing groups.
    Plain { grouped: bool },
    /// By time, with the empty spans between the first and the last when nothing else groups.
    Time { width: i64, filled: bool },
    /// By number, with the share of each.
    Share { rare: bool, count: usize },
}

/// Groups being gathered.
pub(super) struct Groups {
    by: Source,
    of: Source,
    /// For each function its place in `of`, and whether numbers alone count.
    functions: Vec<(Function, Option<usize>, bool)>,
    /// Width of spans of time, microseconds.
    width: Option<i64>,
    ending: Ending,
    groups: BTreeMap<Vec<Cell>, Vec<Gathered>>,
}

impl Groups {
    /// No groups yet: by these names and of these functions, and by spans of time of `width` microseconds.
    pub(super) fn new(
        before: &Shape,
        (by, measures): (&[Name], &[Measure]),
        width: Option<i64>,
        ending: Ending,
    ) -> Self {
        let named = measures.iter().filter_map(|measure| measure.field.as_ref());
        let mut at = 0_usize;
        let functions = measures.iter().map(|measure| {
            let place = measure.field.is_some().then_some(at);
            at = at.saturating_add(usize::from(place.is_some()));
            let kind = measure.field.as_ref().map(|name| FieldRef::new(&name.text).kind());
            let numbers = *before == Shape::Events
                && matches!(kind, Some(None | Some(FieldType::Number | FieldType::Bool)));
            (measure.function, place, numbers)
        });
        let functions = functions.collect();
        Self {
            by: Source::new(before, by.iter()),
            of: Source::new(before, named),
            functions,
            width,
            ending,
            groups: BTreeMap::new(),
        }
    }

    /// Takes a row.
    pub(super) fn take(&mut self, row: &Row, sink: &mut Sink<'_>) {
        let mut keys: Vec<Vec<Cell>> = vec![Vec::new()];
        if let (Some(width), Row::Event(hit)) = (self.width, row) {
            let begin = hit.cursor.time.div_euclid(width).saturating_mul(width);
            keys = vec![vec![Cell::Date(begin)]];
        }
        for mut values in self.by.values(row) {
            values.sort();
            values.dedup();
            if keys.len().saturating_mul(values.len()) > MAX_PRODUCT {
                return more(&mut sink.left_out.groups);
            }
            let grown = keys.iter().flat_map(|key| {
                values.iter().map(move |value| {
                    let mut key = key.clone();
                    key.push(value.clone());
                    key
                })
            });
            keys = grown.collect();
        }
        if keys.is_empty() {
            return;
        }
        let values = self.of.values(row);
        for key in keys {
            self.add(&key, &values, sink);
        }
    }

    fn add(&mut self, key: &[Cell], values: &[Vec<Cell>], sink: &mut Sink<'_>) {
        let full = *sink.memory >= MAX_MEMORY;
        if !self.groups.contains_key(key) {
            if self.groups.len() >= MAX_GROUPS {
                return more(&mut sink.left_out.groups);
            }
            if full {
                return more(&mut sink.left_out.memory);
            }
            let fresh: Vec<Gathered> = self
                .functions
                .iter()
                .map(|(function, _, numbers)| Gathered::new(*function, *numbers))
                .collect();
            let bytes = key.iter().map(Cell::bytes).chain(fresh.iter().map(Gathered::bytes));
            *sink.memory = bytes.fold(*sink.memory, usize::saturating_add);
            self.groups.insert(key.to_vec(), fresh);
        }
        let Some(gathered) = self.groups.get_mut(key) else { return };
        for ((_, place, _), one) in self.functions.iter().zip(gathered) {
            let Some(place) = place else {
                one.row();
                continue;
            };
            let values = values.get(*place).map_or(&[][..], Vec::as_slice);
            if !values.is_empty() {
                one.row();
            }
            for cell in values {
                match one.value(cell, full) {
                    Ok(bytes) => *sink.memory = sink.memory.saturating_add(bytes),
                    Err(()) => more(&mut sink.left_out.memory),
                }
            }
        }
    }

    fn fresh(&self) -> Vec<Gathered> {
        self.functions
            .iter()
            .map(|(function, _, numbers)| Gathered::new(*function, *numbers))
            .collect()
    }

    /// The rows that the groups give.
    pub(super) fn finish(&mut self, left_out: &mut LeftOut) -> Vec<Row> {
        let mut groups = std::mem::take(&mut self.groups);
        match self.ending {
            Ending::Plain { grouped } => {
                if groups.is_empty() && !grouped {
                    groups.insert(Vec::new(), self.fresh());
                }
            }
            Ending::Time { width, filled } => {
                if filled {
                    self.fill(&mut groups, width, left_out);
                }
            }
            Ending::Share { rare, count } => return shares(groups, rare, count),
        }
        groups.into_iter().map(|(key, gathered)| row(key, gathered)).collect()
    }

    /// Adds the spans of time that have no events.
    fn fill(
        &self,
        groups: &mut BTreeMap<Vec<Cell>, Vec<Gathered>>,
        width: i64,
        left_out: &mut LeftOut,
    ) {
        let begin = |key: Option<&Vec<Cell>>| match key.and_then(|key| key.first()) {
            Some(Cell::Date(micros)) => Some(*micros),
            _ => None,
        };
        let ends = (begin(groups.keys().next()), begin(groups.keys().next_back()));
        let (Some(first), Some(last)) = ends else { return };
        let spans = last.saturating_sub(first) / width.max(1);
        if usize::try_from(spans).unwrap_or(usize::MAX) >= MAX_ROWS {
            return more(&mut left_out.rows);
        }
        let mut at = first;
        while at < last {
            groups.entry(vec![Cell::Date(at)]).or_insert_with(|| self.fresh());
            at = at.saturating_add(width);
        }
    }
}

fn row(key: Vec<Cell>, gathered: Vec<Gathered>) -> Row {
    let mut cells = key;
    cells.extend(gathered.into_iter().map(Gathered::cell));
    Row::Cells(cells)
}

/// The most or the least frequent groups, with the share of each in all of them.
fn shares(groups: BTreeMap<Vec<Cell>, Vec<Gathered>>, rare: bool, count: usize) -> Vec<Row> {
    let counted = groups.into_iter().map(|(key, gathered)| {
        let count = match gathered.first() {
            Some(Gathered::Count(count)) => *count,
            _ => 0,
        };
        (key, count)
    });
    ranked(counted.collect(), 0, rare, count)
}

/// Rows of values with their number and share, the most or the least frequent first; `other` were
/// counted besides.
pub(super) fn ranked(
    mut counted: Vec<(Vec<Cell>, u64)>,
    other: u64,
    rare: bool,
    count: usize,
) -> Vec<Row> {
    let all = counted.iter().fold(other, |sum, (_, count)| sum.saturating_add(*count));
    counted.sort_by(|(a, one), (b, two)| {
        let by_count = if rare { one.cmp(two) } else { two.cmp(one) };
        by_count.then_with(|| a.cmp(b))
    });
    counted.truncate(count);
    let rows = counted.into_iter().map(|(mut key, count)| {
        #[expect(clippy::cast_precision_loss, reason = "a percentage of two places")]
        let share = (count as f64 * 10_000.0 / all.max(1) as f64).round() / 100.0;
        key.push(Cell::count(count));
        key.push(Cell::float(share));
        Row::Cells(key)
    });
    rows.collect()
}
