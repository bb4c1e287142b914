//! The searchable index: sealed tantivy indexes, one per time partition, fed from the log.
//!
//! One thread (`worker`) owns all writing; searches read snapshots ([`search`]). The position in
//! the log up to which a partition is complete is part of its commit, so that every record is
//! indexed exactly once across crashes. Only this module and its children name tantivy.

mod aggregate;
pub mod cache;
pub mod collect;
pub mod dictionary;
pub mod directory;
pub mod handle;
pub mod key;
pub mod manifest;
mod merge;
pub mod mover;
mod newest;
pub mod partition;
mod prune;
pub mod query;
pub mod routing;
mod scan;
pub mod schema;
pub mod sealed;
pub mod search;
pub mod summarise;
pub mod summary;
mod terms;
pub mod verify;
mod worker;
mod zones;

pub use handle::{IndexConfig, IndexHandle};
pub use partition::{PartitionKey, Partitions};
