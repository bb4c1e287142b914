//! The prefilter of one hook: which rules' fast patterns are in these bytes.
//!
//! Three searches side by side: grams for patterns of four bytes and more, bitmaps for shorter ones, and
//! a reversed rolling hash for patterns that must stand at the end of a whole buffer (most domain rules).
//! Reports exactly the patterns present, so "prefiltered = naive" can be tested.

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use hashbrown::HashMap;

use crate::compile::gram::GramSet;

/// A fast pattern on its way into a matcher.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    /// Lowercase when `nocase`.
    pub(crate) bytes: Vec<u8>,
    pub(crate) nocase: bool,
    /// Must stand at the end of the buffer.
    pub(crate) at_end: bool,
    pub(crate) rule: u32,
}

#[derive(Debug, Clone, Copy)]
struct PatternInfo {
    start: u32,
    len: u32,
    rules_start: u32,
    rules_end: u32,
    nocase: bool,
    at_end: bool,
}

/// Counters of a matcher's work, kept by the worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrefilterStats {
    /// Bytes looked at.
    pub bytes: u64,
    /// Buffers that went to the bounded engine because the fast one met too many candidates.
    pub fallbacks: u64,
}

/// Worker-owned room for scanning.
#[derive(Debug, Default)]
pub(crate) struct MatchScratch {
    /// One bit per pattern seen in this scan.
    seen: Vec<u64>,
    touched: Vec<u32>,
    pub(crate) stats: PrefilterStats,
}

/// Compiled patterns of one hook.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    bytes: Vec<u8>,
    patterns: Vec<PatternInfo>,
    rules: Vec<u32>,
    grams: GramSet,
    short: ShortSet,
    ends: EndSet,
    fallback: OnceLock<Option<AhoCorasick>>,
}

impl Matcher {
    /// Builds; equal patterns are searched once.
    pub(crate) fn new(mut wanted: Vec<Wanted>) -> Self {
        wanted.sort_unstable_by(|a, b| {
            (&a.bytes, a.nocase, a.at_end, a.rule).cmp(&(&b.bytes, b.nocase, b.at_end, b.rule))
        });
        let mut matcher = Self::default();
        let (mut inside, mut ends): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for group in wanted
            .chunk_by(|a, b| a.bytes == b.bytes && a.nocase == b.nocase && a.at_end == b.at_end)
        {
            let Some(first) = group.first() else { continue };
            let number = index(matcher.patterns.len());
            let rules_start = index(matcher.rules.len());
            matcher.rules.extend(group.iter().map(|wanted| wanted.rule));
            matcher.patterns.push(PatternInfo {
                start: index(matcher.bytes.len()),
                len: index(first.bytes.len()),
                rules_start,
                rules_end: index(matcher.rules.len()),
                nocase: first.nocase,
                at_end: first.at_end,
            });
            matcher.bytes.extend_from_slice(&first.bytes);
            if first.at_end { ends.push(number) } else { inside.push(number) }
        }
        let with_bytes = |numbers: &[u32], keep: &dyn Fn(usize) -> bool| -> Vec<(u32, Vec<u8>)> {
            numbers
                .iter()
                .map(|number| (*number, matcher.pattern(*number).to_vec()))
                .filter(|(_, bytes)| keep(bytes.len()))
                .collect()
        };
        let long = with_bytes(&inside, &|len| len >= 4);
        let short = with_bytes(&inside, &|len| len < 4);
        let ends = with_bytes(&ends, &|_| true);
        matcher.grams =
            GramSet::new(&long.iter().map(|(n, b)| (*n, b.as_slice())).collect::<Vec<_>>());
        matcher.short = ShortSet::new(&short);
        matcher.ends = EndSet::new(&ends);
        matcher
    }

    /// True when it has no pattern.
    pub(crate) const fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Every rule in it.
    #[cfg(test)]
    pub(crate) fn rules(&self) -> &[u32] {
        &self.rules
    }

    fn pattern(&self, number: u32) -> &[u8] {
        let info = &self.patterns[number as usize];
        &self.bytes[info.start as usize..(info.start + info.len) as usize]
    }

    /// Adds to `out` the rules whose pattern is in `data`. `end_known`: the data reaches to the buffer's end.
    pub(crate) fn scan(
        &self,
        data: &[u8],
        end_known: bool,
        scratch: &mut MatchScratch,
        out: &mut Vec<u32>,
    ) {
        if self.patterns.is_empty() {
            return;
        }
        scratch.stats.bytes += data.len() as u64;
        let words = self.patterns.len().div_ceil(64);
        if scratch.seen.len() < words {
            scratch.seen.resize(words, 0);
        }
        let (seen, touched) = (&mut scratch.seen, &mut scratch.touched);
        let mut hit = |number: u32, start: usize| {
            let (word, bit) = (number as usize / 64, number % 64);
            if seen[word] >> bit & 1 == 0 && self.is_at(number, data, start) {
                seen[word] |= 1 << bit;
                touched.push(number);
            }
        };
        // Four entries a byte is far above what traffic brings; beyond it the bounded engine decides.
        let budget = 256 + data.len() * 4;
        if !self.grams.scan(data, budget, &mut hit) {
            scratch.stats.fallbacks += 1;
            if let Some(bounded) = self.bounded() {
                bounded
                    .find_overlapping_iter(data)
                    .filter(|found| !self.patterns[found.pattern().as_usize()].at_end)
                    .for_each(|found| hit(found.pattern().as_u32(), found.start()));
            } else {
                self.grams.scan(data, usize::MAX, &mut hit);
            }
        }
        self.short.scan(data, &mut hit);
        if end_known {
            self.ends.scan(data, &mut hit);
        }
        for number in touched.drain(..) {
            seen[number as usize / 64] = 0;
            let info = &self.patterns[number as usize];
            out.extend_from_slice(&self.rules[info.rules_start as usize..info.rules_end as usize]);
        }
    }

    #[inline]
    fn is_at(&self, number: u32, data: &[u8], start: usize) -> bool {
        let pattern = self.pattern(number);
        let Some(there) = data.get(start..start + pattern.len()) else { return false };
        if self.patterns[number as usize].nocase {
            there.eq_ignore_ascii_case(pattern)
        } else {
            there == pattern
        }
    }

    /// The bounded engine, built when first needed.
    fn bounded(&self) -> Option<&AhoCorasick> {
        self.fallback
            .get_or_init(|| {
                aho_corasick::AhoCorasickBuilder::new()
                    .ascii_case_insensitive(true)
                    .kind(Some(aho_corasick::AhoCorasickKind::ContiguousNFA))
                    .build((0..self.patterns.len()).map(|number| self.pattern(index(number))))
                    .ok()
            })
            .as_ref()
    }
}

fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Patterns of one to three bytes.
#[derive(Debug, Default)]
struct ShortSet {
    /// By folded first byte: patterns of one byte.
    one: Vec<Vec<u32>>,
    /// One bit per folded first two bytes.
    pairs: Vec<u64>,
    by_pair: HashMap<u16, Vec<u32>, foldhash::fast::RandomState>,
}

impl ShortSet {
    fn new(patterns: &[(u32, Vec<u8>)]) -> Self {
        let mut set = Self::default();
        for (number, bytes) in patterns {
            match bytes.as_slice() {
                [] => {}
                [one] => {
                    set.one.resize(256, Vec::new());
                    set.one[usize::from(*one | 0x20)].push(*number);
                }
                [first, second, ..] => {
                    set.pairs.resize(1_024, 0);
                    let pair = u16::from_le_bytes([*first, *second]) | 0x2020;
                    set.pairs[usize::from(pair / 64)] |= 1 << (pair % 64);
                    set.by_pair.entry(pair).or_default().push(*number);
                }
            }
        }
        set
    }

    fn scan(&self, data: &[u8], mut hit: impl FnMut(u32, usize)) {
        if !self.one.is_empty() {
            for (at, byte) in data.iter().enumerate() {
                self.one[usize::from(*byte | 0x20)].iter().for_each(|number| hit(*number, at));
            }
        }
        if !self.pairs.is_empty() {
            for (at, window) in data.windows(2).enumerate() {
                let pair = u16::from_le_bytes([window[0], window[1]]) | 0x2020;
                if self.pairs[usize::from(pair / 64)] >> (pair % 64) & 1 != 0
                    && let Some(numbers) = self.by_pair.get(&pair)
                {
                    numbers.iter().for_each(|number| hit(*number, at));
                }
            }
        }
    }
}

/// Patterns that must be the end of the buffer: hash of every suffix whose length some pattern has.
#[derive(Debug, Default)]
struct EndSet {
    /// One bit per length.
    lengths: Vec<u64>,
    longest: usize,
    by_hash: HashMap<u64, Vec<u32>, foldhash::fast::RandomState>,
}

const ROLL: u64 = 0x0000_0100_0000_01B3;

const fn roll(hash: u64, byte: u8) -> u64 {
    (hash ^ (byte | 0x20) as u64).wrapping_mul(ROLL)
}

impl EndSet {
    fn new(patterns: &[(u32, Vec<u8>)]) -> Self {
        let mut set = Self::default();
        for (number, bytes) in patterns {
            let hash = bytes.iter().rev().fold(0, |hash, byte| roll(hash, *byte));
            set.by_hash.entry(hash).or_default().push(*number);
            set.longest = set.longest.max(bytes.len());
            set.lengths.resize(set.longest / 64 + 1, 0);
            set.lengths[bytes.len() / 64] |= 1 << (bytes.len() % 64);
        }
        set
    }

    fn scan(&self, data: &[u8], mut hit: impl FnMut(u32, usize)) {
        let mut hash = 0;
        for (len, byte) in
            data.iter().rev().take(self.longest).enumerate().map(|(at, byte)| (at + 1, byte))
        {
            hash = roll(hash, *byte);
            if self.lengths[len / 64] >> (len % 64) & 1 != 0
                && let Some(numbers) = self.by_hash.get(&hash)
            {
                numbers.iter().for_each(|number| hit(*number, data.len() - len));
            }
        }
    }
}
