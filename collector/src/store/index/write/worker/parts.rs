//! Ends of partitions: a next part is begun when one has grown too large, none is written to that is to be moved, a
//! copy takes the place of the original.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{IndexConfig, Work, Worker, index_error};
use crate::store::index::partition::{Partition, PartitionKey};
use crate::vault::Head;

/// Commits between two looks at how many bytes the partitions have that are written to.
const MEASURE_EVERY: u64 = 32;

impl Worker {
    /// Begins a next part where a partition has grown too large; everything is committed.
    pub(super) fn split(&mut self) -> Work<()> {
        let IndexConfig { part_documents, part_bytes, .. } = self.config;
        let measure = self.counters.commits.load(Ordering::Relaxed).is_multiple_of(MEASURE_EVERY);
        let large = |partition: &Partition| {
            partition.documents() >= part_documents || (measure && partition.bytes() >= part_bytes)
        };
        let open = self.writers.values().map(|writer| &writer.partition);
        let full: Vec<Arc<Partition>> = open
            .filter(|partition| self.routing.is_latest(partition.key) && large(partition))
            .map(Arc::clone)
            .collect();
        for partition in full {
            self.begin_behind(&partition)?;
            tracing::info!(partition = %partition.key, "partition is full, a next part of its day is begun");
        }
        Ok(())
    }

    /// Begins the part behind a partition. After a crash a partition may hold more than what has been read from the log
    /// again so far: that must not go to the next part too.
    fn begin_behind(&mut self, partition: &Partition) -> Work<()> {
        let from = self.committed.max(partition.indexed());
        self.routing.begin_part(partition.key, from, &self.partitions.keys())
    }

    /// Lets nothing be written to a partition any more: what comes for its day goes to a next part.
    pub(super) fn close(&mut self, key: PartitionKey) -> Work<()> {
        self.commit()?;
        if let Some(partition) = self.partitions.get(key).filter(|_| self.routing.is_latest(key)) {
            self.begin_behind(&partition)?;
        }
        let Some(writer) = self.writers.remove(&key) else { return Ok(()) };
        let failed = |error| index_error((key.to_string(), error));
        writer.writer.wait_merging_threads().map_err(failed)?;
        writer.partition.reload().map_err(failed)
    }

    /// Puts a copy in the place of a partition that has not changed since; tells whether it did.
    pub(super) fn moved(&mut self, key: PartitionKey, head: Head) -> Work<bool> {
        let busy = self.merging.is_busy_with(key);
        if busy || self.writers.get(&key).is_some_and(|writer| writer.dirty) {
            return Ok(false);
        }
        self.writers.remove(&key);
        self.partitions.take_copy(key, head)
    }
}
