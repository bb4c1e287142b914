//! Log inputs: files, the journal, event logs of Windows, syslog listeners. Lines in, [`Item`]s out.
//!
//! Sources that can wait (files, journal, TCP) block when the queue is full and so lose nothing;
//! datagrams wait in the kernel's buffer, and what it drops is counted. How far a source was read travels with its
//! events as a [`Position`] and is kept with them in the spool.

use std::collections::BTreeMap;
use std::sync::Arc;

use event::Event;
use serde::{Deserialize, Serialize};

pub mod audit;
pub mod command;
mod counters;
mod datagrams;
pub mod evtx;
mod intake;
pub mod inventory;
pub mod journald;
pub mod netflow;
pub mod quiet;
pub mod syslog;
pub mod tail;

pub use counters::{Counters, Source};
pub use intake::{Intake, Stopped};

/// How far a source has been read once an event of it is in the spool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// A byte offset in a file; the key of the source is `file:DEVICE:INODE`.
    File {
        /// Path it was met under.
        path: String,
        /// Offset behind the last line taken; of a compressed file, in what was compressed.
        offset: u64,
        /// CRC-32 of the first bytes, to tell a reused inode.
        head: u32,
        /// Bytes that `head` covers.
        head_length: u64,
        /// Within a line that comes in parts: where it begins, and how many parts were taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<(u64, u32)>,
        /// The last bytes taken, to find the place again in a copy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tail: Option<tail::Print>,
        /// When it was taken, seconds since the epoch.
        #[serde(default)]
        time: i64,
    },
    /// A cursor of the journal; the key is `journald`.
    Cursor(String),
    /// A record of a Windows event log; the key says what its first record is.
    Record {
        /// Path it was read from last.
        path: String,
        /// The last record taken.
        last: crate::evtx::Mark,
        /// When it was taken, seconds since the epoch.
        time: i64,
    },
    /// Records behind the places of files whose events were given out, of each event how many.
    Ahead(Vec<(audit::EventId, u32)>),
}

/// Positions of all sources, by their key.
pub type Positions = BTreeMap<String, Position>;

/// A position that is set, or forgotten, by its key.
pub type Moved = (Arc<str>, Option<Position>);

/// Events on their way to the outbox, which go into the spool together with where they were read.
#[derive(Debug)]
pub struct Item {
    /// The events, at least one; their sequences are not set yet.
    pub events: Vec<Event>,
    /// Positions that hold once these events and everything before them is in the spool; of one key the
    /// last counts. Empty for sources that cannot be read again.
    pub moved: Vec<Moved>,
}

impl Item {
    /// An event of a source that cannot be read again.
    #[must_use]
    pub fn new(event: Event) -> Self {
        Self { events: vec![event], moved: Vec::new() }
    }

    /// An event, and how far its source is read with it.
    #[must_use]
    pub fn at(event: Event, key: Arc<str>, position: Position) -> Self {
        Self { events: vec![event], moved: vec![(key, Some(position))] }
    }
}
