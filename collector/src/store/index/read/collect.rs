//! When a search ends, and what it counts over time while it goes through hits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tantivy::columnar::Column;
use tantivy::{DateTime, DocId, SegmentReader};

use crate::search::{Cancel, MAX_BUCKETS};
use crate::store::index::zones::Times;

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

pub(in crate::store::index) fn time_column(
    reader: &SegmentReader,
) -> tantivy::Result<Column<DateTime>> {
    reader.fast_fields().date("timestamp")
}

pub(in crate::store::index) fn micros(column: &Column<DateTime>, doc: DocId) -> i64 {
    column.first(doc).map_or(0, DateTime::into_timestamp_micros)
}

/// Number of hits per span of time, in one segment.
pub(in crate::store::index) struct HistogramSegment {
    time: Column<DateTime>,
    width: i64,
    counts: Counts,
    last: (i64, u64),
    times: Vec<Option<DateTime>>,
}

/// Counts by number of the span.
pub(in crate::store::index) type Counts = BTreeMap<i64, u64>;

/// Adds up counts.
pub(in crate::store::index) fn merge_counts(all: &mut Counts, more: Counts) {
    for (span, count) in more {
        let slot = all.entry(span).or_default();
        *slot = slot.saturating_add(count);
    }
}

impl HistogramSegment {
    /// Counts hits of a segment by spans of `width` microseconds.
    ///
    /// # Errors
    /// The index library's.
    pub(in crate::store::index) fn new(
        reader: &SegmentReader,
        width: i64,
    ) -> tantivy::Result<Self> {
        let time = time_column(reader)?;
        let width = width.max(1);
        Ok(Self { time, width, counts: Counts::new(), last: (0, 0), times: Vec::new() })
    }

    fn settle(&mut self) {
        let (span, count) = std::mem::take(&mut self.last);
        // One more than allowed is kept, so that the caller sees that there were too many.
        if count > 0 && (self.counts.len() <= MAX_BUCKETS || self.counts.contains_key(&span)) {
            let slot = self.counts.entry(span).or_default();
            *slot = slot.saturating_add(count);
        }
    }

    fn add(&mut self, span: i64, count: u64) {
        if span != self.last.0 {
            self.settle();
            self.last.0 = span;
        }
        self.last.1 = self.last.1.saturating_add(count);
    }

    /// Some hits.
    pub(in crate::store::index) fn collect(&mut self, docs: &[DocId]) {
        let mut times = std::mem::take(&mut self.times);
        times.clear();
        times.resize(docs.len(), None);
        self.time.first_vals(docs, &mut times);
        for time in &times {
            let micros = time.map_or(0, DateTime::into_timestamp_micros);
            self.add(micros.div_euclid(self.width), 1);
        }
        self.times = times;
    }

    /// A run of `count` hits between two times, if they lie in one span; false when they do not.
    pub(in crate::store::index) fn add_all(&mut self, times: Times, count: u32) -> bool {
        let span = times.first.div_euclid(self.width);
        let one = times.last.div_euclid(self.width) == span;
        if one {
            self.add(span, u64::from(count));
        }
        one
    }

    /// The counts.
    pub(in crate::store::index) fn harvest(mut self) -> Counts {
        self.settle();
        self.counts
    }
}
