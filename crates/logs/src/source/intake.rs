//! The way from an input to the outbox: passes items on, waits or sheds when there is no room, counts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Sender, TrySendError};
use event::Event;
use service::Shutdown;

use super::Item;
use super::counters::{Arrival, Counters, Source};

/// The way from an input to the outbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Intake {
    queue: Sender<Item>,
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
        Self { queue, counters, source: Arc::default(), shutdown }
    }

    /// The same way for a source of this name, which is counted on its own too.
    #[must_use]
    pub fn of(&self, name: &str) -> Self {
        Self { source: self.counters.source(name), ..self.clone() }
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

    fn arrived(&self, event: &Event, parsed: bool, bytes: usize) {
        let truncated = event::get(&event.fields, "log.truncated_bytes").is_some();
        let line = Arrival { bytes, parsed, truncated, time: event.seen };
        self.counters.arrived(&line);
        self.source.arrived(&line);
    }

    /// Passes an item on, waiting for room. Blocks the calling thread.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn wait(&self, item: Item, parsed: bool, bytes: usize) -> Result<(), Stopped> {
        self.arrived(&item.event, parsed, bytes);
        self.queue.send(item).map_err(|_| Stopped)?;
        self.counters.processed.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Passes an item on, waiting for room without blocking the runtime.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn wait_async(&self, item: Item, parsed: bool, bytes: usize) -> Result<(), Stopped> {
        self.arrived(&item.event, parsed, bytes);
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
    pub fn offer(&self, item: Item, parsed: bool, bytes: usize) -> Result<(), Stopped> {
        self.arrived(&item.event, parsed, bytes);
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
