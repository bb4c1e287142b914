//! The warm folder while it is not there: a disk that is not mounted, or that has gone away.
//!
//! What lies in it is missing then: taken out of service, so that the disk can be taken away and mounted again, left
//! alone by writing, retention and moves, and told with the days that searches lack. When the folder is there again its
//! partitions are opened again. Not here: the looking itself, which is the owner of writing's
//! (`index/write/worker/warm.rs`); partitions that cannot be read one by one ([`super::unreadable`]).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use super::places::list;
use super::{PartitionKey, Partitions};
use crate::search::PartitionFailure;
use crate::store::StoreError;
use crate::store::figures::AwayFolder;
use crate::vault::partition_key;

/// Whether the warm folder is away, and which partitions lie in it.
#[derive(Debug, Default)]
pub(super) struct Away(RwLock<State>);

#[derive(Clone, Debug, Default)]
struct State {
    away: bool,
    /// It was there since the store was opened: it must not be made again where it was.
    seen: bool,
    missing: Arc<BTreeSet<PartitionKey>>,
}

impl Away {
    fn state(&self) -> State {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, state: State) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// What has become of the warm folder since it was looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Turn {
    /// It is not there any more.
    Gone,
    /// It is there again.
    Back,
}

impl Partitions {
    /// Notes whether the warm folder is there, and which partitions are missing when it is not: those that were known
    /// and are `found` nowhere.
    pub(super) fn miss(&self, found: &BTreeSet<PartitionKey>) {
        if self.folders.warm.is_none() {
            return;
        }
        if self.folders.has_warm() {
            return self.away.set(State { seen: true, ..State::default() });
        }
        let noted = self.vault.noted_partitions();
        let keys = noted.iter().filter_map(|name| PartitionKey::parse(name));
        let missing: BTreeSet<_> = keys.filter(|key| !found.contains(key)).collect();
        // One in which nothing lies is made when it is wanted.
        self.away.set(State { away: !missing.is_empty(), seen: false, missing: Arc::new(missing) });
    }

    /// The partitions that are missing because the warm folder is not there.
    #[must_use]
    pub fn missing(&self) -> Arc<BTreeSet<PartitionKey>> {
        self.away.state().missing
    }

    /// Whether the warm folder is not there although it was.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.state().away
    }

    /// Makes the warm folder when it was never there, and gives it.
    ///
    /// # Errors
    /// [`StoreError::Io`], also when it was there and is away.
    pub(crate) fn make_warm(&self) -> Result<Option<&Path>, StoreError> {
        let state = self.away.state();
        let gone = state.away || (state.seen && !self.folders.has_warm());
        if let Some(warm) = self.folders.warm.as_deref().filter(|_| gone) {
            return Err(StoreError::io("find", warm, std::io::ErrorKind::NotFound.into()));
        }
        let made = self.folders.make_warm()?;
        self.away.set(State { seen: true, ..state });
        Ok(made)
    }

    /// What has become of the warm folder.
    pub(in super::super) fn turn(&self) -> Option<Turn> {
        self.folders.warm.as_ref()?;
        let state = self.away.state();
        match (state.away, self.folders.has_warm()) {
            (true, true) => Some(Turn::Back),
            (false, false) if state.seen => Some(Turn::Gone),
            _ => None,
        }
    }

    /// Takes what lies in the warm folder out of service; gives which.
    pub(in super::super) fn part(&self) -> Vec<PartitionKey> {
        let lost: Vec<PartitionKey> = {
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            let lost = open.values().filter(|one| self.is_warm(&one.path));
            let lost: Vec<PartitionKey> = lost.map(|one| one.key).collect();
            open.retain(|key, _| !lost.contains(key));
            lost
        };
        // Those that could not be read one by one lie there too: they have no other place.
        let unread = self.unreadable.keys();
        let hot = |key: &PartitionKey| self.folders.hot.join(key.to_string()).exists();
        let unread = unread.into_iter().filter(|key| !hot(key) && self.get(*key).is_none());
        let missing: BTreeSet<_> = lost.iter().copied().chain(unread).collect();
        missing.iter().for_each(|key| self.unreadable.forget(*key));
        tracing::error!(partitions = missing.len(), "the warm folder is not there any more");
        self.away.set(State { away: true, seen: true, missing: Arc::new(missing) });
        lost
    }

    /// Takes what lies in the warm folder back into service. Gives what can be read and is damaged, and why.
    ///
    /// # Errors
    /// [`StoreError`]; it is tried again then.
    pub(in super::super) fn take_back(&self) -> Result<Vec<(PartitionKey, String)>, StoreError> {
        let Some(warm) = self.folders.warm.as_deref() else { return Ok(Vec::new()) };
        super::rewrite::settle(warm, &self.vault)?;
        let (mut all, mut damaged) = (Vec::new(), Vec::new());
        list(warm, &self.vault, &mut all)?;
        let there: BTreeSet<PartitionKey> = all.into_iter().map(|(key, _)| key).collect();
        // One that is open lies in the hot folder too; the next start says which counts.
        for key in there.iter().copied().filter(|key| self.get(*key).is_none()) {
            match self.attempt(key) {
                Ok(partition) => {
                    let (name, head) =
                        (partition_key(&key.to_string()), partition.directory.head());
                    self.vault.begin(&name, &partition.path, Some(head));
                    self.insert(partition);
                }
                Err(refused) if refused.unreadable => self.unreadable.note(key, &refused.error),
                Err(refused) => damaged.push((key, refused.error.to_string())),
            }
        }
        for key in self.missing().iter().filter(|key| !there.contains(key)) {
            let name = key.to_string();
            self.vault.begin(&partition_key(&name), &warm.join(&name), None);
        }
        self.away.set(State { seen: true, ..State::default() });
        tracing::info!(partitions = there.len(), "the warm folder is there again");
        Ok(damaged)
    }

    /// Partitions that answers about a window of time lack because their folder is not there.
    pub(super) fn lost_between(&self, low: i64, high: i64) -> Vec<PartitionFailure> {
        let missing = self.missing();
        let within = missing.iter().filter(|key| {
            let (first, last) = key.bounds();
            first <= high && last >= low
        });
        let failure = |key: &PartitionKey| PartitionFailure {
            partition: key.to_string(),
            reason: "the warm folder, in which it lies, is not there".to_owned(),
        };
        within.map(failure).collect()
    }

    /// What to tell of the warm folder while it is away.
    pub(super) fn away_folder(&self) -> Option<AwayFolder> {
        let state = self.away.state();
        let folder = self.folders.warm.as_ref().filter(|_| state.away)?;
        let days: BTreeSet<(i64, i64)> = state.missing.iter().map(|key| key.bounds()).collect();
        Some(AwayFolder { folder: folder.display().to_string(), days: days.into_iter().collect() })
    }
}
