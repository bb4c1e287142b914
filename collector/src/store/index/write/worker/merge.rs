//! Merging what is quiet: a partition that nothing has been written to for a while gets few large segments, one merge
//! at a time, while the index keeps up with what comes.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tantivy::FutureResult;
use tantivy::index::SegmentMeta;

use super::{Work, Worker, index_error};
use crate::room;
use crate::store::Problem;
use crate::store::index::partition::{Partition, PartitionKey};
use crate::store::index::write::merge::when_quiet;
use crate::store::log::append::count;

/// Looks taken in the time after which a partition is quiet.
const LOOKS: u32 = 60;
/// Ticks after which a merge that failed is tried again.
const AGAIN: u32 = 9_000;

/// What is merged.
#[derive(Default)]
pub(super) struct Merging {
    now: Option<(PartitionKey, FutureResult<Option<SegmentMeta>>)>,
    /// Partitions whose merge failed, with the tick from which on it is tried again.
    failed: BTreeMap<PartitionKey, u32>,
}

impl Merging {
    /// Whether a partition is being merged.
    pub(super) fn is_busy_with(&self, key: PartitionKey) -> bool {
        self.now.as_ref().is_some_and(|(now, _)| *now == key)
    }

    /// Forgets the merge that is going on: its writer is gone.
    pub(super) fn forget(&mut self) {
        self.now = None;
    }
}

impl Worker {
    /// Ends a merge that is done and begins the next one, when it is time for that.
    pub(super) fn merge_quiet(&mut self) -> Work<()> {
        let every = (self.config.quiet / LOOKS).max(1);
        if !self.ticks.is_multiple_of(every) || self.is_behind() {
            return Ok(());
        }
        if let Some((key, mut done)) = self.merging.now.take() {
            match Pin::new(&mut done).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => self.merging.now = Some((key, done)),
                Poll::Ready(done) => self.merged(key, done.map(drop))?,
            }
        }
        if self.merging.now.is_none() {
            match self.next_merge() {
                Some(partition) => self.begin_merge(partition)?,
                None => self.close_idle()?,
            }
        }
        Ok(())
    }

    /// Whether nothing has been written to a partition for a while.
    fn is_quiet(&self, key: PartitionKey) -> bool {
        match self.writers.get(&key) {
            Some(writer) => {
                !writer.dirty && self.ticks.wrapping_sub(writer.tick) >= self.config.quiet
            }
            None => self.ticks >= self.config.quiet,
        }
    }

    fn next_merge(&self) -> Option<Arc<Partition>> {
        let waits = |key| self.merging.failed.get(&key).is_some_and(|until| self.ticks < *until);
        let wanted = |partition: &Arc<Partition>| {
            let key = partition.key;
            self.is_quiet(key)
                && !waits(key)
                && !self.partitions.is_unreadable(key)
                && partition.segments().is_ok_and(|all| !when_quiet(&all).is_empty())
                // A merge never takes more than the partition does.
                && room::above(&partition.path, None).is_ok_and(|room| room > partition.bytes())
        };
        let hot = self.partitions.hot();
        hot.iter().filter_map(|held| self.partitions.get(held.key)).find(wanted)
    }

    fn begin_merge(&mut self, partition: Arc<Partition>) -> Work<()> {
        let key = partition.key;
        let failed = |error| index_error((key.to_string(), error));
        let group = when_quiet(&partition.segments().map_err(failed)?);
        tracing::debug!(partition = %key, segments = group.len(), "merging");
        let writer = self.writer(partition).map_err(failed)?;
        self.merging.now = Some((key, writer.writer.merge(&group)));
        Ok(())
    }

    fn merged(&mut self, key: PartitionKey, done: tantivy::Result<()>) -> Work<()> {
        if let Err(error) = done {
            count(&self.counters.merges_failed, 1);
            let partition = self.partitions.get(key);
            self.problems.push(Problem {
                path: partition.map(|one| one.path.display().to_string()).unwrap_or_default(),
                offset: 0,
                what: format!("segments of partition {key} were not merged: {error}"),
                advice: "they stay as they are and are searched; it is tried again later; check \
                         the disk and its room"
                    .to_owned(),
            });
            self.merging.failed.insert(key, self.ticks.saturating_add(AGAIN));
            self.inspect(key);
            return Ok(());
        }
        self.merging.failed.remove(&key);
        count(&self.counters.merges, 1);
        if let Some(partition) = self.partitions.get(key) {
            partition.reload().map_err(|error| index_error((key.to_string(), error)))?;
        }
        self.partitions.checkpoint()
    }

    /// Closes the writers of quiet partitions.
    fn close_idle(&mut self) -> Work<()> {
        let idle: Vec<PartitionKey> =
            self.writers.keys().copied().filter(|key| self.is_quiet(*key)).collect();
        for key in idle {
            let Some(writer) = self.writers.remove(&key) else { continue };
            let ended = writer.writer.wait_merging_threads();
            ended.map_err(|error| index_error((key.to_string(), error)))?;
        }
        Ok(())
    }
}
