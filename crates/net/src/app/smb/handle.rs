//! What a connection remembers of handles: names of files, trees, requests on their way.
//!
//! Maps of bounded size: when one is full, what was put in first goes.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use super::MAX_NAMES;

/// A map that forgets the oldest entries.
#[derive(Debug)]
pub(super) struct Memory<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self { map: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Hash + Eq + Clone, V> Memory<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        // The key stays in the order until its turn comes or there are too many of those.
        self.map.remove(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key.clone(), value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MAX_NAMES.saturating_mul(2) {
            let map = &self.map;
            let mut seen = std::collections::HashSet::new();
            self.order.retain(|key| map.contains_key(key) && seen.insert(key.clone()));
        }
        while self.map.len() > MAX_NAMES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.map.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut memory = Memory::default();
        for key in 0..MAX_NAMES * 5 {
            memory.insert(key, key);
            if key % 3 == 0 {
                memory.remove(&key);
            }
        }
        let last = MAX_NAMES * 5 - 1;
        assert_eq!(memory.get(&last).copied(), Some(last).filter(|last| last % 3 != 0));
        assert!(memory.map.len() <= MAX_NAMES);
        assert!(memory.order.len() <= MAX_NAMES * 2 + 1);
        assert_eq!(memory.get(&1), None);
    }
}
