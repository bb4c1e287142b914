//! Answering a search: picks the partitions by time, runs the query over each, merges.

use std::sync::Arc;

use event::Timestamp;
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tantivy::aggregation::{AggContextParams, DistributedAggregationCollector};
use tantivy::{DocAddress, Searcher, TantivyDocument};

use super::aggregate::{self, Answers};
use super::collect::{Counts, Deadline, merge_counts};
use super::newest::Best;
use super::prune::{self, Skip};
use super::scan::{self, Ask, Found};
use crate::search::aggregate::TimeBucket;
use crate::search::plan::compile;
use crate::search::{
    Aggregated, Aggregation, Cancel, Cursor, Hit, HitOrder, MAX_BUCKETS, MAX_LIMIT, Node,
    PartitionFailure, SearchError, SearchRequest, SearchResponse, timespan, value,
};
use crate::store::index::partition::{Partition, PartitionKey};
use crate::store::index::schema::{source_of, tokenizers};

/// Buckets a histogram has when its width is not given, about.
const BUCKETS: i64 = 60;
const SECOND: i64 = 1_000_000;

/// A checked request.
struct Checked {
    node: Node,
    low: i64,
    high: i64,
    width: Option<i64>,
    aggregations: Vec<Aggregation>,
    tree: Aggregations,
}

/// Answers a request from these partitions. `suspect` is called for a partition whose data turned
/// out damaged.
///
/// # Errors
/// [`SearchError`].
pub fn search(
    partitions: &[Arc<Partition>],
    request: &SearchRequest,
    (cancel, now): (&Cancel, Timestamp),
    suspect: &mut dyn FnMut(&Partition),
) -> Result<SearchResponse, SearchError> {
    let mut checked = check(request, now)?;
    let (low, high) = (checked.low, checked.high);
    let within = |key: PartitionKey| {
        let (first, last) = key.bounds();
        first <= high && last >= low
    };
    let all = partitions.iter();
    let mut chosen: Vec<Arc<Partition>> =
        all.filter(|one| within(one.key)).map(Arc::clone).collect();
    // Where the first hits are is looked first: a deadline then cuts off the last ones.
    if request.order == HitOrder::Newest {
        chosen.reverse();
    }
    let searchers: Vec<Searcher> = chosen.iter().map(|p| p.reader.searcher()).collect();
    checked.width = width(request, &checked, &searchers);
    let deadline = Arc::new(Deadline::new(cancel.clone(), request.budget()));
    checked.resolve(&searchers)?;
    checked.tree = aggregate::compile(&checked.aggregations, now, &deadline)?;
    let mut best = Best::new(request.limit, request.order, request.after);
    let mut merged = Merged::default();
    let ask = checked.ask(&deadline);
    let mut response = SearchResponse { partitions: chosen.len(), ..SearchResponse::default() };
    for (index, (partition, searcher)) in chosen.iter().zip(&searchers).enumerate() {
        if let Some(why) = prune::skip(partition, searcher, ask.node, ask.range) {
            skipped(&mut response, why);
            continue;
        }
        match scan::partition((index, partition), searcher, &ask, &mut best) {
            Ok(found) => merged.take(found)?,
            Err(error) if aggregate::is_limit(&error) => return Err(aggregate::failed(&error)),
            Err(error) => {
                suspect(partition);
                response.failures.push(failure(partition, &error));
            }
        }
        if deadline.over() {
            break;
        }
    }
    if cancel.is_cancelled() {
        return Err(SearchError::Cancelled);
    }
    response.partial = deadline.over();
    response.total = merged.total;
    response.aggregations = merged.aggregations(&checked)?;
    let sources = Sources { partitions: &chosen, searchers: &searchers };
    sources.hits(best, request.limit, suspect, &mut response);
    let nothing = response.hits.is_empty() && response.total == 0;
    if nothing && response.failures.len() == chosen.len() && !chosen.is_empty() {
        let reason = response.failures.first().map_or_else(String::new, |f| f.reason.clone());
        return Err(SearchError::Failed { reason });
    }
    Ok(response)
}

fn skipped(response: &mut SearchResponse, why: Skip) {
    let slot = match why {
        Skip::Time => &mut response.skipped.by_time,
        Skip::Terms => &mut response.skipped.by_terms,
    };
    *slot = slot.saturating_add(1);
    response.partitions = response.partitions.saturating_sub(1);
}

fn failure(partition: &Partition, error: &dyn std::fmt::Display) -> PartitionFailure {
    PartitionFailure { partition: partition.key.to_string(), reason: error.to_string() }
}

/// First and last microsecond that a request is about.
///
/// # Errors
/// [`SearchError::Time`].
pub fn window(request: &SearchRequest, now: Timestamp) -> Result<(i64, i64), SearchError> {
    let time = |which, text: &Option<String>| {
        let read = |text: &String| timespan::point(text, now);
        text.as_ref().map(read).transpose().map_err(|source| SearchError::Time { which, source })
    };
    let (from, to) = (time("from", &request.from)?, time("to", &request.to)?);
    let low = from.unwrap_or(value::TIME_BOUNDS.0);
    Ok((low, to.map_or(value::TIME_BOUNDS.1, |to| to.saturating_sub(1))))
}

fn check(request: &SearchRequest, now: Timestamp) -> Result<Checked, SearchError> {
    let limit = |what, given, limit| {
        if given > limit { Err(SearchError::Limit { what, given, limit }) } else { Ok(()) }
    };
    limit("limit", request.limit, MAX_LIMIT)?;
    let (low, high) = window(request, now)?;
    let node = both(compile(&request.query, now)?, request.node.as_ref());
    crate::search::aggregate::check(&request.aggregations)?;
    Ok(Checked {
        node,
        low,
        high,
        width: None,
        aggregations: request.aggregations.clone(),
        tree: Aggregations::default(),
    })
}

/// A query that holds when both do.
pub(in crate::store::index) fn both(one: Node, other: Option<&Node>) -> Node {
    match (one, other) {
        (one, None) => one,
        (Node::All, Some(other)) => other.clone(),
        (one, Some(other)) => Node::And(vec![one, other.clone()]),
    }
}

/// Width of the histogram's buckets, if one was asked for.
fn width(request: &SearchRequest, checked: &Checked, searchers: &[Searcher]) -> Option<i64> {
    let wanted = request.aggregations.iter().find_map(|aggregation| match aggregation {
        Aggregation::Histogram { interval_seconds } => Some(*interval_seconds),
        _ => None,
    })?;
    if let Some(seconds) = wanted {
        return Some(
            i64::try_from(seconds).unwrap_or(i64::MAX).clamp(1, i64::MAX / SECOND) * SECOND,
        );
    }
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for reader in searchers.iter().flat_map(Searcher::segment_readers) {
        if let Ok(column) = reader.fast_fields().date("timestamp") {
            first = first.min(column.min_value().into_timestamp_micros());
            last = last.max(column.max_value().into_timestamp_micros());
        }
    }
    let span = last.min(checked.high).saturating_sub(first.max(checked.low)).max(0);
    let nice = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 43_200, 86_400, 604_800, 2_592_000];
    let least = span / BUCKETS;
    Some(nice.into_iter().map(|s| s * SECOND).find(|w| *w >= least).unwrap_or(31_536_000 * SECOND))
}

impl Checked {
    /// Works out the spans that a time zone or the calendar has a say in.
    fn resolve(&mut self, searchers: &[Searcher]) -> Result<(), SearchError> {
        let extent = |field: &str| {
            let readers = searchers.iter().flat_map(Searcher::segment_readers);
            let columns = readers.filter_map(|reader| reader.fast_fields().date(field).ok());
            let columns = columns.filter(|column| column.values.num_vals() > 0);
            let there = columns.fold(None, |all: Option<(i64, i64)>, column| {
                let first = column.min_value().into_timestamp_micros();
                let last = column.max_value().into_timestamp_micros();
                let (low, high) = all.unwrap_or((first, last));
                Some((low.min(first), high.max(last)))
            })?;
            let (low, high) = aggregate::times(&self.node, field);
            let own = field == "timestamp";
            let (from, to) = if own { (self.low, self.high) } else { (i64::MIN, i64::MAX) };
            let (low, high) = (there.0.max(low).max(from), there.1.min(high).min(to));
            (low <= high).then_some((low, high))
        };
        let mut list = std::mem::take(&mut self.aggregations);
        let resolved = aggregate::resolve(&mut list, &extent);
        self.aggregations = list;
        resolved
    }

    /// What each partition is asked.
    fn ask<'a>(&'a self, deadline: &'a Arc<Deadline>) -> Ask<'a> {
        let grouping = (!self.tree.is_empty()).then(|| {
            let context = AggContextParams::new(aggregate::limits(), tokenizers());
            DistributedAggregationCollector::from_aggs(self.tree.clone(), context)
        });
        Ask {
            node: &self.node,
            range: (self.low, self.high),
            width: self.width,
            grouping,
            deadline,
        }
    }
}

/// What has been found so far.
#[derive(Default)]
struct Merged {
    total: u64,
    counts: Counts,
    tree: Option<IntermediateAggregationResults>,
}

struct Sources<'a> {
    partitions: &'a [Arc<Partition>],
    searchers: &'a [Searcher],
}

impl Sources<'_> {
    /// Reads the first hits and puts them into the response.
    fn hits(
        &self,
        best: Best,
        limit: usize,
        suspect: &mut dyn FnMut(&Partition),
        response: &mut SearchResponse,
    ) {
        let hits = best.into_hits();
        let more = response.total > hits.len() as u64;
        let last = hits.last().map(|(cursor, _, _)| *cursor);
        for (cursor, index, address) in hits {
            let (Some(searcher), Some(partition)) =
                (self.searchers.get(index), self.partitions.get(index))
            else {
                continue;
            };
            match read(searcher, partition, address) {
                Ok(document) => response.hits.push(hit(cursor, document)),
                Err(error) => {
                    suspect(partition);
                    let failed = failure(partition, &error);
                    // One line for each partition is enough to act upon.
                    if !response.failures.iter().any(|f| f.partition == failed.partition) {
                        response.failures.push(failed);
                    }
                }
            }
        }
        response.next = last.filter(|_| more && limit > 0);
    }
}

impl Merged {
    fn take(&mut self, found: Found) -> Result<(), SearchError> {
        self.total = self.total.saturating_add(found.total);
        merge_counts(&mut self.counts, found.counts);
        match (&mut self.tree, found.grouped) {
            (Some(all), Some(more)) => {
                all.merge_fruits(more).map_err(|error| aggregate::failed(&error))?;
            }
            (slot @ None, more) => *slot = more,
            (Some(_), None) => {}
        }
        Ok(())
    }

    fn aggregations(&mut self, checked: &Checked) -> Result<Vec<Aggregated>, SearchError> {
        let mut answers = Answers::of(self.tree.take(), &checked.tree)?;
        let all = checked.aggregations.iter().enumerate();
        all.map(|(index, aggregation)| match aggregation {
            Aggregation::Histogram { .. } => {
                histogram(&self.counts, checked.width.unwrap_or(SECOND))
            }
            other => answers.top(index, other),
        })
        .collect()
    }
}

fn read(
    searcher: &Searcher,
    partition: &Partition,
    address: DocAddress,
) -> tantivy::Result<event::Document> {
    let document: TantivyDocument = searcher.doc(address)?;
    source_of(&partition.fields, &document).ok_or_else(|| {
        tantivy::TantivyError::InternalError("a stored document is unreadable".to_owned())
    })
}

fn hit(cursor: Cursor, document: event::Document) -> Hit {
    let id = event::get(&document, "event.id").and_then(|id| id.as_str()).unwrap_or_default();
    Hit { id: id.to_owned(), cursor, document }
}

fn histogram(counts: &Counts, width: i64) -> Result<Aggregated, SearchError> {
    let (first, last) = match (counts.first_key_value(), counts.last_key_value()) {
        (Some((first, _)), Some((last, _))) => (*first, *last),
        _ => (0, -1),
    };
    let number = last.saturating_sub(first).saturating_add(1);
    let given = usize::try_from(number).unwrap_or(0);
    if given > MAX_BUCKETS {
        let what = "number of histogram buckets";
        return Err(SearchError::Limit { what, given, limit: MAX_BUCKETS });
    }
    let bucket = |span: i64| TimeBucket {
        start: Timestamp::from_micros(span.saturating_mul(width)),
        count: counts.get(&span).copied().unwrap_or(0),
    };
    let interval_seconds = u64::try_from(width / SECOND).unwrap_or(1);
    Ok(Aggregated::Histogram { interval_seconds, buckets: (first..=last).map(bucket).collect() })
}
