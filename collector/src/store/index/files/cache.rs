//! Opened bytes of sealed files, kept in memory and shared by all partitions.
//!
//! Single pages are kept with the first reading. A stretch of many pages (a column, a long list of
//! postings) is kept whole, from its second reading on: merging reads everything once, and would
//! push out what searches need.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};

use hashbrown::{HashMap, HashSet};
use tantivy::directory::OwnedBytes;

/// Stretches read once that are remembered at most.
const MOST_SEEN: usize = 8192;

/// What is kept: a number drawn per opened file, offset and length.
pub(in crate::store::index) type Stretch = (u64, usize, usize);

/// Opened pages and stretches: two generations, the older one is dropped when the younger is full.
#[derive(Debug)]
pub struct PageCache {
    state: Mutex<Generations>,
    /// Most bytes of a generation.
    most: usize,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Generations {
    files: u64,
    young: HashMap<Stretch, OwnedBytes>,
    old: HashMap<Stretch, OwnedBytes>,
    /// Bytes of the younger one.
    bytes: usize,
    /// Hashes of long stretches that were read once.
    seen: HashSet<u64>,
}

impl Generations {
    fn put(&mut self, key: Stretch, bytes: OwnedBytes, most: usize) {
        if self.bytes.saturating_add(bytes.len()) > most {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        let length = bytes.len();
        if self.young.insert(key, bytes).is_none() {
            self.bytes = self.bytes.saturating_add(length);
        }
    }
}

impl PageCache {
    /// A cache of about `bytes` bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { state: Mutex::default(), most: bytes / 2, hasher: RandomState::new() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a file that was opened.
    pub(in crate::store::index) fn file(&self) -> u64 {
        let mut state = self.state();
        state.files = state.files.wrapping_add(1);
        state.files
    }

    pub(in crate::store::index) fn get(&self, key: Stretch) -> Option<OwnedBytes> {
        let mut state = self.state();
        if let Some(found) = state.young.get(&key) {
            return Some(found.clone());
        }
        let found = state.old.remove(&key)?;
        state.put(key, found.clone(), self.most);
        Some(found)
    }

    pub(in crate::store::index) fn put(&self, key: Stretch, bytes: OwnedBytes) {
        self.state().put(key, bytes, self.most);
    }

    /// Keeps a long stretch if it was read before and leaves room for others.
    pub(in crate::store::index) fn put_again(&self, key: Stretch, bytes: &OwnedBytes) {
        if bytes.len() > self.most / 4 {
            return;
        }
        let hash = self.hasher.hash_one(key);
        let mut state = self.state();
        if state.seen.remove(&hash) {
            state.put(key, bytes.clone(), self.most);
            return;
        }
        if state.seen.len() >= MOST_SEEN {
            state.seen.clear();
        }
        state.seen.insert(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> OwnedBytes {
        OwnedBytes::new(vec![7; length])
    }

    #[test]
    fn what_is_asked_for_again_stays() {
        let cache = PageCache::new(2_000);
        cache.put((1, 0, 400), bytes(400));
        for other in 1..20 {
            assert!(cache.get((1, 0, 400)).is_some(), "{other}");
            cache.put((1, other * 400, 400), bytes(400));
        }
        assert!(cache.get((1, 400, 400)).is_none(), "asked for once, long ago");
        let state = cache.state();
        let held =
            |map: &HashMap<Stretch, OwnedBytes>| map.values().map(|b| b.len()).sum::<usize>();
        assert!(held(&state.young) <= 1_000 && held(&state.old) <= 1_000);
    }

    #[test]
    fn long_stretches_stay_from_their_second_reading_on() {
        let cache = PageCache::new(2_000);
        cache.put_again((1, 0, 200), &bytes(200));
        assert!(cache.get((1, 0, 200)).is_none());
        cache.put_again((1, 0, 200), &bytes(200));
        assert_eq!(cache.get((1, 0, 200)).map(|b| b.len()), Some(200));
        for _ in 0..3 {
            cache.put_again((2, 0, 600), &bytes(600));
        }
        assert!(cache.get((2, 0, 600)).is_none(), "one that would fill half of it");
        for file in 0..20_000 {
            cache.put_again((file + 3, 0, 10), &bytes(10));
        }
        assert!(cache.state().seen.len() <= MOST_SEEN);
    }
}
