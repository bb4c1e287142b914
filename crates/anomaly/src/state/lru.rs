//! A map that knows which of its entries was used least recently.
//!
//! Slots in a vector, linked by index; the hasher is keyed anew in each run, since keys are chosen
//! by attackers. Order never depends on it.

use foldhash::quality::RandomState;
use hashbrown::HashMap;

#[derive(Debug)]
struct Slot<V> {
    key: Box<str>,
    value: V,
    newer: Option<usize>,
    older: Option<usize>,
}

/// Entries by key, ordered by last use.
#[derive(Debug)]
pub(crate) struct Lru<V> {
    map: HashMap<Box<str>, usize, RandomState>,
    slots: Vec<Option<Slot<V>>>,
    free: Vec<usize>,
    newest: Option<usize>,
    oldest: Option<usize>,
}

impl<V> Default for Lru<V> {
    fn default() -> Self {
        Self {
            map: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: None,
            oldest: None,
        }
    }
}

impl<V> Lru<V> {
    /// Entries held.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// The entry of `key`, made when absent, now the most recently used.
    pub(crate) fn touch(&mut self, key: &str, make: impl FnOnce() -> V) -> Option<&mut V> {
        let at = match self.map.get(key) {
            Some(at) => {
                let at = *at;
                self.unlink(at);
                at
            }
            None => self.insert(key, make()),
        };
        self.link(at);
        self.slots.get_mut(at)?.as_mut().map(|slot| &mut slot.value)
    }

    fn insert(&mut self, key: &str, value: V) -> usize {
        let slot = Some(Slot { key: key.into(), value, newer: None, older: None });
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.slots.push(None);
                self.slots.len().saturating_sub(1)
            }
        };
        if let Some(place) = self.slots.get_mut(at) {
            *place = slot;
        }
        self.map.insert(key.into(), at);
        at
    }

    fn slot(&mut self, at: Option<usize>) -> Option<&mut Slot<V>> {
        self.slots.get_mut(at?)?.as_mut()
    }

    fn unlink(&mut self, at: usize) {
        let Some(slot) = self.slot(Some(at)) else { return };
        let (newer, older) = (slot.newer.take(), slot.older.take());
        match self.slot(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slot(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link(&mut self, at: usize) {
        let newest = self.newest;
        if let Some(slot) = self.slot(Some(at)) {
            slot.older = newest;
        }
        match self.slot(newest) {
            Some(slot) => slot.newer = Some(at),
            None => self.oldest = Some(at),
        }
        self.newest = Some(at);
    }

    /// Removes the least recently used entry.
    pub(crate) fn pop(&mut self) -> Option<V> {
        let at = self.oldest?;
        self.unlink(at);
        let slot = self.slots.get_mut(at)?.take()?;
        self.map.remove(&slot.key);
        self.free.push(at);
        Some(slot.value)
    }

    /// Calls `visit` with every entry, the least recently used first.
    pub(crate) fn visit(&self, mut visit: impl FnMut(&str, &V)) {
        let mut next = self.oldest;
        while let Some(slot) = next.and_then(|at| self.slots.get(at)?.as_ref()) {
            visit(&slot.key, &slot.value);
            next = slot.newer;
        }
    }

    /// As [`Self::visit`], and the values may change.
    pub(crate) fn each(&mut self, mut visit: impl FnMut(&str, &mut V)) {
        let mut next = self.oldest;
        while let Some(slot) = self.slot(next) {
            visit(&slot.key, &mut slot.value);
            next = slot.newer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slots_are_used_again() {
        let mut lru = Lru::default();
        for n in 0..1_000 {
            lru.touch(&n.to_string(), || n);
            if lru.len() > 10 {
                lru.pop();
            }
        }
        assert!(lru.slots.len() <= 11);
        assert_eq!(lru.pop(), Some(990));
    }

    proptest! {
        #[test]
        fn is_the_naive_list(steps in prop::collection::vec((0_u8..20, any::<bool>()), 0..200)) {
            let mut lru = Lru::default();
            let mut naive: Vec<u8> = Vec::new();
            for (key, pops) in steps {
                if pops {
                    let expected = (!naive.is_empty()).then(|| naive.remove(0));
                    prop_assert_eq!(lru.pop(), expected);
                } else {
                    lru.touch(&key.to_string(), || key);
                    naive.retain(|known| *known != key);
                    naive.push(key);
                }
                let mut seen = Vec::new();
                lru.each(|_, value| seen.push(*value));
                prop_assert_eq!(&seen, &naive);
                prop_assert_eq!(lru.len(), naive.len());
            }
        }
    }
}
