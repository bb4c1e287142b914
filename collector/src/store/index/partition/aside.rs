//! Of which partitions something damaged was taken out of service since the opening: answers about their
//! time lack it. Not here: what is done about it, and the problem as it is told.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use event::Timestamp;

use super::PartitionKey;
use crate::store::SetAside;

/// How many parts of each.
#[derive(Debug, Default)]
pub(super) struct Aside(Mutex<BTreeMap<PartitionKey, u64>>);

impl Aside {
    /// One more part of a partition.
    pub(super) fn note(&self, key: PartitionKey) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = parts.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// All, by partition.
    pub(super) fn list(&self) -> Vec<SetAside> {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let told = parts.into_iter().map(|(key, count)| SetAside {
            partition: key.to_string(),
            span: span(key),
            count,
        });
        told.collect()
    }
}

/// First and last time its events can have; `None` for what is of no known day.
fn span(key: PartitionKey) -> Option<(Timestamp, Timestamp)> {
    let (first, last) = key.bounds();
    let known = first > i64::MIN && last < i64::MAX;
    known.then(|| (Timestamp::from_micros(first), Timestamp::from_micros(last)))
}
