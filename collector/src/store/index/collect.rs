//! What is gathered while a query runs over a partition: the newest hits, the number of all hits,
//! a histogram over time. Everything stops gathering when time is up or the caller cancels.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DateTime, DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use crate::search::{Cancel, Cursor, MAX_BUCKETS};

/// Documents between two looks at the clock.
const LOOK_EVERY: u32 = 8192;

/// The end of a search: by time budget or by the caller.
#[derive(Debug)]
pub struct Deadline {
    cancel: Cancel,
    timer: crossbeam_channel::Receiver<std::time::Instant>,
    over: AtomicBool,
}

impl Deadline {
    /// Begins now.
    #[must_use]
    pub fn new(cancel: Cancel, budget: Duration) -> Self {
        Self { cancel, timer: crossbeam_channel::after(budget), over: AtomicBool::new(false) }
    }

    /// Whether to stop.
    pub fn over(&self) -> bool {
        if self.over.load(Ordering::Relaxed) {
            return true;
        }
        let over = self.cancel.is_cancelled() || self.timer.try_recv().is_ok();
        if over {
            self.over.store(true, Ordering::Relaxed);
        }
        over
    }
}

/// A collector that stops gathering at the deadline.
pub(super) struct Guarded<C> {
    pub inner: C,
    pub deadline: std::sync::Arc<Deadline>,
}

pub(super) struct GuardedSegment<S> {
    inner: Option<S>,
    deadline: std::sync::Arc<Deadline>,
    until_look: u32,
}

impl<C: Collector> Collector for Guarded<C> {
    type Fruit = Option<C::Fruit>;
    type Child = GuardedSegment<C::Child>;

    fn for_segment(
        &self,
        ordinal: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<Self::Child> {
        let inner = if self.deadline.over() {
            None
        } else {
            Some(self.inner.for_segment(ordinal, reader)?)
        };
        let deadline = std::sync::Arc::clone(&self.deadline);
        Ok(GuardedSegment { inner, deadline, until_look: LOOK_EVERY })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(
        &self,
        fruits: Vec<Option<<C::Child as SegmentCollector>::Fruit>>,
    ) -> tantivy::Result<Self::Fruit> {
        self.inner.merge_fruits(fruits.into_iter().flatten().collect()).map(Some)
    }
}

impl<S: SegmentCollector> GuardedSegment<S> {
    fn stopped(&mut self, documents: usize) -> bool {
        let documents = u32::try_from(documents).unwrap_or(u32::MAX);
        self.until_look = self.until_look.saturating_sub(documents);
        if self.until_look > 0 {
            return self.deadline.over.load(Ordering::Relaxed);
        }
        self.until_look = LOOK_EVERY;
        self.deadline.over()
    }
}

impl<S: SegmentCollector> SegmentCollector for GuardedSegment<S> {
    type Fruit = Option<S::Fruit>;

    fn collect(&mut self, doc: DocId, score: Score) {
        if !self.stopped(1)
            && let Some(inner) = &mut self.inner
        {
            inner.collect(doc, score);
        }
    }

    fn collect_block(&mut self, docs: &[DocId]) {
        if !self.stopped(docs.len())
            && let Some(inner) = &mut self.inner
        {
            inner.collect_block(docs);
        }
    }

    fn harvest(self) -> Self::Fruit {
        self.inner.map(SegmentCollector::harvest)
    }
}

fn time_column(reader: &SegmentReader) -> tantivy::Result<Column<DateTime>> {
    reader.fast_fields().date("timestamp")
}

fn micros(column: &Column<DateTime>, doc: DocId) -> i64 {
    column.first(doc).map_or(0, DateTime::into_timestamp_micros)
}

/// The newest `limit` hits behind a cursor, and the number of all.
pub(super) struct Newest {
    pub limit: usize,
    pub after: Option<Cursor>,
}

pub(super) struct NewestSegment {
    time: Column<DateTime>,
    tie: Column<u64>,
    ordinal: SegmentOrdinal,
    limit: usize,
    after: Option<Cursor>,
    count: u64,
    top: BinaryHeap<Reverse<(Cursor, DocAddress)>>,
}

/// Hits newest first, and the count of all.
pub(super) type NewestFruit = (Vec<(Cursor, DocAddress)>, u64);

impl Collector for Newest {
    type Fruit = NewestFruit;
    type Child = NewestSegment;

    fn for_segment(
        &self,
        ordinal: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<NewestSegment> {
        Ok(NewestSegment {
            time: time_column(reader)?,
            tie: reader.fast_fields().u64(super::schema::TIE)?,
            ordinal,
            limit: self.limit,
            after: self.after,
            count: 0,
            top: BinaryHeap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<NewestFruit>) -> tantivy::Result<NewestFruit> {
        let (mut hits, mut count) = (Vec::new(), 0_u64);
        for (more, number) in fruits {
            hits.extend(more);
            count = count.saturating_add(number);
        }
        hits.sort_unstable_by(|a, b| b.cmp(a));
        hits.truncate(self.limit);
        Ok((hits, count))
    }
}

impl SegmentCollector for NewestSegment {
    type Fruit = NewestFruit;

    fn collect(&mut self, doc: DocId, _: Score) {
        self.count = self.count.saturating_add(1);
        if self.limit == 0 {
            return;
        }
        let time = micros(&self.time, doc);
        let oldest = self.top.peek().map(|Reverse((cursor, _))| cursor.time);
        if self.top.len() >= self.limit && oldest.is_some_and(|oldest| time < oldest) {
            return;
        }
        let cursor = Cursor { time, tie: self.tie.first(doc).unwrap_or(0) };
        if self.after.is_some_and(|after| cursor >= after) {
            return;
        }
        self.top.push(Reverse((cursor, DocAddress::new(self.ordinal, doc))));
        if self.top.len() > self.limit {
            self.top.pop();
        }
    }

    fn harvest(self) -> NewestFruit {
        let mut hits: Vec<_> = self.top.into_iter().map(|Reverse(hit)| hit).collect();
        hits.sort_unstable_by(|a, b| b.cmp(a));
        (hits, self.count)
    }
}

/// Number of hits per span of time.
pub(super) struct Histogram {
    /// Width of a bucket, microseconds.
    pub width: i64,
}

pub(super) struct HistogramSegment {
    time: Column<DateTime>,
    width: i64,
    counts: BTreeMap<i64, u64>,
    last: (i64, u64),
}

/// Counts by number of the span.
pub(super) type Counts = BTreeMap<i64, u64>;

impl Collector for Histogram {
    type Fruit = Counts;
    type Child = HistogramSegment;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<HistogramSegment> {
        let time = time_column(reader)?;
        Ok(HistogramSegment { time, width: self.width, counts: BTreeMap::new(), last: (0, 0) })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Counts>) -> tantivy::Result<Counts> {
        let mut all = Counts::new();
        for counts in fruits {
            merge_counts(&mut all, counts);
        }
        Ok(all)
    }
}

/// Adds up counts.
pub(super) fn merge_counts(all: &mut Counts, more: Counts) {
    for (span, count) in more {
        let slot = all.entry(span).or_default();
        *slot = slot.saturating_add(count);
    }
}

impl HistogramSegment {
    fn settle(&mut self) {
        let (span, count) = std::mem::take(&mut self.last);
        // One more than allowed is kept, so that the caller sees that there were too many.
        if count > 0 && (self.counts.len() <= MAX_BUCKETS || self.counts.contains_key(&span)) {
            let slot = self.counts.entry(span).or_default();
            *slot = slot.saturating_add(count);
        }
    }
}

impl SegmentCollector for HistogramSegment {
    type Fruit = Counts;

    fn collect(&mut self, doc: DocId, _: Score) {
        let span = micros(&self.time, doc).div_euclid(self.width.max(1));
        if span != self.last.0 {
            self.settle();
            self.last.0 = span;
        }
        self.last.1 = self.last.1.saturating_add(1);
    }

    fn harvest(mut self) -> Counts {
        self.settle();
        self.counts
    }
}
