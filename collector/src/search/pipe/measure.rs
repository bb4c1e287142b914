//! What functions gather while rows pass: bounded figures, sketches and sets.

use std::collections::BTreeSet;

use sketches_ddsketch::{Config, DDSketch};

use super::Function;
use super::cell::Cell;
use crate::search::value::Number;

/// One function over one group.
pub(super) enum Gathered {
    Count(u64),
    Sum(Option<f64>),
    Avg {
        sum: f64,
        count: u64,
    },
    /// With `numbers` other values are of no account.
    Extreme {
        greatest: bool,
        numbers: bool,
        number: Option<Number>,
        other: Option<Cell>,
    },
    Percentile {
        share: u16,
        sketch: Box<DDSketch>,
    },
    Distinct(BTreeSet<Cell>),
}

/// Memory of a sketch, bytes, about: it begins small and has at most 2,048 places.
const SKETCH: usize = 2_048;

impl Gathered {
    /// `numbers`: the field is one of numbers, or of anything.
    pub(super) fn new(function: Function, numbers: bool) -> Self {
        match function {
            Function::Count => Self::Count(0),
            Function::Sum => Self::Sum(None),
            Function::Avg => Self::Avg { sum: 0.0, count: 0 },
            Function::Min => Self::Extreme { greatest: false, numbers, number: None, other: None },
            Function::Max => Self::Extreme { greatest: true, numbers, number: None, other: None },
            Function::Percentile(share) => {
                Self::Percentile { share, sketch: Box::new(DDSketch::new(Config::defaults())) }
            }
            Function::Distinct => Self::Distinct(BTreeSet::new()),
        }
    }

    /// Memory it takes at its beginning, bytes, about.
    pub(super) const fn bytes(&self) -> usize {
        let more = if matches!(self, Self::Percentile { .. }) { SKETCH } else { 0 };
        size_of::<Self>().saturating_add(more)
    }

    /// Counts a row.
    pub(super) const fn row(&mut self) {
        if let Self::Count(count) = self {
            *count = count.saturating_add(1);
        }
    }

    /// Takes a value. Gives the bytes that it keeps of it; with `full` it keeps none, and says
    /// whether it should have.
    pub(super) fn value(&mut self, cell: &Cell, full: bool) -> Result<usize, ()> {
        match self {
            // Rows that have a value are counted, not values.
            Self::Count(_) => {}
            Self::Sum(sum) => {
                if let Some(number) = cell.number() {
                    *sum = Some(sum.unwrap_or(0.0) + number);
                }
            }
            Self::Avg { sum, count } => {
                if let Some(number) = cell.number() {
                    *sum += number;
                    *count = count.saturating_add(1);
                }
            }
            Self::Extreme { greatest, numbers, number, other } => match cell {
                Cell::Number(new) => {
                    let better =
                        number.is_none_or(|old| if *greatest { *new > old } else { *new < old });
                    if better {
                        *number = Some(*new);
                    }
                }
                _ if *numbers => {}
                new => {
                    let better = other
                        .as_ref()
                        .is_none_or(|old| if *greatest { new > old } else { new < old });
                    if better {
                        *other = Some(new.clone());
                    }
                }
            },
            Self::Percentile { sketch, .. } => {
                if let Some(number) = cell.number() {
                    sketch.add(number);
                }
            }
            Self::Distinct(set) => {
                if !set.contains(cell) {
                    if full {
                        return Err(());
                    }
                    set.insert(cell.clone());
                    return Ok(cell.bytes());
                }
            }
        }
        Ok(0)
    }

    /// What came out.
    pub(super) fn cell(self) -> Cell {
        match self {
            Self::Count(count) => Cell::count(count),
            Self::Sum(sum) => sum.map_or(Cell::Null, Cell::float),
            Self::Avg { count: 0, .. } => Cell::Null,
            Self::Avg { sum, count } =>
            {
                #[expect(clippy::cast_precision_loss, reason = "a mean is rounded anyway")]
                Cell::float(sum / count as f64)
            }
            Self::Extreme { number, other, .. } => {
                number.map(Cell::Number).or(other).unwrap_or(Cell::Null)
            }
            Self::Percentile { share, sketch } => {
                // A share such as 0.29 lies a hair below itself, and its rank would be one too low.
                let share = (f64::from(share) / 10_000.0 * (1.0 + 1e-12)).min(1.0);
                let found = sketch.quantile(share).ok().flatten();
                found.map_or(Cell::Null, Cell::float)
            }
            Self::Distinct(set) => Cell::count(u64::try_from(set.len()).unwrap_or(u64::MAX)),
        }
    }
}
