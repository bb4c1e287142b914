//! What times the blocks of a segment hold, so that the newest or the oldest hits are found without
//! looking at all.
//!
//! Documents lie in the order of arrival, which is nearly that of time: a few blocks hold the newest
//! ones. Sorting them at indexing would give the same and costs a tenth of its speed; blocks are exact
//! whatever the order is, and are only slower the less order there is. Made once for a segment, when a
//! search first wants it; segments never change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::columnar::Column;
use tantivy::index::SegmentId;
use tantivy::{DateTime, DocId, SegmentReader};

use crate::search::HitOrder;

/// Documents of a block; few in tests, so that theirs have many.
pub(super) const BLOCK: u32 = if cfg!(test) { 16 } else { 1024 };

/// Earliest and latest time in a run of documents, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub first: i64,
    pub last: i64,
}

impl Times {
    const NONE: Self = Self { first: i64::MAX, last: i64::MIN };

    const fn with(self, other: Self) -> Self {
        Self {
            first: if other.first < self.first { other.first } else { self.first },
            last: if other.last > self.last { other.last } else { self.last },
        }
    }

    /// The same as it counts in an order: what comes first is the greatest.
    pub(super) const fn in_order(self, order: HitOrder) -> Self {
        match order {
            HitOrder::Newest => self,
            HitOrder::Oldest => Self { first: order.time(self.last), last: order.time(self.first) },
        }
    }

    /// Whether some of it may lie in `low..=high`.
    pub(super) const fn touches(self, low: i64, high: i64) -> bool {
        self.first <= high && self.last >= low
    }

    /// Whether all of it lies in `low..=high`.
    pub(super) const fn within(self, low: i64, high: i64) -> bool {
        self.first >= low && self.last <= high
    }
}

/// The blocks of one segment.
#[derive(Debug)]
pub(super) struct Zones {
    /// By number of the block.
    pub blocks: Vec<Times>,
    /// Numbers of the blocks, the one with the latest time first.
    newest: Vec<u32>,
    /// Numbers of the blocks, the one with the earliest time first.
    oldest: Vec<u32>,
    /// Of all.
    pub whole: Times,
}

impl Zones {
    /// Reads the time column of a segment once.
    pub(super) fn of(times: &Column<DateTime>, documents: u32) -> Self {
        let mut blocks = Vec::new();
        let mut buffer = vec![DateTime::default(); BLOCK as usize];
        let mut from = 0;
        while from < documents {
            let count = BLOCK.min(documents.saturating_sub(from));
            let part = buffer.get_mut(..count as usize).unwrap_or_default();
            times.values.get_range(u64::from(from), part);
            let times = part.iter().fold(Times::NONE, |times, time| {
                let micros = time.into_timestamp_micros();
                times.with(Times { first: micros, last: micros })
            });
            blocks.push(times);
            from = from.saturating_add(count);
        }
        let whole = blocks.iter().fold(Times::NONE, |all, times| all.with(*times));
        let (newest, oldest) =
            (sorted(&blocks, HitOrder::Newest), sorted(&blocks, HitOrder::Oldest));
        Self { blocks, newest, oldest, whole }
    }

    /// Numbers of the blocks, the one first that can hold the first hit.
    pub(super) fn in_order(&self, order: HitOrder) -> &[u32] {
        match order {
            HitOrder::Newest => &self.newest,
            HitOrder::Oldest => &self.oldest,
        }
    }

    /// Times of a block; none for one that is not there.
    pub(super) fn block(&self, block: u32) -> Times {
        self.blocks.get(block as usize).copied().unwrap_or(Times::NONE)
    }
}

fn sorted(blocks: &[Times], order: HitOrder) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..).take(blocks.len()).collect();
    let first = |block: &u32| {
        blocks.get(*block as usize).map_or(i64::MIN, |times| times.in_order(order).last)
    };
    numbers.sort_by_key(|block| std::cmp::Reverse((first(block), *block)));
    numbers
}

/// First document of a block, and the one behind its last.
pub(super) const fn documents(block: u32) -> (DocId, DocId) {
    let first = block.saturating_mul(BLOCK);
    (first, first.saturating_add(BLOCK))
}

/// The zones of the segments of a partition that were asked for.
#[derive(Debug, Default)]
pub(super) struct ZoneCache(Mutex<HashMap<SegmentId, Arc<Zones>>>);

impl ZoneCache {
    /// The zones of a segment.
    ///
    /// # Errors
    /// The index library's.
    pub(super) fn get(&self, reader: &SegmentReader) -> tantivy::Result<Arc<Zones>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zones) = known.get(&reader.segment_id()) {
            return Ok(Arc::clone(zones));
        }
        drop(known);
        let times = super::read::collect::time_column(reader)?;
        let zones = Arc::new(Zones::of(&times, reader.max_doc()));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(reader.segment_id(), Arc::clone(&zones));
        Ok(zones)
    }

    /// Forgets segments that are no more.
    pub(super) fn keep(&self, readers: &[SegmentReader]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, _| readers.iter().any(|reader| reader.segment_id() == *id));
    }
}
