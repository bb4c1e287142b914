//! The searchable index: sealed tantivy indexes, one per time partition, fed from the log.
//!
//! One thread owns all writing ([`mod@write`]); searches read snapshots ([`mod@read`]). The position in
//! the log up to which a partition is complete is part of its commit, so that every record is
//! indexed exactly once across crashes. Only this module and its children name tantivy.

pub mod files;
pub mod key;
pub mod partition;
pub mod read;
pub mod schema;
pub mod summarise;
pub mod summary;
pub mod verify;
pub mod write;
mod zones;

pub use partition::{PartitionKey, Partitions};
pub use write::handle::{IndexConfig, IndexHandle};
