//! Files that are open and no longer there: whoever has one open shares it.
//!
//! A search reads what it began with. Segments that it holds may be merged away under it, and a partition may be
//! written anew, moved or dropped; the index library opens some files of a segment by name again, long after the
//! segment itself.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hashbrown::HashMap;

use super::sealed::SealedFile;

type Files = HashMap<PathBuf, Weak<SealedFile>>;

/// The open files of a directory. What somebody else removed is not found here: that is damage.
#[derive(Debug, Default)]
pub(super) struct Opened(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    there: Files,
    /// Removed by us.
    gone: Files,
    /// Entries from which on those that nobody has open any more are looked for.
    crowded: usize,
}

/// Fewest entries among which those that nobody has open any more are looked for.
const FEW: usize = 64;

impl Opened {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A file was opened: gives it, or the one that somebody has open already, with its pages in the cache.
    pub(super) fn share(&self, path: &Path, fresh: SealedFile) -> Arc<SealedFile> {
        self.with(|state| {
            if let Some(open) = state.there.get(path).and_then(Weak::upgrade) {
                return open;
            }
            let fresh = Arc::new(fresh);
            state.there.insert(path.to_owned(), Arc::downgrade(&fresh));
            if state.there.len() >= state.crowded.max(FEW) {
                state.forget_closed();
                state.crowded = state.there.len().saturating_mul(2);
            }
            fresh
        })
    }

    /// A file is about to be removed.
    pub(super) fn remove(&self, path: &Path) {
        self.with(|state| {
            state.forget_closed();
            if let Some(file) = state.there.remove(path) {
                state.gone.insert(path.to_owned(), file);
            }
        });
    }

    /// All files are about to be removed.
    pub(super) fn remove_all(&self) {
        self.with(|state| {
            let there = std::mem::take(&mut state.there);
            state.gone.extend(there);
        });
    }

    /// A file that was removed, if somebody has it open.
    pub(super) fn gone(&self, path: &Path) -> Option<Arc<SealedFile>> {
        self.with(|state| state.gone.get(path).and_then(Weak::upgrade))
    }
}

impl State {
    fn forget_closed(&mut self) {
        self.there.retain(|_, file| file.strong_count() > 0);
        self.gone.retain(|_, file| file.strong_count() > 0);
    }
}
