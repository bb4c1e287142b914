//! Stages that a store's groupings answer: what to ask it, and the rows its answer stands for.
//!
//! Only a first stage over events can be asked so, and only where the groupings mean what the stage
//! means; everything else looks at events one by one ([`super::run`]).

use event::FieldType;

use super::cell::Cell;
use super::groups::ranked;
use super::run::{LeftOut, Row};
use super::{Function, MAX_GROUPS, Measure, Name, Stage, Verb};
use crate::search::aggregate::{
    Aggregated, Aggregation, DISTINCT_ERROR, DateBucket, Metric, Named, Order, Results, TermBucket,
    ValueKind,
};
use crate::search::notes::Note;
use crate::search::plan::FieldRef;
use crate::search::value::{Number, mapped};
use crate::search::{MAX_BUCKETS, SearchResponse};

/// A stage as groupings.
#[derive(Debug)]
pub struct Pushed<'a> {
    /// What to ask.
    pub aggregations: Vec<Aggregation>,
    by: &'a [Name],
    measures: &'a [Measure],
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Groups,
    Time,
    Share { rare: bool, count: usize },
}

/// The name of the next level of groups.
const GROUPS: &str = "g";

/// A stage as groupings, if it can be answered so. `span` is the width of a timechart that names none,
/// seconds.
#[must_use]
pub fn push(stage: &Stage, span: u64) -> Option<Pushed<'_>> {
    let (by, measures, shape): (&[Name], &[Measure], Shape) = match &stage.verb {
        Verb::Stats { measures, by } => (by, measures, Shape::Groups),
        Verb::Timechart { measures, by, .. } => (by.as_slice(), measures, Shape::Time),
        Verb::Top { rare, count, fields } => {
            (fields, &[], Shape::Share { rare: *rare, count: *count })
        }
        _ => return None,
    };
    by.iter().all(groupable).then_some(())?;
    let mut below = figures(measures)?;
    for name in by.iter().rev() {
        let terms = Aggregation::Terms {
            field: name.text.clone(),
            size: MAX_GROUPS.min(MAX_BUCKETS),
            order: Order::default(),
            missing: None,
            min_count: 1,
            aggregations: below,
        };
        below = Named::from([(GROUPS.to_owned(), terms)]);
    }
    if let (Shape::Time, Verb::Timechart { span: own, .. }) = (&shape, &stage.verb) {
        let mut spans = Aggregation::spans("timestamp", own.unwrap_or(span).checked_mul(1_000)?);
        if let Aggregation::DateHistogram { min_count, aggregations, .. } = &mut spans {
            (*min_count, *aggregations) = (u64::from(!by.is_empty()), below);
        }
        below = Named::from([(GROUPS.to_owned(), spans)]);
    }
    Some(Pushed { aggregations: below.into_values().collect(), by, measures, shape })
}

/// Whether the store groups by a field as stages do.
fn groupable(name: &Name) -> bool {
    !matches!(FieldRef::new(&name.text).kind(), Some(FieldType::Date))
}

/// The figures of one group, by their places; nothing when one of them means something else there.
fn figures(measures: &[Measure]) -> Option<Named> {
    let mut out = Named::new();
    for (at, Measure { function, field, .. }) in measures.iter().enumerate() {
        let Some(name) = field else { continue };
        let field = FieldRef::new(&name.text);
        let numbers = matches!(field.kind(), None | Some(FieldType::Number | FieldType::Bool));
        let any = numbers || matches!(field.kind(), Some(FieldType::Keyword | FieldType::Text));
        let metric = match function {
            Function::Count if any => Metric::Count,
            Function::Distinct if field.kind() == Some(FieldType::Keyword) => Metric::Distinct,
            Function::Sum | Function::Avg | Function::Min | Function::Max if numbers => {
                Metric::Stats
            }
            Function::Percentile(share) if numbers => {
                Metric::Percentiles(vec![f64::from(*share) / 100.0])
            }
            _ => return None,
        };
        out.insert(name_of(at), Aggregation::Metric { field: name.text.clone(), metric });
    }
    Some(out)
}

/// The name of a figure by its place, so that the order of names is that of places.
fn name_of(at: usize) -> String {
    format!("m{at:02}")
}

impl Pushed<'_> {
    /// What is to be known of the figures: which of them are estimates.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let estimated = self.measures.iter().filter(|one| one.function == Function::Distinct);
        let note = |measure: &Measure| {
            let percent = DISTINCT_ERROR * 100.0;
            let title = &measure.title;
            let words = format!("{title} is an estimate, with a standard error of {percent:.1} %");
            Note { column: measure.column, words }
        };
        estimated.map(note).collect()
    }

    /// The rows of an answer, in the order of the stage, and what it left out.
    #[must_use]
    pub fn rows(&self, found: &SearchResponse) -> (Vec<Row>, LeftOut) {
        let mut reader =
            Reader { measures: self.measures, rows: Vec::new(), left_out: LeftOut::default() };
        match (&self.shape, found.aggregations.as_slice()) {
            (Shape::Time, [Aggregated::DateHistogram { buckets, .. }]) => {
                buckets.iter().for_each(|bucket| reader.span(bucket, self.by));
            }
            (_, [Aggregated::Terms { buckets, other, error, .. }]) if !self.by.is_empty() => {
                reader.other(*other, *error);
                buckets.iter().for_each(|bucket| reader.term(&[], bucket, self.by));
            }
            (Shape::Groups, figures) if self.by.is_empty() => {
                let named = figures.iter().cloned();
                let keys = self.measures.iter().enumerate().filter(|(_, one)| one.field.is_some());
                let results: Results = keys.map(|(at, _)| name_of(at)).zip(named).collect();
                reader.row(Vec::new(), found.total, &results);
            }
            _ => {}
        }
        let Reader { mut rows, left_out, .. } = reader;
        rows.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let rows = match self.shape {
            Shape::Share { rare, count } => {
                let counted = rows.into_iter().map(|(key, count, _)| (key, count));
                ranked(counted.collect(), left_out.groups, rare, count)
            }
            _ => rows
                .into_iter()
                .map(|(mut key, _, cells)| {
                    key.extend(cells);
                    Row::Cells(key)
                })
                .collect(),
        };
        (rows, left_out)
    }
}

struct Reader<'a> {
    measures: &'a [Measure],
    rows: Vec<(Vec<Cell>, u64, Vec<Cell>)>,
    left_out: LeftOut,
}

impl Reader<'_> {
    /// Events outside the listed groups, and by how much counts may be too low.
    const fn other(&mut self, count: u64, error: u64) {
        self.left_out.groups = self.left_out.groups.saturating_add(count);
        self.left_out.counts = self.left_out.counts.saturating_add(error);
    }

    fn span(&mut self, bucket: &DateBucket, by: &[Name]) {
        let DateBucket { start, count, aggregations } = bucket;
        self.level(vec![Cell::Date(start.micros())], *count, aggregations, by);
    }

    fn term(&mut self, key: &[Cell], bucket: &TermBucket, by: &[Name]) {
        let TermBucket { value, kind, count, aggregations } = bucket;
        let Some((name, rest)) = by.split_first() else { return };
        let mut key = key.to_vec();
        key.push(cell(&FieldRef::new(&name.text), value, *kind));
        self.level(key, *count, aggregations, rest);
    }

    /// What stands below a group: further groups, or its figures.
    fn level(&mut self, key: Vec<Cell>, count: u64, below: &Results, by: &[Name]) {
        if by.is_empty() {
            return self.row(key, count, below);
        }
        if let Some(Aggregated::Terms { buckets, other, error, .. }) = below.get(GROUPS) {
            self.other(*other, *error);
            buckets.iter().for_each(|bucket| self.term(&key, bucket, by));
        }
    }

    fn row(&mut self, key: Vec<Cell>, count: u64, results: &Results) {
        let figures = self.measures.iter().enumerate().map(|(at, measure)| match &measure.field {
            None => Cell::count(count),
            Some(_) => figure(measure.function, results.get(&name_of(at))),
        });
        let figures = figures.collect();
        self.rows.push((key, count, figures));
    }
}

fn float(value: Option<f64>) -> Cell {
    value.map_or(Cell::Null, Cell::float)
}

fn figure(function: Function, result: Option<&Aggregated>) -> Cell {
    match (function, result) {
        (Function::Count | Function::Distinct, Some(Aggregated::Value { value, .. })) => {
            Cell::float(value.unwrap_or(0.0).round())
        }
        (Function::Count | Function::Distinct, _) => Cell::count(0),
        (Function::Sum, Some(Aggregated::Stats { count, sum, .. })) if *count > 0 => {
            Cell::float(*sum)
        }
        (Function::Avg, Some(Aggregated::Stats { average, .. })) => float(*average),
        (Function::Min, Some(Aggregated::Stats { min, .. })) => float(*min),
        (Function::Max, Some(Aggregated::Stats { max, .. })) => float(*max),
        (Function::Percentile(_), Some(Aggregated::Percentiles { values, .. })) => {
            float(values.first().and_then(|one| one.value))
        }
        _ => Cell::Null,
    }
}

/// A value of a grouping as the field has it.
fn cell(field: &FieldRef, text: &str, kind: ValueKind) -> Cell {
    let plain = || Cell::Text(text.to_owned());
    match (kind, field.kind()) {
        (ValueKind::Number, _) => Number::parse(text).map_or_else(plain, Cell::Number),
        (ValueKind::Bool, _) => text.parse().map_or_else(|_| plain(), Cell::Bool),
        (ValueKind::Text, Some(FieldType::Ip)) => {
            text.parse().map_or_else(|_| plain(), |address| Cell::Ip(mapped(address)))
        }
        (ValueKind::Text, _) => plain(),
    }
}
