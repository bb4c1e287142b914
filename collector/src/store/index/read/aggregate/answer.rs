//! The library's results of aggregations in our types: names, times and texts as we have them, and
//! the empty buckets between others.

use event::{FieldType, Timestamp};
use tantivy::aggregation::Key;
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::agg_result::{
    AggregationResult, AggregationResults, BucketEntry, BucketResult, MetricResult,
    RangeBucketEntry,
};
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tantivy::aggregation::metric::PercentileValues;

use super::{EARLIER_MS, MAX_ALL_BUCKETS, MISSING, calendar, failed, limits, name, name_of_filter};
use crate::search::aggregate::{
    DISTINCT_ERROR, DateBucket, Metric, Named, NamedBucket, NumberBucket, Percentile, Results,
    Squares, TermBucket, ValueKind,
};
use crate::search::plan::FieldRef;
use crate::search::{Aggregated, Aggregation, MAX_BUCKETS, SearchError};

const MICROS_PER_MS: i64 = 1000;
const NANOS_PER_MS: f64 = 1_000_000.0;

/// The answers of one search.
pub(in crate::store::index) struct Answers {
    results: AggregationResults,
    /// Empty buckets that may still be made.
    room: usize,
}

impl Answers {
    /// Finishes what the partitions gave; without any, everything is empty.
    ///
    /// # Errors
    /// [`SearchError`] when there are too many buckets.
    pub(in crate::store::index) fn of(
        found: Option<IntermediateAggregationResults>,
        request: &Aggregations,
    ) -> Result<Self, SearchError> {
        let results = match found {
            None => AggregationResults::default(),
            Some(found) => found
                .into_final_result(request.clone(), limits())
                .map_err(|error| failed(&error))?,
        };
        Ok(Self { results, room: MAX_ALL_BUCKETS })
    }

    /// The answer of one aggregation of the request.
    ///
    /// # Errors
    /// [`SearchError`] when there are too many buckets.
    pub(in crate::store::index) fn top(
        &mut self,
        index: usize,
        aggregation: &Aggregation,
    ) -> Result<Aggregated, SearchError> {
        let mut results = std::mem::take(&mut self.results);
        let answer = self.one(&name(index), aggregation, &mut results);
        self.results = results;
        answer
    }

    fn below(
        &mut self,
        named: &Named,
        mut results: AggregationResults,
    ) -> Result<Results, SearchError> {
        let all = named.iter().enumerate();
        all.map(|(position, (label, aggregation))| {
            Ok((label.clone(), self.one(&name(position), aggregation, &mut results)?))
        })
        .collect()
    }

    fn one(
        &mut self,
        name: &str,
        aggregation: &Aggregation,
        results: &mut AggregationResults,
    ) -> Result<Aggregated, SearchError> {
        Ok(match aggregation {
            Aggregation::Histogram { .. } => {
                return Err(SearchError::Failed { reason: "a timeline below others".to_owned() });
            }
            Aggregation::Terms { field, aggregations, .. } => {
                self.terms(field, aggregations, results.0.remove(name))?
            }
            Aggregation::DateHistogram { field, interval_ms, calendar, aggregations, .. } => {
                let found = buckets(results.0.remove(name));
                Aggregated::DateHistogram {
                    field: FieldRef::new(field).name,
                    interval_ms: if calendar.is_some() { 0 } else { *interval_ms },
                    buckets: self.dates(aggregation, aggregations, found)?,
                }
            }
            Aggregation::NumberHistogram { field, interval, aggregations, .. } => {
                let found = buckets(results.0.remove(name));
                Aggregated::NumberHistogram {
                    field: FieldRef::new(field).name,
                    interval: *interval,
                    buckets: self.numbers(aggregation, aggregations, found)?,
                }
            }
            Aggregation::Ranges { field, ranges, aggregations } => {
                let labels = ranges.iter().map(|range| range.label());
                let buckets = self.filters(name, labels.collect(), aggregations, results)?;
                Aggregated::Ranges { field: FieldRef::new(field).name, buckets }
            }
            Aggregation::Filters { filters, aggregations } => {
                let labels = filters.iter().map(|filter| filter.name.clone());
                let buckets = self.filters(name, labels.collect(), aggregations, results)?;
                Aggregated::Filters { buckets }
            }
            Aggregation::Metric { field, metric } => figure(field, metric, results.0.remove(name)),
        })
    }

    fn terms(
        &mut self,
        field: &str,
        below: &Named,
        result: Option<AggregationResult>,
    ) -> Result<Aggregated, SearchError> {
        let (found, other, error) = match result {
            Some(AggregationResult::BucketResult(BucketResult::Terms {
                buckets,
                sum_other_doc_count,
                doc_count_error_upper_bound,
            })) => (buckets, sum_other_doc_count, doc_count_error_upper_bound.unwrap_or(0)),
            _ => (Vec::new(), 0, 0),
        };
        let mut buckets = Vec::with_capacity(found.len());
        for BucketEntry { key_as_string, key, doc_count, sub_aggregation } in found {
            let (value, kind) = match (key_as_string, key) {
                (Some(text), _) => (text, ValueKind::Bool),
                (None, Key::Str(text)) => (
                    text.strip_suffix(MISSING).map_or_else(|| text.clone(), str::to_owned),
                    ValueKind::Text,
                ),
                (None, Key::I64(int)) => (int.to_string(), ValueKind::Number),
                (None, Key::U64(int)) => (int.to_string(), ValueKind::Number),
                (None, Key::F64(float)) => (float.to_string(), ValueKind::Number),
            };
            let aggregations = self.below(below, sub_aggregation)?;
            buckets.push(TermBucket { value, kind, count: doc_count, aggregations });
        }
        Ok(Aggregated::Terms { field: FieldRef::new(field).name, buckets, other, error })
    }

    fn filters(
        &mut self,
        name: &str,
        labels: Vec<String>,
        below: &Named,
        results: &mut AggregationResults,
    ) -> Result<Vec<NamedBucket>, SearchError> {
        let mut buckets = Vec::with_capacity(labels.len());
        for (position, label) in labels.into_iter().enumerate() {
            let (count, found) = filtered(results.0.remove(&name_of_filter(name, position)));
            buckets.push(NamedBucket {
                name: label,
                count,
                aggregations: self.below(below, found)?,
            });
        }
        Ok(buckets)
    }

    fn dates(
        &mut self,
        aggregation: &Aggregation,
        below: &Named,
        found: Vec<BucketEntry>,
    ) -> Result<Vec<DateBucket>, SearchError> {
        let Aggregation::DateHistogram {
            interval_ms, offset_ms, min_count, bounds, borders, ..
        } = aggregation
        else {
            return Ok(Vec::new());
        };
        if !borders.is_empty() {
            return self.between(borders, (*min_count, *bounds), below, found);
        }
        let width = i64::try_from(*interval_ms).unwrap_or(i64::MAX);
        let spans = found.into_iter().map(|entry| {
            // A segment without the column makes the library forget that its keys are times, and
            // then they stay nanoseconds.
            let scale = if entry.key_as_string.is_some() { 1.0 } else { NANOS_PER_MS };
            let start = number(&entry.key) / scale + EARLIER_MS;
            (whole(start).saturating_sub(*offset_ms).div_euclid(width), entry)
        });
        let ends = bounds.map(|(low, high)| {
            (
                low.saturating_sub(*offset_ms).div_euclid(width),
                high.saturating_sub(*offset_ms).div_euclid(width),
            )
        });
        let all = self.fill(spans.collect(), *min_count, ends)?;
        all.into_iter()
            .map(|(span, entry)| {
                let start = span.saturating_mul(width).saturating_add(*offset_ms);
                let start = Timestamp::from_micros(start.saturating_mul(MICROS_PER_MS));
                let (count, found) = entry.map_or_else(Default::default, counted);
                Ok(DateBucket { start, count, aggregations: self.below(below, found)? })
            })
            .collect()
    }

    /// Spans between borders, whose entries are named by their numbers.
    fn between(
        &mut self,
        borders: &[i64],
        (min_count, bounds): (u64, Option<(i64, i64)>),
        below: &Named,
        found: Vec<BucketEntry>,
    ) -> Result<Vec<DateBucket>, SearchError> {
        let spans = found.into_iter().filter(|entry| entry.doc_count >= min_count.max(1));
        let spans = spans.filter_map(|entry| match &entry.key {
            // What lies before the first and behind the last border has another name.
            Key::Str(name) => Some((name.parse().ok()?, entry)),
            _ => None,
        });
        let end = |ms: i64| calendar::span(borders, ms.saturating_mul(MICROS_PER_MS));
        let ends = bounds.map(|(low, high)| (end(low), end(high)));
        let mut spans: Vec<(i64, BucketEntry)> = spans.collect();
        spans.sort_by_key(|(span, _)| *span);
        let all = self.fill(spans, min_count, ends)?;
        all.into_iter()
            .map(|(span, entry)| {
                let (count, found) = entry.map_or_else(Default::default, counted);
                let start = calendar::start(borders, span);
                Ok(DateBucket { start, count, aggregations: self.below(below, found)? })
            })
            .collect()
    }

    fn numbers(
        &mut self,
        aggregation: &Aggregation,
        below: &Named,
        found: Vec<BucketEntry>,
    ) -> Result<Vec<NumberBucket>, SearchError> {
        let Aggregation::NumberHistogram { field, interval, offset, min_count, bounds, .. } =
            aggregation
        else {
            return Ok(Vec::new());
        };
        let span = |start: f64| ((start - offset) / interval).floor();
        // The start of a span is a product: half a width further is surely within it.
        let half = interval / 2.0;
        let spans = found.into_iter().map(|entry| (whole(span(number(&entry.key) + half)), entry));
        let ends = bounds.map(|(low, high)| (whole(span(low)), whole(span(high))));
        let spans: Vec<_> = spans.collect();
        let beyond = |span: i64| span.unsigned_abs() > 1 << 53;
        if spans.iter().any(|(span, _)| beyond(*span))
            || ends.is_some_and(|(a, b)| beyond(a) || beyond(b))
        {
            let field = FieldRef::new(field).name;
            return Err(SearchError::Narrow { interval: *interval, field });
        }
        let all = self.fill(spans, *min_count, ends)?;
        all.into_iter()
            .map(|(span, entry)| {
                #[expect(clippy::cast_precision_loss, reason = "it was a float before")]
                let start = (span as f64) * interval + offset;
                let (count, found) = entry.map_or_else(Default::default, counted);
                Ok(NumberBucket { start, count, aggregations: self.below(below, found)? })
            })
            .collect()
    }

    /// Buckets with empty ones between them and up to both ends, when those are wanted.
    fn fill(
        &mut self,
        found: Vec<(i64, BucketEntry)>,
        min_count: u64,
        ends: Option<(i64, i64)>,
    ) -> Result<Vec<(i64, Option<BucketEntry>)>, SearchError> {
        if min_count > 0 {
            return Ok(found.into_iter().map(|(span, entry)| (span, Some(entry))).collect());
        }
        let inner = found.first().zip(found.last()).map(|(first, last)| (first.0, last.0));
        let (first, last) = match (inner, ends) {
            (None, None) => return Ok(Vec::new()),
            (Some(ends), None) | (None, Some(ends)) => ends,
            (Some(inner), Some(ends)) => (inner.0.min(ends.0), inner.1.max(ends.1)),
        };
        let number = i128::from(last).saturating_sub(i128::from(first)).saturating_add(1);
        let given = usize::try_from(number).unwrap_or(usize::MAX);
        let refuse = |what, given, limit| Err(SearchError::Limit { what, given, limit });
        if given > MAX_BUCKETS {
            return refuse("number of histogram buckets", given, MAX_BUCKETS);
        }
        if given > self.room {
            let all = MAX_ALL_BUCKETS.saturating_sub(self.room).saturating_add(given);
            return refuse("number of buckets of all aggregations", all, MAX_ALL_BUCKETS);
        }
        self.room = self.room.saturating_sub(given);
        let mut out: Vec<_> = (first..=last).map(|span| (span, None)).collect();
        for (span, entry) in found {
            let position = usize::try_from(span.saturating_sub(first)).ok();
            if let Some(slot) = position.and_then(|position| out.get_mut(position)) {
                slot.1 = Some(entry);
            }
        }
        Ok(out)
    }
}

fn buckets(result: Option<AggregationResult>) -> Vec<BucketEntry> {
    use tantivy::aggregation::agg_result::BucketEntries;
    match result {
        Some(AggregationResult::BucketResult(BucketResult::Histogram {
            buckets: BucketEntries::Vec(buckets),
        })) => buckets,
        Some(AggregationResult::BucketResult(BucketResult::Range {
            buckets: BucketEntries::Vec(buckets),
        })) => {
            let plain = |one: RangeBucketEntry| BucketEntry {
                key_as_string: None,
                key: one.key,
                doc_count: one.doc_count,
                sub_aggregation: one.sub_aggregation,
            };
            buckets.into_iter().map(plain).collect()
        }
        _ => Vec::new(),
    }
}

fn counted(entry: BucketEntry) -> (u64, AggregationResults) {
    (entry.doc_count, entry.sub_aggregation)
}

fn filtered(result: Option<AggregationResult>) -> (u64, AggregationResults) {
    match result {
        Some(AggregationResult::BucketResult(BucketResult::Filter(found))) => {
            (found.doc_count, found.sub_aggregations)
        }
        _ => Default::default(),
    }
}

fn number(key: &Key) -> f64 {
    match key {
        Key::F64(float) => *float,
        #[expect(clippy::cast_precision_loss, reason = "keys of histograms are floats")]
        Key::I64(int) => *int as f64,
        #[expect(clippy::cast_precision_loss, reason = "keys of histograms are floats")]
        Key::U64(int) => *int as f64,
        Key::Str(_) => 0.0,
    }
}

/// The nearest integer; ends at those of the type.
#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
const fn whole(float: f64) -> i64 {
    float.round() as i64
}

fn figure(field: &str, metric: &Metric, result: Option<AggregationResult>) -> Aggregated {
    let dictionary = FieldRef::new(field);
    let times = dictionary.kind() == Some(FieldType::Date);
    let scale = if times { NANOS_PER_MS } else { 1.0 };
    let field = dictionary.name;
    if *metric == Metric::Count {
        #[expect(clippy::cast_precision_loss, reason = "a float is what figures are")]
        let value = Some(filtered(result).0 as f64);
        return Aggregated::Value { field, value, time: None, error: None };
    }
    let result = match result {
        Some(AggregationResult::MetricResult(result)) => Some(result),
        _ => None,
    };
    match (metric, result) {
        (Metric::Stats, Some(MetricResult::Stats(all))) => Aggregated::Stats {
            field,
            count: all.count,
            sum: all.sum,
            min: all.min,
            max: all.max,
            average: all.avg,
            squares: None,
        },
        (Metric::ExtendedStats, Some(MetricResult::ExtendedStats(all))) => {
            let squares = Squares {
                sum: all.sum_of_squares,
                variance: all.variance_population,
                // A single number is a sample of anything.
                variance_sampling: all
                    .variance_sampling
                    .filter(|one| one.is_finite() && all.count > 1),
            };
            let (count, sum) = (all.count, all.sum);
            let (min, max, average, squares) = (all.min, all.max, all.avg, Some(squares));
            Aggregated::Stats { field, count, sum, min, max, average, squares }
        }
        (Metric::Stats | Metric::ExtendedStats, _) => {
            let squares = (*metric == Metric::ExtendedStats).then(Squares::default);
            let (count, sum) = (0, 0.0);
            Aggregated::Stats { field, count, sum, min: None, max: None, average: None, squares }
        }
        (Metric::Percentiles(percents), result) => {
            let found = match result {
                Some(MetricResult::Percentiles(found)) => match found.values {
                    PercentileValues::Vec(values) => values,
                    PercentileValues::HashMap(_) => Vec::new(),
                },
                _ => Vec::new(),
            };
            let value = |position: usize| {
                found.get(position).map(|one| one.value / scale).filter(|value| value.is_finite())
            };
            let values = percents.iter().enumerate();
            let values = values.map(|(at, &percent)| Percentile { percent, value: value(at) });
            Aggregated::Percentiles { field, values: values.collect() }
        }
        (metric, result) => {
            let empty = matches!(metric, Metric::Sum | Metric::Distinct).then_some(0.0);
            let value = result.as_ref().map_or(empty, single);
            let (value, time) = if times && *metric != Metric::Distinct {
                let time = value.map(|nanos| Timestamp::from_micros(whole(nanos / 1000.0)));
                (value.map(|nanos| nanos / scale), time)
            } else {
                (value, None)
            };
            let error = (*metric == Metric::Distinct).then_some(DISTINCT_ERROR);
            Aggregated::Value { field, value, time, error }
        }
    }
}

const fn single(result: &MetricResult) -> Option<f64> {
    match result {
        MetricResult::Average(one)
        | MetricResult::Max(one)
        | MetricResult::Min(one)
        | MetricResult::Sum(one)
        | MetricResult::Cardinality(one) => one.value,
        _ => None,
    }
}
