//! The prefilter of one hook: which rules' fast patterns are in these bytes.
//!
//! Three searches side by side: grams for long patterns, runs for short ones and where they are few, and
//! a reversed rolling hash for patterns that must stand at the end of a whole buffer (most domain rules).
//! Reports exactly the patterns present, so "prefiltered = naive" can be tested.

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;

use crate::compile::{
    end::{End, EndSet},
    gram::{GramSet, windows_of},
    short::{self, ShortSet},
    simd::Offsets,
};

/// Windows that may be spent on patterns of three and four bytes.
const MOST_EXTRA: usize = 8_192;

/// A fast pattern on its way into a matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Wanted<'p> {
    /// Lowercase when `nocase`.
    pub(crate) bytes: &'p [u8],
    pub(crate) nocase: bool,
    /// Must stand at the end of the buffer.
    pub(crate) at_end: bool,
    /// Of those at the end: the dot it begins with may be the one before the buffer (`dotprefix`).
    pub(crate) dotted: bool,
    pub(crate) rule: u32,
}

impl<'p> Wanted<'p> {
    /// What makes it the same pattern as another.
    const fn key(&self) -> (&'p [u8], bool, bool, bool) {
        (self.bytes, self.nocase, self.at_end, self.dotted)
    }
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
    pub(crate) fn new(mut wanted: Vec<Wanted<'_>>) -> Self {
        wanted.sort_unstable_by(|a, b| (a.key(), a.rule).cmp(&(b.key(), b.rule)));
        let mut matcher = Self::default();
        let (mut inside, mut ends): (Vec<(u32, Wanted<'_>)>, Vec<End<'_>>) =
            (Vec::new(), Vec::new());
        for group in wanted.chunk_by(|a, b| a.key() == b.key()) {
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
            matcher.bytes.extend_from_slice(first.bytes);
            if first.at_end {
                ends.push(End { pattern: number, bytes: first.bytes, dotted: first.dotted });
            } else {
                inside.push((number, *first));
            }
        }
        // With few patterns of three and four bytes, half of the windows are enough.
        let extra = |offsets: Offsets| -> usize {
            let lengths = inside.iter().map(|(_, wanted)| wanted.bytes.len());
            lengths.filter(|len| *len < 5).map(|len| windows_of(len, offsets)).sum()
        };
        let (least, offsets) = match (extra(Offsets::Even), extra(Offsets::All)) {
            _ if inside.len() <= short::FEW => (usize::MAX, Offsets::All),
            (even, _) if even <= MOST_EXTRA => (3, Offsets::Even),
            (_, all) if all <= MOST_EXTRA => (3, Offsets::All),
            _ => (4, Offsets::All),
        };
        let (long, short): (Vec<_>, Vec<_>) =
            inside.iter().partition(|(_, wanted)| wanted.bytes.len() >= least);
        let long: Vec<_> = long.iter().map(|(number, wanted)| (*number, wanted.bytes)).collect();
        let short: Vec<_> =
            short.iter().map(|(number, wanted)| (*number, wanted.bytes, wanted.nocase)).collect();
        matcher.grams = GramSet::new(&long, offsets);
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
        let mut add = |number: u32, is_there: &dyn Fn() -> bool| {
            let (word, bit) = (number as usize / 64, number % 64);
            if seen[word] >> bit & 1 == 0 && is_there() {
                seen[word] |= 1 << bit;
                touched.push(number);
            }
        };
        let mut hit = |number: u32, start: usize| add(number, &|| self.is_at(number, data, start));
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
            self.ends.scan(data, |number, start| match start {
                Some(start) => add(number, &|| self.is_at(number, data, start)),
                None => add(number, &|| self.is_after_dot(number, data)),
            });
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
        let there = data.get(start..start + pattern.len());
        there.is_some_and(|there| self.is_same(number, there, pattern))
    }

    /// The data is the whole pattern but for the dot it begins with.
    fn is_after_dot(&self, number: u32, data: &[u8]) -> bool {
        let rest = self.pattern(number).strip_prefix(b".");
        rest.is_some_and(|rest| rest.len() == data.len() && self.is_same(number, data, rest))
    }

    #[inline]
    fn is_same(&self, number: u32, there: &[u8], pattern: &[u8]) -> bool {
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
