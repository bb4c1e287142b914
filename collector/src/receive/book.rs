//! How far inputs that can be read again were read, so that each line is stored exactly once.
//!
//! Before a batch is stored, the book says on disk what positions it stands for and which sequences
//! it has ([`Book::intend`]). After a kill the store is asked whether these sequences are there: they
//! are all there or none is, and the positions follow.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use event::{AgentId, Event};
use logs::source::{Position, Positions};
use serde::{Deserialize, Serialize};

use crate::store::log::checkpoint::{self, Found};
use crate::store::{Key, SourceKey, Store, StoreError};

/// Positions that are set or forgotten, by their keys.
pub(super) type Moves = BTreeMap<Arc<str>, Option<Position>>;

/// What stands in the book.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Page {
    /// Positions before the batch.
    positions: Positions,
    /// What the batch changes.
    moved: BTreeMap<String, Option<Position>>,
    /// Boot and last sequence of the batch.
    boot: u64,
    last: u64,
}

/// The book.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    key: Key,
    agent: AgentId,
    page: Page,
    positions: Positions,
    boot: u64,
    /// Last sequence given out in this boot.
    last: u64,
}

fn apply(positions: &mut Positions, moved: impl IntoIterator<Item = (String, Option<Position>)>) {
    for (key, position) in moved {
        match position {
            Some(position) => positions.insert(key, position),
            None => positions.remove(&key),
        };
    }
}

impl Book {
    /// The book at `path`, sealed with `key`; sequences of `agent` and `boot` are given out from 1. A
    /// book that does not open is told, and everything is read from where its source says.
    pub(super) fn open(path: PathBuf, key: Key, (agent, boot): (AgentId, u64)) -> Self {
        let page = match checkpoint::read(&path, &key) {
            Ok(Found::Content(bytes)) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!(%error, "positions of inputs are unreadable");
                Page::default()
            }),
            Ok(Found::Nothing) => Page::default(),
            Ok(Found::Damaged) => {
                tracing::error!(path = %path.display(), "positions of inputs are damaged");
                Page::default()
            }
            Err(error) => {
                tracing::error!(error = service::causes(&error), "positions of inputs not read");
                Page::default()
            }
        };
        Self { path, key, agent, page, positions: Positions::new(), boot, last: 0 }
    }

    /// Finds out whether the last batch of the run before was stored.
    ///
    /// # Errors
    /// When the store does not say.
    pub(super) async fn recover(mut self, store: &dyn Store) -> Result<Self, StoreError> {
        let Page { positions, moved, boot, last } = std::mem::take(&mut self.page);
        self.positions = positions;
        if last > 0 {
            let source = SourceKey { agent: self.agent.clone(), boot };
            if store.covered(source, last).await? >= last {
                apply(&mut self.positions, moved);
            }
        }
        Ok(self)
    }

    /// Where inputs go on.
    pub(super) const fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Gives the events of a batch their sequences; they may be stored several times. Returns the boot.
    pub(super) fn number(&mut self, events: &mut [Event]) -> u64 {
        for event in events {
            self.last = self.last.saturating_add(1);
            event.seq = self.last;
        }
        self.boot
    }

    /// Notes durably what the batch numbered last stands for; nothing when it moves no position.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn intend(&self, moved: &Moves) -> Result<(), StoreError> {
        if moved.is_empty() {
            return Ok(());
        }
        let page = Page {
            positions: self.positions.clone(),
            moved: moved.iter().map(|(key, to)| (key.to_string(), to.clone())).collect(),
            boot: self.boot,
            last: self.last,
        };
        let bytes = serde_json::to_vec(&page).unwrap_or_default();
        checkpoint::write(&self.path, &self.key, &bytes, true)
    }

    /// The batch is stored.
    pub(super) fn done(&mut self, moved: Moves) {
        apply(&mut self.positions, moved.into_iter().map(|(key, to)| (key.to_string(), to)));
    }
}
