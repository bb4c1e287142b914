//! Multi-pattern search by the rarest window of four bytes of each pattern, or by two that follow each other.
//!
//! Scan: at every offset a window is hashed and two bits tested ([`simd`]); on a hit the window is looked up, eight
//! further folded bytes are compared, then the pattern itself. No state between calls. Patterns of five bytes and
//! more have two windows side by side, of which one stands at an even offset, so that half of the windows are
//! enough. Of shorter ones a window has three bytes and one beside them, which may be any: 128 windows when folded,
//! worth it for a few.

use crate::{
    compile::simd::{self, Offsets},
    rarity,
};

/// Most patterns that share one window while another choice exists.
const MAX_PER_GRAM: u32 = 16;

/// A pattern as the gram search knows it.
#[derive(Debug, Clone, Copy)]
struct Entry {
    gram: u32,
    /// Pattern number in the matcher.
    pattern: u32,
    /// Where in the pattern the window is; -1 when it begins one byte before it.
    at: i32,
    len: u16,
    /// First bytes of the pattern, folded, and which of them exist.
    head: u64,
    mask: u64,
}

/// Search for patterns of three bytes and more.
#[derive(Debug, Default)]
pub(super) struct GramSet {
    /// Two bits per hash of a window; its length is a power of two, `2^(27 - shift)` words.
    bitmap: Vec<u32>,
    shift: u32,
    /// Open hash: a window and the index into `entries` of its first entry, plus one; 0 = free.
    slots: Vec<(u32, u32)>,
    slot_shift: u32,
    entries: Vec<Entry>,
    offsets: Offsets,
}

const FOLD: u64 = 0x2020_2020_2020_2020;

fn head_of(bytes: &[u8]) -> (u64, u64) {
    let mut head = [0_u8; 8];
    let mut mask = [0_u8; 8];
    for ((to, m), from) in head.iter_mut().zip(&mut mask).zip(bytes) {
        *to = *from;
        *m = 0xff;
    }
    let mask = u64::from_le_bytes(mask);
    ((u64::from_le_bytes(head) | FOLD) & mask, mask)
}

fn gram_of(window: [u8; 4]) -> u32 {
    rarity::fold(u32::from_le_bytes(window))
}

/// How many windows a pattern is searched by.
pub(super) const fn windows_of(len: usize, offsets: Offsets) -> usize {
    match (len, offsets) {
        (0..=2, _) => 0,
        (3, Offsets::All) => ANY_BYTE,
        (3, Offsets::Even) => 2 * ANY_BYTE,
        (4, Offsets::Even) => 1 + ANY_BYTE,
        (_, Offsets::All) => 1,
        (_, Offsets::Even) => 2,
    }
}

/// Different bytes after folding.
const ANY_BYTE: usize = 128;

/// The windows that a pattern is searched by, with their places in it.
fn grams_of(
    bytes: &[u8],
    offsets: Offsets,
    used: &hashbrown::HashMap<u32, u32, foldhash::fast::RandomState>,
) -> Vec<(i32, u32)> {
    let any = || (0..=u8::MAX).filter(|byte| byte & 0x20 != 0);
    let before = |[a, b, c]: [u8; 3]| any().map(move |byte| (-1, gram_of([byte, a, b, c])));
    let after = |at, [a, b, c]: [u8; 3]| any().map(move |byte| (at, gram_of([a, b, c, byte])));
    match (bytes, offsets) {
        ([a, b, c], Offsets::All) => after(0, [*a, *b, *c]).collect(),
        ([a, b, c], Offsets::Even) => after(0, [*a, *b, *c]).chain(before([*a, *b, *c])).collect(),
        ([a, b, c, d], Offsets::Even) => {
            let whole = (0, gram_of([*a, *b, *c, *d]));
            let odd: Vec<_> =
                if rarity::pattern_cost(&[*b, *c, *d]) < rarity::pattern_cost(&[*a, *b, *c]) {
                    after(1, [*b, *c, *d]).collect()
                } else {
                    before([*a, *b, *c]).collect()
                };
            std::iter::once(whole).chain(odd).collect()
        }
        _ => rarest(bytes, if offsets == Offsets::Even { 2 } else { 1 }, used),
    }
}

/// The `side_by_side` windows of the pattern that are rarest together.
fn rarest(
    bytes: &[u8],
    side_by_side: usize,
    used: &hashbrown::HashMap<u32, u32, foldhash::fast::RandomState>,
) -> Vec<(i32, u32)> {
    let cost = |window: [u8; 4]| {
        let shared = used.get(&gram_of(window)).copied().unwrap_or(0);
        let crowding = if shared >= MAX_PER_GRAM { 64 } else { shared.ilog2_or_zero() * 2 };
        rarity::gram_cost(window) + crowding
    };
    let windows: Vec<([u8; 4], u32)> = bytes
        .windows(4)
        .take(usize::from(u16::MAX))
        .filter_map(|window| <[u8; 4]>::try_from(window).ok())
        .map(|window| (window, cost(window)))
        .collect();
    let worst = |group: &[([u8; 4], u32)]| group.iter().map(|(_, cost)| *cost).max();
    let groups = windows.windows(side_by_side).enumerate();
    let Some((first, group)) = groups.min_by_key(|(at, group)| (worst(group), *at)) else {
        return Vec::new();
    };
    let first = i32::try_from(first).unwrap_or(i32::MAX);
    (first..).zip(group.iter().map(|(window, _)| gram_of(*window))).collect()
}

impl GramSet {
    /// Builds from (pattern number, bytes); every pattern has three bytes or more.
    pub(super) fn new(patterns: &[(u32, &[u8])], offsets: Offsets) -> Self {
        if patterns.is_empty() {
            return Self::default();
        }
        let mut used: hashbrown::HashMap<u32, u32, foldhash::fast::RandomState> =
            hashbrown::HashMap::default();
        let mut entries: Vec<Entry> = Vec::with_capacity(2 * patterns.len());
        for (pattern, bytes) in patterns {
            let (head, mask) = head_of(bytes);
            let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            for (at, gram) in grams_of(bytes, offsets, &used) {
                *used.entry(gram).or_default() += 1;
                entries.push(Entry { gram, pattern: *pattern, at, len, head, mask });
            }
        }
        entries.sort_unstable_by_key(|entry| (entry.gram, entry.pattern, entry.at));
        Self::index(entries, used.len(), offsets)
    }

    fn index(entries: Vec<Entry>, grams: usize, offsets: Offsets) -> Self {
        // Twice the windows at half of the places: a bit is hit by chance as often either way.
        let per_gram = if offsets == Offsets::Even { 32 } else { 64 };
        let bits = (grams * per_gram).next_power_of_two().clamp(1 << 10, 1 << 19);
        let shift = 32 - bits.ilog2();
        let slots = (grams * 2).next_power_of_two().max(16);
        let slot_shift = 32 - slots.ilog2();
        let mut set = Self {
            bitmap: vec![0; bits / 32],
            shift,
            slots: vec![(0, 0); slots],
            slot_shift,
            entries,
            offsets,
        };
        let mut before = None;
        for at in 0..set.entries.len() {
            let gram = set.entries[at].gram;
            if before == Some(gram) {
                continue;
            }
            before = Some(gram);
            let (word, bits) = simd::place(simd::hash(gram), set.shift);
            set.bitmap[word] |= bits;
            let mut slot = (simd::hash(gram) >> set.slot_shift) as usize;
            while set.slots[slot].1 != 0 {
                slot = (slot + 1) % set.slots.len();
            }
            set.slots[slot] = (gram, u32::try_from(at + 1).unwrap_or(u32::MAX));
        }
        set
    }

    /// Calls `hit(pattern, start)` for every candidate whose first bytes agree; the caller compares the whole.
    /// Gives up (returns `false`) after `budget` looked-at entries.
    #[inline]
    pub(super) fn scan(
        &self,
        data: &[u8],
        mut budget: usize,
        mut hit: impl FnMut(u32, usize),
    ) -> bool {
        if self.entries.is_empty() {
            return true;
        }
        let table = simd::Table { bitmap: &self.bitmap, shift: self.shift, offsets: self.offsets };
        simd::windows(data, &table, |at| {
            let gram = gram_of(simd::window(data, at));
            let Some(first) = self.find(gram, simd::hash(gram)) else { return true };
            for entry in self.entries[first..].iter().take_while(|entry| entry.gram == gram) {
                let Some(left) = budget.checked_sub(1) else { return false };
                budget = left;
                let Some(start) = at.checked_add_signed(-(entry.at as isize)) else { continue };
                if start + usize::from(entry.len) > data.len() {
                    continue;
                }
                if head_at(data, start) & entry.mask == entry.head {
                    hit(entry.pattern, start);
                }
            }
            true
        })
    }

    #[inline]
    fn find(&self, gram: u32, hashed: u32) -> Option<usize> {
        let mut slot = (hashed >> self.slot_shift) as usize;
        loop {
            let (known, first) = self.slots[slot];
            let first = (first as usize).checked_sub(1)?;
            if known == gram {
                return Some(first);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

/// Eight folded bytes from `start`; bytes behind the end are zero.
#[inline]
fn head_at(data: &[u8], start: usize) -> u64 {
    if let Some(chunk) =
        data.get(start..start + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok())
    {
        return u64::from_le_bytes(chunk) | FOLD;
    }
    head_of(&data[start..]).0
}

/// `ilog2` that takes zero.
trait LogOrZero {
    fn ilog2_or_zero(self) -> u32;
}

impl LogOrZero for u32 {
    fn ilog2_or_zero(self) -> u32 {
        self.checked_ilog2().map_or(0, |log| log + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_windows_as_are_counted_beforehand() {
        for offsets in [Offsets::All, Offsets::Even] {
            for len in 3..9 {
                let grams = grams_of(&b"abcdefgh"[..len], offsets, &hashbrown::HashMap::default());
                assert_eq!(grams.len(), windows_of(len, offsets), "{len} {offsets:?}");
            }
        }
    }
}
