//! Aggregations as clients of Elasticsearch ask for them, into ours and back.
//!
//! Supported are `terms`, `date_histogram`, `histogram`, `range`, `date_range`, `filters`, `filter`,
//! `missing` and the metrics `avg`, `sum`, `min`, `max`, `stats`, `extended_stats`, `value_count`,
//! `cardinality` and `percentiles`; below histograms `derivative`, `serial_diff`, `cumulative_sum`, `moving_fn`
//! and `bucket_script` ([`pipeline`]). Every other type and key is refused by name. `value_count` counts events
//! that have a value. Source: Elasticsearch reference, Aggregations.

use std::collections::BTreeMap;

use event::Timestamp;
use serde_json::Value;

use super::Wrong;
use super::dsl::times::{Times, width};
use super::dsl::{field, query};
use super::read::{Keys, scalar};
use crate::search::aggregate::{Filter, Metric, Named, Order, OrderBy, Range};
use crate::search::calendar::Unit;
use crate::search::{Aggregation, Node};

mod answer;
mod pipeline;

pub(super) use answer::answer;
use pipeline::Pipeline;

/// Deepest nesting; the search has its own limit, this one keeps reading shallow.
const MAX_DEPTH: usize = 16;

/// How the answer of an aggregation is written, besides what it holds.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// Values, buckets of numbers, metrics: nothing to know.
    Plain,
    /// Spans of time, and how their keys are written as text.
    Dates(Times),
    /// Ranges: their ends as given, as numbers where they are, and whether by name.
    Ranges { ends: Vec<(Option<f64>, Option<f64>)>, keyed: bool, dates: bool },
    /// Filters by name, or one after the other.
    Filters { keyed: bool },
    /// A single filter.
    Filter,
    /// Bounds of so many standard deviations.
    Deviations { sigma: f64 },
    /// Percentiles by name, or one after the other.
    Percentiles { keyed: bool },
}

/// How an aggregation and those below it are written.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    form: Form,
    below: Shapes,
    /// What is worked out over its buckets.
    pipelines: Vec<Pipeline>,
}

/// Shapes by name.
pub(super) type Shapes = BTreeMap<String, Shape>;

/// Reads the aggregations of a request, by name.
///
/// # Errors
/// [`Wrong`] that names the place.
pub(super) fn read(json: Value, now: Timestamp) -> Result<(Named, Shapes), Wrong> {
    let (named, shapes, pipelines) = Reader { now, depth: 0 }.all("aggs", json)?;
    match pipelines.first() {
        None => Ok((named, shapes)),
        Some(one) => {
            let words = "must stand below the histogram over whose buckets it goes";
            Err(Wrong::argument(format!("[aggs.{}] {words}", one.name())))
        }
    }
}

struct Reader {
    now: Timestamp,
    depth: usize,
}

/// What stands beside each other in one place.
type Below = (Named, Shapes, Vec<Pipeline>);

/// An aggregation read, but for what stands below it.
type Read = (Aggregation, Form);

impl Reader {
    fn all(&mut self, at: &str, json: Value) -> Result<Below, Wrong> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(Wrong::argument(format!(
                "aggregations are nested deeper than {MAX_DEPTH}"
            )));
        }
        let (mut named, mut shapes) = (Named::new(), Shapes::new());
        let mut over_buckets = Vec::new();
        for (name, json) in Keys::of(at, json)?.entries() {
            if let Some((kind, body)) = over(&json) {
                over_buckets.push((name, kind.clone(), body.clone()));
                continue;
            }
            let at = format!("{at}.{name}");
            let (aggregation, shape) = self.one(&at, json)?;
            named.insert(name.clone(), aggregation);
            shapes.insert(name, shape);
        }
        self.depth = self.depth.saturating_sub(1);
        let pipelines = pipeline::read(at, over_buckets, &named)?;
        Ok((named, shapes, pipelines))
    }

    fn one(&mut self, at: &str, json: Value) -> Result<(Aggregation, Shape), Wrong> {
        let mut keys = Keys::of(at, json)?;
        let below = match (keys.take("aggs"), keys.take("aggregations")) {
            (Some(_), Some(_)) => {
                return Err(Wrong::parsing(format!("[{at}] has both [aggs] and [aggregations]")));
            }
            (Some(json), None) | (None, Some(json)) => self.all(at, json)?,
            (None, None) => Default::default(),
        };
        let (kind, body) = keys.only()?;
        let (mut aggregation, form) = self.kind(&kind, &format!("{at}.{kind}"), body)?;
        pipeline::allowed(at, &below.2, &aggregation)?;
        match aggregation.below_mut() {
            Some(slot) => *slot = below.0,
            None if below.0.is_empty() => {}
            None => {
                return Err(Wrong::parsing(format!("[{at}] cannot have aggregations below it")));
            }
        }
        Ok((aggregation, Shape { form, below: below.1, pipelines: below.2 }))
    }

    fn kind(&self, kind: &str, at: &str, body: Value) -> Result<Read, Wrong> {
        let metric = match kind {
            "avg" => Some(Metric::Average),
            "sum" => Some(Metric::Sum),
            "min" => Some(Metric::Min),
            "max" => Some(Metric::Max),
            "stats" => Some(Metric::Stats),
            "value_count" => Some(Metric::Count),
            "cardinality" => Some(Metric::Distinct),
            _ => None,
        };
        if kind == "filter" {
            let node = query(body, self.now).map_err(|wrong| wrong.at(at))?;
            return Ok((single(node), Form::Filter));
        }
        let mut keys = Keys::of(at, body)?;
        let read = match (metric, kind) {
            (Some(metric), _) => {
                let field = named_field(&mut keys)?;
                keys.number("precision_threshold")?;
                keys.text("format")?;
                Ok((Aggregation::Metric { field, metric }, Form::Plain))
            }
            (None, "percentiles") => percentiles(&mut keys),
            (None, "extended_stats") => extended(&mut keys),
            (None, "terms") => terms(&mut keys),
            (None, "date_histogram") => self.dates(&mut keys),
            (None, "histogram") => numbers(&mut keys),
            (None, "range" | "date_range") => self.ranges(&mut keys, kind == "date_range"),
            (None, "filters") => self.filters(&mut keys),
            (None, "missing") => {
                let field = crate::search::plan::FieldRef::new(&named_field(&mut keys)?);
                let exists = Node::Leaf(crate::search::plan::Leaf::Exists(field));
                Ok((single(Node::Not(Box::new(exists))), Form::Filter))
            }
            (None, other) => {
                let other: String = other.chars().take(64).collect();
                Err(Wrong::argument(format!("[{at}]: aggregation [{other}] is not supported")))
            }
        }?;
        keys.finish()?;
        Ok(read)
    }

    fn dates(&self, keys: &mut Keys) -> Result<Read, Wrong> {
        let field = named_field(keys)?;
        let (interval_ms, calendar) = interval(keys)?;
        let offset = keys.text("offset")?.unwrap_or_default();
        let offset_ms = signed(&offset).ok_or_else(|| {
            Wrong::parsing(format!("[{}.offset] must be a width such as -6h", keys.at()))
        })?;
        let format = Times::read(keys)?;
        let min_count = keys.number("min_doc_count")?.unwrap_or(0);
        keys.only_flag("keyed", false)?;
        ascending(keys)?;
        let bounds = match keys.take("extended_bounds") {
            None => None,
            Some(json) => {
                let mut ends = Keys::of("extended_bounds", json)?;
                let mut end = |key: &str, last| match ends.take(key) {
                    None => Ok(None),
                    Some(value) => format.micros(key, &value, (last, self.now)).map(Some),
                };
                let (low, high) = (end("min", false)?, end("max", true)?);
                ends.finish()?;
                low.zip(high).map(|(low, high)| (low.div_euclid(1000), high.div_euclid(1000)))
            }
        };
        let offset_ms = match calendar {
            Some(_) => offset_ms,
            None => offset_ms.rem_euclid(i64::try_from(interval_ms).unwrap_or(i64::MAX).max(1)),
        };
        // Empty buckets are not listed then, so no bounds can want them.
        let bounds = bounds.filter(|_| min_count == 0);
        let aggregations = Named::new();
        let read = Aggregation::DateHistogram {
            field,
            interval_ms,
            calendar,
            time_zone: format.zone.clone(),
            offset_ms,
            min_count,
            bounds,
            borders: Vec::new(),
            aggregations,
        };
        Ok((read, Form::Dates(format)))
    }

    fn ranges(&self, keys: &mut Keys, dates: bool) -> Result<Read, Wrong> {
        let field = named_field(keys)?;
        let format = if dates { Times::read(keys)? } else { Times::default() };
        let keyed = keys.flag("keyed")?.unwrap_or(false);
        let list = keys.take("ranges");
        let Value::Array(list) = keys.must("ranges", list)? else {
            return Err(Wrong::parsing(format!("[{}.ranges] must be a list", keys.at())));
        };
        let (mut ranges, mut ends) = (Vec::new(), Vec::new());
        for json in list {
            let mut one = Keys::of("ranges", json)?;
            let name = one.text("key")?;
            let mut end = |key: &str| -> Result<(Option<String>, Option<f64>), Wrong> {
                let Some(value) = one.take(key) else { return Ok((None, None)) };
                if dates {
                    let micros = format.micros(key, &value, (false, self.now))?;
                    #[expect(clippy::cast_precision_loss, reason = "milliseconds are below 2^53")]
                    let millis = micros.div_euclid(1000) as f64;
                    return Ok((Some(Timestamp::from_micros(micros).to_string()), Some(millis)));
                }
                let text = scalar(&value)
                    .ok_or_else(|| Wrong::parsing(format!("[ranges.{key}] must be a scalar")))?;
                let number = text.parse().ok();
                Ok((Some(text), number))
            };
            let (from, to) = (end("from")?, end("to")?);
            one.finish()?;
            ends.push((from.1, to.1));
            ranges.push(Range { name, from: from.0, to: to.0 });
        }
        let read = Aggregation::Ranges { field, ranges, aggregations: Named::new() };
        Ok((read, Form::Ranges { ends, keyed, dates }))
    }

    fn filters(&self, keys: &mut Keys) -> Result<Read, Wrong> {
        let given = keys.take("filters");
        let at = format!("{}.filters", keys.at());
        let (list, keyed): (Vec<(String, Value)>, bool) = match keys.must("filters", given)? {
            Value::Array(list) => {
                let numbered = list.into_iter().enumerate();
                (numbered.map(|(number, json)| (number.to_string(), json)).collect(), false)
            }
            other => (Keys::of(&at, other)?.entries().collect(), true),
        };
        keys.only_flag("other_bucket", false)?;
        let mut filters = Vec::with_capacity(list.len());
        for (name, json) in list {
            let node = query(json, self.now).map_err(|wrong| wrong.at(&at))?;
            filters.push(Filter { name, query: String::new(), node: Some(node) });
        }
        let read = Aggregation::Filters { filters, aggregations: Named::new() };
        Ok((read, Form::Filters { keyed }))
    }
}

/// The kind and the body of an aggregation over buckets, which has nothing below it.
fn over(json: &Value) -> Option<(&String, &Value)> {
    let map = json.as_object().filter(|map| map.len() == 1)?;
    map.iter().next().filter(|(kind, _)| pipeline::is_one(kind))
}

fn single(node: Node) -> Aggregation {
    let filter = Filter { name: String::new(), query: String::new(), node: Some(node) };
    Aggregation::Filters { filters: vec![filter], aggregations: Named::new() }
}

fn named_field(keys: &mut Keys) -> Result<String, Wrong> {
    let name = keys.text("field")?;
    keys.must("field", name).map(|name| field(&name))
}

fn percentiles(keys: &mut Keys) -> Result<Read, Wrong> {
    let field = named_field(keys)?;
    let keyed = keys.flag("keyed")?.unwrap_or(true);
    let percents = match keys.take("percents") {
        None => vec![1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0],
        Some(Value::Array(list)) => {
            let number = |value: &Value| scalar(value)?.parse().ok();
            let list: Option<Vec<f64>> = list.iter().map(number).collect();
            list.ok_or_else(|| Wrong::parsing(format!("[{}.percents] must be numbers", keys.at())))?
        }
        Some(_) => return Err(Wrong::parsing(format!("[{}.percents] must be a list", keys.at()))),
    };
    let metric = Metric::Percentiles(percents);
    Ok((Aggregation::Metric { field, metric }, Form::Percentiles { keyed }))
}

fn extended(keys: &mut Keys) -> Result<Read, Wrong> {
    let field = named_field(keys)?;
    keys.text("format")?;
    let sigma = keys.float("sigma")?.unwrap_or(2.0);
    if sigma < 0.0 {
        return Err(Wrong::parsing(format!("[{}.sigma] must not be below 0", keys.at())));
    }
    let metric = Metric::ExtendedStats;
    Ok((Aggregation::Metric { field, metric }, Form::Deviations { sigma }))
}

fn terms(keys: &mut Keys) -> Result<Read, Wrong> {
    let field = named_field(keys)?;
    let size = keys.number("size")?.unwrap_or(10);
    let missing = keys.scalar("missing")?;
    let min_count = keys.number("min_doc_count")?.unwrap_or(1);
    // Hints about how to work, not about the answer.
    keys.number("shard_size")?;
    keys.text("collect_mode")?;
    keys.text("execution_hint")?;
    keys.flag("show_term_doc_count_error")?;
    let order = match keys.take("order") {
        None => Order::default(),
        Some(Value::Array(list)) => {
            let mut list = list.into_iter();
            let first = list.next().map(|one| order(keys, one)).transpose()?;
            for further in list {
                // What equals is in the order of its values anyway.
                if order(keys, further)? != (Order { by: OrderBy::Value, ascending: true }) {
                    let words = "supports one [order], and {\"_key\": \"asc\"} behind it";
                    return Err(Wrong::argument(format!("[{}] {words}", keys.at())));
                }
            }
            first.unwrap_or_default()
        }
        Some(one) => order(keys, one)?,
    };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let aggregations = Named::new();
    let read = Aggregation::Terms { field, size, order, missing, min_count, aggregations };
    Ok((read, Form::Plain))
}

fn order(keys: &Keys, json: Value) -> Result<Order, Wrong> {
    let at = format!("{}.order", keys.at());
    let (by, direction) = Keys::of(&at, json)?.only()?;
    let ascending = match direction.as_str() {
        Some("asc") => true,
        Some("desc") => false,
        _ => return Err(Wrong::parsing(format!("[{at}.{by}] must be asc or desc"))),
    };
    let by = match by.as_str() {
        "_count" => OrderBy::Count,
        "_key" | "_term" => OrderBy::Value,
        name => OrderBy::Metric(name.strip_suffix(".value").unwrap_or(name).to_owned()),
    };
    Ok(Order { by, ascending })
}

/// Buckets of numbers and times come in ascending order only.
fn ascending(keys: &mut Keys) -> Result<(), Wrong> {
    let Some(json) = keys.take("order") else { return Ok(()) };
    if order(keys, json)? == (Order { by: OrderBy::Value, ascending: true }) {
        return Ok(());
    }
    Err(Wrong::argument(format!("[{}] supports [order] only as {{\"_key\": \"asc\"}}", keys.at())))
}

fn numbers(keys: &mut Keys) -> Result<Read, Wrong> {
    let field = named_field(keys)?;
    let interval = keys.float("interval")?;
    let interval = keys.must("interval", interval)?;
    let offset = keys.float("offset")?.unwrap_or(0.0);
    let min_count = keys.number("min_doc_count")?.unwrap_or(0);
    keys.only_flag("keyed", false)?;
    ascending(keys)?;
    let bounds = match keys.take("extended_bounds") {
        None => None,
        Some(json) => {
            let mut ends = Keys::of("extended_bounds", json)?;
            let (low, high) = (ends.float("min")?, ends.float("max")?);
            ends.finish()?;
            low.zip(high).filter(|_| min_count == 0)
        }
    };
    let aggregations = Named::new();
    let read =
        Aggregation::NumberHistogram { field, interval, offset, min_count, bounds, aggregations };
    Ok((read, Form::Plain))
}

/// Width of spans of time, milliseconds, or what the calendar calls them.
fn interval(keys: &mut Keys) -> Result<(u64, Option<Unit>), Wrong> {
    let fixed = keys.scalar("fixed_interval")?;
    let calendar = keys.text("calendar_interval")?;
    let old = keys.scalar("interval")?;
    let (text, by_calendar) = match (fixed, calendar, old) {
        (Some(text), None, None) => (text, false),
        (None, Some(text), None) | (None, None, Some(text)) => (text, true),
        _ => {
            let words = "needs one of [fixed_interval] and [calendar_interval]";
            return Err(Wrong::parsing(format!("[{}] {words}", keys.at())));
        }
    };
    let unit = match text.as_str() {
        "day" | "1d" => Some(Unit::Day),
        "week" | "1w" => Some(Unit::Week),
        "month" | "1M" => Some(Unit::Month),
        "quarter" | "1q" => Some(Unit::Quarter),
        "year" | "1y" => Some(Unit::Year),
        _ => None,
    };
    if let Some(unit) = unit.filter(|_| by_calendar) {
        return Ok((0, Some(unit)));
    }
    let text = match text.as_str() {
        "second" if by_calendar => "1s",
        "minute" if by_calendar => "1m",
        "hour" if by_calendar => "1h",
        other => other,
    };
    let width = width(text).ok_or_else(|| {
        let words = "supports widths of ms, s, m, h, d and w, and 1d, 1w, 1M, 1q and 1y of the calendar, not";
        let text: String = text.chars().take(64).collect();
        Wrong::argument(format!("[{}] {words} [{text}]", keys.at()))
    })?;
    Ok((width, None))
}

/// A width with a sign; none is 0.
fn signed(text: &str) -> Option<i64> {
    if text.is_empty() || text == "0" {
        return Some(0);
    }
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let width = i64::try_from(width(text)?).ok()?;
    Some(if negative { width.saturating_neg() } else { width })
}
