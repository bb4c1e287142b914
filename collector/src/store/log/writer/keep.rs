//! What of the log is kept: the deduplication state on disk, segments that are indexed and go.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::super::checkpoint::{self, Found};
use super::super::dedup::Dedup;
use super::super::record::END_FRAME;
use super::super::segment::{SEGMENT_HEADER, Segment, begins_group, is_key_before, list, path};
use super::super::verify::begin_of;
use super::super::{LogConfig, Position};
use super::Owner;
use crate::store::{Key, Problem, StoreError};
use crate::vault::Head;
use crate::vault::checkpoint::LOG_BEGIN;

pub(super) const CHECKPOINT: &str = "dedup.state";

#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Checkpoint {
    pub(super) covered: Position,
    pub(super) dedup: Dedup,
    /// Records written so far; not known to older versions.
    #[serde(default)]
    pub(super) head: Head,
}

pub(super) fn load(
    config: &LogConfig,
    key: &Key,
) -> Result<(Checkpoint, Vec<Problem>), StoreError> {
    let nothing = || Checkpoint {
        covered: Position::default(),
        dedup: Dedup::default(),
        head: Head::default(),
    };
    let path = config.directory.join(CHECKPOINT);
    let damaged = match checkpoint::read(&path, key)? {
        Found::Nothing => return Ok((nothing(), Vec::new())),
        Found::Content(bytes) => match serde_json::from_slice::<Checkpoint>(&bytes) {
            Ok(state) => return Ok((state, Vec::new())),
            Err(error) => error.to_string(),
        },
        Found::Damaged => "its seal does not open".to_owned(),
    };
    let problem = Problem {
        path: path.display().to_string(),
        offset: 0,
        what: format!("deduplication state is lost: {damaged}"),
        advice: "it was rebuilt from the log; events older than the log that agents send again are stored twice"
            .to_owned(),
    };
    Ok((nothing(), vec![problem]))
}

impl Owner {
    pub(super) fn checkpoint(&mut self) {
        let covered = *self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let state = Checkpoint { covered, dedup: self.dedup.clone(), head: self.head };
        let path = self.config.directory.join(CHECKPOINT);
        let written = serde_json::to_vec(&state)
            .map_err(|error| StoreError::io("write", &path, error.into()))
            .and_then(|bytes| checkpoint::write(&path, &self.key, &bytes, true));
        match written {
            Ok(()) => self.covered = covered,
            Err(error) => {
                tracing::warn!(%error, "deduplication state not written; the log is kept");
            }
        }
    }

    /// Deletes segments that are indexed, covered by the checkpoint and not worth keeping.
    pub(super) fn prune(&mut self, indexed: Position) {
        self.indexed = self.indexed.max(indexed);
        let done = self.indexed.segment.min(self.covered.segment);
        let Ok(numbers) = list(&self.config.directory) else { return };
        let path = |number| path(&self.config.directory, number);
        let size = |number| std::fs::metadata(path(number)).map_or(0, |meta| meta.len());
        let finished: Vec<(u64, u64)> =
            numbers.into_iter().filter(|n| *n < done).map(|n| (n, size(n))).collect();
        let mut kept: u64 = finished.iter().map(|(_, bytes)| bytes).sum();
        let mut gone = Vec::new();
        for (number, bytes) in finished {
            if kept <= self.config.keep_bytes {
                break;
            }
            gone.push(number);
            kept = kept.saturating_sub(bytes);
        }
        match gone.last() {
            Some(last) => self.delete(&gone, last.saturating_add(1)),
            None => self.measure(),
        }
    }

    /// Deletes segments; `first` is the oldest that stays.
    fn delete(&self, gone: &[u64], first: u64) {
        // Said before it happens: a beginning that is missing without a word was cut off.
        let said = self.begin(first).and_then(|()| Ok(self.vault.checkpoint(true)?));
        if let Err(error) = said {
            tracing::warn!(%error, "finished log segments are kept for now");
            return;
        }
        for number in gone.iter().copied() {
            let path = path(&self.config.directory, number);
            if let Err(error) = std::fs::remove_file(path) {
                tracing::warn!(number, %error, "cannot delete a finished log segment");
            }
        }
        if let Err(error) = self.vault.keyring.forget(|name| is_key_before(name, first)) {
            tracing::warn!(%error, "keys of deleted log segments are not destroyed yet");
        }
        self.measure();
    }

    /// Goes on in the first segment of a new group, so that the keys of all before it can go. Those that
    /// would lie between are made small and closed at once: none may be missing.
    pub(super) fn roll(&mut self) -> Result<Position, StoreError> {
        while !begins_group(self.next_number) {
            self.begin_segment(SEGMENT_HEADER.saturating_add(END_FRAME as u64))?;
        }
        self.begin_segment(self.config.segment_bytes)
    }

    /// Lets go of everything before a place that is indexed, however much is to be kept otherwise.
    pub(super) fn shed(&mut self, place: Position) -> Result<Head, StoreError> {
        self.indexed = self.indexed.max(place);
        self.checkpoint();
        let directory = &self.config.directory;
        let failed = |what: &str| StoreError::Io {
            action: "let go of segments in",
            path: directory.clone(),
            source: std::io::Error::other(what.to_owned()).into(),
        };
        if self.covered.segment < place.segment {
            return Err(failed("the deduplication state is not written"));
        }
        let gone = |number: &u64| *number < place.segment;
        let numbers: Vec<u64> = list(directory)?.into_iter().filter(gone).collect();
        self.delete(&numbers, place.segment);
        let keys = self.vault.keyring.list();
        let left = keys.iter().any(|key| is_key_before(&key.name, place.segment));
        if left || list(directory)?.iter().any(gone) {
            return Err(failed("some are still there"));
        }
        Ok(self.head)
    }

    /// Notes where the log begins.
    pub(super) fn begins(&self) -> Result<(), StoreError> {
        match list(&self.config.directory)?.first() {
            Some(first) => self.begin(*first),
            None => Ok(()),
        }
    }

    fn begin(&self, first: u64) -> Result<(), StoreError> {
        let segment = Segment::open(&self.config.directory, first, &self.vault.keyring)?;
        let begin = segment.ok().map(|segment| begin_of(&segment)).transpose()?.flatten();
        self.vault.set_head(LOG_BEGIN, begin.unwrap_or(self.head));
        Ok(())
    }

    pub(super) fn measure(&self) {
        let numbers = list(&self.config.directory).unwrap_or_default();
        let path = |number| path(&self.config.directory, number);
        let bytes = |number| std::fs::metadata(path(number)).map_or(0, |meta| meta.len());
        self.counters.disk.store(numbers.into_iter().map(bytes).sum(), Ordering::Relaxed);
    }
}
