//! From the hash of a key to the slot of its flow: open addressing in one array.
//!
//! A place holds 32 bits of hash beside the slot number, so that a search touches one line of memory
//! here and one of the flow it finds; growth does not look at the flows at all. The keys are with
//! the flows, whoever searches compares them.

/// Places of the smallest table.
const LEAST: usize = 64;

/// A hash table of slot numbers.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Hash in the upper half, slot number plus one in the lower; 0 for free. Their number is a power of two.
    places: Vec<u64>,
    len: usize,
}

fn place(hash: u32, slot: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(slot).saturating_add(1)
}

fn hash_of(place: u64) -> u32 {
    u32::try_from(place >> 32).unwrap_or(0)
}

fn slot_of(place: u64) -> u32 {
    u32::try_from(place & 0xffff_ffff).unwrap_or(0).wrapping_sub(1)
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    /// Where a hash is looked for first.
    fn home(&self, hash: u32) -> usize {
        usize::try_from(hash).unwrap_or(0) & self.mask()
    }

    /// The slot with this hash that `is_it`.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            // There is always a free place, and none in a table without any.
            let place = *self.places.get(at)?;
            if place == 0 {
                return None;
            }
            if hash_of(place) == hash && is_it(slot_of(place)) {
                return Some(slot_of(place));
            }
            at = at.wrapping_add(1) & self.mask();
        }
    }

    /// Has the place where a hash is looked for first in the processor's cache.
    #[inline]
    pub(super) fn fetch(&self, hash: u32) {
        if let Some(place) = self.places.get(self.home(hash)) {
            crate::prefetch::prefetch(place);
        }
    }

    /// Adds a slot that is not there yet.
    pub(super) fn insert(&mut self, hash: u32, slot: u32) {
        // At most five of eight places are taken: searches end within a line or two.
        if self.len.saturating_mul(8) >= self.places.len().saturating_mul(5) {
            self.grow();
        }
        self.put(place(hash, slot));
        self.len = self.len.saturating_add(1);
    }

    fn put(&mut self, place: u64) {
        let mut at = self.home(hash_of(place));
        while self.places.get(at).is_some_and(|place| *place != 0) {
            at = at.wrapping_add(1) & self.mask();
        }
        if let Some(free) = self.places.get_mut(at) {
            *free = place;
        }
    }

    fn grow(&mut self) {
        let more = self.places.len().saturating_mul(2).max(LEAST);
        let old = std::mem::replace(&mut self.places, vec![0; more]);
        for place in old.into_iter().filter(|place| *place != 0) {
            self.put(place);
        }
    }

    /// Takes a slot out.
    pub(super) fn remove(&mut self, hash: u32, slot: u32) {
        let wanted = place(hash, slot);
        let mut hole = self.home(hash);
        loop {
            match self.places.get(hole) {
                None | Some(0) => return,
                Some(place) if *place == wanted => break,
                Some(_) => hole = hole.wrapping_add(1) & self.mask(),
            }
        }
        self.len = self.len.saturating_sub(1);
        // Those that were pushed on by what is gone move up, so that no search ends too early.
        let mut at = hole;
        loop {
            at = at.wrapping_add(1) & self.mask();
            let next = self.places.get(at).copied().unwrap_or(0);
            let moves = if next == 0 {
                true
            } else {
                let from_home = at.wrapping_sub(self.home(hash_of(next))) & self.mask();
                from_home >= at.wrapping_sub(hole) & self.mask()
            };
            if moves && let Some(free) = self.places.get_mut(hole) {
                *free = next;
                hole = at;
            }
            if next == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_index_finds_nothing() {
        let mut index = Index::default();
        assert_eq!(index.find(7, |_| true), None);
        index.remove(7, 1);
        assert_eq!(index.len(), 0);
    }

    proptest! {
        /// Few hashes, so that many meet: what is found is what a list would find.
        #[test]
        fn it_finds_what_is_in_it(
            steps in prop::collection::vec((0u32..24, 0u32..200, any::<bool>()), 0..400),
        ) {
            let (mut index, mut model) = (Index::default(), Vec::new());
            for (hash, slot, insert) in steps {
                // Some at the end of the table, so that searches go around.
                let hash = if hash < 12 { hash } else { u32::MAX - hash };
                if let Some(at) = model.iter().position(|known| *known == (hash, slot)) {
                    if !insert {
                        index.remove(hash, slot);
                        model.swap_remove(at);
                    }
                } else if insert {
                    index.insert(hash, slot);
                    model.push((hash, slot));
                }
                prop_assert_eq!(index.len(), model.len());
                for known in &model {
                    prop_assert_eq!(index.find(known.0, |slot| slot == known.1), Some(known.1));
                }
                prop_assert_eq!(index.find(hash, |_| false), None);
            }
        }
    }
}
