//! Spans of time by calendar and zone, worked out for the times there are: the index library knows spans
//! of one width only, so others become a list of borders.

use event::Timestamp;

use super::MAX_BUCKETS;
use crate::search::calendar::{Step, Unit, borders};
use crate::search::plan::{FieldRef, Leaf};
use crate::search::{Aggregation, Node, SearchError};

const MICROS_PER_MS: i64 = 1000;
const DAY_MS: u64 = 86_400_000;
/// Weeks begin on Mondays, the first of which came 4 days after the epoch.
const MONDAY_MS: i64 = 4 * 86_400_000;

/// First and last time of a field, microseconds, if it has any.
pub(in crate::store::index) type Extent<'a> = &'a dyn Fn(&str) -> Option<(i64, i64)>;

/// Works out the spans of all aggregations of a list that a zone or the calendar has a say in.
///
/// # Errors
/// [`SearchError::Limit`] when there are too many.
pub(in crate::store::index) fn resolve(
    list: &mut [Aggregation],
    extent: Extent<'_>,
) -> Result<(), SearchError> {
    list.iter_mut().try_for_each(|one| resolve_one(one, extent))
}

fn resolve_one(aggregation: &mut Aggregation, extent: Extent<'_>) -> Result<(), SearchError> {
    if let Aggregation::DateHistogram {
        field,
        interval_ms,
        offset_ms,
        calendar,
        time_zone,
        bounds,
        borders: found,
        ..
    } = aggregation
    {
        let width = match calendar {
            Some(Unit::Day) => Some(DAY_MS),
            Some(Unit::Week) => Some(7 * DAY_MS),
            Some(Unit::Month | Unit::Quarter | Unit::Year) => None,
            None => Some(*interval_ms),
        };
        let micros = |ms: i64| ms.saturating_mul(MICROS_PER_MS);
        let wanted = bounds.map(|(low, high)| (micros(low), micros(high)));
        let range = joined(extent(&FieldRef::new(field).name), wanted);
        let span = width.and_then(|width| i64::try_from(width).ok()).map(micros);
        // Clocks that are set right behind the range have no say in it.
        let around = |(low, high): (i64, i64), width: i64| {
            (low.saturating_sub(width), high.saturating_add(width))
        };
        let steady = match (range, span) {
            (Some(range), Some(span)) => time_zone.steady(around(range, span)),
            // Without any time any width will do.
            (None, _) => Some(0),
            (_, None) => None,
        };
        if let Some(ahead) = steady {
            let width = width.unwrap_or(DAY_MS);
            let monday = if *calendar == Some(Unit::Week) { MONDAY_MS } else { 0 };
            let begins =
                offset_ms.saturating_add(monday).saturating_sub(ahead.saturating_mul(1000));
            *offset_ms = begins.rem_euclid(i64::try_from(width).unwrap_or(i64::MAX).max(1));
            *interval_ms = width;
        } else if let Some(range) = range {
            let step = calendar.map_or_else(|| Step::Width(span.unwrap_or(1)), Step::Unit);
            let shift = micros(*offset_ms);
            *found = borders(step, time_zone, range, (shift, MAX_BUCKETS)).map_err(|given| {
                let what = "number of histogram buckets";
                SearchError::Limit { what, given, limit: MAX_BUCKETS }
            })?;
        }
    }
    aggregation.below_mut().into_iter().flatten().try_for_each(|(_, one)| resolve_one(one, extent))
}

/// What both hold together.
fn joined(one: Option<(i64, i64)>, other: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (one, other) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (one, other) => one.or(other),
    }
}

/// The times of a field that a query can find at most, microseconds, both inclusive.
pub(in crate::store::index) fn times(node: &Node, field: &str) -> (i64, i64) {
    match node {
        Node::And(parts) => parts.iter().fold((i64::MIN, i64::MAX), |(low, high), part| {
            let (from, to) = times(part, field);
            (low.max(from), high.min(to))
        }),
        Node::Leaf(Leaf::Date(tested, low, high)) if tested.name == field => (*low, *high),
        _ => (i64::MIN, i64::MAX),
    }
}

/// The start of a span between borders.
pub(super) fn start(borders: &[i64], span: i64) -> Timestamp {
    let at = usize::try_from(span).ok().and_then(|span| borders.get(span));
    Timestamp::from_micros(at.copied().unwrap_or(0))
}

/// The span between borders that a time lies in.
pub(super) fn span(borders: &[i64], micros: i64) -> i64 {
    let behind = borders.partition_point(|border| *border <= micros);
    i64::try_from(behind).unwrap_or(i64::MAX).saturating_sub(1)
}
