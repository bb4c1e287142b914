//! Search by a run of two bytes: for patterns that are too short for a window, and for a few of any length.

use crate::{
    compile::simd::{self, Run, Runs},
    rarity,
};

/// A pattern, folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Short {
    /// Two bytes of it.
    pair: u16,
    /// Where in the pattern these are.
    at: u32,
    /// The one behind them, if there is one.
    third: Option<u8>,
    pattern: u32,
}

/// Patterns of one to three bytes, or few ones.
#[derive(Debug, Default)]
pub(super) struct ShortSet {
    runs: Runs,
    /// Patterns of two bytes and more, by pair.
    longer: Vec<Short>,
    /// A bit for each pair that begins one of these, where they are many.
    begins: Vec<u64>,
    /// Patterns of one byte, folded.
    one: Vec<(u8, u32)>,
}

/// So many patterns are searched by runs whatever their length: each has a group of its own in [`Runs`], so that
/// nothing else is found, and one pass takes half the time of one for windows.
pub(super) const FEW: usize = 8;

/// Patterns from which on a table of pairs is worth its eight kilobytes.
const MANY: usize = 16;

const FOLD: u8 = 0x20;

impl ShortSet {
    /// From (pattern number, bytes, both cases).
    pub(super) fn new(patterns: &[(u32, &[u8], bool)]) -> Self {
        let mut set = Self::default();
        let mut runs = Vec::new();
        for (pattern, bytes, nocase) in patterns {
            let at = if patterns.len() <= FEW { rarity::rarest_pair(bytes) } else { 0 };
            let folded = |n: usize| bytes.get(at + n).map(|byte| byte | FOLD);
            match (folded(0), folded(1)) {
                (Some(only), None) => set.one.push((only, *pattern)),
                (Some(first), Some(second)) => {
                    let (pair, third) = (u16::from_le_bytes([first, second]), folded(2));
                    let at = u32::try_from(at).unwrap_or(u32::MAX);
                    set.longer.push(Short { pair, at, third, pattern: *pattern });
                }
                _ => continue,
            }
            let mut run: Run = [None; 2];
            run.iter_mut().zip(&bytes[at..]).for_each(|(to, byte)| *to = Some((*byte, *nocase)));
            runs.push(run);
        }
        set.longer.sort_unstable();
        if set.longer.len() >= MANY {
            set.begins = vec![0; (1 << 16) / 64];
            for short in &set.longer {
                let pair = usize::from(short.pair);
                set.begins[pair / 64] |= 1 << (pair % 64);
            }
        }
        set.runs = Runs::new(runs);
        set
    }

    /// Calls `hit(pattern, start)` wherever the pattern may be: its bytes are there, or those of the other case.
    pub(super) fn scan(&self, data: &[u8], mut hit: impl FnMut(u32, usize)) {
        if self.one.is_empty() && self.longer.is_empty() {
            return;
        }
        simd::runs(data, &self.runs, |at| {
            let [first, second, third, _] = simd::window(data, at).map(|byte| byte | FOLD);
            for (_, pattern) in self.one.iter().filter(|(one, _)| *one == first) {
                hit(*pattern, at);
            }
            let pair = u16::from_le_bytes([first, second]);
            let begins = self.begins.get(usize::from(pair) / 64);
            if begins.is_some_and(|bits| bits >> (pair % 64) & 1 == 0) {
                return;
            }
            let from = self.longer.partition_point(|short| short.pair < pair);
            let same = self.longer.iter().skip(from).take_while(|short| short.pair == pair);
            for short in same.filter(|short| short.third.is_none_or(|byte| byte == third)) {
                if let Some(start) = at.checked_sub(short.at as usize) {
                    hit(short.pattern, start);
                }
            }
        });
    }
}
