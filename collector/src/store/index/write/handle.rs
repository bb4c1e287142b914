//! The handle of the index thread: what others may ask of it, its counters and problems.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::routing::Routing;
use super::worker::Worker;
use crate::keyring::Keyring;
use crate::redaction::{Order, Tombstone};
use crate::store::class::Class;
use crate::store::figures::{RetentionPolicy, RetentionReport};
use crate::store::index::partition::{PartitionKey, Partitions, Quarantined, Reach};
use crate::store::log::checkpoint::{self, Found};
use crate::store::log::{Handed, Log, Position, Until};
use crate::store::{Key, Problem, StoreError};
use crate::vault::Head;

/// How the index is kept.
#[derive(Clone, Debug)]
pub struct IndexConfig {
    /// Directory of the log, to read from.
    pub log: PathBuf,
    /// File that notes the position up to which everything is committed.
    pub position_file: PathBuf,
    /// Time between commits.
    pub commit_every: Duration,
    /// Memory of one writer, bytes (at least 15 MB).
    pub writer_bytes: usize,
    /// Ticks ([`Self::commit_every`]) without an event after which a partition is quiet.
    pub quiet: u32,
    /// Writers kept open.
    pub writers: usize,
    /// How far event times may be from the receipt.
    pub reach: Reach,
    /// File that notes where events went.
    pub routing_file: PathBuf,
    /// Classes of data, in order.
    pub classes: Vec<Class>,
    /// Documents of a partition from which on a next part of its day is begun.
    pub part_documents: u64,
    /// Bytes of a partition from which on a next part of its day is begun.
    pub part_bytes: u64,
}

/// Most problems kept for the figures.
pub const MAX_PROBLEMS: usize = 100;

/// Counters of the index since its opening.
#[derive(Debug, Default)]
pub struct IndexCounters {
    /// Documents added.
    pub added: AtomicU64,
    /// Documents committed.
    pub committed: AtomicU64,
    /// Commits.
    pub commits: AtomicU64,
    /// Segments or partitions taken out of service.
    pub quarantined: AtomicU64,
    /// Documents indexed again after damage.
    pub repaired: AtomicU64,
    /// Documents gone with dropped partitions.
    pub dropped: AtomicU64,
    /// Values left out.
    pub values_capped: AtomicU64,
    /// Merges in quiet partitions.
    pub merges: AtomicU64,
    /// Tries to merge them that failed.
    pub merges_failed: AtomicU64,
    /// Records of the log that could not be read for indexing.
    pub unreadable: AtomicU64,
    /// By when these had been received.
    pub unreadable_until: Mutex<Until>,
    /// Partitions moved to the warm folder.
    pub moved: AtomicU64,
    /// Tries to move one that failed.
    pub not_moved: AtomicU64,
    /// Partitions that searches skipped because no event is of the time.
    pub skipped_by_time: AtomicU64,
    /// Partitions that searches skipped because they lack a term.
    pub skipped_by_terms: AtomicU64,
}

/// Problems found, newest last.
#[derive(Debug, Default)]
pub struct Problems(Mutex<Vec<Problem>>);

impl Problems {
    /// Adds one; the oldest goes when there are too many.
    pub fn push(&self, problem: Problem) {
        tracing::error!(
            path = problem.path,
            offset = problem.offset,
            what = problem.what,
            advice = problem.advice,
            "store problem"
        );
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() >= MAX_PROBLEMS {
            list.remove(0);
        }
        list.push(problem);
    }

    /// A copy of all.
    #[must_use]
    pub fn list(&self) -> Vec<Problem> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
pub(in crate::store::index) enum Command {
    Flush(Sender<Result<(), StoreError>>),
    Retain(RetentionPolicy, Sender<Result<RetentionReport, StoreError>>),
    Redact(Box<Order>, Sender<Result<Tombstone, StoreError>>),
    Suspect(PartitionKey),
    /// Nothing is written to it any more, but to repair it.
    Close(PartitionKey, Sender<Result<(), StoreError>>),
    /// A copy of it that has come so far is ready.
    Moved(PartitionKey, Head, Sender<Result<bool, StoreError>>),
    Stop(Sender<()>),
}

/// Handle of the index thread. Dropping it stops the thread without a commit, as a crash would.
#[derive(Debug)]
pub struct IndexHandle {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    /// The partitions, for searches.
    pub partitions: Arc<Partitions>,
    /// Counters.
    pub counters: Arc<IndexCounters>,
    /// Problems.
    pub problems: Arc<Problems>,
}

/// What the thread works on.
#[derive(Debug)]
pub struct Feed {
    /// Entries as they become durable.
    pub handed: Receiver<Handed>,
    /// The log, to read its end and to tell it what is indexed.
    pub log: Arc<Mutex<Log>>,
    /// The log's end.
    pub durable: Arc<Mutex<Position>>,
    /// Key of small files.
    pub key: Key,
    /// Keys of log segments.
    pub keys: Keyring,
}

impl IndexHandle {
    /// Starts the thread. `damaged` is what opening the partitions found; it is indexed again
    /// from the log as far as that goes.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn start(
        config: IndexConfig,
        partitions: Arc<Partitions>,
        feed: Feed,
        damaged: Vec<Quarantined>,
    ) -> Result<Self, StoreError> {
        let next = match checkpoint::read(&config.position_file, &feed.key)? {
            Found::Content(bytes) => std::str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
            Found::Nothing | Found::Damaged => Position::default(),
        };
        let existing = partitions.keys();
        let end = *feed.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let file = (config.routing_file.clone(), feed.key.clone());
        let (mut routing, problem) =
            Routing::open(file, config.reach, &config.classes, end, &existing)?;
        for key in partitions.missing().iter() {
            // What lies behind a folder that is not there cannot be written to.
            if routing.is_latest(*key) {
                routing.begin_part(*key, next, &existing)?;
            }
        }
        let (commands, queue) = bounded(64);
        let counters = Arc::new(IndexCounters::default());
        let problems = Arc::new(Problems::default());
        let shared = Shared {
            partitions: Arc::clone(&partitions),
            counters: Arc::clone(&counters),
            problems: Arc::clone(&problems),
        };
        problem.into_iter().for_each(|problem| problems.push(problem));
        let mut worker = Worker::new(config, shared, (feed, routing), next);
        worker.note(damaged);
        let thread = std::thread::Builder::new()
            .name("index-writer".to_owned())
            .spawn(move || worker.run(&queue))
            .map_err(|source| StoreError::io("start a thread", &PathBuf::from("index"), source))?;
        Ok(Self { commands: Some(commands), thread: Some(thread), partitions, counters, problems })
    }

    fn ask<T>(&self, make: impl FnOnce(Sender<T>) -> Command) -> Result<T, StoreError> {
        self.asker()?.ask(make)
    }

    /// Who may ask the thread too. The thread does not end by itself while there is one.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub(crate) fn asker(&self) -> Result<Asker, StoreError> {
        Ok(Asker(self.commands.clone().ok_or(StoreError::Stopped)?))
    }

    /// What the thread shares.
    pub(crate) fn shared(&self) -> Shared {
        Shared {
            partitions: Arc::clone(&self.partitions),
            counters: Arc::clone(&self.counters),
            problems: Arc::clone(&self.problems),
        }
    }

    /// Indexes and commits everything that is durable now.
    ///
    /// # Errors
    /// [`StoreError::Stopped`], [`StoreError::Index`].
    pub fn flush(&self) -> Result<(), StoreError> {
        self.ask(Command::Flush)?
    }

    /// Applies a retention policy.
    ///
    /// # Errors
    /// [`StoreError::Stopped`], [`StoreError::Io`].
    pub fn retain(&self, policy: &RetentionPolicy) -> Result<RetentionReport, StoreError> {
        self.ask(|reply| Command::Retain(policy.clone(), reply))?
    }

    /// Carries out a redaction.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when no event of it is there; any other one says that it is begun and goes
    /// on by itself, or that it is not begun: the vault's orders tell.
    pub fn redact(&self, order: Order) -> Result<Tombstone, StoreError> {
        self.ask(|reply| Command::Redact(Box::new(order), reply))?
    }

    /// Asks for a partition to be checked thoroughly.
    pub fn suspect(&self, key: PartitionKey) {
        if let Some(commands) = &self.commands {
            // When the queue is full another search will find it again.
            drop(commands.try_send(Command::Suspect(key)));
        }
    }

    /// Commits everything, finishes merges, ends the thread.
    pub fn stop(&mut self) {
        drop(self.ask(Command::Stop));
        self.join();
    }

    fn join(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the index thread panicked");
        }
    }
}

impl Drop for IndexHandle {
    fn drop(&mut self) {
        self.join();
    }
}

/// Asks the thread.
#[derive(Debug)]
pub(crate) struct Asker(Sender<Command>);

impl Asker {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub(in crate::store::index) fn ask<T>(
        &self,
        make: impl FnOnce(Sender<T>) -> Command,
    ) -> Result<T, StoreError> {
        let (reply, answer) = bounded(1);
        self.0.send(make(reply)).map_err(|_| StoreError::Stopped)?;
        answer.recv().map_err(|_| StoreError::Stopped)
    }
}

/// What the thread shares with its handle.
#[derive(Debug)]
pub(crate) struct Shared {
    pub partitions: Arc<Partitions>,
    pub counters: Arc<IndexCounters>,
    pub problems: Arc<Problems>,
}
