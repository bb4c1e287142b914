//! Stages behind a query: `query | stats count() by src_ip | sort -count | head 5`.
//!
//! A stage takes rows and gives rows. Before the first of `stats`, `timechart`, `top`, `rare` and
//! `fields a, b` rows are events in the order of the request; behind it they are rows of a table. [`check`] says what
//! columns a stage gives and refuses names that nobody gives; [`run`] is the one meaning of every
//! stage, over rows in memory; [`push`] says what of it a store's groupings answer instead. Not here:
//! the grammar ([`mod@super::parse`]) and what a query finds.

pub mod cell;
pub mod check;
mod groups;
mod measure;
pub mod push;
pub mod run;

use event::Timestamp;

use super::ast::Expr;
use super::plan::{FieldRef, Node, plan};
use super::{HitOrder, SearchError};

/// Most groups of one stage.
pub const MAX_GROUPS: usize = 10_000;
/// Most rows of an answer, and most rows that sorting keeps.
pub const MAX_ROWS: usize = 10_000;
/// Most stages of a query.
pub const MAX_STAGES: usize = 16;
/// Most names or functions of one stage.
pub const MAX_NAMES: usize = 16;

/// A field or column as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As written.
    pub text: String,
    /// Its column in the query, from 1.
    pub column: usize,
}

/// What is worked out of the rows of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Number of rows, or of rows that have a value of a field.
    Count,
    /// Sum of numbers.
    Sum,
    /// Mean of numbers.
    Avg,
    /// Least number; of fields of keywords, addresses and times the first in order.
    Min,
    /// Greatest number; of fields of keywords, addresses and times the last in order.
    Max,
    /// The number that so many hundredths of a percent of all are not above, within 1 %.
    Percentile(u16),
    /// Number of distinct values.
    Distinct,
}

/// A function and its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// What is worked out.
    pub function: Function,
    /// Of which field; only counting rows needs none.
    pub field: Option<Name>,
    /// Name of the column it gives.
    pub title: String,
    /// Its column in the query, from 1.
    pub column: usize,
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// By which field.
    pub name: Name,
    /// Greatest first.
    pub descending: bool,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Groups rows: one row for each combination of values.
    Stats {
        /// What is worked out.
        measures: Vec<Measure>,
        /// Fields whose values make a group.
        by: Vec<Name>,
    },
    /// Groups events by span of time, and by a field.
    Timechart {
        /// Width of a span, seconds; `None` picks one giving about 60.
        span: Option<u64>,
        /// What is worked out.
        measures: Vec<Measure>,
        /// Further grouping.
        by: Option<Name>,
    },
    /// The most or the least frequent values with number and percentage.
    Top {
        /// The least frequent ones.
        rare: bool,
        /// How many.
        count: usize,
        /// Fields whose values are counted together.
        fields: Vec<Name>,
    },
    /// Orders rows; those without a value come last.
    Sort(Vec<SortKey>),
    /// Leaves the first row for each combination of values; rows without one are left out.
    Dedup(Vec<Name>),
    /// Keeps only these, in this order.
    Fields(Vec<Name>),
    /// Leaves these out.
    Without(Vec<Name>),
    /// Keeps the first rows.
    Head(usize),
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What it does.
    pub verb: Verb,
    /// Its column in the query, from 1.
    pub column: usize,
}

/// A query with stages, checked.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Which events.
    pub node: Node,
    /// The same as it was written.
    pub expr: Expr,
    /// The query's text alone.
    pub query: String,
    /// What is done with them.
    pub stages: Vec<Stage>,
    /// What rows each stage gives.
    pub shapes: Vec<check::Shape>,
}

impl Pipeline {
    /// Takes away a first stage that orders events by their time alone, which a store does by itself.
    pub fn take_order(&mut self) -> Option<HitOrder> {
        let Some(Verb::Sort(keys)) = self.stages.first().map(|stage| &stage.verb) else {
            return None;
        };
        let [SortKey { name, descending }] = keys.as_slice() else { return None };
        if FieldRef::new(&name.text).name != "timestamp" {
            return None;
        }
        let order = if *descending { HitOrder::Newest } else { HitOrder::Oldest };
        self.stages.remove(0);
        self.shapes.remove(0);
        Some(order)
    }
}

/// Parses, types and checks a query with its stages.
///
/// # Errors
/// [`SearchError::Parse`] and [`SearchError::Plan`].
pub fn compile(text: &str, now: Timestamp) -> Result<Pipeline, SearchError> {
    let piped = super::parse::parse_piped(text)?;
    let node = plan(&piped.query, now)?;
    let shapes = check::check(&piped.stages)?;
    let query = text.chars().take(piped.query_ends).collect();
    Ok(Pipeline { node, expr: piped.query, query, stages: piped.stages, shapes })
}

#[cfg(test)]
mod tests;
