//! The first hits of a query, newest or oldest first: blocks of documents ([`crate::store::index::zones`]) are looked
//! at in that order, until no other can hold a hit that comes before those found.
//!
//! Oldest first is newest first with times turned round ([`HitOrder`]): there is one way to look.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tantivy::columnar::Column;
use tantivy::query::Weight;
use tantivy::{
    DateTime, DocAddress, DocId, DocSet as _, SegmentOrdinal, SegmentReader, TERMINATED,
};

use super::collect::{Deadline, micros, time_column};
use crate::search::{Cursor, HitOrder};
use crate::store::index::schema::TIE;
use crate::store::index::zones::{BLOCK, Times, Zones, documents};

/// The best hits so far, over segments and partitions.
pub(in crate::store::index) struct Best {
    limit: usize,
    order: HitOrder,
    // Places here are turned: the greatest comes first.
    after: Option<Cursor>,
    heap: BinaryHeap<Reverse<(Cursor, usize, DocAddress)>>,
}

/// Where in a partition is looked.
pub(in crate::store::index) struct Place<'a> {
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
    pub(in crate::store::index) fn new(
        limit: usize,
        order: HitOrder,
        after: Option<Cursor>,
    ) -> Self {
        let after = after.map(|after| order.place(after));
        Self { limit, order, after, heap: BinaryHeap::new() }
    }

    /// Whether a hit of this turned time could be among the best.
    fn wants(&self, time: i64) -> bool {
        if self.limit == 0 || self.after.is_some_and(|after| time > after.time) {
            return false;
        }
        let worst = self.heap.peek().map(|Reverse((cursor, ..))| cursor.time);
        self.heap.len() < self.limit || worst.is_none_or(|worst| time >= worst)
    }

    /// Whether a run of documents could hold a hit that is among the best.
    fn wants_some(&self, times: Times) -> bool {
        let Times { first, last } = times.in_order(self.order);
        let best = self.after.map_or(last, |after| last.min(after.time));
        best >= first && self.wants(best)
    }

    /// Whether a run that is looked at in order, or one behind it, could hold such a hit: behind a
    /// cursor the first ones may lie before it.
    fn wants_behind(&self, times: Times) -> bool {
        let last = times.in_order(self.order).last;
        self.wants(self.after.map_or(last, |after| last.min(after.time)))
    }

    /// Takes a hit when it is among the best.
    fn consider(&mut self, doc: DocId, place: &Place<'_>, columns: &Columns) {
        let time = micros(&columns.time, doc);
        if !self.wants(self.order.time(time)) {
            return;
        }
        let tie = columns.tie.first(doc).unwrap_or(0);
        let cursor = self.order.place(Cursor { time, tie });
        if self.after.is_some_and(|after| cursor >= after) {
            return;
        }
        let address = DocAddress::new(place.ordinal, doc);
        self.heap.push(Reverse((cursor, place.partition, address)));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// The hits in their order.
    pub(in crate::store::index) fn into_hits(self) -> Vec<(Cursor, usize, DocAddress)> {
        let mut hits: Vec<_> = self.heap.into_iter().map(|Reverse(hit)| hit).collect();
        hits.sort_unstable_by(|a, b| b.cmp(a));
        let order = self.order;
        hits.into_iter().map(|(cursor, part, doc)| (order.place(cursor), part, doc)).collect()
    }

    /// Prepares to be offered hits of a segment.
    ///
    /// # Errors
    /// The index library's.
    pub(in crate::store::index) fn segment<'a>(
        &'a mut self,
        place: &'a Place<'a>,
    ) -> tantivy::Result<Offers<'a>> {
        Ok(Offers { columns: Columns::of(place)?, best: self, place })
    }

    /// Looks for the best hits of a segment; `count` is how many there are in all of it.
    ///
    /// # Errors
    /// The index library's.
    pub(in crate::store::index) fn look(
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
        let mut rest = place.zones.in_order(self.order);
        while !rest.is_empty() && !deadline.over() {
            let (now, later) = rest.split_at(step.min(rest.len()));
            let mut blocks: Vec<u32> = now
                .iter()
                .copied()
                .filter(|block| self.wants_some(place.zones.block(*block)))
                .collect();
            blocks.sort_unstable();
            self.pass(weight, (place, &columns), &blocks, deadline)?;
            rest = later;
            // When the next block cannot help, none can.
            if rest.first().is_none_or(|block| !self.wants_behind(place.zones.block(*block))) {
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
pub(in crate::store::index) struct Offers<'a> {
    best: &'a mut Best,
    place: &'a Place<'a>,
    columns: Columns,
}

impl Offers<'_> {
    /// Some hits.
    pub(in crate::store::index) fn offer(&mut self, docs: &[DocId]) {
        if self.best.limit == 0 {
            return;
        }
        for doc in docs {
            if self.best.wants_some(self.place.zones.block(doc / BLOCK)) {
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
