//! The way from an input to the outbox: passes items on, waits or sheds when there is no room, counts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Sender, TrySendError};
use service::Shutdown;

use super::Item;
use super::counters::{Counters, Source, Tally};
use crate::config::Quiet;

/// The way from an input to the outbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Intake {
    queue: Sender<Item>,
    /// The way of items of many events, so that they do not take the room of small ones.
    bulk: Sender<Item>,
    counters: Arc<Counters>,
    source: Arc<Source>,
    shutdown: Shutdown,
}

/// The outbox is gone; inputs stop.
#[derive(Debug, thiserror::Error)]
#[error("the outbox has stopped")]
pub struct Stopped;

impl Intake {
    /// An intake that feeds `queue`; what comes by it is not counted as any source's.
    #[must_use]
    pub fn new(queue: Sender<Item>, counters: Arc<Counters>, shutdown: Shutdown) -> Self {
        Self { bulk: queue.clone(), queue, counters, source: Arc::default(), shutdown }
    }

    /// The same way for a source of this name, which is counted on its own too.
    #[must_use]
    pub fn of(&self, name: &str) -> Self {
        Self { source: self.counters.source(name), ..self.clone() }
    }

    /// The same, with the silence after which an alarm is wanted when one is configured.
    #[must_use]
    pub fn quiet(self, quiet: Option<Quiet>) -> Self {
        if let Some(quiet) = quiet {
            self.source.set_quiet(quiet);
        }
        self
    }

    /// Whether inputs are to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shutdown.is_triggered()
    }

    /// What tells inputs to stop.
    #[must_use]
    pub const fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Counters of all inputs.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counters of this source.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The same way, with a queue of its own for items of many events (up to 256, or 256 KiB of lines).
    #[must_use]
    pub fn with_bulk(self, bulk: Sender<Item>) -> Self {
        Self { bulk, ..self }
    }

    fn arrived(&self, item: &Item, parsed: bool, bytes: usize) {
        let mut tally = Tally::default();
        item.events.iter().for_each(|event| tally.add(event, parsed, bytes));
        self.count(&tally);
    }

    /// Counts lines that are passed on by [`Intake::send`].
    pub(super) fn count(&self, tally: &Tally) {
        self.counters.arrived(tally);
        self.source.arrived(tally);
    }

    /// Passes on many events that are counted, waiting for room. Blocks the calling thread.
    ///
    /// # Errors
    /// [`Stopped`].
    pub(super) fn send(&self, item: Item) -> Result<(), Stopped> {
        let count = u64::try_from(item.events.len()).unwrap_or(u64::MAX);
        self.bulk.send(item).map_err(|_| Stopped)?;
        self.counters.processed.fetch_add(count, Ordering::Release);
        Ok(())
    }

    /// Passes on an item of one event, waiting for room. Blocks the calling thread.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn wait(&self, item: Item, parsed: bool, bytes: usize) -> Result<(), Stopped> {
        self.arrived(&item, parsed, bytes);
        self.queue.send(item).map_err(|_| Stopped)?;
        self.counters.processed.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Passes on an item of one event, waiting for room without blocking the runtime.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn wait_async(&self, item: Item, parsed: bool, bytes: usize) -> Result<(), Stopped> {
        self.arrived(&item, parsed, bytes);
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

    /// Whether the queue has room for what a datagram holds; a source that has to wait has it while this is
    /// false.
    pub(super) fn has_room(&self) -> bool {
        let free = |capacity: usize| capacity.saturating_sub(self.queue.len());
        self.queue.capacity().is_none_or(|capacity| free(capacity) > capacity / 8)
    }

    /// Passes on an item of one event or sheds it when there is no room.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn offer(&self, item: Item, parsed: bool, bytes: usize) -> Result<(), Stopped> {
        self.arrived(&item, parsed, bytes);
        match self.queue.try_send(item) {
            Ok(()) => {
                self.counters.processed.fetch_add(1, Ordering::Release);
            }
            Err(TrySendError::Full(_)) => {
                self.counters.queue_full.fetch_add(1, Ordering::Release);
                self.source.shed();
            }
            Err(TrySendError::Disconnected(_)) => return Err(Stopped),
        }
        Ok(())
    }
}
