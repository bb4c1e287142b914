//! The durable log: what has been appended here survives a crash; only then is it acknowledged.
//!
//! Numbered segments, written out in advance so that a sync needs no block allocation, hold
//! sealed records ([`record`]). One thread ([`writer`]) owns the end of the log and the
//! deduplication state ([`dedup`]); appends that arrive together share one `fdatasync`.
//! [`recovery`] finds the end again after a crash. The index reads records with [`reader`] when
//! it was not handed them directly. Not here: anything about fields and queries.

pub mod append;
pub mod checkpoint;
pub mod dedup;
pub mod reader;
pub mod record;
pub mod recovery;
pub mod segment;
mod until;
pub mod verify;
pub mod writer;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use append::{Counters, Handed};
pub use record::{Entry, Item};
pub use until::Until;
pub use writer::Log;

/// A place in the log.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// Number of the segment, from 1.
    pub segment: u64,
    /// Offset of a record in it, bytes.
    pub offset: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.segment, self.offset)
    }
}

impl std::str::FromStr for Position {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (segment, offset) = text.split_once(':').unwrap_or((text, "0"));
        Ok(Self { segment: segment.parse()?, offset: offset.parse()? })
    }
}

/// How the log is kept.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Directory of the segments.
    pub directory: PathBuf,
    /// Where damaged files go.
    pub quarantine: PathBuf,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Most bytes written with one sync.
    pub group_bytes: usize,
    /// Appends waiting at most; further ones wait in line.
    pub queue: usize,
    /// Bytes of log kept after indexing, to index again from when the index is damaged.
    pub keep_bytes: u64,
}
