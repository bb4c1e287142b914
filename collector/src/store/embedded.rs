//! The embedded store: the durable log and the index over it, in one directory of one machine.
//!
//! Layout: `log/`, `index/`, `index.position`, `index.routing`, `quarantine/`, `lock`; partitions that are over may lie in a
//! second folder ([`super::index::write::mover`]). Its keys lie elsewhere ([`crate::vault`]). One process at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use event::{Ledger, Timestamp};

use super::class::Class;
use super::figures::{Figures, RetentionPolicy, RetentionReport, SummaryFigures, WarmFigures};
use super::index::files::cache::PageCache;
use super::index::partition::{Folders, Partition, Partitions, Reach};
use super::index::read::dictionary::{self, Known};
use super::index::summarise::Summaries;
use super::index::write::handle::{Feed, IndexConfig, IndexHandle};
use super::index::write::mover::{Mover, Warm};
use super::log::{Entry, Item, Log, LogConfig};
use super::ready::{Maker, Ready, Sequences};
use super::{
    Append, AppendOutcome, BoxFuture, Holding, Now, SourceKey, StorageFigures, Store, StoreError,
};
use crate::redaction::{Order, Tombstone};
use crate::search::{
    Cancel, FieldSeen, SearchError, SearchRequest, SearchResponse, ValueSeen, plan::FieldRef,
};
use crate::vault::{Vault, checkpoint, names};

/// How the embedded store is kept. [`Config::new`] gives the defaults.
#[derive(Clone)]
pub struct Config {
    /// Its directory; made when there is none.
    pub directory: PathBuf,
    /// Its keys and what is told of it.
    pub vault: Arc<Vault>,
    /// Present time.
    pub now: Now,
    /// Bytes of a log segment.
    pub segment_bytes: u64,
    /// Bytes of log kept behind the index, to repair it from.
    pub keep_log_bytes: u64,
    /// Time between commits: how soon events are searchable.
    pub commit_every: Duration,
    /// Time without an event after which a partition's segments are merged into few.
    pub quiet: Duration,
    /// Memory of one index writer, bytes.
    pub writer_bytes: usize,
    /// Memory for opened pages of the index, bytes.
    pub cache_bytes: usize,
    /// Days an event may lie before its receipt to be filed under its own day.
    pub past_days: i64,
    /// Days an event may lie behind its receipt to be filed under its own day.
    pub future_days: i64,
    /// Classes of data, which have partitions of their own.
    pub classes: Vec<Class>,
    /// Documents of a partition from which on a next part of its day is begun.
    pub part_documents: u64,
    /// Bytes of a partition from which on a next part of its day is begun.
    pub part_bytes: u64,
    /// Where partitions go whose day is over.
    pub warm: Option<Warm>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Config").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Config {
    /// The defaults for a directory.
    #[must_use]
    pub fn new(directory: PathBuf, vault: Arc<Vault>, now: Now) -> Self {
        Self {
            directory,
            vault,
            now,
            segment_bytes: 64 << 20,
            keep_log_bytes: 512 << 20,
            commit_every: Duration::from_millis(400),
            quiet: Duration::from_secs(600),
            writer_bytes: 208 << 20,
            cache_bytes: CACHE_BYTES,
            past_days: 30,
            future_days: 2,
            classes: Vec::new(),
            part_documents: PART_DOCUMENTS,
            part_bytes: PART_BYTES,
            warm: None,
        }
    }
}

/// The embedded store. Dropping it without [`Embedded::close`] is safe but leaves work for the
/// next start, as a crash does.
#[derive(Debug)]
pub struct Embedded {
    // Dropped in this order: the log's thread ends after its appenders and the index are gone.
    appender: super::log::append::Appender,
    summaries: Summaries,
    mover: Option<Mover>,
    index: IndexHandle,
    log: Arc<Mutex<Log>>,
    vault: Arc<Vault>,
    maker: Maker,
    now: NowFn,
    known: Known,
    _lock: File,
}

struct NowFn(Now);

impl std::fmt::Debug for NowFn {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Now")
    }
}

/// Memory for opened pages of the index unless said otherwise, bytes.
pub const CACHE_BYTES: usize = 64 << 20;
/// Bytes that most documents take as JSON.
const USUAL: usize = 1024;
/// Entries on their way from the log to the index; their bytes are bounded too.
const HANDED: usize = 128;
/// Appends waiting for the log; their bytes are bounded too.
const QUEUE: usize = 128;
/// Bytes written with one sync.
const GROUP_BYTES: usize = 4 << 20;
/// Index writers kept open, and as many again as there are classes, twice: of today and of yesterday.
const WRITERS: usize = 4;
/// Time between two looks whether a partition wants a summary.
const SUMMARY_EVERY: Duration = Duration::from_secs(60);
/// Documents of a partition from which on a next part of its day is begun, unless said otherwise.
pub const PART_DOCUMENTS: u64 = 50_000_000;
/// Bytes of a partition from which on a next part of its day is begun, unless said otherwise.
pub const PART_BYTES: u64 = 20 << 30;

impl Embedded {
    /// Opens or makes a store; recovers it first when it was not closed.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Vault`], [`StoreError::Io`]. Damage to data is no
    /// error: it is in the figures.
    pub fn open(config: Config) -> Result<Self, StoreError> {
        let directory = &config.directory;
        std::fs::create_dir_all(directory)
            .map_err(|source| StoreError::io("make", directory, source))?;
        let lock = lock(directory)?;
        let (vault, keys) = (Arc::clone(&config.vault), config.vault.keyring.clone());
        let key = keys.file_key(names::STORE)?;
        let quarantine = directory.join("quarantine");
        let (to_index, handed) = crossbeam_channel::bounded(HANDED);
        let log_config = LogConfig {
            directory: directory.join("log"),
            quarantine: quarantine.clone(),
            segment_bytes: config.segment_bytes,
            group_bytes: GROUP_BYTES,
            queue: QUEUE,
            keep_bytes: config.keep_log_bytes,
        };
        let index_config = IndexConfig {
            log: log_config.directory.clone(),
            position_file: directory.join("index.position"),
            commit_every: config.commit_every,
            quiet: ticks(config.quiet, config.commit_every),
            writer_bytes: config.writer_bytes,
            writers: config.classes.len().saturating_mul(2).saturating_add(WRITERS),
            reach: Reach { past: config.past_days, future: config.future_days },
            routing_file: directory.join("index.routing"),
            classes: config.classes.clone(),
            part_documents: config.part_documents.max(1),
            part_bytes: config.part_bytes.max(1),
        };
        let (log, problems) = Log::open(log_config, &vault, to_index)?;
        let cache = Arc::new(PageCache::new(config.cache_bytes));
        let folders = Folders {
            hot: directory.join("index"),
            warm: config.warm.as_ref().map(|warm| warm.folder.clone()),
            quarantine,
        };
        let (partitions, damaged) = Partitions::open(folders, Arc::clone(&vault), cache)?;
        vault.begin(checkpoint::LOG, &directory.join("log"), Some(log.head()));
        partitions.begin();
        let durable = log.durable_shared();
        let log = Arc::new(Mutex::new(log));
        let feed = Feed { handed, log: Arc::clone(&log), durable, key, keys };
        let maker = Maker::new(&index_config.classes).map_err(|error| StoreError::Index {
            partition: "of the present schema".to_owned(),
            reason: error.to_string(),
        })?;
        let index = IndexHandle::start(index_config, Arc::new(partitions), feed, damaged)?;
        // Not before: the log's thread ends when nobody can append, and what fails above waits for that.
        let appender = log.lock().unwrap_or_else(PoisonError::into_inner).appender();
        problems.into_iter().for_each(|problem| index.problems.push(problem));
        let summaries = Summaries::start(Arc::clone(&index.partitions), SUMMARY_EVERY)?;
        let now = Arc::clone(&config.now);
        let start = |warm| Mover::start(warm, index.shared(), index.asker()?, now);
        let mover = config.warm.map(start).transpose()?;
        Ok(Self {
            summaries,
            mover,
            index,
            log,
            appender,
            vault,
            maker,
            now: NowFn(config.now),
            known: Known::default(),
            _lock: lock,
        })
    }

    /// Like [`Store::append`], for threads outside of an asynchronous runtime.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_blocking(&self, append: &Append) -> Result<AppendOutcome, StoreError> {
        let (entry, ready) = self.entry(append)?;
        self.appender.append_blocking(entry, ready)
    }

    /// Stops intake, commits the index and the log's state, ends the threads.
    pub fn close(mut self) {
        drop((self.summaries, self.mover));
        self.index.stop();
        self.log.lock().unwrap_or_else(PoisonError::into_inner).stop();
        if let Err(error) =
            self.index.partitions.checkpoint().and_then(|()| Ok(self.vault.checkpoint(true)?))
        {
            tracing::warn!(%error, "the last checkpoint was not written");
        }
    }

    /// Checks and serialises an append, and makes its documents ready for the index.
    fn entry(&self, append: &Append) -> Result<(Entry, Option<Ready>), StoreError> {
        let Append { source, first_seq, last_seq, documents } = append;
        let (first_seq, last_seq) = (*first_seq, *last_seq);
        let batch = |problem| StoreError::Batch { first_seq, last_seq, problem };
        if first_seq > last_seq || first_seq == 0 {
            return Err(batch("is no range of sequences from 1 on"));
        }
        let mut json = Vec::with_capacity(documents.len().saturating_mul(USUAL));
        let (mut items, mut least) = (Vec::with_capacity(documents.len()), first_seq);
        let learned = self.vault.redactions.learned();
        let screened = self.vault.redactions.screen_all(documents);
        let sequences = Sequences::new(source);
        for (index, document) in documents.iter().enumerate() {
            let wrong = |problem| StoreError::Document { index, problem };
            let seq = sequences.of(document).map_err(wrong)?;
            if seq < least || seq > last_seq {
                return Err(wrong("is out of sequence"));
            }
            least = seq.saturating_add(1);
            // What is redacted does not come back.
            let Some(document) = screened.get(index).filter(|left| !left.is_empty()) else {
                continue;
            };
            let start = json.len();
            serde_json::to_writer(&mut json, document)
                .map_err(|_| wrong("cannot be serialised"))?;
            items.push(Item { seq, json: start..json.len(), index });
        }
        let mut entry = Entry {
            source: source.clone(),
            first_seq,
            last_seq,
            received: (self.now.0)(),
            documents: screened,
            items,
            json: Arc::new(json),
        };
        // An index that is behind reads from the log, and this would be for nothing.
        let wanted = self.appender.hands_on(entry.json.len());
        let ready = wanted.then(|| self.maker.make(&entry, learned)).flatten();
        if ready.is_some() {
            entry.documents = Arc::default();
        }
        Ok((entry, ready))
    }
}

/// How often something of `each` fits into a time.
fn ticks(time: Duration, each: Duration) -> u32 {
    let each = each.as_millis().max(1);
    u32::try_from(time.as_millis() / each).unwrap_or(u32::MAX)
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let file = File::create(&path).map_err(|source| StoreError::io("make", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(StoreError::InUse { path: directory.to_owned() })
        }
        Err(std::fs::TryLockError::Error(source)) => Err(StoreError::io("lock", &path, source)),
    }
}

impl Embedded {
    /// By when every record of the log that is gone had been received; `None` when that is not known of one.
    fn lost_until(&self) -> Option<Timestamp> {
        let (log, index) = (self.appender.counters(), &self.index.counters);
        let at_start = log.lost_until.get().copied();
        let later = index.unreadable_until.lock().unwrap_or_else(PoisonError::into_inner).time();
        let found = [(&log.lost, at_start), (&index.unreadable, later)];
        let mut latest = None;
        for (count, until) in found {
            if count.load(Ordering::Relaxed) > 0 {
                latest = latest.max(Some(until?));
            }
        }
        latest
    }
}

impl Store for Embedded {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<AppendOutcome, StoreError>> {
        Box::pin(async move {
            let (entry, ready) = self.entry(&append)?;
            drop(append);
            self.appender.append(entry, ready).await
        })
    }

    fn covered(&self, source: SourceKey, last: u64) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.appender.covered(source, last))
    }

    fn search(
        &self,
        request: &SearchRequest,
        cancel: &Cancel,
    ) -> Result<SearchResponse, SearchError> {
        let partitions = self.index.partitions.all();
        let mut suspect = |partition: &Partition| {
            self.index.suspect(partition.key);
        };
        let now = (self.now.0)();
        let mut found =
            super::index::read::search::search(&partitions, request, (cancel, now), &mut suspect)?;
        let (low, high) = super::index::read::search::window(request, now)?;
        found.failures.extend(self.index.partitions.lacking(low, high));
        let add = |counter, skipped: u64| {
            super::log::append::count(counter, usize::try_from(skipped).unwrap_or(0));
        };
        add(&self.index.counters.skipped_by_time, found.skipped.by_time);
        add(&self.index.counters.skipped_by_terms, found.skipped.by_terms);
        Ok(found)
    }

    fn fields(&self) -> Result<Vec<FieldSeen>, SearchError> {
        self.known.fields(&self.index.partitions.all())
    }

    fn values(
        &self,
        field: &str,
        prefix: &str,
        count: usize,
    ) -> Result<Vec<ValueSeen>, SearchError> {
        let partitions = self.index.partitions.all();
        dictionary::values(&partitions, &FieldRef::new(field), prefix, count)
    }

    fn retain(&self, policy: &RetentionPolicy) -> Result<RetentionReport, StoreError> {
        self.index.retain(policy)
    }

    fn holding(&self, ids: &[&str]) -> Result<Vec<Holding>, StoreError> {
        self.index.partitions.holding(ids)
    }

    fn redact(&self, order: Order) -> Result<Tombstone, StoreError> {
        self.index.redact(order)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.index.flush()
    }

    fn storage(&self) -> StorageFigures {
        self.index.partitions.storage()
    }

    fn figures(&self) -> Figures {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let log = self.appender.counters();
        let index = &self.index.counters;
        let partitions = self.index.partitions.all();
        let (seen, stored) = (get(&log.seen), get(&log.stored));
        let (duplicates, failed) = (get(&log.duplicates), get(&log.failed));
        let done = stored.saturating_add(duplicates).saturating_add(failed);
        let mut intake = Ledger { seen, processed: stored, ..Ledger::default() };
        intake.shed("duplicate", duplicates);
        intake.shed("refused", failed);
        intake.pending = seen.saturating_sub(done);
        let (added, committed) = (get(&index.added), get(&index.committed));
        let pending = added.saturating_sub(committed);
        let classes = self.index.partitions.classes();
        let summaries = SummaryFigures {
            skipped_by_time: get(&index.skipped_by_time),
            skipped_by_terms: get(&index.skipped_by_terms),
            ..self.index.partitions.summaries()
        };
        Figures {
            intake,
            index: Ledger { seen: added, processed: committed, pending, ..Ledger::default() },
            documents: partitions.iter().map(|p| p.documents()).sum(),
            partitions: partitions.len() as u64,
            log_bytes: get(&log.disk),
            index_bytes: classes.values().map(|class| class.bytes).sum(),
            classes,
            summaries,
            warm: WarmFigures {
                moved: get(&index.moved),
                failed: get(&index.not_moved),
                ..self.index.partitions.warm()
            },
            input_bytes: get(&log.bytes),
            syncs: get(&log.syncs),
            commits: get(&index.commits),
            segments: partitions
                .iter()
                .map(|p| p.reader.searcher().segment_readers().len() as u64)
                .sum(),
            merges: get(&index.merges),
            merges_failed: get(&index.merges_failed),
            log_records_lost: get(&log.lost).saturating_add(get(&index.unreadable)),
            log_torn_tails: get(&log.torn),
            log_lost_until: self.lost_until(),
            index_quarantined: get(&index.quarantined),
            set_aside: self.index.partitions.set_aside_list(),
            repaired: get(&index.repaired),
            retention_dropped: get(&index.dropped),
            gaps_closed: get(&log.gaps_closed),
            gaps_until: Some(log.gaps_until.load(Ordering::Relaxed))
                .filter(|until| *until > 0)
                .map(Timestamp::from_micros),
            sources_evicted: get(&log.evicted),
            values_capped: get(&index.values_capped),
            problems: [
                self.index.problems.list(),
                self.index.partitions.problems(),
                self.vault.problems(),
            ]
            .concat(),
        }
    }
}

#[cfg(test)]
mod tests;
