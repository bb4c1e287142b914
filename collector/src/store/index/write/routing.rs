//! Which partition an event belongs to: by its day, its class of data, and by how far the log had come
//! when the day's partition had grown too large and a next part of it was begun.
//!
//! The answer depends on the place of the event in the log alone: what is read from the log again, after a
//! crash or to repair something, goes where it went before, also when classes or limits have changed since.
//! What that needs (from which place on which classes held, and which part began where) lies in one sealed
//! file, written durably before anything is routed by it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use event::Document;
use serde::{Deserialize, Serialize};

use crate::store::class::{self, Class, ClassName};
use crate::store::index::partition::{PartitionKey, Reach};
use crate::store::log::Position;
use crate::store::log::checkpoint::{self, Found};
use crate::store::{Key, Problem, StoreError};

/// Most changes of the classes that are remembered; the log is kept for far fewer.
const MAX_EPOCHS: usize = 64;

/// From which place on which classes held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Epoch {
    from: Position,
    classes: Vec<Class>,
}

/// A part of a day that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    from: Position,
    part: u32,
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    /// Ascending; the first from the beginning.
    epochs: Vec<Epoch>,
    /// By the name of the day's first part; ascending.
    parts: BTreeMap<String, Vec<Begun>>,
    /// What lies before it in the log may have been routed otherwise than the file says.
    #[serde(default)]
    sure_from: Position,
}

/// Where events go.
#[derive(Debug)]
pub(in crate::store) struct Routing {
    path: PathBuf,
    key: Key,
    reach: Reach,
    content: Content,
    parts: BTreeMap<PartitionKey, Vec<Begun>>,
}

impl Routing {
    /// Reads the file at `path`; `classes` hold from `end` on, the end of the log, when they are others than
    /// before. `existing` are the partitions there are: when the file is damaged or gone although
    /// they need it, events go to their latest parts, and a problem is told.
    ///
    /// # Errors
    /// [`StoreError`] when it can be neither read nor written.
    pub(in crate::store) fn open(
        (path, key): (PathBuf, Key),
        reach: Reach,
        classes: &[Class],
        end: Position,
        existing: &[PartitionKey],
    ) -> Result<(Self, Option<Problem>), StoreError> {
        let needed = existing.iter().any(|one| one.part > 0 || !one.class.is_default());
        let read = match checkpoint::read(&path, &key)? {
            Found::Content(bytes) => serde_json::from_slice::<Content>(&bytes).ok(),
            Found::Nothing if !needed => Some(Content::default()),
            Found::Nothing | Found::Damaged => None,
        };
        let problem = read.is_none().then(|| Problem {
            path: path.display().to_string(),
            offset: 0,
            what: "it is gone or does not open".to_owned(),
            advice: "made again from the partitions; what was not indexed yet is looked up before it is indexed"
                .to_owned(),
        });
        let mut content = read.unwrap_or_else(|| Content::guess(existing, classes, end));
        let before = content.clone();
        if content.epochs.is_empty() {
            content.epochs.push(Epoch { from: Position::default(), classes: Vec::new() });
        }
        if content.epochs.last().is_none_or(|last| last.classes != classes) {
            content.epochs.push(Epoch { from: end, classes: classes.to_vec() });
        }
        let many = content.epochs.len().saturating_sub(MAX_EPOCHS);
        content.epochs.drain(..many);
        let routing = Self { path, key, reach, parts: content.begun(), content };
        if routing.content != before || problem.is_some() {
            routing.write()?;
        }
        Ok((routing, problem))
    }

    fn write(&self) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(&self.content)
            .map_err(|error| StoreError::io("write", &self.path, error.into()))?;
        checkpoint::write(&self.path, &self.key, &bytes, true)
    }

    /// The class of a document at this place of the log.
    pub(in crate::store) fn class(&self, at: Position, document: &Document) -> ClassName {
        let epochs = &self.content.epochs;
        let epoch = epochs.iter().rev().find(|epoch| epoch.from <= at).or_else(|| epochs.first());
        epoch.map_or(ClassName::DEFAULT, |epoch| class::of(&epoch.classes, document))
    }

    /// Where an event of this time and class belongs that was received then (both in microseconds) and lies
    /// at this place of the log.
    pub(in crate::store::index) fn partition(
        &self,
        at: Position,
        (time, received): (i64, i64),
        class: ClassName,
    ) -> PartitionKey {
        let mut key = PartitionKey::of(time, received, self.reach);
        key.class = class;
        let begun = self.parts.get(&key).and_then(|all| all.iter().rev().find(|b| b.from <= at));
        key.part = begun.map_or(0, |begun| begun.part);
        key
    }

    /// Whether what lies at this place must be looked up before it is indexed.
    pub(in crate::store::index) fn is_doubtful(&self, at: Position) -> bool {
        at < self.content.sure_from
    }

    /// Begins the part behind `full` at a place of the log before which everything is committed, and behind which `full`
    /// holds nothing. Days of which nothing is left are forgotten.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has changed.
    pub(in crate::store::index) fn begin_part(
        &mut self,
        full: PartitionKey,
        at: Position,
        existing: &[PartitionKey],
    ) -> Result<(), StoreError> {
        let before = self.content.clone();
        self.content
            .parts
            .retain(|name, _| existing.iter().any(|one| one.first().to_string() == *name));
        let all = self.content.parts.entry(full.first().to_string()).or_default();
        all.push(Begun { from: at, part: full.part.saturating_add(1) });
        if let Err(error) = self.write() {
            self.content = before;
            return Err(error);
        }
        self.parts = self.content.begun();
        Ok(())
    }

    /// Whether further events of its day go to this part.
    pub(in crate::store::index) fn is_latest(&self, key: PartitionKey) -> bool {
        let last = self.parts.get(&key.first()).and_then(|all| all.last());
        key.part >= last.map_or(0, |begun| begun.part)
    }
}

impl Content {
    /// What the partitions that are there tell of it.
    fn guess(existing: &[PartitionKey], classes: &[Class], end: Position) -> Self {
        let mut parts: BTreeMap<String, Vec<Begun>> = BTreeMap::new();
        for key in existing.iter().filter(|key| key.part > 0) {
            let latest = Begun { from: Position::default(), part: key.part };
            let slot = parts.entry(key.first().to_string()).or_default();
            if slot.first().is_none_or(|known| known.part < key.part) {
                *slot = vec![latest];
            }
        }
        let epochs = vec![Epoch { from: Position::default(), classes: classes.to_vec() }];
        Self { epochs, parts, sure_from: end }
    }

    fn begun(&self) -> BTreeMap<PartitionKey, Vec<Begun>> {
        let parsed =
            |(name, all): (&String, &Vec<Begun>)| Some((PartitionKey::parse(name)?, all.clone()));
        self.parts.iter().filter_map(parsed).collect()
    }
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
