//! Partitions that the disk does not give now: they are left where they are, told of, missing from answers
//! by name, and opened again as soon as they can be read. Not here: damage, which is taken out of service.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use super::{Partition, PartitionKey, Partitions};
use crate::search::PartitionFailure;
use crate::store::Problem;
use crate::vault::partition_key;

/// Why each of them cannot be read.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Mutex<BTreeMap<PartitionKey, String>>);

impl Unreadable {
    /// Takes notice that one cannot be read.
    pub(super) fn note(&self, key: PartitionKey, reason: &impl Display) {
        let reason = reason.to_string();
        tracing::error!(partition = %key, reason, "partition cannot be read now");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, reason);
    }

    fn all(&self) -> BTreeMap<PartitionKey, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn keys(&self) -> Vec<PartitionKey> {
        self.all().into_keys().collect()
    }

    pub(super) fn forget(&self, key: PartitionKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

/// Why a partition did not open.
pub(super) struct Refused {
    pub(super) error: tantivy::TantivyError,
    /// The disk did not give everything: it may open later.
    pub(super) unreadable: bool,
}

impl Partitions {
    /// Opens a partition that is there.
    pub(super) fn attempt(&self, key: PartitionKey) -> Result<Partition, Refused> {
        let (path, directory) = self
            .directory(key)
            .map_err(|error| Refused { error: error.into(), unreadable: false })?;
        self.load_from(key, (path, directory.clone()), false)
            .map_err(|error| Refused { error, unreadable: directory.is_unreadable() })
    }

    /// Whether a partition could not be read when it was looked at last.
    pub(in super::super) fn is_unreadable(&self, key: PartitionKey) -> bool {
        self.unreadable.all().contains_key(&key)
    }

    /// Whether a partition is there and nobody can say what it holds: it cannot be read now, or lies in a folder
    /// that is not there.
    pub(in super::super) fn is_out_of_reach(&self, key: PartitionKey) -> bool {
        self.get(key).is_none() && (self.is_unreadable(key) || self.missing().contains(&key))
    }

    /// Tries again to read what could not be read. Gives those that can be read and are damaged, and why.
    pub(in super::super) fn retry(&self) -> Vec<(PartitionKey, String)> {
        let mut damaged = Vec::new();
        for key in self.unreadable.all().into_keys() {
            match self.attempt(key) {
                Ok(partition) => {
                    tracing::info!(partition = %key, "partition can be read again");
                    // One that stayed open goes on with the files it has.
                    if self.get(key).is_none() {
                        let (name, head) =
                            (partition_key(&key.to_string()), partition.directory.head());
                        self.vault.begin(&name, &partition.path, Some(head));
                        self.insert(partition);
                    }
                    self.unreadable.forget(key);
                }
                Err(refused) if refused.unreadable => {}
                Err(refused) => {
                    damaged.push((key, refused.error.to_string()));
                    self.unreadable.forget(key);
                }
            }
        }
        damaged
    }

    /// Partitions that answers about a window of time (microseconds, both ends within) lack, because they
    /// are not open.
    pub(crate) fn lacking(&self, low: i64, high: i64) -> Vec<PartitionFailure> {
        let closed = self.unreadable.all().into_iter().filter(|(key, _)| {
            let (first, last) = key.bounds();
            first <= high && last >= low && self.get(*key).is_none()
        });
        let failure = |(key, reason): (PartitionKey, String)| PartitionFailure {
            partition: key.to_string(),
            reason: format!("cannot be read now: {reason}"),
        };
        self.lost_between(low, high).into_iter().chain(closed.map(failure)).collect()
    }

    /// What to tell of partitions that cannot be read, or that lie where they should not.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let problem = |(key, reason): (PartitionKey, String)| {
            Problem {
            path: self.folders.place(key).display().to_string(),
            offset: 0,
            what: format!("partition {key} cannot be read now: {reason}"),
            advice: "check the disk; nothing was moved or given up, and it is tried again every few seconds"
                .to_owned(),
        }
        };
        let unreadable = self.unreadable.all().into_iter().map(problem);
        self.misplaced.iter().cloned().chain(unreadable).collect()
    }
}
