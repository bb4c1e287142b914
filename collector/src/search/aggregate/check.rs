//! Whether aggregations can mean anything and stay within the limits; whether a field can be grouped
//! is for the store to say.

use event::FieldType;

use super::{
    Aggregation, MAX_AGGREGATIONS, MAX_DEPTH, MAX_INTERVAL_MS, Metric, Named, Order, OrderBy,
};
use crate::search::plan::FieldRef;
use crate::search::{MAX_BUCKETS, SearchError};

/// Spans of the calendar may begin so much later or earlier, milliseconds.
const MAX_OFFSET_MS: u64 = 86_400_000;

/// Checks the aggregations of a request.
///
/// # Errors
/// [`SearchError::Limit`], [`SearchError::Aggregation`] with the place as `0.hosts.bytes`.
pub fn check(list: &[Aggregation]) -> Result<(), SearchError> {
    let mut checker = Checker { at: Vec::new(), count: 0 };
    for (index, aggregation) in list.iter().enumerate() {
        checker.at.push(index.to_string());
        checker.one(aggregation)?;
        checker.at.pop();
    }
    Ok(())
}

struct Checker {
    at: Vec<String>,
    count: usize,
}

impl Checker {
    fn wrong(&self, problem: impl Into<String>) -> SearchError {
        SearchError::Aggregation { at: self.at.join("."), problem: problem.into() }
    }

    fn need(&self, holds: bool, problem: &str) -> Result<(), SearchError> {
        if holds { Ok(()) } else { Err(self.wrong(problem)) }
    }

    fn add(&mut self, number: usize) -> Result<(), SearchError> {
        self.count = self.count.saturating_add(number);
        limit("number of aggregations", self.count, MAX_AGGREGATIONS)
    }

    fn one(&mut self, aggregation: &Aggregation) -> Result<(), SearchError> {
        limit("depth of aggregations", self.at.len(), MAX_DEPTH)?;
        self.add(1)?;
        match aggregation {
            Aggregation::Histogram { .. } => {
                self.need(
                    self.at.len() == 1,
                    "histogram stands at the first level only; use date_histogram",
                )?;
            }
            Aggregation::Terms { size, order, min_count, aggregations, .. } => {
                limit("number of values", *size, MAX_BUCKETS)?;
                self.need(*min_count >= 1, "min_count of values must be at least 1")?;
                self.order(order, aggregations)?;
            }
            Aggregation::DateHistogram { .. } => self.dates(aggregation)?,
            Aggregation::NumberHistogram { field, interval, offset, min_count, bounds, .. } => {
                let kind = FieldRef::new(field).kind();
                self.need(
                    matches!(kind, None | Some(FieldType::Number)),
                    "needs a field of numbers",
                )?;
                self.need(interval.is_finite() && *interval > 0.0, "interval must be above 0")?;
                self.need(
                    offset.is_finite() && offset.abs() < *interval,
                    "offset must be smaller than interval",
                )?;
                let sound =
                    |(low, high): (f64, f64)| low.is_finite() && high.is_finite() && low <= high;
                self.bounds(*min_count, bounds.is_none_or(sound), bounds.is_some())?;
            }
            Aggregation::Ranges { field, ranges, .. } => {
                let kind = FieldRef::new(field).kind();
                self.need(
                    !matches!(kind, Some(FieldType::Text | FieldType::Bool)),
                    "needs a field with an order",
                )?;
                self.need(!ranges.is_empty(), "has no ranges")?;
                self.add(ranges.len())?;
            }
            Aggregation::Filters { filters, .. } => {
                self.need(!filters.is_empty(), "has no filters")?;
                self.add(filters.len())?;
            }
            Aggregation::Metric { field, metric } => self.metric(field, metric)?,
        }
        for (name, below) in aggregation.below().into_iter().flatten() {
            self.at.push(name.clone());
            self.one(below)?;
            self.at.pop();
        }
        Ok(())
    }

    fn dates(&self, aggregation: &Aggregation) -> Result<(), SearchError> {
        let Aggregation::DateHistogram {
            field,
            interval_ms,
            calendar,
            offset_ms,
            min_count,
            bounds,
            ..
        } = aggregation
        else {
            return Ok(());
        };
        let kind = FieldRef::new(field).kind();
        self.need(kind == Some(FieldType::Date), "needs a field of times")?;
        let shift = offset_ms.unsigned_abs();
        if calendar.is_some() {
            self.need(*interval_ms == 0, "has both interval_ms and calendar")?;
            self.need(shift < MAX_OFFSET_MS, "offset_ms must be shorter than a day")?;
        } else {
            let sound = (1..=MAX_INTERVAL_MS).contains(interval_ms);
            self.need(sound, "interval_ms must be from 1 to 100 years")?;
            self.need(shift < *interval_ms, "offset_ms must be shorter than interval_ms")?;
        }
        let sound = bounds.is_none_or(|(low, high)| low <= high);
        self.bounds(*min_count, sound, bounds.is_some())
    }

    fn bounds(&self, min_count: u64, sound: bool, given: bool) -> Result<(), SearchError> {
        self.need(sound, "bounds must be two numbers, the first not above the second")?;
        self.need(!given || min_count == 0, "bounds list empty buckets, so min_count must be 0")
    }

    fn order(&self, order: &Order, below: &Named) -> Result<(), SearchError> {
        let OrderBy::Metric(name) = &order.by else { return Ok(()) };
        let sound = match below.get(name) {
            Some(Aggregation::Metric { metric, .. }) => metric.orders(),
            _ => false,
        };
        self.need(sound, "order needs the name of a sum, average, min, max or distinct below it")
    }

    fn metric(&self, field: &str, metric: &Metric) -> Result<(), SearchError> {
        let field = FieldRef::new(field);
        let fits = match metric {
            Metric::Count | Metric::Distinct => true,
            Metric::Sum | Metric::Stats | Metric::ExtendedStats => {
                matches!(field.kind(), None | Some(FieldType::Number))
            }
            Metric::Average | Metric::Min | Metric::Max | Metric::Percentiles(_) => {
                matches!(field.kind(), None | Some(FieldType::Number | FieldType::Date))
            }
        };
        if !fits {
            let needs = if matches!(metric, Metric::Sum | Metric::Stats | Metric::ExtendedStats) {
                "numbers"
            } else {
                "numbers or times"
            };
            return Err(self.wrong(format!(
                "{} needs {needs}, {} has none",
                metric.name(),
                field.name
            )));
        }
        if let Metric::Percentiles(percents) = metric {
            limit("number of percentiles", percents.len(), 100)?;
            let sound = percents.iter().all(|percent| (0.0..=100.0).contains(percent));
            self.need(sound && !percents.is_empty(), "percentiles lie between 0 and 100")?;
        }
        Ok(())
    }
}

fn limit(what: &'static str, given: usize, limit: usize) -> Result<(), SearchError> {
    if given > limit { Err(SearchError::Limit { what, given, limit }) } else { Ok(()) }
}
