//! Search for patterns of one or two bytes, and of three where they are many: too short for a window.

use crate::compile::simd::{self, Run, Runs};

/// A pattern, folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Short {
    /// First two bytes.
    pair: u16,
    /// The third, if there is one.
    third: Option<u8>,
    pattern: u32,
}

/// Patterns of one to three bytes.
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

/// Patterns from which on a table of pairs is worth its eight kilobytes.
const MANY: usize = 16;

const FOLD: u8 = 0x20;

impl ShortSet {
    /// From (pattern number, bytes, both cases).
    pub(super) fn new(patterns: &[(u32, &[u8], bool)]) -> Self {
        let mut set = Self::default();
        let mut runs = Vec::new();
        for (pattern, bytes, nocase) in patterns {
            let mut run: Run = [None; 2];
            run.iter_mut().zip(*bytes).for_each(|(to, byte)| *to = Some((*byte, *nocase)));
            match bytes {
                [only] => set.one.push((only | FOLD, *pattern)),
                [first, second, third @ ..] if third.len() < 2 => {
                    let pair = u16::from_le_bytes([first | FOLD, second | FOLD]);
                    let third = third.first().map(|byte| byte | FOLD);
                    set.longer.push(Short { pair, third, pattern: *pattern });
                }
                _ => continue,
            }
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
                hit(short.pattern, at);
            }
        });
    }
}
