//! Log inputs: files, the journal, syslog listeners. Lines in, [`Item`]s out.
//!
//! Sources that can wait (files, journal, TCP) block when the queue is full and so lose nothing;
//! datagrams cannot wait and are shed and counted. How far a source was read travels with its
//! events as a [`Position`] and is kept with them in the spool.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Sender, TrySendError};
use event::{Event, Ledger};
use serde::{Deserialize, Serialize};
use service::Shutdown;

pub mod journald;
pub mod syslog;
pub mod tail;

/// How far a source has been read once an event of it is in the spool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// A byte offset in a file; the key of the source is `file:DEVICE:INODE`.
    File {
        /// Path it was met under.
        path: String,
        /// Offset behind the last line taken.
        offset: u64,
        /// CRC-32 of the first bytes, to tell a reused inode.
        head: u32,
        /// Bytes that `head` covers.
        head_length: u64,
    },
    /// A cursor of the journal; the key is `journald`.
    Cursor(String),
}

/// Positions of all sources, by their key.
pub type Positions = BTreeMap<String, Position>;

/// An event on its way to the outbox.
#[derive(Debug)]
pub struct Item {
    /// The event; its sequence is not set yet.
    pub event: Event,
    /// How far its source is read with it, when the source can be read again.
    pub position: Option<(Arc<str>, Position)>,
}

/// Counters of all log inputs together.
#[derive(Debug, Default)]
pub struct Counters {
    seen: AtomicU64,
    processed: AtomicU64,
    unparsed: AtomicU64,
    truncated: AtomicU64,
    queue_full: AtomicU64,
    oversized: AtomicU64,
}

impl Counters {
    /// As a ledger: lines seen, passed on, shed.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        // Processed is read first: what arrives meanwhile is pending, never negative.
        let processed = self.processed.load(Ordering::Acquire);
        let shed = self.queue_full.load(Ordering::Acquire);
        let seen = self.seen.load(Ordering::Acquire);
        let mut ledger = Ledger { seen, processed, ..Ledger::default() };
        ledger.shed("queue_full", shed);
        ledger.pending = seen.saturating_sub(processed).saturating_sub(shed);
        ledger
    }

    /// Lines that no parser understood; they are kept whole.
    #[must_use]
    pub fn unparsed(&self) -> u64 {
        self.unparsed.load(Ordering::Relaxed)
    }

    /// Files that were truncated while being read.
    #[must_use]
    pub fn truncated(&self) -> u64 {
        self.truncated.load(Ordering::Relaxed)
    }

    /// Lines that were cut because they were too long.
    #[must_use]
    pub fn oversized(&self) -> u64 {
        self.oversized.load(Ordering::Relaxed)
    }

    /// Counts a file that was truncated while being read.
    pub fn count_truncated(&self) {
        self.truncated.fetch_add(1, Ordering::Relaxed);
    }
}

/// The way from an input to the outbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Intake {
    queue: Sender<Item>,
    counters: Arc<Counters>,
    shutdown: Shutdown,
}

/// The outbox is gone; inputs stop.
#[derive(Debug, thiserror::Error)]
#[error("the outbox has stopped")]
pub struct Stopped;

impl Intake {
    /// An intake that feeds `queue`.
    #[must_use]
    pub const fn new(queue: Sender<Item>, counters: Arc<Counters>, shutdown: Shutdown) -> Self {
        Self { queue, counters, shutdown }
    }

    /// Whether inputs are to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shutdown.is_triggered()
    }

    /// Its counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn arrived(&self, parsed: bool, oversized: bool) {
        self.counters.seen.fetch_add(1, Ordering::Release);
        self.counters.unparsed.fetch_add(u64::from(!parsed), Ordering::Relaxed);
        self.counters.oversized.fetch_add(u64::from(oversized), Ordering::Relaxed);
    }

    /// Passes an item on, waiting for room. Blocks the calling thread.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn wait(&self, item: Item, parsed: bool) -> Result<(), Stopped> {
        self.arrived(parsed, flagged_truncated(&item.event));
        self.queue.send(item).map_err(|_| Stopped)?;
        self.counters.processed.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Passes an item on, waiting for room without blocking the runtime.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn wait_async(&self, item: Item, parsed: bool) -> Result<(), Stopped> {
        self.arrived(parsed, flagged_truncated(&item.event));
        let mut item = item;
        loop {
            match self.queue.try_send(item) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return Err(Stopped),
                Err(TrySendError::Full(back)) => item = back,
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        self.counters.processed.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Passes an item on or sheds it when there is no room.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn offer(&self, item: Item, parsed: bool) -> Result<(), Stopped> {
        self.arrived(parsed, flagged_truncated(&item.event));
        match self.queue.try_send(item) {
            Ok(()) => self.counters.processed.fetch_add(1, Ordering::Release),
            Err(TrySendError::Full(_)) => self.counters.queue_full.fetch_add(1, Ordering::Release),
            Err(TrySendError::Disconnected(_)) => return Err(Stopped),
        };
        Ok(())
    }
}

fn flagged_truncated(event: &Event) -> bool {
    event::get(&event.fields, "log.truncated_bytes").is_some()
}
