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
                let quantile = quantile(share, u64::try_from(sketch.count()).unwrap_or(u64::MAX));
                let found = sketch.quantile(quantile).ok().flatten();
                found.map_or(Cell::Null, Cell::float)
            }
            Self::Distinct(set) => Cell::count(u64::try_from(set.len()).unwrap_or(u64::MAX)),
        }
    }
}

/// What a sketch of so many values is asked for a share of ten thousandths: it takes the value whose number from
/// the smallest, from 0, is the whole part of `quantile * (count - 1)`.
///
/// That number is worked out with whole numbers, and asked for in the middle between it and the next: a share such
/// as 0.29 lies a hair below itself as a float, and its number would be one too low.
fn quantile(share: u16, count: u64) -> f64 {
    const WHOLE: u16 = 10_000;
    let last = u128::from(count.saturating_sub(1));
    if share == 0 || share >= WHOLE || last == 0 {
        return f64::from(share.min(WHOLE)) / f64::from(WHOLE);
    }
    let number = last.saturating_mul(u128::from(share)) / u128::from(WHOLE);
    #[expect(clippy::cast_precision_loss, reason = "half a value is enough of a distance")]
    let quantile = (number as f64 + 0.5) / last as f64;
    quantile
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sketch_is_asked_for_the_rank_that_whole_numbers_give(share in 1_u16..10_000, count in 2_u64..1 << 45) {
            let last = count - 1;
            let rank = u64::try_from(u128::from(last) * u128::from(share) / 10_000).unwrap();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "as the sketch does it")]
            let asked = (quantile(share, count) * (last as f64)) as u64;
            prop_assert_eq!(asked, rank);
        }

        #[test]
        fn a_percentile_is_near_the_value_of_its_rank(
            values in proptest::collection::vec(0_i32..1 << 30, 1..200), share in 0_u16..=10_000,
        ) {
            let mut gathered = Gathered::Percentile { share, sketch: Box::new(DDSketch::new(Config::defaults())) };
            for value in &values {
                gathered.value(&Cell::float(f64::from(*value)), false).unwrap();
            }
            let mut sorted = values;
            sorted.sort_unstable();
            let exact = f64::from(sorted[(sorted.len() - 1) * usize::from(share) / 10_000]);
            let found = gathered.cell().number().unwrap();
            prop_assert!((found - exact).abs() <= exact * 0.0101, "{} is not {}", found, exact);
        }
    }
}
