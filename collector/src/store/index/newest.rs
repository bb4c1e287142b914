//! The newest hits of a query and the number of all: blocks of documents ([`super::zones`]) are looked
//! at latest first, until no other can hold a newer hit than those found.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tantivy::columnar::Column;
use tantivy::query::Weight;
use tantivy::{
    DateTime, DocAddress, DocId, DocSet as _, SegmentOrdinal, SegmentReader, TERMINATED,
};

use super::collect::{Deadline, micros, time_column};
use super::schema::TIE;
use super::zones::{BLOCK, Zones, documents};
use crate::search::Cursor;

/// The best hits so far, over segments and partitions.
pub(super) struct Best {
    limit: usize,
    after: Option<Cursor>,
    heap: BinaryHeap<Reverse<(Cursor, usize, DocAddress)>>,
}

/// Where in a partition is looked.
pub(super) struct Place<'a> {
    /// Number of the partition in this search.
    pub partition: usize,
    /// Number of the segment in it.
    pub ordinal: SegmentOrdinal,
    /// The segment.
    pub reader: &'a SegmentReader,
    /// Its blocks.
    pub zones: &'a Zones,
}

impl Best {
    pub(super) const fn new(limit: usize, after: Option<Cursor>) -> Self {
        Self { limit, after, heap: BinaryHeap::new() }
    }

    /// Whether a hit of this time could be among the best.
    pub(super) fn wants(&self, time: i64) -> bool {
        if self.limit == 0 || self.after.is_some_and(|after| time > after.time) {
            return false;
        }
        let oldest = self.heap.peek().map(|Reverse((cursor, ..))| cursor.time);
        self.heap.len() < self.limit || oldest.is_none_or(|oldest| time >= oldest)
    }

    /// Whether a run of documents could hold a hit that is among the best.
    fn wants_some(&self, first: i64, last: i64) -> bool {
        let newest = self.after.map_or(last, |after| last.min(after.time));
        newest >= first && self.wants(newest)
    }

    /// Takes a hit when it is among the best.
    fn consider(&mut self, doc: DocId, place: &Place<'_>, columns: &Columns) {
        let time = micros(&columns.time, doc);
        if !self.wants(time) {
            return;
        }
        let cursor = Cursor { time, tie: columns.tie.first(doc).unwrap_or(0) };
        if self.after.is_some_and(|after| cursor >= after) {
            return;
        }
        let address = DocAddress::new(place.ordinal, doc);
        self.heap.push(Reverse((cursor, place.partition, address)));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// Newest first.
    pub(super) fn into_hits(self) -> Vec<(Cursor, usize, DocAddress)> {
        let mut hits: Vec<_> = self.heap.into_iter().map(|Reverse(hit)| hit).collect();
        hits.sort_unstable_by(|a, b| b.cmp(a));
        hits
    }

    /// Prepares to be offered hits of a segment.
    ///
    /// # Errors
    /// The index library's.
    pub(super) fn segment<'a>(&'a mut self, place: &'a Place<'a>) -> tantivy::Result<Offers<'a>> {
        Ok(Offers { columns: Columns::of(place)?, best: self, place })
    }

    /// Looks for the best hits of a segment; `count` is how many there are in all of it.
    ///
    /// # Errors
    /// The index library's.
    pub(super) fn look(
        &mut self,
        weight: &dyn Weight,
        place: &Place<'_>,
        count: u32,
        deadline: &Deadline,
    ) -> tantivy::Result<()> {
        if count == 0 || self.limit == 0 {
            return Ok(());
        }
        let columns = Columns::of(place)?;
        let mut step = first_step(place.reader.max_doc(), count, self.limit);
        let mut rest = place.zones.newest.as_slice();
        while !rest.is_empty() && !deadline.over() {
            let (now, later) = rest.split_at(step.min(rest.len()));
            let mut blocks: Vec<u32> = now
                .iter()
                .copied()
                .filter(|block| {
                    let times = place.zones.block(*block);
                    self.wants_some(times.first, times.last)
                })
                .collect();
            blocks.sort_unstable();
            self.pass(weight, (place, &columns), &blocks, deadline)?;
            rest = later;
            let newest = rest.first().map(|block| place.zones.block(*block));
            // Blocks come latest first: when the next one cannot help, none can. Behind a cursor the
            // first ones may lie before it.
            if newest.is_none_or(|times| !self.wants_some(i64::MIN, times.last)) {
                break;
            }
            step = step.saturating_mul(4);
        }
        Ok(())
    }

    /// Goes once through some blocks, ascending.
    fn pass(
        &mut self,
        weight: &dyn Weight,
        (place, columns): (&Place<'_>, &Columns),
        blocks: &[u32],
        deadline: &Deadline,
    ) -> tantivy::Result<()> {
        if blocks.is_empty() {
            return Ok(());
        }
        let mut scorer = weight.scorer(place.reader, 1.0)?;
        let alive = place.reader.alive_bitset();
        for block in blocks {
            let (first, behind) = documents(*block);
            let mut doc = scorer.doc();
            if doc < first {
                doc = scorer.seek(first);
            }
            while doc < behind {
                if alive.is_none_or(|alive| alive.is_alive(doc)) {
                    self.consider(doc, place, columns);
                }
                doc = scorer.advance();
            }
            if doc == TERMINATED || deadline.over() {
                break;
            }
        }
        Ok(())
    }
}

/// Takes all hits of a segment, ascending.
pub(super) struct Offers<'a> {
    best: &'a mut Best,
    place: &'a Place<'a>,
    columns: Columns,
}

impl Offers<'_> {
    /// Some hits.
    pub(super) fn offer(&mut self, docs: &[DocId]) {
        if self.best.limit == 0 {
            return;
        }
        for doc in docs {
            let times = self.place.zones.block(doc / BLOCK);
            if self.best.wants_some(times.first, times.last) {
                self.best.consider(*doc, self.place, &self.columns);
            }
        }
    }
}

struct Columns {
    time: Column<DateTime>,
    tie: Column<u64>,
}

impl Columns {
    fn of(place: &Place<'_>) -> tantivy::Result<Self> {
        let (time, fast) = (time_column(place.reader)?, place.reader.fast_fields());
        Ok(Self { time, tie: fast.u64(TIE)? })
    }
}

/// Blocks that hold about four times as many hits as wanted, when hits lie evenly.
fn first_step(documents: u32, count: u32, limit: usize) -> usize {
    let blocks = documents.div_ceil(BLOCK) as usize;
    let hits = (count as usize).max(1);
    limit.saturating_mul(4).saturating_mul(blocks).div_ceil(hits).clamp(1, blocks.max(1))
}
