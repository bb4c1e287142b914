//! Search for patterns of one to three bytes, too short for a window.

use hashbrown::HashMap;

use crate::compile::simd::{self, Pairs};

/// Words of a bitmap over pairs of bytes.
const WORDS: usize = (1 << 16) / 64;

/// Patterns of one to three bytes, by their first two as they stand in traffic: a pattern for both cases
/// is in it under each spelling.
#[derive(Debug, Default)]
pub(super) struct ShortSet {
    pairs: Pairs,
    /// One bit per pair; empty without patterns.
    bitmap: Vec<u64>,
    by_pair: HashMap<u16, Vec<u32>, foldhash::fast::RandomState>,
    /// Patterns of one byte, by that byte.
    one: HashMap<u8, Vec<u32>, foldhash::fast::RandomState>,
}

/// A byte in both cases, or as it is.
fn spellings(byte: u8, nocase: bool) -> Vec<u8> {
    let mut all = vec![byte.to_ascii_lowercase(), byte.to_ascii_uppercase()];
    all.dedup();
    if nocase { all } else { vec![byte] }
}

impl ShortSet {
    /// From (pattern number, bytes, both cases).
    pub(super) fn new(patterns: &[(u32, Vec<u8>, bool)]) -> Self {
        let mut set = Self::default();
        for (number, bytes, nocase) in patterns {
            match bytes.as_slice() {
                [] => {}
                [one] => {
                    for byte in spellings(*one, *nocase) {
                        set.one.entry(byte).or_default().push(*number);
                    }
                }
                [first, second, ..] => {
                    for first in spellings(*first, *nocase) {
                        for second in spellings(*second, *nocase) {
                            let pair = u16::from_le_bytes([first, second]);
                            set.by_pair.entry(pair).or_default().push(*number);
                        }
                    }
                }
            }
        }
        set.index();
        set
    }

    fn index(&mut self) {
        if self.one.is_empty() && self.by_pair.is_empty() {
            return;
        }
        self.bitmap = vec![0; WORDS];
        let pairs: Vec<u16> = self.by_pair.keys().copied().collect();
        let ones: Vec<u8> = self.one.keys().copied().collect();
        let any_second = |first: &u8| {
            let first = *first;
            (0..=u8::MAX).map(move |second| u16::from_le_bytes([first, second]))
        };
        for pair in pairs.iter().copied().chain(ones.iter().flat_map(any_second)) {
            if let Some(word) = self.bitmap.get_mut(usize::from(pair / 64)) {
                *word |= 1 << (pair % 64);
            }
        }
        let both = pairs.iter().map(|pair| {
            let [first, second] = pair.to_le_bytes();
            (first, Some(second))
        });
        self.pairs = Pairs::new(ones.iter().map(|one| (*one, None)).chain(both));
    }

    /// Calls `hit(pattern, start)` for every candidate; the caller compares the whole.
    pub(super) fn scan(&self, data: &[u8], mut hit: impl FnMut(u32, usize)) {
        if self.bitmap.is_empty() {
            return;
        }
        simd::pairs(data, &self.pairs, |at| {
            let second = data.get(at + 1).copied();
            let Some(first) = data.get(at).copied() else { return };
            let pair = u16::from_le_bytes([first, second.unwrap_or(0)]);
            if self.bitmap.get(usize::from(pair / 64)).is_none_or(|w| w >> (pair % 64) & 1 == 0) {
                return;
            }
            if let Some(numbers) = self.one.get(&first) {
                numbers.iter().for_each(|number| hit(*number, at));
            }
            if second.is_some()
                && let Some(numbers) = self.by_pair.get(&pair)
            {
                numbers.iter().for_each(|number| hit(*number, at));
            }
        });
    }
}
