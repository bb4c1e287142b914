//! Aggregations as the index library has them: the request of a tree, and its answer in our types.
//!
//! Fields go through their aliases to their own column or to the dynamic one; filters and ranges are
//! queries of ours. The library's names of aggregations are numbers, so that no name of a caller can
//! mean anything to it. Not here: the search around it ([`super::search`]); the timeline, which has a
//! collector of its own.

use std::sync::Arc;

use event::{FieldType, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tantivy::aggregation::agg_req::{
    Aggregation as Request, AggregationVariants as Variant, Aggregations,
};
use tantivy::aggregation::bucket::{
    CustomOrder, FilterAggregation, HistogramAggregation, Order as Direction, OrderTarget,
    QueryBuilder, RangeAggregation, RangeAggregationRange, TermsAggregation,
};
use tantivy::aggregation::metric::{
    AverageAggregation, CardinalityAggregationReq, ExtendedStatsAggregation, MaxAggregation,
    MinAggregation, PercentilesAggregationReq, StatsAggregation, SumAggregation,
};
use tantivy::aggregation::{AggregationLimitsGuard, Key};
use tantivy::query::Query;
use tantivy::schema::Schema;
use tantivy::tokenizer::TokenizerManager;

use super::collect::Deadline;
use super::query::{TOO_MANY_WORDS, build_until};
use super::search::both;
use crate::search::aggregate::{Filter, MAX_AGGREGATIONS, Metric, Named, Order, OrderBy, Range};
use crate::search::plan::{FieldRef, Leaf, compile as compile_text, range};
use crate::search::{Aggregation, MAX_BUCKETS, Node, SearchError, value};
use crate::store::index::schema::{DYNAMIC, Fields, has_column, placed};

mod answer;
mod calendar;

pub(in crate::store::index) use answer::Answers;
pub(in crate::store::index) use calendar::{resolve, times};

/// Most memory of the groupings of one search, bytes.
const MEMORY: u64 = 256 << 20;
/// Most buckets of one search at all levels.
pub(in crate::store::index) const MAX_ALL_BUCKETS: usize = MAX_BUCKETS * 4;
/// Times of events are whole microseconds, but the library divides them as floats of nanoseconds,
/// which can put the first moment of a span into the one before. Spans that begin this much earlier,
/// milliseconds, have room for the error and hold the same events.
const EARLIER_MS: f64 = 0.0005;

/// Stands behind the text that events without a value count under, for the library forgets them when
/// there is such a value, too.
const MISSING: &str = "\u{0}missing";

/// The limits of one search.
pub(in crate::store::index) fn limits() -> AggregationLimitsGuard {
    AggregationLimitsGuard::new(Some(MEMORY), u32::try_from(MAX_ALL_BUCKETS).ok())
}

/// Whether a search failed because of what was asked and not because of the data.
pub(in crate::store::index) fn is_limit(error: &tantivy::TantivyError) -> bool {
    matches!(error, tantivy::TantivyError::AggregationError(_)) || too_many_words(error)
}

fn too_many_words(error: &tantivy::TantivyError) -> bool {
    matches!(error, tantivy::TantivyError::InvalidArgument(words) if words.starts_with(TOO_MANY_WORDS))
}

/// Why aggregations could not be answered.
pub(in crate::store::index) fn failed(error: &tantivy::TantivyError) -> SearchError {
    use tantivy::aggregation::AggregationError as Why;
    if too_many_words(error) {
        return SearchError::TooCostly {
            what: "the words of the phrase stand for over 65,536 others",
        };
    }
    let tantivy::TantivyError::AggregationError(why) = error else {
        return SearchError::Failed { reason: error.to_string() };
    };
    match why {
        Why::MemoryExceeded { .. } => {
            SearchError::TooCostly { what: "aggregations need more than 256 MiB of memory" }
        }
        Why::BucketLimitExceeded { current, .. } => SearchError::Limit {
            what: "number of buckets of all aggregations",
            given: usize::try_from(*current).unwrap_or(usize::MAX),
            limit: MAX_ALL_BUCKETS,
        },
        other => SearchError::Failed { reason: other.to_string() },
    }
}

/// The library's request for all aggregations but timelines, which have a collector of their own.
/// Filters end at the deadline, also within a dictionary.
pub(in crate::store::index) fn compile(
    list: &[Aggregation],
    now: Timestamp,
    deadline: &Arc<Deadline>,
) -> Result<Aggregations, SearchError> {
    let mut compiler = Compiler { now, deadline, out: Aggregations::default() };
    for (index, aggregation) in list.iter().enumerate() {
        compiler.add(index.to_string(), aggregation)?;
    }
    Ok(compiler.out)
}

/// The name of the aggregation at a position among those of one bucket.
fn name(position: usize) -> String {
    position.to_string()
}

/// The name of one query of an aggregation by filters or ranges.
fn name_of_filter(aggregation: &str, position: usize) -> String {
    format!("{aggregation}f{position}")
}

struct Compiler<'a> {
    now: Timestamp,
    deadline: &'a Arc<Deadline>,
    out: Aggregations,
}

impl Compiler<'_> {
    fn below(&self, named: &Named) -> Result<Aggregations, SearchError> {
        let mut compiler = Self { out: Aggregations::default(), ..*self };
        for (position, aggregation) in named.values().enumerate() {
            compiler.add(name(position), aggregation)?;
        }
        Ok(compiler.out)
    }

    fn put(&mut self, name: String, agg: Variant, sub_aggregation: Aggregations) {
        self.out.insert(name, Request { agg, sub_aggregation });
    }

    fn add(&mut self, name: String, aggregation: &Aggregation) -> Result<(), SearchError> {
        let below = match aggregation.below() {
            Some(named) => self.below(named)?,
            None => Aggregations::default(),
        };
        let variant = match aggregation {
            Aggregation::Histogram { .. } => return Ok(()),
            Aggregation::Terms { .. } => terms(aggregation)?,
            Aggregation::DateHistogram { field, borders, .. } if !borders.is_empty() => {
                between(field, borders)?
            }
            Aggregation::DateHistogram { field, interval_ms, offset_ms, min_count, .. } => {
                #[expect(clippy::cast_precision_loss, reason = "both are below 2^53")]
                let (width, offset) = (*interval_ms as f64, *offset_ms as f64);
                spans(field, width, offset - EARLIER_MS, *min_count)?
            }
            Aggregation::NumberHistogram { field, interval, offset, min_count, .. } => {
                spans(field, *interval, *offset, *min_count)?
            }
            Aggregation::Ranges { field, ranges, .. } => {
                for (position, range) in ranges.iter().enumerate() {
                    let node = self.range(field, range)?;
                    self.put(name_of_filter(&name, position), self.found(node), below.clone());
                }
                return Ok(());
            }
            Aggregation::Filters { filters, .. } => {
                for (position, one) in filters.iter().enumerate() {
                    let node = self.filter(one)?;
                    self.put(name_of_filter(&name, position), self.found(node), below.clone());
                }
                return Ok(());
            }
            Aggregation::Metric { field, metric } => self.figure(field, metric)?,
        };
        self.put(name, variant, below);
        Ok(())
    }

    fn found(&self, node: Node) -> Variant {
        let compiled = Compiled(Arc::new(node), Arc::clone(self.deadline));
        Variant::Filter(FilterAggregation::new_with_builder(Box::new(compiled)))
    }

    fn figure(&self, field: &str, metric: &Metric) -> Result<Variant, SearchError> {
        if *metric == Metric::Count {
            return Ok(self.found(Node::Leaf(Leaf::Exists(FieldRef::new(field)))));
        }
        figure(field, metric)
    }

    fn filter(&self, one: &Filter) -> Result<Node, SearchError> {
        Ok(both(compile_text(&one.query, self.now)?, one.node.as_ref()))
    }

    fn range(&self, field: &str, range_: &Range) -> Result<Node, SearchError> {
        Ok(range(field, range_.from.as_deref(), range_.to.as_deref(), self.now)?)
    }
}

/// The column of a field.
fn column(name: &str) -> Result<(FieldRef, String), SearchError> {
    let field = FieldRef::new(name);
    let own = field.kind().is_some_and(placed);
    let nameless = field.known.is_none() && !value::searchable_name(name);
    if (own && !has_column(&field.name)) || nameless {
        return Err(SearchError::Ungroupable { field: field.name });
    }
    let column = if own { field.name.clone() } else { format!("{DYNAMIC}.{}", field.name) };
    Ok((field, column))
}

fn terms(aggregation: &Aggregation) -> Result<Variant, SearchError> {
    let Aggregation::Terms { field, size, order, missing, min_count, aggregations } = aggregation
    else {
        return Err(SearchError::Failed { reason: "no grouping by values".to_owned() });
    };
    let (field, column) = column(field)?;
    if field.kind() == Some(FieldType::Date) {
        return Err(SearchError::Ungroupable { field: field.name });
    }
    let size = (*size).max(1);
    let wide = size.saturating_mul(10).clamp(1000, MAX_ALL_BUCKETS);
    Ok(Variant::Terms(TermsAggregation {
        field: column,
        size: u32::try_from(size).ok(),
        segment_size: u32::try_from(wide).ok(),
        show_term_doc_count_error: Some(true),
        min_doc_count: Some(*min_count),
        order: Some(direction(order, aggregations)),
        missing: missing.as_ref().map(|text| Key::Str(format!("{text}{MISSING}"))),
        include: None,
        exclude: None,
    }))
}

fn direction(order: &Order, below: &Named) -> CustomOrder {
    let target = match &order.by {
        OrderBy::Count => OrderTarget::Count,
        OrderBy::Value => OrderTarget::Key,
        OrderBy::Metric(wanted) => {
            let position = below.keys().position(|name| name == wanted);
            OrderTarget::SubAggregation(name(position.unwrap_or(MAX_AGGREGATIONS)))
        }
    };
    let order = if order.ascending { Direction::Asc } else { Direction::Desc };
    CustomOrder { target, order }
}

/// Spans of numbers or times. Empty ones are put between later, where their number can be limited.
fn spans(field: &str, interval: f64, offset: f64, min_count: u64) -> Result<Variant, SearchError> {
    Ok(Variant::Histogram(HistogramAggregation {
        field: column(field)?.1,
        interval,
        offset: Some(offset),
        min_doc_count: Some(min_count.max(1)),
        ..HistogramAggregation::default()
    }))
}

/// Spans of times between borders, microseconds; each has its number as its name.
fn between(field: &str, borders: &[i64]) -> Result<Variant, SearchError> {
    // Borders are whole milliseconds at least, which floats of nanoseconds keep exactly.
    #[expect(clippy::cast_precision_loss, reason = "whole seconds are exact, others nearly so")]
    let nanos = |micros: i64| micros as f64 * 1000.0;
    let pairs = borders.iter().zip(borders.iter().skip(1)).enumerate();
    let ranges = pairs.map(|(number, (from, to))| RangeAggregationRange {
        key: Some(number.to_string()),
        from: Some(nanos(*from)),
        to: Some(nanos(*to)),
    });
    let (field, ranges) = (column(field)?.1, ranges.collect());
    Ok(Variant::Range(RangeAggregation { field, ranges, keyed: false }))
}

fn figure(field: &str, metric: &Metric) -> Result<Variant, SearchError> {
    let field = column(field)?.1;
    let missing = None;
    Ok(match metric {
        Metric::Sum => Variant::Sum(SumAggregation { field, missing, none_if_no_match: None }),
        Metric::Average => Variant::Average(AverageAggregation { field, missing }),
        Metric::Min => Variant::Min(MinAggregation { field, missing }),
        Metric::Max => Variant::Max(MaxAggregation { field, missing }),
        Metric::Stats => Variant::Stats(StatsAggregation { field, missing }),
        Metric::ExtendedStats => {
            Variant::ExtendedStats(ExtendedStatsAggregation { field, missing, sigma: None })
        }
        Metric::Percentiles(percents) => {
            let percents = Some(percents.clone());
            Variant::Percentiles(PercentilesAggregationReq {
                field,
                percents,
                keyed: false,
                missing,
            })
        }
        Metric::Distinct | Metric::Count => {
            Variant::Cardinality(CardinalityAggregationReq { field, missing: None })
        }
    })
}

/// A query of ours for the library's aggregation by filter.
#[derive(Clone, Debug)]
struct Compiled(Arc<Node>, Arc<Deadline>);

#[typetag::serde]
impl QueryBuilder for Compiled {
    fn build_query(
        &self,
        schema: &Schema,
        _: &TokenizerManager,
    ) -> tantivy::Result<Box<dyn Query>> {
        Ok(build_until(&self.0, &Fields::of(schema)?, &self.1))
    }

    fn box_clone(&self) -> Box<dyn QueryBuilder> {
        Box::new(self.clone())
    }
}

// The library could send filters to other machines, which we never do.
impl Serialize for Compiled {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("a filter stays in its process"))
    }
}

impl<'de> Deserialize<'de> for Compiled {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("a filter stays in its process"))
    }
}
