//! Aggregations counted by hand over documents in memory.

use super::*;
use crate::search::Matcher;
use crate::search::aggregate::{
    DateBucket, NamedBucket, NumberBucket, Percentile, Results, Squares, TermBucket, ValueKind,
};
use crate::search::calendar::{Step, begins, borders};
use crate::search::plan::FieldRef;
use crate::search::value::{self, Number, Value as Typed};
use event::FieldType;

/// The values of a field that are in its column, as they are grouped: kind, text, and number.
fn values(document: &Document, name: &str) -> Vec<(ValueKind, String, Option<f64>)> {
    let field = FieldRef::new(name);
    let own = field.kind().filter(|kind| {
        matches!(kind, FieldType::Keyword | FieldType::Text | FieldType::Ip | FieldType::Date)
    });
    let mut out = Vec::new();
    value::visit(document, &mut |found, _, value| {
        if found != field.name || own.is_some_and(|kind| !value::fits(kind, &value)) {
            return;
        }
        let one = match value {
            Typed::Keyword(text) | Typed::Text(text) => (ValueKind::Text, text.into_owned(), None),
            Typed::Ip(ip) => (ValueKind::Text, ip.to_canonical().to_string(), None),
            Typed::Bool(truth) => (ValueKind::Bool, truth.to_string(), None),
            Typed::Date(micros) => (ValueKind::Text, micros.to_string(), Some(micros as f64)),
            Typed::Number(number) => {
                let text = match number {
                    Number::Int(int) => int.to_string(),
                    Number::Big(big) => big.to_string(),
                    Number::Float(float) => float.to_string(),
                };
                (ValueKind::Number, text, Some(number.as_f64()))
            }
        };
        out.push(one);
    });
    out
}

#[expect(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]
fn whole(number: f64) -> i64 {
    number.round() as i64
}

fn numbers(documents: &[&Document], name: &str) -> Vec<f64> {
    documents.iter().flat_map(|d| values(d, name)).filter_map(|(_, _, number)| number).collect()
}

fn below(named: &Named, documents: &[&Document]) -> Results {
    named.iter().map(|(name, below)| (name.clone(), one(below, documents))).collect()
}

fn named(query: (String, &Matcher), below_: &Named, documents: &[&Document]) -> NamedBucket {
    let inside: Vec<&Document> = documents.iter().copied().filter(|d| query.1.matches(d)).collect();
    NamedBucket { name: query.0, count: inside.len() as u64, aggregations: below(below_, &inside) }
}

/// The answer.
pub(super) fn one(aggregation: &Aggregation, documents: &[&Document]) -> Aggregated {
    match aggregation {
        Aggregation::Histogram { .. } => panic!("not here"),
        Aggregation::Terms { .. } => terms(aggregation, documents),
        Aggregation::DateHistogram {
            field,
            interval_ms,
            calendar,
            time_zone,
            offset_ms,
            min_count,
            bounds,
            aggregations,
            ..
        } => {
            let step = calendar.map_or_else(
                || Step::Width(i64::try_from(*interval_ms).unwrap() * 1000),
                Step::Unit,
            );
            let shift = offset_ms * 1000;
            let start = |micros: i64| begins(step, time_zone, micros - shift) + shift;
            let mut spans = spans(documents, field, |number| start(whole(number)));
            if *min_count == 0 {
                let mut ends: Vec<i64> = spans.keys().copied().collect();
                ends.extend(bounds.iter().flat_map(|(low, high)| [low * 1000, high * 1000]));
                if let (Some(low), Some(high)) = (ends.iter().min(), ends.iter().max()) {
                    let all = borders(step, time_zone, (*low, *high), (shift, 10_000)).unwrap();
                    all[..all.len() - 1].iter().for_each(|start| {
                        spans.entry(*start).or_default();
                    });
                }
            }
            let buckets = spans.into_iter().map(|(start, inside)| DateBucket {
                start: Timestamp::from_micros(start),
                count: inside.len() as u64,
                aggregations: below(aggregations, &inside),
            });
            Aggregated::DateHistogram {
                field: FieldRef::new(field).name,
                interval_ms: *interval_ms,
                buckets: buckets.collect(),
            }
        }
        Aggregation::NumberHistogram {
            field, interval, offset, min_count, aggregations, ..
        } => {
            let spans =
                spans(documents, field, |number| whole(((number - offset) / interval).floor()));
            let buckets = fill(spans, *min_count).into_iter().map(|(span, inside)| NumberBucket {
                start: span as f64 * interval + offset,
                count: inside.len() as u64,
                aggregations: below(aggregations, &inside),
            });
            Aggregated::NumberHistogram {
                field: FieldRef::new(field).name,
                interval: *interval,
                buckets: buckets.collect(),
            }
        }
        Aggregation::Ranges { field, ranges, aggregations } => {
            let matcher = |range: &Range| {
                let end = |end: &Option<String>| end.clone().unwrap_or_else(|| "*".to_owned());
                let (low, high) = (end(&range.from), end(&range.to));
                Matcher::new(&format!("{field}:[{low} TO {high}}}"), now()).unwrap()
            };
            let buckets =
                ranges.iter().map(|r| named((r.label(), &matcher(r)), aggregations, documents));
            Aggregated::Ranges { field: FieldRef::new(field).name, buckets: buckets.collect() }
        }
        Aggregation::Filters { filters, aggregations } => {
            let matcher = |filter: &Filter| Matcher::new(&filter.query, now()).unwrap();
            let buckets = filters
                .iter()
                .map(|f| named((f.name.clone(), &matcher(f)), aggregations, documents));
            Aggregated::Filters { buckets: buckets.collect() }
        }
        Aggregation::Metric { field, metric } => figure(field, metric, documents),
    }
}

type Spans<'a> = std::collections::BTreeMap<i64, Vec<&'a Document>>;

fn spans<'a>(documents: &[&'a Document], field: &str, span: impl Fn(f64) -> i64) -> Spans<'a> {
    let mut out = Spans::new();
    for document in documents {
        let found = values(document, field).into_iter().filter_map(|(_, _, number)| number);
        for span in found.map(&span).collect::<BTreeSet<i64>>() {
            out.entry(span).or_default().push(document);
        }
    }
    out
}

fn fill(spans: Spans<'_>, min_count: u64) -> Spans<'_> {
    let mut out = spans;
    if min_count > 0 {
        out.retain(|_, inside| inside.len() as u64 >= min_count);
        return out;
    }
    if let Some((first, last)) =
        out.first_key_value().zip(out.last_key_value()).map(|(a, b)| (*a.0, *b.0))
    {
        (first..=last).for_each(|span| {
            out.entry(span).or_default();
        });
    }
    out
}

/// How values are compared: text before truth before numbers.
fn compare(a: &TermBucket, b: &TermBucket) -> std::cmp::Ordering {
    let rank = |bucket: &TermBucket| match bucket.kind {
        ValueKind::Text => 0,
        ValueKind::Number if !bucket.value.contains('.') => 1,
        ValueKind::Bool => 2,
        ValueKind::Number => 3,
    };
    let number = |bucket: &TermBucket| match bucket.kind {
        ValueKind::Text => 0.0,
        ValueKind::Bool => f64::from(u8::from(bucket.value == "true")),
        ValueKind::Number => bucket.value.parse().unwrap(),
    };
    let text = |bucket: &TermBucket| match bucket.kind {
        ValueKind::Text => bucket.value.clone(),
        ValueKind::Number | ValueKind::Bool => String::new(),
    };
    rank(a).cmp(&rank(b)).then(number(a).total_cmp(&number(b))).then(text(a).cmp(&text(b)))
}

fn terms(aggregation: &Aggregation, documents: &[&Document]) -> Aggregated {
    let Aggregation::Terms { field, size, order, missing, min_count, aggregations } = aggregation
    else {
        panic!()
    };
    let mut groups: std::collections::BTreeMap<(String, bool), (ValueKind, Vec<&Document>)> =
        std::collections::BTreeMap::new();
    for &document in documents {
        let mut found: BTreeSet<(String, bool)> = BTreeSet::new();
        let mut kinds = std::collections::BTreeMap::new();
        for (kind, text, _) in values(document, field) {
            kinds.insert((text.clone(), kind == ValueKind::Text), kind);
            found.insert((text, kind == ValueKind::Text));
        }
        if let (true, Some(missing)) = (found.is_empty(), missing) {
            let missing = format!("{missing}\u{0}");
            kinds.insert((missing.clone(), true), ValueKind::Text);
            found.insert((missing, true));
        }
        for key in found {
            let kind = kinds[&key];
            groups.entry(key).or_insert((kind, Vec::new())).1.push(document);
        }
    }
    let mut buckets: Vec<TermBucket> = groups
        .into_iter()
        .filter(|(_, (_, inside))| inside.len() as u64 >= *min_count)
        .map(|((value, _), (kind, inside))| TermBucket {
            value,
            kind,
            count: inside.len() as u64,
            aggregations: below(aggregations, &inside),
        })
        .collect();
    buckets.sort_by(|a, b| {
        let first = match order.by {
            OrderBy::Count => a.count.cmp(&b.count),
            OrderBy::Value => compare(a, b),
            OrderBy::Metric(_) => panic!("not here"),
        };
        let first = if order.ascending { first } else { first.reverse() };
        first.then(compare(a, b))
    });
    for bucket in &mut buckets {
        bucket.value = bucket.value.trim_end_matches('\0').to_owned();
    }
    let rest = buckets.split_off((*size).min(buckets.len()));
    Aggregated::Terms {
        field: FieldRef::new(field).name,
        other: rest.iter().map(|bucket| bucket.count).sum(),
        buckets,
        error: 0,
    }
}

fn squares(all: &[f64]) -> Squares {
    let count = all.len() as f64;
    let some = |value: f64, least: usize| (all.len() >= least).then_some(value);
    let mean = all.iter().sum::<f64>() / count;
    let apart: f64 = all.iter().map(|one| (one - mean).powi(2)).sum();
    Squares {
        sum: some(all.iter().map(|one| one * one).sum(), 1),
        variance: some(apart / count, 1),
        variance_sampling: some(apart / (count - 1.0), 2),
    }
}

fn figure(name: &str, metric: &Metric, documents: &[&Document]) -> Aggregated {
    let field = FieldRef::new(name).name;
    let times = FieldRef::new(name).kind() == Some(FieldType::Date);
    let exists = Matcher::new(&format!("{name}:*"), now()).unwrap();
    let all = numbers(documents, name);
    let least = all.iter().copied().min_by(f64::total_cmp);
    let most = all.iter().copied().max_by(f64::total_cmp);
    let sum: f64 = all.iter().sum();
    let average = (!all.is_empty()).then(|| sum / all.len() as f64);
    let value = match metric {
        Metric::Count => Some(documents.iter().filter(|d| exists.matches(d)).count() as f64),
        Metric::Sum => Some(sum),
        Metric::Average => average,
        Metric::Min => least,
        Metric::Max => most,
        Metric::Distinct => {
            let all = documents.iter().flat_map(|d| values(d, name));
            let all: BTreeSet<(bool, String)> =
                all.map(|(kind, text, _)| (kind == ValueKind::Text, text)).collect();
            Some(all.len() as f64)
        }
        Metric::Stats | Metric::ExtendedStats => {
            let squares = (*metric == Metric::ExtendedStats).then(|| squares(&all));
            return Aggregated::Stats {
                field,
                count: all.len() as u64,
                sum,
                min: least,
                max: most,
                average,
                squares,
            };
        }
        Metric::Percentiles(percents) => {
            let mut all = all;
            all.sort_by(f64::total_cmp);
            let last = (all.len().max(1) - 1) as f64;
            let at =
                |percent: f64| usize::try_from(whole((percent / 100.0 * last).floor())).unwrap();
            let values = percents
                .iter()
                .map(|&percent| Percentile { percent, value: all.get(at(percent)).copied() });
            return Aggregated::Percentiles { field, values: values.collect() };
        }
    };
    if times && !matches!(metric, Metric::Count | Metric::Distinct) {
        let time = value.map(|micros| Timestamp::from_micros(whole(micros)));
        return Aggregated::Value {
            field,
            value: value.map(|micros| micros / 1000.0),
            time,
            error: None,
        };
    }
    let error = (*metric == Metric::Distinct).then_some(crate::search::aggregate::DISTINCT_ERROR);
    Aggregated::Value { field, value, time: None, error }
}

/// Compares answers, estimates with their tolerance.
pub(super) fn same(found: &Aggregated, expected: &Aggregated) {
    let mut found = serde_json::to_value(found).unwrap();
    let mut expected = serde_json::to_value(expected).unwrap();
    estimates(&mut found, &mut expected);
    assert_eq!(found, expected, "\n{found}\n{expected}");
}

/// Makes numbers equal that differ by no more than an estimate may.
fn estimates(found: &mut Value, expected: &mut Value) {
    match (&mut *found, &mut *expected) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a.iter_mut() {
                if let Some(other) = b.get_mut(key) {
                    estimates(value, other);
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            a.iter_mut().zip(b).for_each(|(a, b)| estimates(a, b));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            let integers = a.fract() == 0.0 && b.fract() == 0.0;
            if !integers && (a - b).abs() <= b.abs() * 0.02 {
                *found = expected.clone();
            }
        }
        _ => {}
    }
}
