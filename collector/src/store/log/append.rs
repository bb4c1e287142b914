//! The way into the log: what an appender sends to the log's thread ([`super::writer`]) and waits for,
//! what is counted, and what is handed on to the index. The bytes that wait are bounded.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use event::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::Position;
use super::record::{Entry, pack};
use crate::store::ready::Ready;
use crate::store::{AppendOutcome, SourceKey, StoreError};
use crate::vault::Head;

/// An entry that has just become durable, on its way to the index.
#[derive(Debug)]
pub struct Handed {
    /// Where it lies.
    pub at: Position,
    /// Where the next record begins.
    pub next: Position,
    /// What it holds.
    pub entry: Arc<Entry>,
    /// Its documents made ready; without, they are in the entry.
    pub ready: Option<Ready>,
    /// Its bytes among those on the way, given back when it is dropped.
    pub(super) _room: OwnedSemaphorePermit,
}

/// Counters of the log since its opening.
#[derive(Debug, Default)]
pub struct Counters {
    /// Documents offered.
    pub seen: AtomicU64,
    /// Documents stored.
    pub stored: AtomicU64,
    /// Documents that were stored already.
    pub duplicates: AtomicU64,
    /// Documents refused because writing failed.
    pub failed: AtomicU64,
    /// Serialised bytes stored.
    pub bytes: AtomicU64,
    /// Syncs.
    pub syncs: AtomicU64,
    /// Bytes of all segments.
    pub disk: AtomicU64,
    /// Records lost to damage.
    pub lost: AtomicU64,
    /// By when they had been received.
    pub lost_until: OnceLock<Timestamp>,
    /// Torn tails dropped.
    pub torn: AtomicU64,
    /// Sequences declared lost.
    pub gaps_closed: AtomicU64,
    /// When the last of them were, microseconds; 0 when that is not known.
    pub gaps_until: AtomicI64,
    /// Sources forgotten.
    pub evicted: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

pub(super) type Answer = Result<AppendOutcome, StoreError>;

#[derive(Debug)]
pub(super) enum Command {
    Append(Box<Request>),
    Indexed(Position),
    Covered(SourceKey, u64, oneshot::Sender<u64>),
    /// Go on in a segment that shares its key with none before it; tells where.
    Roll(oneshot::Sender<Result<Position, StoreError>>),
    /// Let go of everything before a place, which is indexed; tells how far the log has come.
    Shed(Position, oneshot::Sender<Result<Head, StoreError>>),
    Stop(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Request {
    pub entry: Entry,
    pub ready: Option<Ready>,
    pub body: Vec<u8>,
    pub reply: oneshot::Sender<Answer>,
    /// Held until it is durable.
    pub room: Option<OwnedSemaphorePermit>,
}

/// Appends to the log; cheap to clone.
#[derive(Clone, Debug)]
pub struct Appender {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) counters: Arc<Counters>,
    /// Kibibytes of documents that may still be taken in.
    pub(super) room: Arc<Semaphore>,
    /// Kibibytes that may still be handed to the index.
    pub(super) to_index: Arc<Semaphore>,
}

/// Kibibytes of documents, as JSON, that wait for the log at most; parsed they take about four times as much.
pub(super) const APPEND_ROOM: u32 = 16 << 10;
/// Kibibytes of documents on their way from the log to the index at most.
pub(super) const HANDED_ROOM: u32 = 8 << 10;

/// The room that an entry takes of one of these.
pub(super) fn room_of(entry: &Entry, all: u32) -> u32 {
    let bytes: usize = entry.items.iter().map(|item| item.json.len()).sum();
    u32::try_from(bytes / 1024).unwrap_or(u32::MAX).saturating_add(1).min(all)
}

impl Appender {
    /// Appends an entry; resolves after it is durable.
    ///
    /// # Errors
    /// [`StoreError::Batch`], [`StoreError::Full`], [`StoreError::Io`], [`StoreError::Stopped`].
    pub async fn append(&self, entry: Entry, ready: Option<Ready>) -> Answer {
        let room = Arc::clone(&self.room).acquire_many_owned(room_of(&entry, APPEND_ROOM)).await;
        let (command, answer) = self.request((entry, ready), room.ok())?;
        self.commands.send(command).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    /// Like [`Self::append`], for threads outside of an asynchronous runtime; the caller sees to it
    /// that not too many of them append at once.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_blocking(&self, entry: Entry, ready: Option<Ready>) -> Answer {
        let (command, answer) = self.request((entry, ready), None)?;
        self.commands.blocking_send(command).map_err(|_| StoreError::Stopped)?;
        answer.blocking_recv().map_err(|_| StoreError::Stopped)?
    }

    /// How many of the sequences 1 to `last` of a source are stored.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub async fn covered(&self, source: SourceKey, last: u64) -> Result<u64, StoreError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Covered(source, last, reply);
        self.commands.send(command).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)
    }

    fn request(
        &self,
        (entry, ready): (Entry, Option<Ready>),
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<(Command, oneshot::Receiver<Answer>), StoreError> {
        count(&self.counters.seen, entry.items.len());
        let body = pack(&entry).inspect_err(|_| count(&self.counters.failed, entry.items.len()))?;
        let (reply, answer) = oneshot::channel();
        Ok((Command::Append(Box::new(Request { entry, ready, body, reply, room })), answer))
    }

    /// Whether an entry of so many bytes of documents would be handed to the index now, or is left for
    /// it to be read from the log.
    #[must_use]
    pub fn hands_on(&self, bytes: usize) -> bool {
        self.to_index.available_permits() > bytes / 1024
    }

    /// Counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
