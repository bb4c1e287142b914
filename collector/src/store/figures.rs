//! Health and ledger figures of a store, retention policy and report: plain data.

use event::{Ledger, Timestamp};
use serde::{Deserialize, Serialize};

/// Something an operator should know of, with the place and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// File or partition.
    pub path: String,
    /// Offset in the file, bytes; 0 when the whole file is meant.
    pub offset: u64,
    /// What was found.
    pub what: String,
    /// What has been done and what to do.
    pub advice: String,
}

/// State and counters of a store, since its opening.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Documents from intake to the log.
    pub intake: Ledger,
    /// Documents from the log to the index.
    pub index: Ledger,
    /// Documents searchable.
    pub documents: u64,
    /// Time partitions.
    pub partitions: u64,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
    /// Bytes of the index on disk.
    pub index_bytes: u64,
    /// Serialised bytes of the documents taken in.
    pub input_bytes: u64,
    /// Syncs to disk done for appends.
    pub syncs: u64,
    /// Commits of the index.
    pub commits: u64,
    /// Records of the log that could not be read back and are gone.
    pub log_records_lost: u64,
    /// Torn tails dropped at start (never acknowledged).
    pub log_torn_tails: u64,
    /// Segments or partitions of the index that were taken out of service as corrupt.
    pub index_quarantined: u64,
    /// Documents indexed again from the log after damage.
    pub repaired: u64,
    /// Documents gone with dropped partitions.
    pub retention_dropped: u64,
    /// Sequences declared lost because too many newer gaps opened in their source.
    pub gaps_closed: u64,
    /// Sources whose deduplication state was forgotten because there were too many.
    pub sources_evicted: u64,
    /// Values or names that could not be indexed as fields (still in the stored document).
    pub values_capped: u64,
    /// Problems found, newest last, at most 100.
    pub problems: Vec<Problem>,
}

/// How long and how much to keep. The newest partition is never dropped for size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPolicy {
    /// Drop partitions whose newest possible event is older than this; `None` keeps all.
    pub older_than: Option<Timestamp>,
    /// Drop oldest partitions until the index has at most this many bytes; `None` keeps all.
    pub max_bytes: Option<u64>,
}

/// One dropped partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedPartition {
    /// Its name.
    pub partition: String,
    /// Documents it held.
    pub documents: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// `age` or `size`.
    pub reason: String,
}

/// What retention did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionReport {
    /// Dropped partitions, oldest first.
    pub dropped: Vec<DroppedPartition>,
}
