//! What waits for the outbox: events of log inputs (of files many at a time), records of packet workers many at a time.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, never, select};

use crate::sensor::records::Records;
use logs::source::Item;

/// The ends of the queues from which the outbox takes.
#[derive(Debug)]
pub struct Inbox {
    items: Receiver<Item>,
    /// Items of many events, such as of files.
    bulk: Receiver<Item>,
    records: Receiver<Records>,
    /// Queues whose senders are not all gone.
    open: u8,
}

/// What came next.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// Events of a log input.
    Item(Item),
    /// Records of a packet worker.
    Records(Records),
}

impl Inbox {
    pub(crate) fn new(items: Receiver<Item>, records: Receiver<Records>) -> Self {
        Self { items, bulk: never(), records, open: 2 }
    }

    /// Takes items of many events too.
    pub(crate) fn with_bulk(self, bulk: Receiver<Item>) -> Self {
        Self { bulk, open: self.open.saturating_add(1), ..self }
    }

    /// What came next, from any queue.
    ///
    /// # Errors
    /// When nothing came in time, or the senders of all queues are gone.
    pub(crate) fn next(&mut self, wait: Duration) -> Result<Arrived, RecvTimeoutError> {
        while self.open > 0 {
            select! {
                recv(self.items) -> item => match item {
                    Ok(item) => return Ok(Arrived::Item(item)),
                    Err(_) => self.items = never(),
                },
                recv(self.bulk) -> item => match item {
                    Ok(item) => return Ok(Arrived::Item(item)),
                    Err(_) => self.bulk = never(),
                },
                recv(self.records) -> records => match records {
                    Ok(records) => return Ok(Arrived::Records(records)),
                    Err(_) => self.records = never(),
                },
                default(wait) => return Err(RecvTimeoutError::Timeout),
            }
            self.open = self.open.saturating_sub(1);
        }
        Err(RecvTimeoutError::Disconnected)
    }
}
