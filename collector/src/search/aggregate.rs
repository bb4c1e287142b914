//! Groupings of the hits: a tree of buckets and metrics, and its results.
//!
//! What is asked and answered, independent of any store and of any protocol: the search API takes and
//! gives these types as JSON, the Elasticsearch surface translates to and from them. Not here: how a
//! store finds the answer. An event with several values of a field counts once for each different one.

use std::collections::BTreeMap;

use event::Timestamp;
use serde::{Deserialize, Serialize};

use super::Node;
use super::calendar::{Unit, Zone};

mod check;
mod zone_name;

pub use check::check;

/// Most aggregations of one request, at all levels, each filter and range counted.
pub const MAX_AGGREGATIONS: usize = 64;
/// Deepest level of an aggregation; one that stands alone is at level 1.
pub const MAX_DEPTH: usize = 8;
/// Relative standard error of a number of different values: 1.04 / sqrt(2^11), that of HyperLogLog with
/// 2,048 registers. Source: Flajolet and others, "HyperLogLog", 2007. One answer in three is further off.
pub const DISTINCT_ERROR: f64 = 0.023;
/// Longest width of a bucket of time, milliseconds (100 years).
pub const MAX_INTERVAL_MS: u64 = 3_155_760_000_000;

/// Aggregations below a bucket, by their names.
pub type Named = BTreeMap<String, Aggregation>;

/// A grouping of the hits, or a figure over them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Aggregation {
    /// Number of events per span of time; at the first level only.
    Histogram {
        /// Width of a bucket in seconds; `None` picks one giving about 60 buckets.
        #[serde(default)]
        interval_seconds: Option<u64>,
    },
    /// The values of a field, by default the most frequent.
    Terms {
        /// Field, EVE or ECS name.
        field: String,
        /// How many values.
        size: usize,
        /// Which values come first.
        #[serde(default)]
        order: Order,
        /// Text that events without a value count under, in a bucket of their own even when there
        /// is such a value; without it they are left out.
        #[serde(default)]
        missing: Option<String>,
        /// Values of fewer events are left out.
        #[serde(default = "one")]
        min_count: u64,
        /// Below each value.
        #[serde(default)]
        aggregations: Named,
    },
    /// Spans of time of one width, or as the calendar has them.
    DateHistogram {
        /// Field of times.
        #[serde(default = "timestamp")]
        field: String,
        /// Width of a bucket, milliseconds; 0 with `calendar`.
        #[serde(default)]
        interval_ms: u64,
        /// Span of the calendar, instead of a width.
        #[serde(default)]
        calendar: Option<Unit>,
        /// Zone whose midnight buckets are counted from.
        #[serde(default, with = "zone_name")]
        time_zone: Zone,
        /// By how much later buckets begin, milliseconds.
        #[serde(default)]
        offset_ms: i64,
        /// Buckets of fewer events are left out; with 0 empty ones between others are listed.
        #[serde(default)]
        min_count: u64,
        /// First and last time, milliseconds since the epoch, that have buckets even when empty.
        #[serde(default)]
        bounds: Option<(i64, i64)>,
        /// Where spans begin and the last one ends, microseconds, once a store has worked it out.
        #[serde(skip)]
        borders: Vec<i64>,
        /// Below each span.
        #[serde(default)]
        aggregations: Named,
    },
    /// Spans of numbers of one width.
    NumberHistogram {
        /// Field of numbers.
        field: String,
        /// Width of a bucket.
        interval: f64,
        /// Where buckets begin, after whole multiples of the width.
        #[serde(default)]
        offset: f64,
        /// Buckets of fewer events are left out; with 0 empty ones between others are listed.
        #[serde(default)]
        min_count: u64,
        /// First and last number that have buckets even when empty.
        #[serde(default)]
        bounds: Option<(f64, f64)>,
        /// Below each span.
        #[serde(default)]
        aggregations: Named,
    },
    /// Spans of values from and to given ones; they may overlap.
    Ranges {
        /// Field of numbers, times, addresses or keywords.
        field: String,
        /// The spans.
        ranges: Vec<Range>,
        /// Below each.
        #[serde(default)]
        aggregations: Named,
    },
    /// Events that match queries; an event counts under each it matches.
    Filters {
        /// The queries.
        filters: Vec<Filter>,
        /// Below each.
        #[serde(default)]
        aggregations: Named,
    },
    /// A figure over the values of a field.
    Metric {
        /// Field, EVE or ECS name.
        field: String,
        /// Which figure.
        metric: Metric,
    },
}

const fn one() -> u64 {
    1
}

fn timestamp() -> String {
    "timestamp".to_owned()
}

impl Aggregation {
    /// The most frequent values of a field.
    #[must_use]
    pub fn terms(field: &str, size: usize) -> Self {
        Self::Terms {
            field: field.to_owned(),
            size,
            order: Order::default(),
            missing: None,
            min_count: 1,
            aggregations: Named::new(),
        }
    }

    /// Spans of time of one width, counted from midnight UTC, all of them listed.
    #[must_use]
    pub fn spans(field: &str, interval_ms: u64) -> Self {
        Self::DateHistogram {
            field: field.to_owned(),
            interval_ms,
            calendar: None,
            time_zone: Zone::utc(),
            offset_ms: 0,
            min_count: 0,
            bounds: None,
            borders: Vec::new(),
            aggregations: Named::new(),
        }
    }

    /// What stands below each of its buckets, to be changed.
    #[must_use]
    pub const fn below_mut(&mut self) -> Option<&mut Named> {
        match self {
            Self::Terms { aggregations, .. }
            | Self::DateHistogram { aggregations, .. }
            | Self::NumberHistogram { aggregations, .. }
            | Self::Ranges { aggregations, .. }
            | Self::Filters { aggregations, .. } => Some(aggregations),
            Self::Histogram { .. } | Self::Metric { .. } => None,
        }
    }

    /// What stands below each of its buckets.
    #[must_use]
    pub const fn below(&self) -> Option<&Named> {
        match self {
            Self::Terms { aggregations, .. }
            | Self::DateHistogram { aggregations, .. }
            | Self::NumberHistogram { aggregations, .. }
            | Self::Ranges { aggregations, .. }
            | Self::Filters { aggregations, .. } => Some(aggregations),
            Self::Histogram { .. } | Self::Metric { .. } => None,
        }
    }
}

/// Which buckets of values come first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What is compared.
    #[serde(default)]
    pub by: OrderBy,
    /// Smallest first.
    #[serde(default)]
    pub ascending: bool,
}

/// What buckets of values are compared by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderBy {
    /// Number of events.
    #[default]
    Count,
    /// The value itself.
    Value,
    /// A sum, average, smallest, largest or number of different values below, by its name. Over
    /// fields with very many values the order is an estimate, as each part of the index gives its best.
    Metric(String),
}

/// One span of [`Aggregation::Ranges`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Its name in the answer; `None` makes one of its ends.
    #[serde(default)]
    pub name: Option<String>,
    /// Least value, as in a query; `None` has no end below.
    #[serde(default)]
    pub from: Option<String>,
    /// First value above; `None` has no end.
    #[serde(default)]
    pub to: Option<String>,
}

impl Range {
    /// Its name in the answer.
    #[must_use]
    pub fn label(&self) -> String {
        let end = |end: &Option<String>| end.clone().unwrap_or_else(|| "*".to_owned());
        self.name.clone().unwrap_or_else(|| format!("{}-{}", end(&self.from), end(&self.to)))
    }
}

/// One query of [`Aggregation::Filters`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Its name in the answer.
    pub name: String,
    /// Query text; empty or `*` is everything.
    #[serde(default)]
    pub query: String,
    /// A compiled query that must match too.
    #[serde(skip)]
    pub node: Option<Node>,
}

/// A figure over the values of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Events that have a value.
    Count,
    /// Sum of numbers; 0 of none.
    Sum,
    /// Mean of numbers or times.
    Average,
    /// Smallest number or earliest time.
    Min,
    /// Largest number or latest time.
    Max,
    /// Number of different values, an estimate ([`DISTINCT_ERROR`]). A whole number may count
    /// twice in a field that has fractions, too, as parts of the index keep it in another form.
    Distinct,
    /// Number of values, sum, smallest, largest and mean of numbers, at once.
    Stats,
    /// The same with sum of squares and variance.
    ExtendedStats,
    /// Values below which these percentages of all lie, estimates (DDSketch, about 1 %).
    Percentiles(Vec<f64>),
}

impl Metric {
    const fn name(&self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Average => "average",
            Self::Min => "min",
            Self::Max => "max",
            Self::Distinct => "distinct",
            Self::Stats => "stats",
            Self::ExtendedStats => "extended_stats",
            Self::Percentiles(_) => "percentiles",
        }
    }

    /// Whether values can be ordered by it.
    const fn orders(&self) -> bool {
        matches!(self, Self::Sum | Self::Average | Self::Min | Self::Max | Self::Distinct)
    }
}

/// Results below a bucket, by their names.
pub type Results = BTreeMap<String, Aggregated>;

/// One bucket of a timeline; empty ones between the first and the last are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeBucket {
    /// Start of the span.
    pub start: Timestamp,
    /// Events in it.
    pub count: u64,
}

/// What a value was before it became text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// Text or address.
    #[default]
    Text,
    /// Number.
    Number,
    /// `true` or `false`.
    Bool,
}

impl ValueKind {
    fn is_text(&self) -> bool {
        *self == Self::Text
    }
}

/// One value of a terms grouping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermBucket {
    /// The value as text.
    pub value: String,
    /// What it is; left out of JSON for text.
    #[serde(default, skip_serializing_if = "ValueKind::is_text")]
    pub kind: ValueKind,
    /// Events having it.
    pub count: u64,
    /// Below it.
    #[serde(default, skip_serializing_if = "Results::is_empty")]
    pub aggregations: Results,
}

/// One span of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DateBucket {
    /// Its start.
    pub start: Timestamp,
    /// Events in it.
    pub count: u64,
    /// Below it.
    #[serde(default, skip_serializing_if = "Results::is_empty")]
    pub aggregations: Results,
}

/// One span of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberBucket {
    /// Its start.
    pub start: f64,
    /// Events in it.
    pub count: u64,
    /// Below it.
    #[serde(default, skip_serializing_if = "Results::is_empty")]
    pub aggregations: Results,
}

/// One filter or range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedBucket {
    /// Its name.
    pub name: String,
    /// Events in it.
    pub count: u64,
    /// Below it.
    #[serde(default, skip_serializing_if = "Results::is_empty")]
    pub aggregations: Results,
}

/// One percentile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentile {
    /// Percentage asked for.
    pub percent: f64,
    /// Value below which that many lie; `None` without any value. Times in milliseconds.
    pub value: Option<f64>,
}

/// What squares of numbers tell of them; none of the figures without any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Squares {
    /// Sum of the squares.
    pub sum: Option<f64>,
    /// Mean square distance from the mean.
    pub variance: Option<f64>,
    /// The same of the whole from which the numbers are a sample; none of a single number.
    pub variance_sampling: Option<f64>,
}

/// Result of one aggregation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Aggregated {
    /// Of [`Aggregation::Histogram`].
    Histogram {
        /// Width of a bucket, seconds.
        interval_seconds: u64,
        /// Ascending by time.
        buckets: Vec<TimeBucket>,
    },
    /// Of [`Aggregation::Terms`].
    Terms {
        /// Field as stored.
        field: String,
        /// In the order asked for.
        buckets: Vec<TermBucket>,
        /// Events (each once for each of its values) outside the listed values.
        other: u64,
        /// At most this much is missing from a listed count, because a value was not among the
        /// first of each part of the index; 0 is left out.
        #[serde(default, skip_serializing_if = "is_zero")]
        error: u64,
    },
    /// Of [`Aggregation::DateHistogram`].
    DateHistogram {
        /// Field as stored.
        field: String,
        /// Width of a bucket, milliseconds; 0 when the calendar says it.
        interval_ms: u64,
        /// Ascending.
        buckets: Vec<DateBucket>,
    },
    /// Of [`Aggregation::NumberHistogram`].
    NumberHistogram {
        /// Field as stored.
        field: String,
        /// Width of a bucket.
        interval: f64,
        /// Ascending.
        buckets: Vec<NumberBucket>,
    },
    /// Of [`Aggregation::Ranges`].
    Ranges {
        /// Field as stored.
        field: String,
        /// In the order of the request.
        buckets: Vec<NamedBucket>,
    },
    /// Of [`Aggregation::Filters`].
    Filters {
        /// In the order of the request.
        buckets: Vec<NamedBucket>,
    },
    /// Of a metric that is one figure.
    Value {
        /// Field as stored.
        field: String,
        /// The figure; `None` without any value. Times in milliseconds since the epoch.
        value: Option<f64>,
        /// The figure as a time, of fields of times.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time: Option<Timestamp>,
        /// Relative standard error of a figure that is an estimate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<f64>,
    },
    /// Of [`Metric::Stats`]; of times in milliseconds since the epoch.
    Stats {
        /// Field as stored.
        field: String,
        /// Number of values.
        count: u64,
        /// Their sum.
        sum: f64,
        /// The smallest.
        min: Option<f64>,
        /// The largest.
        max: Option<f64>,
        /// Their mean.
        average: Option<f64>,
        /// Of [`Metric::ExtendedStats`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        squares: Option<Squares>,
    },
    /// Of [`Metric::Percentiles`].
    Percentiles {
        /// Field as stored.
        field: String,
        /// In the order of the request.
        values: Vec<Percentile>,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
