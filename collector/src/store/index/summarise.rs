//! Makes the summaries of partitions that are no longer written to: one thread with time on its hands.
//!
//! A partition that has not changed for some looks gets a summary ([`super::summary`]); what is written to now does
//! not, because each commit would outdate it. Nothing waits for this thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::partition::{Partition, PartitionKey, Partitions};
use super::summary::{self, State};
use crate::store::StoreError;

/// Looks in a row at which a partition must be the same.
const QUIET_LOOKS: u32 = 10;

/// The thread; dropping it ends it after the partition at hand.
#[derive(Debug)]
pub struct Summaries {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Summaries {
    /// Starts the thread, which looks at the partitions every so often.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn start(partitions: Arc<Partitions>, every: Duration) -> Result<Self, StoreError> {
        let (stop, stopped) = bounded(0);
        let thread = std::thread::Builder::new()
            .name("index-summary".to_owned())
            .spawn(move || run(&partitions, &stopped, every))
            .map_err(|source| StoreError::io("start a thread", "index".as_ref(), source))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Summaries {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the summaries panicked");
        }
    }
}

fn run(partitions: &Partitions, stopped: &Receiver<()>, every: Duration) {
    let mut quiet = Quiet::default();
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        for partition in quiet.look(&partitions.all()) {
            if stopped.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected) {
                return;
            }
            // Made again at a later look; a partition that is being dropped has no place for one.
            if let Err(error) = summary::make(&partition) {
                tracing::warn!(partition = %partition.key, %error, "no summary was made");
            }
        }
    }
}

/// What the partitions looked like before.
#[derive(Debug, Default)]
struct Quiet(BTreeMap<PartitionKey, (BTreeSet<String>, u32)>);

impl Quiet {
    /// The partitions that want a summary and have not changed for long enough.
    fn look(&mut self, all: &[Arc<Partition>]) -> Vec<Arc<Partition>> {
        let mut out = Vec::new();
        let mut seen = BTreeMap::new();
        for partition in all {
            let searcher = partition.reader.searcher();
            if partition.summary.state(&searcher) == State::Current {
                continue;
            }
            let segments = summary::segments(&searcher);
            let looks = match self.0.get(&partition.key) {
                Some((before, looks)) if *before == segments => looks.saturating_add(1),
                _ => 0,
            };
            if looks >= QUIET_LOOKS {
                out.push(Arc::clone(partition));
            } else {
                seen.insert(partition.key, (segments, looks));
            }
        }
        self.0 = seen;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::index::files::cache::PageCache;
    use crate::store::index::partition::Folders;
    use crate::testing::vault;

    #[test]
    fn what_has_not_changed_for_long_enough_gets_a_summary_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let cache = Arc::new(PageCache::new(1 << 20));
        let folders = Folders { hot: at("index"), warm: None, quarantine: at("quarantine") };
        let (partitions, _) = Partitions::open(folders, vault(folder.path()), cache).unwrap();
        let key = PartitionKey::parse("2026-11-22").unwrap();
        let partition = partitions.ensure(key).unwrap();
        let mut writer: tantivy::IndexWriter = partition.index.writer(15_000_000).unwrap();
        let mut change = || {
            let mut document = tantivy::TantivyDocument::default();
            document.add_date(partition.fields.time, tantivy::DateTime::from_timestamp_micros(5));
            writer.add_document(document).unwrap();
            writer.commit().unwrap();
            partition.reload().unwrap();
        };
        let mut quiet = Quiet::default();
        let looks = |times: u32, quiet: &mut Quiet| -> Vec<usize> {
            (0..times).map(|_| quiet.look(&partitions.all()).len()).collect()
        };
        change();
        assert_eq!(looks(5, &mut quiet), [0; 5]);
        change();
        assert_eq!(looks(QUIET_LOOKS, &mut quiet), [0; QUIET_LOOKS as usize]);
        assert_eq!(looks(1, &mut quiet), [1]);
        summary::make(&partition).unwrap();
        assert_eq!(looks(30, &mut quiet), [0; 30], "it has one");
        assert_eq!(partitions.summaries().current, 1);
        change();
        assert_eq!(partitions.summaries().outdated, 1);
        assert_eq!(looks(QUIET_LOOKS + 1, &mut quiet).iter().sum::<usize>(), 1);
    }
}
