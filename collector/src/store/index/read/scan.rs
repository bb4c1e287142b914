//! One query over one partition: counts, the newest hits, groupings; each segment by the cheapest way
//! that is exact.
//!
//! Segments outside the time range are left out, those wholly inside need no test of the time. The
//! number of hits of a single term is in its dictionary; then only the blocks with the newest hits are
//! looked at ([`super::newest`]). Everything else goes once through all hits.

use std::sync::Arc;

use tantivy::aggregation::DistributedAggregationCollector;
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tantivy::collector::{Collector, SegmentCollector as _};
use tantivy::query::{EnableScoring, Query, Weight};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet as _, Searcher};

use super::collect::{Counts, Deadline, HistogramSegment, merge_counts};
use super::newest::{Best, Place};
use super::query::{build_until, within};
use crate::search::Node;
use crate::search::plan::Leaf;
use crate::store::index::partition::Partition;
use crate::store::index::zones::documents;

type Child = <DistributedAggregationCollector as Collector>::Child;

/// Hits between two looks at the clock.
const LOOK_EVERY: usize = 8192;

/// What is asked of every partition.
pub(in crate::store::index) struct Ask<'a> {
    /// The query.
    pub node: &'a Node,
    /// Event times that count, microseconds, both inclusive.
    pub range: (i64, i64),
    /// Width of the spans of a histogram, microseconds.
    pub width: Option<i64>,
    /// Further groupings.
    pub grouping: Option<DistributedAggregationCollector>,
    /// When to stop.
    pub deadline: &'a Arc<Deadline>,
}

/// What a partition gave besides its newest hits.
#[derive(Default)]
pub(in crate::store::index) struct Found {
    /// Number of hits.
    pub total: u64,
    /// Hits by span.
    pub counts: Counts,
    /// Groupings.
    pub grouped: Option<IntermediateAggregationResults>,
}

/// One segment and what is known of it.
struct Segment<'a> {
    place: Place<'a>,
    weight: &'a dyn Weight,
    /// All of it lies in the time range.
    inside: bool,
}

/// What is gathered in one segment.
struct Gathered<'a> {
    best: &'a mut Best,
    histogram: Option<HistogramSegment>,
    grouping: Option<Child>,
}

/// Runs the query over a partition; its hits go to `best`.
///
/// # Errors
/// The index library's.
pub(in crate::store::index) fn partition(
    (number, partition): (usize, &Partition),
    searcher: &Searcher,
    ask: &Ask<'_>,
    best: &mut Best,
) -> tantivy::Result<Found> {
    let weight = |query: &dyn Query| query.weight(EnableScoring::disabled_from_searcher(searcher));
    let (low, high) = ask.range;
    let all = weight(&*build_until(ask.node, &partition.fields, ask.deadline))?;
    let timed = weight(&*within(
        build_until(ask.node, &partition.fields, ask.deadline),
        &partition.fields,
        low,
        high,
    ))?;
    let mut found = Found::default();
    let mut fruits = Vec::new();
    for (ordinal, reader) in (0..).zip(searcher.segment_readers()) {
        let zones = partition.zones.get(reader)?;
        if ask.deadline.over() || !zones.whole.touches(low, high) {
            continue;
        }
        let inside = zones.whole.within(low, high);
        let place = Place { partition: number, ordinal, reader, zones: &zones };
        let segment = Segment { place, weight: if inside { &*all } else { &*timed }, inside };
        let histogram = ask.width.map(|width| HistogramSegment::new(reader, width)).transpose()?;
        let grouping = ask.grouping.as_ref().map(|all| all.for_segment(ordinal, reader));
        let grouping = grouping.transpose()?;
        if ask.deadline.over() {
            // A filter whose search of the dictionary was cut short would be wrong behind a NOT.
            break;
        }
        let mut gathered = Gathered { best: &mut *best, histogram, grouping };
        let total = segment.gather(ask, &mut gathered)?;
        found.total = found.total.saturating_add(total);
        let Gathered { histogram, grouping, .. } = gathered;
        merge_counts(
            &mut found.counts,
            histogram.map_or_else(Counts::new, HistogramSegment::harvest),
        );
        fruits.extend(grouping.map(Child::harvest));
    }
    if let Some(grouping) = ask.grouping.as_ref().filter(|_| !fruits.is_empty()) {
        found.grouped = Some(grouping.merge_fruits(fruits)?);
    }
    Ok(found)
}

impl Segment<'_> {
    /// Gathers what is asked for and tells how many hits there are.
    fn gather(&self, ask: &Ask<'_>, gathered: &mut Gathered<'_>) -> tantivy::Result<u64> {
        let reader = self.place.reader;
        let everything = self.inside && *ask.node == Node::All && !reader.has_deletes();
        let known = everything || (self.inside && is_term(ask.node));
        let spans = gathered.histogram.is_none() || everything;
        if !known || !spans || gathered.grouping.is_some() {
            return self.pass(ask, gathered);
        }
        if let Some(histogram) = &mut gathered.histogram {
            self.spans(histogram, ask.deadline)?;
        }
        let count = if everything { reader.num_docs() } else { self.weight.count(reader)? };
        gathered.best.look(self.weight, &self.place, count, ask.deadline)?;
        Ok(u64::from(count))
    }

    /// Goes once through all hits.
    fn pass(&self, ask: &Ask<'_>, gathered: &mut Gathered<'_>) -> tantivy::Result<u64> {
        let reader = self.place.reader;
        let mut scorer = self.weight.scorer(reader, 1.0)?;
        if ask.deadline.over() {
            // What a search of the dictionary gave that was cut short would be wrong behind a NOT.
            return Ok(0);
        }
        let mut newest = gathered.best.segment(&self.place)?;
        let mut buffer = [0; COLLECT_BLOCK_BUFFER_LEN];
        let mut total = 0_u64;
        let mut until_look = LOOK_EVERY;
        loop {
            let count = scorer.fill_buffer(&mut buffer);
            let mut docs = buffer.get_mut(..count).unwrap_or_default();
            if docs.is_empty() {
                return Ok(total);
            }
            if let Some(alive) = reader.alive_bitset() {
                docs = kept(docs, |doc| alive.is_alive(doc));
            }
            total = total.saturating_add(docs.len() as u64);
            newest.offer(docs);
            if let Some(histogram) = &mut gathered.histogram {
                histogram.collect(docs);
            }
            if let Some(grouping) = &mut gathered.grouping {
                grouping.collect_block(docs);
            }
            until_look = until_look.saturating_sub(count);
            if until_look == 0 {
                until_look = LOOK_EVERY;
                if ask.deadline.over() {
                    return Ok(total);
                }
            }
        }
    }

    /// A histogram of everything: most blocks lie within one span.
    fn spans(&self, histogram: &mut HistogramSegment, deadline: &Deadline) -> tantivy::Result<()> {
        let max_doc = self.place.reader.max_doc();
        for (block, times) in (0..).zip(&self.place.zones.blocks) {
            let (first, behind) = documents(block);
            let behind = behind.min(max_doc);
            if !histogram.add_all(*times, behind.saturating_sub(first)) {
                let docs: Vec<DocId> = (first..behind).collect();
                histogram.collect(&docs);
            }
            if deadline.over() {
                break;
            }
        }
        Ok(())
    }
}

/// Keeps some documents, at the front.
fn kept(docs: &mut [DocId], keep: impl Fn(DocId) -> bool) -> &mut [DocId] {
    let mut count = 0;
    for at in 0..docs.len() {
        let doc = docs.get(at).copied().unwrap_or_default();
        if keep(doc)
            && let Some(slot) = docs.get_mut(count)
        {
            *slot = doc;
            count = count.saturating_add(1);
        }
    }
    docs.get_mut(..count).unwrap_or_default()
}

/// Whether the number of hits is known to the dictionary.
fn is_term(node: &Node) -> bool {
    match node {
        Node::Leaf(Leaf::Keyword(..) | Leaf::Number(..) | Leaf::Bool(..) | Leaf::Bare(..)) => true,
        Node::Leaf(Leaf::Words(_, words)) => words.len() == 1,
        Node::Leaf(Leaf::Ip(_, low, high)) => low == high,
        _ => false,
    }
}
