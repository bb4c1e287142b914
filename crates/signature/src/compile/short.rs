//! Search for patterns of one to three bytes, too short for a window.

use crate::compile::simd::{self, Runs};

/// A pattern as it stands in traffic; one for both cases is here under each spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Short {
    /// First two bytes; of a pattern of one byte the first, with zero.
    pair: u16,
    /// Bytes it has, one to three.
    len: u8,
    third: u8,
    pattern: u32,
}

/// Patterns of one to three bytes.
#[derive(Debug, Default)]
pub(super) struct ShortSet {
    runs: Runs,
    /// Patterns of two and three bytes, by pair.
    longer: Vec<Short>,
    /// A bit for each pair that begins one of these, where they are many.
    begins: Vec<u64>,
    /// Patterns of one byte.
    one: Vec<Short>,
}

/// Patterns from which on a table of pairs is worth its eight kilobytes.
const MANY: usize = 16;

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
        for (pattern, bytes, nocase) in patterns {
            let spelled =
                |at: usize| bytes.get(at).map_or_else(|| vec![0], |byte| spellings(*byte, *nocase));
            let Ok(len @ 1..=3) = u8::try_from(bytes.len()) else { continue };
            let list = if len == 1 { &mut set.one } else { &mut set.longer };
            for first in spelled(0) {
                for second in spelled(1) {
                    let pair = u16::from_le_bytes([first, second]);
                    let all = spelled(2).into_iter();
                    list.extend(all.map(|third| Short { pair, len, third, pattern: *pattern }));
                }
            }
        }
        set.longer.sort_unstable();
        if set.longer.len() >= MANY {
            set.begins = vec![0; (1 << 16) / 64];
            for short in &set.longer {
                let pair = usize::from(short.pair);
                set.begins[pair / 64] |= 1 << (pair % 64);
            }
        }
        let ones = set.one.iter().map(|one| (one.pair.to_le_bytes()[0], None, None));
        let longer = set.longer.iter().map(|short| {
            let [first, second] = short.pair.to_le_bytes();
            (first, Some(second), (short.len == 3).then_some(short.third))
        });
        set.runs = Runs::new(ones.chain(longer));
        set
    }

    /// Calls `hit(pattern, start)` for every occurrence.
    pub(super) fn scan(&self, data: &[u8], mut hit: impl FnMut(u32, usize)) {
        if self.one.is_empty() && self.longer.is_empty() {
            return;
        }
        simd::runs(data, &self.runs, |at| {
            let there = match data.get(at..) {
                Some([first, second, third, ..]) => (*first, Some(*second), Some(*third)),
                Some([first, second]) => (*first, Some(*second), None),
                Some([first]) => (*first, None, None),
                _ => return,
            };
            for one in self.one.iter().filter(|one| one.pair == u16::from(there.0)) {
                hit(one.pattern, at);
            }
            let (first, Some(second), third) = there else { return };
            let pair = u16::from_le_bytes([first, second]);
            let word = self.begins.get(usize::from(pair) / 64);
            if word.is_some_and(|word| word >> (pair % 64) & 1 == 0) {
                return;
            }
            let from = self.longer.partition_point(|short| short.pair < pair);
            let same = self.longer.iter().skip(from).take_while(|short| short.pair == pair);
            for short in same.filter(|short| short.len == 2 || third == Some(short.third)) {
                hit(short.pattern, at);
            }
        });
    }
}
