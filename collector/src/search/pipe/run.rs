//! The one meaning of stages: rows are pushed through them one by one, within bounds of rows, groups
//! and memory. What a bound left out is told, never silent.

use std::collections::BTreeSet;

use event::{Document, Object};
use serde::{Deserialize, Serialize};

use super::cell::{Cell, gather};
use super::check::Shape;
use super::groups::{Ending, Groups};
use super::{Function, MAX_ROWS, Measure, Name, Pipeline, Verb};
use crate::search::Hit;
use crate::search::plan::FieldRef;

/// Most memory of the groups of one query, bytes, about.
pub const MAX_MEMORY: usize = 64 << 20;
const SECOND: i64 = 1_000_000;

/// A row on its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// An event.
    Event(Box<Hit>),
    /// Cells of a table.
    Cells(Vec<Cell>),
}

/// What bounds left out, in numbers of rows or values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Rows of groups beyond the greatest number of groups.
    pub groups: u64,
    /// Rows that did not fit into an order or an answer.
    pub rows: u64,
    /// Values or rows that did not fit into memory.
    pub memory: u64,
    /// By so much a count may be too low.
    pub counts: u64,
}

/// Stages in progress.
pub struct Run {
    steps: Vec<Step>,
    out: Vec<Row>,
    limit: usize,
    left_out: LeftOut,
    memory: usize,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Run").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

enum Step {
    Group(Box<Groups>),
    Sort { by: Vec<(Source, bool)>, keep: usize, rows: Vec<(Vec<Cell>, u64, Row)>, seen: u64 },
    Dedup { by: Source, seen: BTreeSet<Vec<Cell>> },
    Pick(Source),
    Remove(Vec<FieldRef>),
    Drop(Vec<usize>),
    Head { left: usize },
}

/// Where the values of some names come from.
pub(super) enum Source {
    Fields(Vec<FieldRef>),
    Columns(Vec<usize>),
}

impl Source {
    pub(super) fn new<'a>(shape: &Shape, names: impl Iterator<Item = &'a Name>) -> Self {
        match shape {
            Shape::Events => Self::Fields(names.map(|name| FieldRef::new(&name.text)).collect()),
            Shape::Table(columns) => Self::Columns(
                names
                    .filter_map(|name| columns.iter().position(|column| column.name == name.text))
                    .collect(),
            ),
        }
    }

    /// The values of each name.
    pub(super) fn values(&self, row: &Row) -> Vec<Vec<Cell>> {
        match (self, row) {
            (Self::Fields(fields), Row::Event(hit)) => gather(&hit.document, fields),
            (Self::Columns(at), Row::Cells(cells)) => at
                .iter()
                .map(|at| match cells.get(*at) {
                    None | Some(Cell::Null) => Vec::new(),
                    Some(Cell::List(list)) => list.clone(),
                    Some(cell) => vec![cell.clone()],
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl Run {
    /// Stages of a pipeline from the `first` on; at most `limit` rows come out. `span` is the width of a
    /// timechart that names none, seconds.
    #[must_use]
    pub fn new(pipeline: &Pipeline, first: usize, span: u64, limit: usize) -> Self {
        let mut steps = Vec::new();
        for (at, stage) in pipeline.stages.iter().enumerate().skip(first) {
            let before = at.checked_sub(1).and_then(|at| pipeline.shapes.get(at));
            let before = before.unwrap_or(&Shape::Events);
            let next = pipeline.stages.get(at.saturating_add(1)).map(|stage| &stage.verb);
            steps.push(step(&stage.verb, before, next, span));
        }
        Self { steps, out: Vec::new(), limit, left_out: LeftOut::default(), memory: 0 }
    }

    /// Lets at most `limit` rows come out.
    pub const fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes a row.
    pub fn push(&mut self, row: Row) {
        let Self { steps, out, limit, left_out, memory } = self;
        let mut sink = Sink { out, limit: *limit, left_out, memory };
        pass(steps, row, &mut sink);
    }

    /// Whether no further row can change what comes out.
    #[must_use]
    pub fn done(&self) -> bool {
        for step in &self.steps {
            match step {
                Step::Head { left: 0 } => return true,
                Step::Group(_) | Step::Sort { .. } => return false,
                _ => {}
            }
        }
        false
    }

    /// Whether all of what comes out needs all rows that go in.
    #[must_use]
    pub fn gathers(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Group(_) | Step::Sort { .. }))
    }

    /// Rows that have come out until now.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.out.len()
    }

    /// What comes out, and what was left out on the way.
    #[must_use]
    pub fn finish(self) -> (Vec<Row>, LeftOut) {
        let Self { mut steps, mut out, limit, mut left_out, mut memory } = self;
        let mut sink = Sink { out: &mut out, limit, left_out: &mut left_out, memory: &mut memory };
        let mut rest = steps.as_mut_slice();
        while let Some((first, behind)) = rest.split_first_mut() {
            for row in first.finish(sink.left_out) {
                pass(behind, row, &mut sink);
            }
            rest = behind;
        }
        (out, left_out)
    }
}

/// Where rows come out, and what is shared on the way.
pub(super) struct Sink<'a> {
    out: &'a mut Vec<Row>,
    limit: usize,
    pub(super) left_out: &'a mut LeftOut,
    pub(super) memory: &'a mut usize,
}

fn pass(steps: &mut [Step], row: Row, sink: &mut Sink<'_>) {
    let Some((first, behind)) = steps.split_first_mut() else {
        if sink.out.len() < sink.limit {
            sink.out.push(row);
        } else {
            more(&mut sink.left_out.rows);
        }
        return;
    };
    if let Some(row) = first.take(row, sink) {
        pass(behind, row, sink);
    }
}

pub(super) const fn more(count: &mut u64) {
    *count = count.saturating_add(1);
}

fn step(verb: &Verb, before: &Shape, next: Option<&Verb>, span: u64) -> Step {
    match verb {
        Verb::Stats { measures, by } => {
            let ending = Ending::Plain { grouped: !by.is_empty() };
            group(before, (by, measures), None, ending)
        }
        Verb::Timechart { span: own, measures, by } => {
            let width = i64::try_from(own.unwrap_or(span)).unwrap_or(i64::MAX / SECOND).max(1);
            let width = width.saturating_mul(SECOND);
            let ending = Ending::Time { width, filled: by.is_none() };
            group(before, (by.as_slice(), measures), Some(width), ending)
        }
        Verb::Top { rare, count, fields } => {
            let counted = [Measure {
                function: Function::Count,
                field: None,
                title: String::new(),
                column: 0,
            }];
            group(before, (fields, &counted), None, Ending::Share { rare: *rare, count: *count })
        }
        Verb::Sort(keys) => {
            let source = |key: &super::SortKey| Source::new(before, std::iter::once(&key.name));
            let keep = match next {
                Some(Verb::Head(count)) => (*count).min(MAX_ROWS),
                _ => MAX_ROWS,
            };
            let by = keys.iter().map(|key| (source(key), key.descending)).collect();
            Step::Sort { by, keep, rows: Vec::new(), seen: 0 }
        }
        Verb::Dedup(names) => {
            Step::Dedup { by: Source::new(before, names.iter()), seen: BTreeSet::new() }
        }
        Verb::Fields(names) => Step::Pick(Source::new(before, names.iter())),
        Verb::Without(names) => match Source::new(before, names.iter()) {
            Source::Fields(fields) => Step::Remove(fields),
            Source::Columns(at) => Step::Drop(at),
        },
        Verb::Head(count) => Step::Head { left: *count },
    }
}

fn group(before: &Shape, names: (&[Name], &[Measure]), width: Option<i64>, ending: Ending) -> Step {
    Step::Group(Box::new(Groups::new(before, names, width, ending)))
}

impl Step {
    /// Takes a row; gives what goes on at once.
    fn take(&mut self, row: Row, sink: &mut Sink<'_>) -> Option<Row> {
        match self {
            Self::Group(groups) => {
                groups.take(&row, sink);
                None
            }
            Self::Sort { by, keep, rows, seen } => {
                let key = by.iter().map(|(source, descending)| first(source, &row, *descending));
                rows.push((key.collect(), *seen, row));
                more(seen);
                if rows.len() >= keep.saturating_mul(2) {
                    order(by, rows);
                    rows.truncate(*keep);
                }
                None
            }
            Self::Dedup { by, seen } => {
                let mut key = Vec::new();
                for mut values in by.values(&row) {
                    key.push(match values.len() {
                        0 => return None,
                        1 => values.remove(0),
                        _ => Cell::List(values),
                    });
                }
                if seen.contains(&key) {
                    return None;
                }
                let bytes = key.iter().map(Cell::bytes).fold(0, usize::saturating_add);
                if *sink.memory >= MAX_MEMORY {
                    more(&mut sink.left_out.memory);
                    return None;
                }
                *sink.memory = sink.memory.saturating_add(bytes);
                seen.insert(key);
                Some(row)
            }
            Self::Pick(source) => {
                let cells = source.values(&row).into_iter().map(|mut values| match values.len() {
                    0 => Cell::Null,
                    1 => values.remove(0),
                    _ => Cell::List(values),
                });
                Some(Row::Cells(cells.collect()))
            }
            Self::Remove(fields) => match row {
                Row::Event(mut hit) => {
                    fields.iter().for_each(|field| remove(&mut hit.document, field));
                    Some(Row::Event(hit))
                }
                cells @ Row::Cells(_) => Some(cells),
            },
            Self::Drop(gone) => match row {
                Row::Cells(cells) => {
                    let kept = cells.into_iter().enumerate().filter(|(at, _)| !gone.contains(at));
                    Some(Row::Cells(kept.map(|(_, cell)| cell).collect()))
                }
                event @ Row::Event(_) => Some(event),
            },
            Self::Head { left } => {
                *left = left.checked_sub(1)?;
                Some(row)
            }
        }
    }

    /// What it kept until now.
    fn finish(&mut self, left_out: &mut LeftOut) -> Vec<Row> {
        match self {
            Self::Group(groups) => groups.finish(left_out),
            Self::Sort { by, keep, rows, seen } => {
                order(by, rows);
                rows.truncate(*keep);
                if *keep == MAX_ROWS {
                    let kept = u64::try_from(rows.len()).unwrap_or(u64::MAX);
                    left_out.rows = left_out.rows.saturating_add(seen.saturating_sub(kept));
                }
                std::mem::take(rows).into_iter().map(|(_, _, row)| row).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The value of a row that an order goes by: of several the one that comes first.
fn first(source: &Source, row: &Row, descending: bool) -> Cell {
    let values = source.values(row).into_iter().flatten();
    let found = if descending { values.max() } else { values.min() };
    found.unwrap_or(Cell::Null)
}

/// Rows without a value come last either way; equal ones keep their order.
fn order(by: &[(Source, bool)], rows: &mut [(Vec<Cell>, u64, Row)]) {
    rows.sort_by(|(a, first, _), (b, second, _)| {
        let keys = a.iter().zip(b).zip(by);
        let differ = keys.map(|((a, b), (_, descending))| match (a, b) {
            (Cell::Null, _) | (_, Cell::Null) => a.cmp(b),
            _ if *descending => b.cmp(a),
            _ => a.cmp(b),
        });
        differ.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).then(first.cmp(second))
    });
}

/// Removes a field under its names, nested or flat.
fn remove(document: &mut Document, field: &FieldRef) {
    cut(document, &field.name);
    if let Some(alias) = field.known.map(|known| known.alias).filter(|alias| !alias.is_empty()) {
        cut(document, alias);
    }
}

fn cut(object: &mut Object, name: &str) {
    object.shift_remove(name);
    for (at, _) in name.match_indices('.') {
        let (head, rest) = (name.get(..at), name.get(at.saturating_add(1)..));
        if let (Some(head), Some(rest)) = (head, rest) {
            match object.get_mut(head) {
                Some(serde_json::Value::Object(inner)) => cut(inner, rest),
                Some(serde_json::Value::Array(items)) => {
                    items.iter_mut().filter_map(|item| item.as_object_mut()).for_each(|inner| {
                        cut(inner, rest);
                    });
                }
                _ => {}
            }
        }
    }
}
