//! Retention: drops the partitions that are due ([`crate::store::retention`]), each with its key.

use std::sync::Arc;

use super::{Work, Worker};
use crate::store::figures::{DroppedPartition, RetentionPolicy, RetentionReport};
use crate::store::index::partition::Partition;
use crate::store::log::append::count;
use crate::store::retention::{Held, Reason, due};

impl Worker {
    /// Drops what is due.
    pub(super) fn retain(&mut self, policy: &RetentionPolicy) -> Work<RetentionReport> {
        let mut report = RetentionReport::default();
        let all = self.partitions.all();
        let held: Vec<Held> =
            all.iter().map(|one| Held { key: one.key, bytes: one.bytes() }).collect();
        for (at, reason) in due(&held, policy) {
            if let (Some(partition), Some(held)) = (all.get(at), held.get(at)) {
                self.drop_partition(partition, (held.bytes, reason), &mut report)?;
            }
        }
        Ok(report)
    }

    fn drop_partition(
        &mut self,
        partition: &Arc<Partition>,
        (bytes, reason): (u64, Reason),
        report: &mut RetentionReport,
    ) -> Work<()> {
        let writer = self.writers.remove(&partition.key);
        if let Some(writer) = writer.filter(|_| self.merging.is_busy_with(partition.key)) {
            // Nobody may write files of it any more; how the merge ends is no matter.
            drop(writer.writer.wait_merging_threads());
        }
        let documents = partition.documents();
        let reason = reason.as_str();
        self.partitions.remove(partition.key, (documents, bytes, reason))?;
        count(&self.counters.dropped, usize::try_from(documents).unwrap_or(usize::MAX));
        tracing::info!(partition = %partition.key, documents, bytes, reason, "partition dropped");
        report.dropped.push(DroppedPartition {
            partition: partition.key.to_string(),
            documents,
            bytes,
            reason: reason.to_owned(),
        });
        Ok(())
    }
}
